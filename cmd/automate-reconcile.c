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
#include "intake.h"
#include "net/ping.h"
#include "net/retell.h"
#include "net/stripe.h"
#include "prog.h"
#include "store/runs.h"
#include "store/usage.h"

#define EXAMPLES_MAX 5
#define FAILURES_MAX 10 /* reads in a row, before Stripe is left alone */
#define SETTLE_MAX 256 /* answers written in one transaction */
#define BAR_WIDTH 30

enum {
	OPTION_DAY = PROG_OWN,
	OPTION_SINCE,
	OPTION_ORGANIZATION,
	OPTION_TODAY,
	OPTION_APPLY
};

static struct {
	const char *day, *since, *only, *apply;
	bool today;
} options;

/* What is told of some organizations: how many, and the first few of them. */
struct tally {
	int64_t calls, count, grown;
	char *first; /* organization */
	struct buf examples, details;
};

static struct work {
	struct conf conf;
	struct db *db;
	struct run *run;
	struct stripe *stripe;
	struct usage_meter meter;
	struct usage_span span;
	struct usage_day *days; /* as they are */
	struct usage_day *before; /* as the last run left them */
	size_t days_count;
	int64_t now;
	bool table, terminal;

	int64_t calls, organizations, events, reported;
	int64_t seen; /* of the ledger, on the day that is counted */
	int64_t counting_ms;
	int64_t to_compare, compared, confirmed, drifting, waiting, failed;
	int64_t unreadable, failures; /* in all, in a row */
	struct usage_fate fate;
	struct tally unattributed, no_customer, inactive, drifts;
	struct error unreachable; /* why Stripe could not be asked */
} work = {
    .unattributed = {.examples = BUF_INIT(4096), .details = BUF_INIT(16384)},
    .no_customer = {.examples = BUF_INIT(4096), .details = BUF_INIT(16384)},
    .inactive = {.examples = BUF_INIT(4096), .details = BUF_INIT(16384)},
    .drifts = {.examples = BUF_INIT(4096), .details = BUF_INIT(16384)}};

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

static bool
is_compared(const struct usage_row *row)
{
	return row->cause != NULL || row->verdict == USAGE_DRIFT;
}

static int64_t
drift_of(const struct usage_row *row)
{
	return (row->state.customer_known ? row->state.stripe : 0) -
	    (row->counted < row->sent ? row->counted : row->sent);
}

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
		json_put_number(
		    line, "drift", is_compared(row) ? drift_of(row) : 0);
	else
		json_put(line, "drift", NULL);
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
		printf("%9" PRId64 "  0\n", row->state.stripe);
	else if (row->state.customer_known)
		printf("%9" PRId64 "  %+" PRId64 " %s (%" PRId64 ")\n",
		    row->state.stripe, drift_of(row), row->cause,
		    row->drift_id);
	else
		printf("%9s  %+" PRId64 " %s (%" PRId64 ")\n", "-",
		    drift_of(row), row->cause, row->drift_id);
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
	json_t *line = json_object();

	json_put_number(line, "days", (int64_t)work.days_count);
	json_put_number(line, "calls", work.calls);
	json_put_number(line, "organizations", work.organizations);
	json_put_number(line, "events", work.events);
	json_put_number(line, "reported", work.reported);
	json_put_number(line, "pending", work.fate.pending);
	json_put_number(line, "dead", work.fate.dead);
	json_put_number(line, "compared", work.compared);
	json_put_number(line, "confirmed", work.confirmed);
	json_put_number(line, "drifts", work.drifting);
	json_put_number(line, "unreadable", work.unreadable + work.failed);
	json_put_number(line, "unattributed", work.unattributed.calls);
	json_put_number(line, "no_customer", work.no_customer.calls);
	json_put_number(line, "inactive", work.inactive.calls);
	return line;
}

static void
print_totals(void)
{
	json_t *line = json_object();
	char *text;

	if (work.table) {
		printf("%zu days, %" PRId64 " calls of %" PRId64
		       " organizations; %" PRId64 " reported in %" PRId64
		       " events; %" PRId64 " compared, %" PRId64
		       " confirmed, %" PRId64 " drifts\n",
		    work.days_count, work.calls, work.organizations,
		    work.reported, work.events, work.compared, work.confirmed,
		    work.drifting);
		json_decref(line);
		return;
	}
	json_object_set_new(line, "totals", totals());
	text = json_compact(line);
	puts(text);
	free(text);
	json_decref(line);
}

