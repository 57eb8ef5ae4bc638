#include "decide/retry.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "../tap.h"

#define NOW 1795000000
#define FAR (NOW + 30 * 86400)
#define MIDDLE 500 /* of chance: the wait as it is written */

/* The ruling on a whole answer to the first attempt. */
static struct retry_ruling
rule(enum conf_dialect dialect, int status, const char *body)
{
	const struct retry_attempt attempt = {
	    .number = 1, .now = NOW, .expires_at = FAR, .chance = MIDDLE};
	struct answer answer = {.status = status,
	    .retry_after_s = -1,
	    .body = BUF_INIT(ANSWER_BODY_MAX)};
	struct retry_ruling ruling;

	buf_text(&answer.body, body);
	retry_rule(&ruling, dialect, &answer, &attempt);
	buf_release(&answer.body);
	return ruling;
}

#define STRIPE_SAYS(words) "{\"error\":{\"message\":\"" words "\"}}"
#define TWILIO_SAYS(code, status)                                              \
	"{\"code\":" #code ",\"message\":\"No\",\"status\":" #status "}"

static const struct {
	enum conf_dialect dialect;
	int status;
	const char *body;
	enum retry_verdict verdict;
	const char *reason;
} answers[] = {
    {CONF_WEBHOOK, 200, "Accepted", RETRY_DONE, "answered 200"},
    {CONF_WEBHOOK, 200, "", RETRY_DONE, "answered 200"},
    {CONF_WEBHOOK, 204, NULL, RETRY_DONE, "answered 204"},
    {CONF_WEBHOOK, 301, "", RETRY_GONE,
	"answered 301, a redirect: put the final address in"},
    {CONF_WEBHOOK, 308, "", RETRY_GONE,
	"answered 308, a redirect: put the final address in"},
    {CONF_WEBHOOK, 400, "Queue is full\n", RETRY_LATER,
	"answered 400, its queue is full (\"Queue is full\")"},
    {CONF_SMS_WEBHOOK, 400, "Queue is full", RETRY_LATER,
	"answered 400, its queue is full (\"Queue is full\")"},
    {CONF_WEBHOOK, 400, "{\"error\":\"plan missing\"}", RETRY_DEAD,
	"answered 400, it does not take this one (\"plan missing\")"},
    {CONF_WEBHOOK, 401, "", RETRY_GONE,
	"answered 401, it refuses us: put the right key or address in"},
    {CONF_WEBHOOK, 402, "", RETRY_GONE,
	"answered 402, it wants to be paid: see the account there"},
    {CONF_WEBHOOK, 403, "<html><b>No</b>", RETRY_GONE,
	"answered 403, it refuses us: put the right key or address in"},
    {CONF_WEBHOOK, 404, "", RETRY_GONE,
	"answered 404, nothing is there: put the right address in"},
    {CONF_WEBHOOK, 405, "", RETRY_GONE,
	"answered 405, it takes no POST: put the right address in"},
    {CONF_WEBHOOK, 407, "", RETRY_GONE,
	"answered 407, the proxy wants to know who we are"},
    {CONF_WEBHOOK, 408, "", RETRY_LATER, "answered 408"},
    {CONF_WEBHOOK, 410, "There is no scenario listening for this webhook.",
	RETRY_GONE,
	"answered 410, nobody listens there: switch it on, or put a new "
	"address in (\"There is no scenario listening for this webhook.\")"},
    {CONF_WEBHOOK, 413, "", RETRY_DEAD, "answered 413, too large for it"},
    {CONF_WEBHOOK, 415, "", RETRY_GONE,
	"answered 415, it takes no JSON: put the right address in"},
    {CONF_WEBHOOK, 422, "", RETRY_DEAD,
	"answered 422, it does not take this one"},
    {CONF_WEBHOOK, 425, "", RETRY_LATER, "answered 425"},
    {CONF_WEBHOOK, 429, "", RETRY_LATER, "answered 429, too many at once"},
    {CONF_WEBHOOK, 500, "rollup", RETRY_LATER, "answered 500 (\"rollup\")"},
    {CONF_WEBHOOK, 503, "", RETRY_LATER, "answered 503"},
    {CONF_WEBHOOK, 100, "", RETRY_LATER, "answered 100, no status of HTTP"},
    {CONF_WEBHOOK, 999, "", RETRY_LATER, "answered 999, no status of HTTP"},

    {CONF_SLACK, 200, "ok", RETRY_DONE, "answered 200"},
    {CONF_SLACK, 200, " ok\r\n", RETRY_DONE, "answered 200"},
    {CONF_SLACK, 200, "<html>Log in to the hotel</html>", RETRY_LATER,
	"answered 200, but not Slack's \"ok\": what stands in between?"},
    {CONF_SLACK, 200, "okay", RETRY_LATER,
	"answered 200, but not Slack's \"ok\": what stands in between? "
	"(\"okay\")"},
    {CONF_SLACK, 200, "", RETRY_LATER,
	"answered 200, but not Slack's \"ok\": what stands in between?"},
    {CONF_SLACK, 400, "invalid_blocks", RETRY_PLAIN,
	"answered 400, goes again with its text alone (\"invalid_blocks\")"},
    {CONF_SLACK, 400, "invalid_blocks_format\n", RETRY_PLAIN,
	"answered 400, goes again with its text alone "
	"(\"invalid_blocks_format\")"},
    {CONF_SLACK, 400, "too_many_attachments", RETRY_PLAIN,
	"answered 400, goes again with its text alone "
	"(\"too_many_attachments\")"},
    {CONF_SLACK, 400, "no_text", RETRY_DEAD,
	"answered 400, it does not take this one (\"no_text\")"},
    {CONF_SLACK, 403, "invalid_token", RETRY_GONE,
	"answered 403, make a new webhook in Slack and put its address in "
	"(\"invalid_token\")"},
    {CONF_SLACK, 400, "invalid_token", RETRY_GONE,
	"answered 400, make a new webhook in Slack and put its address in "
	"(\"invalid_token\")"},
    {CONF_SLACK, 404, "no_service", RETRY_GONE,
	"answered 404, make a new webhook in Slack and put its address in "
	"(\"no_service\")"},
    {CONF_SLACK, 404, "no_active_hooks", RETRY_GONE,
	"answered 404, make a new webhook in Slack and put its address in "
	"(\"no_active_hooks\")"},
    {CONF_SLACK, 404, "no_team", RETRY_GONE,
	"answered 404, make a new webhook in Slack and put its address in "
	"(\"no_team\")"},
    {CONF_SLACK, 404, "channel_not_found", RETRY_GONE,
	"answered 404, make a webhook for another channel, put its address in "
	"(\"channel_not_found\")"},
    {CONF_SLACK, 410, "channel_is_archived", RETRY_GONE,
	"answered 410, make a webhook for another channel, put its address in "
	"(\"channel_is_archived\")"},
    {CONF_SLACK, 403, "action_prohibited", RETRY_GONE,
	"answered 403, ask the workspace's admin (\"action_prohibited\")"},
    {CONF_SLACK, 404, "what", RETRY_GONE,
	"answered 404, nothing is there: put the right address in (\"what\")"},
    {CONF_SLACK, 429, "invalid_token", RETRY_LATER,
	"answered 429, too many at once (\"invalid_token\")"},
    {CONF_SLACK, 500, "rollup_error", RETRY_LATER,
	"answered 500 (\"rollup_error\")"},

    {CONF_TWILIO, 201, "{\"sid\":\"SM1\",\"error_code\":null}", RETRY_DONE,
	"answered 201"},
    {CONF_TWILIO, 401, TWILIO_SAYS(20003, 401), RETRY_GONE,
	"answered 401, put Twilio's right account SID and token in (\"No\")"},
    {CONF_TWILIO, 404, TWILIO_SAYS(20404, 404), RETRY_GONE,
	"answered 404, put Twilio's right account SID in (\"No\")"},
    {CONF_TWILIO, 429, TWILIO_SAYS(20429, 429), RETRY_LATER,
	"answered 429, too many at once (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(20429, 400), RETRY_LATER,
	"answered 400, too many at once (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21211, 400), RETRY_DEAD,
	"answered 400, the recipient is no number: write +, country and "
	"number (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21214, 400), RETRY_DEAD,
	"answered 400, the recipient cannot be reached: use another (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21217, 400), RETRY_DEAD,
	"answered 400, the recipient is no number: write +, country and "
	"number (\"No\")"},
    {CONF_TWILIO, 403, TWILIO_SAYS(21408, 403), RETRY_DEAD,
	"answered 403, allow the recipient's country at Twilio (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21606, 400), RETRY_DEAD,
	"answered 400, the sender cannot send SMS: use another (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21608, 400), RETRY_DEAD,
	"answered 400, trial account: verify the recipient at Twilio "
	"(\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21610, 400), RETRY_DEAD,
	"answered 400, the recipient sent STOP: send START from there "
	"(\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21612, 400), RETRY_DEAD,
	"answered 400, no way from this sender to there: use another "
	"(\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21614, 400), RETRY_DEAD,
	"answered 400, the recipient is no mobile number: use one (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21617, 400), RETRY_DEAD,
	"answered 400, the text is too long (\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(21659, 400), RETRY_DEAD,
	"answered 400, the sender is not the account's: use one of its "
	"(\"No\")"},
    {CONF_TWILIO, 400, TWILIO_SAYS(29999, 400), RETRY_DEAD,
	"answered 400, it does not take this one (\"No\")"},
    {CONF_TWILIO, 500, TWILIO_SAYS(20500, 500), RETRY_LATER,
	"answered 500 (\"No\")"},
    {CONF_TWILIO, 400, "<?xml version='1.0'?>", RETRY_DEAD,
	"answered 400, it does not take this one"},
    {CONF_TWILIO, 404, "gone", RETRY_GONE,
	"answered 404, nothing is there: put the right address in (\"gone\")"},

    {CONF_SMS_WEBHOOK, 202, "queued", RETRY_DONE, "answered 202"},
    {CONF_SMS_WEBHOOK, 400, "invalid_blocks", RETRY_DEAD,
	"answered 400, it does not take this one (\"invalid_blocks\")"},

    {CONF_STRIPE, 200, "{\"object\":\"billing.meter_event\"}", RETRY_DONE,
	"answered 200"},
    {CONF_STRIPE, 400,
	STRIPE_SAYS("An event already exists with identifier usage:1."),
	RETRY_DONE, "answered 400, it was there already"},
    {CONF_STRIPE, 400, STRIPE_SAYS("Timestamp too far"), RETRY_DEAD,
	"answered 400, it does not take this one (\"Timestamp too far\")"},
    {CONF_STRIPE, 401, STRIPE_SAYS("Invalid API Key"), RETRY_GONE,
	"answered 401, it refuses us: put the right key or address in "
	"(\"Invalid API Key\")"},
    {CONF_STRIPE, 404, STRIPE_SAYS("No such subscription"), RETRY_DEAD,
	"answered 404, it knows no such thing (\"No such subscription\")"},
    {CONF_STRIPE, 409, STRIPE_SAYS("in use"), RETRY_LATER,
	"answered 409, it was busy with it (\"in use\")"},
    {CONF_STRIPE, 429, STRIPE_SAYS("Slow"), RETRY_LATER,
	"answered 429, too many at once (\"Slow\")"},
    {CONF_STRIPE, 502, "<html>", RETRY_LATER, "answered 502"},
};

