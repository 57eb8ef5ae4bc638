/*
 * meter: a billing meter as Stripe keeps one, for tests, on loopback. Unlike
 * httpd.c it remembers: identifiers and idempotency keys for a day, and what
 * each customer used on each day.
 *
 *	meter [-d] -p portfile [-k seed]
 *
 * It listens on 127.0.0.1, writes the port to portfile by rename, and with -d
 * goes into the background and prints its process id. It answers
 *
 *	GET /v1/billing/meters/ID			the meter
 *	POST /v1/billing/meter_events			take an event
 *	GET /v1/billing/meters/ID/event_summaries	sum them up
 *	GET /sums			"customer day sum events" a line, the
 *truth GET /set?NAME=VALUE&...		for those who test
 *
 * with all parameters of these checked as Stripe does. What can be set, 0 or
 * as given at first:
 *
 *	now		its clock, UTC seconds
 *	formula, status, window		of the meter; sum, active, none
 *	reject limit	of 1000 events: refused with 400; with 429
 *	lose fail	accepted and the connection closed; 500, not accepted
 *	fail_after	500, though accepted
 *	drop		answered 200, and never counted
 *	down		of 1000 reads: 500
 *	lag		seconds until an event is in the sums
 *	gone		the customer it does not know
 *	extra		customer:day:value, reported by somebody else
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define CLIENTS_MAX 512
#define FIELDS_MAX 32
#define REQUEST_MAX 65536
#define BUCKETS 65536
#define MEMORY_S 86400

struct client {
	int fd;
	struct buf in;
};

struct field {
	char *name, *value;
};

struct request {
	char *method, *path, *key;
	struct field fields[FIELDS_MAX]; /* of query and form */
	size_t count;
};

/* What was accepted. Its identifier is known until at + MEMORY_S. */
struct item {
	char *identifier, *customer;
	int64_t day, value, at;
	bool dropped;
	struct item *next, *next_of_customer;
};

/* An answer kept for its Idempotency-Key. */
struct kept {
	char *key, *body;
	int status;
	int64_t at;
	struct kept *next;
};

static struct {
	int64_t now, lag;
	int reject, limit, lose, fail, fail_after, drop, down;
	char *formula, *status, *window, *gone;
} set = {.lag = 0};

static struct item *by_identifier[BUCKETS], *by_customer[BUCKETS];
static struct kept *by_key[BUCKETS];
static struct client clients[CLIENTS_MAX];
static size_t clients_count;
static uint64_t dice_state = 1;

static size_t
bucket(const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash % BUCKETS;
}

/* True so many times in a thousand. */
static bool
dice(int per_mille)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (int)(dice_state % 1000) < per_mille;
}

static const char *
field(const struct request *request, const char *name)
{
	size_t i;

	for (i = 0; i < request->count; i++)
		if (strcmp(request->fields[i].name, name) == 0)
			return request->fields[i].value;
	return NULL;
}

/*
 * Answers.
 */

static void
answer(int fd, int status, const char *body)
{
	char *text = mem_format("HTTP/1.1 %d X\r\nContent-Type: "
				"application/json\r\nContent-Length: %zu\r\n"
				"Request-Id: req_meter\r\n\r\n%s",
	    status, strlen(body), body);
	size_t size = strlen(text), sent = 0;
	ssize_t n = 1;

	while (sent < size && n > 0) {
		n = write(fd, text + sent, size - sent);
		sent += n > 0 ? (size_t)n : 0;
	}
	free(text);
}

static char *
error_body(const char *words)
{
	return mem_format("{\"error\":{\"type\":\"invalid_request_error\","
			  "\"message\":\"%s\"}}",
	    words);
}

static void
answer_error(int fd, int status, const char *words)
{
	char *body = error_body(words);

	answer(fd, status, body);
	free(body);
}

