/*
 * The outbox, against a real database: what is claimed by whom, what becomes
 * of it, and of what a sender leaves behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../store.h"
#include "../tap.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/outbox.h"

#define NOON 1700000000
#define DAY 86400

static struct conf conf;
static struct error error;

static struct outbox *
open_outbox(void)
{
	struct outbox *outbox = NULL;

	if (!outbox_open(&outbox, &conf, DB_WRITE, &error))
		store_broken(error.text);
	return outbox;
}

/* An outbox that owes nothing yet, in a database of that name. */
static struct outbox *
begin(const char *database)
{
	conf_release(&conf);
	store_conf(&conf, database);
	return open_outbox();
}

/* A row due at that moment, to be given up two days later. */
static void
owe(const char *destination, const char *key, int64_t due_at)
{
	char *sql = mem_format(
	    "INSERT INTO deliveries (idempotency_key, destination, step, body, "
	    "state, due_at, expires_at, created_at) VALUES ('%s', '%s', "
	    "'step', '{}', 'queued', %" PRId64 ", %" PRId64 ", %" PRId64 ")",
	    key, destination, due_at, due_at + 2 * DAY, due_at);

	change(&conf, sql);
	free(sql);
}

/*
 * A step with that room in every lane. What it claims is in claimed[], until
 * the next one.
 */
static struct delivery **claimed;
static size_t claimed_count;
static struct outbox_lane lanes[CONF_DESTINATIONS];

static void
step(struct outbox *outbox, struct settlement *settlements, size_t count,
    size_t room, int64_t now)
{
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		lanes[i] = (struct outbox_lane){.room = room};
	free(claimed);
	if (!outbox_step(outbox, settlements, count, lanes, NULL, now, &claimed,
		&claimed_count, &error))
		store_broken(error.text);
}

/* The keys of what is claimed, with the number of the attempt. */
static const char *
keys(void)
{
	static struct buf text = BUF_INIT(4096);
	size_t i;

	buf_clear(&text);
	for (i = 0; i < claimed_count; i++)
		buf_format(&text, "%s%s/%" PRId64, i > 0 ? " " : "",
		    claimed[i]->key, claimed[i]->number);
	return buf_string(&text);
}

/* Claim that much, and let go of it: whoever holds the lease has it. */
static void
is_claimed(struct outbox *outbox, size_t room, int64_t now, const char *wanted,
    const char *name)
{
	step(outbox, NULL, 0, room, now);
	is_text(keys(), wanted, name);
	while (claimed_count > 0)
		delivery_free(claimed[--claimed_count]);
}

/* Claim the first that is due there. */
static struct delivery *
claim_one(struct outbox *outbox, enum conf_destination_index index, int64_t now)
{
	struct delivery **list = NULL, *first;
	size_t count = 0;

	memset(lanes, 0, sizeof(lanes));
	lanes[index].room = 1;
	if (!outbox_step(
		outbox, NULL, 0, lanes, NULL, now, &list, &count, &error) ||
	    count != 1)
		store_broken("there is none to claim");
	first = list[0];
	free(list);
	return first;
}

/* Rule on a claimed one. It is freed. */
static void
settle(struct outbox *outbox, struct delivery *delivery,
    enum retry_verdict verdict, int64_t due_at, int64_t now)
{
	struct settlement settlement = {.delivery = delivery,
	    .ruling = {.verdict = verdict,
		.due_at = due_at,
		.reason = "said so"},
	    .status = 503,
	    .took_ms = 12,
	    .answer = mem_copy("busy")};

	settlement.ruling.destination_fault =
	    verdict == RETRY_LATER || verdict == RETRY_GONE;
	step(outbox, &settlement, 1, 0, now);
}

/* Claim a mail, and rule on it. */
static void
try_mail(struct outbox *outbox, enum retry_verdict verdict, int64_t due_at,
    int64_t now)
{
	settle(outbox, claim_one(outbox, CONF_MAIL, now), verdict, due_at, now);
}

static void
is_asked(const char *sql, const char *wanted, const char *name)
{
	is_text(ask(&conf, sql), wanted, name);
}

/*
 * Claim and settle.
 */

