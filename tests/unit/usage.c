/*
 * Usage: which days, for whom, under which identifier, and what it means when
 * the meter's sum is another.
 */
#include <stdlib.h>

#include "../tap.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/usage.h"

#define DAY CLOCK_DAY_S
#define HOUR 3600
#define TODAY (20785 * (int64_t)DAY) /* 2026-11-28 */
#define TWO (TODAY + 2 * HOUR)

static void
test_days(void)
{
	static const struct {
		int64_t look_back_days, first_days_ago, from_days_ago;
		const char *name;
	} nights[] = {{3, 0, 3, "the first run looks back as far as it may"},
	    {3, 1, 3, "and so does the second"},
	    {3, 20, 20, "later ones back to the first day ever counted"},
	    {3, 300, 34, "but not to where Stripe takes nothing any more"},
	    {34, 0, 34, "34 days at most"}};
	struct usage_span span;
	size_t i;

	for (i = 0; i < sizeof(nights) / sizeof(nights[0]); i++) {
		span = usage_nightly(TWO, nights[i].look_back_days * DAY,
		    nights[i].first_days_ago == 0
			? 0
			: TODAY - nights[i].first_days_ago * DAY);
		is_int((TODAY - span.from) / DAY, nights[i].from_days_ago,
		    nights[i].name);
		is_int(span.until, TODAY, "up to yesterday");
	}
	span = usage_running(TWO, false);
	ok(span.from == TODAY - DAY && span.until == TODAY + DAY,
	    "the running total: today, and yesterday until that is closed");
	span = usage_running(TWO, true);
	ok(span.from == TODAY && span.until == TODAY + DAY, "then today alone");
	span = usage_from(usage_running(TWO, false), TODAY);
	ok(span.from == TODAY && span.until == TODAY + DAY,
	    "what was before is another's");
	span = usage_from(usage_nightly(TWO, 3 * DAY, 0), TODAY - DAY);
	ok(span.from == TODAY - DAY && span.until == TODAY, "at night as well");
	span = usage_from(usage_nightly(TWO, 3 * DAY, 0), 0);
	ok(span.from == TODAY - 3 * DAY, "or nothing is");
	span = usage_from(usage_nightly(TWO, 3 * DAY, 0), TODAY + 2 * DAY);
	ok(span.from == span.until, "or all that there is");
}

static void
test_still_accepted(void)
{
	static const struct {
		struct usage_state state;
		int64_t still;
		const char *name;
	} cases[] = {
	    {{.sent = 5, .customer_known = true, .stripe = 3, .accepted = -2},
		-2, "what is missing at Stripe may be"},
	    {{.sent = 5, .customer_known = true, .stripe = 5, .accepted = -2},
		0, "until it is counted after all"},
	    {{.sent = 5, .stripe = 0, .accepted = -5}, -5,
		"that of a customer nobody knows too"},
	    {{.sent = 5, .customer_known = true, .stripe = 5, .accepted = 2}, 2,
		"what is there of others stays theirs"}};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(usage_still_accepted(&cases[i].state), cases[i].still,
		    cases[i].name);
}

static void
test_billed(void)
{
	static const struct {
		const char *status;
		int64_t status_at;
		bool billed;
		const char *name;
	} cases[] = {{"active", TODAY - 90 * DAY, true, "active"},
	    {"past_due", 0, true, "past due"},
	    {"trialing", 0, true, "trialing"},
	    {"canceled", TODAY - 1, false, "canceled the day before"},
	    {"canceled", TODAY + 9 * HOUR, true, "canceled on the day"},
	    {"canceled", TODAY + 3 * DAY, true, "canceled since"},
	    {"downgraded", TODAY - 5 * DAY, false, "downgraded before"},
	    {"downgraded", TODAY + DAY, true, "downgraded since"}};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(
		    usage_is_billed(cases[i].status, cases[i].status_at, TODAY),
		    cases[i].billed, cases[i].name);
}

static void
is_identifier(const char *organization, int64_t total, int64_t n,
    const char *wanted, const char *name)
{
	char *id = usage_identifier(organization, TODAY, total, n);

	is_text(id, wanted, name);
	free(id);
}

