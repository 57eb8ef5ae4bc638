/*
 * automate-retell-event: verify one signed event of Retell on standard input
 * and record what it says of a call, once.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "decide/signature.h"
#include "intake.h"
#include "prog.h"

enum { OPTION_UNSIGNED = PROG_OWN };

static bool
verify(const struct conf *conf, const char *header, const struct buf *body,
    int *which, struct error *error)
{
	const char *keys = conf->retell_webhook_key != NULL
	    ? conf->retell_webhook_key
	    : conf->retell_api_key;

	return signature_retell(header, buf_string(body), body->size, keys,
	    clock_now() * 1000, which, error);
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS,
	    {"signature", required_argument, NULL, 's'},
	    {"unsigned", no_argument, NULL, OPTION_UNSIGNED}, {0}};
	const char *header = getenv("HTTP_X_RETELL_SIGNATURE");
	const bool is_cgi = getenv("GATEWAY_INTERFACE") != NULL;
	struct conf conf = {0};
	struct error error = {0};
	bool is_unsigned = false, ok;
	int ch;

	prog_start("automate-retell-event",
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
	    (is_unsigned
		    ? intake(&conf, event_from_retell, decide_retell, &error)
		    : intake_signed(&conf, header, verify, event_from_retell,
			  decide_retell, &error));

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
