/*
 * automate-call: have an AI agent call leads, by id or as they come in on
 * standard input; and, for cron, find out what became of calls and call who is
 * due.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/input.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/call.h"
#include "decide/event.h"
#include "decide/message.h"
#include "intake.h"
#include "net/ping.h"
#include "place.h"
#include "prog.h"
#include "store/calls.h"
#include "store/runs.h"

#define OVERDUE_MAX 500 /* asked for in one sweep */
#define DUE_MAX 1000 /* listed or called in one */
#define TROUBLE_S 600 /* calls rest so long after one was refused */
#define INTERVAL_MS                                                            \
	1000 /* Retell takes one call a second, unless told more               \
	      */

enum {
	OPTION_FORCE = PROG_OWN,
	OPTION_AGAIN,
	OPTION_LIST,
	OPTION_SWEEP,
	OPTION_CALL_DUE
};

static bool force, again, do_list, do_sweep, call_due;

/*
 * Orders.
 */

/* A line, which is taken. */
static void
print(char *line)
{
	puts(line);
	fflush(stdout);
	free(line);
}

static void
print_json(json_t *line)
{
	print(json_compact(line));
	json_decref(line);
}

/* Say it, and let the worst be what the command ends with. */
static void
note_error(struct error *worst, const struct error *error)
{
	prog_say("%s", error->text);
	if (error_status(error->kind) >= error_status(worst->kind))
		worst->kind = error->kind;
}

static bool
order(struct place *place, const char *text, size_t size, const char *source,
    bool *critical, struct error *error)
{
	char unique[PROG_UNIQUE_SIZE];
	struct event event = {0};
	bool ok = prog_unique(unique, error) &&
	    event_from_lead(&event, text, size, clock_now(), unique, error);

	if (ok && event.id == NULL) {
		print(intake_ignored_line(&event));
	} else if (ok) {
		event.force = force;
		event.again = again;
		if (source != NULL)
			event.source = source;
		ok = place_order(place, &event, critical, error);
	}
	if (!ok && error->kind == ERROR_DATA)
		print(intake_refused_line(error));
	event_release(&event);
	return ok;
}

static bool
order_lead(struct place *place, const char *id, const char *source,
    bool *critical, struct error *error)
{
	json_t *lead = json_object();
	char *text;
	bool ok;

	json_put(lead, "id", id);
	text = json_compact(lead);
	ok = order(place, text, strlen(text), source, critical, error);
	free(text);
	json_decref(lead);
	return ok;
}

static void
take_operands(struct place *place, char *ids[], struct error *worst)
{
	struct error error = {0};

	for (; *ids != NULL; ids++)
		if (!order_lead(place, *ids, NULL, NULL, &error))
			note_error(worst, &error);
}

static void
take_input(struct place *place, const struct conf *conf, struct error *worst)
{
	struct error error = {0};
	enum input_answer answer;
	struct input input;
	const char *text;
	size_t size, line;

	input_init(&input, STDIN_FILENO, (size_t)conf->body_max);
	while ((answer = input_next(&input, &text, &size, &line, &error)) !=
	    INPUT_END)
		if (answer == INPUT_FAILED) {
			print(intake_refused_line(&error));
			note_error(worst, &error);
		} else if (!order(place, text, size, NULL, NULL, &error)) {
			if (line > 1)
				error_at(&error, "document at line %zu", line);
			note_error(worst, &error);
		}
	input_release(&input);
}

/*
 * Who waits.
 */

struct waiting {
	const struct conf *conf;
	char **due; /* ids */
	size_t count;
};

static json_t *
lead_line(const struct lead *lead, const struct conf *conf, const char *outcome)
{
	char when[CLOCK_TEXT_MAX];
	json_t *line = json_object();

	json_put(line, "lead", lead->id);
	json_put(line, "organization", lead->organization_id);
	json_put(line, "outcome", outcome);
	json_put(line, "due_at", clock_format(when, call_due_at(lead, conf)));
	return line;
}

static const char *
outcome_of(const struct lead *lead, const struct organization *organization,
    const struct conf *conf)
{
	const char *obstacle =
	    call_obstacle(lead, organization, force, false, conf, clock_now());

	return obstacle != NULL ? obstacle : "due";
}

static void
print_safe(const char *text, int width)
{
	struct buf line = BUF_INIT(1024);

	message_line(&line, text != NULL ? text : "-", 100);
	printf("%-*s  ", width, buf_string(&line));
	buf_release(&line);
}