static void
test_answers(void)
{
	static const char *const dialects[] = {
	    "webhook", "Slack", "Twilio", "SMS webhook", "Stripe"};
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct retry_ruling ruling = rule(
		    answers[i].dialect, answers[i].status, answers[i].body);
		const bool is_fault = answers[i].verdict == RETRY_LATER ||
		    answers[i].verdict == RETRY_GONE;

		ok(ruling.verdict == answers[i].verdict &&
			ruling.destination_fault == is_fault,
		    "%s %d, row %zu", dialects[answers[i].dialect],
		    answers[i].status, i);
		is_text(ruling.reason, answers[i].reason, "and its reason");
	}
}

static void
test_failures(void)
{
	static const struct {
		enum answer_failure failure;
		enum retry_verdict verdict;
		int64_t wait_s;
		const char *reason;
	} failures[] = {
	    {ANSWER_REFUSED, RETRY_LATER, 5,
		"no connection (\"host not found\")"},
	    {ANSWER_TIMEOUT, RETRY_LATER, 60,
		"no answer in time (\"host not found\")"},
	    {ANSWER_BROKEN, RETRY_LATER, 5,
		"the answer broke off (\"host not found\")"},
	    {ANSWER_UNSENDABLE, RETRY_GONE, 0,
		"cannot be sent, put the address right (\"host not found\")"},
	};
	const struct retry_attempt attempt = {
	    .number = 1, .now = NOW, .expires_at = FAR, .chance = MIDDLE};
	size_t i;

	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct answer answer = {.failure = failures[i].failure,
		    .retry_after_s = -1,
		    .reason = "host not found"};
		struct retry_ruling ruling;

		retry_rule(&ruling, CONF_SLACK, &answer, &attempt);
		ok(ruling.verdict == failures[i].verdict &&
			ruling.destination_fault,
		    "a failure is the destination's fault");
		is_int(ruling.due_at - NOW, failures[i].wait_s, "its wait");
		is_text(ruling.reason, failures[i].reason, "its reason");
	}
}