static void
keep(const char *key, int status, const char *body)
{
	struct kept *kept = mem_alloc(sizeof(*kept));

	*kept = (struct kept){.key = mem_copy(key),
	    .body = mem_copy(body),
	    .status = status,
	    .at = set.now,
	    .next = by_key[bucket(key)]};
	by_key[bucket(key)] = kept;
}

static const struct kept *
find_kept(const char *key)
{
	const struct kept *kept = by_key[bucket(key)];

	while (kept != NULL &&
	    (strcmp(kept->key, key) != 0 || set.now - kept->at >= MEMORY_S))
		kept = kept->next;
	return kept;
}

/*
 * Events.
 */

static void
accept_event(const char *identifier, const char *customer, int64_t at,
    int64_t value, bool dropped)
{
	struct item *item = mem_alloc(sizeof(*item));

	*item = (struct item){.identifier = mem_copy(identifier),
	    .customer = mem_copy(customer),
	    .day = clock_day(at),
	    .value = value,
	    .at = set.now,
	    .dropped = dropped,
	    .next = by_identifier[bucket(identifier)],
	    .next_of_customer = by_customer[bucket(customer)]};
	by_identifier[bucket(identifier)] = item;
	by_customer[bucket(customer)] = item;
}

static bool
is_known(const char *identifier)
{
	const struct item *item = by_identifier[bucket(identifier)];

	while (item != NULL &&
	    (strcmp(item->identifier, identifier) != 0 ||
		set.now - item->at >= MEMORY_S))
		item = item->next;
	return item != NULL;
}

static bool
is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* What is wrong with it; NULL if nothing. */
static const char *
fault_of(const struct request *request)
{
	static const char *const needed[] = {"event_name", "identifier",
	    "timestamp", "payload[stripe_customer_id]", "payload[value]"};
	int64_t at;
	size_t i;

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (field(request, needed[i]) == NULL)
			return "Missing required param";
	if (request->count != i)
		return "Received unknown parameter";
	if (strcmp(field(request, "event_name"), "ai_calls") != 0)
		return "No meter of that name";
	if (strlen(field(request, "identifier")) > 100)
		return "Identifier too long";
	if (!is_number(field(request, "payload[value]")) ||
	    !is_number(field(request, "timestamp")))
		return "Not a number";
	at = atoll(field(request, "timestamp"));
	if (at > set.now + 300)
		return "Timestamp in future";
	if (at < set.now - 35 * CLOCK_DAY_S)
		return "Timestamp too far in past";
	return NULL;
}

/* Accept it, and answer so; or do worse. */
static bool
take(int fd, const struct request *request)
{
	const char *identifier = field(request, "identifier"),
		   *customer = field(request, "payload[stripe_customer_id]");
	const bool lost = dice(set.lose), failed = dice(set.fail_after);
	char *body;

	accept_event(identifier, customer, atoll(field(request, "timestamp")),
	    atoll(field(request, "payload[value]")), dice(set.drop));
	body = failed ? error_body("internal")
		      : mem_format("{\"object\":\"billing.meter_event\","
				   "\"identifier\":\"%s\",\"livemode\":false}",
			    identifier);
	if (request->key != NULL)
		keep(request->key, failed ? 500 : 200, body);
	if (!lost)
		answer(fd, failed ? 500 : 200, body);
	free(body);
	return !lost;
}

/* False if the connection is to be closed. */
static bool
post_event(int fd, const struct request *request)
{
	const struct kept *kept =
	    request->key != NULL ? find_kept(request->key) : NULL;
	const char *fault = fault_of(request);
	char *words;

	if (dice(set.limit))
		answer_error(fd, 429, "slow down");
	else if (kept != NULL)
		answer(fd, kept->status, kept->body);
	else if (fault != NULL)
		answer_error(fd, 400, fault);
	else if (is_known(field(request, "identifier"))) {
		words = mem_format("An event already exists with identifier %s",
		    field(request, "identifier"));
		answer_error(fd, 400, words);
		free(words);
	} else if (dice(set.fail))
		answer_error(fd, 500, "internal");
	else if (dice(set.reject))
		answer_error(fd, 400, "Rejected");
	else
		return take(fd, request);
	return true;
}

