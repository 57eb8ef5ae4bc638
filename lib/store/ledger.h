#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/plan.h"
#include "store/alerts.h"
#include "store/db.h"

/*
 * The one transaction: an event and everything it makes us owe, at most once.
 */
struct ledger;

bool ledger_open(struct ledger **, const struct conf *, enum db_mode,
    struct error *) __attribute__((warn_unused_result));
void ledger_close(struct ledger *); /* what was not flushed never happened */

enum ledger_answer { LEDGER_RECORDED, LEDGER_DUPLICATE, LEDGER_FAILED };

/*
 * Record event, once: look it up by its id, load its account, let decide()
 * fill a plan, write event and plan. *result, to be freed, is the line to
 * print; that of a duplicate is the first one's with its outcome changed. An
 * event of another id that tells the same fact is kept, as a duplicate.
 *
 * In the same transaction come the events that this one makes happen, and, as
 * soon as their customer is known, those that were unmatched; each says by
 * which it was caused.
 *
 * Nothing of it is to be acknowledged before ledger_flush() was true: many
 * events may share one transaction. On LEDGER_FAILED with an error of kind
 * ERROR_DATA the event alone is refused and the group stands; with any other
 * the whole group is gone, and repeating it is safe.
 */
enum ledger_answer
ledger_record(struct ledger *, const struct event *, decide_fn *decide,
    char **result, struct error *) __attribute__((warn_unused_result));
bool ledger_flush(struct ledger *, struct error *)
    __attribute__((warn_unused_result));

/* Raise an alert that no event raises, kept with the group. */
bool ledger_alert(struct ledger *, struct alert *, int64_t now, struct error *)
    __attribute__((warn_unused_result));

/* Its connection, for reading what is there by now. */
struct db *ledger_db(const struct ledger *);

/* Whether something would have gone there, were it configured. */
bool ledger_skipped(const struct ledger *, enum conf_destination_index);

/* Whether there is a delivery to send by then. */
bool ledger_due(struct ledger *, int64_t by, bool *due, struct error *)
    __attribute__((warn_unused_result));

/* alerts_resolve() as a transaction of its own. */
bool ledger_resolve(struct ledger *, const char *key, int64_t id,
    const char *by, int64_t now, struct alerts_end *, struct error *)
    __attribute__((warn_unused_result));

#endif