static void
test_plain(void)
{
	const struct retry_attempt attempt = {
	    .number = 1, .now = NOW, .expires_at = FAR, .plain = true};
	struct answer answer = {
	    .status = 400, .retry_after_s = -1, .body = BUF_INIT(100)};
	struct retry_ruling ruling = rule(CONF_SLACK, 400, "invalid_blocks");

	is_int(ruling.due_at, NOW, "the text alone goes at once");
	buf_text(&answer.body, "invalid_blocks");
	retry_rule(&ruling, CONF_SLACK, &answer, &attempt);
	is_int(ruling.verdict, RETRY_DEAD, "but only once");
	buf_release(&answer.body);
}

/* The wait, in seconds, after an answer 503; -1 if it is dead. */
static int64_t
wait_s(int status, int64_t retry_after_s, const struct retry_attempt *attempt)
{
	struct answer answer = {
	    .status = status, .retry_after_s = retry_after_s};
	struct retry_ruling ruling;

	retry_rule(&ruling, CONF_WEBHOOK, &answer, attempt);
	return ruling.verdict == RETRY_LATER ? ruling.due_at - attempt->now
					     : -1;
}

static void
test_schedule(void)
{
	static const int64_t waits_s[] = {
	    5, 30, 120, 600, 1800, 7200, 18000, 36000, 86400, 86400, 86400};
	struct retry_attempt attempt = {.now = NOW, .expires_at = FAR};
	size_t i;

	for (i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
		attempt.number = (int64_t)i + 1;
		attempt.chance = MIDDLE;
		is_int(wait_s(503, -1, &attempt), waits_s[i],
		    "each wait is longer, up to a day");
		attempt.chance = 0;
		is_int(wait_s(503, -1, &attempt), waits_s[i] * 4 / 5,
		    "by chance a fifth shorter");
		attempt.chance = 999;
		is_int(wait_s(503, -1, &attempt), waits_s[i] * 6 / 5,
		    "or a fifth longer");
	}
	attempt.number = 0;
	attempt.chance = MIDDLE;
	is_int(wait_s(503, -1, &attempt), 5, "an attempt 0 counts as 1");
}

