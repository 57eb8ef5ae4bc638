/*
 * automate-alert: record an alert, from a JSON document on standard input or
 * from options and words, and who is to hear of it; or close one.
 */
#include <inttypes.h>
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
#include "rules.h"
#include "store/ledger.h"

#define DETAIL_MAX 16384
#define WORDS_MAX (4 * 1024 * 1024) /* more than a system takes as argv */

enum {
	OPTION_ORGANIZATION = PROG_OWN,
	OPTION_LEAD,
	OPTION_KEY,
	OPTION_NEXT,
	OPTION_ID,
	OPTION_RESOLVE
};

/* The first bytes of standard input as the alert's details; NUL is a blank. */
static void
read_details(json_t *alert)
{
	char chunk[DETAIL_MAX];
	struct buf cut = BUF_INIT(4 * DETAIL_MAX);
	size_t size = 0, i;
	ssize_t got = 1;

	if (isatty(STDIN_FILENO))
		return;
	while (size < sizeof(chunk) - 1 && got > 0) {
		got =
		    read(STDIN_FILENO, chunk + size, sizeof(chunk) - 1 - size);
		size += got > 0 ? (size_t)got : 0;
	}
	chunk[size] = '\0';
	for (i = 0; i < size; i++)
		if (chunk[i] == '\0')
			chunk[i] = ' ';
	message_cut(&cut, chunk, DETAIL_MAX);
	if (cut.size > 0)
		json_put(alert, "details", buf_string(&cut));
	buf_release(&cut);
}

static void
put_words(json_t *alert, char *words[])
{
	struct buf title = BUF_INIT(WORDS_MAX);

	for (; *words != NULL; words++) {
		if (title.size > 0)
			buf_byte(&title, ' ');
		buf_text(&title, *words);
	}
	json_put(alert, "title", buf_string(&title));
	buf_release(&title);
}

static bool
raise_words(
    const struct conf *conf, json_t *alert, char *words[], struct error *error)
{
	char *text;
	bool ok;

	put_words(alert, words);
	read_details(alert);
	text = json_compact(alert);
	ok = intake_text(conf, &rules_alert, text, strlen(text), error);
	free(text);
	return ok;
}

static bool
resolve(const struct conf *conf, const char *key, struct error *error)
{
	const char *by = getenv("LOGNAME");
	struct alerts_end end = {0};
	struct ledger *ledger = NULL;
	bool ok;

	ok = ledger_open(
		 &ledger, conf, prog.dry_run ? DB_REHEARSE : DB_WRITE, error) &&
	    ledger_resolve(ledger, key, 0,
		by != NULL && by[0] != '\0' ? by : "automate-alert",
		clock_now(), &end, error);
	ledger_close(ledger);
	if (!ok)
		return false;
	if (end.id == 0) {
		prog_note("no alert \"%s\" is open", key);
		return true;
	}
	printf("{\"alert\":%" PRId64 ",\"outcome\":\"%s\"}\n", end.id,
	    end.flapping ? "flapping" : "resolved");
	if (end.flapping)
		prog_note("it is flapping, and closed when it has been quiet "
			  "for %d minutes; automate-log resolve %" PRId64
			  " closes it now",
		    ALERT_FLAPPING_S / 60, end.id);
	intake_deliver(NULL);
	return true;
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {PROG_OPTIONS,
	    {"severity", required_argument, NULL, 's'},
	    {"kind", required_argument, NULL, 'k'},
	    {"message", required_argument, NULL, 'm'},
	    {"organization", required_argument, NULL, OPTION_ORGANIZATION},
	    {"lead", required_argument, NULL, OPTION_LEAD},
	    {"key", required_argument, NULL, OPTION_KEY},
	    {"next", required_argument, NULL, OPTION_NEXT},
	    {"id", required_argument, NULL, OPTION_ID},
	    {"resolve", required_argument, NULL, OPTION_RESOLVE}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	json_t *alert = json_object();
	const char *resolved = NULL;
	bool ok;
	int ch;

	prog_start("automate-alert",
	    "[options] [-s severity] [-k kind] [-m message] "
	    "[--organization id] [--lead id] [--key key] [--next command] "
	    "[--id id] [--resolve key] [title ...] [<document or detail]",
	    argv);
	while ((ch = prog_getopt(argc, argv, "s:k:m:", options)) != -1)
		switch (ch) {
		case 's':
			if (alert_severity(optarg) == -1) {
				prog_say("severity \"%s\" is none of info, "
					 "warning, error, critical",
				    optarg);
				prog_usage();
			}
			json_put(alert, "severity", optarg);
			break;
		case 'k': json_put(alert, "kind", optarg); break;
		case 'm': json_put(alert, "message", optarg); break;
		case OPTION_ORGANIZATION:
			json_put(alert, "organization", optarg);
			break;
		case OPTION_LEAD: json_put(alert, "lead", optarg); break;
		case OPTION_KEY: json_put(alert, "key", optarg); break;
		case OPTION_NEXT: json_put(alert, "next", optarg); break;
		case OPTION_ID: json_put(alert, "id", optarg); break;
		case OPTION_RESOLVE: resolved = optarg; break;
		default: prog_usage();
		}
	if (resolved != NULL && (json_object_size(alert) > 0 || optind < argc))
		prog_usage();
	if (json_object_size(alert) > 0 && optind == argc)
		prog_usage();

	ok = prog_ready(&conf, &error);
	if (ok && resolved != NULL)
		ok = resolve(&conf, resolved, &error);
	else if (ok && optind < argc)
		ok = raise_words(&conf, alert, argv + optind, &error);
	else if (ok)
		ok = intake(&conf, &rules_alert, &error);

	json_decref(alert);
	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
