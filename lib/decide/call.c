/*
 * May a lead be called, and what became of it: the request as we saw it, and
 * the call as Retell tells of it.
 */
#include "decide/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"

#define MARGIN_S 60
#define FAULTS_MAX 2 /* lately, before one more is critical */
#define REASON_MAX 60 /* code points */

static bool
is_word(const char *text, const char *word)
{
	return text != NULL && strcmp(text, word) == 0;
}

static bool
is_kind(const struct event *event, const char *kind)
{
	return strcmp(event->kind, kind) == 0;
}

/*
 * disconnection_reason, an open set: those of the vendor's package (retell-sdk
 * 5.66.1), then those of its texts and of live use.
 * https://docs.retellai.com/reliability/debug-call-disconnect
 */
static const struct reason {
	const char *word;
	enum call_class class;
} reasons[] = {
    {"agent_hangup", CALL_NORMAL},
    {"call_take_over", CALL_NORMAL},
    {"call_transfer", CALL_NORMAL},
    {"concurrency_limit_reached", CALL_NO_LINE},
    {"dial_busy", CALL_NOT_REACHED},
    {"dial_failed", CALL_NOT_DIALLED},
    {"dial_no_answer", CALL_NOT_REACHED},
    {"error_asr", CALL_FAULT},
    {"error_llm_websocket_corrupt_payload", CALL_FAULT},
    {"error_llm_websocket_lost_connection", CALL_FAULT},
    {"error_llm_websocket_open", CALL_FAULT},
    {"error_llm_websocket_runtime", CALL_FAULT},
    {"error_no_audio_received", CALL_FAULT},
    {"error_retell", CALL_FAULT},
    {"error_unknown", CALL_FAULT},
    {"error_user_not_joined", CALL_NOT_DIALLED},
    {"inactivity", CALL_NORMAL},
    {"invalid_destination", CALL_BAD_NUMBER},
    {"ivr_reached", CALL_NORMAL},
    {"manual_stopped", CALL_NORMAL},
    {"marked_as_spam", CALL_HOPELESS},
    {"max_duration_reached", CALL_NORMAL},
    {"no_concurrency_fallback", CALL_NO_LINE},
    {"no_valid_payment", CALL_HOPELESS},
    {"registered_call_timeout", CALL_NOT_DIALLED},
    {"scam_detected", CALL_HOPELESS},
    {"sip_routing_error", CALL_HOPELESS},
    {"telephony_provider_permission_denied", CALL_HOPELESS},
    {"telephony_provider_unavailable", CALL_HOPELESS},
    {"transfer_bridged", CALL_NORMAL},
    {"transfer_cancelled", CALL_NORMAL},
    {"user_declined", CALL_NOT_REACHED},
    {"user_hangup", CALL_NORMAL},
    {"voicemail_reached", CALL_NORMAL},

    {"budget_reached", CALL_HOPELESS},
    {"credit_exhausted", CALL_HOPELESS},
    {"error_inbound_webhook", CALL_FAULT},
    {"machine_detected", CALL_NORMAL},
    {"network_blocked", CALL_NOT_DIALLED},
    {"user_requested_callback", CALL_NORMAL},
    {"user_requested_dnc", CALL_NORMAL},
};

static const struct class
{
	const char *severity, *words;
} classes[] = {
    [CALL_NORMAL] = {"info", "The call ended"},
    [CALL_NOT_REACHED] = {"warning", "The lead was not reached"},
    [CALL_BAD_NUMBER] = {"warning",
	"The lead's number cannot be called; it is not tried again"},
    [CALL_NOT_DIALLED] = {"error", "The lead could not be dialled"},
    [CALL_HOPELESS] = {"critical", "Retell can place no calls as things are"},
    [CALL_NO_LINE] = {"error", "Too many calls at once"},
    [CALL_FAULT] = {"error", "The call broke off at Retell"},
};

/* One that nobody has told us of is judged by how it looks. */
enum call_class
call_classify(const char *reason, const char *call_status)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (is_word(reason, reasons[i].word))
			return reasons[i].class;
	if (reason != NULL && strncmp(reason, "error_", 6) == 0)
		return CALL_FAULT;
	if (is_word(call_status, "error"))
		return CALL_FAULT;
	if (is_word(call_status, "not_connected"))
		return CALL_NOT_DIALLED;
	return CALL_NORMAL;
}

