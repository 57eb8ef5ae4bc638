#include "send.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "net/http.h"
#include "net/stripe.h"

#define SETTLE_MS 20 /* how long an answer waits for company, at least */
#define SETTLE_MS_MAX 500
#define ROUNDS_MAX 16
#define SETTLE_MAX 1024
#define ANSWER_KEPT 1024
#define IDLE_MS 200

/* What is claimed for one destination and not yet sent. */
struct lane {
	const struct conf_destination *destination;
	struct delivery **queue;
	size_t first, count, running;
	int64_t next_at_ms;
	int64_t wait_until; /* asked for by the receiver */
};

struct sending {
	struct outbox *outbox;
	const struct conf *conf;
	struct http *http;
	const char *event_id;
	struct lane lanes[CONF_DESTINATIONS];
	struct settlement settlements[SETTLE_MAX];
	size_t settled;
	int64_t settled_since_ms;
	int64_t settle_ms; /* ten times what the latest transaction took */
	struct send_count *count;
};

static volatile sig_atomic_t stopped;

static void
stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static size_t
queued(const struct lane *lane)
{
	return lane->count - lane->first;
}

/* As many as keep it busy, and no more than go out within the lease. */
static size_t
room_of(const struct lane *lane)
{
	const struct conf_destination *destination = lane->destination;
	int64_t rounds = OUTBOX_LEASE_S * 500 / destination->timeout_ms;
	int64_t room = destination->concurrency *
	    (rounds < 1                   ? 1
		    : rounds > ROUNDS_MAX ? ROUNDS_MAX
					  : rounds);
	int64_t rate_room = destination->rate_per_minute / 2 + 1;

	if (destination->rate_per_minute > 0 && rate_room < room)
		room = rate_room;
	if (lane->wait_until > clock_now() || stopped)
		return 0;
	return (size_t)room > queued(lane) ? (size_t)room - queued(lane) : 0;
}

static char *
sms_text(const char *body)
{
	json_t *sms = NULL;
	char *text = NULL;

	if (json_parse(&sms, body, strlen(body), NULL))
		text = mem_copy(json_text(sms, "text"));
	json_decref(sms);
	return text != NULL ? text : mem_copy("");
}

static void
start_twilio(
    struct sending *sending, const struct lane *lane, struct delivery *delivery)
{
	static const char *const headers[] = {
	    "Content-Type: application/x-www-form-urlencoded", NULL};
	const struct conf *conf = sending->conf;
	char *text = sms_text(delivery->body),
	     *url = mem_format("%s/2010-04-01/Accounts/%s/Messages.json",
		 lane->destination->url, conf->twilio_account_sid);
	struct buf form = BUF_INIT(8192);
	struct http_request request = {.url = url,
	    .headers = headers,
	    .user = conf->twilio_account_sid,
	    .password = conf->twilio_auth_token,
	    .timeout_ms = lane->destination->timeout_ms};

	buf_field(&form, "To", conf->sms_to);
	buf_field(&form,
	    strncmp(conf->twilio_from, "MG", 2) == 0 ? "MessagingServiceSid"
						     : "From",
	    conf->twilio_from);
	buf_field(&form, "Body", text);
	request.body = buf_string(&form);
	request.body_size = form.size;
	http_start(sending->http, &request, delivery);
	buf_release(&form);
	free(url);
	free(text);
}

static char *
sms_document(const struct conf *conf, const struct delivery *delivery)
{
	char *text = sms_text(delivery->body), *body;
	json_t *sms = json_object();

	json_put(sms, "to", conf->sms_to);
	json_put(sms, "text", text);
	json_put(sms, "id", delivery->key);
	body = json_compact(sms);
	json_decref(sms);
	free(text);
	return body;
}

static void
start_json(
    struct sending *sending, const struct lane *lane, struct delivery *delivery)
{
	const struct conf_destination *destination = lane->destination;
	char *key = mem_format("Idempotency-Key: %s", delivery->key),
	     *id = mem_format("webhook-id: %s", delivery->key),
	     *api_key = mem_format("x-make-apikey: %s",
		 destination->api_key != NULL ? destination->api_key : ""),
	     *body = NULL;
	const char *headers[] = {"Content-Type: application/json", key, id,
	    destination->api_key != NULL ? api_key : NULL, NULL};
	struct http_request request = {.url = destination->url,
	    .headers = headers,
	    .timeout_ms = destination->timeout_ms};

	if (delivery->plain)
		body = message_slack_plain(delivery->body);
	else if (destination->dialect == CONF_SMS_WEBHOOK)
		body = sms_document(sending->conf, delivery);
	request.body = body != NULL ? body : delivery->body;
	request.body_size = strlen(request.body);
	http_start(sending->http, &request, delivery);
	mem_wipe(api_key, strlen(api_key));
	free(key);
	free(id);
	free(api_key);
	free(body);
}

