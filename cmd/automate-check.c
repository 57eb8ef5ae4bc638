/*
 * automate-check: say whether configuration, database, queue, jobs and
 * providers are well, and what to do where they are not; once a day, tell how
 * the day was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "check_live.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "intake.h"
#include "net/ping.h"
#include "prog.h"
#include "store/health.h"
#include "store/ledger.h"
#include "store/runs.h"

enum { OPTION_FLOW = PROG_OWN, OPTION_LIVE, OPTION_SMS, OPTION_DIGEST };

static struct {
	unsigned flows;
	bool live, sms, digest, print;
} options = {.flows = CHECK_EVERY};

/*
 * The database. Where it cannot be opened, that is a line like any other.
 */
static void
open_database(struct check *check)
{
	struct error error = {0};

	if (check_owner(check) &&
	    !db_open(&check->db, check->conf,
		prog.dry_run ? DB_REHEARSE : DB_WRITE, &error))
		check_broken(check, CHECK_EVERY, "database", &error);
}

static void
look(struct check *check)
{
	check_configuration(check);
	check_machine(check);
	if (check->db == NULL)
		return;
	check_stored(check);
	check_flows(check);
}

static size_t
troubles(const struct check *check)
{
	return check_count(check, CHECK_WARN) + check_count(check, CHECK_FAIL);
}

/*
 * The digest: an event like any other, with the day for its id, so that there
 * is one a day.
 */

static void
add_troubles(json_t *data, const struct check *check)
{
	struct buf text = BUF_INIT(4096);
	const struct check_line *line;
	size_t i;

	for (i = 0; i < check->count; i++) {
		line = &check->lines[i];
		if (line->state >= CHECK_WARN)
			buf_format(&text, "%s%s: %s", text.size > 0 ? "\n" : "",
			    line->name, line->words);
	}
	json_put(data, "text", text.size > 0 ? buf_string(&text) : NULL);
	json_put_number(data, "troubles", (int64_t)troubles(check));
	buf_release(&text);
}

static int64_t
all_sent(const struct health_day *day)
{
	int64_t sum = 0;
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		sum += day->sent[i];
	return sum;
}

/* A text, which is taken. */
static void
put_taken(json_t *data, const char *key, char *text)
{
	json_put(data, key, text);
	free(text);
}

static json_t *
digest_of(const struct check *check, const struct health_day *day)
{
	json_t *data = json_object();

	put_taken(data, "customers", mem_format("%" PRId64, day->customers));
	put_taken(data, "calls",
	    mem_format("%" PRId64 ", %" PRId64 " failed", day->calls,
		day->calls_failed));
	put_taken(data, "deliveries",
	    mem_format("%" PRId64 " sent, %" PRId64 " given up", all_sent(day),
		day->dead));
	put_taken(data, "alerts",
	    mem_format("%" PRId64 " raised; open: %" PRId64
		       " critical, %" PRId64 " errors, %" PRId64 " warnings",
		day->alerts, day->alerts_open[3], day->alerts_open[2],
		day->alerts_open[1]));
	put_taken(data, "dunning",
	    mem_format("%" PRId64 " reminded, %" PRId64 " downgraded",
		day->dunning_open, day->downgraded));
	put_taken(data, "usage", mem_format("%" PRId64 " calls", day->usage));
	add_troubles(data, check);
	return data;
}

/* The date of the day, by the clock of the business. */
static char *
day_key(const struct conf *conf, int64_t now)
{
	struct tm local;

	clock_local(&local, now, conf->zone);
	return mem_format("digest:%04d-%02d-%02d", local.tm_year + 1900,
	    local.tm_mon + 1, local.tm_mday);
}

static void
make_event(struct event *event, const struct check *check, json_t *data)
{
	event->id = day_key(check->conf, check->now);
	event->source = "cron";
	event->kind = mem_copy("digest");
	event->occurred_at = event->received_at = check->now;
	event->body = json_compact(data);
	event->data = data;
}

static bool
record(const struct conf *conf, const struct event *event, struct error *error)
{
	struct ledger *ledger = NULL;
	char *line = NULL;
	bool ok = ledger_open(&ledger, conf,
		      prog.dry_run ? DB_REHEARSE : DB_WRITE, error) &&
	    ledger_record(ledger, event, decide_digest, &line, error) !=
		LEDGER_FAILED &&
	    ledger_flush(ledger, error);

	ledger_close(ledger);
	if (ok) {
		puts(line);
		intake_deliver(event->id);
	}
	free(line);
	return ok;
}

static bool
post_digest(struct check *check, struct error *error)
{
	struct event event = {0};
	struct health_day day;
	bool ok;

	if (!check->conf->destinations[CONF_SLACK_ALERTS].configured) {
		prog_note("no digest is posted: slack.alerts is not "
			  "configured");
		return true;
	}
	if (check->db == NULL)
		return error_set(
		    error, ERROR_CONF, "%s", check->lines[0].words);
	ok = health_day(check->db, check->conf, check->now - CLOCK_DAY_S,
	    check->now, &day, error);
	if (ok) {
		make_event(&event, check, digest_of(check, &day));
		ok = record(check->conf, &event, error);
	}
	event_release(&event);
	return ok;
}