bool
call_is_over(const char *call_status)
{
	return is_word(call_status, "ended") ||
	    is_word(call_status, "not_connected") ||
	    is_word(call_status, "error");
}

bool
call_bodes_ill(const char *reason)
{
	return is_word(reason, "unreachable") ||
	    (reason != NULL && strncmp(reason, "http_", 5) == 0 &&
		strcmp(reason, "http_400") != 0) ||
	    call_classify(reason, NULL) == CALL_HOPELESS;
}

/* Key, payment, rights and caller's number, and Retell itself, are all calls'.
 */
const char *
call_severity(int64_t http_status)
{
	return (http_status >= 401 && http_status <= 404) || http_status >= 500
	    ? "critical"
	    : "error";
}

bool
call_is_number(const char *phone)
{
	size_t size = phone != NULL ? strlen(phone) : 0;

	return size >= 9 && size <= 16 && phone[0] == '+' &&
	    strspn(phone + 1, "0123456789") == size - 1 && phone[1] != '0';
}

/* 0 for none. */
static int64_t
number_at(const json_t *data, const char *path)
{
	int64_t number = 0;

	return json_number(&number, data, path) ? number : 0;
}

/*
 * What a failure does.
 */

/*
 * The status of a lead is what became of its latest call. It stays where it is
 * none of ours, where another call of it is under way, and where it was
 * contacted after this.
 */
static void
set_lead(const struct event *event, struct account *account, const char *status,
    struct plan *plan)
{
	struct lead *lead = &account->lead;
	const struct call *call = &account->call;
	bool stays;

	if (is_word(lead->status, "ai_triggered"))
		stays = call->known && lead->latest_call_id != NULL &&
		    !is_word(call->id, lead->latest_call_id);
	else if (is_word(lead->status, "contacted"))
		stays = event->occurred_at < lead->status_at;
	else
		stays = !is_word(lead->status, "pending") &&
		    !is_word(lead->status, "call_failed");
	if (!lead->known || stays || is_word(lead->status, status))
		return;
	mem_replace(&lead->status, status);
	lead->status_at = event->occurred_at;
	plan->lead_changed = true;
}

/* A lead that others have told us of before its own row came. */
static void
know_lead(const struct event *event, struct account *account, struct plan *plan)
{
	struct lead *lead = &account->lead;
	const char *id = account->call.lead_id != NULL ? account->call.lead_id
						       : event->lead_id;

	if (!lead->known && id != NULL) {
		lead->known = true;
		mem_replace(&lead->id, id);
		mem_replace(&lead->status, "pending");
		lead->created_at = lead->status_at = event->received_at;
		plan->lead_changed = true;
	}
	if (lead->known && lead->organization_id == NULL &&
	    event->organization_id != NULL) {
		mem_replace(&lead->organization_id, event->organization_id);
		plan->lead_changed = true;
	}
	if (lead->known && lead->phone == NULL && event->phone != NULL) {
		mem_replace(&lead->phone, event->phone);
		plan->lead_changed = true;
	}
}

static const char *
first_of(const char *one, const char *other)
{
	return one != NULL ? one : other;
}

/* An alert about the account's lead and call. */
static void
raise(const struct event *event, const struct account *account,
    const char *kind, struct alert *alert, struct plan *plan)
{
	const struct call *call = &account->call;

	mem_replace(&alert->kind, kind);
	if (alert->key == NULL && call->known)
		alert->key = mem_format("%s:%s", kind, call->id);
	if (alert->organization_id == NULL)
		alert->organization_id =
		    mem_copy(first_of(event->organization_id,
			first_of(call->organization_id,
			    account->lead.organization_id)));
	if (alert->lead_id == NULL)
		alert->lead_id =
		    mem_copy(first_of(account->lead.id, event->lead_id));
	mem_replace(&alert->event_id, event->id);
	plan_alert(plan, alert);
}

void
call_fail(const struct event *event, struct account *account,
    struct alert *alert, struct plan *plan)
{
	struct call *call = &account->call;
	const bool told = call->known && is_word(call->state, "failed");

