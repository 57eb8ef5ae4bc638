#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/answer.h"
#include "base/error.h"

/*
 * The only HTTP: many requests at once, each bounded in time and size, over
 * kept-alive connections (HTTP/2 where a TLS server offers it). What becomes of
 * a request, whatever it is, is its answer (base/answer.h).
 *
 * Promises:
 *  - A request is sent once. Where a kept-alive connection ends without an
 *    answer it is not sent again: whether to is for those to decide who know
 *    what it does.
 *  - ANSWER_REFUSED says that the other side got nothing of it: no name, no
 *    connection within HTTP_CONNECT_MS, no TLS.
 *  - https, verified, TLS 1.2 or later; plain http to loopback only (127/8, ::1
 *    and localhost). No redirect is followed, no proxy, .netrc, cookie or
 *    compression used, no setting taken from the environment.
 *  - Of an answer's body ANSWER_BODY_MAX bytes are kept, HTTP_READ_MAX read: a
 *    longer one is cut off and complete. Who needs all of it sets whole_max:
 *    then a longer one is ANSWER_BROKEN. So are headers beyond
 *    HTTP_HEADERS_MAX bytes.
 *  - A reason holds nothing of the URL, the headers or the body.
 */
#define HTTP_CONNECT_MS 5000
#define HTTP_READ_MAX (1024 * 1024)
#define HTTP_HEADERS_MAX (128 * 1024)

struct http_request {
	const char *url;
	const char *method; /* NULL: POST */
	const char *const *headers; /* "Name: value" up to a NULL; or NULL */
	const char *body; /* body_size bytes; not for GET. Without a header */
	/* saying what it is, it is taken for a form */
	size_t body_size;
	const char *user, *password; /* for Basic authentication; or NULL */
	int64_t timeout_ms; /* for all of it, connecting included */
	size_t whole_max; /* bytes of the answer's body, all kept; or 0 */
};

struct http;

/*
 * From here on SIGPIPE is ignored, which writing to a TLS connection that the
 * other side has closed would raise. ERROR_RETRY.
 */
bool
http_open(struct http **, struct error *) __attribute__((warn_unused_result));

/* Requests still under way are abandoned. Harmless on NULL. */
void http_close(struct http *);

/*
 * Begin a request; http_wait() will return its tag and its answer. Everything
 * is copied but the tag.
 */
void http_start(struct http *, const struct http_request *, void *tag);

/*
 * Move the requests on until one is done, for at most wait_ms. True: *tag is
 * its tag, *answer its answer, of which the caller releases the body. False:
 * none was done in this time, or before a signal came. Where none is under way
 * this only waits.
 */
bool http_wait(struct http *, int64_t wait_ms, void **tag,
    struct answer *answer) __attribute__((warn_unused_result));

/*
 * Of the requests under way one's tag, each once, for who gives up and frees
 * what they are; NULL: no more. Nothing but http_close() may follow.
 */
void *http_abandon(struct http *);

/* Requests begun whose answer http_wait() has not returned yet. */
size_t http_running(const struct http *);

/* One request and its answer; false only where http_open() would be. */
bool http_request(const struct http_request *, struct answer *, struct error *)
    __attribute__((warn_unused_result));

#endif
