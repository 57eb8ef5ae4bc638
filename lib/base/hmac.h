#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * HMAC-SHA256 (RFC 2104, FIPS 180-4) over nettle, and comparison that takes as
 * long whatever it finds.
 */
#define HMAC_SIZE 32
#define HMAC_HEX_SIZE (2 * HMAC_SIZE) /* without a NUL */

/* One part of what is signed; several are signed as if joined. */
struct hmac_part {
	const void *data; /* may be NULL if size is 0 */
	size_t size;
};

/* The key may have any size; none at all is the caller's to refuse. */
void hmac_sha256(uint8_t digest[HMAC_SIZE], const void *key, size_t key_size,
    const struct hmac_part *parts, size_t parts_count);

/* The same in lower-case hexadecimal digits, with a NUL. */
void hmac_sha256_hex(char hex[HMAC_HEX_SIZE + 1], const void *key,
    size_t key_size, const struct hmac_part *parts, size_t parts_count);

/* Whether both are equal; how long that takes depends on size alone. */
bool hmac_equal(const void *, const void *, size_t size);

#endif