	know_lead(event, account, plan);
	set_lead(event, account, "call_failed", plan);
	if (account->lead.known)
		json_put(plan->result, "lead_status", account->lead.status);
	if (call->known) {
		mem_replace(&call->state, "failed");
		plan->call_changed = true;
	}
	if (told)
		alert_release(alert);
	else
		raise(event, account, "call.failed", alert, plan);
}

/* What was feared of the call did not come to pass, or is known by now. */
static void
resolve(const struct call *call, const char *kind, struct plan *plan)
{
	plan_resolve(plan, mem_format("%s:%s", kind, call->id));
}

static void
say_call(const struct account *account, struct plan *plan)
{
	const struct call *call = &account->call;

	if (account->lead.known) {
		json_put(plan->result, "lead", account->lead.id);
		json_put(plan->result, "lead_status", account->lead.status);
	}
	json_put(plan->result, "key", call->id);
	if (call->call_id != NULL)
		json_put(plan->result, "call", call->call_id);
	if (call->organization_id != NULL)
		json_put(plan->result, "organization", call->organization_id);
}

/*
 * May this lead be called?
 */

static bool
may_call(const struct organization *organization)
{
	return organization->known && organization->deleted_at == 0 &&
	    (is_word(organization->status, "active") ||
		is_word(organization->status, "trialing") ||
		is_word(organization->status, "past_due"));
}

int64_t
call_due_at(const struct lead *lead, const struct conf *conf)
{
	return lead->created_at + conf->call_threshold_s;
}

const char *
call_obstacle(const struct lead *lead, const struct organization *organization,
    bool force, bool again, const struct conf *conf, int64_t now)
{
	if (lead->open_calls > 0 ||
	    (!is_word(lead->status, "pending") &&
		!(again && is_word(lead->status, "call_failed"))))
		return "already_processed";
	if (!call_is_number(lead->phone) ||
	    is_word(lead->phone, first_of(lead->bad_phone, "")))
		return "bad_number";
	if (!may_call(organization))
		return "organization_inactive";
	if (!force && call_due_at(lead, conf) > now)
		return "not_due";
	return NULL;
}

static const char *
text_of(const json_t *data, const char *const *names)
{
	const char *text = NULL;

	for (; *names != NULL && text == NULL; names++)
		text = json_text(data, *names);
	return text;
}

#define TEXT(data, ...)                                                        \
	text_of((data), (const char *const[]){__VA_ARGS__, NULL})

/* "+1 (415) 555-0199" is a number too; one without "+" stays as it is. */
static char *
phone_of(const char *typed)
{
	char *phone = mem_copy(typed), *to = phone;
	const char *from;

	if (phone == NULL || phone[0] != '+')
		return phone;
	for (from = phone; *from != '\0'; from++)
		if (strchr(" -.()/", *from) == NULL)
			*to++ = *from;
	*to = '\0';
	return phone;
}

static char *
name_of(const json_t *data)
{
	const char *name = TEXT(data, "name", "full_name", "fullName"),
		   *first = TEXT(data, "first_name", "firstName"),
		   *last = TEXT(data, "last_name", "lastName");

	if (name != NULL || (first == NULL && last == NULL))
		return mem_copy(name);
	return mem_format("%s%s%s", first_of(first, ""),
	    first != NULL && last != NULL ? " " : "", first_of(last, ""));
}

static void
take(char **field, char *value)
{
	if (value == NULL)
		return;
	free(*field);
	*field = value;
}

static int64_t
created_at(const struct event *event)
{
	const char *text = TEXT(event->data, "created_at", "createdAt");
	int64_t at;

	return text != NULL && clock_parse(&at, text, NULL) &&
		at < event->received_at
	    ? at
	    : event->received_at;
}

/*
 * What the document says of the lead. Its status counts while the lead waits:
 * who sends it does not know that we have called.
 */
static void
learn(const struct event *event, struct lead *lead)
{
	const char *status = json_text(event->data, "status");

	if (!lead->known) {
		lead->known = true;
		mem_replace(&lead->id, event->lead_id);
		mem_replace(&lead->status, "pending");
		lead->created_at = created_at(event);
		lead->status_at = event->received_at;
	}
	if (event->organization_id != NULL)
		mem_replace(&lead->organization_id, event->organization_id);
	take(&lead->name, name_of(event->data));
	take(&lead->phone,
	    phone_of(
		TEXT(event->data, "phone", "phone_number", "phoneNumber")));
	if (is_kind(event, "lead.deleted"))
		status = "deleted";
	if (status == NULL || !is_word(lead->status, "pending") ||
	    is_word(status, "pending"))
		return;
	mem_replace(&lead->status, status);
	lead->status_at = event->received_at;
}