static void
test_claim(void)
{
	struct outbox *outbox = begin("claim.db");
	struct delivery **list = NULL;
	size_t count = 0;

	is_claimed(outbox, 8, NOON, "", "nothing is owed");
	owe("mail", "m3", NOON - 10);
	owe("mail", "m2", NOON - 20);
	owe("mail", "m1", NOON - 20);
	owe("mail", "later", NOON + 1);
	owe("sms", "s1", NOON);
	owe("nowhere", "n1", NOON);
	step(outbox, NULL, 0, 2, NOON);
	is_text(keys(), "m2/1 m1/1 s1/1",
	    "what is due, the oldest first, as far as there is room");
	is_int(claimed[0]->expires_at, NOON - 20 + 2 * DAY, "with its end");
	while (claimed_count > 0)
		delivery_free(claimed[--claimed_count]);
	is_claimed(outbox, 8, NOON, "m3/1", "then the rest, and nothing twice");
	is_claimed(outbox, 8, NOON + 1, "later/1", "each in its time");
	is_asked("SELECT group_concat(DISTINCT state || ' ' || (lease_until - "
		 "1700000000)) FROM deliveries WHERE idempotency_key LIKE 'm_'",
	    "sending 600", "under a lease");

	change(&conf, "DELETE FROM deliveries");
	change(&conf,
	    "INSERT INTO events (id, source, kind, occurred_at, received_at, "
	    "outcome, result, body) VALUES ('e1', 'test', 'k', 0, 0, "
	    "'recorded', '{}', '{}')");
	owe("mail", "m4", NOON);
	owe("mail", "m5", NOON);
	change(&conf,
	    "UPDATE deliveries SET event_id = 'e1' WHERE "
	    "idempotency_key = 'm5'");
	lanes[CONF_MAIL].room = 8;
	ok(outbox_step(
	       outbox, NULL, 0, lanes, "e1", NOON, &list, &count, &error) &&
		count == 1 && strcmp(list[0]->key, "m5") == 0,
	    "those of one event alone");
	while (count > 0)
		delivery_free(list[--count]);
	free(list);
	outbox_close(outbox);
}

static void
test_unconfigured(void)
{
	struct outbox *outbox = begin("unconfigured.db");

	conf.destinations[CONF_MAIL].configured = false;
	owe("mail", "m1", NOON);
	is_claimed(outbox, 8, NOON, "",
	    "a destination that is configured no more keeps what is owed");
	conf.destinations[CONF_MAIL].configured = true;
	is_claimed(outbox, 8, NOON, "m1/1", "until it is again");
	outbox_close(outbox);
}

static void
test_settle(void)
{
	struct outbox *outbox = begin("settle.db");

	owe("mail", "m1", NOON);
	try_mail(outbox, RETRY_LATER, NOON + 30, NOON + 1);
	is_asked("SELECT state || ' ' || (due_at - 1700000000) || ' ' || "
		 "attempts || ' ' || answer || ' ' || coalesce(lease_owner, "
		 "'-') || ' ' || coalesce(settled_at, '-') FROM deliveries",
	    "queued 30 1 said so - -", "later: queued, for then");
	is_claimed(outbox, 8, NOON + 29, "", "not before");
	try_mail(outbox, RETRY_DONE, 0, NOON + 30);
	is_asked("SELECT state || ' ' || (settled_at - 1700000000) FROM "
		 "deliveries",
	    "done 30", "done");
	is_asked("SELECT group_concat(number || ' ' || (at - 1700000000) || "
		 "' ' || status || ' ' || took_ms || ' ' || ruling || ' ' || "
		 "answer, '; ') FROM attempts",
	    "1 1 503 12 said so busy; 2 30 503 12 said so busy",
	    "each attempt is kept");
	is_claimed(outbox, 8, NOON + DAY, "", "done is done");
	outbox_close(outbox);
}

