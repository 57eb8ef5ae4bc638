#ifndef NET_STRIPE_H
#define NET_STRIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * The few reads from Stripe whose answer we need at once. What is written there
 * goes through the outbox. Conventions of the API: facts in
 * https://docs.stripe.com/api (authentication, errors, versioning).
 *
 * One reader keeps its connections, and the configured rate and concurrency
 * (stripe.read.*) over all its reads. A read is tried up to three times: again
 * after no answer, 409, 429 and 5xx, unless Stripe-Should-Retry says no,
 * waiting as Retry-After asks (at most ten seconds, else it is given up).
 */
#define STRIPE_VERSION "2026-10-28.endive"

struct stripe;

/* ERROR_CONF without a secret key. */
bool stripe_open(struct stripe **, const struct conf *, struct error *)
    __attribute__((warn_unused_result));
void stripe_close(struct stripe *); /* harmless on NULL */

enum stripe_answer {
	STRIPE_FOUND,
	STRIPE_ABSENT, /* 404, or {"deleted": true} */
	STRIPE_FAILED /* see the error */
};

/*
 * GET path ("/v1/invoices/in_1", from the root) with name=value pairs up to a
 * NULL name, percent-encoded here: {"limit", "100", NULL}. *object is to be
 * json_decref()ed, and NULL unless STRIPE_FOUND.
 *
 * Errors: ERROR_RETRY for no answer, 409, 429, 5xx and what is no JSON object
 * in a 200; ERROR_CONF for 401 and 403 (the key) and for an object of the
 * other mode than stripe.mode; ERROR_PROVIDER for any other status. The text
 * has Stripe's own words, its Request-Id, and no secret.
 */
enum stripe_answer
stripe_get(struct stripe *, const char *path, const char *const *query,
    json_t **object, struct error *) __attribute__((warn_unused_result));

/*
 * The same, many at once: start a read whose answer stripe_wait() returns with
 * its tag. What is started beyond rate and concurrency waits its turn.
 * stripe_wait() is false when none is under way any more.
 */
void stripe_start(
    struct stripe *, const char *path, const char *const *query, void *tag);
bool stripe_wait(struct stripe *, void **tag, enum stripe_answer *,
    json_t **object, struct error *) __attribute__((warn_unused_result));

#endif
