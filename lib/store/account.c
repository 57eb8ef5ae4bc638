#include "store/account.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static char *
copy(struct db_rows *rows, int column)
{
	return mem_copy(db_text(rows, column));
}

#define ORGANIZATION                                                           \
	"SELECT id, name, owner_name, owner_email, plan, former_plan, "        \
	"status, status_event_id, stripe_customer_id, "                        \
	"stripe_subscription_id, zone, subscription_status, status_at, "       \
	"status_rank, onboarded_at, frozen_at, deleted_at, created_at, "       \
	"subscription_at FROM organizations WHERE "

static bool
take_organization(struct db_rows *rows, struct organization *organization,
    struct error *error)
{
	if (db_next(rows)) {
		organization->known = true;
		organization->id = copy(rows, 0);
		organization->name = copy(rows, 1);
		organization->owner_name = copy(rows, 2);
		organization->owner_email = copy(rows, 3);
		organization->plan = copy(rows, 4);
		organization->former_plan = copy(rows, 5);
		organization->status = copy(rows, 6);
		organization->status_event_id = copy(rows, 7);
		organization->stripe_customer_id = copy(rows, 8);
		organization->stripe_subscription_id = copy(rows, 9);
		organization->zone = copy(rows, 10);
		organization->subscription_status = copy(rows, 11);
		organization->status_at = db_int(rows, 12);
		organization->status_rank = db_int(rows, 13);
		organization->onboarded_at = db_int(rows, 14);
		organization->frozen_at = db_int(rows, 15);
		organization->deleted_at = db_int(rows, 16);
		organization->created_at = db_int(rows, 17);
		organization->subscription_at = db_int(rows, 18);
	}
	return db_done(rows, error);
}

static bool
load_lead(struct db *db, const char *id, struct lead *lead, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, organization_id, name, phone, bad_phone, status, "
	    "status_at, created_at FROM leads WHERE id = $1",
	    "t", id);

	if (db_next(rows)) {
		lead->known = true;
		lead->id = copy(rows, 0);
		lead->organization_id = copy(rows, 1);
		lead->name = copy(rows, 2);
		lead->phone = copy(rows, 3);
		lead->bad_phone = copy(rows, 4);
		lead->status = copy(rows, 5);
		lead->status_at = db_int(rows, 6);
		lead->created_at = db_int(rows, 7);
	}
	return db_done(rows, error);
}

static bool
load_lead_calls(
    struct db *db, const char *id, struct lead *lead, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT count(*), count(CASE WHEN state IN ('claimed', 'placed') "
	    "THEN 1 END), (SELECT id FROM calls WHERE lead_id = $1 ORDER BY "
	    "created_at DESC, id DESC LIMIT 1) FROM calls WHERE lead_id = $1",
	    "t", id);

	if (db_next(rows)) {
		lead->calls = db_int(rows, 0);
		lead->open_calls = db_int(rows, 1);
		lead->latest_call_id = copy(rows, 2);
	}
	return db_done(rows, error);
}

/* The latest lead with that number; none where several organizations have it.
 */
static bool
find_lead(struct db *db, const char *phone, char **id, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, coalesce(organization_id, '') FROM leads WHERE phone "
	    "= $1 ORDER BY status_at DESC, id",
	    "t", phone);
	char *organization_id = NULL;

	while (db_next(rows))
		if (organization_id == NULL) {
			organization_id = copy(rows, 1);
			*id = copy(rows, 0);
		} else if (strcmp(organization_id, db_text(rows, 1)) != 0) {
			mem_replace(id, NULL);
		}
	free(organization_id);
	return db_done(rows, error);
}

/* The one of the call, of the event, or with the number. */
static bool
load_leads(struct db *db, const struct event *event, struct account *account,
    struct error *error)
{
	const char *named = account->call.lead_id != NULL
	    ? account->call.lead_id
	    : event->lead_id;
	char *id = mem_copy(named);
	bool ok = named != NULL || event->phone == NULL ||
	    find_lead(db, event->phone, &id, error);

