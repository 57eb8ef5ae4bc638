#include "store/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "decide/alert.h"
#include "decide/breaker.h"
#include "store/alerts.h"
#include "store/file.h"
#include "store/runs.h"

#define RECOVER_MS 1000

/* An hour less than Stripe remembers what it has taken. */
#define DOUBT_S (23 * 3600)

/* A destination as its row has it; read once in a transaction. */
struct health {
	bool known, changed;
	bool held;
	int64_t rest_until; /* as it asked */
	struct breaker breaker;
};

struct outbox {
	struct db *db;
	const struct conf *conf;
	int senders;
	char owner[24];
	int64_t recover_at_ms; /* when to look for senders that are gone */
	struct health healths[CONF_DESTINATIONS];
};

static bool
lock_own_byte(struct outbox *outbox, struct error *error)
{
	char *path = mem_format("%s-senders", outbox->conf->database_path);
	struct flock lock = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = (off_t)getpid(),
	    .l_len = 1};
	bool ok = true;

	outbox->senders = file_open(path);
	if (outbox->senders == -1 ||
	    fcntl(outbox->senders, F_SETLK, &lock) == -1)
		ok = error_set(
		    error, ERROR_CONF, "%s: %s", path, strerror(errno));
	free(path);
	return ok;
}

bool
outbox_open(struct outbox **result, const struct conf *conf, enum db_mode mode,
    struct error *error)
{
	struct outbox *outbox = mem_alloc(sizeof(*outbox));

	*result = outbox;
	outbox->conf = conf;
	outbox->senders = -1;
	snprintf(outbox->owner, sizeof(outbox->owner), "%ld", (long)getpid());
	if (db_open(&outbox->db, conf, mode, error) &&
	    (mode != DB_WRITE || lock_own_byte(outbox, error)))
		return true;
	outbox_close(outbox);
	*result = NULL;
	return false;
}

void
outbox_close(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	db_close(outbox->db);
	if (outbox->senders != -1)
		close(outbox->senders);
	free(outbox);
}

void
delivery_free(struct delivery *delivery)
{
	if (delivery == NULL)
		return;
	free(delivery->key);
	free(delivery->step);
	free(delivery->body);
	free(delivery->alert_kind);
	free(delivery->organization_id);
	free(delivery);
}

static bool
owner_lives(const struct outbox *outbox, const char *owner)
{
	struct flock lock = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = (off_t)atol(owner),
	    .l_len = 1};

	if (strcmp(owner, outbox->owner) == 0)
		return true;
	return fcntl(outbox->senders, F_GETLK, &lock) == -1 ||
	    lock.l_type != F_UNLCK;
}

/* Rows of senders that are no more go back into the queue. */
static bool
recover(struct outbox *outbox, int64_t now, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT DISTINCT lease_owner FROM deliveries WHERE state = "
	    "'sending'",
	    "");
	char *dead[64];
	size_t count = 0, i;
	bool ok;

	while (count < 64 && db_next(rows))
		if (!owner_lives(outbox, db_text(rows, 0)))
			dead[count++] = mem_copy(db_text(rows, 0));
	ok = db_done(rows, error);
	for (i = 0; i < count; i++) {
		ok = ok &&
		    db_run(outbox->db, error,
			"UPDATE deliveries SET state = 'queued' WHERE state = "
			"'sending' AND lease_owner = $1",
			"t", dead[i]);
		free(dead[i]);
	}
	return ok &&
	    db_run(outbox->db, error,
		"UPDATE deliveries SET state = 'queued' WHERE state = "
		"'sending' AND lease_until <= $1 AND lease_owner <> $2",
		"it", now, outbox->owner);
}

static bool
load_health(struct outbox *outbox, int destination, struct health **result,
    struct error *error)
{
	struct health *health = &outbox->healths[destination];
	struct db_rows *rows;

