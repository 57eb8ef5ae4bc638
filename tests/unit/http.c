#include "net/http.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../receiver.h"
#include "../tap.h"
#include "base/clock.h"
#include "base/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATIENCE_MS 20000

static struct http *http;

/* The answer to a request; released by the next ask(). */
static struct answer *
ask(const struct http_request *request)
{
	static struct answer answer;
	int tag;
	void *tag_back = NULL;

	buf_release(&answer.body);
	http_start(http, request, &tag);
	must(http_wait(http, PATIENCE_MS, &tag_back, &answer), "no answer");
	must(tag_back == &tag, "not our tag");
	return &answer;
}

static struct answer *
post_to(const char *scheme, const char *host, int to_port, const char *path,
    int64_t timeout_ms)
{
	char *url = mem_format("%s://%s:%d%s", scheme, host, to_port, path);
	struct http_request request = {
	    .url = url, .body = "{}", .body_size = 2, .timeout_ms = timeout_ms};
	struct answer *answer = ask(&request);

	free(url);
	return answer;
}

static struct answer *
post(const char *path)
{
	return post_to("http", "127.0.0.1", port, path, PATIENCE_MS);
}

static void
test_request(void)
{
	static const char *const headers[] = {
	    "Content-Type: application/json", "X-Make-Apikey: k-1", NULL};
	char *url = mem_format("http://127.0.0.1:%d/one?two=3", port);
	struct http_request request = {.url = url,
	    .headers = headers,
	    .body = "{\"a\":1}",
	    .body_size = 7,
	    .timeout_ms = PATIENCE_MS};
	struct answer *answer;

	script("/one 201 body=thank you\n");
	answer = ask(&request);
	is_int(answer->failure, ANSWER_COMPLETE, "an answer comes back");
	is_int(answer->status, 201, "its status");
	is_text(buf_string(&answer->body), "thank you", "its body");
	is_text(answer->reason, "", "no reason");
	is_int(answer->retry_after_s, -1, "no Retry-After");
	ok(received(
	       "\"method\":\"POST\",\"path\":\"/one\",\"query\":\"two=3\""),
	    "a POST was received");
	ok(received("\"body\":\"{\\\"a\\\":1}\""), "with its body");
	ok(received("\"content-length\":\"7\"") &&
		!received("transfer-encoding"),
	    "of a stated length");
	ok(received("\"content-type\":\"application/json\"") &&
		received("\"x-make-apikey\":\"k-1\""),
	    "with our headers");
	ok(received("\"user-agent\":\"automate/" VERSION "\""),
	    "saying who asks");
	ok(!received("accept-encoding") && !received("\"expect\""),
	    "asking for neither compression nor 100 Continue");

	request.method = "GET";
	ask(&request);
	ok(received("\"method\":\"GET\"") && received("\"body\":\"\""), "GET");
	request.method = "DELETE";
	request.body_size = 0;
	ask(&request);
	ok(received("\"method\":\"DELETE\"") &&
		received("\"content-length\":\"0\""),
	    "DELETE, without a body");
	ok(!received("authorization"), "no credentials where none are given");
	request.user = "AC1";
	request.password = "token";
	ask(&request);
	ok(received("\"authorization\":\"Basic QUMxOnRva2Vu\""),
	    "Basic authentication, at once");
	free(url);
}

static void
test_large_request(void)
{
	const size_t size = 3 * 1024 * 1024;
	char *url = mem_format("http://127.0.0.1:%d/large", port);
	char *body = mem_alloc(size);
	struct http_request request = {.url = url,
	    .body = body,
	    .body_size = size,
	    .timeout_ms = PATIENCE_MS};

	memset(body, 'z', size);
	is_int(ask(&request)->status, 200, "a large body is sent");
	ok(!received("\"expect\""), "without asking whether it may be");
	ok(received("\"content-length\":\"3145728\"") && received("zzzzzz\"}"),
	    "whole");
	free(body);
	free(url);
}

