#ifndef STORE_ALERTS_H
#define STORE_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/alert.h"
#include "store/db.h"

/*
 * Alerts and the messages they make us owe. All of it is done inside the
 * caller's transaction.
 */

/*
 * Raise an alert; what it points to stays the caller's. *id and *count may be
 * NULL.
 */
bool alerts_raise(struct db *, struct alert *, const struct conf *, int64_t now,
    int64_t *id, int64_t *count, struct error *)
    __attribute__((warn_unused_result));

/*
 * Close the open alert with that fingerprint, or that id where key is NULL, and
 * queue the news for the destinations that heard of it. *resolved is its id, or
 * 0 where none is open, which is no error.
 */
bool alerts_resolve(struct db *, const char *key, int64_t id, const char *by,
    const struct conf *, int64_t now, int64_t *resolved, struct error *)
    __attribute__((warn_unused_result));

#endif
