/*
 * httpd: an HTTP receiver for tests, on loopback, that answers as its script
 * says and writes down what it was sent.
 *
 *	httpd [-dq] -r requests -p portfile [-s script]
 *
 * It listens on 127.0.0.1, writes the port to portfile by rename, and with -d
 * then goes into the background and prints its process id, so that who started
 * it need not wait. Before it answers a request it appends one line to
 * requests, in one write:
 *
 *	{"n":1,"at_ms":81,"method":"POST","path":"/a","query":"b=1",
 *	"headers":{"host":"…"},"body":"…"}
 *
 * query is there if the request has one, header names are in lower case, bytes
 * that are not UTF-8 become U+FFFD. With -q nothing is written but the number
 * of requests, on SIGUSR1 and at the end (SIGTERM).
 *
 * A line of the script says what a path (without its query) answers:
 *
 *	PATH STATUS [delay=MS] [close=before|mid|none] [hang] [garbage]
 *	    [header=NAME:VALUE]... [body=TEXT to the end of the line]
 *
 * Lines with the same path are used up in order, the last one for ever; a path
 * without one answers 200 "ok". Empty lines and those with # are skipped.
 * VALUE and TEXT may contain \n \r \t \\ and \xHH.
 *
 *	close=before	close instead of answering
 *	close=mid	announce the whole body, send half of it, close
 *	hang		never answer; with close=mid, fall silent at half
 *	garbage		send TEXT as it stands, or something that is not HTTP,
 *			and close
 *
 * The script is read again, and begun again, when the file has changed, which
 * its time may be too coarse to show, and on SIGHUP. An error in it ends the
 * program. There is no pipelining.
 */
#define _GNU_SOURCE /* ppoll(2), of POSIX since 2024 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define REQUEST_MAX (16 * 1024 * 1024)
#define ANSWER_MAX (64 * 1024 * 1024)
#define HEADERS_MAX 100
#define NEVER INT64_MAX

/* What a path answers, once or for ever. */
struct rule {
	char *path;
	int status;
	int64_t delay_ms;
	enum { CLOSE_NONE, CLOSE_BEFORE, CLOSE_MID } close;
	bool hang, garbage, used;
	struct buf headers, body;
};

struct script {
	const char *path;
	struct rule *rules;
	size_t count;
	struct stat stat; /* of the file when it was read */
};

struct span {
	const char *at;
	size_t size;
};

struct request {
	struct span method, path, query, version;
	struct header {
		struct span name, value;
	} headers[HEADERS_MAX];
	size_t header_count;
	struct buf body;
	size_t size; /* of it all in the connection's input */
};

enum parsed { PARSED_MORE, PARSED_WHOLE, PARSED_BAD };

struct connection {
	int fd; /* -1: to be forgotten */
	struct buf in, out;
	size_t sent; /* of out */
	bool continued; /* has been sent "100 Continue" */
	enum { READING, WAITING, WRITING } state;
	enum { THEN_NEXT, THEN_CLOSE, THEN_HANG } then; /* when out is sent */
	int64_t due_ns; /* when to answer */
};

static struct script script;
static struct request request = {.body = BUF_INIT(REQUEST_MAX)};
static struct buf line = BUF_INIT(8 * REQUEST_MAX); /* of the log */
static struct connection *connections;
static struct pollfd *polls;
static size_t connection_count;
static const char *requests_path;
static int requests_fd;
static bool quiet;
static long long request_count;
static int64_t now_ns; /* when ppoll() returned */
static volatile sig_atomic_t got_hup, got_usr1, got_term;

static void
die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void
die(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "httpd: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	exit(1);
}

static int64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The script. */

static void
add_unescaped(struct buf *buf, const char *text)
{
	static const char letters[] = "nrt\\", bytes[] = "\n\r\t\\";
	const char *letter;
	unsigned int byte;

	for (; *text != '\0'; text++) {
		if (*text != '\\' || text[1] == '\0') {
			buf_byte(buf, *text);
			continue;
		}
		text++;
		letter = strchr(letters, *text);
		if (letter != NULL)
			buf_byte(buf, bytes[letter - letters]);
		else if (*text == 'x' && sscanf(text + 1, "%2x", &byte) == 1) {
			buf_byte(buf, (char)byte);
			text += 2;
		} else
			buf_byte(buf, *text);
	}
}

