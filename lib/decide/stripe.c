/*
 * Stripe's events: which customer is in which state, what that makes us say,
 * and which of it is none of our business. What the events mean is Stripe's:
 * https://docs.stripe.com/api/events/types
 */
#include "decide/stripe.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/money.h"
#include "decide/payment.h"
#include "decide/plan.h"

/* One event being decided. */
struct matter {
	const struct event *event;
	const json_t *object;
	struct account *account;
	struct organization *organization; /* the account's */
	const struct conf *conf;
	struct plan *plan;
};

static bool
is_word(const char *text, const char *word)
{
	return text != NULL && word != NULL && strcmp(text, word) == 0;
}

static bool
is_kind(const struct matter *matter, const char *kind)
{
	return strcmp(matter->event->kind, kind) == 0;
}

static void
note(const struct matter *matter, const char *words)
{
	json_put(matter->plan->result, "note", words);
}

static void
ignore(const struct matter *matter, const char *words)
{
	matter->plan->outcome = "ignored";
	note(matter, words);
}

/* An alert about the organization; key and message are taken, key may be NULL.
 */
static void
tell_founder(
    const struct matter *matter, const char *kind, char *key, char *message)
{
	struct alert alert = {0};

	alert.kind = mem_copy(kind);
	alert.key = key;
	alert.message = message;
	alert.organization_id = mem_copy(matter->organization->id);
	alert.event_id = mem_copy(matter->event->id);
	plan_alert(matter->plan, &alert);
}

static const char *
name_of(const struct matter *matter)
{
	const struct organization *organization = matter->organization;

	return organization->name != NULL ? organization->name
	    : organization->id != NULL    ? organization->id
					  : "somebody unknown";
}

/*
 * Nobody we know. What names a customer, or an organization to be, waits until
 * that is known; the alert waits too, since at a sign-up many events come
 * before the one that links them.
 */
static void
wait_for_customer(const struct matter *matter)
{
	const struct event *event = matter->event;
	const char *customer = event->customer_id;
	struct alert alert = {0};

	if (customer == NULL && event->organization_id == NULL) {
		ignore(matter, "it names no customer");
		return;
	}
	matter->plan->outcome = "unmatched";
	alert.kind = mem_copy("stripe.unmatched");
	alert.key = stripe_unmatched_key(
	    customer != NULL ? customer : event->organization_id);
	alert.message = mem_format("%s is about %s, whom no organization "
				   "has; it is kept until one does.",
	    event->kind, customer != NULL ? customer : event->organization_id);
	alert.event_id = mem_copy(event->id);
	alert.wait_s = 15 * 60;
	plan_alert(matter->plan, &alert);
}

/*
 * Checkout.
 */

static void
create_organization(const struct matter *matter)
{
	const json_t *session = matter->object;
	struct organization *organization = matter->organization;
	const char *name = json_text(session, "customer_details.business_name");

	organization->known = true;
	organization->id = mem_copy(matter->event->organization_id);
	organization->name = mem_copy(
	    name != NULL ? name : json_text(session, "customer_details.name"));
	organization->owner_name =
	    mem_copy(json_text(session, "customer_details.name"));
	organization->owner_email =
	    mem_copy(json_text(session, "customer_details.email"));
	if (organization->owner_email == NULL)
		organization->owner_email =
		    mem_copy(json_text(session, "customer_email"));
	organization->plan = mem_copy(json_text(session, "metadata.plan"));
	organization->status = mem_copy("active");
	organization->status_event_id = mem_copy(matter->event->id);
	organization->status_at = matter->event->occurred_at;
	organization->created_at = matter->event->occurred_at;
	matter->plan->organization_changed = true;
}

static bool
is_over(const char *subscription_status)
{
	return is_word(subscription_status, "canceled") ||
	    is_word(subscription_status, "incomplete_expired");
}

