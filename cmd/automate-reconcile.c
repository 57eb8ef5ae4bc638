/*
 * automate-reconcile: count each day's AI calls, bring Stripe's meter to that
 * number, and compare what it sums up with what was sent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/usage.h"
#include "net/ping.h"
#include "net/stripe.h"
#include "night.h"
#include "prog.h"
#include "show.h"
#include "store/runs.h"
#include "store/usage.h"

#define BAR_WIDTH 30

enum {
	OPTION_DAY = PROG_OWN,
	OPTION_SINCE,
	OPTION_ORGANIZATION,
	OPTION_TODAY,
	OPTION_APPLY,
	OPTION_ACCEPT,
	OPTION_EXPLAIN
};

static struct {
	const char *day, *since, *only, *apply, *accept, *explain;
	bool today;
} options;

static struct {
	struct conf conf;
	struct db *db;
	struct run *run;
	struct night_count count;
	int64_t now;
	bool table, terminal;
} work;

/* Whether it is about drifts by their numbers, not about days. */
static bool
is_by_hand(void)
{
	return options.apply != NULL || options.accept != NULL;
}

/* The date of a day into a buffer of CLOCK_TEXT_MAX, which is returned. */
static char *
date_of(char *text, int64_t day_at)
{
	clock_format(text, day_at)[sizeof("2026-11-27") - 1] = '\0';
	return text;
}

/*
 * What is printed, after it is kept: a line for each organization's day that
 * something was done about.
 */

static void
print_json(const struct usage_row *row, bool compared)
{
	json_t *line = json_object();
	char date[CLOCK_TEXT_MAX], *text;

	json_put(line, "organization", row->organization_id);
	json_put(line, "day", date_of(date, row->day_at));
	json_put_number(line, "counted", row->counted);
	json_put_number(line, "reported", row->reported);
	json_put_number(line, "sent", row->sent);
	if (compared && row->state.customer_known)
		json_put_number(line, "confirmed", row->state.stripe);
	else
		json_put(line, "confirmed", NULL);
	if (compared)
		json_put_number(line, "drift", usage_difference(&row->state));
	else
		json_put(line, "drift", NULL);
	if (compared && row->state.accepted != 0)
		json_put_number(line, "accepted", row->state.accepted);
	if (row->cause != NULL) {
		json_put(line, "cause", row->cause);
		json_put_number(line, "id", row->drift_id);
		text = usage_command(
		    row->cause, row->drift_id, row->organization_id);
		json_put(line, "next", text);
		free(text);
	}
	text = json_compact(line);
	puts(text);
	free(text);
	json_decref(line);
}

static void
print_table(const struct usage_row *row, bool compared)
{
	static bool begun;
	char date[CLOCK_TEXT_MAX];
	struct buf name = BUF_INIT(1024);

	if (!begun)
		printf("%-36s  %-10s  %8s  %6s  %8s  %9s  %s\n", "ORGANIZATION",
		    "DAY", "COUNTED", "NEW", "SENT", "CONFIRMED", "DRIFT");
	begun = true;
	message_line(&name, row->organization_id, 36);
	printf("%-36s  %s  %8" PRId64 "  %6" PRId64 "  %8" PRId64 "  ",
	    buf_string(&name), date_of(date, row->day_at), row->counted,
	    row->reported, row->sent);
	buf_release(&name);
	if (!compared)
		printf("%9s  -\n", "-");
	else if (row->cause == NULL)
		printf("%9" PRId64 "  0%s\n", row->state.stripe,
		    row->state.accepted != 0 ? " as accepted" : "");
	else if (row->state.customer_known)
		printf("%9" PRId64 "  %+" PRId64 " %s (%" PRId64 ")\n",
		    row->state.stripe, usage_difference(&row->state),
		    row->cause, row->drift_id);
	else
		printf("%9s  %+" PRId64 " %s (%" PRId64 ")\n", "-",
		    usage_difference(&row->state), row->cause, row->drift_id);
}

static void
print_row(const struct usage_row *row, bool compared)
{
	if (work.table)
		print_table(row, compared);
	else
		print_json(row, compared);
}

static json_t *
totals(void)
{
	const struct night_count *count = &work.count;
	json_t *line = json_object();

	json_put_number(line, "days", count->days);
	json_put_number(line, "calls", count->calls);
	json_put_number(line, "organizations", count->organizations);
	json_put_number(line, "events", count->events);
	json_put_number(line, "reported", count->reported);
	json_put_number(line, "pending", count->pending);
	json_put_number(line, "dead", count->dead);
	json_put_number(line, "compared", count->compared);
	json_put_number(line, "confirmed", count->confirmed);
	json_put_number(line, "drifts", count->drifts);
	json_put_number(line, "unreadable", count->unreadable);
	json_put_number(line, "unattributed", count->unattributed);
	json_put_number(line, "no_customer", count->no_customer);
	json_put_number(line, "inactive", count->inactive);
	return line;
}

