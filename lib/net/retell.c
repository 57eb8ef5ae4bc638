#include "net/retell.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/words.h"

#define WAIT_MS 60000
#define FOUND_MAX 10 /* calls with one key; there should be one */

struct retell {
	const struct conf *conf;
	struct http *http;
};

bool
retell_open(
    struct retell **retell, const struct conf *conf, struct error *error)
{
	struct http *http;

	*retell = NULL;
	if (conf->retell_api_key == NULL)
		return error_set(error, ERROR_CONF,
		    "retell.api_key is not set, so Retell cannot be asked");
	if (!http_open(&http, error))
		return false;
	*retell = mem_alloc(sizeof(**retell));
	(*retell)->conf = conf;
	(*retell)->http = http;
	return true;
}

void
retell_close(struct retell *retell)
{
	if (retell == NULL)
		return;
	http_close(retell->http);
	free(retell);
}

/* An answer, and its body where that is JSON, else NULL. */
struct exchange {
	const char *path;
	struct answer answer;
	json_t *document;
};

static void
exchange_release(struct exchange *exchange)
{
	buf_release(&exchange->answer.body);
	json_decref(exchange->document);
}

/* Send the request and take its answer. */
static void
exchange_make(struct retell *retell, const struct http_request *request,
    struct exchange *exchange)
{
	const struct buf *body = &exchange->answer.body;
	void *tag;

	http_start(retell->http, request, NULL);
	while (!http_wait(retell->http, WAIT_MS, &tag, &exchange->answer))
		;
	if (!json_parse(
		&exchange->document, buf_string(body), body->size, NULL))
		exchange->document = NULL;
}

/* GET path, or POST the body (taken) there. */
static void
ask(struct retell *retell, const char *path, json_t *body,
    struct exchange *exchange)
{
	const struct conf *conf = retell->conf;
	char *url = mem_format("%s%s", conf->retell_api_base, path),
	     *key =
		 mem_format("Authorization: Bearer %s", conf->retell_api_key),
	     *text = body != NULL ? json_compact(body) : NULL;
	const char *const headers[] = {
	    key, body != NULL ? "Content-Type: application/json" : NULL, NULL};
	const struct http_request request = {.url = url,
	    .method = body != NULL ? "POST" : "GET",
	    .headers = headers,
	    .body = text,
	    .body_size = text != NULL ? strlen(text) : 0,
	    .timeout_ms = conf->retell_timeout_ms,
	    .whole_max = RETELL_BODY_MAX};

	*exchange = (struct exchange){.path = path};
	exchange_make(retell, &request, exchange);
	mem_wipe(key, strlen(key));
	free(url);
	free(key);
	free(text);
	json_decref(body);
}

