/*
 * automate-dunning: remind those who do not pay, and downgrade them when all
 * conditions for it hold; show who is where and what is to come.
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
#include "decide/dunning.h"
#include "decide/message.h"
#include "decide/money.h"
#include "dun.h"
#include "intake.h"
#include "net/ping.h"
#include "prog.h"
#include "show.h"
#include "store/debtors.h"
#include "store/ledger.h"
#include "store/runs.h"

#define PREVIEW_S (30 * CLOCK_DAY_S)
#define LINE_MAX_POINTS 200

enum {
	OPTION_LIST = PROG_OWN,
	OPTION_PREVIEW,
	OPTION_FREEZE,
	OPTION_THAW,
	OPTION_FORCE
};

static struct {
	int verb; /* an OPTION_…; 0: a run */
	const char *whom; /* to freeze or to thaw */
	bool force;
} options;

/*
 * Lines of a table, and of JSON.
 */

/* In a column that many code points wide; "-" for nothing. */
static void
print_cell(const char *text, int width)
{
	struct buf line = BUF_INIT(4096);
	const char *p;

	message_line(&line, text != NULL && text[0] != '\0' ? text : "-",
	    LINE_MAX_POINTS);
	fputs(buf_string(&line), stdout);
	for (p = buf_string(&line); *p != '\0'; p++)
		width -= ((unsigned char)*p & 0xc0) != 0x80;
	printf("%*s  ", width > 0 ? width : 0, "");
	buf_release(&line);
}

static void
print_last(const char *text)
{
	struct buf line = BUF_INIT(4096);

	message_line(&line, text, LINE_MAX_POINTS);
	puts(buf_string(&line));
	buf_release(&line);
}

static char *
money(int64_t amount_minor, const char *currency)
{
	struct buf amount = BUF_INIT(64);
	char *text;

	money_text(&amount, amount_minor, currency);
	text = mem_copy(buf_string(&amount));
	buf_release(&amount);
	return text;
}

static char *
amount_of(const struct account *account)
{
	return money(account->owed.amount_minor, account->owed.currency);
}

static void
put_who(json_t *json, const struct account *account)
{
	char *amount = amount_of(account);

	json_put(json, "organization", account->organization.id);
	json_put(json, "name", account->organization.name);
	json_put(json, "invoice", account->dunning.invoice_id);
	json_put_number(json, "amount_minor", account->owed.amount_minor);
	json_put(json, "currency", account->owed.currency);
	json_put(json, "amount", amount);
	free(amount);
}

/*
 * --list
 */

/* Of the reminders: what became of each that was owed, and how many arrived. */
struct told {
	char *states[DUNNING_DOWNGRADE];
	int owed, arrived;
};

static bool
load_told(struct db *db, const struct account *account, struct told *told,
    struct error *error)
{
	bool ok = true;
	char *id;
	int i;

	memset(told, 0, sizeof(*told));
	for (i = 0; ok && i < DUNNING_DOWNGRADE; i++) {
		id = dunning_step_id(account, (enum dunning_step)i);
		ok = debtors_told(db, id, &told->states[i], error);
		free(id);
		if (!ok || told->states[i] == NULL)
			continue;
		told->owed++;
		told->arrived += strcmp(told->states[i], "done") == 0;
	}
	return ok;
}

static void
free_told(struct told *told)
{
	int i;

	for (i = 0; i < DUNNING_DOWNGRADE; i++)
		free(told->states[i]);
}

static void
list_json(const struct account *account, const struct told *told,
    const struct dunning_next *next, const char *why, const struct conf *conf)
{
	const struct dunning *cycle = &account->dunning;
	json_t *json = json_object(), *reminders = json_object();
	int i;

	put_who(json, account);
	json_put(json, "cycle", cycle->id);
	json_put_time(json, "since", cycle->opened_at);
	json_put_number(json, "day", dunning_day(cycle, conf, clock_now()));
	json_put(json, "step", cycle->step);
	json_put_time(json, "step_at", cycle->step_at);
	for (i = 0; i < DUNNING_DOWNGRADE; i++)
		if (told->states[i] != NULL)
			json_put(reminders,
			    dunning_step_name((enum dunning_step)i),
			    told->states[i]);
	json_object_set_new(json, "reminders", reminders);
	json_put_time(json, "warned", account->warned_at);
	json_put(json, "next", dunning_step_name(next->step));
	json_put_time(json, "next_at", next->at);
	json_put(json, "waits", why[0] != '\0' ? why : NULL);
	show_json(json);
}