static void
print_totals(void)
{
	const struct night_count *count = &work.count;
	json_t *line;
	char *text;

	if (work.table) {
		printf("%" PRId64 " days, %" PRId64 " calls of %" PRId64
		       " organizations; %" PRId64 " reported in %" PRId64
		       " events; %" PRId64 " compared, %" PRId64
		       " confirmed, %" PRId64 " drifts\n",
		    count->days, count->calls, count->organizations,
		    count->reported, count->events, count->compared,
		    count->confirmed, count->drifts);
		return;
	}
	line = json_object();
	json_object_set_new(line, "totals", totals());
	text = json_compact(line);
	puts(text);
	free(text);
	json_decref(line);
}

static void
show_progress(int64_t compared, int64_t to_compare)
{
	static int64_t shown_ms;
	const int64_t now_ms = clock_monotonic_ms();
	const bool all = compared >= to_compare;
	int filled;

	if (!work.terminal || to_compare < 100 ||
	    (now_ms - shown_ms < 200 && !all))
		return;
	shown_ms = now_ms;
	filled = (int)(compared * BAR_WIDTH / to_compare);
	fprintf(stderr, "\rcompared [%.*s%*s] %" PRId64 "/%" PRId64 "%s",
	    filled, "##############################", BAR_WIDTH - filled, "",
	    compared, to_compare, all ? "\n" : "");
}

static const struct night_watch watch = {print_row, show_progress};

/*
 * Which days.
 */

static bool
read_day(
    const char *option, const char *text, int64_t *day_at, struct error *error)
{
	const int64_t today = clock_day(work.now);
	char *moment = mem_format("%sT00:00:00Z", text);
	bool ok = clock_parse(day_at, moment, NULL);

	free(moment);
	if (!ok || *day_at > today)
		return error_set(error, ERROR_USAGE,
		    "--%s: a day up to today, such as 2026-11-27", option);
	if (*day_at < today - USAGE_DAYS_MAX * CLOCK_DAY_S)
		return error_set(error, ERROR_DATA,
		    "--%s: Stripe takes no usage of more than %d days ago",
		    option, USAGE_DAYS_MAX);
	if (*day_at < work.conf.usage_since)
		return error_set(error, ERROR_DATA,
		    "--%s: that is before usage.since, and so another "
		    "system's",
		    option);
	return true;
}

static bool
choose_days(struct usage_span *span, struct error *error)
{
	struct usage_day yesterday;
	int64_t first = 0;

	if (options.day != NULL) {
		if (!read_day("day", options.day, &span->from, error))
			return false;
		span->until = span->from + CLOCK_DAY_S;
		return true;
	}
	if (options.today) {
		if (!usage_day_load(work.db, clock_day(work.now) - CLOCK_DAY_S,
			&yesterday, error))
			return false;
		*span = usage_running(work.now, yesterday.closed);
		return true;
	}
	if (!usage_first_day(work.db, &first, error))
		return false;
	*span = usage_nightly(work.now, work.conf.usage_look_back_s, first);
	return options.since == NULL ||
	    read_day("since", options.since, &span->from, error);
}

/*
 * The run.
 */

/* Who watches from outside hears of the nightly run alone. */
static void
tell_watcher(enum ping what)
{
	if (prog.dry_run || options.today || options.day != NULL ||
	    options.since != NULL || options.only != NULL || is_by_hand())
		return;
	if (!ping(work.conf.ping_reconcile_url, what))
		prog_note("cron.ping_reconcile does not answer");
}

static bool
end_run(bool ok, struct error *error)
{
	struct error late = {0};
	json_t *line = totals();
	char *summary = json_compact(line);
	bool ended = run_end(work.run, ok ? 0 : error_status(error->kind),
	    summary, clock_now(), &late);

	tell_watcher(ok && ended ? PING_WELL : PING_FAILED);
	free(summary);
	json_decref(line);
	if (ok && !ended)
		*error = late;
	return ok && ended;
}

/* What another system has reported is not ours. */
static void
leave_others(struct usage_span *span)
{
	*span = usage_from(*span, work.conf.usage_since);
	if (span->from == span->until)
		prog_note("there is nothing to report before usage.since");
}

static bool
reconcile(struct error *error)
{
	struct night_scope scope = {.only = options.only,
	    .running = options.today,
	    .again = options.day != NULL || options.since != NULL};
	bool ok = choose_days(&scope.span, error);

	if (ok) {
		leave_others(&scope.span);
		ok = night_pass(work.db, &work.conf, &scope, &watch, work.now,
		    &work.count, error);
	}

	if (work.count.whole)
		print_totals();
	return ok;
}

/* The number of a drift, or 0 for all. */
static bool
read_drift(
    const char *option, const char *text, int64_t *id, struct error *error)
{
	char *rest;

	*id = 0;
	if (strcmp(text, "all") == 0)
		return true;
	*id = strtoll(text, &rest, 10);
	if (*id <= 0 || *rest != '\0')
		return error_set(error, ERROR_USAGE,
		    "--%s: the number of a drift, or all", option);
	return true;
}

static bool
apply(struct error *error)
{
	int64_t id;

	return read_drift("apply", options.apply, &id, error) &&
	    night_mend(
		work.db, &work.conf, id, &watch, work.now, &work.count, error);
}

