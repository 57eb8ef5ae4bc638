#ifndef DECIDE_USAGE_H
#define DECIDE_USAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Usage: which days are counted, who pays for them, what is reported to the
 * meter, and what it means when the meter's sum is another. A day is its 00:00
 * UTC; Stripe's are the same.
 */

/*
 * Stripe takes usage up to 35 days back and five minutes ahead, so no day
 * earlier than this many before today is touched.
 */
#define USAGE_DAYS_MAX 34
#define USAGE_ID_MAX 100 /* bytes of an identifier, Stripe's limit */

/* Days from the first up to, not including, the last. */
struct usage_span {
	int64_t from, until;
};

/*
 * The closed days of a nightly run: as far back as it may look, or to the
 * first day ever counted (0: none), since calls may come late to any of them.
 */
struct usage_span
usage_nightly(int64_t now, int64_t look_back_s, int64_t first_counted);

/* Today's; yesterday's too, as long as that is not closed. */
struct usage_span usage_running(int64_t now, bool is_yesterday_closed);

/* Those of them that are not before that day, which may be none. */
struct usage_span usage_from(struct usage_span, int64_t day_at);

/*
 * Whether an organization's calls of a day are reported: it is trialing, active
 * or past due, or was until that day.
 */
bool usage_is_billed(const char *status, int64_t status_at, int64_t day_at);

/* The meter, as Stripe has it: what an event is to be made of. */
struct usage_meter {
	char *event_name, *customer_key, *value_key;
};

/*
 * From the object. ERROR_CONF with the reason where the meter would not count
 * what we report: not active, not a sum, or only the last of an hour or a day.
 */
bool usage_meter_read(struct usage_meter *, const json_t *object,
    struct error *) __attribute__((warn_unused_result));
void usage_meter_release(struct usage_meter *);

/*
 * "usage:<organization>:<day>:<total>", the identifier of the event that brings
 * the meter to that total, and ":<n>" behind it for the n-th correction. An
 * organization that is long or has other characters than a UUID is shortened
 * and told from others by a hash. To be freed, like all texts here.
 */
char *usage_identifier(
    const char *organization_id, int64_t day_at, int64_t total, int64_t n);

/* What all identifiers of that organization's day begin with. */
char *usage_prefix(const char *organization_id, int64_t day_at);

/* The time of an event: now, or the last second of the day. */
int64_t usage_timestamp(int64_t day_at, int64_t now);

/* When it is too late to deliver one. */
int64_t usage_expires_at(int64_t day_at, int64_t now, int64_t max_age_s);

/* The row of the outbox that reports value more calls. */
char *usage_body(const struct usage_meter *, const char *identifier,
    const char *customer_id, int64_t value, int64_t at);

/*
 * The sum of a page of event summaries. ERROR_RETRY for what is none: a failed
 * read is not zero.
 */
bool usage_sum(const json_t *list, int64_t *sum, struct error *)
    __attribute__((warn_unused_result));

/* An organization's day beside the meter's sum. */
struct usage_state {
	int64_t counted, sent;
	bool customer_known; /* to Stripe */
	int64_t stripe; /* its sum */
	int64_t accepted; /* by so much more than what was sent */
	int64_t accepted_fewer; /* than were sent, as was counted */
	int64_t pending, dead, done; /* deliveries of it */
	int64_t latest_at; /* when last reported or delivered */
};

enum usage_verdict {
	USAGE_CONFIRMED, /* all three are equal, or as was accepted */
	USAGE_WAIT, /* reported too lately to be seen there */
	USAGE_DRIFT
};

/*
 * What still stands of state.accepted: nothing, where Stripe has counted after
 * all what was accepted to be missing there.
 */
int64_t usage_still_accepted(const struct usage_state *);

/*
 * Compare. *cause, of a drift, is one of
 *
 *	rejected	a delivery was given up
 *	pending		the outbox still has it
 *	not_counted	it was delivered, and is not in the sum
 *	never_sent	no delivery of it is known
 *	no_customer	Stripe does not know the customer
 *	higher		Stripe has more than was reported
 *	fewer		fewer calls are counted than were reported
 */
enum usage_verdict usage_compare(const struct usage_state *, int64_t now,
    int64_t settle_s, const char **cause);

/*
 * Whether sending the difference again mends that; whether somebody may accept
 * it as it is, since it does not end by itself; whether that is all one can do.
 */
bool usage_is_mendable(const char *cause);
bool usage_is_acceptable(const char *cause);
bool usage_is_lasting(const char *cause);

/* By how much the three differ, beyond what was accepted. */
int64_t usage_difference(const struct usage_state *);

const char *usage_words(const char *cause);
char *usage_command(const char *cause, int64_t id, const char *organization_id);

/* The post that tells of a closed day, for Slack. */
struct usage_day {
	int64_t day_at, calls, organizations, unattributed, no_customer,
	    inactive;
	int64_t retell; /* Retell's own count; -1: not asked */
	bool closed;
};
char *usage_summary(const struct usage_day *, int64_t drifts, bool is_compared);

#endif
