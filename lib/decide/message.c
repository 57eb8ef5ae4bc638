#include "decide/message.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define REPLACEMENT 0xFFFD
#define ELLIPSIS 0x2026
#define UTF8_MAX 4 /* bytes of a code point */

#define TITLE_MAX 140 /* code points, as those below */
#define TEXT_MAX 1400
#define NAME_MAX 60
#define VALUE_MAX 900
#define COMMAND_MAX 200
#define BRIEF_MAX 300 /* of the text in the notification */
#define FALLBACK_MAX 3000 /* bytes */
#define URL_MAX 500 /* bytes */

#define SMS_MAX 160 /* septets: 3GPP TS 23.038, one segment */
#define SMS_LINK_MAX 100

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define UNRESERVED LETTERS DIGITS "-._~" /* RFC 3986 section 2.3 */
#define RESERVED ":/?#[]@!$&'()*+,;=" /* section 2.2 */
#define GSM_TWO_SEPTETS "^{}\\[~]|" /* 3GPP TS 23.038 section 6.2.1.1 */

/*
 * The code point at *text, which moves behind it; 0 at the end. What is not as
 * RFC 3629 section 4 has it is a replacement for one byte.
 */
static uint32_t
next_point(const char **text)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)*text;
	uint32_t point = p[0];
	int i, more;

	if (point == 0)
		return 0;
	*text += 1;
	if (point < 0x80)
		return point;
	if (point < 0xC2 || point > 0xF4)
		return REPLACEMENT;
	more = point < 0xE0 ? 1 : point < 0xF0 ? 2 : 3;
	point &= 0x3FU >> more;
	for (i = 1; i <= more; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return REPLACEMENT;
		point = point << 6 | (p[i] & 0x3F);
	}
	if (point < least[more] || point > 0x10FFFF ||
	    (point >= 0xD800 && point <= 0xDFFF))
		return REPLACEMENT;
	*text += more;
	return point;
}

static void
add_point(struct buf *out, uint32_t point)
{
	static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
	int i, more = (point >= 0x80) + (point >= 0x800) + (point >= 0x10000);
	char bytes[UTF8_MAX];

	for (i = more; i > 0; i--) {
		bytes[i] = (char)(0x80 | (point & 0x3F));
		point >>= 6;
	}
	bytes[0] = (char)(lead[more] | point);
	buf_add(out, bytes, (size_t)more + 1);
}

static bool
is_bidi(uint32_t point)
{
	return (point >= 0x202A && point <= 0x202E) ||
	    (point >= 0x2066 && point <= 0x2069);
}

static bool
is_control(uint32_t point)
{
	return (point > 0 && point < 0x20) || (point >= 0x7F && point <= 0x9F);
}

