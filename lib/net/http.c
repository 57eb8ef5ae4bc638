#include "net/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/mem.h"

#define CONNECTIONS_KEPT 1024L
#define WAIT_MS 60000
#define NEVER INT64_MAX

#define HEADER_READ 256 /* bytes of a header we look into */
#define BLANKS " \t\r\n"
#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* One request. Finished ones are used again: libcurl's handles are dear. */
struct transfer {
	CURL *easy;
	CURLU *url;
	struct curl_slist *headers;
	char *body;
	size_t headers_size, received, whole_max; /* of the answer */
	struct answer answer;
	void *tag;
	bool running; /* is in the multi handle */
	struct transfer *next; /* idle or unsendable */
	struct transfer *older; /* of all */
};

struct http {
	CURLM *multi;
	struct transfer *all, *idle, *unsendable;
	size_t running;
	struct pollfd
	    *sockets; /* that libcurl waits for; fd -1: a free place */
	size_t sockets_count;
	size_t looked_at; /* of these, since the latest poll() */
	int64_t timer_ms; /* when libcurl wants to be called, whatever comes */
};

/* libcurl's allocation, as ours: succeeds or ends the process. */

static void *
take_memory(size_t size)
{
	return mem_resize(NULL, size, 1);
}

static void *
take_more_memory(void *p, size_t size)
{
	return mem_resize(p, size, 1);
}

static void *
take_zeroed_memory(size_t count, size_t size)
{
	void *p = mem_resize(NULL, count, size);

	memset(p, 0, count * size);
	return p;
}

/* libcurl says what to wait for: at this socket, and until when. */

static int
note_socket(
    CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct http *http = data;
	struct pollfd *place = NULL;
	size_t i;

	(void)easy;
	(void)socket_data;
	for (i = 0; i < http->sockets_count; i++) {
		if (http->sockets[i].fd == -1)
			place = &http->sockets[i];
		if (http->sockets[i].fd == fd)
			break;
	}
	if (i < http->sockets_count)
		place = &http->sockets[i];
	else if (place == NULL) {
		http->sockets = mem_resize(http->sockets, ++http->sockets_count,
		    sizeof(*http->sockets));
		place = &http->sockets[i];
	}
	place->fd = what == CURL_POLL_REMOVE ? -1 : fd;
	place->events = (short)((what & CURL_POLL_IN ? POLLIN : 0) |
	    (what & CURL_POLL_OUT ? POLLOUT : 0));
	place->revents = 0;
	return 0;
}

static int
note_timer(CURLM *multi, long wait_ms, void *data)
{
	struct http *http = data;

	(void)multi;
	http->timer_ms =
	    wait_ms < 0 ? NEVER : clock_monotonic_ms() + (int64_t)wait_ms;
	return 0;
}

bool
http_open(struct http **http, struct error *error)
{
	CURLM *multi = NULL;

	*http = NULL;
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, take_memory, free,
		take_more_memory, mem_copy, take_zeroed_memory) == CURLE_OK)
		multi = curl_multi_init();
	if (multi == NULL)
		return error_set(error, ERROR_RETRY, "libcurl does not start");
	*http = mem_alloc(sizeof(**http));
	(*http)->multi = multi;
	(*http)->timer_ms = NEVER;
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, note_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, *http);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, note_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, *http);
	return true;
}

/* Take a transfer out of the multi handle, with nothing left of its request. */
static void
transfer_clear(struct http *http, struct transfer *transfer)
{
	struct curl_slist *header;

	if (transfer->running)
		curl_multi_remove_handle(http->multi, transfer->easy);
	transfer->running = false;
	curl_easy_reset(transfer->easy);
	for (header = transfer->headers; header != NULL; header = header->next)
		mem_wipe(header->data, strlen(header->data));
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
	curl_url_cleanup(transfer->url);
	transfer->url = NULL;
	free(transfer->body);
	transfer->body = NULL;
	buf_release(&transfer->answer.body);
}

void
http_close(struct http *http)
{
	struct transfer *transfer;

	if (http == NULL)
		return;
	while ((transfer = http->all) != NULL) {
		http->all = transfer->older;
		transfer_clear(http, transfer);
		curl_easy_cleanup(transfer->easy);
		free(transfer);
	}
	curl_multi_cleanup(http->multi);
	curl_global_cleanup();
	free(http->sockets);
	free(http);
}

