#include "base/hmac.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/version.h>

#include "base/mem.h"

/* Nettle 4 takes no size here: it always gives the whole digest. */
static void
finish(struct hmac_sha256_ctx *context, uint8_t digest[HMAC_SIZE])
{
#if NETTLE_VERSION_MAJOR >= 4
	hmac_sha256_digest(context, digest);
#else
	hmac_sha256_digest(context, HMAC_SIZE, digest);
#endif
}

void
hmac_sha256(uint8_t digest[HMAC_SIZE], const void *key, size_t key_size,
    const struct hmac_part *parts, size_t parts_count)
{
	struct hmac_sha256_ctx context;
	size_t i;

	hmac_sha256_set_key(&context, key_size, key);
	for (i = 0; i < parts_count; i++)
		if (parts[i].size > 0)
			hmac_sha256_update(
			    &context, parts[i].size, parts[i].data);
	finish(&context, digest);
	mem_wipe(&context, sizeof(context));
}

void
hmac_sha256_hex(char hex[HMAC_HEX_SIZE + 1], const void *key, size_t key_size,
    const struct hmac_part *parts, size_t parts_count)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[HMAC_SIZE];
	size_t i;

	hmac_sha256(digest, key, key_size, parts, parts_count);
	for (i = 0; i < HMAC_SIZE; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[HMAC_HEX_SIZE] = '\0';
}

bool
hmac_equal(const void *a, const void *b, size_t size)
{
	return memeql_sec(a, b, size) != 0;
}
