/*
 * Who hears of an alert, and when.
 */
#include <stdlib.h>

#include "../tap.h"
#include "base/buf.h"
#include "base/clock.h"
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

	bool open, acknowledged, flapping;
	const char *open_severity;
	int64_t told; /* when it was told last */
	int64_t changes;

	int64_t slack_waiting, slack_latest, sms_waiting, sms_latest;
	int64_t digest;
	int64_t sms_today, sms_per_day; /* 0 a day: 20; -1: none */

	const char *now, *zone;
	int quiet_from, quiet_until; /* as on a clock: 2230 */

	int64_t wait_s; /* what may be over by itself */

	int64_t silence; /* in force */
	const char *parent; /* the severity of what is open and is number 9 */

	/* "slack.alerts +240, #9 sms": in 240 s, and into message 9 */
	const char *wanted;
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
    {"not while acknowledged", "error", .open = true, .acknowledged = true,
	.open_severity = "error", .told = -9 * HOUR, .wanted = ""},
    {"unless it became worse", "critical", .open = true, .acknowledged = true,
	.open_severity = "error", .told = -1 * HOUR,
	.wanted = "slack.alerts +0, sms +0"},
    {"once", "critical", .open = true, .acknowledged = true,
	.open_severity = "critical", .told = -9 * HOUR, .wanted = ""},

    {"a second of the kind waits for more", "error",
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +240"},
    {"not beyond the interval", "error", .slack_latest = -5 * MINUTE,
	.wanted = "slack.alerts +0"},

    {"a third joins it", "error", .slack_waiting = 7,
	.slack_latest = -1 * MINUTE, .wanted = "#7 slack.alerts"},
    {"one that is tried again and again holds up no other", "error",
	.slack_latest = 5 * HOUR, .wanted = "slack.alerts +0"},

    {"one SMS of a kind in half an hour", "critical", .sms_latest = -1,
	.wanted = "slack.alerts +0"},
    {"then another", "critical", .sms_latest = -30 * MINUTE,
	.wanted = "slack.alerts +0, sms +0"},
    {"one that still waits says the latest", "critical", .sms_waiting = 9,
	.sms_latest = -1, .wanted = "slack.alerts +0, #9 sms"},
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
	.wanted = "digest slack.alerts +28800"},
    {"also after midnight", "error", .now = "2026-11-25T00:30:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +23400"},
    {"from its first second", "error", .now = "2026-11-24T22:00:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +32400"},
    {"not a second sooner", "error", .now = "2026-11-24T21:59:59Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "slack.alerts +0"},
    {"to its last", "error", .now = "2026-11-25T06:59:59Z", .quiet_from = 2200,
	.quiet_until = 700, .wanted = "digest slack.alerts +1"},
    {"and no longer", "error", .now = "2026-11-25T07:00:00Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "slack.alerts +0"},
    {"quiet at noon, within one day", "error", .now = "2026-11-24T12:10:00Z",
	.quiet_from = 1200, .quiet_until = 1330,
	.wanted = "digest slack.alerts +4800"},
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
	.slack_latest = -1 * MINUTE, .wanted = "digest slack.alerts +32520"},
    {"an error joins what waits for the morning", "error",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.digest = 7, .wanted = "#7 digest slack.alerts"},
    {"a critical one does not wait with it", "critical",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.digest = 7, .wanted = "slack.alerts +0, sms +0"},
    {"what was to go before the quiet hours is not joined in them", "error",
	.now = "2026-11-24T22:01:00Z", .quiet_from = 2200, .quiet_until = 700,
	.slack_waiting = 7, .wanted = "digest slack.alerts +32340"},
    {"quiet without Slack: no SMS before the morning", "error",
	.without = "slack.alerts", .now = "2026-11-24T23:00:00Z",
	.quiet_from = 2200, .quiet_until = 700, .wanted = "sms +28800"},
    {"but for the critical", "critical", .without = "slack.alerts",
	.now = "2026-11-24T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "sms +0"},
    {"over the end of the month", "error", .now = "2026-11-30T23:00:00Z",
	.quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +28800"},

    {"quiet by the zone's clock", "error", .zone = "Europe/Berlin",
	.now = "2026-07-01T20:30:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +30600"},
    {"whatever UTC says", "error", .zone = "America/Los_Angeles",
	.now = "2026-07-01T23:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "slack.alerts +0"},
    {"half an hour beside it", "error", .zone = "Asia/Kolkata",
	.now = "2026-07-01T17:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +30600"},
    {"the night that loses an hour", "error", .zone = "Europe/Berlin",
	.now = "2026-03-28T22:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +25200"},
    {"the night that gains one", "error", .zone = "Europe/Berlin",
	.now = "2026-10-24T21:00:00Z", .quiet_from = 2200, .quiet_until = 700,
	.wanted = "digest slack.alerts +32400"},
    {"an end that the clock skips is an hour later", "error",
	.zone = "Europe/Berlin", .now = "2026-03-28T22:30:00Z",
	.quiet_from = 2200, .quiet_until = 230,
	.wanted = "digest slack.alerts +10800"},
    {"an end that comes twice is the first", "error", .zone = "Europe/Berlin",
	.now = "2026-10-24T21:00:00Z", .quiet_from = 2200, .quiet_until = 230,
	.wanted = "digest slack.alerts +12600"},
    {"what was over is not quiet when it comes again", "error",
	.zone = "Europe/Berlin", .now = "2026-10-25T01:15:00Z",
	.quiet_from = 2200, .quiet_until = 230, .wanted = "slack.alerts +0"},

    {"opened and closed twice is not flapping", "error",
	.changes = ALERT_FLAPPING_CHANGES - 1, .wanted = "slack.alerts +0"},
    {"opened once more it is, and is said", "error",
	.changes = ALERT_FLAPPING_CHANGES, .wanted = "flaps slack.alerts +0"},
    {"after that it is open, and not said again", "error", .open = true,
	.open_severity = "error", .flapping = true, .told = -9 * HOUR,
	.changes = ALERT_FLAPPING_CHANGES + 1, .wanted = ""},
    {"unless it became worse", "critical", .open = true,
	.open_severity = "error", .flapping = true, .told = -1,
	.wanted = "slack.alerts +0, sms +0"},

    {"what may be over soon is said a while later", "warning", .wait_s = 900,
	.wanted = "slack.alerts +900"},
    {"an interval that ends sooner does not matter", "warning", .wait_s = 900,
	.slack_latest = -1 * MINUTE, .wanted = "slack.alerts +900"},

    {"what is silenced is kept", "error", .silence = 3,
	.wanted = "silenced by 3"},
    {"also what is critical", "critical", .silence = 3,
	.wanted = "silenced by 3"},
    {"and what became worse", "critical", .open = true,
	.open_severity = "error", .told = -1, .silence = 3,
	.wanted = "silenced by 3"},
    {"what nobody would hear of is not", "error", .open = true,
	.open_severity = "error", .told = -1 * HOUR, .silence = 3,
	.wanted = ""},
    {"nor what somebody took on", "error", .open = true, .acknowledged = true,
	.open_severity = "error", .told = -9 * HOUR, .silence = 3,
	.wanted = ""},
    {"what follows from another is kept", "warning", .parent = "warning",
	.wanted = "suppressed by 9"},
    {"from a worse one too", "warning", .parent = "error",
	.wanted = "suppressed by 9"},
    {"unless it is worse than that", "error", .parent = "warning",
	.wanted = "slack.alerts +0"},
    {"a silence comes first", "warning", .silence = 3, .parent = "error",
	.wanted = "silenced by 3"},
    {"one that was silenced as it begins to flap", "error", .silence = 3,
	.changes = ALERT_FLAPPING_CHANGES, .wanted = "flaps silenced by 3"},

    {"a warning needs no telephone", "warning", .without = "slack.alerts",
	.wanted = "mail +0"},
    {"nor a mere info a mail", "info", .without = "slack.alerts", .wanted = ""},
    {"but a warning about the channel of warnings", "warning",
	.avoid = "slack.alerts", .wanted = "sms +0"},
    {"neither Slack nor SMS: the critical goes by mail", "critical",
	.without = "slack.alerts sms", .wanted = "mail +0"},
    {"no Slack, and no SMS left today: by mail", "critical",
	.without = "slack.alerts", .sms_today = 20, .wanted = "mail +0"},
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
	    .notified_at = moment(now, row->told),
	    .acknowledged = row->acknowledged,
	    .flapping = row->flapping,
	    .digest_id = row->digest,
	    .changes = row->changes,
	    .sms_today = row->sms_today,
	    .keeper = {.silence_id = row->silence,
		.parent_id = row->parent != NULL ? 9 : 0}};
	snprintf(history->keeper.parent_severity,
	    sizeof(history->keeper.parent_severity), "%s",
	    row->parent != NULL ? row->parent : "");
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

	buf_text(text, ruling->flapping ? "flaps " : "");
	if (ruling->silence_id != 0)
		buf_format(text, "silenced by %" PRId64, ruling->silence_id);
	if (ruling->parent_id != 0)
		buf_format(text, "suppressed by %" PRId64, ruling->parent_id);
	for (i = 0; i < ruling->count; i++, message++) {
		buf_text(text, i > 0 ? ", " : "");
		if (message->joins_id != 0)
			buf_format(text, "#%" PRId64 " ", message->joins_id);
		if (strcmp(message->step, "alert") != 0)
			buf_format(text, "%s ", message->step);
		buf_text(text, message->destination->name);
		if (message->joins_id == 0)
			buf_format(text, " %+" PRId64, message->due_at - now);
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
	alert.wait_s = row->wait_s;
	alert_rule(&ruling, &alert, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown), row->wanted, row->name);
	alert_release(&alert);
	buf_release(&shown);
}

/*
 * The fallback. A channel is "done", "lost", or was due so many seconds ago;
 * NULL is one that was not used.
 */
static const struct fallback {
	const char *name;
	const char *severity;
	const char *about; /* the destination, of an alert about deliveries */
	const char *without;
	const char *slack, *sms, *mail;
	int64_t sms_today;
	const char *wanted;
} fallbacks[] = {
    {"what arrived is not said elsewhere", "critical", .slack = "done",
	.wanted = ""},
    {"one of two is enough", "critical", .slack = "lost", .sms = "done",
	.wanted = ""},
    {"a critical one has two minutes", "critical", .slack = "119", .sms = "119",
	.wanted = ""},
    {"then it goes by mail", "critical", .slack = "120", .sms = "120",
	.wanted = "mail +0"},
    {"not as long as one may yet arrive", "critical", .slack = "lost",
	.sms = "10", .wanted = ""},
    {"at once if neither can", "critical", .slack = "lost", .sms = "lost",
	.wanted = "mail +0"},
    {"no SMS was left, but is now", "critical", .slack = "120",
	.wanted = "sms +0"},
    {"no SMS is left", "critical", .slack = "120", .sms_today = 20,
	.wanted = "mail +0"},
    {"there is no telephone", "critical", .slack = "120", .without = "sms",
	.wanted = "mail +0"},
    {"behind the mail there is nothing", "critical", .slack = "lost",
	.sms = "lost", .mail = "lost", .wanted = ""},
    {"an error is in no hurry", "error", .slack = "9000", .wanted = ""},
    {"but if Slack does not take it, it rings", "error", .slack = "lost",
	.wanted = "sms +0"},
    {"and if that fails, goes by mail", "error", .slack = "lost", .sms = "lost",
	.wanted = "mail +0"},
    {"a warning does not ring", "warning", .slack = "lost",
	.wanted = "mail +0"},
    {"what is only for information is let go", "info", .slack = "lost",
	.wanted = ""},
    {"not before it is due", "error", .slack = "lost -60", .wanted = ""},
    {"what nobody was to be told", "critical", .wanted = ""},
    {"trouble with mail is not told by mail", "critical", .about = "mail",
	.slack = "lost", .sms = "lost", .wanted = ""},
    {"trouble with deliveries takes another way", "error", .about = "mail",
	.slack = "lost", .wanted = "sms +0"},
    {"and not a third", "error", .about = "billing", .slack = "lost",
	.sms = "lost", .wanted = ""},
};

static void
fill_standing(struct alert_standing *standing,
    enum conf_destination_index index, const char *words, int64_t now)
{
	if (words == NULL)
		return;
	standing->channels[index].used = true;
	standing->channels[index].done = strcmp(words, "done") == 0;
	standing->channels[index].lost = strncmp(words, "lost", 4) == 0;
	words += strcspn(words, "-0123456789");
	standing->channels[index].first_due_at = now - atoi(words);
}

static void
test_fallback(const struct fallback *fallback)
{
	const int64_t now = 1000000000;
	struct alert_history history = {.sms_today = fallback->sms_today};
	struct row row = {.without = fallback->without};
	struct alert_standing standing = {0};
	struct buf shown = BUF_INIT(1000);
	struct alert_ruling ruling;
	struct alert alert;
	struct conf conf;

	fill_conf_of(&conf, &row);
	fill_alert(&alert,
	    fallback->about != NULL ? "delivery.late" : "call.failed",
	    fallback->severity);
	alert.avoid = mem_copy(fallback->about);
	fill_standing(&standing, CONF_SLACK_ALERTS, fallback->slack, now);
	fill_standing(&standing, CONF_SMS, fallback->sms, now);
	fill_standing(&standing, CONF_MAIL, fallback->mail, now);
	alert_rule_fallback(&ruling, &alert, &standing, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown), fallback->wanted, fallback->name);
	alert_release(&alert);
	buf_release(&shown);
}

/* What was kept, when that is over. */
static void
test_kept(void)
{
	struct alert_history history = {.open_id = 7, .notified_at = 999999999};
	struct buf shown = BUF_INIT(1000);
	const int64_t now = 1000000000;
	struct alert_ruling ruling;
	struct alert alert;
	struct conf conf;

	fill_conf(&conf);
	fill_alert(&alert, "call.failed", "critical");
	alert_rule_kept(&ruling, &alert, 3, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown), "slack.alerts +0, sms +0",
	    "a silence is over: it is told at once, whenever it was before");
	buf_clear(&shown);
	alert_rule_kept(&ruling, &alert, 0, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown), "slack.alerts +3600, sms +3600",
	    "its parent is over: it is told if it stands in an hour");
	buf_clear(&shown);
	history.keeper.silence_id = 4;
	alert_rule_kept(&ruling, &alert, 3, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(
	    buf_string(&shown), "silenced by 4", "another silence keeps it");
	alert_release(&alert);
	buf_release(&shown);
}

