#include "store/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/account.h"

struct ledger {
	struct db *db;
	const struct conf *conf;
	bool caused; /* some event made others happen */
};

bool
ledger_open(struct ledger **result, const struct conf *conf, enum db_mode mode,
    struct error *error)
{
	struct ledger *ledger = mem_alloc(sizeof(*ledger));

	ledger->conf = conf;
	*result = ledger;
	if (db_open(&ledger->db, conf, mode, error))
		return true;
	free(ledger);
	*result = NULL;
	return false;
}

void
ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	db_close(ledger->db);
	free(ledger);
}

bool
ledger_flush(struct ledger *ledger, struct error *error)
{
	return !db_in_transaction(ledger->db) || db_commit(ledger->db, error);
}

static bool resolve(struct ledger *ledger, const char *key, int64_t id,
    const char *by, int64_t now, int64_t *closed, struct error *error);

/* The first one's line, with the outcome that this one has. */
static char *
duplicate_line(const char *line)
{
	json_t *result = NULL;
	char *text;

	if (!json_parse(&result, line, strlen(line), NULL))
		return mem_copy(line);
	json_put(result, "outcome", "duplicate");
	text = json_compact(result);
	json_decref(result);
	return text;
}

/*
 * The line of the event that told this fact, and its id where that is another:
 * a twin, known by its key or by what it says of itself.
 */
static bool
find_fact(struct db *db, const struct event *event, char **line, char **twin_of,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT result, id FROM events WHERE id = $1 UNION ALL "
	    "SELECT result, id FROM events WHERE id = $2 OR twin_key = $3",
	    "ttt", event->id, event->twin_of, event->twin_key);

	if (db_next(rows)) {
		*line = duplicate_line(db_text(rows, 0));
		if (strcmp(db_text(rows, 1), event->id) != 0)
			*twin_of = mem_copy(db_text(rows, 1));
	}
	return db_done(rows, error);
}

static bool
write_delivery(struct db *db, const char *event_id, const char *organization_id,
    const char *alert_kind, const struct conf_destination *destination,
    const char *step, const char *key, const char *body, int64_t due_at,
    int64_t now, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO deliveries (idempotency_key, destination, step, "
	    "event_id, organization_id, alert_kind, body, state, due_at, "
	    "expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, "
	    "'queued', $8, $9, $10)",
	    "tttttttiii", key, destination->name, step, event_id,
	    organization_id, alert_kind, body, due_at,
	    due_at + destination->max_age_s, now);
}

/* Deliveries that wait for a customer to whom nothing more is to be said. */
static bool
cancel(struct db *db, const char *organization_id, const char *destination,
    int64_t now, int64_t *cancelled, struct error *error)
{
	bool ok = db_run(db, error,
	    "UPDATE deliveries SET state = 'cancelled', settled_at = $1 "
	    "WHERE organization_id = $2 AND destination = $3 AND "
	    "state = 'queued'",
	    "itt", now, organization_id, destination);

	*cancelled += db_changes(db);
	return ok;
}

/* Whom the event is about, as we know it by now. */
static const char *
subject_of(const struct event *event, const struct account *account)
{
	return account->organization.known ? account->organization.id
	    : event->is_claim              ? NULL
					   : event->organization_id;
}

static bool
write_plan(struct db *db, const struct event *event,
    const struct account *account, const struct plan *plan, int64_t *cancelled,
    struct error *error)
{
	const char *organization_id = subject_of(event, account);
	const struct plan_delivery *delivery;
	size_t i;

	if (!account_write(db, account, plan, error) ||
	    (plan->cancel_follow_ups &&
		!cancel(db, organization_id, "mail", event->received_at,
		    cancelled, error)) ||
	    (plan->cancel_reminders &&
		!cancel(db, organization_id, "billing", event->received_at,
		    cancelled, error)))
		return false;
	for (i = 0; i < plan->deliveries_count; i++) {
		delivery = &plan->deliveries[i];
		if (!write_delivery(db, event->id, organization_id, NULL,
			delivery->destination, delivery->step, delivery->key,
			delivery->body, delivery->due_at, event->received_at,
			error))
			return false;
	}
	return true;
}

static bool
raise_alerts(struct ledger *ledger, const struct event *event,
    const struct plan *plan, struct error *error)
{
	int64_t id, count;
	size_t i;

	for (i = 0; i < plan->alerts_count; i++) {
		if (!ledger_alert(ledger->db, &plan->alerts[i], ledger->conf,
			event->received_at, &id, &count, error))
			return false;
		json_put_number(plan->result, "alert", id);
		json_put_number(plan->result, "count", count);
	}
	return true;
}