/*
 * Reads.
 */

static int64_t
sum_of(const char *customer, int64_t day, int64_t visible_at, int64_t *events)
{
	const struct item *item = by_customer[bucket(customer)];
	int64_t sum = 0;

	*events = 0;
	for (; item != NULL; item = item->next_of_customer)
		if (item->day == day && item->at <= visible_at &&
		    !item->dropped && strcmp(item->customer, customer) == 0) {
			sum += item->value;
			++*events;
		}
	return sum;
}

static void
get_summaries(int fd, const struct request *request)
{
	const char *customer = field(request, "customer"),
		   *from = field(request, "start_time"),
		   *until = field(request, "end_time"),
		   *window = field(request, "value_grouping_window");
	int64_t sum, events;
	char *body;

	if (customer == NULL || from == NULL || until == NULL ||
	    window == NULL || strcmp(window, "day") != 0 ||
	    atoll(from) % CLOCK_DAY_S != 0 ||
	    atoll(until) != atoll(from) + CLOCK_DAY_S) {
		answer_error(fd, 400, "Not one day");
		return;
	}
	if (dice(set.down)) {
		answer_error(fd, 500, "internal");
		return;
	}
	if (set.gone != NULL && strcmp(set.gone, customer) == 0) {
		answer_error(fd, 400, "No such customer");
		return;
	}
	sum = sum_of(customer, atoll(from), set.now - set.lag, &events);
	body = events == 0
	    ? mem_copy("{\"object\":\"list\",\"data\":[],\"has_more\":false}")
	    : mem_format("{\"object\":\"list\",\"data\":[{\"id\":\"sum_1\","
			 "\"object\":\"billing.meter_event_summary\","
			 "\"aggregated_value\":%lld.0,\"start_time\":%s,"
			 "\"end_time\":%s,\"livemode\":false}],"
			 "\"has_more\":false}",
		  (long long)sum, from, until);
	answer(fd, 200, body);
	free(body);
}

static void
get_meter(int fd)
{
	char *window = set.window != NULL ? mem_format("\"%s\"", set.window)
					  : mem_copy("null"),
	     *body = mem_format(
		 "{\"id\":\"mtr_1\",\"object\":\"billing.meter\","
		 "\"event_name\":\"ai_calls\",\"status\":\"%s\","
		 "\"default_aggregation\":{\"formula\":\"%s\"},"
		 "\"event_time_window\":%s,\"customer_mapping\":{"
		 "\"event_payload_key\":\"stripe_customer_id\",\"type\":"
		 "\"by_id\"},\"value_settings\":{\"event_payload_key\":"
		 "\"value\"},\"livemode\":false}",
		 set.status != NULL ? set.status : "active",
		 set.formula != NULL ? set.formula : "sum", window);

	answer(fd, dice(set.down) ? 500 : 200, body);
	free(window);
	free(body);
}

/* The first item of each customer's day stands for all of it. */
static bool
is_first(const struct item *item)
{
	const struct item *earlier = by_customer[bucket(item->customer)];

	while (earlier != item &&
	    (earlier->day != item->day ||
		strcmp(earlier->customer, item->customer) != 0))
		earlier = earlier->next_of_customer;
	return earlier == item;
}

static void
get_sums(int fd)
{
	struct buf text = BUF_INIT(256 * 1024 * 1024);
	const struct item *item;
	int64_t events, sum;
	size_t i;

	buf_text(&text, "{\"sums\":[");
	for (i = 0; i < BUCKETS; i++)
		for (item = by_customer[i]; item != NULL;
		     item = item->next_of_customer) {
			if (!is_first(item))
				continue;
			sum =
			    sum_of(item->customer, item->day, set.now, &events);
			buf_format(&text,
			    "%s{\"customer\":\"%s\",\"day\":%lld,"
			    "\"sum\":%lld,\"events\":%lld}",
			    text.data[text.size - 1] == '[' ? "" : ",",
			    item->customer, (long long)item->day,
			    (long long)sum, (long long)events);
		}
	buf_text(&text, "]}");
	answer(fd, 200, buf_string(&text));
	buf_release(&text);
}

