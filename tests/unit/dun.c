/*
 * A run of dunning and a payment at the same moment, by two processes, in both
 * orders: never a downgrade after a recorded payment, never a reminder queued
 * after it.
 */
#include "dun.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../store.h"
#include "../tap.h"
#include "base/clock.h"
#include "base/mem.h"
#include "decide/event.h"
#include "prog.h"
#include "store/ledger.h"

#define ROUNDS 200
#define OPENED 1793527200 /* 2026-11-01T10:00:00Z */
#define DAY CLOCK_DAY_S

static struct conf conf;
static struct ledger *ledger; /* this process's own */
static int order, answer; /* pipes to the other one, and from it */
static pid_t other;

static void
must(bool fact, const struct error *error)
{
	if (!fact)
		store_broken(error->text);
}

static void
open_ledger(void)
{
	struct error error = {0};

	must(ledger_open(&ledger, &conf, DB_WRITE, &error), &error);
}

static void
flush(void)
{
	struct error error = {0};

	must(ledger_flush(ledger, &error), &error);
}

/* Record what Stripe says, or an organization: text is freed. */
static void
record(char *text, bool is_organization, int64_t now)
{
	struct event event = {0};
	struct error error = {0};
	char *line = NULL;

	must(is_organization
		? event_from_organization(
		      &event, text, strlen(text), now, &error)
		: event_from_stripe(&event, text, strlen(text), now, &error),
	    &error);
	must(ledger_record(ledger, &event,
		 is_organization ? decide_onboard : decide_stripe, &line,
		 &error) != LEDGER_FAILED,
	    &error);
	free(line);
	event_release(&event);
	free(text);
}

static char *
invoice_event(int n, const char *type, const char *status, int64_t at)
{
	return mem_format(
	    "{\"id\":\"evt_%s_%d\",\"object\":\"event\",\"type\":\"%s\","
	    "\"created\":%lld,\"livemode\":false,\"data\":{\"object\":{"
	    "\"id\":\"in_%d\",\"customer\":\"cus_%d\",\"status\":\"%s\","
	    "\"subscription\":\"sub_%d\",\"currency\":\"usd\","
	    "\"amount_paid\":2900,\"amount_remaining\":2900}}}",
	    status, n, type, (long long)at, n, n, status, n);
}

/* The other process: a run at each moment it is told, until there are none. */
static void
run_on_order(int orders, int answers)
{
	struct dun_count count;
	struct error error = {0};
	int64_t now;

	if (freopen("/dev/null", "w", stdout) == NULL)
		_exit(1);
	open_ledger();
	while (read(orders, &now, sizeof(now)) == (ssize_t)sizeof(now)) {
		memset(&count, 0, sizeof(count));
		if (!dun(ledger, &conf, 0, now, true, &count, &error)) {
			fprintf(stderr, "# %s\n", error.text);
			_exit(1);
		}
		if (write(answers, "", 1) != 1)
			_exit(1);
	}
	ledger_close(ledger);
	_exit(0);
}

static void
start_other(void)
{
	int orders[2], answers[2];

	if (pipe(orders) == -1 || pipe(answers) == -1)
		store_broken("no pipe");
	fflush(stdout);
	other = fork();
	if (other == 0) {
		close(orders[1]);
		run_on_order(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	order = orders[1];
	answer = answers[0];
}

static void
start_run(int64_t now)
{
	if (write(order, &now, sizeof(now)) != (ssize_t)sizeof(now))
		store_broken("the other process is not there");
}

static void
await_run(void)
{
	char byte;

	if (read(answer, &byte, 1) != 1)
		store_broken("a run failed");
}

/* One who owes since day 0; and, of the other kind, was warned on day 7. */
static void
prepare(int n, bool warned)
{
	struct error error = {0};
	char *id;

	record(mem_format("{\"id\":\"org_%d\",\"plan\":\"pro\","
			  "\"stripe_customer_id\":\"cus_%d\"}",
		   n, n),
	    true, OPENED - DAY);
	record(invoice_event(n, "invoice.payment_failed", "open", OPENED),
	    false, OPENED);
	flush();
	if (!warned)
		return;
	start_run(OPENED + 7 * DAY);
	await_run();
	id = mem_format("org_%d", n);
	must(db_run(ledger_db(ledger), &error,
		 "UPDATE deliveries SET state = 'done', settled_at = "
		 "created_at WHERE organization_id = $1 AND step = "
		 "'final_notice'",
		 "t", id),
	    &error);
	free(id);
}

static void
spin(int64_t us)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000 +
		(now.tv_nsec - start.tv_nsec) / 1000 <
	    us);
}

