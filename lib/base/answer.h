#ifndef BASE_ANSWER_H
#define BASE_ANSWER_H

#include <stdint.h>

#include "base/buf.h"

/*
 * What came back for one HTTP request, as lib/net/http fills it and
 * lib/decide/retry reads it. What matters of a failure is whether the other
 * side can have acted: after ANSWER_REFUSED it cannot, after the others it may.
 */
#define ANSWER_BODY_MAX 65536
#define ANSWER_ID_MAX 64

enum answer_failure {
	ANSWER_COMPLETE, /* status and body are the receiver's */
	ANSWER_REFUSED, /* no connection, no name, no TLS: nothing was sent */
	ANSWER_TIMEOUT, /* sent, and no whole answer in time */
	ANSWER_BROKEN, /* closed early, or not HTTP */
	ANSWER_UNSENDABLE /* our URL or configuration; nothing was sent */
};

/* Whether the other side wants the request again: Stripe-Should-Retry. */
enum answer_again { ANSWER_UNSAID, ANSWER_AGAIN, ANSWER_NEVER };

struct answer {
	enum answer_failure failure;
	int status; /* 0: none came */
	int64_t retry_after_s; /* of Retry-After, seconds or date; -1: none */
	enum answer_again again;
	char request_id[ANSWER_ID_MAX]; /* of Request-Id, a word; or "" */
	int64_t took_ms;
	char reason[200]; /* of a failure, in words, without the URL */
	struct buf
	    body; /* the first ANSWER_BODY_MAX bytes; released by owner */
};

#endif
