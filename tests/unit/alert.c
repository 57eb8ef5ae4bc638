/*
 * Who hears of an alert, when, and in what words.
 */
#include <stdlib.h>

#include "../tap.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/alert.h"
#include "decide/event.h"
#include "decide/plan.h"

#define MINUTE 60
#define HOUR 3600
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Some Tuesday noon. */
static const char noon[] = "2026-11-24T12:00:00Z";

static void
fill_conf(struct conf *conf)
{
	static char business[] = "Example Ltd",
		    runbook[] = "https://kb.example.com/{kind}";

	*conf = (struct conf){.business_name = business,
	    .alert_repeat_s = 4 * HOUR,
	    .alert_repeat_critical_s = 30 * MINUTE,
	    .alert_group_s = 5 * MINUTE,
	    .alert_sms_per_day = 20,
	    .alert_runbook_url = runbook};
	conf->destinations[CONF_MAIL] = (struct conf_destination){
	    .name = "mail", .dialect = CONF_WEBHOOK, .configured = true};
	conf->destinations[CONF_SLACK_ALERTS] = (struct conf_destination){
	    .name = "slack.alerts", .dialect = CONF_SLACK, .configured = true};
	conf->destinations[CONF_SMS] = (struct conf_destination){
	    .name = "sms", .dialect = CONF_TWILIO, .configured = true};
}

static void
fill_alert(struct alert *alert, const char *kind, const char *severity)
{
	*alert = (struct alert){.kind = mem_copy(kind),
	    .severity = mem_copy(severity),
	    .message = mem_copy("Ann Smith did not answer"),
	    .details = mem_copy("{\"code\":1}"),
	    .lead_id = mem_copy("lead_1")};
	alert_normalize(alert);
}

/*
 * The moments in a row are seconds from now, those behind us negative; 0 is
 * never. What is not named is as for a first alert with everything configured.
 */
struct row {
	const char *name;
	const char *severity;
	const char *avoid;
	const char *without; /* destinations that are not configured */

	bool open, acknowledged;
	const char *open_severity;
	int64_t told; /* when it was told last */
	int64_t changes;

	int64_t slack_waiting, slack_latest, sms_waiting, sms_latest;
	int64_t sms_today, sms_per_day; /* 0 a day: 20; -1: none */

	const char *now, *zone;
	int quiet_from, quiet_until; /* as on a clock: 2230 */

	const char *wanted; /* "#7 slack.alerts +240": into row 7, in 240 s */
};