static void
test_dead(void)
{
	struct outbox *outbox = begin("dead.db");

	owe("mail", "m1", NOON);
	try_mail(outbox, RETRY_DEAD, 0, NOON);
	is_asked("SELECT state FROM deliveries WHERE id = 1", "dead", "dead");
	is_asked("SELECT kind || ' ' || fingerprint || ' ' || severity FROM "
		 "system_alerts",
	    "delivery.dead delivery.dead:mail error", "and told");
	is_asked("SELECT destination FROM deliveries WHERE step = 'alert'",
	    "slack.alerts", "elsewhere");

	outbox_close(outbox);
	outbox = begin("deadslack.db");
	owe("slack.alerts", "a1", NOON);
	settle(outbox, claim_one(outbox, CONF_SLACK_ALERTS, NOON), RETRY_DEAD,
	    0, NOON);
	is_asked("SELECT group_concat(destination) FROM deliveries WHERE "
		 "step = 'alert'",
	    "sms", "of Slack by SMS");
	settle(outbox, claim_one(outbox, CONF_SMS, NOON), RETRY_DEAD, 0, NOON);
	is_asked("SELECT count(*) FROM system_alerts", "2", "of that");
	is_asked("SELECT group_concat(destination) FROM deliveries WHERE "
		 "step = 'alert'",
	    "sms", "nowhere, or it would never end");
	outbox_close(outbox);
}

static const char *row_state;

static void
note_state(void *context, const struct outbox_row *row)
{
	(void)context;
	row_state = strcmp(row->state, "held") == 0 ? "held" : "other";
}

static void
test_gone(void)
{
	struct outbox *outbox = begin("gone.db");
	bool found = false;

	owe("mail", "m1", NOON);
	owe("mail", "m2", NOON);
	try_mail(outbox, RETRY_GONE, NOON, NOON);
	is_asked("SELECT group_concat(idempotency_key || ' ' || state) FROM "
		 "deliveries WHERE destination = 'mail'",
	    "m1 queued,m2 queued", "gone: nothing is lost");
	is_asked("SELECT held_why || ' ' || (held_at - 1700000000) FROM "
		 "destinations",
	    "said so 0", "the destination is on hold");
	is_asked("SELECT kind || ' ' || next_command FROM system_alerts",
	    "delivery.held automate-deliver release mail", "and told");
	step(outbox, NULL, 0, 0, NOON + DAY);
	ok(lanes[CONF_MAIL].blocked && !lanes[CONF_SMS].blocked,
	    "that lane is blocked, no other");
	ok(outbox_find(outbox, "m1", NOON, &found, note_state, NULL, &error) &&
		found,
	    "it is found");
	is_text(row_state, "held", "as held");
	change(&conf, "DELETE FROM deliveries WHERE destination <> 'mail'");
	is_claimed(outbox, 8, NOON + DAY, "", "nothing is sent there");
	ok(outbox_unhold(outbox, "mail", NOON + DAY, &error), "released");
	is_claimed(outbox, 8, NOON + DAY,
	    "m1/2 m2/1 alert:1:1:1700086400:resolved:slack.alerts/1",
	    "all goes out, and that it is well again");
	outbox_close(outbox);
}

static void
test_breaker(void)
{
	struct outbox *outbox = begin("breaker.db");
	char key[8];
	int i;

	for (i = 1; i <= 7; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		owe("mail", key, NOON + i);
	}
	for (i = 1; i <= 5; i++)
		try_mail(outbox, RETRY_LATER, NOON + DAY, NOON + 10);
	is_asked("SELECT kind || ' ' || severity FROM system_alerts",
	    "delivery.breaker_open warning", "five faults open the breaker");
	change(&conf, "DELETE FROM deliveries WHERE destination <> 'mail'");
	is_claimed(outbox, 8, NOON + 69, "", "for a minute nothing is tried");
	ok(lanes[CONF_MAIL].blocked, "the lane is blocked");
	is_claimed(outbox, 8, NOON + 70, "m6/1", "then one, whatever the room");
	is_claimed(outbox, 8, NOON + 70, "", "and no other while it is away");
	outbox_close(outbox);

	outbox = begin("probe.db");
	for (i = 1; i <= 7; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		owe("mail", key, NOON + i);
	}
	for (i = 1; i <= 5; i++)
		try_mail(outbox, RETRY_LATER, NOON + DAY, NOON + 10);
	change(&conf, "DELETE FROM deliveries WHERE destination <> 'mail'");
	try_mail(outbox, RETRY_LATER, NOON + DAY, NOON + 70);
	is_claimed(
	    outbox, 8, NOON + 189, "", "a probe that fails: two minutes");
	try_mail(outbox, RETRY_DONE, 0, NOON + 190);
	change(&conf, "DELETE FROM deliveries WHERE destination <> 'mail'");
	is_claimed(outbox, 8, NOON + DAY, "m1/2 m2/2 m3/2 m4/2 m5/2 m6/2",
	    "one that does not: all goes out");
	ok(!lanes[CONF_MAIL].blocked, "the lane is free");
	outbox_close(outbox);
}