static const struct {
	const char *kind, *fingerprint, *parents;
} followers[] = {
    {"delivery.late", "delivery.late:mail",
	"delivery.held:mail delivery.breaker_open:mail "},
    {"dunning.unwarned", "dunning.unwarned:org_1", "delivery.held:billing "},
    {"usage.stripe_unreachable", "usage.stripe_unreachable",
	"dunning.stripe_unreachable "},
    {"delivery.dead", "delivery.dead:mail", ""},
    {"usage.drift", "usage.drift", ""},
    {"call.failed", "call.failed:lead_1", ""},
};

static void
test_parents(void)
{
	char *parents[ALERT_PARENTS_MAX];
	struct buf text = BUF_INIT(1000);
	size_t count, i, j;

	for (i = 0; i < ROWS(followers); i++) {
		alert_parents(parents, &count, followers[i].kind,
		    followers[i].fingerprint);
		for (j = 0; j < count; j++) {
			buf_format(&text, "%s ", parents[j]);
			free(parents[j]);
		}
		is_text(buf_string(&text), followers[i].parents,
		    followers[i].fingerprint);
		buf_clear(&text);
	}
	buf_release(&text);
}

/* Each parent is a kind that we raise. */
static void
test_parents_known(void)
{
	const struct alert_kind *kind, *parent;
	char *parents[ALERT_PARENTS_MAX];
	size_t count, i;

	for (kind = alert_kinds; kind->kind != NULL; kind++) {
		alert_parents(parents, &count, kind->kind, kind->kind);
		for (i = 0; i < count; i++) {
			parents[i][strcspn(parents[i], ":")] = '\0';
			for (parent = alert_kinds; parent->kind != NULL &&
			     strcmp(parent->kind, parents[i]) != 0;)
				parent++;
			ok(parent->kind != NULL, "%s: its parent %s is a kind",
			    kind->kind, parents[i]);
			free(parents[i]);
		}
	}
}