static void
test_asked(void)
{
	static const struct {
		int status;
		int64_t asked_s, wait_s;
		const char *name;
	} cases[] = {
	    {503, 0, 5, "Retry-After: 0 is no shorter than our wait"},
	    {503, 90, 90, "Retry-After is obeyed"},
	    {503, 86400, 86400, "for a day"},
	    {503, 9999999, 86400, "but no longer"},
	    {429, -1, 60, "429 waits a minute"},
	    {429, 30, 60, "also where less is asked"},
	    {429, 61, 61, "or longer, if asked"},
	    {408, -1, 60, "408 waits a minute"},
	    {425, -1, 5, "425 does not"},
	};
	const struct retry_attempt attempt = {
	    .number = 1, .now = NOW, .expires_at = FAR, .chance = MIDDLE};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(wait_s(cases[i].status, cases[i].asked_s, &attempt),
		    cases[i].wait_s, cases[i].name);
	is_int(rule(CONF_WEBHOOK, 400, "Queue is full").due_at - NOW, 60,
	    "a full queue waits a minute");
}

static void
test_rest(void)
{
	static const struct {
		int status;
		int64_t asked_s, rest_s;
		const char *name;
	} cases[] = {
	    {429, -1, 60, "429 asks for a rest of a minute"},
	    {429, 0, 60, "or says nothing with 0"},
	    {429, 5, 5, "or for as long as it says"},
	    {503, 300, 300, "503 that says so asks for it, too"},
	    {503, 9999999, 86400, "for a day at most"},
	    {503, -1, 0, "503 alone does not"},
	    {408, -1, 0, "nor 408"},
	    {200, 300, 0, "nor 200"},
	};
	/* Its ninth wait is a day; what waits beside it is not to. */
	const struct retry_attempt attempt = {
	    .number = 9, .now = NOW, .expires_at = FAR, .chance = MIDDLE};
	struct retry_ruling ruling;
	struct answer answer = {0};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer.status = cases[i].status;
		answer.retry_after_s = cases[i].asked_s;
		retry_rule(&ruling, CONF_WEBHOOK, &answer, &attempt);
		is_int(ruling.rest_until,
		    cases[i].rest_s == 0 ? 0 : NOW + cases[i].rest_s,
		    cases[i].name);
	}
}