static void
test_identifiers(void)
{
	const char *longer = "org-0123456789-0123456789-0123456789-0123456789-"
			     "0123456789-0123456789-a",
		   *other = "org-0123456789-0123456789-0123456789-0123456789-"
			    "0123456789-0123456789-b";
	char *one, *two;

	is_identifier("org_1", 12, 0, "usage:org_1:2026-11-28:12",
	    "organization, day and total");
	is_identifier("org_1", 12, 3, "usage:org_1:2026-11-28:12:3",
	    "and which correction");
	is_identifier("5b3f1c9e-0d6f-4f0e-9c55-7b2d1f6f3a10", 1, 0,
	    "usage:5b3f1c9e-0d6f-4f0e-9c55-7b2d1f6f3a10:2026-11-28:1",
	    "a UUID stands as it is");
	one = usage_identifier(longer, TODAY, INT64_MAX, 9);
	two = usage_identifier(other, TODAY, INT64_MAX, 9);
	ok(strlen(one) <= USAGE_ID_MAX, "the longest is not too long");
	ok(strcmp(one, two) != 0, "long ones are told apart");
	free(one);
	free(two);
	one = usage_identifier("a\r\nb: c", TODAY, 1, 0);
	two = usage_identifier("a\r\nb: d", TODAY, 1, 0);
	ok(strpbrk(one, "\r\n ") == NULL, "no line can be broken with one");
	ok(strcmp(one, two) != 0, "strange ones are told apart");
	free(one);
	free(two);
	one = usage_identifier("", TODAY, 1, 0);
	is_text(one, "usage::2026-11-28:1", "even an empty one has its own");
	free(one);
	one = usage_prefix("org_1", TODAY);
	is_text(one, "usage:org_1:2026-11-28:", "all of a day begin alike");
	free(one);
}

static void
test_event(void)
{
	struct usage_meter meter = {
	    (char[]){"ai_calls"}, (char[]){"customer"}, (char[]){"calls"}};
	char *body = usage_body(
	    &meter, "usage:org_1:2026-11-28:12", "cus_1", 5, TODAY + DAY - 1);

	is_text(body,
	    "{\"method\":\"POST\",\"path\":\"/v1/billing/meter_events\","
	    "\"form\":{\"event_name\":\"ai_calls\","
	    "\"identifier\":\"usage:org_1:2026-11-28:12\","
	    "\"timestamp\":\"1795910399\",\"payload[customer]\":\"cus_1\","
	    "\"payload[calls]\":\"5\"}}",
	    "the request, with the meter's own keys");
	free(body);
	is_int(usage_timestamp(TODAY, TWO), TWO, "of today: now");
	is_int(usage_timestamp(TODAY - 3 * DAY, TWO), TODAY - 2 * DAY - 1,
	    "of a day before: its last second");
	is_int(usage_expires_at(TODAY - DAY, TWO, 7 * DAY), TWO + 7 * DAY,
	    "it may wait as long as is configured");
	is_int(usage_expires_at(TODAY - 34 * DAY, TWO, 34 * DAY),
	    TODAY - 33 * DAY - 1 + 35 * DAY - HOUR,
	    "but not until Stripe takes it no more");
}

/* What is said of a meter; NULL: it will do. */
static void
is_meter(const char *text, const char *wanted, const char *name)
{
	struct usage_meter meter = {0};
	struct error error = {0};
	json_t *object = NULL;
	bool read;

	if (!json_parse(&object, text, strlen(text), &error)) {
		ok(false, "%s", error.text);
		return;
	}
	read = usage_meter_read(&meter, object, &error);
	if (wanted == NULL)
		ok(read && strcmp(meter.event_name, "ai_calls") == 0 &&
			strcmp(meter.customer_key, "c") == 0 &&
			strcmp(meter.value_key, "v") == 0,
		    "%s", name);
	else
		ok(!read && strstr(error.text, wanted) != NULL, "%s", name);
	if (wanted != NULL && read)
		printf("# taken\n");
	usage_meter_release(&meter);
	json_decref(object);
}

