#include "decide/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"

void
bundle_release(struct bundle *bundle)
{
	size_t i;

	for (i = 0; i < bundle->kinds_count; i++)
		free(bundle->kinds[i].kind);
	for (i = 0; i < bundle->examples_count; i++) {
		alert_release(&bundle->examples[i].alert);
		free(bundle->examples[i].resolved_by);
	}
	free(bundle->step);
	free(bundle->key);
	memset(bundle, 0, sizeof(*bundle));
}

static bool
is_step(const struct bundle *bundle, const char *step)
{
	return strcmp(bundle->step, step) == 0;
}

/* The one alert that the message is about; NULL if it is about many. */
static const struct bundle_example *
only(const struct bundle *bundle)
{
	return bundle->count == 1 && !is_step(bundle, "digest")
	    ? &bundle->examples[0]
	    : NULL;
}

static const char *
severity_word(const struct alert *alert)
{
	static const char *const words[] = {
	    "Info", "Warning", "Error", "CRITICAL"};

	return words[alert_severity(alert->severity)];
}

static char *
title_of_one(const struct bundle *bundle, const struct bundle_example *one)
{
	if (is_step(bundle, "resolved"))
		return mem_format("Resolved: %s", one->alert.title);
	if (is_step(bundle, "steady"))
		return mem_format("%s, no longer flapping: %s",
		    severity_word(&one->alert), one->alert.title);
	if (one->flapping)
		return mem_format("%s, flapping: %s",
		    severity_word(&one->alert), one->alert.title);
	if (one->count > 1)
		return mem_format("%s: %s (%lld times)",
		    severity_word(&one->alert), one->alert.title,
		    (long long)one->count);
	return mem_format(
	    "%s: %s", severity_word(&one->alert), one->alert.title);
}

static char *
title_of(const struct bundle *bundle)
{
	const struct alert *worst = &bundle->examples[0].alert;
	const long long count = bundle->count;

	if (only(bundle) != NULL)
		return title_of_one(bundle, only(bundle));
	if (is_step(bundle, "digest"))
		return mem_format("%lld alert%s during quiet hours", count,
		    count == 1 ? "" : "s");
	if (is_step(bundle, "resolved"))
		return mem_format("Resolved: %lld x %s", count, worst->kind);
	if (is_step(bundle, "steady"))
		return mem_format("%s, no longer flapping: %lld x %s",
		    severity_word(worst), count, worst->kind);
	return mem_format(
	    "%s: %lld x %s", severity_word(worst), count, worst->kind);
}

static const char *
subject_of(const struct alert *alert)
{
	return alert->lead_id != NULL ? alert->lead_id : alert->organization_id;
}

static void
put_kinds(struct buf *text, const struct bundle *bundle)
{
	const int64_t more = bundle->kinds_total - (int64_t)bundle->kinds_count;
	size_t i;

	for (i = 0; i < bundle->kinds_count; i++) {
		buf_format(text, "%lld x ", (long long)bundle->kinds[i].count);
		message_line(text, bundle->kinds[i].kind, 100);
		buf_byte(text, '\n');
	}
	if (more > 0)
		buf_format(text, "and %lld more kind%s\n", (long long)more,
		    more == 1 ? "" : "s");
	if (bundle->over > 0)
		buf_format(
		    text, "%lld of them over\n", (long long)bundle->over);
}

static void
put_example(struct buf *text, const struct bundle *bundle,
    const struct bundle_example *example)
{
	const char *subject = subject_of(&example->alert);

	buf_text(text, "\n- ");
	if (is_step(bundle, "digest"))
		buf_format(text, "%s: ", severity_word(&example->alert));
	message_line(text, example->alert.title, 100);
	if (subject != NULL) {
		buf_text(text, " (");
		message_line(text, subject, 100);
		buf_byte(text, ')');
	}
	if (example->resolved_by != NULL && !is_step(bundle, "resolved"))
		buf_text(text, ", over");
}

/* Of many, the numbers and a few for examples; of one, its own words. */
static char *
text_of(const struct bundle *bundle)
{
	const struct bundle_example *one = only(bundle);
	struct buf text = BUF_INIT(16384);
	char *result;
	size_t i;

	if (one != NULL && is_step(bundle, "resolved"))
		return mem_format("After %lld occurrence%s, by %s.%s",
		    (long long)one->count, one->count == 1 ? "" : "s",
		    one->resolved_by, one->flapping ? " It was flapping." : "");
	if (one != NULL && is_step(bundle, "steady"))
		return mem_format("It has neither ended nor begun again for "
				  "%d minutes, and stands.",
		    ALERT_FLAPPING_S / 60);
	if (one != NULL && one->flapping)
		return mem_format("It began and ended %d times in %d minutes "
				  "and begins again; the next message comes "
				  "when it has done neither for as long.%s%s",
		    ALERT_FLAPPING_CHANGES / 2, ALERT_FLAPPING_S / 60,
		    one->alert.message != NULL ? " " : "",
		    one->alert.message != NULL ? one->alert.message : "");
	if (one != NULL)
		return mem_copy(one->alert.message != NULL
			? one->alert.message
			: one->alert.details);
	if (is_step(bundle, "digest"))
		put_kinds(&text, bundle);
	buf_text(&text, "For example:");
	for (i = 0; i < bundle->examples_count; i++)
		put_example(&text, bundle, &bundle->examples[i]);
	result = mem_copy(buf_string(&text));
	buf_release(&text);
	return result;
}

