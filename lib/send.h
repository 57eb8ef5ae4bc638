#ifndef SEND_H
#define SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "store/outbox.h"

/*
 * Send what the outbox owes: all destinations at once, each with its own rate
 * and concurrency, so that none starves another. Ends when nothing is due that
 * may be sent. SIGINT and SIGTERM end it sooner: what is under way is finished,
 * what was claimed and not sent goes back.
 */
struct send_count {
	int64_t done, postponed, dead;
};

/* What to tell on the way; each may be NULL. */
struct send_watch {
	void (*progress)(const struct send_count *); /* now and then */
	void (*attempt)(const struct conf_destination *,
	    const struct settlement *); /* after each answer */
};

bool send_due(struct outbox *, const struct conf *, const char *event_id,
    const struct send_watch *, struct send_count *, struct error *)
    __attribute__((warn_unused_result));

#endif
