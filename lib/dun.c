#include "dun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/dunning.h"
#include "decide/stripe.h"
#include "net/stripe.h"
#include "prog.h"
#include "store/debtors.h"

#define OUTPUT_MAX (64 * 1024 * 1024)
#define FAILURES_MAX 5 /* reads in a row, until Stripe is left alone */
#define ADRIFT_S (2 * CLOCK_DAY_S)

/* One of whom Stripe is asked. */
struct debt {
	struct account *account;
	bool to_downgrade; /* else only to end what is over */
	json_t *invoice, *subscription, *read;
	char *unknown; /* why there is nothing to go by; or NULL */
};

struct question {
	enum { ASK_CHARGE, ASK_INVOICE, ASK_SUBSCRIPTION } what;
	struct debt *debt;
	struct debtors_dispute *dispute;
};

struct run {
	struct ledger *ledger;
	struct db *db; /* the ledger's */
	const struct conf *conf;
	int64_t id, now;
	bool force;
	struct debtors_numbers numbers;
	struct account *accounts;
	struct debt *debts;
	struct debtors_dispute *disputes;
	struct question *questions;
	size_t accounts_count, debts_count, disputes_count, questions_count;
	int failures; /* reads in a row that had no answer */
	struct buf output;
	struct dun_count *count;
	struct error worst;
};

static const char *
name_of(const struct account *account)
{
	const struct organization *organization = &account->organization;

	return organization->name != NULL ? organization->name
					  : organization->id;
}

/* Keep what was recorded; only then say so. */
static bool
keep(struct run *run, struct error *error)
{
	if (!ledger_flush(run->ledger, error))
		return false;
	fputs(buf_string(&run->output), stdout);
	buf_clear(&run->output);
	return true;
}

/* The worst is what the run ends with; the first of its kind is in words. */
static void
note_error(struct run *run, const struct error *error)
{
	if (error_status(error->kind) > error_status(run->worst.kind))
		run->worst = *error;
}

static void
note_waiting(struct run *run, const struct account *account, const char *why)
{
	run->count->waiting++;
	if (prog.verbose)
		prog_note("%s waits: %s", account->organization.id, why);
}

/* What is refused was overtaken by another event, which is no error. */
static bool
record(struct run *run, struct event *event, decide_fn *decide, bool *recorded,
    struct error *error)
{
	struct error refused = {0};
	char *line;
	const enum ledger_answer answer =
	    ledger_record(run->ledger, event, decide, &line, &refused);
	const bool failed =
	    answer == LEDGER_FAILED && refused.kind != ERROR_DATA;

	*recorded = answer == LEDGER_RECORDED;
	if (failed)
		*error = refused;
	else if (answer == LEDGER_FAILED && prog.verbose)
		prog_note("%s: %s", event->id, refused.text);
	if (*recorded)
		buf_format(&run->output, "%s\n", line);
	free(line);
	event_release(event);
	return !failed && (prog.dry_run || keep(run, error));
}

/* Message and organization may be NULL; both stay the caller's. */
static bool
raise(struct run *run, const char *kind, const char *organization_id,
    const char *message, struct error *error)
{
	struct alert alert = {0};
	bool ok;

	alert.kind = mem_copy(kind);
	alert.organization_id = mem_copy(organization_id);
	alert.message = mem_copy(message);
	ok = ledger_alert(run->ledger, &alert, run->now, error) &&
	    (prog.dry_run || keep(run, error));
	alert_release(&alert);
	return ok;
}

/*
 * First: who is where. Reminders go, the others are noted.
 */

static bool
remind(struct run *run, const struct account *account, enum dunning_step step,
    struct error *error)
{
	struct event event;
	bool recorded;

	dunning_step_event(
	    &event, account, step, NULL, run->conf, run->id, run->now);
	if (!record(run, &event, decide_dunning, &recorded, error))
		return false;
	run->count->reminders += recorded;
	return true;
}

/* What became of his reminders: "reminder_1 dead, final_notice queued". */
static bool
say_reminders(struct run *run, const struct account *account, struct buf *words,
    struct error *error)
{
	bool ok = true;
	char *id, *state;
	int i;

	for (i = 0; ok && i < DUNNING_DOWNGRADE; i++) {
		id = dunning_step_id(account, (enum dunning_step)i);
		ok = debtors_told(run->db, id, &state, error);
		free(id);
		if (ok && state != NULL)
			buf_format(words, "%s%s %s",
			    words->size > 0 ? ", " : "",
			    dunning_step_name((enum dunning_step)i), state);
		if (ok)
			free(state);
	}
	return ok;
}