/* A subscription of which we have heard nothing yet. */
static void
adopt_subscription(const struct matter *matter, const char *id)
{
	struct organization *organization = matter->organization;

	if (id == NULL || is_word(organization->stripe_subscription_id, id))
		return;
	if (organization->stripe_subscription_id != NULL &&
	    !is_over(organization->subscription_status))
		return;
	mem_replace(&organization->stripe_subscription_id, id);
	mem_replace(&organization->subscription_status, NULL);
	organization->subscription_at = 0;
	matter->plan->organization_changed = true;
	payment_set_status(
	    matter->event, organization, "active", PAYMENT_LIVE, matter->plan);
}

/* False where the organization has another customer: a claim is no proof. */
static bool
link_customer(const struct matter *matter)
{
	struct organization *organization = matter->organization;
	const char *customer = matter->event->customer_id;

	if (customer == NULL ||
	    is_word(organization->stripe_customer_id, customer))
		return true;
	if (organization->stripe_customer_id != NULL) {
		tell_founder(matter, "stripe.customer_conflict", NULL,
		    mem_format("%s claims to pay for %s, which belongs to "
			       "%s. Nothing was changed.",
			customer, name_of(matter),
			organization->stripe_customer_id));
		note(matter, "the organization has another customer");
		return false;
	}
	mem_replace(&organization->stripe_customer_id, customer);
	matter->plan->organization_changed = true;
	return true;
}

static void
start_onboarding(const struct matter *matter)
{
	const struct organization *organization = matter->organization;
	struct event onboard = {0};

	if (organization->onboarded_at != 0)
		return;
	onboard.id = mem_format("onboard:%s", organization->id);
	onboard.source = "stripe";
	onboard.kind = mem_copy("organization.created");
	onboard.organization_id = mem_copy(organization->id);
	onboard.customer_id = mem_copy(organization->stripe_customer_id);
	onboard.occurred_at = matter->event->occurred_at;
	onboard.received_at = matter->event->received_at;
	onboard.data = json_object();
	json_put(onboard.data, "id", organization->id);
	json_put(onboard.data, "name", organization->name);
	json_put(onboard.data, "owner_name", organization->owner_name);
	json_put(onboard.data, "owner_email", organization->owner_email);
	json_put(onboard.data, "plan", organization->plan);
	onboard.body = json_compact(onboard.data);
	plan_cause(matter->plan, &onboard, decide_onboard);
}

static void
complete_checkout(const struct matter *matter)
{
	const json_t *session = matter->object;

	if (is_word(json_text(session, "mode"), "setup")) {
		ignore(matter, "a set-up, nothing bought");
		return;
	}
	if (is_kind(matter, "checkout.session.completed") &&
	    is_word(json_text(session, "payment_status"), "unpaid")) {
		note(matter, "not paid yet: its payment will be told");
		return;
	}
	if (!matter->organization->known &&
	    matter->event->organization_id == NULL) {
		wait_for_customer(matter);
		return;
	}
	if (!matter->organization->known)
		create_organization(matter);
	if (!link_customer(matter))
		return;
	adopt_subscription(matter, stripe_id(session, "subscription"));
	start_onboarding(matter);
}

static void
fail_checkout(const struct matter *matter)
{
	tell_founder(matter, "payment.checkout_failed",
	    mem_copy(json_text(matter->object, "id")),
	    mem_format("The delayed payment of a checkout by %s failed: %s.",
		name_of(matter), json_text(matter->object, "id")));
}

/*
 * Subscriptions.
 */

static bool
is_live(const char *status)
{
	return is_word(status, "active") || is_word(status, "trialing");
}

/* Whether the event is of the subscription we follow, from now on or still. */
static bool
follow(const struct matter *matter, const char *status)
{
	struct organization *organization = matter->organization;
	const char *id = json_text(matter->object, "id"),
		   *followed = organization->stripe_subscription_id;

	if (is_word(followed, id))
		return true;
	if (followed != NULL &&
	    (is_over(status) || !is_over(organization->subscription_status) ||
		matter->event->occurred_at < organization->subscription_at)) {
		note(matter, "another subscription than the one followed");
		return false;
	}
	mem_replace(&organization->stripe_subscription_id, id);
	mem_replace(&organization->subscription_status, NULL);
	organization->subscription_at = 0;
	matter->plan->organization_changed = true;
	return true;
}