static bool
option_is(const char *option, const char *name, const char **value)
{
	size_t size = strlen(name);

	*value = option + size;
	return strncmp(option, name, size) == 0;
}

static bool
rule_option(struct rule *rule, const char *option)
{
	const char *value;

	if (option_is(option, "delay=", &value))
		rule->delay_ms = atoll(value);
	else if (strcmp(option, "close=before") == 0)
		rule->close = CLOSE_BEFORE;
	else if (strcmp(option, "close=mid") == 0)
		rule->close = CLOSE_MID;
	else if (strcmp(option, "close=none") == 0)
		rule->close = CLOSE_NONE;
	else if (strcmp(option, "hang") == 0)
		rule->hang = true;
	else if (strcmp(option, "garbage") == 0)
		rule->garbage = true;
	else if (option_is(option, "header=", &value)) {
		add_unescaped(&rule->headers, value);
		buf_text(&rule->headers, "\r\n");
	} else
		return false;
	return true;
}

/* The next word of the line, cut off with a NUL; NULL at the end. */
static char *
next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");

	*rest = word + strcspn(word, " \t");
	if (**rest != '\0')
		*(*rest)++ = '\0';
	return *word != '\0' ? word : NULL;
}

/* False if the text is no rule; the rule is to be released either way. */
static bool
rule_parse(struct rule *rule, char *text)
{
	char *word, *rest = text;

	*rule = (struct rule){
	    .headers = BUF_INIT(ANSWER_MAX), .body = BUF_INIT(ANSWER_MAX)};
	rule->path = mem_copy(next_word(&rest));
	word = next_word(&rest);
	rule->status = word != NULL ? atoi(word) : 0;
	if (rule->path[0] != '/' || rule->status < 100 || rule->status > 999)
		return false;
	for (;;) {
		rest += strspn(rest, " \t");
		if (strncmp(rest, "body=", 5) == 0) {
			add_unescaped(&rule->body, rest + 5);
			return true;
		}
		word = next_word(&rest);
		if (word == NULL)
			return true;
		if (!rule_option(rule, word))
			return false;
	}
}

static void
script_release(void)
{
	while (script.count > 0) {
		struct rule *rule = &script.rules[--script.count];

		free(rule->path);
		buf_release(&rule->headers);
		buf_release(&rule->body);
	}
	free(script.rules);
	script.rules = NULL;
}

static void
script_read(void)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t size;
	int number = 0;
	FILE *file;

	script_release();
	file = fopen(script.path, "r");
	if (file == NULL || fstat(fileno(file), &script.stat) == -1)
		die("%s: %s", script.path, strerror(errno));
	while ((size = getline(&text, &room, file)) != -1) {
		number++;
		if (size > 0 && text[size - 1] == '\n')
			text[size - 1] = '\0';
		if (text[strspn(text, " \t")] == '\0' || text[0] == '#')
			continue;
		script.rules = mem_resize(
		    script.rules, script.count + 1, sizeof(*script.rules));
		if (!rule_parse(&script.rules[script.count++], text))
			die("%s:%d: not PATH STATUS [OPTION]...", script.path,
			    number);
	}
	free(text);
	fclose(file);
}

static void
script_refresh(void)
{
	struct stat now;

	if (script.path == NULL)
		return;
	if (!got_hup && stat(script.path, &now) == 0 &&
	    now.st_ino == script.stat.st_ino &&
	    now.st_size == script.stat.st_size &&
	    now.st_mtim.tv_sec == script.stat.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == script.stat.st_mtim.tv_nsec)
		return;
	got_hup = 0;
	script_read();
}

/* The first unused rule of the path, else its last. */
static const struct rule *
script_next(struct span path)
{
	static char text[] = "ok";
	static const struct rule unknown = {
	    .status = 200, .body = {.data = text, .size = 2}};
	struct rule *rule = NULL;
	size_t i;

	for (i = 0; i < script.count && (rule == NULL || rule->used); i++)
		if (strlen(script.rules[i].path) == path.size &&
		    memcmp(script.rules[i].path, path.at, path.size) == 0)
			rule = &script.rules[i];
	if (rule == NULL)
		return &unknown;
	rule->used = true;
	return rule;
}

/* Reading a request. */

