/*
 * What the words of Retell mean: every reason that the vendor's package (npm
 * retell-sdk 5.66.1) lists, those of its texts, and those that nobody lists.
 */
#include "decide/call.h"

#include <stddef.h>

#include "../tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct known {
	enum call_class class;
	const char *words; /* blank-separated */
} known[] = {
    {CALL_NORMAL,
	"user_hangup agent_hangup call_transfer voicemail_reached ivr_reached "
	"inactivity max_duration_reached transfer_bridged transfer_cancelled "
	"manual_stopped call_take_over user_requested_dnc "
	"user_requested_callback machine_detected"},
    {CALL_NOT_REACHED, "dial_no_answer dial_busy user_declined"},
    {CALL_BAD_NUMBER, "invalid_destination"},
    {CALL_NOT_DIALLED,
	"dial_failed registered_call_timeout error_user_not_joined "
	"network_blocked"},
    {CALL_HOPELESS,
	"no_valid_payment scam_detected telephony_provider_permission_denied "
	"telephony_provider_unavailable sip_routing_error marked_as_spam "
	"credit_exhausted budget_reached"},
    {CALL_NO_LINE, "concurrency_limit_reached no_concurrency_fallback"},
    {CALL_FAULT,
	"error_llm_websocket_open error_llm_websocket_lost_connection "
	"error_llm_websocket_runtime error_llm_websocket_corrupt_payload "
	"error_no_audio_received error_asr error_retell error_unknown "
	"error_inbound_webhook"},
};

/* Whatever the status says beside it. */
static void
test_known(void)
{
	char words[1024], *word, *rest;
	size_t i;

	for (i = 0; i < COUNT(known); i++) {
		snprintf(words, sizeof(words), "%s", known[i].words);
		for (word = strtok_r(words, " ", &rest); word != NULL;
		     word = strtok_r(NULL, " ", &rest))
			ok(call_classify(word, NULL) == known[i].class &&
				call_classify(word, "error") == known[i].class
				&&
				call_classify(word, "ended") == known[i].class,
			    "%s", word);
	}
}

static void
test_unknown(void)
{
	ok(call_classify("moon", "ended") == CALL_NORMAL, "unknown, ended");
	ok(call_classify("moon", NULL) == CALL_NORMAL, "unknown, no status");
	ok(call_classify("moon", "not_connected") == CALL_NOT_DIALLED,
	    "unknown, not_connected");
	ok(call_classify("moon", "error") == CALL_FAULT, "unknown, error");
	ok(call_classify("error_moon", "ended") == CALL_FAULT, "error_moon");
	ok(call_classify(NULL, "ended") == CALL_NORMAL, "none, ended");
	ok(call_classify(NULL, "error") == CALL_FAULT, "none, error");
	ok(call_classify(NULL, NULL) == CALL_NORMAL, "nothing at all");
}

/* What else would fail as this did. */
static void
test_boding(void)
{
	static const char *const ill[] = {"http_401", "http_402", "http_404",
	    "http_422", "http_429", "http_500", "unreachable",
	    "no_valid_payment", "marked_as_spam"};
	static const char *const well[] = {"http_400", "absent", "dial_busy",
	    "invalid_destination", "user_hangup", "refused"};
	size_t i;

	for (i = 0; i < COUNT(ill); i++)
		ok(call_bodes_ill(ill[i]), "%s bodes ill", ill[i]);
	for (i = 0; i < COUNT(well); i++)
		ok(!call_bodes_ill(well[i]), "%s does not", well[i]);
	ok(!call_bodes_ill(NULL), "nor does none");
}

static void
test_numbers(void)
{
	static const char *const good[] = {
	    "+14155550199", "+4930123456", "+12345678", "+123456789012345"};
	static const char *const bad[] = {"", "+", "14155550199", "+1234567",
	    "+1234567890123456", "+04155550199", "+1415555019x",
	    "+1 4155550199", "tel:+14155550199"};
	size_t i;

	for (i = 0; i < COUNT(good); i++)
		ok(call_is_number(good[i]), "%s is a number", good[i]);
	for (i = 0; i < COUNT(bad); i++)
		ok(!call_is_number(bad[i]), "\"%s\" is none", bad[i]);
	ok(!call_is_number(NULL), "nor is nothing");
}

int
main(void)
{
	test_known();
	test_unknown();
	test_boding();
	test_numbers();
	return tap_end();
}