static void
mirror_plan(const struct matter *matter)
{
	struct organization *organization = matter->organization;
	const char *plan =
	    stripe_subscription_plan(matter->object, organization->plan);

	if (plan == NULL)
		return;
	if (is_word(organization->status, "downgraded"))
		mem_replace(&organization->former_plan, plan);
	else
		mem_replace(&organization->plan, plan);
}

/* For good: a canceled subscription cannot be revived. */
static void
cancel_organization(const struct matter *matter)
{
	struct organization *organization = matter->organization;

	matter->plan->organization_changed = true;
	matter->plan->cancel_follow_ups = true;
	matter->plan->cancel_reminders = true;
	payment_close_cycle(matter->event, matter->account, "canceled",
	    matter->conf, matter->plan);
	mem_replace(&organization->status, "canceled");
	mem_replace(&organization->status_event_id, matter->event->id);
	if (organization->status_at < matter->event->occurred_at)
		organization->status_at = matter->event->occurred_at;
	organization->status_rank = PAYMENT_CANCELED;
	payment_post(matter->event, organization, "canceled",
	    "A customer has left", matter->conf, matter->plan);
}

/* The subscription is well again, or still: what was owed is not any more. */
static void
live_on(const struct matter *matter, const char *status)
{
	const struct dunning *cycle = &matter->account->dunning;
	struct organization *organization = matter->organization;

	if (is_word(organization->status, "downgraded")) {
		if (matter->event->occurred_at > organization->status_at)
			payment_restore(matter->event, matter->account,
			    matter->conf, matter->plan);
		return;
	}
	if (payment_set_status(matter->event, organization, status,
		PAYMENT_LIVE, matter->plan) &&
	    cycle->known && cycle->closed_at == 0)
		payment_close_cycle(matter->event, matter->account, "active",
		    matter->conf, matter->plan);
}

static void
mirror_status(const struct matter *matter, const char *status)
{
	struct organization *organization = matter->organization;

	if (is_word(status, "canceled") &&
	    is_word(organization->status, "downgraded"))
		note(matter, "it stays downgraded");
	else if (is_word(status, "canceled"))
		cancel_organization(matter);
	else if (is_live(status))
		live_on(matter, status);
	else if ((is_word(status, "past_due") || is_word(status, "unpaid")) &&
	    !is_word(organization->status, "downgraded"))
		payment_set_status(matter->event, organization, "past_due",
		    PAYMENT_PAST_DUE, matter->plan);
}

/* Along the life of a subscription, for two events in one second. */
static int
stage_of(const char *status)
{
	return is_over(status) ? 3 : is_live(status) || status == NULL ? 1 : 2;
}

static bool
is_older(const struct matter *matter, const char *status)
{
	const struct organization *organization = matter->organization;
	const int64_t at = matter->event->occurred_at;

	if (is_over(organization->subscription_status))
		return true;
	if (is_over(status) || at > organization->subscription_at)
		return false;
	return at < organization->subscription_at ||
	    stage_of(status) < stage_of(organization->subscription_status);
}

static void
mirror_subscription(const struct matter *matter)
{
	const struct event *event = matter->event;
	struct organization *organization = matter->organization;
	const char *status = json_text(matter->object, "status");

	if (json_text(matter->object, "id") == NULL) {
		ignore(matter, "it names no subscription");
		return;
	}
	if (!follow(matter, status))
		return;
	if (is_older(matter, status)) {
		note(matter, "older than what is known");
		return;
	}
	mem_replace(&organization->subscription_status, status);
	if (organization->subscription_at < event->occurred_at)
		organization->subscription_at = event->occurred_at;
	matter->plan->organization_changed = true;
	mirror_plan(matter);
	mirror_status(matter, status);
}

static void
announce_end_of_trial(const struct matter *matter)
{
	mirror_subscription(matter);
	payment_post(matter->event, matter->organization, "trial_ends",
	    "A trial ends soon", matter->conf, matter->plan);
}