static bool
span_is(struct span span, const char *text)
{
	return span.size == strlen(text) &&
	    strncasecmp(span.at, text, span.size) == 0;
}

/* Take from *rest what comes before byte, and byte; false if there is none. */
static bool
take_until(struct span *rest, char byte, struct span *taken)
{
	const char *end = memchr(rest->at, byte, rest->size);

	if (end == NULL)
		return false;
	*taken = (struct span){rest->at, (size_t)(end - rest->at)};
	rest->at += taken->size + 1;
	rest->size -= taken->size + 1;
	return true;
}

static bool
take_line(struct span *rest, struct span *taken)
{
	if (!take_until(rest, '\n', taken))
		return false;
	if (taken->size > 0 && taken->at[taken->size - 1] == '\r')
		taken->size--;
	return true;
}

static struct span
trim(struct span span)
{
	while (span.size > 0 && isspace((unsigned char)*span.at)) {
		span.at++;
		span.size--;
	}
	while (span.size > 0 && isspace((unsigned char)span.at[span.size - 1]))
		span.size--;
	return span;
}

static struct span
header_value(const char *name)
{
	size_t i;

	for (i = 0; i < request.header_count; i++)
		if (span_is(request.headers[i].name, name))
			return request.headers[i].value;
	return (struct span){"", 0};
}

static bool
parse_request_line(struct span text)
{
	struct span target;

	if (!take_until(&text, ' ', &request.method) ||
	    !take_until(&text, ' ', &target) || target.size == 0)
		return false;
	request.version = text;
	request.query = target;
	if (take_until(&request.query, '?', &request.path))
		return true;
	request.path = target;
	request.query = (struct span){"", 0};
	return true;
}

static enum parsed
parse_head(struct span *rest)
{
	struct span text, name;

	if (!take_line(rest, &text))
		return PARSED_MORE;
	if (!parse_request_line(text))
		return PARSED_BAD;
	for (request.header_count = 0;;) {
		if (!take_line(rest, &text))
			return PARSED_MORE;
		if (text.size == 0)
			return PARSED_WHOLE;
		if (request.header_count == HEADERS_MAX ||
		    !take_until(&text, ':', &name))
			return PARSED_BAD;
		request.headers[request.header_count++] =
		    (struct header){name, trim(text)};
	}
}

/* A number in base, of which the span has nothing else (or ";…"). */
static bool
parse_size(struct span text, int base, size_t *size)
{
	char *end;

	if (text.size == 0 || !isxdigit((unsigned char)text.at[0]))
		return false;
	*size = (size_t)strtoull(text.at, &end, base);
	return (end == text.at + text.size || *end == ';') &&
	    *size <= REQUEST_MAX;
}

static enum parsed
parse_chunks(struct span *rest)
{
	struct span text;
	size_t size;

	for (;;) {
		if (!take_line(rest, &text))
			return PARSED_MORE;
		if (!parse_size(text, 16, &size))
			return PARSED_BAD;
		if (size == 0)
			break;
		if (rest->size < size + 2)
			return PARSED_MORE;
		buf_add(&request.body, rest->at, size);
		rest->at += size + 2;
		rest->size -= size + 2;
	}
	do
		if (!take_line(rest, &text))
			return PARSED_MORE;
	while (text.size > 0);
	return PARSED_WHOLE;
}

static enum parsed
parse_body(struct span *rest)
{
	struct span length = header_value("content-length");
	size_t size = 0;

	buf_clear(&request.body);
	if (span_is(header_value("transfer-encoding"), "chunked"))
		return parse_chunks(rest);
	if (length.size > 0 && !parse_size(length, 10, &size))
		return PARSED_BAD;
	if (rest->size < size)
		return PARSED_MORE;
	buf_add(&request.body, rest->at, size);
	rest->at += size;
	return PARSED_WHOLE;
}

/* Read in, from its start each time, into the request, which borrows of it. */
static enum parsed
parse(const struct buf *in, bool *head_whole)
{
	struct span rest = {in->data, in->size};
	enum parsed parsed = parse_head(&rest);

	*head_whole = parsed == PARSED_WHOLE;
	if (parsed == PARSED_WHOLE)
		parsed = parse_body(&rest);
	request.size = (size_t)(rest.at - in->data);
	return parsed;
}

/* Writing it down. */