/* What to type next; NULL where nothing is left to do. */
static char *
command_of(const struct bundle *bundle)
{
	const struct bundle_example *one = only(bundle);
	struct buf command = BUF_INIT(2048);
	char since[CLOCK_TEXT_MAX], *result;

	if (is_step(bundle, "resolved"))
		return NULL;
	if (one != NULL)
		return mem_copy(one->alert.next_command);
	if (is_step(bundle, "digest"))
		return mem_format("automate-log list --since %s",
		    clock_format(since, bundle->since));
	buf_text(&command, "automate-log list --open --kind ");
	message_word(&command, bundle->examples[0].alert.kind);
	result = mem_copy(buf_string(&command));
	buf_release(&command);
	return result;
}

/* Where its kind is explained; NULL: nowhere, or it has many kinds. */
static char *
runbook_of(const struct bundle *bundle, const struct conf *conf)
{
	const struct message_value values[] = {
	    {"kind", bundle->examples[0].alert.kind, false},
	    {"knowledge_base_url", conf->knowledge_base_url, true}};
	struct buf url = BUF_INIT(2048);
	char *text = NULL;

	if (conf->alert_runbook_url != NULL && is_step(bundle, "alert") &&
	    message_fill(&url, conf->alert_runbook_url, values, 2, NULL))
		text = mem_copy(buf_string(&url));
	buf_release(&url);
	return text;
}

/* The parts that every form is made of. */
struct words {
	char *title, *text, *command, *link;
};

static char *
slack_body(const struct bundle *bundle, const struct words *words)
{
	const struct bundle_example *one = only(bundle);
	struct slack_message message = {.title = words->title,
	    .text = words->text,
	    .commands = {words->command},
	    .link_label = "Runbook",
	    .link_url = words->link};

	if (one != NULL && !is_step(bundle, "resolved")) {
		message.fields[0] =
		    (struct slack_field){"Lead", one->alert.lead_id};
		message.fields[1] = (struct slack_field){
		    "Organization", one->alert.organization_id};
		message.fields[2] = (struct slack_field){"Details",
		    one->alert.message != NULL ? one->alert.details : NULL};
	}
	if (!is_step(bundle, "digest"))
		message.fields[3] = (struct slack_field){
		    "Kind", bundle->examples[0].alert.kind};
	return message_slack(&message);
}

/* No personal data: what happened, how often, and where to read on. */
static char *
sms_body(const struct bundle *bundle, const struct conf *conf,
    const struct words *words)
{
	const char *business =
	    conf->business_name != NULL ? conf->business_name : "automate";
	char *line = mem_format("%s%s: %s", business,
		 bundle->last_sms ? " (last SMS of today)" : "", words->title),
	     *text = message_sms(line, words->link), *body;
	json_t *sms = json_object();

	json_put(sms, "text", text);
	body = json_compact(sms);
	json_decref(sms);
	free(line);
	free(text);
	return body;
}

static char *
webhook_body(const struct bundle *bundle, const struct words *words)
{
	const struct alert *worst = &bundle->examples[0].alert;
	json_t *mail = json_object();
	char *body;

	json_put(mail, "step", "alert");
	json_put(
	    mail, "state", is_step(bundle, "resolved") ? "resolved" : "open");
	json_put(mail, "kind", worst->kind);
	json_put(mail, "severity", worst->severity);
	json_put_number(mail, "alerts", bundle->count);
	json_put(mail, "title", words->title);
	json_put(mail, "message", words->text);
	json_put(mail, "next_command", words->command);
	json_put(mail, "runbook_url", words->link);
	json_put(mail, "idempotency_key", bundle->key);
	body = json_compact(mail);
	json_decref(mail);
	return body;
}

char *
bundle_body(const struct bundle *bundle, const struct conf *conf,
    const struct conf_destination *destination)
{
	struct words words = {.title = title_of(bundle),
	    .text = text_of(bundle),
	    .command = command_of(bundle),
	    .link = runbook_of(bundle, conf)};
	char *body;

	switch (destination->dialect) {
	case CONF_SLACK: body = slack_body(bundle, &words); break;
	case CONF_TWILIO:
	case CONF_SMS_WEBHOOK: body = sms_body(bundle, conf, &words); break;
	default: body = webhook_body(bundle, &words);
	}
	free(words.title);
	free(words.text);
	free(words.command);
	free(words.link);
	return body;
}