static void
test_release(void)
{
	struct outbox *outbox = begin("release.db");
	struct delivery *rows[2];

	owe("mail", "m1", NOON);
	owe("mail", "m2", NOON);
	rows[0] = claim_one(outbox, CONF_MAIL, NOON);
	rows[1] = claim_one(outbox, CONF_MAIL, NOON);
	ok(outbox_release(outbox, rows, 2, &error), "given back unsent");
	is_asked("SELECT DISTINCT state || ' ' || attempts || ' ' || "
		 "coalesce(lease_owner, '-') FROM deliveries",
	    "queued 0 -", "as if they had never been taken");
	is_claimed(outbox, 8, NOON, "m1/1 m2/1", "and taken again");
	ok(outbox_release(outbox, NULL, 0, &error), "or none at all");
	outbox_close(outbox);
}

/*
 * Other senders: this very program, told by its operands to be one. It claims
 * what is due at a moment and says so, then waits to be told to settle it, or
 * to be killed. SQLite does not go along with a fork alone.
 */
static const char *program;

struct sender {
	pid_t process;
	int told, tells; /* our ends of its pipes */
};

static enum retry_verdict
verdict_of(char word)
{
	switch (word) {
	case 'd': return RETRY_DONE;
	case 'x': return RETRY_DEAD;
	default: return RETRY_LATER;
	}
}

static int
be_sender(const char *path, const char *moment)
{
	const int64_t now = strtoll(moment, NULL, 10);
	struct delivery *delivery;
	struct outbox *outbox;
	char word = 'c';

	if (!conf_load(&conf, path, &error))
		return 1;
	outbox = open_outbox();
	delivery = claim_one(outbox, CONF_MAIL, now);
	if (write(STDOUT_FILENO, &word, 1) == 1 &&
	    read(STDIN_FILENO, &word, 1) == 1) {
		settle(outbox, delivery, verdict_of(word), now + 1, now);
		delivery = NULL;
		if (write(STDOUT_FILENO, &word, 1) != 1)
			return 1;
	}
	delivery_free(delivery);
	outbox_close(outbox);
	free(claimed);
	conf_release(&conf);
	return 0;
}

static void
hear(const struct sender *sender)
{
	char word;

	if (read(sender->tells, &word, 1) != 1)
		store_broken("the other sender is gone");
}

static void
tell(const struct sender *sender, char word)
{
	if (write(sender->told, &word, 1) != 1)
		store_broken("the other sender is gone");
	hear(sender);
}

static void
start_sender(struct sender *sender, int64_t now)
{
	int to[2], from[2];
	char moment[32];

	snprintf(moment, sizeof(moment), "%" PRId64, now);
	fflush(stdout);
	if (pipe(to) == -1 || pipe(from) == -1 ||
	    (sender->process = fork()) == -1)
		store_broken("cannot start another sender");
	if (sender->process == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		execl(program, program, conf.path, moment, (char *)NULL);
		_exit(1);
	}
	close(to[0]);
	close(from[1]);
	sender->told = to[1];
	sender->tells = from[0];
	hear(sender);
}

static void
stop_sender(struct sender *sender, int with)
{
	int status;

	if (with != 0)
		kill(sender->process, with);
	close(sender->told);
	close(sender->tells);
	while (waitpid(sender->process, &status, 0) == -1 && errno == EINTR)
		;
}