/* The size of the UTF-8 sequence at text (RFC 3629 section 4); 0 if none. */
static size_t
utf8_size(const unsigned char *text, size_t room)
{
	static const struct {
		unsigned char first, last; /* of the first byte */
		unsigned char low, high; /* of the second */
		size_t size;
	} forms[] = {{0x00, 0x7f, 0, 0, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
	    {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
	    {0xf4, 0xf4, 0x80, 0x8f, 4}};
	size_t i, form = 0;

	while (text[0] < forms[form].first || text[0] > forms[form].last)
		if (++form == sizeof(forms) / sizeof(forms[0]))
			return 0;
	if (forms[form].size > room)
		return 0;
	for (i = 1; i < forms[form].size; i++)
		if (text[i] < (i == 1 ? forms[form].low : 0x80) ||
		    text[i] > (i == 1 ? forms[form].high : 0xbf))
			return 0;
	return forms[form].size;
}

/* The inside of a JSON string. */
static void
add_json(struct buf *buf, struct span text)
{
	const unsigned char *bytes = (const unsigned char *)text.at;
	size_t i, size;

	for (i = 0; i < text.size; i += size == 0 ? 1 : size) {
		size = utf8_size(bytes + i, text.size - i);
		if (size == 0)
			buf_text(buf, "\\ufffd");
		else if (bytes[i] == '"' || bytes[i] == '\\')
			buf_format(buf, "\\%c", bytes[i]);
		else if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			buf_format(buf, "\\u%04x", bytes[i]);
		else
			buf_add(buf, bytes + i, size);
	}
}

static bool
same_name(size_t a, size_t b)
{
	struct span x = request.headers[a].name, y = request.headers[b].name;

	return x.size == y.size && strncasecmp(x.at, y.at, x.size) == 0;
}

/* The values of a header's name: repeated ones are joined (RFC 9110 5.3). */
static void
add_header(struct buf *buf, size_t first)
{
	struct span name = request.headers[first].name;
	size_t i;

	for (i = 0; i < name.size; i++)
		buf_byte(buf, (char)tolower((unsigned char)name.at[i]));
	for (i = first; i < request.header_count; i++)
		if (same_name(i, first)) {
			buf_text(buf, i == first ? "\":\"" : ", ");
			add_json(buf, request.headers[i].value);
		}
}

static void
add_headers(struct buf *buf)
{
	size_t first, i;

	for (i = 0; i < request.header_count; i++) {
		for (first = 0; !same_name(first, i); first++)
			;
		if (first < i)
			continue;
		buf_text(buf, i > 0 ? "\",\"" : "\"");
		add_header(buf, i);
	}
	if (request.header_count > 0)
		buf_byte(buf, '"');
}

static void
write_down(void)
{
	struct span body = {buf_string(&request.body), request.body.size};

	request_count++;
	if (quiet)
		return;
	buf_clear(&line);
	buf_format(&line, "{\"n\":%lld,\"at_ms\":%lld,\"method\":\"",
	    request_count, (long long)(now_ns / 1000000));
	add_json(&line, request.method);
	buf_text(&line, "\",\"path\":\"");
	add_json(&line, request.path);
	if (request.query.size > 0) {
		buf_text(&line, "\",\"query\":\"");
		add_json(&line, request.query);
	}
	buf_text(&line, "\",\"headers\":{");
	add_headers(&line);
	buf_text(&line, "},\"body\":\"");
	add_json(&line, body);
	buf_text(&line, "\"}\n");
	if (write(requests_fd, line.data, line.size) != (ssize_t)line.size)
		die("%s: cannot write all", requests_path);
}

/* It only grows, so that who looks meanwhile finds a number. */
static void
write_count(void)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%lld\n", request_count);

	if (quiet && pwrite(requests_fd, text, (size_t)size, 0) != size)
		die("%s: cannot write all", requests_path);
}

/* Connections. */

static void
compose(struct connection *c, const struct rule *rule)
{
	static const char garbage[] = "\x16\x03 this is not HTTP\r\n";
	bool bodiless = rule->status == 204 || rule->status == 304;
	size_t size = bodiless ? 0 : rule->body.size;

	buf_clear(&c->out);
	if (rule->close == CLOSE_BEFORE)
		return;
	if (rule->garbage) {
		if (rule->body.size > 0)
			buf_add(&c->out, rule->body.data, rule->body.size);
		else
			buf_text(&c->out, garbage);
		return;
	}
	buf_format(&c->out, "HTTP/1.1 %d \r\n", rule->status);
	if (!bodiless)
		buf_format(&c->out,
		    "Content-Type: text/plain\r\nContent-Length: %zu\r\n",
		    rule->close == CLOSE_MID && size == 0 ? 1 : size);
	if (c->then == THEN_CLOSE)
		buf_text(&c->out, "Connection: close\r\n");
	buf_add(&c->out, buf_string(&rule->headers), rule->headers.size);
	buf_text(&c->out, "\r\n");
	buf_add(&c->out, buf_string(&rule->body),
	    rule->close == CLOSE_MID ? size / 2 : size);
}

/* A whole request is there: note it, and what to answer when. */
static void
take_request(struct connection *c)
{
	bool last = !span_is(request.version, "HTTP/1.1") ||
	    span_is(header_value("connection"), "close");
	const struct rule *rule;

	write_down();
	script_refresh();
	rule = script_next(request.path);
	c->then = last || rule->garbage || rule->close != CLOSE_NONE
	    ? THEN_CLOSE
	    : THEN_NEXT;
	compose(c, rule);
	c->due_ns = now_ns + rule->delay_ms * 1000000;
	if (rule->hang && rule->close == CLOSE_MID)
		c->then = THEN_HANG;
	else if (rule->hang)
		c->due_ns = NEVER;
	c->state = WAITING;
	c->continued = false;
	buf_drop(&c->in, request.size);
}

static void
forget(struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	buf_release(&c->in);
	buf_release(&c->out);
}

/* Send what there is to send; false if the other side does not take all now. */
static bool
flush_out(struct connection *c)
{
	ssize_t size;

	while (c->sent < c->out.size) {
		size =
		    write(c->fd, c->out.data + c->sent, c->out.size - c->sent);
		if (size == -1 && errno == EINTR)
			continue;
		if (size == -1) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				forget(c);
			return false;
		}
		c->sent += (size_t)size;
	}
	c->sent = 0;
	buf_clear(&c->out);
	return true;
}

