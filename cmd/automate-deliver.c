/*
 * automate-deliver: send what the outbox owes and settle each delivery; look at
 * it and lend it a hand.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "net/ping.h"
#include "prog.h"
#include "request.h"
#include "send.h"
#include "show.h"
#include "store/outbox.h"

#define LIST_MAX 1000
#define FOREIGN_WAIT_MS 60000
#define PROGRESS_MIN 100 /* fewer are sent before one has read it */
#define PROGRESS_MS 200

enum {
	OPTION_EVENT = PROG_OWN,
	OPTION_STATE,
	OPTION_DESTINATION,
	OPTION_DEAD,
	OPTION_OLDER
};

static struct {
	const char *event_id, *state, *destination, *older;
	bool dead;
} options;

/*
 * Rows, as a table or as JSON.
 */

static json_t *
row_json(const struct outbox_row *row)
{
	char when[CLOCK_TEXT_MAX];
	json_t *json = json_object();

	json_put_number(json, "id", row->id);
	json_put(json, "idempotency_key", row->key);
	json_put(json, "destination", row->destination);
	json_put(json, "step", row->step);
	json_put(json, "state", row->state);
	json_put(json, "organization", row->organization_id);
	json_put(json, "event", row->event_id);
	json_put(json, "due", clock_format(when, row->due_at));
	json_put_number(json, "attempts", row->attempts);
	json_put(json, "answer", row->answer);
	return json;
}

static void
print_heading(void)
{
	static bool printed;

	if (!printed && !prog.json)
		printf("%6s  %-9s  %-15s  %-13s  %-20s  %2s  %s\n", "ID",
		    "STATE", "DESTINATION", "STEP", "DUE", "N", "ANSWER");
	printed = true;
}

static void
print_row(void *context, const struct outbox_row *row)
{
	char when[CLOCK_TEXT_MAX];

	(void)context;
	if (prog.json) {
		show_json(row_json(row));
		return;
	}
	print_heading();
	printf("%6" PRId64 "  %-9s  %-15s  %-13s  %s  %2" PRId64 "  ", row->id,
	    row->state, row->destination, row->step,
	    clock_format(when, row->due_at), row->attempts);
	show_line(stdout, row->answer != NULL ? row->answer : row->key, 60);
	putchar('\n');
}

static bool
list(struct outbox *outbox, struct error *error)
{
	print_heading();
	return outbox_list(outbox, options.state, options.destination,
	    options.event_id, LIST_MAX, clock_now(), print_row, NULL, error);
}

/* What a run would send. */
static bool
list_due(struct outbox *outbox, struct error *error)
{
	print_heading();
	return outbox_due(
	    outbox, options.event_id, clock_now(), print_row, NULL, error);
}

/*
 * One delivery, with its request as it goes out, secrets masked.
 */

struct whole {
	const struct conf *conf;
	int64_t id;
	json_t *json;
};

static void
put_request(json_t *json, const struct request *request)
{
	json_t *shown = json_object(), *headers = json_array();
	size_t i;

	json_put(shown, "method",
	    request->method != NULL ? request->method : "POST");
	json_put(shown, "url", request->url);
	for (i = 0; request->headers[i] != NULL; i++)
		json_array_append_new(
		    headers, json_string(request->headers[i]));
	if (request->http.user != NULL)
		json_array_append_new(
		    headers, json_string("Authorization: Basic ***"));
	json_object_set_new(shown, "headers", headers);
	json_put(shown, "body", request->http.body);
	json_object_set_new(json, "request", shown);
}

static void
take_whole(void *context, const struct outbox_row *row)
{
	struct whole *whole = context;
	const struct conf_destination *destination =
	    conf_destination(whole->conf, row->destination);
	const struct request_content content = {row->key, row->body, false};
	struct request request;

	whole->id = row->id;
	whole->json = row_json(row);
	if (destination == NULL || !destination->configured) {
		json_put(whole->json, "request", NULL);
		return;
	}
	request_show(&request, whole->conf, destination, &content);
	put_request(whole->json, &request);
	request_release(&request);
}

