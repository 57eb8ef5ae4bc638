#include "net/stripe.h"

#include <stdint.h>
#include <stdlib.h>

#include "../receiver.h"
#include "../tap.h"
#include "base/clock.h"
#include "base/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATIENCE_MS 20000
#define KEY "sk_test_0aSecret"

static char base[64], key[] = KEY;
static struct conf conf = {.stripe_secret_key = key,
    .stripe_api_base = base,
    .stripe_mode = CONF_TEST,
    .stripe_read_concurrency = 64,
    .stripe_read_timeout_ms = PATIENCE_MS};

static struct stripe *
open_stripe(void)
{
	struct stripe *stripe;
	struct error error = {0};

	must(stripe_open(&stripe, &conf, &error), error.text);
	return stripe;
}

static void
test_open(void)
{
	struct stripe *stripe;
	struct error error = {0};
	char live[] = "rk_live_0aSecret";

	conf.stripe_secret_key = NULL;
	ok(!stripe_open(&stripe, &conf, &error) && stripe == NULL &&
		error.kind == ERROR_CONF,
	    "without a key nobody is asked");
	conf.stripe_secret_key = live;
	ok(!stripe_open(&stripe, &conf, &error) && error.kind == ERROR_CONF,
	    "nor with a key of the other mode");
	is_text(error.text,
	    "stripe.secret_key is of live mode, stripe.mode is test",
	    "which names both, and not the key");
	conf.stripe_secret_key = key;
	stripe_close(NULL);
}

static void
test_request(void)
{
	static const char *const query[] = {
	    "expand[]", "latest_invoice", "customer", "cus_1&limit=2", NULL};
	struct stripe *stripe = open_stripe();
	struct buf text = BUF_INIT(65536);
	struct error error = {0};
	json_t *object;
	char *got;

	add_answer(&text, "/v1/events/evt_1", 200,
	    "stripe/invoice.payment_failed.json");
	script(buf_string(&text));
	is_int(stripe_get(stripe, "/v1/events/evt_1", query, &object, &error),
	    STRIPE_FOUND, "an object is found");
	is_text(
	    json_text(object, "type"), "invoice.payment_failed", "this one");
	json_decref(object);
	got = received_at("method");
	is_text(got, "GET", "by GET");
	free(got);
	got = received_at("query");
	is_text(got, "expand%5B%5D=latest_invoice&customer=cus_1%26limit%3D2",
	    "with the query encoded");
	free(got);
	got = received_at("headers.authorization");
	is_text(got, "Basic c2tfdGVzdF8wYVNlY3JldDo=",
	    "the key is the user, without a password");
	free(got);
	got = received_at("headers.stripe-version");
	is_text(got, STRIPE_VERSION, "in our version of the API");
	free(got);
	is_int(stripe_get(stripe, "/v1/events/evt_1", NULL, &object, &error),
	    STRIPE_FOUND, "and without a query");
	json_decref(object);
	ok(!received("\"query\""), "there is none");
	buf_release(&text);
	stripe_close(stripe);
}

/*
 * What answers come to: one or two lines of the script, then what is said, and
 * how many requests that takes.
 */
#define INVOICE "{\"object\":\"invoice\",\"livemode\":false}"

