#include "store/usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/alerts.h"

#define LAST "\xf4\x8f\xbf\xbf" /* sorts behind every text */

static void
row_release(struct usage_row *row)
{
	free(row->organization_id);
	free(row->customer_id);
	memset(row, 0, sizeof(*row));
}

void
usage_page_release(struct usage_page *page)
{
	while (page->count > 0)
		row_release(&page->rows[--page->count]);
}

/* Run inside a transaction, which is committed if all of it was done. */
static bool
finish(struct db *db, bool ok, struct error *error)
{
	if (ok)
		return db_commit(db, error);
	db_rollback(db);
	return false;
}

static bool
load_number(struct db_rows *rows, int64_t *number, struct error *error)
{
	*number = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

bool
usage_first_day(struct db *db, int64_t *day_at, struct error *error)
{
	return load_number(
	    db_query(db, "SELECT min(day_at) FROM usage_days", ""), day_at,
	    error);
}

bool
usage_day_load(
    struct db *db, int64_t day_at, struct usage_day *day, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT calls, organizations, unattributed, no_customer, inactive, "
	    "coalesce(retell, -1), closed_at IS NOT NULL FROM usage_days WHERE "
	    "day_at = $1",
	    "i", day_at);

	*day = (struct usage_day){.day_at = day_at, .retell = -1};
	if (db_next(rows)) {
		day->calls = db_int(rows, 0);
		day->organizations = db_int(rows, 1);
		day->unattributed = db_int(rows, 2);
		day->no_customer = db_int(rows, 3);
		day->inactive = db_int(rows, 4);
		day->retell = db_int(rows, 5);
		day->closed = db_int(rows, 6) != 0;
	}
	return db_done(rows, error);
}

/*
 * Counting. The range of ids makes the pages: what follows a text at once is
 * that text with the smallest character behind it.
 */

struct range {
	char *from;
	const char *until;
};

static struct range
range_of(const char *after, const char *only)
{
	if (only != NULL)
		return (struct range){
		    after == NULL ? mem_copy(only) : mem_copy(LAST), only};
	return (struct range){
	    after == NULL ? mem_copy("") : mem_format("%s\x01", after), LAST};
}

#define COUNT(which)                                                           \
	"SELECT c.organization_id, c.calls, o.id IS NOT NULL, o.status, "      \
	"o.status_at, coalesce(u.customer_id, o.stripe_customer_id), "         \
	"u.day_at IS NOT NULL, u.counted, u.sent FROM (SELECT "                \
	"organization_id, count(*) AS calls FROM calls WHERE "                 \
	"placed_at / 86400 = $1 AND organization_id BETWEEN $2 AND $3" which   \
	" GROUP BY organization_id ORDER BY organization_id LIMIT $4) AS c "   \
	"LEFT JOIN organizations o ON o.id = c.organization_id LEFT JOIN "     \
	"usage u ON u.organization_id = c.organization_id AND "                \
	"u.day_at = $5 ORDER BY c.organization_id"

#define VANISHED(which)                                                        \
	"SELECT u.organization_id, 0, 1, o.status, o.status_at, "              \
	"u.customer_id, 1, u.counted, u.sent FROM usage u JOIN organizations " \
	"o ON o.id = u.organization_id WHERE u.day_at = $5 AND "               \
	"u.organization_id BETWEEN $2 AND $3 AND u.counted > 0 AND NOT "       \
	"EXISTS (SELECT 1 FROM calls c WHERE c.placed_at / 86400 = $1 AND "    \
	"c.organization_id = u.organization_id" which                          \
	") ORDER BY u.organization_id LIMIT $4"

static bool
take_counts(struct db_rows *rows, int64_t day_at, struct usage_page *page,
    struct error *error)
{
	struct usage_row *row;

	while (page->count < USAGE_PAGE && db_next(rows)) {
		row = &page->rows[page->count++];
		*row = (struct usage_row){.day_at = day_at,
		    .organization_id = mem_copy(db_text(rows, 0)),
		    .counted = db_int(rows, 1),
		    .known = db_int(rows, 2) != 0,
		    .customer_id = mem_copy(db_text(rows, 5)),
		    .kept = db_int(rows, 6) != 0,
		    .kept_counted = db_int(rows, 7),
		    .sent = db_int(rows, 8)};
		row->billed = row->known &&
		    usage_is_billed(db_text(rows, 3), db_int(rows, 4), day_at);
	}
	return db_done(rows, error);
}

