#include "night.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "decide/message.h"
#include "intake.h"
#include "net/retell.h"
#include "prog.h"
#include "sums.h"

#define EXAMPLES_MAX 5
#define FAILURES_MAX 10 /* reads in a row, before Stripe is left alone */
#define SETTLE_MAX 256 /* answers written in one transaction */

/* What is told of some organizations: how many, and the first few of them. */
struct tally {
	int64_t calls, count, grown;
	char *first; /* organization */
	struct buf examples, details;
};

/* The rows to compare, page by page, and those whose sum has come. */
struct comparison {
	struct usage_filter filter;
	struct usage_page page;
	size_t next;
	char *after_id;
	int64_t after_day_at;
	int64_t to_compare;
	struct usage_row *answered[SETTLE_MAX];
	size_t answered_count;
};

struct night {
	struct db *db;
	const struct conf *conf;
	const struct night_scope *scope;
	const struct night_watch *watch;
	struct night_count *count;
	int64_t now;
	const char *who; /* accepts */

	struct sums *sums;
	struct usage_meter meter;
	struct usage_page page; /* of the day that is counted */
	struct usage_day *days; /* as they are */
	struct usage_day *before; /* as the last run left them */
	size_t days_count;
	int64_t seen; /* of the ledger, on the day that is counted */
	struct comparison comparison;
	int64_t refused; /* reads that Stripe refused */
	int failures; /* reads in a row that had no answer */
	struct tally unattributed, no_customer, inactive, drifts;
	struct error unreachable; /* why Stripe could not be asked */
};

/* The date of a day into a buffer of CLOCK_TEXT_MAX, which is returned. */
static char *
date_of(char *text, int64_t day_at)
{
	clock_format(text, day_at)[sizeof("2026-11-27") - 1] = '\0';
	return text;
}

static void
show(const struct night *night, const struct usage_row *row, bool compared)
{
	if (night->watch->row != NULL)
		night->watch->row(row, compared);
}

/*
 * Alerts: one for each kind of trouble in a run, with numbers and examples.
 */

static void
tally_init(struct tally *tally)
{
	*tally = (struct tally){
	    .examples = BUF_INIT(4096), .details = BUF_INIT(16384)};
}

static void
tally_release(struct tally *tally)
{
	free(tally->first);
	buf_release(&tally->examples);
	buf_release(&tally->details);
}

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

/* What to type next. */
static char *
advice_for(const struct usage_row *row)
{
	char *command =
		 usage_command(row->cause, row->drift_id, row->organization_id),
	     *advice;

	if (!usage_is_lasting(row->cause))
		return command;
	advice = mem_format("%s; if it may stay so, automate-reconcile "
			    "--accept %" PRId64,
	    command, row->drift_id);
	free(command);
	return advice;
}

static void
add_drift(struct tally *tally, const struct usage_row *row)
{
	char date[CLOCK_TEXT_MAX], *text, stripe[24] = "no such customer",
					  *advice = advice_for(row);

	if (row->state.customer_known)
		snprintf(stripe, sizeof(stripe), "%" PRId64, row->state.stripe);
	text = mem_format("%" PRId64 ": %.60s on %s: %" PRId64
			  " counted, %" PRId64 " sent, at Stripe %s: %s; %s",
	    row->drift_id, row->organization_id, date_of(date, row->day_at),
	    row->counted, row->sent, stripe, usage_words(row->cause), advice);
	add_example(tally, row->organization_id, text);
	free(text);
	free(advice);
}

/* The message is taken. */
static bool
raise(const struct night *night, const char *kind, const char *key,
    char *message, const struct tally *tally, struct error *error)
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
	return usage_alert(night->db, night->conf, &alert, night->now, error);
}

static bool
over(const struct night *night, const char *kind, struct error *error)
{
	return usage_alert_over(
	    night->db, night->conf, kind, night->now, error);
}

