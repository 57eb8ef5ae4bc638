/*
 * The golden cases of the rules: facts in, plan out. A case is an object, or
 * one of an array of them, in tests/decide/NAME.json; adding one needs no C.
 *
 *	name     what it shows
 *	rule     onboard, alert, …: a row of the table below
 *	now      when the document comes in, RFC 3339
 *	conf     missing: every destination and link is there. An object: its
 *	         keys ("mail.url") over those; null takes one away. A text: that
 *	         automate.yaml and nothing else
 *	account  what is held before, as struct account has it: organization,
 *	         lead …; what is missing is not known
 *	event    the document: an object, or a text where its bytes matter
 *	plan     what comes of it, as show_*() below put it
 *
 * A plan names all its members; what it leaves out must not be there. Below
 * that, only what is named is compared, null saying that it is not there. Lists
 * have the same length.
 *
 *	decide [file …]
 *
 * With UPDATE=1 in the environment the plans in the files become what the rules
 * say, as far as they named it; a case with no plan gets the whole. Read the
 * diff.
 */
#include <glob.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

#include "../scratch.h"
#include "../tap.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/alert.h"
#include "decide/bundle.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "intake.h"

#define CASES "tests/decide/*.json"
#define MEMBERS(list) (sizeof(list) / sizeof((list)[0]))

static bool
understand_alert(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	return event_from_alert(event, text, size, now, "unique", error);
}

static bool
understand_lead(struct event *event, const char *text, size_t size, int64_t now,
    struct error *error)
{
	return event_from_lead(event, text, size, now, "unique", error);
}

static bool
understand_force(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	bool ok = understand_lead(event, text, size, now, error);

	event->force = true;
	return ok;
}

static bool
understand_again(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	bool ok = understand_lead(event, text, size, now, error);

	event->again = true;
	return ok;
}

static const struct rule {
	const char *name;
	understand_fn *understand;
	decide_fn *decide;
} rules[] = {
    {"onboard", event_from_organization, decide_onboard},
    {"alert", understand_alert, decide_alert},
    {"stripe", event_from_stripe, decide_stripe},
    {"call", understand_lead, decide_call},
    {"call --force", understand_force, decide_call},
    {"call --again", understand_again, decide_call},
    {"answer", event_from_answer, decide_answer},
    {"retell", event_from_retell, decide_retell},
};

/* The configuration of a case that says nothing of it. */
static const char *const conf_lines[][2] = {
    {"database.path", "automate.db"},
    {"business.name", "Example Ltd"},
    {"links.app_url", "https://app.example.com"},
    {"links.knowledge_base_url", "https://kb.example.com"},
    {"mail.url", "https://hooks.example.com/mail"},
    {"billing.url", "https://hooks.example.com/billing"},
    {"slack.customers.url", "https://hooks.example.com/slack-customers"},
    {"slack.alerts.url", "https://hooks.example.com/slack-alerts"},
    {"sms.provider", "webhook"},
    {"sms.to", "+15550100"},
    {"sms.url", "https://hooks.example.com/sms"},
};

/*
 * What an account has: parts, each with the flag in struct plan that has it
 * written, and fields of its own. A new field is a row.
 */
enum field_type { TEXT, TIME, NUMBER, FLAG };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
};

#define FIELD(part, type, name)                                                \
	{                                                                      \
#name, type, offsetof(struct part, name)                       \
	}

static const struct field organization_fields[] = {
    FIELD(organization, TEXT, id), FIELD(organization, TEXT, name),
    FIELD(organization, TEXT, owner_name),
    FIELD(organization, TEXT, owner_email), FIELD(organization, TEXT, plan),
    FIELD(organization, TEXT, former_plan), FIELD(organization, TEXT, status),
    FIELD(organization, TIME, status_at),
    FIELD(organization, NUMBER, status_rank),
    FIELD(organization, TEXT, status_event_id),
    FIELD(organization, TEXT, stripe_customer_id),
    FIELD(organization, TEXT, stripe_subscription_id),
    FIELD(organization, TEXT, subscription_status),
    FIELD(organization, TIME, subscription_at), FIELD(organization, TEXT, zone),
    FIELD(organization, TIME, onboarded_at),
    FIELD(organization, TIME, frozen_at), FIELD(organization, TIME, deleted_at),
    FIELD(organization, TIME, created_at)};

