#ifndef DECIDE_MESSAGE_H
#define DECIDE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Text for people and for addresses, made of words that customers, providers
 * and strangers choose. Any bytes may come in; what goes out is valid UTF-8,
 * says what it said, and cannot ping a channel, plant a link, reorder a line,
 * drive a terminal or outgrow what the receiver takes. A NULL text is an empty
 * one.
 */

/*
 * Add at most points_max code points of the text; if that cuts it, the last of
 * them is "…". Each byte that is no part of valid UTF-8 becomes U+FFFD, a
 * control character other than newline and tab a blank; the bidirectional
 * controls U+202A to U+202E and U+2066 to U+2069 are left out.
 */
void message_cut(struct buf *, const char *text, size_t points_max);

/*
 * The same on one line: newlines, tabs and blanks of any kind become one blank
 * between words and none at the ends. For terminals, headers and summaries.
 */
void message_line(struct buf *, const char *text, size_t points_max);

/*
 * Add the text as one word of a shell command, in quotes where it needs them:
 * for the next command to type, where that names what a customer named.
 */
void message_word(struct buf *, const char *text);

/*
 * A Slack message. All but the title may be missing; what is empty or blank is
 * left out, since Slack refuses empty text objects.
 */
#define SLACK_FIELDS_MAX 10 /* Slack's own limit */
#define SLACK_COMMANDS_MAX 3

struct slack_field {
	const char *name, *value;
};

struct slack_message {
	const char *title; /* one line; 140 code points of it are shown */
	const char *text; /* 1400 */
	struct slack_field fields[SLACK_FIELDS_MAX]; /* 60 and 900 */
	const char *commands[SLACK_COMMANDS_MAX]; /* what to type next */
	const char *link_label; /* 60 */
	const char *link_url; /* of the runbook */
};

/*
 * The message as body for an incoming webhook, {"text":…,"blocks":[…]}, to be
 * freed with free(3). Customers' words stand in plain_text, where Slack reads
 * no markup. text, which Slack shows in notifications, and alone if it does
 * not take the blocks, holds title, text, commands, link and fields again, as
 * far as they fit in 3000 bytes.
 *
 * A command is shown exactly or not at all: one with a backtick or a control
 * character, or longer than 200 code points, is left out, for half a command
 * is worse than none. So is a link that is not http or https, is longer than
 * 500 bytes, or has a character that RFC 3986 does not know.
 *
 * Slack's limits: at most 50 blocks; header 150 characters, section and
 * context text 3000, a field 2000. Every part stays below also after escaping
 * and, but for the header, if Slack counts in UTF-16.
 */
char *
message_slack(const struct slack_message *) __attribute__((warn_unused_result));

/*
 * The same message without its blocks, for when Slack does not take those. To
 * be freed with free(3). NULL if the body is no JSON object with a text.
 */
char *message_slack_plain(const char *body) __attribute__((warn_unused_result));

/*
 * Add the text with &, < and > escaped, and nothing else, as Slack wants it
 * for text and mrkdwn. Cut first: an entity must not be split.
 */
void message_slack_escape(struct buf *, const char *text);

/*
 * The text as one SMS of one segment, 160 septets of GSM-7, to be freed with
 * free(3); "" for nothing. It is folded to those characters of ASCII that GSM-7
 * has in one septet, so that any gateway takes it: é becomes e, … becomes ...,
 * € becomes EUR, emoji go, and writing without Latin letters becomes "?".
 *
 * The link (may be NULL) is kept whole behind the text, which is cut for it;
 * but one that takes more than 100 septets, or that message_slack() would not
 * show either, is left out.
 */
char *message_sms(const char *text, const char *link)
    __attribute__((warn_unused_result));

/*
 * Add the template with each {name} replaced by the value of that name,
 * percent-encoded, or as it is where that is raw: for the base of an address,
 * out of the configuration. A NULL value is an empty one; {{ is a brace.
 * ERROR_CONF for a name that is not among the values and for a brace left open;
 * ERROR_DATA if the buffer cannot hold it all.
 */
struct message_value {
	const char *name, *value;
	bool raw;
};

bool
message_fill(struct buf *, const char *template, const struct message_value *,
    size_t count, struct error *) __attribute__((warn_unused_result));

#endif
