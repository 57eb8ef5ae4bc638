#include "send.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pace.h"
#include "decide/message.h"
#include "net/http.h"
#include "request.h"

#define SETTLE_MS 20 /* how long an answer waits for company */
#define ROUNDS_MAX 16
#define SETTLE_MAX 1024
#define ANSWER_KEPT 1024
#define IDLE_MS 200
#define ASIDE_MS 5 /* how often to see whether the transaction is done */

/* What is claimed for one destination and not yet sent. */
struct lane {
	const struct conf_destination *destination;
	struct delivery **queue;
	size_t first, count, running;
	int64_t next_at_us;
	int64_t wait_until; /* as it asked; INT64_MAX: it is gone */
};

struct answers {
	struct settlement settlements[SETTLE_MAX];
	size_t count;
	int64_t since_ms; /* when the first came */
};

/* A transaction: what it is to settle and to claim, and what came of it. */
struct step {
	struct outbox *outbox;
	struct answers answers;
	struct outbox_lane lanes[CONF_DESTINATIONS];
	const char *event_id;
	struct delivery **claimed;
	size_t claimed_count;
	struct error error;
	bool ok;
	atomic_bool done;
};

/*
 * A disk may take longer to keep a transaction than a receiver to answer. So
 * while requests are under way, the transaction goes on aside, in a thread, and
 * its step is that thread's alone until it has been joined: so is the outbox.
 */
struct sending {
	struct outbox *outbox;
	const struct conf *conf;
	struct http *http;
	const char *event_id;
	struct lane lanes[CONF_DESTINATIONS];
	struct answers answers; /* not settled yet */
	struct step step;
	pthread_t thread;
	bool aside; /* the thread is there */
	struct send_count *count;
	const struct send_watch *watch;
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

static bool
rests(const struct lane *lane)
{
	return lane->wait_until > clock_now();
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
	if (rests(lane) || stopped)
		return 0;
	return (size_t)room > queued(lane) ? (size_t)room - queued(lane) : 0;
}

static void
start(struct sending *sending, struct lane *lane, struct delivery *delivery)
{
	const struct request_content content = {
	    delivery->key, delivery->body, delivery->plain};
	struct request request;

	lane->running++;
	request_make(&request, sending->conf, lane->destination, &content);
	http_start(sending->http, &request.http, delivery);
	request_release(&request);
}

/* Start what may go; the time until the next may, IDLE_MS at most. */
static int64_t
start_some(struct sending *sending)
{
	const int64_t now_us = clock_monotonic_ms() * 1000;
	int64_t wait_us = IDLE_MS * 1000;
	struct lane *lane;
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		lane = &sending->lanes[i];
		if (queued(lane) == 0 || rests(lane))
			continue;
		while (queued(lane) > 0 &&
		    (int64_t)lane->running < lane->destination->concurrency &&
		    lane->next_at_us <= now_us && !stopped) {
			start(sending, lane, lane->queue[lane->first++]);
			lane->next_at_us = pace_next(lane->next_at_us,
			    lane->destination->rate_per_minute, now_us);
		}
		if (queued(lane) > 0 &&
		    (int64_t)lane->running < lane->destination->concurrency &&
		    lane->next_at_us - now_us < wait_us)
			wait_us = lane->next_at_us - now_us;
	}
	return wait_us > 0 ? (wait_us + 999) / 1000 : 0;
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
    const struct retry_ruling *ruling)
{
	switch (ruling->verdict) {
	case RETRY_DONE: sending->count->done++; break;
	case RETRY_DEAD: sending->count->dead++; break;
	default: sending->count->postponed++; break;
	}
	if (ruling->rest_until > lane->wait_until)
		lane->wait_until = ruling->rest_until;
	if (ruling->verdict == RETRY_GONE)
		lane->wait_until = INT64_MAX;
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
	struct answers *answers = &sending->answers;
	struct settlement *settlement = &answers->settlements[answers->count];

	lane->running--;
	memset(settlement, 0, sizeof(*settlement));
	retry_rule(
	    &settlement->ruling, lane->destination->dialect, answer, &attempt);
	settlement->delivery = delivery;
	settlement->status = answer->status;
	settlement->took_ms = answer->took_ms;
	if (sending->watch->attempt != NULL)
		sending->watch->attempt(lane->destination, settlement);
	if (settlement->ruling.verdict == RETRY_PLAIN) {
		delivery->plain = true;
		start(sending, lane, delivery);
		buf_release(&answer->body);
		return;
	}
	if (answers->count++ == 0)
		answers->since_ms = clock_monotonic_ms();
	settlement->answer = first_part(answer);
	count_ruling(sending, lane, &settlement->ruling);
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

	if (lane->first > queued(lane)) {
		memcpy(lane->queue, lane->queue + lane->first,
		    queued(lane) * sizeof(*lane->queue));
		lane->count = queued(lane);
		lane->first = 0;
	}
	lane->queue =
	    mem_resize(lane->queue, lane->count + 1, sizeof(*lane->queue));
	lane->queue[lane->count++] = delivery;
}

static void
prepare_step(struct sending *sending)
{
	struct step *step = &sending->step;
	const size_t count = sending->answers.count;
	size_t i;

	step->outbox = sending->outbox;
	step->event_id = sending->event_id;
	memcpy(step->answers.settlements, sending->answers.settlements,
	    count * sizeof(struct settlement));
	step->answers.count = count;
	sending->answers.count = 0;
	memset(step->lanes, 0, sizeof(step->lanes));
	for (i = 0; i < CONF_DESTINATIONS; i++)
		step->lanes[i].room = room_of(&sending->lanes[i]);
	atomic_store(&step->done, false);
}

