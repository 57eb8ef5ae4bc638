#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

bool
error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return false;
	error->kind = kind;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	make_printable(error->text);
	return false;
}

bool
error_at(struct error *error, const char *format, ...)
{
	char where[256], text[ERROR_TEXT_MAX];
	va_list arguments;

	if (error == NULL)
		return false;
	va_start(arguments, format);
	vsnprintf(where, sizeof(where), format, arguments);
	va_end(arguments);
	memcpy(text, error->text, sizeof(text));
	return error_set(error, error->kind, "%s: %s", where, text);
}

bool
error_read(struct error *error, int system_error)
{
	return error_set(error,
	    system_error == EISDIR || system_error == EBADF ? ERROR_USAGE
							    : ERROR_RETRY,
	    "cannot read the input: %s", strerror(system_error));
}

int
error_status(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE: return 0;
	case ERROR_NO: return 1;
	case ERROR_USAGE: return 64;
	case ERROR_DATA: return 65;
	case ERROR_PROVIDER: return 69;
	case ERROR_BUG: return 70;
	case ERROR_RETRY: return 75;
	case ERROR_AUTH: return 77;
	case ERROR_CONF: return 78;
	}
	return 70;
}
