/*
 * The rules of dunning: which step comes next and when, and that each condition
 * of a downgrade alone prevents it.
 */
#include "decide/dunning.h"

#include <stdlib.h>

#include "../tap.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/stripe.h"

#define HOUR 3600
#define DAY 86400

static struct conf conf;

static int64_t
at(const char *text)
{
	int64_t moment = 0;

	if (!clock_parse(&moment, text, NULL))
		ok(false, "\"%s\" is a time", text);
	return moment;
}

static void
set_conf(const char *zone)
{
	memset(&conf, 0, sizeof(conf));
	conf.zone = mem_copy(zone);
	conf.dunning_hours = (struct conf_hours){9 * HOUR, 17 * HOUR};
	conf.dunning_plan = mem_copy("free");
	conf.dunning_verify = CONF_VERIFY;
	conf.dunning_ending = CONF_LEAVE;
	conf.destinations[CONF_BILLING].name = "billing";
	conf.destinations[CONF_BILLING].configured = true;
	conf.destinations[CONF_SLACK_CUSTOMERS].name = "slack.customers";
	conf.destinations[CONF_SLACK_CUSTOMERS].configured = true;
	conf.destinations[CONF_STRIPE_API].name = "stripe.api";
	conf.destinations[CONF_STRIPE_API].configured = true;
}

static void
clear_conf(void)
{
	free(conf.zone);
	free(conf.dunning_plan);
}

/* One who has not paid since then, of whom that was the latest step. */
static void
set_account(struct account *account, const char *opened_at, const char *step)
{
	memset(account, 0, sizeof(*account));
	account->organization.known = true;
	account->organization.id = mem_copy("org_1");
	account->organization.name = mem_copy("Acme");
	account->organization.status = mem_copy("past_due");
	account->organization.status_at = at(opened_at);
	account->organization.status_rank = 2;
	account->organization.plan = mem_copy("pro");
	account->organization.stripe_customer_id = mem_copy("cus_1");
	account->organization.stripe_subscription_id = mem_copy("sub_1");
	account->organization.subscription_status = mem_copy("past_due");
	account->dunning.known = true;
	account->dunning.id = mem_copy("org_1:in_1");
	account->dunning.organization_id = mem_copy("org_1");
	account->dunning.invoice_id = mem_copy("in_1");
	account->dunning.opened_at = at(opened_at);
	account->dunning.step = mem_copy(step);
	account->dunning.step_at = at(opened_at);
	account->owed.known = true;
	account->owed.id = mem_copy("in_1");
	account->owed.state = mem_copy("failed");
	account->owed.currency = mem_copy("usd");
	account->owed.amount_minor = 2900;
	account->owed.failed_at = at(opened_at);
}

/* One of whom all holds for a downgrade at that moment. */
#define OPENED "2026-11-01T10:00:00Z"
#define RIPE "2026-11-15T10:00:00Z"

static void
set_ripe(struct account *account)
{
	set_account(account, OPENED, "final_notice");
	account->dunning.step_at = at("2026-11-08T09:00:00Z");
	account->warned_at = at("2026-11-02T09:00:05Z");
}

static char *
next_of(const struct account *account, const char *now)
{
	struct dunning_next next = dunning_next(account, &conf, at(now));
	struct buf words = BUF_INIT(500);
	char when[CLOCK_TEXT_MAX], *text;

	buf_format(&words, "%s %s", dunning_step_name(next.step),
	    next.wait == DUNNING_READY ? "now" : clock_format(when, next.at));
	text = mem_copy(buf_string(&words));
	buf_release(&words);
	return text;
}

/*
 * The calendar.
 */
