#include "decide/alert.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/plan.h"

#define DETAILS_MAX 16384

const struct alert_kind alert_kinds[] = {{"alert", "error", "Alert", NULL},
    {"call.failed", "error", "AI call failed", "automate-log why %s"},
    {"delivery.dead", "error", "Deliveries given up",
	"automate-deliver list --state dead"},
    {"delivery.held", "error", "A destination was stopped",
	"automate-deliver release %s"},
    {"delivery.breaker_open", "warning", "A destination does not answer",
	"automate-deliver list"},
    {"delivery.breaker_closed", "info", "A destination answers again", NULL},
    {"onboarding.no_address", "warning", "No mail address for a new customer",
	"automate-log why %s"},
    {"stripe.unmatched", "warning", "An event about an unknown customer",
	"automate-log list --kind stripe.unmatched"},
    {"stripe.customer_conflict", "error", "Two customers claim one account",
	"automate-log why %s"},
    {"stripe.customer_deleted", "warning", "A customer was deleted at Stripe",
	"automate-log why %s"},
    {"payment.checkout_failed", "warning", "A delayed payment failed", NULL},
    {"payment.first_failed", "warning", "The first payment failed",
	"automate-log why %s"},
    {"payment.one_off_failed", "warning", "A one-off payment failed",
	"automate-log why %s"},
    {"payment.finalization_failed", "error", "An invoice stays a draft",
	"automate-log why %s"},
    {"payment.after_end", "warning", "Paid after the subscription was over",
	"automate-log why %s"},
    {"payment.uncollectible", "warning", "An invoice was written off",
	"automate-log why %s"},
    {"payment.dispute", "error", "A charge is disputed", NULL},
    {"usage.meter_errors", "error", "Stripe could not count usage",
	"automate-reconcile"},
    {NULL, NULL, NULL, NULL}};

static const char *const severities[] = {
    "info", "warning", "error", "critical"};

void
alert_release(struct alert *alert)
{
	free(alert->kind);
	free(alert->severity);
	free(alert->title);
	free(alert->message);
	free(alert->details);
	free(alert->next_command);
	free(alert->organization_id);
	free(alert->lead_id);
	free(alert->event_id);
	free(alert->key);
	free(alert->avoid);
	memset(alert, 0, sizeof(*alert));
}

int
alert_severity(const char *word)
{
	int i;

	for (i = 0; word != NULL && i < 4; i++)
		if (strcmp(word, severities[i]) == 0)
			return i;
	return -1;
}

