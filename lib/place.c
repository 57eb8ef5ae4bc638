#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/call.h"
#include "decide/plan.h"
#include "intake.h"
#include "net/retell.h"
#include "prog.h"
#include "store/account.h"
#include "store/ledger.h"

#define KEY "automate_key" /* ours, in the metadata of each call */
#define ASK_AGAIN_S 600
#define LOOK_MS 500 /* longer each time */

struct place {
	const struct conf *conf;
	struct ledger *ledger;
	struct retell *retell; /* NULL until it is needed */
	size_t recorded; /* answers; each may owe a message */
	char *event_id; /* of the latest of them */
};

bool
place_open(struct place **result, const struct conf *conf, struct error *error)
{
	struct place *place = mem_alloc(sizeof(*place));

	place->conf = conf;
	*result = place;
	if (ledger_open(&place->ledger, conf,
		prog.dry_run ? DB_REHEARSE : DB_WRITE, error))
		return true;
	place_close(place);
	*result = NULL;
	return false;
}

void
place_close(struct place *place)
{
	if (place == NULL)
		return;
	ledger_close(place->ledger);
	retell_close(place->retell);
	free(place->event_id);
	free(place);
}

struct db *
place_db(const struct place *place)
{
	return ledger_db(place->ledger);
}

void
place_deliver(const struct place *place)
{
	if (place->recorded > 0)
		intake_deliver(place->recorded == 1 ? place->event_id : NULL);
}

static bool
call_retell(struct place *place, struct error *error)
{
	return place->retell != NULL ||
	    retell_open(&place->retell, place->conf, error);
}

static void
print(const json_t *line)
{
	char *text = json_compact(line);

	puts(text);
	fflush(stdout);
	free(text);
}

/*
 * Record and commit; *line, to be json_decref()ed, is what is to be printed. No
 * transaction is left open, whatever comes of it.
 */
static bool
record(struct place *place, const struct event *event, decide_fn *decide,
    json_t **line, struct error *error)
{
	char *text = NULL;
	bool recorded = ledger_record(place->ledger, event, decide, &text,
			    error) != LEDGER_FAILED;
	bool ok = ledger_flush(place->ledger, recorded ? error : NULL) &&
	    recorded && json_parse(line, text, strlen(text), error);

	free(text);
	return ok;
}

static bool
is_outcome(const json_t *line, const char *word)
{
	const char *outcome = json_text(line, "outcome");

	return outcome != NULL && strcmp(outcome, word) == 0;
}

/*
 * What is recorded of a request and of a question.
 */

struct finding {
	const char *answer;
	int status;
	const char *words;
	const json_t *call;
};

static char *
answer_text(const struct calls_overdue_row *row, const struct finding *finding)
{
	json_t *answer = json_object();
	char *text;

	json_put(answer, "key", row->id);
	json_put(answer, "lead", row->lead_id);
	json_put(answer, "organization", row->organization_id);
	json_put(answer, "answer", finding->answer);
	if (finding->status > 0)
		json_put_number(answer, "status", finding->status);
	if (finding->words != NULL)
		json_put(answer, "words", finding->words);
	if (finding->call != NULL)
		json_object_set(answer, "call", (json_t *)finding->call);
	text = json_compact(answer);
	json_decref(answer);
	return text;
}

/* Record it, print it, and remember that it may owe a message. */
static bool
keep(struct place *place, const char *text, understand_fn *understand,
    decide_fn *decide, struct error *error)
{
	struct event event = {0};
	json_t *line = NULL;
	bool ok = understand(&event, text, strlen(text), clock_now(), error) &&
	    record(place, &event, decide, &line, error);

	if (ok) {
		print(line);
		place->recorded++;
		mem_replace(&place->event_id, event.id);
	}
	json_decref(line);
	event_release(&event);
	return ok;
}

static bool
keep_answer(struct place *place, const struct calls_overdue_row *row,
    const struct finding *finding, struct error *error)
{
	char *text = answer_text(row, finding);
	bool ok = keep(place, text, event_from_answer, decide_answer, error);

	free(text);
	return ok;
}