static bool
count_deliveries(struct db *db, const struct event *event, int64_t *count,
    struct error *error)
{
	struct db_rows *rows =
	    db_query(db, "SELECT count(*) FROM deliveries WHERE event_id = $1",
		"t", event->id);

	*count = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

static char *
result_line(const struct event *event, const struct plan *plan,
    const struct account *account, int64_t deliveries, int64_t cancelled)
{
	const struct organization *organization = &account->organization;
	const char *subject = subject_of(event, account);
	json_t *line = json_object();
	char *text;

	json_put(line, "event", event->id);
	json_put(line, "type", event->kind);
	json_put(line, "outcome", plan->outcome);
	if (subject != NULL)
		json_put(line, "organization", subject);
	if (organization->known)
		json_put(line, "status", organization->status);
	json_put_number(line, "deliveries", deliveries);
	if (plan->cancel_follow_ups || plan->cancel_reminders)
		json_put_number(line, "cancelled", cancelled);
	if (event->secret > 0)
		json_put_number(line, "secret", event->secret);
	json_object_update(line, plan->result);
	text = json_compact(line);
	json_decref(line);
	return text;
}

/* An event that was unmatched is there already, and now has its outcome. */
static bool
write_event(struct db *db, const struct event *event,
    const char *organization_id, const char *twin_of, const char *outcome,
    const char *line, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO events (id, source, kind, organization_id, "
	    "customer_id, lead_id, call_id, invoice_id, twin_key, twin_of, "
	    "occurred_at, received_at, outcome, result, body) VALUES ($1, $2, "
	    "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
	    "ON CONFLICT (id) DO UPDATE SET "
	    "organization_id = excluded.organization_id, "
	    "outcome = excluded.outcome, result = excluded.result",
	    "ttttttttttiittt", event->id, event->source, event->kind,
	    organization_id, event->customer_id, event->lead_id, event->call_id,
	    event->invoice_id, twin_of == NULL ? event->twin_key : NULL,
	    twin_of, event->occurred_at, event->received_at, outcome, line,
	    event->body);
}

static bool
resolve_alerts(struct ledger *ledger, const struct event *event,
    const struct plan *plan, struct error *error)
{
	int64_t id;
	size_t i;

	for (i = 0; i < plan->resolved_count; i++)
		if (!resolve(ledger, plan->resolved[i], 0, event->kind,
			event->received_at, &id, error))
			return false;
	return true;
}

static bool keep(struct ledger *ledger, const struct event *event,
    decide_fn *decide, char **result, struct error *error);

/* What the plan makes happen besides, each once. */
static bool
keep_causes(struct ledger *ledger, struct plan *plan, struct error *error)
{
	char *line = NULL, *twin_of = NULL;
	struct event *event;
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < plan->causes_count; i++) {
		event = &plan->causes[i].event;
		ok = find_fact(ledger->db, event, &line, &twin_of, error);
		if (ok && line == NULL)
			ok = keep(ledger, event, plan->causes[i].decide, &line,
			    error);
		free(line);
		free(twin_of);
		line = twin_of = NULL;
		ledger->caused = true;
	}
	return ok;
}

struct unmatched {
	char **bodies;
	size_t count;
};

static bool
find_unmatched(struct db *db, const struct organization *organization,
    struct unmatched *unmatched, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT body FROM (SELECT id, occurred_at, body FROM events WHERE "
	    "outcome = 'unmatched' AND customer_id = $1 UNION "
	    "SELECT id, occurred_at, body FROM events WHERE "
	    "outcome = 'unmatched' AND organization_id = $2) AS waiting "
	    "ORDER BY occurred_at, id",
	    "tt", organization->stripe_customer_id, organization->id);

	while (db_next(rows)) {
		unmatched->bodies = mem_resize(unmatched->bodies,
		    unmatched->count + 1, sizeof(*unmatched->bodies));
		unmatched->bodies[unmatched->count++] =
		    mem_copy(db_text(rows, 0));
	}
	return db_done(rows, error);
}

/* Decide what waited for this organization, in the order it happened. */
static bool
keep_unmatched(struct ledger *ledger, const struct organization *organization,
    int64_t now, struct error *error)
{
	struct unmatched unmatched = {NULL, 0};
	struct event event;
	char *line = NULL;
	size_t i;
	bool ok = find_unmatched(ledger->db, organization, &unmatched, error);

	for (i = 0; i < unmatched.count; i++) {
		memset(&event, 0, sizeof(event));
		ok = ok &&
		    event_from_stripe(&event, unmatched.bodies[i],
			strlen(unmatched.bodies[i]), now, error) &&
		    keep(ledger, &event, decide_stripe, &line, error);
		event_release(&event);
		free(unmatched.bodies[i]);
		free(line);
		line = NULL;
		ledger->caused = true;
	}
	free(unmatched.bodies);
	return ok;
}

