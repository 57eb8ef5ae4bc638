/*
 * automate-retell-event: verify one signed event of Retell on standard input
 * and record what it says of a call, once.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "decide/signature.h"
#include "intake.h"
#include "prog.h"

enum { OPTION_UNSIGNED = PROG_OWN };

static int secret; /* which of the keys it was signed with */

static bool
understand(struct event *event, const char *text, size_t size, int64_t now,
    struct error *error)
{
	bool ok = event_from_retell(event, text, size, now, error);

	event->secret = secret;
	return ok;
}

/* The signature is made over all of standard input, so that is one event. */
static bool
take_signed(const struct conf *conf, const char *header, struct error *error)
{
	struct buf body = BUF_INIT((size_t)conf->body_max);
	const char *keys = conf->retell_webhook_key != NULL
	    ? conf->retell_webhook_key
	    : conf->retell_api_key;
	bool ok = buf_read(&body, STDIN_FILENO, error) &&
	    signature_retell(header, buf_string(&body), body.size, keys,
		clock_now() * 1000, &secret, error) &&
	    intake_text(conf, buf_string(&body), body.size, understand,
		decide_retell, error);

	buf_release(&body);
	return ok;
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
	    (is_unsigned ? intake(&conf, understand, decide_retell, &error)
			 : take_signed(&conf, header, &error));

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
