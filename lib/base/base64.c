#include "base/base64.h"

#include <nettle/base64.h>

void
base64_encode(char *text, const void *bytes, size_t size)
{
	base64_encode_raw(text, size, bytes);
	text[BASE64_TEXT_SIZE(size)] = '\0';
}

/* Nettle skips white space, so see whether every character counted. */
bool
base64_decode(void *bytes, size_t *size, const char *text, size_t text_size)
{
	struct base64_decode_ctx context;

	*size = BASE64_ROOM(text_size);
	base64_decode_init(&context);
	return base64_decode_update(&context, size, bytes, text_size, text) &&
	    base64_decode_final(&context) &&
	    BASE64_TEXT_SIZE(*size) == text_size;
}
