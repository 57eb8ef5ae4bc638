#include "store/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

struct ledger {
	struct db *db;
	const struct conf *conf;
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

static bool
find_event(struct db *db, const char *id, char **line, struct error *error)
{
	struct db_rows *rows =
	    db_query(db, "SELECT result FROM events WHERE id = $1", "t", id);

	if (db_next(rows))
		*line = duplicate_line(db_text(rows, 0));
	return db_done(rows, error);
}

static bool
load_organization(struct db *db, const char *id,
    struct organization *organization, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, name, owner_name, owner_email, plan, former_plan, "
	    "status, status_at, status_event_id, stripe_customer_id, "
	    "stripe_subscription_id, zone, onboarded_at, frozen_at, "
	    "deleted_at, created_at FROM organizations WHERE id = $1",
	    "t", id);

	if (db_next(rows)) {
		organization->known = true;
		organization->id = mem_copy(db_text(rows, 0));
		organization->name = mem_copy(db_text(rows, 1));
		organization->owner_name = mem_copy(db_text(rows, 2));
		organization->owner_email = mem_copy(db_text(rows, 3));
		organization->plan = mem_copy(db_text(rows, 4));
		organization->former_plan = mem_copy(db_text(rows, 5));
		organization->status = mem_copy(db_text(rows, 6));
		organization->status_at = db_int(rows, 7);
		organization->status_event_id = mem_copy(db_text(rows, 8));
		organization->stripe_customer_id = mem_copy(db_text(rows, 9));
		organization->stripe_subscription_id =
		    mem_copy(db_text(rows, 10));
		organization->zone = mem_copy(db_text(rows, 11));
		organization->onboarded_at = db_int(rows, 12);
		organization->frozen_at = db_int(rows, 13);
		organization->deleted_at = db_int(rows, 14);
		organization->created_at = db_int(rows, 15);
	}
	return db_done(rows, error);
}

static bool
load_lead(struct db *db, const char *id, struct lead *lead, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, organization_id, name, phone, status, status_at, "
	    "created_at FROM leads WHERE id = $1",
	    "t", id);

	if (db_next(rows)) {
		lead->known = true;
		lead->id = mem_copy(db_text(rows, 0));
		lead->organization_id = mem_copy(db_text(rows, 1));
		lead->name = mem_copy(db_text(rows, 2));
		lead->phone = mem_copy(db_text(rows, 3));
		lead->status = mem_copy(db_text(rows, 4));
		lead->status_at = db_int(rows, 5);
		lead->created_at = db_int(rows, 6);
	}
	return db_done(rows, error);
}

static bool
write_organization(
    struct db *db, const struct organization *organization, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO organizations (id, name, owner_name, owner_email, "
	    "plan, former_plan, status, status_at, status_event_id, "
	    "stripe_customer_id, stripe_subscription_id, zone, onboarded_at, "
	    "frozen_at, deleted_at, created_at) VALUES ($1, $2, $3, $4, $5, "
	    "$6, $7, $8, $9, $10, $11, $12, nullif($13, 0), nullif($14, 0), "
	    "nullif($15, 0), $16) ON CONFLICT (id) DO UPDATE SET "
	    "name = excluded.name, owner_name = excluded.owner_name, "
	    "owner_email = excluded.owner_email, plan = excluded.plan, "
	    "former_plan = excluded.former_plan, status = excluded.status, "
	    "status_at = excluded.status_at, "
	    "status_event_id = excluded.status_event_id, "
	    "stripe_customer_id = excluded.stripe_customer_id, "
	    "stripe_subscription_id = excluded.stripe_subscription_id, "
	    "zone = excluded.zone, onboarded_at = excluded.onboarded_at, "
	    "frozen_at = excluded.frozen_at, "
	    "deleted_at = excluded.deleted_at",
	    "tttttttitttt"
	    "iiii",
	    organization->id, organization->name, organization->owner_name,
	    organization->owner_email, organization->plan,
	    organization->former_plan, organization->status,
	    organization->status_at, organization->status_event_id,
	    organization->stripe_customer_id,
	    organization->stripe_subscription_id, organization->zone,
	    organization->onboarded_at, organization->frozen_at,
	    organization->deleted_at, organization->created_at);
}

/* A customer belongs to one organization; a second claim is refused in words.
 */
static bool
check_customer(
    struct db *db, const struct organization *organization, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id FROM organizations WHERE stripe_customer_id = $1 AND "
	    "id <> $2",
	    "tt", organization->stripe_customer_id, organization->id);
	struct error taken = {0};

	if (db_next(rows))
		error_set(&taken, ERROR_DATA,
		    "Stripe customer %s already belongs to organization %s",
		    organization->stripe_customer_id, db_text(rows, 0));
	if (!db_done(rows, error))
		return false;
	if (taken.kind == ERROR_NONE)
		return true;
	if (error != NULL)
		*error = taken;
	return false;
}