	*result = health;
	if (health->known)
		return true;
	rows = db_query(outbox->db,
	    "SELECT failures, open_until, probe_s, held_at IS NOT NULL, "
	    "rest_until FROM destinations WHERE name = $1",
	    "t", outbox->conf->destinations[destination].name);
	memset(health, 0, sizeof(*health));
	health->known = true;
	if (db_next(rows)) {
		health->breaker.failures = db_int(rows, 0);
		health->breaker.open_until = db_int(rows, 1);
		health->breaker.probe_s = db_int(rows, 2);
		health->held = db_int(rows, 3) != 0;
		health->rest_until = db_int(rows, 4);
	}
	return db_done(rows, error);
}

static bool
write_health(struct db *db, const char *name, const struct health *health,
    struct error *error)
{
	const struct breaker *breaker = &health->breaker;

	return db_run(db, error,
	    "INSERT INTO destinations (name, failures, open_until, probe_s, "
	    "rest_until) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO "
	    "UPDATE SET failures = excluded.failures, open_until = "
	    "excluded.open_until, probe_s = excluded.probe_s, rest_until = "
	    "excluded.rest_until",
	    "tiiii", name, breaker->failures, breaker->open_until,
	    breaker->probe_s, health->rest_until);
}

/* A clock put back, which it was told by, does not keep it resting. */
static bool
rests(const struct health *health, int64_t now)
{
	return now < health->rest_until &&
	    health->rest_until <= now + RETRY_ASKED_MAX_S;
}

/* Whether something may go there now. */
static bool
is_open(const struct health *health, int64_t now)
{
	return !health->held && !rests(health, now) &&
	    breaker_lets(&health->breaker, now);
}

static bool
write_healths(struct outbox *outbox, struct error *error)
{
	const struct health *health;
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		health = &outbox->healths[i];
		if (health->changed &&
		    !write_health(outbox->db,
			outbox->conf->destinations[i].name, health, error))
			return false;
	}
	return true;
}

/* Tell of a destination's trouble elsewhere; of trouble with that, nowhere. */
static bool
report(struct outbox *outbox, const char *kind, const char *name,
    const struct delivery *about, const char *words, int64_t now,
    struct error *error)
{
	bool recursive = about != NULL && about->alert_kind != NULL &&
	    strncmp(about->alert_kind, "delivery.", 9) == 0;
	struct alert alert = {0};
	bool ok;

	alert.kind = mem_copy(kind);
	alert.key = mem_copy(name);
	alert.avoid = mem_copy(recursive ? "*" : name);
	alert.message = mem_format("%s: %s", name, words);
	if (about != NULL)
		alert.organization_id = mem_copy(about->organization_id);
	ok = alerts_raise(
	    outbox->db, &alert, outbox->conf, now, NULL, NULL, error);
	alert_release(&alert);
	return ok;
}

static bool
end_report(struct outbox *outbox, const char *kind, const char *name,
    int64_t now, struct error *error)
{
	char *key = mem_format("%s:%s", kind, name);
	bool ok = alerts_resolve(outbox->db, key, 0, "automate-deliver",
	    outbox->conf, now, NULL, error);

	free(key);
	return ok;
}

static bool
step_breaker(struct outbox *outbox, const struct settlement *settlement,
    const char *name, int64_t now, struct error *error)
{
	const struct delivery *delivery = settlement->delivery;
	const bool fault = settlement->ruling.destination_fault;
	struct health *health;
	enum breaker_change change;

	if (!load_health(outbox, (int)delivery->destination, &health, error))
		return false;
	if (!fault && health->breaker.failures == 0)
		return true;
	change = breaker_step(&health->breaker, fault, now);
	health->changed = true;
	if (change == BREAKER_OPENED)
		return report(outbox, "delivery.breaker_open", name, delivery,
		    settlement->ruling.reason, now, error);
	if (change == BREAKER_CLOSED)
		return end_report(
		    outbox, "delivery.breaker_open", name, now, error);
	return true;
}

/* The next run, a minute later, is to know as well. */
static bool
note_rest(struct outbox *outbox, const struct settlement *settlement,
    struct error *error)
{
	const int64_t rest_until = settlement->ruling.rest_until;
	struct health *health;

	if (rest_until == 0)
		return true;
	if (!load_health(
		outbox, (int)settlement->delivery->destination, &health, error))
		return false;
	health->rest_until = rest_until;
	health->changed = true;
	return true;
}