static void
list_row(const struct account *account, const struct told *told,
    const struct dunning_next *next, const char *why, const struct conf *conf)
{
	const struct dunning *cycle = &account->dunning;
	char when[CLOCK_TEXT_MAX],
	    *amount = amount_of(account),
	    *arrived = mem_format("%d of %d", told->arrived, told->owed);

	print_cell(account->organization.id, 20);
	printf("%.10s  %3" PRId64 "  ", clock_format(when, cycle->opened_at),
	    dunning_day(cycle, conf, clock_now()));
	print_cell(amount, 10);
	print_cell(cycle->step, 14);
	print_cell(arrived, 9);
	print_cell(dunning_step_name(next->step), 12);
	print_cell(clock_format(when, next->at), 20);
	print_cell(why, 39);
	print_last(account->organization.name);
	free(amount);
	free(arrived);
}

static bool
list_one(struct db *db, const struct account *account, const struct conf *conf,
    struct error *error)
{
	const struct dunning_next next =
	    dunning_next(account, conf, clock_now());
	struct buf why = BUF_INIT(500);
	struct told told;
	bool ok = load_told(db, account, &told, error);

	dunning_why(&why, account, &next);
	if (ok)
		(prog.json ? list_json : list_row)(
		    account, &told, &next, buf_string(&why), conf);
	free_told(&told);
	buf_release(&why);
	return ok;
}

static void
list_adrift(void *context, const struct debtors_adrift *adrift)
{
	char when[CLOCK_TEXT_MAX];
	json_t *json;

	(void)context;
	if (prog.json) {
		json = json_object();
		json_put(json, "organization", adrift->id);
		json_put(json, "name", adrift->name);
		json_put_time(json, "since", adrift->since);
		json_put(json, "waits", "no cycle");
		show_json(json);
		return;
	}
	print_cell(adrift->id, 20);
	printf("%.10s    -  ", clock_format(when, adrift->since));
	print_cell("-", 10);
	print_cell("-", 14);
	print_cell("-", 9);
	print_cell("-", 12);
	print_cell("-", 20);
	print_cell("no cycle", 39);
	print_last(adrift->name);
}

/* The first moment of the month, where the business is. */
static int64_t
month_start(const struct conf *conf)
{
	struct tm day;

	clock_local(&day, clock_now(), conf->zone);
	day.tm_mday = 1;
	day.tm_hour = day.tm_min = day.tm_sec = 0;
	return clock_from_local(&day, conf->zone);
}

/* A line of the table, or an element of the array that context is. */
static void
take_sum(void *context, const struct debtors_sum *sum)
{
	char *amount = money(sum->amount_minor, sum->currency);
	json_t *json;

	if (prog.json) {
		json = json_object();
		json_put(json, "stage", sum->stage);
		json_put_number(json, "customers", sum->customers);
		json_put_number(json, "amount_minor", sum->amount_minor);
		json_put(json, "currency", sum->currency);
		json_put(json, "amount", amount);
		json_array_append_new(context, json);
	} else {
		print_cell(sum->stage, 14);
		printf("%9" PRId64 "  ", sum->customers);
		print_last(amount);
	}
	free(amount);
}

static bool
list_sums(struct db *db, const struct conf *conf, struct error *error)
{
	const int64_t since = month_start(conf);
	json_t *totals = json_array(), *json = json_object();
	char when[CLOCK_TEXT_MAX];
	bool ok;

	if (!prog.json)
		printf("\n%-14s  %9s  %s\n", "STAGE", "CUSTOMERS",
		    "OWED, OR RECOVERED THIS MONTH");
	ok = debtors_add_up(db, since, take_sum, totals, error);
	json_object_set_new(json, "totals", totals);
	json_put(json, "recovered_since", clock_format(when, since));
	if (ok && prog.json)
		show_json(json);
	else
		json_decref(json);
	return ok;
}

