/*
 * automate-cgi: one request of a web server: find its route, see who asks, take
 * in what it brings or run the command, make an answer of the result.
 */
#include "cgi.h"
#include "prog.h"
#include "rules.h"

static const struct cgi_route routes[] = {
    {"/stripe-webhook", "POST", CGI_STRIPE, CGI_TAKE, .rules = &rules_stripe},
    {"/retell-webhook", "POST", CGI_RETELL, CGI_TAKE, .rules = &rules_retell},
    {"/onboarding-automation", "POST", CGI_ONBOARDING, CGI_TAKE,
	.rules = &rules_organization},
    {"/retell-failure-alert", "POST", CGI_ALERT, CGI_TAKE,
	.rules = &rules_alert},
    {"/trigger-ai-caller", "POST", CGI_CALL, CGI_RUN,
	.command = "automate-call"},
    {"/api/cron/billing-reconciliation", "GET, POST", CGI_CRON, CGI_START,
	.command = "automate-reconcile"},
    {"/api/cron/dunning", "GET, POST", CGI_CRON, CGI_START,
	.command = "automate-dunning"},
    {"/api/cron/deliver", "GET, POST", CGI_CRON, CGI_START,
	.command = "automate-deliver"},
    {"/healthz", "GET, HEAD", CGI_OPEN, CGI_HEALTH, .rules = NULL}, {0}};

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS, {0}};

	prog_start("automate-cgi", "[options]", argv);
	if (cgi_asked()) {
		cgi_serve(routes);
		return 0;
	}
	while (prog_getopt(argc, argv, "", options) != -1)
		;
	prog_say("a web server runs this, with a request in its environment; "
		 "see automate-cgi(1)");
	prog_usage();
}