static void
test_age(void)
{
	static const struct {
		int64_t left_s, asked_s, wait_s;
		const char *name;
	} cases[] = {
	    {1800, -1, 1800, "a try that just comes in time"},
	    {1799, -1, 1799, "else a last one at the end"},
	    {60, -1, 60, "if that is a minute ahead"},
	    {59, -1, -1, "else it is dead"},
	    {0, -1, -1, "at its end it is dead"},
	    {-5, -1, -1, "and past it"},
	    {3000, 3001, -1, "no last try before the moment asked for"},
	    {3000, 3000, 3000, "but at it"},
	};
	struct retry_attempt attempt = {
	    .number = 5, .now = NOW, .chance = MIDDLE};
	struct answer answer = {.status = 503, .retry_after_s = -1};
	struct retry_ruling ruling;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		attempt.expires_at = NOW + cases[i].left_s;
		is_int(wait_s(503, cases[i].asked_s, &attempt), cases[i].wait_s,
		    cases[i].name);
	}
	attempt.number = 1;
	attempt.expires_at = NOW + 5;
	is_int(wait_s(503, -1, &attempt), 5,
	    "a try in time needs no minute ahead");
	attempt.expires_at = NOW;
	retry_rule(&ruling, CONF_WEBHOOK, &answer, &attempt);
	is_text(ruling.reason,
	    "given up as too old; the last try: answered 503",
	    "too old is said, and what came last");
	ok(ruling.destination_fault && ruling.due_at == 0,
	    "the destination's fault all the same");
	answer.status = 410;
	retry_rule(&ruling, CONF_WEBHOOK, &answer, &attempt);
	is_int(ruling.verdict, RETRY_GONE,
	    "what a destination's fault holds back does not grow too old");
}

