#ifndef DECIDE_SIGNATURE_H
#define DECIDE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Are these bytes signed with a secret we know, recently enough? Everything
 * fails closed, as ERROR_AUTH: no header, an empty or malformed one, a time
 * beyond the tolerance in either direction, no secret configured. Bytes are
 * verified as received, before anything reads them.
 *
 * Secrets are given as configured: one, or several with a blank between them
 * while one takes the place of another; NULL or empty refuses. *which is the
 * number of the one that fits, from 1. Every one is tried, in constant time.
 * An error never holds a secret or a signature; it says what to look at.
 */
#define SIGNATURE_TOLERANCE_S 300 /* both ways, inclusive */

/*
 * Stripe: "t=1492774577,v1=<64 hex>,v1=…"; signed is "<t>.<body>", the key is
 * the whole secret, whsec_ included. Only v1 counts, and any of several.
 * https://docs.stripe.com/webhooks#verify-manually
 */
bool signature_stripe(const char *header, const void *body, size_t size,
    const char *secrets, int64_t now, int *which, struct error *)
    __attribute__((warn_unused_result));

/*
 * Retell: "v=<unix ms>,d=<64 hex>"; signed is "<body><v>", the key is an API
 * key. As the vendor's package (retell-sdk, lib/webhook_auth) does it.
 */
bool signature_retell(const char *header, const void *body, size_t size,
    const char *keys, int64_t now_ms, int *which, struct error *)
    __attribute__((warn_unused_result));

/*
 * Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature
 * ("v1,<base64> v1,…"); signed is "<id>.<timestamp>.<body>", the key is what
 * the secret holds in base64 behind whsec_ (also "v1,whsec_…", as Supabase
 * shows it). https://www.standardwebhooks.com
 */
bool
signature_standard(const char *id, const char *timestamp, const char *header,
    const void *body, size_t size, const char *secrets, int64_t now, int *which,
    struct error *) __attribute__((warn_unused_result));

/* "Bearer <secret>", RFC 6750 section 2.1; the scheme in any case. */
bool signature_bearer(const char *authorization, const char *secrets,
    int *which, struct error *) __attribute__((warn_unused_result));

#endif
