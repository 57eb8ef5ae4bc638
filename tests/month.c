/*
 * month: a month of usage, simulated, against the meter of tests/meter.c.
 *
 *	month -o organizations -c calls -d days -k seed
 *
 * Organizations, leads and Retell's events of calls go through the commands
 * that receive them, in batches. Events come at once, hours or days late, twice
 * and out of order, some are lost, and some readers are killed, so that all of
 * the batch comes again. Whose a call is stands in its metadata, or is that of
 * the lead named there or of the number; some leads come later than their
 * calls, and some calls are nobody's. Every night has a run of
 * automate-reconcile, but some are missed, some have another run beside them,
 * and some are killed at a random instant. Stripe refuses, limits, fails before
 * and after it has accepted, breaks off, forgets and lags. A founder comes in
 * at ten and does what the drifts say is to be done.
 *
 * The truth is counted here alone. A call counts once, if any event of it came,
 * for whom it was made, on the UTC day in which Retell says that it began; or,
 * where Retell does not say, since nobody was dialled, in which the first event
 * came. (A call that automate-call places counts when Retell accepts it; none
 * is placed here.)
 *
 * Prints TAP: after each whole night every discrepancy that can be known is
 * an open drift and told by an alert, and so are calls of nobody; and at the
 * end the meter has the true count of every organization and day. The
 * configuration is $AUTOMATE_CONFIG's; commands, with stripe-get for the meter,
 * are those of PATH.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/db.h"
#include "tap.h"

#define START 1793491200 /* 2026-11-01T00:00:00Z */
#define HOUR 3600
#define LAST_NIGHTS_MAX 20
#define SETTLE_S (6 * HOUR)
#define NOBODY (-1)

/* By what an event of it tells whose it is. */
enum clue { CLUE_ORGANIZATION, CLUE_LEAD, CLUE_NUMBER, CLUE_CALLER };

struct call {
	int64_t organization, lead, began_at, duration_s;
	enum clue clue;
	bool reached;
	bool dialled; /* else Retell does not say when it began */
	bool counted; /* into the truth */
};

enum kind { STARTED, ENDED, ANALYZED, KINDS };

/* One coming of an event. */
struct coming {
	int64_t call, at;
	enum kind kind;
};

static struct {
	int64_t organizations, calls, days, seed;
	int64_t leads_each;
	int64_t all_days; /* that anything can be counted for */
} size;

static struct conf conf;
static struct db *db;
static struct call *calls;
static struct coming *comings;
static int64_t comings_count, next_coming, now;
static int64_t *lead_comes_at;
static int64_t leads_until; /* what came before was told */
static int64_t *truth; /* by organization and day */
static int64_t nobodys; /* calls of nobody */
static int64_t *sums; /* what the meter has, the same */
static uint64_t dice_state;

static int64_t nights, missed, killed, unreachable, discrepancies, untold,
    batches, batches_killed;

static void
must(bool fact, const char *what)
{
	if (fact)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

/* From 0 to below most. */
static int64_t
dice(int64_t most)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (int64_t)(dice_state % (uint64_t)most);
}

static bool
percent(int64_t chance)
{
	return dice(100) < chance;
}

static int64_t
ask(const char *sql)
{
	struct error error = {0};
	struct db_rows *rows = db_query(db, sql, "");
	int64_t number = db_next(rows) ? db_int(rows, 0) : 0;

	must(db_done(rows, &error), error.text);
	return number;
}

/*
 * Commands.
 */

/* What one says that reads a file is thrown away. */
static pid_t
start(const char *const *arguments, const char *input)
{
	pid_t child = fork();
	int in, out, log;

	if (child != 0)
		return child;
	setpgid(0, 0);
	in = open(input != NULL ? input : "/dev/null", O_RDONLY);
	log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	out = input != NULL ? open("/dev/null", O_WRONLY) : log;
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(arguments[0], (char *const *)arguments);
	_exit(127);
}