static void
test_end(void)
{
	bool heard[CONF_DESTINATIONS] = {false};
	struct alert_history history = {.sms_today = 3};
	struct buf shown = BUF_INIT(1000);
	const int64_t now = 1000000000;
	struct alert_ruling ruling;
	struct alert alert;
	struct conf conf;

	fill_conf(&conf);
	fill_alert(&alert, "call.failed", "critical");
	alert_rule_end(
	    &ruling, "resolved", &alert, heard, &history, &conf, now);
	is_int((int64_t)ruling.count, 0, "an end that nobody waits for");
	heard[CONF_SLACK_ALERTS] = heard[CONF_SMS] = true;
	history.channels[CONF_SLACK_ALERTS].latest_at = now - MINUTE;
	alert_rule_end(
	    &ruling, "resolved", &alert, heard, &history, &conf, now);
	show(&shown, &ruling, now);
	is_text(buf_string(&shown),
	    "resolved slack.alerts +240, resolved sms +0",
	    "ends are grouped as beginnings are, each where it was heard");
	history.sms_today = 20;
	alert_rule_end(
	    &ruling, "resolved", &alert, heard, &history, &conf, now);
	is_int((int64_t)ruling.count, 1, "and count as SMS of the day");
	alert_release(&alert);
	buf_release(&shown);
}

