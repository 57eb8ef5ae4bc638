/*
 * automate-log: print the alert log and the history of a subject; take an alert
 * on, close it, or silence it while work is planned.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/alert.h"
#include "decide/message.h"
#include "intake.h"
#include "prog.h"
#include "show.h"
#include "store/history.h"
#include "store/ledger.h"

#define LIST_DEFAULT 50
#define TAIL_DEFAULT 10
#define LIMIT_MAX 100000
#define LATE_S 120 /* how long a transaction may take */
#define BECAUSE_MAX 200

enum {
	OPTION_SEVERITY = PROG_OWN,
	OPTION_KIND,
	OPTION_ORGANIZATION,
	OPTION_SINCE,
	OPTION_OPEN,
	OPTION_LIMIT,
	OPTION_FOR,
	OPTION_BECAUSE,
	OPTION_NO_COLOR
};

static struct history_filter filter;
static const char *length_text, *because, *since_text;
static bool follow, color, no_color;
static volatile sig_atomic_t stopped;

static void
stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void
put_id(json_t *json, const char *name, int64_t id)
{
	if (id != 0)
		json_put_number(json, name, id);
}

static void
print_alert_json(const struct history_alert *alert)
{
	json_t *json = json_object();

	json_put_number(json, "id", alert->id);
	json_put(json, "kind", alert->kind);
	json_put(json, "severity", alert->severity);
	json_put(json, "state", alert->state);
	json_put_number(json, "count", alert->count);
	json_put_time(json, "first_seen", alert->first_seen_at);
	json_put_time(json, "last_seen", alert->last_seen_at);
	json_put(json, "title", alert->title);
	json_put(json, "message", alert->message);
	json_put(json, "details", alert->details);
	json_put(json, "next", alert->next_command);
	json_put(json, "organization", alert->organization_id);
	json_put(json, "lead", alert->lead_id);
	json_put(json, "event", alert->event_id);
	json_put(json, "fingerprint", alert->fingerprint);
	json_put(json, "told", alert->told);
	json_put_time(json, "acknowledged", alert->acknowledged_at);
	json_put_time(json, "acknowledged_until", alert->acknowledged_until);
	json_put(json, "acknowledged_by", alert->acknowledged_by);
	json_put_time(json, "flapping", alert->flapping_at);
	put_id(json, "silence", alert->silence_id);
	put_id(json, "parent", alert->parent_id);
	json_put_time(json, "resolved", alert->resolved_at);
	json_put(json, "resolved_by", alert->resolved_by);
	show_json(json);
}

static const char *
color_of(const struct history_alert *alert)
{
	static const char *const colors[] = {
	    "\033[36m", "\033[33m", "\033[31m", "\033[1;31m"};

	return color && alert->resolved_at == 0
	    ? colors[alert_severity(alert->severity)]
	    : "";
}

static void
print_alert(void *context, const struct history_alert *alert)
{
	char when[CLOCK_TEXT_MAX];

	if (context != NULL)
		++*(int64_t *)context;
	if (prog.json) {
		print_alert_json(alert);
		return;
	}
	printf("%s%6" PRId64 "  %-8s  %5" PRId64 "  %s  %-12s  ",
	    color_of(alert), alert->id, alert->severity, alert->count,
	    clock_format(when, alert->last_seen_at), alert->state);
	show_line(stdout, alert->kind, 40);
	printf("  ");
	show_line(stdout,
	    alert->organization_id != NULL ? alert->organization_id : "-", 40);
	printf("  ");
	show_line(stdout, alert->title, 100);
	puts(color_of(alert)[0] != '\0' ? "\033[0m" : "");
}

static void
print_field(const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	printf("%-13s", name);
	show_line(stdout, text, 16384);
	putchar('\n');
}

/* When it was, and who did it. */
static void
print_deed(const char *name, int64_t at, const char *by)
{
	char when[CLOCK_TEXT_MAX];

	if (at == 0)
		return;
	printf("%-13s%s%s", name, clock_format(when, at),
	    by != NULL ? ", by " : "");
	if (by != NULL)
		show_line(stdout, by, 100);
	putchar('\n');
}