static bool
take_page(struct db *db, const char *sql, int64_t day_at, const char *after,
    const char *only, struct usage_page *page, struct error *error)
{
	const struct range range = range_of(after, only);
	bool ok = take_counts(
	    db_query(db, sql, "ittii", day_at / CLOCK_DAY_S, range.from,
		range.until, (int64_t)USAGE_PAGE, day_at),
	    day_at, page, error);

	free(range.from);
	return ok;
}

bool
usage_count(struct db *db, const struct conf *conf, int64_t day_at,
    const char *after, const char *only, struct usage_page *page,
    struct error *error)
{
	return take_page(db,
	    conf->usage_count == CONF_CONNECTED ? COUNT(" AND connected = 1")
						: COUNT(""),
	    day_at, after, only, page, error);
}

bool
usage_kept(struct db *db, int64_t day_at, const char *only, int64_t *count,
    struct error *error)
{
	return load_number(
	    db_query(db,
		"SELECT count(*) FROM usage WHERE day_at = $1 AND "
		"organization_id BETWEEN $2 AND $3 AND counted > 0",
		"itt", day_at, only != NULL ? only : "",
		only != NULL ? only : LAST),
	    count, error);
}

bool
usage_vanished(struct db *db, const struct conf *conf, int64_t day_at,
    const char *after, const char *only, struct usage_page *page,
    struct error *error)
{
	return take_page(db,
	    conf->usage_count == CONF_CONNECTED
		? VANISHED(" AND c.connected = 1")
		: VANISHED(""),
	    day_at, after, only, page, error);
}

bool
usage_unattributed(struct db *db, const struct conf *conf, int64_t day_at,
    int64_t *count, struct error *error)
{
	return load_number(
	    db_query(db,
		conf->usage_count == CONF_CONNECTED
		    ? "SELECT count(*) FROM calls WHERE placed_at / 86400 = $1 "
		      "AND organization_id IS NULL AND connected = 1"
		    : "SELECT count(*) FROM calls WHERE placed_at / 86400 = $1 "
		      "AND organization_id IS NULL",
		"i", day_at / CLOCK_DAY_S),
	    count, error);
}

/*
 * Reporting.
 */

/* False without an error, in *ours, where another run was quicker. */
static bool
write_usage(struct db *db, const struct usage_row *row, int64_t sent,
    int64_t now, bool *ours, struct error *error)
{
	bool ok = db_run(db, error,
	    "INSERT INTO usage (organization_id, day_at, counted, sent, "
	    "customer_id, sent_at) VALUES ($1, $2, $3, $4, $5, $6) "
	    "ON CONFLICT (organization_id, day_at) DO UPDATE SET "
	    "counted = excluded.counted, sent = excluded.sent, settled_at = "
	    "NULL, customer_id = coalesce(usage.customer_id, "
	    "excluded.customer_id), sent_at = CASE WHEN excluded.sent > "
	    "usage.sent THEN excluded.sent_at ELSE usage.sent_at END "
	    "WHERE usage.sent = $7",
	    "tiiitii", row->organization_id, row->day_at, row->counted, sent,
	    row->customer_id, now, row->sent);

	*ours = db_changes(db) > 0;
	return ok;
}

static char *
event_line(const struct usage_row *row, const char *id)
{
	char date[CLOCK_TEXT_MAX], *text;
	json_t *line = json_object();

	clock_format(date, row->day_at)[10] = '\0';
	json_put(line, "event", id);
	json_put(line, "type", "usage.reported");
	json_put(line, "outcome", "recorded");
	json_put(line, "organization", row->organization_id);
	json_put(line, "day", date);
	json_put_number(line, "reported", row->reported);
	json_put_number(line, "deliveries", 1);
	text = json_compact(line);
	json_decref(line);
	return text;
}