/* In whole seconds; the last try ends before it. */
static int64_t
time_to_answer_s(const struct conf *conf)
{
	return 2 * CALL_TRIES *
	    (conf->retell_timeout_ms / 1000 + CALL_WAIT_MAX_S) +
	    MARGIN_S;
}

static bool
claim(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	struct lead *lead = &account->lead;
	struct call *call = &account->call;

	if (conf->retell_api_key == NULL)
		return error_set(error, ERROR_CONF,
		    "retell.api_key is not set, so nobody can be called");
	if (conf->retell_from_number == NULL)
		return error_set(error, ERROR_CONF,
		    "retell.from_number is not set, so nobody can be called");
	call->known = true;
	call->id =
	    mem_format("call:%s:%lld", lead->id, (long long)lead->calls + 1);
	call->organization_id = mem_copy(account->organization.id);
	call->lead_id = mem_copy(lead->id);
	call->state = mem_copy("claimed");
	call->created_at = event->received_at;
	call->deadline_at = event->received_at + time_to_answer_s(conf);
	mem_replace(&lead->status, "ai_triggered");
	lead->status_at = event->received_at;
	plan->call_changed = true;
	plan->outcome = "claimed";
	say_call(account, plan);
	return true;
}

bool
decide_call(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const bool deleted = is_kind(event, "lead.deleted");
	struct lead *lead = &account->lead;
	char due[CLOCK_TEXT_MAX];
	const char *obstacle;

	if (!lead->known && is_kind(event, "call.ordered") &&
	    TEXT(event->data, "phone", "phone_number", "phoneNumber") == NULL)
		return error_set(error, ERROR_DATA,
		    "lead \"%s\" is not known, and no phone comes with it",
		    event->lead_id);
	learn(event, lead);
	plan->lead_changed = true;
	obstacle = deleted
	    ? "ignored"
	    : call_obstacle(lead, &account->organization, event->force,
		  event->again, conf, event->received_at);
	if (obstacle == NULL)
		return claim(event, account, conf, plan, error);
	plan->outcome = obstacle;
	json_put(plan->result, "lead", lead->id);
	json_put(plan->result, "lead_status", lead->status);
	if (is_word(obstacle, "not_due"))
		json_put(plan->result, "due_at",
		    clock_format(due, call_due_at(lead, conf)));
	return true;
}

/*
 * What became of the request?
 */

/* "Retell refused the call (402, its own words)." */
static char *
describe(const json_t *data, const char *what)
{
	const char *words = json_text(data, "words");
	const int64_t status = number_at(data, "status");

	if (status > 0)
		return mem_format("%s (%lld%s%s).", what, (long long)status,
		    words != NULL ? ", " : "", first_of(words, ""));
	if (words != NULL)
		return mem_format("%s (%s).", what, words);
	return mem_format("%s.", what);
}

static void
place(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan)
{
	struct call *call = &account->call;

	if (call->call_id == NULL)
		call->call_id =
		    mem_copy(json_text(event->data, "call.call_id"));
	if (call->placed_at == 0)
		call->placed_at = event->received_at;
	if (call->ended_at == 0) {
		mem_replace(&call->state, "placed");
		call->deadline_at = event->received_at + conf->call_deadline_s;
		set_lead(event, account, "ai_triggered", plan);
		resolve(call, "call.failed", plan);
	}
	resolve(call, "call.unknown", plan);
	plan->call_changed = true;
}

/* The reason in the call, where Retell made one only to refuse it. */
static void
refuse(const struct event *event, struct account *account, const char *what,
    struct plan *plan)
{
	const char *reason =
		       json_text(event->data, "call.disconnection_reason"),
		   *id = json_text(event->data, "call.call_id");
	struct call *call = &account->call;
	struct alert alert = {0};
	const int64_t status = number_at(event->data, "status");

