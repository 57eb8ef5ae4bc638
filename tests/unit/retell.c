#include "net/retell.h"

#include <stdlib.h>

#include "../receiver.h"
#include "../tap.h"
#include "base/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATIENCE_MS 20000
#define KEY "key_0aSecret"
#define ORDER "/v2/create-phone-call"
#define CALL_ID "call_ok0000000000000000000000001"
#define LEAD "aa11bb22-cc33-4d44-8e55-ff6677889900"

static char base[64], key[] = KEY;
static struct conf conf = {.retell_api_key = key,
    .retell_api_base = base,
    .retell_timeout_ms = PATIENCE_MS};
static struct retell *retell;

/* The path answers with a file of tests/data/retell. */
static void
script_file(const char *path, int status, const char *name)
{
	struct buf text = BUF_INIT(1024 * 1024);
	char *file = mem_format("retell/%s", name);

	add_answer(&text, path, status, file);
	script(buf_string(&text));
	buf_release(&text);
	free(file);
}

/* What was received there was this. */
static void
is_received(const char *at, const char *wanted, const char *name)
{
	char *got = received_at(at);

	is_text(got, wanted, name);
	free(got);
}

static void
place(struct retell_reply *reply)
{
	static const struct retell_call call = {
	    .from_number = "+14155550100", .to_number = "+14155550199"};

	retell_place(retell, &call, reply);
}

static void
test_open(void)
{
	struct error error = {0};
	struct retell *none;

	conf.retell_api_key = NULL;
	ok(!retell_open(&none, &conf, &error) && none == NULL &&
		error.kind == ERROR_CONF,
	    "without a key nobody is asked");
	conf.retell_api_key = key;
	retell_close(NULL);
}

static void
test_order(void)
{
	json_t *metadata = json_object(), *variables = json_object();
	struct retell_call call = {.from_number = "+14155550100",
	    .to_number = "+14155550199",
	    .agent_id = "agent_7c1d",
	    .metadata = metadata,
	    .variables = variables};
	struct retell_reply reply = {0};

	json_put(metadata, "automate_call", "lead_1:1");
	json_put(variables, "customer_name", "Sam \"the man\"");
	script_file(ORDER, 201, "create-phone-call-201.json");
	retell_place(retell, &call, &reply);
	is_int(reply.answer, RETELL_PLACED, "a call is placed");
	is_text(reply.call_id, CALL_ID, "with its id");
	is_int(reply.status, 201, "status 201");
	is_text(json_text(reply.body, "metadata.lead_id"), LEAD,
	    "the call object comes along");
	is_text(reply.words, NULL, "and there is nothing to explain");
	retell_reply_release(&reply);
	retell_reply_release(&reply);
	is_received("method", "POST", "by POST");
	is_received("path", ORDER, "to its address");
	is_received("headers.authorization", "Bearer " KEY, "with the key");
	is_received("headers.content-type", "application/json", "as JSON");
	is_received("body",
	    "{\"from_number\":\"+14155550100\",\"to_number\":\"+14155550199\","
	    "\"override_agent_id\":\"agent_7c1d\","
	    "\"metadata\":{\"automate_call\":\"lead_1:1\"},"
	    "\"retell_llm_dynamic_variables\":"
	    "{\"customer_name\":\"Sam \\\"the man\\\"\"}}",
	    "that says all of it");
	place(&reply);
	retell_reply_release(&reply);
	is_received("body",
	    "{\"from_number\":\"+14155550100\",\"to_number\":\"+14155550199\"}",
	    "and no more than there is to say");
	json_decref(metadata);
	json_decref(variables);
}

/* The vendor's own examples. */
static const struct {
	const char *file;
	int status;
	enum retell_answer answer;
	const char *words;
} documented[] = {
    {"create-phone-call-400.json", 400, RETELL_REFUSED,
	"Invalid request format, please check API reference."},
    {"create-phone-call-401.json", 401, RETELL_REFUSED,
	"API key is missing or invalid."},
    {"create-phone-call-402.json", 402, RETELL_REFUSED,
	"Trial has ended, please add payment method."},
    {"create-phone-call-404-from_number.json", 404, RETELL_REFUSED,
	"Item +*********** not found from phone-number"},
    {"create-phone-call-422.json", 422, RETELL_REFUSED,
	"Cannot find requested asset under given api key."},
    {"create-phone-call-429.json", 429, RETELL_NOT_PLACED,
	"Account rate limited, please throttle your requests."},
    {"create-phone-call-500.json", 500, RETELL_UNKNOWN,
	"An unexpected server error occurred."},
};

