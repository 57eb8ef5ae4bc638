#include "check_live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hmac.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/retry.h"
#include "decide/stripe.h"
#include "decide/usage.h"
#include "net/http.h"
#include "net/retell.h"
#include "net/stripe.h"
#include "net/words.h"
#include "request.h"
#include "store/health.h"

#define ROUTE "/stripe-webhook"
#define TIMEOUT_MS 20000

/* Never the same twice, so that nobody takes it for a repeat. */
static char *
test_key(const char *what)
{
	return mem_format(
	    "check_%s_%" PRId64 "_%ld", what, clock_now(), (long)getpid());
}

/*
 * A message to each destination.
 */

static char *
slack_body(const char *name)
{
	struct slack_message message = {.title = "Test by automate-check",
	    .text = "It was asked to see whether messages arrive here; nothing "
		    "has happened."};

	message.fields[0] = (struct slack_field){"Destination", name};
	return message_slack(&message);
}

static char *
webhook_body(const struct conf *conf, const char *key)
{
	json_t *body = json_object();
	char *text;

	json_put(body, "idempotency_key", key);
	json_put(body, "step", "test");
	json_put(body, "business_name", conf->business_name);
	json_put(body, "app_url", conf->app_url);
	json_put(body, "knowledge_base_url", conf->knowledge_base_url);
	text = json_compact(body);
	json_decref(body);
	return text;
}

static char *
test_body(const struct conf *conf, const struct conf_destination *destination,
    const char *key)
{
	if (destination->dialect == CONF_SLACK)
		return slack_body(destination->name);
	if (destination->dialect == CONF_WEBHOOK)
		return webhook_body(conf, key);
	return mem_copy("{\"text\":\"Test by automate-check\"}");
}

static void
judge(struct check *check, unsigned flows, const char *name,
    const struct conf_destination *destination, const struct answer *answer)
{
	const struct retry_attempt attempt = {
	    .number = 1, .now = check->now, .expires_at = check->now};
	struct retry_ruling ruling = {0};

	retry_rule(&ruling, destination->dialect, answer, &attempt);
	if (ruling.verdict == RETRY_DONE)
		check_say(check, flows, CHECK_OK, name,
		    mem_format("took the test (%d, %" PRId64 " ms)",
			answer->status, answer->took_ms),
		    NULL);
	else
		check_say(check, flows, CHECK_FAIL, name,
		    mem_copy(ruling.reason),
		    mem_format("see %s in the configuration, and "
			       "automate-setup(7) for how to get it",
			destination->name));
}

static void
post(struct check *check, unsigned flows, enum conf_destination_index index)
{
	const struct conf_destination *destination =
	    &check->conf->destinations[index];
	char *name = mem_format("live.%s", destination->name),
	     *key = test_key(destination->name),
	     *body = test_body(check->conf, destination, key);
	const struct request_content content = {key, body, false};
	struct answer answer = {0};
	struct error error = {0};
	struct request request;

	if (destination->configured && check_wants(check, flows)) {
		request_make(&request, check->conf, destination, &content);
		if (http_request(&request.http, &answer, &error))
			judge(check, flows, name, destination, &answer);
		else
			check_broken(check, flows, name, &error);
		request_release(&request);
		buf_release(&answer.body);
	}
	free(body);
	free(key);
	free(name);
}

static void
post_sms(struct check *check, bool sms)
{
	const unsigned flows = CHECK_ALERTS | CHECK_CALLS;

	if (sms)
		post(check, flows, CONF_SMS);
	else if (check->conf->destinations[CONF_SMS].configured)
		check_say(check, flows, CHECK_SKIP, "live.sms",
		    mem_copy("not sent, since it costs money"),
		    mem_copy("automate-check --live --sms sends one"));
}

/*
 * Stripe.
 */

static bool
is_word(const json_t *object, const char *path, const char *word)
{
	const char *text = json_text(object, path);

	return text != NULL && strcmp(text, word) == 0;
}

static void
judge_meter(struct check *check, const json_t *object)
{
	struct usage_meter meter = {0};
	struct error error = {0};

	if (usage_meter_read(&meter, object, &error))
		check_say(check, CHECK_USAGE, CHECK_OK, "live.stripe.meter",
		    mem_copy("active, and sums up"), NULL);
	else
		check_say(check, CHECK_USAGE, CHECK_FAIL, "live.stripe.meter",
		    mem_copy(error.text),
		    mem_copy("make another meter at Stripe, formula sum, and "
			     "set stripe.meter_id; a meter cannot be changed"));
	usage_meter_release(&meter);
}