static bool
write_attempt(struct outbox *outbox, const struct settlement *settlement,
    int64_t now, struct error *error)
{
	const struct delivery *delivery = settlement->delivery;

	return db_run(outbox->db, error,
	    "INSERT INTO attempts (delivery_id, number, at, status, took_ms, "
	    "ruling, answer) VALUES ($1, $2, $3, $4, $5, $6, $7) "
	    "ON CONFLICT (delivery_id, number) DO UPDATE SET "
	    "at = excluded.at, status = excluded.status, "
	    "took_ms = excluded.took_ms, ruling = excluded.ruling, "
	    "answer = excluded.answer",
	    "iiiiitt", delivery->id, delivery->number, now, settlement->status,
	    settlement->took_ms, settlement->ruling.reason, settlement->answer);
}

static const char *
state_after(enum retry_verdict verdict)
{
	switch (verdict) {
	case RETRY_DONE: return "done";
	case RETRY_DEAD: return "dead";
	default: return "queued";
	}
}

static bool
settle(struct outbox *outbox, const struct settlement *settlement, int64_t now,
    struct error *error)
{
	const struct retry_ruling *ruling = &settlement->ruling;
	const struct delivery *delivery = settlement->delivery;
	const char *name =
	    outbox->conf->destinations[delivery->destination].name;
	const char *state = state_after(ruling->verdict);
	bool ours;

	if (!db_run(outbox->db, error,
		"UPDATE deliveries SET state = $3, answer = $4, due_at = CASE "
		"WHEN $3 = 'queued' THEN $5 ELSE due_at END, settled_at = "
		"CASE WHEN $3 = 'queued' THEN NULL ELSE $6 END, lease_owner = "
		"NULL, lease_until = NULL WHERE id = $1 AND (state = "
		"'sending' AND lease_owner = $2 OR $3 = 'done')",
		"itttii", delivery->id, outbox->owner, state, ruling->reason,
		ruling->due_at, now))
		return false;
	ours = db_changes(outbox->db) > 0;
	if (!write_attempt(outbox, settlement, now, error) ||
	    !step_breaker(outbox, settlement, name, now, error) ||
	    !note_rest(outbox, settlement, error))
		return false;
	if (ruling->verdict == RETRY_DEAD)
		return !ours ||
		    report(outbox, "delivery.dead", name, delivery,
			ruling->reason, now, error);
	if (ruling->verdict != RETRY_GONE)
		return true;
	outbox->healths[delivery->destination].held = true;
	return outbox_hold(outbox, name, ruling->reason, now, error) &&
	    report(outbox, "delivery.held", name, delivery, ruling->reason, now,
		error);
}

static struct delivery *
read_delivery(struct db_rows *rows, int destination)
{
	struct delivery *delivery = mem_alloc(sizeof(*delivery));

	delivery->destination = (enum conf_destination_index)destination;
	delivery->id = db_int(rows, 0);
	delivery->key = mem_copy(db_text(rows, 1));
	delivery->step = mem_copy(db_text(rows, 2));
	delivery->body = mem_copy(db_text(rows, 3));
	delivery->alert_kind = mem_copy(db_text(rows, 4));
	delivery->organization_id = mem_copy(db_text(rows, 5));
	delivery->number = db_int(rows, 6);
	delivery->expires_at = db_int(rows, 7);
	delivery->due_at = db_int(rows, 8);
	return delivery;
}

struct claim {
	struct delivery **list;
	size_t count, room;
};

static void
add_claim(struct claim *claim, struct delivery *delivery)
{
	if (claim->count == claim->room) {
		claim->room = claim->room * 2 + 64;
		claim->list =
		    mem_resize(claim->list, claim->room, sizeof(*claim->list));
	}
	claim->list[claim->count++] = delivery;
}

static int
compare_due(const void *one, const void *other)
{
	const struct delivery *a = *(struct delivery *const *)one;
	const struct delivery *b = *(struct delivery *const *)other;

	if (a->due_at != b->due_at)
		return a->due_at < b->due_at ? -1 : 1;
	return a->id < b->id ? -1 : 1;
}