/* The row says which request: {"method":…,"path":…,"form":{…}}. */
static void
start_stripe(
    struct sending *sending, const struct lane *lane, struct delivery *delivery)
{
	char *key = mem_format("Idempotency-Key: %s", delivery->key),
	     *url = NULL;
	const char *headers[] = {
	    "Content-Type: application/x-www-form-urlencoded",
	    "Stripe-Version: " STRIPE_VERSION, key, NULL};
	struct buf form = BUF_INIT(65536);
	struct http_request request = {.headers = headers,
	    .user = sending->conf->stripe_secret_key,
	    .password = "",
	    .timeout_ms = lane->destination->timeout_ms};
	json_t *row = NULL, *value;
	const char *name;

	if (json_parse(&row, delivery->body, strlen(delivery->body), NULL))
		json_object_foreach(json_object_get(row, "form"), name, value)
		    buf_field(&form, name, json_string_value(value));
	url =
	    mem_format("%s%s", lane->destination->url, json_text(row, "path"));
	request.url = url;
	request.method = json_text(row, "method");
	request.body = buf_string(&form);
	request.body_size = form.size;
	http_start(sending->http, &request, delivery);
	json_decref(row);
	buf_release(&form);
	free(url);
	free(key);
}

static void
start(struct sending *sending, struct lane *lane, struct delivery *delivery)
{
	lane->running++;
	if (lane->destination->dialect == CONF_TWILIO)
		start_twilio(sending, lane, delivery);
	else if (lane->destination->dialect == CONF_STRIPE)
		start_stripe(sending, lane, delivery);
	else
		start_json(sending, lane, delivery);
}

/* Start what may go; the time until the next may, IDLE_MS at most. */
static int64_t
start_some(struct sending *sending)
{
	int64_t now_ms = clock_monotonic_ms(), wait_ms = IDLE_MS, rate;
	struct lane *lane;
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		lane = &sending->lanes[i];
		rate = lane->destination->rate_per_minute;
		while (queued(lane) > 0 &&
		    (int64_t)lane->running < lane->destination->concurrency &&
		    lane->next_at_ms <= now_ms && !stopped) {
			start(sending, lane, lane->queue[lane->first++]);
			if (rate > 0)
				lane->next_at_ms = now_ms + 60000 / rate;
		}
		if (queued(lane) > 0 &&
		    (int64_t)lane->running < lane->destination->concurrency &&
		    lane->next_at_ms - now_ms < wait_ms)
			wait_ms = lane->next_at_ms - now_ms;
	}
	return wait_ms > 0 ? wait_ms : 0;
}

static unsigned
dice(void)
{
	unsigned chance = 500;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return 500;
	return chance % 1000;
}

static char *
first_part(const struct answer *answer)
{
	struct buf kept = BUF_INIT(8192);
	char *text;

	if (answer->body.size == 0)
		return NULL;
	message_cut(&kept, buf_string(&answer->body), ANSWER_KEPT);
	text = mem_copy(buf_string(&kept));
	buf_release(&kept);
	return text;
}

static void
count_ruling(struct sending *sending, struct lane *lane,
    const struct retry_ruling *ruling, const struct answer *answer)
{
	switch (ruling->verdict) {
	case RETRY_DONE: sending->count->done++; break;
	case RETRY_DEAD: sending->count->dead++; break;
	default: sending->count->postponed++; break;
	}
	if (ruling->verdict == RETRY_LATER && answer->status == 429)
		lane->wait_until = ruling->due_at;
}

static void
take_answer(
    struct sending *sending, struct delivery *delivery, struct answer *answer)
{
	struct lane *lane = &sending->lanes[delivery->destination];
	const struct retry_attempt attempt = {.number = delivery->number,
	    .now = clock_now(),
	    .expires_at = delivery->expires_at,
	    .chance = dice(),
	    .plain = delivery->plain};
	struct settlement *settlement = &sending->settlements[sending->settled];

	lane->running--;
	memset(settlement, 0, sizeof(*settlement));
	retry_rule(
	    &settlement->ruling, lane->destination->dialect, answer, &attempt);
	if (settlement->ruling.verdict == RETRY_PLAIN) {
		delivery->plain = true;
		start(sending, lane, delivery);
		buf_release(&answer->body);
		return;
	}
	if (sending->settled++ == 0)
		sending->settled_since_ms = clock_monotonic_ms();
	settlement->delivery = delivery;
	settlement->status = answer->status;
	settlement->took_ms = answer->took_ms;
	settlement->answer = first_part(answer);
	count_ruling(sending, lane, &settlement->ruling, answer);
	buf_release(&answer->body);
}

