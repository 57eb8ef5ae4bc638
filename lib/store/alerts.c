#include "store/alerts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "decide/bundle.h"

/* Where alerts are told, in the order of alert_rule(). */
static const enum conf_destination_index channels[] = {
    CONF_SLACK_ALERTS, CONF_SMS, CONF_MAIL};
#define CHANNELS (sizeof(channels) / sizeof(channels[0]))

/* Messages of a kind are looked for that far back. */
#define LOOK_BACK_S (2 * CLOCK_DAY_S)

/* What is open, or was. */
struct known {
	int64_t id; /* 0: none such */
	int64_t count, notified_at;
	int64_t silence_id; /* what it is kept by; 0: none */
	struct alert alert;
	char *told, *fingerprint;
	bool flapping;
};

static void
known_release(struct known *known)
{
	alert_release(&known->alert);
	free(known->told);
	free(known->fingerprint);
	memset(known, 0, sizeof(*known));
}

static bool
load_number(struct db_rows *rows, int64_t *number, struct error *error)
{
	*number = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

/* The numbers that a query gives; *list is to be freed. */
static bool
load_list(
    struct db_rows *rows, int64_t **list, size_t *count, struct error *error)
{
	*list = NULL;
	for (*count = 0; db_next(rows); ++*count) {
		*list = mem_resize(*list, *count + 1, sizeof(**list));
		(*list)[*count] = db_int(rows, 0);
	}
	return db_done(rows, error);
}

static bool
load_open(struct db *db, const char *fingerprint, int64_t now,
    struct alert_history *history, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, notified_at, severity, acknowledged_at IS NOT NULL "
	    "AND (acknowledged_until IS NULL OR acknowledged_until > $2), "
	    "flapping_at IS NOT NULL FROM system_alerts WHERE fingerprint = $1 AND "
	    "resolved_at IS NULL",
	    "ti", fingerprint, now);

	if (db_next(rows)) {
		history->open_id = db_int(rows, 0);
		history->notified_at = db_int(rows, 1);
		strncpy(history->severity, db_text(rows, 2),
		    sizeof(history->severity) - 1);
		history->acknowledged = db_int(rows, 3) != 0;
		history->flapping = db_int(rows, 4) != 0;
	}
	return db_done(rows, error);
}

/* Messages of that kind and step about what is critical, or what is not. */
static bool
load_channel(struct db *db, const struct alert *alert, const char *destination,
    const char *step, int64_t now, struct alert_channel *channel,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT max(CASE WHEN d.state = 'queued' AND d.attempts = 0 AND "
	    "d.body = '' THEN d.id END), max(coalesce(d.settled_at, d.created_at)) FROM "
	    "deliveries d WHERE d.alert_kind = $1 AND d.destination = $2 AND "
	    "d.step = $3 AND d.state <> 'cancelled' AND d.created_at > $5 AND "
	    "EXISTS (SELECT 1 FROM alert_messages m JOIN system_alerts a ON "
	    "a.id = m.alert_id WHERE m.delivery_id = d.id AND "
	    "(a.severity = 'critical') = ($4 = 'critical'))",
	    "tttti", alert->kind, destination, step, alert->severity,
	    now - LOOK_BACK_S);

	if (db_next(rows)) {
		channel->waiting_id = db_int(rows, 0);
		channel->latest_at = db_int(rows, 1);
	}
	return db_done(rows, error);
}

static bool
count_sms(struct db *db, int64_t now, int64_t *count, struct error *error)
{
	return load_number(
	    db_query(db,
		"SELECT count(*) FROM deliveries WHERE state IN ('queued', "
		"'sending', 'done', 'dead') AND destination = 'sms' AND "
		"due_at > $1 AND created_at > $1",
		"i", now - CLOCK_DAY_S),
	    count, error);
}

static bool
load_channels(struct db *db, const struct alert *alert, const char *step,
    const struct conf *conf, int64_t now, struct alert_history *history,
    struct error *error)
{
	size_t i;

	for (i = 0; i < CHANNELS; i++)
		if (!load_channel(db, alert,
			conf->destinations[channels[i]].name, step, now,
			&history->channels[channels[i]], error))
			return false;
	return load_number(
		   db_query(db,
		       "SELECT max(id) FROM deliveries WHERE destination = "
		       "'slack.alerts' AND state = 'queued' AND attempts = 0 "
		       "AND body = '' AND step = 'digest'",
		       ""),
		   &history->digest_id, error) &&
	    count_sms(db, now, &history->sms_today, error);
}

/*
 * A silence, and the worst of the open alerts that it follows from and that
 * somebody was told of, or wants silenced.
 */