static void
check_meter(struct check *check, struct stripe *stripe)
{
	const char *id = check->conf->stripe_meter_id;
	char *path = mem_format("/v1/billing/meters/%s", id);
	struct error error = {0};
	json_t *meter = NULL;

	switch (stripe_get(stripe, path, NULL, &meter, &error)) {
	case STRIPE_FOUND: judge_meter(check, meter); break;
	case STRIPE_ABSENT:
		check_say(check, CHECK_USAGE, CHECK_FAIL, "live.stripe.meter",
		    mem_format("Stripe knows no meter %s", id),
		    mem_copy("set stripe.meter_id to the id of the meter, "
			     "mtr_..., of the same mode as the key"));
		break;
	case STRIPE_FAILED:
		check_broken(check, CHECK_USAGE, "live.stripe.meter", &error);
		break;
	}
	json_decref(meter);
	free(path);
}

static bool
is_enabled(const json_t *endpoint, const char *type)
{
	const json_t *list = json_at(endpoint, "enabled_events");
	const char *word;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		word = json_string_value(json_array_get(list, i));
		if (word != NULL &&
		    (strcmp(word, "*") == 0 || strcmp(word, type) == 0))
			return true;
	}
	return false;
}

/* Types that Stripe has in endpoints; the thin ones have others. */
static void
add_missing(struct buf *missing, const json_t *endpoint)
{
	const char *type;
	size_t i;

	for (i = 0; (type = stripe_type(i)) != NULL; i++)
		if (strncmp(type, "v1.", 3) != 0 && !is_enabled(endpoint, type))
			buf_format(missing, "%s%s",
			    missing->size > 0 ? " " : "", type);
}

static void
judge_endpoint(struct check *check, const json_t *endpoint, const char *url)
{
	struct buf missing = BUF_INIT(4096);

	add_missing(&missing, endpoint);
	if (!is_word(endpoint, "status", "enabled"))
		check_say(check, CHECK_PAYMENTS, CHECK_FAIL,
		    "live.stripe.endpoint",
		    mem_format("%s is disabled at Stripe", url),
		    mem_copy("enable it: Developers, Webhooks"));
	else if (missing.size > 0)
		check_say(check, CHECK_PAYMENTS, CHECK_WARN,
		    "live.stripe.endpoint",
		    mem_format(
			"Stripe does not send: %s", buf_string(&missing)),
		    mem_copy("tick them: Developers, Webhooks, the endpoint, "
			     "Update details"));
	else
		check_say(check, CHECK_PAYMENTS, CHECK_OK,
		    "live.stripe.endpoint",
		    mem_format("%s is enabled, with all events", url), NULL);
	buf_release(&missing);
}

static const json_t *
find_endpoint(const json_t *list, const char *url)
{
	const json_t *data = json_at(list, "data");
	size_t i;

	for (i = 0; i < json_array_size(data); i++)
		if (is_word(json_array_get(data, i), "url", url))
			return json_array_get(data, i);
	return NULL;
}

static void
check_endpoint(struct check *check, struct stripe *stripe)
{
	const char *const query[] = {"limit", "100", NULL};
	char *url = mem_format("%s" ROUTE, check->conf->cgi_public_url);
	struct error error = {0};
	const json_t *endpoint;
	json_t *list = NULL;

	if (stripe_get(stripe, "/v1/webhook_endpoints", query, &list, &error) !=
	    STRIPE_FOUND) {
		check_broken(
		    check, CHECK_PAYMENTS, "live.stripe.endpoint", &error);
	} else {
		endpoint = find_endpoint(list, url);
		if (endpoint != NULL)
			judge_endpoint(check, endpoint, url);
		else
			check_say(check, CHECK_PAYMENTS, CHECK_FAIL,
			    "live.stripe.endpoint",
			    mem_format("Stripe sends nothing to %s", url),
			    mem_copy("add it: Developers, Webhooks, Add "
				     "endpoint; see automate-setup(7)"));
	}
	json_decref(list);
	free(url);
}

static void
ask_stripe(struct check *check)
{
	const unsigned flows = CHECK_PAYMENTS | CHECK_USAGE;
	struct stripe *stripe = NULL;
	struct error error = {0};

	if (check->conf->stripe_secret_key == NULL ||
	    !check_wants(check, flows))
		return;
	if (!stripe_open(&stripe, check->conf, &error)) {
		check_broken(check, flows, "live.stripe", &error);
		return;
	}
	if (check->conf->stripe_meter_id != NULL &&
	    check_wants(check, CHECK_USAGE))
		check_meter(check, stripe);
	if (check->conf->cgi_public_url != NULL &&
	    check_wants(check, CHECK_PAYMENTS))
		check_endpoint(check, stripe);
	stripe_close(stripe);
}

/*
 * Retell.
 */

static void
ask_retell(struct check *check)
{
	struct retell *retell = NULL;
	struct error error = {0};
	int64_t room = 0;

	if (check->conf->retell_api_key == NULL ||
	    !check_wants(check, CHECK_CALLS))
		return;
	if (!retell_open(&retell, check->conf, &error) ||
	    !retell_room(retell, &room, &error))
		check_broken(check, CHECK_CALLS, "live.retell", &error);
	else
		check_say(check, CHECK_CALLS, room > 0 ? CHECK_OK : CHECK_WARN,
		    "live.retell",
		    mem_format("room for %" PRId64 " more calls", room),
		    room > 0 ? NULL
			     : mem_copy("wait, or raise the concurrency limit "
					"at Retell"));
	retell_close(retell);
}

