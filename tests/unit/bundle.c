/*
 * What a message to the founder says, in each of its forms.
 */
#include <stdlib.h>

#include "../tap.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/bundle.h"

static char business[] = "Example Ltd",
	    runbook[] = "https://kb.example.com/{kind}";
static struct conf conf;

static void
fill_conf(void)
{
	conf = (struct conf){
	    .business_name = business, .alert_runbook_url = runbook};
	conf.destinations[CONF_MAIL].dialect = CONF_WEBHOOK;
	conf.destinations[CONF_SLACK_ALERTS].dialect = CONF_SLACK;
	conf.destinations[CONF_SMS].dialect = CONF_TWILIO;
}

static void
add(struct bundle *bundle, const char *kind, const char *severity,
    const char *title, const char *subject, const char *resolved_by)
{
	struct bundle_example *example =
	    &bundle->examples[bundle->examples_count++];

	example->alert = (struct alert){.kind = mem_copy(kind),
	    .severity = mem_copy(severity),
	    .title = mem_copy(title),
	    .message = mem_copy("It said no"),
	    .details = mem_copy("{\"code\":1}"),
	    .next_command = mem_copy("automate-log why lead_1"),
	    .lead_id = mem_copy(subject)};
	example->count = 1;
	example->resolved_by = mem_copy(resolved_by);
	bundle->count++;
	bundle->over += resolved_by != NULL;
}

static void
begin(struct bundle *bundle, const char *step)
{
	bundle_release(bundle);
	bundle->step = mem_copy(step);
	bundle->key = mem_copy("alert:1");
	bundle->since = 1795000000;
}

static void
is_said(const struct bundle *bundle, enum conf_destination_index index,
    const char *wanted, const char *name)
{
	char *body = bundle_body(bundle, &conf, &conf.destinations[index]);
	json_t *document = NULL;

	if (json_parse(&document, body, strlen(body), NULL))
		is_text(json_text(document, "text"), wanted, name);
	else
		ok(false, "%s", name);
	json_decref(document);
	free(body);
}

static void
test_one(void)
{
	struct bundle bundle = {0};

	begin(&bundle, "alert");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1", NULL);
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Error: AI call failed\nIt said no\n`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nDetails: {\"code\":1}\nKind: call.failed",
	    "one: what, whom, what to type, where to read on");
	bundle.examples[0].count = 3;
	mem_replace(&bundle.examples[0].alert.message, NULL);
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Error: AI call failed (3 times)\n{\"code\":1}\n"
	    "`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nKind: call.failed",
	    "how often");
	bundle.examples[0].flapping = true;
	mem_replace(&bundle.examples[0].alert.details, NULL);
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Error, flapping: AI call failed\n"
	    "It began and ended 2 times in 30 minutes and begins again; the "
	    "next message comes when it has done neither for as long.\n"
	    "`automate-log why lead_1`\n"
	    "<https://kb.example.com/call.failed|Runbook>\n"
	    "Lead: lead_1\nKind: call.failed",
	    "that it flaps, and when one hears of it again");
	bundle_release(&bundle);
}

static void
test_ends(void)
{
	struct bundle bundle = {0};

	begin(&bundle, "resolved");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1",
	    "dana");
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Resolved: AI call failed\nAfter 1 occurrence, by dana.\n"
	    "Kind: call.failed",
	    "the end, and who says so");
	is_said(&bundle, CONF_SMS, "Example Ltd: Resolved: AI call failed",
	    "as SMS");
	bundle.examples[0].count = 40;
	bundle.examples[0].flapping = true;
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Resolved: AI call failed\nAfter 40 occurrences, by dana. "
	    "It was flapping.\nKind: call.failed",
	    "the end of one that flapped");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_2",
	    "dana");
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Resolved: 2 x call.failed\nFor example:\n"
	    "- AI call failed (lead_1)\n- AI call failed (lead_2)\n"
	    "Kind: call.failed",
	    "the end of many");

	begin(&bundle, "steady");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1", NULL);
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "Error, no longer flapping: AI call failed\n"
	    "It has neither ended nor begun again for 30 minutes, and stands.\n"
	    "`automate-log why lead_1`\n"
	    "Lead: lead_1\nDetails: {\"code\":1}\nKind: call.failed",
	    "one that flapped and stands");
	bundle_release(&bundle);
}

