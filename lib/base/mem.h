#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/*
 * Allocation that succeeds or ends the process with exit status 75, "not now":
 * the transaction makes that safe, and the branch disappears everywhere else.
 * What these return is freed with free(3).
 */

/* size zeroed bytes. */
void *mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));

/* As realloc(3), for count members of size bytes; the product may not wrap. */
void *mem_resize(void *, size_t count, size_t size)
    __attribute__((warn_unused_result));

/* A copy of the text; NULL of NULL. */
char *mem_copy(const char *) __attribute__((malloc, warn_unused_result));

/* A copy of size bytes, with a NUL behind them. */
char *mem_copy_bytes(const void *, size_t size)
    __attribute__((malloc, warn_unused_result));

/* As asprintf(3). */
char *mem_format(const char *format, ...)
    __attribute__((format(printf, 1, 2), warn_unused_result));

/* Free what *text holds and put a copy of value (may be NULL) there. */
void mem_replace(char **text, const char *value);

/* Overwrite size bytes so that no compiler leaves it out: for secrets. */
void mem_wipe(void *, size_t size);

#endif
