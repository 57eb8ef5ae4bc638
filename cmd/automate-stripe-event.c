/*
 * automate-stripe-event: verify one signed Stripe event on standard input and
 * record it, once, together with everything it makes us owe.
 */
#include <stdlib.h>

#include "intake.h"
#include "prog.h"
#include "rules.h"

enum { OPTION_UNSIGNED = PROG_OWN };

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS,
	    {"signature", required_argument, NULL, 's'},
	    {"unsigned", no_argument, NULL, OPTION_UNSIGNED}, {0}};
	const char *header = getenv("HTTP_STRIPE_SIGNATURE");
	const bool is_cgi = getenv("GATEWAY_INTERFACE") != NULL;
	struct conf conf = {0};
	struct error error = {0};
	bool is_unsigned = false, ok;
	int ch;

	prog_start("automate-stripe-event",
	    "[options] [-s signature | --unsigned] <event.json", argv);
	while ((ch = prog_getopt(argc, argv, "s:", options)) != -1)
		switch (ch) {
		case 's': header = optarg; break;
		case OPTION_UNSIGNED: is_unsigned = true; break;
		default: prog_usage();
		}
	if (optind < argc)
		prog_usage();
	if (is_unsigned && is_cgi) {
		error_set(&error, ERROR_AUTH,
		    "--unsigned is not for what comes by HTTP");
		return prog_end(&error);
	}

	ok = prog_ready(&conf, &error) &&
	    (is_unsigned ? intake(&conf, &rules_stripe, &error)
			 : intake_signed(&conf, &rules_stripe, header, &error));

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