static const struct {
	const char *first, *second, *name;
	enum stripe_answer answer;
	enum error_kind kind;
	const char *text; /* behind "Stripe, GET PATH: " */
	int tries;
} cases[] = {
    {"200 body=" INVOICE, NULL, "an object", STRIPE_FOUND, ERROR_NONE, NULL, 1},
    {"200 body={\"id\":\"cus_1\",\"object\":\"customer\",\"deleted\":true}",
	NULL, "what is deleted is absent", STRIPE_ABSENT, ERROR_NONE, NULL, 1},
    {"404 body={\"error\":{\"code\":\"resource_missing\","
     "\"message\":\"No such invoice: 'in_1'\"}}",
	NULL, "what is missing is absent", STRIPE_ABSENT, ERROR_NONE, NULL, 1},
    {"404 body={\"error\":{\"message\":\"Unrecognized request URL\"}}", NULL,
	"an address that is not Stripe's is not absence", STRIPE_FAILED,
	ERROR_PROVIDER, "404, Unrecognized request URL", 1},
    {"404 body={\"error\":{\"code\":\"other\",\"message\":\"no\"}}", NULL,
	"nor is any other code", STRIPE_FAILED, ERROR_PROVIDER, "404, no", 1},
    {"404 body=<html>lost</html>", NULL, "nor is a gateway's 404",
	STRIPE_FAILED, ERROR_PROVIDER, "404, (a page of HTML)", 1},
    {"404 body={\"error\":{\"code\":\"resource_missing\",\"message\":\"No such "
     "invoice: 'in_1'; a similar object exists in live mode, but a test mode "
     "key was used to make this request.\"}}",
	NULL, "nor what is in the other mode", STRIPE_FAILED, ERROR_CONF,
	"404, No such invoice: 'in_1'; a similar object exists in live mode, "
	"but a test mode key was used to make this request.; put the right key "
	"into stripe.secret_key",
	1},
    {"200 body={\"object\":\"invoice\",\"livemode\":true}", NULL,
	"an object of the other mode", STRIPE_FAILED, ERROR_CONF,
	"the answer is of live mode, stripe.mode is test; put the right key "
	"into stripe.secret_key",
	1},
    {"200 body={\"object\":\"list\",\"data\":[" INVOICE
     ",{\"object\":\"invoice\",\"livemode\":true}]}",
	NULL, "one in a list", STRIPE_FAILED, ERROR_CONF,
	"the answer is of live mode, stripe.mode is test; put the right key "
	"into stripe.secret_key",
	1},
    {"401 header=Request-Id:req_9 body={\"error\":{\"message\":\"Invalid API "
     "Key provided: " KEY "\"}}",
	NULL, "a key that is refused", STRIPE_FAILED, ERROR_CONF,
	"401, Invalid API Key provided: *** (request req_9); put the right key "
	"into stripe.secret_key",
	1},
    {"403 body={\"error\":{\"message\":\"The provided key 'rk_test_"
     "51HqLyjWDarjtT1zdp7dc' does not have the required permissions\"}}",
	NULL, "a key that may not", STRIPE_FAILED, ERROR_CONF,
	"403, The provided key '***' does not have the required permissions; "
	"put the right key into stripe.secret_key",
	1},
    {"400 header=Request-Id:req_4 body={\"error\":{\"message\":\"No such "
     "customer: jenny@example.com,\\\\nor \xC3\xA9\"}}",
	NULL, "a bad request, in its words, masked, on one line", STRIPE_FAILED,
	ERROR_PROVIDER, "400, No such customer: ***, or ? (request req_4)", 1},
    {"302 header=Location:/v1/elsewhere", NULL, "a redirect", STRIPE_FAILED,
	ERROR_PROVIDER, "302, (nothing)", 1},
    {"502 body=<html>bad gateway</html>", NULL, "a page of HTML", STRIPE_FAILED,
	ERROR_RETRY, "502, (a page of HTML)", 3},
    {"503 body=\\x20\\n", NULL, "nothing at all", STRIPE_FAILED, ERROR_RETRY,
	"503, (nothing)", 3},
    {"200 body={\"object\":\"invoice\",", NULL, "half a document",
	STRIPE_FAILED, ERROR_RETRY, "200, and no JSON object", 3},
    {"200 body=[" INVOICE "]", NULL, "an array", STRIPE_FAILED, ERROR_RETRY,
	"200, and no JSON object", 3},
    {"200 body=<html>please log in</html>", NULL, "a portal's page",
	STRIPE_FAILED, ERROR_RETRY, "200, and no JSON object", 3},
    {"200 body={\"error\":{\"message\":\"later\"}}", NULL, "an error in a 200",
	STRIPE_FAILED, ERROR_RETRY, "200, later", 3},
    {"200 close=mid body=" INVOICE, NULL, "closed in the middle", STRIPE_FAILED,
	ERROR_RETRY, "no whole answer: the connection was closed early", 3},
    {"200 close=before", NULL, "closed before answering", STRIPE_FAILED,
	ERROR_RETRY, "no whole answer: the connection was closed", 3},
    {"200 garbage", NULL, "not HTTP", STRIPE_FAILED, ERROR_RETRY,
	"no whole answer: it is not HTTP", 3},
    {"502", "200 body=" INVOICE, "better on the second try", STRIPE_FOUND,
	ERROR_NONE, NULL, 2},
    {"409 body={\"error\":{\"code\":\"lock_timeout\"}}", "200 body=" INVOICE,
	"a conflict that passes", STRIPE_FOUND, ERROR_NONE, NULL, 2},
    {"408", "200 body=" INVOICE, "a slow gateway", STRIPE_FOUND, ERROR_NONE,
	NULL, 2},
    {"429", "200 body=" INVOICE, "too many, then not", STRIPE_FOUND, ERROR_NONE,
	NULL, 2},
    {"500 header=Stripe-Should-Retry:false body={\"error\":{\"message\":\"no\"}}",
	NULL, "told not to try again", STRIPE_FAILED, ERROR_RETRY, "500, no",
	1},
    {"400 header=Stripe-Should-Retry:true", "200 body=" INVOICE,
	"told to try again", STRIPE_FOUND, ERROR_NONE, NULL, 2},
    {"429 header=Retry-After:11", "200 body=" INVOICE, "asked to wait too long",
	STRIPE_FAILED, ERROR_RETRY, "429, (nothing)", 1},
};

