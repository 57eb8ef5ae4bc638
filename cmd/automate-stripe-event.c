/*
 * automate-stripe-event: verify one signed Stripe event on standard input and
 * record it, once, together with everything it makes us owe.
 */
#include "rules.h"
#include "signed.h"

int
main(int argc, char *argv[])
{
	return signed_command("automate-stripe-event", "HTTP_STRIPE_SIGNATURE",
	    &rules_stripe, argc, argv);
}