static bool
report_unwarned(
    struct run *run, const struct account *account, struct error *error)
{
	const struct conf_destination *billing =
	    &run->conf->destinations[CONF_BILLING];
	struct buf states = BUF_INIT(500);
	char *message = NULL;
	bool ok = say_reminders(run, account, &states, error);

	note_waiting(run, account, "no reminder was delivered");
	if (!billing->configured)
		message = mem_format("%s was not warned, and so stays: the "
				     "destination billing is not configured. "
				     "Set billing.url.",
		    name_of(account));
	else
		message = mem_format(
		    "%s was not warned, and so stays: the destination billing "
		    "has delivered no reminder (%s).",
		    name_of(account),
		    states.size > 0 ? buf_string(&states) : "none was queued");
	ok = ok &&
	    raise(run, "dunning.unwarned", account->organization.id, message,
		error);
	free(message);
	buf_release(&states);
	return ok;
}

static void
add_debt(struct run *run, struct account *account, bool to_downgrade)
{
	run->debts =
	    mem_resize(run->debts, run->debts_count + 1, sizeof(*run->debts));
	run->debts[run->debts_count++] =
	    (struct debt){.account = account, .to_downgrade = to_downgrade};
}

static bool
look_at(struct run *run, struct account *account, struct error *error)
{
	const struct dunning_next next =
	    dunning_next(account, run->conf, run->now);
	struct buf why = BUF_INIT(500);
	bool ok = true;

	if (next.wait == DUNNING_WELL) {
		add_debt(run, account, false);
	} else if (!dunning_is_due(&next, run->now)) {
		;
	} else if (next.step != DUNNING_DOWNGRADE) {
		if (next.wait == DUNNING_READY)
			ok = remind(run, account, next.step, error);
	} else if (next.wait == DUNNING_UNWARNED) {
		ok = report_unwarned(run, account, error);
	} else if (next.wait == DUNNING_READY || next.wait == DUNNING_DISPUTE) {
		add_debt(run, account, true);
	} else {
		dunning_why(&why, account, &next);
		note_waiting(run, account, buf_string(&why));
	}
	buf_release(&why);
	return ok;
}

static bool
look_at_all(struct run *run, struct error *error)
{
	size_t i;

	if (!debtors_find(run->db, &run->accounts, &run->accounts_count, error))
		return false;
	for (i = 0; i < run->accounts_count; i++)
		if (!look_at(run, &run->accounts[i], error))
			return false;
	return keep(run, error);
}

/*
 * Second: what Stripe says of the others.
 */

static struct question *
add_question(struct run *run)
{
	return &run->questions[run->questions_count++];
}

static void
ask(struct stripe *stripe, struct question *question, const char *folder,
    const char *id, const char *expand)
{
	const char *const query[] = {"expand[]", expand, NULL};
	char *path = mem_format("/v1/%s/%s", folder, id);

	stripe_start(stripe, path, expand != NULL ? query : NULL, question);
	free(path);
}

static void
ask_charge(
    struct run *run, struct stripe *stripe, struct debtors_dispute *dispute)
{
	struct question *question;

	if (dispute->charge_id == NULL)
		return;
	question = add_question(run);
	*question = (struct question){ASK_CHARGE, NULL, dispute};
	ask(stripe, question, "charges", dispute->charge_id, NULL);
}

static void
ask_invoice(struct run *run, struct stripe *stripe, struct debt *debt)
{
	struct question *question = add_question(run);

	*question = (struct question){ASK_INVOICE, debt, NULL};
	ask(stripe, question, "invoices", debt->account->dunning.invoice_id,
	    "payments.data.payment.payment_intent");
}

/* The one of the invoice, which may not be the one that is followed. */
static void
ask_subscription(struct run *run, struct stripe *stripe, struct debt *debt)
{
	const char *id = stripe_invoice_subscription(debt->invoice);
	struct question *question;

	if (id == NULL)
		id = debt->account->organization.stripe_subscription_id;
	if (id == NULL)
		return;
	question = add_question(run);
	*question = (struct question){ASK_SUBSCRIPTION, debt, NULL};
	ask(stripe, question, "subscriptions", id, "latest_invoice");
}

/* A dispute of nobody known keeps everybody, so that comes first. */
static bool
ask_next(struct run *run, struct stripe *stripe, size_t *next)
{
	const size_t i = (*next)++;

	if (i < run->disputes_count)
		ask_charge(run, stripe, &run->disputes[i]);
	else if (i - run->disputes_count < run->debts_count)
		ask_invoice(run, stripe, &run->debts[i - run->disputes_count]);
	else
		return false;
	return true;
}

