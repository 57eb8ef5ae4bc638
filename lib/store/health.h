#ifndef STORE_HEALTH_H
#define STORE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "store/db.h"

/*
 * What is stored, as automate-check asks for it: whether what should happen
 * does, and what happened in a day.
 */

/* The outbox. */
struct health_queue {
	int64_t waiting; /* due by now, and not sent */
	int64_t oldest_at; /* when the oldest of them was to go; 0: none */
	int64_t dead;
};

bool health_queue(struct db *, int64_t now, struct health_queue *,
    struct error *) __attribute__((warn_unused_result));

/* Destinations to which nothing goes: held, or their breaker is open. */
struct health_stop {
	const char *destination;
	const char *why; /* of one that is held; else NULL */
	int64_t since; /* held since; or its breaker's next probe */
};
typedef void health_stop_visit(void *context, const struct health_stop *);

bool health_stops(struct db *, health_stop_visit *, void *context,
    struct error *) __attribute__((warn_unused_result));

/* A job of cron: its latest run, as its row says. */
struct health_run {
	bool known; /* it ever ran */
	int64_t started_at, ended_at, status; /* ended_at 0: not */
	int64_t last_ended_at; /* of the latest that did end; 0: none */
};

bool health_run(struct db *, const char *command, struct health_run *,
    struct error *) __attribute__((warn_unused_result));

/*
 * The latest events of a source ("stripe"), tests aside, among the latest
 * HEALTH_EVENTS of all: how many, when the last came, and the longest time
 * between two.
 */
#define HEALTH_EVENTS 5000

struct health_source {
	int64_t count, latest_at, longest_s;
};

bool health_source(struct db *, const char *source, struct health_source *,
    struct error *) __attribute__((warn_unused_result));

/* When the newest of the latest events came; 0: none has. */
bool health_newest(struct db *, int64_t *at, struct error *)
    __attribute__((warn_unused_result));

/* What became of an event, to be freed; NULL where it is not there. */
bool health_event(struct db *, const char *id, char **outcome, struct error *)
    __attribute__((warn_unused_result));

/* Calls whose end is overdue by then; days of usage before then unsettled. */
bool health_calls_lost(struct db *, int64_t by, int64_t *count, struct error *)
    __attribute__((warn_unused_result));
bool health_days_open(struct db *, int64_t before, int64_t *count,
    struct error *) __attribute__((warn_unused_result));

/* What happened in [since, until), and what stands. */
struct health_day {
	int64_t customers; /* onboarded */
	int64_t calls, calls_failed;
	int64_t sent[CONF_DESTINATIONS], dead; /* deliveries */
	int64_t alerts; /* raised */
	int64_t alerts_open[4]; /* by severity */
	int64_t dunning_open, downgraded;
	int64_t usage; /* sent to the meter for the day of since */
};

bool health_day(struct db *, const struct conf *, int64_t since, int64_t until,
    struct health_day *, struct error *) __attribute__((warn_unused_result));

#endif