static void
test_storm(void)
{
	struct bundle bundle = {0};
	int i;

	begin(&bundle, "alert");
	add(&bundle, "it's", "critical", "<b>", "1", NULL);
	for (i = 0; i < 4; i++)
		add(&bundle, "it's", "error", "Down", "2", NULL);
	bundle.count = 500;
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "CRITICAL: 500 x it's\nFor example:\n- &lt;b&gt; (1)\n"
	    "- Down (2)\n- Down (2)\n- Down (2)\n- Down (2)\n"
	    "`automate-log list --open --kind 'it'\\''s'`\n"
	    "<https://kb.example.com/it%27s|Runbook>\nKind: it's",
	    "a storm: how many, five examples, one command");
	is_said(&bundle, CONF_SMS,
	    "Example Ltd: CRITICAL: 500 x it's https://kb.example.com/it%27s",
	    "as SMS: of nobody in person");
	bundle_release(&bundle);
}

static void
test_digest(void)
{
	struct bundle bundle = {0};

	begin(&bundle, "digest");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1",
	    "dana");
	add(&bundle, "backup", "warning", "Backup is late", NULL, NULL);
	bundle.count = 7;
	bundle.kinds[0] =
	    (struct bundle_kind){.kind = mem_copy("call.failed"), .count = 5};
	bundle.kinds_count = 1;
	bundle.kinds_total = 3;
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "7 alerts during quiet hours\n"
	    "5 x call.failed\nand 2 more kinds\n1 of them over\n"
	    "For example:\n- Error: AI call failed (lead_1), over\n"
	    "- Warning: Backup is late\n"
	    "`automate-log list --since 2026-11-18T11:06:40Z`",
	    "a digest: how many of which kind, examples, what is over");
	bundle_release(&bundle);

	begin(&bundle, "digest");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1", NULL);
	is_said(&bundle, CONF_SLACK_ALERTS,
	    "1 alert during quiet hours\nFor example:\n"
	    "- Error: AI call failed (lead_1)\n"
	    "`automate-log list --since 2026-11-18T11:06:40Z`",
	    "a digest of one");
	bundle_release(&bundle);
}

static void
test_sms(void)
{
	struct bundle bundle = {0};
	json_t *document = NULL;
	char *body;

	begin(&bundle, "alert");
	add(&bundle, "call.failed", "critical", "AI call failed", "lead_1",
	    NULL);
	bundle.last_sms = true;
	is_said(&bundle, CONF_SMS,
	    "Example Ltd (last SMS of today): CRITICAL: AI call failed "
	    "https://kb.example.com/call.failed",
	    "the last SMS of the day says so");

	conf.business_name = NULL;
	conf.alert_runbook_url = NULL;
	bundle.last_sms = false;
	bundle.examples[0].count = 10;
	is_said(&bundle, CONF_SMS,
	    "automate: CRITICAL: AI call failed (10 times)",
	    "without a name or a runbook");

	free(bundle.examples[0].alert.title);
	bundle.examples[0].alert.title =
	    mem_format("\xF0\x9F\x94\xA5 %0300d", 0);
	body = bundle_body(&bundle, &conf, &conf.destinations[CONF_SMS]);
	if (json_parse(&document, body, strlen(body), NULL))
		is_int((int64_t)strlen(json_text(document, "text")), 160,
		    "a long title in one segment");
	json_decref(document);
	free(body);
	bundle_release(&bundle);
	fill_conf();
}

static void
test_mail(void)
{
	struct bundle bundle = {0};
	char *body;

	begin(&bundle, "alert");
	add(&bundle, "call.failed", "error", "AI call failed", "lead_1", NULL);
	body = bundle_body(&bundle, &conf, &conf.destinations[CONF_MAIL]);
	is_text(body,
	    "{\"step\":\"alert\",\"state\":\"open\",\"kind\":\"call.failed\","
	    "\"severity\":\"error\",\"alerts\":1,"
	    "\"title\":\"Error: AI call failed\",\"message\":\"It said no\","
	    "\"next_command\":\"automate-log why lead_1\","
	    "\"runbook_url\":\"https://kb.example.com/call.failed\","
	    "\"idempotency_key\":\"alert:1\"}",
	    "mail: for a webhook to make a mail of");
	free(body);
	bundle_release(&bundle);
}

int
main(void)
{
	fill_conf();
	test_one();
	test_ends();
	test_storm();
	test_digest();
	test_sms();
	test_mail();
	return tap_end();
}
