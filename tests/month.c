/*
 * month: a month of usage, simulated, against the meter of tests/meter.c.
 *
 *	month -o organizations -c calls -d days -k seed
 *
 * Calls come at once, hours or days late, twice and out of order, some at first
 * without their organization. Every night has a run of automate-reconcile, but
 * some are missed, some have another run beside them, and some are killed at a
 * random instant. Stripe refuses, limits, fails before and after it has
 * accepted, breaks off, forgets and lags. A founder comes in at ten and does
 * what the drifts say is to be done.
 *
 * Prints TAP: after each whole night every discrepancy that can be known is
 * an open drift and told by an alert, and at the end the meter has the true
 * count of every organization and day. The configuration is $AUTOMATE_CONFIG's;
 * commands, with stripe-get for the meter, are those of PATH.
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

struct call {
	int64_t id, organization, placed_at, comes_at, attributed_at;
};

static struct {
	int64_t organizations, calls, days, seed;
} size;

static struct conf conf;
static struct db *db;
static struct call *calls;
static int64_t next_call, now;
static int64_t *truth; /* by organization and day */
static int64_t *sums; /* what the meter has, the same */
static uint64_t dice_state;

static int64_t nights, missed, killed, unreachable, discrepancies, untold;

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

static void
change(const char *sql, int64_t a, int64_t b, int64_t c)
{
	struct error error = {0};

	must(db_run(db, &error, sql, "iii", a, b, c), error.text);
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

static pid_t
start(const char *const *arguments)
{
	pid_t child = fork();
	int out;

	if (child != 0)
		return child;
	setpgid(0, 0);
	out = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
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

	return start(arguments);
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
	must(end(start(arguments)) == 0, "the meter does not answer");
	for (i = 3; i < count; i += 2)
		free((char *)arguments[i]);
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
	memset(
	    sums, 0, (size_t)(size.organizations * size.days) * sizeof(*sums));
	json_array_foreach(json_object_get(all, "sums"), i, item)
	{
		must(json_number(&day, item, "day") &&
			json_number(&sum, item, "sum"),
		    "no sums");
		organization = atoll(json_text(item, "customer") + 4);
		day = (day - START) / CLOCK_DAY_S;
		must(organization < size.organizations && day >= 0 &&
			day < size.days,
		    "the meter has what nobody used");
		sums[organization * size.days + day] = sum;
	}
	json_decref(all);
	buf_release(&text);
}

/*
 * Calls.
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

static int
compare_arrival(const void *a, const void *b)
{
	const struct call *one = a, *other = b;

	return (one->comes_at > other->comes_at) -
	    (one->comes_at < other->comes_at);
}

static void
plan_calls(void)
{
	struct call *call;
	int64_t i;

	calls = mem_alloc((size_t)size.calls * sizeof(*calls));
	for (i = 0; i < size.calls; i++) {
		call = &calls[i];
		call->id = i;
		call->organization = percent(50)
		    ? dice(size.organizations)
		    : dice(1 + size.organizations / 10);
		call->placed_at = START + dice(size.days * CLOCK_DAY_S);
		call->comes_at = call->placed_at + lateness();
		call->attributed_at =
		    percent(2) ? call->comes_at + dice(CLOCK_DAY_S) : 0;
		truth[call->organization * size.days +
		    (call->placed_at - START) / CLOCK_DAY_S]++;
	}
	qsort(calls, (size_t)size.calls, sizeof(*calls), compare_arrival);
}

static void
write_call(const struct call *call)
{
	change("INSERT INTO calls (id, call_id, organization_id, state, "
	       "placed_at, created_at) VALUES ('call_' || $1, 'call_' || $1, "
	       "CASE WHEN $2 < 0 THEN NULL ELSE 'org_' || $2 END, 'ended', "
	       "$3, $3) ON CONFLICT (call_id) DO NOTHING",
	    call->id, call->attributed_at != 0 ? -1 : call->organization,
	    call->placed_at);
}

/* What comes until now: some of it again, and late to know whose it is. */
static void
let_calls_come(void)
{
	struct error error = {0};
	int64_t i;

	must(db_begin(db, &error), error.text);
	for (; next_call < size.calls && calls[next_call].comes_at <= now;
	     next_call++) {
		write_call(&calls[next_call]);
		if (next_call > 0 && percent(10))
			write_call(&calls[dice(next_call)]);
	}
	for (i = 0; i < next_call; i++)
		if (calls[i].attributed_at != 0 &&
		    calls[i].attributed_at <= now) {
			change("UPDATE calls SET organization_id = "
			       "'org_' || $2 WHERE call_id = 'call_' || $1 "
			       "AND $3 = 0",
			    calls[i].id, calls[i].organization, 0);
			calls[i].attributed_at = 0;
		}
	must(db_commit(db, &error), error.text);
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
		if (sums[organization * size.days + day] == db_int(rows, 2))
			continue;
		discrepancies++;
		if (db_int(rows, 3) == 0) {
			untold++;
			printf("# org_%lld, day %lld: %lld sent, %lld at "
			       "Stripe, no drift\n",
			    (long long)organization, (long long)day,
			    (long long)db_int(rows, 2),
			    (long long)sums[organization * size.days + day]);
		}
	}
	must(db_done(rows, &error), error.text);
	if (ask("SELECT count(*) FROM drifts WHERE ended_at IS NULL AND NOT "
		"EXISTS (SELECT 1 FROM system_alerts WHERE kind = "
		"'usage.drift' AND resolved_at IS NULL)") > 0) {
		untold++;
		printf("# drifts are open, and no alert is\n");
	}
}