static const struct turn {
	const char *name, *zone, *opened_at, *step, *now, *next;
} turns[] = {
    {"on the day itself nothing", "UTC", "2026-11-01T10:00:00Z",
	"payment_failed", "2026-11-01T12:00:00Z",
	"reminder_1 2026-11-02T09:00:00Z"},
    {"the day after, before the hours", "UTC", "2026-11-01T10:00:00Z",
	"payment_failed", "2026-11-02T08:59:59Z",
	"reminder_1 2026-11-02T09:00:00Z"},
    {"when the hours begin", "UTC", "2026-11-01T10:00:00Z", "payment_failed",
	"2026-11-02T09:00:00Z", "reminder_1 now"},
    {"until they end", "UTC", "2026-11-01T10:00:00Z", "payment_failed",
	"2026-11-02T16:59:59Z", "reminder_1 now"},
    {"then the next day", "UTC", "2026-11-01T10:00:00Z", "payment_failed",
	"2026-11-02T17:00:00Z", "reminder_1 2026-11-03T09:00:00Z"},
    {"day 3 after day 1", "UTC", "2026-11-01T10:00:00Z", "reminder_1",
	"2026-11-02T12:00:00Z", "reminder_3 2026-11-04T09:00:00Z"},
    {"day 7 after day 3", "UTC", "2026-11-01T10:00:00Z", "reminder_3",
	"2026-11-04T12:00:00Z", "final_notice 2026-11-08T09:00:00Z"},
    {"failed one minute before midnight: tomorrow is day 1", "UTC",
	"2026-11-01T23:59:00Z", "payment_failed", "2026-11-02T09:00:00Z",
	"reminder_1 now"},
    {"days 1 and 3 at once: the latter", "UTC", "2026-11-01T10:00:00Z",
	"payment_failed", "2026-11-05T10:00:00Z", "reminder_3 now"},
    {"day 1 was missed until the evening before day 3", "UTC",
	"2026-11-01T10:00:00Z", "payment_failed", "2026-11-03T18:00:00Z",
	"reminder_3 2026-11-04T09:00:00Z"},
    {"all missed until day 7", "UTC", "2026-11-01T10:00:00Z", "payment_failed",
	"2026-11-08T10:00:00Z", "final_notice now"},
    {"all missed, past day 14: a warning first", "UTC", "2026-11-01T10:00:00Z",
	"payment_failed", "2026-11-21T10:00:00Z", "final_notice now"},
    {"only the last missed, past day 14: that first", "UTC",
	"2026-11-01T10:00:00Z", "reminder_3", "2026-11-21T10:00:00Z",
	"final_notice now"},
    /* Where the business is. */
    {"Tokyo's day began before UTC's", "Asia/Tokyo", "2026-11-01T14:00:00Z",
	"payment_failed", "2026-11-02T00:00:00Z", "reminder_1 now"},
    {"a failure after Tokyo's midnight is of the next day", "Asia/Tokyo",
	"2026-11-01T15:30:00Z", "payment_failed", "2026-11-02T00:00:00Z",
	"reminder_1 2026-11-03T00:00:00Z"},
    {"Los Angeles", "America/Los_Angeles", "2026-11-10T07:30:00Z",
	"payment_failed", "2026-11-10T17:00:00Z", "reminder_1 now"},
    {"Kathmandu's quarter", "Asia/Kathmandu", "2026-11-01T10:00:00Z",
	"payment_failed", "2026-11-01T20:00:00Z",
	"reminder_1 2026-11-02T03:15:00Z"},
    {"summer time ends between failure and reminder", "Europe/Berlin",
	"2026-10-24T12:00:00Z", "payment_failed", "2026-10-24T13:00:00Z",
	"reminder_1 2026-10-25T08:00:00Z"},
    {"and begins", "Europe/Berlin", "2026-03-28T12:00:00Z", "payment_failed",
	"2026-03-28T13:00:00Z", "reminder_1 2026-03-29T07:00:00Z"},
    {"a week over the change", "Europe/Berlin", "2026-10-20T12:00:00Z",
	"reminder_3", "2026-10-23T12:00:00Z",
	"final_notice 2026-10-27T08:00:00Z"},
};

static void
test_calendar(void)
{
	struct account account;
	const struct turn *turn;
	char *next;
	size_t i;

	for (i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		turn = &turns[i];
		set_conf(turn->zone);
		set_account(&account, turn->opened_at, turn->step);
		next = next_of(&account, turn->now);
		is_text(next, turn->next, turn->name);
		free(next);
		account_release(&account);
		clear_conf();
	}
}

/* With dunning.hours of that kind, when the first reminder goes. */
static void
check_hours(int64_t from_s, int64_t until_s, const char *zone,
    const char *opened_at, const char *now, const char *wanted,
    const char *name)
{
	struct account account;
	char *next;

	set_conf(zone);
	conf.dunning_hours = (struct conf_hours){from_s, until_s};
	set_account(&account, opened_at, "payment_failed");
	next = next_of(&account, now);
	is_text(next, wanted, name);
	free(next);
	account_release(&account);
	clear_conf();
}