static void
test_quotes(void)
{
	static const struct {
		const char *body, *quoted, *name;
	} quotes[] = {
	    {"The 'To' number +15551234567 is not valid",
		"The 'To' number +*********** is not valid",
		"a telephone number"},
	    {"call (555) 123-4567 now", "call (***) ***-**** now",
		"one with blanks and dashes"},
	    {"of 1234567", "of *******", "the shortest"},
	    {"in 123456 s", "in 123456 s", "six digits are none"},
	    {"{\"message\":\"ann@corp.example has left\",\"x\":1}",
		"*** has left", "a mail address"},
	    {"no https://hooks.example/services/T1/B2/abcdefgh here",
		"no *** here", "a secret address"},
	    {"key 0123456789abcdef0123456789abcdef", "key ***", "a key"},
	    {"posting_to_general_channel_denied",
		"posting_to_general_channel_denied", "a long word is no key"},
	    {"two\r\nlines\x1b[31m", "two lines [31m", "one line"},
	    {"{\"error\":{\"deep\":1}}", "{\"error\":{\"deep\":1}}",
		"JSON that says nothing we know"},
	    {"nul\xFFl", "nul\xEF\xBF\xBDl", "bytes that are no text"},
	};
	char wanted[300], many[400];
	size_t i;

	for (i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++) {
		struct retry_ruling ruling =
		    rule(CONF_SMS_WEBHOOK, 500, quotes[i].body);

		snprintf(wanted, sizeof(wanted), "answered 500 (\"%s\")",
		    quotes[i].quoted);
		is_text(ruling.reason, wanted, quotes[i].name);
	}
	memset(many, 'w', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	snprintf(wanted, sizeof(wanted), "answered 500 (\"%.79s…\")", many);
	is_text(rule(CONF_WEBHOOK, 500, many).reason, wanted,
	    "80 code points are quoted");
}

/* Any bytes at any moment: a ruling that holds together. */
static void
test_any(uint64_t seed)
{
	bool is_text_valid = true, is_in_time = true;
	int i, j;

	for (i = 0; i < 20000; i++) {
		struct answer answer = {.body = BUF_INIT(1000)};
		struct retry_attempt attempt = {.now = NOW};
		struct retry_ruling ruling;
		json_t *reason;

		for (j = 0; j < 120; j++) {
			seed =
			    seed * 6364136223846793005U + 1442695040888963407U;
			buf_byte(&answer.body, (char)(seed >> 56));
		}
		answer.failure =
		    seed >> 33 & 7 ? ANSWER_COMPLETE : ANSWER_BROKEN;
		answer.status = (int)(seed >> 34 & 511) + 100;
		answer.retry_after_s = (int64_t)(seed >> 30 & 8191) - 4096;
		attempt.number = (int64_t)(seed >> 40 & 15);
		attempt.chance = (unsigned)(seed >> 50);
		attempt.expires_at = NOW + (int64_t)(seed >> 45 & 16383) - 99;
		retry_rule(&ruling, (enum conf_dialect)(seed >> 60 & 3),
		    &answer, &attempt);
		reason = json_string(ruling.reason);
		is_text_valid =
		    is_text_valid && reason != NULL && ruling.reason[0] != '\0';
		is_in_time = is_in_time &&
		    (ruling.verdict != RETRY_LATER ||
			(ruling.due_at > NOW &&
			    ruling.due_at <= attempt.expires_at &&
			    ruling.due_at - NOW >= answer.retry_after_s));
		json_decref(reason);
		buf_release(&answer.body);
	}
	ok(is_text_valid, "any answer has its reason, in UTF-8");
	ok(is_in_time, "and is tried in time and not before it asks");
}

int
main(int argc, char *argv[])
{
	uint64_t seed =
	    argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);

	printf("# seed %" PRIu64 "\n", seed);
	test_answers();
	test_failures();
	test_plain();
	test_schedule();
	test_asked();
	test_rest();
	test_age();
	test_quotes();
	test_any(seed);
	return tap_end();
}
