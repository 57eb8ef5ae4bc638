#include "net/stripe.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pace.h"
#include "net/http.h"
#include "net/words.h"

#define TRIES_MAX 3
#define PAUSE_MS 500 /* before the second try; then twice as long */
#define ASKED_MAX_S 10
#define WAIT_MS 60000

/* What an id may be made of, and a path of those. */
#define PATH "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-/"

struct read {
	char *path, *url;
	void *tag;
	int tries;
	bool running;
	int64_t due_us; /* not before */
	struct read *next;
};

struct stripe {
	const struct conf *conf;
	struct http *http;
	struct read *first, **end; /* in the order they were started */
	size_t count;
	int64_t next_us; /* when the next request may leave */
};

/* What a read came to. */
struct result {
	enum stripe_answer answer;
	json_t *object;
	struct error error;
};

static int64_t
now_us(void)
{
	return clock_monotonic_ms() * 1000;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static const char *
mode_name(int64_t mode)
{
	return mode == CONF_TEST ? "test" : "live";
}

/* The mode of a key, sk_test_… or rk_live_…; 0 where it shows none. */
static int64_t
key_mode(const char *key)
{
	if (strncmp(key, "sk_", 3) != 0 && strncmp(key, "rk_", 3) != 0)
		return 0;
	if (strncmp(key + 3, "test_", 5) == 0)
		return CONF_TEST;
	return strncmp(key + 3, "live_", 5) == 0 ? CONF_LIVE : 0;
}

bool
stripe_open(
    struct stripe **stripe, const struct conf *conf, struct error *error)
{
	struct http *http;
	int64_t mode;

	*stripe = NULL;
	if (conf->stripe_secret_key == NULL)
		return error_set(error, ERROR_CONF,
		    "stripe.secret_key is not set, so Stripe cannot be asked");
	mode = key_mode(conf->stripe_secret_key);
	if (mode != 0 && mode != conf->stripe_mode)
		return error_set(error, ERROR_CONF,
		    "stripe.secret_key is of %s mode, stripe.mode is %s",
		    mode_name(mode), mode_name(conf->stripe_mode));
	if (!http_open(&http, error))
		return false;
	*stripe = mem_alloc(sizeof(**stripe));
	(*stripe)->conf = conf;
	(*stripe)->http = http;
	(*stripe)->end = &(*stripe)->first;
	return true;
}

static void
read_free(struct read *read)
{
	free(read->path);
	free(read->url);
	free(read);
}

void
stripe_close(struct stripe *stripe)
{
	struct read *read;

	if (stripe == NULL)
		return;
	http_close(stripe->http);
	while ((read = stripe->first) != NULL) {
		stripe->first = read->next;
		read_free(read);
	}
	free(stripe);
}

/*
 * Whether it is the path of one thing. An id that came from outside must not
 * make it another's ("../customers/cus_1"), or that of a list ("").
 */
static bool
is_path(const char *path)
{
	const size_t size = strspn(path, PATH);

	return path[0] == '/' && path[size] == '\0' && path[size - 1] != '/' &&
	    strstr(path, "//") == NULL;
}

/* The address; an empty one, which cannot be sent, for what is no path. */
static char *
url_of(const struct conf *conf, const char *path, const char *const *query)
{
	struct buf url = BUF_INIT(SIZE_MAX), fields = BUF_INIT(SIZE_MAX);
	char *text;

	if (is_path(path)) {
		buf_text(&url, conf->stripe_api_base);
		buf_text(&url, path);
	}
	for (; query != NULL && query[0] != NULL; query += 2)
		buf_field(&fields, query[0], query[1]);
	if (url.size > 0 && fields.size > 0)
		buf_format(&url, "?%s", buf_string(&fields));
	text = mem_copy(buf_string(&url));
	buf_release(&fields);
	buf_release(&url);
	return text;
}

void
stripe_start(struct stripe *stripe, const char *path, const char *const *query,
    void *tag)
{
	struct read *read = mem_alloc(sizeof(*read));

	read->path = mem_copy(path);
	read->url = url_of(stripe->conf, path, query);
	read->tag = tag;
	*stripe->end = read;
	stripe->end = &read->next;
	stripe->count++;
}

bool
stripe_busy(const struct stripe *stripe)
{
	return (int64_t)stripe->count >=
	    2 * stripe->conf->stripe_read_concurrency;
}

static void
begin(struct stripe *stripe, struct read *read)
{
	static const char *const headers[] = {
	    "Stripe-Version: " STRIPE_VERSION, NULL};
	const struct http_request request = {.url = read->url,
	    .method = "GET",
	    .headers = headers,
	    .user = stripe->conf->stripe_secret_key,
	    .password = "",
	    .timeout_ms = stripe->conf->stripe_read_timeout_ms,
	    .whole_max = STRIPE_BODY_MAX};

	read->running = true;
	read->tries++;
	http_start(stripe->http, &request, read);
}

/* Begin what may; how long until more may. */
static int64_t
begin_some(struct stripe *stripe)
{
	const size_t most = (size_t)stripe->conf->stripe_read_concurrency;
	const int64_t now = now_us();
	int64_t due, wait_ms = WAIT_MS;
	struct read *read;

	for (read = stripe->first;
	     read != NULL && http_running(stripe->http) < most;
	     read = read->next) {
		if (read->running)
			continue;
		due = later(stripe->next_us, read->due_us);
		if (due <= now) {
			begin(stripe, read);
			stripe->next_us = pace_next(stripe->next_us,
			    stripe->conf->stripe_read_rate_per_minute, now);
		} else if ((due - now) / 1000 < wait_ms)
			wait_ms = (due - now) / 1000 + 1;
	}
	return wait_ms;
}

static void
take_out(struct stripe *stripe, struct read *read)
{
	struct read **at = &stripe->first;

	while (*at != read)
		at = &(*at)->next;
	*at = read->next;
	if (stripe->end == &read->next)
		stripe->end = at;
	stripe->count--;
	read_free(read);
}

/*
 * What answers mean.
 */

/* An object of the other mode, or one such in a list. */
static bool
is_of_other_mode(const json_t *object, int64_t mode)
{
	const json_t *live = json_object_get(object, "livemode");
	const json_t *list = json_object_get(object, "data");
	size_t i;

	if (json_is_boolean(live) && json_is_true(live) != (mode == CONF_LIVE))
		return true;
	for (i = 0; i < json_array_size(list); i++)
		if (is_of_other_mode(json_array_get(list, i), mode))
			return true;
	return false;
}

static bool
is_success(const struct answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

/* Stripe's own word for an id it does not know, not the address's. */
static bool
is_missing(const struct answer *answer, const json_t *document)
{
	const char *code = json_text(document, "error.code");

	return answer->status == 404 && code != NULL &&
	    strcmp(code, "resource_missing") == 0;
}

/* "No such invoice: 'in_1'; a similar object exists in live mode, but …" */
static bool
is_elsewhere(const json_t *document)
{
	const char *words = json_text(document, "error.message");

	return words != NULL &&
	    strstr(words, "a similar object exists in ") != NULL;
}

static enum error_kind
kind_of(const struct answer *answer, const json_t *document, const char *path)
{
	const int status = answer->status;

	if (answer->failure == ANSWER_UNSENDABLE)
		return is_path(path) ? ERROR_CONF : ERROR_DATA;
	if (status == 401 || status == 403 ||
	    (status == 404 && is_elsewhere(document)))
		return ERROR_CONF;
	if (status < 300 || status >= 500 || status == 408 || status == 409 ||
	    status == 429)
		return ERROR_RETRY;
	return ERROR_PROVIDER;
}

static const char *
advice_for(enum error_kind kind, const struct answer *answer)
{
	if (kind == ERROR_DATA)
		return "; the id in it cannot be one";
	if (kind != ERROR_CONF)
		return "";
	return answer->failure == ANSWER_UNSENDABLE
	    ? "; put stripe.api_base right"
	    : "; put the right key into stripe.secret_key";
}

/* "400, its words (request req_1); advice" */
static void
refuse(const struct conf *conf, const struct read *read,
    const struct answer *answer, const json_t *document, struct error *error)
{
	const enum error_kind kind = kind_of(answer, document, read->path);
	const bool has_id = answer->request_id[0] != '\0';
	char status[16] = "", *words;

	if (is_success(answer) && !json_is_object(document))
		words = mem_copy("and no JSON object");
	else
		words = words_of(answer, document, conf->stripe_secret_key);
	if (answer->status > 0)
		snprintf(status, sizeof(status), "%d, ", answer->status);
	error_set(error, kind, "%s%s%s%s%s%s", status, words,
	    has_id ? " (request " : "", answer->request_id, has_id ? ")" : "",
	    advice_for(kind, answer));
	free(words);
}

static void
take_object(const struct conf *conf, json_t *object, struct result *result)
{
	const int64_t mode = conf->stripe_mode;

	if (is_of_other_mode(object, mode))
		error_set(&result->error, ERROR_CONF,
		    "the answer is of %s mode, stripe.mode is %s; put the "
		    "right key into stripe.secret_key",
		    mode_name(mode == CONF_LIVE ? CONF_TEST : CONF_LIVE),
		    mode_name(mode));
	else if (json_is_true(json_object_get(object, "deleted")))
		result->answer = STRIPE_ABSENT;
	else {
		result->answer = STRIPE_FOUND;
		result->object = json_incref(object);
	}
}

/* What it came to, but for whether to try again. */
static void
judge(const struct conf *conf, const struct read *read,
    const struct answer *answer, struct result *result)
{
	json_t *document = NULL;

	if (!json_parse(
		&document, buf_string(&answer->body), answer->body.size, NULL))
		document = NULL;
	*result = (struct result){.answer = STRIPE_FAILED};
	if (is_success(answer) && json_is_object(document) &&
	    json_at(document, "error") == NULL)
		take_object(conf, document, result);
	else if (is_missing(answer, document) && !is_elsewhere(document))
		result->answer = STRIPE_ABSENT;
	else
		refuse(conf, read, answer, document, &result->error);
	json_decref(document);
}

/* By chance up to half shorter, so that not all come back at once. */
static int64_t
pause_us(int tries)
{
	const int64_t longest = (int64_t)PAUSE_MS * 1000 << (tries - 1);
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = 0;
	return longest - (int64_t)(chance % 1000) * longest / 2000;
}

/* Put the read back in line, unless that is of no use. */
static bool
try_again(struct stripe *stripe, struct read *read, const struct answer *answer,
    const struct result *result)
{
	const int64_t asked_s = answer->retry_after_s, now = now_us();

	if (result->answer != STRIPE_FAILED || read->tries == TRIES_MAX ||
	    asked_s > ASKED_MAX_S || answer->again == ANSWER_NEVER ||
	    (result->error.kind != ERROR_RETRY &&
		answer->again != ANSWER_AGAIN))
		return false;
	read->due_us = now + later(asked_s * 1000000, pause_us(read->tries));
	if (answer->status == 429)
		stripe->next_us = later(stripe->next_us, read->due_us);
	return true;
}

bool
stripe_wait(struct stripe *stripe, void **tag, enum stripe_answer *answer,
    json_t **object, struct error *error)
{
	struct answer came = {0};
	struct result result;
	struct read *read;
	void *done;
	bool again;

	*object = NULL;
	while (stripe->count > 0) {
		if (!http_wait(stripe->http, begin_some(stripe), &done, &came))
			continue;
		read = done;
		read->running = false;
		judge(stripe->conf, read, &came, &result);
		again = try_again(stripe, read, &came, &result);
		buf_release(&came.body);
		if (again)
			continue;
		*tag = read->tag;
		*answer = result.answer;
		*object = result.object;
		if (result.answer == STRIPE_FAILED && error != NULL) {
			*error = result.error;
			error_at(error, "Stripe, GET %.100s", read->path);
		}
		take_out(stripe, read);
		return true;
	}
	return false;
}

enum stripe_answer
stripe_get(struct stripe *stripe, const char *path, const char *const *query,
    json_t **object, struct error *error)
{
	enum stripe_answer answer = STRIPE_FAILED;
	bool answered;
	void *tag;

	assert(stripe->count == 0);
	stripe_start(stripe, path, query, NULL);
	answered = stripe_wait(stripe, &tag, &answer, object, error);
	assert(answered);
	(void)answered;
	return answer;
}