/* What that event owes, and what those do that it made happen; NULL: any. */
#define OF_EVENT                                                               \
	"($3 IS NULL OR event_id IN (SELECT id FROM events WHERE id = $3 OR "  \
	"caused_by = $3)) "

/* RETURNING gives them in any order. */
static bool
claim_lane(struct outbox *outbox, int destination, int64_t room,
    const char *event_id, int64_t now, struct claim *claim, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "UPDATE deliveries SET state = 'sending', attempts = attempts + 1, "
	    "lease_owner = $5, lease_until = $6 WHERE id IN (SELECT id FROM "
	    "deliveries WHERE state = 'queued' AND destination = $1 AND "
	    "due_at <= $2 AND " OF_EVENT
	    "ORDER BY due_at, id LIMIT $4) RETURNING id, idempotency_key, step, body, "
	    "alert_kind, organization_id, attempts, expires_at, due_at",
	    "tititi", outbox->conf->destinations[destination].name, now,
	    event_id, room, outbox->owner, now + OUTBOX_LEASE_S);
	const size_t first = claim->count;

	while (db_next(rows))
		add_claim(claim, read_delivery(rows, destination));
	if (claim->count > first)
		qsort(claim->list + first, claim->count - first,
		    sizeof(*claim->list), compare_due);
	return db_done(rows, error);
}

/*
 * Stripe knows a meter event by its identifier, and a request by its key, for a
 * day and not longer. One that it may have taken so long ago is not sent again,
 * which might bill it twice: it is given up, and automate-reconcile finds out
 * whether it is there.
 */
static bool
give_up_doubtful(struct outbox *outbox, int64_t now, struct error *error)
{
	const char *name = outbox->conf->destinations[CONF_STRIPE_METER].name;

	if (!db_run(outbox->db, error,
		"UPDATE deliveries SET state = 'dead', settled_at = $2, "
		"answer = 'it may have been taken a day ago; "
		"automate-reconcile compares' WHERE state = 'queued' AND "
		"destination = $1 AND due_at <= $2 AND attempts > 0 AND "
		"($3 >= (SELECT min(a.at) FROM attempts a WHERE "
		"a.delivery_id = deliveries.id AND (a.status = 0 OR a.status "
		">= 500) AND a.ruling NOT LIKE 'no connection%') OR "
		"($3 >= created_at AND attempts > (SELECT count(*) FROM "
		"attempts a WHERE a.delivery_id = deliveries.id)))",
		"tii", name, now, now - DOUBT_S))
		return false;
	return db_changes(outbox->db) == 0 ||
	    report(outbox, "delivery.dead", name, NULL,
		"Stripe may have taken usage a day ago; it is not sent "
		"again before automate-reconcile has compared",
		now, error);
}

static bool
is_probed(
    struct outbox *outbox, const char *name, bool *probed, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT 1 FROM deliveries WHERE state = 'sending' AND "
	    "destination = $1 LIMIT 1",
	    "t", name);

	*probed = db_next(rows);
	return db_done(rows, error);
}

static bool
claim_all(struct outbox *outbox, struct outbox_lane *lanes,
    const char *event_id, int64_t now, struct claim *claim, struct error *error)
{
	const struct conf_destination *destination;
	const struct breaker *breaker;
	struct health *health;
	int64_t room;
	bool probed;
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		destination = &outbox->conf->destinations[i];
		if (!load_health(outbox, i, &health, error))
			return false;
		breaker = &health->breaker;
		lanes[i].blocked = health->held || breaker->open_until != 0 ||
		    rests(health, now);
		room = (int64_t)lanes[i].room;
		if (!is_open(health, now) || !destination->configured ||
		    room == 0)
			continue;
		if (breaker->open_until != 0) {
			if (!is_probed(
				outbox, destination->name, &probed, error))
				return false;
			if (probed)
				continue;
			room = 1;
		}
		if (!claim_lane(outbox, i, room, event_id, now, claim, error))
			return false;
	}
	return true;
}

