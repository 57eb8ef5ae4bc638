#include "decide/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"

#define DATE_SIZE 10 /* of "2026-11-27" */
#define NAME_MAX_SIZE 60 /* leaves room for day, total and correction */
#define HASH_SIZE 17 /* of "~0123456789abcdef" */
#define STRIPE_DAYS 35

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

struct usage_span
usage_nightly(int64_t now, int64_t look_back_s, int64_t first_counted)
{
	const int64_t today = clock_day(now);
	struct usage_span span = {today - look_back_s, today};

	if (first_counted != 0)
		span.from = smaller(span.from, first_counted);
	span.from = larger(span.from, today - USAGE_DAYS_MAX * CLOCK_DAY_S);
	return span;
}

struct usage_span
usage_running(int64_t now, bool is_yesterday_closed)
{
	const int64_t today = clock_day(now);

	return (struct usage_span){
	    is_yesterday_closed ? today : today - CLOCK_DAY_S,
	    today + CLOCK_DAY_S};
}

struct usage_span
usage_from(struct usage_span span, int64_t day_at)
{
	span.from = larger(span.from, day_at);
	span.until = larger(span.from, span.until);
	return span;
}

bool
usage_is_billed(const char *status, int64_t status_at, int64_t day_at)
{
	return strcmp(status, "active") == 0 ||
	    strcmp(status, "past_due") == 0 ||
	    strcmp(status, "trialing") == 0 || status_at >= day_at;
}

/*
 * The meter. What it says of itself: https://docs.stripe.com/api/billing/meter
 */

static bool
refuse(const json_t *meter, const char *why, struct error *error)
{
	const char *id = json_text(meter, "id");

	return error_set(error, ERROR_CONF,
	    "stripe.meter_id: the meter %.60s %s, so that reports to it would "
	    "be billed wrongly; make one whose formula is sum, and name it "
	    "there",
	    id != NULL ? id : "", why);
}

bool
usage_meter_read(
    struct usage_meter *meter, const json_t *object, struct error *error)
{
	const char *status = json_text(object, "status"),
		   *formula = json_text(object, "default_aggregation.formula"),
		   *name = json_text(object, "event_name"),
		   *customer =
		       json_text(object, "customer_mapping.event_payload_key"),
		   *value =
		       json_text(object, "value_settings.event_payload_key");

	if (status == NULL || formula == NULL || name == NULL ||
	    customer == NULL || value == NULL)
		return error_set(error, ERROR_RETRY,
		    "Stripe's answer about the meter is not one of a meter");
	if (strcmp(status, "active") != 0)
		return refuse(object, "is not active", error);
	if (strcmp(formula, "sum") != 0)
		return refuse(object, "does not sum what is reported", error);
	if (json_text(object, "event_time_window") != NULL)
		return refuse(object,
		    "has a time window, of which only the last report counts",
		    error);
	meter->event_name = mem_copy(name);
	meter->customer_key = mem_copy(customer);
	meter->value_key = mem_copy(value);
	return true;
}

void
usage_meter_release(struct usage_meter *meter)
{
	free(meter->event_name);
	free(meter->customer_key);
	free(meter->value_key);
	memset(meter, 0, sizeof(*meter));
}

/*
 * Identifiers. They are also the Idempotency-Key, a header, and the event's id.
 */

static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t
hash(const char *text)
{
	uint64_t value = 14695981039346656037u;

	for (; *text != '\0'; text++)
		value = (value ^ (unsigned char)*text) * 1099511628211u;
	return value;
}

/* The organization as a short word, another for each. */
static void
add_name(struct buf *out, const char *id)
{
	size_t plain = 0, i;

	while (is_plain(id[plain]))
		plain++;
	if (plain <= NAME_MAX_SIZE && id[plain] == '\0') {
		buf_text(out, id);
		return;
	}
	for (i = 0; i < NAME_MAX_SIZE - HASH_SIZE && id[i] != '\0'; i++)
		buf_byte(out, is_plain(id[i]) ? id[i] : '_');
	buf_format(out, "~%016llx", (unsigned long long)hash(id));
}