	if (ok && id != NULL)
		ok = load_lead(db, id, &account->lead, error) &&
		    load_lead_calls(db, id, &account->lead, error);
	free(id);
	return ok;
}

/* By our own key, or by Retell's id. */
static bool
load_call(struct db *db, const struct event *event, struct call *call,
    struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, call_id, organization_id, lead_id, state, "
	    "disconnection_reason, transcript_event_id, connected, placed_at, "
	    "ended_at, deadline_at, duration_ms, created_at FROM calls WHERE "
	    "call_id = $1 OR id = $1 OR (id = $2 AND call_id IS NULL) ORDER "
	    "BY CASE WHEN call_id = $1 THEN 1 ELSE 2 END LIMIT 1",
	    "tt", event->call_id, event->call_key);

	if (db_next(rows)) {
		call->known = true;
		call->id = copy(rows, 0);
		call->call_id = copy(rows, 1);
		call->organization_id = copy(rows, 2);
		call->lead_id = copy(rows, 3);
		call->state = copy(rows, 4);
		call->disconnection_reason = copy(rows, 5);
		call->transcript_event_id = copy(rows, 6);
		call->connected = db_int(rows, 7) != 0;
		call->placed_at = db_int(rows, 8);
		call->ended_at = db_int(rows, 9);
		call->deadline_at = db_int(rows, 10);
		call->duration_ms = db_int(rows, 11);
		call->created_at = db_int(rows, 12);
	}
	return db_done(rows, error);
}

static bool
take_number(struct db_rows *rows, int64_t *number, struct error *error)
{
	*number = db_next(rows) ? db_int(rows, 0) : 0;
	return db_done(rows, error);
}

/* The call that the event names, and whether others broke off lately. */
static bool
load_calls(struct db *db, const struct event *event, struct account *account,
    struct error *error)
{
	if (event->call_id == NULL)
		return true;
	return load_call(db, event, &account->call, error) &&
	    take_number(
		db_query(db,
		    "SELECT count(*) FROM calls WHERE state = 'failed' AND "
		    "created_at > $1 AND call_id <> $2 AND "
		    "disconnection_reason LIKE 'error|_%' ESCAPE '|'",
		    "it", event->received_at - 3600, event->call_id),
		&account->recent_faults, error);
}

/* The one that the event names; else that of its call or its lead. */
static bool
load_organization(struct db *db, const struct event *event,
    struct account *account, struct error *error)
{
	struct organization *organization = &account->organization;
	const char *id = event->organization_id;

	if (event->is_claim && event->customer_id != NULL &&
	    !take_organization(
		db_query(db, ORGANIZATION "stripe_customer_id = $1", "t",
		    event->customer_id),
		organization, error))
		return false;
	if (id == NULL)
		id = account->call.organization_id;
	if (id == NULL)
		id = account->lead.organization_id;
	if (organization->known || id == NULL)
		return true;
	return take_organization(
	    db_query(db, ORGANIZATION "id = $1", "t", id), organization, error);
}

#define INVOICE                                                                \
	"SELECT id, organization_id, state, currency, url, action_required, "  \
	"state_at, failed_at, amount_minor, attempts, next_attempt_at, "       \
	"recovered_minor FROM invoices WHERE "

static bool
take_invoice(struct db_rows *rows, struct invoice *invoice, struct error *error)
{
	if (db_next(rows)) {
		invoice->known = true;
		invoice->id = copy(rows, 0);
		invoice->organization_id = copy(rows, 1);
		invoice->state = copy(rows, 2);
		invoice->currency = copy(rows, 3);
		invoice->url = copy(rows, 4);
		invoice->action_required = db_int(rows, 5) != 0;
		invoice->state_at = db_int(rows, 6);
		invoice->failed_at = db_int(rows, 7);
		invoice->amount_minor = db_int(rows, 8);
		invoice->attempts = db_int(rows, 9);
		invoice->next_attempt_at = db_int(rows, 10);
		invoice->recovered_minor = db_int(rows, 11);
	}
	return db_done(rows, error);
}