static void
take_attempt(void *context, const struct outbox_attempt *attempt)
{
	char when[CLOCK_TEXT_MAX];
	json_t *json = json_object();

	json_put_number(json, "number", attempt->number);
	json_put(json, "at", clock_format(when, attempt->at));
	json_put_number(json, "status", attempt->status);
	json_put_number(json, "took_ms", attempt->took_ms);
	json_put(json, "ruling", attempt->ruling);
	json_put(json, "answer", attempt->answer);
	json_array_append_new(context, json);
}

static void
print_field(const char *label, const json_t *value)
{
	if (!json_is_string(value) && !json_is_integer(value))
		return;
	printf("%-13s", label);
	if (json_is_string(value))
		show_line(stdout, json_string_value(value), 8192);
	else
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	putchar('\n');
}

static void
print_request(const json_t *request)
{
	json_t *header;
	size_t i;

	if (request == NULL) {
		puts("request      none: its destination is not configured");
		return;
	}
	printf("request      %s ", json_text(request, "method"));
	show_line(stdout, json_text(request, "url"), 2000);
	putchar('\n');
	json_array_foreach(json_object_get(request, "headers"), i, header)
	{
		print_field("", header);
	}
	print_field("body", json_object_get(request, "body"));
}

static void
print_attempt(const json_t *attempt)
{
	printf("attempt %" JSON_INTEGER_FORMAT "  %s  status "
	       "%" JSON_INTEGER_FORMAT "  %" JSON_INTEGER_FORMAT " ms  ",
	    json_integer_value(json_at(attempt, "number")),
	    json_text(attempt, "at"),
	    json_integer_value(json_at(attempt, "status")),
	    json_integer_value(json_at(attempt, "took_ms")));
	show_line(stdout, json_text(attempt, "ruling"), 200);
	putchar('\n');
	print_field("", json_at(attempt, "answer"));
}

static void
print_whole(const json_t *json)
{
	static const char *const fields[][2] = {{"delivery", "id"},
	    {"key", "idempotency_key"}, {"destination", "destination"},
	    {"step", "step"}, {"state", "state"},
	    {"organization", "organization"}, {"event", "event"},
	    {"due", "due"}, {"attempts", "attempts"}};
	json_t *attempt;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		print_field(fields[i][0], json_at(json, fields[i][1]));
	print_request(json_at(json, "request"));
	json_array_foreach(json_object_get(json, "tries"), i, attempt)
	{
		print_attempt(attempt);
	}
}

static bool
unknown(const char *id, struct error *error)
{
	return error_set(error, ERROR_DATA,
	    "no delivery \"%s\" to which this applies; see automate-deliver "
	    "list",
	    id);
}

static bool
show_one(struct outbox *outbox, const struct conf *conf, const char *id,
    struct error *error)
{
	struct whole whole = {.conf = conf};
	json_t *tries = json_array();
	bool found, ok;

	ok = outbox_find(
	    outbox, id, clock_now(), &found, take_whole, &whole, error);
	if (ok && !found)
		ok = unknown(id, error);
	ok =
	    ok && outbox_attempts(outbox, whole.id, take_attempt, tries, error);
	if (ok) {
		json_object_set(whole.json, "tries", tries);
		if (prog.json)
			show_json(json_incref(whole.json));
		else
			print_whole(whole.json);
	}
	json_decref(tries);
	json_decref(whole.json);
	return ok;
}

static bool
show(struct outbox *outbox, const struct conf *conf, char *ids[],
    struct error *error)
{
	for (; *ids != NULL; ids++)
		if (!show_one(outbox, conf, *ids, error))
			return false;
	return true;
}

/*
 * A hand lent. What is changed is printed first, as it was.
 */

typedef bool verb_fn(
    struct outbox *, const char *id, int64_t now, int64_t *, struct error *);

/* Neither retry nor cancel is for what is done or under way. */
static void
print_changeable(void *context, const struct outbox_row *row)
{
	if (strcmp(row->state, "done") != 0 &&
	    strcmp(row->state, "sending") != 0)
		print_row(context, row);
}

