#include "decide/retry.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mask.h"
#include "decide/message.h"

#define LAST_TRY_S 60
#define QUOTE_MAX 80 /* code points */
#define READ_MAX 400 /* of which the quote is made */

#define BLANKS " \t\r\n"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* What an answer means, but for the time. */
struct meaning {
	enum retry_verdict verdict;
	int64_t wait_min_s; /* of RETRY_LATER */
	const char *advice; /* may be empty */
};

static const int64_t waits_s[] = {
    5, 30, 2 * 60, 10 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 86400};

#define CLOSED "nobody listens there: switch it on, or put a new address in"
#define REFUSES "it refuses us: put the right key or address in"

/* The first row that holds a status decides. */
static const struct {
	int first, last;
	struct meaning meaning;
} statuses[] = {
    {200, 299, {RETRY_DONE, 0, ""}},
    {300, 399, {RETRY_GONE, 0, "a redirect: put the final address in"}},
    {401, 401, {RETRY_GONE, 0, REFUSES}},
    {402, 402, {RETRY_GONE, 0, "it wants to be paid: see the account there"}},
    {403, 403, {RETRY_GONE, 0, REFUSES}},
    {404, 404, {RETRY_GONE, 0, "nothing is there: put the right address in"}},
    {405, 405, {RETRY_GONE, 0, "it takes no POST: put the right address in"}},
    {407, 407, {RETRY_GONE, 0, "the proxy wants to know who we are"}},
    {408, 408, {RETRY_LATER, 60, ""}},
    {410, 410, {RETRY_GONE, 0, CLOSED}},
    {413, 413, {RETRY_DEAD, 0, "too large for it"}},
    {415, 415, {RETRY_GONE, 0, "it takes no JSON: put the right address in"}},
    {425, 425, {RETRY_LATER, 0, ""}},
    {429, 429, {RETRY_LATER, 60, "too many at once"}},
    {400, 499, {RETRY_DEAD, 0, "it does not take this one"}},
    {500, 599, {RETRY_LATER, 0, ""}},
};

/* What Slack says in the body of a 4xx, in plain text. */
#define AS_TEXT "goes again with its text alone"
#define NEW_WEBHOOK "make a new webhook in Slack and put its address in"
#define OTHER_CHANNEL "make a webhook for another channel, put its address in"

static const struct {
	const char *word;
	struct meaning meaning;
} slack_words[] = {
    {"invalid_blocks", {RETRY_PLAIN, 0, AS_TEXT}},
    {"invalid_blocks_format", {RETRY_PLAIN, 0, AS_TEXT}},
    {"invalid_attachments", {RETRY_PLAIN, 0, AS_TEXT}},
    {"too_many_attachments", {RETRY_PLAIN, 0, AS_TEXT}},
    {"invalid_payload", {RETRY_PLAIN, 0, AS_TEXT}},
    {"invalid_token", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"no_service", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"no_active_hooks", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"no_team", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"team_disabled", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"user_not_found", {RETRY_GONE, 0, NEW_WEBHOOK}},
    {"channel_not_found", {RETRY_GONE, 0, OTHER_CHANNEL}},
    {"channel_is_archived", {RETRY_GONE, 0, OTHER_CHANNEL}},
    {"posting_to_general_channel_denied", {RETRY_GONE, 0, OTHER_CHANNEL}},
    {"action_prohibited", {RETRY_GONE, 0, "ask the workspace's admin"}},
};

#define NO_NUMBER "the recipient is no number: write +, country and number"

/* Twilio's error codes: https://www.twilio.com/docs/errors */
static const struct {
	int64_t code;
	struct meaning meaning;
} twilio_codes[] = {
    {20003, {RETRY_GONE, 0, "put Twilio's right account SID and token in"}},
    {20404, {RETRY_GONE, 0, "put Twilio's right account SID in"}},
    {20429, {RETRY_LATER, 60, "too many at once"}},
    {21211, {RETRY_DEAD, 0, NO_NUMBER}},
    {21214, {RETRY_DEAD, 0, "the recipient cannot be reached: use another"}},
    {21217, {RETRY_DEAD, 0, NO_NUMBER}},
    {21408, {RETRY_DEAD, 0, "allow the recipient's country at Twilio"}},
    {21606, {RETRY_DEAD, 0, "the sender cannot send SMS: use another"}},
    {21608, {RETRY_DEAD, 0, "trial account: verify the recipient at Twilio"}},
    {21610, {RETRY_DEAD, 0, "the recipient sent STOP: send START from there"}},
    {21611, {RETRY_LATER, 60, "the sender's queue is full"}},
    {21612, {RETRY_DEAD, 0, "no way from this sender to there: use another"}},
    {21614, {RETRY_DEAD, 0, "the recipient is no mobile number: use one"}},
    {21617, {RETRY_DEAD, 0, "the text is too long"}},
    {21659, {RETRY_DEAD, 0, "the sender is not the account's: use one of its"}},
};