#define METER(status, formula, window)                                         \
	"{\"id\":\"mtr_1\",\"status\":\"" status                               \
	"\",\"event_name\":\"ai_calls\",\"event_time_window\":" window         \
	",\"default_aggregation\":{\"formula\":\"" formula                     \
	"\"},\"customer_mapping\":{\"event_payload_key\":\"c\"},"              \
	"\"value_settings\":{\"event_payload_key\":\"v\"}}"

static void
test_meter(void)
{
	is_meter(METER("active", "sum", "null"), NULL, "a sum will do");
	is_meter(METER("inactive", "sum", "null"), "is not active",
	    "an inactive meter will not");
	is_meter(METER("active", "count", "null"), "does not sum",
	    "nor one that counts events");
	is_meter(METER("active", "last", "null"), "does not sum",
	    "nor one that takes the last");
	is_meter(METER("active", "sum", "\"day\""), "time window",
	    "nor one that takes the last of a day");
	is_meter("{\"object\":\"billing.meter\"}", "is not one of a meter",
	    "half a meter is no answer");
}

static void
is_sum(const char *text, bool read, int64_t wanted, const char *name)
{
	struct error error = {0};
	json_t *list = NULL;
	int64_t sum = 0;

	if (!json_parse(&list, text, strlen(text), &error)) {
		ok(false, "%s", error.text);
		return;
	}
	ok(usage_sum(list, &sum, &error) == read && (!read || sum == wanted) &&
		(read || error.kind == ERROR_RETRY),
	    "%s", name);
	json_decref(list);
}

static void
test_sum(void)
{
	is_sum("{\"data\":[{\"aggregated_value\":312.0}]}", true, 312,
	    "a number with a point");
	is_sum("{\"data\":[{\"aggregated_value\":3},{\"aggregated_value\":"
	       "9007199254740993.0}]}",
	    true, 9007199254740996, "several, to the last digit");
	is_sum("{\"data\":[]}", true, 0, "nothing reported");
	is_sum("{\"data\":[{\"aggregated_value\":1.5}]}", false, 0,
	    "half a call is no answer");
	is_sum("{\"data\":[{}]}", false, 0, "nor is a summary without a sum");
	is_sum("{}", false, 0, "nor what is no list");
}

