#ifndef NET_WORDS_H
#define NET_WORDS_H

#include <jansson.h>

#include "base/answer.h"

/*
 * A provider's words for people: one line of ASCII, at most WORDS_MAX bytes,
 * with what may be private masked (base/mask.h). secret is what was sent along
 * and must not come back. To be freed with free(3).
 */
#define WORDS_MAX 200

char *words_line(const char *text, const char *secret)
    __attribute__((warn_unused_result));

/*
 * What was said in an answer, or why nothing was; document is its body where
 * that is JSON, else NULL.
 */
char *words_of(const struct answer *, const json_t *document,
    const char *secret) __attribute__((warn_unused_result));

#endif
