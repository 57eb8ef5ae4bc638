/*
 * Any bytes at all as header, secret, id or body of a signature, and what
 * signature.h promises: a header is taken if it holds, beside whatever else,
 * what only who knows the secret can have made, and refused if not. Linked with
 * -fsanitize=fuzzer it searches; with FUZZ_MAIN defined it runs over the files
 * it is given.
 *
 * The input is a line, which is the header or what stands for it, and the body.
 */
#include "decide/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/hmac.h"
#include "base/mem.h"

#define NOW INT64_C(1795000000)
#define NOW_TEXT "1795000000"
#define SECRET "whsec_b25lIG9mIHRoZSBzZWNyZXRz"
#define KEY "one of the secrets"
#define SECRETS "whsec_dHdvIG9mIHRoZSBzZWNyZXRz " SECRET

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t *body;
static size_t body_size;

static void
expect(bool fact, const char *words)
{
	if (fact)
		return;
	fprintf(stderr, "signature: broken promise: %s\n", words);
	abort();
}

/* What a call came to is what it should, and what it says is no secret. */
static void
expect_verdict(
    bool taken, bool wanted, int which, const struct error *error, char *words)
{
	expect(taken == wanted, words);
	expect(!taken || which == 2, "the secret that fits is the second");
	expect(taken || error->kind == ERROR_AUTH, "a refusal is ERROR_AUTH");
	expect(strstr(error->text, SECRET) == NULL, "no error tells a secret");
	free(words);
}

/*
 * Stripe.
 */

/* Whether one of its parts begins with t=. */
static bool
has_time(const char *header)
{
	for (; header != NULL; header = strchr(header, ','))
		if (strncmp(header += *header == ',', "t=", 2) == 0)
			return true;
	return false;
}

static void
check_stripe(char *header, bool wanted)
{
	struct error error = {0};
	int which = 0;
	bool taken = signature_stripe(
	    header, body, body_size, SECRETS, NOW, &which, &error);

	expect_verdict(taken, wanted, which, &error,
	    mem_format("Stripe, %s: %s", wanted ? "good" : "bad", header));
	free(header);
}

static void
fuzz_stripe(const char *text)
{
	char hex[HMAC_HEX_SIZE + 1];
	const struct hmac_part parts[] = {
	    {NOW_TEXT ".", strlen(NOW_TEXT ".")}, {body, body_size}};
	bool wanted =
	    !has_time(text) && strlen(text) + 81 <= SIGNATURE_HEADER_MAX;

	hmac_sha256_hex(hex, SECRET, strlen(SECRET), parts, 2);
	if (strstr(text, hex) == NULL)
		check_stripe(mem_copy(text), false);
	check_stripe(mem_format("%s,t=" NOW_TEXT ",v1=%s", text, hex), wanted);
	check_stripe(mem_format("t=" NOW_TEXT ",v1=%s,%s", hex, text), wanted);
	check_stripe(mem_format("t=" NOW_TEXT ",%s,v1=%s", text, hex), wanted);
}

/*
 * Retell.
 */

static void
check_retell(char *header, bool wanted)
{
	struct error error = {0};
	int which = 0;
	bool taken = signature_retell(
	    header, body, body_size, SECRETS, NOW * 1000, &which, &error);

	expect_verdict(taken, wanted, which, &error,
	    mem_format("Retell, %s: %s", wanted ? "good" : "bad", header));
	free(header);
}

static void
fuzz_retell(const char *text)
{
	char hex[HMAC_HEX_SIZE + 1];
	const struct hmac_part parts[] = {
	    {body, body_size}, {NOW_TEXT "000", strlen(NOW_TEXT "000")}};

	hmac_sha256_hex(hex, SECRET, strlen(SECRET), parts, 2);
	if (strstr(text, hex) == NULL)
		check_retell(mem_copy(text), false);
	check_retell(
	    mem_format("v=" NOW_TEXT "000,d=%s%s", hex, text), *text == '\0');
	check_retell(
	    mem_format("%sv=" NOW_TEXT "000,d=%s", text, hex), *text == '\0');
}

