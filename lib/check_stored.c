/*
 * automate-check's looks at what is stored: the queue, the jobs of cron, those
 * who should send us something, open alerts, and the clock.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "check.h"
#include "decide/alert.h"
#include "decide/message.h"
#include "store/health.h"
#include "store/history.h"

#define YEAR_2026 1767225600 /* nothing of ours is older */
#define AHEAD_S 120 /* a stored event may be of the future by so much */
#define SILENT_S (2LL * CLOCK_DAY_S)
#define VERY_SILENT_S (20LL * CLOCK_DAY_S) /* Stripe keeps events for 30 */
#define HABIT_LEAST 5 /* events, before there is a habit */

static char *
ago(char *text, int64_t now, int64_t at)
{
	return clock_format_length(text, now > at ? now - at : 0);
}

/* The latest event is of the future: due times would be, too. */
static void
check_clock(struct check *check)
{
	struct error error = {0};
	char when[CLOCK_TEXT_MAX], newest_when[CLOCK_TEXT_MAX];
	int64_t newest;

	if (!health_newest(check->db, &newest, &error))
		check_broken(check, CHECK_EVERY, "clock", &error);
	else if (check->now < YEAR_2026 || newest > check->now + AHEAD_S)
		check_say(check, CHECK_EVERY, CHECK_FAIL, "clock",
		    mem_format("it is said to be %s%s%s",
			clock_format(when, check->now),
			newest > check->now ? ", but an event came at " : "",
			newest > check->now ? clock_format(newest_when, newest)
					    : ""),
		    mem_copy("set the clock, and keep it set: timedatectl "
			     "set-ntp true"));
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "clock",
		    mem_copy(clock_format(when, check->now)), NULL);
}

static void
check_late(struct check *check, const struct health_queue *queue)
{
	char length[CLOCK_TEXT_MAX];
	int64_t late_s =
	    queue->oldest_at != 0 ? check->now - queue->oldest_at : 0;

	if (late_s > ALERT_LATE_S)
		check_say(check, CHECK_EVERY,
		    late_s > ALERT_VERY_LATE_S ? CHECK_FAIL : CHECK_WARN,
		    "queue",
		    mem_format("waiting: %" PRId64 ", the oldest for %s",
			queue->waiting,
			ago(length, check->now, queue->oldest_at)),
		    mem_copy("automate-deliver; then, for what remains: "
			     "automate-deliver list --state queued"));
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "queue",
		    mem_format("waiting: %" PRId64, queue->waiting), NULL);
}

static void
check_dead(struct check *check, const struct health_queue *queue)
{
	if (queue->dead > 0)
		check_say(check, CHECK_EVERY, CHECK_WARN, "queue.dead",
		    mem_format("given up: %" PRId64, queue->dead),
		    mem_copy("automate-deliver list --state dead; then "
			     "automate-deliver retry --dead, or cancel or "
			     "purge them"));
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "queue.dead",
		    mem_copy("given up: 0"), NULL);
}

static void
say_stop(void *context, const struct health_stop *stop)
{
	struct check *check = context;
	char when[CLOCK_TEXT_MAX];

	clock_format(when, stop->since);
	if (stop->why != NULL)
		check_say(check, CHECK_EVERY, CHECK_FAIL, "queue.stopped",
		    mem_format("%s is held since %s: %s", stop->destination,
			when, stop->why),
		    mem_format("mend it, then: automate-deliver release %s",
			stop->destination));
	else
		check_say(check, CHECK_EVERY, CHECK_WARN, "queue.stopped",
		    mem_format("%s does not answer; tried again at %s",
			stop->destination, when),
		    mem_format("automate-deliver list --state queued "
			       "--destination %s",
			stop->destination));
}

static void
check_queue(struct check *check)
{
	struct health_queue queue;
	struct error error = {0};

	if (!health_queue(check->db, check->now, &queue, &error) ||
	    !health_stops(check->db, say_stop, check, &error)) {
		check_broken(check, CHECK_EVERY, "queue", &error);
		return;
	}
	check_late(check, &queue);
	check_dead(check, &queue);
}

