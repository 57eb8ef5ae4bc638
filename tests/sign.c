/*
 * sign: sign the body on standard input as a sender would, or verify it as our
 * commands do, for tests.
 *
 *	sign stripe SECRET [TIME]		prints Stripe-Signature
 *	sign retell KEY [MS]			prints X-Retell-Signature
 *	sign standard SECRET [TIME [ID]]	prints webhook-signature
 *
 * each as one line, the header's value alone, as in
 *
 *	HTTP_STRIPE_SIGNATURE=$(sign stripe "$secret" <body)
 *
 * TIME is UTC seconds, MS milliseconds; without it the time is now, which is
 * what $AUTOMATE_NOW says if that is set, as it is for commands. ID is the
 * webhook-id, msg_test if not given; TIME is the webhook-timestamp. SECRET
 * begins with whsec_ for standard, perhaps with "v1," before.
 *
 *	sign verify-stripe SECRETS HEADER NOW
 *	sign verify-retell KEYS HEADER NOW_MS
 *	sign verify-standard SECRETS HEADER NOW ID TIMESTAMP
 *	sign verify-bearer SECRETS AUTHORIZATION	reads no body
 *
 * print the number of the secret that fits, from 1, and exit with 0, or say on
 * standard error why none does and exit with 77 (78: a secret is no key). NOW
 * may be - for now. Wrong operands are 64.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "decide/signature.h"

#define BODY_MAX (64 * 1024 * 1024)
#define PART(text) ((struct hmac_part){(text), strlen(text)})

static struct buf body = BUF_INIT(BODY_MAX);

static int
fail(const struct error *error)
{
	fprintf(stderr, "sign: %s\n", error->text);
	return error_status(error->kind);
}

static void
usage(void)
{
	fputs("usage: sign stripe|retell|standard SECRET [TIME [ID]] <body\n"
	      "       sign verify-SCHEME SECRETS HEADER [NOW [ID TIMESTAMP]] "
	      "<body\n",
	    stderr);
	exit(error_status(ERROR_USAGE));
}

/* What is written, or now, of which a second has so many. */
static int64_t
read_time(const char *text, int64_t per_second)
{
	char *end;
	int64_t value;

	if (text == NULL || strcmp(text, "-") == 0)
		return clock_now() * per_second;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0')
		usage();
	return value;
}

/*
 * Signing.
 */

static struct hmac_part
body_part(void)
{
	return (struct hmac_part){body.data, body.size};
}

static void
sign_stripe(const char *secret, const char *time)
{
	char hex[HMAC_HEX_SIZE + 1];

	hmac_sha256_hex(hex, secret, strlen(secret),
	    (struct hmac_part[]){PART(time), PART("."), body_part()}, 3);
	printf("t=%s,v1=%s\n", time, hex);
}

static void
sign_retell(const char *key, const char *time)
{
	char hex[HMAC_HEX_SIZE + 1];

	hmac_sha256_hex(hex, key, strlen(key),
	    (struct hmac_part[]){body_part(), PART(time)}, 2);
	printf("v=%s,d=%s\n", time, hex);
}

static void
sign_standard(const char *secret, const char *time, const char *id)
{
	const char *code = strstr(secret, "whsec_");
	char text[BASE64_TEXT_SIZE(HMAC_SIZE) + 1];
	uint8_t digest[HMAC_SIZE];
	size_t size;
	char *key;

	code = code != NULL ? code + strlen("whsec_") : secret;
	key = mem_alloc(BASE64_ROOM(strlen(code)));
	if (!base64_decode(key, &size, code, strlen(code)))
		usage();
	hmac_sha256(digest, key, size,
	    (struct hmac_part[]){
		PART(id), PART("."), PART(time), PART("."), body_part()},
	    5);
	base64_encode(text, digest, sizeof(digest));
	printf("v1,%s\n", text);
	free(key);
}

static void
sign(int argc, char *argv[])
{
	const bool is_retell = strcmp(argv[1], "retell") == 0;
	char time[32];

	snprintf(time, sizeof(time), "%" PRId64,
	    read_time(argc > 3 ? argv[3] : NULL, is_retell ? 1000 : 1));
	if (is_retell && argc <= 4)
		sign_retell(argv[2], time);
	else if (strcmp(argv[1], "stripe") == 0 && argc <= 4)
		sign_stripe(argv[2], time);
	else if (strcmp(argv[1], "standard") == 0 && argc <= 5)
		sign_standard(argv[2], time, argc > 4 ? argv[4] : "msg_test");
	else
		usage();
}

/*
 * Verifying.
 */

static bool
verify(int argc, char *argv[], int *which, struct error *error)
{
	const char *scheme = argv[1] + strlen("verify-");
	const char *secrets = argv[2], *header = argv[3];

	if (strcmp(scheme, "bearer") == 0 && argc == 4)
		return signature_bearer(header, secrets, which, error);
	if (strcmp(scheme, "stripe") == 0 && argc == 5)
		return signature_stripe(header, body.data, body.size, secrets,
		    read_time(argv[4], 1), which, error);
	if (strcmp(scheme, "retell") == 0 && argc == 5)
		return signature_retell(header, body.data, body.size, secrets,
		    read_time(argv[4], 1000), which, error);
	if (strcmp(scheme, "standard") == 0 && argc == 7)
		return signature_standard(argv[5], argv[6], header, body.data,
		    body.size, secrets, read_time(argv[4], 1), which, error);
	usage();
	return false;
}

static bool
set_clock(const char *now, struct error *error)
{
	int64_t moment;

	if (now == NULL || *now == '\0')
		return true;
	if (!clock_parse(&moment, now, error))
		return false;
	clock_set(moment);
	return true;
}

int
main(int argc, char *argv[])
{
	const bool verifying =
	    argc > 3 && strncmp(argv[1], "verify-", strlen("verify-")) == 0;
	struct error error = {0};
	int which = 0;

	if (argc < 3)
		usage();
	if (!set_clock(getenv("AUTOMATE_NOW"), &error))
		return fail(&error);
	if (strcmp(argv[1], "verify-bearer") != 0 &&
	    !buf_read(&body, STDIN_FILENO, &error))
		return fail(&error);
	if (!verifying)
		sign(argc, argv);
	else if (verify(argc, argv, &which, &error))
		printf("%d\n", which);
	buf_release(&body);
	if (error.kind != ERROR_NONE)
		return fail(&error);
	return fflush(stdout) == 0 ? 0 : error_status(ERROR_RETRY);
}
