#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Base64 (RFC 4648 section 4, with its padding) over nettle. */

/* How many characters size bytes become, without a NUL. */
#define BASE64_TEXT_SIZE(size) (((size) + 2) / 3 * 4)

/* Room for what that many characters become. */
#define BASE64_ROOM(text_size) ((text_size) / 4 * 3 + 3)

/* Into BASE64_TEXT_SIZE(size) + 1 characters, the last of them a NUL. */
void base64_encode(char *text, const void *bytes, size_t size);

/*
 * Into BASE64_ROOM(text_size) bytes. False where it is not just what
 * base64_encode() gives: other characters, blanks, padding that is wrong or not
 * there.
 */
bool base64_decode(void *bytes, size_t *size, const char *text,
    size_t text_size) __attribute__((warn_unused_result));

#endif
