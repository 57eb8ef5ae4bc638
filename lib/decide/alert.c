#include "decide/alert.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/call.h"
#include "decide/message.h"
#include "decide/plan.h"

#define DETAILS_MAX 16384
#define AFTER_PARENT_S 3600

const struct alert_kind alert_kinds[] = {{"alert", "error", "Alert", NULL},
    {"call.failed", "error", "AI call failed", "automate-log why %s"},
    {"call.silent", "error", "AI call without an end", "automate-log why %s"},
    {"call.unknown", "error", "AI call in doubt", "automate-call --sweep"},
    {"delivery.dead", "error", "Deliveries given up",
	"automate-deliver list --state dead"},
    {"delivery.held", "error", "A destination was stopped",
	"automate-deliver release %s"},
    {"delivery.breaker_open", "warning", "A destination does not answer",
	"automate-deliver list --state queued --destination %s"},
    {"delivery.late", "warning", "Deliveries are late",
	"automate-deliver list --state queued --destination %s"},
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
    {"dunning.missed_event", "error", "A webhook of Stripe was missed",
	"automate-log why %s"},
    {"dunning.unwarned", "error", "Not downgraded: no reminder was delivered",
	"automate-deliver list --destination billing"},
    {"dunning.unknown", "error", "Not downgraded: unknown at Stripe",
	"automate-log why %s"},
    {"dunning.unverified", "warning",
	"Not downgraded: there is no key to ask Stripe with",
	"automate-dunning --list"},
    {"dunning.stripe_unreachable", "error",
	"Not downgraded: Stripe does not answer", "automate-dunning --list"},
    {"dunning.key_refused", "error", "Not downgraded: Stripe refuses the key",
	"automate-dunning --list"},
    {"dunning.fuse", "critical", "Not downgraded: too many at once",
	"automate-dunning --list"},
    {"dunning.no_cycle", "warning", "Past due, and nobody reminds",
	"automate-log why %s"},
    {"usage.meter_errors", "error", "Stripe could not count usage",
	"automate-reconcile"},
    {"usage.drift", "error", "Stripe's sum of usage differs from ours",
	"automate-reconcile"},
    {"usage.unattributed", "error", "Calls of no organization",
	"automate-log list --kind usage.unattributed"},
    {"usage.no_customer", "error", "Calls of nobody Stripe could bill",
	"automate-log list --kind usage.no_customer"},
    {"usage.inactive", "warning", "Calls of organizations not active",
	"automate-log list --kind usage.inactive"},
    {"usage.retell_differs", "warning", "Retell counts other calls than we",
	"automate-reconcile --dry-run"},
    {"usage.stripe_unreachable", "warning", "Stripe cannot be asked for usage",
	"automate-reconcile"},
    {"usage.stopped", "error", "No usage is reported", "automate-reconcile"},
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

/* Then its key is the destination's name. */
static bool
is_about_delivery(const struct alert *alert)
{
	return strncmp(alert->kind, "delivery.", 9) == 0;
}

static char *
next_command(const struct alert_kind *kind, const struct alert *alert)
{
	const char *subject = alert->key != NULL && is_about_delivery(alert)
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
	if (alert->title == NULL && alert->key != NULL &&
	    is_about_delivery(alert))
		alert->title = mem_format("%s: %s", kind->title, alert->key);
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

	if (alert->key != NULL && !is_about_delivery(alert))
		return mem_copy(alert->key);
	if (alert->key != NULL)
		subject = alert->key;
	if (subject == NULL && strcmp(alert->kind, "alert") == 0)
		return fingerprint_of_title(alert);
	return mem_format("%s%s%s", alert->kind, subject != NULL ? ":" : "",
	    subject != NULL ? subject : "");
}

/*
 * What follows from what; %s is what the child is about. Not here is what may
 * have another cause as well, and what is money or a message lost.
 */
static const struct {
	const char *child, *parent;
} parents_of[] = {{"delivery.late", "delivery.held:%s"},
    {"delivery.late", "delivery.breaker_open:%s"},
    {"dunning.unwarned", "delivery.held:billing"},
    {"usage.stripe_unreachable", "dunning.stripe_unreachable"}};

void
alert_parents(char *parents[ALERT_PARENTS_MAX], size_t *count, const char *kind,
    const char *fingerprint)
{
	const size_t size = strlen(kind);
	const char *subject =
	    strncmp(fingerprint, kind, size) == 0 && fingerprint[size] == ':'
	    ? fingerprint + size + 1
	    : "";
	const char *parent, *hole;
	size_t i;

	*count = 0;
	for (i = 0; i < sizeof(parents_of) / sizeof(parents_of[0]); i++) {
		if (strcmp(parents_of[i].child, kind) != 0)
			continue;
		assert(*count < ALERT_PARENTS_MAX);
		parent = parents_of[i].parent;
		hole = strstr(parent, "%s");
		parents[(*count)++] = hole != NULL
		    ? mem_format(
			  "%.*s%s", (int)(hole - parent), parent, subject)
		    : mem_copy(parent);
	}
}

static bool
is_critical(const char *severity)
{
	return alert_severity(severity) == 3;
}

/* Whether anybody is to hear of this occurrence. */
static bool
is_news(const struct alert *alert, const struct alert_history *history,
    const struct conf *conf, int64_t now)
{
	int64_t repeat_s = is_critical(alert->severity)
	    ? conf->alert_repeat_critical_s
	    : conf->alert_repeat_s;

	if (history->open_id == 0 ||
	    alert_severity(alert->severity) > alert_severity(history->severity))
		return true;
	return !history->acknowledged && !history->flapping &&
	    now - history->notified_at >= repeat_s;
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

/* Whether the telephone may ring for it, where Slack cannot have it. */
static bool
is_urgent(const struct alert *alert, const struct conf *conf)
{
	const int severity = alert_severity(alert->severity);

	return severity >= 2 ||
	    (severity == 1 && alert->avoid != NULL &&
		strcmp(alert->avoid,
		    conf->destinations[CONF_SLACK_ALERTS].name) == 0);
}

/*
 * Within that time of now; also after it, since who waited for the database has
 * a now of long ago, but not by more, since a clock may have been put back.
 */
static bool
is_recent(int64_t at, int64_t length_s, int64_t now)
{
	return at > now - length_s && at < now + length_s;
}

static bool
sms_is_left(const struct alert_history *history, const struct conf *conf)
{
	return history->sms_today < conf->alert_sms_per_day;
}

/* When it may be said there, with others of its kind once in an interval. */
static int64_t
next_at(const struct alert *alert, const struct alert_channel *channel,
    const struct conf *conf, int64_t now)
{
	const int64_t own_at = now + alert->wait_s,
		      group_at = channel->latest_at + conf->alert_group_s;

	return is_recent(channel->latest_at, conf->alert_group_s, now) &&
		group_at > own_at
	    ? group_at
	    : own_at;
}

/* Join what waits, else wait for company, and for the end of quiet hours. */
static void
say(struct alert_ruling *ruling, enum conf_destination_index index,
    const char *step, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	const struct alert_channel *channel = &history->channels[index];
	const int64_t at = next_at(alert, channel, conf, now);
	const bool quiet =
	    !is_critical(alert->severity) && end_of_quiet(conf, at) > at;
	const bool digest = quiet && index == CONF_SLACK_ALERTS;

	ruling->messages[ruling->count++] =
	    (struct alert_message){.destination = &conf->destinations[index],
		.step = digest ? "digest" : step,
		.joins_id = digest ? history->digest_id : channel->waiting_id,
		.due_at = quiet ? end_of_quiet(conf, at) : at};
}

static bool
may_text(const struct alert *alert, const struct alert_history *history,
    const struct conf *conf, int64_t now)
{
	const struct alert_channel *sms = &history->channels[CONF_SMS];

	return may_use(alert, conf, CONF_SMS) &&
	    (sms->waiting_id != 0 ||
		(sms_is_left(history, conf) &&
		    !is_recent(
			sms->latest_at, conf->alert_repeat_critical_s, now)));
}

/* A silence is somebody's word; a parent hides nothing that is worse. */
static bool
is_kept(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_keeper *keeper)
{
	if (keeper->silence_id != 0)
		ruling->silence_id = keeper->silence_id;
	else if (alert_severity(alert->severity) <=
	    alert_severity(keeper->parent_severity))
		ruling->parent_id = keeper->parent_id;
	return ruling->silence_id != 0 || ruling->parent_id != 0;
}

void
alert_rule(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	memset(ruling, 0, sizeof(*ruling));
	ruling->flapping =
	    history->open_id == 0 && history->changes >= ALERT_FLAPPING_CHANGES;
	if (!is_news(alert, history, conf, now) ||
	    is_kept(ruling, alert, &history->keeper))
		return;
	if (may_use(alert, conf, CONF_SLACK_ALERTS))
		say(ruling, CONF_SLACK_ALERTS, "alert", alert, history, conf,
		    now);
	if ((is_critical(alert->severity) ||
		(is_urgent(alert, conf) && ruling->count == 0)) &&
	    may_text(alert, history, conf, now))
		say(ruling, CONF_SMS, "alert", alert, history, conf, now);
	if (alert_severity(alert->severity) > 0 && ruling->count == 0 &&
	    may_use(alert, conf, CONF_MAIL))
		say(ruling, CONF_MAIL, "alert", alert, history, conf, now);
}

void
alert_rule_kept(struct alert_ruling *ruling, const struct alert *alert,
    int64_t silence_id, const struct alert_history *history,
    const struct conf *conf, int64_t now)
{
	struct alert_history anew = *history;
	struct alert kept = *alert; /* borrowed */

	anew.open_id = anew.changes = 0; /* it is news still */
	kept.wait_s = silence_id == 0 ? AFTER_PARENT_S : 0;
	alert_rule(ruling, &kept, &anew, conf, now);
}

void
alert_rule_end(struct alert_ruling *ruling, const char *step,
    const struct alert *alert, const bool heard[CONF_DESTINATIONS],
    const struct alert_history *history, const struct conf *conf, int64_t now)
{
	static const enum conf_destination_index channels[] = {
	    CONF_SLACK_ALERTS, CONF_SMS, CONF_MAIL};
	size_t i;

	memset(ruling, 0, sizeof(*ruling));
	for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
		if (heard[channels[i]] &&
		    conf->destinations[channels[i]].configured &&
		    (channels[i] != CONF_SMS || sms_is_left(history, conf)))
			say(ruling, channels[i], step, alert, history, conf,
			    now);
}

/* Whether to look for another channel: all that were used have failed. */
static bool
is_unheard(const struct alert *alert, const struct alert_standing *standing,
    int64_t now)
{
	size_t used = 0, i;
	int64_t limit_s;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		if (!standing->channels[i].used)
			continue;
		used++;
		limit_s = standing->channels[i].lost ? 0 : ALERT_FALLBACK_S;
		if (standing->channels[i].done ||
		    now - standing->channels[i].first_due_at < limit_s ||
		    (limit_s > 0 && !is_critical(alert->severity)))
			return false;
	}
	return used > 0 && (used < 2 || !is_about_delivery(alert));
}

void
alert_rule_fallback(struct alert_ruling *ruling, const struct alert *alert,
    const struct alert_standing *standing, const struct alert_history *history,
    const struct conf *conf, int64_t now)
{
	memset(ruling, 0, sizeof(*ruling));
	if (alert_severity(alert->severity) < 1 ||
	    !is_unheard(alert, standing, now))
		return;
	if (!standing->channels[CONF_SMS].used && is_urgent(alert, conf) &&
	    may_text(alert, history, conf, now))
		say(ruling, CONF_SMS, "alert", alert, history, conf, now);
	else if (!standing->channels[CONF_MAIL].used &&
	    may_use(alert, conf, CONF_MAIL))
		say(ruling, CONF_MAIL, "alert", alert, history, conf, now);
}

const char *
alert_lateness(int64_t age_s)
{
	if (age_s > ALERT_VERY_LATE_S)
		return "critical";
	return age_s > ALERT_LATE_S ? "warning" : NULL;
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
	if (json_number(&status, data, "retellResponse.status"))
		alert->severity = mem_copy(call_severity(status));
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
	    strcmp(alert.kind, "call.failed") == 0)
		call_fail(event, account, &alert, plan);
	else
		plan_alert(plan, &alert);
	return true;
}
