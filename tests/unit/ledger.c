/*
 * The one transaction, against a real database: an event and all it makes us
 * owe, once, or nothing of it.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../store.h"
#include "../tap.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/plan.h"
#include "store/ledger.h"

#define NOON 1700000000
#define MINUTE 60
#define HOUR 3600

static struct conf conf;
static int decided; /* how often the rule was asked */

/*
 * The rule of these tests does what the event says:
 *
 *	customer  of the organization, which is written
 *	mail      steps owed, each a day after the one before
 *	alert     {kind, severity, title, key} to be raised
 *	cancel    the follow-ups
 *	fail      "refused" or "later"
 */
static void
owe_mail(const struct event *event, struct plan *plan)
{
	const json_t *steps = json_at(event->data, "mail");
	const char *step;
	size_t i;

	for (i = 0; i < json_array_size(steps); i++) {
		step = json_string_value(json_array_get(steps, i));
		plan_deliver(plan, &conf, CONF_MAIL, step,
		    mem_format("%s:%s", event->id, step), mem_copy("{}"),
		    event->received_at + (int64_t)i * CLOCK_DAY_S);
	}
}

static void
raise(const struct event *event, struct plan *plan)
{
	const json_t *data = json_at(event->data, "alert");
	struct alert alert = {0};

	if (data == NULL)
		return;
	alert.kind = mem_copy(json_text(data, "kind"));
	alert.severity = mem_copy(json_text(data, "severity"));
	alert.title = mem_copy(json_text(data, "title"));
	alert.key = mem_copy(json_text(data, "key"));
	alert.avoid = mem_copy(json_text(data, "avoid"));
	alert.organization_id = mem_copy(event->organization_id);
	alert.event_id = mem_copy(event->id);
	plan_alert(plan, &alert);
}

static bool
decide(const struct event *event, struct account *account,
    const struct conf *given, struct plan *plan, struct error *error)
{
	struct organization *organization = &account->organization;
	const char *fail = json_text(event->data, "fail");

	(void)given;
	decided++;
	if (fail != NULL)
		return error_set(error,
		    strcmp(fail, "later") == 0 ? ERROR_RETRY : ERROR_DATA,
		    "told to fail");
	if (json_at(event->data, "customer") != NULL) {
		mem_replace(&organization->id, event->organization_id);
		mem_replace(&organization->status, "active");
		mem_replace(&organization->stripe_customer_id,
		    json_text(event->data, "customer"));
		organization->status_at = organization->created_at = NOON;
		organization->known = true;
		plan->organization_changed = true;
	}
	plan->cancel_follow_ups =
	    json_is_true(json_object_get(event->data, "cancel"));
	owe_mail(event, plan);
	raise(event, plan);
	json_put(plan->result, "said", json_text(event->data, "say"));
	return true;
}

/* An event of that id about org_1, or what the data say. */
static void
make_event(struct event *event, const char *id, const char *text, int64_t now)
{
	struct error error = {0};
	const char *organization;

	*event = (struct event){.id = mem_copy(id),
	    .source = "test",
	    .kind = mem_copy("test.happened"),
	    .occurred_at = now - 5,
	    .received_at = now,
	    .body = mem_copy(text)};
	if (!json_parse(&event->data, text, strlen(text), &error))
		store_broken(error.text);
	organization = json_text(event->data, "organization");
	event->organization_id =
	    mem_copy(organization != NULL ? organization : "org_1");
}

/* One event, not flushed; the line in *line, if wanted, is to be freed. */
static enum ledger_answer
record(struct ledger *ledger, const char *id, const char *text, int64_t now,
    char **line, struct error *error)
{
	enum ledger_answer answer;
	struct event event;
	char *result = NULL;

	memset(error, 0, sizeof(*error));
	make_event(&event, id, text, now);
	answer = ledger_record(ledger, &event, decide, &result, error);
	event_release(&event);
	if (line != NULL)
		*line = result;
	else
		free(result);
	return answer;
}

