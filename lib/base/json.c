#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"
#define REPLACEMENT 0xFFFD
#define KEY_SHOWN_MAX 40
#define PATH_PART_SIZE 128

/*
 * A text being read. jansson's own reader would lose what json.h promises of
 * numbers and NUL, and takes twice the time.
 */
struct reader {
	const char *text; /* as given */
	const char *p, *end; /* what comes next, and where nothing does */
	struct buf strings; /* those being read, each ended by a NUL */
	int depth;
	struct error *error;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
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

/*
 * The bytes of the UTF-8 character at p (RFC 3629 section 4: none is longer
 * than it need be, and none is half a surrogate pair); 0 if there is none.
 */
static size_t
character_size(const char *text, const char *end)
{
	const unsigned char *p = (const unsigned char *)text;
	const size_t size = *p < 0x80 ? 1
	    : *p < 0xC2               ? 0
	    : *p < 0xE0               ? 2
	    : *p < 0xF0               ? 3
	    : *p < 0xF5               ? 4
				      : 0;
	size_t i;

	if (size > (size_t)(end - text))
		return 0;
	for (i = 1; i < size; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) ||
	    (*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F))
		return 0;
	return size;
}

static void
add_character(struct buf *buf, int value)
{
	char bytes[4];
	size_t size = value < 0x80 ? 1
	    : value < 0x800        ? 2
	    : value < 0x10000      ? 3
				   : 4;
	size_t i;

	for (i = size - 1; i > 0; i--) {
		bytes[i] = (char)(0x80 | (value & 0x3F));
		value >>= 6;
	}
	bytes[0] = (char)(size == 1 ? value : (0xF00 >> size & 0xF0) | value);
	buf_add(buf, bytes, size);
}

/*
 * What is refused. All of these are false.
 */

/* Put the line and the column of at before the error. */
static bool
locate(const struct reader *reader, const char *at)
{
	const char *line_start = reader->text, *newline;
	size_t line = 1;

	while ((newline = memchr(
		    line_start, '\n', (size_t)(at - line_start))) != NULL) {
		line_start = newline + 1;
		line++;
	}
	return error_at(reader->error, "line %zu, column %zu", line,
	    (size_t)(at - line_start) + 1);
}

/* For what comes next; the words are for a character that might be JSON. */
static bool
refuse(const struct reader *reader, const char *words)
{
	const char *p = reader->p;

	error_set(reader->error, ERROR_DATA, "%s",
	    p == reader->end                      ? "the text ends too early"
		: *p == '\0'                      ? "NUL byte"
		: !character_size(p, reader->end) ? "invalid UTF-8"
						  : words);
	return locate(reader, p);
}

/* The key's own text, quotes and all, cut at a character. */
static bool
refuse_again(const struct reader *reader, const char *key, const char *end)
{
	ptrdiff_t size = end - key - 2;

	if (size > KEY_SHOWN_MAX)
		for (size = KEY_SHOWN_MAX; (key[size + 1] & 0xC0) == 0x80;
		     size--)
			;
	error_set(reader->error, ERROR_DATA, "duplicate key \"%.*s\"",
	    (int)size, key + 1);
	return locate(reader, key);
}

/*
 * Tokens.
 */