static bool
accept(struct error *error)
{
	int64_t id;

	return read_drift("accept", options.accept, &id, error) &&
	    night_accept(work.db, &work.conf, id, prog_user(), &watch, work.now,
		&work.count, error);
}

static bool
run(struct error *error)
{
	switch (run_begin(&work.run, &work.conf, prog.dry_run ? NULL : work.db,
	    options.today ? "reconcile-today" : "reconcile", work.now, error)) {
	case RUN_BEGUN: break;
	case RUN_ELSEWHERE:
		if (is_by_hand())
			return error_set(error, ERROR_RETRY,
			    "another automate-reconcile is at work");
		prog_note("another one is at work");
		return true;
	case RUN_FAILED: return false;
	}
	tell_watcher(PING_START);
	return end_run(options.apply != NULL ? apply(error)
		: options.accept != NULL     ? accept(error)
					     : reconcile(error),
	    error);
}

/*
 * --explain: what an event of Stripe says of usage that it could not count. Of
 * the events only their sort is told to us; the rest is read here.
 * https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api
 */

static void
print_words(const char *before, const char *words)
{
	fputs(before, stdout);
	show_line(stdout, words != NULL ? words : "-", 1000);
}

static void
print_error_type(const json_t *type)
{
	const json_t *samples = json_at(type, "sample_errors");
	const json_t *sample;
	int64_t count = 0;
	size_t i;

	if (!json_number(&count, type, "error_count"))
		count = 0;
	print_words("", json_text(type, "code"));
	printf(": %" PRId64 "\n", count);
	json_array_foreach(samples, i, sample)
	{
		print_words("  ", json_text(sample, "request.identifier"));
		print_words(": ", json_text(sample, "error_message"));
		putchar('\n');
	}
}

static void
print_explained(const json_t *data)
{
	const json_t *types = json_at(data, "reason.error_types");
	const json_t *type;
	size_t i;

	print_words("", json_text(data, "validation_start"));
	print_words(" to ", json_text(data, "validation_end"));
	print_words(": ", json_text(data, "developer_message_summary"));
	putchar('\n');
	json_array_foreach(types, i, type)
	{
		print_error_type(type);
	}
}

static bool
explain(struct error *error)
{
	char *path = mem_format("/v2/core/events/%s", options.explain);
	enum stripe_answer answer = STRIPE_FAILED;
	struct stripe *stripe = NULL;
	json_t *event = NULL;

	if (stripe_open(&stripe, &work.conf, error))
		answer = stripe_get(stripe, path, NULL, &event, error);
	stripe_close(stripe);
	free(path);
	if (answer == STRIPE_ABSENT)
		error_set(error, ERROR_DATA,
		    "Stripe has no event \"%.100s\"; it keeps them for 30 "
		    "days",
		    options.explain);
	if (answer != STRIPE_FOUND)
		return false;
	if (prog.json) {
		show_json(event);
		return true;
	}
	print_explained(json_at(event, "data"));
	json_decref(event);
	return true;
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"day", required_argument, NULL, OPTION_DAY},
	    {"since", required_argument, NULL, OPTION_SINCE},
	    {"organization", required_argument, NULL, OPTION_ORGANIZATION},
	    {"today", no_argument, NULL, OPTION_TODAY},
	    {"apply", required_argument, NULL, OPTION_APPLY},
	    {"accept", required_argument, NULL, OPTION_ACCEPT},
	    {"explain", required_argument, NULL, OPTION_EXPLAIN}, {0}};
	struct error error = {0};
	bool ok;
	int ch;

	prog_start("automate-reconcile",
	    "[options] [--day day | --since day | --today] [--organization "
	    "id] | --apply drift | --accept drift | --explain event",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", known)) != -1)
		switch (ch) {
		case OPTION_DAY: options.day = optarg; break;
		case OPTION_SINCE: options.since = optarg; break;
		case OPTION_ORGANIZATION: options.only = optarg; break;
		case OPTION_TODAY: options.today = true; break;
		case OPTION_APPLY: options.apply = optarg; break;
		case OPTION_ACCEPT: options.accept = optarg; break;
		case OPTION_EXPLAIN: options.explain = optarg; break;
		default: prog_usage();
		}
	if (optind < argc ||
	    (options.day != NULL) + (options.since != NULL) + options.today +
		    (options.apply != NULL) + (options.accept != NULL) +
		    (options.explain != NULL) >
		1 ||
	    ((is_by_hand() || options.explain != NULL) && options.only != NULL))
		prog_usage();

	ok = prog_ready(&work.conf, &error);
	work.now = clock_now();
	work.table = isatty(STDOUT_FILENO) && !prog.json;
	work.terminal = isatty(STDERR_FILENO) && !prog.quiet;
	if (options.explain != NULL)
		ok = ok && explain(&error);
	else
		ok = ok &&
		    db_open(&work.db, &work.conf,
			prog.dry_run ? DB_REHEARSE : DB_WRITE, &error) &&
		    db_pass(work.db, &error) && run(&error);

	db_close(work.db);
	conf_release(&work.conf);
	return prog_end(ok ? NULL : &error);
}