/* The event that makes us owe the report, and the delivery of it. */
static bool
write_event(struct db *db, const struct conf *conf,
    const struct usage_meter *meter, const struct usage_row *row,
    const char *id, int64_t now, struct error *error)
{
	const struct conf_destination *destination =
	    &conf->destinations[CONF_STRIPE_METER];
	const int64_t at = usage_timestamp(row->day_at, now);
	char *body = usage_body(meter, id, row->customer_id, row->reported, at),
	     *line = event_line(row, id);
	bool ok = db_run(db, error,
		      "INSERT INTO events (id, source, kind, organization_id, "
		      "customer_id, occurred_at, received_at, outcome, result, "
		      "body) VALUES ($1, 'cron', 'usage.reported', $2, $3, $4, "
		      "$5, 'recorded', $6, $7)",
		      "tttiitt", id, row->organization_id, row->customer_id, at,
		      now, line, body) &&
	    db_run(db, error,
		"INSERT INTO deliveries (idempotency_key, destination, step, "
		"event_id, organization_id, body, state, due_at, "
		"first_due_at, expires_at, created_at) VALUES ($1, $2, "
		"'meter_event', $1, $3, $4, 'queued', $5, $5, $6, $5)",
		"ttttii", id, destination->name, row->organization_id, body,
		now,
		usage_expires_at(row->day_at, now, destination->max_age_s));

	free(body);
	free(line);
	return ok;
}

static bool
report(struct db *db, const struct conf *conf, const struct usage_meter *meter,
    struct usage_row *row, int64_t now, struct error *error)
{
	const bool more = row->counted > row->sent;
	bool ours, ok;
	char *id;

	row->reported = 0;
	if (!more && (!row->kept || row->counted == row->kept_counted))
		return true;
	if (!write_usage(
		db, row, more ? row->counted : row->sent, now, &ours, error))
		return false;
	if (!ours || !more)
		return true;
	row->reported = row->counted - row->sent;
	row->sent = row->counted;
	id = usage_identifier(row->organization_id, row->day_at, row->sent, 0);
	ok = write_event(db, conf, meter, row, id, now, error);
	free(id);
	return ok;
}

static bool
is_work(const struct usage_page *page)
{
	size_t i;

	for (i = 0; i < page->count; i++)
		if (page->rows[i].counted !=
			(page->rows[i].kept ? page->rows[i].kept_counted : 0) ||
		    page->rows[i].counted > page->rows[i].sent)
			return true;
	return false;
}

bool
usage_report(struct db *db, const struct conf *conf,
    const struct usage_meter *meter, struct usage_page *page, int64_t now,
    struct error *error)
{
	bool ok;
	size_t i;

	if (!is_work(page))
		return true;
	ok = db_begin(db, error);
	for (i = 0; ok && i < page->count; i++)
		if (page->rows[i].billed && page->rows[i].customer_id != NULL)
			ok =
			    report(db, conf, meter, &page->rows[i], now, error);
	return finish(db, ok, error);
}

/*
 * Comparing.
 */

#define UNSETTLED                                                              \
	" FROM usage WHERE day_at >= $1 AND day_at < $2 AND organization_id "  \
	"BETWEEN $3 AND $4 AND sent_at <= $5 AND day_at <= $5 - 86400"

#define UNSETTLED_PAGE(which)                                                  \
	"SELECT organization_id, day_at, counted, sent, sent_at, "             \
	"customer_id, accepted, accepted_fewer" UNSETTLED which                \
	" AND (day_at > $6 OR day_at = $6 AND organization_id > $7) "          \
	"ORDER BY day_at, organization_id LIMIT $8"

static void
take_unsettled(struct db_rows *rows, struct usage_row *row)
{
	*row = (struct usage_row){.known = true,
	    .kept = true,
	    .organization_id = mem_copy(db_text(rows, 0)),
	    .day_at = db_int(rows, 1),
	    .counted = db_int(rows, 2),
	    .kept_counted = db_int(rows, 2),
	    .sent = db_int(rows, 3),
	    .customer_id = mem_copy(db_text(rows, 5))};
	row->state.latest_at = db_int(rows, 4);
	row->state.accepted = db_int(rows, 6);
	row->state.accepted_fewer = db_int(rows, 7);
}

bool
usage_unsettled(struct db *db, const struct usage_filter *filter,
    const struct usage_row *after, int64_t now, struct usage_page *page,
    struct error *error)
{
	const char *only = filter->only;
	struct db_rows *rows = db_query(db,
	    filter->all ? UNSETTLED_PAGE("")
			: UNSETTLED_PAGE(" AND settled_at IS NULL"),
	    "iittiiti", filter->span.from, filter->span.until,
	    only != NULL ? only : "", only != NULL ? only : LAST,
	    now - filter->settle_s, after != NULL ? after->day_at : 0,
	    after != NULL ? after->organization_id : "", (int64_t)USAGE_PAGE);