/* All of them at once. */
static void
start_cases(struct stripe *stripe)
{
	struct buf text = BUF_INIT(65536);
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		buf_format(&text, "/v1/case/%zu %s\n", i, cases[i].first);
		if (cases[i].second != NULL)
			buf_format(
			    &text, "/v1/case/%zu %s\n", i, cases[i].second);
	}
	script(buf_string(&text));
	for (i = 0; i < COUNT(cases); i++) {
		buf_clear(&text);
		buf_format(&text, "/v1/case/%zu", i);
		stripe_start(
		    stripe, buf_string(&text), NULL, (void *)&cases[i]);
	}
	buf_release(&text);
}

static void
check_case(size_t i, enum stripe_answer answer, const json_t *object,
    const struct error *error)
{
	char path[64], text[ERROR_TEXT_MAX];

	is_int(answer, cases[i].answer, cases[i].name);
	ok((object != NULL) == (answer == STRIPE_FOUND), "  with its object");
	if (answer == STRIPE_FAILED) {
		is_int(error->kind, cases[i].kind, "  what can be done");
		snprintf(text, sizeof(text), "Stripe, GET /v1/case/%zu: %s", i,
		    cases[i].text);
		is_text(error->text, text, "  in words");
		ok(strstr(error->text, KEY) == NULL, "  without the key");
	}
	snprintf(path, sizeof(path), "\"path\":\"/v1/case/%zu\"", i);
	is_int(count_requests(path), cases[i].tries, "  in so many requests");
}

static void
test_answers(void)
{
	struct stripe *stripe = open_stripe();
	enum stripe_answer answer = STRIPE_FAILED;
	struct error error = {0};
	int64_t start = clock_monotonic_ms();
	json_t *object;
	size_t count = 0;
	void *tag;

	start_cases(stripe);
	while (stripe_wait(stripe, &tag, &answer, &object, &error)) {
		check_case((size_t)((const char *)tag - (const char *)cases) /
			sizeof(cases[0]),
		    answer, object, &error);
		json_decref(object);
		count++;
	}
	is_int((int64_t)count, COUNT(cases), "each read is answered once");
	ok(clock_monotonic_ms() - start < PATIENCE_MS, "within bounds");
	stripe_close(stripe);
}