static void
show_progress(void)
{
	static int64_t shown_ms;
	const int64_t now_ms = clock_monotonic_ms();
	const bool all = work.compared >= work.to_compare;
	int filled;

	if (!work.terminal || work.to_compare < 100 ||
	    (now_ms - shown_ms < 200 && !all))
		return;
	shown_ms = now_ms;
	filled = (int)(work.compared * BAR_WIDTH / work.to_compare);
	fprintf(stderr, "\rcompared [%.*s%*s] %" PRId64 "/%" PRId64 "%s",
	    filled, "##############################", BAR_WIDTH - filled, "",
	    work.compared, work.to_compare, all ? "\n" : "");
}

/*
 * Alerts: one for each kind of trouble in a run, with numbers and examples.
 */

static void
add_example(struct tally *tally, const char *organization, const char *text)
{
	if (tally->first == NULL)
		tally->first = mem_copy(organization);
	if (tally->count++ < EXAMPLES_MAX)
		buf_format(&tally->examples, "%s%s",
		    tally->examples.size > 0 ? "; " : "", text);
	buf_format(&tally->details, "%s\n", text);
}

static void
add_unbilled(struct tally *tally, const struct usage_row *row)
{
	char date[CLOCK_TEXT_MAX],
	    *text = mem_format("%.60s (%" PRId64 " on %s)",
		row->organization_id, row->counted, date_of(date, row->day_at));

	tally->calls += row->counted;
	add_example(tally, row->organization_id, text);
	free(text);
}

static void
add_drift(const struct usage_row *row)
{
	char date[CLOCK_TEXT_MAX], *text,
	    stripe[24] = "no such customer",
	    *command =
		usage_command(row->cause, row->drift_id, row->organization_id);

	if (row->state.customer_known)
		snprintf(stripe, sizeof(stripe), "%" PRId64, row->state.stripe);
	text = mem_format("%" PRId64 ": %.60s on %s: %" PRId64
			  " counted, %" PRId64 " sent, at Stripe %s: %s; %s",
	    row->drift_id, row->organization_id, date_of(date, row->day_at),
	    row->counted, row->sent, stripe, usage_words(row->cause), command);
	add_example(&work.drifts, row->organization_id, text);
	free(text);
	free(command);
}

static void
tally_release(struct tally *tally)
{
	free(tally->first);
	buf_release(&tally->examples);
	buf_release(&tally->details);
}

/* The message is taken. */
static bool
raise(const char *kind, const char *key, char *message,
    const struct tally *tally, struct error *error)
{
	struct alert alert = {
	    .kind = mem_copy(kind), .key = mem_copy(key), .message = message};
	struct buf next = BUF_INIT(2048);

	prog_say("%s", message);
	if (tally != NULL && tally->details.size > 0)
		alert.details = mem_copy(buf_string(&tally->details));
	if (tally != NULL && tally->first != NULL) {
		buf_text(&next, "automate-log why ");
		message_word(&next, tally->first);
		alert.next_command = mem_copy(buf_string(&next));
		buf_release(&next);
	}
	return usage_alert(work.db, &work.conf, &alert, work.now, error);
}

static bool
over(const char *kind, struct error *error)
{
	return usage_alert_over(work.db, &work.conf, kind, work.now, error);
}

/* Calls that nobody pays for: told as they become more, over at none. */
static bool
tell_unbilled(const char *kind, struct tally *tally, const char *whose,
    struct error *error)
{
	if (tally->calls == 0)
		return options.today || over(kind, error);
	if (tally->grown <= 0)
		return true;
	return raise(kind, NULL,
	    mem_format("%" PRId64 " calls of %zu days %s, and are not billed%s"
		       "%s",
		tally->calls, work.days_count, whose,
		tally->examples.size > 0 ? ": " : "",
		buf_string(&tally->examples)),
	    tally, error);
}

