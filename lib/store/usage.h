#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/alert.h"
#include "decide/usage.h"
#include "store/db.h"

/*
 * The ledger of usage: what was counted, reported and confirmed for each
 * organization and day, its drifts, and the deliveries that report it. Each
 * function that writes is a transaction of its own.
 *
 * Rows come in pages, so that memory is bounded however many there are: a page
 * that is full has a next one, which begins behind its last row.
 */
#define USAGE_PAGE 500

/* An organization's day. */
struct usage_row {
	char *organization_id;
	char *customer_id; /* whom it is or would be reported for; or NULL */
	int64_t day_at, counted, sent;
	bool known; /* has an organization */
	bool billed; /* that pays for that day */
	bool kept; /* is in the ledger, */
	int64_t kept_counted; /* with that count */

	/* What a step has made of it. */
	int64_t reported; /* calls of the event just recorded, or 0 */
	struct usage_state state;
	enum usage_verdict verdict;
	const char *cause;
	int64_t drift_id;

	/* The numbers of its drift, when that was told. */
	int64_t told_counted, told_sent, told_stripe;
};

struct usage_page {
	struct usage_row rows[USAGE_PAGE];
	size_t count;
};

void usage_page_release(struct usage_page *);

/* When the first day was counted; 0: none ever. */
bool usage_first_day(struct db *, int64_t *day_at, struct error *)
    __attribute__((warn_unused_result));

/* A day as the last run left it; all zero, and retell -1, if none did. */
bool usage_day_load(struct db *, int64_t day_at, struct usage_day *,
    struct error *) __attribute__((warn_unused_result));

/*
 * Count a day's calls, organization by organization in order of their ids:
 * those behind *after, where that is not NULL, and those of only, where that is
 * not. Calls of no organization are not in it.
 */
bool usage_count(struct db *, const struct conf *, int64_t day_at,
    const char *after, const char *only, struct usage_page *, struct error *)
    __attribute__((warn_unused_result));

/* How many in the ledger had calls that day, when last counted. */
bool usage_kept(struct db *, int64_t day_at, const char *only, int64_t *count,
    struct error *) __attribute__((warn_unused_result));

/* Those of them that have none any more. */
bool usage_vanished(struct db *, const struct conf *, int64_t day_at,
    const char *after, const char *only, struct usage_page *, struct error *)
    __attribute__((warn_unused_result));

/* How many calls of that day belong to no organization. */
bool usage_unattributed(struct db *, const struct conf *, int64_t day_at,
    int64_t *count, struct error *) __attribute__((warn_unused_result));

/*
 * Write down what was counted, and record for each row whose count is above
 * what was sent the event that reports the difference, with its delivery:
 * ledger, event and delivery together or not at all. A row that another run has
 * changed meanwhile is left to the next one.
 */
bool usage_report(struct db *, const struct conf *, const struct usage_meter *,
    struct usage_page *, int64_t now, struct error *)
    __attribute__((warn_unused_result));

/*
 * What of the span can be compared with the meter: not settled (or all of it),
 * and since the end of its day, and since it was last reported, the settle time
 * is over. Behind the row *after, if that is not NULL.
 */
struct usage_filter {
	struct usage_span span;
	const char *only; /* organization, or NULL */
	bool all; /* settled ones, too */
	int64_t settle_s;
};

bool usage_unsettled(struct db *, const struct usage_filter *,
    const struct usage_row *after, int64_t now, struct usage_page *,
    struct error *) __attribute__((warn_unused_result));
bool
usage_unsettled_count(struct db *, const struct usage_filter *, int64_t now,
    int64_t *count, struct error *) __attribute__((warn_unused_result));

/*
 * Take in what Stripe said of some rows, in state.customer_known and
 * state.stripe: settle what is equal, and write down each drift. A
 * delivery of what is equal that is queued or dead is cancelled: it is there.
 * What another run has changed meanwhile waits for the next one.
 */
bool
usage_settle(struct db *, struct usage_row *const *, size_t count, int64_t now,
    int64_t settle_s, struct error *) __attribute__((warn_unused_result));

/* Open drifts of the causes that are wanted; *ids are to be freed. */
bool
usage_find_drifts(struct db *, bool (*wanted)(const char *cause), int64_t **ids,
    size_t *count, struct error *) __attribute__((warn_unused_result));

/* The open drift of that number; *found tells if there is. */
bool usage_drift_load(struct db *, int64_t id, struct usage_row *, bool *found,
    struct error *) __attribute__((warn_unused_result));

/*
 * Send what Stripe lacks again, under an identifier of its own, and cancel the
 * deliveries of that day that were given up. The row is one of
 * usage_drift_load() that usage_settle() has just found to be mendable.
 */
bool usage_apply(struct db *, const struct conf *, const struct usage_meter *,
    struct usage_row *, int64_t now, struct error *)
    __attribute__((warn_unused_result));

/*
 * End a drift by accepting its numbers: from now on those of that day may
 * differ by so much. Deliveries that were given up are cancelled. The row is
 * one of usage_drift_load() that usage_settle() has just found to drift.
 */
bool usage_accept(struct db *, struct usage_row *, const char *who, int64_t now,
    struct error *) __attribute__((warn_unused_result));

/* Deliveries of usage of those days, by what became of them. */
struct usage_fate {
	int64_t pending, dead;
};
bool usage_fate(struct db *, const struct usage_span *, struct usage_fate *,
    struct error *) __attribute__((warn_unused_result));

/* Whether something is due to be delivered, of usage or else. */
bool usage_owed(struct db *, int64_t now, bool *owed, struct error *)
    __attribute__((warn_unused_result));

/* Drifts that are open. */
bool usage_drifts(struct db *, const struct usage_span *, int64_t *count,
    struct error *) __attribute__((warn_unused_result));

/* Whether Stripe has said that it could not count something. */
bool usage_has_meter_errors(struct db *, bool *, struct error *)
    __attribute__((warn_unused_result));

/*
 * Write days down as closed, or only as counted, and with each that is closed
 * for the first time the post that tells of it.
 */
bool usage_days_write(struct db *, const struct conf *, struct usage_day *,
    size_t count, int64_t drifts, bool is_compared, int64_t now, struct error *)
    __attribute__((warn_unused_result));

/* Raise an alert, which is emptied; say that one is over. */
bool usage_alert(struct db *, const struct conf *, struct alert *, int64_t now,
    struct error *) __attribute__((warn_unused_result));
bool usage_alert_over(struct db *, const struct conf *, const char *key,
    int64_t now, struct error *) __attribute__((warn_unused_result));

#endif