/*
 * Jobs: how often each is to run, and how late it may be.
 */
static const struct job {
	const char *run; /* as its rows are called */
	const char *command;
	int64_t period_s, grace_s;
	unsigned flows;
} jobs[] = {
    {"deliver", "automate-deliver", 60, 600, CHECK_EVERY},
    {"dunning", "automate-dunning", 3600, 3600, CHECK_PAYMENTS},
    {"reconcile-today", "automate-reconcile --today", 3600, 3600, CHECK_USAGE},
    {"reconcile", "automate-reconcile", CLOCK_DAY_S, 3LL * 3600, CHECK_USAGE},
    {"sweep", "automate-call --sweep", 300, 1800, CHECK_CALLS},
    {"digest", "automate-check --digest", CLOCK_DAY_S, 3LL * 3600, CHECK_EVERY},
};
#define JOBS (sizeof(jobs) / sizeof(jobs[0]))

/* Whether there is anything for it to do. */
static bool
is_needed(const struct job *job, const struct conf *conf)
{
	if (job->flows == CHECK_PAYMENTS)
		return conf->stripe_webhook_secret != NULL;
	if (job->flows == CHECK_USAGE)
		return conf->stripe_secret_key != NULL &&
		    conf->stripe_meter_id != NULL;
	if (job->flows == CHECK_CALLS)
		return conf->retell_api_key != NULL;
	if (strcmp(job->run, "digest") == 0)
		return conf->destinations[CONF_SLACK_ALERTS].configured;
	return true;
}

/* When it was seen last: to end, or if it never did, to begin. */
static int64_t
seen_at(const struct health_run *run)
{
	return run->last_ended_at != 0 ? run->last_ended_at : run->started_at;
}

static bool
stands_still(const struct job *job, const struct health_run *run, int64_t now)
{
	return now - seen_at(run) > job->period_s + job->grace_s;
}

/* What it said last: not now, and some of a batch, are for alerts to tell. */
static bool
went_well(int64_t status)
{
	return status == 0 || status == error_status(ERROR_NO) ||
	    status == error_status(ERROR_RETRY);
}

static void
say_job(struct check *check, const struct job *job, const char *name,
    const struct health_run *run)
{
	const int64_t limit_s = job->period_s + job->grace_s;
	const bool first = run->last_ended_at == 0;
	const bool killed =
	    run->ended_at == 0 && check->now - run->started_at > limit_s;
	char length[CLOCK_TEXT_MAX];

	if (killed)
		check_say(check, job->flows, CHECK_WARN, name,
		    mem_format("begun %s ago, and never ended",
			ago(length, check->now, run->started_at)),
		    mem_format("run it by hand and see: %s", job->command));
	else if (stands_still(job, run, check->now))
		check_say(check, job->flows, CHECK_FAIL, name,
		    mem_format("last ended %s ago",
			ago(length, check->now, run->last_ended_at)),
		    mem_format("see that cron runs, and has the line of "
			       "etc/crontab for %s",
			job->command));
	else if (run->ended_at != 0 && !went_well(run->status))
		check_say(check, job->flows, CHECK_FAIL, name,
		    mem_format("ended %s ago with status %" PRId64,
			ago(length, check->now, run->ended_at), run->status),
		    mem_format("run it by hand and see: %s", job->command));
	else
		check_say(check, job->flows, CHECK_OK, name,
		    mem_format("%s %s ago", first ? "begun" : "last ended",
			ago(length, check->now, seen_at(run))),
		    NULL);
}

bool
check_cron(struct db *db, const struct conf *conf, int64_t now,
    const char **command, struct error *error)
{
	struct health_run run;
	size_t i;

	*command = NULL;
	for (i = 0; i < JOBS && *command == NULL; i++) {
		if (!is_needed(&jobs[i], conf))
			continue;
		if (!health_run(db, jobs[i].run, &run, error))
			return false;
		if (run.known && stands_still(&jobs[i], &run, now))
			*command = jobs[i].command;
	}
	return true;
}