static const struct field lead_fields[] = {FIELD(lead, TEXT, id),
    FIELD(lead, TEXT, organization_id), FIELD(lead, TEXT, name),
    FIELD(lead, TEXT, phone), FIELD(lead, TEXT, bad_phone),
    FIELD(lead, TEXT, status), FIELD(lead, TIME, status_at),
    FIELD(lead, TIME, created_at), FIELD(lead, TEXT, latest_call_id),
    FIELD(lead, NUMBER, calls), FIELD(lead, NUMBER, open_calls)};

static const struct field call_fields[] = {FIELD(call, TEXT, id),
    FIELD(call, TEXT, call_id), FIELD(call, TEXT, organization_id),
    FIELD(call, TEXT, lead_id), FIELD(call, TEXT, state),
    FIELD(call, TEXT, disconnection_reason),
    FIELD(call, TEXT, transcript_event_id), FIELD(call, FLAG, connected),
    FIELD(call, TIME, placed_at), FIELD(call, TIME, ended_at),
    FIELD(call, TIME, deadline_at), FIELD(call, NUMBER, duration_ms),
    FIELD(call, TIME, created_at)};

static const struct field invoice_fields[] = {FIELD(invoice, TEXT, id),
    FIELD(invoice, TEXT, organization_id), FIELD(invoice, TEXT, state),
    FIELD(invoice, TIME, state_at), FIELD(invoice, TIME, failed_at),
    FIELD(invoice, NUMBER, amount_minor), FIELD(invoice, TEXT, currency),
    FIELD(invoice, TEXT, url), FIELD(invoice, FLAG, action_required),
    FIELD(invoice, NUMBER, attempts), FIELD(invoice, TIME, next_attempt_at)};

static const struct field dunning_fields[] = {FIELD(dunning, TEXT, id),
    FIELD(dunning, TEXT, organization_id), FIELD(dunning, TEXT, invoice_id),
    FIELD(dunning, TIME, opened_at), FIELD(dunning, TEXT, step),
    FIELD(dunning, TIME, step_at), FIELD(dunning, TIME, closed_at),
    FIELD(dunning, TEXT, closed_why)};

static const struct field dispute_fields[] = {FIELD(dispute, TEXT, id),
    FIELD(dispute, TEXT, charge_id), FIELD(dispute, TEXT, customer_id),
    FIELD(dispute, TIME, opened_at), FIELD(dispute, TIME, closed_at)};

static const struct field account_fields[] = {FIELD(account, TIME, warned_at),
    FIELD(account, FLAG, disputed), FIELD(account, FLAG, all_frozen),
    FIELD(account, NUMBER, recent_faults)};

#define NOT_WRITTEN SIZE_MAX
#define PART(member, fields, changed)                                          \
	{                                                                      \
#member, fields, MEMBERS(fields),                              \
		    offsetof(struct account, member),                          \
		    offsetof(struct account, member.known), changed            \
	}
#define IF(flag) offsetof(struct plan, flag)

static const struct part {
	const char *name;
	const struct field *fields;
	size_t fields_count, offset, known_offset, changed_offset;
} parts[] = {
    PART(organization, organization_fields, IF(organization_changed)),
    PART(lead, lead_fields, IF(lead_changed)),
    PART(call, call_fields, IF(call_changed)),
    PART(invoice, invoice_fields, IF(invoice_changed)),
    PART(dunning, dunning_fields, IF(dunning_changed)),
    PART(unpaid, invoice_fields, NOT_WRITTEN),
    PART(owed, invoice_fields, NOT_WRITTEN),
};

/* Say what is wrong with a case and end: it is the test that is broken. */
static void
broken(const char *name, const char *format, ...)
{
	va_list arguments;

	printf("Bail out! %s: ", name);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	exit(1);
}