static bool
load_keeper(struct db *db, const char *kind, const char *fingerprint,
    int64_t now, struct alert_keeper *keeper, struct error *error)
{
	char *parents[ALERT_PARENTS_MAX] = {NULL};
	struct db_rows *rows;
	const char *severity;
	size_t count, i;

	alert_parents(parents, &count, kind, fingerprint);
	rows = db_query(db,
	    "SELECT id, '' FROM silences WHERE what IN ($1, $2) AND until_at > "
	    "$3 UNION ALL SELECT id, severity FROM system_alerts WHERE "
	    "resolved_at IS NULL AND fingerprint IN ($4, $5) AND (told <> '' "
	    "OR silence_id IS NOT NULL)",
	    "ttitt", kind, fingerprint, now, parents[0], parents[1]);
	while (db_next(rows)) {
		severity = db_text(rows, 1);
		if (severity[0] == '\0')
			keeper->silence_id = db_int(rows, 0);
		else if (alert_severity(severity) >
		    alert_severity(keeper->parent_severity)) {
			keeper->parent_id = db_int(rows, 0);
			strncpy(keeper->parent_severity, severity,
			    sizeof(keeper->parent_severity) - 1);
		}
	}
	for (i = 0; i < count; i++)
		free(parents[i]);
	return db_done(rows, error);
}

static bool
load_history(struct db *db, const struct alert *alert, const char *fingerprint,
    const struct conf *conf, int64_t now, struct alert_history *history,
    struct error *error)
{
	return load_open(db, fingerprint, now, history, error) &&
	    load_number(
		db_query(db,
		    "SELECT count(CASE WHEN first_seen_at > $2 THEN 1 END) + "
		    "count(CASE WHEN resolved_at > $2 THEN 1 END) FROM "
		    "system_alerts WHERE fingerprint = $1",
		    "ti", fingerprint, now - ALERT_FLAPPING_S),
		&history->changes, error) &&
	    load_keeper(
		db, alert->kind, fingerprint, now, &history->keeper, error) &&
	    load_channels(db, alert, "alert", conf, now, history, error);
}

static bool
write_alert(struct db *db, const struct alert *alert, const char *fingerprint,
    const struct alert_history *history, bool flapping, int64_t now,
    struct known *known, struct error *error)
{
	struct db_rows *rows;

	if (history->open_id != 0)
		rows = db_query(db,
		    "UPDATE system_alerts SET count = count + 1, "
		    "last_seen_at = $2, severity = $3, title = $4, "
		    "message = $5, details = $6, next_command = $7, "
		    "changed_at = CASE WHEN over_at IS NULL THEN changed_at "
		    "ELSE $2 END, over_at = NULL WHERE id = $1 RETURNING id, "
		    "count",
		    "iittttt", history->open_id, now, alert->severity,
		    alert->title, alert->message, alert->details,
		    alert->next_command);
	else
		rows = db_query(db,
		    "INSERT INTO system_alerts (kind, severity, fingerprint, "
		    "title, message, details, next_command, organization_id, "
		    "lead_id, event_id, count, first_seen_at, last_seen_at, "
		    "flapping_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, "
		    "$7, $8, $9, $10, 1, $11, $11, nullif($12, 0), "
		    "nullif($12, 0)) RETURNING id, count",
		    "ttttttttttii", alert->kind, alert->severity, fingerprint,
		    alert->title, alert->message, alert->details,
		    alert->next_command, alert->organization_id, alert->lead_id,
		    alert->event_id, now, flapping ? now : 0);
	if (db_next(rows)) {
		known->id = db_int(rows, 0);
		known->count = db_int(rows, 1);
	}
	return db_done(rows, error);
}

/*
 * Messages. What one says is made of the alerts that it carries when it is
 * sent first; until then its body is empty.
 */

static bool
load_numbers(struct db *db, int64_t delivery_id, struct bundle *bundle,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT d.step, d.idempotency_key, count(*), "
	    "count(a.resolved_at), count(DISTINCT a.kind), "
	    "min(a.first_seen_at) FROM deliveries d JOIN alert_messages m ON "
	    "m.delivery_id = d.id JOIN system_alerts a ON a.id = m.alert_id "
	    "WHERE d.id = $1 GROUP BY d.step, d.idempotency_key",
	    "i", delivery_id);

	if (db_next(rows)) {
		bundle->step = mem_copy(db_text(rows, 0));
		bundle->key = mem_copy(db_text(rows, 1));
		bundle->count = db_int(rows, 2);
		bundle->over = db_int(rows, 3);
		bundle->kinds_total = db_int(rows, 4);
		bundle->since = db_int(rows, 5);
	}
	return db_done(rows, error);
}

static bool
load_kinds(struct db *db, int64_t delivery_id, struct bundle *bundle,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT a.kind, count(*) FROM alert_messages m JOIN "
	    "system_alerts a ON a.id = m.alert_id WHERE m.delivery_id = $1 "
	    "GROUP BY a.kind ORDER BY count(*) DESC, a.kind LIMIT $2",
	    "ii", delivery_id, (int64_t)BUNDLE_KINDS_MAX);
	struct bundle_kind *kind;

	while (db_next(rows)) {
		kind = &bundle->kinds[bundle->kinds_count++];
		kind->kind = mem_copy(db_text(rows, 0));
		kind->count = db_int(rows, 1);
	}
	return db_done(rows, error);
}