static void
test_killed(void)
{
	struct outbox *outbox = begin("killed.db");
	struct sender sender;

	owe("mail", "m1", NOON);
	start_sender(&sender, NOON);
	is_claimed(outbox, 8, NOON, "", "a living sender keeps what it has");
	stop_sender(&sender, SIGKILL);
	is_claimed(outbox, 8, NOON, "m1/2",
	    "of one that was killed it is known at once");
	outbox_close(outbox);
}

/* What a sender says whose lease ran out, and who was not dead. */
static void
test_late(const char *database, char word, const char *wanted, const char *name)
{
	struct outbox *outbox = begin(database);
	struct delivery *own;
	struct sender sender;

	owe("mail", "m1", NOON);
	start_sender(&sender, NOON);
	is_claimed(outbox, 8, NOON + OUTBOX_LEASE_S - 1, "",
	    "not before the lease is over");
	own = claim_one(outbox, CONF_MAIL, NOON + OUTBOX_LEASE_S);
	is_int(own->number, 2, "then we have it");
	tell(&sender, word);
	is_asked("SELECT state || ' ' || (SELECT count(*) FROM system_alerts) "
		 "FROM deliveries WHERE idempotency_key = 'm1'",
	    wanted, name);
	settle(outbox, own, RETRY_LATER, NOON + DAY, NOON + OUTBOX_LEASE_S);
	stop_sender(&sender, 0);
	is_asked("SELECT state FROM deliveries WHERE idempotency_key = 'm1'",
	    word == 'd' ? "done" : "queued", "then ours counts, but for that");
	outbox_close(outbox);
}

/*
 * By hand.
 */

static int64_t
changed_by(bool done, int64_t changed)
{
	if (!done)
		store_broken(error.text);
	return changed;
}

static void
test_retry(void)
{
	struct outbox *outbox = begin("retry.db");
	int64_t changed;
	bool done;

	owe("mail", "m1", NOON);
	owe("mail", "m2", NOON);
	owe("mail", "m3", NOON);
	try_mail(outbox, RETRY_DONE, 0, NOON);
	try_mail(outbox, RETRY_DEAD, 0, NOON);
	try_mail(outbox, RETRY_DEAD, 0, NOON);
	done = outbox_retry(outbox, "1", NOON, &changed, &error);
	is_int(changed_by(done, changed), 0, "what is done is not sent again");
	done = outbox_retry(outbox, "m2", NOON + 9 * DAY, &changed, &error);
	is_int(changed_by(done, changed), 1, "what is dead is, by its key");
	is_asked("SELECT state || ' ' || (due_at - 1700000000) || ' ' || "
		 "(expires_at - due_at) || ' ' || coalesce(settled_at, '-') "
		 "FROM deliveries WHERE id = 2",
	    "queued 777600 86400 -", "at once, and with a day for it");
	done = outbox_retry(outbox, NULL, NOON, &changed, &error);
	is_int(changed_by(done, changed), 1, "all that are dead");
	is_asked("SELECT expires_at - due_at FROM deliveries WHERE id = 3",
	    "172800", "which takes no time away");
	done = outbox_retry(outbox, "77", NOON, &changed, &error);
	is_int(changed_by(done, changed), 0, "none of that number");
	change(&conf, "DELETE FROM deliveries WHERE destination <> 'mail'");
	is_claimed(
	    outbox, 8, NOON + 9 * DAY, "m3/2 m2/2", "attempts are counted on");
	outbox_close(outbox);
}

static void
test_cancel(void)
{
	struct outbox *outbox = begin("cancel.db");
	int64_t changed;
	bool done;

	owe("mail", "m1", NOON);
	owe("mail", "m2", NOON);
	try_mail(outbox, RETRY_DONE, 0, NOON);
	done = outbox_cancel(outbox, "m1", NOON, &changed, &error);
	is_int(changed_by(done, changed), 0, "what is done is not cancelled");
	done = outbox_cancel(outbox, "2", NOON + 5, &changed, &error);
	is_int(changed_by(done, changed), 1, "what waits is, by its number");
	is_claimed(outbox, 8, NOON + DAY, "", "and is not sent");
	done = outbox_retry(outbox, "2", NOON + DAY, &changed, &error);
	is_int(changed_by(done, changed), 1, "unless somebody wants it again");
	is_claimed(outbox, 8, NOON + DAY, "m2/1", "then it is");
	done = outbox_cancel(outbox, "2", NOON + DAY, &changed, &error);
	is_int(changed_by(done, changed), 0, "not while it is under way");
	outbox_close(outbox);
}