static void
check_members(const char *name, const json_t *object, const char *const *known)
{
	const char *const *word;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		for (word = known; *word != NULL; word++)
			if (strcmp(*word, key) == 0)
				break;
		if (*word == NULL)
			broken(name, "there is no \"%s\"", key);
	}
}

/*
 * Facts in.
 */

/* Set "mail.url" in {"mail": {"url": …}}; what was a name becomes one. */
static void
set_key(json_t *tree, const char *key, json_t *value)
{
	const char *dot = strchr(key, '.');
	char *name = dot != NULL ? mem_copy_bytes(key, (size_t)(dot - key))
				 : mem_copy(key);

	if (dot == NULL) {
		json_object_set(tree, name, value);
	} else {
		if (json_object_get(tree, name) == NULL)
			json_object_set_new(tree, name, json_object());
		set_key(json_object_get(tree, name), dot + 1, value);
	}
	free(name);
}

/* JSON is YAML. */
static char *
conf_text_of(const json_t *wanted)
{
	json_t *tree = json_object(), *value;
	const char *key;
	char *text;
	size_t i;

	if (json_is_string(wanted)) {
		json_decref(tree);
		return mem_copy(json_string_value(wanted));
	}
	for (i = 0; i < MEMBERS(conf_lines); i++) {
		value = json_string(conf_lines[i][1]);
		set_key(tree, conf_lines[i][0], value);
		json_decref(value);
	}
	json_object_foreach((json_t *)wanted, key, value)
	{
		set_key(tree, key, value);
	}
	text = json_compact(tree);
	json_decref(tree);
	return text;
}

static void
load_conf(struct conf *conf, const char *name, const json_t *wanted)
{
	const char *path = scratch("automate.yaml");
	char *text = conf_text_of(wanted);
	struct error error = {0};
	FILE *file = fopen(path, "w");

	if (file == NULL || fputs(text, file) == EOF || fclose(file) == EOF)
		broken(name, "cannot write %s", path);
	if (!conf_load(conf, path, &error))
		broken(name, "%s", error.text);
	free(text);
}

static void
set_field(const char *name, void *part, const struct field *field,
    const json_t *value)
{
	void *place = (char *)part + field->offset;

	if (field->type == TEXT && json_is_string(value))
		*(char **)place = mem_copy(json_string_value(value));
	else if (field->type == NUMBER && json_is_integer(value))
		*(int64_t *)place = json_integer_value(value);
	else if (field->type == FLAG && json_is_boolean(value))
		*(bool *)place = json_is_true(value);
	else if (field->type != TIME || !json_is_string(value) ||
	    !clock_parse(place, json_string_value(value), NULL))
		broken(name, "\"%s\" is of another type", field->name);
}

static void
load_fields(const char *name, void *place, const struct field *fields,
    size_t count, const json_t *held)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)held, key, value)
	{
		for (i = 0; i < count && strcmp(fields[i].name, key) != 0; i++)
			;
		if (i == count)
			broken(name, "an account has no \"%s\" there", key);
		set_field(name, place, &fields[i], value);
	}
}

static void
load_account(struct account *account, const char *name, const json_t *held)
{
	json_t *rest = json_object(), *part;
	size_t i;

	json_object_update(rest, (json_t *)held);
	for (i = 0; i < MEMBERS(parts); i++) {
		part = json_object_get(held, parts[i].name);
		load_fields(name, (char *)account + parts[i].offset,
		    parts[i].fields, parts[i].fields_count, part);
		*(bool *)((char *)account + parts[i].known_offset) =
		    part != NULL;
		json_object_del(rest, parts[i].name);
	}
	load_fields(
	    name, account, account_fields, MEMBERS(account_fields), rest);
	json_decref(rest);
}

static char *
event_text_of(const json_t *event)
{
	return json_is_string(event) ? mem_copy(json_string_value(event))
				     : json_compact(event);
}

/*
 * Plan out. Times are RFC 3339; what is NULL, 0, false or empty is left out.
 */