static void
test_statuses(void)
{
	static const int statuses[] = {204, 301, 400, 401, 404, 410, 429, 503};
	char text[64], name[64];
	size_t i;

	for (i = 0; i < COUNT(statuses); i++) {
		snprintf(text, sizeof(text), "/s %d\n", statuses[i]);
		script(text);
		snprintf(
		    name, sizeof(name), "status %d is an answer", statuses[i]);
		is_int(post("/s")->status, statuses[i], name);
	}
	script("/s 307 header=Location:/elsewhere body=moved\n");
	is_int(post("/s")->status, 307, "a redirect is an answer");
	is_int(count_requests("\"path\":\"/elsewhere\""), 0,
	    "and is not followed");
}

static void
test_retry_after(void)
{
	char text[128], date[64];
	time_t then = time(NULL) + 1000;
	struct answer *answer;

	script("/r 429 header=Retry-After:120\n");
	is_int(post("/r")->retry_after_s, 120, "Retry-After in seconds");
	strftime(date, sizeof(date), "%a,\\x20%d\\x20%b\\x20%Y\\x20%T\\x20GMT",
	    gmtime(&then));
	snprintf(text, sizeof(text), "/r 503 header=Retry-After:%s\n", date);
	script(text);
	answer = post("/r");
	ok(answer->retry_after_s > 900 && answer->retry_after_s <= 1000,
	    "Retry-After as a date");
	script("/r 429 header=Retry-After:-5\n");
	is_int(post("/r")->retry_after_s, -1, "Retry-After as nonsense");
}

static void
test_answer_headers(void)
{
	const struct answer *answer;

	script("/h 500 header=Request-Id:req_Ab-1"
	       " header=Stripe-Should-Retry:true\n");
	answer = post("/h");
	is_text(answer->request_id, "req_Ab-1", "Request-Id");
	is_int(answer->again, ANSWER_AGAIN, "Stripe-Should-Retry: true");
	script("/h 500 header=request-id:\\x20\\treq_2\\x20"
	       " header=stripe-should-retry:false\n");
	answer = post("/h");
	is_text(answer->request_id, "req_2", "in whatever case, with blanks");
	is_int(answer->again, ANSWER_NEVER, "Stripe-Should-Retry: false");
	script("/h 500 header=Request-Id:two\\x20words"
	       " header=Stripe-Should-Retry:perhaps\n");
	answer = post("/h");
	is_text(answer->request_id, "", "Request-Id as nonsense");
	is_int(answer->again, ANSWER_UNSAID, "Stripe-Should-Retry as nonsense");
	script("/h 500 header=X-Request-Id:req_3\n");
	answer = post("/h");
	is_text(answer->request_id, "", "another header is not it");
	is_int(answer->again, ANSWER_UNSAID, "nothing said");
}

/* What becomes of a request that gets no answer. */
static void
test_no_answer(void)
{
	static const struct {
		const char *script;
		enum answer_failure failure;
		const char *reason, *name;
	} cases[] = {
	    {"/secret 200 close=before\n", ANSWER_BROKEN,
		"no whole answer: the connection was closed",
		"closed before answering"},
	    {"/secret 200 close=mid body=0123456789\n", ANSWER_BROKEN,
		"no whole answer: the connection was closed early",
		"closed in the middle"},
	    {"/secret 200 garbage\n", ANSWER_BROKEN,
		"no whole answer: it is not HTTP", "not HTTP"},
	    {"/secret 200 garbage body=HTTP/1.1 101 x\\r\\n\\r\\nabc\n",
		ANSWER_BROKEN, "no whole answer: it has no final status",
		"101 and no more"},
	    {"/secret 200 garbage body=HTTP/1.1 100 x\\r\\n\\r\\n\n",
		ANSWER_BROKEN, NULL, "100 and no more"},
	    {"/secret 200 hang\n", ANSWER_TIMEOUT, "no whole answer in time",
		"never answered"},
	    {"/secret 200 hang close=mid body=0123456789\n", ANSWER_TIMEOUT,
		"no whole answer in time", "fallen silent in the middle"},
	};
	const struct answer *answer;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		script(cases[i].script);
		answer = post_to("http", "127.0.0.1", port, "/secret",
		    cases[i].failure == ANSWER_TIMEOUT ? 200 : PATIENCE_MS);
		is_int(answer->failure, cases[i].failure, cases[i].name);
		if (cases[i].reason != NULL)
			is_text(answer->reason, cases[i].reason, "says so");
		ok(answer->status == 0 && answer->body.size == 0 &&
			answer->retry_after_s == -1 &&
			strstr(answer->reason, "secret") == NULL,
		    "and nothing else");
	}
}