/* And what else may come. */
static const struct {
	const char *line, *name;
	enum retell_answer answer;
	const char *call_id, *words;
} others[] = {
    {"201 body={\"call_id\":\"call_1\",\"call_status\":\"error\","
     "\"disconnection_reason\":\"no_valid_payment\"}",
	"201 with an error", RETELL_REFUSED, "call_1", "no_valid_payment"},
    {"201 body={\"call_id\":\"call_1\",\"call_status\":\"error\"}",
	"201 with an error and no reason", RETELL_REFUSED, "call_1",
	"call_status error"},
    {"200 body={\"call_id\":\"call_1\",\"call_status\":\"registered\"}",
	"200 with a call_id", RETELL_PLACED, "call_1", NULL},
    {"201 body={\"call_status\":\"registered\"}", "201 without a call_id",
	RETELL_UNKNOWN, NULL, "accepted, but without a call_id"},
    {"201 body={\"call_id\":\"\"}", "201 with an empty call_id", RETELL_UNKNOWN,
	NULL, "accepted, but without a call_id"},
    {"201 body={\"call_id\":5}", "201 with a call_id that is none",
	RETELL_UNKNOWN, NULL, "accepted, but without a call_id"},
    {"201 body=[\"call_id\"]", "201 with an array", RETELL_UNKNOWN, NULL,
	"accepted, but without a call_id"},
    {"201 body=<html>thank you</html>", "201 with a page of HTML",
	RETELL_UNKNOWN, NULL, "accepted, but without a call_id"},
    {"201 body={\"call_id\":\"call_1\"", "201 with half a document",
	RETELL_UNKNOWN, NULL, "accepted, but without a call_id"},
    {"201", "201 with nothing", RETELL_UNKNOWN, NULL,
	"accepted, but without a call_id"},
    {"201 close=mid body={\"call_id\":\"call_1\"}", "201 that breaks off",
	RETELL_UNKNOWN, NULL,
	"no whole answer: the connection was closed early"},
    {"201 close=before", "closed without an answer", RETELL_UNKNOWN, NULL,
	"no whole answer: the connection was closed"},
    {"201 garbage", "no HTTP", RETELL_UNKNOWN, NULL,
	"no whole answer: it is not HTTP"},
    {"302 header=Location:/elsewhere", "a redirect", RETELL_UNKNOWN, NULL,
	"(nothing)"},
    {"502 body=<html><title>Bad Gateway</title></html>", "a gateway's 502",
	RETELL_UNKNOWN, NULL, "(a page of HTML)"},
    {"503", "503 with nothing", RETELL_UNKNOWN, NULL, "(nothing)"},
    {"504 body=upstream timed out\\n", "504 with a line of text",
	RETELL_UNKNOWN, NULL, "upstream timed out"},
    {"403 body=<html>no</html>", "403 with a page of HTML", RETELL_REFUSED,
	NULL, "(a page of HTML)"},
    {"400", "400 with nothing", RETELL_REFUSED, NULL, "(nothing)"},
    {"400 body={\"status\":\"error\",\"message\":{\"to_number\":[\"bad\"]}}",
	"400 whose message is no text", RETELL_REFUSED, NULL,
	"{\"to_number\":[\"bad\"]}"},
    {"400 body={\"status\":\"error\",\"message\":\"\"}",
	"400 whose message is empty", RETELL_REFUSED, NULL,
	"{\"status\":\"error\",\"message\":\"\"}"},
    {"401 body={\"message\":\"the key " KEY " is not\\\\nours\"}",
	"the key come back", RETELL_REFUSED, NULL, "the key *** is not ours"},
    {"418", "any other 4xx", RETELL_REFUSED, NULL, "(nothing)"},
    {"409 body={\"call_id\":\"call_1\"}", "4xx with a call_id", RETELL_REFUSED,
	NULL, "{\"call_id\":\"call_1\"}"},
};

static void
test_answers(void)
{
	struct retell_reply reply = {0};
	struct buf text = BUF_INIT(65536);
	size_t i;

	for (i = 0; i < COUNT(documented); i++) {
		script_file(ORDER, documented[i].status, documented[i].file);
		place(&reply);
		is_int(reply.answer, documented[i].answer, documented[i].file);
		is_int(reply.status, documented[i].status, "  its status");
		is_text(reply.words, documented[i].words, "  in its words");
		ok(reply.call_id == NULL && reply.body == NULL, "  no call");
		retell_reply_release(&reply);
	}
	for (i = 0; i < COUNT(others); i++) {
		buf_clear(&text);
		buf_format(&text, ORDER " %s\n", others[i].line);
		script(buf_string(&text));
		place(&reply);
		is_int(reply.answer, others[i].answer, others[i].name);
		is_text(reply.call_id, others[i].call_id, "  its call_id");
		ok((reply.body != NULL) == (reply.call_id != NULL),
		    "  with its object");
		is_text(reply.words, others[i].words, "  in words");
		retell_reply_release(&reply);
	}
	is_int(count_requests("\"path\":\"" ORDER "\""),
	    2 + (int64_t)COUNT(documented) + (int64_t)COUNT(others),
	    "each order was sent once");
	buf_release(&text);
}

