#ifndef NIGHT_H
#define NIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/usage.h"
#include "store/db.h"
#include "store/usage.h"

/*
 * Usage, once through: count days, have Stripe's meter brought to that, compare
 * what it sums up, and tell what is wrong. Each page of organizations is a
 * transaction of its own, and no request is made inside one, so that a run may
 * end anywhere and the next one goes on. What is said, but for alerts and
 * trouble, is the caller's, row by row. Rules: decide/usage.h.
 */

struct night_scope {
	struct usage_span span; /* which days */
	const char *only; /* this organization; or NULL */
	bool running; /* only report, for the days go on */
	bool again; /* compare also what was settled */
};

/* What it came to; true to the end of what was done. */
struct night_count {
	int64_t days, calls, organizations;
	int64_t events, reported; /* recorded in this run, and their calls */
	int64_t pending, dead; /* reports not yet delivered, and given up */
	int64_t compared, confirmed, drifts;
	int64_t unreadable; /* days of organizations with no sum */
	int64_t unattributed, no_customer, inactive; /* calls of nobody */
	int64_t counting_ms;
	bool whole; /* nothing was left out */
};

/* What to tell on the way; either may be NULL. */
struct night_watch {
	/* After it is kept: reported, or (compared) settled or drifting. */
	void (*row)(const struct usage_row *, bool compared);
	void (*progress)(int64_t compared, int64_t all);
};

/*
 * ERROR_NO where all was done and drifts, or reports given up, are there;
 * ERROR_RETRY where Stripe or Retell could not be asked, with all the rest
 * done; ERROR_CONF, with nothing reported, where the meter would not do.
 */
bool night_pass(struct db *, const struct conf *, const struct night_scope *,
    const struct night_watch *, int64_t now, struct night_count *,
    struct error *) __attribute__((warn_unused_result));

/*
 * Send what the drift of that number lacks; 0: what each lacks that this mends,
 * where what does not do now is said and does not keep the others. The sum is
 * read again first. ERROR_DATA for one that is over or not mended by that,
 * ERROR_RETRY for one that was sent too lately to be seen.
 */
bool night_mend(struct db *, const struct conf *, int64_t drift_id,
    const struct night_watch *, int64_t now, struct night_count *,
    struct error *) __attribute__((warn_unused_result));

/*
 * Accept the drift of that number as it is; 0: each that sending does not mend
 * and that does not end by itself. The sum is read again first, and ERROR_DATA
 * is said where the numbers are others than those that were told.
 */
bool night_accept(struct db *, const struct conf *, int64_t drift_id,
    const char *who, const struct night_watch *, int64_t now,
    struct night_count *, struct error *) __attribute__((warn_unused_result));

#endif