static bool
is_success(const struct answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

/*
 * Placing a call.
 */

static json_t *
order_of(const struct retell_call *call)
{
	json_t *order = json_object();

	json_put(order, "from_number", call->from_number);
	json_put(order, "to_number", call->to_number);
	if (call->agent_id != NULL)
		json_put(order, "override_agent_id", call->agent_id);
	if (call->metadata != NULL)
		json_object_set_new(
		    order, "metadata", json_deep_copy(call->metadata));
	if (call->variables != NULL)
		json_object_set_new(order, "retell_llm_dynamic_variables",
		    json_deep_copy(call->variables));
	return order;
}

static bool
has_failed(const json_t *call)
{
	const char *status = json_text(call, "call_status");

	return status != NULL && strcmp(status, "error") == 0;
}

static enum retell_answer
classify(const struct exchange *exchange)
{
	const struct answer *answer = &exchange->answer;

	switch (answer->failure) {
	case ANSWER_REFUSED: return RETELL_NOT_PLACED;
	case ANSWER_UNSENDABLE: return RETELL_REFUSED;
	case ANSWER_TIMEOUT:
	case ANSWER_BROKEN: return RETELL_UNKNOWN;
	case ANSWER_COMPLETE: break;
	}
	if (is_success(answer) && json_text(exchange->document, "call_id"))
		return has_failed(exchange->document) ? RETELL_REFUSED
						      : RETELL_PLACED;
	if (answer->status == 429)
		return RETELL_NOT_PLACED;
	if (answer->status >= 400 && answer->status < 500)
		return RETELL_REFUSED;
	return RETELL_UNKNOWN;
}

/* Why it was not placed, or may not have been. To be freed. */
static char *
words_for(const struct retell *retell, const struct exchange *exchange)
{
	const char *key = retell->conf->retell_api_key, *reason;

	if (!is_success(&exchange->answer))
		return words_of(&exchange->answer, exchange->document, key);
	reason = json_text(exchange->document, "disconnection_reason");
	if (reason != NULL)
		return words_line(reason, key);
	return mem_copy(has_failed(exchange->document)
		? "call_status error"
		: "accepted, but without a call_id");
}

void
retell_place(struct retell *retell, const struct retell_call *call,
    struct retell_reply *reply)
{
	struct exchange exchange;

	ask(retell, "/v2/create-phone-call", order_of(call), &exchange);
	*reply = (struct retell_reply){.answer = classify(&exchange),
	    .status = exchange.answer.status,
	    .retry_after_s = exchange.answer.retry_after_s};
	if (is_success(&exchange.answer))
		reply->call_id =
		    mem_copy(json_text(exchange.document, "call_id"));
	if (reply->call_id != NULL)
		reply->body = json_incref(exchange.document);
	if (reply->answer != RETELL_PLACED)
		reply->words = words_for(retell, &exchange);
	exchange_release(&exchange);
}

void
retell_reply_release(struct retell_reply *reply)
{
	free(reply->call_id);
	free(reply->words);
	json_decref(reply->body);
	*reply = (struct retell_reply){.retry_after_s = -1};
}

/*
 * Reading.
 */

static enum error_kind
kind_of(const struct answer *answer)
{
	if (answer->failure == ANSWER_UNSENDABLE || answer->status == 401 ||
	    answer->status == 403)
		return ERROR_CONF;
	if (answer->status < 300 || answer->status >= 500 ||
	    answer->status == 408 || answer->status == 429)
		return ERROR_RETRY;
	return ERROR_PROVIDER;
}

/* "Retell, /get-concurrency: 401, its words; advice". Always false. */
static bool
refuse(const struct retell *retell, const struct exchange *exchange,
    struct error *error)
{
	const struct answer *answer = &exchange->answer;
	const enum error_kind kind = kind_of(answer);
	char status[16] = "", *words;

	if (is_success(answer))
		words = mem_copy("and not what was asked for");
	else
		words = words_of(
		    answer, exchange->document, retell->conf->retell_api_key);
	if (answer->status > 0)
		snprintf(status, sizeof(status), "%d, ", answer->status);
	error_set(error, kind, "Retell, %.100s: %s%s%s", exchange->path, status,
	    words,
	    kind != ERROR_CONF ? ""
		: answer->failure == ANSWER_UNSENDABLE
		? "; put retell.api_base right"
		: "; put the right key into retell.api_key");
	free(words);
	return false;
}

/* The end of a read, which found what was asked for or did not. */
static bool
end(const struct retell *retell, struct exchange *exchange, bool found,
    struct error *error)
{
	if (!found)
		refuse(retell, exchange, error);
	exchange_release(exchange);
	return found;
}

/* List's request: the calls that pass the filters (taken). */
static json_t *
list_of(json_t *filters, int64_t limit, bool total)
{
	json_t *list = json_object();

	assert(filters != NULL);
	json_object_set_new(list, "filter_criteria", filters);
	json_put_number(list, "limit", limit);
	if (total)
		json_object_set_new(list, "include_total", json_true());
	return list;
}

/* Whether it is the one: no other call may ever be taken for it. */
static bool
carries(const json_t *call, const char *key, const char *value)
{
	const char *found = json_string_value(
	    json_object_get(json_object_get(call, "metadata"), key));

	return found != NULL && strcmp(found, value) == 0 &&
	    json_text(call, "call_id") != NULL;
}

/* False for what is no list of such calls; an empty one is. */
static bool
take_found(const struct exchange *exchange, const char *key, const char *value,
    json_t **call)
{
	const json_t *items = json_at(exchange->document, "items");
	size_t i;

	if (!is_success(&exchange->answer) || !json_is_array(items))
		return false;
	for (i = 0; i < json_array_size(items) && *call == NULL; i++)
		if (carries(json_array_get(items, i), key, value))
			*call = json_incref(json_array_get(items, i));
	return *call != NULL || json_array_size(items) == 0;
}

bool
retell_find(struct retell *retell, const char *key, const char *value,
    json_t **call, struct error *error)
{
	json_t *filters = json_pack("{s:[{s:s,s:s,s:s,s:s}]}", "metadata",
	    "type", "string", "op", "eq", "key", key, "value", value);
	struct exchange exchange;
	bool found;

	*call = NULL;
	ask(retell, "/v3/list-calls", list_of(filters, FOUND_MAX, false),
	    &exchange);
	found = take_found(&exchange, key, value, call);
	return end(retell, &exchange, found, error);
}

/* Retell's own words that it has none, not the address's or a gateway's. */
static bool
is_unknown(const struct exchange *exchange)
{
	return (exchange->answer.status == 404 ||
		   exchange->answer.status == 422) &&
	    json_at(exchange->document, "message") != NULL;
}

bool
retell_get(struct retell *retell, const char *call_id, json_t **call,
    struct error *error)
{
	struct buf path = BUF_INIT(SIZE_MAX);
	struct exchange exchange;
	const char *found;
	bool ok;

	*call = NULL;
	buf_text(&path, "/v2/get-call/");
	buf_percent(&path, call_id);
	ask(retell, buf_string(&path), NULL, &exchange);
	found = json_text(exchange.document, "call_id");
	if (is_success(&exchange.answer) && found != NULL &&
	    strcmp(found, call_id) == 0)
		*call = json_incref(exchange.document);
	ok = end(
	    retell, &exchange, *call != NULL || is_unknown(&exchange), error);
	buf_release(&path);
	return ok;
}

bool
retell_room(struct retell *retell, int64_t *room, struct error *error)
{
	int64_t limit, current, kept;
	struct exchange exchange;
	bool found;

	ask(retell, "/get-concurrency", NULL, &exchange);
	found = is_success(&exchange.answer) &&
	    json_number(&limit, exchange.document, "concurrency_limit") &&
	    json_number(&current, exchange.document, "current_concurrency");
	if (found) {
		if (!json_number(&kept, exchange.document,
			"reserved_inbound_concurrency"))
			kept = 0;
		*room = limit - kept - current;
		if (*room < 0)
			*room = 0;
	}
	return end(retell, &exchange, found, error);
}

/* Of the range both ends are in it. */
static json_t *
began_in(int64_t from, int64_t until)
{
	return json_pack("{s:{s:s,s:s,s:[I,I]}}", "start_timestamp", "type",
	    "range", "op", "bt", "value", (json_int_t)from * 1000,
	    (json_int_t)until * 1000 - 1);
}

bool
retell_count(struct retell *retell, int64_t from, int64_t until, bool connected,
    int64_t *count, struct error *error)
{
	json_t *filters = began_in(from, until);
	struct exchange exchange;
	int64_t total = -1;

	if (connected)
		json_object_set_new(filters, "call_status",
		    json_pack("{s:s,s:s,s:[s,s]}", "type", "enum", "op", "in",
			"value", "ongoing", "ended"));
	ask(retell, "/v3/list-calls", list_of(filters, 1, true), &exchange);
	if (!is_success(&exchange.answer) ||
	    !json_number(&total, exchange.document, "total") || total < 0)
		return end(retell, &exchange, false, error);
	*count = total;
	return end(retell, &exchange, true, error);
}