/* Irreversible; the ends of its subscriptions are told in any order. */
static void
delete_customer(const struct matter *matter)
{
	struct organization *organization = matter->organization;

	mem_replace(&organization->subscription_status, "canceled");
	if (!is_word(organization->status, "canceled"))
		cancel_organization(matter);
	matter->plan->organization_changed = true;
	tell_founder(matter, "stripe.customer_deleted", NULL,
	    mem_format("%s of %s was deleted at Stripe: its subscriptions "
		       "are over, and its usage can no more be reported.",
		matter->event->customer_id, name_of(matter)));
}

/*
 * Invoices.
 */

/* The first number there is; 0 for none. */
static int64_t
number_of(const json_t *object, const char *const *paths)
{
	int64_t number = 0;

	for (; *paths != NULL; paths++)
		if (json_number(&number, object, *paths))
			return number;
	return 0;
}

/* What an invoice says of itself, into our row of it. */
static void
read_invoice(const struct matter *matter, const char *state)
{
	static const char *const amounts[] = {
	    "amount_remaining", "amount_due", NULL};
	static const char *const attempts[] = {"attempt_count", NULL};
	const json_t *object = matter->object;
	const struct event *event = matter->event;
	struct invoice *invoice = &matter->account->invoice;

	if (!invoice->known) {
		invoice->known = true;
		invoice->id = mem_copy(event->invoice_id);
		invoice->organization_id = mem_copy(matter->organization->id);
	}
	if (is_word(state, "paid") && invoice->failed_at != 0 &&
	    !is_word(invoice->state, "paid"))
		invoice->recovered_minor = invoice->amount_minor;
	mem_replace(&invoice->state, state);
	invoice->state_at = event->occurred_at;
	invoice->amount_minor = number_of(object, amounts);
	mem_replace(&invoice->currency, json_text(object, "currency"));
	if (invoice->currency == NULL)
		invoice->currency = mem_copy("");
	mem_replace(&invoice->url, json_text(object, "hosted_invoice_url"));
	invoice->attempts = number_of(object, attempts);
	invoice->next_attempt_at = stripe_time(object, "next_payment_attempt");
	matter->plan->invoice_changed = true;
}

static bool
is_settled(const struct invoice *invoice)
{
	return invoice->known && strcmp(invoice->state, "failed") != 0;
}

static char *
amount_of(const json_t *object, const char *path)
{
	struct buf text = BUF_INIT(64);
	const char *const paths[] = {path, NULL};
	char *copy;

	money_text(
	    &text, number_of(object, paths), json_text(object, "currency"));
	copy = mem_copy(buf_string(&text));
	buf_release(&text);
	return copy;
}

/* One whose failure is no dunning: nobody loses what he had. */
static void
report_other_failure(const struct matter *matter, const char *subscription)
{
	char *amount = amount_of(matter->object, "amount_remaining");

	tell_founder(matter,
	    subscription != NULL ? "payment.first_failed"
				 : "payment.one_off_failed",
	    mem_format("payment.failed:%s", matter->event->invoice_id),
	    mem_format("%s could not be charged %s (invoice %s, %s).",
		name_of(matter), amount, matter->event->invoice_id,
		subscription != NULL ? "the first of a subscription"
				     : "no subscription"));
	free(amount);
}

/* The first failure counts, whichever is heard of first. */
static void
note_failure(const struct matter *matter)
{
	struct invoice *invoice = &matter->account->invoice;
	const int64_t at = matter->event->occurred_at,
		      first_at = invoice->failed_at;

	if (!invoice->known || at >= invoice->state_at)
		read_invoice(matter, "failed");
	if (first_at == 0 || at < first_at)
		invoice->failed_at = at;
	matter->plan->invoice_changed = true;
}

static void
continue_cycle(const struct matter *matter)
{
	struct dunning *cycle = &matter->account->dunning;
	const struct invoice *invoice = &matter->account->invoice;

	if (is_word(cycle->invoice_id, invoice->id) &&
	    invoice->failed_at < cycle->opened_at) {
		cycle->opened_at = invoice->failed_at;
		matter->plan->dunning_changed = true;
	}
	note(matter, "its dunning goes on");
}

