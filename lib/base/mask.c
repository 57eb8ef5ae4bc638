#include "base/mask.h"

#include <string.h>

#define SECRET_MIN 24 /* bytes of a word that may be one */
#define NUMBER_MIN 7 /* digits of what may be a telephone number */

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Put '*' for the digits of what may be a telephone number. */
static void
mask_numbers(char *text)
{
	size_t i, size, digits;

	for (; *text != '\0'; text += size) {
		size = strcspn(text, DIGITS);
		text += size;
		size = strspn(text, DIGITS " -()");
		for (i = digits = 0; i < size; i++)
			digits += strchr(DIGITS, text[i]) != NULL;
		for (i = 0; i < size && digits >= NUMBER_MIN; i++)
			if (strchr(DIGITS, text[i]) != NULL)
				text[i] = '*';
	}
}

static bool
is_private(const char *word, size_t size)
{
	return memchr(word, '@', size) != NULL ||
	    (size >= SECRET_MIN && strcspn(word, DIGITS) < size);
}

/* The size of what stands at text: a word that ends before found, or a byte. */
static size_t
word_size(const char *text, const char *found)
{
	size_t size = strspn(text, LETTERS DIGITS "_-+/=.%~@:&?#");

	if (found != NULL && (size_t)(found - text) < size)
		size = (size_t)(found - text);
	return size > 0 ? size : 1;
}

void
mask_text(struct buf *out, const char *text, const char *secret)
{
	const bool has_secret = secret != NULL && *secret != '\0';
	const size_t start = out->size;
	const char *found;
	size_t size;

	for (; *text != '\0' && !out->full; text += size) {
		found = has_secret ? strstr(text, secret) : NULL;
		size = found == text ? strlen(secret) : word_size(text, found);
		if (found == text || is_private(text, size))
			buf_text(out, "***");
		else
			buf_add(out, text, size);
	}
	if (out->size > start)
		mask_numbers(out->data + start);
}
