/*
 * load: many requests at once to a web server, for tests and the bench.
 *
 *	load [-m] [-c clients] [-n count] [-k file] [-s secret] URL
 *
 * count GET requests (1000), clients of them under way at any time (8). With -s
 * they are POSTs of 3 KB Stripe events signed with that secret, each with an id
 * of its own; with -m every tenth of them is forged, every tenth is no JSON,
 * and of the rest every third is an event that was sent already. -k appends the
 * id of each event that was answered with 200, in the order of the answers.
 *
 * It prints one JSON object: what was sent (fresh repeated forged malformed),
 * what came back (ok: 200, refused: 400, unauthorized: 401, other), per_second,
 * and of the times from starting a request to its answer p50_us and p99_us.
 * The exit status is 1 where the answers are not those that are to come.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "net/http.h"

#define BODY_SIZE 3000
#define WAIT_MS 60000

enum kind { FRESH, REPEATED, FORGED, MALFORMED, KINDS };

struct shot {
	enum kind kind;
	int64_t id, started_ns, took_ns;
};

static const char *url, *secret;
static bool is_mixed;
static FILE *kept;
static int64_t run, sent[KINDS], latest;
static int64_t ok, refused, unauthorized, other, unexpected;

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What the nth request is; the first is never one that was sent already. */
static enum kind
kind_of(int64_t n)
{
	if (!is_mixed)
		return FRESH;
	if (n % 10 == 3)
		return FORGED;
	if (n % 10 == 7)
		return MALFORMED;
	return n > 0 && n % 3 == 0 ? REPEATED : FRESH;
}

static void
write_body(struct buf *body, const struct shot *shot)
{
	buf_format(body,
	    "{\"id\":\"evt_%" PRId64 "_%" PRId64 "\",\"object\":\"event\","
	    "\"created\":%" PRId64 ",\"livemode\":false,"
	    "\"type\":\"customer.subscription.updated\",\"data\":{\"object\":"
	    "{\"id\":\"sub_%" PRId64 "\",\"object\":\"subscription\","
	    "\"customer\":\"cus_load\",\"status\":\"active\",\"metadata\":{},"
	    "\"items\":{\"data\":[]}}},\"pad\":\"",
	    run, shot->id, clock_now(), shot->id);
	while (body->size < BODY_SIZE)
		buf_byte(body, 'x');
	buf_text(body, shot->kind == MALFORMED ? "\"" : "\"}");
}

static void
write_signature(struct buf *header, const struct buf *body, enum kind kind)
{
	char hex[HMAC_HEX_SIZE + 1], time_text[24];
	const char *key = kind == FORGED ? "whsec_forged" : secret;

	snprintf(time_text, sizeof(time_text), "%" PRId64, clock_now());
	hmac_sha256_hex(hex, key, strlen(key),
	    (struct hmac_part[]){{time_text, strlen(time_text)}, {".", 1},
		{body->data, body->size}},
	    3);
	buf_format(header, "Stripe-Signature: t=%s,v1=%s", time_text, hex);
}

static void
start(struct http *http, struct shot *shot)
{
	struct buf body = BUF_INIT(2 * BODY_SIZE), header = BUF_INIT(1024);
	const char *headers[] = {"Content-Type: application/json", NULL, NULL};
	struct http_request request = {
	    .url = url, .method = "GET", .timeout_ms = WAIT_MS};

	if (secret != NULL) {
		write_body(&body, shot);
		write_signature(&header, &body, shot->kind);
		headers[1] = buf_string(&header);
		request.method = "POST";
		request.headers = headers;
		request.body = buf_string(&body);
		request.body_size = body.size;
	}
	sent[shot->kind]++;
	shot->started_ns = now_ns();
	http_start(http, &request, shot);
	buf_release(&body);
	buf_release(&header);
}

static void
shoot(struct http *http, struct shot *shot, int64_t n)
{
	shot->kind = kind_of(n);
	shot->id = shot->kind == REPEATED ? latest : n;
	if (shot->kind == FRESH)
		latest = n;
	start(http, shot);
}

