#include "rules.h"

#include "prog.h"

/* An occurrence without an id of its own gets one that nobody else has. */
static bool
understand_alert(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	char unique[PROG_UNIQUE_SIZE];

	return prog_unique(unique, error) &&
	    event_from_alert(event, text, size, now, unique, error);
}

const struct intake_rules rules_organization = {
    event_from_organization, NULL, decide_onboard};
const struct intake_rules rules_alert = {understand_alert, NULL, decide_alert};