static void
test_no_answer(void)
{
	struct retell_reply reply = {0};
	int fd;

	script(ORDER " 429 header=Retry-After:7\n");
	place(&reply);
	is_int(reply.retry_after_s, 7, "Retry-After is told");
	retell_reply_release(&reply);

	script(ORDER " 201 hang\n");
	conf.retell_timeout_ms = 200;
	place(&reply);
	is_int(reply.answer, RETELL_UNKNOWN, "never answered: unknown");
	is_text(reply.words, "no whole answer in time", "says so");
	is_int(reply.retry_after_s, -1, "and no Retry-After");
	retell_reply_release(&reply);
	conf.retell_timeout_ms = PATIENCE_MS;

	snprintf(
	    base, sizeof(base), "http://127.0.0.1:%d", listen_anywhere(&fd));
	close(fd);
	place(&reply);
	is_int(reply.answer, RETELL_NOT_PLACED, "nobody there: not placed");
	is_text(reply.words, "no connection: Connection refused", "says so");
	retell_reply_release(&reply);
	snprintf(base, sizeof(base), "ftp://127.0.0.1");
	place(&reply);
	is_int(reply.answer, RETELL_REFUSED, "no address: refused");
	retell_reply_release(&reply);
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
}

static void
test_find(void)
{
	struct error error = {0};
	json_t *call;

	script_file("/v3/list-calls", 200, "list-calls-v3-page1.json");
	ok(retell_find(retell, "lead_id", LEAD, &call, &error) && call != NULL,
	    "a call is found by our key");
	is_text(json_text(call, "metadata.lead_id"), LEAD, "it is ours");
	json_decref(call);
	is_received("method", "POST", "by POST");
	is_received("headers.authorization", "Bearer " KEY, "with the key");
	is_received("body",
	    "{\"filter_criteria\":{\"metadata\":[{\"type\":\"string\","
	    "\"op\":\"eq\",\"key\":\"lead_id\",\"value\":\"" LEAD "\"}]},"
	    "\"limit\":10}",
	    "with a filter on metadata");
	ok(!retell_find(retell, "lead_id", "another", &call, &error) &&
		call == NULL && error.kind == ERROR_RETRY,
	    "calls that were not asked for are no answer");
	script("/v3/list-calls 200 body={\"items\":[],\"has_more\":false}\n");
	ok(retell_find(retell, "lead_id", LEAD, &call, &error) && call == NULL,
	    "none is found");
	script("/v3/list-calls 200 body={}\n");
	ok(!retell_find(retell, "lead_id", LEAD, &call, &error),
	    "no list is not an empty list");
}

static void
test_get(void)
{
	struct error error = {0};
	json_t *call;

	script_file("/v2/get-call/" CALL_ID, 200, "create-phone-call-201.json");
	ok(retell_get(retell, CALL_ID, &call, &error) && call != NULL,
	    "a call by its id");
	is_text(json_text(call, "call_status"), "registered", "as it is now");
	json_decref(call);
	is_received("method", "GET", "by GET");
	is_received("body", NULL, "without a body");
	script_file("/v2/get-call/call_2", 200, "create-phone-call-201.json");
	ok(!retell_get(retell, "call_2", &call, &error) && call == NULL &&
		error.kind == ERROR_RETRY,
	    "another's call is no answer");
	script_file("/v2/get-call/call_2", 422, "create-phone-call-422.json");
	ok(retell_get(retell, "call_2", &call, &error) && call == NULL,
	    "422: there is none");
	script_file("/v2/get-call/call_2", 404,
	    "create-phone-call-404-from_number.json");
	ok(retell_get(retell, "call_2", &call, &error) && call == NULL,
	    "404: there is none");
	script("/v2/get-call/call_2 404 body=<html>lost</html>\n");
	ok(!retell_get(retell, "call_2", &call, &error) &&
		error.kind == ERROR_PROVIDER,
	    "a gateway's 404 is not an answer");
	ok(!retell_get(retell, "a/../b?c", &call, &error), "an odd id");
	is_received("path", "/v2/get-call/a%2F..%2Fb%3Fc", "stays one");
}