/*
 * Standard Webhooks.
 */

static void
check_standard(const char *id, char *header, bool wanted)
{
	struct error error = {0};
	int which = 0;
	bool taken = signature_standard(id, NOW_TEXT, header, body, body_size,
	    SECRETS, NOW, &which, &error);

	expect_verdict(taken, wanted, which, &error,
	    mem_format("standard, %s: %s", wanted ? "good" : "bad", header));
	free(header);
}

static void
fuzz_standard(const char *text)
{
	char code[BASE64_TEXT_SIZE(HMAC_SIZE) + 1];
	uint8_t digest[HMAC_SIZE];
	struct hmac_part parts[] = {{"id", 2},
	    {"." NOW_TEXT ".", strlen("." NOW_TEXT ".")}, {body, body_size}};
	bool fits = strlen(text) + 49 <= SIGNATURE_HEADER_MAX;

	hmac_sha256(digest, KEY, strlen(KEY), parts, 3);
	base64_encode(code, digest, sizeof(digest));
	if (strstr(text, code) == NULL)
		check_standard("id", mem_copy(text), false);
	check_standard("id", mem_format("%s, v1,%s", text, code), fits);
	check_standard("id", mem_format("v1,%s, %s", code, text), fits);

	parts[0] = (struct hmac_part){text, strlen(text)};
	hmac_sha256(digest, KEY, strlen(KEY), parts, 3);
	base64_encode(code, digest, sizeof(digest));
	check_standard(text, mem_format("v1,%s", code),
	    *text != '\0' && strchr(text, '.') == NULL &&
		strlen(text) <= SIGNATURE_HEADER_MAX);
}

/* As configured secrets, which then are behind whsec_ or not. */
static void
fuzz_secrets(const char *text)
{
	char *secrets = mem_format("whsec_%s", text);
	struct error error = {0};

	expect(!signature_standard("id", NOW_TEXT, "v1,x", body, body_size,
		   secrets, NOW, NULL, &error) &&
		(error.kind == ERROR_AUTH || error.kind == ERROR_CONF),
	    "nothing is signed so, whatever the secret");
	expect(strlen(text) < 24 || strstr(error.text, text) == NULL,
	    "no error tells a secret");
	free(secrets);
	expect(!signature_stripe("t=" NOW_TEXT ",v1=x", body, body_size, text,
		   NOW, NULL, &error) &&
		error.kind == ERROR_AUTH,
	    "nor so");
}

/*
 * Bearer tokens.
 */

static void
fuzz_bearer(const char *text)
{
	const char *known = strstr(text, SECRET);
	struct error error = {0};
	char *header = mem_format("Bearer %s", text);
	int which = 0;

	expect(
	    known != NULL || !signature_bearer(header, SECRETS, &which, &error),
	    "only who knows it has it");
	free(header);
	header = mem_format("%sBearer " SECRET, text);
	if (signature_bearer(header, SECRETS, &which, &error))
		expect(
		    text[strspn(text, " \t")] == '\0', "but blanks, nothing");
	free(header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = memchr(bytes, '\n', size);
	size_t line = end != NULL ? (size_t)(end - bytes) : size;
	char *text = mem_copy_bytes(bytes, line);

	body = end != NULL ? end + 1 : bytes;
	body_size = end != NULL ? size - line - 1 : 0;
	fuzz_stripe(text);
	fuzz_retell(text);
	fuzz_standard(text);
	fuzz_secrets(text);
	fuzz_bearer(text);
	free(text);
	return 0;
}

#ifdef FUZZ_MAIN
int
main(int argc, char *argv[])
{
	static uint8_t bytes[1 << 20];
	int i;

	for (i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		if (file == NULL) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(
		    bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	return 0;
}
#endif
