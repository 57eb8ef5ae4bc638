#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "store/db.h"

/*
 * The rows of those whom an event is about, read before a rule decides and
 * written after, inside the caller's transaction.
 */

/*
 * Load what the event names into a zeroed account: its call; its lead, by the
 * call, by id or by telephone number; its organization, by id, or, where that
 * is only a claim, by the Stripe customer first, else that of call or lead; its
 * invoice; and of the organization its dunning cycle with what a downgrade
 * depends on.
 */
bool account_load(struct db *, const struct event *, struct account *,
    struct error *) __attribute__((warn_unused_result));

/*
 * Write the parts that the plan says have changed. ERROR_DATA, and nothing
 * written, where the organization's Stripe customer is another's already.
 */
bool account_write(struct db *, const struct account *, const struct plan *,
    struct error *) __attribute__((warn_unused_result));

#endif