static bool
list_lead(void *context, const struct lead *lead,
    const struct organization *organization)
{
	const struct waiting *waiting = context;
	const char *outcome = outcome_of(lead, organization, waiting->conf);
	char when[CLOCK_TEXT_MAX];

	if (prog.json) {
		print_json(lead_line(lead, waiting->conf, outcome));
		return true;
	}
	printf("%s  ", clock_format(when, call_due_at(lead, waiting->conf)));
	print_safe(outcome, 21);
	print_safe(lead->id, 36);
	print_safe(lead->organization_id, 0);
	putchar('\n');
	return true;
}

static bool
list(struct place *place, const struct conf *conf, struct error *error)
{
	struct waiting waiting = {.conf = conf};

	if (!prog.json)
		printf("%-20s  %-21s  %-36s  %s\n", "DUE", "OUTCOME", "LEAD",
		    "ORGANIZATION");
	return calls_waiting(place_db(place), list_lead, &waiting, error);
}

static bool
note_due(void *context, const struct lead *lead,
    const struct organization *organization)
{
	struct waiting *waiting = context;

	if (strcmp(outcome_of(lead, organization, waiting->conf), "due") != 0)
		return true;
	if (!call_due)
		print_json(lead_line(lead, waiting->conf, "due"));
	waiting->due =
	    mem_resize(waiting->due, waiting->count + 1, sizeof(*waiting->due));
	waiting->due[waiting->count++] = mem_copy(lead->id);
	return waiting->count < DUE_MAX;
}

/*
 * The sweep.
 */

struct sweep {
	struct place *place;
	const struct conf *conf;
	int64_t asked, unanswered, due, called;
};

static void
print_overdue(const struct calls_overdue_row *row)
{
	char when[CLOCK_TEXT_MAX];
	json_t *line = json_object();

	json_put(line, "key", row->id);
	json_put(line, "call", row->call_id);
	json_put(line, "lead", row->lead_id);
	json_put(line, "organization", row->organization_id);
	json_put(line, "outcome", "overdue");
	json_put(line, "deadline_at", clock_format(when, row->deadline_at));
	print_json(line);
}

/* Where Retell cannot be asked for one, it is not asked for the others. */
static void
settle(struct sweep *sweep, struct error *worst)
{
	struct calls_overdue overdue = {0};
	struct error error = {0};
	size_t i;

	if (!calls_overdue(place_db(sweep->place), clock_now(), OVERDUE_MAX,
		&overdue, &error))
		note_error(worst, &error);
	for (i = 0; i < overdue.count; i++) {
		if (prog.dry_run) {
			print_overdue(&overdue.rows[i]);
			continue;
		}
		sweep->asked++;
		error.kind = ERROR_NONE;
		if (place_settle(sweep->place, &overdue.rows[i], &error))
			continue;
		sweep->unanswered++;
		note_error(worst, &error);
		if (error.kind != ERROR_PROVIDER)
			break;
	}
	calls_overdue_release(&overdue);
}

/* How many calls may be begun; none while they would only fail too. */
static bool
find_room(const struct sweep *sweep, int64_t *room, struct error *error)
{
	bool troubled;

	*room = DUE_MAX;
	if (prog.dry_run)
		return true;
	if (!calls_troubled(place_db(sweep->place), clock_now() - TROUBLE_S,
		&troubled, error))
		return false;
	if (!troubled)
		return place_room(sweep->place, room, error);
	*room = 0;
	prog_note("a call was refused or lost in the last ten minutes; the "
		  "sweep calls nobody until then");
	return true;
}

static void
call_all(
    struct sweep *sweep, const struct waiting *waiting, struct error *worst)
{
	static const struct timespec pause = {
	    INTERVAL_MS / 1000, INTERVAL_MS % 1000 * 1000000L};
	struct error error = {0};
	bool critical = false;
	int64_t room;
	size_t i;

	if (!find_room(sweep, &room, &error)) {
		note_error(worst, &error);
		return;
	}
	for (i = 0; i < waiting->count && sweep->called < room && !critical;
	     i++) {
		if (i > 0 && !prog.dry_run)
			nanosleep(&pause, NULL);
		sweep->called++;
		if (!order_lead(sweep->place, waiting->due[i], "cron",
			&critical, &error))
			note_error(worst, &error);
	}
}

