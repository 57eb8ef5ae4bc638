#ifndef DECIDE_PAYMENT_H
#define DECIDE_PAYMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/plan.h"

/*
 * What a failed payment, a payment and the end of a debt do to an account, and
 * what they make us say: for the rules of Stripe's events and of dunning alike.
 *
 * Status. It carries the time of the event that set it: an older event changes
 * nothing, and of two in the same second the one further along the life of a
 * subscription wins, so that any order of arrival ends as the true one does.
 */
enum payment_rank {
	PAYMENT_LIVE = 1, /* trialing or active, by the subscription */
	PAYMENT_PAST_DUE,
	PAYMENT_PAID, /* active, by a payment */
	PAYMENT_DOWNGRADED,
	PAYMENT_CANCELED
};

/* Set it, unless what is there is later or further along; whether it was. */
bool payment_set_status(const struct event *, struct organization *,
    const char *status, enum payment_rank, struct plan *);

/*
 * Open a cycle for the failed invoice, from its first failure on, and tell the
 * customer: step payment_failed. Into the account, or into plan->opened. Its id
 * is the organization's and the invoice's, and the second of the event where
 * there has been a cycle before: what was done in that counts for nothing.
 */
void payment_open_cycle(const struct event *, struct account *,
    const struct invoice *, struct dunning *, const struct conf *,
    struct plan *);

/*
 * The invoice of the open cycle is no more owed, or its subscription is well:
 * close the cycle, cancel reminders, and, where that is good news, say so: step
 * recovered; not while another invoice is unpaid. why: paid, active, void,
 * uncollectible, canceled, downgraded.
 */
void payment_close_cycle(const struct event *, struct account *,
    const char *why, const struct conf *, struct plan *);

/* A downgraded organization pays: its plan comes back. Step restored. */
void payment_restore(
    const struct event *, struct account *, const struct conf *, struct plan *);

/*
 * Owe the billing webhook a message about an invoice. Its body has the step,
 * its idempotency_key, whom it is about, the amount as number and as text, the
 * currency, where to pay, Stripe's next attempt, the day of the cycle and when
 * it ends, and the links.
 */
void payment_tell(const struct event *, const struct account *,
    const struct invoice *, const struct dunning *, const char *step,
    const struct conf *, struct plan *);

/* Post one line about the organization to the customers' channel. */
void payment_post(const struct event *, const struct organization *,
    const char *step, const char *title, const struct conf *, struct plan *);

#endif