static const struct row rows[] = {
    {"the first of its kind is told at once", "error",
	.wanted = "slack.alerts +0"},
    {"a warning too", "warning", .wanted = "slack.alerts +0"},
    {"and what is only for information", "info", .wanted = "slack.alerts +0"},
    {"what is critical is an SMS as well", "critical",
	.wanted = "slack.alerts +0, sms +0"},

    {"no Slack: an SMS instead", "error", .without = "slack.alerts",
	.wanted = "sms +0"},
    {"no SMS: Slack alone", "critical", .without = "sms",
	.wanted = "slack.alerts +0"},
    {"neither: it is only recorded", "critical",
	.without = "slack.alerts sms mail", .wanted = ""},
    {"Slack's trouble is told by SMS", "error", .avoid = "slack.alerts",
	.wanted = "sms +0"},
    {"the SMS's in Slack", "critical", .avoid = "sms",
	.wanted = "slack.alerts +0"},
    {"mail's in Slack", "error", .avoid = "mail", .wanted = "slack.alerts +0"},
    {"Slack's by mail, where there is no SMS", "error", .avoid = "slack.alerts",
	.without = "sms", .wanted = "mail +0"},
    {"trouble with telling of trouble is told nowhere", "critical",
	.avoid = "*", .wanted = ""},

    {"an open one is not told again", "error", .open = true,
	.open_severity = "error", .told = -1 * HOUR, .wanted = ""},
    {"not within four hours", "error", .open = true, .open_severity = "error",
	.told = -4 * HOUR + 1, .wanted = ""},
    {"then it is", "error", .open = true, .open_severity = "error",
	.told = -4 * HOUR, .slack_latest = -4 * HOUR,
	.wanted = "slack.alerts +0"},
    {"a critical one not within half an hour", "critical", .open = true,
	.open_severity = "critical", .told = -30 * MINUTE + 1, .wanted = ""},
    {"then it is, both ways", "critical", .open = true,
	.open_severity = "critical", .told = -30 * MINUTE,
	.slack_latest = -30 * MINUTE, .sms_latest = -30 * MINUTE,
	.wanted = "slack.alerts +0, sms +0"},
    {"worse than it was is news", "error", .open = true,
	.open_severity = "warning", .told = -10 * MINUTE,
	.slack_latest = -10 * MINUTE, .wanted = "slack.alerts +0"},
    {"critical now: the telephone at once", "critical", .open = true,
	.open_severity = "error", .told = -1 * MINUTE,
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +240, sms +0"},
    {"better than it was is none", "warning", .open = true,
	.open_severity = "error", .told = -10 * MINUTE, .wanted = ""},
    {"never while acknowledged", "error", .open = true, .acknowledged = true,
	.open_severity = "error", .told = -9 * HOUR, .wanted = ""},
    {"not even if it became worse", "critical", .open = true,
	.acknowledged = true, .open_severity = "error", .told = -9 * HOUR,
	.wanted = ""},

    {"a second of the kind waits for more", "error",
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +240"},
    {"not beyond the interval", "error", .slack_latest = -5 * MINUTE,
	.wanted = "slack.alerts +0"},

    {"a third joins it", "error", .slack_waiting = 7, .slack_latest = 180,
	.wanted = "#7 slack.alerts +180"},
    {"a critical one joins it too, and rings", "critical", .slack_waiting = 7,
	.slack_latest = 180, .wanted = "#7 slack.alerts +180, sms +0"},
    {"one that is tried again and again holds up no other", "error",
	.slack_latest = 5 * HOUR, .wanted = "slack.alerts +0"},

    {"one SMS of a kind in half an hour", "critical", .sms_latest = -1,
	.wanted = "slack.alerts +0"},
    {"then another", "critical", .sms_latest = -30 * MINUTE,
	.wanted = "slack.alerts +0, sms +0"},
    {"one that still waits says the latest", "critical", .sms_waiting = 9,
	.sms_latest = -1, .wanted = "slack.alerts +0, #9 sms +0"},
    {"the last of the day", "critical", .sms_today = 19,
	.wanted = "slack.alerts +0, sms +0"},
    {"none after that", "critical", .sms_today = 20,
	.wanted = "slack.alerts +0"},
    {"a cap of one", "critical", .sms_today = 1, .sms_per_day = 1,
	.wanted = "slack.alerts +0"},
    {"no SMS at all", "critical", .sms_per_day = -1,
	.wanted = "slack.alerts +0"},

    {"quiet: an error waits for the morning", "error",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +28800"},
    {"also after midnight", "error", .now = "2026-11-25T00:30:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +23400"},
    {"from its first second", "error", .now = "2026-11-24T22:00:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +32400"},
    {"not a second sooner", "error", .now = "2026-11-24T21:59:59Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "slack.alerts +0"},
    {"to its last", "error", .now = "2026-11-25T06:59:59Z", .quiet_from = 2200,
	.quiet_until = 700, .wanted = "slack.alerts +1"},
    {"and no longer", "error", .now = "2026-11-25T07:00:00Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "slack.alerts +0"},
    {"quiet at noon, within one day", "error", .now = "2026-11-24T12:10:00Z",
	.quiet_from = 1200, .quiet_until = 1330,
	.wanted = "slack.alerts +4800"},
    {"not in the evening then", "error", .now = "2026-11-24T18:00:00Z",
	.quiet_from = 1200, .quiet_until = 1330, .wanted = "slack.alerts +0"},
    {"the critical is always told", "critical", .now = "2026-11-25T03:00:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +0, sms +0"},
    {"the last minutes of quiet are within a storm's interval", "error",
	.now = "2026-11-25T06:59:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +240"},
    {"what a storm's interval would put into quiet hours", "error",
	.now = "2026-11-24T21:58:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +32520"},
    {"an error joins what waits for the morning", "error",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_waiting = 7, .slack_latest = 8 * HOUR,
	.wanted = "#7 slack.alerts +28800"},
    {"a critical one takes it along at once", "critical",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_waiting = 7, .slack_latest = 8 * HOUR,
	.wanted = "#7 slack.alerts +0, sms +0"},
    {"an error does not keep a critical one till the morning", "error",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_waiting = 7, .slack_latest = 240,
	.wanted = "#7 slack.alerts +240"},
    {"quiet without Slack: no SMS before the morning", "error",
	.without = "slack.alerts", .now = "2026-11-24T23:00:00Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "sms +28800"},
    {"but for the critical", "critical", .without = "slack.alerts",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "sms +0"},
    {"which takes what waits along", "critical", .without = "slack.alerts",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.sms_waiting = 9, .sms_latest = 8 * HOUR, .wanted = "#9 sms +0"},
    {"over the end of the month", "error", .now = "2026-11-30T23:00:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +28800"},

    {"quiet by the zone's clock", "error", .zone = "Europe/Berlin",
	.now = "2026-07-01T20:30:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +30600"},
    {"whatever UTC says", "error", .zone = "America/Los_Angeles",
	.now = "2026-07-01T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +0"},
    {"half an hour beside it", "error", .zone = "Asia/Kolkata",
	.now = "2026-07-01T17:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +30600"},
    {"the night that loses an hour", "error", .zone = "Europe/Berlin",
	.now = "2026-03-28T22:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +25200"},
    {"the night that gains one", "error", .zone = "Europe/Berlin",
	.now = "2026-10-24T21:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +32400"},
    {"an end that the clock skips is an hour later", "error",
	.zone = "Europe/Berlin", .now = "2026-03-28T22:30:00Z",
	.quiet_from = 2200, .quiet_until = 230,
	.wanted = "slack.alerts +10800"},
    {"an end that comes twice is the first", "error", .zone = "Europe/Berlin",
	.now = "2026-10-24T21:00:00Z", .quiet_from = 2200, .quiet_until = 230,
	.wanted = "slack.alerts +12600"},
    {"what was over is not quiet when it comes again", "error",
	.zone = "Europe/Berlin", .now = "2026-10-25T01:15:00Z",
	.quiet_from = 2200, .quiet_until = 230, .wanted = "slack.alerts +0"},

    {"opened and closed twice is not flapping", "error",
	.changes = ALERT_FLAPPING_CHANGES, .wanted = "slack.alerts +0"},
    {"once more is, and is said", "error",
	.changes = ALERT_FLAPPING_CHANGES + 1, .wanted = "slack.alerts +0"},
    {"once", "error", .changes = ALERT_FLAPPING_CHANGES + 2, .wanted = ""},
    {"not even what is critical", "critical",
	.changes = ALERT_FLAPPING_CHANGES + 2, .wanted = ""},
};

static int
seconds_of_day(int clock)
{
	return clock / 100 * HOUR + clock % 100 * MINUTE;
}

static int64_t
moment(int64_t now, int64_t seconds)
{
	return seconds != 0 ? now + seconds : 0;
}

static void
fill_history(struct alert_history *history, const struct row *row, int64_t now)
{
	struct alert_channel *slack = &history->channels[CONF_SLACK_ALERTS],
			     *sms = &history->channels[CONF_SMS];

	*history = (struct alert_history){.open_id = row->open,
	    .count = row->open,
	    .notified_at = moment(now, row->told),
	    .acknowledged = row->acknowledged,
	    .changes = row->changes,
	    .sms_today = row->sms_today};
	snprintf(history->severity, sizeof(history->severity), "%s",
	    row->open_severity != NULL ? row->open_severity : "");
	slack->waiting_id = row->slack_waiting;
	slack->latest_at = moment(now, row->slack_latest);
	sms->waiting_id = row->sms_waiting;
	sms->latest_at = moment(now, row->sms_latest);
}

static void
fill_conf_of(struct conf *conf, const struct row *row)
{
	int i;

	fill_conf(conf);
	conf->zone = (char *)(uintptr_t)row->zone;
	conf->alert_quiet.from_s = seconds_of_day(row->quiet_from);
	conf->alert_quiet.until_s = seconds_of_day(row->quiet_until);
	if (row->sms_per_day != 0)
		conf->alert_sms_per_day =
		    row->sms_per_day > 0 ? row->sms_per_day : 0;
	for (i = 0; row->without != NULL && i < CONF_DESTINATIONS; i++)
		if (conf->destinations[i].name != NULL &&
		    strstr(row->without, conf->destinations[i].name) != NULL)
			conf->destinations[i].configured = false;
}

static void
show(struct buf *text, const struct alert_ruling *ruling, int64_t now)
{
	const struct alert_message *message = ruling->messages;
	size_t i;

	for (i = 0; i < ruling->count; i++, message++) {
		buf_text(text, i > 0 ? ", " : "");
		if (message->replaces_id != 0)
			buf_format(text, "#%" PRId64 " ", message->replaces_id);
		buf_format(text, "%s %+" PRId64, message->destination->name,
		    message->due_at - now);
	}
}

static void
test_row(const struct row *row)
{
	struct buf shown = BUF_INIT(1000);
	struct alert alert;
	struct alert_history history;
	struct alert_ruling ruling;
	struct conf conf;
	int64_t now;

	if (!clock_parse(&now, row->now != NULL ? row->now : noon, NULL))
		now = 0;
	fill_conf_of(&conf, row);
	fill_history(&history, row, now);
	fill_alert(&alert, "call.failed", row->severity);
	alert.avoid = mem_copy(row->avoid);
	alert_rule(&ruling, &alert, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown), row->wanted, row->name);
	alert_ruling_release(&ruling);
	alert_release(&alert);
	buf_release(&shown);
}

/*
 * The words.
 */

/* The text of the message for a destination; to be freed, NULL: none. */
static char *
text_for(enum conf_destination_index index, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf)
{
	struct alert_ruling ruling;
	json_t *body = NULL;
	char *text = NULL;
	size_t i;

	alert_rule(&ruling, alert, history, conf, 1000000000);
	for (i = 0; i < ruling.count; i++)
		if (ruling.messages[i].destination ==
			&conf->destinations[index] &&
		    json_parse(&body, ruling.messages[i].body,
			strlen(ruling.messages[i].body), NULL)) {
			text = mem_copy(json_text(body, "text"));
			json_decref(body);
		}
	alert_ruling_release(&ruling);
	return text;
}

static void
is_said(enum conf_destination_index index, const struct alert *alert,
    const struct alert_history *history, const struct conf *conf,
    const char *wanted, const char *name)
{
	char *text = text_for(index, alert, history, conf);

	is_text(text, wanted, name);
	free(text);
}

static void
test_slack_words(const struct conf *conf)
{
	struct alert_history history = {0};
	struct alert alert;

	fill_alert(&alert, "call.failed", NULL);
	is_said(CONF_SLACK_ALERTS, &alert, &history, conf,
	    "Error: AI call failed\nAnn Smith did not answer\n"
	    "`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nDetails: {\"code\":1}\nKind: call.failed",
	    "Slack: what, whom, what to type, where to read on");

	history.open_id = 1;
	history.count = 2;
	mem_replace(&alert.message, NULL);
	is_said(CONF_SLACK_ALERTS, &alert, &history, conf,
	    "Error: AI call failed (3 times)\n{\"code\":1}\n"
	    "`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nKind: call.failed",
	    "Slack: how often");

	history = (struct alert_history){.changes = ALERT_FLAPPING_CHANGES + 1};
	mem_replace(&alert.details, NULL);
	is_said(CONF_SLACK_ALERTS, &alert, &history, conf,
	    "Error (flapping): AI call failed\n"
	    "`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nKind: call.failed",
	    "Slack: that it flaps");
	alert_release(&alert);
}

static void
test_storm_words(const struct conf *conf)
{
	static char examples[][16] = {
	    "<b> (1)", "two (2)", "three (3)", "four (4)", "five (5)"};
	struct alert_history history = {.storm_count = 2,
	    .examples = {examples[0], examples[1]},
	    .examples_count = 2};
	struct alert alert;
	size_t i;

	fill_alert(&alert, "call.failed", "critical");
	is_said(CONF_SLACK_ALERTS, &alert, &history, conf,
	    "CRITICAL: 3 x call.failed\n"
	    "For example:\n- &lt;b&gt; (1)\n- two (2)\n"
	    "- AI call failed (lead_1)\n"
	    "`automate-log list --open`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Kind: call.failed",
	    "a storm: how many, and examples, this one among them");

	for (i = 0; i < ALERT_EXAMPLES_MAX; i++)
		history.examples[i] = examples[i];
	history.examples_count = ALERT_EXAMPLES_MAX;
	history.storm_count = 499;
	is_said(CONF_SLACK_ALERTS, &alert, &history, conf,
	    "CRITICAL: 500 x call.failed\n"
	    "For example:\n- &lt;b&gt; (1)\n- two (2)\n- three (3)\n"
	    "- four (4)\n- five (5)\n"
	    "`automate-log list --open`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Kind: call.failed",
	    "five examples of many");
	alert_release(&alert);
}

static void
test_sms_words(struct conf *conf)
{
	struct alert_history history = {0};
	struct alert alert;
	char *text;

	fill_alert(&alert, "call.failed", "critical");
	is_said(CONF_SMS, &alert, &history, conf,
	    "Example Ltd: CRITICAL: AI call failed "
	    "https://kb.example.com/call.failed",
	    "SMS: what and where to read on, of nobody in person");

	history.sms_today = 19;
	is_said(CONF_SMS, &alert, &history, conf,
	    "Example Ltd (SMS cap of today reached, more in Slack): CRITICAL: "
	    "AI call failed https://kb.example.com/call.failed",
	    "SMS: the last of the day says so");

	conf->business_name = NULL;
	conf->alert_runbook_url = NULL;
	history = (struct alert_history){.open_id = 1, .count = 9};
	is_said(CONF_SMS, &alert, &history, conf,
	    "automate: CRITICAL: AI call failed (10 times)",
	    "SMS: without a name or a runbook");

	free(alert.title);
	alert.title = mem_format("\xF0\x9F\x94\xA5 %0300d", 0);
	text = text_for(CONF_SMS, &alert, &history, conf);
	is_int(text != NULL ? (int64_t)strlen(text) : 0, 160,
	    "SMS: a long title in one segment");
	free(text);
	alert_release(&alert);
	fill_conf(conf);
}

static void
test_mail_words(const struct conf *healthy)
{
	struct alert_history history = {0};
	struct conf conf = *healthy;
	struct alert_ruling ruling;
	struct alert alert;

	conf.destinations[CONF_SMS].configured = false;
	fill_alert(&alert, "delivery.held", NULL);
	alert.avoid = mem_copy("slack.alerts");
	alert_rule(&ruling, &alert, &history, &conf, 1000000000);
	is_text(ruling.count == 1 ? ruling.messages[0].body : NULL,
	    "{\"step\":\"alert\",\"kind\":\"delivery.held\",\"severity\":"
	    "\"error\",\"title\":\"Error: A destination was stopped\","
	    "\"message\":\"Ann Smith did not answer\",\"next_command\":"
	    "\"automate-deliver release lead_1\"}",
	    "mail: for a webhook to make a mail of");
	alert_ruling_release(&ruling);
	alert_release(&alert);
}

static void
is_resolved(enum conf_destination_index index, int64_t count,
    const struct conf *conf, const char *wanted, const char *name)
{
	struct alert alert;
	json_t *body = NULL;
	char *text;

	fill_alert(&alert, "call.failed", NULL);
	text = alert_resolved_body(
	    &alert, "dana", count, &conf->destinations[index]);
	if (json_parse(&body, text, strlen(text), NULL))
		is_text(json_text(body, index == CONF_MAIL ? "title" : "text"),
		    wanted, name);
	else
		ok(false, "%s", name);
	json_decref(body);
	free(text);
	alert_release(&alert);
}

static void
test_resolved_words(const struct conf *conf)
{
	is_resolved(CONF_SLACK_ALERTS, 1, conf,
	    "Resolved: AI call failed\nAfter 1 occurrence, by dana.\n"
	    "Kind: call.failed",
	    "resolved, in Slack");
	is_resolved(CONF_SLACK_ALERTS, 40, conf,
	    "Resolved: AI call failed\nAfter 40 occurrences, by dana.\n"
	    "Kind: call.failed",
	    "resolved after many");
	is_resolved(
	    CONF_SMS, 1, conf, "Resolved: AI call failed", "resolved, as SMS");
	is_resolved(CONF_MAIL, 1, conf, "Resolved: AI call failed",
	    "resolved, by mail");
}

/* Anybody sends details: what is kept of them has an end. */
static void
test_details_cut(const struct conf *conf)
{
	struct account account = {0};
	struct event event = {0};
	struct plan plan;
	char *text =
	    mem_format("{\"title\":\"x\",\"details\":\"%020000d\"}", 0);

	plan_init(&plan);
	if (event_from_alert(
		&event, text, strlen(text), 1000000000, "u", NULL) &&
	    decide_alert(&event, &account, conf, &plan, NULL))
		is_int((int64_t)strlen(plan.alerts[0].details), 16383 + 3,
		    "details: 16384 characters, the last of them \"...\"");
	else
		ok(false, "details: too long is no error");
	plan_release(&plan);
	event_release(&event);
	account_release(&account);
	free(text);
}

/* Each kind that we raise can be raised, with words of its own. */
static void
test_kinds(void)
{
	const struct alert_kind *kind;
	struct alert alert = {0};

	for (kind = alert_kinds; kind->kind != NULL; kind++) {
		alert.kind = mem_copy(kind->kind);
		alert.organization_id = mem_copy("org 1");
		alert_normalize(&alert);
		ok(alert_severity(alert.severity) >= 0 &&
			alert.title[0] != '\0' &&
			(alert.next_command == NULL ||
			    strchr(alert.next_command, '%') == NULL),
		    "%s has a severity, a title and a whole command",
		    kind->kind);
		alert_release(&alert);
	}
}

static void
test_severities(void)
{
	static const char *const words[] = {
	    "info", "warning", "error", "critical"};
	int i;

	for (i = 0; i < 4; i++)
		is_int(alert_severity(words[i]), i, words[i]);
	is_int(alert_severity("Critical"), -1, "the words are exact");
	is_int(alert_severity(""), -1, "no word is no severity");
	is_int(alert_severity(NULL), -1, "nor is none");
}

int
main(void)
{
	struct conf conf;
	size_t i;

	fill_conf(&conf);
	for (i = 0; i < ROWS(rows); i++)
		test_row(&rows[i]);
	test_slack_words(&conf);
	test_storm_words(&conf);
	test_sms_words(&conf);
	test_mail_words(&conf);
	test_resolved_words(&conf);
	test_details_cut(&conf);
	test_kinds();
	test_severities();
	return tap_end();
}