static void
take_object(struct run *run, struct stripe *stripe,
    const struct question *question, json_t *object)
{
	const char *customer;

	switch (question->what) {
	case ASK_CHARGE:
		customer = stripe_id(object, "customer");
		question->dispute->customer_id =
		    mem_copy(customer != NULL ? customer : "");
		break;
	case ASK_INVOICE:
		question->debt->invoice = json_incref(object);
		ask_subscription(run, stripe, question->debt);
		break;
	case ASK_SUBSCRIPTION:
		question->debt->subscription = json_incref(object);
		break;
	}
}

static void
note_unknown(const struct question *question, const char *words)
{
	if (question->debt != NULL)
		mem_replace(&question->debt->unknown, words);
}

static void
note_failure(
    struct run *run, const struct question *question, const struct error *error)
{
	if (error->kind == ERROR_PROVIDER || error->kind == ERROR_DATA)
		note_unknown(question, error->text);
	else
		note_error(run, error);
	run->failures += error->kind == ERROR_RETRY;
}

/* Nobody waits for a Stripe that is down, nor tries a key twice. */
static bool
is_of_no_use(const struct run *run)
{
	return run->failures >= FAILURES_MAX || run->worst.kind == ERROR_CONF;
}

static void
ask_all(struct run *run, struct stripe *stripe)
{
	const struct question *question;
	struct error error = {0};
	enum stripe_answer answer;
	bool more = true;
	json_t *object;
	size_t next = 0;
	void *tag;

	do {
		while (more && !stripe_busy(stripe))
			more = ask_next(run, stripe, &next);
		if (!stripe_wait(stripe, &tag, &answer, &object, &error))
			break;
		question = tag;
		if (answer == STRIPE_FAILED) {
			note_failure(run, question, &error);
			continue;
		}
		run->failures = 0;
		if (answer == STRIPE_FOUND)
			take_object(run, stripe, question, object);
		else
			note_unknown(question, "Stripe does not know it");
		json_decref(object);
	} while (!is_of_no_use(run));
}

static bool
is_any_to_downgrade(const struct run *run)
{
	size_t i;

	for (i = 0; i < run->debts_count; i++)
		if (run->debts[i].to_downgrade)
			return true;
	return false;
}

static bool
report_no_key(struct run *run, struct error *error)
{
	static const char words[] =
	    "Downgrades are due, but Stripe cannot be asked whether the debts "
	    "still stand: set stripe.secret_key, or trust the events with "
	    "dunning.verify: off.";

	prog_note("%s", words);
	return raise(run, "dunning.unverified", NULL, words, error);
}

static bool
report_trouble(struct run *run, struct error *error)
{
	if (run->worst.kind == ERROR_NONE)
		return true;
	return raise(run,
	    run->worst.kind == ERROR_CONF ? "dunning.key_refused"
					  : "dunning.stripe_unreachable",
	    NULL, run->worst.text, error);
}

static bool
consult(struct run *run, struct error *error)
{
	struct stripe *stripe = NULL;
	struct error refused = {0};
	size_t i;

	if (is_any_to_downgrade(run) &&
	    !debtors_find_disputes(
		run->db, &run->disputes, &run->disputes_count, error))
		return false;
	run->questions =
	    mem_alloc((run->disputes_count + 2 * run->debts_count) *
		sizeof(*run->questions));
	if (stripe_open(&stripe, run->conf, &refused))
		ask_all(run, stripe);
	else
		note_error(run, &refused);
	stripe_close(stripe);
	for (i = 0; i < run->debts_count; i++)
		if (run->debts[i].invoice != NULL)
			run->debts[i].read = dunning_read(
			    run->debts[i].invoice, run->debts[i].subscription);
	return report_trouble(run, error);
}

/*
 * Third: what follows of it.
 */

static bool
record_disputes(struct run *run, struct error *error)
{
	struct debtors_dispute *dispute;
	struct event event;
	bool recorded;
	size_t i;

	for (i = 0; i < run->disputes_count; i++) {
		dispute = &run->disputes[i];
		if (dispute->customer_id == NULL)
			continue;
		dunning_dispute_event(
		    &event, dispute->id, dispute->customer_id, run->now);
		if (!record(run, &event, decide_dispute, &recorded, error))
			return false;
	}
	return true;
}

