#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/event.h"
#include "store/calls.h"

/*
 * Placing calls: claim the lead, commit, ask Retell for the call, commit what
 * it answered. Between the two commits a crash leaves a claim, of which nobody
 * knows whether it became a call; place_settle() finds out. No lead is dialled
 * for one claim twice.
 *
 * Each line that a command prints of it is printed here.
 */
struct place;

bool place_open(struct place **, const struct conf *, struct error *)
    __attribute__((warn_unused_result));
void place_close(struct place *); /* harmless on NULL */
struct db *place_db(const struct place *);

/*
 * Decide an order (event_from_lead) and, if the lead may be called, call. An
 * obstacle is no error. *critical, which may be NULL, tells whether the call
 * failed as every other one would. Errors: ERROR_PROVIDER, Retell said no;
 * ERROR_RETRY, it could not be asked, or has not said; ERROR_DATA, the order
 * is refused; ERROR_CONF.
 */
bool place_order(struct place *, const struct event *, bool *critical,
    struct error *) __attribute__((warn_unused_result));

/*
 * Ask Retell what became of a call that should be over, and record that. On an
 * error of asking, which is as retell.h has it, that is recorded too.
 */
bool place_settle(struct place *, const struct calls_overdue_row *,
    struct error *) __attribute__((warn_unused_result));

/* How many more calls Retell would take just now. */
bool place_room(struct place *, int64_t *room, struct error *)
    __attribute__((warn_unused_result));

/* Have sent what was recorded since place_open(). */
void place_deliver(const struct place *);

#endif