static void
test_lateness(void)
{
	ok(alert_lateness(15 * MINUTE) == NULL, "a quarter of an hour is fine");
	is_text(alert_lateness(15 * MINUTE + 1), "warning", "more is late");
	is_text(alert_lateness(2 * HOUR), "warning", "up to two hours");
	is_text(alert_lateness(2 * HOUR + 1), "critical", "then it is bad");
}

/* Anybody sends details: what is kept of them has an end. */
static void
test_details_cut(void)
{
	static const struct conf no_conf;
	struct account account = {0};
	struct event event = {0};
	struct plan plan;
	char *text =
	    mem_format("{\"title\":\"x\",\"details\":\"%020000d\"}", 0);

	plan_init(&plan);
	if (event_from_alert(
		&event, text, strlen(text), 1000000000, "u", NULL) &&
	    decide_alert(&event, &account, &no_conf, &plan, NULL))
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
	size_t i;

	for (i = 0; i < ROWS(rows); i++)
		test_row(&rows[i]);
	for (i = 0; i < ROWS(fallbacks); i++)
		test_fallback(&fallbacks[i]);
	test_kept();
	test_parents();
	test_parents_known();
	test_end();
	test_lateness();
	test_details_cut();
	test_kinds();
	test_severities();
	return tap_end();
}