/* Calls that nobody pays for: told as they become more, over at none. */
static bool
tell_unbilled(const struct night *night, const char *kind,
    const struct tally *tally, const char *whose, struct error *error)
{
	if (tally->calls == 0)
		return night->scope->running || over(night, kind, error);
	if (tally->grown <= 0)
		return true;
	return raise(night, kind, NULL,
	    mem_format("%" PRId64 " calls of %zu days %s, and are not billed%s"
		       "%s",
		tally->calls, night->days_count, whose,
		tally->examples.size > 0 ? ": " : "",
		buf_string(&tally->examples)),
	    tally, error);
}

/* Over when none is left: one that was mended may be waiting to be seen. */
static bool
end_drifts(const struct night *night, const struct usage_span *span,
    struct error *error)
{
	int64_t open;

	return usage_drifts(night->db, span, &open, error) &&
	    (open > 0 || over(night, "usage.drift", error));
}

static bool
tell_drifts(const struct night *night, struct error *error)
{
	const struct night_scope *scope = night->scope;
	bool meter_errors = false;

	if (night->count->drifts == 0)
		return scope->running || scope->only != NULL ||
		    end_drifts(night, &scope->span, error);
	if (!usage_has_meter_errors(night->db, &meter_errors, error))
		return false;
	return raise(night, "usage.drift", NULL,
	    mem_format("%" PRId64 " drifts%s: %s", night->count->drifts,
		meter_errors ? " (Stripe has also said that it could not "
			       "count some usage, see usage.meter_errors)"
			     : "",
		buf_string(&night->drifts.examples)),
	    &night->drifts, error);
}

/* Have sent what is due, if anything is; what fails here stays owed. */
static void
deliver(const struct night *night)
{
	bool owed = true;

	if (!usage_owed(night->db, clock_now(), &owed, NULL) || owed)
		intake_deliver(NULL);
}

