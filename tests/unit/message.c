#include "decide/message.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "../tap.h"
#include "base/json.h"
#include "base/mem.h"

#define ROUNDS 3000
#define HOSTILE_MAX 6000
#define HOSTILE_PIECE_MAX 64

/* Numbers that look random, the same ones from the same seed. */
static uint64_t seed;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(seed >> 33) % below;
}

/* Bytes of any kind, with what is most awkward more often than by chance. */
static char *
hostile(size_t size_max)
{
	static const char *const pieces[] = {"<!channel>", "<@U123>",
	    "<https://evil.example|here>", "`", "```", "&amp;", "\r\n", "\"",
	    "\\", "\xED\xA0\x80", "\xF0\x9F", "\xE2\x80\xAE", "\xEF\xBB\xBF",
	    "\xF4\x90\x80\x80", "😀", "日本語", "é", "&&&&", "<<<<", "\t", " ",
	    "\xC2\x85", "{name}", "\x1b[2J", "plain"};
	const unsigned count = sizeof(pieces) / sizeof(pieces[0]);
	size_t size = 0, end = chance((unsigned)size_max);
	char *text = mem_alloc(end + HOSTILE_PIECE_MAX);

	while (size < end)
		if (chance(2) == 0)
			text[size++] = (char)(1 + chance(255));
		else
			size += (size_t)snprintf(text + size, HOSTILE_PIECE_MAX,
			    "%s", pieces[chance(count)]);
	return text;
}

static size_t
points(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xC0) != 0x80;
	return count;
}

/* As Slack's JavaScript would count. */
static size_t
utf16_units(const char *text)
{
	size_t count = points(text);

	for (; *text != '\0'; text++)
		count += (unsigned char)*text >= 0xF0;
	return count;
}

static bool
is_utf8(const char *text)
{
	json_t *string = json_string(text);
	bool valid = string != NULL;

	json_decref(string);
	return valid;
}

