#include "base/buf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../scratch.h"
#include "../tap.h"

static void
test_add(void)
{
	struct buf out = BUF_INIT(10);
	struct error error = {0};

	is_text(buf_string(&out), "", "empty is a text too");
	ok(out.data == NULL && buf_ok(&out, "it", &error),
	    "and holds no memory");
	buf_text(&out, NULL);
	buf_add(&out, "a\0b", 3);
	ok(out.size == 3 && memcmp(out.data, "a\0b", 4) == 0,
	    "any bytes, and a NUL behind them");
	buf_clear(&out);
	buf_text(&out, "12345");
	buf_format(&out, "%d", 67890);
	is_text(buf_string(&out), "1234567890", "up to its maximum");
	ok(buf_ok(&out, "it", &error), "nothing is lost");
	buf_byte(&out, 'x');
	is_text(buf_string(&out), "1234567890", "a byte more is not added");
	ok(!buf_ok(&out, "the thing", &error), "that is known");
	is_text(error.text, "the thing is longer than 10 bytes", "and said");
	is_int(error.kind, ERROR_DATA, "as a refusal");
	buf_clear(&out);
	buf_text(&out, "12345");
	buf_format(&out, "%s", "678901");
	buf_text(&out, "x");
	is_text(buf_string(&out), "12345", "after a loss nothing is added");
	buf_clear(&out);
	ok(buf_ok(&out, "it", &error), "until it is cleared");
	buf_release(&out);
	buf_release(&out);
	ok(out.data == NULL && out.max == 10, "released, also twice");
}

static void
test_grow(void)
{
	struct buf out = BUF_INIT(SIZE_MAX);
	size_t i, wrong = 0;

	for (i = 0; i < 100000; i++)
		buf_byte(&out, (char)('a' + i % 26));
	for (i = 0; i < out.size; i++)
		wrong += out.data[i] != (char)('a' + i % 26);
	ok(out.size == 100000 && wrong == 0 && out.data[out.size] == '\0',
	    "it grows as it needs to");
	buf_drop(&out, 99999);
	is_text(buf_string(&out), "d", "the first bytes dropped");
	buf_drop(&out, 7);
	is_text(buf_string(&out), "", "more than there are");
	buf_release(&out);
	buf_drop(&out, 1);
	ok(out.data == NULL, "of nothing, nothing");
}

/* What one reads that has those bytes on its descriptor. */
static void
test_read(size_t size, size_t max, bool fits)
{
	int fd = open(scratch("bytes"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *bytes = malloc(size + 1);
	struct buf in = {.max = max};
	struct error error = {0};

	memset(bytes, 'x', size);
	if (write(fd, bytes, size) != (ssize_t)size ||
	    lseek(fd, 0, SEEK_SET) == -1)
		printf("Bail out! cannot write the scratch file\n");
	is_int(buf_read(&in, fd, &error), fits, "read, or not");
	if (fits)
		ok(in.size == size, "%zu of %zu bytes", size, max);
	else
		is_int(error.kind, ERROR_DATA, "too much is refused");
	buf_release(&in);
	close(fd);
	free(bytes);
}

static void
test_unreadable(void)
{
	struct buf in = BUF_INIT(10);
	struct error error = {0};

	ok(!buf_read(&in, -1, &error), "nothing to read from");
	is_int(error.kind, ERROR_USAGE, "is wrong usage");
	is_text(error.text, "cannot read the input: Bad file descriptor",
	    "in words");
	buf_release(&in);
}

static void
test_percent(void)
{
	struct buf out = BUF_INIT(200);

	buf_percent(&out, "aZ09-._~ +&=/?%\xC3\xA9\xFF\n");
	is_text(buf_string(&out), "aZ09-._~%20%2B%26%3D%2F%3F%25%C3%A9%FF%0A",
	    "all but the unreserved is encoded");
	buf_clear(&out);
	buf_percent(&out, NULL);
	is_text(buf_string(&out), "", "NULL is nothing");
	buf_release(&out);
}

static void
test_field(void)
{
	struct buf out = BUF_INIT(200);

	buf_field(&out, "expand[]", "data.charge");
	is_text(buf_string(&out), "expand%5B%5D=data.charge", "a field");
	buf_field(&out, "a", "b c&d=e");
	buf_field(&out, "empty", NULL);
	is_text(buf_string(&out),
	    "expand%5B%5D=data.charge&a=b%20c%26d%3De&empty=", "and more");
	buf_release(&out);
}

static void
test_full(void)
{
	struct buf out = BUF_INIT(4);
	struct error error = {0};

	buf_percent(&out, "ab\n");
	is_text(buf_string(&out), "ab", "what does not fit is not begun");
	ok(!buf_ok(&out, "the query", &error), "and is known to be lost");
	is_text(error.text, "the query is longer than 4 bytes", "says so");
	buf_release(&out);
}

int
main(void)
{
	test_add();
	test_grow();
	test_read(0, 10, true);
	test_read(10, 10, true);
	test_read(11, 10, false);
	test_read(200000, 200000, true);
	test_read(200000, 199999, false);
	test_unreadable();
	test_percent();
	test_field();
	test_full();
	return tap_end();
}
