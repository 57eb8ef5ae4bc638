#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"
#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define KEY_SHOWN_MAX 40
#define PATH_PART_SIZE 128

/*
 * A text on its way to jansson. Where something in it had to change, copy holds
 * what comes before done as jansson is to see it.
 */
struct draft {
	const char *text; /* as given */
	const char *start; /* behind the byte order mark */
	const char *end;
	const char *done;
	struct buf copy;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 8259 section 2. */
static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* RFC 8259 section 6, without fraction and exponent, and within int64_t. */
static bool
read_integer(int64_t *value, const char *p, const char *end)
{
	const bool negative = p < end && *p == '-';
	int64_t total = 0; /* negative, since that side reaches further */

	p += negative;
	if (p == end || (*p == '0' && end - p > 1))
		return false;
	for (; p < end; p++) {
		int digit = *p - '0';

		if (!is_digit(*p) || total < (INT64_MIN + digit) / 10)
			return false;
		total = total * 10 - digit;
	}
	if (!negative && total == INT64_MIN)
		return false;
	*value = negative ? total : -total;
	return true;
}

/* RFC 8259 section 6. */
static bool
is_number(const char *p, const char *end)
{
	const char *digits = p += p < end && *p == '-';

	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return false;
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		digits = p += p < end && (*p == '+' || *p == '-');
		p = skip_digits(p, end);
		if (p == digits)
			return false;
	}
	return p == end;
}

/* Put the line and the column of at before the error. Always false. */
static bool
locate(const struct draft *draft, const char *at, struct error *error)
{
	const char *line_start = draft->text, *newline;
	size_t line = 1;

	while ((newline = memchr(
		    line_start, '\n', (size_t)(at - line_start))) != NULL) {
		line_start = newline + 1;
		line++;
	}
	return error_at(
	    error, "line %zu, column %zu", line, (size_t)(at - line_start) + 1);
}

/* Put words in the place of the size bytes at p. */
static void
splice(struct draft *draft, const char *p, size_t size, const char *words)
{
	buf_add(&draft->copy, draft->done, (size_t)(p - draft->done));
	buf_text(&draft->copy, words);
	draft->done = p + size;
}

/* The value of the escape \uXXXX at p; -1 if there is none. */
static int
unicode_escape(const char *p, const char *end)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	int i, value = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (i = 2; i < 6; i++) {
		const char *digit = memchr(hex, p[i], sizeof(hex) - 1);

		if (digit == NULL)
			return -1;
		value = value * 16 + (int)(digit - hex);
		if (digit - hex > 15)
			value -= 6;
	}
	return value;
}

/*
 * Behind the escape at p. Half a surrogate pair (RFC 8259 section 7) and NUL
 * become U+FFFD, which has as many bytes, so that positions stay true.
 */
static const char *
scan_escape(struct draft *draft, const char *p)
{
	int value = unicode_escape(p, draft->end);

	if (value == -1)
		return draft->end - p < 2 ? draft->end : p + 2;
	if ((value & 0xFC00) == 0xD800 &&
	    (unicode_escape(p + 6, draft->end) & 0xFC00) == 0xDC00)
		return p + 12;
	if (value == 0 || (value & 0xF800) == 0xD800)
		splice(draft, p, 6, "\\uFFFD");
	return p + 6;
}

/*
 * Move *at behind the string that opens there; false, at the place, for a
 * control character in it (RFC 8259 section 7).
 */
static bool
scan_string(struct draft *draft, const char **at)
{
	const char *p = *at + 1, *end = draft->end;

	while (p < end && *p != '"' && (unsigned char)*p >= 0x20)
		p = *p == '\\' ? scan_escape(draft, p) : p + 1;
	*at = p < end && *p == '"' ? p + 1 : p;
	return p == end || *p == '"';
}

static bool
is_key(const char *behind, const char *end)
{
	behind = skip_blanks(behind, end);
	return behind < end && *behind == ':';
}

/*
 * Behind the number at p, which is put in quotes if int64_t cannot hold it.
 * What is no number, or stands for a key, is left for jansson to refuse.
 */
static const char *
scan_number(struct draft *draft, const char *p)
{
	const char *behind = p, *end = draft->end;
	int64_t value;

	while (behind < end &&
	    (is_digit(*behind) || *behind == '-' || *behind == '+' ||
		*behind == '.' || *behind == 'e' || *behind == 'E'))
		behind++;
	if (!read_integer(&value, p, behind) && is_number(p, behind) &&
	    !is_key(behind, end)) {
		splice(draft, p, 0, "\"");
		splice(draft, behind, 0, "\"");
	}
	return behind;
}

