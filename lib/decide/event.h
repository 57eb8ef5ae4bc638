#ifndef DECIDE_EVENT_H
#define DECIDE_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A fact, understood: which one it is, whom it is about, when it was so and
 * when we heard, and the sender's own words. Its id makes it unique for ever.
 */
struct event {
	char *id;
	const char *source; /* supabase, alert, … */
	char *kind; /* organization.created, … */
	char *organization_id, *customer_id, *lead_id, *call_id; /* or NULL */
	char *invoice_id;
	char *call_key; /* of the call too, if that has no other call_id */
	char *phone; /* of the lead, where nothing else names it */
	bool is_claim; /* a known customer's organization is another's word */
	char *twin_key; /* equal for events that tell the same fact; or NULL */
	char *twin_of; /* the event it says it is a twin of; or NULL */
	bool force, again; /* an order that waits for nothing; of a failure */
	int secret; /* which of the secrets it was signed with; 0: unsigned */
	int64_t occurred_at, received_at;
	json_t *data; /* what the rules read; owned */
	char *body; /* as received; owned */
};

void event_release(struct event *);

/*
 * What an organizations webhook of Supabase or a plain organization object
 * says. Its id is onboard:<organization>, so that it happens once, or
 * offboard:<organization> for a deletion; NULL for what is no business of
 * onboarding (UPDATE, other tables), which is neither kept nor answered.
 * ERROR_DATA names the field that is missing or wrong.
 */
bool event_from_organization(struct event *, const char *text, size_t size,
    int64_t now, struct error *) __attribute__((warn_unused_result));

/*
 * What an alert document says: kind severity title message organization lead
 * details key next, or the report of the hosted retell-failure-alert. An id in
 * it makes repeats harmless; without one every report counts, under the id
 * alert:<now>:<unique>.
 */
bool
event_from_alert(struct event *, const char *text, size_t size, int64_t now,
    const char *unique, struct error *) __attribute__((warn_unused_result));

/*
 * What an event of Stripe says, in any version of its API and of either kind,
 * snapshot ("object": "event") or thin ("v2.core.event"). Its organization is
 * the claim of client_reference_id or metadata.organization_id. ERROR_DATA for
 * what is no event of Stripe.
 */
bool event_from_stripe(struct event *, const char *text, size_t size,
    int64_t now, struct error *) __attribute__((warn_unused_result));

/*
 * What a leads webhook of Supabase says, or an order to call a lead, a plain
 * object with its id and as much as is known of it. Every one counts, under the
 * id lead:<lead>:<now>:<unique>. NULL for other tables, as above.
 */
bool event_from_lead(struct event *, const char *text, size_t size, int64_t now,
    const char *unique, struct error *) __attribute__((warn_unused_result));

/*
 * What became of the request for a call, in our own words (an object with key,
 * answer and as far as known status, words and call): the event <key>:<answer>.
 */
bool event_from_answer(struct event *, const char *text, size_t size,
    int64_t now, struct error *) __attribute__((warn_unused_result));

/*
 * What a webhook of Retell says of a call that started, ended or was analyzed:
 * <call_id>:<event>. NULL for its other events, as above.
 */
bool event_from_retell(struct event *, const char *text, size_t size,
    int64_t now, struct error *) __attribute__((warn_unused_result));

#endif