static void
answer(struct connection *c)
{
	c->state = WRITING;
	if (!flush_out(c))
		return;
	if (c->then == THEN_CLOSE) {
		forget(c);
		return;
	}
	c->due_ns = NEVER;
	c->state = c->then == THEN_HANG ? WAITING : READING;
}

static void
refuse(struct connection *c)
{
	buf_clear(&c->out);
	buf_text(&c->out,
	    "HTTP/1.1 400 \r\nConnection: close\r\n"
	    "Content-Length: 0\r\n\r\n");
	c->then = THEN_CLOSE;
	answer(c);
}

/* See whether a request is whole. */
static void
look(struct connection *c)
{
	bool head_whole;

	switch (parse(&c->in, &head_whole)) {
	case PARSED_WHOLE: take_request(c); return;
	case PARSED_BAD: refuse(c); return;
	case PARSED_MORE: break;
	}
	if (head_whole && !c->continued &&
	    span_is(header_value("expect"), "100-continue")) {
		c->continued = true;
		buf_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
		flush_out(c);
	}
}

static void
receive(struct connection *c)
{
	static char chunk[65536];
	ssize_t size = read(c->fd, chunk, sizeof(chunk));

	if (size == -1 &&
	    (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (size > 0)
		buf_add(&c->in, chunk, (size_t)size);
	if (size <= 0 || c->in.full)
		forget(c);
}

static void
serve(struct connection *c, short events)
{
	if (events & (POLLIN | POLLERR | POLLHUP))
		receive(c);
	if (c->fd != -1 && c->state == READING && c->in.size > 0)
		look(c);
	if (c->fd != -1 && c->state != READING && c->due_ns <= now_ns)
		answer(c);
}

static void
accept_all(int listener)
{
	static const int on = 1;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connections = mem_resize(
		    connections, connection_count + 1, sizeof(*connections));
		connections[connection_count++] = (struct connection){.fd = fd,
		    .in = BUF_INIT(REQUEST_MAX + 65536),
		    .out = BUF_INIT(ANSWER_MAX)};
	}
}

static void
drop_forgotten(void)
{
	size_t i = 0;

	while (i < connection_count)
		if (connections[i].fd == -1)
			connections[i] = connections[--connection_count];
		else
			i++;
}

/* Poll the listener and all connections, until the first answer is due. */
static void
wait_for_events(int listener)
{
	struct timespec timeout;
	int64_t due = NEVER, left;
	sigset_t none;
	size_t i;

	polls = mem_resize(polls, connection_count + 1, sizeof(*polls));
	polls[0] = (struct pollfd){listener, POLLIN, 0};
	for (i = 0; i < connection_count; i++) {
		const struct connection *c = &connections[i];

		polls[i + 1] = (struct pollfd){
		    c->fd, c->state == WRITING ? POLLIN | POLLOUT : POLLIN, 0};
		if (c->state == WAITING && c->due_ns < due)
			due = c->due_ns;
	}
	left = due - monotonic_ns();
	if (left < 0)
		left = 0;
	timeout.tv_sec = left / 1000000000;
	timeout.tv_nsec = left % 1000000000;
	sigemptyset(&none);
	if (ppoll(polls, connection_count + 1, due == NEVER ? NULL : &timeout,
		&none) == -1)
		for (i = 0; i <= connection_count; i++)
			polls[i].revents = 0;
	now_ns = monotonic_ns();
}

static void
run(int listener)
{
	size_t i, count;

	while (!got_term) {
		wait_for_events(listener);
		if (got_usr1) {
			got_usr1 = 0;
			write_count();
		}
		for (i = 0, count = connection_count; i < count; i++)
			serve(&connections[i], polls[i + 1].revents);
		if (polls[0].revents != 0)
			accept_all(listener);
		drop_forgotten();
	}
}

/* Start and end. */

static void
on_signal(int signal_number)
{
	switch (signal_number) {
	case SIGHUP: got_hup = 1; break;
	case SIGUSR1: got_usr1 = 1; break;
	default: got_term = 1;
	}
}

/*
 * Those that ask for something at once arrive in ppoll() and nowhere else; that
 * the script changed must be known to the very next request.
 */
static void
catch_signals(void)
{
	static const int numbers[] = {SIGUSR1, SIGTERM, SIGINT};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&blocked, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
listen_on_loopback(int *port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 1024) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) == -1)
		die("cannot listen: %s", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	*port = ntohs(address.sin_port);
	return fd;
}