/* What is never answered, or never taken. */
static void
test_no_answer(void)
{
	struct stripe *stripe;
	struct error error = {0};
	json_t *object;
	int fd;

	conf.stripe_read_timeout_ms = 200;
	stripe = open_stripe();
	script("/v1/hang 200 hang\n");
	is_int(stripe_get(stripe, "/v1/hang", NULL, &object, &error),
	    STRIPE_FAILED, "never answered");
	is_int(error.kind, ERROR_RETRY, "not now");
	is_text(error.text, "Stripe, GET /v1/hang: no whole answer in time",
	    "says so");
	is_int(count_requests("\"path\":\"/v1/hang\""), 3, "in three tries");
	conf.stripe_read_timeout_ms = PATIENCE_MS;

	snprintf(
	    base, sizeof(base), "http://127.0.0.1:%d", listen_anywhere(&fd));
	close(fd);
	is_int(stripe_get(stripe, "/v1/x", NULL, &object, &error),
	    STRIPE_FAILED, "nobody there");
	ok(error.kind == ERROR_RETRY &&
		strstr(error.text, "no connection") != NULL,
	    "not now either");
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
	stripe_close(stripe);
}

static void
test_paths(void)
{
	static const char *const paths[] = {"", "/", "/v1/invoices/",
	    "/v1/subscriptions/../customers/cus_1",
	    "/v1/invoices/in_1?expand=x", "/v1/invoices/in 1",
	    "/v1/invoices/in%2F1", "/v1//in_1", "v1/invoices/in_1",
	    "/v1/invoices/in_1#x", "/v1/invoices/in_\xC3"};
	struct stripe *stripe = open_stripe();
	const int before = count_requests("\"n\":");
	struct error error = {0};
	json_t *object;
	size_t i;

	for (i = 0; i < COUNT(paths); i++) {
		error.kind = ERROR_NONE;
		ok(stripe_get(stripe, paths[i], NULL, &object, &error) ==
			    STRIPE_FAILED &&
			error.kind == ERROR_DATA,
		    "\"%s\" is no path", paths[i]);
	}
	is_int(count_requests("\"n\":"), before, "and nothing is sent");
	stripe_close(stripe);
}

/* The time between the last two requests. */
static int64_t
gap_ms(void)
{
	struct buf requests = BUF_INIT(64 * 1024 * 1024);
	long long at[2] = {0, 0};
	const char *p;

	read_file(&requests, "requests");
	for (p = buf_string(&requests); (p = strstr(p, "\"at_ms\":")) != NULL;
	     p++) {
		at[0] = at[1];
		at[1] = atoll(p + strlen("\"at_ms\":"));
	}
	buf_release(&requests);
	return at[1] - at[0];
}

static void
test_retry_after(void)
{
	struct stripe *stripe = open_stripe();
	struct error error = {0};
	enum stripe_answer answer;
	json_t *object;
	char one, two;
	void *tag;

	script("/v1/a 503 header=Retry-After:1\n/v1/a 200 body=" INVOICE "\n");
	is_int(stripe_get(stripe, "/v1/a", NULL, &object, &error), STRIPE_FOUND,
	    "told when to come back");
	ok(gap_ms() >= 1000, "not before");
	json_decref(object);

	conf.stripe_read_concurrency = 1;
	script("/v1/b 429 header=Retry-After:1\n/v1/b 200 body=" INVOICE "\n"
	       "/v1/c 200 body=" INVOICE "\n");
	stripe_start(stripe, "/v1/b", NULL, &one);
	stripe_start(stripe, "/v1/c", NULL, &two);
	ok(stripe_wait(stripe, &tag, &answer, &object, &error) && tag == &one &&
		answer == STRIPE_FOUND,
	    "after 429 the same");
	json_decref(object);
	ok(gap_ms() >= 1000 && count_requests("\"path\":\"/v1/c\"") == 0,
	    "and no other goes before");
	ok(stripe_wait(stripe, &tag, &answer, &object, &error) && tag == &two,
	    "which then does");
	json_decref(object);
	ok(!stripe_wait(stripe, &tag, &answer, &object, &error),
	    "and that was all");
	conf.stripe_read_concurrency = 64;
	stripe_close(stripe);
}