static bool
list(struct db *db, const struct conf *conf, struct error *error)
{
	struct account *accounts = NULL;
	size_t count = 0, i;
	bool ok = debtors_find(db, &accounts, &count, error);

	if (ok && !prog.json)
		printf("%-20s  %-10s  %3s  %-10s  %-14s  %-9s  %-12s  %-20s  "
		       "%-39s  %s\n",
		    "ORGANIZATION", "SINCE", "DAY", "OWED", "STEP", "DELIVERED",
		    "NEXT", "FROM", "WAITS", "NAME");
	for (i = 0; ok && i < count; i++)
		ok = list_one(db, &accounts[i], conf, error);
	debtors_free(accounts, count);
	return ok && debtors_find_adrift(db, list_adrift, NULL, error) &&
	    list_sums(db, conf, error);
}

/*
 * --preview
 */

static void
preview_row(const struct account *account, const struct dunning_next *next,
    const char *why)
{
	char when[CLOCK_TEXT_MAX], *amount = amount_of(account);
	json_t *json;

	clock_format(when, next->at);
	if (prog.json) {
		json = json_object();
		put_who(json, account);
		json_put(json, "at", when);
		json_put(json, "step", dunning_step_name(next->step));
		json_put(json, "waits", why[0] != '\0' ? why : NULL);
		show_json(json);
	} else {
		print_cell(account->organization.id, 20);
		print_cell(when, 20);
		print_cell(dunning_step_name(next->step), 12);
		print_cell(amount, 10);
		print_cell(why, 39);
		print_last(account->organization.name);
	}
	free(amount);
}

/* What comes if nothing else does: no payment, and every reminder arrives. */
static void
preview_one(struct account *account, const struct conf *conf)
{
	const int64_t until = clock_now() + PREVIEW_S;
	struct dunning_next next = {.at = clock_now()};
	struct buf why = BUF_INIT(500);

	do {
		next = dunning_next(account, conf, next.at);
		if (next.at > until)
			break;
		buf_clear(&why);
		dunning_why(&why, account, &next);
		preview_row(account, &next, buf_string(&why));
		dunning_imagine(account, &next);
	} while (next.wait < DUNNING_FROZEN && next.step != DUNNING_DOWNGRADE);
	buf_release(&why);
}

static bool
preview(struct db *db, const struct conf *conf, struct error *error)
{
	struct account *accounts = NULL;
	size_t count = 0, i;
	bool ok = debtors_find(db, &accounts, &count, error);

	if (ok && !prog.json)
		printf("%-20s  %-20s  %-12s  %-10s  %-39s  %s\n",
		    "ORGANIZATION", "NOT BEFORE", "STEP", "OWED", "WAITS",
		    "NAME");
	for (i = 0; ok && i < count; i++)
		preview_one(&accounts[i], conf);
	debtors_free(accounts, count);
	return ok;
}

/* Nothing is made or changed, a database that is not there is an empty one. */
static bool
look(const struct conf *conf,
    bool (*show)(struct db *, const struct conf *, struct error *),
    struct error *error)
{
	const bool is_there = access(conf->database_path, F_OK) == 0;
	struct db *db = NULL;
	bool ok = db_open(&db, conf, is_there ? DB_READ : DB_REHEARSE, error) &&
	    show(db, conf, error);

	db_close(db);
	return ok;
}

/*
 * --freeze and --thaw
 */
static bool
freeze(struct ledger *ledger, struct error *error)
{
	const char *whom =
	    strcmp(options.whom, "all") != 0 ? options.whom : NULL;
	const bool on = options.verb == OPTION_FREEZE;
	const int64_t now = clock_now();
	struct event event;
	char *line = NULL;
	bool ok;

	dunning_freeze_event(&event, whom, on, now);
	ok = ledger_record(ledger, &event, decide_freeze, &line, error) !=
		LEDGER_FAILED &&
	    (whom != NULL ||
		debtors_freeze_all(ledger_db(ledger), on ? now : 0, error)) &&
	    ledger_flush(ledger, error);
	if (ok)
		puts(line);
	free(line);
	event_release(&event);
	return ok;
}

