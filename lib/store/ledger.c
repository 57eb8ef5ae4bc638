#include "store/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "decide/stripe.h"
#include "store/account.h"

struct ledger {
	struct db *db;
	const struct conf *conf;
	const char
	    *root; /* the event being recorded, which makes others happen */
	bool matching; /* what was unmatched is being decided */
	bool skipped[CONF_DESTINATIONS];
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

bool
ledger_skipped(
    const struct ledger *ledger, enum conf_destination_index destination)
{
	return ledger->skipped[destination];
}

bool
ledger_due(struct ledger *ledger, int64_t by, bool *due, struct error *error)
{
	const struct conf_destination *destinations =
	    ledger->conf->destinations;
	struct db_rows *rows;
	int i;

	*due = false;
	for (i = 0; !*due && i < CONF_DESTINATIONS; i++) {
		if (!destinations[i].configured)
			continue;
		rows = db_query(ledger->db,
		    "SELECT 1 FROM deliveries WHERE state = 'queued' AND "
		    "destination = $1 AND due_at <= $2 LIMIT 1",
		    "ti", destinations[i].name, by);
		*due = db_next(rows);
		if (!db_done(rows, error))
			return false;
	}
	return true;
}

static void
note_skipped(struct ledger *ledger, const struct plan *plan)
{
	const struct conf_destination *all = ledger->conf->destinations;
	size_t i;

	for (i = 0; i < plan->skipped_count; i++)
		ledger->skipped[plan->skipped[i] - all] = true;
	if (plan->alerts_count > 0 && !all[CONF_SLACK_ALERTS].configured)
		ledger->skipped[CONF_SLACK_ALERTS] = true;
}

/* The first one's line, with the outcome and the secret that this one has. */
static char *
duplicate_line(const char *line, const struct event *event)
{
	json_t *result = NULL;
	char *text;

	if (!json_parse(&result, line, strlen(line), NULL))
		return mem_copy(line);
	json_put(result, "outcome", "duplicate");
	if (event->secret > 0)
		json_put_number(result, "secret", event->secret);
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
		*line = duplicate_line(db_text(rows, 0), event);
		if (strcmp(db_text(rows, 1), event->id) != 0)
			*twin_of = mem_copy(db_text(rows, 1));
	}
	return db_done(rows, error);
}

static bool
write_delivery(struct db *db, const struct event *event,
    const char *organization_id, const struct plan_delivery *delivery,
    struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO deliveries (idempotency_key, destination, step, "
	    "event_id, organization_id, body, state, due_at, first_due_at, "
	    "expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, "
	    "'queued', $7, $7, $8, $9)",
	    "ttttttiii", delivery->key, delivery->destination->name,
	    delivery->step, event->id, organization_id, delivery->body,
	    delivery->due_at,
	    delivery->due_at + delivery->destination->max_age_s,
	    event->received_at);
}

