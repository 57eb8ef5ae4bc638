#ifndef DECIDE_SIGNATURE_H
#define DECIDE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Are these bytes signed with a secret we know, recently enough? Everything
 * fails closed, as ERROR_AUTH: no header, an empty or malformed one or one over
 * the maximum, a time beyond the tolerance in either direction, no secret
 * configured. Bytes are verified as received, before anything reads them.
 *
 * Secrets are given as configured: one, or several with a blank between them
 * while one takes the place of another; NULL or empty refuses. *which (may be
 * NULL) is the number of the one that fits, from 1, of several the first. Every
 * secret is tried on every signature, whatever was found before, and compared
 * in constant time. An error never holds a secret or a signature; it says what
 * to look at.
 *
 * Headers are given without their name, and where one came twice as the web
 * server joins them; NULL is one that did not come. Where a sender's own
 * library is lenient about what no sender writes, such as blanks around a
 * number, we are not; tests/peers.mjs lists each difference.
 */
#define SIGNATURE_TOLERANCE_S 300 /* both ways, inclusive */
#define SIGNATURE_HEADER_MAX 4096 /* bytes; room for some 60 signatures */

/*
 * Stripe: "t=1492774577,v1=<64 hex>,v1=…"; signed is "<t>.<body>", the key is
 * the whole secret, whsec_ included. Only v1 counts, and any of several; v0 and
 * other schemes are passed over, and so is a v1 that is not 64 lower-case
 * digits. There must be one t, of digits only: were the age taken from another
 * one than the hash, an old event could be sent again.
 * https://docs.stripe.com/webhooks#verify-manually
 */
bool signature_stripe(const char *header, const void *body, size_t size,
    const char *secrets, int64_t now, int *which, struct error *)
    __attribute__((warn_unused_result));

/*
 * Retell: "v=<unix ms>,d=<64 hex>", in either case and with nothing else;
 * signed is "<body><v>", the key is an API key. As the vendor's package
 * (retell-sdk, lib/webhook_auth) does it.
 */
bool signature_retell(const char *header, const void *body, size_t size,
    const char *keys, int64_t now_ms, int *which, struct error *)
    __attribute__((warn_unused_result));

/*
 * Standard Webhooks: webhook-id (without a dot, which would blur where it
 * ends), webhook-timestamp (seconds), webhook-signature ("v1,<base64> v1,…",
 * other versions being passed over; also joined with ", ", as Supabase does);
 * signed is "<id>.<timestamp>.<body>". The key is what the secret holds in
 * base64 behind whsec_ (also "v1,whsec_…", as Supabase shows it); a secret that
 * does not begin so is for signature_bearer() and passed over. Where none fits
 * and one begins so and goes on with what is no base64, that is ERROR_CONF.
 * https://www.standardwebhooks.com
 */
bool
signature_standard(const char *id, const char *timestamp, const char *header,
    const void *body, size_t size, const char *secrets, int64_t now, int *which,
    struct error *) __attribute__((warn_unused_result));

/*
 * "Bearer <secret>", RFC 6750 section 2.1: the scheme in any case, one blank or
 * more behind it, blanks around the whole. How long this takes tells nothing of
 * a secret but, at most, how long it is.
 */
bool signature_bearer(const char *authorization, const char *secrets,
    int *which, struct error *) __attribute__((warn_unused_result));

#endif