static const struct {
	const char *text;
	size_t points_max;
	const char *cut, *line, *name;
} cuts[] = {
    {"Acme", 10, "Acme", "Acme", "a short text stays"},
    {"Acme", 4, "Acme", "Acme", "so does one that just fits"},
    {"Acme!", 4, "Acm…", "Acm…", "a longer one ends in an ellipsis"},
    {"Żółć gęślą", 5, "Żółć…", "Żółć…", "points count, not bytes"},
    {"😀😀😀", 2, "😀…", "😀…", "four bytes are one point"},
    {"Acme", 1, "…", "…", "room for the ellipsis alone"},
    {"Acme", 0, "", "", "no room at all"},
    {"", 5, "", "", "nothing stays nothing"},
    {NULL, 5, "", "", "NULL is nothing"},
    {"a\nb\tc", 9, "a\nb\tc", "a b c", "newline and tab"},
    {"a\r\n\r\nb", 9, "a \n \nb", "a b", "empty lines"},
    {" \t a  b \n", 12, " \t a  b \n", "a b", "blanks"},
    {"ab  ", 2, "a…", "ab", "a blank end is not cut off with an ellipsis"},
    {"\x1b[31mred\x07", 20, " [31mred ", "[31mred", "terminal control"},
    {"a\x7f"
     "b\xC2\x9b"
     "c",
	9, "a b c", "a b c", "DEL and C1 control"},
    {"a\xC2\xA0\xE2\x80\xA8"
     "b",
	9,
	"a\xC2\xA0\xE2\x80\xA8"
	"b",
	"a b", "blanks beyond ASCII"},
    {"\xE2\x80\xAE"
     "evil\xE2\x80\xAC\xE2\x81\xA6x\xE2\x81\xA9",
	9, "evilx", "evilx", "no text runs backwards"},
    {"a\xFFz", 9, "a\xEF\xBF\xBDz", "a\xEF\xBF\xBDz", "a stray byte"},
    {"\xC3", 9, "\xEF\xBF\xBD", "\xEF\xBF\xBD", "a character cut off"},
    {"\xF0\x9F\x98", 9, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
	"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "and a longer one"},
    {"\xC0\xAF", 9, "\xEF\xBF\xBD\xEF\xBF\xBD", "\xEF\xBF\xBD\xEF\xBF\xBD",
	"an overlong slash"},
    {"\xE0\x80\xAF", 9, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
	"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "a longer one"},
    {"\xF0\x80\x80\xAF", 1, "…", "…", "the longest"},
    {"\xED\xA0\x80", 9, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
	"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "half a surrogate pair"},
    {"\xF4\x90\x80\x80", 2, "\xEF\xBF\xBD…", "\xEF\xBF\xBD…", "beyond Unicode"},
    {"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", 3,
	"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80",
	"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", "the ends of Unicode"},
};

static void
test_cut(void)
{
	struct buf out = BUF_INIT(1000), narrow = BUF_INIT(4);
	char name[100];
	size_t i;

	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		buf_clear(&out);
		message_cut(&out, cuts[i].text, cuts[i].points_max);
		is_text(buf_string(&out), cuts[i].cut, cuts[i].name);
		buf_clear(&out);
		message_line(&out, cuts[i].text, cuts[i].points_max);
		snprintf(name, sizeof(name), "%s, on one line", cuts[i].name);
		is_text(buf_string(&out), cuts[i].line, name);
	}
	message_cut(&narrow, "ab日本", 9);
	is_text(narrow.data, "ab", "a full buffer splits no character");
	buf_release(&narrow);
	buf_release(&out);
}

static void
test_cut_hostile(void)
{
	struct buf out = BUF_INIT(100000);
	bool cut_holds = true, line_holds = true;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		size_t max = chance(300);
		char *text = hostile(600);

		buf_clear(&out);
		message_cut(&out, text, max);
		cut_holds = cut_holds && is_utf8(buf_string(&out)) &&
		    points(buf_string(&out)) <= max;
		buf_clear(&out);
		message_line(&out, text, max);
		line_holds = line_holds && is_utf8(buf_string(&out)) &&
		    points(buf_string(&out)) <= max &&
		    strpbrk(buf_string(&out), "\n\r\t\x1b\x7f") == NULL &&
		    strstr(buf_string(&out), "  ") == NULL;
		free(text);
	}
	ok(cut_holds, "any bytes come out as UTF-8 of that length");
	ok(line_holds, "and as one line");
	buf_release(&out);
}

static void
test_word(void)
{
	static const char *const words[][3] = {
	    {"org_1", "org_1", "a plain id stays as it is"},
	    {"a@b.example", "a@b.example", "so does an address"},
	    {"", "''", "an empty word"},
	    {NULL, "''", "no word"},
	    {"two words", "'two words'", "a blank"},
	    {"$(rm -rf ~)", "'$(rm -rf ~)'", "a substitution"},
	    {"~root", "'~root'", "a home"},
	    {"x'; reboot '", "'x'\\''; reboot '\\'''", "a quote"},
	};
	struct buf out = BUF_INIT(100);
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		buf_clear(&out);
		message_word(&out, words[i][0]);
		is_text(buf_string(&out), words[i][1], words[i][2]);
	}
	buf_release(&out);
}

static void
test_escape(void)
{
	struct buf out = BUF_INIT(1000);

	message_slack_escape(&out, "a & b <!channel> &amp; \"*_~`\" é");
	is_text(buf_string(&out),
	    "a &amp; b &lt;!channel&gt; &amp;amp; \"*_~`\" é",
	    "only &, < and > are escaped, each once");
	buf_release(&out);
}

static void
test_slack_whole(void)
{
	struct slack_message message = {
	    .title = "New customer: Tom & Jerry",
	    .text = "They chose *Pro*.",
	    .fields = {{"Plan", "pro <b>"}, {"Empty", " \n"}, {NULL, "bare"}},
	    .commands = {"automate-log why org_1", "bad `tick`", "a && b"},
	    .link_label = "Runbook > calls",
	    .link_url = "https://runbooks.example/a?b=1&c=2",
	};
	char *body = message_slack(&message);

	is_text(body,
	    "{\"text\":\"New customer: Tom &amp; Jerry\\nThey chose *Pro*.\\n"
	    "`automate-log why org_1`\\n`a &amp;&amp; b`\\n"
	    "<https://runbooks.example/a?b=1&amp;c=2|Runbook &gt; calls>\\n"
	    "Plan: pro &lt;b&gt;\\nbare\",\"blocks\":["
	    "{\"type\":\"header\",\"text\":{\"type\":\"plain_text\","
	    "\"text\":\"New customer: Tom & Jerry\"}},"
	    "{\"type\":\"section\",\"text\":{\"type\":\"plain_text\","
	    "\"text\":\"They chose *Pro*.\"}},"
	    "{\"type\":\"section\",\"fields\":["
	    "{\"type\":\"plain_text\",\"text\":\"Plan\\npro <b>\"},"
	    "{\"type\":\"plain_text\",\"text\":\"bare\"}]},"
	    "{\"type\":\"context\",\"elements\":[{\"type\":\"mrkdwn\","
	    "\"text\":\"`automate-log why org_1`\",\"verbatim\":true}]},"
	    "{\"type\":\"context\",\"elements\":[{\"type\":\"mrkdwn\","
	    "\"text\":\"`a &amp;&amp; b`\",\"verbatim\":true}]},"
	    "{\"type\":\"context\",\"elements\":[{\"type\":\"mrkdwn\",\"text\":"
	    "\"<https://runbooks.example/a?b=1&amp;c=2|Runbook &gt; calls>\","
	    "\"verbatim\":true}]}],"
	    "\"unfurl_links\":false,\"unfurl_media\":false}",
	    "a whole message, less its empty and dangerous parts");
	free(body);
}