static void *
take_step(void *data)
{
	struct step *step = data;

	step->ok = outbox_step(step->outbox, step->answers.settlements,
	    step->answers.count, step->lanes, step->event_id, clock_now(),
	    &step->claimed, &step->claimed_count, &step->error);
	atomic_store(&step->done, true);
	return NULL;
}

/* What may not go now is given back; one stays, as a probe of what fails. */
static bool
give_back(struct sending *sending, struct error *error)
{
	struct lane *lane;
	bool ok = true;
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		lane = &sending->lanes[i];
		if (rests(lane) ||
		    (sending->step.lanes[i].blocked && queued(lane) > 1))
			ok = put_back(sending, lane, error) && ok;
	}
	return ok;
}

/* Queue what was claimed, or give it back where its destination fails. */
static bool
finish_step(struct sending *sending, struct error *error)
{
	struct step *step = &sending->step;
	size_t i;

	if (!step->ok) {
		*error = step->error;
		return false;
	}
	for (i = 0; i < step->claimed_count; i++)
		append(sending, step->claimed[i]);
	free(step->claimed);
	return give_back(sending, error);
}

/* Settle and claim in one transaction. */
static bool
step_now(struct sending *sending, size_t *claimed_count, struct error *error)
{
	prepare_step(sending);
	take_step(&sending->step);
	*claimed_count = sending->step.ok ? sending->step.claimed_count : 0;
	return finish_step(sending, error);
}

/* The same aside; signals are for the thread that waits for answers. */
static bool
step_aside(struct sending *sending, struct error *error)
{
	sigset_t all, before;

	prepare_step(sending);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	sending->aside = pthread_create(&sending->thread, NULL, take_step,
			     &sending->step) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sending->aside)
		return true;
	take_step(&sending->step);
	return finish_step(sending, error);
}

static bool
join_step(struct sending *sending, struct error *error)
{
	pthread_join(sending->thread, NULL);
	sending->aside = false;
	return finish_step(sending, error);
}

static size_t
waiting(const struct sending *sending)
{
	size_t count = 0, i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		count += queued(&sending->lanes[i]);
	return count;
}

/* Take an answer, if one comes in time. */
static void
collect(struct sending *sending, int64_t wait_ms)
{
	struct answer answer = {0};
	void *tag;

	if (sending->aside && wait_ms > ASIDE_MS)
		wait_ms = ASIDE_MS;
	else if (sending->answers.count > 0 && wait_ms > SETTLE_MS)
		wait_ms = SETTLE_MS;
	if (http_wait(sending->http, wait_ms, &tag, &answer))
		take_answer(sending, tag, &answer);
}

/* See to the transactions: one ends, one begins. */
static bool
settle(struct sending *sending, struct error *error)
{
	const struct answers *answers = &sending->answers;
	const bool full = answers->count == SETTLE_MAX;
	const bool idle = http_running(sending->http) == 0;
	size_t claimed;

	if (sending->aside &&
	    (idle || full || atomic_load(&sending->step.done)) &&
	    !join_step(sending, error))
		return false;
	if (sending->aside || answers->count == 0)
		return true;
	if (idle)
		return step_now(sending, &claimed, error);
	if (full || clock_monotonic_ms() - answers->since_ms >= SETTLE_MS)
		return step_aside(sending, error);
	return true;
}

static bool
loop(struct sending *sending, struct error *error)
{
	size_t claimed;
	int64_t wait_ms;

	if (!step_now(sending, &claimed, error))
		return false;
	for (;;) {
		wait_ms = start_some(sending);
		if (http_running(sending->http) == 0 &&
		    (waiting(sending) == 0 || stopped)) {
			if (stopped)
				return true;
			if (!step_now(sending, &claimed, error))
				return false;
			if (claimed == 0)
				return true;
			continue;
		}
		collect(sending, wait_ms);
		if (!settle(sending, error))
			return false;
		if (sending->watch->progress != NULL)
			sending->watch->progress(sending->count);
	}
}

/* After a failure: what is not settled is another run's, which will see. */
static void
let_go(struct sending *sending)
{
	struct answers *answers = &sending->answers;
	struct delivery *delivery;

	while (sending->http != NULL &&
	    (delivery = http_abandon(sending->http)) != NULL)
		delivery_free(delivery);
	while (answers->count > 0) {
		answers->count--;
		delivery_free(answers->settlements[answers->count].delivery);
		free(answers->settlements[answers->count].answer);
	}
}

bool
send_due(struct outbox *outbox, const struct conf *conf, const char *event_id,
    const struct send_watch *watch, struct send_count *count,
    struct error *error)
{
	struct sigaction action = {.sa_handler = stop};
	struct sending *sending = mem_alloc(sizeof(*sending));
	bool ok;
	int i;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	clock_live_in(conf->zone);
	sending->outbox = outbox;
	sending->conf = conf;
	sending->event_id = event_id;
	sending->count = count;
	sending->watch = watch;
	for (i = 0; i < CONF_DESTINATIONS; i++)
		sending->lanes[i].destination = &conf->destinations[i];
	ok = http_open(&sending->http, error) && loop(sending, error);
	let_go(sending);
	for (i = 0; i < CONF_DESTINATIONS; i++) {
		if (!put_back(sending, &sending->lanes[i], ok ? error : NULL))
			ok = false;
		free(sending->lanes[i].queue);
	}
	http_close(sending->http);
	free(sending);
	return ok;
}