static bool
recover(struct run *run, const struct debt *debt, struct error *error)
{
	struct event event;
	bool recorded;

	dunning_missed_event(&event, debt->account, debt->read, debt->invoice,
	    debt->subscription, run->id, run->now);
	if (!record(run, &event, decide_missed, &recorded, error))
		return false;
	run->count->recovered += recorded;
	return true;
}

static bool
report_unknown(struct run *run, const struct debt *debt, struct error *error)
{
	const struct account *account = debt->account;
	struct error some = {0};
	char *message;
	bool ok;

	note_waiting(run, account, debt->unknown);
	message = mem_format("%s (invoice %s) cannot be looked up, and so "
			     "stays: %s. Is stripe.secret_key of the account "
			     "that sends the events?",
	    name_of(account), account->dunning.invoice_id, debt->unknown);
	ok = raise(
	    run, "dunning.unknown", account->organization.id, message, error);
	error_set(&some, ERROR_NO,
	    "Stripe does not know all debts; see automate-log list --kind "
	    "dunning.unknown");
	note_error(run, &some);
	free(message);
	return ok;
}

/* Whether the downgrade may go on, by what Stripe has said. */
static bool
weigh(struct run *run, struct debt *debt, bool *owed, struct error *error)
{
	const bool trust = run->conf->dunning_verify == CONF_TRUST;
	struct buf why = BUF_INIT(500);
	enum dunning_verdict verdict = DUNNING_UNSURE;
	bool ok = true;

	if (debt->read != NULL)
		verdict = dunning_judge(debt->read, run->now, &why);
	*owed = debt->to_downgrade && (trust || verdict == DUNNING_OWED);
	if (verdict == DUNNING_OVER)
		ok = recover(run, debt, error);
	else if (debt->unknown != NULL)
		ok = report_unknown(run, debt, error);
	else if (debt->to_downgrade && !*owed)
		note_waiting(run, debt->account,
		    debt->read != NULL ? buf_string(&why)
				       : "Stripe has not said");
	buf_release(&why);
	return ok;
}

/* Those who are left, after the disputes are known: in *debts, so many. */
static bool
select_downgrades(
    struct run *run, struct debt **chosen, size_t *count, struct error *error)
{
	struct dunning_next next;
	struct buf why = BUF_INIT(500);
	struct debt *debt;
	bool owed, ok = true;
	size_t i;

	*chosen = mem_alloc((run->debts_count + 1) * sizeof(**chosen));
	for (i = 0; ok && i < run->debts_count; i++) {
		debt = &run->debts[i];
		ok = weigh(run, debt, &owed, error);
		if (!ok || !owed)
			continue;
		ok = debtors_reload(run->db, debt->account, error);
		next = dunning_next(debt->account, run->conf, run->now);
		if (ok && next.wait == DUNNING_READY) {
			(*chosen)[(*count)++] = *debt;
			continue;
		}
		buf_clear(&why);
		dunning_why(&why, debt->account, &next);
		note_waiting(run, debt->account, buf_string(&why));
	}
	buf_release(&why);
	return ok;
}

static bool
blow_fuse(struct run *run, size_t count, struct error *error)
{
	struct error blown = {0};

	error_set(&blown, ERROR_NO,
	    "%zu downgrades are due and %lld were made in a day, of %lld "
	    "customers: too many to be true, so none is made. Look at "
	    "automate-dunning --list; if they are right, automate-dunning "
	    "--force",
	    count, (long long)run->numbers.downgraded,
	    (long long)run->numbers.active);
	run->count->waiting += (int64_t)count;
	note_error(run, &blown);
	return raise(run, "dunning.fuse", NULL, blown.text, error);
}

static bool
downgrade(struct run *run, const struct debt *debt, struct error *error)
{
	struct event event;
	bool recorded;

	dunning_step_event(&event, debt->account, DUNNING_DOWNGRADE, debt->read,
	    run->conf, run->id, run->now);
	if (!record(run, &event, decide_dunning, &recorded, error))
		return false;
	run->count->downgraded += recorded;
	return true;
}

static bool
conclude(struct run *run, struct error *error)
{
	struct debt *chosen = NULL;
	size_t count = 0, i;
	bool ok = record_disputes(run, error) &&
	    select_downgrades(run, &chosen, &count, error);

	if (ok && !run->force && count > 0 &&
	    dunning_fuse_blows((int64_t)count + run->numbers.downgraded,
		run->numbers.active)) {
		ok = blow_fuse(run, count, error);
		count = 0;
	}
	for (i = 0; ok && i < count; i++)
		ok = downgrade(run, &chosen[i], error);
	free(chosen);
	return ok && keep(run, error);
}

/*
 * Beside that: who is past due, and nobody knows for what.
 */