	while (page->count < USAGE_PAGE && db_next(rows))
		take_unsettled(rows, &page->rows[page->count++]);
	return db_done(rows, error);
}

bool
usage_unsettled_count(struct db *db, const struct usage_filter *filter,
    int64_t now, int64_t *count, struct error *error)
{
	const char *only = filter->only;

	return load_number(
	    db_query(db,
		filter->all ? "SELECT count(*)" UNSETTLED
			    : "SELECT count(*)" UNSETTLED
			      " AND settled_at IS NULL",
		"iitti", filter->span.from, filter->span.until,
		only != NULL ? only : "", only != NULL ? only : LAST,
		now - filter->settle_s),
	    count, error);
}

/* What became of the reports of that day. */
static bool
load_fate(struct db *db, struct usage_row *row, struct error *error)
{
	char *prefix = usage_prefix(row->organization_id, row->day_at),
	     *end = mem_copy(prefix);
	struct db_rows *rows;

	end[strlen(end) - 1]++; /* ':' becomes ';' */
	rows = db_query(db,
	    "SELECT count(CASE WHEN state IN ('queued', 'sending') THEN 1 "
	    "END), count(CASE WHEN state = 'dead' THEN 1 END), count(CASE "
	    "WHEN state = 'done' THEN 1 END), max(CASE WHEN state = 'done' "
	    "THEN settled_at END) FROM deliveries WHERE idempotency_key > $1 "
	    "AND idempotency_key < $2",
	    "tt", prefix, end);
	if (db_next(rows)) {
		row->state.pending = db_int(rows, 0);
		row->state.dead = db_int(rows, 1);
		row->state.done = db_int(rows, 2);
		if (db_int(rows, 3) > row->state.latest_at)
			row->state.latest_at = db_int(rows, 3);
	}
	free(prefix);
	free(end);
	return db_done(rows, error);
}

static bool
write_confirmed(struct db *db, const struct usage_row *row, int64_t now,
    struct error *error)
{
	char *prefix, *end;
	bool ok = db_run(db, error,
		      "UPDATE usage SET confirmed = $3, settled_at = $4, "
		      "accepted = $5 WHERE organization_id = $1 AND day_at = "
		      "$2",
		      "tiiii", row->organization_id, row->day_at,
		      row->state.stripe, now, row->state.accepted) &&
	    db_run(db, error,
		"UPDATE drifts SET ended_at = $3 WHERE organization_id = $1 "
		"AND day_at = $2 AND ended_at IS NULL",
		"tii", row->organization_id, row->day_at, now);

	if (!ok || row->state.pending + row->state.dead == 0)
		return ok;
	prefix = usage_prefix(row->organization_id, row->day_at);
	end = mem_copy(prefix);
	end[strlen(end) - 1]++;
	ok = db_run(db, error,
	    "UPDATE deliveries SET state = 'cancelled', settled_at = $3, "
	    "answer = 'the meter has it already' WHERE idempotency_key > $1 "
	    "AND idempotency_key < $2 AND state IN ('queued', 'dead')",
	    "tti", prefix, end, now);
	free(prefix);
	free(end);
	return ok;
}

/* The open one of that day, else a new one; its number in *id. */
static bool
find_drift(struct db *db, const struct usage_row *row, int64_t now, int64_t *id,
    struct error *error)
{
	if (!load_number(
		db_query(db,
		    "SELECT id FROM drifts WHERE organization_id = $1 AND "
		    "day_at = $2 AND ended_at IS NULL",
		    "ti", row->organization_id, row->day_at),
		id, error))
		return false;
	return *id != 0 ||
	    load_number(
		db_query(db,
		    "INSERT INTO drifts (organization_id, day_at, local, sent, "
		    "cause, command, found_at) VALUES ($1, $2, 0, 0, '', '', "
		    "$3) RETURNING id",
		    "tii", row->organization_id, row->day_at, now),
		id, error);
}

static bool
write_drift(
    struct db *db, struct usage_row *row, int64_t now, struct error *error)
{
	char *command;
	bool ok;

	if (!find_drift(db, row, now, &row->drift_id, error))
		return false;
	command =
	    usage_command(row->cause, row->drift_id, row->organization_id);
	ok = db_run(db, error,
	    "UPDATE drifts SET local = $2, sent = $3, stripe = CASE WHEN "
	    "$5 = 'no_customer' THEN NULL ELSE $4 END, cause = $5, "
	    "command = $6 WHERE id = $1",
	    "iiiitt", row->drift_id, row->counted, row->sent, row->state.stripe,
	    row->cause, command);
	free(command);
	return ok;
}