static struct ledger *
open_ledger(enum db_mode mode)
{
	struct ledger *ledger = NULL;
	struct error error = {0};

	if (!ledger_open(&ledger, &conf, mode, &error))
		store_broken(error.text);
	return ledger;
}

/* In a transaction of its own, opened and closed as by a command. */
static void
record_alone(const char *id, const char *text, int64_t now)
{
	struct ledger *ledger = open_ledger(DB_WRITE);
	struct error error;

	if (record(ledger, id, text, now, NULL, &error) == LEDGER_FAILED ||
	    !ledger_flush(ledger, &error))
		store_broken(error.text);
	ledger_close(ledger);
}

static void
is_asked(const char *sql, const char *wanted, const char *name)
{
	is_text(ask(&conf, sql), wanted, name);
}

static void
begin(const char *database)
{
	conf_release(&conf);
	store_conf(&conf, database);
	decided = 0;
}

/*
 * Once.
 */

static void
test_record(void)
{
	struct ledger *ledger;
	struct error error;
	char *line;

	begin("record.db");
	ledger = open_ledger(DB_WRITE);
	is_int(record(ledger, "e1",
		   "{\"mail\":[\"a\",\"b\"],\"customer\":\"cus_1\","
		   "\"say\":\"\\u00e9\"}",
		   NOON, &line, &error),
	    LEDGER_RECORDED, "recorded");
	is_text(line,
	    "{\"event\":\"e1\",\"type\":\"test.happened\",\"outcome\":"
	    "\"recorded\",\"organization\":\"org_1\",\"status\":\"active\","
	    "\"deliveries\":2,\"said\":\"\xC3\xA9\"}",
	    "the line to print");
	free(line);
	is_asked(
	    "SELECT count(*) FROM events", "0", "not there before a flush");
	ok(ledger_flush(ledger, &error), "flushed");
	is_asked("SELECT id || ' ' || source || ' ' || kind || ' ' || "
		 "organization_id || ' ' || occurred_at || ' ' || "
		 "received_at || ' ' || outcome || ' ' || body FROM events",
	    "e1 test test.happened org_1 1699999995 1700000000 recorded "
	    "{\"mail\":[\"a\",\"b\"],\"customer\":\"cus_1\","
	    "\"say\":\"\\u00e9\"}",
	    "the event as it came");
	is_asked("SELECT group_concat(idempotency_key || ' ' || destination || "
		 "' ' || step || ' ' || state || ' ' || (due_at - created_at) "
		 "|| ' ' || (expires_at - due_at) || ' ' || created_at, '; ') "
		 "FROM deliveries",
	    "e1:a mail a queued 0 259200 1700000000; "
	    "e1:b mail b queued 86400 259200 1700000000",
	    "what it makes us owe, with its end");
	ledger_close(ledger);
}

static void
test_duplicate(void)
{
	static const char again[] =
	    "{\"event\":\"e1\",\"type\":\"test.happened\",\"outcome\":"
	    "\"duplicate\",\"organization\":\"org_1\",\"deliveries\":1,"
	    "\"said\":\"first\"}";
	struct ledger *ledger;
	struct error error;
	char *line;

	begin("duplicate.db");
	ledger = open_ledger(DB_WRITE);
	record(ledger, "e1", "{\"say\":\"first\",\"mail\":[\"a\"]}", NOON, NULL,
	    &error);
	is_int(
	    record(ledger, "e1", "{\"say\":\"second\"}", NOON, &line, &error),
	    LEDGER_DUPLICATE, "a duplicate in the same group");
	is_text(line, again, "says what the first one said");
	free(line);
	ok(ledger_flush(ledger, &error), "flushed");
	ledger_close(ledger);

	ledger = open_ledger(DB_WRITE);
	is_int(
	    record(ledger, "e1", "{\"fail\":\"later\"}", NOON, &line, &error),
	    LEDGER_DUPLICATE, "a duplicate for another process");
	is_text(line, again, "says the same");
	free(line);
	ok(ledger_flush(ledger, &error), "flushed");
	ledger_close(ledger);
	is_int(decided, 1, "the rule was asked once");
	is_asked("SELECT count(*) || ' ' || (SELECT count(*) FROM deliveries) "
		 "FROM events",
	    "1 1", "one event, one delivery");
}