static void
put_text(json_t *object, const char *name, const char *text)
{
	if (text != NULL)
		json_put(object, name, text);
}

static void
put_time(json_t *object, const char *name, int64_t moment)
{
	char text[CLOCK_TEXT_MAX];

	if (moment != 0)
		json_put(object, name, clock_format(text, moment));
}

static void
put_number(json_t *object, const char *name, int64_t number)
{
	if (number != 0)
		json_put_number(object, name, number);
}

static void
put_flag(json_t *object, const char *name, bool flag)
{
	if (flag)
		json_object_set_new(object, name, json_true());
}

static void
put_list(json_t *object, const char *name, json_t *list)
{
	if (json_array_size(list) > 0)
		json_object_set(object, name, list);
	json_decref(list);
}

/* As JSON, where it is that. */
static void
put_body(json_t *object, const char *body)
{
	json_t *value = NULL;

	if (json_parse(&value, body, strlen(body), NULL))
		json_object_set_new(object, "body", value);
	else
		json_put(object, "body", body);
}

static json_t *
show_fields(const void *part, const struct field *field, size_t count)
{
	json_t *shown = json_object();
	const char *place;

	for (; count > 0; count--, field++) {
		place = (const char *)part + field->offset;
		switch (field->type) {
		case TEXT:
			put_text(shown, field->name, *(char *const *)place);
			break;
		case TIME:
			put_time(shown, field->name, *(const int64_t *)place);
			break;
		case NUMBER:
			put_number(shown, field->name, *(const int64_t *)place);
			break;
		case FLAG:
			put_flag(shown, field->name, *(const bool *)place);
			break;
		}
	}
	return shown;
}

static json_t *
show_part(const struct account *account, const struct part *part)
{
	return show_fields((const char *)account + part->offset, part->fields,
	    part->fields_count);
}

/* Whose value is another in after; null for what is gone. */
static json_t *
show_changes(const json_t *before, const json_t *after)
{
	json_t *changes = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)after, key, value)
	{
		if (!json_equal(value, json_object_get(before, key)))
			json_object_set(changes, key, value);
	}
	json_object_foreach((json_t *)before, key, value)
	{
		if (json_object_get(after, key) == NULL)
			json_object_set_new(changes, key, json_null());
	}
	return changes;
}

static void
show_account(json_t *shown, json_t *const before[],
    const struct account *account, const struct plan *plan)
{
	json_t *after, *changes;
	size_t i, flag;

	for (i = 0; i < MEMBERS(parts); i++) {
		after = show_part(account, &parts[i]);
		changes = show_changes(before[i], after);
		flag = parts[i].changed_offset;
		if (flag != NOT_WRITTEN &&
		    *(const bool *)((const char *)plan + flag))
			json_object_set(shown, parts[i].name, changes);
		else if (json_object_size(changes) > 0)
			json_object_set(
			    shown, "changed and not written", changes);
		json_decref(changes);
		json_decref(after);
	}
}

static json_t *
show_event(const struct event *event)
{
	json_t *shown = json_object();

	put_text(shown, "id", event->id);
	put_text(shown, "source", event->source);
	put_text(shown, "kind", event->kind);
	put_text(shown, "organization_id", event->organization_id);
	put_text(shown, "customer_id", event->customer_id);
	put_text(shown, "lead_id", event->lead_id);
	put_text(shown, "call_id", event->call_id);
	put_text(shown, "invoice_id", event->invoice_id);
	put_text(shown, "call_key", event->call_key);
	put_text(shown, "phone", event->phone);
	put_flag(shown, "is_claim", event->is_claim);
	put_text(shown, "twin_key", event->twin_key);
	put_text(shown, "twin_of", event->twin_of);
	put_time(shown, "occurred_at", event->occurred_at);
	put_time(shown, "received_at", event->received_at);
	return shown;
}