/* Both at once, the payment so much later. */
static void
race(int n, int64_t now, int64_t late_us)
{
	start_run(now);
	spin(late_us);
	record(invoice_event(n, "invoice.paid", "paid", now), false, now);
	flush();
	await_run();
}

/* Whether the run recorded something for that one at that moment. */
static bool
run_was_first(int n, int64_t now)
{
	char *id = mem_format("org_%d", n);
	struct error error = {0};
	struct db_rows *rows = db_query(ledger_db(ledger),
	    "SELECT 1 FROM events WHERE organization_id = $1 AND received_at "
	    "= $2 AND kind LIKE 'dunning.%'",
	    "ti", id, now);
	const bool was = db_next(rows);

	must(db_done(rows, &error), &error);
	free(id);
	return was;
}

/* Of those rounds. */
static int64_t
count(const char *condition)
{
	char *sql = mem_format(
	    "SELECT count(*) FROM organizations o JOIN dunning d ON "
	    "d.organization_id = o.id JOIN deliveries p ON p.organization_id = "
	    "o.id AND p.destination = 'billing' AND p.step IN "
	    "('recovered', 'restored') WHERE %s",
	    condition);
	int64_t number = atoll(ask(&conf, sql));

	free(sql);
	return number;
}

/* The payment is made later until it loses, and sooner until it wins. */
static void
test_races(void)
{
	int64_t late_us = 2000, now;
	int n, lost = 0;

	for (n = 0; n < ROUNDS; n++) {
		now = OPENED + (n % 2 == 1 ? 14 : 7) * DAY;
		prepare(n, n % 2 == 1);
		race(n, now, late_us);
		if (run_was_first(n, now)) {
			lost++;
			late_us -= late_us / 4;
		} else {
			late_us += late_us / 3 + 10;
		}
	}
	close(order);
	waitpid(other, NULL, 0);
	ledger_close(ledger);
	printf("# the run was first in %d of %d rounds\n", lost, ROUNDS);
	ok(lost > 0 && lost < ROUNDS, "both orders were tried");
	is_int(count("o.status = 'active' AND o.plan = 'pro' AND "
		     "o.former_plan IS NULL AND d.closed_at IS NOT NULL"),
	    ROUNDS, "in the end all are active, on their plan");
	is_int(count("EXISTS (SELECT 1 FROM deliveries r WHERE "
		     "r.organization_id = o.id AND r.id > p.id AND r.event_id "
		     "LIKE 'dunning:%')"),
	    0, "nothing was queued after the payment");
	is_int(count("EXISTS (SELECT 1 FROM deliveries r WHERE "
		     "r.organization_id = o.id AND r.state = 'queued' AND "
		     "r.step IN ('reminder_1', 'reminder_3', "
		     "'final_notice'))"),
	    0, "no reminder waits to be sent");
	is_int(count("d.closed_why = 'downgraded' AND p.step <> 'restored'"), 0,
	    "who was downgraded had not paid before, and has his plan back");
}

int
main(void)
{
	prog.name = "dun";
	prog.quiet = true;
	store_conf(&conf, "dun.db");
	conf.dunning_verify = CONF_TRUST;
	conf.stripe_mode = CONF_TEST;
	start_other();
	open_ledger();
	test_races();
	conf_release(&conf);
	return tap_end();
}