/* Another run may have reported more since the row was read. */
static bool
is_unchanged(struct db *db, const struct usage_row *row, bool *unchanged,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT 1 FROM usage WHERE organization_id = $1 AND day_at = $2 "
	    "AND counted = $3 AND sent = $4",
	    "tiii", row->organization_id, row->day_at, row->counted, row->sent);

	*unchanged = db_next(rows);
	return db_done(rows, error);
}

static bool
settle(struct db *db, struct usage_row *row, int64_t now, int64_t settle_s,
    struct error *error)
{
	bool unchanged;

	row->verdict = USAGE_WAIT;
	if (!is_unchanged(db, row, &unchanged, error) ||
	    (unchanged && !load_fate(db, row, error)))
		return false;
	if (!unchanged)
		return true;
	row->state.counted = row->counted;
	row->state.sent = row->sent;
	row->state.accepted = usage_still_accepted(&row->state);
	row->verdict = usage_compare(&row->state, now, settle_s, &row->cause);
	if (row->verdict == USAGE_CONFIRMED)
		return write_confirmed(db, row, now, error);
	if (!db_run(db, error,
		"UPDATE usage SET confirmed = $3, settled_at = NULL WHERE "
		"organization_id = $1 AND day_at = $2",
		"tii", row->organization_id, row->day_at, row->state.stripe))
		return false;
	return row->verdict == USAGE_WAIT || write_drift(db, row, now, error);
}

bool
usage_settle(struct db *db, struct usage_row *const *rows, size_t count,
    int64_t now, int64_t settle_s, struct error *error)
{
	bool ok = db_begin(db, error);
	size_t i;

	for (i = 0; ok && i < count; i++)
		ok = settle(db, rows[i], now, settle_s, error);
	return finish(db, ok, error);
}

/*
 * Mending.
 */

bool
usage_find_drifts(struct db *db, bool (*wanted)(const char *cause),
    int64_t **ids, size_t *count, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, cause FROM drifts WHERE ended_at IS NULL ORDER BY id",
	    "");

	while (db_next(rows))
		if (wanted(db_text(rows, 1))) {
			*ids = mem_resize(*ids, *count + 1, sizeof(**ids));
			(*ids)[(*count)++] = db_int(rows, 0);
		}
	return db_done(rows, error);
}

bool
usage_drift_load(struct db *db, int64_t id, struct usage_row *row, bool *found,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT u.organization_id, u.day_at, u.counted, u.sent, u.sent_at, "
	    "u.customer_id, u.accepted, u.accepted_fewer, d.local, d.sent, "
	    "d.stripe FROM drifts d JOIN usage u ON u.organization_id = "
	    "d.organization_id AND u.day_at = d.day_at WHERE d.id = $1 AND "
	    "d.ended_at IS NULL",
	    "i", id);

	*found = db_next(rows);
	if (*found) {
		take_unsettled(rows, row);
		row->drift_id = id;
		row->told_counted = db_int(rows, 8);
		row->told_sent = db_int(rows, 9);
		row->told_stripe = db_int(rows, 10);
	}
	return db_done(rows, error);
}

static bool
next_correction(struct db *db, const struct usage_row *row, int64_t now,
    int64_t *n, struct error *error)
{
	return load_number(
	    db_query(db,
		"UPDATE usage SET corrections = corrections + 1, sent_at = $3 "
		"WHERE organization_id = $1 AND day_at = $2 RETURNING "
		"corrections",
		"tii", row->organization_id, row->day_at, now),
	    n, error);
}

static bool
drop_dead(struct db *db, const struct usage_row *row, int64_t now,
    struct error *error)
{
	char *prefix = usage_prefix(row->organization_id, row->day_at),
	     *end = mem_copy(prefix);
	bool ok;

	end[strlen(end) - 1]++;
	ok = db_run(db, error,
	    "UPDATE deliveries SET state = 'cancelled', settled_at = $3 WHERE "
	    "idempotency_key > $1 AND idempotency_key < $2 AND state = 'dead'",
	    "tti", prefix, end, now);
	free(prefix);
	free(end);
	return ok;
}

static bool
correct(struct db *db, const struct conf *conf, const struct usage_meter *meter,
    struct usage_row *row, int64_t now, struct error *error)
{
	int64_t n = 0;
	char *id;
	bool ok;

