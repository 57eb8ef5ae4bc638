#ifndef NET_STRIPE_H
#define NET_STRIPE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * The few reads from Stripe whose answer we need at once. What is written there
 * goes through the outbox. Conventions of the API: https://docs.stripe.com/api
 * (authentication, errors, versioning).
 *
 * One reader keeps its connections, and the configured rate and concurrency
 * (stripe.read.*) over all its requests, which leave evenly: after a pause no
 * more of them at once than a tenth of a second has room for.
 *
 * A read is tried up to three times: again after no answer, half an answer,
 * 408, 409, 429 and 5xx, unless Stripe-Should-Retry says no; after any other
 * status only if that says yes. Between two tries lie half a second, then one,
 * each by chance up to half of it shorter; after 429 the whole reader waits.
 * Retry-After is obeyed up to ten seconds, and what asks for more is given up.
 * So a read ends, at the latest, three times stripe.read.timeout and twenty
 * seconds after its turn came, rate and other reads left aside.
 */
#define STRIPE_VERSION "2026-10-28.endive"
#define STRIPE_BODY_MAX                                                        \
	(8 * 1024 * 1024) /* of one answer; longer is broken                   \
			   */

struct stripe;

/*
 * The configuration must outlive the reader. ERROR_CONF without a secret key,
 * and for one of the other mode than stripe.mode.
 */
bool stripe_open(struct stripe **, const struct conf *, struct error *)
    __attribute__((warn_unused_result));
void stripe_close(struct stripe *); /* ends all reads; harmless on NULL */

enum stripe_answer {
	STRIPE_FOUND,
	STRIPE_ABSENT, /* no such id, in path or query; {"deleted": true} */
	STRIPE_FAILED /* see the error */
};

/*
 * GET path ("/v1/invoices/in_1", from the root) with name, value, name, value …
 * up to a NULL, percent-encoded here: {"limit", "100", NULL}; or NULL. *object
 * is to be json_decref()ed, and NULL unless STRIPE_FOUND. Not while reads that
 * were started are under way.
 *
 * STRIPE_ABSENT is said only where Stripe says so: a 404 that something else
 * gives, or that is about the address, is an error.
 *
 * Errors: ERROR_RETRY for no answer, 408, 409, 429, 5xx, an error in a 200, and
 * what is no JSON object in a 200; ERROR_CONF for 401 and 403 (the key), and
 * for an object, or one in a list, of the other mode than stripe.mode;
 * ERROR_DATA, with nothing sent, for a path with an id in it that cannot be
 * one; ERROR_PROVIDER for any other status. The text has Stripe's own words
 * (net/words.h), its Request-Id, and no secret.
 */
enum stripe_answer
stripe_get(struct stripe *, const char *path, const char *const *query,
    json_t **object, struct error *) __attribute__((warn_unused_result));

/*
 * The same, many at once: start a read whose answer stripe_wait() returns with
 * its tag, in the order they are answered. What is started beyond rate and
 * concurrency waits its turn. stripe_wait() is false when none is under way any
 * more.
 *
 * stripe_busy() says that enough is started to reach the rate. Who starts no
 * more until stripe_wait() was called needs memory for a few reads, however
 * many are to come:
 *
 *	while (more || under_way) {
 *		while (more && !stripe_busy(stripe))
 *			more = start_next(stripe);
 *		under_way = stripe_wait(stripe, &tag, &answer, &object, error);
 *		…
 *	}
 */
void stripe_start(
    struct stripe *, const char *path, const char *const *query, void *tag);
bool stripe_busy(const struct stripe *);
bool stripe_wait(struct stripe *, void **tag, enum stripe_answer *,
    json_t **object, struct error *) __attribute__((warn_unused_result));

#endif
