#ifndef DUN_H
#define DUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "store/ledger.h"

/*
 * One run of dunning: the reminders that are due; then, of those whose time is
 * up, what Stripe says; then the downgrades, unless they are too many. What it
 * records it prints, a line each, once that is kept. Rules: decide/dunning.h.
 *
 * Each step is a transaction of its own, and no request is made inside one. In
 * a rehearsal all of a phase is one, so that it sees what it would have done.
 */
struct dun_count {
	int64_t reminders, downgraded, recovered;
	int64_t waiting; /* their time is up, but something keeps them */
};

/*
 * force: also if the clock is behind, and however many the downgrades are. The
 * error is the worst of what went wrong; the rest is done all the same.
 */
bool dun(struct ledger *, const struct conf *, int64_t run_id, int64_t now,
    bool force, struct dun_count *, struct error *)
    __attribute__((warn_unused_result));

#endif
