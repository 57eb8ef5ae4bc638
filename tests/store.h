#ifndef TESTS_STORE_H
#define TESTS_STORE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/conf.h"
#include "base/error.h"
#include "scratch.h"
#include "store/db.h"

/*
 * A real database for a unit program: a configuration with every destination,
 * whose database is NAME in the scratch folder, and what is in it.
 */
static inline void
store_broken(const char *words)
{
	printf("Bail out! %s\n", words);
	exit(1);
}

static inline void
store_conf(struct conf *conf, const char *name)
{
	const char *path = scratch("automate.yaml");
	struct error error = {0};
	FILE *file = fopen(path, "w");

	if (file == NULL ||
	    fprintf(file,
		"database:\n  path: %s\n"
		"links:\n  app_url: https://app.example.com\n"
		"mail:\n  url: https://hooks.example.com/mail\n"
		"billing:\n  url: https://hooks.example.com/billing\n"
		"slack:\n  customers:\n"
		"    url: https://hooks.example.com/customers\n"
		"  alerts:\n    url: https://hooks.example.com/alerts\n"
		"sms:\n  provider: webhook\n  to: \"+15550100\"\n"
		"  url: https://hooks.example.com/sms\n",
		name) < 0 ||
	    fclose(file) == EOF)
		store_broken("cannot write the configuration");
	if (!conf_load(conf, path, &error))
		store_broken(error.text);
}

/* The first value of the first row, as another process sees it; "" if none. */
static inline const char *
ask(const struct conf *conf, const char *sql)
{
	static char text[4096];
	struct error error = {0};
	struct db_rows *rows;
	struct db *db = NULL;

	if (!db_open(&db, conf, DB_READ, &error))
		store_broken(error.text);
	rows = db_query(db, sql, "");
	text[0] = '\0';
	if (db_next(rows) && !db_is_null(rows, 0))
		snprintf(text, sizeof(text), "%s", db_text(rows, 0));
	if (!db_done(rows, &error))
		store_broken(error.text);
	db_close(db);
	return text;
}

/* Change what is there, as another process would. */
static inline void
change(const struct conf *conf, const char *sql)
{
	struct error error = {0};
	struct db *db = NULL;

	if (!db_open(&db, conf, DB_WRITE, &error) ||
	    !db_run(db, &error, sql, ""))
		store_broken(error.text);
	db_close(db);
}

#endif