static void
kill_somewhere(void)
{
	struct timespec pause = {0, dice(400) * 1000000};
	pid_t child = begin("automate-reconcile", NULL, NULL);

	setpgid(child, child);
	nanosleep(&pause, NULL);
	kill(-child, SIGKILL);
	end(child);
	killed++;
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
		kill_somewhere();
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
	return next_call == size.calls &&
	    ask("SELECT count(*) FROM usage WHERE settled_at IS NULL") +
		ask("SELECT count(*) FROM calls WHERE organization_id IS "
		    "NULL") ==
	    0;
}

/* How many of all days the meter, or the ledger, has otherwise. */
static int64_t
count_wrong(const int64_t *table, const char *whose)
{
	int64_t wrong = 0, i;

	for (i = 0; i < size.organizations * size.days; i++) {
		if (table[i] == truth[i])
			continue;
		if (wrong++ < 10)
			printf("# org_%lld, day %lld: %lld in truth, %lld %s\n",
			    (long long)(i / size.days),
			    (long long)(i % size.days), (long long)truth[i],
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
		ledger[atoll(db_text(rows, 0) + 4) * size.days +
		    (db_int(rows, 1) - START) / CLOCK_DAY_S] = db_int(rows, 2);
	must(db_done(rows, &error), error.text);
}

static void
check_end(void)
{
	int64_t *ledger = mem_alloc(
	    (size_t)(size.organizations * size.days) * sizeof(*ledger));

	read_sums();
	read_ledger(ledger);
	is_int(count_wrong(sums, "at Stripe"), 0,
	    "the meter has the true count of every organization and day");
	is_int(count_wrong(ledger, "in the ledger"), 0,
	    "and so has the ledger, confirmed");
	ok(is_settled(), "every day is settled");
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
	const int64_t cells = size.organizations * size.days;
	struct error error = {0};
	int64_t i;

	must(conf_load(&conf, NULL, &error) &&
		db_open(&db, &conf, DB_WRITE, &error) && db_begin(db, &error),
	    error.text);
	for (i = 0; i < size.organizations; i++)
		change("INSERT INTO organizations (id, status, status_at, "
		       "stripe_customer_id, created_at) VALUES ('org_' || $1, "
		       "'active', $2, 'cus_' || $1, $3)",
		    i, 0, 0);
	must(db_commit(db, &error), error.text);
	truth = mem_alloc((size_t)cells * sizeof(*truth));
	sums = mem_alloc((size_t)cells * sizeof(*sums));
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
	free(truth);
	free(sums);
	return tap_end();
}