static json_t *
show_deliveries(const struct plan *plan)
{
	json_t *list = json_array(), *shown;
	const struct plan_delivery *delivery = plan->deliveries;
	size_t i;

	for (i = 0; i < plan->deliveries_count; i++, delivery++) {
		shown = json_object();
		put_text(shown, "destination", delivery->destination->name);
		put_text(shown, "step", delivery->step);
		put_text(shown, "key", delivery->key);
		put_time(shown, "due", delivery->due_at);
		put_body(shown, delivery->body);
		json_array_append_new(list, shown);
	}
	return list;
}

/* What the first occurrence of an alert makes us say. */
static json_t *
show_messages(const struct alert *alert, const struct conf *conf, int64_t now)
{
	const struct bundle bundle = {.step = (char[]){"alert"},
	    .count = 1,
	    .since = now,
	    .examples = {{.alert = *alert, .count = 1}},
	    .examples_count = 1};
	json_t *list = json_array(), *shown;
	struct alert_history history = {0};
	const struct alert_message *message;
	struct alert_ruling ruling;
	size_t i;
	char *body;

	alert_rule(&ruling, alert, &history, conf, now);
	for (i = 0; i < ruling.count; i++) {
		message = &ruling.messages[i];
		body = bundle_body(&bundle, conf, message->destination);
		shown = json_object();
		put_text(shown, "destination", message->destination->name);
		put_time(shown, "due", message->due_at);
		put_body(shown, body);
		json_array_append_new(list, shown);
		free(body);
	}
	return list;
}

/* As it will be stored: normalized. */
static json_t *
show_alert(struct alert *alert, const struct conf *conf, int64_t now)
{
	json_t *shown = json_object();
	char *fingerprint;

	alert_normalize(alert);
	fingerprint = alert_fingerprint(alert);
	put_text(shown, "kind", alert->kind);
	put_text(shown, "severity", alert->severity);
	put_text(shown, "fingerprint", fingerprint);
	put_text(shown, "title", alert->title);
	put_text(shown, "message", alert->message);
	put_text(shown, "details", alert->details);
	put_text(shown, "next_command", alert->next_command);
	put_text(shown, "organization_id", alert->organization_id);
	put_text(shown, "lead_id", alert->lead_id);
	put_text(shown, "event_id", alert->event_id);
	put_text(shown, "avoid", alert->avoid);
	put_number(shown, "wait_s", alert->wait_s);
	put_list(shown, "messages", show_messages(alert, conf, now));
	free(fingerprint);
	return shown;
}

static json_t *
show_alerts(
    const struct plan *plan, const struct conf *conf, const struct event *event)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < plan->alerts_count; i++)
		json_array_append_new(list,
		    show_alert(&plan->alerts[i], conf, event->received_at));
	return list;
}

static const char *
name_of(decide_fn *decide)
{
	size_t i;

	for (i = 0; i < MEMBERS(rules); i++)
		if (rules[i].decide == decide)
			return rules[i].name;
	return "?";
}

static json_t *
show_causes(const struct plan *plan)
{
	json_t *list = json_array(), *shown;
	size_t i;

	for (i = 0; i < plan->causes_count; i++) {
		shown = show_event(&plan->causes[i].event);
		json_put(shown, "rule", name_of(plan->causes[i].decide));
		json_array_append_new(list, shown);
	}
	return list;
}

static void
show_plan(json_t *shown, struct plan *plan, const struct conf *conf,
    const struct event *event)
{
	json_t *resolved = json_array(), *skipped = json_array();
	size_t i;

	for (i = 0; i < plan->resolved_count; i++)
		json_array_append_new(resolved, json_string(plan->resolved[i]));
	for (i = 0; i < plan->skipped_count; i++)
		json_array_append_new(
		    skipped, json_string(plan->skipped[i]->name));
	if (plan->opened.known)
		json_object_set_new(shown, "opened",
		    show_fields(&plan->opened, dunning_fields,
			MEMBERS(dunning_fields)));
	if (plan->dispute.known)
		json_object_set_new(shown, "dispute",
		    show_fields(&plan->dispute, dispute_fields,
			MEMBERS(dispute_fields)));
	put_flag(shown, "cancel_follow_ups", plan->cancel_follow_ups);
	put_flag(shown, "cancel_reminders", plan->cancel_reminders);
	put_list(shown, "deliveries", show_deliveries(plan));
	put_list(shown, "alerts", show_alerts(plan, conf, event));
	put_list(shown, "resolved", resolved);
	put_list(shown, "causes", show_causes(plan));
	put_list(shown, "skipped", skipped);
	if (plan->body != NULL)
		put_body(shown, plan->body);
	if (json_object_size(plan->result) > 0)
		json_object_set(shown, "result", plan->result);
}