/* What alerts say is said of what they are now. */
static bool
word_alerts(struct outbox *outbox, const struct claim *claim, int64_t now,
    struct error *error)
{
	struct delivery *delivery;
	size_t i;

	for (i = 0; i < claim->count; i++) {
		delivery = claim->list[i];
		if (delivery->body[0] != '\0')
			continue;
		free(delivery->body);
		if (!alerts_body(outbox->db, delivery->id,
			&outbox->conf->destinations[delivery->destination],
			outbox->conf, now, &delivery->body, error) ||
		    !db_run(outbox->db, error,
			"UPDATE deliveries SET body = $2 WHERE id = $1", "it",
			delivery->id, delivery->body))
			return false;
	}
	return true;
}

/* Whether a transaction is worth its while. */
static bool
is_work(struct outbox *outbox, int64_t now, bool *work, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT 1 FROM deliveries WHERE state = 'sending' OR "
	    "(state = 'queued' AND due_at <= $1) LIMIT 1",
	    "i", now);

	*work = db_next(rows);
	return db_done(rows, error);
}

/* Where there is nothing to settle, what a dead sender held may be all. */
static bool
recover_now_and_then(
    struct outbox *outbox, bool idle, int64_t now, struct error *error)
{
	const int64_t now_ms = clock_monotonic_ms();

	if (!idle && now_ms < outbox->recover_at_ms)
		return true;
	outbox->recover_at_ms = now_ms + RECOVER_MS;
	return recover(outbox, now, error) &&
	    give_up_doubtful(outbox, now, error);
}

bool
outbox_step(struct outbox *outbox, struct settlement *settlements,
    size_t settlements_count, struct outbox_lane lanes[CONF_DESTINATIONS],
    const char *event_id, int64_t now, struct delivery ***claimed,
    size_t *claimed_count, struct error *error)
{
	struct claim claim = {NULL, 0, 0};
	bool ok, work = true;
	size_t i;

	*claimed = NULL;
	*claimed_count = 0;
	ok = settlements_count > 0 || is_work(outbox, now, &work, error);
	if (!ok || !work)
		return ok;
	memset(outbox->healths, 0, sizeof(outbox->healths));
	ok = db_begin(outbox->db, error);
	for (i = 0; ok && i < settlements_count; i++)
		ok = settle(outbox, &settlements[i], now, error);
	ok = ok && write_healths(outbox, error) &&
	    recover_now_and_then(outbox, settlements_count == 0, now, error) &&
	    claim_all(outbox, lanes, event_id, now, &claim, error) &&
	    word_alerts(outbox, &claim, now, error) &&
	    db_commit(outbox->db, error);
	for (i = 0; i < settlements_count; i++) {
		delivery_free(settlements[i].delivery);
		free(settlements[i].answer);
	}
	if (!ok) {
		db_rollback(outbox->db);
		while (claim.count > 0)
			delivery_free(claim.list[--claim.count]);
		free(claim.list);
		return false;
	}
	*claimed = claim.list;
	*claimed_count = claim.count;
	return true;
}

static bool
release(
    struct outbox *outbox, const struct delivery *delivery, struct error *error)
{
	return db_run(outbox->db, error,
	    "UPDATE deliveries SET state = 'queued', attempts = attempts - 1, "
	    "lease_owner = NULL, lease_until = NULL WHERE id = $1 AND state = "
	    "'sending' AND lease_owner = $2",
	    "it", delivery->id, outbox->owner);
}

bool
outbox_release(struct outbox *outbox, struct delivery *const *deliveries,
    size_t count, struct error *error)
{
	bool ok = count == 0 || db_begin(outbox->db, error);
	size_t i;

	for (i = 0; i < count; i++) {
		ok = ok && release(outbox, deliveries[i], error);
		delivery_free(deliveries[i]);
	}
	if (count == 0 || (ok && db_commit(outbox->db, error)))
		return true;
	db_rollback(outbox->db);
	return false;
}

