#include "decide/dunning.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "decide/payment.h"
#include "decide/stripe.h"

#define HOUR_S 3600
#define WHY_MAX 512

static const struct {
	const char *name;
	int day;
} steps[DUNNING_STEPS] = {{"reminder_1", 1}, {"reminder_3", 3},
    {"final_notice", 7}, {"downgrade", 14}};

const char *
dunning_step_name(enum dunning_step step)
{
	return steps[step].name;
}

static bool
is_word(const char *text, const char *word)
{
	return text != NULL && strcmp(text, word) == 0;
}

/*
 * The calendar.
 */

/* A second of the local day that is so many days after the one of moment. */
static int64_t
on_day(int64_t moment, int days, int64_t second, const char *zone)
{
	struct tm local;

	clock_local(&local, moment, zone);
	local.tm_mday += days;
	local.tm_hour = (int)(second / HOUR_S);
	local.tm_min = (int)(second % HOUR_S / 60);
	local.tm_sec = (int)(second % 60);
	return clock_from_local(&local, zone);
}

static int64_t
date_of(int64_t moment, const char *zone)
{
	struct tm local;

	clock_local(&local, moment, zone);
	local.tm_hour = local.tm_min = local.tm_sec = 0;
	return clock_from_local(&local, "UTC") / CLOCK_DAY_S;
}

int64_t
dunning_day(
    const struct dunning *cycle, const struct conf *conf, int64_t moment)
{
	return date_of(moment, conf->zone) -
	    date_of(cycle->opened_at, conf->zone);
}

static int64_t
due_at(const struct dunning *cycle, enum dunning_step step,
    const struct conf *conf)
{
	return on_day(cycle->opened_at, steps[step].day,
	    conf->dunning_hours.from_s, conf->zone);
}

/* The moment itself, if it lies in the hours, else when they begin next. */
static int64_t
in_hours(int64_t moment, const struct conf *conf)
{
	const int64_t from = conf->dunning_hours.from_s,
		      until = conf->dunning_hours.until_s;
	int64_t second, opens_at;
	struct tm local;

	clock_local(&local, moment, conf->zone);
	second = local.tm_hour * HOUR_S + local.tm_min * 60 + local.tm_sec;
	if (from == until ||
	    (from < until ? second >= from && second < until
			  : second >= from || second < until))
		return moment;
	opens_at = on_day(moment, second < from ? 0 : 1, from, conf->zone);
	/* In an hour that daylight saving repeats. */
	return opens_at > moment ? opens_at : opens_at + HOUR_S;
}