static json_t *
show_error(const struct error *error)
{
	json_t *shown = json_object(), *members = json_object();

	json_put_number(members, "status", error_status(error->kind));
	json_put(members, "text", error->text);
	json_object_set_new(shown, "error", members);
	return shown;
}

/* What the rule makes of the event; NULL: an error. */
static json_t *
decide(const struct rule *rule, const struct event *event,
    struct account *account, const struct conf *conf, struct error *error)
{
	json_t *before[MEMBERS(parts)], *shown = NULL;
	struct plan plan;
	size_t i;

	for (i = 0; i < MEMBERS(parts); i++)
		before[i] = show_part(account, &parts[i]);
	plan_init(&plan);
	if (rule->decide(event, account, conf, &plan, error)) {
		shown = json_object();
		json_object_set_new(shown, "event", show_event(event));
		json_put(shown, "outcome", plan.outcome);
		show_account(shown, before, account, &plan);
		show_plan(shown, &plan, conf, event);
	}
	plan_release(&plan);
	for (i = 0; i < MEMBERS(parts); i++)
		json_decref(before[i]);
	return shown;
}

/*
 * A case.
 */

static const struct rule *
find_rule(const char *name, const char *word)
{
	size_t i;

	for (i = 0; word != NULL && i < MEMBERS(rules); i++)
		if (strcmp(rules[i].name, word) == 0)
			return &rules[i];
	broken(name, "there is no such rule");
	return NULL;
}

/* An event without an id is no business of ours: ignored, and not kept. */
static json_t *
run(const char *name, const json_t *golden)
{
	const struct rule *rule = find_rule(name, json_text(golden, "rule"));
	char *text = event_text_of(json_object_get(golden, "event"));
	const char *now_text = json_text(golden, "now");
	struct account account = {0};
	struct event event = {0};
	struct error error = {0};
	struct conf conf = {0};
	json_t *shown = NULL;
	int64_t now = 0;

	if (now_text == NULL || !clock_parse(&now, now_text, &error))
		broken(name, "now: %s", error.text);
	load_conf(&conf, name, json_object_get(golden, "conf"));
	load_account(&account, name, json_object_get(golden, "account"));
	if (rule->understand(&event, text, strlen(text), now, &error)) {
		if (event.id == NULL)
			shown = json_pack("{ss}", "outcome", "ignored");
		else
			shown = decide(rule, &event, &account, &conf, &error);
	}
	if (shown == NULL)
		shown = show_error(&error);
	event_release(&event);
	account_release(&account);
	conf_release(&conf);
	free(text);
	return shown;
}

static void
differ(const char *path, const json_t *got, const json_t *wanted)
{
	char *got_text = got != NULL ? json_compact(got) : mem_copy("nothing"),
	     *wanted_text =
		 wanted != NULL ? json_compact(wanted) : mem_copy("nothing");

	printf("# at %s\n#    got: %s\n# wanted: %s\n",
	    *path != '\0' ? path : "the top", got_text, wanted_text);
	free(wanted_text);
	free(got_text);
}

