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
 * a rule has changed it and said so in the plan, after.
 */
struct organization {
	bool known;
	char *id, *name, *owner_name, *owner_email, *plan, *former_plan;
	char *status, *status_event_id;
	char *stripe_customer_id, *stripe_subscription_id, *zone;
	int64_t status_at, onboarded_at, frozen_at, deleted_at, created_at;
};

struct lead {
	bool known;
	char *id, *organization_id, *name, *phone, *status;
	int64_t status_at, created_at;
};

struct account {
	struct organization organization;
	struct lead lead;
};

void account_release(struct account *);

/* The rows and deliveries that an event makes us owe. */
struct plan_delivery {
	const struct conf_destination *destination;
	const char *step;
	char *key, *body;
	int64_t due_at;
};

struct plan {
	const char *outcome; /* recorded, ignored, unmatched */
	bool organization_changed, lead_changed;
	bool cancel_follow_ups; /* what is queued for the organization */
	struct plan_delivery *deliveries;
	size_t deliveries_count;
	struct alert *alerts;
	size_t alerts_count;
	const struct conf_destination *skipped[CONF_DESTINATIONS];
	size_t skipped_count; /* not configured: to be said, not an error */
	json_t *result; /* what the printed line says besides */
};

void plan_init(struct plan *);
void plan_release(struct plan *);

/* Owe a delivery; key and body are taken. */
void
plan_deliver(struct plan *, const struct conf *, enum conf_destination_index,
    const char *step, char *key, char *body, int64_t due_at);

/* Raise an alert; what it points to is taken, and the struct emptied. */
void plan_alert(struct plan *, struct alert *);

/* A rule: pure; reads the event, may change the account, fills the plan. */
typedef bool decide_fn(const struct event *, struct account *,
    const struct conf *, struct plan *, struct error *);

bool decide_onboard(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);
bool decide_alert(const struct event *, struct account *, const struct conf *,
    struct plan *, struct error *);

#endif
