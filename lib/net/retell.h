#ifndef NET_RETELL_H
#define NET_RETELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * Retell's API: the few requests whose answer we need at once, one after the
 * other, each sent once and given retell.timeout. Shapes as in the types of the
 * vendor's package (npm retell-sdk 5.66.1).
 */
#define RETELL_BODY_MAX                                                        \
	(16 * 1024 * 1024) /* an hour's call with transcripts                  \
			    */

struct retell;

/* The configuration must outlive it. ERROR_CONF without an API key. */
bool retell_open(struct retell **, const struct conf *, struct error *)
    __attribute__((warn_unused_result));
void retell_close(struct retell *); /* harmless on NULL */

/*
 * Place a call: POST /v2/create-phone-call, one request, never repeated here.
 * What matters is whether Retell can have taken it.
 */
struct retell_call {
	const char *from_number, *to_number; /* E.164 */
	const char *agent_id; /* NULL: the one bound to the number */
	/* Objects or NULL. Ours has the key to look the call up by. */
	const json_t *metadata;
	const json_t *variables; /* of strings */
};

enum retell_answer {
	/* 2xx with a call_id: accepted, not yet answered. */
	RETELL_PLACED,
	/* It surely was not, and a repeat is safe: no connection, 429. */
	RETELL_NOT_PLACED,
	/* Any other no: 4xx, call_status error, or we cannot send it. */
	RETELL_REFUSED,
	/*
	 * No or half an answer, 3xx, 5xx, 2xx without a call_id: it may have
	 * been placed. Look before dialling again.
	 */
	RETELL_UNKNOWN
};

struct retell_reply {
	enum retell_answer answer;
	int status; /* HTTP's; 0: none came */
	int64_t retry_after_s; /* -1: not said */
	/* Of PLACED, and of REFUSED by call_status; else NULL. */
	char *call_id;
	json_t *body; /* the call object */
	/*
	 * Not of PLACED: the provider's own words, for people (net/words.h),
	 * or why there are none. Of call_status error, the reason it has.
	 */
	char *words;
};

/* Into a reply that is zeroed or released. */
void retell_place(
    struct retell *, const struct retell_call *, struct retell_reply *);
void retell_reply_release(struct retell_reply *);

/*
 * What follows reads. Errors: ERROR_RETRY for no or half an answer, 408, 429,
 * 5xx, and a 2xx that is not what was asked for, which is never taken for
 * nothing or zero; ERROR_CONF for 401 and 403; ERROR_PROVIDER for any other
 * status. The text has Retell's own words and no secret.
 */

/*
 * The call that carries metadata key = value: POST /v3/list-calls with a
 * metadata filter. *call, to be json_decref()ed, is NULL where Retell knows of
 * none (yet: a call is not promised to be in the list the moment it is placed).
 * For what has an outcome that is unknown.
 */
bool retell_find(struct retell *, const char *key, const char *value,
    json_t **call, struct error *) __attribute__((warn_unused_result));

/*
 * GET /v2/get-call; *call, to be json_decref()ed, is NULL where Retell says
 * that it does not know it (404, 422).
 */
bool retell_get(struct retell *, const char *call_id, json_t **call,
    struct error *) __attribute__((warn_unused_result));

/*
 * GET /get-concurrency: how many calls may still be begun now, that is the
 * limit, less what is kept for inbound calls, less those under way; not less
 * than 0. What burst mode would allow at a surcharge is not counted.
 */
bool retell_room(struct retell *, int64_t *room, struct error *)
    __attribute__((warn_unused_result));

/*
 * How many calls began in [from, until), UTC seconds: list-calls' total;
 * connected: only those that Retell calls ongoing or ended, not those that
 * were not_connected or came to an error.
 */
bool retell_count(struct retell *, int64_t from, int64_t until, bool connected,
    int64_t *count, struct error *) __attribute__((warn_unused_result));

#endif