static void
test_hours(void)
{
	check_hours(0, 0, "UTC", "2026-11-01T10:00:00Z", "2026-11-02T03:00:00Z",
	    "reminder_1 now", "equal hours are all hours");
	check_hours(22 * HOUR, 6 * HOUR, "UTC", "2026-11-01T10:00:00Z",
	    "2026-11-02T21:00:00Z", "reminder_1 2026-11-02T22:00:00Z",
	    "hours over midnight begin in the evening");
	check_hours(22 * HOUR, 6 * HOUR, "UTC", "2026-11-01T10:00:00Z",
	    "2026-11-03T05:00:00Z", "reminder_1 now",
	    "and go on until morning");
	check_hours(22 * HOUR, 6 * HOUR, "UTC", "2026-11-01T10:00:00Z",
	    "2026-11-03T07:00:00Z", "reminder_1 2026-11-03T22:00:00Z",
	    "and end then");
	check_hours(2 * HOUR + 1800, 4 * HOUR, "Europe/Berlin",
	    "2026-03-28T12:00:00Z", "2026-03-28T13:00:00Z",
	    "reminder_1 2026-03-29T01:30:00Z",
	    "an hour that daylight saving skips is the next one");
	check_hours(2 * HOUR + 1800, 2 * HOUR + 2700, "Europe/Berlin",
	    "2026-03-28T12:00:00Z", "2026-03-28T13:00:00Z",
	    "reminder_1 2026-03-30T00:30:00Z",
	    "hours that it skips wholly are not that day");
	check_hours(HOUR + 3300, HOUR + 3400, "America/New_York",
	    "2026-10-30T12:00:00Z", "2026-11-01T06:50:00Z",
	    "reminder_1 2026-11-01T06:55:00Z",
	    "in an hour that it repeats they come twice");
}

/* Stripe's next try, and when the first reminder goes. */
static void
test_tries(void)
{
	static const struct {
		const char *try_at, *now, *next, *name;
	} cases[] = {
	    {"2026-11-02T15:00:00Z", "2026-11-02T09:00:00Z",
		"reminder_1 2026-11-02T15:00:00Z",
		"a try later on the day comes first"},
	    {"2026-11-02T15:00:00Z", "2026-11-02T15:00:00Z", "reminder_1 now",
		"then the reminder goes"},
	    {"2026-11-02T23:59:59Z", "2026-11-02T09:00:00Z",
		"reminder_1 2026-11-03T09:00:00Z",
		"the next morning, if the try is in the night"},
	    {"2026-11-03T00:00:00Z", "2026-11-02T09:00:00Z", "reminder_1 now",
		"a try on the next day is not waited for"},
	    {"2026-11-01T15:00:00Z", "2026-11-02T09:00:00Z", "reminder_1 now",
		"nor one that has been"},
	};
	struct account account;
	char *next;
	size_t i;

	set_conf("UTC");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_account(&account, OPENED, "payment_failed");
		account.owed.next_attempt_at = at(cases[i].try_at);
		next = next_of(&account, cases[i].now);
		is_text(next, cases[i].next, cases[i].name);
		free(next);
		account_release(&account);
	}
	clear_conf();
}

/*
 * The downgrade: with everything right it comes; each condition alone, wrong,
 * prevents it.
 */
static void
all_is_right(struct account *account)
{
	(void)account;
}

static void
warned_late(struct account *account)
{
	account->warned_at = at("2026-11-13T10:00:01Z");
}

static void
noticed_late(struct account *account)
{
	account->dunning.step_at = at("2026-11-13T12:00:00Z");
}

static void
opened_later(struct account *account)
{
	account->dunning.opened_at++;
}

static void
tries_tomorrow(struct account *account)
{
	account->owed.next_attempt_at = at("2026-11-16T10:00:00Z");
}

static void
tried_just_now(struct account *account)
{
	account->owed.next_attempt_at = at("2026-11-15T09:30:00Z");
}

static void
tries_the_day_after(struct account *account)
{
	account->owed.next_attempt_at = at("2026-11-16T10:00:01Z");
}

static void
not_warned(struct account *account)
{
	account->warned_at = 0;
}

static void
disputed(struct account *account)
{
	account->disputed = true;
}