/* An hour's call repeats its transcript three times. */
static void
test_long_call(void)
{
	struct buf text = BUF_INIT(8 * 1024 * 1024);
	struct error error = {0};
	json_t *call;
	int i;

	buf_text(
	    &text, "/v2/get-call/call_3 200 body={\"call_id\":\"call_3\",");
	buf_text(&text, "\"transcript\":\"");
	for (i = 0; i < 100000; i++)
		buf_text(&text, "User: and then, and then, and then? ");
	buf_text(&text, "\"}\n");
	script(buf_string(&text));
	ok(retell_get(retell, "call_3", &call, &error) && call != NULL,
	    "a long call comes whole");
	json_decref(call);
	buf_release(&text);
}

static void
test_room(void)
{
	struct error error = {0};
	int64_t room = -1;

	script_file("/get-concurrency", 200, "get-concurrency-200.json");
	ok(retell_room(retell, &room, &error), "how much room there is");
	is_int(room, 19, "19 of 20");
	is_received("method", "GET", "by GET");
	script("/get-concurrency 200 body={\"concurrency_limit\":20,"
	       "\"current_concurrency\":17,\"reserved_inbound_concurrency\":5}"
	       "\n");
	ok(retell_room(retell, &room, &error), "with some kept for inbound");
	is_int(room, 0, "none, and not less");
	script("/get-concurrency 200 body={\"concurrency_limit\":20}\n");
	room = 7;
	ok(!retell_room(retell, &room, &error) && room == 7,
	    "half an answer is none");
}

static void
test_count(void)
{
	struct error error = {0};
	int64_t count = -1;

	script_file("/v3/list-calls", 200, "list-calls-v3-count-only.json");
	ok(retell_count(retell, 1790812800, 1790899200, false, &count, &error),
	    "the calls of a day are counted");
	is_int(count, 9, "nine");
	is_received("body",
	    "{\"filter_criteria\":{\"start_timestamp\":{\"type\":\"range\","
	    "\"op\":\"bt\",\"value\":[1790812800000,1790899199999]}},"
	    "\"limit\":1,\"include_total\":true}",
	    "from its first to its last millisecond");
	ok(retell_count(retell, 1790812800, 1790899200, true, &count, &error),
	    "those that connected");
	is_received("body",
	    "{\"filter_criteria\":{\"start_timestamp\":{\"type\":\"range\","
	    "\"op\":\"bt\",\"value\":[1790812800000,1790899199999]},"
	    "\"call_status\":{\"type\":\"enum\",\"op\":\"in\","
	    "\"value\":[\"ongoing\",\"ended\"]}},"
	    "\"limit\":1,\"include_total\":true}",
	    "by their status");
	script("/v3/list-calls 200 body={\"items\":[],\"has_more\":false}\n");
	ok(!retell_count(retell, 0, 1, false, &count, &error) && count == 9,
	    "no total is not zero");
	script("/v3/list-calls 200 body={\"items\":[],\"total\":-1}\n");
	ok(!retell_count(retell, 0, 1, false, &count, &error) && count == 9,
	    "nor is less");
}

/* What any read may come to. */
static void
test_read_errors(void)
{
	static const struct {
		const char *line;
		enum error_kind kind;
		const char *text;
	} reads[] = {
	    {"401 body={\"message\":\"API key is invalid: " KEY "\"}",
		ERROR_CONF,
		"401, API key is invalid: ***; put the right key into "
		"retell.api_key"},
	    {"402 body={\"message\":\"Trial has ended\"}", ERROR_PROVIDER,
		"402, Trial has ended"},
	    {"429", ERROR_RETRY, "429, (nothing)"},
	    {"502 body=<html>no</html>", ERROR_RETRY, "502, (a page of HTML)"},
	    {"200 body=<html>log in</html>", ERROR_RETRY,
		"200, and not what was asked for"},
	    {"200 close=mid body={\"total\":1}", ERROR_RETRY,
		"no whole answer: the connection was closed early"},
	};
	char line[256], text[256];
	struct error error;
	int64_t room = 0;
	size_t i;

	for (i = 0; i < COUNT(reads); i++) {
		snprintf(
		    line, sizeof(line), "/get-concurrency %s\n", reads[i].line);
		script(line);
		snprintf(text, sizeof(text), "Retell, /get-concurrency: %s",
		    reads[i].text);
		ok(!retell_room(retell, &room, &error), "a read that fails");
		is_int(error.kind, reads[i].kind, "  what can be done");
		is_text(error.text, text, "  in words");
	}
}

int
main(void)
{
	struct error error = {0};

	receiver_start();
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
	must(retell_open(&retell, &conf, &error), error.text);

	test_open();
	test_order();
	test_answers();
	test_no_answer();
	test_find();
	test_get();
	test_long_call();
	test_room();
	test_count();
	test_read_errors();
	retell_close(retell);
	return tap_end();
}