static bool
change(struct outbox *outbox, char *ids[], verb_fn *verb, struct error *error)
{
	int64_t changed;
	bool found;

	for (; *ids != NULL; ids++) {
		if (!outbox_find(outbox, *ids, clock_now(), &found,
			print_changeable, NULL, error) ||
		    !verb(outbox, *ids, clock_now(), &changed, error))
			return false;
		if (changed == 0)
			return unknown(*ids, error);
	}
	return true;
}

static bool
retry(struct outbox *outbox, char *ids[], struct error *error)
{
	int64_t changed;

	if (!options.dead)
		return change(outbox, ids, outbox_retry, error);
	if (!outbox_list(outbox, "dead", NULL, NULL, INT64_MAX, clock_now(),
		print_row, NULL, error) ||
	    !outbox_retry(outbox, NULL, clock_now(), &changed, error))
		return false;
	prog_note("%" PRId64 " queued again", changed);
	return true;
}

static bool
check_destination(
    const struct conf *conf, const char *name, struct error *error)
{
	struct buf names = BUF_INIT(1000);
	int i;

	if (conf_destination(conf, name) != NULL)
		return true;
	for (i = 0; i < CONF_DESTINATIONS; i++)
		buf_format(&names, "%s%s", i > 0 ? ", " : "",
		    conf->destinations[i].name);
	error_set(error, ERROR_USAGE, "no destination \"%s\"; there are %s",
	    name, buf_string(&names));
	buf_release(&names);
	return false;
}

static bool
hold(struct outbox *outbox, const struct conf *conf, const char *name,
    bool release, struct error *error)
{
	if (!check_destination(conf, name, error))
		return false;
	if (release)
		return outbox_unhold(outbox, name, clock_now(), error);
	return outbox_hold(outbox, name, "by hand", clock_now(), error);
}

static bool
purge(struct outbox *outbox, struct error *error)
{
	int64_t age_s, changed;

	if (options.older == NULL)
		prog_usage();
	if (!clock_parse_length(&age_s, options.older, error)) {
		error->kind = ERROR_USAGE;
		return error_at(error, "--older");
	}
	if (!outbox_purge(outbox, clock_now() - age_s, &changed, error))
		return false;
	prog_note("%" PRId64 " purged", changed);
	return true;
}

/*
 * A run.
 */

/* What was due at its start; a bar is shown where that is much. */
static int64_t progress_total;
static int64_t progress_at_ms;

static void
show_progress(const struct send_count *count)
{
	const int64_t handled = count->done + count->postponed + count->dead;
	const int64_t now_ms = clock_monotonic_ms();
	int filled;

	if (now_ms - progress_at_ms < PROGRESS_MS)
		return;
	progress_at_ms = now_ms;
	if (handled > progress_total)
		progress_total = handled;
	filled = (int)(handled * 30 / progress_total);
	fprintf(stderr,
	    "\r[%.*s%*s] %" PRId64 " of %" PRId64 ", %" PRId64
	    " postponed, %" PRId64 " dead ",
	    filled, "##############################", 30 - filled, "", handled,
	    progress_total, count->postponed, count->dead);
}

static void
clear_progress(void)
{
	if (progress_at_ms != 0)
		fprintf(stderr, "\r%78s\r", "");
	progress_at_ms = 0;
}

static bool
is_much(struct outbox *outbox, bool *much, struct error *error)
{
	const char *terminal = getenv("TERM");

	*much = false;
	if (prog.quiet || prog.verbose || !isatty(STDERR_FILENO) ||
	    (terminal != NULL && strcmp(terminal, "dumb") == 0))
		return true;
	if (!outbox_unsent(outbox, clock_now(), &progress_total, error))
		return false;
	*much = progress_total >= PROGRESS_MIN;
	return true;
}

static void
say_attempt(const struct conf_destination *destination,
    const struct settlement *settlement)
{
	const struct delivery *delivery = settlement->delivery;

	prog_note("%s %s %" PRId64 ": attempt %" PRId64 ", status %" PRId64
		  ", %" PRId64 " ms: %s",
	    destination->name, delivery->step, delivery->id, delivery->number,
	    settlement->status, settlement->took_ms, settlement->ruling.reason);
}