static void
frozen(struct account *account)
{
	account->organization.frozen_at = at(OPENED);
}

static void
all_frozen(struct account *account)
{
	account->all_frozen = true;
}

static void
deleted(struct account *account)
{
	account->organization.deleted_at = at(OPENED);
}

static void
active(struct account *account)
{
	mem_replace(&account->organization.status, "active");
}

static void
canceled(struct account *account)
{
	mem_replace(&account->organization.status, "canceled");
}

static void
paid(struct account *account)
{
	mem_replace(&account->owed.state, "paid");
}

static const struct condition {
	void (*break_it)(struct account *);
	bool comes; /* the downgrade */
	const char *at, *why; /* if not, when at the earliest, and why not */
	const char *name;
} conditions[] = {
    {all_is_right, true, NULL, "", "all is right"},
    {tries_the_day_after, true, NULL, "", "a try beyond a day is no matter"},
    {opened_later, false, "2026-11-15T10:00:01Z", "", "14 days, to the second"},
    {warned_late, false, "2026-11-15T10:00:01Z", "48 hours after the warning",
	"48 hours after the first warning was delivered"},
    {noticed_late, false, "2026-11-15T12:00:00Z", "48 hours after the warning",
	"48 hours after the final notice"},
    {tries_tomorrow, false, "2026-11-16T11:00:00Z",
	"Stripe tries again 2026-11-16T10:00:00Z", "a try within 24 hours"},
    {tried_just_now, false, "2026-11-15T10:30:00Z",
	"Stripe tries again 2026-11-15T09:30:00Z",
	"a try whose result may be under way"},
    {not_warned, false, NULL, "no reminder was delivered", "no warning"},
    {disputed, false, NULL, "dispute", "a dispute"},
    {frozen, false, NULL, "frozen since 2026-11-01T10:00:00Z", "frozen"},
    {all_frozen, false, NULL, "all are frozen", "all frozen"},
    {deleted, false, NULL, "deleted 2026-11-01T10:00:00Z", "deleted"},
    {active, false, NULL, "it is active", "not past due"},
    {canceled, false, NULL, "it is canceled", "canceled"},
    {paid, false, NULL, "its invoice is paid", "the invoice is settled"},
};

static json_t *
read_of(const char *invoice, const char *subscription)
{
	json_t *invoice_object = NULL, *subscription_object = NULL, *read;
	struct error error = {0};

	if (!json_parse(&invoice_object, invoice, strlen(invoice), &error) ||
	    (subscription != NULL &&
		!json_parse(&subscription_object, subscription,
		    strlen(subscription), &error)))
		ok(false, "the test's JSON: %s", error.text);
	read = dunning_read(invoice_object, subscription_object);
	json_decref(invoice_object);
	json_decref(subscription_object);
	return read;
}

#define OPEN                                                                   \
	"{\"id\":\"in_1\",\"status\":\"open\",\"amount_remaining\":2900,"      \
	"\"next_payment_attempt\":null}"
#define PAST_DUE                                                               \
	"{\"id\":\"sub_1\",\"status\":\"past_due\",\"pause_collection\":null," \
	"\"latest_invoice\":{\"id\":\"in_1\"}}"

/* Try the downgrade: whether it is decided; *why is to be freed. */
static bool
try_downgrade(struct account *account, const json_t *read, const char *now,
    struct plan *plan, char **why)
{
	struct event event;
	struct error error = {0};
	bool comes;

	dunning_step_event(
	    &event, account, DUNNING_DOWNGRADE, read, &conf, 7, at(now));
	plan_init(plan);
	comes = decide_dunning(&event, account, &conf, plan, &error);
	*why = mem_copy(error.text);
	if (!comes)
		is_int(error.kind, ERROR_DATA,
		    "what is refused is refused without a trace");
	event_release(&event);
	return comes;
}