/* What failed before, and was well in between, is counted from now on. */
static void
begin_cycle(const struct matter *matter)
{
	struct account *account = matter->account;

	if (account->invoice.failed_at < matter->event->occurred_at)
		account->invoice.failed_at = matter->event->occurred_at;
	payment_open_cycle(matter->event, account, &account->invoice,
	    &account->dunning, matter->conf, matter->plan);
}

static void
fail_payment(const struct matter *matter)
{
	struct account *account = matter->account;
	const struct organization *organization = matter->organization;
	const char *subscription = stripe_invoice_subscription(matter->object);

	if (subscription == NULL || stripe_invoice_is_first(matter->object) ||
	    is_word(organization->subscription_status, "incomplete")) {
		report_other_failure(matter, subscription);
		return;
	}
	if (is_settled(&account->invoice)) {
		note(matter, "the invoice is settled already");
		return;
	}
	note_failure(matter);
	if (is_word(organization->status, "canceled"))
		note(matter, "the subscription is over");
	if (is_word(organization->status, "canceled") ||
	    is_word(organization->status, "downgraded"))
		return;
	payment_set_status(matter->event, matter->organization, "past_due",
	    PAYMENT_PAST_DUE, matter->plan);
	if (account->dunning.known && account->dunning.closed_at == 0)
		continue_cycle(matter);
	else if (is_word(organization->status, "past_due"))
		begin_cycle(matter);
	else
		note(matter, "it has been well since");
}

static bool
pays_something(const json_t *invoice)
{
	int64_t amount;

	return json_number(&amount, invoice, "amount_paid") && amount > 0;
}

/* That debt is gone; the next oldest, if there is one, takes its place. */
static void
end_cycle(const struct matter *matter, const char *why)
{
	struct account *account = matter->account;

	payment_close_cycle(
	    matter->event, account, why, matter->conf, matter->plan);
	if (account->unpaid.known)
		payment_open_cycle(matter->event, account, &account->unpaid,
		    &matter->plan->opened, matter->conf, matter->plan);
}

static bool
is_cycle_of(const struct dunning *cycle, const char *invoice_id)
{
	return cycle->known && strcmp(cycle->invoice_id, invoice_id) == 0;
}

/* What is paid for a subscription that is over brings no plan back. */
static void
pay_after_downgrade(const struct matter *matter, bool of_cycle)
{
	if (!of_cycle && !pays_something(matter->object))
		return;
	if (!is_over(matter->organization->subscription_status)) {
		payment_restore(
		    matter->event, matter->account, matter->conf, matter->plan);
		return;
	}
	tell_founder(matter, "payment.after_end", NULL,
	    mem_format("%s has paid invoice %s after the subscription was "
		       "over: the plan did not come back by itself.",
		name_of(matter), matter->event->invoice_id));
}

/*
 * The debt of the cycle is paid, however late that is heard of: active, unless
 * the subscription has since been past due, which another invoice must be.
 */
static void
recover(const struct matter *matter)
{
	struct organization *organization = matter->organization;
	const bool is_troubled =
	    is_word(organization->subscription_status, "past_due") ||
	    is_word(organization->subscription_status, "unpaid");

	if (payment_set_status(matter->event, organization, "active",
		PAYMENT_PAID, matter->plan) ||
	    (is_troubled &&
		organization->subscription_at > matter->event->occurred_at))
		return;
	mem_replace(&organization->status, "active");
	mem_replace(&organization->status_event_id, matter->event->id);
	organization->status_rank = PAYMENT_PAID;
	matter->plan->organization_changed = true;
}

static void
take_payment(const struct matter *matter)
{
	struct account *account = matter->account;
	struct organization *organization = matter->organization;
	const struct dunning *cycle = &account->dunning;
	const bool of_cycle = is_cycle_of(cycle, matter->event->invoice_id);

	if (stripe_invoice_subscription(matter->object) == NULL &&
	    !account->invoice.known) {
		note(matter, "no subscription");
		return;
	}
	read_invoice(matter, "paid");
	if (is_word(organization->status, "canceled")) {
		note(matter, "the subscription is over");
	} else if (is_word(organization->status, "downgraded")) {
		pay_after_downgrade(matter, of_cycle);
	} else if (of_cycle && cycle->closed_at == 0) {
		end_cycle(matter, "paid");
		if (!account->unpaid.known)
			recover(matter);
	} else if ((!cycle->known || cycle->closed_at != 0) &&
	    pays_something(matter->object)) {
		payment_set_status(matter->event, organization, "active",
		    PAYMENT_PAID, matter->plan);
	}
}