static bool
load_examples(struct db *db, int64_t delivery_id, struct bundle *bundle,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT a.count, a.kind, a.severity, a.title, a.message, "
	    "a.details, a.next_command, a.organization_id, a.lead_id, CASE "
	    "WHEN a.resolved_at IS NOT NULL THEN coalesce(a.resolved_by, '?') "
	    "END, a.flapping_at IS NOT NULL FROM alert_messages m JOIN "
	    "system_alerts a ON a.id = "
	    "m.alert_id WHERE m.delivery_id = $1 ORDER BY CASE a.severity "
	    "WHEN 'critical' THEN 0 WHEN 'error' THEN 1 WHEN 'warning' THEN 2 "
	    "ELSE 3 END, a.id LIMIT $2",
	    "ii", delivery_id, (int64_t)BUNDLE_EXAMPLES_MAX);
	struct bundle_example *example;

	while (db_next(rows)) {
		example = &bundle->examples[bundle->examples_count++];
		example->count = db_int(rows, 0);
		example->alert.kind = mem_copy(db_text(rows, 1));
		example->alert.severity = mem_copy(db_text(rows, 2));
		example->alert.title = mem_copy(db_text(rows, 3));
		example->alert.message = mem_copy(db_text(rows, 4));
		example->alert.details = mem_copy(db_text(rows, 5));
		example->alert.next_command = mem_copy(db_text(rows, 6));
		example->alert.organization_id = mem_copy(db_text(rows, 7));
		example->alert.lead_id = mem_copy(db_text(rows, 8));
		example->resolved_by = mem_copy(db_text(rows, 9));
		example->flapping = db_int(rows, 10) != 0;
	}
	return db_done(rows, error);
}

bool
alerts_body(struct db *db, int64_t delivery_id,
    const struct conf_destination *destination, const struct conf *conf,
    int64_t now, char **body, struct error *error)
{
	struct bundle bundle = {0};
	int64_t sms = 0;
	bool ok = load_numbers(db, delivery_id, &bundle, error) &&
	    load_kinds(db, delivery_id, &bundle, error) &&
	    load_examples(db, delivery_id, &bundle, error) &&
	    count_sms(db, now, &sms, error);

	bundle.last_sms = sms >= conf->alert_sms_per_day;
	*body = bundle.examples_count > 0
	    ? bundle_body(&bundle, conf, destination)
	    : mem_copy("{}"); /* somebody has been at the tables */
	bundle_release(&bundle);
	return ok;
}

/* What carries nothing else is not sent, and what does has other words now. */
static bool
withdraw_from(struct db *db, int64_t id, int64_t delivery_id, int64_t now,
    struct error *error)
{
	int64_t carried;

	if (!load_number(db_query(db,
			     "SELECT count(*) FROM alert_messages WHERE "
			     "delivery_id = $1",
			     "i", delivery_id),
		&carried, error))
		return false;
	if (carried == 1)
		return db_run(db, error,
		    "UPDATE deliveries SET state = 'cancelled', settled_at = "
		    "$2, answer = 'overtaken' WHERE id = $1",
		    "ii", delivery_id, now);
	return db_run(db, error,
		   "DELETE FROM alert_messages WHERE alert_id = $1 AND "
		   "delivery_id = $2",
		   "ii", id, delivery_id) &&
	    db_run(db, error, "UPDATE deliveries SET body = '' WHERE id = $1",
		"i", delivery_id);
}

/* Take an alert out of what is queued there, but for that one and digests. */
static bool
withdraw(struct db *db, int64_t id, const struct conf_destination *destination,
    int64_t except_id, int64_t now, struct error *error)
{
	int64_t *ids;
	size_t count, i;
	bool ok = load_list(
	    db_query(db,
		"SELECT d.id FROM alert_messages m JOIN deliveries d ON d.id "
		"= m.delivery_id WHERE m.alert_id = $1 AND d.destination = $2 "
		"AND d.state = 'queued' AND d.step = 'alert' AND d.id <> $3",
		"iti", id, destination->name, except_id),
	    &ids, &count, error);

	for (i = 0; ok && i < count; i++)
		ok = withdraw_from(db, id, ids[i], now, error);
	free(ids);
	return ok;
}

static bool
write_message(struct db *db, const struct known *known,
    const struct alert_message *message, int64_t now, int64_t *delivery_id,
    struct error *error)
{
	const struct conf_destination *destination = message->destination;
	char *key = mem_format("alert:%lld:%lld:%lld:%s:%s",
	    (long long)known->id, (long long)known->count, (long long)now,
	    message->step, destination->name);
	bool ok = load_number(
	    db_query(db,
		"INSERT INTO deliveries (idempotency_key, destination, step, "
		"event_id, organization_id, alert_kind, body, state, due_at, "
		"first_due_at, expires_at, created_at) VALUES ($1, $2, $3, "
		"$4, $5, $6, '', 'queued', $7, $7, $8, $9) RETURNING id",
		"ttttttiii", key, destination->name, message->step,
		known->alert.event_id, known->alert.organization_id,
		strcmp(message->step, "digest") != 0 ? known->alert.kind
						     : "digest",
		message->due_at, message->due_at + destination->max_age_s, now),
	    delivery_id, error);