	if (!drop_dead(db, row, now, error) ||
	    !next_correction(db, row, now, &n, error))
		return false;
	row->reported = row->sent + row->state.accepted - row->state.stripe;
	id = usage_identifier(row->organization_id, row->day_at, row->sent, n);
	ok = write_event(db, conf, meter, row, id, now, error) &&
	    db_run(db, error, "UPDATE drifts SET applied_at = $2 WHERE id = $1",
		"ii", row->drift_id, now);
	free(id);
	return ok;
}

bool
usage_apply(struct db *db, const struct conf *conf,
    const struct usage_meter *meter, struct usage_row *row, int64_t now,
    struct error *error)
{
	bool ok = db_begin(db, error);

	ok = ok && correct(db, conf, meter, row, now, error);
	return finish(db, ok, error);
}

/*
 * Accepting.
 */

/* What was accepted, by whom. */
static json_t *
acceptance(const struct usage_row *row, const char *who)
{
	json_t *line = json_object();
	char date[CLOCK_TEXT_MAX];

	clock_format(date, row->day_at)[10] = '\0';
	json_put_number(line, "drift", row->drift_id);
	json_put(line, "organization", row->organization_id);
	json_put(line, "day", date);
	json_put(line, "cause", row->cause);
	json_put_number(line, "counted", row->counted);
	json_put_number(line, "sent", row->sent);
	json_put_number(line, "stripe", row->state.stripe);
	json_put(line, "by", who);
	return line;
}

static bool
write_acceptance(struct db *db, const struct usage_row *row, const char *who,
    int64_t now, struct error *error)
{
	json_t *line = acceptance(row, who);
	char *id = mem_format("drift:%lld:accepted", (long long)row->drift_id),
	     *body = json_compact(line), *result;
	bool ok;

	json_put(line, "event", id);
	json_put(line, "type", "usage.accepted");
	json_put(line, "outcome", "recorded");
	result = json_compact(line);
	ok = db_run(db, error,
	    "INSERT INTO events (id, source, kind, organization_id, "
	    "customer_id, occurred_at, received_at, outcome, result, body) "
	    "VALUES ($1, 'manual', 'usage.accepted', $2, $3, $4, $4, "
	    "'recorded', $5, $6)",
	    "tttitt", id, row->organization_id, row->customer_id, now, result,
	    body);
	json_decref(line);
	free(id);
	free(body);
	free(result);
	return ok;
}

static bool
accept(struct db *db, struct usage_row *row, const char *who, int64_t now,
    struct error *error)
{
	struct usage_state *state = &row->state;

	if (!drop_dead(db, row, now, error) ||
	    !write_acceptance(db, row, who, now, error))
		return false;
	state->accepted = state->stripe - row->sent;
	state->accepted_fewer =
	    row->sent > row->counted ? row->sent - row->counted : 0;
	row->verdict = USAGE_CONFIRMED;
	row->cause = NULL;
	return db_run(db, error,
		   "UPDATE usage SET accepted = $3, accepted_fewer = $4, "
		   "confirmed = $5, settled_at = $6 WHERE organization_id = $1 "
		   "AND day_at = $2",
		   "tiiiii", row->organization_id, row->day_at, state->accepted,
		   state->accepted_fewer, state->stripe, now) &&
	    db_run(db, error,
		"UPDATE drifts SET accepted_at = $2, accepted_by = $3, "
		"ended_at = $2 WHERE id = $1",
		"iit", row->drift_id, now, who);
}

bool
usage_accept(struct db *db, struct usage_row *row, const char *who, int64_t now,
    struct error *error)
{
	bool ok = db_begin(db, error);

	ok = ok && accept(db, row, who, now, error);
	return finish(db, ok, error);
}

/*
 * The end of a run.
 */

bool
usage_fate(struct db *db, const struct usage_span *span,
    struct usage_fate *fate, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT count(CASE WHEN state IN ('queued', 'sending') THEN 1 "
	    "END), count(CASE WHEN state = 'dead' THEN 1 END) FROM deliveries "
	    "WHERE state IN ('queued', 'sending', 'dead') AND destination = "
	    "'stripe.meter' AND created_at >= $1",
	    "i", span->from);

	if (db_next(rows)) {
		fate->pending = db_int(rows, 0);
		fate->dead = db_int(rows, 1);
	}
	return db_done(rows, error);
}

