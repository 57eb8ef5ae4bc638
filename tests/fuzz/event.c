/*
 * Any document, understood and decided: what comes out can be stored, sent and
 * shown, whatever went in. The first byte says how it is taken:
 *
 *	modulo 3  by which rule: 0 onboard, 1 alert, 2 Stripe
 *	& 4       the organization is known
 *	& 8       nothing is configured
 *	& 64      and it is in dunning for the invoice that is named
 */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/alert.h"
#include "decide/event.h"
#include "decide/plan.h"

#define NOW 1800000000
#define LINK "https://app.example.com/"
#define RUNBOOK "<https://kb.example.com/"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define IN_ADDRESS LETTERS "0123456789-._~%:/?#[]@!$&'()*+,;="

typedef bool understand_fn(
    struct event *, const char *text, size_t size, int64_t now, struct error *);

static bool
understand_alert(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	return event_from_alert(event, text, size, now, "unique", error);
}

static const struct {
	understand_fn *understand;
	decide_fn *decide;
} rules[] = {{event_from_organization, decide_onboard},
    {understand_alert, decide_alert}, {event_from_stripe, decide_stripe}};

static const char everything[] =
    "business: {name: 'Example & Co'}\n"
    "links: {app_url: https://app.example.com, "
    "knowledge_base_url: https://kb.example.com}\n"
    "onboarding: {redirect_url: '{app_url}/a/{organization_id}?"
    "n={organization_name}&p={plan}&m={owner_email}&w={owner_name}'}\n"
    "mail: {url: https://hooks.example.com/mail}\n"
    "billing: {url: https://hooks.example.com/billing}\n"
    "slack: {customers: {url: https://hooks.example.com/customers}, "
    "alerts: {url: https://hooks.example.com/alerts}}\n"
    "stripe: {mode: test}\n"
    "sms: {provider: webhook, to: '+15550100', "
    "url: https://hooks.example.com/sms}\n";

static void
load(struct conf *conf, const char *text)
{
	char path[] = "/tmp/automate-fuzz-XXXXXX";
	const size_t size = strlen(text);
	struct error error = {0};
	int fd = mkstemp(path);

	expect(fd != -1 && write(fd, text, size) == (ssize_t)size &&
		close(fd) == 0,
	    "the configuration can be written");
	expect(conf_load(conf, path, &error), error.text);
	unlink(path);
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= 0x20 || *text == 0x7f)
			return false;
	return true;
}

static void
check_id(const char *id)
{
	expect(id == NULL || (*id != '\0' && is_printable(id)),
	    "an id is one printable word");
}

static void
check_event(const struct event *event)
{
	check_id(event->id);
	check_id(event->organization_id);
	check_id(event->customer_id);
	check_id(event->lead_id);
	check_id(event->call_id);
	check_id(event->invoice_id);
	expect(event->kind != NULL && event->source != NULL,
	    "an event is of a kind and comes from somewhere");
	expect(
	    event->occurred_at <= NOW || strcmp(event->source, "stripe") == 0,
	    "what we are told has happened");
	expect(event->body != NULL && event->data != NULL,
	    "it keeps what was said");
}

static json_t *
parsed(const char *body)
{
	json_t *value = NULL;

	expect(body != NULL && json_parse(&value, body, strlen(body), NULL),
	    "a body is JSON");
	expect(json_is_object(value), "and an object");
	return value;
}

/* Only our own link is one. */
static void
check_slack(const char *body)
{
	json_t *message = parsed(body);
	const char *text = json_text(message, "text");

	expect(text != NULL, "Slack is told something");
	while ((text = strchr(text, '<')) != NULL) {
		expect(strncmp(text, RUNBOOK, sizeof(RUNBOOK) - 1) == 0,
		    "nobody's words are a link or a ping");
		text++;
	}
	json_decref(message);
}

/* In GSM-7 some characters are two septets. */
static void
check_sms(const char *body)
{
	json_t *message = parsed(body);
	const char *text = json_text(message, "text");
	size_t septets = 0;

	expect(text != NULL, "an SMS says something");
	for (; *text != '\0'; text++) {
		expect(*text >= ' ' && *text <= '~', "in plain letters");
		septets += strchr("^{}\\[~]|", *text) != NULL ? 2 : 1;
	}
	expect(septets <= 160, "in one segment");
	json_decref(message);
}

static void
check_body(const struct conf_destination *destination, const char *body)
{
	switch (destination->dialect) {
	case CONF_SLACK: check_slack(body); break;
	case CONF_SMS_WEBHOOK:
	case CONF_TWILIO: check_sms(body); break;
	default: json_decref(parsed(body));
	}
}

static void
check_deliveries(const struct plan *plan)
{
	const struct plan_delivery *delivery = plan->deliveries;
	size_t i, j;

	for (i = 0; i < plan->deliveries_count; i++, delivery++) {
		expect(delivery->destination->configured,
		    "only what is configured is owed anything");
		expect(delivery->step != NULL && delivery->key != NULL &&
			is_printable(delivery->key),
		    "a delivery has a step and a key");
		expect(delivery->due_at >= NOW, "and is due now or later");
		check_body(delivery->destination, delivery->body);
		for (j = 0; j < i; j++)
			expect(strcmp(plan->deliveries[j].key, delivery->key),
			    "each has a key of its own");
	}
}

