#include "base/hmac.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "../tap.h"

/* RFC 4231 sections 4.2 to 4.8; bytes as hexadecimal digits. */
#define AA_10 "aaaaaaaaaaaaaaaaaaaa"
#define AA_131                                                                 \
	AA_10 AA_10 AA_10 AA_10 AA_10 AA_10 AA_10 AA_10 AA_10 AA_10 AA_10      \
	    AA_10 AA_10 "aa"
#define DD_10 "dddddddddddddddddddd"
#define CD_10 "cdcdcdcdcdcdcdcdcdcd"

static const struct {
	const char *name, *key, *text;
	const char *data; /* in hexadecimal, where text is NULL */
	const char *digest;
} vectors[] = {
    {"RFC 4231 case 1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There",
	NULL,
	"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231 case 2", "4a656665", "what do ya want for nothing?", NULL,
	"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"RFC 4231 case 3", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL,
	DD_10 DD_10 DD_10 DD_10 DD_10,
	"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"RFC 4231 case 4", "0102030405060708090a0b0c0d0e0f10111213141516171819",
	NULL, CD_10 CD_10 CD_10 CD_10 CD_10,
	"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"RFC 4231 case 5, not truncated",
	"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "Test With Truncation",
	NULL,
	"a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5"},
    {"RFC 4231 case 6: a key longer than a block", AA_131,
	"Test Using Larger Than Block-Size Key - Hash Key First", NULL,
	"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"RFC 4231 case 7: and much data", AA_131,
	"This is a test using a larger than block-size key and a larger than "
	"block-size data. The key needs to be hashed before being used by the "
	"HMAC algorithm.",
	NULL,
	"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"no data", "4a656665", "", NULL,
	"923598ca6d64af2a5dba79dcd021a8a0fe5c5f557519adaaf0ad532d4506dd30"},
};

static void *
from_hex(const char *hex, size_t *size)
{
	unsigned char *bytes = mem_alloc(strlen(hex));
	unsigned int byte;

	for (*size = 0; sscanf(hex + 2 * *size, "%2x", &byte) == 1; ++*size)
		bytes[*size] = (unsigned char)byte;
	return bytes;
}

static void
check_vector(size_t n)
{
	char hex[HMAC_HEX_SIZE + 1], name[100];
	struct hmac_part parts[3] = {{0}};
	size_t size, key_size;
	void *key = from_hex(vectors[n].key, &key_size);
	char *data = vectors[n].text != NULL ? mem_copy(vectors[n].text)
					     : from_hex(vectors[n].data, &size);

	if (vectors[n].text != NULL)
		size = strlen(vectors[n].text);
	parts[0] = (struct hmac_part){data, size};
	hmac_sha256_hex(hex, key, key_size, parts, 1);
	is_text(hex, vectors[n].digest, vectors[n].name);

	parts[0] = (struct hmac_part){data, size / 3};
	parts[1] = (struct hmac_part){NULL, 0};
	parts[2] = (struct hmac_part){data + size / 3, size - size / 3};
	hmac_sha256_hex(hex, key, key_size, parts, 3);
	snprintf(name, sizeof(name), "%s, in parts", vectors[n].name);
	is_text(hex, vectors[n].digest, name);
	free(data);
	free(key);
}

static void
check_equal(void)
{
	char a[HMAC_SIZE] = {0}, b[HMAC_SIZE] = {0};

	ok(hmac_equal(a, b, sizeof(a)), "equal bytes are equal");
	b[0] = 1;
	ok(!hmac_equal(a, b, sizeof(a)), "the first byte counts");
	b[0] = 0;
	b[HMAC_SIZE - 1] = '\200';
	ok(!hmac_equal(a, b, sizeof(a)), "the last byte counts");
	ok(hmac_equal(a, b, 0), "nothing is equal to nothing");
}

/* RFC 4648 section 10, and then some. */
static const struct {
	const char *text, *bytes; /* NULL: no base64 */
} codes[] = {
    {"", ""},
    {"Zg==", "f"},
    {"Zm8=", "fo"},
    {"Zm9v", "foo"},
    {"Zm9vYg==", "foob"},
    {"Zm9vYmE=", "fooba"},
    {"Zm9vYmFy", "foobar"},
    {"/+7/", "\xff\xee\xff"},
    {"Z", NULL},
    {"Zg", NULL},
    {"Zg=", NULL},
    {"Zg===", NULL},
    {"Zm9vZg==Zm9v", NULL},
    {"Zh==", NULL},
    {"====", NULL},
    {"_-7_", NULL},
    {"Zm 9v", NULL},
    {"Zm9v\t", NULL},
    {" Zm9v", NULL},
    {"Zm\2009v", NULL},
    {"Zm9v!", NULL},
};

static void
check_code(const char *text, const char *bytes)
{
	char decoded[40] = {0}, encoded[40], name[80];
	size_t size;
	bool good = base64_decode(decoded, &size, text, strlen(text));

	snprintf(name, sizeof(name), "base64 \"%s\"", text);
	if (!ok(good == (bytes != NULL), "%s is%s taken", name,
		bytes != NULL ? "" : " not") ||
	    bytes == NULL)
		return;
	decoded[size] = '\0';
	is_text(decoded, bytes, name);
	base64_encode(encoded, bytes, strlen(bytes));
	is_text(encoded, text, name);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		check_vector(i);
	check_equal();
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		check_code(codes[i].text, codes[i].bytes);
	return tap_end();
}
