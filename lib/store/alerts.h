#ifndef STORE_ALERTS_H
#define STORE_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "decide/alert.h"
#include "store/db.h"

/*
 * Alerts and the messages they make us owe; what is said, where and when is
 * decided by decide/alert.h. But for silences and the watch, all of it is done
 * inside the caller's transaction.
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
 * queue the news for the channels that heard of it; what waits to be sent is
 * withdrawn. One that flaps is not closed by its key but noted as over: it
 * closes when it stays so. end may be NULL.
 */
struct alerts_end {
	int64_t id; /* 0: none such is open, which is no error */
	bool flapping; /* noted, not closed */
};

bool alerts_resolve(struct db *, const char *key, int64_t id, const char *by,
    const struct conf *, int64_t now, struct alerts_end *, struct error *)
    __attribute__((warn_unused_result));

/*
 * What a message is to say, of all that it carries by now; to be freed. It has
 * no body until somebody claims it to be sent, and puts this there.
 */
bool alerts_body(struct db *, int64_t delivery_id,
    const struct conf_destination *, const struct conf *, int64_t now,
    char **body, struct error *) __attribute__((warn_unused_result));

/*
 * Keep alerts of that kind, or with that fingerprint, from being told until
 * then; those that wait to be sent are withdrawn. A transaction of its own.
 */
struct alerts_silence {
	int64_t id, kept; /* kept: how many were withdrawn */
	bool known; /* there is such a kind, or was such an alert */
};

bool alerts_silence(struct db *, const char *what, const char *because,
    const char *by, int64_t now, int64_t until, const struct conf *,
    struct alerts_silence *, struct error *)
    __attribute__((warn_unused_result));

/* End it now. *found tells if there is one, *ended if it was in force. */
bool alerts_unsilence(struct db *, int64_t id, const char *by, int64_t now,
    bool *found, bool *ended, struct error *)
    __attribute__((warn_unused_result));

/*
 * What the passing of time makes of alerts, from what is stored, in a
 * transaction of its own: end what flapped and is quiet, say elsewhere what was
 * not heard, tell of deliveries that are late, by destination, once as a
 * warning and once as critical, and once when none is any more, and tell what
 * was kept and is no longer. *queued tells if that made new messages.
 */
bool alerts_watch(struct db *, const struct conf *, int64_t now, bool *queued,
    struct error *) __attribute__((warn_unused_result));

#endif