/* Written off by the founder, or at Stripe: nothing to remind of. */
static void
write_off(const struct matter *matter)
{
	const bool is_void = is_kind(matter, "invoice.voided");
	char *amount;

	if (!matter->account->invoice.known) {
		note(matter, "it never failed");
		return;
	}
	if (is_settled(&matter->account->invoice))
		return;
	read_invoice(matter, is_void ? "void" : "uncollectible");
	if (is_cycle_of(&matter->account->dunning, matter->event->invoice_id))
		end_cycle(matter, is_void ? "void" : "uncollectible");
	if (is_void)
		return;
	amount = amount_of(matter->object, "amount_remaining");
	tell_founder(matter, "payment.uncollectible",
	    mem_format("payment.uncollectible:%s", matter->event->invoice_id),
	    mem_format("%s of %s (invoice %s) is written off; reminders end.",
		amount, name_of(matter), matter->event->invoice_id));
	free(amount);
}

static void
ask_for_action(const struct matter *matter)
{
	struct account *account = matter->account;

	if (stripe_invoice_subscription(matter->object) == NULL ||
	    stripe_invoice_is_first(matter->object)) {
		note(matter, "its buyer is at the checkout");
		return;
	}
	if (is_settled(&account->invoice)) {
		note(matter, "the invoice is settled already");
		return;
	}
	if (is_word(matter->organization->status, "canceled")) {
		note(matter, "the subscription is over");
		return;
	}
	note_failure(matter);
	account->invoice.action_required = true;
	payment_tell(matter->event, account, &account->invoice,
	    &account->dunning, "payment_action_required", matter->conf,
	    matter->plan);
}

static void
report_finalization(const struct matter *matter)
{
	const char *words =
	    json_text(matter->object, "last_finalization_error.message");
	const char *tax = json_text(matter->object, "automatic_tax.status");

	tell_founder(matter, "payment.finalization_failed",
	    mem_format(
		"payment.finalization_failed:%s", matter->event->invoice_id),
	    mem_format("Invoice %s of %s stays a draft, nobody is charged: "
		       "%s%s",
		matter->event->invoice_id, name_of(matter),
		words != NULL ? words : "Stripe does not say why.",
		is_word(tax, "requires_location_inputs")
		    ? " The customer's address is wanted."
		    : ""));
}

/*
 * What names no customer.
 */

static void
open_dispute(const struct matter *matter)
{
	const json_t *object = matter->object;
	struct dispute *dispute = &matter->plan->dispute;
	const char *id = json_text(object, "id"),
		   *reason = json_text(object, "reason");
	int64_t due_at = stripe_time(object, "evidence_details.due_by");
	char *amount = amount_of(object, "amount"), due[CLOCK_TEXT_MAX];

	if (id == NULL) {
		ignore(matter, "it names no dispute");
		free(amount);
		return;
	}
	dispute->known = true;
	dispute->id = mem_copy(id);
	dispute->charge_id = mem_copy(stripe_id(object, "charge"));
	dispute->opened_at = matter->event->occurred_at;
	if (is_kind(matter, "charge.dispute.closed")) {
		dispute->closed_at = matter->event->occurred_at;
		plan_resolve(
		    matter->plan, mem_format("payment.dispute:%s", id));
	} else {
		tell_founder(matter, "payment.dispute",
		    mem_format("payment.dispute:%s", id),
		    mem_format("%s is disputed (%s), charge %s. Evidence is "
			       "due by %s.",
			amount, reason != NULL ? reason : "no reason given",
			dispute->charge_id != NULL ? dispute->charge_id : "?",
			due_at > 0 ? clock_format(due, due_at) : "?"));
	}
	free(amount);
}

