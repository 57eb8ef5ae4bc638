#include "decide/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void
organization_release(struct organization *organization)
{
	free(organization->id);
	free(organization->name);
	free(organization->owner_name);
	free(organization->owner_email);
	free(organization->plan);
	free(organization->former_plan);
	free(organization->status);
	free(organization->status_event_id);
	free(organization->stripe_customer_id);
	free(organization->stripe_subscription_id);
	free(organization->zone);
}

void
account_release(struct account *account)
{
	organization_release(&account->organization);
	free(account->lead.id);
	free(account->lead.organization_id);
	free(account->lead.name);
	free(account->lead.phone);
	free(account->lead.status);
	memset(account, 0, sizeof(*account));
}

void
plan_init(struct plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->outcome = "recorded";
	plan->result = json_object();
}

void
plan_release(struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->deliveries_count; i++) {
		free(plan->deliveries[i].key);
		free(plan->deliveries[i].body);
	}
	for (i = 0; i < plan->alerts_count; i++)
		alert_release(&plan->alerts[i]);
	free(plan->deliveries);
	free(plan->alerts);
	json_decref(plan->result);
	memset(plan, 0, sizeof(*plan));
}

static void
skip(struct plan *plan, const struct conf_destination *destination)
{
	size_t i;

	for (i = 0; i < plan->skipped_count; i++)
		if (plan->skipped[i] == destination)
			return;
	plan->skipped[plan->skipped_count++] = destination;
}

void
plan_deliver(struct plan *plan, const struct conf *conf,
    enum conf_destination_index index, const char *step, char *key, char *body,
    int64_t due_at)
{
	const struct conf_destination *destination = &conf->destinations[index];
	struct plan_delivery *delivery;

	if (!destination->configured) {
		skip(plan, destination);
		free(key);
		free(body);
		return;
	}
	plan->deliveries = mem_resize(plan->deliveries,
	    plan->deliveries_count + 1, sizeof(*plan->deliveries));
	delivery = &plan->deliveries[plan->deliveries_count++];
	delivery->destination = destination;
	delivery->step = step;
	delivery->key = key;
	delivery->body = body;
	delivery->due_at = due_at;
}

void
plan_alert(struct plan *plan, struct alert *alert)
{
	plan->alerts = mem_resize(
	    plan->alerts, plan->alerts_count + 1, sizeof(*plan->alerts));
	plan->alerts[plan->alerts_count++] = *alert;
	memset(alert, 0, sizeof(*alert));
}
