#include "store/alerts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

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
write_delivery(struct db *db, const struct alert *alert,
    const struct conf_destination *destination, const char *step,
    const char *key, const char *body, int64_t due_at, int64_t now,
    struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO deliveries (idempotency_key, destination, step, "
	    "event_id, organization_id, alert_kind, body, state, due_at, "
	    "expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, "
	    "'queued', $8, $9, $10)",
	    "tttttttiii", key, destination->name, step, alert->event_id,
	    alert->organization_id, alert->kind, body, due_at,
	    due_at + destination->max_age_s, now);
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
	ok = write_delivery(db, alert, message->destination, "alert", key,
		 message->body, message->due_at, now, error) &&
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
alerts_raise(struct db *db, struct alert *alert, const struct conf *conf,
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
		ok = write_delivery(db, &resolved->alert, destination,
		    "resolved", key, body, now, now, error);
		free(key);
		free(body);
	}
	free(told);
	return ok;
}

bool
alerts_resolve(struct db *db, const char *key, int64_t id, const char *by,
    const struct conf *conf, int64_t now, int64_t *closed, struct error *error)
{
	struct resolved resolved = {0};
	bool ok = close_alert(db, key, id, by, now, &resolved, error) &&
	    (resolved.id == 0 ||
		tell_resolved(db, conf, &resolved, by, now, error));

	*closed = resolved.id;
	alert_release(&resolved.alert);
	free(resolved.told);
	return ok;
}