bool
dunning_is_hour(const struct conf *conf, int64_t now)
{
	return in_hours(now, conf) == now;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t
dunning_end(
    const struct dunning *cycle, const struct conf *conf, int64_t warned_at)
{
	int64_t at = due_at(cycle, DUNNING_DOWNGRADE, conf);

	at = later(at, cycle->opened_at + DUNNING_AGE_S);
	return in_hours(later(at, warned_at + DUNNING_NOTICE_S), conf);
}

/*
 * The next step.
 */

/* The latest step that was taken or skipped; -1 for none. */
static int
step_of(const char *name)
{
	int step = DUNNING_STEPS - 1;

	while (step >= 0 && !is_word(name, steps[step].name))
		step--;
	return step;
}

static enum dunning_step
step_at(const struct dunning *cycle, const struct conf *conf, int64_t moment)
{
	int step = step_of(cycle->step) + 1;

	while (step < DUNNING_FINAL_NOTICE &&
	    due_at(cycle, (enum dunning_step)(step + 1), conf) <= moment)
		step++;
	return step < DUNNING_DOWNGRADE ? (enum dunning_step)step
					: DUNNING_DOWNGRADE;
}

static void
postpone(struct dunning_next *next, int64_t until, enum dunning_wait wait)
{
	if (until <= next->at)
		return;
	next->at = until;
	if (wait != DUNNING_DAY || next->wait == DUNNING_READY)
		next->wait = wait;
}

static void
postpone_reminder(struct dunning_next *next, const struct account *account,
    const struct conf *conf)
{
	const int64_t try_at = account->owed.next_attempt_at;

	if (try_at < on_day(next->at, 1, 0, conf->zone))
		postpone(next, try_at, DUNNING_TRY);
}

static void
postpone_downgrade(struct dunning_next *next, const struct account *account)
{
	const int64_t try_at = account->owed.next_attempt_at;

	postpone(next, account->dunning.opened_at + DUNNING_AGE_S, DUNNING_DAY);
	postpone(next,
	    later(account->warned_at, account->dunning.step_at) +
		DUNNING_NOTICE_S,
	    DUNNING_NOTICE);
	if (try_at <= next->at + DUNNING_TRY_S)
		postpone(next, try_at + DUNNING_RESULT_S, DUNNING_TRY);
}

static enum dunning_wait
hindrance(const struct account *account, enum dunning_step step)
{
	const struct organization *organization = &account->organization;

	if (account->all_frozen || organization->frozen_at != 0)
		return DUNNING_FROZEN;
	if (!is_word(organization->status, "past_due") ||
	    !is_word(account->owed.state, "failed"))
		return DUNNING_WELL;
	if (organization->deleted_at != 0)
		return DUNNING_DELETED;
	if (step == DUNNING_DOWNGRADE && account->disputed)
		return DUNNING_DISPUTE;
	if (step == DUNNING_DOWNGRADE && account->warned_at == 0)
		return DUNNING_UNWARNED;
	return DUNNING_READY;
}

struct dunning_next
dunning_next(
    const struct account *account, const struct conf *conf, int64_t now)
{
	const struct dunning *cycle = &account->dunning;
	struct dunning_next next = {.at = now};
	enum dunning_wait found;
	int64_t at;

	do {
		at = next.at;
		next.step = step_at(cycle, conf, at);
		postpone(&next, due_at(cycle, next.step, conf), DUNNING_DAY);
		if (next.step == DUNNING_DOWNGRADE)
			postpone_downgrade(&next, account);
		else
			postpone_reminder(&next, account, conf);
		postpone(&next, in_hours(next.at, conf), DUNNING_DAY);
	} while (next.at != at);
	found = hindrance(account, next.step);
	if (found != DUNNING_READY)
		next.wait = found;
	return next;
}

bool
dunning_is_due(const struct dunning_next *next, int64_t now)
{
	return next->at <= now;
}

static void
say_moment(struct buf *words, const char *what, int64_t at)
{
	char when[CLOCK_TEXT_MAX];

	buf_format(words, "%s %s", what, clock_format(when, at));
}

void
dunning_why(struct buf *words, const struct account *account,
    const struct dunning_next *next)
{
	const struct organization *organization = &account->organization;

	switch (next->wait) {
	case DUNNING_READY:
	case DUNNING_DAY: break;
	case DUNNING_TRY:
		say_moment(
		    words, "Stripe tries again", account->owed.next_attempt_at);
		break;
	case DUNNING_NOTICE:
		buf_text(words, "48 hours after the warning");
		break;
	case DUNNING_FROZEN:
		if (organization->frozen_at != 0)
			say_moment(
			    words, "frozen since", organization->frozen_at);
		else
			buf_text(words, "all are frozen");
		break;
	case DUNNING_WELL:
		if (is_word(organization->status, "past_due"))
			buf_format(words, "its invoice is %s",
			    account->owed.known ? account->owed.state
						: "unknown");
		else
			buf_format(words, "it is %s", organization->status);
		break;
	case DUNNING_DELETED:
		say_moment(words, "deleted", organization->deleted_at);
		break;
	case DUNNING_DISPUTE: buf_text(words, "dispute"); break;
	case DUNNING_UNWARNED:
		buf_text(words, "no reminder was delivered");
		break;
	}
}

void
dunning_imagine(struct account *account, const struct dunning_next *next)
{
	mem_replace(&account->dunning.step, steps[next->step].name);
	account->dunning.step_at = next->at;
	if (account->warned_at == 0)
		account->warned_at = next->at;
}

bool
dunning_fuse_blows(int64_t downgrades, int64_t active)
{
	return downgrades > 0 &&
	    (active == 0 || downgrades > later(3, active / 50));
}

/*
 * The fresh read.
 */

static int64_t
time_of(const json_t *json, const char *path)
{
	const char *text = json_text(json, path);
	int64_t at;

	return text != NULL && clock_parse(&at, text, NULL) ? at : 0;
}

/* A bank debit, say, takes days. */
static bool
is_processing(const json_t *invoice)
{
	const json_t *payment;
	size_t i;

	json_array_foreach(json_at(invoice, "payments.data"), i, payment)
	{
		if (is_word(json_text(payment, "payment.payment_intent.status"),
			"processing"))
			return true;
	}
	return false;
}

json_t *
dunning_read(const json_t *invoice, const json_t *subscription)
{
	json_t *read = json_object();
	int64_t amount;

	json_put(read, "invoice", json_text(invoice, "id"));
	json_put(read, "invoice_status", json_text(invoice, "status"));
	if (json_number(&amount, invoice, "amount_remaining"))
		json_put_number(read, "amount_remaining", amount);
	json_put_time(read, "next_attempt_at",
	    stripe_time(invoice, "next_payment_attempt"));
	json_object_set_new(
	    read, "processing", json_boolean(is_processing(invoice)));
	if (subscription == NULL)
		return read;
	json_put(read, "subscription", json_text(subscription, "id"));
	json_put(
	    read, "subscription_status", json_text(subscription, "status"));
	json_object_set_new(read, "collection_paused",
	    json_boolean(json_at(subscription, "pause_collection") != NULL));
	json_put(
	    read, "latest_invoice", stripe_id(subscription, "latest_invoice"));
	json_put_time(read, "latest_next_attempt_at",
	    stripe_time(subscription, "latest_invoice.next_payment_attempt"));
	return read;
}

/* What Stripe sends when a debt comes to such an end. */
static const struct ending {
	const char *path, *status, *why, *type;
	bool is_subscription;
} endings[] = {
    {"invoice_status", "paid", "paid", "invoice.paid", false},
    {"invoice_status", "void", "void", "invoice.voided", false},
    {"invoice_status", "uncollectible", "uncollectible",
	"invoice.marked_uncollectible", false},
    {"subscription_status", "active", "active", "customer.subscription.updated",
	true},
    {"subscription_status", "trialing", "active",
	"customer.subscription.updated", true},
    {"subscription_status", "canceled", "canceled",
	"customer.subscription.deleted", true},
    {"subscription_status", "incomplete_expired", "canceled",
	"customer.subscription.deleted", true},
};

static const struct ending *
ending_of(const json_t *read)
{
	size_t i;

	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (is_word(
			json_text(read, endings[i].path), endings[i].status))
			return &endings[i];
	return NULL;
}

static bool
is_near(int64_t try_at, int64_t now)
{
	return try_at > now - DUNNING_RESULT_S && try_at <= now + DUNNING_TRY_S;
}

enum dunning_verdict
dunning_judge(const json_t *read, int64_t now, struct buf *why)
{
	const struct ending *ending = ending_of(read);
	const char *invoice = json_text(read, "invoice_status"),
		   *subscription = json_text(read, "subscription_status");
	int64_t try_at = time_of(read, "next_attempt_at");

	if (!is_near(try_at, now))
		try_at = time_of(read, "latest_next_attempt_at");
	if (ending != NULL) {
		buf_text(why, ending->why);
		return DUNNING_OVER;
	}
	if (!is_word(invoice, "open"))
		buf_format(why, "its invoice is %.40s at Stripe",
		    invoice != NULL ? invoice : "of no status");
	else if (!is_word(subscription, "past_due") &&
	    !is_word(subscription, "unpaid"))
		buf_format(why, "its subscription is %.40s at Stripe",
		    subscription != NULL ? subscription : "not known");
	else if (json_is_true(json_at(read, "collection_paused")))
		buf_text(why, "collection is paused at Stripe");
	else if (json_is_true(json_at(read, "processing")))
		buf_text(why, "a payment is under way at Stripe");
	else if (is_near(try_at, now))
		say_moment(why, "Stripe tries again", try_at);
	else
		return DUNNING_OWED;
	return DUNNING_UNSURE;
}

/*
 * Events.
 */

/* A fact that we make ourselves; data is taken. */
static void
make_event(struct event *event, char *id, const char *source, char *kind,
    json_t *data, int64_t now)
{
	memset(event, 0, sizeof(*event));
	event->id = id;
	event->source = source;
	event->kind = kind;
	event->occurred_at = event->received_at = now;
	event->data = data;
	event->body = json_compact(data);
}

static void
put_step(json_t *data, const struct account *account, enum dunning_step step,
    const struct conf *conf, int64_t now)
{
	const struct dunning *cycle = &account->dunning;
	const struct invoice *owed = &account->owed;

	json_put(data, "cycle", cycle->id);
	json_put(data, "step", steps[step].name);
	json_put_time(data, "at", now);
	json_put_time(data, "opened_at", cycle->opened_at);
	json_put_number(data, "day", dunning_day(cycle, conf, now));
	json_put_number(data, "age_s", now - cycle->opened_at);
	json_put(data, "step_before", cycle->step);
	json_put_time(data, "step_before_at", cycle->step_at);
	json_put_time(data, "warned_at", account->warned_at);
	json_put(data, "invoice", owed->id);
	json_put_number(data, "amount_minor", owed->amount_minor);
	json_put(data, "currency", owed->currency);
	json_put_time(data, "next_attempt_at", owed->next_attempt_at);
	json_object_set_new(
	    data, "action_required", json_boolean(owed->action_required));
	json_put(data, "status_event", account->organization.status_event_id);
}

char *
dunning_step_id(const struct account *account, enum dunning_step step)
{
	return mem_format(
	    "dunning:%s:%s", account->dunning.id, steps[step].name);
}

void
dunning_step_event(struct event *event, const struct account *account,
    enum dunning_step step, const json_t *read, const struct conf *conf,
    int64_t run_id, int64_t now)
{
	json_t *data = json_object();

	put_step(data, account, step, conf, now);
	json_put_number(data, "run", run_id);
	if (step == DUNNING_DOWNGRADE)
		json_put(data, "verify",
		    conf->dunning_verify == CONF_TRUST ? "off" : "on");
	if (read != NULL)
		json_object_set(data, "read", (json_t *)read);
	make_event(event, dunning_step_id(account, step), "cron",
	    mem_format("dunning.%s", steps[step].name), data, now);
	event->organization_id = mem_copy(account->organization.id);
	event->invoice_id = mem_copy(account->dunning.invoice_id);
}

static json_t *
envelope(const struct ending *ending, const char *id, const json_t *object,
    int64_t now)
{
	json_t *all = json_object(), *data = json_object();

	json_object_set(data, "object", (json_t *)object);
	json_put(all, "id", id);
	json_put(all, "object", "event");
	json_put(all, "type", ending->type);
	json_put_number(all, "created", now);
	json_object_set_new(all, "data", data);
	return all;
}

void
dunning_missed_event(struct event *event, const struct account *account,
    const json_t *read, const json_t *invoice, const json_t *subscription,
    int64_t run_id, int64_t now)
{
	const struct ending *ending = ending_of(read);
	char *id =
	    mem_format("dunning:%s:%s", account->dunning.id, ending->type);
	json_t *data = envelope(
	    ending, id, ending->is_subscription ? subscription : invoice, now);

	json_put(data, "cycle", account->dunning.id);
	json_object_set(data, "read", (json_t *)read);
	json_put_number(data, "run", run_id);
	make_event(event, id, "cron", mem_copy(ending->type), data, now);
	event->organization_id = mem_copy(account->organization.id);
	event->customer_id = mem_copy(account->organization.stripe_customer_id);
	if (!ending->is_subscription)
		event->invoice_id = mem_copy(account->dunning.invoice_id);
}

void
dunning_dispute_event(struct event *event, const char *dispute_id,
    const char *customer_id, int64_t now)
{
	json_t *data = json_object();

	json_put(data, "dispute", dispute_id);
	json_put(data, "customer", customer_id);
	make_event(event, mem_format("dispute:%s:customer", dispute_id), "cron",
	    mem_copy("dunning.dispute"), data, now);
	event->is_claim = true;
	event->customer_id = mem_copy(customer_id);
}

void
dunning_freeze_event(
    struct event *event, const char *organization_id, bool freeze, int64_t now)
{
	const char *verb = freeze ? "freeze" : "thaw";
	char when[CLOCK_TEXT_MAX];
	json_t *data = json_object();

	json_put(data, "organization",
	    organization_id != NULL ? organization_id : "all");
	make_event(event,
	    mem_format("%s:%s:%s", verb,
		organization_id != NULL ? organization_id : "all",
		clock_format(when, now)),
	    "manual", mem_format("dunning.%s", verb), data, now);
	event->organization_id = mem_copy(organization_id);
}

/*
 * Rules.
 */

static bool
refuse(struct error *error, const char *words)
{
	return error_set(error, ERROR_DATA, "%s", words);
}

/* Whether the cycle that the event is about is the open one. */
static bool
is_open(const struct event *event, const struct account *account)
{
	return account->dunning.known && account->dunning.closed_at == 0 &&
	    is_word(json_text(event->data, "cycle"), account->dunning.id);
}

static bool
decide_skipped(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	(void)event;
	(void)account;
	(void)conf;
	(void)error;
	plan->outcome = "ignored";
	json_object_set_new(plan->result, "skipped", json_true());
	return true;
}

/* Those between the latest step and this one, which takes their place. */
static void
skip_before(const struct event *event, const struct account *account,
    enum dunning_step step, const struct conf *conf, struct plan *plan)
{
	struct event skipped;
	int64_t run_id;
	int i;

	if (!json_number(&run_id, event->data, "run"))
		run_id = 0;
	for (i = step_of(account->dunning.step) + 1; i < (int)step; i++) {
		dunning_step_event(&skipped, account, (enum dunning_step)i,
		    NULL, conf, run_id, event->received_at);
		plan_cause(plan, &skipped, decide_skipped);
	}
}

static void
take_step(const struct event *event, struct account *account,
    enum dunning_step step, struct plan *plan)
{
	mem_replace(&account->dunning.step, steps[step].name);
	account->dunning.step_at = event->received_at;
	plan->dunning_changed = true;
}

static bool
is_confirmed(
    const struct event *event, const struct conf *conf, struct error *error)
{
	const json_t *read = json_at(event->data, "read");
	struct buf why = BUF_INIT(WHY_MAX);
	bool ok = true;

	if (conf->dunning_verify == CONF_TRUST)
		return true;
	if (read == NULL)
		return refuse(error, "Stripe was not asked");
	if (dunning_judge(read, event->received_at, &why) != DUNNING_OWED)
		ok = refuse(error, buf_string(&why));
	buf_release(&why);
	return ok;
}

/* Stripe ends the subscription, and with it what it collects. */
static void
owe_cancellation(const struct event *event,
    const struct organization *organization, const struct conf *conf,
    struct plan *plan)
{
	const char *id = json_text(event->data, "read.subscription");
	struct buf path = BUF_INIT(1024);
	json_t *request;

	if (id == NULL)
		id = organization->stripe_subscription_id;
	if (conf->dunning_ending != CONF_CANCEL)
		return;
	if (id == NULL) {
		json_put(plan->result, "note",
		    "no subscription is known that Stripe could cancel");
		return;
	}
	buf_text(&path, "/v1/subscriptions/");
	buf_percent(&path, id);
	request = json_object();
	json_put(request, "method", "DELETE");
	json_put(request, "path", buf_string(&path));
	plan_deliver(plan, conf, CONF_STRIPE_API, "cancel_subscription",
	    mem_format("%s:cancel", event->id), json_compact(request),
	    event->received_at);
	json_decref(request);
	buf_release(&path);
}

static bool
downgrade(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	struct organization *organization = &account->organization;

	if (!payment_set_status(
		event, organization, "downgraded", PAYMENT_DOWNGRADED, plan))
		return refuse(error, "its status is newer than this run");
	if (!is_word(organization->plan, conf->dunning_plan)) {
		mem_replace(&organization->former_plan, organization->plan);
		mem_replace(&organization->plan, conf->dunning_plan);
	}
	take_step(event, account, DUNNING_DOWNGRADE, plan);
	payment_close_cycle(event, account, "downgraded", conf, plan);
	payment_tell(event, account, &account->owed, &account->dunning,
	    "downgraded", conf, plan);
	payment_post(event, organization, "downgraded",
	    "Downgraded: unpaid after 14 days and all reminders", conf, plan);
	owe_cancellation(event, organization, conf, plan);
	return true;
}

/* False, and nothing to undo, where the step may not be taken now. */
static bool
is_in_turn(const struct event *event, const struct account *account,
    const struct dunning_next *next, struct error *error)
{
	struct buf why = BUF_INIT(WHY_MAX);
	bool ok;

	if (!is_open(event, account))
		return refuse(error, "its cycle is over");
	ok = next->wait == DUNNING_READY &&
	    dunning_is_due(next, event->received_at) &&
	    is_word(json_text(event->data, "step"), steps[next->step].name);
	if (!ok) {
		dunning_why(&why, account, next);
		refuse(error,
		    why.size > 0 ? buf_string(&why) : "it is not its turn");
	}
	buf_release(&why);
	return ok;
}

bool
decide_dunning(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const struct dunning_next next =
	    dunning_next(account, conf, event->received_at);

	if (!is_in_turn(event, account, &next, error))
		return false;
	if (next.step == DUNNING_DOWNGRADE)
		return is_confirmed(event, conf, error) &&
		    downgrade(event, account, conf, plan, error);
	skip_before(event, account, next.step, conf, plan);
	take_step(event, account, next.step, plan);
	payment_tell(event, account, &account->owed, &account->dunning,
	    steps[next.step].name, conf, plan);
	return true;
}

/* An invoice that was given up leaves a subscription that may be well. */
static void
revive(const struct event *event, struct account *account, struct plan *plan)
{
	const char *status = json_text(event->data, "read.subscription_status");

	if (!is_word(account->organization.status, "past_due") ||
	    account->unpaid.known)
		return;
	if (is_word(status, "active") || is_word(status, "trialing"))
		payment_set_status(
		    event, &account->organization, status, PAYMENT_LIVE, plan);
}

static void
report_missed(
    const struct event *event, const struct account *account, struct plan *plan)
{
	const struct organization *organization = &account->organization;
	struct alert alert = {0};

	alert.kind = mem_copy("dunning.missed_event");
	alert.organization_id = mem_copy(organization->id);
	alert.event_id = mem_copy(event->id);
	alert.message = mem_format("Stripe was asked about %s, and has what it "
				   "did not tell us, or we did not take: %s "
				   "(invoice %s). It is recorded now. See the "
				   "webhook's failed deliveries at Stripe.",
	    organization->name != NULL ? organization->name : organization->id,
	    event->kind, account->dunning.invoice_id);
	plan_alert(plan, &alert);
}

bool
decide_missed(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const struct ending *ending = ending_of(json_at(event->data, "read"));

	if (ending == NULL || !is_open(event, account))
		return refuse(error, "its cycle is over");
	report_missed(event, account, plan);
	if (!decide_stripe(event, account, conf, plan, error))
		return false;
	if (account->dunning.closed_at == 0)
		payment_close_cycle(event, account, ending->why, conf, plan);
	revive(event, account, plan);
	return true;
}

bool
decide_dispute(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	(void)account;
	(void)conf;
	(void)error;
	plan->dispute.known = true;
	plan->dispute.id = mem_copy(json_text(event->data, "dispute"));
	plan->dispute.customer_id = mem_copy(event->customer_id);
	plan->dispute.opened_at = event->occurred_at;
	return true;
}

bool
decide_freeze(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	struct organization *organization = &account->organization;
	const bool thaw = is_word(event->kind, "dunning.thaw");

	(void)conf;
	if (event->organization_id == NULL)
		return true;
	if (!organization->known)
		return error_set(error, ERROR_DATA,
		    "no organization \"%.100s\"; see automate-dunning --list",
		    event->organization_id);
	if (thaw)
		organization->frozen_at = 0;
	else if (organization->frozen_at == 0)
		organization->frozen_at = event->received_at;
	plan->organization_changed = true;
	return true;
}