	free(key);
	return ok;
}

/* told is a set of words; SQL of both databases can do that much. */
static bool
note_told(struct db *db, int64_t id, int64_t delivery_id,
    const struct alert_message *message, int64_t at, struct error *error)
{
	return db_run(db, error,
		   "INSERT INTO alert_messages (alert_id, delivery_id, "
		   "notified_at) VALUES ($1, $2, $3) ON CONFLICT (alert_id, "
		   "delivery_id) DO UPDATE SET notified_at = "
		   "excluded.notified_at",
		   "iii", id, delivery_id, at) &&
	    (strcmp(message->step, "resolved") == 0 ||
		db_run(db, error,
		    "UPDATE system_alerts SET silence_id = NULL, parent_id = "
		    "NULL, notified_at = $2, told = CASE "
		    "WHEN ' ' || told || ' ' LIKE '% ' || $3 || ' %' THEN "
		    "told ELSE trim(told || ' ' || $3) END WHERE id = $1",
		    "iit", id, at, message->destination->name));
}

/* at: when the alert was told; its messages since then are looked at as one. */
static bool
tell(struct db *db, const struct known *known,
    const struct alert_ruling *ruling, int64_t at, int64_t now,
    struct error *error)
{
	const struct alert_message *message = ruling->messages;
	int64_t delivery_id;
	bool ok = true;

	for (; ok && message < ruling->messages + ruling->count; message++) {
		delivery_id = message->joins_id;
		ok = (delivery_id != 0 ||
			 write_message(
			     db, known, message, now, &delivery_id, error)) &&
		    note_told(db, known->id, delivery_id, message, at, error) &&
		    withdraw(db, known->id, message->destination, delivery_id,
			now, error);
	}
	return ok;
}

/* By at most one of them; by none it is kept no longer. */
static bool
note_keeper(struct db *db, int64_t id, int64_t silence_id, int64_t parent_id,
    struct error *error)
{
	return db_run(db, error,
		   "UPDATE system_alerts SET silence_id = nullif($2, 0), "
		   "parent_id = nullif($3, 0) WHERE id = $1",
		   "iii", id, silence_id, parent_id) &&
	    (silence_id == 0 ||
		db_run(db, error,
		    "UPDATE silences SET kept = kept + 1 WHERE id = $1", "i",
		    silence_id));
}

bool
alerts_raise(struct db *db, struct alert *alert, const struct conf *conf,
    int64_t now, int64_t *id, int64_t *count, struct error *error)
{
	struct alert_history history = {0};
	struct alert_ruling ruling = {0};
	struct known known = {0};
	char *fingerprint;
	bool ok;

	alert_normalize(alert);
	fingerprint = alert_fingerprint(alert);
	ok = load_history(db, alert, fingerprint, conf, now, &history, error);
	if (alert_severity(history.severity) > alert_severity(alert->severity))
		mem_replace(&alert->severity, history.severity);
	alert_rule(&ruling, alert, &history, conf, now);
	ok = ok &&
	    write_alert(db, alert, fingerprint, &history, ruling.flapping, now,
		&known, error);
	free(fingerprint);
	if (!ok)
		return false;
	if (id != NULL)
		*id = known.id;
	if (count != NULL)
		*count = known.count;
	known.alert = *alert; /* borrowed */
	if (ruling.silence_id != 0 || ruling.parent_id != 0)
		return note_keeper(
		    db, known.id, ruling.silence_id, ruling.parent_id, error);
	return tell(db, &known, &ruling, now, now, error);
}

/* The destination that an alert about deliveries is about; NULL: none. */
static char *
destination_about(const char *kind, const char *fingerprint)
{
	const size_t size = strlen(kind);

	return strncmp(kind, "delivery.", 9) == 0 &&
		strncmp(fingerprint, kind, size) == 0 &&
		fingerprint[size] == ':'
	    ? mem_copy(fingerprint + size + 1)
	    : NULL;
}

static bool
load_known(struct db *db, const char *key, int64_t id, struct known *known,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, count, kind, severity, title, organization_id, "
	    "event_id, told, flapping_at IS NOT NULL, notified_at, "
	    "fingerprint, silence_id FROM system_alerts WHERE "
	    "resolved_at IS NULL AND (id = $2 OR fingerprint = $1)",
	    "ti", key, id);

	if (db_next(rows)) {
		known->id = db_int(rows, 0);
		known->count = db_int(rows, 1);
		known->alert.kind = mem_copy(db_text(rows, 2));
		known->alert.severity = mem_copy(db_text(rows, 3));
		known->alert.title = mem_copy(db_text(rows, 4));
		known->alert.organization_id = mem_copy(db_text(rows, 5));
		known->alert.event_id = mem_copy(db_text(rows, 6));
		known->told = mem_copy(db_text(rows, 7));
		known->flapping = db_int(rows, 8) != 0;
		known->notified_at = db_int(rows, 9);
		known->fingerprint = mem_copy(db_text(rows, 10));
		known->silence_id = db_int(rows, 11);
		known->alert.avoid =
		    destination_about(known->alert.kind, known->fingerprint);
	}
	return db_done(rows, error);
}

