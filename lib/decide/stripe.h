#ifndef DECIDE_STRIPE_H
#define DECIDE_STRIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where Stripe's objects have what we need, in every version of its API: first
 * where the current one (2026-10-28.endive) has it, then where those before
 * 2025-03-31.basil had it. A null in one place does not hide the other.
 * https://docs.stripe.com/changelog/basil
 *
 * What is returned is borrowed, and NULL or 0 where there is none.
 */

/* An id: a string, or that of an expanded object. */
const char *stripe_id(const json_t *object, const char *path);

/* Seconds since 1970, as Stripe writes times. */
int64_t stripe_time(const json_t *object, const char *path);

/* The subscription that an invoice is for; NULL for a one-off invoice. */
const char *stripe_invoice_subscription(const json_t *invoice);

/* Whether it is the first one of a subscription, which never was live. */
bool stripe_invoice_is_first(const json_t *invoice);

/*
 * The plan of a subscription: metadata.plan, else the first price's lookup key
 * or nickname, else the plan that is known already, else the price's id.
 */
const char *
stripe_subscription_plan(const json_t *subscription, const char *known);

/* The organization that an object claims to be about. */
const char *stripe_claim(const json_t *object);

/* The types of events that mean something to us, from 0; NULL beyond. */
const char *stripe_type(size_t number);

/* The fingerprint of the alert about an unknown customer or organization. */
char *stripe_unmatched_key(const char *id); /* to free */

#endif