/* What waits for a customer who is told nothing more; not what we are told. */
static bool
cancel(struct db *db, const char *organization_id, const char *destination,
    int64_t now, int64_t *cancelled, struct error *error)
{
	bool ok = db_run(db, error,
	    "UPDATE deliveries SET state = 'cancelled', settled_at = $1 "
	    "WHERE organization_id = $2 AND destination = $3 AND "
	    "alert_kind IS NULL AND state = 'queued'",
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
	size_t i;

	if (!account_write(db, account, plan, error) ||
	    (plan->cancel_follow_ups &&
		!cancel(db, organization_id, "mail", event->received_at,
		    cancelled, error)) ||
	    (plan->cancel_reminders &&
		!cancel(db, organization_id, "billing", event->received_at,
		    cancelled, error)))
		return false;
	for (i = 0; i < plan->deliveries_count; i++)
		if (!write_delivery(db, event, organization_id,
			&plan->deliveries[i], error))
			return false;
	return true;
}

static bool
raise_alerts(struct ledger *ledger, const struct event *event,
    const struct plan *plan, struct error *error)
{
	int64_t id, count;
	size_t i;

	for (i = 0; i < plan->alerts_count; i++) {
		if (!alerts_raise(ledger->db, &plan->alerts[i], ledger->conf,
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
write_event(struct ledger *ledger, const struct event *event,
    const char *organization_id, const char *twin_of, const char *outcome,
    const char *line, const char *body, struct error *error)
{
	const char *root = ledger->root;

	return db_run(ledger->db, error,
	    "INSERT INTO events (id, source, kind, organization_id, "
	    "customer_id, lead_id, call_id, invoice_id, twin_key, twin_of, "
	    "occurred_at, received_at, outcome, result, body, caused_by) "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
	    "$14, $15, nullif($16, $1)) ON CONFLICT (id) DO UPDATE SET "
	    "organization_id = excluded.organization_id, "
	    "caused_by = excluded.caused_by, "
	    "outcome = excluded.outcome, result = excluded.result",
	    "ttttttttttiitttt", event->id, event->source, event->kind,
	    organization_id, event->customer_id, event->lead_id, event->call_id,
	    event->invoice_id, twin_of == NULL ? event->twin_key : NULL,
	    twin_of, event->occurred_at, event->received_at, outcome, line,
	    body != NULL ? body : event->body, root);
}

static bool
resolve_alerts(struct ledger *ledger, const struct event *event,
    const struct plan *plan, struct error *error)
{
	size_t i;

	for (i = 0; i < plan->resolved_count; i++)
		if (!alerts_resolve(ledger->db, plan->resolved[i], 0,
			event->kind, ledger->conf, event->received_at, NULL,
			error))
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
	}
	return ok;
}

struct unmatched {
	char **bodies;
	size_t count;
};

/* Its customer may have become known by the latest event that was decided. */
static bool
find_unmatched(struct db *db, const char *organization_id,
    struct unmatched *unmatched, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT body FROM events WHERE outcome = 'unmatched' AND "
	    "(customer_id = (SELECT stripe_customer_id FROM organizations "
	    "WHERE id = $1) OR organization_id = $1) ORDER BY occurred_at, id",
	    "t", organization_id);

	while (db_next(rows)) {
		unmatched->bodies = mem_resize(unmatched->bodies,
		    unmatched->count + 1, sizeof(*unmatched->bodies));
		unmatched->bodies[unmatched->count++] =
		    mem_copy(db_text(rows, 0));
	}
	return db_done(rows, error);
}

/* The alert that it waited is over. */
static bool
resolve_unmatched(
    struct ledger *ledger, const struct event *event, struct error *error)
{
	char *key = stripe_unmatched_key(event->customer_id != NULL
		? event->customer_id
		: event->organization_id);
	bool ok = alerts_resolve(ledger->db, key, 0, "its organization",
	    ledger->conf, event->received_at, NULL, error);

	free(key);
	return ok;
}

static bool
decide_unmatched(
    struct ledger *ledger, const char *body, int64_t now, struct error *error)
{
	struct event event = {0};
	char *line = NULL;
	bool ok = event_from_stripe(&event, body, strlen(body), now, error) &&
	    keep(ledger, &event, decide_stripe, &line, error) &&
	    resolve_unmatched(ledger, &event, error);

	event_release(&event);
	free(line);
	return ok;
}

/*
 * Decide what waited for this organization, each once and in the order it
 * happened: what one of them changes does not begin this anew. One that claims
 * the organization may tell its customer, for whom others wait.
 */
static bool
keep_unmatched(struct ledger *ledger, const char *organization_id, int64_t now,
    struct error *error)
{
	struct unmatched unmatched = {NULL, 0};
	size_t done = 0;
	bool ok = true;
	int pass;

	if (ledger->matching)
		return true;
	ledger->matching = true;
	for (pass = 0; ok && pass < 2; pass++) {
		ok = find_unmatched(
		    ledger->db, organization_id, &unmatched, error);
		for (; ok && done < unmatched.count; done++)
			ok = decide_unmatched(
			    ledger, unmatched.bodies[done], now, error);
	}
	ledger->matching = false;
	while (unmatched.count > 0)
		free(unmatched.bodies[--unmatched.count]);
	free(unmatched.bodies);
	return ok;
}

/* Whether it is known from now on only, or its customer is: some may wait. */
static bool
is_linked(
    const struct organization *organization, bool known, const char *customer)
{
	const char *now = organization->stripe_customer_id;

	return organization->known &&
	    (!known ||
		(now != NULL &&
		    (customer == NULL || strcmp(now, customer) != 0)));
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
	struct organization *organization = &account.organization;
	struct db *db = ledger->db;
	char *customer = NULL;
	struct plan plan;
	bool ok, known;

	plan_init(&plan);
	ok = account_load(db, event, &account, error);
	known = organization->known;
	customer = mem_copy(organization->stripe_customer_id);
	ok = ok && decide(event, &account, ledger->conf, &plan, error) &&
	    write_plan(db, event, &account, &plan, &cancelled, error) &&
	    raise_alerts(ledger, event, &plan, error) &&
	    resolve_alerts(ledger, event, &plan, error) &&
	    count_deliveries(db, event, &deliveries, error);
	if (ok) {
		note_skipped(ledger, &plan);
		*result =
		    result_line(event, &plan, &account, deliveries, cancelled);
		ok = write_event(ledger, event,
			 strcmp(plan.outcome, "unmatched") == 0
			     ? event->organization_id
			     : subject_of(event, &account),
			 NULL, plan.outcome, *result, plan.body, error) &&
		    keep_causes(ledger, &plan, error) &&
		    (!is_linked(organization, known, customer) ||
			keep_unmatched(ledger, organization->id,
			    event->received_at, error));
		if (!ok && error->kind == ERROR_DATA)
			error->kind = ERROR_BUG;
	}
	free(customer);
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
	ledger->root = event->id;
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return LEDGER_FAILED;
	ok = find_fact(ledger->db, event, result, &twin_of, error);
	if (ok && twin_of != NULL)
		ok = write_event(ledger, event, NULL, twin_of, "duplicate",
		    *result, NULL, error);
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
ledger_alert(struct ledger *ledger, struct alert *alert, int64_t now,
    struct error *error)
{
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return false;
	if (alerts_raise(
		ledger->db, alert, ledger->conf, now, NULL, NULL, error))
		return true;
	db_rollback(ledger->db);
	return false;
}

struct db *
ledger_db(const struct ledger *ledger)
{
	return ledger->db;
}

bool
ledger_resolve(struct ledger *ledger, const char *key, int64_t id,
    const char *by, int64_t now, struct alerts_end *end, struct error *error)
{
	if (!db_in_transaction(ledger->db) && !db_begin(ledger->db, error))
		return false;
	if (alerts_resolve(
		ledger->db, key, id, by, ledger->conf, now, end, error))
		return db_commit(ledger->db, error);
	db_rollback(ledger->db);
	return false;
}