static void
test_no_connection(void)
{
	const struct answer *answer;
	int silent, closed, fd;

	silent = listen_anywhere(&fd);
	answer = post_to("https", "127.0.0.1", silent, "/secret", 200);
	is_int(answer->failure, ANSWER_REFUSED, "no TLS in time");
	is_text(answer->reason, "no connection in time", "says so");
	answer = post_to("http", "127.0.0.1", silent, "/secret", 200);
	is_int(answer->failure, ANSWER_TIMEOUT, "without TLS it was sent");
	close(fd);

	closed = listen_anywhere(&fd);
	close(fd);
	answer = post_to("http", "127.0.0.1", closed, "/secret", PATIENCE_MS);
	is_int(answer->failure, ANSWER_REFUSED, "nobody listens");
	is_text(answer->reason, "no connection: Connection refused", "says so");
	answer = post_to("https", "127.0.0.1", port, "/secret", PATIENCE_MS);
	is_int(answer->failure, ANSWER_REFUSED, "https to who speaks http");
	ok(strstr(answer->reason, "no connection: ") == answer->reason,
	    "says so");
}

/* Which URLs are sent to, seen by where there is nobody. */
static void
test_urls(void)
{
	static const char *const good[] = {"http://127.0.0.1:1/",
	    "http://127.8.9.10:1/", "http://127.1:1/", "http://localhost:1/",
	    "http://LOCALHOST:1/", "http://[::1]:1/", "https://127.0.0.1:1/",
	    "HTTP://127.0.0.1:1/"};
	static const char *const bad[] = {"", "nonsense", "127.0.0.1:1/",
	    "http://", "https://", "http://10.0.0.1:1/", "http://0.0.0.0:1/",
	    "http://128.0.0.1:1/", "http://example.com/",
	    "http://127.0.0.1.example.com/", "http://localhost.example.com/",
	    "http://127.0.0.1@example.com/", "http://127.0.0.1:1@example.com/",
	    "http://[::2]:1/", "http://example.com#@127.0.0.1/",
	    "http://127.0.0.1:99999/", "http://127.0.0.1:1/ x",
	    "http://127.0.0.1:1/\r\nx", "ftp://127.0.0.1:1/",
	    "file:///etc/passwd", "gopher://127.0.0.1:1/_x",
	    "javascript:alert(1)"};
	struct http_request request = {.timeout_ms = PATIENCE_MS};
	size_t i;

	for (i = 0; i < COUNT(good); i++) {
		request.url = good[i];
		ok(ask(&request)->failure == ANSWER_REFUSED, "may be sent: %s",
		    good[i]);
	}
	for (i = 0; i < COUNT(bad); i++) {
		request.url = bad[i];
		ok(ask(&request)->failure == ANSWER_UNSENDABLE,
		    "may not be sent: bad URL %zu", i);
	}
}

static void
test_headers(void)
{
	static const char *const bad[] = {
	    "X-Id: 1\r\nX-Other: 2", "X-Id: 1\n", "no colon"};
	const char *headers[] = {NULL, NULL};
	char *url = mem_format("http://127.0.0.1:%d/injected", port);
	struct http_request request = {
	    .url = url, .headers = headers, .timeout_ms = PATIENCE_MS};
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		headers[0] = bad[i];
		is_int(ask(&request)->failure, ANSWER_UNSENDABLE,
		    "a header that is not one line is not sent");
	}
	is_int(count_requests("/injected"), 0, "nor is the request");
	free(url);
}

/* A script line whose answer has size bytes of body. */
static void
script_body(size_t size)
{
	char *text = mem_alloc(size + 32);
	size_t start = (size_t)sprintf(text, "/b 200 body=");

	memset(text + start, 'b', size);
	text[start + size] = '\n';
	script(text);
	free(text);
}