/*
 * Whether a channel is to hear of the end: a message went out there, or may
 * have, or is so old that it was purged; and no digest is about to tell it.
 */
static bool
find_heard(struct db *db, const struct known *known, const char *destination,
    bool *heard, struct error *error)
{
	char *told = mem_format(" %s ", known->told),
	     *word = mem_format(" %s ", destination);
	struct db_rows *rows = db_query(db,
	    "SELECT count(*), count(CASE WHEN d.state IN ('sending', 'done') "
	    "OR (d.state = 'queued' AND d.attempts > 0) THEN 1 END), "
	    "count(CASE WHEN d.state = 'queued' AND d.body = '' AND "
	    "d.step = 'digest' THEN 1 END) FROM alert_messages m JOIN "
	    "deliveries d ON d.id = m.delivery_id WHERE m.alert_id = $1 AND "
	    "d.destination = $2",
	    "it", known->id, destination);

	*heard = strstr(told, word) != NULL && db_next(rows) &&
	    db_int(rows, 2) == 0 &&
	    (db_int(rows, 0) == 0 || db_int(rows, 1) > 0);
	free(told);
	free(word);
	return db_done(rows, error);
}

/* What was not sent yet need not be, and where nothing was sent, no end. */
static bool
tell_end(struct db *db, const struct known *known, const char *step,
    const struct conf *conf, int64_t now, struct error *error)
{
	const struct conf_destination *destination;
	bool heard[CONF_DESTINATIONS] = {false};
	struct alert_history history = {0};
	struct alert_ruling ruling;
	size_t i;

	for (i = 0; i < CHANNELS; i++) {
		destination = &conf->destinations[channels[i]];
		if (!find_heard(db, known, destination->name,
			&heard[channels[i]], error) ||
		    !withdraw(db, known->id, destination, 0, now, error))
			return false;
	}
	if (!load_channels(db, &known->alert, step, conf, now, &history, error))
		return false;
	alert_rule_end(
	    &ruling, step, &known->alert, heard, &history, conf, now);
	return tell(db, known, &ruling, now, now, error);
}

static bool
close_alert(struct db *db, const struct known *known, const char *by,
    const struct conf *conf, int64_t now, struct error *error)
{
	return db_run(db, error,
		   "UPDATE system_alerts SET resolved_at = $2, resolved_by = "
		   "coalesce($3, resolved_by) WHERE id = $1",
		   "iit", known->id, now, by) &&
	    tell_end(db, known, "resolved", conf, now, error);
}

/* One that flaps is over when it stays so: see end_flapping(). */
static bool
note_over(
    struct db *db, int64_t id, const char *by, int64_t now, struct error *error)
{
	return db_run(db, error,
	    "UPDATE system_alerts SET over_at = $2, changed_at = $2, "
	    "resolved_by = $3 WHERE id = $1 AND over_at IS NULL",
	    "iit", id, now, by);
}

bool
alerts_resolve(struct db *db, const char *key, int64_t id, const char *by,
    const struct conf *conf, int64_t now, struct alerts_end *end,
    struct error *error)
{
	struct known known = {0};
	bool ok = load_known(db, key, id, &known, error);
	const bool flapping = known.flapping && key != NULL;

	if (end != NULL)
		*end = (struct alerts_end){known.id, flapping};
	if (ok && flapping)
		ok = note_over(db, known.id, by, now, error);
	else if (ok && known.id != 0)
		ok = close_alert(db, &known, by, conf, now, error);
	known_release(&known);
	return ok;
}

/*
 * Silences.
 */

/* The channels that have heard of it, blank-separated; to be freed. */
static bool
find_told(struct db *db, const struct known *known, const struct conf *conf,
    char **told, struct error *error)
{
	struct buf text = BUF_INIT(1024);
	bool ok = true, heard = false;
	const char *name;
	size_t i;

	for (i = 0; ok && i < CHANNELS; i++) {
		name = conf->destinations[channels[i]].name;
		ok = find_heard(db, known, name, &heard, error);
		if (ok && heard)
			buf_format(
			    &text, "%s%s", text.size > 0 ? " " : "", name);
	}
	*told = mem_copy(buf_string(&text));
	buf_release(&text);
	return ok;
}

/* What waits to be sent is kept instead; what is under way is not. */
static bool
silence_one(struct db *db, int64_t id, int64_t silence_id,
    const struct conf *conf, int64_t now, struct error *error)
{
	struct known known = {0};
	int64_t *ids = NULL;
	size_t count = 0, i;
	char *told = NULL;
	bool ok = load_known(db, NULL, id, &known, error) &&
	    find_told(db, &known, conf, &told, error) &&
	    load_list(db_query(db,
			  "SELECT d.id FROM alert_messages m JOIN deliveries "
			  "d ON d.id = m.delivery_id WHERE m.alert_id = $1 AND "
			  "d.state = 'queued' AND d.step IN ('alert', "
			  "'digest')",
			  "i", id),
		&ids, &count, error);

	for (i = 0; ok && i < count; i++)
		ok = withdraw_from(db, id, ids[i], now, error);
	ok = ok &&
	    (count == 0 ||
		(note_keeper(db, id, silence_id, 0, error) &&
		    db_run(db, error,
			"UPDATE system_alerts SET told = $2 WHERE id = $1",
			"it", id, told)));
	free(ids);
	free(told);
	known_release(&known);
	return ok;
}

