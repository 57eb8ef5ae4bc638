#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/error.h"
#include "store/db.h"

/*
 * What automate-check says: a line for each thing looked at, with its state
 * and, where that is not well, exactly what to do.
 */
enum check_state {
	CHECK_OK,
	CHECK_SKIP, /* not configured, or not asked for: no fault */
	CHECK_WARN, /* still works; look at it soon */
	CHECK_FAIL /* does not work */
};

/* What a line matters to; bits. */
enum check_flow {
	CHECK_ONBOARDING = 1,
	CHECK_ALERTS = 2,
	CHECK_PAYMENTS = 4,
	CHECK_CALLS = 8,
	CHECK_USAGE = 16,
	CHECK_EVERY = 31
};

struct check_line {
	enum check_state state;
	char *name, *words, *next; /* next: what to do, or NULL */
};

struct check {
	const struct conf *conf;
	struct db *db; /* NULL: cannot be had */
	unsigned flows; /* those asked for */
	int64_t now;
	struct check_line *lines;
	size_t count;
};

void check_release(struct check *); /* the lines */

/* The flow of that name; 0: there is none. */
unsigned check_flow(const char *name);

/* Whether what matters to these flows is asked for. */
bool check_wants(const struct check *, unsigned flows);

/* Add a line, if it is asked for; words and next (may be NULL) are taken. */
void check_say(struct check *, unsigned flows, enum check_state,
    const char *name, char *words, char *next);

/* Add the line of a look that failed itself. */
void check_broken(
    struct check *, unsigned flows, const char *name, const struct error *);

/* How many lines have that state. */
size_t check_count(const struct check *, enum check_state);
const char *check_word(enum check_state);

/* As a table, or one JSON object a line; from a state on. */
void
check_print(const struct check *, enum check_state least, bool as_json, FILE *);

/*
 * The looks. Machine: configuration, permissions, disk and database, before
 * that is opened and after. Stored: queue, jobs, senders, alerts, clock. Flows:
 * each one rehearsed, in a transaction that is never kept. Live (check_live.h)
 * is what needs the network.
 */
void check_configuration(struct check *);
bool check_owner(struct check *); /* false: it is not ours to open */
void check_machine(struct check *);
void check_stored(struct check *);

/*
 * The job of cron that stands still, for who watches from outside: it is needed
 * and has run before, but not for longer than it may. NULL: there is none.
 */
bool check_cron(struct db *, const struct conf *, int64_t now,
    const char **command, struct error *) __attribute__((warn_unused_result));
void check_flows(struct check *);

#endif
