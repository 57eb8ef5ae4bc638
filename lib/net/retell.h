#ifndef NET_RETELL_H
#define NET_RETELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * Retell's API: the few requests whose answer we need at once. Shapes as in the
 * types of the vendor's package (npm retell-sdk 5.66.1).
 */
struct retell;

/* ERROR_CONF without an API key. */
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
	const json_t
	    *metadata; /* an object; ours has the key to look it up by */
	const json_t *variables; /* an object of strings, or NULL */
};

enum retell_answer {
	RETELL_PLACED, /* 201 with call_id, or found by its key */
	RETELL_NOT_PLACED, /* it surely was not, and a repeat is safe: no */
	/* connection, 429 */
	RETELL_REFUSED, /* any other no: 4xx, 201 with call_status error */
	RETELL_UNKNOWN /* no or half an answer, 5xx, 201 without call_id: */
	/* it may have been placed; look before dialling again */
};

struct retell_reply {
	enum retell_answer answer;
	int status; /* HTTP's; 0: none came */
	int64_t retry_after_s; /* -1: not said */
	char *call_id; /* of RETELL_PLACED */
	char
	    *words; /* the provider's own, one line, for people; or why there */
	/* are none */
	json_t *body; /* of RETELL_PLACED, the call object; else NULL */
};

void retell_reply_release(struct retell_reply *);
void retell_place(
    struct retell *, const struct retell_call *, struct retell_reply *);

/*
 * The call that carries metadata key = value: POST /v3/list-calls with a
 * metadata filter. *call is NULL where Retell knows of none. For what has an
 * outcome that is unknown. ERROR_RETRY, ERROR_CONF (401), ERROR_PROVIDER.
 */
bool retell_find(struct retell *, const char *key, const char *value,
    json_t **call, struct error *) __attribute__((warn_unused_result));

/* GET /v2/get-call; *call is NULL where it is not known (404, 422). */
bool retell_get(struct retell *, const char *call_id, json_t **call,
    struct error *) __attribute__((warn_unused_result));

/* GET /get-concurrency: how many calls may still be begun now. */
bool retell_room(struct retell *, int64_t *room, struct error *)
    __attribute__((warn_unused_result));

/* How many calls began in [from, until), UTC seconds: list-calls' total. */
bool retell_count(struct retell *, int64_t from, int64_t until, bool connected,
    int64_t *count, struct error *) __attribute__((warn_unused_result));

#endif