static void
check_alert(struct alert *alert, const struct conf *conf)
{
	struct alert_history history = {0};
	struct alert_ruling ruling;
	char *fingerprint;
	size_t i;

	alert_normalize(alert);
	fingerprint = alert_fingerprint(alert);
	expect(alert_severity(alert->severity) >= 0, "an alert has a severity");
	expect(
	    alert->kind != NULL && alert->title != NULL, "a kind and a title");
	expect(*fingerprint != '\0', "and a fingerprint");
	alert_rule(&ruling, alert, &history, conf, NOW);
	for (i = 0; i < ruling.count; i++)
		expect(ruling.messages[i].destination->configured,
		    "and is told where that can be");
	free(fingerprint);
}

static void
check_account(const struct event *event, const struct account *account,
    const struct plan *plan)
{
	const struct organization *organization = &account->organization;

	if (plan->organization_changed) {
		expect(organization->known && organization->id != NULL &&
			organization->status != NULL,
		    "an organization that is written can be");
		expect(event->organization_id == NULL || event->is_claim ||
			strcmp(organization->id, event->organization_id) == 0,
		    "and is the one the event is about");
	}
	if (plan->lead_changed)
		expect(account->lead.id != NULL && account->lead.status != NULL,
		    "so can a lead");
}

static void
check_result(const struct plan *plan)
{
	const char *redirect = json_text(plan->result, "redirect");
	char *line = json_compact(plan->result);

	expect(strchr(line, '\n') == NULL, "the result is one line");
	expect(redirect == NULL ||
		(strncmp(redirect, LINK, sizeof(LINK) - 1) == 0 &&
		    redirect[strspn(redirect, IN_ADDRESS)] == '\0'),
	    "a redirect leads to us and is an address");
	free(line);
}

static const char *
either(const char *first, const char *second)
{
	return first != NULL ? first : second;
}

static void
know(struct account *account, const struct event *event)
{
	struct organization *organization = &account->organization;

	organization->known = true;
	organization->id =
	    mem_copy(either(event->organization_id, "org_known"));
	organization->name = mem_copy("<Known> & Co");
	organization->owner_email = mem_copy("dana@known.example");
	organization->status = mem_copy("active");
	organization->stripe_customer_id =
	    mem_copy(either(event->customer_id, "cus_known"));
	organization->status_at = organization->created_at = NOW - 1000;
}

static void
put_into_dunning(struct account *account, const struct event *event)
{
	struct invoice *invoice = &account->invoice;
	struct dunning *dunning = &account->dunning;

	dunning->known = invoice->known = true;
	dunning->id = mem_copy("cycle");
	invoice->id = mem_copy(either(event->invoice_id, "in_known"));
	dunning->invoice_id = mem_copy(invoice->id);
	invoice->organization_id = mem_copy(account->organization.id);
	dunning->organization_id = mem_copy(account->organization.id);
	dunning->step = mem_copy("payment_failed");
	invoice->state = mem_copy("failed");
	invoice->currency = mem_copy("usd");
	invoice->amount_minor = 2900;
	invoice->attempts = 1;
	dunning->opened_at = dunning->step_at = NOW - 500;
	invoice->state_at = invoice->failed_at = NOW - 500;
}

static void
decide(const struct event *event, decide_fn *rule, uint8_t how,
    const struct conf *conf)
{
	struct account account = {0};
	struct error error = {0};
	struct plan plan;
	size_t i;

	if ((how & 4) != 0)
		know(&account, event);
	if ((how & 64) != 0)
		put_into_dunning(&account, event);
	plan_init(&plan);
	if (rule(event, &account, conf, &plan, &error)) {
		check_account(event, &account, &plan);
		check_deliveries(&plan);
		check_result(&plan);
		for (i = 0; i < plan.alerts_count; i++)
			check_alert(&plan.alerts[i], conf);
	} else {
		expect(error.kind == ERROR_DATA && error.text[0] != '\0',
		    "what is refused is refused in words");
	}
	plan_release(&plan);
	account_release(&account);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct conf full, bare;
	struct event event = {0};
	struct error error = {0};
	size_t rule;

	if (full.path == NULL) {
		load(&full, everything);
		load(&bare, "{}\n");
	}
	if (size == 0)
		return 0;
	rule = bytes[0] % 3;
	if (!rules[rule].understand(
		&event, (const char *)bytes + 1, size - 1, NOW, &error)) {
		expect(error.kind == ERROR_DATA && error.text[0] != '\0',
		    "what is not understood is refused in words");
	} else if (event.id != NULL) {
		check_event(&event);
		decide(&event, rules[rule].decide, bytes[0],
		    (bytes[0] & 8) != 0 ? &bare : &full);
	}
	event_release(&event);
	return 0;
}