static bool
silence_open(struct db *db, const char *what, int64_t silence_id,
    const struct conf *conf, int64_t now, struct error *error)
{
	int64_t *ids;
	size_t count, i;
	bool ok = load_list(
	    db_query(db,
		"SELECT id FROM system_alerts WHERE resolved_at IS NULL AND "
		"(kind = $1 OR fingerprint = $1) ORDER BY id",
		"t", what),
	    &ids, &count, error);

	for (i = 0; ok && i < count; i++)
		ok = silence_one(db, ids[i], silence_id, conf, now, error);
	free(ids);
	return ok;
}

static bool
is_known(struct db *db, const char *what, bool *known, struct error *error)
{
	const struct alert_kind *kind = alert_kinds;
	int64_t seen;
	bool ok;

	while (kind->kind != NULL && strcmp(kind->kind, what) != 0)
		kind++;
	ok = load_number(
	    db_query(db,
		"SELECT 1 WHERE EXISTS (SELECT 1 FROM system_alerts WHERE "
		"kind = $1 OR fingerprint = $1)",
		"t", what),
	    &seen, error);
	*known = kind->kind != NULL || seen != 0;
	return ok;
}

bool
alerts_silence(struct db *db, const char *what, const char *because,
    const char *by, int64_t now, int64_t until, const struct conf *conf,
    struct alerts_silence *silence, struct error *error)
{
	if (!db_begin(db, error))
		return false;
	if (load_number(db_query(db,
			    "INSERT INTO silences (what, because, created_at, "
			    "created_by, until_at) VALUES ($1, $2, $3, $4, $5) "
			    "RETURNING id",
			    "ttiti", what, because, now, by, until),
		&silence->id, error) &&
	    is_known(db, what, &silence->known, error) &&
	    silence_open(db, what, silence->id, conf, now, error) &&
	    load_number(db_query(db, "SELECT kept FROM silences WHERE id = $1",
			    "i", silence->id),
		&silence->kept, error))
		return db_commit(db, error);
	db_rollback(db);
	return false;
}

bool
alerts_unsilence(struct db *db, int64_t id, const char *by, int64_t now,
    bool *found, bool *ended, struct error *error)
{
	int64_t there = 1;

	if (!db_run(db, error,
		"UPDATE silences SET until_at = $2, ended_by = $3 WHERE id = "
		"$1 AND created_at <= $2 AND until_at > $2",
		"iit", id, now, by))
		return false;
	*ended = db_changes(db) > 0;
	if (!*ended &&
	    !load_number(
		db_query(db, "SELECT 1 FROM silences WHERE id = $1", "i", id),
		&there, error))
		return false;
	*found = there != 0;
	return true;
}

/*
 * The watch.
 */

/* One that is over closes; one that stands is so no longer. */
static bool
end_flapping_of(struct db *db, int64_t id, const struct conf *conf, int64_t now,
    struct error *error)
{
	struct known known = {0};
	int64_t over;
	bool ok;

	ok = load_known(db, NULL, id, &known, error) &&
	    load_number(
		db_query(db,
		    "SELECT over_at IS NOT NULL FROM system_alerts WHERE id = "
		    "$1",
		    "i", id),
		&over, error);
	if (ok && over)
		ok = close_alert(db, &known, NULL, conf, now, error);
	else if (ok)
		ok = db_run(db, error,
			 "UPDATE system_alerts SET flapping_at = NULL, "
			 "changed_at = NULL WHERE id = $1",
			 "i", id) &&
		    tell_end(db, &known, "steady", conf, now, error);
	known_release(&known);
	return ok;
}

static bool
end_flapping(
    struct db *db, const struct conf *conf, int64_t now, struct error *error)
{
	int64_t *ids;
	size_t count, i;
	bool ok;

	ok = load_list(
	    db_query(db,
		"SELECT id FROM system_alerts WHERE flapping_at IS NOT NULL "
		"AND resolved_at IS NULL AND changed_at <= $1 ORDER BY id",
		"i", now - ALERT_FLAPPING_S),
	    &ids, &count, error);
	for (i = 0; ok && i < count; i++)
		ok = end_flapping_of(db, ids[i], conf, now, error);
	free(ids);
	return ok;
}