/*
 * Decide and write. What is refused is refused before anything is written; what
 * it makes happen besides is never refused, or all of it is undone.
 */
static bool
keep(struct ledger *ledger, const struct event *event, decide_fn *decide,
    char **result, struct error *error)
{
	int64_t deliveries = 0, cancelled = 0;
	struct account account = {0};
	struct db *db = ledger->db;
	struct plan plan;
	bool ok, linked;

	plan_init(&plan);
	ok = account_load(db, event, &account, error) &&
	    decide(event, &account, ledger->conf, &plan, error) &&
	    write_plan(db, event, &account, &plan, &cancelled, error) &&
	    raise_alerts(ledger, event, &plan, error) &&
	    resolve_alerts(ledger, event, &plan, error) &&
	    count_deliveries(db, event, &deliveries, error);
	if (ok) {
		*result =
		    result_line(event, &plan, &account, deliveries, cancelled);
		ok = write_event(db, event,
		    strcmp(plan.outcome, "unmatched") == 0
			? event->organization_id
			: subject_of(event, &account),
		    NULL, plan.outcome, *result, error);
		linked = plan.organization_changed;
		ok = ok && keep_causes(ledger, &plan, error) &&
		    (!linked ||
			keep_unmatched(ledger, &account.organization,
			    event->received_at, error));
		if (!ok && error->kind == ERROR_DATA)
			error->kind = ERROR_BUG;
	}
	plan_release(&plan);
	account_release(&account);
	return ok;
}

enum ledger_answer
ledger_record(struct ledger *ledger, const struct event *event,
    decide_fn *decide, char **result, struct error *error)
{
	char *twin_of = NULL;
	bool ok;

	*result = NULL;
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return LEDGER_FAILED;
	ok = find_fact(ledger->db, event, result, &twin_of, error);
	if (ok && twin_of != NULL)
		ok = write_event(ledger->db, event, NULL, twin_of, "duplicate",
		    *result, error);
	free(twin_of);
	if (ok && *result != NULL)
		return LEDGER_DUPLICATE;
	if (ok && keep(ledger, event, decide, result, error))
		return LEDGER_RECORDED;
	free(*result);
	*result = NULL;
	if (!ok || error->kind != ERROR_DATA)
		db_rollback(ledger->db);
	return LEDGER_FAILED;
}

bool
ledger_caused(const struct ledger *ledger)
{
	return ledger->caused;
}

/* Alerts. */

static bool
load_open(struct db *db, const char *fingerprint, int64_t now,
    struct alert_history *history, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, count, notified_at, severity, "
	    "acknowledged_at IS NOT NULL AND "
	    "(acknowledged_until IS NULL OR acknowledged_until > $2) "
	    "FROM system_alerts WHERE fingerprint = $1 AND "
	    "resolved_at IS NULL",
	    "ti", fingerprint, now);

	if (db_next(rows)) {
		history->open_id = db_int(rows, 0);
		history->count = db_int(rows, 1);
		history->notified_at = db_int(rows, 2);
		strncpy(history->severity, db_text(rows, 3),
		    sizeof(history->severity) - 1);
		history->acknowledged = db_int(rows, 4) != 0;
	}
	return db_done(rows, error);
}