struct adrift {
	struct run *run;
	char **ids;
	char **messages;
	size_t count;
};

static void
note_adrift(void *context, const struct debtors_adrift *one)
{
	struct adrift *adrift = context;
	char since[CLOCK_TEXT_MAX];

	if (one->since > adrift->run->now - ADRIFT_S)
		return;
	adrift->ids =
	    mem_resize(adrift->ids, adrift->count + 1, sizeof(*adrift->ids));
	adrift->messages = mem_resize(
	    adrift->messages, adrift->count + 1, sizeof(*adrift->messages));
	adrift->ids[adrift->count] = mem_copy(one->id);
	adrift->messages[adrift->count++] =
	    mem_format("%s is past due since %s, but no failed invoice is "
		       "known, so nobody reminds. See the subscription at "
		       "Stripe, and the webhook's failed deliveries.",
		one->name != NULL ? one->name : one->id,
		clock_format(since, one->since));
}

static bool
report_adrift(struct run *run, struct error *error)
{
	struct adrift adrift = {.run = run};
	bool ok = debtors_find_adrift(run->db, note_adrift, &adrift, error);
	size_t i;

	for (i = 0; i < adrift.count; i++) {
		ok = ok &&
		    raise(run, "dunning.no_cycle", adrift.ids[i],
			adrift.messages[i], error);
		free(adrift.ids[i]);
		free(adrift.messages[i]);
	}
	free(adrift.ids);
	free(adrift.messages);
	return ok;
}

/* What this run did not find again is over. */
static bool
end_alerts(struct run *run, struct error *error)
{
	static const char *const kinds[] = {"dunning.unwarned",
	    "dunning.no_cycle", "dunning.unverified", "dunning.fuse",
	    "dunning.stripe_unreachable", "dunning.key_refused",
	    "dunning.unknown"};
	const bool all_read =
	    run->worst.kind == ERROR_NONE || run->worst.kind == ERROR_NO;
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (all_read || strcmp(kinds[i], "dunning.unknown") != 0)
			ok = debtors_end_alerts(
			    run->db, kinds[i], run->conf, run->now, error);
	return ok && keep(run, error);
}

static bool
check_clock(const struct run *run, struct error *error)
{
	const int64_t newest_at = run->numbers.newest_at;
	char now[CLOCK_TEXT_MAX], newest[CLOCK_TEXT_MAX];

	if (run->force || newest_at <= run->now + CLOCK_DAY_S)
		return true;
	return error_set(error, ERROR_RETRY,
	    "it is %s by the clock, but the newest event came in %s; put the "
	    "clock right, or, if it is, automate-dunning --force",
	    clock_format(now, run->now), clock_format(newest, newest_at));
}

static bool
act(struct run *run, struct error *error)
{
	const bool trust = run->conf->dunning_verify == CONF_TRUST;
	bool ok = look_at_all(run, error);

	if (ok && run->debts_count > 0 && !trust) {
		if (run->conf->stripe_secret_key != NULL)
			ok = consult(run, error);
		else if (is_any_to_downgrade(run))
			ok = report_no_key(run, error);
	}
	return ok && conclude(run, error) && report_adrift(run, error) &&
	    end_alerts(run, error);
}

static void
release(struct run *run)
{
	size_t i;

	for (i = 0; i < run->debts_count; i++) {
		json_decref(run->debts[i].invoice);
		json_decref(run->debts[i].subscription);
		json_decref(run->debts[i].read);
		free(run->debts[i].unknown);
	}
	free(run->debts);
	free(run->questions);
	debtors_free(run->accounts, run->accounts_count);
	debtors_free_disputes(run->disputes, run->disputes_count);
	buf_release(&run->output);
}

bool
dun(struct ledger *ledger, const struct conf *conf, int64_t run_id, int64_t now,
    bool force, struct dun_count *count, struct error *error)
{
	struct run run = {.ledger = ledger,
	    .db = ledger_db(ledger),
	    .conf = conf,
	    .id = run_id,
	    .now = now,
	    .force = force,
	    .output = BUF_INIT(OUTPUT_MAX),
	    .count = count};
	bool ok = debtors_count(run.db, now, &run.numbers, error) &&
	    check_clock(&run, error);

	if (ok && dunning_is_hour(conf, now))
		ok = act(&run, error);
	else if (ok && (force || prog.verbose))
		prog_note("nothing done outside of dunning.hours");
	if (ok && run.worst.kind != ERROR_NONE) {
		*error = run.worst;
		ok = false;
	}
	release(&run);
	return ok;
}
