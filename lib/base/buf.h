#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * Growable bytes with a maximum, stated where the buffer is made. data is NULL
 * while empty, else ends in a NUL that size does not count. Adding past the
 * maximum adds nothing more and sets full, so a chain of additions is checked
 * once, at its end, with buf_ok().
 *
 *	struct buf text = BUF_INIT(3000);
 */
struct buf {
	char *data;
	size_t size, room, max;
	bool full;
};

#define BUF_INIT(max)                                                          \
	{                                                                      \
		NULL, 0, 0, (max), false                                       \
	}

void buf_release(struct buf *); /* the contents; harmless twice */
void buf_clear(struct buf *); /* empty again, memory and maximum kept */

void buf_add(struct buf *, const void *, size_t size);
void buf_text(struct buf *, const char *); /* a string; NULL adds nothing */
void buf_byte(struct buf *, char);
void buf_format(struct buf *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * For addresses and forms: the text with all but RFC 3986's unreserved
 * characters as %XX (NULL adds nothing), and name=value, both so encoded, with
 * a & between it and what is there.
 */
void buf_percent(struct buf *, const char *);
void buf_field(struct buf *, const char *name, const char *value);

/* Drop the first size bytes. */
void buf_drop(struct buf *, size_t size);

/* The text so far; "" while empty. Borrowed, until the next addition. */
const char *buf_string(const struct buf *);

/* False, as ERROR_DATA "WHAT is longer than N bytes", if something was lost. */
bool buf_ok(const struct buf *, const char *what, struct error *)
    __attribute__((warn_unused_result));

/*
 * Read fd to its end. ERROR_DATA where that is more than the maximum,
 * error_read() where reading fails.
 */
bool buf_read(struct buf *, int fd, struct error *)
    __attribute__((warn_unused_result));

#endif