/*
 * All or nothing.
 */

static void
test_group(void)
{
	struct ledger *ledger;
	struct error error;

	begin("group.db");
	ledger = open_ledger(DB_WRITE);
	record(ledger, "e1", "{\"customer\":\"cus_1\"}", NOON, NULL, &error);
	is_int(
	    record(ledger, "e2", "{\"fail\":\"refused\"}", NOON, NULL, &error),
	    LEDGER_FAILED, "refused by the rule");
	is_int(error.kind, ERROR_DATA, "for good");
	is_int(record(ledger, "e3",
		   "{\"organization\":\"org_2\",\"customer\":\"cus_1\","
		   "\"mail\":[\"a\"]}",
		   NOON, NULL, &error),
	    LEDGER_FAILED, "a customer of two organizations");
	is_text(error.text,
	    "Stripe customer cus_1 already belongs to organization org_1",
	    "is refused in words");
	is_int(record(ledger, "e4",
		   "{\"organization\":\"org_2\",\"customer\":\"cus_2\"}", NOON,
		   NULL, &error),
	    LEDGER_RECORDED, "the next one is recorded");
	ok(ledger_flush(ledger, &error), "flushed");
	is_asked("SELECT group_concat(id, ' ') FROM events", "e1 e4",
	    "the group stands without those refused");
	is_asked("SELECT group_concat(id || ' ' || stripe_customer_id, '; ') "
		 "FROM organizations",
	    "org_1 cus_1; org_2 cus_2", "so do the organizations");
	is_asked("SELECT count(*) FROM deliveries", "0",
	    "what was refused owes nothing");
	is_int(record(ledger, "e2", "{\"say\":\"mended\"}", NOON, NULL, &error),
	    LEDGER_RECORDED, "what was refused may come again, mended");
	ledger_close(ledger);
}

static void
test_rollback(void)
{
	struct ledger *ledger;
	struct error error;

	begin("rollback.db");
	ledger = open_ledger(DB_WRITE);
	record(ledger, "e1", "{\"mail\":[\"a\"]}", NOON, NULL, &error);
	is_int(record(ledger, "e2", "{\"fail\":\"later\"}", NOON, NULL, &error),
	    LEDGER_FAILED, "not now");
	is_int(error.kind, ERROR_RETRY, "so it is said");
	ok(ledger_flush(ledger, &error), "nothing is left to flush");
	is_asked("SELECT count(*) FROM events", "0", "the whole group is gone");
	is_int(record(ledger, "e1", "{\"mail\":[\"a\"]}", NOON, NULL, &error),
	    LEDGER_RECORDED, "all of it may come again");
	ledger_close(ledger);
	is_asked("SELECT count(*) FROM events", "0",
	    "what was never flushed never happened");
}

static void
test_locked(void)
{
	struct ledger *first, *second;
	struct error error;

	begin("locked.db");
	conf.busy_timeout_ms = 20;
	first = open_ledger(DB_WRITE);
	second = open_ledger(DB_WRITE);
	record(first, "e1", "{}", NOON, NULL, &error);
	is_int(record(second, "e2", "{}", NOON, NULL, &error), LEDGER_FAILED,
	    "while another writes");
	is_int(error.kind, ERROR_RETRY, "it is \"not now\"");
	ok(strstr(error.text, conf.database_path) != NULL, "with the path");
	ok(ledger_flush(first, &error), "the other one is done");
	is_int(record(second, "e2", "{}", NOON, NULL, &error), LEDGER_RECORDED,
	    "then it is our turn");
	is_int(record(second, "e1", "{}", NOON, NULL, &error), LEDGER_DUPLICATE,
	    "and we know what the other wrote");
	ledger_close(first);
	ledger_close(second);
}