/* Over when none is left: one that was mended may be waiting to be seen. */
static bool
end_drifts(struct error *error)
{
	int64_t open;

	return usage_drifts(work.db, &work.span, &open, error) &&
	    (open > 0 || over("usage.drift", error));
}

static bool
tell_drifts(struct error *error)
{
	bool meter_errors = false;

	if (work.drifting == 0)
		return options.today || options.only != NULL ||
		    end_drifts(error);
	if (!usage_has_meter_errors(work.db, &meter_errors, error))
		return false;
	return raise("usage.drift", NULL,
	    mem_format("%" PRId64 " drifts%s: %s", work.drifting,
		meter_errors ? " (Stripe has also said that it could not "
			       "count some usage, see usage.meter_errors)"
			     : "",
		buf_string(&work.drifts.examples)),
	    &work.drifts, error);
}

/* Have sent what is due, if anything is; what fails here stays owed. */
static void
deliver(void)
{
	bool owed = true;

	if (!usage_owed(work.db, clock_now(), &owed, NULL) || owed)
		intake_deliver(NULL);
}

/* The error of the run stays; that it is told as well must not hide it. */
static void
tell_stop(const struct error *why)
{
	struct error error = {0};
	bool told = true;

	if (why->kind == ERROR_RETRY)
		told = raise("usage.stripe_unreachable", NULL,
		    mem_copy(why->text), NULL, &error);
	else if (why->kind == ERROR_CONF || why->kind == ERROR_PROVIDER)
		told = raise(
		    "usage.stopped", NULL, mem_copy(why->text), NULL, &error);
	if (!told)
		prog_say("%s", error.text);
	else
		deliver();
}

/*
 * The meter, read before anything is reported to it.
 */

static bool
check_settings(const struct conf *conf, struct error *error)
{
	if (conf->stripe_secret_key == NULL)
		return error_set(error, ERROR_CONF,
		    "no usage can be reported: set stripe.secret_key (or "
		    "STRIPE_SECRET_KEY) to a key of Stripe's API");
	if (conf->stripe_meter_id == NULL)
		return error_set(error, ERROR_CONF,
		    "no usage can be reported: set stripe.meter_id (or "
		    "STRIPE_AI_CALLS_METER_ID) to the billing meter of AI "
		    "calls, mtr_...");
	return true;
}

static bool
ask_for_meter(struct error *error)
{
	char *path =
	    mem_format("/v1/billing/meters/%s", work.conf.stripe_meter_id);
	json_t *object = NULL;
	bool ok = false;

	switch (stripe_get(work.stripe, path, NULL, &object, error)) {
	case STRIPE_FOUND:
		ok = usage_meter_read(&work.meter, object, error);
		break;
	case STRIPE_ABSENT:
		error_set(error, ERROR_CONF,
		    "stripe.meter_id: Stripe knows no meter %.60s",
		    work.conf.stripe_meter_id);
		break;
	case STRIPE_FAILED: break;
	}
	json_decref(object);
	free(path);
	return ok;
}

static bool
open_meter(struct error *error)
{
	if (prog.dry_run) {
		work.meter = (struct usage_meter){mem_copy("ai_calls"),
		    mem_copy("stripe_customer_id"), mem_copy("value")};
		return true;
	}
	if (!check_settings(&work.conf, error))
		return false;
	if (stripe_open(&work.stripe, &work.conf, error) &&
	    ask_for_meter(error))
		return true;
	tell_stop(error);
	error->text[0] = '\0'; /* said */
	return false;
}

/*
 * Counting and reporting, day for day.
 */

static void
take_counts(struct usage_day *day, const struct usage_page *page)
{
	const struct usage_row *row;
	size_t i;

	for (i = 0; i < page->count; i++) {
		row = &page->rows[i];
		if (row->counted == 0)
			continue;
		work.seen += row->kept && row->kept_counted > 0;
		if (row->known && !row->billed) {
			day->inactive += row->counted;
			add_unbilled(&work.inactive, row);
		} else if (row->customer_id == NULL) {
			day->no_customer += row->counted;
			add_unbilled(&work.no_customer, row);
		} else {
			day->calls += row->counted;
			day->organizations++;
		}
	}
}

static void
take_reports(const struct usage_page *page)
{
	size_t i;

	for (i = 0; i < page->count; i++) {
		if (page->rows[i].reported == 0)
			continue;
		work.events++;
		work.reported += page->rows[i].reported;
		print_row(&page->rows[i], false);
	}
}

