#include "store/health.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* One row of integers. */
static bool
take(struct db_rows *rows, int64_t *const *numbers, struct error *error)
{
	int column;

	if (db_next(rows))
		for (column = 0; numbers[column] != NULL; column++)
			*numbers[column] = db_int(rows, column);
	return db_done(rows, error);
}

#define TAKE(rows, error, ...)                                                 \
	take((rows), (int64_t *const[]){__VA_ARGS__, NULL}, (error))

bool
health_queue(
    struct db *db, int64_t now, struct health_queue *queue, struct error *error)
{
	memset(queue, 0, sizeof(*queue));
	return TAKE(db_query(db,
			"SELECT count(*), min(first_due_at) FROM deliveries "
			"WHERE state IN ('queued', 'sending') AND due_at <= $1",
			"i", now),
		   error, &queue->waiting, &queue->oldest_at) &&
	    TAKE(
		db_query(db,
		    "SELECT count(*) FROM deliveries WHERE state = 'dead'", ""),
		error, &queue->dead);
}

bool
health_stops(
    struct db *db, health_stop_visit *visit, void *context, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT name, coalesce(held_why, ''), held_at, open_until FROM "
	    "destinations WHERE held_at IS NOT NULL OR open_until <> 0 ORDER "
	    "BY name",
	    "");
	struct health_stop stop;

	while (db_next(rows)) {
		stop.destination = db_text(rows, 0);
		stop.why = db_is_null(rows, 2) ? NULL : db_text(rows, 1);
		stop.since = db_int(rows, stop.why != NULL ? 2 : 3);
		visit(context, &stop);
	}
	return db_done(rows, error);
}

bool
health_run(struct db *db, const char *command, struct health_run *run,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT started_at, ended_at, status, (SELECT max(ended_at) FROM "
	    "runs WHERE command = $1) FROM runs WHERE command = $1 ORDER BY "
	    "id DESC LIMIT 1",
	    "t", command);

	memset(run, 0, sizeof(*run));
	if (db_next(rows))
		*run = (struct health_run){true, db_int(rows, 0),
		    db_int(rows, 1), db_int(rows, 2), db_int(rows, 3)};
	return db_done(rows, error);
}

/* No index has the events of a source by time; the latest of all are enough. */
bool
health_source(struct db *db, const char *name, struct health_source *source,
    struct error *error)
{
	memset(source, 0, sizeof(*source));
	return TAKE(
	    db_query(db,
		"SELECT count(*), max(received_at), max(received_at - "
		"before) FROM (SELECT received_at, lag(received_at) "
		"OVER (ORDER BY received_at) AS before FROM (SELECT "
		"source, kind, received_at FROM events ORDER BY " DB_WRITTEN
		" DESC LIMIT $2) AS latest WHERE source = "
		"$1 AND kind <> 'automate.test') AS gaps",
		"ti", name, (int64_t)HEALTH_EVENTS),
	    error, &source->count, &source->latest_at, &source->longest_s);
}

bool
health_newest(struct db *db, int64_t *at, struct error *error)
{
	*at = 0;
	return TAKE(db_query(db,
			"SELECT max(received_at) FROM (SELECT received_at FROM "
			"events ORDER BY " DB_WRITTEN " DESC LIMIT $1) AS "
			"latest",
			"i", (int64_t)HEALTH_EVENTS),
	    error, at);
}

bool
health_event(struct db *db, const char *id, char **outcome, struct error *error)
{
	struct db_rows *rows =
	    db_query(db, "SELECT outcome FROM events WHERE id = $1", "t", id);

	*outcome = NULL;
	if (db_next(rows))
		*outcome = mem_copy(db_text(rows, 0));
	return db_done(rows, error);
}

bool
health_calls_lost(
    struct db *db, int64_t by, int64_t *count, struct error *error)
{
	return TAKE(db_query(db,
			"SELECT count(*) FROM calls WHERE state IN ('claimed', "
			"'placed') AND deadline_at < $1",
			"i", by),
	    error, count);
}

bool
health_days_open(
    struct db *db, int64_t before, int64_t *count, struct error *error)
{
	return TAKE(db_query(db,
			"SELECT count(DISTINCT day_at) FROM usage WHERE "
			"settled_at IS NULL AND day_at < $1",
			"i", before),
	    error, count);
}

static bool
count_deliveries(struct db *db, const struct conf *conf, int64_t since,
    struct health_day *day, struct error *error)
{
	bool ok = TAKE(db_query(db,
			   "SELECT count(*) FROM deliveries WHERE state = "
			   "'dead' AND settled_at >= $1",
			   "i", since),
	    error, &day->dead);
	size_t i;

	/* As the index has them; what is done was due shortly before. */
	for (i = 0; ok && i < CONF_DESTINATIONS; i++)
		ok = TAKE(db_query(db,
			      "SELECT count(*) FROM deliveries WHERE state = "
			      "'done' AND destination = $1 AND due_at >= $2 "
			      "AND settled_at >= $3",
			      "tii", conf->destinations[i].name,
			      since - CLOCK_DAY_S, since),
		    error, &day->sent[i]);
	return ok;
}

static bool
count_alerts(
    struct db *db, int64_t since, struct health_day *day, struct error *error)
{
	return TAKE(
	    db_query(db,
		"SELECT (SELECT count(*) FROM system_alerts WHERE "
		"first_seen_at >= $1), count(CASE severity WHEN 'info' THEN 1 "
		"END), count(CASE severity WHEN 'warning' THEN 1 END), "
		"count(CASE severity WHEN 'error' THEN 1 END), count(CASE "
		"severity WHEN 'critical' THEN 1 END) FROM system_alerts WHERE "
		"resolved_at IS NULL",
		"i", since),
	    error, &day->alerts, &day->alerts_open[0], &day->alerts_open[1],
	    &day->alerts_open[2], &day->alerts_open[3]);
}

static bool
count_business(struct db *db, int64_t since, int64_t until,
    struct health_day *day, struct error *error)
{
	return TAKE(
	    db_query(db,
		"SELECT (SELECT count(*) FROM organizations WHERE "
		"onboarded_at >= $1 AND onboarded_at < $2), (SELECT count(*) "
		"FROM calls WHERE placed_at / 86400 >= $1 / 86400 AND "
		"placed_at >= $1 AND placed_at < $2), (SELECT count(*) FROM "
		"calls WHERE state = 'failed' AND coalesce(ended_at, "
		"created_at) >= $1), (SELECT count(*) FROM dunning WHERE "
		"closed_at IS NULL), (SELECT count(*) FROM dunning WHERE "
		"closed_at >= $1 AND closed_why = 'downgraded'), (SELECT "
		"sum(sent) FROM usage WHERE day_at = $3)",
		"iii", since, until, clock_day(since)),
	    error, &day->customers, &day->calls, &day->calls_failed,
	    &day->dunning_open, &day->downgraded, &day->usage);
}

bool
health_day(struct db *db, const struct conf *conf, int64_t since, int64_t until,
    struct health_day *day, struct error *error)
{
	memset(day, 0, sizeof(*day));
	return count_business(db, since, until, day, error) &&
	    count_deliveries(db, conf, since, day, error) &&
	    count_alerts(db, since, day, error);
}