static bool
is_blank(uint32_t point)
{
	return point == ' ' || is_control(point) || point == 0xA0 ||
	    (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
	    point == 0x2029 || point == 0x202F || point == 0x205F ||
	    point == 0x3000;
}

/* The next code point as message_cut() shows it. */
static uint32_t
next_clean(const char **text)
{
	uint32_t point;

	do
		point = next_point(text);
	while (is_bidi(point));
	if (is_control(point) && point != '\n' && point != '\t')
		return ' ';
	return point;
}

/* As message_line() shows it: blanks as one blank, and at the end as none. */
static uint32_t
next_in_line(const char **text)
{
	uint32_t point = next_clean(text);
	const char *ahead = *text;

	if (!is_blank(point))
		return point;
	while (is_blank(point = next_clean(&ahead)))
		*text = ahead;
	return point == 0 ? 0 : ' ';
}

static void
cut(struct buf *out, const char *text, size_t points_max,
    uint32_t (*next)(const char **))
{
	const char *ahead = text;
	size_t points = 0;
	bool more;

	while (points < points_max && next(&ahead) != 0)
		points++;
	more = points > 0 && points == points_max && next(&ahead) != 0;
	for (points -= more; points > 0; points--)
		add_point(out, next(&text));
	if (more)
		add_point(out, ELLIPSIS);
}

void
message_cut(struct buf *out, const char *text, size_t points_max)
{
	if (text != NULL)
		cut(out, text, points_max, next_clean);
}

void
message_line(struct buf *out, const char *text, size_t points_max)
{
	const char *start = text;

	if (text == NULL)
		return;
	while (is_blank(next_clean(&start)))
		text = start;
	cut(out, text, points_max, next_in_line);
}

void
message_word(struct buf *out, const char *text)
{
	const char *p = text != NULL ? text : "";

	if (*p != '\0' && p[strspn(p, LETTERS DIGITS "-._:/@%+,")] == '\0') {
		buf_text(out, p);
		return;
	}
	buf_byte(out, '\'');
	for (; *p != '\0'; p++)
		if (*p == '\'')
			buf_text(out, "'\\''");
		else
			buf_byte(out, *p);
	buf_byte(out, '\'');
}

void
message_slack_escape(struct buf *out, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		switch (*text) {
		case '&': buf_text(out, "&amp;"); break;
		case '<': buf_text(out, "&lt;"); break;
		case '>': buf_text(out, "&gt;"); break;
		default: buf_byte(out, *text);
		}
}

static bool
has_words(const char *text)
{
	struct buf line = BUF_INIT(UTF8_MAX);
	bool has;

	message_line(&line, text, 1);
	has = line.size > 0;
	buf_release(&line);
	return has;
}

/* Whether it can stand anywhere as it is: RFC 3986 section 2. */
static bool
is_link(const char *url)
{
	return url != NULL &&
	    (strncmp(url, "https://", 8) == 0 ||
		strncmp(url, "http://", 7) == 0) &&
	    url[strspn(url, UNRESERVED RESERVED "%")] == '\0' &&
	    strlen(url) <= URL_MAX;
}

/* Whether the command comes out of message_line() as it went in. */
static bool
is_exact(const char *command)
{
	struct buf line = BUF_INIT(COMMAND_MAX * UTF8_MAX);
	bool exact;

	message_line(&line, command, COMMAND_MAX);
	exact = line.size > 0 && strcmp(buf_string(&line), command) == 0 &&
	    strchr(command, '`') == NULL;
	buf_release(&line);
	return exact;
}

static void
add_code(struct buf *out, const char *command)
{
	buf_byte(out, '`');
	message_slack_escape(out, command);
	buf_byte(out, '`');
}

static void
add_link(struct buf *out, const char *url, const char *label)
{
	struct buf words = BUF_INIT(NAME_MAX * UTF8_MAX);

	message_line(&words, label, NAME_MAX);
	buf_byte(out, '<');
	message_slack_escape(out, url);
	buf_text(out, words.size > 0 ? "|" : "");
	message_slack_escape(out, buf_string(&words));
	buf_byte(out, '>');
	buf_release(&words);
}

static void
add_field(struct buf *out, const struct slack_field *field, const char *between,
    size_t value_max)
{
	message_line(out, field->name, NAME_MAX);
	buf_text(out, out->size > 0 ? between : "");
	message_cut(out, field->value, value_max);
}

/* Move the mrkdwn to a line of its own in the text, if there is room. */
static void
take_line(struct buf *text, struct buf *mrkdwn)
{
	if (mrkdwn->size > 0 && text->size + mrkdwn->size < text->max) {
		buf_text(text, text->size > 0 ? "\n" : "");
		buf_text(text, buf_string(mrkdwn));
	}
	buf_clear(mrkdwn);
}

/* The same for raw text. */
static void
take_raw(struct buf *text, struct buf *raw)
{
	struct buf mrkdwn = BUF_INIT(SIZE_MAX);

	message_slack_escape(&mrkdwn, buf_string(raw));
	take_line(text, &mrkdwn);
	buf_release(&mrkdwn);
	buf_clear(raw);
}

/* The message in one text, what matters most first. */
static void
put_text(json_t *body, const struct slack_message *message)
{
	struct buf text = BUF_INIT(FALLBACK_MAX), line = BUF_INIT(SIZE_MAX);
	size_t i;

	message_line(&line, message->title, TITLE_MAX);
	take_raw(&text, &line);
	if (has_words(message->text))
		message_cut(&line, message->text, BRIEF_MAX);
	take_raw(&text, &line);
	for (i = 0; i < SLACK_COMMANDS_MAX; i++) {
		if (is_exact(message->commands[i]))
			add_code(&line, message->commands[i]);
		take_line(&text, &line);
	}
	if (is_link(message->link_url))
		add_link(&line, message->link_url, message->link_label);
	take_line(&text, &line);
	for (i = 0; i < SLACK_FIELDS_MAX; i++) {
		if (has_words(message->fields[i].value))
			add_field(&line, &message->fields[i], ": ", BRIEF_MAX);
		take_raw(&text, &line);
	}
	json_put(body, "text", text.size > 0 ? text.data : "(no words)");
	buf_release(&line);
	buf_release(&text);
}

/* Another block, borrowed. */
static json_t *
add_block(json_t *blocks, const char *type)
{
	json_t *block = json_object();

	json_put(block, "type", type);
	json_array_append_new(blocks, block);
	return block;
}

/* A text object of what is in the buffer, which is cleared. */
static json_t *
take_object(const char *type, struct buf *text)
{
	json_t *object = json_object();

	json_put(object, "type", type);
	json_put(object, "text", buf_string(text));
	buf_clear(text);
	return object;
}

static void
add_plain_block(json_t *blocks, const char *type, struct buf *text)
{
	if (text->size > 0)
		json_object_set_new(add_block(blocks, type), "text",
		    take_object("plain_text", text));
}

static void
add_fields_block(json_t *blocks, const struct slack_field *fields)
{
	struct buf text = BUF_INIT(SIZE_MAX);
	json_t *shown = json_array();
	size_t i;

	for (i = 0; i < SLACK_FIELDS_MAX; i++)
		if (has_words(fields[i].value)) {
			add_field(&text, &fields[i], "\n", VALUE_MAX);
			json_array_append_new(
			    shown, take_object("plain_text", &text));
		}
	if (json_array_size(shown) > 0)
		json_object_set(add_block(blocks, "section"), "fields", shown);
	json_decref(shown);
	buf_release(&text);
}

/* verbatim: what looks like an address or a channel does not become a link. */
static void
add_context_block(json_t *blocks, struct buf *mrkdwn)
{
	json_t *elements = json_array();
	json_t *object = take_object("mrkdwn", mrkdwn);

	json_object_set_new(object, "verbatim", json_true());
	json_array_append_new(elements, object);
	json_object_set_new(add_block(blocks, "context"), "elements", elements);
}

static json_t *
blocks_of(const struct slack_message *message)
{
	struct buf text = BUF_INIT(SIZE_MAX);
	json_t *blocks = json_array();
	size_t i;

	message_line(&text, message->title, TITLE_MAX);
	add_plain_block(blocks, "header", &text);
	if (has_words(message->text))
		message_cut(&text, message->text, TEXT_MAX);
	add_plain_block(blocks, "section", &text);
	add_fields_block(blocks, message->fields);
	for (i = 0; i < SLACK_COMMANDS_MAX; i++)
		if (is_exact(message->commands[i])) {
			add_code(&text, message->commands[i]);
			add_context_block(blocks, &text);
		}
	if (is_link(message->link_url)) {
		add_link(&text, message->link_url, message->link_label);
		add_context_block(blocks, &text);
	}
	buf_release(&text);
	return blocks;
}

char *
message_slack(const struct slack_message *message)
{
	json_t *body = json_object(), *blocks = blocks_of(message);
	char *compact;

	put_text(body, message);
	if (json_array_size(blocks) > 0)
		json_object_set(body, "blocks", blocks);
	json_object_set_new(body, "unfurl_links", json_false());
	json_object_set_new(body, "unfurl_media", json_false());
	compact = json_compact(body);
	json_decref(blocks);
	json_decref(body);
	return compact;
}

char *
message_slack_plain(const char *body)
{
	json_t *plain = NULL;
	char *compact = NULL;

	if (body == NULL || !json_parse(&plain, body, strlen(body), NULL))
		return NULL;
	if (json_text(plain, "text") != NULL) {
		json_object_del(plain, "blocks");
		compact = json_compact(plain);
	}
	json_decref(plain);
	return compact;
}

/* ASCII that GSM-7 lacks or counts twice, and what stands for it in an SMS. */
static const char costly[] = "[{]}\\|~^`", cheap[] = "(())//--'";

/* What an SMS leaves out. */
static const struct {
	uint32_t first, last;
} unseen[] = {
    {0xAD, 0xAD}, /* soft hyphen */
    {0x300, 0x36F}, /* combining accents */
    {0x200B, 0x200F}, /* joiners and direction marks */
    {0x2060, 0x2064}, /* joiners */
    {0x20D0, 0x20FF}, /* combining marks, keycaps */
    {0x2300, 0x23FF}, /* technical signs, ⏰ */
    {0x2600, 0x27BF}, /* signs, ⚠ ✅ */
    {0x2B00, 0x2BFF}, /* signs, ⭐ */
    {0xFE00, 0xFE0F}, /* variants */
    {0xFEFF, 0xFEFF}, /* byte order mark */
    {0x1F000, 0x1FAFF}, /* emoji */
    {0xE0000, 0xE007F}, /* tags, for flags */
};

/* Runs of characters with what stands for each in ASCII. */
static const struct {
	uint32_t first;
	const char *letters;
} alphabets[] = {
    {0xC0, /* Latin-1, Latin Extended-A */
	"AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty"
	"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLl"
	"NnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs"},
    {0x218, "SsTt"}, /* Romanian */
    {0x1EA0, /* Vietnamese */
	"AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEeEeEeEeEeIiIi"
	"OoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy"},
    {0x2010, "------/_''''\"\"\"\""}, /* dashes and quotes */
};

/* What needs more than one character, or is alone. */
static const struct {
	uint32_t point;
	const char *text;
} signs[] = {{0xA1, "!"}, {0xA3, "GBP"}, {0xA5, "JPY"}, {0xA9, "(c)"},
    {0xAB, "\""}, {0xAE, "(r)"}, {0xB4, "'"}, {0xB7, "."}, {0xBB, "\""},
    {0xC6, "AE"}, {0xDE, "Th"}, {0xDF, "ss"}, {0xE6, "ae"}, {0xFE, "th"},
    {0x132, "IJ"}, {0x133, "ij"}, {0x152, "OE"}, {0x153, "oe"}, {0x1E9E, "SS"},
    {0x2022, "*"}, {0x2026, "..."}, {0x2032, "'"}, {0x2033, "\""},
    {0x2039, "'"}, {0x203A, "'"}, {0x20AC, "EUR"}, {0x2116, "No."},
    {0x2122, "(tm)"}, {0x2190, "<-"}, {0x2192, "->"}, {0x2212, "-"}};

static bool
is_unseen(uint32_t point)
{
	size_t i;

	for (i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++)
		if (point >= unseen[i].first && point <= unseen[i].last)
			return true;
	return false;
}

static const char *
sign_for(uint32_t point)
{
	size_t i;

	for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (signs[i].point == point)
			return signs[i].text;
	return NULL;
}

/* What of ASCII stands for a character; '?' for what nothing does. */
static char
letter_for(uint32_t point)
{
	size_t i;

	for (i = 0; i < sizeof(alphabets) / sizeof(alphabets[0]); i++)
		if (point >= alphabets[i].first &&
		    point - alphabets[i].first < strlen(alphabets[i].letters))
			return alphabets[i].letters[point - alphabets[i].first];
	return '?';
}

/* Add a character, unless it would be a second blank or question mark. */
static void
add_septet(struct buf *out, char septet)
{
	char last = out->size > 0 ? out->data[out->size - 1] : ' ';

	if (septet != last || (septet != ' ' && septet != '?'))
		buf_byte(out, septet);
}

static void
add_folded(struct buf *out, uint32_t point)
{
	const char *found;

	if (is_blank(point))
		add_septet(out, ' ');
	else if (point < 0x80) {
		found = strchr(costly, (int)point);
		add_septet(out, found ? cheap[found - costly] : (char)point);
	} else if ((found = sign_for(point)) != NULL)
		buf_text(out, found);
	else if (!is_unseen(point))
		add_septet(out, letter_for(point));
}

/* Drop what is behind the first size bytes, and blanks before it. */
static void
shorten(struct buf *text, size_t size)
{
	while (size > 0 && text->data[size - 1] == ' ')
		size--;
	if (size < text->size) {
		text->size = size;
		text->data[size] = '\0';
	}
}

static size_t
septets(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += strchr(GSM_TWO_SEPTETS, *text) != NULL ? 2 : 1;
	return count;
}

char *
message_sms(const char *text, const char *link)
{
	struct buf sms = BUF_INIT(SIZE_MAX);
	size_t room = SMS_MAX;
	uint32_t point;
	char *copy;

	if (!is_link(link) || septets(link) > SMS_LINK_MAX)
		link = NULL;
	if (link != NULL)
		room -= septets(link) + 1;
	while (text != NULL && sms.size < room + 2 &&
	    (point = next_clean(&text)) != 0)
		add_folded(&sms, point);
	shorten(&sms, sms.size);
	if (sms.size > room) {
		shorten(&sms, room - strlen("..."));
		buf_text(&sms, "...");
	}
	if (link != NULL && sms.size > 0)
		buf_byte(&sms, ' ');
	buf_text(&sms, link);
	copy = mem_copy(buf_string(&sms));
	buf_release(&sms);
	return copy;
}

static const struct message_value *
find(const struct message_value *values, size_t count, const char *name,
    size_t size)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(values[i].name) == size &&
		    memcmp(values[i].name, name, size) == 0)
			return &values[i];
	return NULL;
}