typedef bool count_fn(struct db *, const struct conf *, int64_t, const char *,
    const char *, struct usage_page *, struct error *);

static bool
count_page(count_fn *count, int64_t day_at, const char *after,
    struct usage_page *page, struct error *error)
{
	const int64_t start_ms = clock_monotonic_ms();
	bool ok = count(
	    work.db, &work.conf, day_at, after, options.only, page, error);

	work.counting_ms += clock_monotonic_ms() - start_ms;
	return ok;
}

static bool
report_pages(struct usage_day *day, count_fn *count, struct error *error)
{
	static struct usage_page page;
	char *after = NULL;
	bool ok = true, more = true;

	while (ok && more) {
		ok = count_page(count, day->day_at, after, &page, error) &&
		    usage_report(work.db, &work.conf, &work.meter, &page,
			work.now, error);
		more = page.count == USAGE_PAGE;
		if (ok) {
			take_counts(day, &page);
			take_reports(&page);
		}
		if (more)
			mem_replace(
			    &after, page.rows[page.count - 1].organization_id);
		usage_page_release(&page);
	}
	free(after);
	return ok;
}

/*
 * All of a day: also who had calls and has none any more, which is seldom worth
 * a look.
 */
static bool
report_day(struct usage_day *day, struct usage_day *before, struct error *error)
{
	int64_t kept;

	work.seen = 0;
	if (!usage_day_load(work.db, day->day_at, before, error) ||
	    !usage_kept(work.db, day->day_at, options.only, &kept, error) ||
	    !report_pages(day, usage_count, error) ||
	    (kept > work.seen && !report_pages(day, usage_vanished, error)) ||
	    (options.only == NULL &&
		!usage_unattributed(work.db, &work.conf, day->day_at,
		    &day->unattributed, error)))
		return false;
	day->closed = day->day_at + CLOCK_DAY_S <= work.now;
	work.calls += day->calls;
	work.organizations += day->organizations;
	work.unattributed.calls += day->unattributed;
	work.unattributed.grown += day->unattributed - before->unattributed;
	work.no_customer.grown += day->no_customer - before->no_customer;
	work.inactive.grown += day->inactive - before->inactive;
	return true;
}

static bool
report_days(struct error *error)
{
	size_t i;
	bool ok = true;

	work.days_count =
	    (size_t)((work.span.until - work.span.from) / CLOCK_DAY_S);
	work.days = mem_resize(NULL, work.days_count, sizeof(*work.days));
	work.before = mem_resize(NULL, work.days_count, sizeof(*work.before));
	for (i = 0; ok && i < work.days_count; i++) {
		work.days[i] = (struct usage_day){
		    .day_at = work.span.from + (int64_t)i * CLOCK_DAY_S,
		    .retell = -1};
		ok = report_day(&work.days[i], &work.before[i], error);
	}
	return ok;
}

/*
 * Comparing with what the meter sums up.
 */

struct reading {
	struct usage_row row;
	char *last; /* summary of the page before */
};

static struct {
	struct usage_filter filter;
	struct usage_page page;
	size_t next;
	char *after_id;
	int64_t after_day_at;
	struct reading *answered[SETTLE_MAX];
	size_t answered_count;
} comparing;

static void
reading_free(struct reading *reading)
{
	free(reading->row.organization_id);
	free(reading->row.customer_id);
	free(reading->last);
	free(reading);
}

static void
start_reading(struct reading *reading)
{
	char *path = mem_format("/v1/billing/meters/%s/event_summaries",
		 work.conf.stripe_meter_id),
	     *from = mem_format("%" PRId64, reading->row.day_at),
	     *until = mem_format("%" PRId64, reading->row.day_at + CLOCK_DAY_S);
	const char *query[] = {"customer", reading->row.customer_id,
	    "start_time", from, "end_time", until, "value_grouping_window",
	    "day", "limit", "100",
	    reading->last != NULL ? "starting_after" : NULL, reading->last,
	    NULL};

	stripe_start(work.stripe, path, query, reading);
	free(path);
	free(from);
	free(until);
}