static void
check_job(struct check *check, const struct job *job)
{
	char *name = mem_format("cron.%s", job->run);
	struct error error = {0};
	struct health_run run;

	if (!is_needed(job, check->conf))
		check_say(check, job->flows, CHECK_SKIP, name,
		    mem_copy("not needed: its provider is not configured"),
		    NULL);
	else if (!health_run(check->db, job->run, &run, &error))
		check_broken(check, job->flows, name, &error);
	else if (!run.known)
		check_say(check, job->flows, CHECK_WARN, name,
		    mem_copy("never ran"),
		    mem_format("put the line of etc/crontab for %s into the "
			       "crontab; see automate-setup(7)",
			job->command));
	else
		say_job(check, job, name, &run);
	free(name);
}

/*
 * Senders.
 */
static const struct sender {
	const char *source, *name, *where;
	unsigned flows;
} senders[] = {
    {"stripe", "webhooks.stripe",
	"see the endpoint at Stripe, under Developers, Webhooks; "
	"automate-check --live asks for its state",
	CHECK_PAYMENTS},
    {"retell", "webhooks.retell", "see the webhook URL of the agent at Retell",
	CHECK_CALLS},
    {"supabase", "webhooks.supabase",
	"see Database, Webhooks at Supabase, and net._http_response there",
	CHECK_ONBOARDING},
};

static enum check_state
judge_silence(const struct health_source *source, int64_t silent_s)
{
	const bool unusual = source->count >= HABIT_LEAST &&
	    silent_s > SILENT_S && silent_s > 2 * source->longest_s;

	if (!unusual)
		return CHECK_OK;
	return silent_s > VERY_SILENT_S ? CHECK_FAIL : CHECK_WARN;
}

static void
check_sender(struct check *check, const struct sender *sender)
{
	struct health_source source;
	struct error error = {0};
	enum check_state state;
	char length[CLOCK_TEXT_MAX], longest[CLOCK_TEXT_MAX];

	if (!health_source(check->db, sender->source, &source, &error)) {
		check_broken(check, sender->flows, sender->name, &error);
		return;
	}
	if (source.count == 0) {
		check_say(check, sender->flows, CHECK_SKIP, sender->name,
		    mem_copy("nothing came yet"), NULL);
		return;
	}
	state = judge_silence(&source, check->now - source.latest_at);
	check_say(check, sender->flows, state, sender->name,
	    mem_format("last one %s ago%s%s",
		ago(length, check->now, source.latest_at),
		state != CHECK_OK ? "; the longest pause before was " : "",
		state != CHECK_OK
		    ? clock_format_length(longest, source.longest_s)
		    : ""),
	    state != CHECK_OK ? mem_copy(sender->where) : NULL);
}

/*
 * Alerts.
 */
struct standing {
	struct check *check;
	int64_t count;
};

static void
say_alert(void *context, const struct history_alert *alert)
{
	struct standing *standing = context;

	standing->count++;
	if (strcmp(alert->severity, "critical") != 0 ||
	    strcmp(alert->state, "acknowledged") == 0)
		return;
	check_say(standing->check, CHECK_EVERY, CHECK_FAIL, "alerts.critical",
	    mem_format("%" PRId64 ": %s", alert->id, alert->title),
	    mem_format("automate-log show %" PRId64 "; then automate-log ack "
		       "or resolve %" PRId64,
		alert->id, alert->id));
}

static void
check_alerts(struct check *check)
{
	const struct history_filter filter = {
	    .severity = 1, .open = true, .limit = 1000};
	struct standing standing = {check, 0};
	struct error error = {0};

	if (!history_alerts(
		check->db, &filter, check->now, say_alert, &standing, &error))
		check_broken(check, CHECK_EVERY, "alerts", &error);
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "alerts",
		    mem_format("open: %" PRId64
			       "; see automate-log list --open",
			standing.count),
		    NULL);
}

void
check_stored(struct check *check)
{
	size_t i;

	check_clock(check);
	check_queue(check);
	for (i = 0; i < JOBS; i++)
		check_job(check, &jobs[i]);
	for (i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		check_sender(check, &senders[i]);
	check_alerts(check);
}