static bool
load_standing(struct db *db, const struct known *known, const struct conf *conf,
    struct alert_standing *standing, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT d.destination, d.state, d.first_due_at, h.held_at IS NOT "
	    "NULL FROM alert_messages m JOIN deliveries d ON d.id = "
	    "m.delivery_id LEFT JOIN destinations h ON h.name = d.destination "
	    "WHERE m.alert_id = $1 AND m.notified_at = $2 ORDER BY d.id",
	    "ii", known->id, known->notified_at);
	const struct conf_destination *destination;
	const char *state;
	size_t i;

	while (db_next(rows)) {
		destination = conf_destination(conf, db_text(rows, 0));
		if (destination == NULL)
			continue;
		i = (size_t)(destination - conf->destinations);
		state = db_text(rows, 1);
		standing->channels[i].used = true;
		standing->channels[i].done = strcmp(state, "done") == 0 ||
		    strcmp(state, "cancelled") == 0;
		standing->channels[i].lost = strcmp(state, "dead") == 0 ||
		    db_int(rows, 3) != 0 || !destination->configured;
		standing->channels[i].first_due_at = db_int(rows, 2);
	}
	return db_done(rows, error);
}

static bool
fall_back_for(struct db *db, int64_t id, const struct conf *conf, int64_t now,
    struct error *error)
{
	struct alert_standing standing = {0};
	struct alert_history history = {0};
	struct alert_ruling ruling;
	struct known known = {0};
	bool ok = load_known(db, NULL, id, &known, error);

	if (ok && known.id != 0) {
		ok = load_standing(db, &known, conf, &standing, error) &&
		    load_channels(
			db, &known.alert, "alert", conf, now, &history, error);
		alert_rule_fallback(
		    &ruling, &known.alert, &standing, &history, conf, now);
		ok = ok &&
		    tell(db, &known, &ruling, known.notified_at, now, error);
	}
	known_release(&known);
	return ok;
}

/*
 * Messages that are due and not there, or lost; in Slack and on the telephone,
 * for behind the mail webhook there is no other channel.
 */
#define UNHEARD                                                                \
	"FROM deliveries d JOIN alert_messages m ON m.delivery_id = d.id "     \
	"JOIN system_alerts a ON a.id = m.alert_id AND a.notified_at = "       \
	"m.notified_at AND a.resolved_at IS NULL WHERE d.state IN ('queued', " \
	"'sending', 'dead') AND d.destination IN ('slack.alerts', 'sms') AND " \
	"d.step IN ('alert', 'digest', 'steady') AND d.first_due_at <= $1 "    \
	"AND NOT EXISTS (SELECT 1 FROM silences s WHERE s.what IN (a.kind, "   \
	"a.fingerprint) AND s.until_at > $1) "                                 \
	"AND (d.settled_at IS NULL OR d.settled_at > $1 - 86400) AND "         \
	"(a.acknowledged_at IS NULL OR a.acknowledged_until <= $1) "

static bool
fall_back(
    struct db *db, const struct conf *conf, int64_t now, struct error *error)
{
	int64_t *ids;
	size_t count, i;
	bool ok;

	ok = load_list(
	    db_query(
		db, "SELECT DISTINCT a.id " UNHEARD "ORDER BY a.id", "i", now),
	    &ids, &count, error);
	for (i = 0; ok && i < count; i++)
		ok = fall_back_for(db, ids[i], conf, now, error);
	free(ids);
	return ok;
}

/* Alerts about deliveries are not counted, so that none is about another. */
#define LATE                                                                   \
	"FROM deliveries WHERE state IN ('queued', 'sending') AND "            \
	"first_due_at BETWEEN 1 AND $1 AND (alert_kind IS NULL OR alert_kind " \
	"NOT LIKE 'delivery.%') "

struct late {
	char *name;
	int64_t count, oldest_at;
};

static bool
load_late(struct db *db, int64_t now, struct late **list, size_t *count,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT destination, count(*), min(first_due_at) " LATE
	    "GROUP BY destination ORDER BY destination",
	    "i", now - ALERT_LATE_S - 1);
	struct late *late;

	*list = NULL;
	for (*count = 0; db_next(rows); ++*count) {
		*list = mem_resize(*list, *count + 1, sizeof(**list));
		late = &(*list)[*count];
		late->name = mem_copy(db_text(rows, 0));
		late->count = db_int(rows, 1);
		late->oldest_at = db_int(rows, 2);
	}
	return db_done(rows, error);
}

/* Said once as a warning and once as critical. */
static bool
raise_late(struct db *db, const struct late *late, const struct conf *conf,
    int64_t now, struct error *error)
{
	const char *severity = alert_lateness(now - late->oldest_at);
	struct alert_history history = {0};
	char *fingerprint = mem_format("delivery.late:%s", late->name);
	char when[CLOCK_TEXT_MAX];
	struct alert alert = {0};
	bool ok = load_open(db, fingerprint, now, &history, error);

	free(fingerprint);
	if (!ok || alert_severity(history.severity) >= alert_severity(severity))
		return ok;
	alert.kind = mem_copy("delivery.late");
	alert.severity = mem_copy(severity);
	alert.key = mem_copy(late->name);
	alert.avoid = mem_copy(late->name);
	alert.message =
	    mem_format("%s: %lld unsent, the oldest due since %s", late->name,
		(long long)late->count, clock_format(when, late->oldest_at));
	ok = alerts_raise(db, &alert, conf, now, NULL, NULL, error);
	alert_release(&alert);
	return ok;
}