static void
test_compare(void)
{
	static const struct {
		struct usage_state state;
		enum usage_verdict verdict;
		const char *cause, *name;
	} cases[] = {
	    {{5, 5, true, 5, 0, 0, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL, "equal"},
	    {{5, 5, true, 5, 0, 0, 0, 1, 0, 0}, USAGE_CONFIRMED, NULL,
		"equal, though a delivery was given up"},
	    {{0, 0, true, 0, 0, 0, 0, 0, 0, 0}, USAGE_CONFIRMED, NULL,
		"nothing"},
	    {{5, 5, true, 3, 0, 0, 1, 0, 1, TWO - HOUR}, USAGE_DRIFT, "pending",
		"lower, and not delivered"},
	    {{5, 5, true, 3, 0, 0, 0, 1, 1, TWO - HOUR}, USAGE_DRIFT,
		"rejected", "lower, and given up"},
	    {{5, 5, true, 3, 0, 0, 0, 0, 2, TWO - HOUR}, USAGE_WAIT, NULL,
		"lower, and delivered an hour ago"},
	    {{5, 5, true, 3, 0, 0, 0, 0, 2, TWO - 6 * HOUR}, USAGE_DRIFT,
		"not_counted", "lower, and delivered long ago"},
	    {{5, 5, true, 0, 0, 0, 0, 0, 0, TWO - 6 * HOUR}, USAGE_DRIFT,
		"never_sent", "an empty list is not zero"},
	    {{5, 5, true, 6, 0, 0, 1, 1, 1, TWO}, USAGE_DRIFT, "higher",
		"higher"},
	    {{4, 5, true, 5, 0, 0, 0, 0, 1, 0}, USAGE_DRIFT, "fewer",
		"fewer calls than were sent"},
	    {{5, 5, false, 0, 0, 0, 0, 0, 1, 0}, USAGE_DRIFT, "no_customer",
		"no such customer"},
	    {{6, 5, true, 5, 0, 0, 0, 0, 1, 0}, USAGE_WAIT, NULL,
		"equal, and more to be sent"},
	    {{5, 5, true, 8, 3, 0, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL,
		"higher, as was accepted"},
	    {{5, 5, true, 9, 3, 0, 0, 0, 1, 0}, USAGE_DRIFT, "higher",
		"higher than that"},
	    {{8, 8, true, 8, 3, 0, 1, 0, 1, 0}, USAGE_DRIFT, "pending",
		"equal by chance, where more is accepted"},
	    {{5, 5, true, 3, -2, 0, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL,
		"lower, as was accepted"},
	    {{8, 8, true, 6, -2, 0, 1, 0, 1, 0}, USAGE_WAIT, NULL,
		"perhaps by chance, while a report is on its way"},
	    {{5, 5, true, 5, -2, 0, 0, 0, 1, 0}, USAGE_DRIFT, "higher",
		"and counted after all"},
	    {{4, 5, true, 5, 0, 1, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL,
		"fewer calls, as was accepted"},
	    {{3, 5, true, 5, 0, 1, 0, 0, 1, 0}, USAGE_DRIFT, "fewer",
		"fewer than that"},
	    {{5, 5, true, 5, 0, 1, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL,
		"they are back"},
	    {{5, 5, false, 0, -5, 0, 0, 0, 1, 0}, USAGE_CONFIRMED, NULL,
		"no such customer, as was accepted"},
	    {{6, 6, false, 0, -5, 0, 0, 0, 1, 0}, USAGE_DRIFT, "no_customer",
		"no such customer, and more to bill"}};
	enum usage_verdict verdict;
	const char *cause;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		verdict = usage_compare(&cases[i].state, TWO, 6 * HOUR, &cause);
		is_int(verdict, cases[i].verdict, cases[i].name);
		is_text(cause, cases[i].cause, "its cause");
	}
}

static void
test_commands(void)
{
	static const char *const mendable[] = {"rejected", "not_counted",
	    "never_sent"},
				 *const others[] = {"pending", "no_customer",
				     "higher", "fewer"};
	char *command;
	size_t i;

	for (i = 0; i < 3; i++)
		ok(usage_is_mendable(mendable[i]), "%s is mended by sending",
		    mendable[i]);
	for (i = 0; i < 4; i++)
		ok(!usage_is_mendable(others[i]), "%s is not", others[i]);
	ok(usage_is_acceptable("rejected") && usage_is_acceptable("higher") &&
		!usage_is_acceptable("pending"),
	    "all may be accepted but what is under way");
	ok(!usage_is_lasting("rejected") && usage_is_lasting("higher") &&
		usage_is_lasting("fewer") && usage_is_lasting("no_customer") &&
		!usage_is_lasting("pending"),
	    "with all, what nothing else ends");
	command = usage_command("rejected", 7, "org_1");
	is_text(command, "automate-reconcile --apply 7", "what mends it");
	free(command);
	command = usage_command("higher", 7, "org 1; rm -rf /");
	is_text(command, "automate-log why 'org 1; rm -rf /'",
	    "what looks into it, safe to paste");
	free(command);
}

static void
test_summary(void)
{
	struct usage_day day = {.day_at = TODAY - DAY,
	    .calls = 1204,
	    .organizations = 31,
	    .unattributed = 2};
	char *body = usage_summary(&day, 0, true);

	ok(strstr(body,
	       "Usage of 2026-11-27: 1204 calls of 31 organizations, "
	       "0 drifts") != NULL,
	    "the day in a line");
	ok(strstr(body, "2 calls belong to no organization.") != NULL,
	    "and what is lost");
	free(body);
	body = usage_summary(&day, 2, false);
	ok(strstr(body, "2 drifts (Stripe could not be asked)") != NULL,
	    "and whether that is all");
	free(body);
}

int
main(void)
{
	test_days();
	test_still_accepted();
	test_billed();
	test_identifiers();
	test_event();
	test_meter();
	test_sum();
	test_compare();
	test_commands();
	test_summary();
	return tap_end();
}