static const char *
member(const json_t *object, const char *path)
{
	const char *text = json_text(object, path);

	return text != NULL ? text : "";
}

/* The message as JSON, to be given to json_decref(). */
static json_t *
slack(const struct slack_message *message)
{
	char *body = message_slack(message);
	json_t *value = NULL;

	if (!json_parse(&value, body, strlen(body), NULL))
		value = NULL;
	free(body);
	return value;
}

static void
test_slack_parts(void)
{
	static const char *const links[] = {"ftp://host.example/x",
	    "https://host.example/a|b", "https://host.example/a>b",
	    "https://host.example/a b", "https://host.example/é",
	    "javascript:alert(1)", ""};
	struct slack_message message = {.title = "Hello", .text = " \n "};
	char long_text[5000], long_command[202];
	json_t *value;
	size_t i;

	value = slack(&message);
	is_text(member(value, "text"), "Hello", "a title alone is a message");
	is_int((int64_t)json_array_size(json_at(value, "blocks")), 1,
	    "of one block");
	json_decref(value);

	message.title = " \n";
	value = slack(&message);
	ok(json_text(value, "text") != NULL && json_at(value, "blocks") == NULL,
	    "nothing at all still is a message that Slack takes");
	json_decref(value);

	message.title = "Hello";
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		message.link_url = links[i];
		value = slack(&message);
		is_int((int64_t)json_array_size(json_at(value, "blocks")), 1,
		    "a link that is none is left out");
		json_decref(value);
	}

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	memset(long_command, 'c', sizeof(long_command) - 1);
	long_command[sizeof(long_command) - 1] = '\0';
	message = (struct slack_message){.title = long_text,
	    .text = long_text,
	    .fields = {{long_text, long_text}},
	    .commands = {long_command, long_command + 1}};
	value = slack(&message);
	is_int((int64_t)points(member(value, "blocks.0.text.text")), 140,
	    "a title has 140 code points");
	is_int((int64_t)points(member(value, "blocks.1.text.text")), 1400,
	    "a text 1400");
	is_int((int64_t)points(member(value, "blocks.2.fields.0.text")), 961,
	    "a field 60, a newline and 900");
	is_int((int64_t)points(member(value, "blocks.3.elements.0.text")), 202,
	    "a command 200 and its ticks, and a longer one is left out");
	json_decref(value);
}

static void
fill_hostile(struct slack_message *message)
{
	size_t i;

	*message = (struct slack_message){.title = hostile(HOSTILE_MAX),
	    .text = hostile(HOSTILE_MAX),
	    .link_label = hostile(HOSTILE_MAX),
	    .link_url = chance(2) == 0
		? hostile(40)
		: mem_copy("https://x.example/&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&")};
	for (i = 0; i < SLACK_FIELDS_MAX; i++) {
		message->fields[i].name = hostile(300);
		message->fields[i].value = hostile(HOSTILE_MAX);
	}
	for (i = 0; i < SLACK_COMMANDS_MAX; i++)
		message->commands[i] = hostile(30);
}

static void
free_hostile(struct slack_message *message)
{
	size_t i;

	for (i = 0; i < SLACK_FIELDS_MAX; i++) {
		free((void *)(uintptr_t)message->fields[i].name);
		free((void *)(uintptr_t)message->fields[i].value);
	}
	for (i = 0; i < SLACK_COMMANDS_MAX; i++)
		free((void *)(uintptr_t)message->commands[i]);
	free((void *)(uintptr_t)message->title);
	free((void *)(uintptr_t)message->text);
	free((void *)(uintptr_t)message->link_label);
	free((void *)(uintptr_t)message->link_url);
}