static bool
load_next_page(struct error *error)
{
	struct usage_row after = {.organization_id = comparing.after_id,
	    .day_at = comparing.after_day_at};
	struct usage_page *page = &comparing.page;

	page->count = comparing.next = 0;
	if (!usage_unsettled(work.db, &comparing.filter,
		after.organization_id != NULL ? &after : NULL, work.now, page,
		error))
		return false;
	if (page->count > 0) {
		mem_replace(&comparing.after_id,
		    page->rows[page->count - 1].organization_id);
		comparing.after_day_at = page->rows[page->count - 1].day_at;
	}
	return true;
}

/* *more is false when there was no further row to begin with. */
static bool
start_next(bool *more, struct error *error)
{
	struct reading *reading;

	if (comparing.next == comparing.page.count && !load_next_page(error))
		return false;
	*more = comparing.next < comparing.page.count;
	if (!*more)
		return true;
	reading = mem_alloc(sizeof(*reading));
	reading->row = comparing.page.rows[comparing.next++];
	reading->row.state.customer_known = true;
	start_reading(reading);
	return true;
}

static void
take_verdict(const struct usage_row *row)
{
	switch (row->verdict) {
	case USAGE_CONFIRMED: work.confirmed++; break;
	case USAGE_WAIT: work.waiting++; return;
	case USAGE_DRIFT:
		work.drifting++;
		add_drift(row);
		break;
	}
	print_row(row, true);
}

static bool
keep_answers(struct error *error)
{
	struct usage_row *rows[SETTLE_MAX];
	size_t count = comparing.answered_count, i;
	bool ok;

	for (i = 0; i < count; i++)
		rows[i] = &comparing.answered[i]->row;
	ok = count == 0 ||
	    usage_settle(work.db, rows, count, work.now,
		work.conf.usage_settle_s, error);
	for (i = 0; i < count; i++) {
		if (ok)
			take_verdict(rows[i]);
		reading_free(comparing.answered[i]);
	}
	comparing.answered_count = 0;
	return ok;
}

/* Not to be known is an answer; not in those words everywhere. */
static bool
is_no_customer(enum stripe_answer answer, const struct error *error)
{
	return answer == STRIPE_ABSENT ||
	    (error->kind == ERROR_PROVIDER &&
		strstr(error->text, "No such customer") != NULL);
}

/* A failed read is not zero: the day stays as it is. */
static void
note_failure(struct reading *reading, const struct error *error)
{
	if (error->kind == ERROR_PROVIDER) {
		work.failed++;
		prog_say(
		    "%.60s: %s", reading->row.organization_id, error->text);
	} else {
		work.unreadable++;
		work.failures++;
		work.unreachable = *error;
	}
	reading_free(reading);
}

static void
take_answer(struct reading *reading, enum stripe_answer answer,
    const json_t *list, struct error *error)
{
	const json_t *data = json_object_get(list, "data");
	const size_t count = json_array_size(data);
	struct usage_state *state = &reading->row.state;

	if (answer == STRIPE_FOUND && !usage_sum(list, &state->stripe, error))
		answer = STRIPE_FAILED;
	if (answer == STRIPE_FOUND && count > 0 &&
	    json_is_true(json_object_get(list, "has_more"))) {
		mem_replace(&reading->last,
		    json_text(json_array_get(data, count - 1), "id"));
		start_reading(reading);
		return;
	}
	work.compared++;
	if (is_no_customer(answer, error))
		state->customer_known = false;
	else if (answer == STRIPE_FAILED) {
		note_failure(reading, error);
		return;
	}
	work.failures = 0;
	comparing.answered[comparing.answered_count++] = reading;
}

/* Whether it is of no use to ask on. */
static bool
is_hopeless(void)
{
	return work.failures >= FAILURES_MAX ||
	    work.unreachable.kind == ERROR_CONF;
}

static bool
read_all(struct error *error)
{
	bool more = true, under_way = false;
	enum stripe_answer answer;
	struct error why;
	json_t *list;
	void *tag;

	while (more || under_way) {
		while (more && !stripe_busy(work.stripe) && !is_hopeless())
			if (!start_next(&more, error))
				return false;
		more = more && !is_hopeless();
		memset(&why, 0, sizeof(why));
		under_way =
		    stripe_wait(work.stripe, &tag, &answer, &list, &why);
		if (under_way)
			take_answer(tag, answer, list, &why);
		json_decref(list);
		if (comparing.answered_count == SETTLE_MAX &&
		    !keep_answers(error))
			return false;
		show_progress();
	}
	return keep_answers(error);
}