static void
test_conditions(void)
{
	const struct condition *condition;
	struct dunning_next next;
	struct account account;
	struct plan plan;
	struct buf words = BUF_INIT(500);
	json_t *read;
	char *why;
	size_t i;

	set_conf("UTC");
	for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		condition = &conditions[i];
		set_ripe(&account);
		condition->break_it(&account);
		next = dunning_next(&account, &conf, at(RIPE));
		buf_clear(&words);
		dunning_why(&words, &account, &next);
		is_text(buf_string(&words), condition->why, condition->name);
		if (condition->at != NULL)
			is_int(next.at, at(condition->at), "until when");
		read = read_of(OPEN, PAST_DUE);
		ok(try_downgrade(&account, read, RIPE, &plan, &why) ==
			condition->comes,
		    "%s: %s", condition->name,
		    condition->comes ? "downgraded" : "not downgraded");
		ok((plan.deliveries_count > 0) == condition->comes,
		    "and told accordingly");
		free(why);
		plan_release(&plan);
		json_decref(read);
		account_release(&account);
	}
	buf_release(&words);
	clear_conf();
}

/*
 * The fresh read.
 */
#define INVOICE(status) "{\"id\":\"in_1\",\"status\":\"" status "\"}"
#define SUBSCRIPTION(status) "{\"id\":\"sub_1\",\"status\":\"" status "\"}"

static const struct {
	const char *invoice, *subscription;
	enum dunning_verdict verdict;
	const char *why;
} reads[] = {
    {OPEN, PAST_DUE, DUNNING_OWED, ""},
    {OPEN, SUBSCRIPTION("unpaid"), DUNNING_OWED, ""},
    {INVOICE("paid"), PAST_DUE, DUNNING_OVER, "paid"},
    {INVOICE("paid"), NULL, DUNNING_OVER, "paid"},
    {INVOICE("void"), PAST_DUE, DUNNING_OVER, "void"},
    {INVOICE("uncollectible"), PAST_DUE, DUNNING_OVER, "uncollectible"},
    {OPEN, SUBSCRIPTION("active"), DUNNING_OVER, "active"},
    {OPEN, SUBSCRIPTION("trialing"), DUNNING_OVER, "active"},
    {OPEN, SUBSCRIPTION("canceled"), DUNNING_OVER, "canceled"},
    {OPEN, SUBSCRIPTION("incomplete_expired"), DUNNING_OVER, "canceled"},
    {OPEN, SUBSCRIPTION("paused"), DUNNING_UNSURE,
	"its subscription is paused at Stripe"},
    {OPEN, SUBSCRIPTION("incomplete"), DUNNING_UNSURE,
	"its subscription is incomplete at Stripe"},
    {OPEN, "{\"id\":\"sub_1\"}", DUNNING_UNSURE,
	"its subscription is not known at Stripe"},
    {OPEN, NULL, DUNNING_UNSURE, "its subscription is not known at Stripe"},
    {OPEN,
	"{\"status\":\"past_due\",\"pause_collection\":{\"behavior\":\"void\"}}",
	DUNNING_UNSURE, "collection is paused at Stripe"},
    {INVOICE("draft"), PAST_DUE, DUNNING_UNSURE,
	"its invoice is draft at Stripe"},
    {"{}", PAST_DUE, DUNNING_UNSURE, "its invoice is of no status at Stripe"},
    {"{\"status\":\"open\",\"next_payment_attempt\":1794823200}", PAST_DUE,
	DUNNING_UNSURE, "Stripe tries again 2026-11-16T10:00:00Z"},
    {"{\"status\":\"open\",\"next_payment_attempt\":1794823201}", PAST_DUE,
	DUNNING_OWED, ""},
    {"{\"status\":\"open\",\"next_payment_attempt\":1794735000}", PAST_DUE,
	DUNNING_UNSURE, "Stripe tries again 2026-11-15T09:30:00Z"},
    {"{\"status\":\"open\",\"next_payment_attempt\":1794733200}", PAST_DUE,
	DUNNING_OWED, ""},
    {OPEN,
	"{\"status\":\"past_due\",\"latest_invoice\":{\"next_payment_attempt\":"
	"1794740000}}",
	DUNNING_UNSURE, "Stripe tries again 2026-11-15T10:53:20Z"},
    {"{\"status\":\"open\",\"payments\":{\"data\":[{\"payment\":{\"payment_"
     "intent\":{\"status\":\"processing\"}}}]}}",
	PAST_DUE, DUNNING_UNSURE, "a payment is under way at Stripe"},
    {"{\"status\":\"open\",\"payments\":{\"data\":[{\"payment\":{\"payment_"
     "intent\":{\"status\":\"requires_payment_method\"}}}]}}",
	PAST_DUE, DUNNING_OWED, ""},
};