/* RFC 8259 section 2. */
static void
skip_blanks(struct reader *reader)
{
	const char *p = reader->p;

	while (p < reader->end &&
	    (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	reader->p = p;
}

/* Past that character, if it comes next. */
static bool
take(struct reader *reader, char c)
{
	skip_blanks(reader);
	if (reader->p == reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

/* The value of \uXXXX at p; -1 if there is none. */
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

/* Half a surrogate pair (RFC 8259 section 7) and NUL become U+FFFD. */
static bool
read_unicode_escape(struct reader *reader)
{
	int value = unicode_escape(reader->p, reader->end), low;

	if (value == -1)
		return refuse(reader, "invalid escape");
	reader->p += 6;
	low = unicode_escape(reader->p, reader->end);
	if ((value & 0xFC00) == 0xD800 && (low & 0xFC00) == 0xDC00 &&
	    low != -1) {
		value = 0x10000 + ((value & 0x3FF) << 10) + (low & 0x3FF);
		reader->p += 6;
	} else if (value == 0 || (value & 0xF800) == 0xD800) {
		value = REPLACEMENT;
	}
	add_character(&reader->strings, value);
	return true;
}

static bool
read_escape(struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter = reader->end - reader->p < 2
	    ? NULL
	    : memchr(letters, reader->p[1], sizeof(letters) - 1);

	if (letter == NULL)
		return read_unicode_escape(reader);
	buf_byte(&reader->strings, meant[letter - letters]);
	reader->p += 2;
	return true;
}

/* Add the string that opens at p. */
static bool
read_string(struct reader *reader)
{
	const char *done = ++reader->p, *p = done, *end = reader->end;
	size_t size;

	for (;;) {
		while (p < end && (unsigned char)*p >= 0x20 && *p != '"' &&
		    *p != '\\' && (unsigned char)*p < 0x80)
			p++;
		reader->p = p;
		if (p < end && (unsigned char)*p >= 0x80 &&
		    (size = character_size(p, end)) > 0) {
			p += size;
			continue;
		}
		if (p == end || (*p != '"' && *p != '\\'))
			return refuse(reader, "control character in a string");
		buf_add(&reader->strings, done, (size_t)(p - done));
		if (*p == '"')
			break;
		if (!read_escape(reader))
			return false;
		done = p = reader->p;
	}
	buf_byte(&reader->strings, '\0');
	reader->p++;
	return true;
}

/* A number, a literal, or what is neither. */
static json_t *
read_word(struct reader *reader)
{
	const char *word = reader->p, *p = word;
	int64_t number;
	size_t size;

	while (p < reader->end &&
	    (is_digit(*p) || (*p >= 'a' && *p <= 'z') ||
		(*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '+' ||
		*p == '.'))
		p++;
	size = (size_t)(p - word);
	reader->p = p;
	if (read_integer(&number, word, p))
		return json_integer(number);
	if (is_number(word, p))
		return json_stringn_nocheck(word, size);
	if (size == 4 && memcmp(word, "null", 4) == 0)
		return json_null();
	if (size == 4 && memcmp(word, "true", 4) == 0)
		return json_true();
	if (size == 5 && memcmp(word, "false", 5) == 0)
		return json_false();
	reader->p = word;
	refuse(reader, "invalid token");
	return NULL;
}

/*
 * Values.
 */

static json_t *read_value(struct reader *);

/* A bracket that opens; false where there are too many. */
static bool
enter(struct reader *reader)
{
	if (++reader->depth <= JSON_DEPTH_MAX) {
		reader->p++;
		return true;
	}
	error_set(reader->error, ERROR_DATA, "nesting deeper than %d",
	    JSON_DEPTH_MAX);
	return locate(reader, reader->p);
}

static bool
read_member(struct reader *reader, json_t *object)
{
	const size_t bottom = reader->strings.size,
		     count = json_object_size(object);
	const char *key, *key_end;
	json_t *value;

	skip_blanks(reader);
	key = reader->p;
	if (key == reader->end || *key != '"')
		return refuse(reader, "string or '}' expected");
	if (!read_string(reader))
		return false;
	key_end = reader->p;
	if (!take(reader, ':'))
		return refuse(reader, "':' expected");
	value = read_value(reader);
	if (value == NULL)
		return false;
	json_object_set_new_nocheck(
	    object, reader->strings.data + bottom, value);
	reader->strings.size = bottom;
	return json_object_size(object) > count ||
	    refuse_again(reader, key, key_end);
}

static bool
read_members(struct reader *reader, json_t *object)
{
	if (!enter(reader))
		return false;
	if (take(reader, '}'))
		return true;
	do
		if (!read_member(reader, object))
			return false;
	while (take(reader, ','));
	return take(reader, '}') || refuse(reader, "'}' expected");
}

static bool
read_elements(struct reader *reader, json_t *array)
{
	json_t *value;

	if (!enter(reader))
		return false;
	if (take(reader, ']'))
		return true;
	do {
		value = read_value(reader);
		if (value == NULL)
			return false;
		json_array_append_new(array, value);
	} while (take(reader, ','));
	return take(reader, ']') || refuse(reader, "']' expected");
}

static json_t *
read_text(struct reader *reader)
{
	const size_t bottom = reader->strings.size;
	json_t *value;

	if (!read_string(reader))
		return NULL;
	value = json_stringn_nocheck(
	    reader->strings.data + bottom, reader->strings.size - bottom - 1);
	reader->strings.size = bottom;
	return value;
}

/* What comes next; NULL where it is none. */
static json_t *
read_value(struct reader *reader)
{
	json_t *value;
	bool ok;

	skip_blanks(reader);
	if (reader->p < reader->end && *reader->p == '"')
		return read_text(reader);
	if (reader->p == reader->end ||
	    (*reader->p != '{' && *reader->p != '['))
		return read_word(reader);
	value = *reader->p == '{' ? json_object() : json_array();
	ok = json_is_object(value) ? read_members(reader, value)
				   : read_elements(reader, value);
	reader->depth--;
	if (ok)
		return value;
	json_decref(value);
	return NULL;
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
	struct reader reader = {
	    text, text, text + size, BUF_INIT(SIZE_MAX), 0, error};

	use_mem();
	*value = NULL;
	if (size >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		reader.p += 3;
	skip_blanks(&reader);
	if (reader.p == reader.end)
		return error_set(error, ERROR_DATA, "empty input");
	*value = read_value(&reader);
	skip_blanks(&reader);
	if (*value != NULL && reader.p < reader.end) {
		refuse(&reader, "something follows the end of the document");
		json_decref(*value);
		*value = NULL;
	}
	buf_release(&reader.strings);
	return *value != NULL;
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

static json_t *
repaired_string(const char *text)
{
	const char *end = text + strlen(text);
	struct buf repaired = BUF_INIT(SIZE_MAX);
	json_t *string;
	size_t size;

	for (; text < end; text += size) {
		size = character_size(text, end);
		if (size > 0)
			buf_add(&repaired, text, size);
		else
			add_character(&repaired, REPLACEMENT);
		size += size == 0;
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