/* As if its webhook had come; if that still comes, it is a duplicate. */
static bool
keep_end(struct place *place, const json_t *call, struct error *error)
{
	json_t *data = json_object();
	char *text;
	bool ok;

	json_put(data, "event", "call_ended");
	json_object_set(data, "call", (json_t *)call);
	text = json_compact(data);
	ok = keep(place, text, event_from_retell, decide_retell, error);
	free(text);
	json_decref(data);
	return ok;
}

/*
 * The request.
 */

static void
pause_ms(int64_t length_ms)
{
	const struct timespec length = {
	    (time_t)(length_ms / 1000), (long)(length_ms % 1000) * 1000000};

	nanosleep(&length, NULL);
}

static json_t *
metadata_of(const struct account *account)
{
	json_t *metadata = json_object();

	json_put(metadata, KEY, account->call.id);
	json_put(metadata, "lead_id", account->lead.id);
	json_put(metadata, "organization_id", account->organization.id);
	return metadata;
}

/* All of them strings; what is not known is left to the agent's default. */
static json_t *
variables_of(const struct account *account)
{
	json_t *variables = json_object();

	json_put(variables, "lead_id", account->lead.id);
	json_put(variables, "organization_id", account->organization.id);
	if (account->lead.name != NULL)
		json_put(variables, "customer_name", account->lead.name);
	if (account->organization.name != NULL)
		json_put(variables, "company_name", account->organization.name);
	return variables;
}

/* No request is begun that might be under way when others ask for it. */
static bool
is_late(const struct place *place, const struct call *call)
{
	return clock_now() + place->conf->retell_timeout_ms / 1000 >=
	    call->deadline_at;
}

/* Again only where Retell surely has taken nothing, and in good time. */
static void
request(struct place *place, const struct account *account,
    struct retell_reply *reply)
{
	json_t *metadata = metadata_of(account),
	       *variables = variables_of(account);
	const struct retell_call call = {
	    .from_number = place->conf->retell_from_number,
	    .to_number = account->lead.phone,
	    .agent_id = place->conf->retell_agent_id,
	    .metadata = metadata,
	    .variables = variables};
	int tries = 0;
	int64_t wait_s;

	*reply = (struct retell_reply){.answer = RETELL_NOT_PLACED,
	    .retry_after_s = -1,
	    .words = mem_copy("too late to begin")};
	while (!is_late(place, &account->call)) {
		retell_reply_release(reply);
		retell_place(place->retell, &call, reply);
		wait_s = reply->retry_after_s >= 0 ? reply->retry_after_s
						   : 1 << tries;
		if (reply->answer != RETELL_NOT_PLACED ||
		    ++tries == CALL_TRIES || wait_s > CALL_WAIT_MAX_S)
			break;
		pause_ms(wait_s * 1000);
	}
	json_decref(metadata);
	json_decref(variables);
}

/* It may be there all the same; Retell's list may be a little late. */
static void
look(struct place *place, const char *key, struct retell_reply *reply)
{
	struct error unheard = {0};
	json_t *call = NULL;
	int i;

	for (i = 0; i < CALL_TRIES && call == NULL; i++) {
		pause_ms((int64_t)i * LOOK_MS);
		if (!retell_find(place->retell, KEY, key, &call, &unheard))
			call = NULL;
	}
	if (call == NULL)
		return;
	retell_reply_release(reply);
	reply->answer = RETELL_PLACED;
	reply->call_id = mem_copy(json_text(call, "call_id"));
	reply->body = call;
}

static bool
report(const struct account *account, const struct retell_reply *reply,
    struct error *error)
{
	char status[16] = "";

	if (reply->answer == RETELL_PLACED)
		return true;
	if (reply->status > 0)
		snprintf(status, sizeof(status), "%d, ", reply->status);
	return error_set(error,
	    reply->answer == RETELL_REFUSED ? ERROR_PROVIDER : ERROR_RETRY,
	    "lead %s: %s (%s%s); see automate-log why %s", account->lead.id,
	    reply->answer == RETELL_REFUSED ? "Retell refused the call"
		: reply->answer == RETELL_NOT_PLACED
		? "not called"
		: "it is not known whether it was called",
	    status, reply->words, account->lead.id);
}