static void
test_reads(void)
{
	struct buf why = BUF_INIT(500);
	struct account account;
	struct plan plan;
	json_t *read;
	char *words;
	size_t i;

	set_conf("UTC");
	for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		read = read_of(reads[i].invoice, reads[i].subscription);
		buf_clear(&why);
		is_int(dunning_judge(read, at(RIPE), &why), reads[i].verdict,
		    reads[i].invoice);
		is_text(buf_string(&why), reads[i].why, "and why");
		set_ripe(&account);
		ok(try_downgrade(&account, read, RIPE, &plan, &words) ==
			(reads[i].verdict == DUNNING_OWED),
		    "the rule looks at it too");
		free(words);
		plan_release(&plan);
		account_release(&account);
		json_decref(read);
	}
	set_ripe(&account);
	ok(!try_downgrade(&account, NULL, RIPE, &plan, &words),
	    "without a read: not downgraded");
	is_text(words, "Stripe was not asked", "and why");
	free(words);
	plan_release(&plan);
	conf.dunning_verify = CONF_TRUST;
	ok(try_downgrade(&account, NULL, RIPE, &plan, &words),
	    "dunning.verify: off does without");
	free(words);
	plan_release(&plan);
	account_release(&account);
	buf_release(&why);
	clear_conf();
}

/*
 * What the steps do.
 */
static const struct plan_delivery *
delivery_to(const struct plan *plan, enum conf_destination_index index)
{
	size_t i;

	for (i = 0; i < plan->deliveries_count; i++)
		if (plan->deliveries[i].destination ==
		    &conf.destinations[index])
			return &plan->deliveries[i];
	return NULL;
}

static void
test_downgrade(void)
{
	const struct plan_delivery *delivery;
	struct account account;
	struct plan plan;
	json_t *read = read_of(OPEN, PAST_DUE);
	char *why;

	set_conf("UTC");
	conf.dunning_ending = CONF_CANCEL;
	set_ripe(&account);
	ok(try_downgrade(&account, read, RIPE, &plan, &why), "downgraded");
	is_text(account.organization.status, "downgraded", "the status");
	is_text(account.organization.plan, "free", "the plan");
	is_text(account.organization.former_plan, "pro", "the former plan");
	is_text(account.dunning.closed_why, "downgraded", "the cycle is over");
	is_int(account.dunning.closed_at, at(RIPE), "since now");
	ok(plan.cancel_reminders, "what waits to be sent is cancelled");
	delivery = delivery_to(&plan, CONF_BILLING);
	is_text(delivery != NULL ? delivery->step : NULL, "downgraded",
	    "the customer is told");
	is_text(delivery != NULL ? delivery->key : NULL,
	    "dunning:org_1:in_1:downgrade:downgraded", "under its key");
	ok(delivery_to(&plan, CONF_SLACK_CUSTOMERS) != NULL, "so is Slack");
	delivery = delivery_to(&plan, CONF_STRIPE_API);
	is_text(delivery != NULL ? delivery->body : NULL,
	    "{\"method\":\"DELETE\",\"path\":\"/v1/subscriptions/sub_1\"}",
	    "Stripe is to cancel");
	free(why);
	plan_release(&plan);
	ok(!try_downgrade(&account, read, RIPE, &plan, &why),
	    "but not a second time");
	free(why);
	plan_release(&plan);
	account_release(&account);

	conf.dunning_ending = CONF_LEAVE;
	set_ripe(&account);
	mem_replace(&account.organization.plan, "free");
	ok(try_downgrade(&account, read, RIPE, &plan, &why), "again");
	is_text(account.organization.former_plan, NULL,
	    "who was on that plan has no former one");
	ok(delivery_to(&plan, CONF_STRIPE_API) == NULL,
	    "dunning.stripe: none leaves Stripe alone");
	free(why);
	plan_release(&plan);
	account_release(&account);

	set_ripe(&account);
	account.dunning.closed_at = at(RIPE);
	ok(!try_downgrade(&account, read, RIPE, &plan, &why),
	    "a cycle that is closed stays closed");
	free(why);
	plan_release(&plan);
	account_release(&account);

	set_ripe(&account);
	account.organization.status_at = at(RIPE) + 1;
	ok(!try_downgrade(&account, read, RIPE, &plan, &why),
	    "a status that is newer than the run stays");
	free(why);
	plan_release(&plan);
	account_release(&account);
	json_decref(read);
	clear_conf();
}