	if (id != NULL && call->call_id == NULL)
		call->call_id = mem_copy(id);
	if (reason != NULL)
		mem_replace(&call->disconnection_reason, reason);
	else if (status >= 400)
		call->disconnection_reason =
		    mem_format("http_%lld", (long long)status);
	else
		mem_replace(&call->disconnection_reason,
		    json_text(event->data, "answer"));
	alert.severity = mem_copy(reason != NULL
		? classes[call_classify(reason, "error")].severity
		: is_kind(event, "call.unreachable") && status == 0
		? "critical"
		: call_severity(status));
	alert.message = describe(event->data, what);
	resolve(call, "call.unknown", plan);
	call_fail(event, account, &alert, plan);
}

static void
doubt(const struct event *event, struct account *account, const char *kind,
    const char *what, struct plan *plan)
{
	const bool ongoing =
	    is_word(json_text(event->data, "words"), "ongoing");
	struct alert alert = {0};

	alert.severity =
	    mem_copy(call_severity(number_at(event->data, "status")));
	alert.message = describe(event->data, what);
	if (!ongoing)
		set_lead(event, account, "call_failed", plan);
	raise(event, account, kind, &alert, plan);
}

/* False where what is answered no longer matters: more is known by now. */
static bool
learn_answer(const struct event *event, struct account *account,
    const char *answer, const struct conf *conf, struct plan *plan)
{
	const bool claimed = is_word(account->call.state, "claimed"),
		   placed = is_word(account->call.state, "placed");

	if (is_word(answer, "placed"))
		place(event, account, conf, plan);
	else if (is_word(answer, "refused") && claimed)
		refuse(event, account, "Retell refused the call", plan);
	else if (is_word(answer, "unreachable") && claimed)
		refuse(event, account, "Retell took no call", plan);
	else if (is_word(answer, "absent") && claimed)
		refuse(event, account,
		    "The call was not placed: Retell knows of none", plan);
	else if (is_word(answer, "absent") && placed)
		refuse(event, account,
		    "Retell does not know the call that it has placed", plan);
	else if (is_word(answer, "unknown") && claimed)
		doubt(event, account, "call.unknown",
		    "Whether the call was placed is not known; it is not "
		    "dialled again, and Retell will be asked",
		    plan);
	else if (is_word(answer, "silent") && placed)
		doubt(event, account, "call.silent",
		    "A call should be over, and nothing says that it is", plan);
	else
		return false;
	return true;
}

bool
decide_answer(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const char *answer = json_text(event->data, "answer");
	const struct call *call = &account->call;

	if (!call->known)
		return error_set(error, ERROR_DATA, "call \"%s\" is not known",
		    event->call_id);
	if (!learn_answer(event, account, answer, conf, plan))
		plan->outcome = "ignored";
	else if (is_word(call->state, "failed"))
		plan->outcome = "failed";
	else
		plan->outcome = is_word(answer, "placed") ? "placed"
		    : is_word(answer, "unknown")          ? "unknown"
							  : "silent";
	if (json_text(event->data, "words") != NULL)
		json_put(
		    plan->result, "error", json_text(event->data, "words"));
	say_call(account, plan);
	return true;
}

/*
 * What became of the call?
 */

/* Its row: ours by the key or the id; else one that we have not placed. */
static void
know_call(const struct event *event, struct account *account, struct plan *plan)
{
	struct call *call = &account->call;

	if (!call->known) {
		call->known = true;
		call->id = mem_copy(event->call_id);
		call->state = mem_copy("placed");
		call->created_at = event->received_at;
	}
	if (call->call_id == NULL)
		call->call_id = mem_copy(event->call_id);
	if (call->lead_id == NULL)
		call->lead_id =
		    mem_copy(first_of(account->lead.id, event->lead_id));
	if (call->organization_id == NULL)
		call->organization_id = mem_copy(first_of(
		    event->organization_id, account->lead.organization_id));
	if (call->organization_id == NULL)
		json_put(plan->result, "flag", "unattributed");
	plan->call_changed = true;
}

/*
 * The day it is billed, which never changes: a call is accepted once.
 */
static void
bill(const struct event *event, struct call *call)
{
	const int64_t at =
	    number_at(event->data, "call.start_timestamp") / 1000;

	if (call->placed_at == 0)
		call->placed_at =
		    at > 0 && at < event->received_at ? at : event->received_at;
}

/*
 * Whether somebody or something answered. Once true it stays, so that no usage
 * is ever taken back: a call that breaks off later was answered all the same.
 */
