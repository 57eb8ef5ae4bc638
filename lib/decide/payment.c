#include "decide/payment.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/dunning.h"
#include "decide/message.h"
#include "decide/money.h"

bool
payment_set_status(const struct event *event, struct organization *organization,
    const char *status, enum payment_rank rank, struct plan *plan)
{
	if (event->occurred_at < organization->status_at ||
	    (event->occurred_at == organization->status_at &&
		(int64_t)rank < organization->status_rank))
		return false;
	mem_replace(&organization->status, status);
	mem_replace(&organization->status_event_id, event->id);
	organization->status_at = event->occurred_at;
	organization->status_rank = rank;
	plan->organization_changed = true;
	return true;
}

static void
put_amount(json_t *json, const struct invoice *invoice)
{
	struct buf amount = BUF_INIT(64);

	if (!invoice->known)
		return;
	money_text(&amount, invoice->amount_minor, invoice->currency);
	json_put_number(json, "amount_minor", invoice->amount_minor);
	json_put(json, "currency", invoice->currency);
	json_put(json, "amount", buf_string(&amount));
	buf_release(&amount);
}

static json_t *
billing_body(const struct event *event, const struct organization *organization,
    const char *step, const char *key, const struct conf *conf)
{
	json_t *body = json_object();

	json_put(body, "idempotency_key", key);
	json_put(body, "step", step);
	json_put(body, "event", event->id);
	json_put(body, "organization_id", organization->id);
	json_put(body, "organization_name", organization->name);
	json_put(body, "owner_name", organization->owner_name);
	json_put(body, "owner_email", organization->owner_email);
	json_put(body, "plan", organization->plan);
	if (organization->former_plan != NULL)
		json_put(body, "former_plan", organization->former_plan);
	json_put(body, "business_name", conf->business_name);
	json_put(body, "app_url", conf->app_url);
	json_put(body, "knowledge_base_url", conf->knowledge_base_url);
	return body;
}

static void
put_cycle(json_t *body, const struct event *event, const struct dunning *cycle,
    const struct conf *conf)
{
	const int64_t now = event->received_at;

	json_put_number(body, "day", dunning_day(cycle, conf, now));
	json_put_time(body, "downgrade_at",
	    cycle->closed_at == 0 ? dunning_end(cycle, conf, now) : 0);
}

void
payment_tell(const struct event *event, const struct account *account,
    const struct invoice *invoice, const struct dunning *cycle,
    const char *step, const struct conf *conf, struct plan *plan)
{
	const struct organization *organization = &account->organization;
	const int64_t try_at = invoice->next_attempt_at;
	char *key = mem_format("%s:%s", event->id, step);
	json_t *body = billing_body(event, organization, step, key, conf);

	put_amount(body, invoice);
	json_put(body, "invoice_id", invoice->id);
	json_put(body, "invoice_url", invoice->url);
	json_put_time(
	    body, "next_attempt_at", try_at > event->received_at ? try_at : 0);
	json_object_set_new(
	    body, "action_required", json_boolean(invoice->action_required));
	if (cycle != NULL && cycle->known)
		put_cycle(body, event, cycle, conf);
	plan_deliver(plan, conf, CONF_BILLING, step, key, json_compact(body),
	    event->received_at);
	json_decref(body);
}

void
payment_post(const struct event *event, const struct organization *organization,
    const char *step, const char *title, const struct conf *conf,
    struct plan *plan)
{
	struct slack_message message = {.title = title};

	message.fields[0] =
	    (struct slack_field){"Customer", organization->name};
	message.fields[1] = (struct slack_field){"Plan", organization->plan};
	message.fields[2] =
	    (struct slack_field){"Status", organization->status};
	message.fields[3] =
	    (struct slack_field){"Organization", organization->id};
	plan_deliver(plan, conf, CONF_SLACK_CUSTOMERS, step,
	    mem_format("%s:slack", event->id), message_slack(&message),
	    event->received_at);
}

void
payment_open_cycle(const struct event *event, struct account *account,
    const struct invoice *invoice, struct dunning *cycle,
    const struct conf *conf, struct plan *plan)
{
	const char *organization_id = account->organization.id;
	char *id = mem_format("%s:%s", organization_id, invoice->id);

	/* Another one, which may well be of the same invoice again. */
	if (account->dunning.known) {
		free(id);
		id = mem_format("%s:%s:%lld", organization_id, invoice->id,
		    (long long)event->occurred_at);
	}
	dunning_release(cycle);
	cycle->known = true;
	cycle->id = id;
	cycle->organization_id = mem_copy(organization_id);
	cycle->invoice_id = mem_copy(invoice->id);
	cycle->opened_at = invoice->failed_at;
	cycle->step = mem_copy("payment_failed");
	cycle->step_at = event->received_at;
	if (cycle == &account->dunning)
		plan->dunning_changed = true;
	payment_tell(
	    event, account, invoice, cycle, "payment_failed", conf, plan);
}

static bool
is_good_news(const char *why)
{
	return strcmp(why, "paid") == 0 || strcmp(why, "active") == 0;
}

void
payment_close_cycle(const struct event *event, struct account *account,
    const char *why, const struct conf *conf, struct plan *plan)
{
	struct dunning *cycle = &account->dunning;

	if (!cycle->known || cycle->closed_at != 0)
		return;
	cycle->closed_at = event->received_at;
	mem_replace(&cycle->closed_why, why);
	plan->dunning_changed = true;
	plan->cancel_reminders = true;
	if (is_good_news(why) && !account->unpaid.known)
		payment_tell(event, account, &account->owed, cycle, "recovered",
		    conf, plan);
}

void
payment_restore(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan)
{
	struct organization *organization = &account->organization;

	mem_replace(&organization->status, "active");
	mem_replace(&organization->status_event_id, event->id);
	if (organization->status_at < event->occurred_at)
		organization->status_at = event->occurred_at;
	organization->status_rank = PAYMENT_PAID;
	if (organization->former_plan != NULL)
		mem_replace(&organization->plan, organization->former_plan);
	mem_replace(&organization->former_plan, NULL);
	plan->organization_changed = true;
	payment_tell(
	    event, account, &account->owed, NULL, "restored", conf, plan);
	payment_post(event, organization, "restored",
	    "Paid after the downgrade: the plan is back", conf, plan);
}