/* What keeps it from being told. */
static void
print_keeper(const char *what, int64_t id)
{
	if (id != 0)
		printf("kept         by %s %" PRId64 "\n", what, id);
}

static void
print_whole(void *context, const struct history_alert *alert)
{
	char first[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX];

	++*(int64_t *)context;
	if (prog.json) {
		print_alert_json(alert);
		return;
	}
	printf("alert        %" PRId64 "\n", alert->id);
	print_field("kind", alert->kind);
	print_field("severity", alert->severity);
	print_field("state", alert->state);
	printf("seen         %" PRId64 " times, %s to %s\n", alert->count,
	    clock_format(first, alert->first_seen_at),
	    clock_format(last, alert->last_seen_at));
	print_field("title", alert->title);
	print_field("message", alert->message);
	print_field("details", alert->details);
	print_field("next", alert->next_command);
	print_field("organization", alert->organization_id);
	print_field("lead", alert->lead_id);
	print_field("event", alert->event_id);
	print_field("key", alert->fingerprint);
	print_field("told", alert->told);
	print_deed("taken on", alert->acknowledged_at, alert->acknowledged_by);
	print_deed("until", alert->acknowledged_until, NULL);
	print_deed("flapping", alert->flapping_at, NULL);
	print_keeper("silence", alert->silence_id);
	print_keeper("alert", alert->parent_id);
	print_deed("resolved", alert->resolved_at, alert->resolved_by);
}

static void
print_line(void *context, const struct history_line *line)
{
	char when[CLOCK_TEXT_MAX];
	json_t *json;

	(void)context;
	if (prog.json) {
		json = json_object();
		json_put_time(json, "at", line->at);
		json_put(json, "what", line->what);
		json_put(json, "subject", line->subject);
		json_put(json, "words", line->words);
		show_json(json);
		return;
	}
	printf("%s  %-8s  ", clock_format(when, line->at), line->what);
	show_line(stdout, line->subject, 60);
	printf("  ");
	show_line(stdout, line->words, 300);
	putchar('\n');
}

static bool
list(struct db *db, struct error *error)
{
	if (filter.limit == 0)
		filter.limit = LIST_DEFAULT;
	if (!prog.json)
		printf("%6s  %-8s  %5s  %-20s  %-12s  %s\n", "ID", "SEVERITY",
		    "COUNT", "LAST SEEN", "STATE", "KIND  ORGANIZATION  TITLE");
	return history_alerts(
	    db, &filter, clock_now(), print_alert, NULL, error);
}

struct occurrence {
	int64_t id, count;
};

/* Those that tail -f has shown, or was not asked for. */
static struct occurrence *noted;
static size_t noted_count;

/* Whether that is news. */
static bool
note(const struct history_alert *alert)
{
	size_t i = 0;

	while (i < noted_count && noted[i].id != alert->id)
		i++;
	if (i == noted_count) {
		noted = mem_resize(noted, ++noted_count, sizeof(*noted));
		noted[i] = (struct occurrence){.id = alert->id};
	}
	if (noted[i].count >= alert->count)
		return false;
	noted[i].count = alert->count;
	return true;
}

static void
note_alert(void *context, const struct history_alert *alert)
{
	(void)context;
	note(alert);
}

static void
print_noted(void *context, const struct history_alert *alert)
{
	note(alert);
	print_alert(context, alert);
}

static void
print_news(void *context, const struct history_alert *alert)
{
	if (note(alert))
		print_alert(context, alert);
}

/* Until it is time to look again; false if nobody wants that any more. */
static bool
wait_for_news(void)
{
	struct pollfd output = {STDOUT_FILENO, 0, 0};

	if (fflush(stdout) != 0 || stopped)
		return false;
	poll(&output, 1, 1000);
	return !stopped && output.revents == 0;
}

/*
 * What was seen again is shown again. A commit comes later than the time that
 * it writes down, so each look goes back a while, past what is noted.
 */