static bool
was_answered(const struct event *event, const char *status)
{
	return is_kind(event, "call_started") || is_word(status, "ongoing") ||
	    is_word(status, "ended") ||
	    number_at(event->data, "call.duration_ms") > 0;
}

static void
start(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan)
{
	struct call *call = &account->call;

	if (call->ended_at != 0)
		return;
	if (!is_word(call->state, "placed") || call->deadline_at == 0)
		call->deadline_at = event->received_at + conf->call_deadline_s;
	mem_replace(&call->state, "placed");
	set_lead(event, account, "ai_triggered", plan);
	resolve(call, "call.unknown", plan);
	resolve(call, "call.failed", plan);
}

static void
report(const struct event *event, struct account *account,
    enum call_class class, struct plan *plan)
{
	const struct call *call = &account->call;
	struct lead *lead = &account->lead;
	const bool repeated =
	    class == CALL_FAULT && account->recent_faults >= FAULTS_MAX;
	struct alert alert = {0};

	if (class == CALL_BAD_NUMBER && lead->known && event->phone != NULL) {
		mem_replace(&lead->bad_phone, event->phone);
		plan->lead_changed = true;
	}
	alert.severity =
	    mem_copy(repeated ? "critical" : classes[class].severity);
	alert.message = mem_format("%s: %s (%s).", classes[class].words,
	    first_of(call->disconnection_reason, "no reason given"),
	    call->call_id);
	call_fail(event, account, &alert, plan);
}

/* Told twice, by call_ended and call_analyzed, in either order. */
static void
finish(const struct event *event, struct account *account, const char *status,
    struct plan *plan)
{
	const char *reason =
	    json_text(event->data, "call.disconnection_reason");
	const enum call_class class = call_classify(reason, status);
	struct call *call = &account->call;
	struct buf word = BUF_INIT(4 * REASON_MAX);

	if (call->ended_at != 0)
		return;
	call->ended_at = event->occurred_at;
	call->duration_ms = number_at(event->data, "call.duration_ms");
	message_line(&word, reason, REASON_MAX);
	if (word.size > 0)
		mem_replace(&call->disconnection_reason, buf_string(&word));
	buf_release(&word);
	resolve(call, "call.unknown", plan);
	resolve(call, "call.silent", plan);
	if (class != CALL_NORMAL) {
		report(event, account, class, plan);
		return;
	}
	if (is_word(call->state, "failed"))
		resolve(call, "call.failed", plan);
	mem_replace(&call->state, "ended");
	set_lead(event, account, "contacted", plan);
}

static const char *const transcripts[] = {"transcript", "transcript_object",
    "transcript_with_tool_calls", "scrubbed_transcript_with_tool_calls"};

/* An hour's call is megabytes, three times over and in two events: once will
 * do. */
static void
keep_transcript(const struct event *event, struct call *call, struct plan *plan)
{
	json_t *data, *told;
	size_t i;

	if (call->transcript_event_id == NULL) {
		if (json_text(event->data, "call.transcript") != NULL)
			call->transcript_event_id = mem_copy(event->id);
		return;
	}
	data = json_copy(event->data);
	told = json_copy(json_object_get(data, "call"));
	for (i = 0; i < sizeof(transcripts) / sizeof(transcripts[0]); i++)
		json_object_del(told, transcripts[i]);
	json_object_set_new(data, "call", told);
	plan->body = json_compact(data);
	json_decref(data);
}

bool
decide_retell(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const char *status = json_text(event->data, "call.call_status");
	struct call *call = &account->call;
	/* Refused as soon as it was asked for, though it got an id. */
	const bool refused = is_word(call->state, "failed") &&
	    call->call_id != NULL && call->placed_at == 0 &&
	    is_word(status, "error");

	(void)error;
	know_call(event, account, plan);
	know_lead(event, account, plan);
	if (!refused)
		bill(event, call);
	if (was_answered(event, status))
		call->connected = true;
	if (is_kind(event, "call_started"))
		start(event, account, conf, plan);
	else
		finish(event, account, status, plan);
	keep_transcript(event, call, plan);
	json_put(plan->result, "state", call->state);
	if (call->disconnection_reason != NULL)
		json_put(plan->result, "reason", call->disconnection_reason);
	say_call(account, plan);
	return true;
}