struct event_report {
	int64_t foreign, unsent;
	bool print;
};

static void
report_row(void *context, const struct outbox_row *row)
{
	struct event_report *report = context;
	char when[CLOCK_TEXT_MAX];
	struct buf words = BUF_INIT(2048);
	const bool queued = strcmp(row->state, "queued") == 0 ||
	    strcmp(row->state, "held") == 0;

	if (strcmp(row->state, "sending") == 0)
		report->foreign++;
	if (queued && (row->due || row->attempts > 0))
		report->unsent++;
	if (!report->print || (!row->due && row->attempts == 0))
		return;
	message_line(
	    &words, row->answer != NULL ? row->answer : "not tried", 200);
	if (strcmp(row->state, "done") == 0)
		prog_note("%s %s: delivered", row->destination, row->step);
	else if (strcmp(row->state, "queued") == 0)
		prog_note("%s %s: postponed until %s: %s", row->destination,
		    row->step, clock_format(when, row->due_at),
		    buf_string(&words));
	else
		prog_note("%s %s: %s: %s", row->destination, row->step,
		    row->state, buf_string(&words));
	buf_release(&words);
}

/* What another run is sending just now belongs to the report too. */
static bool
report_event(struct outbox *outbox, int64_t *unsent, struct error *error)
{
	const struct timespec pause = {0, 30000000};
	const int64_t start_ms = clock_monotonic_ms();
	struct event_report report;

	do {
		memset(&report, 0, sizeof(report));
		if (!outbox_list(outbox, NULL, NULL, options.event_id,
			INT64_MAX, clock_now(), report_row, &report, error))
			return false;
		if (report.foreign > 0)
			nanosleep(&pause, NULL);
	} while (report.foreign > 0 &&
	    clock_monotonic_ms() - start_ms < FOREIGN_WAIT_MS);
	memset(&report, 0, sizeof(report));
	report.print = true;
	if (!outbox_list(outbox, NULL, NULL, options.event_id, INT64_MAX,
		clock_now(), report_row, &report, error))
		return false;
	*unsent = report.unsent;
	return true;
}

static bool
report_run(struct outbox *outbox, const struct send_count *count,
    int64_t began_at, int64_t *unsent, struct error *error)
{
	if (options.event_id != NULL)
		return report_event(outbox, unsent, error);
	if (count->done + count->postponed + count->dead > 0)
		prog_note("sent %" PRId64 ", postponed %" PRId64
			  ", dead %" PRId64,
		    count->done, count->postponed, count->dead);
	return outbox_unsent(outbox, began_at, unsent, error);
}

/* Send, and then what time has made of what could not be sent. */
static bool
send_all(struct outbox *outbox, const struct conf *conf,
    struct send_count *count, struct error *error)
{
	struct send_watch watch = {
	    .attempt = prog.verbose ? say_attempt : NULL};
	bool much, queued = false, ok;

	if (!is_much(outbox, &much, error))
		return false;
	watch.progress = much ? show_progress : NULL;
	ok = send_due(outbox, conf, options.event_id, &watch, count, error) &&
	    (options.event_id != NULL ||
		outbox_watch(outbox, clock_now(), &queued, error)) &&
	    (!queued || send_due(outbox, conf, NULL, &watch, count, error));
	clear_progress();
	return ok;
}

static bool
deliver(struct outbox *outbox, const struct conf *conf, struct error *error)
{
	const int64_t began_at = clock_now();
	struct send_count count = {0};
	int64_t unsent = 0;

	if (!send_all(outbox, conf, &count, error) ||
	    !report_run(outbox, &count, began_at, &unsent, error))
		return false;
	if (count.dead > 0)
		return error_set(error, ERROR_NO,
		    "%" PRId64 " given up; see automate-deliver list --state "
		    "dead",
		    count.dead);
	if (unsent > 0)
		return error_set(error, ERROR_RETRY,
		    "%" PRId64 " due and not sent yet; see automate-deliver "
		    "list --state queued",
		    unsent);
	return true;
}

