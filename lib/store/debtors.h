#ifndef STORE_DEBTORS_H
#define STORE_DEBTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/plan.h"
#include "store/db.h"

/*
 * Those in dunning, and what a run of it must know besides. What changes them
 * are events, recorded by store/ledger.
 */

/*
 * The accounts with an open cycle, as the rules see them, longest first; to be
 * given to debtors_free().
 */
bool debtors_find(struct db *, struct account **, size_t *count, struct error *)
    __attribute__((warn_unused_result));
void debtors_free(struct account *, size_t count);

/* Load one anew: what has been recorded since is in it. */
bool debtors_reload(struct db *, struct account *, struct error *)
    __attribute__((warn_unused_result));

/* Organizations that are past due, and no cycle is open. */
struct debtors_adrift {
	const char *id, *name; /* borrowed until the visitor returns */
	int64_t since; /* when they became so */
};
typedef void debtors_visit_adrift(void *context, const struct debtors_adrift *);
bool debtors_find_adrift(struct db *, debtors_visit_adrift *, void *context,
    struct error *) __attribute__((warn_unused_result));

/*
 * What customers owe at each stage, at all, and what has come in after all
 * since a moment: of each, one for a currency, in this order.
 */
struct debtors_sum {
	const char *stage; /* the latest step of a cycle; owed; recovered */
	const char *currency; /* both borrowed until the visitor returns */
	int64_t customers, amount_minor;
};
typedef void debtors_visit_sum(void *context, const struct debtors_sum *);
bool debtors_add_up(struct db *, int64_t since, debtors_visit_sum *,
    void *context, struct error *) __attribute__((warn_unused_result));

/* What became of the message of that event: a delivery's state, or NULL. */
bool debtors_told(struct db *, const char *event_id, char **state,
    struct error *) __attribute__((warn_unused_result));

/* Open disputes of which the customer is not known. */
struct debtors_dispute {
	char *id, *charge_id, *customer_id; /* charge_id may be NULL */
};
bool debtors_find_disputes(struct db *, struct debtors_dispute **,
    size_t *count, struct error *) __attribute__((warn_unused_result));
void debtors_free_disputes(struct debtors_dispute *, size_t count);

/* Numbers by which a run decides whether it may act at all. */
struct debtors_numbers {
	int64_t active; /* organizations, those past due included */
	int64_t downgraded; /* on the day before now */
	int64_t newest_at; /* when the newest event came in */
};
bool debtors_count(struct db *, int64_t now, struct debtors_numbers *,
    struct error *) __attribute__((warn_unused_result));

/* Let dunning rest for everybody; 0: no more. Inside a transaction. */
bool debtors_freeze_all(struct db *, int64_t at, struct error *)
    __attribute__((warn_unused_result));

/*
 * End the open alerts of a kind that were not raised at that moment: what they
 * told of is so no more. In the transaction under way, or begins one.
 */
bool debtors_end_alerts(struct db *, const char *kind, const struct conf *,
    int64_t now, struct error *) __attribute__((warn_unused_result));

#endif
