#include "base/json.h"

#include <stdlib.h>

#include "../tap.h"
#include "base/mem.h"

#define BYTES(text) (text), sizeof(text) - 1
#define DEEP_16 "[[[[[[[[[[[[[[[["
#define END_16 "]]]]]]]]]]]]]]]]"
#define KEY_39 "123456789012345678901234567890123456789"

/* From memory that ends where the text does, so that sanitizers see more. */
static bool
parse(json_t **value, const char *text, size_t size, struct error *error)
{
	char *exact = mem_resize(NULL, size, 1);
	bool parsed;

	memcpy(exact, text, size);
	parsed = json_parse(value, exact, size, error);
	free(exact);
	return parsed;
}

static json_t *
parsed(const char *text)
{
	struct error error = {0};
	json_t *value;

	if (!parse(&value, text, strlen(text), &error))
		printf("# %s\n", error.text);
	return value;
}

/* What comes in, and what json_compact() makes of it. */
static const struct taken {
	const char *name, *text;
	size_t size;
	const char *compact;
} taken[] = {
    {"object", BYTES("{\"b\": 1, \"a\": [true, false, null]}"),
	"{\"b\":1,\"a\":[true,false,null]}"},
    {"string at the top", BYTES("\"x\""), "\"x\""},
    {"number at the top", BYTES("17"), "17"},
    {"real at the top", BYTES("2.5"), "\"2.5\""},
    {"null at the top", BYTES(" null\r\n"), "null"},
    {"byte order mark", BYTES("\xEF\xBB\xBF{}\n"), "{}"},
    {"byte order mark and real", BYTES("\xEF\xBB\xBF[1.5]"), "[\"1.5\"]"},

    {"largest integer", BYTES("9223372036854775807"), "9223372036854775807"},
    {"smallest integer", BYTES("-9223372036854775808"), "-9223372036854775808"},
    {"one more", BYTES("9223372036854775808"), "\"9223372036854775808\""},
    {"one less", BYTES("-9223372036854775809"), "\"-9223372036854775809\""},
    {"beyond 2^53", BYTES("9007199254740993"), "9007199254740993"},
    {"numeric of any size", BYTES("{\"n\": 123456789012345678901234567890}"),
	"{\"n\":\"123456789012345678901234567890\"}"},
    {"minus nought", BYTES("-0"), "0"},
    {"reals", BYTES("[2.5,-0.0,1e3,1E+3,0e-0,312.00]"),
	"[\"2.5\",\"-0.0\",\"1e3\",\"1E+3\",\"0e-0\",\"312.00\"]"},
    {"a real that overflows", BYTES("[1e999 , 1]"), "[\"1e999\",1]"},
    {"a real that would lose digits", BYTES("0.1000000000000000055511151231"),
	"\"0.1000000000000000055511151231\""},
    {"numbers in a string", BYTES("[\"1.5, 1e9 \\\" 2.5\", 3.5]"),
	"[\"1.5, 1e9 \\\" 2.5\",\"3.5\"]"},
    {"a string before a colon", BYTES("{\"1.5\":1.5 , \"2\" : 2.0}"),
	"{\"1.5\":\"1.5\",\"2\":\"2.0\"}"},

    {"escapes", BYTES("\"\\n\\u00e9\\/\\ud83d\\uDE00\\\\\""),
	"\"\\n\xC3\xA9/\xF0\x9F\x98\x80\\\\\""},
    {"NUL in a string", BYTES("\"a\\u0000b\""),
	"\"a\xEF\xBF\xBD"
	"b\""},
    {"NUL in a key", BYTES("{\"a\\u0000\":1}"), "{\"a\xEF\xBF\xBD\":1}"},
    {"not NUL: \\\\u0000", BYTES("\"\\\\u0000\""), "\"\\\\u0000\""},
    {"high surrogate alone", BYTES("\"\\ud83d!\""), "\"\xEF\xBF\xBD!\""},
    {"high surrogate last", BYTES("\"\\uD800\""), "\"\xEF\xBF\xBD\""},
    {"low surrogate alone", BYTES("\"\\uDE00\""), "\"\xEF\xBF\xBD\""},
    {"pair the wrong way round", BYTES("\"\\ude00\\ud83d\""),
	"\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"half before a pair", BYTES("\"\\ud83d\\ud83d\\ude00\""),
	"\"\xEF\xBF\xBD\xF0\x9F\x98\x80\""},
    {"half before another escape", BYTES("\"\\ud83d\\u0041\""),
	"\"\xEF\xBF\xBD"
	"A\""},

    {"64 deep",
	BYTES(DEEP_16 DEEP_16 DEEP_16 DEEP_16 END_16 END_16 END_16 END_16),
	DEEP_16 DEEP_16 DEEP_16 DEEP_16 END_16 END_16 END_16 END_16},
    {"brackets in a string", BYTES("\"" DEEP_16 DEEP_16 DEEP_16 DEEP_16 "[\""),
	"\"" DEEP_16 DEEP_16 DEEP_16 DEEP_16 "[\""},
    {"a key again in another object", BYTES("{\"a\":{\"a\":1}}"),
	"{\"a\":{\"a\":1}}"},

    {"UTF-8: two bytes", BYTES("\"\xC2\x80\xDF\xBF\""), "\"\xC2\x80\xDF\xBF\""},
    {"UTF-8: three bytes", BYTES("\"\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\""),
	"\"\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\""},
    {"UTF-8: four bytes", BYTES("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
	"\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""},
};

static void
test_taken(void)
{
	struct error error = {0};
	json_t *value;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (!parse(&value, taken[i].text, taken[i].size, &error)) {
			is_text(error.text, taken[i].compact, taken[i].name);
			continue;
		}
		text = json_compact(value);
		is_text(text, taken[i].compact, taken[i].name);
		free(text);
		json_decref(value);
	}
}