static struct transfer *
transfer_take(struct http *http)
{
	struct transfer *transfer = http->idle;

	if (transfer != NULL) {
		http->idle = transfer->next;
		return transfer;
	}
	transfer = mem_alloc(sizeof(*transfer));
	transfer->easy = curl_easy_init();
	transfer->older = http->all;
	http->all = transfer;
	return transfer;
}

/* What failed, in words that show nothing of the request. Returns false. */
static bool
fail(struct answer *answer, enum answer_failure failure, const char *what,
    const char *why)
{
	answer->failure = failure;
	answer->status = 0;
	answer->retry_after_s = -1;
	buf_release(&answer->body);
	snprintf(answer->reason, sizeof(answer->reason), "%s%s%s", what,
	    why != NULL ? ": " : "", why != NULL ? why : "");
	return false;
}

static bool
unsendable(struct transfer *transfer, const char *what)
{
	return fail(&transfer->answer, ANSWER_UNSENDABLE, what, NULL);
}

/* A host as libcurl's parser gives it: "127.1" is "127.0.0.1" by then. */
static bool
is_loopback(const char *host)
{
	struct in_addr address;

	if (inet_pton(AF_INET, host, &address) == 1)
		return ntohl(address.s_addr) >> 24 == 127;
	return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
}

static bool
check_url(struct transfer *transfer, const char *scheme, const char *host)
{
	if (strcasecmp(scheme, "https") == 0)
		return true;
	if (strcasecmp(scheme, "http") != 0)
		return unsendable(transfer, "the URL is not https");
	if (!is_loopback(host))
		return unsendable(
		    transfer, "the URL is http to another machine; use https");
	return true;
}

/*
 * Requests to one TLS server wait for the first connection, in case it takes
 * them all.
 */
static bool
set_parts(struct transfer *transfer, bool tls)
{
	CURL *easy = transfer->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_CURLU, transfer->url);
	failed |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, tls ? 1L : 0L);
	return failed == CURLE_OK;
}

/*
 * The transfer goes by the very parts that were checked, so no two readings of
 * the URL can differ.
 */
