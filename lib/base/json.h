#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Strict JSON (RFC 8259) over jansson, whose json_t callers use as it is: what
 * is here reads a document, looks into it, and writes it.
 *
 * Numbers. We never use floats. A number that fits int64_t arrives as a JSON
 * integer; every other one (2.5, 1e3, 312.0, 123456789012345678901234567890)
 * arrives as a JSON string of its exact source text. So an id beyond 2^53 or 64
 * bits, or a numeric column of any size, is kept to the last digit, and does
 * not cost us the document. Such a number is written again as a string.
 *
 * Strings. They are UTF-8 without NUL: \u0000, which would cut a C string
 * short, and a \uD800 without its other half, which no UTF-8 can hold, arrive
 * as U+FFFD.
 *
 * Exhausted memory ends the process, in jansson too (see base/mem.h).
 */
#define JSON_DEPTH_MAX 64 /* arrays and objects within each other */

/*
 * One document, of any type at its top; json_decref() the value. A UTF-8 byte
 * order mark before it is dropped. ERROR_DATA, and *value NULL, for invalid
 * UTF-8, a text that ends early or goes on after its document, a key twice in
 * one object, nesting deeper than JSON_DEPTH_MAX, and whatever else is not
 * JSON: "line 3, column 14: duplicate key "plan"". Columns count the bytes of
 * the text as given, from 1. Nothing at all is "empty input".
 *
 * Apart from a duplicate key, up to 40 bytes of it, an error quotes nothing of
 * the text.
 */
bool json_parse(json_t **value, const char *text, size_t size, struct error *)
    __attribute__((warn_unused_result));

/*
 * What is at a dotted path, "customer_details.email" or "lines.data.0.price",
 * where a number counts an array's elements from 0; "" is the value itself.
 * Borrowed. NULL where something on the way is missing or of another type, and
 * where a JSON null is. One part of a path has at most 127 bytes.
 */
const json_t *json_at(const json_t *, const char *path);

/* The string there, borrowed; NULL if there is none, or an empty one. */
const char *json_text(const json_t *, const char *path);

/*
 * The identifier there: a string, or an integer in decimal. To be freed with
 * free(3). NULL if there is neither, or an empty string.
 */
char *
json_id(const json_t *, const char *path) __attribute__((warn_unused_result));

/*
 * The integer there, also if it stands in a string, and with a fraction of only
 * zeros ("312.0"). False, and the number untouched, for anything else or what
 * int64_t cannot hold.
 */
bool json_number(int64_t *, const json_t *, const char *path)
    __attribute__((warn_unused_result));

/*
 * Set a member of an object: to the text, or to null where that is NULL; to the
 * number. Each byte of the text that is no part of valid UTF-8 becomes U+FFFD.
 */
void json_put(json_t *object, const char *key, const char *text);
void json_put_number(json_t *object, const char *key, int64_t);

/* Set it to a moment as RFC 3339, or to null where that is 0. */
void json_put_time(json_t *object, const char *key, int64_t);

/*
 * The value as text without blanks, keys in the order they came in. To be freed
 * with free(3).
 */
char *json_compact(const json_t *) __attribute__((warn_unused_result));

#endif