#define ROW_COLUMNS                                                            \
	"d.id, d.idempotency_key, d.destination, d.step, CASE WHEN d.state = " \
	"'queued' AND h.held_at IS NOT NULL THEN 'held' ELSE d.state END, "    \
	"d.answer, d.body, d.organization_id, d.event_id, d.due_at, "          \
	"d.attempts, d.created_at, d.settled_at FROM deliveries d LEFT JOIN "  \
	"destinations h ON h.name = d.destination "

static void
show_row(struct db_rows *rows, const char *body, int64_t now,
    outbox_visit *visit, void *context)
{
	struct outbox_row row = {.id = db_int(rows, 0),
	    .key = db_text(rows, 1),
	    .destination = db_text(rows, 2),
	    .step = db_text(rows, 3),
	    .state = db_text(rows, 4),
	    .answer = db_text(rows, 5),
	    .body = body != NULL ? body : db_text(rows, 6),
	    .organization_id = db_text(rows, 7),
	    .event_id = db_text(rows, 8),
	    .due_at = db_int(rows, 9),
	    .attempts = db_int(rows, 10),
	    .created_at = db_int(rows, 11),
	    .settled_at = db_int(rows, 12)};

	row.due = row.due_at <= now;
	visit(context, &row);
}

bool
outbox_list(struct outbox *outbox, const char *state, const char *destination,
    const char *event_id, int64_t limit, int64_t now, outbox_visit *visit,
    void *context, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT " ROW_COLUMNS
	    "WHERE ($1 IS NULL OR d.state = $1 OR ($1 = 'held' AND "
	    "d.state = 'queued' AND h.held_at IS NOT NULL)) AND "
	    "($2 IS NULL OR d.destination = $2) AND " OF_EVENT
	    "ORDER BY d.id DESC LIMIT $4",
	    "ttti", state, destination, event_id, limit);

	while (db_next(rows))
		show_row(rows, NULL, now, visit, context);
	return db_done(rows, error);
}

bool
outbox_find(struct outbox *outbox, const char *id, int64_t now, bool *found,
    outbox_visit *visit, void *context, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT " ROW_COLUMNS
	    "WHERE CAST(d.id AS TEXT) = $1 OR d.idempotency_key = $1",
	    "t", id);
	const struct conf_destination *destination = NULL;
	char *body = NULL;
	bool ok = true;

	*found = db_next(rows);
	if (*found && db_text(rows, 6)[0] == '\0')
		destination = conf_destination(outbox->conf, db_text(rows, 2));
	if (destination != NULL)
		ok = alerts_body(outbox->db, db_int(rows, 0), destination,
		    outbox->conf, now, &body, error);
	if (*found && ok)
		show_row(rows, body, now, visit, context);
	free(body);
	return db_done(rows, ok ? error : NULL) && ok;
}

bool
outbox_attempts(struct outbox *outbox, int64_t id, outbox_attempt_visit *visit,
    void *context, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT number, at, status, took_ms, ruling, answer FROM attempts "
	    "WHERE delivery_id = $1 ORDER BY number",
	    "i", id);
	struct outbox_attempt attempt;

	while (db_next(rows)) {
		attempt.number = db_int(rows, 0);
		attempt.at = db_int(rows, 1);
		attempt.status = db_int(rows, 2);
		attempt.took_ms = db_int(rows, 3);
		attempt.ruling = db_text(rows, 4);
		attempt.answer = db_text(rows, 5);
		visit(context, &attempt);
	}
	return db_done(rows, error);
}

/* Who asks by hand for one waits for no rest of its destination. */
static bool
end_rest(struct outbox *outbox, const char *id, struct error *error)
{
	return db_run(outbox->db, error,
	    "UPDATE destinations SET rest_until = 0 WHERE name IN (SELECT "
	    "destination FROM deliveries WHERE CAST(id AS TEXT) = $1 OR "
	    "idempotency_key = $1)",
	    "t", id);
}