static bool
tail(struct db *db, struct error *error)
{
	struct sigaction action = {.sa_handler = stop};
	struct history_filter recent = filter;
	bool ok;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	recent.oldest_first = filter.oldest_first = true;
	recent.limit = LIMIT_MAX;
	recent.since = clock_now() - LATE_S;
	if (filter.limit == 0)
		filter.limit = TAIL_DEFAULT;
	ok =
	    history_alerts(db, &recent, clock_now(), note_alert, NULL, error) &&
	    history_alerts(db, &filter, clock_now(), print_noted, NULL, error);
	while (ok && follow && wait_for_news()) {
		recent.since = clock_now() - LATE_S;
		ok = history_alerts(
		    db, &recent, clock_now(), print_news, NULL, error);
	}
	free(noted);
	return ok;
}

static bool
parse_id(const char *text, int64_t *id, struct error *error)
{
	char *end;

	*id = strtoll(text, &end, 10);
	if (*end == '\0' && end != text && *id > 0)
		return true;
	return error_set(
	    error, ERROR_DATA, "\"%s\" is no number from a list", text);
}

/* The alert must be there; nobody acknowledges a typing error. */
static bool
find(struct db *db, const char *text, history_alert_visit *visit,
    struct error *error)
{
	struct history_filter one = {.limit = 1};
	int64_t found = 0;

	if (!parse_id(text, &one.id, error) ||
	    !history_alerts(db, &one, clock_now(), visit, &found, error))
		return false;
	if (found > 0)
		return true;
	return error_set(
	    error, ERROR_DATA, "no alert %s; see automate-log list", text);
}

static void
count_alert(void *context, const struct history_alert *alert)
{
	(void)alert;
	++*(int64_t *)context;
}

static bool
read_length(int64_t *length_s, struct error *error)
{
	if (length_text == NULL ||
	    clock_parse_length(length_s, length_text, error))
		return true;
	error->kind = ERROR_USAGE;
	return error_at(error, "--for");
}

static bool
acknowledge(struct db *db, const char *text, struct error *error)
{
	int64_t length_s = 0, id = 0, now = clock_now();
	bool changed;

	if (!read_length(&length_s, error) ||
	    !find(db, text, count_alert, error) ||
	    !parse_id(text, &id, error) ||
	    !history_acknowledge(db, id, prog_user(), now,
		length_text != NULL ? now + length_s : 0, &changed, error))
		return false;
	if (!changed)
		prog_note("alert %s is resolved already", text);
	return true;
}

static bool
resolve(struct db *db, const struct conf *conf, const char *text,
    struct error *error)
{
	struct ledger *ledger = NULL;
	struct alerts_end end = {0};
	int64_t id = 0;
	bool ok;

	ok = find(db, text, count_alert, error) && parse_id(text, &id, error) &&
	    ledger_open(
		&ledger, conf, prog.dry_run ? DB_REHEARSE : DB_WRITE, error) &&
	    ledger_resolve(
		ledger, NULL, id, prog_user(), clock_now(), &end, error);
	ledger_close(ledger);
	if (ok && end.id == 0)
		prog_note("alert %s is resolved already", text);
	if (ok && end.id != 0)
		intake_deliver(NULL);
	return ok;
}

static void
print_silence(void *context, const struct history_silence *silence)
{
	char from[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
	json_t *json;

	(void)context;
	if (prog.json) {
		json = json_object();
		json_put_number(json, "id", silence->id);
		json_put(json, "what", silence->what);
		json_put(json, "state", silence->in_force ? "open" : "over");
		json_put_time(json, "from", silence->created_at);
		json_put_time(json, "until", silence->until_at);
		json_put_number(json, "kept", silence->kept);
		json_put(json, "by", silence->created_by);
		json_put(json, "because", silence->because);
		json_put(json, "ended_by", silence->ended_by);
		show_json(json);
		return;
	}
	printf("%6" PRId64 "  %-5s  %s  %s  %5" PRId64 "  ", silence->id,
	    silence->in_force ? "open" : "over",
	    clock_format(from, silence->created_at),
	    clock_format(until, silence->until_at), silence->kept);
	show_line(stdout, silence->what, 100);
	printf("  ");
	show_line(stdout, silence->created_by, 40);
	printf("  ");
	show_line(stdout, silence->because, BECAUSE_MAX);
	putchar('\n');
}

static void
print_silences_head(void)
{
	if (!prog.json)
		printf("%6s  %-5s  %-20s  %-20s  %5s  %s\n", "ID", "STATE",
		    "FROM", "UNTIL", "KEPT", "WHAT  BY  BECAUSE");
}

static bool
list_silences(struct db *db, struct error *error)
{
	print_silences_head();
	return history_silences(db, filter.open,
	    filter.limit != 0 ? filter.limit : LIST_DEFAULT, clock_now(),
	    print_silence, NULL, error);
}

static bool
is_one_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '\177')
			return false;
	return true;
}

