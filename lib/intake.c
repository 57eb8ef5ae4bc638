#include "intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/input.h"
#include "base/json.h"
#include "base/mem.h"
#include "prog.h"
#include "store/ledger.h"

#define GROUP_MAX 2000
#define GROUP_MS 100 /* others wait meanwhile to write */
#define OUTPUT_MAX (64 * 1024 * 1024)

struct intake {
	const struct conf *conf;
	const struct intake_rules *rules;
	int secret; /* with which all of it is signed; 0: it is not */
	struct ledger *ledger;
	struct buf output; /* lines of the group, told when it is kept */
	struct buf *lines; /* to where; NULL: to standard output */
	bool *due; /* deliveries: told there; NULL: have them sent */
	size_t group, total;
	int64_t group_since_ms;
	bool recorded; /* any of them, now or before */
	char *event_id; /* of the first, if it is recorded */
	struct error worst;
};

static void
add_line(struct intake *intake, char *line)
{
	buf_text(&intake->output, line);
	buf_byte(&intake->output, '\n');
	free(line);
}

char *
intake_refused_line(const struct error *error)
{
	json_t *line = json_object();
	char *text;

	json_put(line, "outcome", "refused");
	json_put(line, "error", error->text);
	text = json_compact(line);
	json_decref(line);
	return text;
}

/* Worst: not now before our own faults before what was wrong with the data. */
static void
note_error(struct intake *intake, const struct error *error)
{
	prog_say("%s", error->text);
	if (error_status(error->kind) >= error_status(intake->worst.kind))
		intake->worst.kind = error->kind;
}

char *
intake_ignored_line(const struct event *event)
{
	const char *table = json_text(event->data, "table");
	json_t *line = json_object();
	char *text;

	json_put(line, "event", NULL);
	json_put(line, "type",
	    event->kind != NULL ? event->kind : json_text(event->data, "type"));
	if (table != NULL)
		json_put(line, "table", table);
	json_put(line, "outcome", "ignored");
	text = json_compact(line);
	json_decref(line);
	return text;
}

static enum ledger_answer
record(struct intake *intake, struct event *event, char **line,
    struct error *error)
{
	event->secret = intake->secret;
	return ledger_record(
	    intake->ledger, event, intake->rules->decide, line, error);
}

/* False where nothing more can be recorded. */
static bool
take_document(struct intake *intake, const char *text, size_t size,
    size_t line_number, struct error *error)
{
	struct event event = {0};
	char *line = NULL;
	bool ok = true;

	if (!intake->rules->understand(
		&event, text, size, clock_now(), error)) {
		if (line_number > 1)
			error_at(error, "document at line %zu", line_number);
		note_error(intake, error);
		line = intake_refused_line(error);
	} else if (event.id == NULL) {
		line = intake_ignored_line(&event);
	} else if (record(intake, &event, &line, error) == LEDGER_FAILED) {
		ok = error->kind == ERROR_DATA;
		if (ok) {
			note_error(intake, error);
			line = intake_refused_line(error);
		}
	} else {
		intake->recorded = true;
		if (intake->total == 0)
			intake->event_id = mem_copy(event.id);
	}
	if (line != NULL)
		add_line(intake, line);
	event_release(&event);
	if (intake->group++ == 0)
		intake->group_since_ms = clock_monotonic_ms();
	intake->total++;
	return ok;
}

/* Keep the group; only then say so. */
static bool
flush(struct intake *intake, struct error *error)
{
	if (!ledger_flush(intake->ledger, error))
		return false;
	intake->group = 0;
	if (intake->lines != NULL)
		buf_text(intake->lines, buf_string(&intake->output));
	else
		fputs(buf_string(&intake->output), stdout);
	buf_clear(&intake->output);
	if (intake->lines != NULL || fflush(stdout) == 0)
		return true;
	return error_set(error, ERROR_RETRY,
	    "cannot write the output (%s), but all of it is recorded; the same "
	    "again says duplicate",
	    strerror(errno));
}

static bool
is_full(const struct intake *intake)
{
	return intake->group >= GROUP_MAX ||
	    (intake->group > 0 &&
		clock_monotonic_ms() - intake->group_since_ms >= GROUP_MS);
}

static bool
take_all(struct intake *intake, struct input *input, struct error *error)
{
	const char *text;
	enum input_answer answer;
	size_t size, line;
	bool ok = true;

	while (ok &&
	    (answer = input_next(input, &text, &size, &line, error)) !=
		INPUT_END) {
		if (answer == INPUT_DOCUMENT) {
			ok = take_document(intake, text, size, line, error);
		} else {
			note_error(intake, error);
			add_line(intake, intake_refused_line(error));
		}
		if (ok && (is_full(intake) || !input_ready(input)))
			ok = flush(intake, error);
	}
	input_release(input);
	return ok && flush(intake, error);
}

static bool
open_intake(struct intake *intake, const struct conf *conf,
    const struct intake_rules *rules, struct error *error)
{
	memset(intake, 0, sizeof(*intake));
	intake->conf = conf;
	intake->rules = rules;
	intake->output.max = OUTPUT_MAX;
	return ledger_open(&intake->ledger, conf,
	    prog.dry_run ? DB_REHEARSE : DB_WRITE, error);
}