#define CYCLE                                                                  \
	"SELECT id, organization_id, invoice_id, step, closed_why, "           \
	"opened_at, step_at, closed_at FROM dunning WHERE "                    \
	"organization_id = $1 "

static bool
take_cycle(struct db_rows *rows, struct dunning *dunning, struct error *error)
{
	if (db_next(rows)) {
		dunning->known = true;
		dunning->id = copy(rows, 0);
		dunning->organization_id = copy(rows, 1);
		dunning->invoice_id = copy(rows, 2);
		dunning->step = copy(rows, 3);
		dunning->closed_why = copy(rows, 4);
		dunning->opened_at = db_int(rows, 5);
		dunning->step_at = db_int(rows, 6);
		dunning->closed_at = db_int(rows, 7);
	}
	return db_done(rows, error);
}

/* The open cycle, else the latest one; each is at hand in an index. */
static bool
load_cycle(struct db *db, const char *organization_id, struct dunning *dunning,
    struct error *error)
{
	return take_cycle(db_query(db, CYCLE "AND closed_at IS NULL", "t",
			      organization_id),
		   dunning, error) &&
	    (dunning->known ||
		take_cycle(db_query(db, CYCLE "ORDER BY opened_at DESC LIMIT 1",
			       "t", organization_id),
		    dunning, error));
}

/* What a downgrade depends on besides the cycle itself. */
static bool
load_conditions(struct db *db, struct account *account, struct error *error)
{
	int64_t disputed, frozen;

	if (!take_number(
		db_query(db,
		    "SELECT min(settled_at) FROM deliveries WHERE "
		    "destination = 'billing' AND state = 'done' AND event_id "
		    "IN ('dunning:' || $1 || ':reminder_1', 'dunning:' || $1 "
		    "|| ':reminder_3', 'dunning:' || $1 || ':final_notice')",
		    "t", account->dunning.id),
		&account->warned_at, error) ||
	    !take_number(
		db_query(db,
		    "SELECT count(*) FROM disputes WHERE closed_at IS NULL "
		    "AND (customer_id IS NULL OR customer_id = $1)",
		    "t", account->organization.stripe_customer_id),
		&disputed, error) ||
	    !take_number(db_query(db,
			     "SELECT count(*) FROM settings WHERE name = "
			     "'dunning.frozen_at'",
			     ""),
		&frozen, error))
		return false;
	account->disputed = disputed > 0;
	account->all_frozen = frozen > 0;
	return true;
}

static bool
load_dunning(struct db *db, struct account *account, struct error *error)
{
	struct dunning *dunning = &account->dunning;

	if (!load_cycle(db, account->organization.id, dunning, error))
		return false;
	if (!dunning->known)
		return true;
	return take_invoice(
		   db_query(db, INVOICE "id = $1", "t", dunning->invoice_id),
		   &account->owed, error) &&
	    (dunning->closed_at != 0 || load_conditions(db, account, error));
}

/* The invoice that the event names, and another that fails beside it. */
static bool
load_invoices(struct db *db, const struct event *event, struct account *account,
    struct error *error)
{
	if (event->invoice_id == NULL)
		return true;
	return take_invoice(
		   db_query(db, INVOICE "id = $1", "t", event->invoice_id),
		   &account->invoice, error) &&
	    take_invoice(
		db_query(db,
		    INVOICE "organization_id = $1 AND state = 'failed' AND "
			    "id <> $2 AND failed_at >= $3 ORDER BY failed_at, "
			    "id LIMIT 1",
		    "tti", account->organization.id, event->invoice_id,
		    account->dunning.opened_at),
		&account->unpaid, error);
}

bool
account_load(struct db *db, const struct event *event, struct account *account,
    struct error *error)
{
	const struct organization *organization = &account->organization;