static bool
compare(struct error *error)
{
	struct usage_page *page = &comparing.page;
	bool ok;

	comparing.filter = (struct usage_filter){.span = work.span,
	    .only = options.only,
	    .all = options.day != NULL || options.since != NULL,
	    .settle_s = work.conf.usage_settle_s};
	ok = usage_unsettled_count(work.db, &comparing.filter, work.now,
		 &work.to_compare, error) &&
	    (work.to_compare == 0 || read_all(error));
	for (; comparing.next < page->count; comparing.next++) {
		free(page->rows[comparing.next].organization_id);
		free(page->rows[comparing.next].customer_id);
	}
	free(comparing.after_id);
	return ok;
}

/*
 * Retell's own count of a day, once for each.
 */

static bool
ask_retell(struct retell *retell, struct usage_day *day, struct error *error)
{
	const int64_t ours =
	    day->calls + day->unattributed + day->no_customer + day->inactive;
	char date[CLOCK_TEXT_MAX], *key;
	bool ok;

	if (!retell_count(retell, day->day_at, day->day_at + CLOCK_DAY_S,
		work.conf.usage_count == CONF_CONNECTED, &day->retell, error)) {
		day->retell = -1;
		return false;
	}
	if (day->retell == ours)
		return true;
	key = mem_format("usage.retell_differs:%s", date_of(date, day->day_at));
	ok = raise("usage.retell_differs", key,
	    mem_format("On %s Retell counts %" PRId64 " calls, and we %" PRId64,
		date, day->retell, ours),
	    NULL, error);
	free(key);
	return ok;
}

/* What fails here is said, and asked again by the next run. */
static bool
compare_retell(struct error *error)
{
	struct retell *retell = NULL;
	bool ok = true;
	size_t i;

	if (!work.conf.usage_compare_retell || options.only != NULL ||
	    options.today)
		return true;
	ok = retell_open(&retell, &work.conf, error);
	for (i = 0; ok && i < work.days_count; i++)
		if (work.days[i].closed && work.before[i].retell == -1)
			ok = ask_retell(retell, &work.days[i], error);
	retell_close(retell);
	return ok;
}

/*
 * The end: alerts, the days, and what the run came to.
 */

static bool
tell(struct error *error)
{
	if (options.only != NULL)
		return tell_drifts(error);
	return (work.unreachable.kind != ERROR_NONE ||
		   (over("usage.stopped", error) &&
		       over("usage.stripe_unreachable", error))) &&
	    tell_unbilled("usage.unattributed", &work.unattributed,
		"belong to no organization", error) &&
	    tell_unbilled("usage.no_customer", &work.no_customer,
		"are of organizations without a Stripe customer", error) &&
	    tell_unbilled("usage.inactive", &work.inactive,
		"are of organizations that were not active", error) &&
	    tell_drifts(error);
}

static bool
close_days(struct error *error)
{
	int64_t drifts;

	if (options.only != NULL)
		return true;
	return usage_drifts(work.db, &work.span, &drifts, error) &&
	    usage_days_write(work.db, &work.conf, work.days, work.days_count,
		drifts, work.unreachable.kind == ERROR_NONE, work.now, error);
}

/* The honest no, with what to type next. */
static bool
conclude(struct error *error)
{
	if (work.unreachable.kind != ERROR_NONE) {
		*error = work.unreachable;
		return error_at(error,
		    "%" PRId64 " days of organizations could not be compared",
		    work.unreadable);
	}
	if (work.fate.pending > 0)
		prog_note("%" PRId64 " reports are still to be delivered; see "
			  "automate-deliver list --destination stripe.meter",
		    work.fate.pending);
	if (work.drifting + work.fate.dead + work.failed == 0)
		return true;
	return error_set(error, ERROR_NO,
	    "%" PRId64 " drifts, %" PRId64 " reports given up, %" PRId64
	    " refused",
	    work.drifting, work.fate.dead, work.failed);
}