static bool
load_number(struct db_rows *rows, int64_t *number, struct error *error)
{
	*number = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

static bool
load_channel(struct db *db, const char *kind, const char *destination,
    struct alert_channel *channel, struct error *error)
{
	return load_number(
		   db_query(db,
		       "SELECT max(id) FROM deliveries WHERE alert_kind = $1 "
		       "AND destination = $2 AND state = 'queued' AND "
		       "attempts = 0 AND step = 'alert'",
		       "tt", kind, destination),
		   &channel->waiting_id, error) &&
	    load_number(
		db_query(db,
		    "SELECT max(due_at) FROM deliveries WHERE alert_kind = $1 "
		    "AND destination = $2 AND step = 'alert' AND "
		    "state <> 'cancelled'",
		    "tt", kind, destination),
		&channel->latest_at, error);
}

/* What the waiting Slack message carries besides this alert itself. */
static bool
load_storm(struct db *db, struct alert_history *history, struct error *error)
{
	int64_t waiting = history->channels[CONF_SLACK_ALERTS].waiting_id;
	struct db_rows *rows;

	if (waiting == 0)
		return true;
	if (!load_number(db_query(db,
			     "SELECT count(*) FROM system_alerts WHERE "
			     "delivery_id = $1 AND id <> $2",
			     "ii", waiting, history->open_id),
		&history->storm_count, error))
		return false;
	rows = db_query(db,
	    "SELECT title, coalesce(lead_id, organization_id) FROM "
	    "system_alerts WHERE delivery_id = $1 AND id <> $2 "
	    "ORDER BY id LIMIT 5",
	    "ii", waiting, history->open_id);
	while (history->examples_count < ALERT_EXAMPLES_MAX && db_next(rows))
		history->examples[history->examples_count++] =
		    db_is_null(rows, 1)
		    ? mem_copy(db_text(rows, 0))
		    : mem_format("%s (%s)", db_text(rows, 0), db_text(rows, 1));
	return db_done(rows, error);
}

static bool
load_history(struct db *db, const struct alert *alert, const char *fingerprint,
    int64_t now, struct alert_history *history, struct error *error)
{
	return load_open(db, fingerprint, now, history, error) &&
	    load_number(
		db_query(db,
		    "SELECT count(*) + count(CASE WHEN resolved_at > $2 THEN "
		    "1 END) FROM system_alerts WHERE fingerprint = $1 AND "
		    "first_seen_at > $2",
		    "ti", fingerprint, now - ALERT_FLAPPING_S),
		&history->changes, error) &&
	    load_channel(db, alert->kind, "slack.alerts",
		&history->channels[CONF_SLACK_ALERTS], error) &&
	    load_channel(
		db, alert->kind, "sms", &history->channels[CONF_SMS], error) &&
	    load_number(
		db_query(db,
		    "SELECT count(*) FROM deliveries WHERE destination = "
		    "'sms' AND created_at > $1",
		    "i", now - CLOCK_DAY_S),
		&history->sms_today, error) &&
	    load_storm(db, history, error);
}

static bool
write_alert(struct db *db, const struct alert *alert, const char *fingerprint,
    int64_t open_id, int64_t now, int64_t *id, int64_t *count,
    struct error *error)
{
	struct db_rows *rows;

	if (open_id != 0)
		rows = db_query(db,
		    "UPDATE system_alerts SET count = count + 1, "
		    "last_seen_at = $2, severity = $3, title = $4, "
		    "message = $5, details = $6, next_command = $7 "
		    "WHERE id = $1 RETURNING id, count",
		    "iittttt", open_id, now, alert->severity, alert->title,
		    alert->message, alert->details, alert->next_command);
	else
		rows = db_query(db,
		    "INSERT INTO system_alerts (kind, severity, fingerprint, "
		    "title, message, details, next_command, organization_id, "
		    "lead_id, event_id, count, first_seen_at, last_seen_at) "
		    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, "
		    "$11) RETURNING id, count",
		    "ttttttttt"
		    "ti",
		    alert->kind, alert->severity, fingerprint, alert->title,
		    alert->message, alert->details, alert->next_command,
		    alert->organization_id, alert->lead_id, alert->event_id,
		    now);
	if (db_next(rows)) {
		*id = db_int(rows, 0);
		*count = db_int(rows, 1);
	}
	return db_done(rows, error);
}

static bool
write_message(struct db *db, const struct alert *alert,
    const struct alert_message *message, int64_t id, int64_t count, int64_t now,
    int64_t *delivery_id, struct error *error)
{
	char *key;
	bool ok;

	if (message->replaces_id != 0) {
		*delivery_id = message->replaces_id;
		return db_run(db, error,
		    "UPDATE deliveries SET body = $2, "
		    "expires_at = expires_at - due_at + $3, due_at = $3 "
		    "WHERE id = $1",
		    "iti", message->replaces_id, message->body,
		    message->due_at);
	}
	key = mem_format("alert:%lld:%lld:%s", (long long)id, (long long)count,
	    message->destination->name);
	ok = write_delivery(db, alert->event_id, alert->organization_id,
		 alert->kind, message->destination, "alert", key, message->body,
		 message->due_at, now, error) &&
	    load_number(db_query(db,
			    "SELECT id FROM deliveries WHERE "
			    "idempotency_key = $1",
			    "t", key),
		delivery_id, error);
	free(key);
	return ok;
}

/* told is a set of words; SQL of both databases can do that much. */
static bool
note_told(struct db *db, int64_t id, const char *name, int64_t delivery_id,
    int64_t now, struct error *error)
{
	return db_run(db, error,
	    "UPDATE system_alerts SET notified_at = $2, told = CASE WHEN "
	    "' ' || told || ' ' LIKE '% ' || $3 || ' %' THEN told ELSE "
	    "trim(told || ' ' || $3) END, delivery_id = CASE WHEN $3 = "
	    "'slack.alerts' THEN $4 ELSE delivery_id END WHERE id = $1",
	    "iiti", id, now, name, delivery_id);
}

bool
ledger_alert(struct db *db, struct alert *alert, const struct conf *conf,
    int64_t now, int64_t *id, int64_t *count, struct error *error)
{
	struct alert_history history = {0};
	struct alert_ruling ruling = {0};
	int64_t own_id = 0, own_count = 0, delivery_id = 0;
	char *fingerprint;
	size_t i;
	bool ok;

	alert_normalize(alert);
	fingerprint = alert_fingerprint(alert);
	ok = load_history(db, alert, fingerprint, now, &history, error);
	if (alert_severity(history.severity) > alert_severity(alert->severity))
		mem_replace(&alert->severity, history.severity);
	ok = ok &&
	    write_alert(db, alert, fingerprint, history.open_id, now, &own_id,
		&own_count, error);
	if (ok)
		alert_rule(&ruling, alert, &history, conf, now);
	for (i = 0; ok && i < ruling.count; i++)
		ok = write_message(db, alert, &ruling.messages[i], own_id,
			 own_count, now, &delivery_id, error) &&
		    note_told(db, own_id, ruling.messages[i].destination->name,
			delivery_id, now, error);
	if (id != NULL)
		*id = own_id;
	if (count != NULL)
		*count = own_count;
	alert_ruling_release(&ruling);
	alert_history_release(&history);
	free(fingerprint);
	return ok;
}

struct resolved {
	int64_t id, count;
	struct alert alert;
	char *told;
};

static bool
close_alert(struct db *db, const char *key, int64_t id, const char *by,
    int64_t now, struct resolved *resolved, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "UPDATE system_alerts SET resolved_at = $3, resolved_by = $4 "
	    "WHERE resolved_at IS NULL AND (id = $2 OR fingerprint = $1) "
	    "RETURNING id, count, kind, severity, title, organization_id, "
	    "told, event_id",
	    "tiit", key, id, now, by);

	if (db_next(rows)) {
		resolved->id = db_int(rows, 0);
		resolved->count = db_int(rows, 1);
		resolved->alert.kind = mem_copy(db_text(rows, 2));
		resolved->alert.severity = mem_copy(db_text(rows, 3));
		resolved->alert.title = mem_copy(db_text(rows, 4));
		resolved->alert.organization_id = mem_copy(db_text(rows, 5));
		resolved->told = mem_copy(db_text(rows, 6));
		resolved->alert.event_id = mem_copy(db_text(rows, 7));
	}
	return db_done(rows, error);
}