/*
 * Thin: what was wrong is not in it, but at Stripe, which only a command that
 * may ask can say.
 */
static void
report_meter(const struct matter *matter)
{
	const struct event *event = matter->event;
	const char *meter = json_text(event->data, "related_object.id");
	struct buf command = BUF_INIT(2048);
	struct alert alert = {0};

	buf_text(&command, "automate-reconcile --explain ");
	message_word(&command, event->id);
	alert.kind = mem_copy("usage.meter_errors");
	alert.key =
	    mem_format("usage.meter_errors:%s", meter != NULL ? meter : "");
	alert.message = mem_format(
	    "Stripe took usage that it then could not count (%s, meter %s): "
	    "money not billed. The next command says why.",
	    event->kind, meter != NULL ? meter : "unknown");
	alert.next_command = mem_copy(buf_string(&command));
	alert.event_id = mem_copy(event->id);
	plan_alert(matter->plan, &alert);
	buf_release(&command);
}

/*
 * Which is which.
 */

static const struct type {
	const char *name;
	void (*decide)(const struct matter *);
	bool is_anybodys; /* needs no organization */
} types[] = {
    {"charge.dispute.closed", open_dispute, true},
    {"charge.dispute.created", open_dispute, true},
    {"checkout.session.async_payment_failed", fail_checkout, true},
    {"checkout.session.async_payment_succeeded", complete_checkout, true},
    {"checkout.session.completed", complete_checkout, true},
    {"customer.deleted", delete_customer, false},
    {"customer.subscription.created", mirror_subscription, false},
    {"customer.subscription.deleted", mirror_subscription, false},
    {"customer.subscription.paused", mirror_subscription, false},
    {"customer.subscription.resumed", mirror_subscription, false},
    {"customer.subscription.trial_will_end", announce_end_of_trial, false},
    {"customer.subscription.updated", mirror_subscription, false},
    {"invoice.finalization_failed", report_finalization, false},
    {"invoice.marked_uncollectible", write_off, false},
    {"invoice.paid", take_payment, false},
    {"invoice.payment_action_required", ask_for_action, false},
    {"invoice.payment_failed", fail_payment, false},
    {"invoice.payment_succeeded", take_payment, false},
    {"invoice.voided", write_off, false},
    {"v1.billing.meter.error_report_triggered", report_meter, true},
    {"v1.billing.meter.no_meter_found", report_meter, true},
};

static const struct type *
find_type(const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, kind) == 0)
			return &types[i];
	return NULL;
}

const char *
stripe_type(size_t number)
{
	return number < sizeof(types) / sizeof(types[0]) ? types[number].name
							 : NULL;
}

/* Another account's, or another world's; NULL: ours. */
static const char *
stranger(const struct event *event, const struct conf *conf)
{
	const json_t *live = json_at(event->data, "livemode");

	if (json_text(event->data, "account") != NULL)
		return "connect";
	if (json_is_true(live) && conf->stripe_mode != CONF_LIVE)
		return "live_mode";
	if (json_is_false(live) && conf->stripe_mode != CONF_TEST)
		return "test_mode";
	return NULL;
}

bool
decide_stripe(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const struct matter matter = {event,
	    json_at(event->data, "data.object"), account,
	    &account->organization, conf, plan};
	const struct type *type = find_type(event->kind);
	const char *flag = stranger(event, conf);

	(void)error;
	if (flag != NULL) {
		json_put(plan->result, "flag", flag);
		plan->outcome = "ignored";
	} else if (type == NULL) {
		plan->outcome = "ignored";
	} else if (strncmp(event->kind, "invoice.", 8) == 0 &&
	    event->invoice_id == NULL) {
		ignore(&matter, "it names no invoice");
	} else if (!type->is_anybodys && !account->organization.known) {
		wait_for_customer(&matter);
	} else {
		/* A claim by metadata links, as a checkout does. */
		if (!type->is_anybodys && !link_customer(&matter))
			return true;
		type->decide(&matter);
	}
	return true;
}
