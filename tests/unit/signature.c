#include "decide/signature.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "../tap.h"

#define NOW INT64_C(1795000000)
#define BODY "{\"id\":\"evt_1\",\"name\":\"Zo\xc3\xab\"}"

#define ONE "whsec_b25lIG9mIHRoZSBzZWNyZXRz"
#define TWO "whsec_dHdvIG9mIHRoZSBzZWNyZXRz"
#define THREE "whsec_dGhyZWUgb2Ygc2VjcmV0cyE="

/*
 * Headers are written with {names}, each standing for what hold() put there
 * last; so a table can say "t={t},v1={one}".
 */
static struct {
	const char *name;
	char *text;
} held[40];

static void
hold(const char *name, char *text)
{
	size_t i = 0;

	while (held[i].name != NULL && strcmp(held[i].name, name) != 0)
		i++;
	if (i + 1 == sizeof(held) / sizeof(held[0])) {
		printf("Bail out! no room to hold %s\n", name);
		exit(1);
	}
	held[i].name = name;
	free(held[i].text);
	held[i].text = text;
}

static void
let_go(void)
{
	size_t i;

	for (i = 0; held[i].name != NULL; i++)
		free(held[i].text);
}

static const char *
held_text(const char *name, size_t size)
{
	size_t i;

	for (i = 0; held[i].name != NULL; i++)
		if (strlen(held[i].name) == size &&
		    memcmp(held[i].name, name, size) == 0)
			return held[i].text;
	printf("Bail out! nothing is held as %.*s\n", (int)size, name);
	exit(1);
}

/* The header itself; NULL of NULL. */
static char *
expand(const char *header)
{
	struct buf out = BUF_INIT(10000);
	char *text;

	for (; header != NULL && *header != '\0'; header++)
		if (*header == '{') {
			size_t size = strcspn(++header, "}");

			buf_text(&out, held_text(header, size));
			header += size;
		} else
			buf_byte(&out, *header);
	text = header == NULL ? NULL : mem_copy(buf_string(&out));
	buf_release(&out);
	return text;
}

