#ifndef SUMS_H
#define SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/usage.h"
#include "net/stripe.h"

/*
 * The meter of AI calls at Stripe: what it is, and what it sums up of a
 * customer's day, many at once, as net/stripe has it.
 */
struct sums;

/*
 * Read the meter, stripe.meter_id, which comes before anything is reported to
 * it. ERROR_CONF where it is not there or would count something else. What was
 * opened until then is closed by sums_close() all the same.
 */
bool sums_open(struct sums **, const struct conf *, struct usage_meter *,
    struct error *) __attribute__((warn_unused_result));
void sums_close(struct sums *); /* harmless on NULL */

/* Ask for a sum, and whether enough is asked for to reach the rate. */
void
sums_start(struct sums *, const char *customer_id, int64_t day_at, void *tag);
bool sums_busy(const struct sums *);

/*
 * The next sum: STRIPE_ABSENT if Stripe does not know the customer. A failed
 * read is no sum. False when none is under way any more.
 */
bool sums_wait(struct sums *, void **tag, enum stripe_answer *, int64_t *sum,
    struct error *) __attribute__((warn_unused_result));

#endif
