#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * The database: connection, transaction, parameters, rows. For lib/store only.
 * The interface is this header, the backend is the file linked in:
 * db_sqlite.c.
 *
 * A statement is a literal beside the call that runs it, with $1 $2 … for its
 * values. Types, one letter a value: t text (NULL is null), i int64_t.
 * Statements are prepared once for each literal and kept.
 *
 *	struct db_rows *rows = db_query(db, error,
 *	    "SELECT name FROM organizations WHERE id = $1", "t", id);
 *
 *	while (db_next(rows))
 *		puts(db_text(rows, 0));
 *	ok = db_done(rows, error);
 *
 * Errors: ERROR_RETRY where the database is locked for longer than the
 * configured limit, the disk is full or fails; ERROR_CONF where it cannot be
 * opened, is read-only, is no database of ours, is damaged, or was made by a
 * later version; always with its path.
 */
struct db;
struct db_rows;

/* What db_open() may find or make. */
enum db_mode {
	DB_WRITE, /* made if it is not there */
	DB_READ, /* must be there; for looking only */
	DB_REHEARSE /* as DB_WRITE, but nothing is ever kept: --dry-run */
};

bool db_open(struct db **, const struct conf *, enum db_mode, struct error *)
    __attribute__((warn_unused_result));

/*
 * Keep few pages from here on: for who passes once over much more than could be
 * kept, and would only take memory page by page.
 */
bool db_pass(struct db *, struct error *) __attribute__((warn_unused_result));
void db_close(struct db *); /* rolls back; harmless on NULL */

/*
 * BEGIN IMMEDIATE, so that two writers wait for each other here and nowhere
 * else; commit and roll back. In DB_REHEARSE commit rolls back, so that one
 * run may have only one transaction to see what it wrote.
 */
bool db_begin(struct db *, struct error *) __attribute__((warn_unused_result));
bool db_commit(struct db *, struct error *) __attribute__((warn_unused_result));
void db_rollback(struct db *);
bool db_in_transaction(const struct db *);

/* Run a statement that gives no rows. */
bool db_run(struct db *, struct error *, const char *sql, const char *types,
    ...) __attribute__((warn_unused_result));

/* Rows the latest db_run() inserted, changed or deleted. */
int64_t db_changes(const struct db *);

/*
 * Start a query; never NULL, errors show in db_next() and db_done(). db_next()
 * steps to the next row and is false at the end or on an error; db_done() ends
 * it in any case and tells which of the two it was. A query must be done before
 * the same literal is run again.
 */
struct db_rows *db_query(struct db *, const char *sql, const char *types, ...);
bool db_next(struct db_rows *);
bool
db_done(struct db_rows *, struct error *) __attribute__((warn_unused_result));

/*
 * Read all of it and look for damage: *damage is what was found, in words, to
 * be freed, or NULL where it is sound.
 */
bool db_examine(struct db *, char **damage, struct error *)
    __attribute__((warn_unused_result));

/* What to order by for the order of writing, in any table. */
#define DB_WRITTEN "rowid"

/* A column of the present row, from 0. Text is borrowed until db_next(). */
const char *db_text(struct db_rows *, int column); /* NULL of null */
int64_t db_int(struct db_rows *, int column); /* 0 of null */
bool db_is_null(struct db_rows *, int column);

#endif
