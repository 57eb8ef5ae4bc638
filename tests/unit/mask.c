#include "base/mask.h"

#include "../tap.h"

static const struct {
	const char *text, *masked, *name;
} cases[] = {
    {"", "", "nothing"},
    {"no such field", "no such field", "plain words"},
    {"Item +14155550100 not found", "Item +*********** not found",
	"a telephone number"},
    {"call 415 555-0100 now", "call *** ***-**** now", "one with blanks"},
    {"in 120 s, 2026", "in 120 s, 2026", "short numbers stand"},
    {"to a.b@example.com.", "to ***", "a mail address"},
    {"https://hooks.example/T0/B0/abcdefghijkl said", "*** said",
	"a secret address"},
    {"Bearer sk_live_51HqLyjWDarjtT1zdp7dc", "Bearer ***", "a key"},
    {"antidisestablishmentarianism", "antidisestablishmentarianism",
	"a long word"},
    {"key=s3cr*t!", "key=***", "our secret, whatever it is made of"},
    {"xs3cr*t!s3cr*t!y", "x******y", "wherever it stands"},
};

int
main(void)
{
	struct buf out = BUF_INIT(200), small = BUF_INIT(12);
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		mask_text(&out, cases[i].text, "s3cr*t!");
		is_text(buf_string(&out), cases[i].masked, cases[i].name);
	}
	buf_clear(&out);
	mask_text(&out, "x s3cr*t!", NULL);
	mask_text(&out, ", y", "");
	is_text(buf_string(&out), "x s3cr*t!, y", "no secret to look for");
	mask_text(&small, "the key is sk_live_51HqLyjWDarjtT1zdp7dc", NULL);
	is_text(buf_string(&small), "the key is ", "no part of a word");
	buf_release(&small);
	buf_release(&out);
	return tap_end();
}
