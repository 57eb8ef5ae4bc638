#ifndef DECIDE_PLAN_H
#define DECIDE_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/alert.h"
#include "decide/event.h"

/*
 * The account: what we hold of those whom an event is about, before; and, when
 * a rule has changed it and said so in the plan, after. Each part is a row of
 * the table of its name; 0 and NULL are null.
 */
struct organization {
	bool known;
	char *id, *name, *owner_name, *owner_email, *plan, *former_plan;
	char *status, *status_event_id;
	char *stripe_customer_id, *stripe_subscription_id, *zone;
	char *subscription_status;
	int64_t subscription_at, status_at, status_rank;
	int64_t onboarded_at, frozen_at, deleted_at, created_at;
};

struct lead {
	bool known;
	char *id, *organization_id, *name, *phone, *bad_phone, *status;
	int64_t status_at, created_at;
	char *latest_call_id; /* of its calls: read, never written */
	int64_t calls, open_calls;
};

struct call {
	bool known;
	char *id, *call_id, *organization_id, *lead_id, *state;
	char *disconnection_reason, *transcript_event_id;
	bool connected;
	int64_t placed_at, ended_at, deadline_at, duration_ms, created_at;
};

struct invoice {
	bool known;
	char *id, *organization_id, *state, *currency, *url;
	bool action_required;
	int64_t state_at, failed_at, amount_minor, attempts, next_attempt_at;
	int64_t recovered_minor; /* owed until it was paid after all */
};

struct dunning {
	bool known;
	char *id, *organization_id, *invoice_id, *step, *closed_why;
	int64_t opened_at, step_at, closed_at;
};

struct dispute {
	bool known;
	char *id, *charge_id, *customer_id;
	int64_t opened_at, closed_at;
};

struct account {
	struct organization organization;
	struct lead lead;
	struct call call; /* the one the event names */
	struct invoice invoice; /* the one the event names */
	struct invoice
	    unpaid; /* the oldest other failed since the cycle began */
	struct dunning dunning; /* the open cycle, else the latest one */
	struct invoice owed; /* the invoice of that cycle */
	int64_t warned_at; /* first reminder of it delivered; 0: none */
	bool disputed; /* a charge of its customer, or of nobody we know */
	bool all_frozen; /* dunning rests for everybody */
	int64_t recent_faults; /* calls that broke off at Retell lately */
};

void account_release(struct account *);

void dunning_release(struct dunning *);
void dispute_release(struct dispute *);

/* The rows and deliveries that an event makes us owe. */
struct plan_delivery {
	const struct conf_destination *destination;
	const char *step;
	char *key, *body;
	int64_t due_at;
};

struct plan;
typedef bool decide_fn(const struct event *, struct account *,
    const struct conf *, struct plan *, struct error *);

/* An event that this one makes happen, unless it has happened before. */
struct plan_cause {
	struct event event;
	decide_fn *decide;
};

struct plan {
	const char *outcome; /* recorded, ignored, unmatched */
	bool organization_changed, lead_changed, call_changed, invoice_changed,
	    dunning_changed; /* the account's own part of that name */
	struct dunning opened; /* another cycle, if known */
	struct dispute dispute; /* written, if known */
	bool cancel_follow_ups; /* mail queued for the organization */
	bool cancel_reminders; /* billing mail queued for it */
	struct plan_delivery *deliveries;
	size_t deliveries_count;
	struct alert *alerts;
	size_t alerts_count;
	char **resolved; /* fingerprints of alerts that are over */
	size_t resolved_count;
	struct plan_cause *causes;
	size_t causes_count;
	const struct conf_destination *skipped[CONF_DESTINATIONS];
	size_t skipped_count; /* not configured: to be said, not an error */
	json_t *result; /* what the printed line says besides */
	char *body; /* kept in place of the event's own; or NULL */
};

void plan_init(struct plan *);
void plan_release(struct plan *);

/* Owe a delivery; key and body are taken. */
void
plan_deliver(struct plan *, const struct conf *, enum conf_destination_index,
    const char *step, char *key, char *body, int64_t due_at);

/* Raise an alert; what it points to is taken, and the struct emptied. */
void plan_alert(struct plan *, struct alert *);

/* The alert of that fingerprint, which is taken, is over. */
void plan_resolve(struct plan *, char *fingerprint);

/* Make an event happen too; it is taken, and the struct emptied. */
void plan_cause(struct plan *, struct event *, decide_fn *);

/* Rules: pure; they read the event, may change the account, fill the plan. */
bool decide_onboard(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_alert(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_stripe(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_digest(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_call(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_answer(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_retell(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);

#endif