/*
 * One pass over the text for what jansson would not do as json.h says. Where
 * this reads the text wrongly, it is no JSON, and jansson stops at that place.
 */
static bool
prepare(struct draft *draft, struct error *error)
{
	const char *p = draft->start;
	ptrdiff_t depth = 0;

	while (p < draft->end)
		switch (*p) {
		case '"':
			if (scan_string(draft, &p))
				break;
			error_set(
			    error, ERROR_DATA, "control character in a string");
			return locate(draft, p, error);
		case '{':
		case '[':
			if (++depth <= JSON_DEPTH_MAX) {
				p++;
				break;
			}
			error_set(error, ERROR_DATA, "nesting deeper than %d",
			    JSON_DEPTH_MAX);
			return locate(draft, p, error);
		case '}':
		case ']':
			depth--;
			p++;
			break;
		case '\0': /* jansson passes over some of these */
			error_set(error, ERROR_DATA, "NUL byte");
			return locate(draft, p, error);
		default:
			if (is_digit(*p) || *p == '-')
				p = scan_number(draft, p);
			else
				p++;
		}
	if (draft->copy.size > 0)
		splice(draft, draft->end, 0, "");
	return true;
}

/*
 * The place in the text as given of an offset in what jansson saw. They differ
 * by the quotes around numbers.
 */
static const char *
place(const struct draft *draft, size_t offset)
{
	const char *seen = draft->copy.data, *p = draft->start;
	size_t i;

	if (seen == NULL)
		return offset < (size_t)(draft->end - p) ? p + offset
							 : draft->end;
	for (i = 0; i < offset && i < draft->copy.size; i++)
		if (p < draft->end && (seen[i] != '"' || *p == '"'))
			p++;
	return p;
}

/* Of a name, a literal or a number. */
static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    is_digit(c) || c == '-' || c == '+' || c == '.' ||
	    (unsigned char)c >= 0x80;
}

/* Whether the quote at p, in a text from start, is behind a backslash. */
static bool
is_escaped(const char *start, const char *p)
{
	const char *slash = p;

	while (slash > start && slash[-1] == '\\')
		slash--;
	return (p - slash) % 2 != 0;
}

/* Where the token starts that ends before p. */
static const char *
token_start(const struct draft *draft, const char *p)
{
	const char *start = draft->start;

	if (p > start && *--p == '"')
		do
			p -= p > start;
		while (p > start && (*p != '"' || is_escaped(start, p)));
	while (p > start && is_word(*p) && is_word(p[-1]))
		p--;
	return p;
}

/* The key between the quotes at key and before end, cut at a character. */
static void
name_key(struct error *error, const char *key, const char *end)
{
	ptrdiff_t size = end - key - 2;

	key++;
	if (size > KEY_SHOWN_MAX)
		for (size = KEY_SHOWN_MAX; (key[size] & 0xC0) == 0x80; size--)
			;
	error_set(error, ERROR_DATA, "duplicate key \"%.*s\"", (int)size, key);
}

/* What jansson found, in its words, less their " near 'SOME OF THE TEXT'". */
static bool
refuse(const struct draft *draft, json_error_t *found, struct error *error)
{
	const char *end = place(draft, (size_t)found->position);
	const char *start = token_start(draft, end);
	char *near = strstr(found->text, " near ");

	switch (json_error_code(found)) {
	case json_error_invalid_utf8:
		error_set(error, ERROR_DATA, "invalid UTF-8");
		return locate(draft, end, error);
	case json_error_premature_end_of_input:
		error_set(error, ERROR_DATA, "the text ends too early");
		return locate(draft, end, error);
	case json_error_end_of_input_expected:
		error_set(error, ERROR_DATA,
		    "something follows the end of the document");
		break;
	case json_error_duplicate_key: name_key(error, start, end); break;
	default:
		if (near != NULL)
			*near = '\0';
		error_set(error, ERROR_DATA, "%s", found->text);
	}
	return locate(draft, start, error);
}

static bool
load(json_t **value, const struct draft *draft, struct error *error)
{
	const bool copied = draft->copy.size > 0;
	json_error_t found;

	*value = json_loadb(copied ? draft->copy.data : draft->start,
	    copied ? draft->copy.size : (size_t)(draft->end - draft->start),
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &found);
	return *value != NULL || refuse(draft, &found, error);
}