/*
 * The run.
 */

static bool
report(struct check *check, struct error *error)
{
	if (options.live)
		check_live(check, options.sms);
	check_print(
	    check, prog.quiet ? CHECK_WARN : CHECK_OK, prog.json, stdout);
	prog_note("%zu ok, %zu skipped, %zu to look at, %zu wrong",
	    check_count(check, CHECK_OK), check_count(check, CHECK_SKIP),
	    check_count(check, CHECK_WARN), check_count(check, CHECK_FAIL));
	return troubles(check) == 0 || error_set(error, ERROR_NO, "%s", "");
}

static char *
summary_of(const struct check *check)
{
	json_t *summary = json_object();
	char *text;

	json_put_number(summary, "ok", (int64_t)check_count(check, CHECK_OK));
	json_put_number(
	    summary, "warn", (int64_t)check_count(check, CHECK_WARN));
	json_put_number(
	    summary, "fail", (int64_t)check_count(check, CHECK_FAIL));
	text = json_compact(summary);
	json_decref(summary);
	return text;
}

/* Who watches from outside hears of whole checks alone. */
static void
tell_watcher(const struct check *check, bool ok)
{
	if (prog.dry_run || options.digest || options.flows != CHECK_EVERY)
		return;
	if (!ping(check->conf->ping_check_url, ok ? PING_WELL : PING_FAILED))
		prog_note("cron.ping_check does not answer");
}

static bool
end_run(struct check *check, struct run *run, bool ok, struct error *error)
{
	struct error late = {0};
	char *summary = summary_of(check);
	bool ended = run_end(run, ok ? 0 : error_status(error->kind), summary,
	    clock_now(), &late);

	free(summary);
	tell_watcher(check, ok && ended);
	if (ok && !ended)
		*error = late;
	return ok && ended;
}

static bool
work(struct check *check, struct run *run, struct error *error)
{
	bool ok;

	look(check);
	ok = options.digest ? post_digest(check, error) : report(check, error);
	return end_run(check, run, ok, error);
}

/*
 * Of a part of it, and where nothing can be written, there is no row. Nor has
 * one a check beside another, which is to be told all the same how things are.
 */
static bool
run(struct check *check, struct error *error)
{
	struct run *row = NULL;

	if (check->db == NULL || prog.dry_run || options.flows != CHECK_EVERY)
		return work(check, NULL, error);
	switch (run_begin(&row, check->conf, check->db,
	    options.digest ? "digest" : "check", check->now, error)) {
	case RUN_BEGUN: break;
	case RUN_ELSEWHERE:
		if (!options.digest)
			break;
		prog_note("another one is at work");
		return true;
	case RUN_FAILED:
		check_broken(check, CHECK_EVERY, "database", error);
		break;
	}
	return work(check, row, error);
}

static bool
check_all(struct conf *conf, struct error *error)
{
	struct check check = {.conf = conf, .flows = options.flows};
	bool ok;

	check.now = clock_now();
	open_database(&check);
	ok = run(&check, error);
	db_close(check.db);
	check_release(&check);
	return ok;
}

static void
take_flow(const char *name)
{
	options.flows = check_flow(name);
	if (options.flows != 0)
		return;
	prog_say("flow \"%s\" is none of onboarding, alerts, payments, calls, "
		 "usage",
	    name);
	prog_usage();
}

static void
check_operands(char *words[])
{
	options.print = words[0] != NULL && strcmp(words[0], "config") == 0 &&
	    words[1] == NULL;
	if ((words[0] != NULL && !options.print) ||
	    (options.sms && !options.live) ||
	    (options.digest &&
		(options.live || options.flows != CHECK_EVERY)) ||
	    (options.print &&
		(options.live || options.digest ||
		    options.flows != CHECK_EVERY)))
		prog_usage();
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"flow", required_argument, NULL, OPTION_FLOW},
	    {"live", no_argument, NULL, OPTION_LIVE},
	    {"sms", no_argument, NULL, OPTION_SMS},
	    {"digest", no_argument, NULL, OPTION_DIGEST}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	bool ok;
	int ch;

	prog_start("automate-check",
	    "[options] [--flow flow] [--live [--sms]] | --digest | config",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", known)) != -1)
		switch (ch) {
		case OPTION_FLOW: take_flow(optarg); break;
		case OPTION_LIVE: options.live = true; break;
		case OPTION_SMS: options.sms = true; break;
		case OPTION_DIGEST: options.digest = true; break;
		default: prog_usage();
		}
	check_operands(argv + optind);

	ok = prog_ready(&conf, &error);
	if (ok && options.print)
		conf_print(&conf, stdout);
	else
		ok = ok && check_all(&conf, &error);

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
