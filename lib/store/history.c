#include "store/history.h"

#include <stddef.h>

static const char *
state_of(const struct history_alert *alert, int64_t now)
{
	if (alert->resolved_at != 0)
		return "resolved";
	if (alert->acknowledged_at != 0 &&
	    (alert->acknowledged_until == 0 || alert->acknowledged_until > now))
		return "acknowledged";
	if (alert->silence_id != 0)
		return "silenced";
	if (alert->parent_id != 0)
		return "suppressed";
	return alert->flapping_at != 0 ? "flapping" : "open";
}

static void
show_alert(struct db_rows *rows, int64_t now, history_alert_visit *visit,
    void *context)
{
	struct history_alert alert = {.id = db_int(rows, 0),
	    .count = db_int(rows, 1),
	    .first_seen_at = db_int(rows, 2),
	    .last_seen_at = db_int(rows, 3),
	    .acknowledged_at = db_int(rows, 4),
	    .acknowledged_until = db_int(rows, 5),
	    .resolved_at = db_int(rows, 6),
	    .kind = db_text(rows, 7),
	    .severity = db_text(rows, 8),
	    .fingerprint = db_text(rows, 9),
	    .title = db_text(rows, 10),
	    .message = db_text(rows, 11),
	    .details = db_text(rows, 12),
	    .next_command = db_text(rows, 13),
	    .organization_id = db_text(rows, 14),
	    .lead_id = db_text(rows, 15),
	    .event_id = db_text(rows, 16),
	    .told = db_text(rows, 17),
	    .acknowledged_by = db_text(rows, 18),
	    .resolved_by = db_text(rows, 19),
	    .flapping_at = db_int(rows, 20),
	    .silence_id = db_int(rows, 21),
	    .parent_id = db_int(rows, 22)};

	alert.state = state_of(&alert, now);
	visit(context, &alert);
}

bool
history_alerts(struct db *db, const struct history_filter *filter, int64_t now,
    history_alert_visit *visit, void *context, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT * FROM (SELECT id, count, first_seen_at, last_seen_at, "
	    "acknowledged_at, acknowledged_until, resolved_at, kind, "
	    "severity, fingerprint, title, message, details, next_command, "
	    "organization_id, lead_id, event_id, told, acknowledged_by, "
	    "resolved_by, flapping_at, silence_id, parent_id FROM "
	    "system_alerts WHERE ($1 = 0 OR id = $1) AND "
	    "CASE severity WHEN 'info' THEN 0 WHEN 'warning' THEN 1 WHEN "
	    "'error' THEN 2 ELSE 3 END >= $2 AND ($3 IS NULL OR kind = $3) "
	    "AND ($4 IS NULL OR organization_id = $4) AND last_seen_at >= $5 "
	    "AND ($6 = 0 OR resolved_at IS NULL) ORDER BY last_seen_at DESC, "
	    "id DESC LIMIT $7) AS latest ORDER BY "
	    "CASE WHEN $8 = 1 THEN last_seen_at ELSE -last_seen_at END, "
	    "CASE WHEN $8 = 1 THEN id ELSE -id END",
	    "iittiiii", filter->id, (int64_t)filter->severity, filter->kind,
	    filter->organization_id, filter->since, (int64_t)filter->open,
	    filter->limit, (int64_t)filter->oldest_first);

	while (db_next(rows))
		show_alert(rows, now, visit, context);
	return db_done(rows, error);
}

bool
history_acknowledge(struct db *db, int64_t id, const char *by, int64_t now,
    int64_t until, bool *changed, struct error *error)
{
	bool ok = db_run(db, error,
	    "UPDATE system_alerts SET acknowledged_at = $2, "
	    "acknowledged_until = nullif($3, 0), acknowledged_by = $4, "
	    "silence_id = NULL, parent_id = NULL WHERE id = $1 AND "
	    "resolved_at IS NULL",
	    "iiit", id, now, until, by);

	*changed = db_changes(db) > 0;
	return ok;
}

