#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/retry.h"
#include "store/db.h"

/*
 * The outbox: claim what is due under a lease, settle what came of it.
 *
 * A sender holds a byte lock on "<database>-senders" at the offset of its
 * process number, so that the rows of one that was killed are known at once;
 * where that cannot tell, the lease runs out.
 */
#define OUTBOX_LEASE_S 600

struct outbox;

bool outbox_open(struct outbox **, const struct conf *, enum db_mode,
    struct error *) __attribute__((warn_unused_result));
void outbox_close(struct outbox *);

/* A claimed row. Owned by the claimer until it is settled or released. */
struct delivery {
	int64_t id, number; /* of this attempt, from 1 */
	int64_t due_at, expires_at;
	enum conf_destination_index destination;
	char *key, *step, *body, *alert_kind, *organization_id;
	bool plain; /* sent again as text alone */
};

void delivery_free(struct delivery *);

/* What came of one: ruling and the answer it was made of. */
struct settlement {
	struct delivery *delivery;
	struct retry_ruling ruling;
	int64_t status, took_ms;
	char *answer; /* first KiB, or NULL */
};

/* How a destination is, as of the last outbox_step(). */
struct outbox_lane {
	size_t room; /* in: rows wanted */
	bool blocked; /* out: held, at rest, or its breaker is open */
};

/*
 * One transaction: settle, then claim up to each lane's room of what is due,
 * oldest first, of the event alone if one is given. What the settlements hold
 * is freed in any case. *claimed are to be freed with free(3) as an array.
 */
bool outbox_step(struct outbox *, struct settlement *, size_t settlements_count,
    struct outbox_lane[CONF_DESTINATIONS], const char *event_id, int64_t now,
    struct delivery ***claimed, size_t *claimed_count, struct error *)
    __attribute__((warn_unused_result));

/* Give claimed rows back unsent; the attempts do not count. Frees them. */
bool outbox_release(struct outbox *, struct delivery *const *, size_t count,
    struct error *) __attribute__((warn_unused_result));

/* A row for people. */
struct outbox_row {
	int64_t id, due_at, attempts, created_at, settled_at;
	const char *key, *destination, *step, *state, *answer, *body,
	    *organization_id, *event_id;
	bool due; /* was to be sent by now */
};
typedef void outbox_visit(void *context, const struct outbox_row *);

/* Those of a state, a destination, an event; NULL: any. At most limit. */
bool outbox_list(struct outbox *, const char *state, const char *destination,
    const char *event_id, int64_t limit, int64_t now, outbox_visit *,
    void *context, struct error *) __attribute__((warn_unused_result));

/* The one of that number or idempotency key; *found tells if there is. */
bool outbox_find(struct outbox *, const char *id, int64_t now, bool *found,
    outbox_visit *, void *context, struct error *)
    __attribute__((warn_unused_result));

struct outbox_attempt {
	int64_t number, at, status, took_ms;
	const char *ruling, *answer;
};
typedef void outbox_attempt_visit(void *context, const struct outbox_attempt *);
bool outbox_attempts(struct outbox *, int64_t id, outbox_attempt_visit *,
    void *context, struct error *) __attribute__((warn_unused_result));

/* Each gives the number of rows changed. retry NULL: all that are dead. */
bool outbox_retry(struct outbox *, const char *id, int64_t now,
    int64_t *changed, struct error *) __attribute__((warn_unused_result));
bool outbox_cancel(struct outbox *, const char *id, int64_t now,
    int64_t *changed, struct error *) __attribute__((warn_unused_result));
bool outbox_hold(struct outbox *, const char *destination, const char *why,
    int64_t now, struct error *) __attribute__((warn_unused_result));
bool outbox_unhold(struct outbox *, const char *destination, int64_t now,
    struct error *) __attribute__((warn_unused_result)); /* breaker too */
bool outbox_purge(struct outbox *, int64_t settled_before, int64_t *changed,
    struct error *) __attribute__((warn_unused_result));

/* run_note() of a run that sent all that is due. */
bool outbox_ran(struct outbox *, int64_t started_at, int status, int64_t now,
    struct error *) __attribute__((warn_unused_result));

/* alerts_watch() */
bool outbox_watch(struct outbox *, int64_t now, bool *queued, struct error *)
    __attribute__((warn_unused_result));

/*
 * Those that a run would send now, in the order in which it would: what is due
 * and whose destination is there, not held, and lets it; one for a probe.
 */
bool
outbox_due(struct outbox *, const char *event_id, int64_t now, outbox_visit *,
    void *context, struct error *) __attribute__((warn_unused_result));

/* How many are queued and were due by that time, or tried in vain. */
bool outbox_unsent(struct outbox *, int64_t due_by, int64_t *count,
    struct error *) __attribute__((warn_unused_result));

#endif
