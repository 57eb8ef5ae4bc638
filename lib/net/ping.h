#ifndef NET_PING_H
#define NET_PING_H

#include <stdbool.h>

/*
 * A watcher outside that misses us when we do not come (healthchecks.io and its
 * kin): told that a run began, and then that it went well or that it failed, at
 * the address itself, or at /start and /fail below it.
 *
 * Tried up to five times within ten seconds in all, each time after no answer,
 * 408, 429 and 5xx. Nothing depends on it: what it says is for a note, and
 * never for an exit status.
 */
enum ping { PING_START, PING_WELL, PING_FAILED };

/* Whether it was heard; true also where url is NULL. Holds a secret: url. */
bool ping(const char *url, enum ping);

#endif