static bool
write_lead(struct db *db, const struct lead *lead, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO leads (id, organization_id, name, phone, status, "
	    "status_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
	    "ON CONFLICT (id) DO UPDATE SET "
	    "organization_id = excluded.organization_id, "
	    "name = excluded.name, phone = excluded.phone, "
	    "status = excluded.status, status_at = excluded.status_at",
	    "tttttii", lead->id, lead->organization_id, lead->name, lead->phone,
	    lead->status, lead->status_at, lead->created_at);
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

static bool
write_plan(struct ledger *ledger, const struct event *event,
    const struct account *account, const struct plan *plan, struct error *error)
{
	const struct plan_delivery *delivery;
	struct db *db = ledger->db;
	size_t i;

	if (plan->organization_changed &&
	    !write_organization(db, &account->organization, error))
		return false;
	if (plan->lead_changed && !write_lead(db, &account->lead, error))
		return false;
	if (plan->cancel_follow_ups &&
	    !db_run(db, error,
		"UPDATE deliveries SET state = 'cancelled', settled_at = $1 "
		"WHERE organization_id = $2 AND destination = 'mail' AND "
		"state = 'queued'",
		"it", event->received_at, account->organization.id))
		return false;
	for (i = 0; i < plan->deliveries_count; i++) {
		delivery = &plan->deliveries[i];
		if (!write_delivery(db, event->id, event->organization_id, NULL,
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
	json_t *line = json_object();
	char *text;

	json_put(line, "event", event->id);
	json_put(line, "type", event->kind);
	json_put(line, "outcome", plan->outcome);
	if (event->organization_id != NULL)
		json_put(line, "organization", event->organization_id);
	if (organization->known)
		json_put(line, "status", organization->status);
	json_put_number(line, "deliveries", deliveries);
	if (plan->cancel_follow_ups)
		json_put_number(line, "cancelled", cancelled);
	json_object_update(line, plan->result);
	text = json_compact(line);
	json_decref(line);
	return text;
}

static bool
write_event(struct db *db, const struct event *event, const char *outcome,
    const char *line, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO events (id, source, kind, organization_id, "
	    "customer_id, lead_id, call_id, occurred_at, received_at, "
	    "outcome, result, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
	    "$9, $10, $11, $12)",
	    "tttttttiittt", event->id, event->source, event->kind,
	    event->organization_id, event->customer_id, event->lead_id,
	    event->call_id, event->occurred_at, event->received_at, outcome,
	    line, event->body);
}

static bool
load_account(struct db *db, const struct event *event, struct account *account,
    struct error *error)
{
	return (event->organization_id == NULL ||
		   load_organization(db, event->organization_id,
		       &account->organization, error)) &&
	    (event->lead_id == NULL ||
		load_lead(db, event->lead_id, &account->lead, error));
}

/* Decide and write. What is refused is refused before anything is written. */
static bool
record_new(struct ledger *ledger, const struct event *event, decide_fn *decide,
    struct account *account, struct plan *plan, char **result,
    struct error *error)
{
	int64_t deliveries = 0, cancelled = 0;

	if (!load_account(ledger->db, event, account, error) ||
	    !decide(event, account, ledger->conf, plan, error))
		return false;
	if (plan->organization_changed &&
	    !check_customer(ledger->db, &account->organization, error))
		return false;
	if (!write_plan(ledger, event, account, plan, error))
		return false;
	if (plan->cancel_follow_ups && plan->deliveries_count == 0)
		cancelled = db_changes(ledger->db);
	if (!raise_alerts(ledger, event, plan, error) ||
	    !count_deliveries(ledger->db, event, &deliveries, error))
		return false;
	*result = result_line(event, plan, account, deliveries, cancelled);
	return write_event(ledger->db, event, plan->outcome, *result, error);
}

enum ledger_answer
ledger_record(struct ledger *ledger, const struct event *event,
    decide_fn *decide, char **result, struct error *error)
{
	struct account account = {0};
	struct plan plan;
	bool ok;

	*result = NULL;
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return LEDGER_FAILED;
	if (!find_event(ledger->db, event->id, result, error)) {
		db_rollback(ledger->db);
		return LEDGER_FAILED;
	}
	if (*result != NULL)
		return LEDGER_DUPLICATE;
	plan_init(&plan);
	ok = record_new(ledger, event, decide, &account, &plan, result, error);
	plan_release(&plan);
	account_release(&account);
	if (ok)
		return LEDGER_RECORDED;
	free(*result);
	*result = NULL;
	if (error->kind != ERROR_DATA)
		db_rollback(ledger->db);
	return LEDGER_FAILED;
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
		    "UPDATE deliveries SET body = $2 WHERE id = $1", "it",
		    message->replaces_id, message->body);
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

bool
ledger_resolve(struct ledger *ledger, const char *key, int64_t id,
    const char *by, int64_t now, int64_t *closed, struct error *error)
{
	struct resolved resolved = {0};
	struct db *db = ledger->db;
	bool ok;

	*closed = 0;
	if (!db_in_transaction(db) && !db_begin(db, error))
		return false;
	ok = close_alert(db, key, id, by, now, &resolved, error) &&
	    (resolved.id == 0 ||
		tell_resolved(db, ledger->conf, &resolved, by, now, error));
	*closed = resolved.id;
	if (ok)
		ok = db_commit(db, error);
	else
		db_rollback(db);
	alert_release(&resolved.alert);
	free(resolved.told);
	return ok;
}