static bool
end_late(struct db *db, const struct late *list, size_t count, int64_t id,
    const struct conf *conf, int64_t now, struct error *error)
{
	struct known known = {0};
	bool ok = load_known(db, NULL, id, &known, error), late = false;
	char *fingerprint;
	size_t i;

	for (i = 0; ok && i < count; i++)
		late = late || strcmp(list[i].name, known.alert.avoid) == 0;
	if (ok && !late) {
		fingerprint = mem_format("delivery.late:%s", known.alert.avoid);
		ok = alerts_resolve(db, fingerprint, 0, "automate-deliver",
		    conf, now, NULL, error);
		free(fingerprint);
	}
	known_release(&known);
	return ok;
}

static bool
watch_age(
    struct db *db, const struct conf *conf, int64_t now, struct error *error)
{
	struct late *list;
	int64_t *ids = NULL;
	size_t count, ids_count = 0, i;
	bool ok = load_late(db, now, &list, &count, error) &&
	    load_list(db_query(db,
			  "SELECT id FROM system_alerts WHERE kind = "
			  "'delivery.late' AND resolved_at IS NULL ORDER BY id",
			  ""),
		&ids, &ids_count, error);

	for (i = 0; ok && i < ids_count; i++)
		ok = end_late(db, list, count, ids[i], conf, now, error);
	for (i = 0; ok && i < count; i++)
		ok = raise_late(db, &list[i], conf, now, error);
	for (i = 0; i < count; i++)
		free(list[i].name);
	free(list);
	free(ids);
	return ok;
}

/* What keeps them is over. */
#define RELEASED                                                               \
	"FROM system_alerts a LEFT JOIN silences s ON s.id = a.silence_id "    \
	"LEFT JOIN system_alerts p ON p.id = a.parent_id WHERE "               \
	"a.resolved_at IS NULL AND (s.until_at <= $1 OR p.resolved_at IS NOT " \
	"NULL) "

/* It is told, if nothing else keeps it. */
static bool
tell_kept_of(struct db *db, int64_t id, const struct conf *conf, int64_t now,
    struct error *error)
{
	struct alert_history history = {0};
	struct alert_ruling ruling;
	struct known known = {0};
	bool ok;

	ok = load_known(db, NULL, id, &known, error) &&
	    load_keeper(db, known.alert.kind, known.fingerprint, now,
		&history.keeper, error) &&
	    load_channels(
		db, &known.alert, "alert", conf, now, &history, error);
	if (ok) {
		alert_rule_kept(&ruling, &known.alert, known.silence_id,
		    &history, conf, now);
		ok = note_keeper(
			 db, id, ruling.silence_id, ruling.parent_id, error) &&
		    tell(db, &known, &ruling, now, now, error);
	}
	known_release(&known);
	return ok;
}

static bool
tell_kept(
    struct db *db, const struct conf *conf, int64_t now, struct error *error)
{
	int64_t *ids;
	size_t count, i;
	bool ok = load_list(
	    db_query(db, "SELECT a.id " RELEASED "ORDER BY a.id", "i", now),
	    &ids, &count, error);

	for (i = 0; ok && i < count; i++)
		ok = tell_kept_of(db, ids[i], conf, now, error);
	free(ids);
	return ok;
}

static bool
is_anything(struct db *db, int64_t now, bool *anything, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT 1 WHERE EXISTS (SELECT 1 " UNHEARD ") OR "
	    "EXISTS (SELECT 1 " RELEASED ") OR "
	    "EXISTS (SELECT 1 FROM deliveries WHERE state IN ('queued', "
	    "'sending') AND first_due_at BETWEEN 1 AND $2) OR "
	    "EXISTS (SELECT 1 FROM system_alerts WHERE resolved_at IS NULL "
	    "AND (kind = 'delivery.late' OR (flapping_at IS NOT NULL AND "
	    "changed_at <= $3)))",
	    "iii", now, now - ALERT_LATE_S - 1, now - ALERT_FLAPPING_S);

	*anything = db_next(rows);
	return db_done(rows, error);
}

static bool
latest_delivery(struct db *db, int64_t *id, struct error *error)
{
	return load_number(
	    db_query(db, "SELECT max(id) FROM deliveries", ""), id, error);
}

bool
alerts_watch(struct db *db, const struct conf *conf, int64_t now, bool *queued,
    struct error *error)
{
	int64_t before = 0, after = 0;
	bool anything;

	*queued = false;
	if (!is_anything(db, now, &anything, error))
		return false;
	if (!anything)
		return true;
	if (!db_begin(db, error))
		return false;
	if (!latest_delivery(db, &before, error) ||
	    !end_flapping(db, conf, now, error) ||
	    !fall_back(db, conf, now, error) ||
	    !watch_age(db, conf, now, error) ||
	    !tell_kept(db, conf, now, error) ||
	    !latest_delivery(db, &after, error)) {
		db_rollback(db);
		return false;
	}
	*queued = after > before;
	return db_commit(db, error);
}