/* Always false. */
static bool
refuse_name(const struct message_value *values, size_t count, const char *name,
    size_t size, struct error *error)
{
	struct buf wrong = BUF_INIT(SIZE_MAX), known = BUF_INIT(SIZE_MAX);
	char *copy = mem_copy_bytes(name, size);
	size_t i;

	message_line(&wrong, copy, NAME_MAX);
	for (i = 0; i < count; i++)
		buf_format(&known, " {%s}", values[i].name);
	error_set(error, ERROR_CONF, "there is no {%s} here, only%s",
	    buf_string(&wrong), count > 0 ? known.data : " plain text");
	free(copy);
	buf_release(&known);
	buf_release(&wrong);
	return false;
}

bool
message_fill(struct buf *out, const char *template,
    const struct message_value *values, size_t count, struct error *error)
{
	const struct message_value *value;
	const char *p = template, *end;

	for (; *p != '\0'; p++) {
		if (*p != '{' || p[1] == '{') {
			buf_byte(out, *p);
			p += *p == '{';
			continue;
		}
		end = strchr(p, '}');
		if (end == NULL)
			return error_set(error, ERROR_CONF,
			    "a { without its }; write {{ for a brace");
		value = find(values, count, p + 1, (size_t)(end - p) - 1);
		if (value == NULL)
			return refuse_name(
			    values, count, p + 1, (size_t)(end - p) - 1, error);
		if (value->raw)
			buf_text(out, value->value);
		else
			buf_percent(out, value->value);
		p = end;
	}
	return buf_ok(out, "the address", error);
}