static void
test_skipping(void)
{
	struct account account;
	struct event event;
	struct error error = {0};
	struct plan plan;

	set_conf("UTC");
	set_account(&account, OPENED, "payment_failed");
	dunning_step_event(&event, &account, DUNNING_REMINDER_3, NULL, &conf, 7,
	    at("2026-11-05T10:00:00Z"));
	plan_init(&plan);
	ok(decide_dunning(&event, &account, &conf, &plan, &error),
	    "the latest of two reminders goes");
	is_text(event.id, "dunning:org_1:in_1:reminder_3", "its id");
	is_text(account.dunning.step, "reminder_3", "the cycle notes it");
	is_int((int64_t)plan.deliveries_count, 1, "one message");
	is_int((int64_t)plan.causes_count, 1, "one skipped");
	is_text(plan.causes_count > 0 ? plan.causes[0].event.id : NULL,
	    "dunning:org_1:in_1:reminder_1", "which has its own id");
	plan_release(&plan);

	plan_init(&plan);
	ok(!decide_dunning(&event, &account, &conf, &plan, &error),
	    "the same again is refused");
	plan_release(&plan);
	event_release(&event);
	account_release(&account);
	clear_conf();
}

/* The body is what the decision rests on. */
static void
test_audit(void)
{
	static const char *const fields[] = {"cycle", "step", "at", "opened_at",
	    "day", "age_s", "warned_at", "invoice", "amount_minor", "run",
	    "verify", "read.invoice_status", "read.subscription_status"};
	struct account account;
	struct event event;
	json_t *read = read_of(OPEN, PAST_DUE), *body = NULL;
	size_t i;

	set_conf("UTC");
	set_ripe(&account);
	dunning_step_event(
	    &event, &account, DUNNING_DOWNGRADE, read, &conf, 7, at(RIPE));
	if (!json_parse(&body, event.body, strlen(event.body), NULL))
		body = NULL;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		ok(json_at(body, fields[i]) != NULL, "the body has %s",
		    fields[i]);
	json_decref(body);
	json_decref(read);
	event_release(&event);
	account_release(&account);
	clear_conf();
}

/* A fortnight and a bit, foreseen. */
static void
test_foresight(void)
{
	static const char *const wanted[] = {"reminder_1 2026-11-02T09:00:00Z",
	    "reminder_3 2026-11-04T09:00:00Z",
	    "final_notice 2026-11-08T09:00:00Z",
	    "downgrade 2026-11-15T10:00:00Z"};
	struct dunning_next next = {.at = 0};
	struct account account;
	char when[CLOCK_TEXT_MAX], *got;
	int64_t now = at(OPENED);
	size_t i;

	set_conf("UTC");
	set_account(&account, OPENED, "payment_failed");
	for (i = 0; i < 4; i++) {
		next = dunning_next(&account, &conf, now);
		got = mem_format("%s %s", dunning_step_name(next.step),
		    clock_format(when, next.at));
		is_text(got, wanted[i], "foreseen");
		free(got);
		dunning_imagine(&account, &next);
		now = next.at;
	}
	is_int(dunning_end(&account.dunning, &conf, at(OPENED)), next.at,
	    "and so it is told to the customer");
	is_int(dunning_end(&account.dunning, &conf, at("2026-11-20T12:00:00Z")),
	    at("2026-11-22T12:00:00Z"), "48 hours more for a late warning");
	account_release(&account);
	clear_conf();
}

static void
test_fuse(void)
{
	ok(!dunning_fuse_blows(0, 0), "nobody of nobody is not too many");
	ok(dunning_fuse_blows(1, 0), "one of none that can be read is");
	ok(!dunning_fuse_blows(3, 3), "three always may");
	ok(dunning_fuse_blows(4, 199), "four of 199 may not");
	ok(!dunning_fuse_blows(4, 200), "four of 200 may");
	ok(dunning_fuse_blows(5, 249), "five of 249 may not");
	ok(!dunning_fuse_blows(200, 10000), "200 of 10000 may");
	ok(dunning_fuse_blows(201, 10000), "201 may not");
}

int
main(void)
{
	test_calendar();
	test_hours();
	test_tries();
	test_conditions();
	test_reads();
	test_downgrade();
	test_skipping();
	test_audit();
	test_foresight();
	test_fuse();
	return tap_end();
}
