#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define ROOM_MIN 256
#define READ_SIZE 65536
#define UNRESERVED /* RFC 3986 section 2.3 */                                  \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

static bool
make_room(struct buf *buf, size_t size)
{
	size_t room = buf->room > 0 ? buf->room : ROOM_MIN;

	if (buf->full || size > buf->max - buf->size) {
		buf->full = true;
		return false;
	}
	if (buf->room > buf->size + size)
		return true;
	while (room <= buf->size + size)
		room *= 2;
	buf->data = mem_resize(buf->data, room, 1);
	buf->room = room;
	return true;
}

void
buf_release(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->size = buf->room = 0;
	buf->full = false;
}

void
buf_clear(struct buf *buf)
{
	buf->size = 0;
	buf->full = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

void
buf_add(struct buf *buf, const void *bytes, size_t size)
{
	if (!make_room(buf, size))
		return;
	if (size > 0)
		memcpy(buf->data + buf->size, bytes, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
}

void
buf_text(struct buf *buf, const char *text)
{
	if (text != NULL)
		buf_add(buf, text, strlen(text));
}

void
buf_byte(struct buf *buf, char byte)
{
	buf_add(buf, &byte, 1);
}

void
buf_format(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (size < 0 || !make_room(buf, (size_t)size))
		return;
	va_start(arguments, format);
	vsnprintf(buf->data + buf->size, (size_t)size + 1, format, arguments);
	va_end(arguments);
	buf->size += (size_t)size;
}

void
buf_percent(struct buf *buf, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if (strchr(UNRESERVED, *text) != NULL)
			buf_byte(buf, *text);
		else
			buf_format(buf, "%%%02X", (unsigned char)*text);
}

void
buf_field(struct buf *buf, const char *name, const char *value)
{
	if (buf->size > 0)
		buf_byte(buf, '&');
	buf_percent(buf, name);
	buf_byte(buf, '=');
	buf_percent(buf, value);
}

void
buf_drop(struct buf *buf, size_t size)
{
	if (size >= buf->size) {
		buf_clear(buf);
		return;
	}
	memmove(buf->data, buf->data + size, buf->size - size + 1);
	buf->size -= size;
}

const char *
buf_string(const struct buf *buf)
{
	return buf->data != NULL ? buf->data : "";
}

bool
buf_ok(const struct buf *buf, const char *what, struct error *error)
{
	if (!buf->full)
		return true;
	return error_set(
	    error, ERROR_DATA, "%s is longer than %zu bytes", what, buf->max);
}

bool
buf_read(struct buf *buf, int fd, struct error *error)
{
	char chunk[READ_SIZE];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return error_read(error, errno);
		buf_add(buf, chunk, (size_t)got);
		if (!buf_ok(buf, "the input", error))
			return false;
	}
	return true;
}