static bool
put_back(struct sending *sending, struct lane *lane, struct error *error)
{
	const size_t count = queued(lane);
	struct delivery **rows = lane->queue + lane->first;

	lane->first = lane->count;
	return count == 0 ||
	    outbox_release(sending->outbox, rows, count, error);
}

static void
append(struct sending *sending, struct delivery *delivery)
{
	struct lane *lane = &sending->lanes[delivery->destination];

	if (lane->first == lane->count)
		lane->first = lane->count = 0;
	lane->queue =
	    mem_resize(lane->queue, lane->count + 1, sizeof(*lane->queue));
	lane->queue[lane->count++] = delivery;
}

/* Settle and claim in one transaction. */
static bool
step(struct sending *sending, size_t *claimed_count, struct error *error)
{
	struct outbox_lane lanes[CONF_DESTINATIONS] = {{0}};
	const int64_t start_ms = clock_monotonic_ms();
	struct delivery **claimed;
	bool ok;
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		lanes[i].room = room_of(&sending->lanes[i]);
	if (!outbox_step(sending->outbox, sending->settlements,
		sending->settled, lanes, sending->event_id, clock_now(),
		&claimed, claimed_count, error))
		return false;
	sending->settled = 0;
	sending->settle_ms = 10 * (clock_monotonic_ms() - start_ms);
	if (sending->settle_ms < SETTLE_MS)
		sending->settle_ms = SETTLE_MS;
	if (sending->settle_ms > SETTLE_MS_MAX)
		sending->settle_ms = SETTLE_MS_MAX;
	for (i = 0; i < *claimed_count; i++)
		append(sending, claimed[i]);
	free(claimed);
	ok = true;
	for (i = 0; i < CONF_DESTINATIONS; i++)
		if (lanes[i].blocked && queued(&sending->lanes[i]) > 1)
			ok = put_back(sending, &sending->lanes[i], error) && ok;
	return ok;
}

static size_t
waiting(const struct sending *sending)
{
	size_t count = 0, i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		count += queued(&sending->lanes[i]);
	return count;
}

static bool
runs_low(const struct sending *sending)
{
	const struct lane *lane;
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		lane = &sending->lanes[i];
		if (lane->running > 0 &&
		    (int64_t)queued(lane) < lane->destination->concurrency)
			return true;
	}
	return false;
}

static bool
is_time_to_settle(const struct sending *sending)
{
	int64_t age_ms;

	if (sending->settled == 0)
		return false;
	age_ms = clock_monotonic_ms() - sending->settled_since_ms;
	return age_ms >= sending->settle_ms ||
	    sending->settled > SETTLE_MAX / 2 ||
	    http_running(sending->http) == 0 ||
	    (runs_low(sending) && sending->settled >= 64);
}

static void
collect(struct sending *sending, int64_t wait_ms)
{
	struct answer answer = {0};
	void *tag;

	if (sending->settled > 0 && wait_ms > SETTLE_MS)
		wait_ms = SETTLE_MS;
	while (sending->settled < SETTLE_MAX &&
	    http_wait(sending->http, wait_ms, &tag, &answer)) {
		take_answer(sending, tag, &answer);
		memset(&answer, 0, sizeof(answer));
		wait_ms = 0;
	}
}

static bool
loop(struct sending *sending, send_progress *progress, struct error *error)
{
	size_t claimed;
	int64_t wait_ms;

	if (!step(sending, &claimed, error))
		return false;
	for (;;) {
		wait_ms = start_some(sending);
		if (http_running(sending->http) == 0 && sending->settled == 0 &&
		    (waiting(sending) == 0 || stopped)) {
			if (stopped || !step(sending, &claimed, error))
				return stopped != 0;
			if (claimed == 0)
				return true;
			continue;
		}
		collect(sending, wait_ms);
		if (is_time_to_settle(sending) &&
		    !step(sending, &claimed, error))
			return false;
		if (progress != NULL)
			progress(sending->count, (int64_t)waiting(sending));
	}
}

bool
send_due(struct outbox *outbox, const struct conf *conf, const char *event_id,
    send_progress *progress, struct send_count *count, struct error *error)
{
	struct sigaction action = {.sa_handler = stop};
	struct sending *sending = mem_alloc(sizeof(*sending));
	bool ok;
	int i;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sending->outbox = outbox;
	sending->conf = conf;
	sending->event_id = event_id;
	sending->count = count;
	for (i = 0; i < CONF_DESTINATIONS; i++)
		sending->lanes[i].destination = &conf->destinations[i];
	ok = http_open(&sending->http, error) && loop(sending, progress, error);
	for (i = 0; i < CONF_DESTINATIONS; i++) {
		if (!put_back(sending, &sending->lanes[i], ok ? error : NULL))
			ok = false;
		free(sending->lanes[i].queue);
	}
	http_close(sending->http);
	free(sending);
	return ok;
}