char *
usage_prefix(const char *organization_id, int64_t day_at)
{
	struct buf prefix = BUF_INIT(USAGE_ID_MAX);
	char day[CLOCK_TEXT_MAX], *text;

	buf_text(&prefix, "usage:");
	add_name(&prefix, organization_id);
	buf_format(&prefix, ":%.*s:", DATE_SIZE, clock_format(day, day_at));
	text = mem_copy(buf_string(&prefix));
	buf_release(&prefix);
	return text;
}

char *
usage_identifier(
    const char *organization_id, int64_t day_at, int64_t total, int64_t n)
{
	char *prefix = usage_prefix(organization_id, day_at),
	     *id = n == 0
	    ? mem_format("%s%lld", prefix, (long long)total)
	    : mem_format("%s%lld:%lld", prefix, (long long)total, (long long)n);

	free(prefix);
	return id;
}

int64_t
usage_timestamp(int64_t day_at, int64_t now)
{
	return smaller(now, day_at + CLOCK_DAY_S - 1);
}

/* An hour earlier than Stripe has it, for clocks that differ. */
int64_t
usage_expires_at(int64_t day_at, int64_t now, int64_t max_age_s)
{
	return smaller(now + max_age_s,
	    usage_timestamp(day_at, now) + STRIPE_DAYS * CLOCK_DAY_S - 3600);
}

static void
put_digits(json_t *form, const char *key, int64_t number)
{
	char *text = mem_format("%lld", (long long)number);

	json_put(form, key, text);
	free(text);
}

char *
usage_body(const struct usage_meter *meter, const char *identifier,
    const char *customer_id, int64_t value, int64_t at)
{
	json_t *row = json_object(), *form = json_object();
	char *customer = mem_format("payload[%s]", meter->customer_key),
	     *count = mem_format("payload[%s]", meter->value_key), *text;

	json_put(row, "method", "POST");
	json_put(row, "path", "/v1/billing/meter_events");
	json_put(form, "event_name", meter->event_name);
	json_put(form, "identifier", identifier);
	put_digits(form, "timestamp", at);
	json_put(form, customer, customer_id);
	put_digits(form, count, value);
	json_object_set_new(row, "form", form);
	text = json_compact(row);
	json_decref(row);
	free(customer);
	free(count);
	return text;
}

bool
usage_sum(const json_t *list, int64_t *sum, struct error *error)
{
	const json_t *data = json_object_get(list, "data");
	int64_t value;
	size_t i;

	if (!json_is_array(data))
		return error_set(
		    error, ERROR_RETRY, "Stripe's answer is not a list");
	for (i = 0; i < json_array_size(data); i++) {
		if (!json_number(
			&value, json_array_get(data, i), "aggregated_value"))
			return error_set(error, ERROR_RETRY,
			    "Stripe's sum is no whole number");
		*sum += value;
	}
	return true;
}

/*
 * What it means that two sums differ.
 */

static enum usage_verdict
lower(const struct usage_state *state, int64_t now, int64_t settle_s,
    const char **cause)
{
	if (state->pending > 0)
		*cause = "pending";
	else if (state->dead > 0)
		*cause = "rejected";
	else if (state->latest_at + settle_s > now)
		return USAGE_WAIT;
	else
		*cause = state->done > 0 ? "not_counted" : "never_sent";
	return USAGE_DRIFT;
}

int64_t
usage_still_accepted(const struct usage_state *state)
{
	return state->accepted < 0 && state->customer_known &&
		state->stripe == state->sent
	    ? 0
	    : state->accepted;
}

/* Once more is accepted, sums may be equal by chance until all has arrived. */
static bool
may_be_chance(const struct usage_state *state)
{
	return state->accepted != 0 && state->pending > 0;
}

