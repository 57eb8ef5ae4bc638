#include "decide/signature.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/hmac.h"
#include "base/mem.h"

#define BLANKS " \t\r\n"
#define DIGITS "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"

#define STRIPE "Stripe-Signature"
#define RETELL "X-Retell-Signature"
#define STANDARD "webhook-signature"
#define STANDARD_SIZE BASE64_TEXT_SIZE(HMAC_SIZE)

/* Some of a text. */
struct slice {
	const char *data;
	size_t size;
};

/* The next of those that separators part, from *at on; none of them is empty.
 * False at the end. */
static bool
next_slice(struct slice *slice, const char **at, const char *separators)
{
	slice->data = *at + strspn(*at, separators);
	slice->size = strcspn(slice->data, separators);
	*at = slice->data + slice->size;
	return slice->size > 0;
}

/* What is behind the prefix; false if the slice does not begin with it. */
static bool
behind(struct slice *rest, const struct slice *slice, const char *prefix)
{
	size_t size = strlen(prefix);

	if (slice->size < size || memcmp(slice->data, prefix, size) != 0)
		return false;
	rest->data = slice->data + size;
	rest->size = slice->size - size;
	return true;
}

static bool
read_number(int64_t *number, const struct slice *digits)
{
	size_t i;

	*number = 0;
	for (i = 0; i < digits->size; i++) {
		int digit = digits->data[i] - '0';

		if (digit < 0 || digit > 9 ||
		    *number > (INT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return digits->size > 0;
}

/*
 * What all schemes ask first and last.
 */

static bool
check_secrets(const char *secrets, struct error *error)
{
	if (secrets != NULL && secrets[strspn(secrets, BLANKS)] != '\0')
		return true;
	return error_set(
	    error, ERROR_AUTH, "no secret is configured to verify this with");
}

static bool
check_header(const char *name, const char *value, struct error *error)
{
	if (value == NULL || *value == '\0')
		return error_set(
		    error, ERROR_AUTH, "there is no %s header", name);
	if (strlen(value) > SIGNATURE_HEADER_MAX)
		return error_set(error, ERROR_AUTH,
		    "the %s header is longer than %d bytes", name,
		    SIGNATURE_HEADER_MAX);
	return true;
}

static bool
check_fit(int fit, const char *name, struct error *error)
{
	return fit != 0 ||
	    error_set(error, ERROR_AUTH,
		"no configured secret fits the %s header and this body: is it "
		"the one of this endpoint, and do the bytes arrive as they were "
		"sent?",
		name);
}

/* Both times count seconds, or milliseconds if there are 1000 per second. */
static bool
check_age(int64_t then, int64_t now, int per_second, const char *name,
    struct error *error)
{
	const uint64_t away = then < now ? (uint64_t)now - (uint64_t)then
					 : (uint64_t)then - (uint64_t)now;

	if (away <= (uint64_t)SIGNATURE_TOLERANCE_S * (uint64_t)per_second)
		return true;
	return error_set(error, ERROR_AUTH,
	    "the %s header is of a time %" PRIu64 " %s %s, and %d s are the "
	    "most: is this machine's clock right?",
	    name, away, per_second == 1 ? "s" : "ms",
	    then < now ? "ago" : "ahead", SIGNATURE_TOLERANCE_S);
}

static bool
give(int *which, int fit)
{
	if (which != NULL)
		*which = fit;
	return true;
}

/*
 * Stripe.
 */

/* The one t of the header. */
static bool
read_stripe(struct slice *time, int64_t *seconds, const char *header,
    struct error *error)
{
	int times = 0, signatures = 0;
	struct slice part, value;

	while (next_slice(&part, &header, ",")) {
		signatures += behind(&value, &part, "v1=");
		if (behind(&value, &part, "t=")) {
			*time = value;
			times++;
		}
	}
	if (times != 1)
		return error_set(error, ERROR_AUTH,
		    "the %s header has %s t=", STRIPE,
		    times == 0 ? "no" : "more than one");
	if (!read_number(seconds, time))
		return error_set(error, ERROR_AUTH,
		    "t= of the %s header is no number of seconds", STRIPE);
	if (signatures == 0)
		return error_set(error, ERROR_AUTH,
		    "the %s header has no v1= signature", STRIPE);
	return true;
}

static bool
stripe_lists(const char *header, const char *hex)
{
	struct slice part, value;
	bool found = false;

	while (next_slice(&part, &header, ","))
		if (behind(&value, &part, "v1=") && value.size == HMAC_HEX_SIZE)
			found |= hmac_equal(value.data, hex, HMAC_HEX_SIZE);
	return found;
}

bool
signature_stripe(const char *header, const void *body, size_t size,
    const char *secrets, int64_t now, int *which, struct error *error)
{
	char hex[HMAC_HEX_SIZE + 1];
	struct slice time = {NULL, 0}, secret;
	int64_t seconds = 0;
	int n, fit = 0;

	if (!check_secrets(secrets, error) ||
	    !check_header(STRIPE, header, error) ||
	    !read_stripe(&time, &seconds, header, error))
		return false;
	for (n = 1; next_slice(&secret, &secrets, BLANKS); n++) {
		const struct hmac_part parts[] = {
		    {time.data, time.size}, {".", 1}, {body, size}};

		hmac_sha256_hex(hex, secret.data, secret.size, parts, 3);
		if (stripe_lists(header, hex) && fit == 0)
			fit = n;
	}
	return check_fit(fit, STRIPE, error) &&
	    check_age(seconds, now, 1, STRIPE, error) && give(which, fit);
}

/*
 * Retell.
 */

/* ^v=(\d+),d=([0-9a-f]{64})$ in either case; hex becomes lower case. */
static bool
read_retell(struct slice *time, char hex[HMAC_HEX_SIZE], const char *header)
{
	size_t i;

	if (strncasecmp(header, "v=", 2) != 0)
		return false;
	time->data = header + 2;
	time->size = strspn(time->data, DIGITS);
	header = time->data + time->size;
	if (strncasecmp(header, ",d=", 3) != 0)
		return false;
	header += 3;
	if (strlen(header) != HMAC_HEX_SIZE ||
	    strspn(header, HEX_DIGITS) != HMAC_HEX_SIZE)
		return false;
	for (i = 0; i < HMAC_HEX_SIZE; i++)
		hex[i] = (char)(header[i] | 0x20); /* a digit has that bit */
	return true;
}

bool
signature_retell(const char *header, const void *body, size_t size,
    const char *keys, int64_t now_ms, int *which, struct error *error)
{
	char hex[HMAC_HEX_SIZE + 1], given[HMAC_HEX_SIZE];
	struct slice time = {NULL, 0}, key;
	int64_t then_ms = 0;
	int n, fit = 0;

	if (!check_secrets(keys, error) || !check_header(RETELL, header, error))
		return false;
	if (!read_retell(&time, given, header) || !read_number(&then_ms, &time))
		return error_set(error, ERROR_AUTH,
		    "the %s header is not v=<milliseconds>,d=<64 digits>",
		    RETELL);
	for (n = 1; next_slice(&key, &keys, BLANKS); n++) {
		const struct hmac_part parts[] = {
		    {body, size}, {time.data, time.size}};

		hmac_sha256_hex(hex, key.data, key.size, parts, 2);
		if (hmac_equal(given, hex, HMAC_HEX_SIZE) && fit == 0)
			fit = n;
	}
	return check_fit(fit, RETELL, error) &&
	    check_age(then_ms, now_ms, 1000, RETELL, error) && give(which, fit);
}

/*
 * Standard Webhooks.
 */

static bool
check_standard(const char *id, const char *timestamp, const char *header,
    int64_t *seconds, struct error *error)
{
	if (!check_header("webhook-id", id, error) ||
	    !check_header("webhook-timestamp", timestamp, error) ||
	    !check_header(STANDARD, header, error))
		return false;
	if (strchr(id, '.') != NULL)
		return error_set(
		    error, ERROR_AUTH, "the webhook-id header has a dot in it");
	if (!read_number(
		seconds, &(struct slice){timestamp, strlen(timestamp)}))
		return error_set(error, ERROR_AUTH,
		    "the webhook-timestamp header is no number of seconds");
	return true;
}

/* Sign with the key that the code holds; false if that is no base64. */
static bool
sign_standard(char signature[STANDARD_SIZE + 1], const struct slice *code,
    const struct hmac_part *parts, size_t parts_count)
{
	uint8_t digest[HMAC_SIZE], *key = mem_alloc(BASE64_ROOM(code->size));
	size_t size = 0;
	bool ok = base64_decode(key, &size, code->data, code->size) && size > 0;

	if (ok) {
		hmac_sha256(digest, key, size, parts, parts_count);
		base64_encode(signature, digest, sizeof(digest));
	}
	mem_wipe(key, BASE64_ROOM(code->size));
	free(key);
	return ok;
}

static bool
standard_lists(const char *header, const char *signature)
{
	struct slice token, value;
	bool found = false;

	while (next_slice(&token, &header, " ")) {
		while (token.size > 0 && token.data[token.size - 1] == ',')
			token.size--;
		if (behind(&value, &token, "v1,") &&
		    value.size == STANDARD_SIZE)
			found |=
			    hmac_equal(value.data, signature, STANDARD_SIZE);
	}
	return found;
}

bool
signature_standard(const char *id, const char *timestamp, const char *header,
    const void *body, size_t size, const char *secrets, int64_t now, int *which,
    struct error *error)
{
	char signature[STANDARD_SIZE + 1];
	int n, keys = 0, bad = 0, fit = 0;
	struct slice secret, code;
	int64_t seconds = 0;

	if (!check_secrets(secrets, error) ||
	    !check_standard(id, timestamp, header, &seconds, error))
		return false;
	for (n = 1; next_slice(&secret, &secrets, BLANKS); n++) {
		const struct hmac_part parts[] = {{id, strlen(id)}, {".", 1},
		    {timestamp, strlen(timestamp)}, {".", 1}, {body, size}};

		if (!behind(&code, &secret, "whsec_") &&
		    !behind(&code, &secret, "v1,whsec_"))
			continue;
		keys++;
		if (!sign_standard(signature, &code, parts, 5))
			bad = n;
		else if (standard_lists(header, signature) && fit == 0)
			fit = n;
	}
	if (keys == 0)
		return error_set(error, ERROR_AUTH,
		    "no configured secret begins with whsec_");
	if (fit == 0 && bad != 0)
		return error_set(error, ERROR_CONF,
		    "secret number %d is no base64 behind whsec_: copy it once "
		    "more, to its end",
		    bad);
	return check_fit(fit, STANDARD, error) &&
	    check_age(seconds, now, 1, "webhook-timestamp", error) &&
	    give(which, fit);
}

/*
 * Bearer tokens.
 */

static bool
read_bearer(struct slice *token, const char *authorization)
{
	authorization += strspn(authorization, " \t");
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	token->data = authorization + 7 + strspn(authorization + 7, " ");
	token->size = strlen(token->data);
	while (token->size > 0 &&
	    strchr(" \t", token->data[token->size - 1]) != NULL)
		token->size--;
	return token->size > 0;
}

/* Digests are of one size, whatever the size of what they are of. */
static void
digest_slice(uint8_t digest[HMAC_SIZE], const struct slice *slice)
{
	hmac_sha256(digest, "bearer", 6,
	    &(struct hmac_part){slice->data, slice->size}, 1);
}

bool
signature_bearer(const char *authorization, const char *secrets, int *which,
    struct error *error)
{
	uint8_t given[HMAC_SIZE], wanted[HMAC_SIZE];
	struct slice token, secret;
	int n, fit = 0;

	if (!check_secrets(secrets, error) ||
	    !check_header("Authorization", authorization, error))
		return false;
	if (!read_bearer(&token, authorization))
		return error_set(error, ERROR_AUTH,
		    "the Authorization header is not \"Bearer <secret>\"");
	digest_slice(given, &token);
	for (n = 1; next_slice(&secret, &secrets, BLANKS); n++) {
		digest_slice(wanted, &secret);
		if (hmac_equal(given, wanted, HMAC_SIZE) && fit == 0)
			fit = n;
	}
	if (fit == 0)
		return error_set(error, ERROR_AUTH,
		    "the bearer token of the Authorization header is none that "
		    "is configured");
	return give(which, fit);
}