/* Nobody remembers one that has no end, nor what it was for. */
static bool
check_silence(int64_t length_s, struct error *error)
{
	if (length_s <= 0 || length_s > ALERT_SILENCE_MAX_S)
		return error_set(error, ERROR_USAGE,
		    "a silence has an end: --for a length of at most %dd, "
		    "such as 2h",
		    ALERT_SILENCE_MAX_S / CLOCK_DAY_S);
	if (because == NULL || because[strspn(because, " ")] == '\0' ||
	    !is_one_line(because) || strlen(because) > BECAUSE_MAX)
		return error_set(error, ERROR_USAGE,
		    "a silence has a reason: --because a line of at most %d "
		    "bytes",
		    BECAUSE_MAX);
	return true;
}

static bool
silence(struct db *db, const struct conf *conf, const char *what,
    struct error *error)
{
	struct history_silence shown = {.what = what,
	    .because = because,
	    .created_by = prog_user(),
	    .created_at = clock_now(),
	    .in_force = true};
	struct alerts_silence made = {0};
	int64_t length_s = 0;

	if (!read_length(&length_s, error) || !check_silence(length_s, error))
		return false;
	shown.until_at = shown.created_at + length_s;
	if (!alerts_silence(db, what, because, shown.created_by,
		shown.created_at, shown.until_at, conf, &made, error))
		return false;
	if (!made.known)
		prog_note("no alert of the kind or with the key \"%.100s\" is "
			  "known so far",
		    what);
	shown.id = made.id;
	shown.kept = made.kept;
	print_silences_head();
	print_silence(NULL, &shown);
	return true;
}

static bool
unsilence(struct db *db, const char *text, struct error *error)
{
	bool found, ended;
	int64_t id;

	if (!parse_id(text, &id, error) ||
	    !alerts_unsilence(
		db, id, prog_user(), clock_now(), &found, &ended, error))
		return false;
	if (!found)
		return error_set(error, ERROR_DATA,
		    "no silence %s; see automate-log silences", text);
	if (ended)
		intake_deliver(NULL);
	else
		prog_note("silence %s is over already", text);
	return true;
}

static bool
why(struct db *db, const char *subject, struct error *error)
{
	int64_t found;

	if (!history_why(db, subject, print_line, NULL, &found, error))
		return false;
	if (found > 0)
		return true;
	return error_set(
	    error, ERROR_NO, "nothing is known of \"%s\"", subject);
}

static bool
read_since(struct error *error)
{
	int64_t length_s;

	if (since_text == NULL)
		return true;
	if (clock_parse_length(&length_s, since_text, NULL)) {
		filter.since = clock_now() - length_s;
		return true;
	}
	if (clock_parse(&filter.since, since_text, error))
		return true;
	error->kind = ERROR_USAGE;
	return error_at(error, "--since");
}

/* What an option asks for must be what the verb does. */
static void
check_options(const char *verb)
{
	const bool chosen = filter.severity != 0 || filter.kind != NULL ||
	    filter.organization_id != NULL || since_text != NULL;
	const bool limited = filter.open || filter.limit != 0;
	const bool tail = strcmp(verb, "tail") == 0;
	const bool lists = tail || strcmp(verb, "list") == 0;
	const bool silences = strcmp(verb, "silence") == 0;

	if ((chosen && !lists) ||
	    (limited && !lists && strcmp(verb, "silences") != 0) ||
	    (follow && !tail) || (because != NULL && !silences) ||
	    (length_text != NULL && !silences && strcmp(verb, "ack") != 0))
		prog_usage();
}