enum usage_verdict
usage_compare(const struct usage_state *state, int64_t now, int64_t settle_s,
    const char **cause)
{
	const int64_t stripe = state->stripe - state->accepted,
		      fewer = state->sent - state->counted;

	*cause = NULL;
	if (!state->customer_known &&
	    (state->accepted == 0 || stripe != state->sent))
		*cause = "no_customer";
	else if (stripe > state->sent)
		*cause = "higher";
	else if (stripe < state->sent)
		return lower(state, now, settle_s, cause);
	else if (fewer > 0 && fewer != state->accepted_fewer)
		*cause = "fewer";
	else if (state->counted > state->sent || may_be_chance(state))
		return USAGE_WAIT; /* the next run reports it */
	return *cause != NULL ? USAGE_DRIFT : USAGE_CONFIRMED;
}

int64_t
usage_difference(const struct usage_state *state)
{
	return state->stripe - state->accepted -
	    smaller(state->counted + state->accepted_fewer, state->sent);
}

static const struct cause {
	const char *name, *words, *command;
	bool mendable;
} causes[] = {{"rejected", "its delivery was given up", NULL, true},
    {"pending", "it is still to be delivered",
	"automate-deliver list --destination stripe.meter", false},
    {"not_counted", "Stripe took it and does not count it", NULL, true},
    {"never_sent", "no delivery of it is known", NULL, true},
    {"no_customer", "Stripe does not know the customer", NULL, false},
    {"higher", "Stripe has more than was reported", NULL, false},
    {"fewer", "fewer calls are counted than were reported", NULL, false}};

static const struct cause *
find_cause(const char *name)
{
	size_t i = 0;

	while (i + 1 < sizeof(causes) / sizeof(causes[0]) &&
	    strcmp(causes[i].name, name) != 0)
		i++;
	return &causes[i];
}

bool
usage_is_mendable(const char *cause)
{
	return find_cause(cause)->mendable;
}

bool
usage_is_acceptable(const char *cause)
{
	return find_cause(cause)->command == NULL;
}

bool
usage_is_lasting(const char *cause)
{
	return usage_is_acceptable(cause) && !usage_is_mendable(cause);
}

const char *
usage_words(const char *cause)
{
	return find_cause(cause)->words;
}

char *
usage_command(const char *name, int64_t id, const char *organization_id)
{
	const struct cause *cause = find_cause(name);
	struct buf command = BUF_INIT(2048);
	char *text;

	if (cause->mendable)
		buf_format(
		    &command, "automate-reconcile --apply %lld", (long long)id);
	else if (cause->command != NULL)
		buf_text(&command, cause->command);
	else {
		buf_text(&command, "automate-log why ");
		message_word(&command, organization_id);
	}
	text = mem_copy(buf_string(&command));
	buf_release(&command);
	return text;
}

static void
add_lost(struct buf *text, int64_t calls, const char *whose)
{
	if (calls > 0)
		buf_format(text, "%s%lld calls %s.", text->size > 0 ? "\n" : "",
		    (long long)calls, whose);
}

char *
usage_summary(const struct usage_day *day, int64_t drifts, bool is_compared)
{
	struct slack_message message = {0};
	struct buf text = BUF_INIT(2048);
	char date[CLOCK_TEXT_MAX], *title, *body;

	title = mem_format(
	    "Usage of %.*s: %lld calls of %lld organizations, %lld drifts%s",
	    DATE_SIZE, clock_format(date, day->day_at), (long long)day->calls,
	    (long long)day->organizations, (long long)drifts,
	    is_compared ? "" : " (Stripe could not be asked)");
	add_lost(&text, day->unattributed, "belong to no organization");
	add_lost(&text, day->no_customer,
	    "are of organizations without a Stripe customer");
	add_lost(
	    &text, day->inactive, "are of organizations that were not active");
	message.title = title;
	message.text = buf_string(&text);
	if (drifts > 0)
		message.commands[0] = "automate-log list --kind usage.drift";
	body = message_slack(&message);
	buf_release(&text);
	free(title);
	return body;
}