static void *
allocate(size_t size)
{
	return mem_resize(NULL, size, 1);
}

/*
 * Have jansson end the process too, rather than lose a value in silence. Said
 * once, since a second thread may be at work when it is asked for again.
 */
static void
use_mem(void)
{
	static bool used;

	if (used)
		return;
	used = true;
	json_set_alloc_funcs(allocate, free);
}

bool
json_parse(json_t **value, const char *text, size_t size, struct error *error)
{
	struct draft draft = {
	    text, text, text + size, text, BUF_INIT(SIZE_MAX)};
	bool parsed;

	use_mem();
	*value = NULL;
	if (size >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		draft.start = draft.done = text + 3;
	if (skip_blanks(draft.start, draft.end) == draft.end)
		return error_set(error, ERROR_DATA, "empty input");
	parsed = prepare(&draft, error) && load(value, &draft, error);
	buf_release(&draft.copy);
	return parsed;
}

/* The member or element of that name; NULL if there is none. */
static const json_t *
member(const json_t *value, const char *name, size_t size)
{
	char part[PATH_PART_SIZE];
	int64_t index;

	if (json_is_array(value))
		return read_integer(&index, name, name + size) && index >= 0
		    ? json_array_get(value, (size_t)index)
		    : NULL;
	if (size >= sizeof(part))
		return NULL;
	memcpy(part, name, size);
	part[size] = '\0';
	return json_object_get(value, part);
}

const json_t *
json_at(const json_t *value, const char *path)
{
	while (value != NULL && *path != '\0') {
		size_t size = strcspn(path, ".");

		value = member(value, path, size);
		path += size;
		path += *path == '.';
	}
	return json_is_null(value) ? NULL : value;
}

const char *
json_text(const json_t *value, const char *path)
{
	const char *text = json_string_value(json_at(value, path));

	return text != NULL && *text != '\0' ? text : NULL;
}

char *
json_id(const json_t *value, const char *path)
{
	const json_t *id = json_at(value, path);

	if (json_is_integer(id))
		return mem_format(
		    "%" JSON_INTEGER_FORMAT, json_integer_value(id));
	return mem_copy(json_text(id, ""));
}

/* Before the fraction of a number, if that is only zeros. */
static const char *
whole_end(const char *text)
{
	const char *end = text + strlen(text), *p = end;

	while (p > text && p[-1] == '0')
		p--;
	return p < end && p > text && p[-1] == '.' ? p - 1 : end;
}

bool
json_number(int64_t *number, const json_t *value, const char *path)
{
	const json_t *found = json_at(value, path);
	const char *text = json_text(found, "");

	if (json_is_integer(found)) {
		*number = json_integer_value(found);
		return true;
	}
	return text != NULL && read_integer(number, text, whole_end(text));
}

/* The bytes of the UTF-8 character at text; 0 if there is none. */
static size_t
character_size(const char *text, size_t size)
{
	size_t tried;

	for (tried = 1; tried <= size && tried <= 4; tried++) {
		json_t *character = json_stringn(text, tried);

		if (character != NULL) {
			json_decref(character);
			return tried;
		}
	}
	return 0;
}

static json_t *
repaired_string(const char *text)
{
	struct buf repaired = BUF_INIT(SIZE_MAX);
	json_t *string;

	while (*text != '\0') {
		size_t size = character_size(text, strlen(text));

		if (size > 0)
			buf_add(&repaired, text, size);
		else
			buf_text(&repaired, REPLACEMENT);
		text += size > 0 ? size : 1;
	}
	string = json_string(buf_string(&repaired));
	buf_release(&repaired);
	return string;
}

static void
put(json_t *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(object, key, value);

	assert(failed == 0);
	(void)failed;
}

void
json_put(json_t *object, const char *key, const char *text)
{
	json_t *value;

	use_mem();
	value = text == NULL ? json_null() : json_string(text);
	put(object, key, value != NULL ? value : repaired_string(text));
}

void
json_put_number(json_t *object, const char *key, int64_t number)
{
	use_mem();
	put(object, key, json_integer(number));
}

void
json_put_time(json_t *object, const char *key, int64_t moment)
{
	char text[CLOCK_TEXT_MAX];

	json_put(object, key, moment != 0 ? clock_format(text, moment) : NULL);
}

char *
json_compact(const json_t *value)
{
	char *text;

	use_mem();
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	assert(text != NULL);
	return text;
}