static struct meaning
meaning_of_status(int status)
{
	size_t i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (status >= statuses[i].first && status <= statuses[i].last)
			return statuses[i].meaning;
	return (struct meaning){RETRY_LATER, 0, "no status of HTTP"};
}

static bool
is_ok(const char *body)
{
	return strncmp(body, "ok", 2) == 0 &&
	    body[2 + strspn(body + 2, BLANKS)] == '\0';
}

static struct meaning
slack_meaning(struct meaning meaning, const char *body, bool plain)
{
	const size_t start = strspn(body, BLANKS);
	const size_t size = strspn(body + start, LETTERS "_");
	size_t i;

	if (meaning.verdict == RETRY_DONE && !is_ok(body + start))
		return (struct meaning){RETRY_LATER, 0,
		    "but not Slack's \"ok\": what stands in between?"};
	for (i = 0; i < sizeof(slack_words) / sizeof(slack_words[0]); i++)
		if (strlen(slack_words[i].word) == size &&
		    memcmp(slack_words[i].word, body + start, size) == 0)
			meaning = slack_words[i].meaning;
	if (meaning.verdict == RETRY_PLAIN && plain)
		return (struct meaning){
		    RETRY_DEAD, 0, "it does not take the text alone either"};
	return meaning;
}

static struct meaning
twilio_meaning(struct meaning meaning, const json_t *document)
{
	int64_t code;
	size_t i;

	if (meaning.verdict == RETRY_DONE ||
	    !json_number(&code, document, "code"))
		return meaning;
	for (i = 0; i < sizeof(twilio_codes) / sizeof(twilio_codes[0]); i++)
		if (twilio_codes[i].code == code)
			return twilio_codes[i].meaning;
	return meaning;
}

/* Make.com's one temporary 400. */
static struct meaning
webhook_meaning(struct meaning meaning, int status, const char *body)
{
	if (status == 400 && strstr(body, "Queue is full") != NULL)
		return (struct meaning){RETRY_LATER, 60, "its queue is full"};
	return meaning;
}

/*
 * Stripe refuses an identifier that it has for a day and more with a 400, and
 * no code: usage that is there already is delivered. Its 404 is about one
 * object, not about the address; a conflict (409) passes. See
 * https://docs.stripe.com/error-low-level
 */
static struct meaning
stripe_meaning(struct meaning meaning, int status, const json_t *document)
{
	const char *words = json_text(document, "error.message");

	if (status == 400 && words != NULL &&
	    strstr(words, "already exists with identifier") != NULL)
		return (struct meaning){RETRY_DONE, 0, "it was there already"};
	if (status == 409)
		return (struct meaning){RETRY_LATER, 0, "it was busy with it"};
	if (status == 404)
		return (struct meaning){
		    RETRY_DEAD, 0, "it knows no such thing"};
	return meaning;
}

static struct meaning
meaning_of_answer(enum conf_dialect dialect, const struct answer *answer,
    const json_t *document, bool plain)
{
	const struct meaning meaning = meaning_of_status(answer->status);
	const char *body = buf_string(&answer->body);

	if (meaning.verdict == RETRY_LATER)
		return meaning;
	switch (dialect) {
	case CONF_SLACK: return slack_meaning(meaning, body, plain);
	case CONF_TWILIO: return twilio_meaning(meaning, document);
	case CONF_STRIPE:
		return stripe_meaning(meaning, answer->status, document);
	case CONF_WEBHOOK:
	case CONF_SMS_WEBHOOK:
		return webhook_meaning(meaning, answer->status, body);
	}
	return meaning;
}

