#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static void *
checked(void *p)
{
	static const char words[] = "out of memory; run it again\n";

	if (p != NULL)
		return p;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) == -1)
		_exit(error_status(ERROR_RETRY));
	_exit(error_status(ERROR_RETRY));
}

void *
mem_alloc(size_t size)
{
	return checked(calloc(1, size > 0 ? size : 1));
}

void *
mem_resize(void *p, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		return checked(NULL);
	return checked(realloc(p, count * size > 0 ? count * size : 1));
}

char *
mem_copy(const char *text)
{
	return text == NULL ? NULL : mem_copy_bytes(text, strlen(text));
}

char *
mem_copy_bytes(const void *bytes, size_t size)
{
	char *copy = mem_alloc(size + 1);

	if (size > 0)
		memcpy(copy, bytes, size);
	return copy;
}

char *
mem_format(const char *format, ...)
{
	va_list arguments;
	char *text;
	int size;

	va_start(arguments, format);
	size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = mem_alloc((size_t)(size > 0 ? size : 0) + 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)(size > 0 ? size : 0) + 1, format, arguments);
	va_end(arguments);
	return text;
}

void
mem_replace(char **text, const char *value)
{
	char *copy = mem_copy(value);

	free(*text);
	*text = copy;
}

void
mem_wipe(void *p, size_t size)
{
	volatile unsigned char *byte = p;

	while (size-- > 0)
		*byte++ = 0;
}