void
intake_say_skipped(const struct ledger *ledger, const struct conf *conf)
{
	int i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		if (ledger_skipped(ledger, i))
			prog_note("%s is not configured, so nothing goes "
				  "there; see automate.yaml(5)",
			    conf->destinations[i].name);
}

/* Where that cannot be known there may be some. */
static void
tell_due(struct intake *intake)
{
	struct error error;

	if (intake->ledger == NULL ||
	    !ledger_due(intake->ledger, clock_now(), intake->due, &error))
		*intake->due = true;
}

static bool
close_intake(struct intake *intake, bool ok, struct error *error)
{
	if (ok)
		intake_say_skipped(intake->ledger, intake->conf);
	if (intake->due != NULL)
		tell_due(intake);
	ledger_close(intake->ledger);
	buf_release(&intake->output);
	if (ok && intake->due == NULL && intake->recorded)
		intake_deliver(intake->total == 1 ? intake->event_id : NULL);
	free(intake->event_id);
	if (ok && intake->worst.kind != ERROR_NONE)
		*error = intake->worst;
	return ok && intake->worst.kind == ERROR_NONE;
}

static bool
take_stdin(struct intake *intake, struct error *error)
{
	struct input input;

	input_init(&input, STDIN_FILENO, (size_t)intake->conf->body_max);
	return take_all(intake, &input, error);
}

bool
intake(const struct conf *conf, const struct intake_rules *rules,
    struct error *error)
{
	struct intake all;
	bool ok =
	    open_intake(&all, conf, rules, error) && take_stdin(&all, error);

	return close_intake(&all, ok, error);
}

static bool
take_one(
    struct intake *intake, const char *text, size_t size, struct error *error)
{
	return take_document(intake, text, size, 1, error) &&
	    flush(intake, error);
}

bool
intake_text(const struct conf *conf, const struct intake_rules *rules,
    const char *text, size_t size, struct error *error)
{
	struct intake one;
	bool ok = open_intake(&one, conf, rules, error) &&
	    take_one(&one, text, size, error);

	return close_intake(&one, ok, error);
}

static bool
take_signed(struct intake *intake, const struct buf *body, int secret,
    struct error *error)
{
	intake->secret = secret;
	return take_one(intake, buf_string(body), body->size, error);
}

bool
intake_signed(const struct conf *conf, const struct intake_rules *rules,
    const char *header, struct error *error)
{
	struct buf body = BUF_INIT((size_t)conf->body_max);
	struct intake one;
	int which = 0;
	bool ok;

	ok = buf_read(&body, STDIN_FILENO, error) &&
	    rules->verify(conf, header, &body, &which, error);
	if (ok) {
		ok = open_intake(&one, conf, rules, error) &&
		    take_signed(&one, &body, which, error);
		ok = close_intake(&one, ok, error);
	}
	buf_release(&body);
	return ok;
}

static bool
take_body(struct intake *intake, const struct buf *body, struct error *error)
{
	struct input input;

	input_init_text(&input, buf_string(body), body->size,
	    (size_t)intake->conf->body_max);
	return take_all(intake, &input, error);
}

bool
intake_body(const struct conf *conf, const struct intake_rules *rules,
    const char *header, const struct buf *body, struct buf *lines, bool *due,
    struct error *error)
{
	struct intake all;
	int which = 0;
	bool ok;

	*due = false;
	if (rules->verify != NULL &&
	    !rules->verify(conf, header, body, &which, error))
		return false;
	ok = open_intake(&all, conf, rules, error);
	all.lines = lines;
	all.due = due;
	ok = ok &&
	    (rules->verify != NULL ? take_signed(&all, body, which, error)
				   : take_body(&all, body, error));
	return close_intake(&all, ok, error);
}

static void
run_deliver(const char *event_id)
{
	char now[CLOCK_TEXT_MAX];
	char *path = prog.directory != NULL
	    ? mem_format("%s/automate-deliver", prog.directory)
	    : mem_copy("automate-deliver");
	const char *arguments[10];
	size_t count = 0;

	arguments[count++] = "automate-deliver";
	if (prog.config != NULL) {
		arguments[count++] = "--config";
		arguments[count++] = prog.config;
	}
	if (prog.quiet)
		arguments[count++] = "--quiet";
	if (event_id != NULL) {
		arguments[count++] = "--event";
		arguments[count++] = event_id;
	}
	arguments[count++] = "--now";
	arguments[count++] = clock_format(now, clock_now());
	arguments[count] = NULL;
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execvp(path, (char *const *)arguments);
	prog_say("cannot start %s: %s; what is owed goes with the next one",
	    path, strerror(errno));
	_exit(error_status(ERROR_CONF));
}

void
intake_deliver(const char *event_id)
{
	pid_t child;
	int status;

	if (prog.later || prog.dry_run)
		return;
	fflush(stdout);
	child = fork();
	if (child == 0)
		run_deliver(event_id);
	if (child == -1)
		prog_say("cannot start automate-deliver: %s; what is owed goes "
			 "with the next one",
		    strerror(errno));
	while (
	    child != -1 && waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
}