static void
test_large_answers(void)
{
	static const size_t sizes[] = {ANSWER_BODY_MAX - 1, ANSWER_BODY_MAX,
	    ANSWER_BODY_MAX + 1, HTTP_READ_MAX, 3 * HTTP_READ_MAX};
	struct buf text = BUF_INIT(2 * HTTP_HEADERS_MAX);
	const struct answer *answer;
	size_t i;

	for (i = 0; i < COUNT(sizes); i++) {
		script_body(sizes[i]);
		answer = post("/b");
		ok(answer->failure == ANSWER_COMPLETE && answer->status == 200,
		    "a body of %zu bytes is an answer", sizes[i]);
		is_int((int64_t)answer->body.size,
		    (int64_t)(sizes[i] < ANSWER_BODY_MAX ? sizes[i]
							 : ANSWER_BODY_MAX),
		    "of which the first 64 KiB are kept");
	}
	buf_text(&text, "/b 200");
	for (i = 0; i * 1000 < HTTP_HEADERS_MAX; i++)
		buf_format(&text, " header=X-%zu:%0990d", i, 0);
	buf_text(&text, "\n");
	script(buf_string(&text));
	answer = post("/b");
	is_int(answer->failure, ANSWER_BROKEN, "a flood of headers is not");
	is_text(answer->reason, "no whole answer: its headers are too long",
	    "says so");
	buf_release(&text);
}

/* For who needs all of it. */
static void
test_whole_answers(void)
{
	char *url = mem_format("http://127.0.0.1:%d/b", port);
	struct http_request request = {.url = url,
	    .timeout_ms = PATIENCE_MS,
	    .whole_max = 2 * HTTP_READ_MAX};
	const struct answer *answer;

	script_body(2 * HTTP_READ_MAX);
	answer = ask(&request);
	is_int(answer->status, 200, "a large body is an answer");
	is_int((int64_t)answer->body.size, 2 * HTTP_READ_MAX, "all of it");
	script_body(2 * HTTP_READ_MAX + 1);
	answer = ask(&request);
	is_int(answer->failure, ANSWER_BROKEN, "one too large is not");
	is_text(answer->reason, "no whole answer: it is too long", "says so");
	is_int((int64_t)answer->body.size, 0, "and nothing of it is kept");
	free(url);
}

/* The receiver ends a kept-alive connection instead of answering on it. */
static void
test_sent_once(void)
{
	script("/once 200\n/once 200 close=before\n");
	is_int(post("/once")->status, 200, "a connection is made");
	is_int(post("/once")->failure, ANSWER_BROKEN, "and closed on us");
	is_int(count_requests("\"path\":\"/once\""), 2,
	    "the second request was sent once");
	is_int(post("/after")->status, 200, "the next gets a new one");
}

static void
test_many(void)
{
	enum { MANY = 300 };
	char *url = mem_format("http://127.0.0.1:%d/many", port);
	struct http_request request = {.url = url, .timeout_ms = PATIENCE_MS};
	static int tags[MANY];
	struct answer answer;
	int i, good = 0, once = 0;
	void *tag;

	script("/many 200 delay=50\n");
	for (i = 0; i < MANY; i++)
		http_start(http, &request, &tags[i]);
	is_int((int64_t)http_running(http), MANY, "many are under way");
	while (http_running(http) > 0 &&
	    http_wait(http, PATIENCE_MS, &tag, &answer)) {
		good += answer.status == 200 && answer.took_ms >= 50;
		once += ++*(int *)tag == 1;
		buf_release(&answer.body);
	}
	is_int(good, MANY, "each is answered");
	is_int(once, MANY, "each once, with its tag");
	is_int(count_requests("\"path\":\"/many\""), MANY, "none more often");
	free(url);
}

/* One that hangs holds up nobody. */
static void
test_slow_neighbour(void)
{
	char *slow = mem_format("http://127.0.0.1:%d/slow", port);
	char *fast = mem_format("http://127.0.0.1:%d/fast", port);
	struct http_request request = {.url = slow, .timeout_ms = 300};
	struct answer answer;
	void *tag;

	script("/slow 200 hang\n/fast 200\n");
	http_start(http, &request, slow);
	request.url = fast;
	http_start(http, &request, fast);
	ok(http_wait(http, PATIENCE_MS, &tag, &answer) && tag == fast,
	    "the fast one is answered first");
	buf_release(&answer.body);
	ok(http_wait(http, PATIENCE_MS, &tag, &answer) && tag == slow &&
		answer.failure == ANSWER_TIMEOUT,
	    "the slow one ends in time");
	free(slow);
	free(fast);
}

