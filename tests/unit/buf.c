#include "base/buf.h"

#include "../tap.h"

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
	test_percent();
	test_field();
	test_full();
	return tap_end();
}