/*
 * An event of our own, the way that Stripe's come.
 */

static char *
test_event(const char *id, bool live)
{
	return mem_format("{\"id\":\"%s\",\"object\":\"event\",\"type\":"
			  "\"automate.test\",\"created\":%" PRId64
			  ",\"livemode\":%s,\"data\":{\"object\":{\"object\":"
			  "\"automate.test\"}}}",
	    id, clock_now(), live ? "true" : "false");
}

/* Stripe-Signature with the first of the secrets. */
static char *
signed_header(const char *secrets, const char *body)
{
	char *time = mem_format("%" PRId64 ".", clock_now()), *header;
	const struct hmac_part parts[] = {
	    {time, strlen(time)}, {body, strlen(body)}};
	char hex[HMAC_HEX_SIZE + 1];

	hmac_sha256_hex(hex, secrets, strcspn(secrets, " "), parts, 2);
	header = mem_format(
	    "Stripe-Signature: t=%.*s,v1=%s", (int)strlen(time) - 1, time, hex);
	free(time);
	return header;
}

/* It was answered; whether it is where it should be. */
static void
find_event(struct check *check, const char *id, int64_t took_ms)
{
	struct error error = {0};
	char *outcome = NULL;

	if (check->db == NULL || !health_event(check->db, id, &outcome, &error))
		check_broken(check, CHECK_PAYMENTS, "live.cgi", &error);
	else if (outcome != NULL)
		check_say(check, CHECK_PAYMENTS, CHECK_OK, "live.cgi",
		    mem_format("%s went through the web server into the "
			       "database (%" PRId64 " ms)",
			id, took_ms),
		    NULL);
	else
		check_say(check, CHECK_PAYMENTS, CHECK_FAIL, "live.cgi",
		    mem_format("%s was accepted, and is not in %s", id,
			check->conf->database_path),
		    mem_copy("give automate-cgi and cron the same "
			     "configuration, with the same database.path; or "
			     "cgi.public_url is another machine"));
	free(outcome);
}

static void
judge_event(struct check *check, const char *id, const struct answer *answer)
{
	char *said;

	if (answer->failure == ANSWER_COMPLETE && answer->status == 200) {
		find_event(check, id, answer->took_ms);
		return;
	}
	said = words_of(answer, NULL, NULL);
	check_say(check, CHECK_PAYMENTS, CHECK_FAIL, "live.cgi",
	    mem_format("%s" ROUTE ": %d %s", check->conf->cgi_public_url,
		answer->status, said),
	    mem_copy("see the web server's error log, and automate-cgi(1)"));
	free(said);
}

static void
send_event(struct check *check)
{
	char *id = test_key("event"),
	     *body = test_event(id, check->conf->stripe_mode == CONF_LIVE),
	     *header = signed_header(check->conf->stripe_webhook_secret, body),
	     *url = mem_format("%s" ROUTE, check->conf->cgi_public_url);
	const char *const headers[] = {
	    "Content-Type: application/json", header, NULL};
	const struct http_request request = {.url = url,
	    .headers = headers,
	    .body = body,
	    .body_size = strlen(body),
	    .timeout_ms = TIMEOUT_MS};
	struct answer answer = {0};
	struct error error = {0};

	if (http_request(&request, &answer, &error))
		judge_event(check, id, &answer);
	else
		check_broken(check, CHECK_PAYMENTS, "live.cgi", &error);
	buf_release(&answer.body);
	free(url);
	free(header);
	free(body);
	free(id);
}

static void
check_cgi(struct check *check)
{
	if (!check_wants(check, CHECK_PAYMENTS))
		return;
	if (check->conf->cgi_public_url == NULL)
		check_say(check, CHECK_PAYMENTS, CHECK_SKIP, "live.cgi",
		    mem_copy("no event is sent round without cgi.public_url"),
		    mem_copy("set it to where the providers reach "
			     "automate-cgi"));
	else if (check->conf->stripe_webhook_secret == NULL)
		check_say(check, CHECK_PAYMENTS, CHECK_SKIP, "live.cgi",
		    mem_copy("no event is sent round without "
			     "stripe.webhook_secret"),
		    NULL);
	else
		send_event(check);
}

void
check_live(struct check *check, bool sms)
{
	post(check, CHECK_ONBOARDING, CONF_MAIL);
	post(check, CHECK_PAYMENTS, CONF_BILLING);
	post(check, CHECK_ONBOARDING | CHECK_PAYMENTS, CONF_SLACK_CUSTOMERS);
	post(check, CHECK_EVERY, CONF_SLACK_ALERTS);
	post_sms(check, sms);
	ask_stripe(check);
	ask_retell(check);
	check_cgi(check);
}
