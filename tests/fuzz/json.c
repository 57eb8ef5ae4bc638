/*
 * Any bytes at all through json_parse(), and what it promises about the result.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "../fuzz.h"

static bool
is_plain(const char *text, size_t size)
{
	return strlen(text) == size;
}

/* No floats, no NUL, no more than so deep. */
static void
check_value(json_t *value, int depth)
{
	const char *key;
	json_t *child;
	size_t i;

	expect(!json_is_real(value), "no number is a float");
	expect(!json_is_string(value) ||
		is_plain(json_string_value(value), json_string_length(value)),
	    "no string has a NUL in it");
	if (json_is_array(value) || json_is_object(value))
		expect(++depth <= JSON_DEPTH_MAX, "nesting has its limit");
	json_array_foreach(value, i, child) check_value(child, depth);
	json_object_foreach(value, key, child) check_value(child, depth);
}

/* What is written reads back as the same. */
static void
check_compact(const json_t *value)
{
	char *text = json_compact(value);
	struct error error = {0};
	json_t *again;

	expect(json_parse(&again, text, strlen(text), &error), error.text);
	expect(json_equal(value, again), "what is written is what was read");
	json_decref(again);
	free(text);
}

static void
check_accessors(const json_t *value)
{
	static const char *const paths[] = {"", "a", "0", "a.b", "a.0.b", ".."};
	int64_t number;
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *text = json_text(value, paths[i]);
		char *id = json_id(value, paths[i]);

		expect(text == NULL || (id != NULL && strcmp(text, id) == 0),
		    "a text is an id");
		expect(!json_number(&number, value, paths[i]) || id != NULL,
		    "a number is an id");
		free(id);
	}
}

static void
check_put(const char *bytes, size_t size)
{
	char *text = strndup(bytes, size);
	json_t *object = json_object();

	json_put(object, "text", text);
	expect(*text == '\0' || json_text(object, "text") != NULL,
	    "any text can be put");
	check_compact(object);
	json_decref(object);
	free(text);
}

/* The place that an error names is one of the text. */
static void
check_error(const struct error *error, const char *text, size_t size)
{
	const char *p = text, *end = text + size;
	size_t line, column;

	expect(error->kind == ERROR_DATA, "the text is refused for good");
	if (strcmp(error->text, "empty input") == 0)
		return;
	expect(
	    sscanf(error->text, "line %zu, column %zu: ", &line, &column) == 2,
	    "an error says where");
	while (--line > 0) {
		p = memchr(p, '\n', (size_t)(end - p));
		expect(p != NULL, "that line is there");
		p++;
	}
	expect(column >= 1 && column - 1 <= (size_t)(end - p),
	    "that column is there");
	expect(memchr(p, '\n', column - 1) == NULL, "and in that line");
}

/* jansson alone is the judge of what needs none of our leniency. */
static void
check_refusal(const struct error *error, const char *text, size_t size)
{
	json_error_t found;
	json_t *value = json_loadb(
	    text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &found);

	expect(value == NULL || strstr(error->text, "nesting") != NULL ||
		strstr(error->text, "duplicate") != NULL ||
		strstr(error->text, "NUL byte") != NULL,
	    "what jansson takes is taken");
	json_decref(value);
}

static bool
has_real(json_t *value)
{
	const char *key;
	json_t *child;
	size_t i;

	json_array_foreach(value, i, child) if (has_real(child)) return true;
	json_object_foreach(value, key, child) if (has_real(child)) return true;
	return json_is_real(value);
}

/* And what both take is the same, but for numbers that it takes for floats. */
static void
check_meaning(const json_t *value, const char *text, size_t size)
{
	json_error_t found;
	json_t *theirs = json_loadb(
	    text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &found);

	expect(theirs == NULL || has_real(theirs) || json_equal(value, theirs),
	    "it means what jansson reads");
	json_decref(theirs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes;
	struct error error = {0};
	json_t *value;

	if (json_parse(&value, text, size, &error)) {
		check_value(value, 0);
		check_compact(value);
		check_accessors(value);
		check_meaning(value, text, size);
		json_decref(value);
	} else {
		check_error(&error, text, size);
		if (size > 0)
			check_refusal(&error, text, size);
	}
	check_put(text, size);
	return 0;
}