static char *
in_upper_case(const char *text)
{
	char *copy = mem_copy(text), *p;

	for (p = copy; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return copy;
}

static char *
repeated(const char *text, size_t times)
{
	struct buf out = BUF_INIT(10000);
	char *copy;

	while (times-- > 0)
		buf_text(&out, text);
	copy = mem_copy(buf_string(&out));
	buf_release(&out);
	return copy;
}

/* In hexadecimal digits, over the texts joined; NULL ends them early. */
static char *
sign_hex(const char *key, const char *a, const char *b, const char *c)
{
	char hex[HMAC_HEX_SIZE + 1];
	char *text = mem_format("%s%s%s", a, b, c);

	hmac_sha256_hex(
	    hex, key, strlen(key), &(struct hmac_part){text, strlen(text)}, 1);
	free(text);
	return mem_copy(hex);
}

/* Of the call that is being checked. */
static struct error error;

/* Whether the error shows something held, other than a time, or configured. */
static bool
tells(const char *secrets)
{
	size_t i;

	for (i = 0; held[i].name != NULL; i++)
		if (strlen(held[i].text) > 20 &&
		    strstr(error.text, held[i].text) != NULL)
			return true;
	return secrets != NULL && strlen(secrets) > strlen("whsec_") &&
	    strstr(error.text, secrets) != NULL;
}

static bool
is_refusal(const char *words, const char *secrets)
{
	const enum error_kind kind =
	    strstr(words, "no base64") != NULL ? ERROR_CONF : ERROR_AUTH;

	return error.kind == kind && strstr(error.text, words) != NULL &&
	    !tells(secrets);
}

/* got and wanted: which secret fits; 0 is refused, with these words. */
static void
check(const char *scheme, const char *name, const char *secrets, int got,
    int wanted, const char *words)
{
	bool good = got == wanted &&
	    (wanted == 0 ? is_refusal(words, secrets)
			 : error.kind == ERROR_NONE);

	if (!ok(good, "%s: %s", scheme, name))
		printf("#    got: %d %s\n# wanted: %d %s\n", got, error.text,
		    wanted, words != NULL ? words : "");
	memset(&error, 0, sizeof(error));
}

/*
 * Stripe. {t} is the time of signing, {one} to {three} what those secrets make
 * of it and BODY; {old} and {one-old} the same of an hour before.
 */
static const struct {
	const char *name, *header, *secrets;
	int64_t age_s;
	const char *body;
	int which;
	const char *words;
} stripes[] = {
    {"as Stripe sends it", "t={t},v1={one}", ONE, 0, BODY, 1, NULL},
    {"and to a test endpoint", "t={t},v1={one},v0={zeros}", ONE, 0, BODY, 1,
	NULL},
    {"v0 before v1", "t={t},v0={zeros},v1={one}", ONE, 0, BODY, 1, NULL},
    {"t last", "v1={one},t={t}", ONE, 0, BODY, 1, NULL},
    {"t in the middle", "v1={zeros},t={t},v1={one}", ONE, 0, BODY, 1, NULL},
    {"unknown schemes", "t={t},v2=x,tt=7,x,=,v1={one},v11={zeros}", ONE, 0,
	BODY, 1, NULL},
    {"empty parts", ",,t={t},,v1={one},", ONE, 0, BODY, 1, NULL},

    {"both secrets sign, we know the first", "t={t},v1={one},v1={two}", ONE, 0,
	BODY, 1, NULL},
    {"both secrets sign, we know the second", "t={t},v1={one},v1={two}", TWO, 0,
	BODY, 1, NULL},
    {"the last of five", "t={t},v1={zeros},v1={two},v1=,v1=x,v1={one}", ONE, 0,
	BODY, 1, NULL},
    {"we know both, the old one signs", "t={t},v1={one}", ONE " " TWO, 0, BODY,
	1, NULL},
    {"we know both, the new one signs", "t={t},v1={two}", ONE " " TWO, 0, BODY,
	2, NULL},
    {"we know three, the last signs", "t={t},v1={three}", ONE " " TWO " " THREE,
	0, BODY, 3, NULL},
    {"all fit: the first is told", "t={t},v1={three},v1={two},v1={one}",
	ONE " " TWO " " THREE, 0, BODY, 1, NULL},
    {"the same secret twice", "t={t},v1={one}", ONE " " ONE, 0, BODY, 1, NULL},
    {"many blanks between and around", "t={t},v1={two}",
	"  " ONE " \n " TWO " \t", 0, BODY, 2, NULL},

    {"now", "t={t},v1={one}", ONE, 0, BODY, 1, NULL},
    {"299 s old", "t={t},v1={one}", ONE, 299, BODY, 1, NULL},
    {"300 s old", "t={t},v1={one}", ONE, 300, BODY, 1, NULL},
    {"301 s old", "t={t},v1={one}", ONE, 301, BODY, 0, "301 s ago, and 300 s"},
    {"three days old", "t={t},v1={one}", ONE, 259200, BODY, 0, "259200 s ago"},
    {"300 s ahead", "t={t},v1={one}", ONE, -300, BODY, 1, NULL},
    {"301 s ahead", "t={t},v1={one}", ONE, -301, BODY, 0, "301 s ahead"},
    {"of 1970", "t={t},v1={one}", ONE, NOW, BODY, 0, "1795000000 s ago"},

    {"an old event with a new t behind", "t={old},v1={one-old},t={t}", ONE, 0,
	BODY, 0, "more than one t="},
    {"an old event with a new t before", "t={t},t={old},v1={one-old}", ONE, 0,
	BODY, 0, "more than one t="},
    {"an old event with another t only", "t={t},v1={one-old}", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"the same t twice", "t={t},t={t},v1={one}", ONE, 0, BODY, 0,
	"more than one t="},
    {"a good t and an empty one", "t={t},v1={one},t=", ONE, 0, BODY, 0,
	"more than one t="},
    {"no t", "v1={one}", ONE, 0, BODY, 0, "has no t="},
    {"T for t", "T={t},v1={one}", ONE, 0, BODY, 0, "has no t="},
    {"an empty t", "t=,v1={one}", ONE, 0, BODY, 0, "no number of seconds"},
    {"t and nothing", "t,v1={one}", ONE, 0, BODY, 0, "has no t="},
    {"t that is a word", "t=now,v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t with a blank before", "t= {t},v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t with a letter behind", "t={t}s,v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t with a fraction", "t={t}.0,v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t with a sign", "t=+{t},v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"a negative t", "t=-1,v1={one}", ONE, 0, BODY, 0, "no number of seconds"},
    {"t with a zero before, which nobody signed", "t=0{t},v1={one}", ONE, 0,
	BODY, 0, "no configured secret fits"},
    {"the largest t", "t=9223372036854775807,v1={one-max}", ONE, 0, BODY, 0,
	"9223372035059775807 s ahead"},
    {"t one beyond it", "t=9223372036854775808,v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t that wraps to now", "t=18446744075504551616,v1={one}", ONE, 0, BODY, 0,
	"no number of seconds"},
    {"t of a hundred digits", "t={zeros}{zeros}{t},v1={one}", ONE, 0, BODY, 0,
	"no configured secret fits"},

    {"no v1", "t={t}", ONE, 0, BODY, 0, "no v1= signature"},
    {"only v0, though it fits", "t={t},v0={one}", ONE, 0, BODY, 0,
	"no v1= signature"},
    {"V1 for v1", "t={t},V1={one}", ONE, 0, BODY, 0, "no v1= signature"},
    {"a blank behind the comma", "t={t}, v1={one}", ONE, 0, BODY, 0,
	"no v1= signature"},
    {"a blank before all", " t={t},v1={one}", ONE, 0, BODY, 0, "has no t="},
    {"semicolons", "t={t};v1={one}", ONE, 0, BODY, 0, "no number of seconds"},
    {"an empty v1", "t={t},v1=", ONE, 0, BODY, 0, "no configured secret fits"},
    {"upper case", "t={t},v1={ONE}", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"a digit less", "t={t},v1={one-short}", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"a digit more", "t={t},v1={one}0", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"a line end behind", "t={t},v1={one}\n", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"a blank behind", "t={t},v1={one} ", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"two =", "t={t},v1={one}=x", ONE, 0, BODY, 0, "no configured secret fits"},
    {"no digits at all", "t={t},v1={rubbish}", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"of another secret", "t={t},v1={two}", ONE, 0, BODY, 0,
	"no configured secret fits the Stripe-Signature header"},
    {"of no secret we know", "t={t},v1={three}", ONE " " TWO, 0, BODY, 0,
	"no configured secret fits"},
    {"of an empty key", "t={t},v1={empty-key}", ONE, 0, BODY, 0,
	"no configured secret fits"},
    {"of what whsec_ holds in base64", "t={t},v1={one-decoded}", ONE, 0, BODY,
	0, "no configured secret fits"},
    {"of the whole list as one key", "t={t},v1={joined}", ONE " " TWO, 0, BODY,
	0, "no configured secret fits"},
    {"Retell's", "v={t},d={one}", ONE, 0, BODY, 0, "has no t="},

    {"another body", "t={t},v1={one}", ONE, 0, BODY " ", 0,
	"no configured secret fits"},
    {"a shorter body", "t={t},v1={one}", ONE, 0, "{}", 0,
	"no configured secret fits"},
    {"no body", "t={t},v1={one-nothing}", ONE, 0, "", 1, NULL},

    {"no header", NULL, ONE, 0, BODY, 0, "there is no Stripe-Signature header"},
    {"an empty header", "", ONE, 0, BODY, 0,
	"there is no Stripe-Signature header"},
    {"only commas", ",,,", ONE, 0, BODY, 0, "has no t="},
    {"twice, as servers join them", "t={t},v1={one}, t={t},v1={one}", ONE, 0,
	BODY, 1, NULL},
    {"a header of 4096 bytes", "t={t},v1={one},{fill}", ONE, 0, BODY, 1, NULL},
    {"a header of 4097 bytes", "t={t},v1={one},{fill},", ONE, 0, BODY, 0,
	"longer than 4096 bytes"},

    {"no secret", "t={t},v1={one}", NULL, 0, BODY, 0,
	"no secret is configured"},
    {"an empty secret, and its signature", "t={t},v1={empty-key}", "", 0, BODY,
	0, "no secret is configured"},
    {"a blank secret, and its signature", "t={t},v1={blank-key}", " ", 0, BODY,
	0, "no secret is configured"},
    {"blanks between no secrets", "t={t},v1={empty-key}", " \t\n", 0, BODY, 0,
	"no secret is configured"},
    {"a blank more between two", "t={t},v1={empty-key}", ONE "  " TWO, 0, BODY,
	0, "no configured secret fits"},
};

static void
hold_stripe(int64_t t)
{
	char time[32];

	snprintf(time, sizeof(time), "%" PRId64, t);
	hold("t", mem_copy(time));
	hold("one", sign_hex(ONE, time, ".", BODY));
	hold("two", sign_hex(TWO, time, ".", BODY));
	hold("three", sign_hex(THREE, time, ".", BODY));
	hold("ONE", in_upper_case(held_text("one", 3)));
	hold("one-short", mem_copy(held_text("one", 3) + 1));
	hold("one-nothing", sign_hex(ONE, time, ".", ""));
	hold("one-decoded", sign_hex("one of the secrets", time, ".", BODY));
	hold("joined", sign_hex(ONE " " TWO, time, ".", BODY));
	hold("empty-key", sign_hex("", time, ".", BODY));
	hold("blank-key", sign_hex(" ", time, ".", BODY));
	hold("fill",
	    repeated("x", 4096 - strlen("t=,v1=,") - strlen(time) - 64));
}

static void
hold_always(void)
{
	hold("zeros", repeated("0", 64));
	hold("rubbish", repeated("\xff", 64));
	hold("old", mem_copy("1794996400"));
	hold("one-old", sign_hex(ONE, "1794996400", ".", BODY));
	hold("one-max", sign_hex(ONE, "9223372036854775807", ".", BODY));
}

static void
check_stripe(size_t n)
{
	char *header;
	int which = 0;

	hold_stripe(NOW - stripes[n].age_s);
	header = expand(stripes[n].header);
	if (!signature_stripe(header, stripes[n].body, strlen(stripes[n].body),
		stripes[n].secrets, NOW, &which, &error))
		which = 0;
	check("stripe", stripes[n].name, stripes[n].secrets, which,
	    stripes[n].which, stripes[n].words);
	free(header);
}

/*
 * Retell. {v} is the time of signing in ms, {one} and so on as above.
 */
static const struct {
	const char *name, *header, *keys;
	int64_t age_ms;
	int which;
	const char *words;
} retells[] = {
    {"as Retell sends it", "v={v},d={one}", ONE, 0, 1, NULL},
    {"in upper case", "V={v},D={ONE}", ONE, 0, 1, NULL},
    {"the second key", "v={v},d={two}", ONE " " TWO, 0, 2, NULL},
    {"300000 ms old", "v={v},d={one}", ONE, 300000, 1, NULL},
    {"300001 ms old", "v={v},d={one}", ONE, 300001, 0, "300001 ms ago"},
    {"300000 ms ahead", "v={v},d={one}", ONE, -300000, 1, NULL},
    {"300001 ms ahead", "v={v},d={one}", ONE, -300001, 0, "300001 ms ahead"},
    {"another key", "v={v},d={two}", ONE, 0, 0, "no configured secret fits"},
    {"an empty key, and its signature", "v={v},d={empty-key}", "", 0, 0,
	"no secret is configured"},
    {"no key", "v={v},d={one}", NULL, 0, 0, "no secret is configured"},
    {"no header", NULL, ONE, 0, 0, "there is no X-Retell-Signature header"},
    {"Stripe's", "t={v},v1={one}", ONE, 0, 0, "is not v="},
    {"Stripe's way to sign", "v={v},d={stripe}", ONE, 0, 0,
	"no configured secret fits"},
    {"a blank before", " v={v},d={one}", ONE, 0, 0, "is not v="},
    {"a blank between", "v={v}, d={one}", ONE, 0, 0, "is not v="},
    {"a line end behind", "v={v},d={one}\n", ONE, 0, 0, "is not v="},
    {"something behind", "v={v},d={one},d={one}", ONE, 0, 0, "is not v="},
    {"another order", "d={one},v={v}", ONE, 0, 0, "is not v="},
    {"two times", "v={v},v={v},d={one}", ONE, 0, 0, "is not v="},
    {"no time", "v=,d={one}", ONE, 0, 0, "is not v="},
    {"a time with a sign", "v=-{v},d={one}", ONE, 0, 0, "is not v="},
    {"a time beyond all", "v=99999999999999999999,d={one}", ONE, 0, 0,
	"is not v="},
    {"a zero before the time", "v=0{v},d={one}", ONE, 0, 0,
	"no configured secret fits"},
    {"a digit less", "v={v},d={one-short}", ONE, 0, 0, "is not v="},
    {"a digit more", "v={v},d={one}0", ONE, 0, 0, "is not v="},
    {"no digits", "v={v},d=", ONE, 0, 0, "is not v="},
    {"other digits", "v={v},d={rubbish}", ONE, 0, 0, "is not v="},
    {"too long", "v={v},d={one}{fill}", ONE, 0, 0, "longer than 4096"},
};

static void
hold_retell(int64_t v)
{
	char time[32];

	snprintf(time, sizeof(time), "%" PRId64, v);
	hold("v", mem_copy(time));
	hold("one", sign_hex(ONE, BODY, time, ""));
	hold("two", sign_hex(TWO, BODY, time, ""));
	hold("ONE", in_upper_case(held_text("one", 3)));
	hold("one-short", mem_copy(held_text("one", 3) + 1));
	hold("empty-key", sign_hex("", BODY, time, ""));
	hold("stripe", sign_hex(ONE, time, ".", BODY));
	hold("fill", repeated("0", 4096));
}

static void
check_retell(size_t n)
{
	char *header;
	int which = 0;

	hold_retell(NOW * 1000 + 123 - retells[n].age_ms);
	header = expand(retells[n].header);
	if (!signature_retell(header, BODY, strlen(BODY), retells[n].keys,
		NOW * 1000 + 123, &which, &error))
		which = 0;
	check("retell", retells[n].name, retells[n].keys, which,
	    retells[n].which, retells[n].words);
	free(header);
}

/*
 * Standard Webhooks. {t} is the time of signing, {one} and so on what the keys
 * that ONE, TWO and THREE hold make of the id "msg_1", it, and BODY.
 */
static const struct {
	const char *name, *id, *timestamp, *header, *secrets;
	int64_t age_s;
	int which;
	const char *words;
} standards[] = {
    {"as it is sent", "msg_1", "{t}", "v1,{one}", ONE, 0, 1, NULL},
    {"a secret as Supabase shows it", "msg_1", "{t}", "v1,{one}", "v1," ONE, 0,
	1, NULL},
    {"two signatures", "msg_1", "{t}", "v1,{two} v1,{one}", ONE, 0, 1, NULL},
    {"two as Supabase joins them", "msg_1", "{t}", "v1,{two}, v1,{one}", ONE, 0,
	1, NULL},
    {"the first of two so joined", "msg_1", "{t}", "v1,{one}, v1,{two}", ONE, 0,
	1, NULL},
    {"more blanks", "msg_1", "{t}", " v1,{two}   v1,{one} ", ONE, 0, 1, NULL},
    {"v1a before", "msg_1", "{t}", "v1a,{one} v1,{one}", ONE, 0, 1, NULL},
    {"v1a alone", "msg_1", "{t}", "v1a,{one}", ONE, 0, 0,
	"no configured secret fits"},
    {"v2", "msg_1", "{t}", "v2,{one}", ONE, 0, 0, "no configured secret fits"},
    {"no version", "msg_1", "{t}", "{one}", ONE, 0, 0,
	"no configured secret fits"},
    {"the second secret", "msg_1", "{t}", "v1,{two}", ONE " v1," TWO, 0, 2,
	NULL},
    {"the third, behind a bearer token", "msg_1", "{t}", "v1,{three}",
	ONE " token " THREE, 0, 3, NULL},
    {"300 s old", "msg_1", "{t}", "v1,{one}", ONE, 300, 1, NULL},
    {"301 s old", "msg_1", "{t}", "v1,{one}", ONE, 301, 0, "301 s ago"},
    {"300 s ahead", "msg_1", "{t}", "v1,{one}", ONE, -300, 1, NULL},
    {"301 s ahead", "msg_1", "{t}", "v1,{one}", ONE, -301, 0, "301 s ahead"},
    {"another time", "msg_1", "{old}", "v1,{one}", ONE, 0, 0,
	"no configured secret fits"},
    {"a time in ms", "msg_1", "{t}000", "v1,{one}", ONE, 0, 0,
	"no configured secret fits"},
    {"a time with a fraction", "msg_1", "{t}.0", "v1,{one}", ONE, 0, 0,
	"no number of seconds"},
    {"a time with a blank", "msg_1", " {t}", "v1,{one}", ONE, 0, 0,
	"no number of seconds"},
    {"no time", "msg_1", NULL, "v1,{one}", ONE, 0, 0,
	"no webhook-timestamp header"},
    {"another id", "msg_2", "{t}", "v1,{one}", ONE, 0, 0,
	"no configured secret fits"},
    {"no id", NULL, "{t}", "v1,{one}", ONE, 0, 0, "no webhook-id header"},
    {"an empty id, though signed", "", "{t}", "v1,{no-id}", ONE, 0, 0,
	"no webhook-id header"},
    {"an id with a dot, though signed", "msg.1", "{t}", "v1,{dot}", ONE, 0, 0,
	"has a dot in it"},
    {"no signature", "msg_1", "{t}", NULL, ONE, 0, 0,
	"no webhook-signature header"},
    {"an empty signature", "msg_1", "{t}", "v1,", ONE, 0, 0,
	"no configured secret fits"},
    {"a character less", "msg_1", "{t}", "v1,{one-short}", ONE, 0, 0,
	"no configured secret fits"},
    {"something behind", "msg_1", "{t}", "v1,{one},x", ONE, 0, 0,
	"no configured secret fits"},
    {"of the secret as text", "msg_1", "{t}", "v1,{one-text}", ONE, 0, 0,
	"no configured secret fits"},
    {"another secret", "msg_1", "{t}", "v1,{two}", ONE, 0, 0,
	"no configured secret fits"},
    {"no secret", "msg_1", "{t}", "v1,{one}", NULL, 0, 0,
	"no secret is configured"},
    {"an empty secret", "msg_1", "{t}", "v1,{empty-key}", "", 0, 0,
	"no secret is configured"},
    {"an empty key", "msg_1", "{t}", "v1,{empty-key}", "whsec_", 0, 0,
	"secret number 1 is no base64"},
    {"only bearer tokens", "msg_1", "{t}", "v1,{one}",
	"b25lIG9mIHRoZSBzZWNyZXRz", 0, 0, "begins with whsec_"},
    {"a secret that is no base64", "msg_1", "{t}", "v1,{one}",
	"whsec_hush-hush", 0, 0, "secret number 1 is no base64"},
    {"a secret cut short", "msg_1", "{t}", "v1,{one}",
	"token whsec_dGhyZWUgb2Ygc2VjcmV0cyE", 0, 0,
	"secret number 2 is no base64"},
    {"one that is no base64, another fits", "msg_1", "{t}", "v1,{one}",
	"whsec_hush-hush " ONE, 0, 2, NULL},
    {"a short key", "msg_1", "{t}", "v1,{short-key}", "whsec_Zg==", 0, 1, NULL},
    {"too long", "msg_1", "{t}", "v1,{one} {fill}", ONE, 0, 0,
	"longer than 4096"},
    {"an id too long", "{fill}x", "{t}", "v1,{one}", ONE, 0, 0,
	"webhook-id header is longer than 4096"},
};

static char *
sign_base64(const char *key, const char *id, const char *time)
{
	char *text = mem_format("%s.%s.%s", id, time, BODY);
	char code[BASE64_TEXT_SIZE(HMAC_SIZE) + 1];
	uint8_t digest[HMAC_SIZE];

	hmac_sha256(digest, key, strlen(key),
	    &(struct hmac_part){text, strlen(text)}, 1);
	base64_encode(code, digest, sizeof(digest));
	free(text);
	return mem_copy(code);
}

static void
hold_standard(int64_t t)
{
	char time[32];

	snprintf(time, sizeof(time), "%" PRId64, t);
	hold("t", mem_copy(time));
	hold("one", sign_base64("one of the secrets", "msg_1", time));
	hold("two", sign_base64("two of the secrets", "msg_1", time));
	hold("three", sign_base64("three of secrets!", "msg_1", time));
	hold("one-short", mem_copy(held_text("one", 3) + 1));
	hold("one-text", sign_base64(ONE, "msg_1", time));
	hold("no-id", sign_base64("one of the secrets", "", time));
	hold("dot", sign_base64("one of the secrets", "msg.1", time));
	hold("empty-key", sign_base64("", "msg_1", time));
	hold("short-key", sign_base64("f", "msg_1", time));
	hold("fill", repeated("x", 4096));
}

static void
check_standard(size_t n)
{
	char *header, *timestamp, *id;
	int which = 0;

	hold_standard(NOW - standards[n].age_s);
	header = expand(standards[n].header);
	timestamp = expand(standards[n].timestamp);
	id = expand(standards[n].id);
	if (!signature_standard(id, timestamp, header, BODY, strlen(BODY),
		standards[n].secrets, NOW, &which, &error))
		which = 0;
	check("standard", standards[n].name, standards[n].secrets, which,
	    standards[n].which, standards[n].words);
	free(id);
	free(timestamp);
	free(header);
}

/*
 * Bearer tokens.
 */
static const struct {
	const char *name, *authorization, *secrets;
	int which;
	const char *words;
} bearers[] = {
    {"the secret", "Bearer s3cret-one", "s3cret-one", 1, NULL},
    {"the scheme in lower case", "bearer s3cret-one", "s3cret-one", 1, NULL},
    {"the scheme in upper case", "BEARER s3cret-one", "s3cret-one", 1, NULL},
    {"blanks between", "Bearer   s3cret-one", "s3cret-one", 1, NULL},
    {"blanks around", " \tBearer s3cret-one\t ", "s3cret-one", 1, NULL},
    {"the second", "Bearer s3cret-two", "s3cret-one s3cret-two", 2, NULL},
    {"another", "Bearer s3cret-two", "s3cret-one", 0,
	"none that is configured"},
    {"another case", "Bearer S3CRET-ONE", "s3cret-one", 0, "none that"},
    {"cut short", "Bearer s3cret-on", "s3cret-one", 0, "none that"},
    {"more", "Bearer s3cret-one1", "s3cret-one", 0, "none that"},
    {"both in one", "Bearer s3cret-one s3cret-two", "s3cret-one s3cret-two", 0,
	"none that"},
    {"in quotes", "Bearer \"s3cret-one\"", "s3cret-one", 0, "none that"},
    {"twice, as servers join them", "Bearer s3cret-one, Bearer s3cret-one",
	"s3cret-one", 0, "none that"},
    {"undefined, and no secret", "Bearer undefined", NULL, 0,
	"no secret is configured"},
    {"undefined, and an empty secret", "Bearer undefined", "", 0,
	"no secret is configured"},
    {"nothing, and no secret", "Bearer ", NULL, 0, "no secret is configured"},
    {"nothing, and an empty secret", "Bearer ", "", 0,
	"no secret is configured"},
    {"nothing, and a blank secret", "Bearer ", " ", 0,
	"no secret is configured"},
    {"no header, and an empty secret", NULL, "", 0, "no secret is configured"},
    {"nothing", "Bearer", "s3cret-one", 0, "is not \"Bearer"},
    {"blanks", "Bearer   ", "s3cret-one", 0, "is not \"Bearer"},
    {"no blank", "Bearers3cret-one", "s3cret-one", 0, "is not \"Bearer"},
    {"a tab between", "Bearer\ts3cret-one", "s3cret-one", 0, "is not \"Bearer"},
    {"no scheme", "s3cret-one", "s3cret-one", 0, "is not \"Bearer"},
    {"another scheme", "Basic s3cret-one", "s3cret-one", 0, "is not \"Bearer"},
    {"no header", NULL, "s3cret-one", 0, "no Authorization header"},
    {"an empty header", "", "s3cret-one", 0, "no Authorization header"},
};

static void
check_bearer(size_t n)
{
	int which = 0;

	if (!signature_bearer(
		bearers[n].authorization, bearers[n].secrets, &which, &error))
		which = 0;
	check("bearer", bearers[n].name, bearers[n].secrets, which,
	    bearers[n].which, bearers[n].words);
}

/* What the vendors' own packages made, and a body that is no text. */
static void
check_known(void)
{
	static const char stripe[] =
	    "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}";
	static const char bytes[] = "{\"a\":\"\0\xff\xfe\"}";
	char *hex, *header;

	ok(signature_stripe("t=1795000000,v1=e8e864e8bfa64e29e1e9059127ac6eaec"
			    "b914355ba30154953441e64c397c60f",
	       stripe, strlen(stripe), "whsec_test_secret", NOW, NULL, &error),
	    "stripe: what its package signed");
	ok(signature_retell("v=1760000000000,d=f385e13541b5dc4f20db84304f2e30ff"
			    "2b7b674aec011176aa8030778043d471",
	       "{\"event\":\"call_ended\"}", 22, "key_test_retell_0123456789",
	       1760000000000, NULL, &error),
	    "retell: what its package signed");
	ok(signature_standard("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
	       "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	       "{\"test\": 2432232314}", 20,
	       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1614265330, NULL,
	       &error),
	    "standard: what its package signed");

	hex = mem_alloc(HMAC_HEX_SIZE + 1);
	hmac_sha256_hex(hex, ONE, strlen(ONE),
	    (struct hmac_part[]){
		{"1795000000.", 11}, {bytes, sizeof(bytes) - 1}},
	    2);
	header = mem_format("t=1795000000,v1=%s", hex);
	ok(signature_stripe(
	       header, bytes, sizeof(bytes) - 1, ONE, NOW, NULL, &error),
	    "stripe: any bytes, NUL among them");
	ok(!signature_stripe(
	       header, bytes, strlen(bytes), ONE, NOW, NULL, NULL),
	    "stripe: and all of them");
	free(header);
	free(hex);
}

int
main(void)
{
	size_t i;

	hold_always();
	for (i = 0; i < sizeof(stripes) / sizeof(stripes[0]); i++)
		check_stripe(i);
	for (i = 0; i < sizeof(retells) / sizeof(retells[0]); i++)
		check_retell(i);
	for (i = 0; i < sizeof(standards) / sizeof(standards[0]); i++)
		check_standard(i);
	for (i = 0; i < sizeof(bearers) / sizeof(bearers[0]); i++)
		check_bearer(i);
	check_known();
	let_go();
	return tap_end();
}
