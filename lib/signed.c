#include "signed.h"

#include <stdlib.h>

#include "prog.h"

enum { OPTION_UNSIGNED = PROG_OWN };

int
signed_command(const char *name, const char *variable,
    const struct intake_rules *rules, int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS,
	    {"signature", required_argument, NULL, 's'},
	    {"unsigned", no_argument, NULL, OPTION_UNSIGNED}, {0}};
	const char *header = getenv(variable);
	const bool is_cgi = getenv("GATEWAY_INTERFACE") != NULL;
	struct conf conf = {0};
	struct error error = {0};
	bool is_unsigned = false, ok;
	int ch;

	prog_start(
	    name, "[options] [-s signature | --unsigned] <event.json", argv);
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
	    (is_unsigned ? intake(&conf, rules, &error)
			 : intake_signed(&conf, rules, header, &error));

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