static void
test_rehearse(void)
{
	struct ledger *ledger;
	struct error error;
	struct stat status;
	char *line;

	begin("rehearse.db");
	ledger = open_ledger(DB_REHEARSE);
	is_int(record(ledger, "e1", "{\"mail\":[\"a\"]}", NOON, &line, &error),
	    LEDGER_RECORDED, "rehearsed with no database");
	ok(strstr(line, "\"deliveries\":1,") != NULL, "with what it would owe");
	free(line);
	ok(ledger_flush(ledger, &error), "flushed");
	ledger_close(ledger);
	is_int(stat(conf.database_path, &status), -1, "there is still none");

	record_alone("e1", "{\"mail\":[\"a\"]}", NOON);
	ledger = open_ledger(DB_REHEARSE);
	is_int(record(ledger, "e1", "{}", NOON, NULL, &error), LEDGER_DUPLICATE,
	    "rehearsed on one, what is there is known");
	is_int(record(ledger, "e2", "{\"cancel\":true}", NOON, NULL, &error),
	    LEDGER_RECORDED, "what is not is as good as recorded");
	is_int(record(ledger, "e2", "{}", NOON, NULL, &error), LEDGER_DUPLICATE,
	    "also to what comes behind it");
	ok(ledger_flush(ledger, &error), "flushed");
	ledger_close(ledger);
	is_asked("SELECT group_concat(e.id || ' ' || d.state) FROM events e, "
		 "deliveries d",
	    "e1 queued", "nothing of it was kept");
}

/*
 * The account comes back as a rule left it.
 */

#define ORGANIZATION(member) offsetof(struct account, organization.member)
#define LEAD(member) offsetof(struct account, lead.member)

static const size_t texts[] = {ORGANIZATION(name), ORGANIZATION(owner_name),
    ORGANIZATION(owner_email), ORGANIZATION(plan), ORGANIZATION(former_plan),
    ORGANIZATION(status_event_id), ORGANIZATION(stripe_customer_id),
    ORGANIZATION(stripe_subscription_id), ORGANIZATION(zone),
    LEAD(organization_id), LEAD(name), LEAD(phone), LEAD(status)};

static const size_t times[] = {ORGANIZATION(status_at),
    ORGANIZATION(onboarded_at), ORGANIZATION(frozen_at),
    ORGANIZATION(deleted_at), ORGANIZATION(created_at), LEAD(status_at),
    LEAD(created_at)};

static struct buf seen = BUF_INIT(4096);

static void
look(const struct account *account)
{
	size_t i;

	buf_clear(&seen);
	buf_format(&seen, "%d %s %s %d %s", account->organization.known,
	    account->organization.id ? account->organization.id : "-",
	    account->organization.status ? account->organization.status : "-",
	    account->lead.known, account->lead.id ? account->lead.id : "-");
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text =
		    *(char *const *)((const char *)account + texts[i]);

		buf_format(&seen, " %s", text ? text : "-");
	}
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		buf_format(&seen, " %" PRId64,
		    *(const int64_t *)((const char *)account + times[i]));
}

/* Notes what it is given; writes the account as full, or as empty, as can be.
 */
static bool
decide_account(const struct event *event, struct account *account,
    const struct conf *given, struct plan *plan, struct error *error)
{
	const bool full = json_at(event->data, "full") != NULL;
	size_t i;

	(void)given;
	(void)error;
	look(account);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char **text = (char **)((char *)account + texts[i]);
		char *value = mem_format("text%zu", i);

		mem_replace(text, full ? value : NULL);
		free(value);
	}
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		*(int64_t *)((char *)account + times[i]) =
		    full ? NOON + (int64_t)i : 0;
	mem_replace(&account->organization.id, event->organization_id);
	mem_replace(
	    &account->organization.status, full ? "past_due" : "active");
	mem_replace(&account->lead.id, event->lead_id);
	if (!full)
		mem_replace(&account->lead.status, "pending");
	plan->organization_changed = plan->lead_changed = true;
	return true;
}