/* A thousand connections need more than the usual limit of descriptors. */
static void
allow_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void
write_port(const char *path, int port)
{
	char *fresh = mem_format("%s.new", path);
	FILE *file = fopen(fresh, "w");

	if (file == NULL || fprintf(file, "%d\n", port) < 0 ||
	    fclose(file) != 0 || rename(fresh, path) == -1)
		die("%s: %s", path, strerror(errno));
	free(fresh);
}

/* Standard error stays: what the script has wrong is to be seen. */
static void
go_into_background(void)
{
	pid_t pid = fork();
	int null;

	if (pid == -1)
		die("fork: %s", strerror(errno));
	if (pid > 0) {
		printf("%ld\n", (long)pid);
		fflush(stdout);
		_exit(0);
	}
	setsid();
	null = open("/dev/null", O_RDWR);
	if (null == -1)
		die("/dev/null: %s", strerror(errno));
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

int
main(int argc, char *argv[])
{
	const char *port_path = NULL;
	bool background = false;
	int ch, listener, port;

	while ((ch = getopt(argc, argv, "dqr:p:s:")) != -1)
		switch (ch) {
		case 'd': background = true; break;
		case 'q': quiet = true; break;
		case 'r': requests_path = optarg; break;
		case 'p': port_path = optarg; break;
		case 's': script.path = optarg; break;
		default: return 64;
		}
	if (requests_path == NULL || port_path == NULL || optind < argc)
		die("usage: httpd [-dq] -r requests -p portfile [-s script]");
	requests_fd = open(requests_path,
	    O_WRONLY | O_CREAT | O_CLOEXEC | (quiet ? O_TRUNC : O_APPEND),
	    0666);
	if (requests_fd == -1)
		die("%s: %s", requests_path, strerror(errno));
	if (script.path != NULL)
		script_read();
	catch_signals();
	allow_descriptors();
	listener = listen_on_loopback(&port);
	write_port(port_path, port);
	if (background)
		go_into_background();
	run(listener);
	write_count();
	return 0;
}
