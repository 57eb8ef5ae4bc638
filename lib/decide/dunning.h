#ifndef DECIDE_DUNNING_H
#define DECIDE_DUNNING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/error.h"
#include "decide/event.h"
#include "decide/plan.h"

/*
 * Dunning: when one who does not pay is reminded, and what must hold before he
 * is downgraded.
 *
 * Steps are counted in calendar days of business.zone from the local day of the
 * first failure, and are taken in dunning.hours only. They are decided by age:
 * of several reminders that are due the latest goes, the others are recorded as
 * skipped; no downgrade comes before the final notice. A reminder waits while
 * Stripe has yet to try on the same day.
 */
enum dunning_step {
	DUNNING_REMINDER_1,
	DUNNING_REMINDER_3,
	DUNNING_FINAL_NOTICE,
	DUNNING_DOWNGRADE,
	DUNNING_STEPS
};

const char *dunning_step_name(enum dunning_step);

/*
 * A downgrade comes no sooner than that after the first failure; than that
 * after the first warning was delivered, and after the final notice was taken;
 * not that close before Stripe tries again, nor after it did.
 */
#define DUNNING_AGE_S (14 * CLOCK_DAY_S)
#define DUNNING_NOTICE_S (2 * CLOCK_DAY_S)
#define DUNNING_TRY_S CLOCK_DAY_S
#define DUNNING_RESULT_S 3600

/* What keeps a step from being taken now. */
enum dunning_wait {
	DUNNING_READY,
	DUNNING_DAY, /* its day and hour */
	DUNNING_TRY, /* Stripe tries before */
	DUNNING_NOTICE, /* the warning is too fresh */
	DUNNING_FROZEN, /* from here on: what no date ends */
	DUNNING_WELL, /* the organization, or its invoice, is not in arrears */
	DUNNING_DELETED, /* its row at Supabase */
	DUNNING_DISPUTE,
	DUNNING_UNWARNED /* no reminder was delivered */
};

struct dunning_next {
	enum dunning_step step;
	enum dunning_wait wait;
	int64_t at; /* the earliest moment, by what is known now */
};

/* Whether dunning.hours are now. */
bool dunning_is_hour(const struct conf *, int64_t now);

/* The next step of the account's open cycle. */
struct dunning_next
dunning_next(const struct account *, const struct conf *, int64_t now);

/* Whether its moment has come, and only what no date ends may keep it. */
bool dunning_is_due(const struct dunning_next *, int64_t now);

/* Why it waits, in words: "dispute", "Stripe tries again 2026-…"; or nothing.
 */
void
dunning_why(struct buf *, const struct account *, const struct dunning_next *);

/* The account as it would be if that step were taken, and a warning arrived. */
void dunning_imagine(struct account *, const struct dunning_next *);

/* Calendar days since the cycle began. */
int64_t
dunning_day(const struct dunning *, const struct conf *, int64_t moment);

/* When one who is warned now may be downgraded at the earliest. */
int64_t
dunning_end(const struct dunning *, const struct conf *, int64_t warned_at);

/* Whether so many downgrades, of so many active customers, are too many. */
bool dunning_fuse_blows(int64_t downgrades, int64_t active);

/*
 * The fresh read: what Stripe says of the invoice and of its subscription (may
 * be NULL), cut down to what is decided by, and to what is to be kept of it.
 */
json_t *dunning_read(const json_t *invoice, const json_t *subscription);

enum dunning_verdict {
	DUNNING_OWED, /* nothing keeps us from a downgrade */
	DUNNING_OVER, /* not owed any more, which we have not heard of */
	DUNNING_UNSURE /* not now; see why */
};

enum dunning_verdict
dunning_judge(const json_t *read, int64_t now, struct buf *why);

/*
 * Events that dunning makes. Their bodies hold what they rest on; the rules
 * decide_…() look again, inside the transaction, and refuse with ERROR_DATA,
 * which keeps nothing, what does not hold any more.
 */

/* dunning:<cycle>:<step>, to free. */
char *dunning_step_id(const struct account *, enum dunning_step);

/* The event of that id; read may be NULL. */
void
dunning_step_event(struct event *, const struct account *, enum dunning_step,
    const json_t *read, const struct conf *, int64_t run_id, int64_t now);

/*
 * dunning:<cycle>:<type>, for DUNNING_OVER: the event that Stripe has, or would
 * have, sent, of what was read.
 */
void dunning_missed_event(struct event *, const struct account *,
    const json_t *read, const json_t *invoice, const json_t *subscription,
    int64_t run_id, int64_t now);

/* dispute:<id>:customer; customer "" if the charge has none. */
void dunning_dispute_event(struct event *, const char *dispute_id,
    const char *customer_id, int64_t now);

/* freeze:<organization>:<time> and thaw:…; NULL: all. */
void dunning_freeze_event(
    struct event *, const char *organization_id, bool freeze, int64_t now);

bool decide_dunning(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_missed(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_dispute(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_freeze(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);

#endif
