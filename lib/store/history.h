#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/db.h"

/*
 * The history as people ask for it: alerts, and the timeline of a subject.
 * Texts that a visitor sees are borrowed until it returns.
 */
struct history_alert {
	int64_t id, count, first_seen_at, last_seen_at;
	/* 0: not */
	int64_t acknowledged_at, acknowledged_until, resolved_at, flapping_at,
	    silence_id, parent_id;
	const char *kind, *severity, *fingerprint, *title, *message, *details,
	    *next_command, *organization_id, *lead_id, *event_id, *told,
	    *acknowledged_by, *resolved_by;
	/* open, flapping, silenced, suppressed, acknowledged, resolved */
	const char *state;
};
typedef void history_alert_visit(void *context, const struct history_alert *);

struct history_filter {
	int64_t id; /* 0: any */
	int severity; /* at least; 0 info to 3 critical */
	const char *kind, *organization_id; /* NULL: any */
	int64_t since; /* last seen then or later */
	bool open; /* only what is not resolved */
	int64_t limit;
	bool oldest_first;
};

bool history_alerts(struct db *, const struct history_filter *, int64_t now,
    history_alert_visit *, void *context, struct error *)
    __attribute__((warn_unused_result));

/*
 * *changed is false where no such alert is open. until 0: until resolved. One
 * that was kept from being told need not be told any more.
 */
bool history_acknowledge(struct db *, int64_t id, const char *by, int64_t now,
    int64_t until, bool *changed, struct error *)
    __attribute__((warn_unused_result));

/* Silences, the newest first. */
struct history_silence {
	int64_t id, created_at, until_at, kept;
	const char *what, *because, *created_by, *ended_by;
	bool in_force;
};
typedef void
history_silence_visit(void *context, const struct history_silence *);

bool history_silences(struct db *, bool in_force, int64_t limit, int64_t now,
    history_silence_visit *, void *context, struct error *)
    __attribute__((warn_unused_result));

/*
 * All that happened to an organization, a lead, a Stripe customer, a call or an
 * event, by id, to an organization by its name or mail address, or to an alert
 * by its key; oldest first. *found counts the lines.
 */
struct history_line {
	int64_t at;
	const char *what; /* event, alert, delivery, attempt, … */
	const char *subject; /* which */
	const char *words; /* what became of it */
};
typedef void history_line_visit(void *context, const struct history_line *);

bool history_why(struct db *db, const char *subject, history_line_visit *visit,
    void *context, int64_t *found, struct error *error)
    __attribute__((warn_unused_result));

#endif