static bool
run(struct db *db, const struct conf *conf, char *words[], struct error *error)
{
	const char *verb = words[0] != NULL ? words[0] : "list";
	const char *operand = words[0] != NULL ? words[1] : NULL;

	if (!read_since(error))
		return false;
	if (operand != NULL && words[2] != NULL)
		prog_usage();
	if (strcmp(verb, "list") == 0 && operand == NULL)
		return list(db, error);
	if (strcmp(verb, "tail") == 0 && operand == NULL)
		return tail(db, error);
	if (strcmp(verb, "silences") == 0 && operand == NULL)
		return list_silences(db, error);
	if (operand == NULL)
		prog_usage();
	if (strcmp(verb, "show") == 0)
		return find(db, operand, print_whole, error);
	if (strcmp(verb, "ack") == 0)
		return acknowledge(db, operand, error);
	if (strcmp(verb, "resolve") == 0)
		return resolve(db, conf, operand, error);
	if (strcmp(verb, "silence") == 0 && operand[0] != '\0')
		return silence(db, conf, operand, error);
	if (strcmp(verb, "unsilence") == 0)
		return unsilence(db, operand, error);
	if (strcmp(verb, "why") == 0)
		return why(db, operand, error);
	prog_usage();
}

static void
choose_color(void)
{
	const char *off = getenv("NO_COLOR"), *terminal = getenv("TERM");

	color = isatty(STDOUT_FILENO) && !no_color &&
	    (off == NULL || off[0] == '\0') &&
	    (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"severity", required_argument, NULL, OPTION_SEVERITY},
	    {"kind", required_argument, NULL, OPTION_KIND},
	    {"organization", required_argument, NULL, OPTION_ORGANIZATION},
	    {"since", required_argument, NULL, OPTION_SINCE},
	    {"open", no_argument, NULL, OPTION_OPEN},
	    {"limit", required_argument, NULL, OPTION_LIMIT},
	    {"follow", no_argument, NULL, 'f'},
	    {"for", required_argument, NULL, OPTION_FOR},
	    {"because", required_argument, NULL, OPTION_BECAUSE},
	    {"no-color", no_argument, NULL, OPTION_NO_COLOR}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	struct db *db = NULL;
	char *end;
	bool ok;
	int ch;

	prog_start("automate-log",
	    "[options] [list [--severity s] [--kind k] [--organization id] "
	    "[--since time] [--open] [--limit n] | tail [-f] | show id | ack "
	    "id [--for length] | resolve id | silence kind|key --for length "
	    "--because text | silences [--open] [--limit n] | unsilence id | "
	    "why subject] [--no-color]",
	    argv);
	while ((ch = prog_getopt(argc, argv, "f", known)) != -1)
		switch (ch) {
		case OPTION_SEVERITY:
			filter.severity = alert_severity(optarg);
			if (filter.severity == -1) {
				prog_say("severity \"%s\" is none of info, "
					 "warning, error, critical",
				    optarg);
				prog_usage();
			}
			break;
		case OPTION_KIND: filter.kind = optarg; break;
		case OPTION_ORGANIZATION:
			filter.organization_id = optarg;
			break;
		case OPTION_SINCE: since_text = optarg; break;
		case OPTION_OPEN: filter.open = true; break;
		case OPTION_LIMIT:
			filter.limit = strtoll(optarg, &end, 10);
			if (*end != '\0' || filter.limit < 1 ||
			    filter.limit > LIMIT_MAX) {
				prog_say("--limit: \"%s\" is no number from 1 "
					 "to %d",
				    optarg, LIMIT_MAX);
				prog_usage();
			}
			break;
		case 'f': follow = true; break;
		case OPTION_FOR: length_text = optarg; break;
		case OPTION_BECAUSE: because = optarg; break;
		case OPTION_NO_COLOR: no_color = true; break;
		default: prog_usage();
		}
	check_options(optind < argc ? argv[optind] : "list");
	choose_color();

	ok = prog_ready(&conf, &error) &&
	    db_open(
		&db, &conf, prog.dry_run ? DB_REHEARSE : DB_WRITE, &error) &&
	    run(db, &conf, argv + optind, &error);

	db_close(db);
	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
