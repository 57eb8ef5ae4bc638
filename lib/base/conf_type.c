#include "base/conf_key.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

#define HOST_ROOM 256

void *
conf_field(const struct conf *conf, const struct conf_key *key)
{
	return (char *)conf + key->offset;
}

static bool
must(const struct conf_key *key, struct error *error, const char *what)
{
	return error_set(error, ERROR_CONF, "%s (%s) must be %s", key->path,
	    key->help, what);
}

/*
 * Texts.
 */

static bool
only(const char *text, const char *allowed)
{
	return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

static bool
check_token(const struct conf_key *key, const char *value, struct error *error)
{
	for (; *value != '\0'; value++)
		if (*value <= ' ' || *value > '~')
			return must(key, error,
			    "printable ASCII without blanks or line ends");
	return true;
}

/* Several, as while one takes the place of another. */
static bool
check_tokens(const struct conf_key *key, const char *value, struct error *error)
{
	for (; *value != '\0'; value++)
		if (*value < ' ' || *value > '~' ||
		    (*value == ' ' && (value[1] == ' ' || value[1] == '\0')))
			return must(key, error,
			    "printable ASCII, with one blank between two");
	return true;
}

static bool
check_word(const struct conf_key *key, const char *value, struct error *error)
{
	return only(value, CONF_LETTERS CONF_DIGITS "_-") ||
	    must(key, error, "letters and digits");
}

static bool
check_zone(const struct conf_key *key, const char *value, struct error *error)
{
	return clock_zone_known(value) ||
	    must(key, error,
		"a zone this system knows, such as UTC or Europe/Berlin");
}

/* E.164, less the numbers too short to be anybody's. */
static bool
is_phone(const char *value)
{
	size_t size = strlen(value);

	return size >= 9 && size <= 16 && value[0] == '+' &&
	    only(value + 1, CONF_DIGITS);
}

static bool
check_phone(const struct conf_key *key, const char *value, struct error *error)
{
	return is_phone(value) || must(key, error, "+ and 8 to 15 digits");
}

/* A number, a messaging service, a short code or a sender's name. */
static bool
check_sender(const struct conf_key *key, const char *value, struct error *error)
{
	return is_phone(value) || only(value, CONF_LETTERS CONF_DIGITS) ||
	    must(key, error, "+ and 8 to 15 digits, or letters and digits");
}

/* "" or ":443" */
static bool
is_port(const char *text)
{
	if (text[0] == '\0')
		return true;
	return text[0] == ':' && only(text + 1, CONF_DIGITS) &&
	    strlen(text + 1) <= 5 && strtol(text + 1, NULL, 10) >= 1 &&
	    strtol(text + 1, NULL, 10) <= 65535;
}

/* RFC 3986 section 3.2.2, an IPv6 address without its brackets. */
static bool
is_host(const char *name, bool bracketed, bool *loopback)
{
	struct in6_addr six;
	struct in_addr four;

	if (bracketed) {
		*loopback = strcmp(name, "::1") == 0;
		return inet_pton(AF_INET6, name, &six) == 1;
	}
	*loopback = strcasecmp(name, "localhost") == 0 ||
	    (inet_pton(AF_INET, name, &four) == 1 &&
		ntohl(four.s_addr) >> 24 == 127);
	return only(name, CONF_LETTERS CONF_DIGITS ".-_");
}

/* host[:port], RFC 3986 section 3.2 without its userinfo. */
static bool
is_authority(const char *text, size_t size, bool *loopback)
{
	bool bracketed = text[0] == '[';
	char host[HOST_ROOM], *end;

	if (size >= sizeof(host))
		return false;
	memcpy(host, text, size);
	host[size] = '\0';
	end = host + strcspn(host, bracketed ? "]" : ":");
	if (bracketed && *end == '\0')
		return false;
	if (!is_port(end + bracketed))
		return false;
	*end = '\0';
	return is_host(host + bracketed, bracketed, loopback);
}

static bool
check_url(const struct conf_key *key, const char *value, struct error *error)
{
	bool https = strncasecmp(value, "https://", 8) == 0, loopback;
	const char *authority = value + (https ? 8 : 7);
	size_t size;

	if (!check_token(key, value, error))
		return false;
	if (!https && strncasecmp(value, "http://", 7) != 0)
		return must(key, error,
		    "https://..., or http://... on this machine's loopback");
	size = strcspn(authority, "/?#");
	if (memchr(authority, '@', size) != NULL)
		return must(key, error, "without a user name or password");
	if (!is_authority(authority, size, &loopback))
		return must(key, error, "a URL with a host, and a port if any");
	if (!https && !loopback)
		return must(key, error,
		    "https://..., since only loopback may do with http://");
	return true;
}

static bool
is_listed(const char *list, const char *name, size_t size)
{
	size_t length;

	for (; *list != '\0'; list += length + (list[length] == ' ')) {
		length = strcspn(list, " ");
		if (length == size && memcmp(list, name, size) == 0)
			return true;
	}
	return false;
}

static bool
check_placeholders(
    const struct conf_key *key, const char *value, struct error *error)
{
	const char *p = value;
	size_t size;

	while (*(p += strcspn(p, "{}")) != '\0') {
		size = strcspn(p + 1, "{}");
		if (*p != '{' || p[1 + size] != '}')
			return must(
			    key, error, "a template in which each { has its }");
		if (!is_listed(key->placeholders, p + 1, size))
			return error_set(error, ERROR_CONF,
			    "%s has an unknown placeholder; known are: %s",
			    key->path, key->placeholders);
		p += size + 2;
	}
	return true;
}

/* It begins as a URL, or with the link that does. */
static bool
check_template(
    const struct conf_key *key, const char *value, struct error *error)
{
	size_t size = strcspn(value, "}");

	if (!check_token(key, value, error) ||
	    !check_placeholders(key, value, error))
		return false;
	if (value[0] != '{')
		return check_url(key, value, error);
	if (size < 5 || strncmp(value + size - 4, "_url", 4) != 0 ||
	    strchr("/?#", value[size + 1]) == NULL)
		return must(key, error,
		    "a URL, or a link such as {app_url} and a path");
	return true;
}

static bool
read_text(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	if (key->type->check != NULL && !key->type->check(key, value, error))
		return false;
	mem_replace(conf_field(conf, key), value);
	return true;
}

/* Without the slash at its end: templates bring their own. */
static bool
read_link(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	char **link = conf_field(conf, key);
	size_t size;

	if (!read_text(conf, key, value, error))
		return false;
	for (size = strlen(*link); (*link)[size - 1] == '/'; size--)
		(*link)[size - 1] = '\0';
	return true;
}

char *
conf_beside(const struct conf *conf, const char *name)
{
	const char *slash =
	    conf->path != NULL ? strrchr(conf->path, '/') : NULL;

	if (name[0] == '/' || slash == NULL)
		return mem_copy(name);
	return mem_format(
	    "%.*s%s", (int)(slash - conf->path) + 1, conf->path, name);
}

static bool
read_path(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	char **path = conf_field(conf, key);

	if (value[0] == '~')
		return must(key, error,
		    "written out: ~ means nothing here, ${HOME} does");
	free(*path);
	*path = conf_beside(conf, value);
	return true;
}

static void
print_text(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	const char *text = *(char **)conf_field(conf, key);

	fputs(text != NULL ? text : "(not set)", file);
}

/*
 * Numbers.
 */

/* Digits at *text, at most nine, so that no unit can make them overflow. */
static bool
take_number(int64_t *number, const char **text)
{
	size_t size = strspn(*text, CONF_DIGITS);

	*number = strtoll(*text, NULL, 10);
	*text += size;
	return size >= 1 && size <= 9;
}

static bool
parse_number(int64_t *number, const char *value)
{
	return take_number(number, &value) && *value == '\0';
}

static void
format_number(char text[CLOCK_TEXT_MAX], int64_t number)
{
	snprintf(text, CLOCK_TEXT_MAX, "%lld", (long long)number);
}

static const struct unit {
	const char *name;
	int64_t size;
} size_units[] = {{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}},
  length_units[] = {{"d", CLOCK_DAY_S}, {"h", 3600}, {"m", 60}, {"s", 1}};

/* In the largest unit that keeps it exact. */
static void
format_in(const struct unit *unit, char *text, int64_t number)
{
	while (number == 0 ? unit->size > 1 : number % unit->size != 0)
		unit++;
	snprintf(text, CLOCK_TEXT_MAX, "%lld%s",
	    (long long)(number / unit->size), unit->name);
}

static bool
parse_size(int64_t *number, const char *value)
{
	const struct unit *unit = size_units;

	if (!take_number(number, &value))
		return false;
	while (unit->size > 1 && strcmp(unit->name, value) != 0)
		unit++;
	*number *= unit->size;
	return strcmp(unit->name, value) == 0;
}

static void
format_size(char text[CLOCK_TEXT_MAX], int64_t number)
{
	format_in(size_units, text, number);
}

static bool
parse_seconds(int64_t *number, const char *value)
{
	return clock_parse_length(number, value, NULL);
}

static void
format_seconds(char text[CLOCK_TEXT_MAX], int64_t number)
{
	format_in(length_units, text, number);
}

static bool
parse_milliseconds(int64_t *number, const char *value)
{
	if (!parse_seconds(number, value))
		return false;
	*number *= 1000;
	return true;
}

static void
format_milliseconds(char text[CLOCK_TEXT_MAX], int64_t number)
{
	format_seconds(text, number / 1000);
}

static bool
parse_rate(int64_t *number, const char *value)
{
	if (!take_number(number, &value))
		return false;
	if (strcmp(value, "/s") == 0)
		*number *= 60;
	return strcmp(value, "/s") == 0 || strcmp(value, "/m") == 0;
}

static void
format_rate(char text[CLOCK_TEXT_MAX], int64_t number)
{
	snprintf(text, CLOCK_TEXT_MAX, number > 0 ? "%lld/m" : "unlimited",
	    (long long)number);
}

static bool
read_number(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	const struct conf_type *type = key->type;
	char least[CLOCK_TEXT_MAX], most[CLOCK_TEXT_MAX];
	int64_t number;

	if (type->parse(&number, value) && number >= key->least &&
	    number <= key->most) {
		*(int64_t *)conf_field(conf, key) = number;
		return true;
	}
	type->format(least, key->least);
	type->format(most, key->most);
	return error_set(error, ERROR_CONF, "%s (%s) must be %s, from %s to %s",
	    key->path, key->help, type->form, least, most);
}

static bool
read_rate(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	if (strcmp(value, "unlimited") != 0)
		return read_number(conf, key, value, error);
	*(int64_t *)conf_field(conf, key) = 0;
	return true;
}

static void
print_number(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	char text[CLOCK_TEXT_MAX];

	key->type->format(text, *(int64_t *)conf_field(conf, key));
	fputs(text, file);
}

/*
 * Choices and hours.
 */

static bool
read_flag(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	bool *flag = conf_field(conf, key);

	*flag = strcmp(value, "true") == 0;
	return *flag || strcmp(value, "false") == 0 ||
	    must(key, error, "true or false");
}

static void
print_flag(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	fputs(*(bool *)conf_field(conf, key) ? "true" : "false", file);
}

static bool
read_provider(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	enum conf_dialect *dialect = conf_field(conf, key);

	if (strcmp(value, "twilio") == 0)
		*dialect = CONF_TWILIO;
	else if (strcmp(value, "webhook") == 0)
		*dialect = CONF_SMS_WEBHOOK;
	else
		return must(key, error, "twilio or webhook");
	return true;
}

static void
print_provider(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	enum conf_dialect *dialect = conf_field(conf, key);

	fputs(*dialect == CONF_TWILIO ? "twilio" : "webhook", file);
}

/* Digits where form has digits, and its very bytes elsewhere. */
static bool
looks_like(const char *value, const char *form)
{
	for (; *form != '\0'; form++, value++)
		if (isdigit((unsigned char)*form)
			? !isdigit((unsigned char)*value)
			: *value != *form)
			return false;
	return *value == '\0';
}

static bool
parse_hour(int64_t *second, const char *text)
{
	long hour = strtol(text, NULL, 10), minute = strtol(text + 3, NULL, 10);

	*second = hour * 3600 + minute * 60;
	return hour < 24 && minute < 60;
}

static bool
read_hours(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	struct conf_hours *hours = conf_field(conf, key);

	if (!looks_like(value, "22:00-07:00") ||
	    !parse_hour(&hours->from_s, value) ||
	    !parse_hour(&hours->until_s, value + 6))
		return must(key, error, "hours such as 22:00-07:00");
	return true;
}

static void
print_hours(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	const struct conf_hours *hours = conf_field(conf, key);
	int from = (int)hours->from_s / 60, until = (int)hours->until_s / 60;

	if (from == until)
		fputs("(not set)", file);
	else
		fprintf(file, "%02d:%02d-%02d:%02d", from / 60, from % 60,
		    until / 60, until % 60);
}

static bool
read_day(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	char moment[CLOCK_TEXT_MAX];

	if (looks_like(value, "2026-11-28")) {
		snprintf(moment, sizeof(moment), "%sT00:00:00Z", value);
		if (clock_parse(conf_field(conf, key), moment, NULL))
			return true;
	}
	return must(key, error, "a day such as 2026-11-28");
}

static void
print_day(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	const int64_t *day_at = conf_field(conf, key);
	char text[CLOCK_TEXT_MAX];

	if (*day_at == 0)
		fputs("(not set)", file);
	else
		fprintf(file, "%.10s", clock_format(text, *day_at));
}

/* The word of that number, from 1, and its size; NULL: there is none. */
static const char *
nth_word(const char *words, int64_t number, size_t *size)
{
	for (;; words += *size + 1) {
		*size = strcspn(words, " ");
		if (number-- <= 1)
			return number == 0 ? words : NULL;
		if (words[*size] == '\0')
			return NULL;
	}
}

static bool
read_choice(struct conf *conf, const struct conf_key *key, const char *value,
    struct error *error)
{
	int64_t *choice = conf_field(conf, key), number;
	const char *word;
	size_t size;

	for (number = 1; (word = nth_word(key->choices, number, &size)) != NULL;
	     number++)
		if (strlen(value) == size && memcmp(word, value, size) == 0) {
			*choice = number;
			return true;
		}
	return error_set(error, ERROR_CONF, "%s (%s) must be one of: %s",
	    key->path, key->help, key->choices);
}

static void
print_choice(const struct conf *conf, const struct conf_key *key, FILE *file)
{
	const int64_t *choice = conf_field(conf, key);
	const char *word;
	size_t size;

	word = nth_word(key->choices, *choice, &size);
	if (word == NULL)
		fputs("(not set)", file);
	else
		fprintf(file, "%.*s", (int)size, word);
}

#define TEXT(reader, checker)                                                  \
	{                                                                      \
		.read = reader, .print = print_text, .is_text = true,          \
		.check = checker                                               \
	}
#define NUMBER(reader, words, unit)                                            \
	{                                                                      \
		.read = reader, .print = print_number, .form = words,          \
		.parse = parse_##unit, .format = format_##unit                 \
	}

const struct conf_type conf_text = TEXT(read_text, NULL);
const struct conf_type conf_token = TEXT(read_text, check_token);
const struct conf_type conf_tokens = TEXT(read_text, check_tokens);
const struct conf_type conf_word = TEXT(read_text, check_word);
const struct conf_type conf_path = TEXT(read_path, NULL);
const struct conf_type conf_url = TEXT(read_text, check_url);
const struct conf_type conf_link = TEXT(read_link, check_url);
const struct conf_type conf_template = TEXT(read_text, check_template);
const struct conf_type conf_zone = TEXT(read_text, check_zone);
const struct conf_type conf_phone = TEXT(read_text, check_phone);
const struct conf_type conf_sender = TEXT(read_text, check_sender);
const struct conf_type conf_number = NUMBER(read_number, "a number", number);
const struct conf_type conf_size =
    NUMBER(read_number, "a size such as 8MiB, 512KiB or plain bytes", size);
const struct conf_type conf_seconds =
    NUMBER(read_number, "a length of time such as 30s, 5m, 4h or 90d", seconds);
const struct conf_type conf_milliseconds =
    NUMBER(read_number, "a length of time such as 30s or 2m", milliseconds);
const struct conf_type conf_rate =
    NUMBER(read_rate, "unlimited, or a rate such as 20/s or 600/m", rate);
const struct conf_type conf_flag = {.read = read_flag, .print = print_flag};
const struct conf_type conf_provider = {
    .read = read_provider, .print = print_provider};
const struct conf_type conf_choice = {
    .read = read_choice, .print = print_choice};
const struct conf_type conf_hours = {.read = read_hours, .print = print_hours};
const struct conf_type conf_day = {.read = read_day, .print = print_day};

bool
conf_read_value(struct conf *conf, const struct conf_key *key,
    const char *value, struct error *error)
{
	const char *p;

	for (p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return must(
			    key, error, "one line without control characters");
	return key->type->read(conf, key, value, error);
}