/* Whether mrkdwn has no markup but code and the one link we make. */
static bool
is_tame(const char *mrkdwn)
{
	const char *p;

	for (p = strchr(mrkdwn, '<'); p != NULL; p = strchr(p + 1, '<'))
		if (strncmp(p, "<https://x.example/", 19) != 0)
			return false;
	return strstr(mrkdwn, "\x1b") == NULL;
}

/* Between 1 and max characters, whatever Slack's unit for them is. */
static bool
fits(const char *text, size_t max)
{
	return *text != '\0' && utf16_units(text) <= max;
}

static bool
is_block_taken(const json_t *block)
{
	const char *type = member(block, "type");
	const json_t *fields = json_at(block, "fields");
	size_t i;

	if (strcmp(type, "header") == 0)
		return points(member(block, "text.text")) <= 150 &&
		    fits(member(block, "text.text"), 300);
	if (strcmp(type, "context") == 0)
		return fits(member(block, "elements.0.text"), 3000) &&
		    is_tame(member(block, "elements.0.text"));
	if (fields == NULL)
		return fits(member(block, "text.text"), 3000) &&
		    strcmp(member(block, "text.type"), "plain_text") == 0;
	for (i = 0; i < json_array_size(fields); i++)
		if (!fits(member(json_array_get(fields, i), "text"), 2000))
			return false;
	return json_array_size(fields) >= 1 && json_array_size(fields) <= 10;
}

static bool
is_taken(const json_t *body)
{
	const json_t *blocks = json_at(body, "blocks");
	size_t i;

	if (strlen(member(body, "text")) > 3000 ||
	    !is_tame(member(body, "text")) || json_array_size(blocks) > 50)
		return false;
	for (i = 0; i < json_array_size(blocks); i++)
		if (!is_block_taken(json_array_get(blocks, i)))
			return false;
	return json_text(body, "text") != NULL;
}

static void
test_slack_hostile(void)
{
	bool all_taken = true;
	int i;

	for (i = 0; i < ROUNDS / 10; i++) {
		struct slack_message message;
		json_t *body;

		fill_hostile(&message);
		body = slack(&message);
		all_taken = all_taken && body != NULL && is_taken(body);
		json_decref(body);
		free_hostile(&message);
	}
	ok(all_taken,
	    "any bytes make a message within Slack's limits, which "
	    "pings nobody");
}

static void
test_slack_plain(void)
{
	static const char *const bodies[][3] = {
	    {"{\"text\":\"Hi &amp; so\",\"blocks\":[{}],\"unfurl_links\":false}",
		"{\"text\":\"Hi &amp; so\",\"unfurl_links\":false}",
		"a message without its blocks"},
	    {"{\"text\":\"Hi\"}", "{\"text\":\"Hi\"}", "one that had none"},
	    {"{\"blocks\":[]}", NULL, "no text"},
	    {"{\"text\":\"\"}", NULL, "an empty one"},
	    {"{\"text\":7}", NULL, "text of another type"},
	    {"[\"text\"]", NULL, "no object"},
	    {"oops", NULL, "no JSON"},
	    {NULL, NULL, "no body"},
	};
	size_t i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		char *plain = message_slack_plain(bodies[i][0]);

		is_text(plain, bodies[i][1], bodies[i][2]);
		free(plain);
	}
}

#define A60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A100 A60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A157 A100 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L80 "https://x.example/" A60 "bb"
#define L100 L80 "cccccccccccccccccccc"