/* Where they differ; the result is the number of such places. */
static int
compare(const char *path, const json_t *got, const json_t *wanted)
{
	json_t *value;
	const char *key;
	int count = 0;
	char *below;
	size_t i;

	if (json_is_object(wanted) && json_is_object(got)) {
		json_object_foreach((json_t *)wanted, key, value)
		{
			below = mem_format("%s.%s", path, key);
			count +=
			    compare(below, json_object_get(got, key), value);
			free(below);
		}
		return count;
	}
	if (json_is_array(wanted) && json_is_array(got) &&
	    json_array_size(wanted) == json_array_size(got)) {
		json_array_foreach((json_t *)wanted, i, value)
		{
			below = mem_format("%s.%zu", path, i);
			count += compare(below, json_array_get(got, i), value);
			free(below);
		}
		return count;
	}
	if (json_equal(got, wanted) || (got == NULL && json_is_null(wanted)))
		return 0;
	differ(path, got, wanted);
	return 1;
}

/* All that a plan has is named. */
static int
compare_plan(const json_t *got, const json_t *wanted)
{
	int count = compare("", got, wanted);
	json_t *value;
	const char *key;

	json_object_foreach((json_t *)got, key, value)
	{
		if (wanted == NULL || json_object_get(wanted, key) != NULL)
			continue;
		differ(key, value, NULL);
		count++;
	}
	return count;
}

/* What is got, as far as wanted names it. */
static json_t *
update(json_t *got, const json_t *wanted, bool all)
{
	json_t *updated, *value;
	const char *key;
	size_t i;

	if (json_is_object(wanted) && json_is_object(got)) {
		updated = json_object();
		json_object_foreach((json_t *)wanted, key, value)
		{
			json_t *there = json_object_get(got, key);

			if (there != NULL)
				json_object_set_new(
				    updated, key, update(there, value, false));
			else if (json_is_null(value))
				json_object_set(updated, key, value);
		}
		if (all)
			json_object_update_missing(updated, got);
		return updated;
	}
	if (json_is_array(wanted) && json_is_array(got)) {
		updated = json_array();
		json_array_foreach(got, i, value)
		{
			json_array_append_new(updated,
			    update(value, json_array_get(wanted, i), false));
		}
		return updated;
	}
	return json_incref(got);
}

static void
run_case(const char *file, json_t *golden, bool updating)
{
	static const char *const known[] = {
	    "name", "rule", "now", "conf", "account", "event", "plan", NULL};
	const char *slash = strrchr(file, '/');
	char *name = mem_format("%s: %s", slash != NULL ? slash + 1 : file,
	    json_text(golden, "name") ? json_text(golden, "name") : "?");
	const json_t *wanted = json_object_get(golden, "plan");
	json_t *got;

	check_members(name, golden, known);
	got = run(name, golden);
	if (updating)
		json_object_set_new(golden, "plan", update(got, wanted, true));
	ok(updating || compare_plan(got, wanted) == 0, "%s", name);
	json_decref(got);
	free(name);
}

/* ASCII, so that nothing in a diff is unseen. */
static void
write_file(const char *file, const json_t *cases)
{
	FILE *out = fopen(file, "w");

	if (out == NULL ||
	    json_dumpf(cases, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0 ||
	    fputc('\n', out) == EOF || fclose(out) == EOF)
		broken(file, "cannot be written");
}

static void
run_file(const char *file, bool updating)
{
	json_error_t error;
	json_t *cases = json_load_file(file, JSON_REJECT_DUPLICATES, &error),
	       *golden;
	size_t i;

	if (cases == NULL)
		broken(file, "line %d: %s", error.line, error.text);
	if (json_is_object(cases))
		run_case(file, cases, updating);
	json_array_foreach(cases, i, golden)
	{
		run_case(file, golden, updating);
	}
	if (updating)
		write_file(file, cases);
	json_decref(cases);
}

int
main(int argc, char *argv[])
{
	const char *word = getenv("UPDATE");
	const bool updating = word != NULL && strcmp(word, "1") == 0;
	glob_t files = {0};
	size_t i;

	if (argc == 1 && glob(CASES, 0, NULL, &files) != 0)
		broken(CASES, "none are there; run it at the top of the tree");
	for (i = 0; i < files.gl_pathc; i++)
		run_file(files.gl_pathv[i], updating);
	for (i = 1; i < (size_t)argc; i++)
		run_file(argv[i], updating);
	globfree(&files);
	return tap_end();
}