static const struct refused {
	const char *name, *text;
	size_t size;
	const char *error;
} refused[] = {
    {"nothing", BYTES(""), "empty input"},
    {"only blanks", BYTES(" \n\t\r\n"), "empty input"},
    {"only a byte order mark", BYTES("\xEF\xBB\xBF"), "empty input"},
    {"half a byte order mark", BYTES("\xEF\xBB"),
	"line 1, column 1: invalid UTF-8"},
    {"a second byte order mark", BYTES("\xEF\xBB\xBF\xEF\xBB\xBF{}"),
	"line 1, column 4: invalid token"},

    {"cut short in an object", BYTES("{\"a\": 1,\n \"b\""),
	"line 2, column 5: the text ends too early"},
    {"cut short in an array", BYTES("[1,"),
	"line 1, column 4: the text ends too early"},
    {"cut short in a string", BYTES("{\"a\": \"bcd"),
	"line 1, column 11: the text ends too early"},
    {"only a quote", BYTES("\""), "line 1, column 2: the text ends too early"},
    {"cut short behind a backslash", BYTES("\"\\"),
	"line 1, column 2: invalid escape"},
    {"cut short in a word", BYTES("[tru"), "line 1, column 2: invalid token"},
    {"cut short behind a real", BYTES("[2.5"),
	"line 1, column 5: the text ends too early"},

    {"two documents", BYTES("{}\n{}"),
	"line 2, column 1: something follows the end of the document"},
    {"garbage behind", BYTES("{} xyz"),
	"line 1, column 4: something follows the end of the document"},
    {"garbage behind a real", BYTES("1.5 \"x\""),
	"line 1, column 5: something follows the end of the document"},
    {"a string right behind a real", BYTES("1.5\"\""),
	"line 1, column 4: something follows the end of the document"},
    {"no JSON", BYTES("hello world"), "line 1, column 1: invalid token"},
    {"garbage of many bytes", BYTES("[1, \xC3\xA9t\xC3\xA9]"),
	"line 1, column 5: invalid token"},

    {"key twice",
	BYTES("{\"id\": 1,\n \"é\": 2.5,\n \"plan\": 1, \"plan\": 2}"),
	"line 3, column 13: duplicate key \"plan\""},
    {"key twice, in other spelling", BYTES("{\"a\":1,\"\\u0061\":2}"),
	"line 1, column 8: duplicate key \"\\u0061\""},
    {"key twice, with quotes and backslashes",
	BYTES("{\"\\\\\\\"\\\\\":1,\"\\\\\\\"\\\\\":2}"),
	"line 1, column 13: duplicate key \"\\\\\\\"\\\\\""},
    {"empty key twice", BYTES("{\"\":1,\"\":2}"),
	"line 1, column 7: duplicate key \"\""},
    {"key of 40 bytes twice", BYTES("{\"" KEY_39 "0\":1,\"" KEY_39 "0\":2}"),
	"line 1, column 47: duplicate key \"" KEY_39 "0\""},
    {"key of 41 bytes twice", BYTES("{\"" KEY_39 "01\":1,\"" KEY_39 "01\":2}"),
	"line 1, column 48: duplicate key \"" KEY_39 "0\""},
    {"key cut between characters",
	BYTES("{\"" KEY_39 "é\":1,\"" KEY_39 "é\":2}"),
	"line 1, column 48: duplicate key \"" KEY_39 "\""},

    {"65 deep", BYTES("\n " DEEP_16 DEEP_16 DEEP_16 DEEP_16 "[1"),
	"line 2, column 66: nesting deeper than 64"},
    {"far too deep objects",
	BYTES("{\"\":" DEEP_16 DEEP_16 DEEP_16 DEEP_16 DEEP_16),
	"line 1, column 68: nesting deeper than 64"},

    {"leading zero", BYTES("[01]"), "line 1, column 2: invalid token"},
    {"leading zero of a real", BYTES("[01.5]"),
	"line 1, column 2: invalid token"},
    {"no digit behind the point", BYTES("[1.]"),
	"line 1, column 2: invalid token"},
    {"no digit before the point", BYTES("[.5]"),
	"line 1, column 2: invalid token"},
    {"no digit in the exponent", BYTES("[1e]"),
	"line 1, column 2: invalid token"},
    {"minus alone", BYTES("[-]"), "line 1, column 2: invalid token"},
    {"plus", BYTES("[+1.5]"), "line 1, column 2: invalid token"},
    {"two points", BYTES("[1.5.5]"), "line 1, column 2: invalid token"},
    {"NaN", BYTES("[NaN]"), "line 1, column 2: invalid token"},
    {"a real for a key", BYTES("{\"a\":1.5,\n1.5 : 1}"),
	"line 2, column 1: string or '}' expected"},
    {"two reals without a comma", BYTES("[1.5 2.5]"),
	"line 1, column 6: ']' expected"},
    {"comma last", BYTES("[1.5, 2.5, ]"), "line 1, column 12: invalid token"},
    {"closing bracket first", BYTES("]["), "line 1, column 1: invalid token"},
    {"the wrong bracket", BYTES("{\"a\":[1.5}\n}"),
	"line 1, column 10: ']' expected"},
    {"single quotes", BYTES("{'a': 1}"),
	"line 1, column 2: string or '}' expected"},
    {"no text of ours in the message", BYTES("{\"email\" \"a@b.example\"}"),
	"line 1, column 10: ':' expected"},

    {"bad escape", BYTES("[\"ab\\qc\"]"), "line 1, column 5: invalid escape"},
    {"bad Unicode escape", BYTES("[1.5,\n\"\\u12\", 2.5]"),
	"line 2, column 2: invalid escape"},
    {"newline in a string", BYTES("[\"a\nb\"]"),
	"line 1, column 4: control character in a string"},
    {"tab in a string", BYTES("[\"a\\\"\tb\"]"),
	"line 1, column 6: control character in a string"},
    {"NUL in a string, as a byte", BYTES("\"a\0b\""),
	"line 1, column 3: NUL byte"},
    {"NUL behind a number", BYTES("[1\0]"), "line 1, column 3: NUL byte"},
    {"NUL at the end", BYTES("{}\0"), "line 1, column 3: NUL byte"},

    {"UTF-8: continuation alone", BYTES("\"a\x80\""),
	"line 1, column 3: invalid UTF-8"},
    {"UTF-8: overlong, two bytes", BYTES("\"\xC0\xAF\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: overlong, C1", BYTES("\"\xC1\xBF\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: overlong, three bytes", BYTES("\"\xE0\x9F\xBF\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: overlong, four bytes", BYTES("\"\xF0\x8F\xBF\xBF\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: overlong NUL", BYTES("\"\xC0\x80\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: high surrogate", BYTES("\"\xED\xA0\x80\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: low surrogate", BYTES("\"\xED\xBF\xBF\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: 110000", BYTES("\"\xF4\x90\x80\x80\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: F5", BYTES("\"\xF5\x80\x80\x80\""),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: FF", BYTES("\"\xFF\""), "line 1, column 2: invalid UTF-8"},
    {"UTF-8: cut short by a quote", BYTES("[2.5,\n\"é\xE2\x82\"]"),
	"line 2, column 4: invalid UTF-8"},
    {"UTF-8: cut short by the end", BYTES("\"\xF0\x9F\x98"),
	"line 1, column 2: invalid UTF-8"},
    {"UTF-8: outside of a string", BYTES("[1, \xFF]"),
	"line 1, column 5: invalid UTF-8"},
    {"UTF-16", BYTES("\xFF\xFE{\0}\0"), "line 1, column 1: invalid UTF-8"},
    {"Latin-1 in a key", BYTES("{\"Caf\xE9\": 1}"),
	"line 1, column 6: invalid UTF-8"},
    {"behind a byte order mark, in bytes", BYTES("\xEF\xBB\xBF[x]"),
	"line 1, column 5: invalid token"},
};

static void
test_refused(void)
{
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct error error = {0};
		json_t *value = json_null();
		bool taken_all_the_same =
		    parse(&value, refused[i].text, refused[i].size, &error);

		ok(!taken_all_the_same && value == NULL &&
			error.kind == ERROR_DATA,
		    "refused: %s", refused[i].name);
		is_text(error.text, refused[i].error, refused[i].name);
		json_decref(value);
	}
}

/* Whatever quoting adds before it, the place is that in the original. */
static void
test_positions(void)
{
	static const char *const before[] = {"1", "1.5", "\"\\u0000\"",
	    "\"\\ud800\",-1e999,99999999999999999999"};
	size_t i;

	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		char *text = mem_format(
		    "[%s,%s,\n %s,oops]", before[i], before[i], before[i]);
		char *wanted = mem_format(
		    "line 2, column %zu: invalid token", strlen(before[i]) + 3);
		struct error error = {0};
		json_t *value;

		ok(!parse(&value, text, strlen(text), &error), "refused");
		is_text(error.text, wanted, before[i]);
		free(text);
		free(wanted);
	}
}

static void
test_at(void)
{
	json_t *value =
	    parsed("{\"a\": {\"b.c\": 1, \"d\": \"x\", \"n\": null,"
		   "\"0\": \"nought\"}, \"l\": [[], {\"p\": \"y\"}],"
		   "\"s\": \"text\", \"e\": \"\"}");
	char *long_path = mem_alloc(1000);

	is_text(json_text(value, "s"), "text", "a member");
	is_text(json_text(value, "a.d"), "x", "a member of a member");
	is_text(json_text(value, "l.1.p"), "y", "a member of an element");
	is_text(json_text(value, "a.0"), "nought", "a number names a member");
	ok(json_at(value, "") == value, "the value itself");
	ok(json_is_array(json_at(value, "l.0")), "an element");
	ok(json_at(value, "l.2") == NULL, "no such element");
	ok(json_at(value, "l.-1") == NULL, "no element before the first");
	ok(json_at(value, "l.p") == NULL, "an array has no names");
	ok(json_at(value, "x.y.z") == NULL, "missing on the way");
	ok(json_at(value, "s.x") == NULL, "a string has no members");
	ok(json_at(value, "a.n") == NULL, "null is missing");
	ok(json_at(value, "a.n.x") == NULL, "null has no members");
	ok(json_at(NULL, "a") == NULL, "nothing has no members");
	memset(long_path, 'x', 999);
	ok(json_at(value, long_path) == NULL, "a path of 999 bytes");
	ok(json_text(value, "e") == NULL, "an empty string is no text");
	ok(json_text(value, "l") == NULL, "an array is no text");
	free(long_path);
	json_decref(value);
}

static void
is_id(const json_t *value, const char *path, const char *wanted)
{
	char *id = json_id(value, path);

	is_text(id, wanted, path);
	free(id);
}

static void
test_id(void)
{
	json_t *value = parsed(
	    "{\"text\": \"org_1\", \"zero\": 0, \"beyond 2^53\":"
	    "9007199254740993, \"beyond 64 bits\": 123456789012345678901,"
	    "\"negative\": -5, \"empty\": \"\", \"true\": true,"
	    "\"null\": null, \"object\": {}}");

	is_id(value, "text", "org_1");
	is_id(value, "zero", "0");
	is_id(value, "beyond 2^53", "9007199254740993");
	is_id(value, "beyond 64 bits", "123456789012345678901");
	is_id(value, "negative", "-5");
	is_id(value, "empty", NULL);
	is_id(value, "true", NULL);
	is_id(value, "null", NULL);
	is_id(value, "object", NULL);
	is_id(value, "missing", NULL);
	json_decref(value);
}

static const struct number {
	const char *text;
	bool taken;
	int64_t number;
} numbers[] = {
    {"17", true, 17},
    {"-3", true, -3},
    {"0", true, 0},
    {"312.0", true, 312},
    {"-312.000", true, -312},
    {"0.0", true, 0},
    {"100", true, 100},
    {"\"42\"", true, 42},
    {"\"42.00\"", true, 42},
    {"9223372036854775807", true, INT64_MAX},
    {"9223372036854775807.0", true, INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"9223372036854775808", false, 0},
    {"-9223372036854775809", false, 0},
    {"99999999999999999999999", false, 0},
    {"312.5", false, 0},
    {"1e3", false, 0},
    {"\"\"", false, 0},
    {"\"-\"", false, 0},
    {"\".0\"", false, 0},
    {"\"-.0\"", false, 0},
    {"\"12.\"", false, 0},
    {"\"007\"", false, 0},
    {"\"+7\"", false, 0},
    {"\" 7\"", false, 0},
    {"\"7 \"", false, 0},
    {"\"0x10\"", false, 0},
    {"\"1.0.0\"", false, 0},
    {"true", false, 0},
    {"null", false, 0},
    {"[1]", false, 0},
};

static void
test_number(void)
{
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		json_t *value = parsed(numbers[i].text);
		int64_t number = 0;

		ok(json_number(&number, value, "") == numbers[i].taken,
		    "number or not: %s", numbers[i].text);
		is_int(number, numbers[i].number, numbers[i].text);
		json_decref(value);
	}
}

static void
test_put(void)
{
	json_t *object = json_object();
	char *text;

	json_put(object, "z", "first");
	json_put(object, "null", NULL);
	json_put(object, "empty", "");
	json_put(object, "controls", "a\"\\\n\x01\x7F");
	json_put(object, "utf8", "é\xF0\x9F\x98\x80");
	json_put(object, "broken", "a\xFFé\xED\xA0\x80|\xC3");
	json_put_number(object, "number", INT64_MIN);
	json_put(object, "a", "gone");
	json_put(object, "a", "last");
	text = json_compact(object);
	is_text(text,
	    "{\"z\":\"first\",\"null\":null,\"empty\":\"\","
	    "\"controls\":\"a\\\"\\\\\\n\\u0001\x7F\","
	    "\"utf8\":\"é\xF0\x9F\x98\x80\","
	    "\"broken\":\"a\xEF\xBF\xBDé\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
	    "\xEF\xBF\xBD\",\"number\":-9223372036854775808,\"a\":\"last\"}",
	    "an object is written in the order it was made");
	free(text);
	json_decref(object);
}

static json_t *
read_file(const char *path)
{
	char text[65536];
	struct error error = {0};
	FILE *file = fopen(path, "r");
	json_t *value = NULL;

	if (file == NULL)
		return NULL;
	if (!parse(&value, text, fread(text, 1, sizeof(text), file), &error))
		printf("# %s: %s\n", path, error.text);
	fclose(file);
	return value;
}

static void
test_supabase(void)
{
	static const char *const names[] = {
	    "apostrophe-ampersand", "pro", "starter"};
	size_t i;

	for (i = 0; i < 3; i++) {
		char *path = mem_format(
		    "tests/data/supabase/organizations-insert-%s.json",
		    names[i]);
		json_t *value = read_file(path);

		is_text(json_text(value, "type"), "INSERT", path);
		ok(json_text(value, "record.owner_email") != NULL,
		    "its owner has an address");
		ok(json_at(value, "old_record") == NULL, "and no old record");
		json_decref(value);
		free(path);
	}
}

int
main(void)
{
	test_taken();
	test_refused();
	test_positions();
	test_at();
	test_id();
	test_number();
	test_put();
	test_supabase();
	return tap_end();
}