static void
on_alarm(int signal_number)
{
	(void)signal_number;
}

static void
test_wait(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 50000}};
	struct answer answer;
	int64_t start;
	void *tag;

	ok(!http_wait(http, 0, &tag, &answer), "nothing is under way");
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	start = clock_monotonic_ms();
	ok(!http_wait(http, PATIENCE_MS, &tag, &answer) &&
		clock_monotonic_ms() - start < PATIENCE_MS / 2,
	    "a wait ends with a signal");
	start = clock_monotonic_ms();
	ok(!http_wait(http, 60, &tag, &answer) &&
		clock_monotonic_ms() - start >= 60,
	    "and else lasts as long as asked");
}

static void
test_one(void)
{
	char *url = mem_format("http://127.0.0.1:%d/single", port);
	struct http_request request = {
	    .url = url, .method = "GET", .timeout_ms = PATIENCE_MS};
	struct answer answer = {0};
	struct error error = {0};

	script("/single 200 body=one\n");
	ok(http_request(&request, &answer, &error), "one request at once");
	is_text(buf_string(&answer.body), "one", "and its answer");
	buf_release(&answer.body);
	free(url);
}

/* A TLS server whose certificate nobody has signed; its port, or 0. */
static int
start_tls(FILE **pipe, long *pid)
{
	char text[256];
	int tls_port = 0;

	if (system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
		   "-subj /CN=localhost -addext subjectAltName=DNS:localhost "
		   "-keyout key -out cert >/dev/null 2>&1") != 0)
		return 0;
	*pipe = popen("echo $$; exec openssl s_server -accept 127.0.0.1:0 "
		      "-key key -cert cert -www 2>/dev/null",
	    "r");
	must(*pipe != NULL && fscanf(*pipe, "%ld\n", pid) == 1, "no process");
	while (tls_port == 0 && fgets(text, sizeof(text), *pipe) != NULL)
		sscanf(text, "ACCEPT 127.0.0.1:%d", &tls_port);
	return tls_port;
}

static void
test_certificate(void)
{
	const struct answer *answer;
	FILE *pipe = NULL;
	long pid = 0;
	int tls_port = start_tls(&pipe, &pid);

	if (tls_port == 0)
		ok(true, "a certificate # SKIP no openssl(1)");
	else {
		answer = post_to(
		    "https", "localhost", tls_port, "/secret", PATIENCE_MS);
		is_int(answer->failure, ANSWER_REFUSED,
		    "nothing is sent to who cannot prove its name");
		ok(strstr(answer->reason, "certificate") != NULL, "says so");
	}
	if (pid > 0)
		kill((pid_t)pid, SIGTERM);
	if (pipe != NULL)
		pclose(pipe);
}

static void
test_close(void)
{
	char *url = mem_format("http://127.0.0.1:%d/hang", port);
	struct http_request request = {.url = url, .timeout_ms = PATIENCE_MS};
	struct answer answer;
	void *tag;

	script("/hang 200 hang\n");
	http_start(http, &request, NULL);
	request.url = "unsendable";
	ok(!http_wait(http, 50, &tag, &answer), "a request is under way");
	http_start(http, &request, NULL);
	http_close(http);
	http_close(NULL);
	free(url);
}

int
main(void)
{
	struct error error;

	receiver_start();
	/* None of which may matter. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	must(http_open(&http, &error), "http_open");

	test_request();
	test_large_request();
	test_statuses();
	test_retry_after();
	test_answer_headers();
	test_no_answer();
	test_no_connection();
	test_urls();
	test_headers();
	test_large_answers();
	test_whole_answers();
	test_sent_once();
	test_many();
	test_slow_neighbour();
	test_wait();
	test_one();
	test_certificate();
	test_close();
	return tap_end();
}
