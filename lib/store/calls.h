#ifndef STORE_CALLS_H
#define STORE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/plan.h"
#include "store/db.h"

/*
 * Leads and calls as cron asks for them: who waits, what should be over.
 */

/*
 * The leads that are pending, oldest first, each with as much of it and of its
 * organization as call_obstacle() reads, until the visitor says false. What it
 * sees is borrowed until it returns.
 */
typedef bool
calls_visit(void *context, const struct lead *, const struct organization *);
bool calls_waiting(struct db *, calls_visit *, void *context, struct error *)
    __attribute__((warn_unused_result));

/*
 * Whether of the calls begun since then one failed as the next would, or has an
 * outcome that nobody knows.
 */
bool calls_troubled(struct db *, int64_t since, bool *troubled, struct error *)
    __attribute__((warn_unused_result));

/* Calls without an end whose deadline has passed, oldest first, at most limit.
 */
struct calls_overdue {
	struct calls_overdue_row {
		char *id, *call_id, *lead_id, *organization_id;
		bool claimed; /* nothing is known of the request */
		int64_t deadline_at;
	} * rows;
	size_t count;
};

bool calls_overdue(struct db *, int64_t now, int64_t limit,
    struct calls_overdue *, struct error *) __attribute__((warn_unused_result));
void calls_overdue_release(struct calls_overdue *);

/* Ask for one that still has no end later again. */
bool calls_postpone(struct db *, const char *id, int64_t until, struct error *)
    __attribute__((warn_unused_result));

#endif