static void
take_due(struct sweep *sweep, struct error *worst)
{
	struct waiting waiting = {.conf = sweep->conf};
	struct error error = {0};
	size_t i;

	if (!calls_waiting(place_db(sweep->place), note_due, &waiting, &error))
		note_error(worst, &error);
	sweep->due = (int64_t)waiting.count;
	if (call_due && waiting.count > 0)
		call_all(sweep, &waiting, worst);
	for (i = 0; i < waiting.count; i++)
		free(waiting.due[i]);
	free(waiting.due);
}

static char *
summary_of(const struct sweep *sweep)
{
	json_t *summary = json_object();
	char *text;

	json_put_number(summary, "asked", sweep->asked);
	json_put_number(summary, "unanswered", sweep->unanswered);
	json_put_number(summary, "due", sweep->due);
	json_put_number(summary, "called", sweep->called);
	text = json_compact(summary);
	json_decref(summary);
	return text;
}

static void
say_summary(const struct sweep *sweep)
{
	if (sweep->asked + sweep->due > 0)
		prog_note("asked for %" PRId64 " calls, not answered %" PRId64
			  ", leads due %" PRId64 ", called %" PRId64,
		    sweep->asked, sweep->unanswered, sweep->due, sweep->called);
}

static void
tell_watcher(const struct conf *conf, enum ping what)
{
	if (!prog.dry_run && !ping(conf->ping_sweep_url, what))
		prog_note("cron.ping_sweep does not answer");
}

static void
sweep_all(struct place *place, const struct conf *conf, struct error *worst)
{
	struct sweep sweep = {.place = place, .conf = conf};
	struct error error = {0};
	struct run *run = NULL;
	char *summary;

	switch (run_begin(&run, conf, prog.dry_run ? NULL : place_db(place),
	    "sweep", clock_now(), &error)) {
	case RUN_BEGUN: break;
	case RUN_ELSEWHERE: prog_note("another sweep is under way"); return;
	case RUN_FAILED: note_error(worst, &error); return;
	}
	tell_watcher(conf, PING_START);
	settle(&sweep, worst);
	take_due(&sweep, worst);
	say_summary(&sweep);
	summary = summary_of(&sweep);
	if (!run_end(
		run, error_status(worst->kind), summary, clock_now(), &error))
		note_error(worst, &error);
	free(summary);
	tell_watcher(conf, worst->kind == ERROR_NONE ? PING_WELL : PING_FAILED);
}

/* What was recorded is sent, whatever else has failed. */
static bool
run(const struct conf *conf, char *ids[], struct error *error)
{
	struct error worst = {0};
	struct place *place;
	bool ok = true;

	if (!place_open(&place, conf, error))
		return false;
	if (do_list)
		ok = list(place, conf, error);
	else if (do_sweep)
		sweep_all(place, conf, &worst);
	else if (*ids != NULL)
		take_operands(place, ids, &worst);
	else
		take_input(place, conf, &worst);
	place_deliver(place);
	place_close(place);
	if (ok && worst.kind != ERROR_NONE)
		*error = worst;
	return ok && worst.kind == ERROR_NONE;
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS,
	    {"force", no_argument, NULL, OPTION_FORCE},
	    {"again", no_argument, NULL, OPTION_AGAIN},
	    {"list", no_argument, NULL, OPTION_LIST},
	    {"sweep", no_argument, NULL, OPTION_SWEEP},
	    {"call-due", no_argument, NULL, OPTION_CALL_DUE}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	bool ok;
	int ch;

	prog_start("automate-call",
	    "[options] [--force] [--again] [lead ...] [<lead.json]\n"
	    "       automate-call [options] --list\n"
	    "       automate-call [options] --sweep [--call-due]",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", options)) != -1)
		switch (ch) {
		case OPTION_FORCE: force = true; break;
		case OPTION_AGAIN: again = true; break;
		case OPTION_LIST: do_list = true; break;
		case OPTION_SWEEP: do_sweep = true; break;
		case OPTION_CALL_DUE: call_due = true; break;
		default: prog_usage();
		}
	if ((do_list && do_sweep) || (call_due && !do_sweep) ||
	    ((do_list || do_sweep) && (optind < argc || force || again)))
		prog_usage();

	ok = prog_ready(&conf, &error) && run(&conf, argv + optind, &error);

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