/* As cron does it: that it did is kept, and told to who watches outside. */
static bool
deliver_all(struct outbox *outbox, const struct conf *conf, struct error *error)
{
	const int64_t started_at = clock_now();
	struct error late = {0};
	bool ok = deliver(outbox, conf, error);
	bool noted = outbox_ran(outbox, started_at,
	    ok ? 0 : error_status(error->kind), clock_now(), &late);

	if (ok && !noted)
		*error = late;
	if (ok && noted && !ping(conf->ping_deliver_url, PING_WELL))
		prog_note("cron.ping_deliver does not answer");
	return ok && noted;
}

static bool
is_state(const char *word)
{
	static const char *const states[] = {
	    "queued", "held", "sending", "done", "dead", "cancelled", NULL};
	const char *const *state = states;

	while (*state != NULL && strcmp(*state, word) != 0)
		state++;
	return *state != NULL;
}

/* What an option asks for must be what the verb does. */
static void
check_options(const char *verb)
{
	const bool list = strcmp(verb, "list") == 0;

	if ((!list && (options.state != NULL || options.destination != NULL)) ||
	    (!list && verb[0] != '\0' && options.event_id != NULL) ||
	    (strcmp(verb, "retry") != 0 && options.dead) ||
	    (strcmp(verb, "purge") != 0 && options.older != NULL))
		prog_usage();
	if (options.state == NULL || is_state(options.state))
		return;
	prog_say(
	    "no state \"%s\"; there are queued, held, sending, done, dead, "
	    "cancelled",
	    options.state);
	prog_usage();
}

static bool
run(struct outbox *outbox, const struct conf *conf, char *words[],
    struct error *error)
{
	const char *verb = words[0];
	bool operand = verb != NULL && words[1] != NULL;
	bool one = operand && words[2] == NULL;

	if (options.destination != NULL &&
	    !check_destination(conf, options.destination, error))
		return false;
	if (verb == NULL && prog.dry_run)
		return list_due(outbox, error);
	if (verb == NULL)
		return options.event_id != NULL
		    ? deliver(outbox, conf, error)
		    : deliver_all(outbox, conf, error);
	if (strcmp(verb, "list") == 0 && !operand)
		return list(outbox, error);
	if (strcmp(verb, "show") == 0 && operand)
		return show(outbox, conf, words + 1, error);
	if (strcmp(verb, "retry") == 0 && operand != options.dead)
		return retry(outbox, words + 1, error);
	if (strcmp(verb, "cancel") == 0 && operand)
		return change(outbox, words + 1, outbox_cancel, error);
	if (strcmp(verb, "hold") == 0 && one)
		return hold(outbox, conf, words[1], false, error);
	if (strcmp(verb, "release") == 0 && one)
		return hold(outbox, conf, words[1], true, error);
	if (strcmp(verb, "purge") == 0 && !operand)
		return purge(outbox, error);
	prog_usage();
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"event", required_argument, NULL, OPTION_EVENT},
	    {"state", required_argument, NULL, OPTION_STATE},
	    {"destination", required_argument, NULL, OPTION_DESTINATION},
	    {"dead", no_argument, NULL, OPTION_DEAD},
	    {"older", required_argument, NULL, OPTION_OLDER}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	struct outbox *outbox = NULL;
	bool ok;
	int ch;

	prog_start("automate-deliver",
	    "[options] [--event id] [list [--state state] [--destination "
	    "name] | show id ... | retry id ... | retry --dead | cancel id "
	    "... | hold name | release name | purge --older length]",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", known)) != -1)
		switch (ch) {
		case OPTION_EVENT: options.event_id = optarg; break;
		case OPTION_STATE: options.state = optarg; break;
		case OPTION_DESTINATION: options.destination = optarg; break;
		case OPTION_DEAD: options.dead = true; break;
		case OPTION_OLDER: options.older = optarg; break;
		default: prog_usage();
		}
	check_options(optind < argc ? argv[optind] : "");

	ok = prog_ready(&conf, &error) &&
	    outbox_open(&outbox, &conf, prog.dry_run ? DB_REHEARSE : DB_WRITE,
		&error) &&
	    run(outbox, &conf, argv + optind, &error);

	outbox_close(outbox);
	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