static const struct alert_kind *
find_kind(const char *name)
{
	const struct alert_kind *kind = alert_kinds;

	while (kind->kind != NULL && strcmp(kind->kind, name) != 0)
		kind++;
	return kind->kind != NULL ? kind : &alert_kinds[0];
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *
subject_of(const struct alert *alert)
{
	return alert->lead_id != NULL ? alert->lead_id : alert->organization_id;
}

static char *
next_command(const struct alert_kind *kind, const struct alert *alert)
{
	const char *subject =
	    alert->key != NULL && strncmp(kind->kind, "delivery.", 9) == 0
	    ? alert->key
	    : subject_of(alert);
	struct buf command = BUF_INIT(2048);
	const char *hole = strstr(kind->next_command, "%s");
	char *text;

	if (hole == NULL)
		return mem_copy(kind->next_command);
	if (subject == NULL)
		return mem_copy("automate-log list --open");
	buf_add(
	    &command, kind->next_command, (size_t)(hole - kind->next_command));
	message_word(&command, subject);
	text = mem_copy(buf_string(&command));
	buf_release(&command);
	return text;
}

void
alert_normalize(struct alert *alert)
{
	const struct alert_kind *kind;

	if (alert->kind == NULL)
		alert->kind = mem_copy("alert");
	kind = find_kind(alert->kind);
	if (alert_severity(alert->severity) == -1)
		mem_replace(&alert->severity, kind->severity);
	if (alert->title == NULL)
		alert->title = mem_copy(
		    kind == &alert_kinds[0] ? alert->kind : kind->title);
	if (alert->next_command == NULL && kind->next_command != NULL)
		alert->next_command = next_command(kind, alert);
}

/* An alert of no kind about nobody is told from others by its title. */
static char *
fingerprint_of_title(const struct alert *alert)
{
	struct buf line = BUF_INIT(1024), text = BUF_INIT(1024);
	const char *p;
	char *fingerprint;

	message_line(&line, alert->title, 100);
	for (p = buf_string(&line); *p != '\0'; p++)
		if (!is_digit(*p))
			buf_byte(&text, *p);
		else if (!is_digit(p[1]))
			buf_byte(&text, '#');
	fingerprint = mem_format("%s:%s", alert->kind, buf_string(&text));
	buf_release(&text);
	buf_release(&line);
	return fingerprint;
}

char *
alert_fingerprint(const struct alert *alert)
{
	const char *subject = subject_of(alert);

	if (alert->key != NULL && strncmp(alert->kind, "delivery.", 9) != 0)
		return mem_copy(alert->key);
	if (alert->key != NULL)
		subject = alert->key;
	if (subject == NULL && strcmp(alert->kind, "alert") == 0)
		return fingerprint_of_title(alert);
	return mem_format("%s%s%s", alert->kind, subject != NULL ? ":" : "",
	    subject != NULL ? subject : "");
}

void
alert_history_release(struct alert_history *history)
{
	size_t i;

	for (i = 0; i < history->examples_count; i++)
		free(history->examples[i]);
	memset(history, 0, sizeof(*history));
}

void
alert_ruling_release(struct alert_ruling *ruling)
{
	size_t i;

	for (i = 0; i < ruling->count; i++)
		free(ruling->messages[i].body);
	memset(ruling, 0, sizeof(*ruling));
}

static bool
is_critical(const struct alert *alert)
{
	return alert_severity(alert->severity) == 3;
}

/* Whether anybody is to hear of this occurrence. */
static bool
is_news(const struct alert *alert, const struct alert_history *history,
    const struct conf *conf, int64_t now)
{
	int64_t repeat_s = is_critical(alert) ? conf->alert_repeat_critical_s
					      : conf->alert_repeat_s;

	if (history->open_id == 0)
		return history->changes <= ALERT_FLAPPING_CHANGES + 1;
	if (history->acknowledged)
		return false;
	if (alert_severity(alert->severity) > alert_severity(history->severity))
		return true;
	return now - history->notified_at >= repeat_s;
}

/* The moment itself where it is not quiet, or where that was over already. */
static int64_t
end_of_quiet(const struct conf *conf, int64_t now)
{
	int64_t from = conf->alert_quiet.from_s,
		until = conf->alert_quiet.until_s, second, end_at;
	struct tm local;
	bool quiet;

	if (from == until)
		return now;
	clock_local(&local, now, conf->zone);
	second = local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec;
	quiet = from < until ? second >= from && second < until
			     : second >= from || second < until;
	if (!quiet)
		return now;
	if (second >= until)
		local.tm_mday++;
	local.tm_hour = (int)(until / 3600);
	local.tm_min = (int)(until % 3600 / 60);
	local.tm_sec = 0;
	end_at = clock_from_local(&local, conf->zone);
	return end_at > now ? end_at : now;
}

static char *
runbook(const struct conf *conf, const char *kind)
{
	const struct message_value values[] = {{"kind", kind, false},
	    {"knowledge_base_url", conf->knowledge_base_url, true}};
	struct buf url = BUF_INIT(2048);
	char *text = NULL;

	if (conf->alert_runbook_url != NULL &&
	    message_fill(&url, conf->alert_runbook_url, values, 2, NULL))
		text = mem_copy(buf_string(&url));
	buf_release(&url);
	return text;
}

static char *
title_line(const struct alert *alert, const struct alert_history *history)
{
	static const char *const words[] = {
	    "Info", "Warning", "Error", "CRITICAL"};
	const char *severity = words[alert_severity(alert->severity)];

	if (history->changes > ALERT_FLAPPING_CHANGES)
		return mem_format("%s (flapping): %s", severity, alert->title);
	if (history->storm_count > 0)
		return mem_format("%s: %lld x %s", severity,
		    (long long)history->storm_count + 1, alert->kind);
	if (history->count > 0)
		return mem_format("%s: %s (%lld times)", severity, alert->title,
		    (long long)history->count + 1);
	return mem_format("%s: %s", severity, alert->title);
}

/* A storm's message has the first few for examples; others their own words. */
static char *
slack_text(const struct alert *alert, const struct alert_history *history)
{
	struct buf text = BUF_INIT(8192);
	char *result;
	size_t i;

	if (history->storm_count == 0)
		return mem_copy(
		    alert->message != NULL ? alert->message : alert->details);
	buf_text(&text, "For example:");
	for (i = 0; i < history->examples_count; i++) {
		buf_text(&text, "\n- ");
		message_line(&text, history->examples[i], 200);
	}
	if (history->examples_count < ALERT_EXAMPLES_MAX) {
		buf_text(&text, "\n- ");
		message_line(&text, alert->title, 100);
		if (subject_of(alert) != NULL)
			buf_format(&text, " (%s)", subject_of(alert));
	}
	result = mem_copy(buf_string(&text));
	buf_release(&text);
	return result;
}

static char *
slack_body(const struct alert *alert, const struct alert_history *history,
    const struct conf *conf)
{
	struct slack_message message = {0};
	char *title = title_line(alert, history),
	     *text = slack_text(alert, history),
	     *link = runbook(conf, alert->kind), *body;

	message.title = title;
	message.text = text;
	if (history->storm_count == 0) {
		message.fields[0] =
		    (struct slack_field){"Lead", alert->lead_id};
		message.fields[1] = (struct slack_field){
		    "Organization", alert->organization_id};
		message.fields[2] = (struct slack_field){
		    "Details", alert->message != NULL ? alert->details : NULL};
	}
	message.fields[3] = (struct slack_field){"Kind", alert->kind};
	message.commands[0] = history->storm_count > 0
	    ? "automate-log list --open"
	    : alert->next_command;
	message.link_label = "Runbook";
	message.link_url = link;
	body = message_slack(&message);
	free(title);
	free(text);
	free(link);
	return body;
}

/* No personal data: what happened, how often, and where to read on. */
static char *
sms_body(const struct alert *alert, const struct alert_history *history,
    const struct conf *conf)
{
	bool last = history->sms_today + 1 >= conf->alert_sms_per_day;
	char *link = runbook(conf, alert->kind), *title, *line, *text, *body;
	json_t *sms = json_object();

	title = title_line(alert, history);
	line = mem_format("%s%s%s",
	    conf->business_name ? conf->business_name : "automate",
	    last ? " (SMS cap of today reached, more in Slack): " : ": ",
	    title);
	text = message_sms(line, link);
	json_put(sms, "text", text);
	body = json_compact(sms);
	json_decref(sms);
	free(link);
	free(title);
	free(line);
	free(text);
	return body;
}

static char *
webhook_body(const struct alert *alert, const char *title)
{
	json_t *mail = json_object();
	char *body;

	json_put(mail, "step", "alert");
	json_put(mail, "kind", alert->kind);
	json_put(mail, "severity", alert->severity);
	json_put(mail, "title", title);
	json_put(mail, "message", alert->message);
	json_put(mail, "next_command", alert->next_command);
	body = json_compact(mail);
	json_decref(mail);
	return body;
}

static bool
may_use(const struct alert *alert, const struct conf *conf,
    enum conf_destination_index index)
{
	const struct conf_destination *destination = &conf->destinations[index];

	return destination->configured &&
	    (alert->avoid == NULL ||
		(strcmp(alert->avoid, "*") != 0 &&
		    strcmp(alert->avoid, destination->name) != 0));
}

static void
say(struct alert_ruling *ruling, const struct conf *conf,
    enum conf_destination_index index, int64_t replaces_id, int64_t due_at,
    char *body)
{
	struct alert_message *message = &ruling->messages[ruling->count++];

	message->destination = &conf->destinations[index];
	message->replaces_id = replaces_id;
	message->due_at = due_at;
	message->body = body;
}

/*
 * The first of a kind goes at once, others join in one that goes when the
 * interval is over. What is critical waits no longer than that, whatever the
 * one it joins is waiting for.
 */
static int64_t
slack_due_at(const struct alert *alert, const struct alert_channel *slack,
    const struct conf *conf, int64_t now)
{
	const int64_t next_at = slack->latest_at + conf->alert_group_s;
	int64_t due_at = now + alert->wait_s;

	if (slack->waiting_id != 0)
		due_at = slack->latest_at;
	else if (slack->latest_at <= now && next_at > now)
		due_at = next_at;
	if (is_critical(alert))
		return due_at > now + conf->alert_group_s ? now : due_at;
	return slack->waiting_id != 0 ? due_at : end_of_quiet(conf, due_at);
}

static void
rule_slack(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	const struct alert_channel *slack =
	    &history->channels[CONF_SLACK_ALERTS];

	say(ruling, conf, CONF_SLACK_ALERTS, slack->waiting_id,
	    slack_due_at(alert, slack, conf, now),
	    slack_body(alert, history, conf));
}

static void
rule_sms(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	const struct alert_channel *sms = &history->channels[CONF_SMS];
	int64_t due_at = now;

	if (sms->waiting_id == 0 &&
	    (history->sms_today >= conf->alert_sms_per_day ||
		(sms->latest_at > 0 &&
		    now - sms->latest_at < conf->alert_repeat_critical_s)))
		return;
	if (!is_critical(alert))
		due_at = sms->waiting_id != 0 ? sms->latest_at
					      : end_of_quiet(conf, now);
	say(ruling, conf, CONF_SMS, sms->waiting_id, due_at,
	    sms_body(alert, history, conf));
}

void
alert_rule(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	const bool slack = may_use(alert, conf, CONF_SLACK_ALERTS);
	char *title;

	memset(ruling, 0, sizeof(*ruling));
	if (!is_news(alert, history, conf, now))
		return;
	if (slack)
		rule_slack(ruling, alert, history, conf, now);
	if ((is_critical(alert) || !slack) && may_use(alert, conf, CONF_SMS))
		rule_sms(ruling, alert, history, conf, now);
	if (ruling->count > 0 || slack || may_use(alert, conf, CONF_SMS) ||
	    !may_use(alert, conf, CONF_MAIL) || alert->avoid == NULL)
		return;
	title = title_line(alert, history);
	say(ruling, conf, CONF_MAIL, 0, now, webhook_body(alert, title));
	free(title);
}

char *
alert_resolved_body(const struct alert *alert, const char *by, int64_t count,
    const struct conf_destination *destination)
{
	char *title = mem_format("Resolved: %s", alert->title), *body, *text,
	     *sms;
	struct slack_message message = {0};
	json_t *json;

	text = mem_format("After %lld occurrence%s, by %s.", (long long)count,
	    count == 1 ? "" : "s", by);
	if (destination->dialect == CONF_SLACK) {
		message.title = title;
		message.text = text;
		message.fields[0] = (struct slack_field){"Kind", alert->kind};
		body = message_slack(&message);
	} else if (destination->dialect == CONF_WEBHOOK) {
		body = webhook_body(alert, title);
	} else {
		json = json_object();
		sms = message_sms(title, NULL);
		json_put(json, "text", sms);
		body = json_compact(json);
		json_decref(json);
		free(sms);
	}
	free(title);
	free(text);
	return body;
}

static const char *
text_of(const json_t *data, const char *first, const char *second)
{
	const char *text = json_text(data, first);

	return text != NULL || second == NULL ? text : json_text(data, second);
}

/* Text as it is, anything else as JSON; capped, since anybody sends it. */
static char *
details_of(const json_t *data, const char *first, const char *second)
{
	const json_t *value = json_at(data, first);
	struct buf cut = BUF_INIT(4 * DETAILS_MAX);
	char *text;

	if (value == NULL)
		value = json_at(data, second);
	if (value == NULL)
		return NULL;
	text = json_is_string(value) ? mem_copy(json_string_value(value))
				     : json_compact(value);
	message_cut(&cut, text, DETAILS_MAX);
	free(text);
	text = mem_copy(buf_string(&cut));
	buf_release(&cut);
	return text;
}

/*
 * The hosted function's report: {leadId, organizationId, error, errorDetails,
 * retellResponse: {status, statusText}}. A status that every other call would
 * meet too is critical.
 */
static void
read_failure_report(struct alert *alert, const json_t *data)
{
	const char *error = json_text(data, "error");
	const char *answer = json_text(data, "retellResponse.statusText");
	int64_t status = 0;

	alert->kind = mem_copy("call.failed");
	if (json_number(&status, data, "retellResponse.status") &&
	    ((status >= 401 && status <= 404) || status >= 500))
		alert->severity = mem_copy("critical");
	alert->message =
	    mem_format("%s%s%s%s", error != NULL ? error : "The call failed",
		answer != NULL ? " (Retell: " : "",
		answer != NULL ? answer : "", answer != NULL ? ")" : "");
	alert->details = details_of(data, "errorDetails", "retellResponse");
}

static bool
read_alert(struct alert *alert, const json_t *data, struct error *error)
{
	const json_t *severity = json_at(data, "severity");

	if (severity != NULL &&
	    alert_severity(json_string_value(severity)) == -1)
		return error_set(error, ERROR_DATA,
		    "field \"severity\" must be info, warning, error or "
		    "critical");
	if (json_text(data, "title") == NULL &&
	    json_text(data, "message") == NULL &&
	    json_text(data, "kind") == NULL)
		return error_set(error, ERROR_DATA,
		    "field \"title\" is missing, and so are message and kind");
	alert->kind = mem_copy(json_text(data, "kind"));
	alert->severity = mem_copy(json_string_value(severity));
	alert->title = mem_copy(text_of(data, "title", NULL));
	alert->message = mem_copy(text_of(data, "message", NULL));
	if (alert->title == NULL && alert->kind == NULL) {
		alert->title = alert->message;
		alert->message = NULL;
	}
	alert->details = details_of(data, "details", "detail");
	alert->key = mem_copy(json_text(data, "key"));
	alert->next_command = mem_copy(json_text(data, "next"));
	return true;
}

static void
fail_lead(const struct event *event, struct account *account, struct plan *plan)
{
	struct lead *lead = &account->lead;

	if (!lead->known) {
		mem_replace(&lead->id, event->lead_id);
		lead->created_at = event->received_at;
		lead->known = true;
	}
	if (lead->organization_id == NULL)
		mem_replace(&lead->organization_id, event->organization_id);
	mem_replace(&lead->status, "call_failed");
	lead->status_at = event->received_at;
	plan->lead_changed = true;
}

bool
decide_alert(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	const json_t *data = event->data;
	struct alert alert = {0};

	(void)conf;
	if (json_text(data, "kind") == NULL &&
	    json_text(data, "title") == NULL && json_at(data, "error") != NULL)
		read_failure_report(&alert, data);
	else if (!read_alert(&alert, data, error)) {
		alert_release(&alert);
		return false;
	}
	alert.organization_id = mem_copy(event->organization_id);
	alert.lead_id = mem_copy(event->lead_id);
	alert.event_id = mem_copy(event->id);
	if (event->lead_id != NULL && alert.kind != NULL &&
	    strcmp(alert.kind, "call.failed") == 0) {
		fail_lead(event, account, plan);
		json_put(plan->result, "lead_status", "call_failed");
	}
	plan_alert(plan, &alert);
	return true;
}
