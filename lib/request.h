#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>

#include "base/conf.h"
#include "net/http.h"

/*
 * A delivery as it goes over the wire: method, address, headers and body, in
 * the dialect of its destination.
 *
 * To be shown it is made in the same way, but with *** for each secret: the
 * address behind the host, where that is one, keys, and the telephone number.
 */
#define REQUEST_HEADERS_MAX 4

struct request {
	struct http_request http; /* points into the rest, and the delivery */
	char *url, *method, *body;
	char *headers[REQUEST_HEADERS_MAX + 1];
	bool shown;
};

/* What is to be sent; plain: of a Slack message the text alone. */
struct request_content {
	const char *key, *body;
	bool plain;
};

void request_make(struct request *, const struct conf *,
    const struct conf_destination *, const struct request_content *);
void request_show(struct request *, const struct conf *,
    const struct conf_destination *, const struct request_content *);
void request_release(struct request *); /* wipes the secrets */

#endif
