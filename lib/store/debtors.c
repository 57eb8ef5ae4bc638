#include "store/debtors.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/account.h"
#include "store/alerts.h"

static bool
load(struct db *db, const char *organization_id, struct account *account,
    struct error *error)
{
	struct event event = {0};
	bool ok;

	event.organization_id = mem_copy(organization_id);
	memset(account, 0, sizeof(*account));
	ok = account_load(db, &event, account, error);
	event_release(&event);
	return ok;
}

static bool
find_organizations(
    struct db *db, char ***ids, size_t *count, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT organization_id FROM dunning WHERE closed_at IS NULL "
	    "ORDER BY opened_at, id",
	    "");

	while (db_next(rows)) {
		*ids = mem_resize(*ids, *count + 1, sizeof(**ids));
		(*ids)[(*count)++] = mem_copy(db_text(rows, 0));
	}
	return db_done(rows, error);
}

bool
debtors_find(struct db *db, struct account **accounts, size_t *count,
    struct error *error)
{
	char **ids = NULL;
	size_t ids_count = 0, i;
	bool ok = find_organizations(db, &ids, &ids_count, error);

	*count = 0;
	*accounts = mem_alloc((ids_count + 1) * sizeof(**accounts));
	for (i = 0; i < ids_count; i++) {
		ok = ok && load(db, ids[i], &(*accounts)[(*count)++], error);
		free(ids[i]);
	}
	free(ids);
	return ok;
}

void
debtors_free(struct account *accounts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		account_release(&accounts[i]);
	free(accounts);
}

bool
debtors_reload(struct db *db, struct account *account, struct error *error)
{
	char *id = mem_copy(account->organization.id);
	bool ok;

	account_release(account);
	ok = load(db, id, account, error);
	free(id);
	return ok;
}

bool
debtors_find_adrift(struct db *db, debtors_visit_adrift *visit, void *context,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, name, status_at FROM organizations o WHERE "
	    "status = 'past_due' AND NOT EXISTS (SELECT 1 FROM dunning d WHERE "
	    "d.organization_id = o.id AND closed_at IS NULL) "
	    "ORDER BY status_at, id",
	    "");
	struct debtors_adrift adrift;

	while (db_next(rows)) {
		adrift.id = db_text(rows, 0);
		adrift.name = db_text(rows, 1);
		adrift.since = db_int(rows, 2);
		visit(context, &adrift);
	}
	return db_done(rows, error);
}

bool
debtors_add_up(struct db *db, int64_t since, debtors_visit_sum *visit,
    void *context, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT CASE step WHEN 'payment_failed' THEN 1 WHEN 'reminder_1' "
	    "THEN 2 WHEN 'reminder_3' THEN 3 ELSE 4 END, step, currency, "
	    "count(*), sum(amount_minor) FROM dunning d JOIN invoices i ON "
	    "i.id = d.invoice_id WHERE closed_at IS NULL GROUP BY step, "
	    "currency UNION ALL "
	    "SELECT 5, 'owed', currency, count(*), sum(amount_minor) FROM "
	    "dunning d JOIN invoices i ON i.id = d.invoice_id WHERE closed_at "
	    "IS NULL GROUP BY currency UNION ALL "
	    "SELECT 6, 'recovered', currency, count(DISTINCT organization_id), "
	    "sum(recovered_minor) FROM invoices WHERE recovered_minor IS NOT "
	    "NULL AND state_at >= $1 GROUP BY currency ORDER BY 1, 2, 3",
	    "i", since);
	struct debtors_sum sum;

	while (db_next(rows)) {
		sum.stage = db_text(rows, 1);
		sum.currency = db_text(rows, 2);
		sum.customers = db_int(rows, 3);
		sum.amount_minor = db_int(rows, 4);
		visit(context, &sum);
	}
	return db_done(rows, error);
}

bool
debtors_told(
    struct db *db, const char *event_id, char **state, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT state FROM deliveries WHERE event_id = $1 AND "
	    "destination = 'billing' AND alert_kind IS NULL",
	    "t", event_id);

	*state = db_next(rows) ? mem_copy(db_text(rows, 0)) : NULL;
	return db_done(rows, error);
}

bool
debtors_find_disputes(struct db *db, struct debtors_dispute **disputes,
    size_t *count, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, charge_id FROM disputes WHERE closed_at IS NULL AND "
	    "customer_id IS NULL ORDER BY opened_at, id",
	    "");

	*disputes = NULL;
	*count = 0;
	while (db_next(rows)) {
		*disputes =
		    mem_resize(*disputes, *count + 1, sizeof(**disputes));
		(*disputes)[*count].id = mem_copy(db_text(rows, 0));
		(*disputes)[*count].charge_id = mem_copy(db_text(rows, 1));
		(*disputes)[(*count)++].customer_id = NULL;
	}
	return db_done(rows, error);
}

void
debtors_free_disputes(struct debtors_dispute *disputes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(disputes[i].id);
		free(disputes[i].charge_id);
		free(disputes[i].customer_id);
	}
	free(disputes);
}

static bool
take_number(struct db_rows *rows, int64_t *number, struct error *error)
{
	*number = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

bool
debtors_count(struct db *db, int64_t now, struct debtors_numbers *numbers,
    struct error *error)
{
	return take_number(db_query(db,
			       "SELECT count(*) FROM organizations WHERE "
			       "status IN ('active', 'past_due')",
			       ""),
		   &numbers->active, error) &&
	    take_number(db_query(db,
			    "SELECT count(*) FROM dunning WHERE closed_why = "
			    "'downgraded' AND closed_at > $1",
			    "i", now - CLOCK_DAY_S),
		&numbers->downgraded, error) &&
	    take_number(db_query(db, "SELECT max(received_at) FROM events", ""),
		&numbers->newest_at, error);
}

bool
debtors_freeze_all(struct db *db, int64_t at, struct error *error)
{
	if (at == 0)
		return db_run(db, error,
		    "DELETE FROM settings WHERE name = 'dunning.frozen_at'",
		    "");
	return db_run(db, error,
	    "INSERT INTO settings (name, value) VALUES ('dunning.frozen_at', "
	    "CAST($1 AS TEXT)) ON CONFLICT (name) DO NOTHING",
	    "i", at);
}

bool
debtors_end_alerts(struct db *db, const char *kind, const struct conf *conf,
    int64_t now, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT fingerprint FROM system_alerts WHERE kind = $1 AND "
	    "resolved_at IS NULL AND last_seen_at < $2",
	    "ti", kind, now);
	char **keys = NULL;
	size_t count = 0, i;
	bool ok;

	while (db_next(rows)) {
		keys = mem_resize(keys, count + 1, sizeof(*keys));
		keys[count++] = mem_copy(db_text(rows, 0));
	}
	ok = db_done(rows, error) &&
	    (count == 0 || db_in_transaction(db) || db_begin(db, error));
	for (i = 0; i < count; i++) {
		ok = ok &&
		    alerts_resolve(db, keys[i], 0, "automate-dunning", conf,
			now, NULL, error);
		free(keys[i]);
	}
	free(keys);
	return ok;
}