bool
history_silences(struct db *db, bool in_force, int64_t limit, int64_t now,
    history_silence_visit *visit, void *context, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, what, because, created_at, created_by, until_at, "
	    "ended_by, kept FROM silences WHERE $1 = 0 OR until_at > $2 ORDER "
	    "BY id DESC LIMIT $3",
	    "iii", (int64_t)in_force, now, limit);
	struct history_silence silence;

	while (db_next(rows)) {
		silence = (struct history_silence){.id = db_int(rows, 0),
		    .what = db_text(rows, 1),
		    .because = db_text(rows, 2),
		    .created_at = db_int(rows, 3),
		    .created_by = db_text(rows, 4),
		    .until_at = db_int(rows, 5),
		    .ended_by = db_text(rows, 6),
		    .kept = db_int(rows, 7),
		    .in_force = db_int(rows, 5) > now};
		visit(context, &silence);
	}
	return db_done(rows, error);
}

/*
 * Whose events: those that name the subject, those of the organization that has
 * it for customer, name or address, and those of a call that is or has it, by
 * either of its ids.
 */
#define SUBJECTS                                                               \
	"WITH who AS (SELECT id FROM organizations WHERE id = $1 OR "          \
	"stripe_customer_id = $1 OR name = $1 OR owner_email = $1), "          \
	"dialled AS (SELECT id, call_id FROM calls WHERE id = $1 OR call_id "  \
	"= $1 OR lead_id = $1), "                                              \
	"facts AS (SELECT * FROM events WHERE id = $1 OR organization_id IN "  \
	"(SELECT id FROM who) OR organization_id = $1 OR customer_id = $1 OR " \
	"lead_id = $1 OR call_id = $1 OR call_id IN (SELECT id FROM dialled "  \
	"UNION SELECT call_id FROM dialled)), told AS (SELECT * FROM "         \
	"system_alerts WHERE event_id IN (SELECT id FROM facts) OR "           \
	"organization_id = $1 OR organization_id IN (SELECT id FROM who) OR "  \
	"lead_id = $1 OR fingerprint = $1), owed AS (SELECT * FROM "           \
	"deliveries WHERE event_id IN (SELECT id FROM facts) OR "              \
	"organization_id IN (SELECT id FROM who) OR id IN (SELECT "            \
	"delivery_id FROM alert_messages WHERE alert_id IN (SELECT id FROM "   \
	"told))) "

bool
history_why(struct db *db, const char *subject, history_line_visit *visit,
    void *context, int64_t *found, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    SUBJECTS
	    "SELECT received_at AS at, 1 AS rank, 'event' AS what, id AS "
	    "subject, kind || ' ' || outcome || ' ' || result AS words FROM "
	    "facts UNION ALL "
	    "SELECT first_seen_at, 2, 'alert', CAST(id AS TEXT), severity || "
	    "' ' || kind || ': ' || title || ' (seen ' || count || ')' FROM "
	    "told UNION ALL "
	    "SELECT created_at, 3, 'delivery', CAST(id AS TEXT), destination "
	    "|| ' ' || step || ' queued' FROM owed UNION ALL "
	    "SELECT a.at, 4, 'attempt', CAST(o.id AS TEXT), o.destination || "
	    "' ' || o.step || ' ' || a.ruling FROM attempts a JOIN owed o ON "
	    "o.id = a.delivery_id UNION ALL "
	    "SELECT settled_at, 5, 'delivery', CAST(id AS TEXT), destination "
	    "|| ' ' || step || ' ' || state FROM owed WHERE settled_at IS NOT "
	    "NULL UNION ALL "
	    "SELECT acknowledged_at, 6, 'alert', CAST(id AS TEXT), "
	    "'acknowledged by ' || coalesce(acknowledged_by, '?') FROM told "
	    "WHERE acknowledged_at IS NOT NULL UNION ALL "
	    "SELECT resolved_at, 7, 'alert', CAST(id AS TEXT), 'resolved by ' "
	    "|| coalesce(resolved_by, '?') FROM told WHERE resolved_at IS NOT "
	    "NULL ORDER BY 1, 2, 4",
	    "t", subject);
	struct history_line line;

	for (*found = 0; db_next(rows); ++*found) {
		line.at = db_int(rows, 0);
		line.what = db_text(rows, 2);
		line.subject = db_text(rows, 3);
		line.words = db_text(rows, 4);
		visit(context, &line);
	}
	return db_done(rows, error);
}
