/*
 * automate-onboard: record new organizations, once each, together with the
 * welcome, the Slack post and the follow-ups that they make us owe.
 */
#include "intake.h"
#include "prog.h"
#include "rules.h"

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS, {0}};
	struct conf conf = {0};
	struct error error = {0};
	bool ok;

	prog_start("automate-onboard", "[options] <organization.json", argv);
	while (prog_getopt(argc, argv, "", options) != -1)
		;
	if (optind < argc)
		prog_usage();

	ok = prog_ready(&conf, &error) &&
	    intake(&conf, &rules_organization, &error);

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