static void
record_account(const char *id, const char *text)
{
	struct ledger *ledger = open_ledger(DB_WRITE);
	struct error error = {0};
	struct event event;
	char *line = NULL;

	make_event(&event, id, text, NOON);
	event.lead_id = mem_copy("lead_1");
	if (ledger_record(ledger, &event, decide_account, &line, &error) !=
		LEDGER_RECORDED ||
	    !ledger_flush(ledger, &error))
		store_broken(error.text);
	free(line);
	event_release(&event);
	ledger_close(ledger);
}

static void
test_account(void)
{
	begin("account.db");
	record_account("e1", "{\"full\":1}");
	is_text(buf_string(&seen),
	    "0 - - 0 - - - - - - - - - - - - - - 0 0 0 0 0 0 0",
	    "at first nothing is known");
	record_account("e2", "{}");
	is_text(buf_string(&seen),
	    "1 org_1 past_due 1 lead_1 text0 text1 text2 text3 text4 text5 "
	    "text6 text7 text8 text9 text10 text11 text12 1700000000 "
	    "1700000001 1700000002 1700000003 1700000004 1700000005 "
	    "1700000006",
	    "then all that was written");
	record_account("e3", "{}");
	is_text(buf_string(&seen),
	    "1 org_1 active 1 lead_1 - - - - - - - - - - - - pending 0 0 0 0 "
	    "1700000004 0 1700000006",
	    "what is taken away is gone; a beginning stays");
	buf_release(&seen);
}

static void
test_cancel(void)
{
	begin("cancel.db");
	conf.destinations[CONF_SMS].configured = false;
	record_alone("e1",
	    "{\"mail\":[\"welcome\",\"day_1\"],\"alert\":{\"kind\":"
	    "\"delivery.held\",\"key\":\"x\",\"avoid\":\"slack.alerts\"}}",
	    NOON);
	record_alone(
	    "e2", "{\"organization\":\"org_2\",\"mail\":[\"day_1\"]}", NOON);
	record_alone(
	    "e3", "{\"cancel\":true,\"customer\":\"cus_1\"}", NOON + 9);
	is_asked("SELECT result FROM events WHERE id = 'e3'",
	    "{\"event\":\"e3\",\"type\":\"test.happened\",\"outcome\":"
	    "\"recorded\",\"organization\":\"org_1\",\"status\":\"active\","
	    "\"deliveries\":0,\"cancelled\":2,\"said\":null}",
	    "the line says how many were cancelled");
	is_asked("SELECT group_concat(idempotency_key || ' ' || state || ' ' "
		 "|| coalesce(settled_at, 0), '; ') FROM deliveries",
	    "e1:welcome cancelled 1700000009; e1:day_1 cancelled 1700000009; "
	    "alert:1:1:1700000000:alert:mail queued 0; e2:day_1 queued 0",
	    "its own mail, neither another's nor what we are to hear");
}

/*
 * Alerts.
 */

/* What is owed was sent. */
static void
send_all(void)
{
	change(&conf,
	    "UPDATE deliveries SET state = 'done', attempts = 1 WHERE "
	    "state = 'queued'");
}

static const char *
deliveries(void)
{
	return ask(&conf,
	    "SELECT group_concat(destination || ' ' || step || ' +' || "
	    "(due_at - 1700000000), '; ') FROM deliveries WHERE state <> "
	    "'cancelled'");
}

static void
test_alert(void)
{
	static const char raised[] =
	    "{\"alert\":{\"kind\":\"a.b\",\"severity\":\"error\"}}";

	begin("alert.db");
	record_alone("e1", raised, NOON);
	is_asked("SELECT result FROM events",
	    "{\"event\":\"e1\",\"type\":\"test.happened\",\"outcome\":"
	    "\"recorded\",\"organization\":\"org_1\",\"deliveries\":1,"
	    "\"said\":null,\"alert\":1,\"count\":1}",
	    "the line has the alert's number");
	send_all();
	record_alone("e2", raised, NOON + HOUR);
	is_asked("SELECT id || ' ' || count || ' ' || (last_seen_at - "
		 "first_seen_at) || ' ' || fingerprint || ' ' || event_id || "
		 "' ' || told FROM system_alerts",
	    "1 2 3600 a.b:org_1 e1 slack.alerts", "the same one counts up");
	is_text(deliveries(), "slack.alerts alert +0", "and is not told again");
	record_alone("e3", raised, NOON + 4 * HOUR);
	is_text(deliveries(),
	    "slack.alerts alert +0; "
	    "slack.alerts alert +14400",
	    "before its time");

	record_alone("e4",
	    "{\"alert\":{\"kind\":\"a.b\",\"severity\":\"critical\"}}",
	    NOON + 5 * HOUR);
	record_alone("e5", raised, NOON + 5 * HOUR + 1);
	is_asked("SELECT severity || ' ' || count || ' ' || told FROM "
		 "system_alerts",
	    "critical 5 slack.alerts sms", "as severe as it has been");
}