static bool
tell_resolved(struct db *db, const struct conf *conf,
    const struct resolved *resolved, const char *by, int64_t now,
    struct error *error)
{
	char *word, *rest = NULL, *told = mem_copy(resolved->told), *key, *body;
	const struct conf_destination *destination;
	bool ok = true;

	for (word = strtok_r(told, " ", &rest); ok && word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		destination = conf_destination(conf, word);
		if (destination == NULL || !destination->configured)
			continue;
		key = mem_format(
		    "alert:%lld:resolved:%s", (long long)resolved->id, word);
		body = alert_resolved_body(
		    &resolved->alert, by, resolved->count, destination);
		ok = write_delivery(db, resolved->alert.event_id,
		    resolved->alert.organization_id, resolved->alert.kind,
		    destination, "resolved", key, body, now, now, error);
		free(key);
		free(body);
	}
	free(told);
	return ok;
}

static bool
resolve(struct ledger *ledger, const char *key, int64_t id, const char *by,
    int64_t now, int64_t *closed, struct error *error)
{
	struct resolved resolved = {0};
	struct db *db = ledger->db;
	bool ok = close_alert(db, key, id, by, now, &resolved, error) &&
	    (resolved.id == 0 ||
		tell_resolved(db, ledger->conf, &resolved, by, now, error));

	*closed = resolved.id;
	alert_release(&resolved.alert);
	free(resolved.told);
	return ok;
}

bool
ledger_resolve(struct ledger *ledger, const char *key, int64_t id,
    const char *by, int64_t now, int64_t *closed, struct error *error)
{
	*closed = 0;
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return false;
	if (resolve(ledger, key, id, by, now, closed, error))
		return db_commit(ledger->db, error);
	db_rollback(ledger->db);
	return false;
}