/*
 * What is to be set.
 */

static void
add_extra(const char *text)
{
	char customer[64] = "", day[16] = "", *moment;
	int64_t at = 0;
	int value = 0;

	if (sscanf(text, "%63[^:]:%15[^:]:%d", customer, day, &value) != 3)
		return;
	moment = mem_format("%sT12:00:00Z", day);
	if (clock_parse(&at, moment, NULL))
		accept_event("extra", customer, at, value, false);
	free(moment);
}

static void
put(const char *name, const char *value)
{
	static const struct {
		const char *name;
		int *number;
	} numbers[] = {{"reject", &set.reject}, {"limit", &set.limit},
	    {"lose", &set.lose}, {"fail", &set.fail},
	    {"fail_after", &set.fail_after}, {"drop", &set.drop},
	    {"down", &set.down}};
	static const struct {
		const char *name;
		char **text;
	} texts[] = {{"formula", &set.formula}, {"status", &set.status},
	    {"window", &set.window}, {"gone", &set.gone}};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(numbers[i].name, name) == 0)
			*numbers[i].number = atoi(value);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, name) == 0)
			mem_replace(
			    texts[i].text, value[0] != '\0' ? value : NULL);
	if (strcmp(name, "now") == 0)
		set.now = atoll(value);
	if (strcmp(name, "lag") == 0)
		set.lag = atoll(value);
	if (strcmp(name, "extra") == 0)
		add_extra(value);
}

