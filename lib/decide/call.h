#ifndef DECIDE_CALL_H
#define DECIDE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "decide/plan.h"

/*
 * AI calls. The life of one is in automate-internals(7); the rules are
 *
 *	decide_call	may this lead be called now; if so, it is claimed
 *	decide_answer	what became of the request, as far as is known
 *	decide_retell	what Retell's webhooks say of a call
 *
 * What a failure does is call_fail(), whoever reports it.
 */

/*
 * How often a call that surely was not placed is tried, and how often Retell is
 * asked for one that may have been; what is waited at most between two. All of
 * it is over when the claim's deadline is, so that who then asks for the call
 * interferes with nobody.
 */
#define CALL_TRIES 3
#define CALL_WAIT_MAX_S 30

/*
 * Why a lead may not be called: already_processed, bad_number,
 * organization_inactive or not_due; NULL: it may. again: also one whose call
 * has failed; force: without waiting for calls.threshold.
 */
const char *call_obstacle(const struct lead *, const struct organization *,
    bool force, bool again, const struct conf *, int64_t now);

/* When the lead may be called. */
int64_t call_due_at(const struct lead *, const struct conf *);

/* "+" and 8 to 15 digits (E.164). */
bool call_is_number(const char *phone);

/* What a disconnection_reason, an open set, and call_status say together. */
enum call_class {
	CALL_NORMAL,
	CALL_NOT_REACHED, /* the lead did not answer */
	CALL_BAD_NUMBER, /* and never will */
	CALL_NOT_DIALLED,
	CALL_HOPELESS, /* every other call will fail like this */
	CALL_NO_LINE, /* too many at once */
	CALL_FAULT /* broke off at Retell */
};
enum call_class call_classify(const char *reason, const char *call_status);

/* Whether a call_status is a last one. */
bool call_is_over(const char *call_status);

/* Whether a call's disconnection_reason is one that the next would meet too. */
bool call_bodes_ill(const char *reason);

/* How bad an HTTP status of create-phone-call is. */
const char *call_severity(int64_t http_status);

/*
 * A call has failed: its row, its lead, and the alert of kind call.failed that
 * is given and emptied, of which the words are there and the subject is filled
 * in. The account's call may be unknown, as its lead may. An alert is raised
 * once for each call.
 */
void call_fail(
    const struct event *, struct account *, struct alert *, struct plan *);

#endif
