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
	free(organization->subscription_status);
}

static void
lead_release(struct lead *lead)
{
	free(lead->id);
	free(lead->organization_id);
	free(lead->name);
	free(lead->phone);
	free(lead->bad_phone);
	free(lead->status);
	free(lead->latest_call_id);
}

static void
call_release(struct call *call)
{
	free(call->id);
	free(call->call_id);
	free(call->organization_id);
	free(call->lead_id);
	free(call->state);
	free(call->disconnection_reason);
	free(call->transcript_event_id);
}

static void
invoice_release(struct invoice *invoice)
{
	free(invoice->id);
	free(invoice->organization_id);
	free(invoice->state);
	free(invoice->currency);
	free(invoice->url);
}

void
dunning_release(struct dunning *dunning)
{
	free(dunning->id);
	free(dunning->organization_id);
	free(dunning->invoice_id);
	free(dunning->step);
	free(dunning->closed_why);
	memset(dunning, 0, sizeof(*dunning));
}

void
dispute_release(struct dispute *dispute)
{
	free(dispute->id);
	free(dispute->charge_id);
	free(dispute->customer_id);
	memset(dispute, 0, sizeof(*dispute));
}

void
account_release(struct account *account)
{
	organization_release(&account->organization);
	lead_release(&account->lead);
	call_release(&account->call);
	invoice_release(&account->invoice);
	invoice_release(&account->unpaid);
	invoice_release(&account->owed);
	dunning_release(&account->dunning);
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
	for (i = 0; i < plan->resolved_count; i++)
		free(plan->resolved[i]);
	for (i = 0; i < plan->causes_count; i++)
		event_release(&plan->causes[i].event);
	free(plan->deliveries);
	free(plan->alerts);
	free(plan->resolved);
	free(plan->causes);
	dunning_release(&plan->opened);
	dispute_release(&plan->dispute);
	json_decref(plan->result);
	free(plan->body);
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

void
plan_resolve(struct plan *plan, char *fingerprint)
{
	plan->resolved = mem_resize(
	    plan->resolved, plan->resolved_count + 1, sizeof(*plan->resolved));
	plan->resolved[plan->resolved_count++] = fingerprint;
}

void
plan_cause(struct plan *plan, struct event *event, decide_fn *decide)
{
	plan->causes = mem_resize(
	    plan->causes, plan->causes_count + 1, sizeof(*plan->causes));
	plan->causes[plan->causes_count].event = *event;
	plan->causes[plan->causes_count++].decide = decide;
	memset(event, 0, sizeof(*event));
}