static int
end(pid_t child)
{
	int status = 0;

	must(waitpid(child, &status, 0) == child, "no child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A command at the present moment of the simulation. */
static pid_t
begin(const char *name, const char *option, const char *value)
{
	char text[CLOCK_TEXT_MAX];
	const char *arguments[] = {
	    name, "--now", clock_format(text, now), option, value, NULL};

	return start(arguments, NULL);
}

static int
run(const char *name, const char *option, const char *value)
{
	return end(begin(name, option, value));
}

/* Names and numbers, in turn, up to a NULL. */
static void
set_meter(const char *const *names, const int64_t *numbers)
{
	const char *arguments[64] = {"stripe-get", "/set"};
	size_t count = 2, i;

	for (i = 0; names[i] != NULL; i++) {
		arguments[count++] = names[i];
		arguments[count++] = mem_format("%lld", (long long)numbers[i]);
	}
	must(end(start(arguments, NULL)) == 0, "the meter does not answer");
	for (i = 3; i < count; i += 2)
		free((char *)arguments[i]);
}

static void
kill_somewhere(pid_t child, int64_t within_ms)
{
	const int64_t wait_us = dice(within_ms * 1000);
	const struct timespec pause = {0, wait_us * 1000};

	setpgid(child, child);
	nanosleep(&pause, NULL);
	kill(-child, SIGKILL);
	end(child);
}

/* All of the lines into a command; again, where it was killed over them. */
static void
feed(const char *name, const char *option, const struct buf *lines)
{
	char text[CLOCK_TEXT_MAX];
	const char *arguments[] = {name, "-q", "--later", "--now",
	    clock_format(text, now), option, NULL};
	FILE *file = fopen("batch", "w");

	must(file != NULL &&
		fwrite(buf_string(lines), 1, lines->size, file) ==
		    lines->size &&
		fclose(file) == 0,
	    "cannot write a batch");
	batches++;
	if (percent(10)) {
		kill_somewhere(start(arguments, "batch"), 50);
		batches_killed++;
	}
	must(end(start(arguments, "batch")) == 0,
	    "a command does not take what comes; see log");
}

static void
read_sums(void)
{
	struct buf text = BUF_INIT(64 * 1024 * 1024);
	FILE *pipe = popen("stripe-get /sums", "r");
	int64_t organization, day, sum;
	json_t *all = NULL, *item;
	size_t i;

	must(pipe != NULL && buf_read(&text, fileno(pipe), NULL), "no sums");
	pclose(pipe);
	must(json_parse(&all, buf_string(&text), text.size, NULL), "no sums");
	memset(sums, 0,
	    (size_t)(size.organizations * size.all_days) * sizeof(*sums));
	json_array_foreach(json_object_get(all, "sums"), i, item)
	{
		must(json_number(&day, item, "day") &&
			json_number(&sum, item, "sum"),
		    "no sums");
		organization = atoll(json_text(item, "customer") + 4);
		day = (day - START) / CLOCK_DAY_S;
		must(organization < size.organizations && day >= 0 &&
			day < size.all_days,
		    "the meter has what nobody used");
		sums[organization * size.all_days + day] = sum;
	}
	json_decref(all);
	buf_release(&text);
}

/*
 * Organizations, and their leads: some come late, and two, of two of them, have
 * one number.
 */

static void
bring_organizations(void)
{
	struct buf lines = BUF_INIT(64 * 1024 * 1024);
	int64_t i;

	for (i = 0; i < size.organizations; i++)
		buf_format(&lines,
		    "{\"id\":\"org_%lld\",\"name\":\"Organization %lld\","
		    "\"stripe_customer_id\":\"cus_%lld\"}\n",
		    (long long)i, (long long)i, (long long)i);
	feed("automate-onboard", NULL, &lines);
	buf_release(&lines);
}

static int64_t
leads(void)
{
	return size.organizations * size.leads_each;
}

static void
plan_leads(void)
{
	int64_t i;

	lead_comes_at = mem_alloc((size_t)leads() * sizeof(*lead_comes_at));
	for (i = 0; i < leads(); i++)
		lead_comes_at[i] =
		    percent(90) ? START : START + dice(size.days * CLOCK_DAY_S);
}

static void
add_lead(struct buf *lines, int64_t lead, int64_t organization, int64_t number)
{
	buf_format(lines,
	    "{\"type\":\"INSERT\",\"table\":\"leads\",\"schema\":\"public\","
	    "\"old_record\":null,\"record\":{\"id\":\"lead_%lld\","
	    "\"organization_id\":\"org_%lld\",\"phone\":\"+1555%07lld\","
	    "\"status\":\"contacted\"}}\n",
	    (long long)lead, (long long)organization, (long long)number);
}

static void
bring_leads(void)
{
	struct buf lines = BUF_INIT(64 * 1024 * 1024);
	int64_t i;

	for (i = 0; i < leads(); i++)
		if (lead_comes_at[i] >= leads_until && lead_comes_at[i] <= now)
			add_lead(&lines, i, i / size.leads_each, i);
	if (leads_until == 0) {
		add_lead(&lines, leads(), 0, leads());
		add_lead(&lines, leads() + 1, 1, leads());
	}
	leads_until = now + 1;
	if (lines.size > 0)
		feed("automate-call", NULL, &lines);
	buf_release(&lines);
}

/*
 * Calls, and the events of them.
 */

static int64_t
lateness(void)
{
	if (percent(75))
		return dice(60);
	if (percent(80))
		return dice(12 * HOUR);
	return dice((size.days < 10 ? size.days : 10) * CLOCK_DAY_S);
}

static void
count_call(struct call *call, int64_t at)
{
	if (call->counted)
		return;
	call->counted = true;
	if (call->organization == NOBODY)
		nobodys++;
	else
		truth[call->organization * size.all_days +
		    (at - START) / CLOCK_DAY_S]++;
}

static void
plan_call(struct call *call)
{
	call->organization = percent(50) ? dice(size.organizations)
					 : dice(1 + size.organizations / 10);
	call->lead =
	    call->organization * size.leads_each + dice(size.leads_each);
	call->clue = percent(50) ? CLUE_ORGANIZATION
				 : (enum clue)(1 + dice(CLUE_CALLER));
	call->began_at = START + dice(size.days * CLOCK_DAY_S);
	call->duration_s = dice(600);
	call->reached = percent(95);
	call->dialled = call->reached || percent(50);
	if (call->dialled && percent(1)) {
		call->organization = NOBODY;
		call->lead = leads() + dice(2); /* of two, or of none */
		call->clue = percent(50) ? CLUE_NUMBER : CLUE_CALLER;
	}
	if (call->dialled)
		count_call(call, call->began_at);
}

static void
let_come(int64_t call, enum kind kind, int64_t at)
{
	comings[comings_count++] = (struct coming){call, at, kind};
	if (percent(10))
		comings[comings_count++] =
		    (struct coming){call, at + lateness(), kind};
}

/*
 * An event in ten is lost, the last one never; that waits for the lead, where
 * nothing but its number tells whose the call is.
 */
static void
plan_events(int64_t i)
{
	const struct call *call = &calls[i];
	const int64_t ended_at = call->began_at + call->duration_s;
	int64_t at = ended_at + lateness();

	if (call->reached && percent(90))
		let_come(i, STARTED, call->began_at + lateness());
	if (percent(90))
		let_come(i, ENDED, ended_at + lateness());
	if (call->organization != NOBODY && call->clue >= CLUE_NUMBER &&
	    at < lead_comes_at[call->lead])
		at = lead_comes_at[call->lead] + dice(CLOCK_DAY_S);
	let_come(i, ANALYZED, at);
}

static int
compare_coming(const void *a, const void *b)
{
	const struct coming *one = a, *other = b;

	return (one->at > other->at) - (one->at < other->at);
}

static void
plan_calls(void)
{
	int64_t i;

	calls = mem_alloc((size_t)size.calls * sizeof(*calls));
	comings = mem_alloc((size_t)size.calls * 2 * KINDS * sizeof(*comings));
	for (i = 0; i < size.calls; i++) {
		plan_call(&calls[i]);
		plan_events(i);
	}
	qsort(comings, (size_t)comings_count, sizeof(*comings), compare_coming);
}

static void
add_status(struct buf *lines, const struct call *call, enum kind kind)
{
	if (kind == STARTED)
		buf_text(lines, ",\"call_status\":\"ongoing\"");
	else if (call->reached)
		buf_format(lines,
		    ",\"call_status\":\"ended\",\"disconnection_reason\":"
		    "\"user_hangup\",\"duration_ms\":%lld",
		    (long long)call->duration_s * 1000);
	else
		buf_text(lines,
		    ",\"call_status\":\"not_connected\","
		    "\"disconnection_reason\":\"dial_no_answer\"");
	if (call->dialled)
		buf_format(lines, ",\"start_timestamp\":%lld",
		    (long long)call->began_at * 1000 + 345);
	if (call->dialled && kind != STARTED)
		buf_format(lines, ",\"end_timestamp\":%lld",
		    (long long)(call->began_at + call->duration_s) * 1000);
}

static void
add_clue(struct buf *lines, const struct call *call)
{
	const bool inbound = call->clue == CLUE_CALLER;

	buf_format(lines,
	    ",\"direction\":\"%s\",\"%s\":\"+14155550100\","
	    "\"%s\":\"+1555%07lld\"",
	    inbound ? "inbound" : "outbound",
	    inbound ? "to_number" : "from_number",
	    inbound ? "from_number" : "to_number", (long long)call->lead);
	if (call->clue == CLUE_ORGANIZATION)
		buf_format(lines,
		    ",\"metadata\":{\"organization_id\":\"org_%lld\"}",
		    (long long)call->organization);
	else if (call->clue == CLUE_LEAD)
		buf_format(lines, ",\"metadata\":{\"lead_id\":\"lead_%lld\"}",
		    (long long)call->lead);
}

static void
add_event(struct buf *lines, const struct coming *coming)
{
	static const char *const names[] = {
	    "call_started", "call_ended", "call_analyzed"};
	struct call *call = &calls[coming->call];

	buf_format(lines,
	    "{\"event\":\"%s\",\"call\":{\"call_id\":\"call_%lld\","
	    "\"call_type\":\"phone_call\"",
	    names[coming->kind], (long long)coming->call);
	add_status(lines, call, coming->kind);
	add_clue(lines, call);
	buf_text(lines, "}}\n");
	count_call(call, now);
	if (percent(1))
		buf_format(lines,
		    "{\"event\":\"transcript_updated\",\"call\":{\"call_id\":"
		    "\"other_%lld\"}}\n",
		    (long long)coming->call);
}

/* What comes until now. */
static void
let_calls_come(void)
{
	struct buf lines = BUF_INIT(256 * 1024 * 1024);

	bring_leads();
	for (; next_coming < comings_count && comings[next_coming].at <= now;
	     next_coming++)
		add_event(&lines, &comings[next_coming]);
	if (lines.size > 0)
		feed("automate-retell-event", "--unsigned", &lines);
	buf_release(&lines);
}

/*
 * The days.
 */

static void
go_to(int64_t moment)
{
	static const char *const names[] = {"now", NULL};

	now = moment;
	let_calls_come();
	set_meter(names, &now);
}

/* Each in a third of the nights, or none. */
static void
set_faults(bool any)
{
	static const char *const names[] = {"reject", "limit", "lose", "fail",
	    "fail_after", "drop", "down", "lag", NULL};
	static const int64_t worst[] = {
	    50, 300, 200, 300, 100, 50, 1000, 5 * HOUR};
	int64_t numbers[8];
	int i;

	for (i = 0; i < 8; i++)
		numbers[i] = any && percent(33) ? 1 + dice(worst[i]) : 0;
	set_meter(names, numbers);
}

/* Whether a call of nobody has come, of a day that is over. */
static bool
is_nobodys_known(int64_t began_at)
{
	const struct call *call;
	int64_t i;

	for (i = 0; i < next_coming; i++) {
		call = &calls[comings[i].call];
		if (call->organization == NOBODY &&
		    call->began_at < clock_day(began_at))
			return true;
	}
	return false;
}

/* Whether each discrepancy that can be known is an open drift, and told. */
static void
check_drifts(int64_t began_at)
{
	struct error error = {0};
	int64_t organization, day;
	struct db_rows *rows;

	read_sums();
	rows = db_query(db,
	    "SELECT u.organization_id, u.day_at, u.sent, EXISTS (SELECT 1 FROM "
	    "drifts d WHERE d.organization_id = u.organization_id AND d.day_at "
	    "= u.day_at AND ended_at IS NULL) FROM usage u WHERE day_at <= $1 "
	    "- 86400 AND sent_at <= $1 AND NOT EXISTS (SELECT 1 FROM "
	    "deliveries d WHERE d.organization_id = u.organization_id AND "
	    "d.idempotency_key LIKE 'usage:' || u.organization_id || ':' || "
	    "date(u.day_at, 'unixepoch') || ':%' AND d.settled_at > $1)",
	    "i", began_at - SETTLE_S);
	while (db_next(rows)) {
		organization = atoll(db_text(rows, 0) + 4);
		day = (db_int(rows, 1) - START) / CLOCK_DAY_S;
		if (sums[organization * size.all_days + day] == db_int(rows, 2))
			continue;
		discrepancies++;
		if (db_int(rows, 3) == 0) {
			untold++;
			printf("# org_%lld, day %lld: %lld sent, %lld at "
			       "Stripe, no drift\n",
			    (long long)organization, (long long)day,
			    (long long)db_int(rows, 2),
			    (long long)
				sums[organization * size.all_days + day]);
		}
	}
	must(db_done(rows, &error), error.text);
	if (is_nobodys_known(began_at) &&
	    ask("SELECT count(*) FROM system_alerts WHERE kind = "
		"'usage.unattributed' AND resolved_at IS NULL") == 0) {
		untold++;
		printf("# calls of nobody have come, and no alert is open\n");
	}
	if (ask("SELECT count(*) FROM drifts WHERE ended_at IS NULL AND NOT "
		"EXISTS (SELECT 1 FROM system_alerts WHERE kind = "
		"'usage.drift' AND resolved_at IS NULL)") > 0) {
		untold++;
		printf("# drifts are open, and no alert is\n");
	}
}

static void
night(bool well)
{
	const int64_t began_at = now;
	pid_t other = 0;
	int status;

	if (!well && percent(15)) {
		missed++;
		return;
	}
	if (!well && percent(20)) {
		kill_somewhere(begin("automate-reconcile", NULL, NULL), 400);
		killed++;
		return;
	}
	nights++;
	if (percent(30))
		other = begin("automate-reconcile", "--today", NULL);
	status = run("automate-reconcile", NULL, NULL);
	if (other != 0)
		end(other);
	must(status == 0 || status == 1 || status == 75,
	    "automate-reconcile ends in an unheard-of way; see log");
	unreachable += status == 75;
	if (status != 75)
		check_drifts(began_at);
}

/* One by one, or all that can be. */
static void
mend(void)
{
	struct error error = {0};
	struct db_rows *rows;
	int64_t ids[3];
	size_t count = 0, i;
	char *id;

	if (percent(50)) {
		run("automate-reconcile", "--apply", "all");
		return;
	}
	rows = db_query(db,
	    "SELECT id FROM drifts WHERE ended_at IS NULL AND command LIKE "
	    "'automate-reconcile --apply %' LIMIT 3",
	    "");
	while (db_next(rows))
		ids[count++] = db_int(rows, 0);
	must(db_done(rows, &error), error.text);
	for (i = 0; i < count; i++) {
		id = mem_format("%lld", (long long)ids[i]);
		run("automate-reconcile", "--apply", id);
		free(id);
	}
}

static void
day(int64_t day_at, bool well)
{
	if (well || percent(50)) {
		go_to(day_at - 4 * HOUR);
		run("automate-reconcile", "--today", NULL);
	}
	if (well || percent(70)) {
		go_to(day_at + 300);
		run("automate-reconcile", "--today", NULL);
	}
	go_to(day_at + 2 * HOUR);
	set_faults(!well);
	night(well);
	if (well || percent(70)) {
		go_to(day_at + 2 * HOUR + 700);
		run("automate-deliver", NULL, NULL);
	}
	if (well || percent(50))
		set_faults(false);
	if (well || percent(70)) {
		go_to(day_at + 4 * HOUR);
		run("automate-deliver", NULL, NULL);
	}
	if (well || percent(70)) {
		go_to(day_at + 10 * HOUR);
		mend();
	}
}

static bool
is_settled(void)
{
	return next_coming == comings_count &&
	    ask("SELECT count(*) FROM usage WHERE settled_at IS NULL") == 0;
}

/* How many of all days the meter, or the ledger, has otherwise. */
static int64_t
count_wrong(const int64_t *table, const char *whose)
{
	int64_t wrong = 0, i;

	for (i = 0; i < size.organizations * size.all_days; i++) {
		if (table[i] == truth[i])
			continue;
		if (wrong++ < 10)
			printf("# org_%lld, day %lld: %lld in truth, %lld %s\n",
			    (long long)(i / size.all_days),
			    (long long)(i % size.all_days), (long long)truth[i],
			    (long long)table[i], whose);
	}
	return wrong;
}

static void
read_ledger(int64_t *ledger)
{
	struct error error = {0};
	struct db_rows *rows = db_query(db,
	    "SELECT organization_id, day_at, confirmed FROM usage WHERE "
	    "counted = sent",
	    "");

	while (db_next(rows))
		ledger[atoll(db_text(rows, 0) + 4) * size.all_days +
		    (db_int(rows, 1) - START) / CLOCK_DAY_S] = db_int(rows, 2);
	must(db_done(rows, &error), error.text);
}

static void
check_end(void)
{
	int64_t *ledger = mem_alloc(
	    (size_t)(size.organizations * size.all_days) * sizeof(*ledger));

	read_sums();
	read_ledger(ledger);
	is_int(count_wrong(sums, "at Stripe"), 0,
	    "the meter has the true count of every organization and day");
	is_int(count_wrong(ledger, "in the ledger"), 0,
	    "and so has the ledger, confirmed");
	ok(is_settled(), "every day is settled");
	is_int(ask("SELECT count(*) FROM calls WHERE organization_id IS NULL"),
	    nobodys, "the calls of nobody are those, and no others");
	is_int(untold, 0, "every discrepancy on the way was told");
	is_int(ask("SELECT count(*) FROM drifts WHERE ended_at IS NULL"), 0,
	    "no drift is left");
	free(ledger);
}

static void
say_what_happened(void)
{
	struct error error = {0};
	struct db_rows *rows;

	printf("# %lld nights run, %lld of them without Stripe, %lld missed, "
	       "%lld killed; %lld discrepancies seen\n",
	    (long long)nights, (long long)unreachable, (long long)missed,
	    (long long)killed, (long long)discrepancies);
	printf("# %lld events in %lld batches, %lld of them killed over once; "
	       "%lld calls of nobody\n",
	    (long long)comings_count, (long long)batches,
	    (long long)batches_killed, (long long)nobodys);
	rows = db_query(db,
	    "SELECT cause, count(*), count(applied_at) FROM drifts GROUP BY "
	    "cause ORDER BY cause",
	    "");
	while (db_next(rows))
		printf("# drifts, at last %s: %lld, %lld of them mended by "
		       "hand\n",
		    db_text(rows, 0), (long long)db_int(rows, 1),
		    (long long)db_int(rows, 2));
	must(db_done(rows, &error), error.text);
	rows = db_query(db,
	    "SELECT state, count(*) FROM deliveries WHERE destination = "
	    "'stripe.meter' GROUP BY state",
	    "");
	while (db_next(rows))
		printf("# reports %s: %lld\n", db_text(rows, 0),
		    (long long)db_int(rows, 1));
	must(db_done(rows, &error), error.text);
}

static void
prepare(void)
{
	struct error error = {0};
	int64_t cells;

	size.all_days = size.days + LAST_NIGHTS_MAX;
	size.leads_each = 2 + size.calls / size.organizations / 10;
	cells = size.organizations * size.all_days;
	truth = mem_alloc((size_t)cells * sizeof(*truth));
	sums = mem_alloc((size_t)cells * sizeof(*sums));
	must(conf_load(&conf, NULL, &error) &&
		db_open(&db, &conf, DB_WRITE, &error),
	    error.text);
	now = START;
	bring_organizations();
	plan_leads();
	bring_leads();
	plan_calls();
}

int
main(int argc, char *argv[])
{
	int64_t i;
	int ch;

	while ((ch = getopt(argc, argv, "o:c:d:k:")) != -1)
		switch (ch) {
		case 'o': size.organizations = atoll(optarg); break;
		case 'c': size.calls = atoll(optarg); break;
		case 'd': size.days = atoll(optarg); break;
		case 'k': size.seed = atoll(optarg); break;
		default: return 64;
		}
	printf("# SEED=%lld\n", (long long)size.seed);
	fflush(stdout);
	dice_state = (uint64_t)size.seed * 2654435761u + 88172645463325252u;
	prepare();
	for (i = 1; i <= size.days; i++)
		day(START + i * CLOCK_DAY_S, false);
	for (; i <= size.days + LAST_NIGHTS_MAX && !is_settled(); i++)
		day(START + i * CLOCK_DAY_S, true);
	check_end();
	say_what_happened();
	db_close(db);
	conf_release(&conf);
	free(calls);
	free(comings);
	free(lead_comes_at);
	free(truth);
	free(sums);
	return tap_end();
}