static struct meaning
meaning_of_failure(enum answer_failure failure)
{
	switch (failure) {
	case ANSWER_TIMEOUT: return (struct meaning){RETRY_LATER, 60, ""};
	case ANSWER_UNSENDABLE:
		return (struct meaning){RETRY_GONE, 0, "put the address right"};
	case ANSWER_COMPLETE:
	case ANSWER_REFUSED:
	case ANSWER_BROKEN: break;
	}
	return (struct meaning){RETRY_LATER, 0, ""};
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The wait after that attempt, by chance a fifth shorter to a fifth longer. */
static int64_t
spread_wait_s(const struct retry_attempt *attempt)
{
	const int64_t last = sizeof(waits_s) / sizeof(waits_s[0]);
	const int64_t number = attempt->number < 1 ? 1
	    : attempt->number > last               ? last
						   : attempt->number;

	return waits_s[number - 1] *
	    (800 + (int64_t)(attempt->chance % 1000) * 400 / 999) / 1000;
}

/* When to try again; 0 if that is too late. */
static int64_t
next_try(
    int64_t wait_min_s, int64_t asked_s, const struct retry_attempt *attempt)
{
	const int64_t now = attempt->now, expires_at = attempt->expires_at;
	const int64_t earliest = now + larger(wait_min_s, asked_s);
	const int64_t due_at = larger(earliest, now + spread_wait_s(attempt));

	if (due_at <= expires_at)
		return due_at;
	if (expires_at >= larger(earliest, now + LAST_TRY_S))
		return expires_at;
	return 0;
}

/* Add at most QUOTE_MAX code points of the words, in quotes and masked. */
static void
quote(struct buf *out, const char *words)
{
	struct buf line = BUF_INIT(READ_MAX * 4);
	struct buf masked = BUF_INIT(READ_MAX * 4);

	message_line(&line, words, READ_MAX);
	mask_text(&masked, buf_string(&line), NULL);
	if (masked.size > 0) {
		buf_text(out, " (\"");
		message_cut(out, masked.data, QUOTE_MAX);
		buf_text(out, "\")");
	}
	buf_release(&masked);
	buf_release(&line);
}

/* What the other side said, or why it did not; "" if that is for machines. */
static const char *
words_of(const struct answer *answer, const json_t *document)
{
	const char *body = buf_string(&answer->body);

	if (answer->failure != ANSWER_COMPLETE)
		return answer->reason;
	if (json_text(document, "error.message") != NULL)
		return json_text(document, "error.message");
	if (json_text(document, "message") != NULL)
		return json_text(document, "message");
	if (json_text(document, "error") != NULL)
		return json_text(document, "error");
	return body[strspn(body, BLANKS)] == '<' ? "" : body;
}

static void
describe(struct buf *reason, const struct answer *answer, const char *advice)
{
	switch (answer->failure) {
	case ANSWER_COMPLETE:
		buf_format(reason, "answered %d", answer->status);
		break;
	case ANSWER_REFUSED: buf_text(reason, "no connection"); break;
	case ANSWER_TIMEOUT: buf_text(reason, "no answer in time"); break;
	case ANSWER_BROKEN: buf_text(reason, "the answer broke off"); break;
	case ANSWER_UNSENDABLE: buf_text(reason, "cannot be sent"); break;
	}
	buf_text(reason, *advice != '\0' ? ", " : "");
	buf_text(reason, advice);
}

/* Of Retry-After; -1: none. */
static int64_t
asked_s(const struct answer *answer)
{
	return answer->retry_after_s < RETRY_ASKED_MAX_S ? answer->retry_after_s
							 : RETRY_ASKED_MAX_S;
}

/* Until when it asks to be left alone; 0: it does not. */
static int64_t
rest_until(const struct meaning *meaning, const struct answer *answer,
    const struct retry_attempt *attempt)
{
	if (asked_s(answer) > 0)
		return attempt->now + asked_s(answer);
	return answer->status == 429 ? attempt->now + meaning->wait_min_s : 0;
}

static void
decide(struct retry_ruling *ruling, const struct meaning *meaning,
    const struct answer *answer, const struct retry_attempt *attempt)
{
	ruling->verdict = meaning->verdict;
	ruling->destination_fault =
	    meaning->verdict == RETRY_LATER || meaning->verdict == RETRY_GONE;
	if (meaning->verdict == RETRY_GONE || meaning->verdict == RETRY_PLAIN)
		ruling->due_at = attempt->now;
	if (meaning->verdict != RETRY_LATER)
		return;
	ruling->rest_until = rest_until(meaning, answer, attempt);
	ruling->due_at =
	    next_try(meaning->wait_min_s, asked_s(answer), attempt);
	if (ruling->due_at == 0)
		ruling->verdict = RETRY_DEAD;
}

void
retry_rule(struct retry_ruling *ruling, enum conf_dialect dialect,
    const struct answer *answer, const struct retry_attempt *attempt)
{
	struct buf reason = BUF_INIT(RETRY_REASON_MAX - 1);
	json_t *document = NULL;
	struct meaning meaning;

	if (!json_parse(
		&document, buf_string(&answer->body), answer->body.size, NULL))
		document = NULL;
	meaning = answer->failure == ANSWER_COMPLETE
	    ? meaning_of_answer(dialect, answer, document, attempt->plain)
	    : meaning_of_failure(answer->failure);
	*ruling = (struct retry_ruling){0};
	decide(ruling, &meaning, answer, attempt);

	if (meaning.verdict == RETRY_LATER && ruling->verdict == RETRY_DEAD)
		buf_text(&reason, "given up as too old; the last try: ");
	describe(&reason, answer, meaning.advice);
	if (meaning.verdict != RETRY_DONE)
		quote(&reason, words_of(answer, document));
	memcpy(ruling->reason, buf_string(&reason), reason.size + 1);
	buf_release(&reason);
	json_decref(document);
}