static void
resolve(
    const char *key, int64_t id, int64_t now, int64_t wanted, const char *name)
{
	struct ledger *ledger = open_ledger(DB_WRITE);
	struct alerts_end end = {0};
	struct error error;

	ok(ledger_resolve(ledger, key, id, "dana", now, &end, &error) &&
		end.id == wanted && !end.flapping,
	    "%s", name);
	ledger_close(ledger);
}

static void
test_resolve(void)
{
	static const char raised[] =
	    "{\"alert\":{\"kind\":\"a.b\",\"severity\":\"critical\","
	    "\"key\":\"k\"}}";
	struct alerts_end end;
	struct ledger *ledger;
	struct error error;

	begin("resolve.db");
	record_alone("e1", raised, NOON);
	send_all();
	resolve("other", 0, NOON, 0, "none of that key is open");
	resolve("k", 0, NOON + 9, 1, "closed by its key");
	is_asked("SELECT resolved_by || ' ' || resolved_at FROM system_alerts",
	    "dana 1700000009", "who and when");
	is_text(deliveries(),
	    "slack.alerts alert +0; sms alert +0; "
	    "slack.alerts resolved +9; sms resolved +9",
	    "told where it was told");
	resolve("k", 0, NOON + 10, 0, "closing it again is nothing");

	record_alone("e2",
	    "{\"alert\":{\"kind\":\"a.b\",\"key\":\"k\",\"avoid\":\"*\"}}",
	    NOON + HOUR);
	ledger = open_ledger(DB_REHEARSE);
	ok(ledger_resolve(ledger, NULL, 2, "dana", NOON, &end, &error) &&
		end.id == 2,
	    "the next one has a number of its own");
	ledger_close(ledger);
	is_asked("SELECT count(*) FROM system_alerts WHERE resolved_at IS NULL",
	    "1", "and is open still after a rehearsal");
	resolve(NULL, 2, NOON, 2, "closed by its number");
	is_asked("SELECT count(*) FROM deliveries WHERE step = 'resolved'", "2",
	    "what nobody heard of is told to nobody");
}

static void
test_withdrawal(void)
{
	static const char raised[] =
	    "{\"alert\":{\"kind\":\"a.b\",\"severity\":\"error\"}}";

	begin("withdrawal.db");
	record_alone("e1", raised, NOON);
	resolve("a.b:org_1", 0, NOON + 1, 1, "over before it was sent");
	is_text(deliveries(), "", "neither beginning nor end is said");

	record_alone("e2", raised, NOON + 2);
	change(&conf,
	    "UPDATE deliveries SET attempts = 1, due_at = due_at + 30 WHERE "
	    "state = 'queued'");
	resolve("a.b:org_1", 0, NOON + 3, 2, "over after a first try");
	is_text(deliveries(), "slack.alerts resolved +3",
	    "the beginning may have been heard: the end alone is said");

	record_alone("e3", raised, NOON + HOUR);
	send_all();
	record_alone("e4", raised, NOON + 5 * HOUR);
	resolve("a.b:org_1", 0, NOON + 5 * HOUR + 1, 3, "over when it waits");
	is_asked("SELECT group_concat(step || ' ' || state, '; ') FROM "
		 "deliveries WHERE created_at >= 1700000000 + 3600",
	    "alert done; alert cancelled; resolved queued",
	    "to be told again: that is taken back, the end is said");
}