/* The error of the run stays; that it is told as well must not hide it. */
static void
tell_stop(const struct night *night, const struct error *why)
{
	struct error error = {0};
	bool told = true;

	if (why->kind == ERROR_RETRY)
		told = raise(night, "usage.stripe_unreachable", NULL,
		    mem_copy(why->text), NULL, &error);
	else if (why->kind == ERROR_CONF || why->kind == ERROR_PROVIDER)
		told = raise(night, "usage.stopped", NULL, mem_copy(why->text),
		    NULL, &error);
	if (!told)
		prog_say("%s", error.text);
	else
		deliver(night);
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
open_meter(struct night *night, struct error *error)
{
	if (!check_settings(night->conf, error))
		return false;
	if (sums_open(&night->sums, night->conf, &night->meter, error))
		return true;
	tell_stop(night, error);
	error->text[0] = '\0'; /* said */
	return false;
}

/* Nobody is asked in a rehearsal. */
static bool
imagine_meter(struct night *night)
{
	night->meter = (struct usage_meter){mem_copy("ai_calls"),
	    mem_copy("stripe_customer_id"), mem_copy("value")};
	return true;
}

/*
 * Counting and reporting, day for day.
 */

static void
take_counts(struct night *night, struct usage_day *day)
{
	const struct usage_row *row;
	size_t i;

	for (i = 0; i < night->page.count; i++) {
		row = &night->page.rows[i];
		if (row->counted == 0)
			continue;
		night->seen += row->kept && row->kept_counted > 0;
		if (row->known && !row->billed) {
			day->inactive += row->counted;
			add_unbilled(&night->inactive, row);
		} else if (row->customer_id == NULL) {
			day->no_customer += row->counted;
			add_unbilled(&night->no_customer, row);
		} else {
			day->calls += row->counted;
			day->organizations++;
		}
	}
}

static void
take_reports(const struct night *night)
{
	size_t i;

	for (i = 0; i < night->page.count; i++) {
		if (night->page.rows[i].reported == 0)
			continue;
		night->count->events++;
		night->count->reported += night->page.rows[i].reported;
		show(night, &night->page.rows[i], false);
	}
}

typedef bool count_fn(struct db *, const struct conf *, int64_t, const char *,
    const char *, struct usage_page *, struct error *);

static bool
count_page(struct night *night, count_fn *count, int64_t day_at,
    const char *after, struct error *error)
{
	const int64_t start_ms = clock_monotonic_ms();
	bool ok = count(night->db, night->conf, day_at, after,
	    night->scope->only, &night->page, error);

	night->count->counting_ms += clock_monotonic_ms() - start_ms;
	return ok;
}

static bool
report_pages(struct night *night, struct usage_day *day, count_fn *count,
    struct error *error)
{
	struct usage_page *page = &night->page;
	char *after = NULL;
	bool ok = true, more = true;

	while (ok && more) {
		ok = count_page(night, count, day->day_at, after, error) &&
		    usage_report(night->db, night->conf, &night->meter, page,
			night->now, error);
		more = page->count == USAGE_PAGE;
		if (ok) {
			take_counts(night, day);
			take_reports(night);
		}
		if (more)
			mem_replace(&after,
			    page->rows[page->count - 1].organization_id);
		usage_page_release(page);
	}
	free(after);
	return ok;
}

static void
sum_up(struct night *night, const struct usage_day *day,
    const struct usage_day *before)
{
	night->count->calls += day->calls;
	night->count->organizations += day->organizations;
	night->unattributed.calls += day->unattributed;
	night->unattributed.grown += day->unattributed - before->unattributed;
	night->no_customer.grown += day->no_customer - before->no_customer;
	night->inactive.grown += day->inactive - before->inactive;
	night->count->unattributed = night->unattributed.calls;
	night->count->no_customer = night->no_customer.calls;
	night->count->inactive = night->inactive.calls;
}

/*
 * All of a day: also who had calls and has none any more, which is seldom worth
 * a look.
 */
static bool
report_day(struct night *night, struct usage_day *day, struct usage_day *before,
    struct error *error)
{
	const char *only = night->scope->only;
	int64_t kept;

	night->seen = 0;
	if (!usage_day_load(night->db, day->day_at, before, error) ||
	    !usage_kept(night->db, day->day_at, only, &kept, error) ||
	    !report_pages(night, day, usage_count, error) ||
	    (kept > night->seen &&
		!report_pages(night, day, usage_vanished, error)) ||
	    (only == NULL &&
		!usage_unattributed(night->db, night->conf, day->day_at,
		    &day->unattributed, error)))
		return false;
	day->closed = day->day_at + CLOCK_DAY_S <= night->now;
	sum_up(night, day, before);
	return true;
}

static bool
report_days(struct night *night, struct error *error)
{
	const struct usage_span *span = &night->scope->span;
	size_t i;
	bool ok = true;

	night->days_count = (size_t)((span->until - span->from) / CLOCK_DAY_S);
	night->count->days = (int64_t)night->days_count;
	night->days = mem_resize(NULL, night->days_count, sizeof(*night->days));
	night->before =
	    mem_resize(NULL, night->days_count, sizeof(*night->before));
	for (i = 0; ok && i < night->days_count; i++) {
		night->days[i] = (struct usage_day){
		    .day_at = span->from + (int64_t)i * CLOCK_DAY_S,
		    .retell = -1};
		ok = report_day(
		    night, &night->days[i], &night->before[i], error);
	}
	return ok;
}

/*
 * Comparing with what the meter sums up.
 */

static void
row_free(struct usage_row *row)
{
	free(row->organization_id);
	free(row->customer_id);
	free(row);
}

static bool
load_next_page(struct night *night, struct error *error)
{
	struct comparison *comparison = &night->comparison;
	struct usage_page *page = &comparison->page;
	const struct usage_row after = {.organization_id = comparison->after_id,
	    .day_at = comparison->after_day_at};

	page->count = comparison->next = 0;
	if (!usage_unsettled(night->db, &comparison->filter,
		after.organization_id != NULL ? &after : NULL, night->now, page,
		error))
		return false;
	if (page->count > 0) {
		mem_replace(&comparison->after_id,
		    page->rows[page->count - 1].organization_id);
		comparison->after_day_at = page->rows[page->count - 1].day_at;
	}
	return true;
}

/* *more is false when there was no further row to begin with. */
static bool
start_next(struct night *night, bool *more, struct error *error)
{
	struct comparison *comparison = &night->comparison;
	struct usage_row *row;

	if (comparison->next == comparison->page.count &&
	    !load_next_page(night, error))
		return false;
	*more = comparison->next < comparison->page.count;
	if (!*more)
		return true;
	row = mem_alloc(sizeof(*row));
	*row = comparison->page.rows[comparison->next++];
	sums_start(night->sums, row->customer_id, row->day_at, row);
	return true;
}

static void
take_verdict(struct night *night, const struct usage_row *row)
{
	switch (row->verdict) {
	case USAGE_CONFIRMED: night->count->confirmed++; break;
	case USAGE_WAIT: return;
	case USAGE_DRIFT:
		night->count->drifts++;
		add_drift(&night->drifts, row);
		break;
	}
	show(night, row, true);
}

static bool
keep_answers(struct night *night, struct error *error)
{
	struct comparison *comparison = &night->comparison;
	const size_t count = comparison->answered_count;
	bool ok = count == 0 ||
	    usage_settle(night->db, comparison->answered, count, night->now,
		night->conf->usage_settle_s, error);
	size_t i;

	for (i = 0; i < count; i++) {
		if (ok)
			take_verdict(night, comparison->answered[i]);
		row_free(comparison->answered[i]);
	}
	comparison->answered_count = 0;
	return ok;
}

/* A failed read is not zero: the day stays as it is. */
static void
note_failure(
    struct night *night, const struct usage_row *row, const struct error *error)
{
	night->count->unreadable++;
	if (error->kind == ERROR_PROVIDER) {
		night->refused++;
		prog_say("%.60s: %s", row->organization_id, error->text);
	} else {
		night->failures++;
		night->unreachable = *error;
	}
}

static void
take_answer(struct night *night, struct usage_row *row,
    enum stripe_answer answer, int64_t sum, const struct error *error)
{
	struct comparison *comparison = &night->comparison;

	night->count->compared++;
	if (answer == STRIPE_FAILED) {
		note_failure(night, row, error);
		row_free(row);
		return;
	}
	row->state.customer_known = answer == STRIPE_FOUND;
	row->state.stripe = sum;
	night->failures = 0;
	comparison->answered[comparison->answered_count++] = row;
}

/* Whether it is of no use to ask on. */
static bool
is_hopeless(const struct night *night)
{
	return night->failures >= FAILURES_MAX ||
	    night->unreachable.kind == ERROR_CONF;
}

static bool
read_all(struct night *night, struct error *error)
{
	struct comparison *comparison = &night->comparison;
	bool more = true, under_way = false;
	enum stripe_answer answer;
	struct error why;
	int64_t sum;
	void *tag;

	while (more || under_way) {
		while (more && !sums_busy(night->sums) && !is_hopeless(night))
			if (!start_next(night, &more, error))
				return false;
		more = more && !is_hopeless(night);
		memset(&why, 0, sizeof(why));
		under_way = sums_wait(night->sums, &tag, &answer, &sum, &why);
		if (under_way)
			take_answer(night, tag, answer, sum, &why);
		if (comparison->answered_count == SETTLE_MAX &&
		    !keep_answers(night, error))
			return false;
		if (night->watch->progress != NULL)
			night->watch->progress(
			    night->count->compared, comparison->to_compare);
	}
	return keep_answers(night, error);
}

static bool
compare(struct night *night, struct error *error)
{
	struct comparison *comparison = &night->comparison;
	struct usage_page *page = &comparison->page;
	bool ok;

	comparison->filter = (struct usage_filter){.span = night->scope->span,
	    .only = night->scope->only,
	    .all = night->scope->again,
	    .settle_s = night->conf->usage_settle_s};
	ok = usage_unsettled_count(night->db, &comparison->filter, night->now,
		 &comparison->to_compare, error) &&
	    (comparison->to_compare == 0 || read_all(night, error));
	for (; comparison->next < page->count; comparison->next++) {
		free(page->rows[comparison->next].organization_id);
		free(page->rows[comparison->next].customer_id);
	}
	free(comparison->after_id);
	return ok;
}

/*
 * Retell's own count of a day, once for each.
 */

static bool
ask_retell(struct night *night, struct retell *retell, struct usage_day *day,
    struct error *error)
{
	const int64_t ours =
	    day->calls + day->unattributed + day->no_customer + day->inactive;
	char date[CLOCK_TEXT_MAX], *key;
	bool ok;

	if (!retell_count(retell, day->day_at, day->day_at + CLOCK_DAY_S,
		night->conf->usage_count == CONF_CONNECTED, &day->retell,
		error)) {
		day->retell = -1;
		return false;
	}
	if (day->retell == ours)
		return true;
	key = mem_format("usage.retell_differs:%s", date_of(date, day->day_at));
	ok = raise(night, "usage.retell_differs", key,
	    mem_format("On %s Retell counts %" PRId64 " calls, and we %" PRId64,
		date, day->retell, ours),
	    NULL, error);
	free(key);
	return ok;
}

/* What fails here is said, and asked again by the next run. */
static bool
compare_retell(struct night *night, struct error *error)
{
	struct retell *retell = NULL;
	bool ok = true;
	size_t i;

	if (!night->conf->usage_compare_retell || night->scope->only != NULL ||
	    night->scope->running)
		return true;
	ok = retell_open(&retell, night->conf, error);
	for (i = 0; ok && i < night->days_count; i++)
		if (night->days[i].closed && night->before[i].retell == -1)
			ok = ask_retell(night, retell, &night->days[i], error);
	retell_close(retell);
	return ok;
}

/*
 * The end: alerts, the days, and what the run came to.
 */

static bool
tell(const struct night *night, struct error *error)
{
	if (night->scope->only != NULL)
		return tell_drifts(night, error);
	return (night->unreachable.kind != ERROR_NONE ||
		   (over(night, "usage.stopped", error) &&
		       over(night, "usage.stripe_unreachable", error))) &&
	    tell_unbilled(night, "usage.unattributed", &night->unattributed,
		"belong to no organization", error) &&
	    tell_unbilled(night, "usage.no_customer", &night->no_customer,
		"are of organizations without a Stripe customer", error) &&
	    tell_unbilled(night, "usage.inactive", &night->inactive,
		"are of organizations that were not active", error) &&
	    tell_drifts(night, error);
}

static bool
close_days(const struct night *night, struct error *error)
{
	int64_t drifts;

	if (night->scope->only != NULL)
		return true;
	return usage_drifts(night->db, &night->scope->span, &drifts, error) &&
	    usage_days_write(night->db, night->conf, night->days,
		night->days_count, drifts,
		night->unreachable.kind == ERROR_NONE, night->now, error);
}

static bool
count_fate(const struct night *night, struct error *error)
{
	struct usage_fate fate = {0};
	bool ok = usage_fate(night->db, &night->scope->span, &fate, error);

	night->count->pending = fate.pending;
	night->count->dead = fate.dead;
	return ok;
}

/* The honest no, with what to type next. */
static bool
conclude(const struct night *night, struct error *error)
{
	const struct night_count *count = night->count;

	if (night->unreachable.kind != ERROR_NONE) {
		*error = night->unreachable;
		return error_at(error,
		    "%" PRId64 " days of organizations could not be compared",
		    count->unreadable - night->refused);
	}
	if (count->pending > 0)
		prog_note("%" PRId64 " reports are still to be delivered; see "
			  "automate-deliver list --destination stripe.meter",
		    count->pending);
	if (count->drifts + count->dead + night->refused == 0)
		return true;
	return error_set(error, ERROR_NO,
	    "%" PRId64 " drifts, %" PRId64 " reports given up, %" PRId64
	    " refused",
	    count->drifts, count->dead, night->refused);
}

static bool
finish(struct night *night, struct error *error)
{
	struct error retell = {0};
	const bool asked = compare_retell(night, &retell);
	bool ok;

	if (night->unreachable.kind != ERROR_NONE)
		tell_stop(night, &night->unreachable);
	ok = tell(night, error) && close_days(night, error);
	deliver(night);
	if (!ok || !count_fate(night, error))
		return false;
	night->count->whole = true;
	if (!asked && retell.kind != ERROR_NONE) {
		*error = retell;
		return error_at(error, "Retell could not be asked");
	}
	return conclude(night, error);
}

/*
 * One drift: its sum is read again, then it is mended or accepted.
 */

typedef bool drift_fn(struct night *, struct usage_row *, struct error *);

static bool
read_sum(struct night *night, struct usage_row *row, struct error *error)
{
	enum stripe_answer answer = STRIPE_FAILED;
	int64_t sum;
	void *tag;

	sums_start(night->sums, row->customer_id, row->day_at, row);
	if (!sums_wait(night->sums, &tag, &answer, &sum, error) ||
	    answer == STRIPE_FAILED)
		return false;
	memset(error, 0, sizeof(*error));
	row->state.customer_known = answer == STRIPE_FOUND;
	row->state.stripe = sum;
	return true;
}

static bool
refuse(const struct usage_row *row, struct error *error)
{
	char *advice = advice_for(row);

	error_set(error, ERROR_DATA,
	    "drift %" PRId64 " is not mended by sending again: %s; see %s",
	    row->drift_id, usage_words(row->cause), advice);
	free(advice);
	return false;
}

static bool
mend(struct night *night, struct usage_row *row, struct error *error)
{
	if (row->verdict == USAGE_DRIFT && !usage_is_mendable(row->cause))
		return refuse(row, error);
	if (row->verdict == USAGE_DRIFT &&
	    !usage_apply(
		night->db, night->conf, &night->meter, row, night->now, error))
		return false;
	night->count->events += row->reported > 0;
	night->count->reported += row->reported;
	return true;
}

static bool
is_as_told(const struct usage_row *row)
{
	return row->counted == row->told_counted &&
	    row->sent == row->told_sent &&
	    row->state.stripe == row->told_stripe;
}

static bool
accept(struct night *night, struct usage_row *row, struct error *error)
{
	if (row->verdict != USAGE_DRIFT)
		return true;
	if (!usage_is_acceptable(row->cause))
		return error_set(error, ERROR_DATA,
		    "drift %" PRId64 " is none to be accepted: %s",
		    row->drift_id, usage_words(row->cause));
	if (!is_as_told(row))
		return error_set(error, ERROR_DATA,
		    "drift %" PRId64 " is another by now: %" PRId64
		    " counted, %" PRId64 " sent, at Stripe %" PRId64
		    "; the same again accepts that",
		    row->drift_id, row->counted, row->sent, row->state.stripe);
	return usage_accept(night->db, row, night->who, night->now, error);
}

/* What Stripe says now of the drift, which may be over with that. */
static bool
look_again(struct night *night, struct usage_row *row, struct error *error)
{
	struct usage_row *const rows[] = {row};

	if (!read_sum(night, row, error) ||
	    !usage_settle(night->db, rows, 1, night->now,
		night->conf->usage_settle_s, error))
		return false;
	if (row->verdict != USAGE_WAIT)
		return true;
	return error_set(error, ERROR_RETRY,
	    "drift %" PRId64 ": it was sent too lately to be seen at Stripe; "
	    "try again after usage.settle",
	    row->drift_id);
}

static bool
take_drift(
    struct night *night, int64_t id, drift_fn *treat, struct error *error)
{
	struct usage_row row = {0};
	bool found = false, ok;

	ok = usage_drift_load(night->db, id, &row, &found, error);
	if (ok && !found)
		ok = error_set(error, ERROR_DATA,
		    "no open drift %" PRId64 "; see automate-log list --kind "
		    "usage.drift",
		    id);
	ok = ok && look_again(night, &row, error) && treat(night, &row, error);
	if (ok)
		show(night, &row, true);
	free(row.organization_id);
	free(row.customer_id);
	return ok;
}

/* What does not do now is said, and does not keep the others. */
static bool
take_drifts(struct night *night, bool (*wanted)(const char *cause),
    drift_fn *treat, struct error *error)
{
	struct error why = {0};
	int64_t *ids = NULL;
	size_t count = 0, i;
	bool ok = usage_find_drifts(night->db, wanted, &ids, &count, error);

	for (i = 0; ok && i < count && why.kind != ERROR_CONF; i++) {
		memset(&why, 0, sizeof(why));
		if (take_drift(night, ids[i], treat, &why))
			continue;
		prog_say("%s", why.text);
		if (error_status(why.kind) >= error_status(error->kind))
			error->kind = why.kind;
	}
	free(ids);
	return ok && error->kind == ERROR_NONE;
}

/*
 * Begin and end.
 */

static struct night *
begin(struct db *db, const struct conf *conf, const struct night_watch *watch,
    int64_t now, struct night_count *count)
{
	struct night *night = mem_alloc(sizeof(*night));

	night->db = db;
	night->conf = conf;
	night->watch = watch;
	night->now = now;
	night->count = count;
	tally_init(&night->unattributed);
	tally_init(&night->no_customer);
	tally_init(&night->inactive);
	tally_init(&night->drifts);
	return night;
}

static void
end(struct night *night)
{
	sums_close(night->sums);
	usage_meter_release(&night->meter);
	tally_release(&night->unattributed);
	tally_release(&night->no_customer);
	tally_release(&night->inactive);
	tally_release(&night->drifts);
	free(night->days);
	free(night->before);
	free(night);
}

static bool
pass(struct night *night, struct error *error)
{
	if (!(prog.dry_run ? imagine_meter(night) : open_meter(night, error)) ||
	    !report_days(night, error))
		return false;
	if (prog.verbose)
		prog_say("counted %zu days in %" PRId64 " ms",
		    night->days_count, night->count->counting_ms);
	if (prog.dry_run) {
		night->count->whole = true;
		return true;
	}
	deliver(night);
	return (night->scope->running || compare(night, error)) &&
	    finish(night, error);
}

bool
night_pass(struct db *db, const struct conf *conf,
    const struct night_scope *scope, const struct night_watch *watch,
    int64_t now, struct night_count *count, struct error *error)
{
	struct night *night = begin(db, conf, watch, now, count);
	bool ok;

	night->scope = scope;
	ok = pass(night, error);
	end(night);
	return ok;
}

bool
night_mend(struct db *db, const struct conf *conf, int64_t drift_id,
    const struct night_watch *watch, int64_t now, struct night_count *count,
    struct error *error)
{
	struct night *night = begin(db, conf, watch, now, count);
	bool ok = open_meter(night, error) &&
	    (drift_id != 0
		    ? take_drift(night, drift_id, mend, error)
		    : take_drifts(night, usage_is_mendable, mend, error));

	if (count->events > 0)
		deliver(night);
	end(night);
	return ok;
}

bool
night_accept(struct db *db, const struct conf *conf, int64_t drift_id,
    const char *who, const struct night_watch *watch, int64_t now,
    struct night_count *count, struct error *error)
{
	const struct usage_span span = usage_nightly(now, 0, 1);
	struct night *night = begin(db, conf, watch, now, count);
	struct error late = {0};
	bool ok;

	night->who = who;
	ok = open_meter(night, error) &&
	    (drift_id != 0
		    ? take_drift(night, drift_id, accept, error)
		    : take_drifts(night, usage_is_lasting, accept, error));
	if (!end_drifts(night, &span, &late) && ok) {
		*error = late;
		ok = false;
	}
	deliver(night);
	end(night);
	return ok;
}
