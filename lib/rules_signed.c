#include "base/clock.h"
#include "decide/signature.h"
#include "rules.h"

static bool
verify_stripe(const struct conf *conf, const char *header,
    const struct buf *body, int *which, struct error *error)
{
	return signature_stripe(header, buf_string(body), body->size,
	    conf->stripe_webhook_secret, clock_now(), which, error);
}

static bool
verify_retell(const struct conf *conf, const char *header,
    const struct buf *body, int *which, struct error *error)
{
	const char *keys = conf->retell_webhook_key != NULL
	    ? conf->retell_webhook_key
	    : conf->retell_api_key;

	return signature_retell(header, buf_string(body), body->size, keys,
	    clock_now() * 1000, which, error);
}

const struct intake_rules rules_stripe = {
    event_from_stripe, verify_stripe, decide_stripe};
const struct intake_rules rules_retell = {
    event_from_retell, verify_retell, decide_retell};