static void
note(struct shot *shot, const struct answer *answer)
{
	static const int wanted[KINDS] = {200, 200, 401, 400};
	const int status =
	    answer->failure == ANSWER_COMPLETE ? answer->status : 0;

	shot->took_ns = now_ns() - shot->started_ns;
	ok += status == 200;
	refused += status == 400;
	unauthorized += status == 401;
	other += status != 200 && status != 400 && status != 401;
	if (status != wanted[shot->kind]) {
		unexpected++;
		fprintf(stderr, "load: request %" PRId64 ": %d %s\n", shot->id,
		    status, answer->reason);
	}
	if (kept != NULL && status == 200)
		fprintf(kept, "evt_%" PRId64 "_%" PRId64 "\n", run, shot->id);
}

static int
compare(const void *a, const void *b)
{
	const int64_t x = ((const struct shot *)a)->took_ns;
	const int64_t y = ((const struct shot *)b)->took_ns;

	return (x > y) - (x < y);
}

static void
fire(struct http *http, struct shot *shots, int64_t count, int64_t clients)
{
	int64_t next = 0, done = 0;
	struct answer answer;
	void *shot;

	while (done < count) {
		for (; next < count && next - done < clients; next++)
			shoot(http, &shots[next], next);
		if (!http_wait(http, WAIT_MS, &shot, &answer))
			continue;
		note(shot, &answer);
		buf_release(&answer.body);
		done++;
	}
}

static void
report(struct shot *shots, int64_t count, int64_t took_ns)
{
	qsort(shots, (size_t)count, sizeof(*shots), compare);
	printf("{\"fresh\":%" PRId64 ",\"repeated\":%" PRId64
	       ",\"forged\":%" PRId64 ",\"malformed\":%" PRId64
	       ",\"ok\":%" PRId64 ",\"refused\":%" PRId64
	       ",\"unauthorized\":%" PRId64 ",\"other\":%" PRId64
	       ",\"per_second\":%" PRId64 ",\"p50_us\":%" PRId64
	       ",\"p99_us\":%" PRId64 "}\n",
	    sent[FRESH], sent[REPEATED], sent[FORGED], sent[MALFORMED], ok,
	    refused, unauthorized, other, count * 1000000000 / took_ns,
	    shots[count / 2].took_ns / 1000,
	    shots[count * 99 / 100].took_ns / 1000);
}

static void
usage(void)
{
	fputs("usage: load [-m] [-c clients] [-n count] [-k file] [-s secret] "
	      "URL\n",
	    stderr);
	exit(error_status(ERROR_USAGE));
}

int
main(int argc, char *argv[])
{
	int64_t count = 1000, clients = 8, began_ns;
	struct error error = {0};
	struct http *http = NULL;
	struct shot *shots;
	int ch;

	while ((ch = getopt(argc, argv, "c:k:mn:s:")) != -1)
		switch (ch) {
		case 'c': clients = atoi(optarg); break;
		case 'k': kept = fopen(optarg, "a"); break;
		case 'm': is_mixed = true; break;
		case 'n': count = atoi(optarg); break;
		case 's': secret = optarg; break;
		default: usage();
		}
	if (optind != argc - 1 || count < 1 || clients < 1)
		usage();
	if (kept != NULL) /* who reads it need not wait for the end */
		setvbuf(kept, NULL, _IOLBF, 0);
	url = argv[optind];
	run = (int64_t)getpid();
	if (!http_open(&http, &error)) {
		fprintf(stderr, "load: %s\n", error.text);
		return error_status(error.kind);
	}
	shots = mem_alloc((size_t)count * sizeof(*shots));
	began_ns = now_ns();
	fire(http, shots, count, clients);
	report(shots, count, now_ns() - began_ns);
	http_close(http);
	free(shots);
	if (kept != NULL && fclose(kept) != 0)
		return error_status(ERROR_RETRY);
	return unexpected > 0;
}