/* A dead or cancelled one gets its full time again. */
bool
outbox_retry(struct outbox *outbox, const char *id, int64_t now,
    int64_t *changed, struct error *error)
{
	bool ok = end_rest(outbox, id, error) &&
	    db_run(outbox->db, error,
		"UPDATE deliveries SET expires_at = CASE WHEN expires_at > $2 + "
		"86400 THEN expires_at ELSE $2 + 86400 END, state = 'queued', due_at = $2, first_due_at = $2, "
		"settled_at = NULL WHERE "
		"($1 IS NULL AND state = 'dead') OR (state IN ('dead', "
		"'cancelled', 'queued') AND (CAST(id AS TEXT) = $1 OR "
		"idempotency_key = $1))",
		"ti", id, now);

	*changed = db_changes(outbox->db);
	return ok;
}

bool
outbox_cancel(struct outbox *outbox, const char *id, int64_t now,
    int64_t *changed, struct error *error)
{
	bool ok = db_run(outbox->db, error,
	    "UPDATE deliveries SET state = 'cancelled', settled_at = $2 WHERE "
	    "state IN ('queued', 'dead') AND (CAST(id AS TEXT) = $1 OR "
	    "idempotency_key = $1)",
	    "ti", id, now);

	*changed = db_changes(outbox->db);
	return ok;
}

bool
outbox_hold(struct outbox *outbox, const char *destination, const char *why,
    int64_t now, struct error *error)
{
	return db_run(outbox->db, error,
	    "INSERT INTO destinations (name, held_at, held_why) VALUES ($1, "
	    "$2, $3) ON CONFLICT (name) DO UPDATE SET held_at = "
	    "excluded.held_at, held_why = excluded.held_why",
	    "tit", destination, now, why);
}

bool
outbox_unhold(struct outbox *outbox, const char *destination, int64_t now,
    struct error *error)
{
	if (!db_begin(outbox->db, error))
		return false;
	if (db_run(outbox->db, error,
		"DELETE FROM destinations WHERE name = $1", "t", destination) &&
	    end_report(outbox, "delivery.held", destination, now, error) &&
	    end_report(
		outbox, "delivery.breaker_open", destination, now, error))
		return db_commit(outbox->db, error);
	db_rollback(outbox->db);
	return false;
}

bool
outbox_purge(struct outbox *outbox, int64_t settled_before, int64_t *changed,
    struct error *error)
{
	bool ok = db_run(outbox->db, error,
	    "DELETE FROM deliveries WHERE state IN ('done', 'dead', "
	    "'cancelled') AND settled_at < $1",
	    "i", settled_before);

	*changed = db_changes(outbox->db);
	return ok;
}

bool
outbox_watch(
    struct outbox *outbox, int64_t now, bool *queued, struct error *error)
{
	return alerts_watch(outbox->db, outbox->conf, now, queued, error);
}

bool
outbox_due(struct outbox *outbox, const char *event_id, int64_t now,
    outbox_visit *visit, void *context, struct error *error)
{
	const struct conf_destination *destination;
	struct health *health;
	struct db_rows *rows;
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		destination = &outbox->conf->destinations[i];
		if (!load_health(outbox, i, &health, error))
			return false;
		if (!is_open(health, now) || !destination->configured)
			continue;
		rows = db_query(outbox->db,
		    "SELECT " ROW_COLUMNS
		    "WHERE d.state = 'queued' AND d.destination = $1 AND "
		    "d.due_at <= $2 AND " OF_EVENT
		    "ORDER BY d.due_at, d.id LIMIT $4",
		    "titi", destination->name, now, event_id,
		    health->breaker.open_until != 0 ? (int64_t)1 : INT64_MAX);
		while (db_next(rows))
			show_row(rows, NULL, now, visit, context);
		if (!db_done(rows, error))
			return false;
	}
	return true;
}

bool
outbox_unsent(
    struct outbox *outbox, int64_t due_by, int64_t *count, struct error *error)
{
	struct db_rows *rows = db_query(outbox->db,
	    "SELECT count(*) FROM deliveries WHERE state = 'queued' AND "
	    "(due_at <= $1 OR attempts > 0)",
	    "i", due_by);

	*count = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

bool
outbox_ran(struct outbox *outbox, int64_t started_at, int status, int64_t now,
    struct error *error)
{
	return run_note(outbox->db, "deliver", started_at, status, now, error);
}
