#ifndef CGI_H
#define CGI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "intake.h"

/*
 * One request by CGI/1.1 (RFC 3875), under any web server: what differs
 * between these is taken care of here.
 *
 * Nothing of the environment that begins with HTTP_ is trusted or passed on,
 * since a client writes those. Arguments are not looked at: a server makes them
 * of the query.
 */

/* Who may use a route. */
enum cgi_door {
	CGI_OPEN, /* everybody */
	CGI_STRIPE, /* Stripe's and Retell's signature, which the rules */
	CGI_RETELL, /* verify */
	CGI_ONBOARDING, /* who knows that secret of the configuration: */
	CGI_ALERT, /* alerts.secret, else onboarding.secret */
	CGI_CALL, /* calls.secret, else onboarding.secret */
	CGI_CRON
};

/* What becomes of a request. */
enum cgi_way {
	CGI_TAKE, /* the body is taken in by the rules, here and now */
	CGI_RUN, /* the body to the command; its result is the answer */
	CGI_START, /* the command is started, and nobody waits for it */
	CGI_HEALTH /* whether we could record anything, and cron runs */
};

struct cgi_route {
	const char *path, *methods; /* as in an Allow header */
	enum cgi_door door;
	enum cgi_way way;
	const struct intake_rules *rules; /* of CGI_TAKE */
	const char *command; /* of CGI_RUN and CGI_START */
};

/* Whether a web server has started us, rather than a shell. */
bool cgi_asked(void);

/*
 * Answer the request on the standard descriptors by the route that fits, of a
 * list that ends with a NULL path. When the answer is out and standard output
 * closed, automate-deliver is started for what is due. Whatever fails is
 * an answer too, and a line on standard error.
 */
void cgi_serve(const struct cgi_route *);

#endif