static bool
carry_out(struct place *place, const struct account *account, bool *critical,
    struct error *error)
{
	static const char *const answers[] = {[RETELL_PLACED] = "placed",
	    [RETELL_NOT_PLACED] = "unreachable",
	    [RETELL_REFUSED] = "refused",
	    [RETELL_UNKNOWN] = "unknown"};
	const struct calls_overdue_row row = {.id = account->call.id,
	    .lead_id = account->lead.id,
	    .organization_id = account->organization.id};
	struct retell_reply reply = {0};
	struct finding finding;
	bool ok;

	request(place, account, &reply);
	if (reply.answer == RETELL_UNKNOWN)
		look(place, account->call.id, &reply);
	finding = (struct finding){
	    answers[reply.answer], reply.status, reply.words, reply.body};
	if (critical != NULL)
		*critical =
		    reply.answer != RETELL_PLACED && reply.status != 400;
	ok = keep_answer(place, &row, &finding, error) &&
	    report(account, &reply, error);
	retell_reply_release(&reply);
	return ok;
}

static bool
call_lead(
    struct place *place, const char *key, bool *critical, struct error *error)
{
	char *id = mem_copy(key);
	const struct event name = {.call_id = id, .received_at = clock_now()};
	struct account account = {0};
	bool ok =
	    account_load(ledger_db(place->ledger), &name, &account, error) &&
	    carry_out(place, &account, critical, error);

	account_release(&account);
	free(id);
	return ok;
}

bool
place_order(struct place *place, const struct event *order, bool *critical,
    struct error *error)
{
	json_t *line = NULL;
	bool ok = true;

	if (critical != NULL)
		*critical = false;
	/* What can fail for us fails before anything is claimed. */
	if (!prog.dry_run && place->conf->retell_api_key != NULL)
		ok = call_retell(place, error);
	ok = ok && record(place, order, decide_call, &line, error);
	if (ok && is_outcome(line, "claimed") && !prog.dry_run)
		ok = call_lead(place, json_text(line, "key"), critical, error);
	else if (ok)
		print(line);
	json_decref(line);
	return ok;
}

/*
 * The question.
 */

static bool
find(struct place *place, const struct calls_overdue_row *row, json_t **call,
    struct error *error)
{
	return call_retell(place, error) &&
	    (row->call_id != NULL
		    ? retell_get(place->retell, row->call_id, call, error)
		    : retell_find(place->retell, KEY, row->id, call, error));
}

/* Nothing is known of the request, or nothing of the end: ask again later. */
static bool
keep_doubt(struct place *place, const struct calls_overdue_row *row,
    const char *words, struct error *error)
{
	const struct finding finding = {
	    .answer = row->claimed ? "unknown" : "silent", .words = words};

	return keep_answer(place, row, &finding, error) &&
	    calls_postpone(ledger_db(place->ledger), row->id,
		clock_now() + ASK_AGAIN_S, error);
}

static bool
keep_found(struct place *place, const struct calls_overdue_row *row,
    const json_t *call, struct error *error)
{
	const struct finding absent = {.answer = "absent"},
			     placed = {.answer = "placed", .call = call};
	const char *status = json_text(call, "call_status");

	if (call == NULL)
		return keep_answer(place, row, &absent, error);
	if (call_is_over(status))
		return keep_end(place, call, error);
	if (row->claimed)
		return keep_answer(place, row, &placed, error);
	return keep_doubt(place, row, status, error);
}

bool
place_settle(struct place *place, const struct calls_overdue_row *row,
    struct error *error)
{
	struct error asking = {0};
	json_t *call = NULL;
	bool ok;

	if (find(place, row, &call, &asking))
		ok = keep_found(place, row, call, error);
	else
		ok = keep_doubt(place, row, asking.text, error);
	json_decref(call);
	if (ok && asking.kind != ERROR_NONE)
		*error = asking;
	return ok && asking.kind == ERROR_NONE;
}

bool
place_room(struct place *place, int64_t *room, struct error *error)
{
	return call_retell(place, error) &&
	    retell_room(place->retell, room, error);
}
