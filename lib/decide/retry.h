#ifndef DECIDE_RETRY_H
#define DECIDE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/answer.h"
#include "base/conf.h"

/*
 * What the answer to a delivery means, when to try again, and when to stop.
 * Nothing is lost in silence: a delivery ends as done, or as dead with words
 * that a person is told, or it stays in the queue.
 */
enum retry_verdict {
	RETRY_DONE, /* the receiver has it */
	RETRY_LATER, /* try again at due_at */
	RETRY_DEAD, /* never: it will not take this one, or it is too old */
	RETRY_GONE, /* the destination is at fault: stop that, keep this */
	RETRY_PLAIN /* Slack: send it again now, with its text alone */
};

/*
 * RETRY_GONE says that every other delivery to this destination would fail the
 * same way until a person mends something: an address that is gone, moved or
 * wrong, a key that is refused. This one goes back to the queue, however old
 * it is, the destination is put on hold, and a person is told once, elsewhere.
 * When the destination is released all goes out. So an address that somebody
 * removed costs one alert, not a thousand dead deliveries.
 *
 * RETRY_PLAIN is answered with message_slack_plain() of the body, in an attempt
 * that says so; where that is NULL, the delivery is dead.
 */

struct retry_attempt {
	int64_t number; /* 1: this was the first one */
	int64_t now;
	int64_t expires_at; /* later than this, nobody wants it any more */
	unsigned chance; /* 0 to 999, from the caller's dice */
	bool plain; /* it was the text alone, after RETRY_PLAIN */
};

#define RETRY_REASON_MAX 200
#define RETRY_ASKED_MAX_S 86400 /* longer than this nobody is left alone */

struct retry_ruling {
	enum retry_verdict verdict;
	int64_t due_at; /* of LATER; of GONE and PLAIN, now; else 0 */
	int64_t rest_until; /* nothing else is to go there before; 0: it may */
	bool destination_fault; /* what a breaker is to count */
	char reason[RETRY_REASON_MAX];
};

/*
 * Rule on an attempt.
 *
 * Done is 2xx alone; of Stripe also the 400 that says that a meter event with
 * that identifier is there already; of Slack, 2xx with the body "ok", since
 * what else says 200 there is a proxy or a portal on the way, and the news
 * would be lost.
 *
 * Tried again: no connection, no answer in time, a broken one, 408, 425, 429,
 * 5xx, what is no status of HTTP, the 400 "Queue is full" of Make.com, and the
 * 409 of Stripe. The waits are 5 s, 30 s, 2 m, 10 m, 30 m, 2 h, 5 h, 10 h, and
 * then a day, each by chance up to a fifth shorter or longer; after 408, 429, a
 * timeout and a full queue at least a minute. Retry-After is obeyed up to a
 * day: nothing goes before that. A try that would come after expires_at comes
 * at expires_at instead, if that is a minute ahead and not before what was
 * asked; else the delivery is dead, as too old. With Retry-After, and with 429
 * for a minute, it is the destination that asks to be left alone: rest_until.
 *
 * The destination's fault, RETRY_GONE: redirects, which are not followed; 401,
 * 402, 403, 404, 405, 407, 410, 415; the words and codes with which Slack and
 * Twilio say such things with any other 4xx; what cannot be sent at all.
 *
 * Dead is every other 4xx, and the 404 of Stripe. So are the codes with which
 * Twilio refuses a sender or a recipient, since SMS is of the moment: the next
 * one is tried anew.
 *
 * The reason is one line of words: what came, what to do about it, and up to
 * 80 code points of what the receiver said, unless that is HTML, with what may
 * be private masked (base/mask.h).
 */
void retry_rule(struct retry_ruling *, enum conf_dialect, const struct answer *,
    const struct retry_attempt *);

#endif