	if (!load_calls(db, event, account, error) ||
	    !load_leads(db, event, account, error) ||
	    !load_organization(db, event, account, error))
		return false;
	if (!organization->known)
		return true;
	return load_dunning(db, account, error) &&
	    load_invoices(db, event, account, error);
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
write_organization(
    struct db *db, const struct organization *organization, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO organizations (id, name, owner_name, owner_email, "
	    "plan, former_plan, status, status_event_id, stripe_customer_id, "
	    "stripe_subscription_id, zone, subscription_status, status_at, "
	    "status_rank, onboarded_at, frozen_at, deleted_at, created_at, "
	    "subscription_at) "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
	    "$14, nullif($15, 0), nullif($16, 0), nullif($17, 0), $18, $19) "
	    "ON CONFLICT (id) DO UPDATE SET "
	    "name = excluded.name, owner_name = excluded.owner_name, "
	    "owner_email = excluded.owner_email, plan = excluded.plan, "
	    "former_plan = excluded.former_plan, status = excluded.status, "
	    "status_event_id = excluded.status_event_id, "
	    "stripe_customer_id = excluded.stripe_customer_id, "
	    "stripe_subscription_id = excluded.stripe_subscription_id, "
	    "zone = excluded.zone, "
	    "subscription_status = excluded.subscription_status, "
	    "subscription_at = excluded.subscription_at, "
	    "status_at = excluded.status_at, "
	    "status_rank = excluded.status_rank, "
	    "onboarded_at = excluded.onboarded_at, "
	    "frozen_at = excluded.frozen_at, "
	    "deleted_at = excluded.deleted_at",
	    "tttttttttttt"
	    "iiiiiii",
	    organization->id, organization->name, organization->owner_name,
	    organization->owner_email, organization->plan,
	    organization->former_plan, organization->status,
	    organization->status_event_id, organization->stripe_customer_id,
	    organization->stripe_subscription_id, organization->zone,
	    organization->subscription_status, organization->status_at,
	    organization->status_rank, organization->onboarded_at,
	    organization->frozen_at, organization->deleted_at,
	    organization->created_at, organization->subscription_at);
}

static bool
write_lead(struct db *db, const struct lead *lead, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO leads (id, organization_id, name, phone, bad_phone, "
	    "status, status_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, "
	    "$7, $8) ON CONFLICT (id) DO UPDATE SET "
	    "organization_id = excluded.organization_id, "
	    "name = excluded.name, phone = excluded.phone, "
	    "bad_phone = excluded.bad_phone, "
	    "status = excluded.status, status_at = excluded.status_at",
	    "ttttttii", lead->id, lead->organization_id, lead->name,
	    lead->phone, lead->bad_phone, lead->status, lead->status_at,
	    lead->created_at);
}

/* Calls of it that came before anybody knew whose it is. */
static bool
give_calls(struct db *db, const struct lead *lead, struct error *error)
{
	return lead->organization_id == NULL ||
	    db_run(db, error,
		"UPDATE calls SET organization_id = $2 WHERE lead_id = $1 AND "
		"organization_id IS NULL",
		"tt", lead->id, lead->organization_id);
}

/* An id that another call has already is none. */
static bool
write_call(struct db *db, const struct call *call, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO calls (id, call_id, organization_id, lead_id, state, "
	    "disconnection_reason, transcript_event_id, connected, placed_at, "
	    "ended_at, deadline_at, duration_ms, created_at) VALUES ($1, CASE "
	    "WHEN EXISTS (SELECT 1 FROM calls WHERE call_id = $2 AND id <> "
	    "$1) THEN NULL ELSE $2 END, $3, $4, $5, $6, $7, $8, nullif($9, 0), nullif($10, 0), "
	    "nullif($11, 0), $12, $13) ON CONFLICT (id) DO UPDATE SET "
	    "call_id = excluded.call_id, "
	    "organization_id = excluded.organization_id, "
	    "lead_id = excluded.lead_id, state = excluded.state, "
	    "disconnection_reason = excluded.disconnection_reason, "
	    "transcript_event_id = excluded.transcript_event_id, "
	    "connected = excluded.connected, placed_at = excluded.placed_at, "
	    "ended_at = excluded.ended_at, "
	    "deadline_at = excluded.deadline_at, "
	    "duration_ms = excluded.duration_ms",
	    "ttttttt"
	    "iiiiii",
	    call->id, call->call_id, call->organization_id, call->lead_id,
	    call->state, call->disconnection_reason, call->transcript_event_id,
	    (int64_t)call->connected, call->placed_at, call->ended_at,
	    call->deadline_at, call->duration_ms, call->created_at);
}

static bool
write_invoice(struct db *db, const struct invoice *invoice, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO invoices (id, organization_id, state, currency, url, "
	    "action_required, state_at, failed_at, amount_minor, attempts, "
	    "next_attempt_at, recovered_minor) VALUES ($1, $2, $3, $4, $5, "
	    "$6, $7, nullif($8, 0), $9, $10, nullif($11, 0), nullif($12, 0)) "
	    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, "
	    "currency = excluded.currency, url = excluded.url, "
	    "action_required = excluded.action_required, "
	    "state_at = excluded.state_at, failed_at = excluded.failed_at, "
	    "amount_minor = excluded.amount_minor, "
	    "attempts = excluded.attempts, "
	    "next_attempt_at = excluded.next_attempt_at, "
	    "recovered_minor = excluded.recovered_minor",
	    "ttttt"
	    "iiiiiii",
	    invoice->id, invoice->organization_id, invoice->state,
	    invoice->currency, invoice->url, (int64_t)invoice->action_required,
	    invoice->state_at, invoice->failed_at, invoice->amount_minor,
	    invoice->attempts, invoice->next_attempt_at,
	    invoice->recovered_minor);
}

static bool
write_dunning(struct db *db, const struct dunning *dunning, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO dunning (id, organization_id, invoice_id, step, "
	    "closed_why, opened_at, step_at, closed_at) VALUES ($1, $2, $3, "
	    "$4, $5, $6, $7, nullif($8, 0)) ON CONFLICT (id) DO UPDATE SET "
	    "step = excluded.step, step_at = excluded.step_at, "
	    "closed_at = excluded.closed_at, "
	    "closed_why = excluded.closed_why",
	    "tttttiii", dunning->id, dunning->organization_id,
	    dunning->invoice_id, dunning->step, dunning->closed_why,
	    dunning->opened_at, dunning->step_at, dunning->closed_at);
}

/* What is known of it only grows, in whatever order it is told. */
static bool
write_dispute(struct db *db, const struct dispute *dispute, struct error *error)
{
	return db_run(db, error,
	    "INSERT INTO disputes (id, charge_id, customer_id, opened_at, "
	    "closed_at) VALUES ($1, $2, $3, $4, nullif($5, 0)) "
	    "ON CONFLICT (id) DO UPDATE SET charge_id = "
	    "coalesce(disputes.charge_id, excluded.charge_id), customer_id = "
	    "coalesce(disputes.customer_id, excluded.customer_id), "
	    "closed_at = coalesce(disputes.closed_at, excluded.closed_at)",
	    "tttii", dispute->id, dispute->charge_id, dispute->customer_id,
	    dispute->opened_at, dispute->closed_at);
}

bool
account_write(struct db *db, const struct account *account,
    const struct plan *plan, struct error *error)
{
	if (plan->organization_changed &&
	    !(check_customer(db, &account->organization, error) &&
		write_organization(db, &account->organization, error)))
		return false;
	return (!plan->lead_changed ||
		   (write_lead(db, &account->lead, error) &&
		       give_calls(db, &account->lead, error))) &&
	    (!plan->call_changed || write_call(db, &account->call, error)) &&
	    (!plan->invoice_changed ||
		write_invoice(db, &account->invoice, error)) &&
	    (!plan->dunning_changed ||
		write_dunning(db, &account->dunning, error)) &&
	    (!plan->opened.known || write_dunning(db, &plan->opened, error)) &&
	    (!plan->dispute.known || write_dispute(db, &plan->dispute, error));
}