/* Read so many, never starting more than keeps it busy. How long it took. */
static int64_t
read_many(int many, int *most)
{
	struct stripe *stripe = open_stripe();
	enum stripe_answer answer;
	int64_t start = clock_monotonic_ms();
	struct error error = {0};
	int started = 0, done = 0, found = 0;
	json_t *object;
	void *tag;

	*most = 0;
	while (done < many) {
		while (started < many && !stripe_busy(stripe)) {
			stripe_start(stripe, "/v1/many", NULL, NULL);
			started++;
		}
		if (started - done > *most)
			*most = started - done;
		if (!stripe_wait(stripe, &tag, &answer, &object, &error))
			break;
		found += answer == STRIPE_FOUND;
		json_decref(object);
		done++;
	}
	is_int(found, many, "each is answered");
	stripe_close(stripe);
	return clock_monotonic_ms() - start;
}

static void
test_rate(void)
{
	int64_t took_ms;
	int most;

	script("/v1/many 200 delay=30 body=" INVOICE "\n");
	conf.stripe_read_rate_per_minute = 6000;
	conf.stripe_read_concurrency = 8;
	took_ms = read_many(150, &most);
	printf("# 150 reads at 100/s took %" PRId64 " ms\n", took_ms);
	ok(took_ms >= 1390, "not faster than the rate");
	ok(took_ms < 4500, "and not much slower");
	ok(most <= 16, "with few of them in memory");
	conf.stripe_read_rate_per_minute = 0;
	conf.stripe_read_concurrency = 4;
	script("/v1/many 200 delay=300 body=" INVOICE "\n");
	took_ms = read_many(8, &most);
	printf(
	    "# 8 reads of 300 ms, 4 at once, took %" PRId64 " ms\n", took_ms);
	ok(took_ms >= 600, "not more at once than configured");
	ok(took_ms < 8 * 300, "and not fewer");
	conf.stripe_read_concurrency = 64;
}

/* More than is kept of other answers. */
static void
test_large(void)
{
	struct stripe *stripe = open_stripe();
	struct buf text = BUF_INIT(1024 * 1024);
	struct error error = {0};
	json_t *object;
	int i;

	buf_text(&text, "/v1/large 200 body={\"object\":\"list\",\"data\":[");
	for (i = 0; i < 5000; i++)
		buf_text(&text, INVOICE ",");
	buf_text(&text, INVOICE "]}\n");
	script(buf_string(&text));
	is_int(stripe_get(stripe, "/v1/large", NULL, &object, &error),
	    STRIPE_FOUND, "a long list");
	is_int((int64_t)json_array_size(json_at(object, "data")), 5001,
	    "all of it");
	json_decref(object);
	buf_release(&text);
	stripe_close(stripe);
}

static void
test_close(void)
{
	struct stripe *stripe;
	enum stripe_answer answer;
	struct error error = {0};
	json_t *object;
	void *tag;
	int i;

	conf.stripe_read_concurrency = 2;
	stripe = open_stripe();
	script("/v1/slow 200 hang\n/v1/fast 200 body=" INVOICE "\n");
	stripe_start(stripe, "/v1/fast", NULL, &i);
	for (i = 0; i < 4; i++)
		stripe_start(stripe, "/v1/slow", NULL, NULL);
	ok(stripe_wait(stripe, &tag, &answer, &object, &error) && tag == &i,
	    "one is answered, some wait, some have not begun");
	json_decref(object);
	stripe_close(stripe);
}

int
main(void)
{
	receiver_start();
	snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);

	test_open();
	test_request();
	test_answers();
	test_no_answer();
	test_paths();
	test_retry_after();
	test_rate();
	test_large();
	test_close();
	return tap_end();
}