static bool
set_url(struct transfer *transfer, const char *url)
{
	char *scheme = NULL, *host = NULL;
	bool ok;

	transfer->url = curl_url();
	if (curl_url_set(transfer->url, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(transfer->url, CURLUPART_SCHEME, &scheme, 0) !=
		CURLUE_OK ||
	    curl_url_get(transfer->url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		ok = unsendable(transfer, "the URL is not one");
	else
		ok = check_url(transfer, scheme, host) &&
		    set_parts(transfer, strcasecmp(scheme, "https") == 0);
	curl_free(scheme);
	curl_free(host);
	return ok;
}

/* One line: a value from outside must not begin another header. */
static bool
is_header(const char *header)
{
	const char *p;

	for (p = header; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return strchr(header, ':') != NULL;
}

static bool
set_headers(struct transfer *transfer, const char *const *header)
{
	transfer->headers = curl_slist_append(NULL, "Expect:");
	for (; header != NULL && *header != NULL; header++) {
		if (!is_header(*header))
			return unsendable(
			    transfer, "a header is not \"Name: value\"");
		transfer->headers =
		    curl_slist_append(transfer->headers, *header);
	}
	return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER,
		   transfer->headers) == CURLE_OK;
}

/* What is read of a body. */
static size_t
read_max(const struct transfer *transfer)
{
	return transfer->whole_max > 0 ? transfer->whole_max : HTTP_READ_MAX;
}

static size_t
keep_body(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct buf *body = &transfer->answer.body;
	size_t room = body->max - body->size;

	size *= count;
	transfer->received += size;
	if (transfer->received > read_max(transfer))
		return 0;
	buf_add(body, bytes, size < room ? size : room);
	return size;
}

/* Copy the value of that header, if it is one word and fits. */
static void
take_value(char value[ANSWER_ID_MAX], const char *line, const char *name)
{
	const size_t name_size = strlen(name);
	size_t size;

	if (strncasecmp(line, name, name_size) != 0)
		return;
	line += name_size + strspn(line + name_size, BLANKS);
	size = strspn(line, WORD);
	if (size >= ANSWER_ID_MAX ||
	    line[size + strspn(line + size, BLANKS)] != '\0')
		return;
	memcpy(value, line, size);
	value[size] = '\0';
}

static size_t
take_header(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct answer *answer = &transfer->answer;
	char line[HEADER_READ] = "", again[ANSWER_ID_MAX] = "";

	size *= count;
	transfer->headers_size += size;
	if (transfer->headers_size > HTTP_HEADERS_MAX)
		return 0;
	if (size < sizeof(line))
		memcpy(line, bytes, size);
	take_value(answer->request_id, line, "Request-Id:");
	take_value(again, line, "Stripe-Should-Retry:");
	if (strcmp(again, "true") == 0)
		answer->again = ANSWER_AGAIN;
	else if (strcmp(again, "false") == 0)
		answer->again = ANSWER_NEVER;
	return size;
}

/*
 * What differs from libcurl's defaults, by which peers are verified and
 * redirects, .netrc, cookies and compression left alone.
 */
static bool
set_limits(struct transfer *transfer, int64_t timeout_ms)
{
	CURL *easy = transfer->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	failed |=
	    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	failed |=
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "automate/" VERSION);
	failed |= curl_easy_setopt(
	    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_body);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Or a name server that is silent would hold up all the others. */
	failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	return failed == CURLE_OK;
}

/*
 * libcurl sends a request again where a kept-alive connection ends without an
 * answer. The other side may have acted on it, so that is not for libcurl to
 * decide.
 */
#if LIBCURL_VERSION_NUM >= 0x075000
static int
refuse_to_send_again(
    void *data, char *from, char *to, int from_port, int to_port)
{
	struct transfer *transfer = data;
	long sent = 0;

	(void)from;
	(void)to;
	(void)from_port;
	(void)to_port;
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static bool
set_once(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	int failed = 0;

	failed |= curl_easy_setopt(
	    easy, CURLOPT_PREREQFUNCTION, refuse_to_send_again);
	failed |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	return failed == CURLE_OK;
}
#else
static bool
set_once(struct transfer *transfer)
{
	return curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L) ==
	    CURLE_OK;
}
#endif

static bool
set_request(struct transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	const char *method = request->method != NULL ? request->method : "POST";
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
	failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password);
	if (strcmp(method, "GET") == 0)
		return failed == CURLE_OK;
	transfer->body = mem_copy_bytes(request->body, request->body_size);
	failed |= curl_easy_setopt(
	    easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
	failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
	failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	return failed == CURLE_OK;
}

/* Have libcurl do what it wants to do by now. */
static void
keep_time(struct http *http)
{
	int running;

	http->timer_ms = NEVER;
	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void
http_start(struct http *http, const struct http_request *request, void *tag)
{
	struct transfer *transfer = transfer_take(http);

	assert(request->timeout_ms > 0);
	transfer->tag = tag;
	transfer->headers_size = transfer->received = 0;
	transfer->whole_max = request->whole_max;
	transfer->answer = (struct answer){.retry_after_s = -1,
	    .body = BUF_INIT(
		request->whole_max > 0 ? request->whole_max : ANSWER_BODY_MAX)};
	/* Unless something says better. */
	unsendable(transfer, "libcurl lacks what this needs");
	http->running++;
	transfer->running = set_url(transfer, request->url) &&
	    set_headers(transfer, request->headers) &&
	    set_limits(transfer, request->timeout_ms) && set_once(transfer) &&
	    set_request(transfer, request) &&
	    curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK;
	if (transfer->running) {
		keep_time(http);
	} else {
		transfer->next = http->unsendable;
		http->unsendable = transfer;
	}
}

/* Sent, and no whole answer: where libcurl's words would puzzle, ours. */
static const char *
why_broken(const struct transfer *transfer, CURLcode code)
{
	if (transfer->headers_size > HTTP_HEADERS_MAX)
		return "its headers are too long";
	if (transfer->received > read_max(transfer))
		return "it is too long";
	switch (code) {
	case CURLE_OK: return "it has no final status";
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY: return "it is not HTTP";
	case CURLE_GOT_NOTHING:
	case CURLE_ABORTED_BY_CALLBACK: return "the connection was closed";
	case CURLE_PARTIAL_FILE: return "the connection was closed early";
	default: return curl_easy_strerror(code);
	}
}

static void
judge_failure(struct transfer *transfer, CURLcode code)
{
	struct answer *answer = &transfer->answer;
	long sent = 0, os_error = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_URL_MALFORMAT)
		unsendable(transfer, "the URL is not one");
	else if (sent == 0 && code == CURLE_OPERATION_TIMEDOUT)
		fail(answer, ANSWER_REFUSED, "no connection in time", NULL);
	else if (sent == 0 && code == CURLE_COULDNT_CONNECT && os_error != 0)
		fail(answer, ANSWER_REFUSED, "no connection",
		    strerror((int)os_error));
	else if (sent == 0)
		fail(answer, ANSWER_REFUSED, "no connection",
		    curl_easy_strerror(code));
	else if (code == CURLE_OPERATION_TIMEDOUT)
		fail(answer, ANSWER_TIMEOUT, "no whole answer in time", NULL);
	else
		fail(answer, ANSWER_BROKEN, "no whole answer",
		    why_broken(transfer, code));
}

/* What became of the request. */
static void
judge(struct transfer *transfer, CURLcode code)
{
	struct answer *answer = &transfer->answer;
	curl_off_t took_us = 0, retry_after_s = 0;
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &took_us);
	answer->took_ms = took_us / 1000;
	if (transfer->whole_max == 0 && transfer->received > HTTP_READ_MAX)
		code = CURLE_OK;
	if (code != CURLE_OK || status < 200) {
		judge_failure(transfer, code);
		return;
	}
	answer->failure = ANSWER_COMPLETE;
	answer->status = (int)status;
	answer->reason[0] = '\0';
	if (retry_after_s > 0)
		answer->retry_after_s = retry_after_s;
}

/* A transfer that has come to its end; NULL if there is none. */
static struct transfer *
take_done(struct http *http)
{
	struct transfer *transfer = http->unsendable;
	CURLMsg *message;
	int left;

	if (transfer != NULL) {
		http->unsendable = transfer->next;
		return transfer;
	}
	message = curl_multi_info_read(http->multi, &left);
	if (message == NULL)
		return NULL;
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
	judge(transfer, message->data.result);
	return transfer;
}

/*
 * Have libcurl look at one of the sockets at which something has come, so that
 * its answer is known before the next is looked at; false if there is none.
 */
static bool
look(struct http *http)
{
	struct pollfd *socket;
	int running, what;

	while (http->looked_at < http->sockets_count) {
		socket = &http->sockets[http->looked_at++];
		if (socket->revents == 0)
			continue;
		what = (socket->revents & (POLLIN | POLLHUP) ? CURL_CSELECT_IN
							     : 0) |
		    (socket->revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
		    (socket->revents & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR
							    : 0);
		socket->revents = 0;
		curl_multi_socket_action(
		    http->multi, socket->fd, what, &running);
		return true;
	}
	if (http->timer_ms > clock_monotonic_ms())
		return false;
	keep_time(http);
	return true;
}

/* Wait at the sockets; false if that was cut short. */
static bool
wait_until(struct http *http, int64_t end)
{
	int64_t left = (end < http->timer_ms ? end : http->timer_ms) -
	    clock_monotonic_ms();
	bool ok;

	if (left < 0)
		left = 0;
	ok = poll(http->sockets, (nfds_t)http->sockets_count,
		 (int)(left < WAIT_MS ? left : WAIT_MS)) != -1;
	http->looked_at = ok ? 0 : http->sockets_count;
	return ok;
}

bool
http_wait(struct http *http, int64_t wait_ms, void **tag, struct answer *answer)
{
	const int64_t end = clock_monotonic_ms() + wait_ms;
	struct transfer *transfer;
	bool waited = false;

	while ((transfer = take_done(http)) == NULL) {
		if (look(http))
			continue;
		if (waited && clock_monotonic_ms() >= end)
			return false;
		if (!wait_until(http, end))
			return false;
		waited = true;
	}
	*tag = transfer->tag;
	*answer = transfer->answer;
	transfer->answer = (struct answer){.failure = ANSWER_COMPLETE};
	transfer_clear(http, transfer);
	transfer->tag = NULL;
	transfer->next = http->idle;
	http->idle = transfer;
	http->running--;
	return true;
}

void *
http_abandon(struct http *http)
{
	struct transfer *transfer = http->all;
	void *tag = NULL;

	while (transfer != NULL && transfer->tag == NULL)
		transfer = transfer->older;
	if (transfer != NULL) {
		tag = transfer->tag;
		transfer->tag = NULL;
	}
	return tag;
}

size_t
http_running(const struct http *http)
{
	return http->running;
}

bool
http_request(const struct http_request *request, struct answer *answer,
    struct error *error)
{
	struct http *http;
	void *tag;

	if (!http_open(&http, error))
		return false;
	http_start(http, request, NULL);
	while (!http_wait(http, WAIT_MS, &tag, answer))
		;
	http_close(http);
	return true;
}