static void
test_purge(void)
{
	struct outbox *outbox = begin("purge.db");
	int64_t changed;
	bool done;

	owe("mail", "m1", NOON);
	owe("mail", "m2", NOON);
	owe("mail", "m3", NOON);
	try_mail(outbox, RETRY_DONE, 0, NOON);
	try_mail(outbox, RETRY_DONE, 0, NOON + 10);
	done = outbox_purge(outbox, NOON + 10, &changed, &error);
	is_int(changed_by(done, changed), 1, "what was settled before");
	is_asked("SELECT group_concat(idempotency_key) || ' ' || (SELECT "
		 "group_concat(delivery_id) FROM attempts) FROM deliveries",
	    "m2,m3 2", "goes with its attempts; what waits stays");
	outbox_close(outbox);
}

static struct buf listed = BUF_INIT(1000);

static void
list_row(void *context, const struct outbox_row *row)
{
	(void)context;
	buf_format(&listed, "%s%s %s%s", listed.size > 0 ? ", " : "", row->key,
	    row->state, row->due ? " due" : "");
}

static void
list_attempt(void *context, const struct outbox_attempt *attempt)
{
	(void)context;
	buf_format(&listed, "%s%" PRId64 " %s", listed.size > 0 ? ", " : "",
	    attempt->number, attempt->ruling);
}

static void
is_listed(bool done, const char *wanted, const char *name)
{
	if (!done)
		store_broken(error.text);
	is_text(buf_string(&listed), wanted, name);
	buf_clear(&listed);
}

static void
test_list(void)
{
	struct outbox *outbox = begin("list.db");
	bool found;

	owe("mail", "m1", NOON);
	owe("sms", "s1", NOON);
	owe("mail", "m2", NOON + 100);
	try_mail(outbox, RETRY_LATER, NOON + 5, NOON);
	delivery_free(claim_one(outbox, CONF_SMS, NOON));
	is_listed(outbox_list(outbox, NULL, NULL, NULL, 10, NOON + 50, list_row,
		      NULL, &error),
	    "m2 queued, s1 sending due, m1 queued due", "the newest first");
	is_listed(outbox_list(outbox, NULL, NULL, NULL, 2, NOON, list_row, NULL,
		      &error),
	    "m2 queued, s1 sending due", "so many");
	is_listed(outbox_list(outbox, "queued", "mail", NULL, 10, NOON,
		      list_row, NULL, &error),
	    "m2 queued, m1 queued", "of a state and a destination");
	is_listed(outbox_list(outbox, NULL, NULL, "e9", 10, NOON, list_row,
		      NULL, &error),
	    "", "of an event that owes none");
	is_listed(
	    outbox_find(outbox, "3", NOON, &found, list_row, NULL, &error),
	    "m2 queued", "found by its number");
	is_listed(
	    outbox_find(outbox, "m1", NOON, &found, list_row, NULL, &error),
	    "m1 queued", "found by its key");
	is_listed(
	    outbox_find(outbox, "m", NOON, &found, list_row, NULL, &error), "",
	    "not by less");
	ok(!found, "which is said");
	is_listed(outbox_attempts(outbox, 1, list_attempt, NULL, &error),
	    "1 said so", "its attempts");
	outbox_close(outbox);
	buf_release(&listed);
}

int
main(int argc, char *argv[])
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3)
		return be_sender(argv[1], argv[2]);
	program = argv[0];
	test_claim();
	test_unconfigured();
	test_settle();
	test_dead();
	test_gone();
	test_breaker();
	test_release();
	test_killed();
	test_late("later.db", 'l', "sending 0", "a late \"later\" is not ours");
	test_late("never.db", 'x', "sending 0", "nor is a late \"never\"");
	test_late("done.db", 'd', "done 0", "a late \"done\" is true");
	test_retry();
	test_cancel();
	test_purge();
	test_list();
	free(claimed);
	conf_release(&conf);
	return tap_end();
}
