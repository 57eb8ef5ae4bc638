#include "net/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mask.h"
#include "base/mem.h"

#define BLANKS " \t\r\n"

/*
 * Stripe's {"error":{"message":…}}, Retell's {"message":…}, where a message
 * need not be a string, and what gateways say. To be freed.
 */
static char *
message_of(const json_t *document)
{
	static const char *const places[] = {
	    "error.message", "message", "error"};
	const json_t *found = NULL;
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if ((found = json_at(document, places[i])) != NULL)
			break;
	if (found == NULL)
		return NULL;
	if (json_is_string(found))
		return mem_copy(json_text(found, ""));
	return json_compact(found);
}

/* A body without such a message. */
static const char *
describe(const struct answer *answer)
{
	const char *body = buf_string(&answer->body);

	body += strspn(body, BLANKS);
	if (*body == '\0')
		return "(nothing)";
	return *body == '<' ? "(a page of HTML)" : body;
}

/* Blanks of any kind as one or, at the end, none; what is not ASCII as '?'. */
static void
clean(struct buf *out, const char *text)
{
	char byte, last = ' ';

	for (; *text != '\0'; text++) {
		byte = *text;
		if ((unsigned char)byte >= 0x7f)
			byte = '?';
		else if ((unsigned char)byte < 0x20)
			byte = ' ';
		if (byte != last || (byte != ' ' && byte != '?'))
			buf_byte(out, byte);
		last = byte;
	}
	if (out->size > 0 && last == ' ')
		out->data[--out->size] = '\0';
}

char *
words_line(const char *text, const char *secret)
{
	struct buf line = BUF_INIT(SIZE_MAX), words = BUF_INIT(WORDS_MAX);
	char *copy;

	clean(&line, text);
	mask_text(&words, buf_string(&line), secret);
	copy = mem_copy(buf_string(&words));
	buf_release(&words);
	buf_release(&line);
	return copy;
}

char *
words_of(
    const struct answer *answer, const json_t *document, const char *secret)
{
	char *message = NULL, *words;

	if (answer->failure != ANSWER_COMPLETE)
		return words_line(answer->reason, secret);
	message = message_of(document);
	words =
	    words_line(message != NULL ? message : describe(answer), secret);
	free(message);
	return words;
}