static void
raise_of(
    const char *id, const char *organization, const char *severity, int64_t now)
{
	char *text = mem_format("{\"organization\":\"%s\",\"alert\":{"
				"\"kind\":\"a.b\",\"title\":\"T\","
				"\"severity\":\"%s\"}}",
	    organization, severity);

	record_alone(id, text, now);
	free(text);
}

/* What the message of that number says in Slack, if it is sent now. */
static void
is_said(int64_t id, const char *wanted, const char *name)
{
	struct error error = {0};
	struct db *db = NULL;
	json_t *document = NULL;
	char *body = NULL;

	if (!db_open(&db, &conf, DB_READ, &error) ||
	    !alerts_body(db, id, &conf.destinations[CONF_SLACK_ALERTS], &conf,
		NOON, &body, &error) ||
	    !json_parse(&document, body, strlen(body), &error))
		store_broken(error.text);
	is_text(json_text(document, "text"), wanted, name);
	json_decref(document);
	free(body);
	db_close(db);
}

static void
test_storm(void)
{
	static const char three[] =
	    "Error: 3 x a.b\nFor example:\n- T (org_2)\n- T (org_3)\n"
	    "- T (org_4)\n`automate-log list --open --kind a.b`\nKind: a.b";

	begin("storm.db");
	raise_of("e1", "org_1", "error", NOON);
	send_all();
	raise_of("e2", "org_2", "error", NOON + 10);
	raise_of("e3", "org_3", "error", NOON + 20);
	raise_of("e4", "org_4", "error", NOON + 30);
	is_text(deliveries(), "slack.alerts alert +0; slack.alerts alert +300",
	    "the first at once, all others in one message");
	is_said(2, three, "which counts them");
	raise_of("e5", "org_3", "error", NOON + 40);
	is_said(2, three, "a repeat is no other one");

	raise_of("e6", "org_2", "critical", NOON + 50);
	is_text(deliveries(),
	    "slack.alerts alert +0; slack.alerts alert +300; "
	    "slack.alerts alert +50; sms alert +50",
	    "one that becomes critical does not wait with them");
	resolve("a.b:org_3", 0, NOON + 60, 3, "one of those that wait is over");
	is_said(2, "Error: T\nOrganization: org_4\nKind: a.b",
	    "only what is left is said");
}

static void
test_quiet(void)
{
	begin("quiet.db");
	conf.alert_quiet.from_s = 22 * HOUR; /* it is 22:13:20 */
	conf.alert_quiet.until_s = 7 * HOUR;
	raise_of("e1", "org_1", "error", NOON);
	record_alone(
	    "e2", "{\"alert\":{\"kind\":\"c.d\",\"title\":\"U\"}}", NOON + 30);
	is_text(deliveries(), "slack.alerts digest +31600",
	    "quiet: all in one, in the morning");
	raise_of("e3", "org_2", "critical", NOON + 60);
	is_text(deliveries(),
	    "slack.alerts digest +31600; slack.alerts alert +60; "
	    "sms alert +60",
	    "a critical one is told at once");
	resolve("a.b:org_1", 0, NOON + 90, 1, "one of them is over");
	is_said(1,
	    "2 alerts during quiet hours\n1 x a.b\n1 x c.d\n1 of them over\n"
	    "For example:\n- Error: T (org_1), over\n- Error: U (org_1)\n"
	    "`automate-log list --since 2023-11-14T22:13:20Z`",
	    "as the digest says");
	is_asked("SELECT count(*) FROM deliveries WHERE step = 'resolved'", "0",
	    "and nothing else");
	is_asked("SELECT expires_at - due_at FROM deliveries WHERE id = 1",
	    "86400", "with all the time that it has for that");
}

int
main(void)
{
	test_record();
	test_duplicate();
	test_group();
	test_rollback();
	test_locked();
	test_rehearse();
	test_account();
	test_cancel();
	test_alert();
	test_resolve();
	test_withdrawal();
	test_storm();
	test_quiet();
	conf_release(&conf);
	return tap_end();
}