static bool
finish(struct error *error)
{
	struct error retell = {0};
	const bool asked = compare_retell(&retell);
	bool ok;

	if (work.unreachable.kind != ERROR_NONE)
		tell_stop(&work.unreachable);
	ok = tell(error) && close_days(error);
	deliver();
	ok = ok && usage_fate(work.db, &work.span, &work.fate, error);
	if (!ok)
		return false;
	print_totals();
	if (!asked && retell.kind != ERROR_NONE) {
		*error = retell;
		return error_at(error, "Retell could not be asked");
	}
	return conclude(error);
}

static bool
reconcile(struct error *error)
{
	if (!open_meter(error) || !report_days(error))
		return false;
	if (prog.verbose)
		prog_say("counted %zu days in %" PRId64 " ms", work.days_count,
		    work.counting_ms);
	if (prog.dry_run) {
		print_totals();
		return true;
	}
	deliver();
	return (options.today || compare(error)) && finish(error);
}

/*
 * Mending one drift.
 */

static bool
read_sum(struct usage_row *row, struct error *error)
{
	struct reading *reading = mem_alloc(sizeof(*reading));
	enum stripe_answer answer;
	json_t *list;
	void *tag;

	reading->row = *row;
	reading->row.organization_id = mem_copy(row->organization_id);
	reading->row.customer_id = mem_copy(row->customer_id);
	reading->row.state.customer_known = true;
	start_reading(reading);
	while (stripe_wait(work.stripe, &tag, &answer, &list, error)) {
		take_answer(reading, answer, list, error);
		json_decref(list);
	}
	if (comparing.answered_count == 0)
		return false;
	comparing.answered_count = 0;
	memset(error, 0, sizeof(*error));
	row->state = reading->row.state;
	reading_free(reading);
	return true;
}

static bool
refuse(const struct usage_row *row, struct error *error)
{
	char *command =
	    usage_command(row->cause, row->drift_id, row->organization_id);

	error_set(error, ERROR_DATA,
	    "drift %" PRId64 " is not mended by sending again: %s; see %s",
	    row->drift_id, usage_words(row->cause), command);
	free(command);
	return false;
}

static bool
mend(struct usage_row *row, struct error *error)
{
	struct usage_row *const rows[] = {row};

	if (!usage_settle(
		work.db, rows, 1, work.now, work.conf.usage_settle_s, error))
		return false;
	if (row->verdict == USAGE_WAIT)
		return error_set(error, ERROR_RETRY,
		    "drift %" PRId64 ": it was sent too lately to be seen at "
		    "Stripe; try again after usage.settle",
		    row->drift_id);
	if (row->verdict == USAGE_DRIFT && !usage_is_mendable(row->cause))
		return refuse(row, error);
	if (row->verdict == USAGE_DRIFT &&
	    !usage_apply(
		work.db, &work.conf, &work.meter, row, work.now, error))
		return false;
	work.events += row->reported > 0;
	work.reported += row->reported;
	print_row(row, true);
	return true;
}

static bool
apply_one(int64_t id, struct error *error)
{
	struct usage_row row = {0};
	bool found = false, ok;

	ok = usage_drift_load(work.db, id, &row, &found, error);
	if (ok && !found)
		ok = error_set(error, ERROR_DATA,
		    "no open drift %" PRId64 "; see automate-log list --kind "
		    "usage.drift",
		    id);
	ok = ok && read_sum(&row, error) && mend(&row, error);
	free(row.organization_id);
	free(row.customer_id);
	return ok;
}

/* What does not do now is said, and does not keep the others. */
static bool
apply_all(struct error *error)
{
	struct error why = {0};
	int64_t *ids = NULL;
	size_t count = 0, i;
	bool ok = usage_mendable(work.db, &ids, &count, error);

	for (i = 0; ok && i < count && why.kind != ERROR_CONF; i++) {
		memset(&why, 0, sizeof(why));
		if (apply_one(ids[i], &why))
			continue;
		prog_say("%s", why.text);
		if (error_status(why.kind) >= error_status(error->kind))
			error->kind = why.kind;
	}
	free(ids);
	return ok && error->kind == ERROR_NONE;
}