/*
 * A run.
 */

static char *
summary_of(const struct dun_count *count)
{
	json_t *json = json_object();
	char *text;

	json_put_number(json, "reminders", count->reminders);
	json_put_number(json, "downgraded", count->downgraded);
	json_put_number(json, "recovered", count->recovered);
	json_put_number(json, "waiting", count->waiting);
	text = json_compact(json);
	json_decref(json);
	return text;
}

static void
say_summary(const struct dun_count *count)
{
	if (count->reminders + count->downgraded + count->recovered +
		count->waiting ==
	    0)
		return;
	prog_note("%" PRId64 " reminded, %" PRId64 " downgraded, %" PRId64
		  " found to have paid, %" PRId64 " waiting",
	    count->reminders, count->downgraded, count->recovered,
	    count->waiting);
}

static void
tell_watcher(const struct conf *conf, enum ping what)
{
	if (!prog.dry_run && !ping(conf->ping_dunning_url, what))
		prog_note("cron.ping_dunning does not answer");
}

static bool
run_once(struct ledger *ledger, const struct conf *conf, struct error *error)
{
	const int64_t now = clock_now();
	struct dun_count count = {0};
	struct run *run = NULL;
	struct error error_of_row = {0};
	char *summary;
	bool ok;

	switch (run_begin(&run, conf, prog.dry_run ? NULL : ledger_db(ledger),
	    "dunning", now, error)) {
	case RUN_FAILED: return false;
	case RUN_ELSEWHERE:
		prog_note("another one is at it; nothing done");
		return true;
	case RUN_BEGUN: break;
	}
	tell_watcher(conf, PING_START);
	ok = dun(ledger, conf, run_id(run), now, options.force, &count, error);
	say_summary(&count);
	intake_say_skipped(ledger, conf);
	summary = summary_of(&count);
	if (!run_end(run, ok ? 0 : error_status(error->kind), summary,
		clock_now(), &error_of_row) &&
	    ok) {
		*error = error_of_row;
		ok = false;
	}
	tell_watcher(conf, ok ? PING_WELL : PING_FAILED);
	free(summary);
	return ok;
}

static bool
act(const struct conf *conf, struct error *error)
{
	struct ledger *ledger = NULL;
	bool ok = ledger_open(&ledger, conf,
		      prog.dry_run ? DB_REHEARSE : DB_WRITE, error) &&
	    (options.verb == 0 ? run_once(ledger, conf, error)
			       : freeze(ledger, error));

	ledger_close(ledger);
	if (options.verb == 0)
		intake_deliver(NULL);
	return ok;
}

static void
take_verb(int verb)
{
	if (options.verb != 0)
		prog_usage();
	options.verb = verb;
	options.whom = optarg;
}

int
main(int argc, char *argv[])
{
	static const struct option known[] = {PROG_OPTIONS,
	    {"list", no_argument, NULL, OPTION_LIST},
	    {"preview", no_argument, NULL, OPTION_PREVIEW},
	    {"freeze", required_argument, NULL, OPTION_FREEZE},
	    {"thaw", required_argument, NULL, OPTION_THAW},
	    {"force", no_argument, NULL, OPTION_FORCE}, {0}};
	struct conf conf = {0};
	struct error error = {0};
	bool ok;
	int ch;

	prog_start("automate-dunning",
	    "[options] [--force | --list | --preview | --freeze "
	    "organization|all | --thaw organization|all]",
	    argv);
	while ((ch = prog_getopt(argc, argv, "", known)) != -1)
		switch (ch) {
		case OPTION_FORCE: options.force = true; break;
		case OPTION_LIST:
		case OPTION_PREVIEW:
		case OPTION_FREEZE:
		case OPTION_THAW: take_verb(ch); break;
		default: prog_usage();
		}
	if (optind < argc || (options.force && options.verb != 0))
		prog_usage();

	ok = prog_ready(&conf, &error) &&
	    (options.verb == OPTION_LIST ? look(&conf, list, &error)
		    : options.verb == OPTION_PREVIEW
		    ? look(&conf, preview, &error)
		    : act(&conf, &error));

	conf_release(&conf);
	return prog_end(ok ? NULL : &error);
}
