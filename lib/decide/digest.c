/*
 * The daily digest: what happened, what stands, and what is not well, posted
 * also when nothing happened, since a silent channel and a quiet day look the
 * same.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/plan.h"

static char *
title_of(const json_t *data, const struct conf *conf)
{
	const char *name = conf->business_name;
	int64_t troubles = 0;

	if (!json_number(&troubles, data, "troubles") || troubles == 0)
		return mem_format("All is well%s%s", name != NULL ? " at " : "",
		    name != NULL ? name : "");
	return mem_format("%" PRId64 " %s attention%s%s", troubles,
	    troubles == 1 ? "thing wants" : "things want",
	    name != NULL ? " at " : "", name != NULL ? name : "");
}

bool
decide_digest(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	static const char *const names[] = {"New customers", "AI calls",
	    "Deliveries", "Alerts", "Payments in trouble", "Usage reported"};
	static const char *const paths[] = {
	    "customers", "calls", "deliveries", "alerts", "dunning", "usage"};
	struct slack_message message = {0};
	char *title = title_of(event->data, conf);
	size_t i;

	(void)account;
	(void)error;
	message.title = title;
	message.text = json_text(event->data, "text");
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		message.fields[i] = (struct slack_field){
		    names[i], json_text(event->data, paths[i])};
	if (message.text != NULL)
		message.commands[0] = "automate-check";
	plan_deliver(plan, conf, CONF_SLACK_ALERTS, "daily",
	    mem_copy(event->id), message_slack(&message), event->received_at);
	free(title);
	return true;
}