bool
usage_owed(struct db *db, int64_t now, bool *owed, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT 1 FROM deliveries WHERE state = 'queued' AND due_at <= $1 "
	    "LIMIT 1",
	    "i", now);

	*owed = db_next(rows);
	return db_done(rows, error);
}

bool
usage_drifts(struct db *db, const struct usage_span *span, int64_t *count,
    struct error *error)
{
	return load_number(
	    db_query(db,
		"SELECT count(*) FROM drifts WHERE ended_at IS NULL AND "
		"day_at >= $1",
		"i", span->from),
	    count, error);
}

bool
usage_has_meter_errors(struct db *db, bool *has, struct error *error)
{
	int64_t count;
	bool ok =
	    load_number(db_query(db,
			    "SELECT count(*) FROM system_alerts WHERE kind = "
			    "'usage.meter_errors' AND resolved_at IS NULL",
			    ""),
		&count, error);

	*has = ok && count > 0;
	return ok;
}

/* Once for each day, whatever became of the first one. */
static bool
write_summary(struct db *db, const struct conf *conf,
    const struct usage_day *day, int64_t drifts, bool is_compared, int64_t now,
    struct error *error)
{
	const struct conf_destination *slack =
	    &conf->destinations[CONF_SLACK_ALERTS];
	char date[CLOCK_TEXT_MAX], *key, *body;
	bool ok;

	if (!slack->configured)
		return true;
	clock_format(date, day->day_at)[10] = '\0';
	key = mem_format("usage_summary:%s", date);
	body = usage_summary(day, drifts, is_compared);
	ok = db_run(db, error,
	    "INSERT INTO deliveries (idempotency_key, destination, step, body, "
	    "state, due_at, first_due_at, expires_at, created_at) VALUES ($1, "
	    "$2, 'usage_summary', $3, 'queued', $4, $4, $5, $4) "
	    "ON CONFLICT (idempotency_key) DO NOTHING",
	    "tttii", key, slack->name, body, now, now + slack->max_age_s);
	free(key);
	free(body);
	return ok;
}

static bool
write_day(struct db *db, const struct usage_day *day, int64_t now,
    struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO usage_days (day_at, calls, organizations, "
	    "unattributed, no_customer, inactive, retell, closed_at) VALUES "
	    "($1, $2, $3, $4, $5, $6, CASE WHEN $7 < 0 THEN NULL ELSE $7 END, "
	    "CASE WHEN $8 = 0 THEN NULL ELSE $9 END) ON CONFLICT (day_at) DO "
	    "UPDATE SET calls = excluded.calls, organizations = "
	    "excluded.organizations, unattributed = excluded.unattributed, "
	    "no_customer = excluded.no_customer, inactive = "
	    "excluded.inactive, retell = coalesce(excluded.retell, "
	    "usage_days.retell), closed_at = coalesce(usage_days.closed_at, "
	    "excluded.closed_at)",
	    "iiiiiiiii", day->day_at, day->calls, day->organizations,
	    day->unattributed, day->no_customer, day->inactive, day->retell,
	    (int64_t)day->closed, now);
}

bool
usage_days_write(struct db *db, const struct conf *conf, struct usage_day *days,
    size_t count, int64_t drifts, bool is_compared, int64_t now,
    struct error *error)
{
	struct usage_day before;
	bool ok = db_begin(db, error);
	size_t i;

	for (i = 0; ok && i < count; i++)
		ok = usage_day_load(db, days[i].day_at, &before, error) &&
		    write_day(db, &days[i], now, error) &&
		    (!days[i].closed || before.closed ||
			write_summary(db, conf, &days[i], drifts, is_compared,
			    now, error));
	return finish(db, ok, error);
}

bool
usage_alert(struct db *db, const struct conf *conf, struct alert *alert,
    int64_t now, struct error *error)
{
	bool ok = db_begin(db, error);

	ok = ok && alerts_raise(db, alert, conf, now, NULL, NULL, error);
	alert_release(alert);
	return finish(db, ok, error);
}

bool
usage_alert_over(struct db *db, const struct conf *conf, const char *key,
    int64_t now, struct error *error)
{
	bool ok = db_begin(db, error);

	ok = ok &&
	    alerts_resolve(
		db, key, 0, "automate-reconcile", conf, now, NULL, error);
	return finish(db, ok, error);
}
