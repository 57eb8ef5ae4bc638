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
#include "prog.h"
#include "send.h"
#include "store/outbox.h"

#define LIST_MAX 1000
#define FOREIGN_WAIT_MS 60000

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

static void
print_safe(FILE *stream, const char *text, size_t points_max)
{
	struct buf line = BUF_INIT(65536);

	message_line(&line, text, points_max);
	fputs(buf_string(&line), stream);
	buf_release(&line);
}

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
print_row(void *context, const struct outbox_row *row)
{
	char when[CLOCK_TEXT_MAX], *text;
	json_t *json;

	(void)context;
	if (prog.json) {
		json = row_json(row);
		text = json_compact(json);
		puts(text);
		free(text);
		json_decref(json);
		return;
	}
	printf("%6" PRId64 "  %-9s  %-15s  %-13s  %s  %2" PRId64 "  ", row->id,
	    row->state, row->destination, row->step,
	    clock_format(when, row->due_at), row->attempts);
	print_safe(stdout, row->answer != NULL ? row->answer : row->key, 60);
	putchar('\n');
}

static bool
list(struct outbox *outbox, struct error *error)
{
	if (!prog.json)
		printf("%6s  %-9s  %-15s  %-13s  %-20s  %2s  %s\n", "ID",
		    "STATE", "DESTINATION", "STEP", "DUE", "N", "ANSWER");
	return outbox_list(outbox, options.state, options.destination,
	    options.event_id, LIST_MAX, clock_now(), print_row, NULL, error);
}

static void
print_attempt(void *context, const struct outbox_attempt *attempt)
{
	char when[CLOCK_TEXT_MAX];

	(void)context;
	printf("attempt %" PRId64 "  %s  status %" PRId64 "  %" PRId64 " ms  ",
	    attempt->number, clock_format(when, attempt->at), attempt->status,
	    attempt->took_ms);
	print_safe(stdout, attempt->ruling, 200);
	putchar('\n');
	if (attempt->answer != NULL) {
		printf("    ");
		print_safe(stdout, attempt->answer, 1024);
		putchar('\n');
	}
}

static void
print_whole(void *context, const struct outbox_row *row)
{
	char when[CLOCK_TEXT_MAX];

	*(int64_t *)context = row->id;
	printf("delivery     %" PRId64 "\nkey          %s\ndestination  %s\n"
	       "step         %s\nstate        %s\ndue          %s\n"
	       "attempts     %" PRId64 "\nrequest      POST, to the address "
	       "of %s in the configuration\nbody         ",
	    row->id, row->key, row->destination, row->step, row->state,
	    clock_format(when, row->due_at), row->attempts, row->destination);
	print_safe(stdout, row->body, 8192);
	putchar('\n');
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
show(struct outbox *outbox, char *ids[], struct error *error)
{
	int64_t id = 0;
	bool found;

	for (; *ids != NULL; ids++) {
		if (!outbox_find(outbox, *ids, clock_now(), &found, print_whole,
			&id, error))
			return false;
		if (!found)
			return unknown(*ids, error);
		if (!outbox_attempts(outbox, id, print_attempt, NULL, error))
			return false;
	}
	return true;
}

static bool
change(struct outbox *outbox, char *ids[],
    bool (*verb)(
	struct outbox *, const char *, int64_t, int64_t *, struct error *),
    struct error *error)
{
	int64_t changed;

	for (; *ids != NULL; ids++) {
		if (!verb(outbox, *ids, clock_now(), &changed, error))
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
	if (!outbox_retry(outbox, NULL, clock_now(), &changed, error))
		return false;
	prog_note("%" PRId64 " queued again", changed);
	return true;
}

static bool
check_destination(
    const struct conf *conf, const char *name, struct error *error)
{
	if (conf_destination(conf, name) != NULL)
		return true;
	return error_set(error, ERROR_USAGE,
	    "no destination \"%s\"; there are mail, billing, slack.customers, "
	    "slack.alerts, sms",
	    name);
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

static void
show_progress(const struct send_count *count, int64_t waiting)
{
	static int64_t shown_ms;
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - shown_ms < 200 || count->done + waiting < 100)
		return;
	shown_ms = now_ms;
	fprintf(stderr,
	    "\rsent %" PRId64 ", postponed %" PRId64 ", dead %" PRId64 " ",
	    count->done, count->postponed, count->dead);
}

struct event_report {
	int64_t foreign, dead, postponed;
	bool print;
};

static void
report_row(void *context, const struct outbox_row *row)
{
	struct event_report *report = context;
	char when[CLOCK_TEXT_MAX];
	struct buf words = BUF_INIT(2048);

	if (strcmp(row->state, "sending") == 0)
		report->foreign++;
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
report_event(struct outbox *outbox, struct error *error)
{
	const struct timespec pause = {0, 30000000};
	const int64_t start_ms = clock_monotonic_ms();
	struct event_report report;

	do {
		memset(&report, 0, sizeof(report));
		if (!outbox_list(outbox, NULL, NULL, options.event_id, LIST_MAX,
			clock_now(), report_row, &report, error))
			return false;
		if (report.foreign > 0)
			nanosleep(&pause, NULL);
	} while (report.foreign > 0 &&
	    clock_monotonic_ms() - start_ms < FOREIGN_WAIT_MS);
	report.print = true;
	return outbox_list(outbox, NULL, NULL, options.event_id, LIST_MAX,
	    clock_now(), report_row, &report, error);
}

static void
find_blocked(void *context, const struct outbox_row *row)
{
	if (row->due) /* also where it is shown as held */
		++*(int64_t *)context;
}

/* Send, and then what time has made of what could not be sent. */
static bool
send_all(struct outbox *outbox, const struct conf *conf,
    struct send_count *count, struct error *error)
{
	send_progress *progress =
	    isatty(STDERR_FILENO) && !prog.quiet ? show_progress : NULL;
	bool queued = false;

	return send_due(
		   outbox, conf, options.event_id, progress, count, error) &&
	    (options.event_id != NULL ||
		outbox_watch(outbox, clock_now(), &queued, error)) &&
	    (!queued || send_due(outbox, conf, NULL, progress, count, error));
}

static bool
deliver(struct outbox *outbox, const struct conf *conf, struct error *error)
{
	struct send_count count = {0};

	if (!send_all(outbox, conf, &count, error))
		return false;
	if (options.event_id != NULL) {
		if (!report_event(outbox, error))
			return false;
	} else if (count.done + count.postponed + count.dead > 0) {
		prog_note("sent %" PRId64 ", postponed %" PRId64
			  ", dead %" PRId64,
		    count.done, count.postponed, count.dead);
	}
	if (!outbox_list(outbox, "queued", NULL, options.event_id, LIST_MAX,
		clock_now(), find_blocked, &count.blocked, error))
		return false;
	if (count.dead > 0)
		return error_set(error, ERROR_NO,
		    "%" PRId64 " given up; see automate-deliver list --state "
		    "dead",
		    count.dead);
	if (count.postponed + count.blocked > 0)
		return error_set(error, ERROR_RETRY,
		    "%" PRId64 " postponed, %" PRId64
		    " waiting for their destination; see automate-deliver list",
		    count.postponed, count.blocked);
	return true;
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
	if (verb == NULL)
		return prog.dry_run
		    ? (options.state = "queued", list(outbox, error))
		    : deliver(outbox, conf, error);
	if (strcmp(verb, "list") == 0 && !operand)
		return list(outbox, error);
	if (strcmp(verb, "show") == 0 && operand)
		return show(outbox, words + 1, error);
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