static const struct {
	const char *text, *link, *sms, *name;
} texts[] = {
    {"Call failed", NULL, "Call failed", "plain text"},
    {NULL, NULL, "", "nothing"},
    {"“Don’t” – wait…", NULL, "\"Don't\" - wait...", "typography"},
    {"Crème brûlée für Łódź, ß Æ œ", NULL, "Creme brulee fur Lodz, ss AE oe",
	"accents"},
    {"Cre\xCC\x80me", NULL, "Creme", "accents apart from their letters"},
    {"Nguyễn Đức, Ștefan", NULL, "Nguyen Duc, Stefan", "further letters"},
    {"5 € or £4", NULL, "5 EUR or GBP4", "currencies"},
    {"🚨 Down ⚠️ now 👩‍💻!", NULL, "Down now !", "emoji go"},
    {"東京 Tower", NULL, "? Tower", "other writing is one mark"},
    {"[a]{b}\\c|d~e^f`g", NULL, "(a)(b)/c/d-e-f'g", "two septets never"},
    {" a\r\n\n b\t\tc ", NULL, "a b c", "blanks and newlines"},
    {"\x1b\xFF\xFE", NULL, "?", "bytes that are no text"},
    {A157 "bbb", NULL, A157 "bbb", "160 septets are one segment"},
    {A157 "bbb   \n", NULL, A157 "bbb", "blanks behind them do not count"},
    {A157 "bbbb", NULL, A157 "...", "161 are cut"},
    {A157 "bbb b", NULL, A157 "...", "and so is a word further on"},
    {A100 " " A100, "https://x.example/7",
	A100 " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... https://x.example/7",
	"a text is cut for its link"},
    {"", "https://x.example/7", "https://x.example/7", "a link alone"},
    {"Hi", "https://x.example/a b", "Hi", "a link with a blank is left out"},
    {"Hi", "ftp://x.example/", "Hi", "so is one of another kind"},
    {"Hi", L100, "Hi " L100, "a link of 100 septets"},
    {"Hi", L100 "b", "Hi", "a longer one is left out"},
    {"Hi", L80 "bbbbbbbb[b]~~bbb", "Hi " L80 "bbbbbbbb[b]~~bbb",
	"its brackets count twice: 100"},
    {"Hi", L80 "bbbbbbbb[b]~~bbbb", "Hi", "101"},
};

/* Septets of a text in which each costs one, but for a link's. */
static size_t
septets(const char *text)
{
	size_t count = strlen(text);

	for (; *text != '\0'; text++)
		count += strchr("^{}\\[~]|", *text) != NULL;
	return count;
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~' || *text == '`')
			return false;
	return true;
}

static void
test_sms(void)
{
	bool all_short = true;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *sms = message_sms(texts[i].text, texts[i].link);

		is_text(sms, texts[i].sms, texts[i].name);
		free(sms);
	}
	for (i = 0; i < ROUNDS; i++) {
		char *text = hostile(400), *link = hostile(60);
		char *sms = message_sms(text,
		    chance(2) ? link : "https://x.example/~[7]/0123456789");

		all_short =
		    all_short && is_printable(sms) && septets(sms) <= 160;
		free(sms);
		free(link);
		free(text);
	}
	ok(all_short, "any bytes make one segment");
}

static const struct {
	const char *template, *filled, *error, *name;
} templates[] = {
    {"{app_url}/welcome?org={organization}",
	"https://app.example/welcome?org=a%26b%20c", NULL, "a template"},
    {"{missing}x", "x", NULL, "a value that is NULL"},
    {"{{a}}{{", "{a}}{", NULL, "braces"},
    {"}", "}", NULL, "a brace that closes nothing"},
    {"", "", NULL, "an empty template"},
    {"a{nope}", NULL,
	"there is no {nope} here, only {app_url} {organization} {missing}",
	"an unknown name"},
    {"{}", NULL, "there is no {} here, only {app_url} {organization} {missing}",
	"an empty one"},
    {"a{organization", NULL, "a { without its }; write {{ for a brace",
	"a brace left open"},
};

static void
test_fill(void)
{
	static const struct message_value values[] = {
	    {"app_url", "https://app.example", true},
	    {"organization", "a&b c", false}, {"missing", NULL, false}};
	struct buf out = BUF_INIT(100), narrow = BUF_INIT(5);
	struct error error = {0};
	size_t i;

	for (i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		buf_clear(&out);
		if (message_fill(
			&out, templates[i].template, values, 3, &error))
			is_text(buf_string(&out), templates[i].filled,
			    templates[i].name);
		else
			is_text(
			    error.text, templates[i].error, templates[i].name);
	}
	is_int(error.kind, ERROR_CONF, "a template's fault is configuration");
	ok(!message_fill(&narrow, "longer", values, 3, &error) &&
		error.kind == ERROR_DATA,
	    "an address too long is not cut but refused");
	buf_release(&narrow);
	buf_release(&out);
}

int
main(int argc, char *argv[])
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	test_cut();
	test_cut_hostile();
	test_word();
	test_escape();
	test_slack_whole();
	test_slack_parts();
	test_slack_hostile();
	test_slack_plain();
	test_sms();
	test_fill();
	return tap_end();
}