static bool
apply(struct error *error)
{
	const bool all = strcmp(options.apply, "all") == 0;
	char *rest;
	const int64_t id = strtoll(options.apply, &rest, 10);
	bool ok;

	if (!all && (rest == options.apply || *rest != '\0'))
		return error_set(error, ERROR_USAGE,
		    "--apply: the number of a drift, or all");
	ok = open_meter(error) &&
	    (all ? apply_all(error) : apply_one(id, error));
	if (work.events > 0)
		deliver();
	return ok;
}

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
	return true;
}

static bool
choose_days(struct error *error)
{
	struct usage_day yesterday;
	int64_t first = 0;

	if (options.day != NULL) {
		if (!read_day("day", options.day, &work.span.from, error))
			return false;
		work.span.until = work.span.from + CLOCK_DAY_S;
		return true;
	}
	if (options.today) {
		if (!usage_day_load(work.db, clock_day(work.now) - CLOCK_DAY_S,
			&yesterday, error))
			return false;
		work.span = usage_running(work.now, yesterday.closed);
		return true;
	}
	if (!usage_first_day(work.db, &first, error))
		return false;
	work.span = usage_nightly(work.now, work.conf.usage_look_back_s, first);
	return options.since == NULL ||
	    read_day("since", options.since, &work.span.from, error);
}

/*
 * The run.
 */

/* Who watches from outside hears of the nightly run alone. */
static void
tell_watcher(enum ping what)
{
	if (prog.dry_run || options.today || options.day != NULL ||
	    options.since != NULL || options.only != NULL ||
	    options.apply != NULL)
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

static bool
run(struct error *error)
{
	switch (run_begin(&work.run, &work.conf, prog.dry_run ? NULL : work.db,
	    options.today ? "reconcile-today" : "reconcile", work.now, error)) {
	case RUN_BEGUN: break;
	case RUN_ELSEWHERE:
		if (options.apply != NULL)
			return error_set(error, ERROR_RETRY,
			    "another automate-reconcile is at work");
		prog_note("another one is at work");
		return true;
	case RUN_FAILED: return false;
	}
	tell_watcher(PING_START);
	return end_run(options.apply != NULL
		? apply(error)
		: choose_days(error) && reconcile(error),
	    error);
}

static void
work_release(void)
{
	stripe_close(work.stripe);
	usage_meter_release(&work.meter);
	tally_release(&work.unattributed);
	tally_release(&work.no_customer);
	tally_release(&work.inactive);
	tally_release(&work.drifts);
	free(work.days);
	free(work.before);
	db_close(work.db);
	conf_release(&work.conf);
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"day", required_argument, NULL, OPTION_DAY},
	    {"since", required_argument, NULL, OPTION_SINCE},
	    {"organization", required_argument, NULL, OPTION_ORGANIZATION},
	    {"today", no_argument, NULL, OPTION_TODAY},
	    {"apply", required_argument, NULL, OPTION_APPLY}, {0}};
	struct error error = {0};
	bool ok;
	int ch;

	prog_start("automate-reconcile",
	    "[options] [--day day | --since day | --today] [--organization "
	    "id] | --apply drift",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", known)) != -1)
		switch (ch) {
		case OPTION_DAY: options.day = optarg; break;
		case OPTION_SINCE: options.since = optarg; break;
		case OPTION_ORGANIZATION: options.only = optarg; break;
		case OPTION_TODAY: options.today = true; break;
		case OPTION_APPLY: options.apply = optarg; break;
		default: prog_usage();
		}
	if (optind < argc ||
	    (options.day != NULL) + (options.since != NULL) + options.today +
		    (options.apply != NULL) >
		1 ||
	    (options.apply != NULL && options.only != NULL))
		prog_usage();

	ok = prog_ready(&work.conf, &error);
	work.now = clock_now();
	work.table = isatty(STDOUT_FILENO) && !prog.json;
	work.terminal = isatty(STDERR_FILENO) && !prog.quiet;
	ok = ok &&
	    db_open(&work.db, &work.conf, prog.dry_run ? DB_REHEARSE : DB_WRITE,
		&error) &&
	    db_pass(work.db, &error) && run(&error);

	work_release();
	return prog_end(ok ? NULL : &error);
}