/*
 * HTTP, as far as our own client speaks it.
 */

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static char *
decode(const char *text, size_t size)
{
	char *out = mem_alloc(size + 1);
	size_t i, n = 0;

	for (i = 0; i < size; i++)
		if (text[i] == '%' && i + 2 < size) {
			out[n++] =
			    (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
			i += 2;
		} else
			out[n++] = text[i];
	return out;
}

static void
add_fields(struct request *request, const char *text)
{
	size_t size, name;

	for (; text != NULL && *text != '\0';
	     text += size + (text[size] != 0)) {
		size = strcspn(text, "&");
		name = strcspn(text, "=");
		if (name >= size || request->count == FIELDS_MAX)
			continue;
		request->fields[request->count].name = decode(text, name);
		request->fields[request->count++].value =
		    decode(text + name + 1, size - name - 1);
	}
}

static void
request_release(struct request *request)
{
	while (request->count > 0) {
		request->count--;
		free(request->fields[request->count].name);
		free(request->fields[request->count].value);
	}
	free(request->key);
}

static bool
serve(int fd, struct request *request)
{
	const char *path = request->path;
	const size_t size = strlen(path);
	size_t i;

	if (strcmp(path, "/set") == 0) {
		for (i = 0; i < request->count; i++)
			put(request->fields[i].name, request->fields[i].value);
		answer(fd, 200, "{}");
	} else if (strcmp(path, "/sums") == 0)
		get_sums(fd);
	else if (strcmp(path, "/v1/billing/meter_events") == 0)
		return post_event(fd, request);
	else if (size > 16 && strcmp(path + size - 16, "/event_summaries") == 0)
		get_summaries(fd, request);
	else if (strcmp(path, "/v1/billing/meters/mtr_1") == 0)
		get_meter(fd);
	else
		answer(fd, 404,
		    "{\"error\":{\"code\":\"resource_missing\","
		    "\"message\":\"No such meter\"}}");
	return true;
}

static char *
header(const char *head, const char *name)
{
	const char *line = strcasestr(head, name);
	size_t size;

	if (line == NULL)
		return NULL;
	line += strlen(name);
	line += strspn(line, ": ");
	size = strcspn(line, "\r\n");
	return mem_copy_bytes(line, size);
}

/* Serve what is there whole. False if the connection is to be closed. */
static bool
serve_some(struct client *client)
{
	struct request request;
	char *end, *length, *query, *form, *rest;
	size_t head, body;
	bool open = true;

	while (open && client->in.data != NULL &&
	    (end = strstr(client->in.data, "\r\n\r\n")) != NULL) {
		head = (size_t)(end + 4 - client->in.data);
		*end = '\0';
		length = header(client->in.data, "\r\nContent-Length");
		body = length != NULL ? (size_t)atol(length) : 0;
		free(length);
		if (client->in.size < head + body) {
			*end = '\r';
			return true;
		}
		memset(&request, 0, sizeof(request));
		request.key = header(client->in.data, "\r\nIdempotency-Key");
		form = mem_copy_bytes(client->in.data + head, body);
		request.method = strtok_r(client->in.data, " ", &rest);
		request.path = strtok_r(NULL, " ", &rest);
		query = strchr(request.path, '?');
		if (query != NULL)
			*query++ = '\0';
		add_fields(&request, query);
		add_fields(&request, form);
		open = serve(client->fd, &request);
		request_release(&request);
		free(form);
		buf_drop(&client->in, head + body);
	}
	return open;
}

static bool
receive(struct client *client)
{
	char bytes[8192];
	ssize_t size = read(client->fd, bytes, sizeof(bytes));

	if (size <= 0)
		return size == -1 && errno == EINTR;
	buf_add(&client->in, bytes, (size_t)size);
	return serve_some(client);
}

static void
welcome(int listener)
{
	const int on = 1;
	int fd = accept(listener, NULL, NULL);

	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (clients_count == CLIENTS_MAX) {
		close(fd);
		return;
	}
	clients[clients_count++] = (struct client){fd, BUF_INIT(REQUEST_MAX)};
}

static void
loop(int listener)
{
	struct pollfd polls[CLIENTS_MAX + 1];
	size_t i;

	for (;;) {
		polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (i = 0; i < clients_count; i++)
			polls[i + 1] = (struct pollfd){
			    .fd = clients[i].fd, .events = POLLIN};
		if (poll(polls, clients_count + 1, -1) == -1)
			continue;
		for (i = clients_count; i > 0; i--)
			if (polls[i].revents != 0 &&
			    !receive(&clients[i - 1])) {
				close(clients[i - 1].fd);
				buf_release(&clients[i - 1].in);
				clients[i - 1] = clients[--clients_count];
			}
		if (polls[0].revents != 0)
			welcome(listener);
	}
}

static int
listen_somewhere(const char *port_file)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *name = mem_format("%s.new", port_file);
	FILE *file = fopen(name, "w");

	if (file == NULL || bind(fd, (struct sockaddr *)&address, size) == -1 ||
	    listen(fd, 128) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) == -1 ||
	    fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 ||
	    fclose(file) != 0 || rename(name, port_file) == -1) {
		perror("meter");
		exit(1);
	}
	free(name);
	return fd;
}

/* The parent prints the child's process id and ends. */
static void
go_into_the_background(void)
{
	pid_t pid = fork();

	if (pid != 0) {
		printf("%ld\n", (long)pid);
		exit(pid == -1);
	}
	if (freopen("/dev/null", "r", stdin) == NULL ||
	    freopen("/dev/null", "w", stdout) == NULL)
		exit(1);
}

int
main(int argc, char *argv[])
{
	const char *port_file = NULL;
	bool background = false;
	int ch, listener;

	while ((ch = getopt(argc, argv, "dp:k:")) != -1)
		switch (ch) {
		case 'd': background = true; break;
		case 'p': port_file = optarg; break;
		case 'k': dice_state = strtoull(optarg, NULL, 10) | 1; break;
		default: return 64;
		}
	if (port_file == NULL)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	set.now = clock_now();
	listener = listen_somewhere(port_file);
	if (background)
		go_into_the_background();
	loop(listener);
}
