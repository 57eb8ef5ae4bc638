/*
 * A new organization: welcome it once, tell Slack, owe the follow-ups; one that
 * is deleted is written to no more.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"
#include "decide/plan.h"

static const struct follow_up {
	const char *step;
	int64_t days;
} follow_ups[] = {{"welcome", 0}, {"day_1", 1}, {"day_3", 3}, {"day_7", 7}};

/* The first of several names under which senders know a field; blanks: none. */
static const char *
text_of(const json_t *data, const char *const *names)
{
	const char *text;

	for (; *names != NULL; names++) {
		text = json_text(data, *names);
		if (text != NULL && text[strspn(text, " \t\r\n")] != '\0')
			return text;
	}
	return NULL;
}

#define TEXT(data, ...)                                                        \
	text_of((data), (const char *const[]){__VA_ARGS__, NULL})

/* Not whether it exists: whether writing to it is worth trying, and safe. */
static bool
is_address(const char *text)
{
	const char *at = text != NULL ? strchr(text, '@') : NULL;
	const char *p;

	if (at == NULL || at == text || at[1] == '\0' ||
	    strchr(at + 1, '@') != NULL || strlen(text) > 254)
		return false;
	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || strchr("<>,;\"\x7f", *p))
			return false;
	return true;
}

static void
fill_in(char **field, const char *value)
{
	if (value != NULL)
		mem_replace(field, value);
}

static const char *
status_word(const char *word)
{
	static const char *const words[] = {
	    "trialing", "active", "past_due", "downgraded", "canceled"};
	size_t i;

	for (i = 0; word != NULL && i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(word, words[i]) == 0)
			return words[i];
	return "active";
}

static void
begin(struct organization *organization, const struct event *event,
    const char *status)
{
	mem_replace(&organization->id, event->organization_id);
	mem_replace(&organization->status, status);
	mem_replace(&organization->status_event_id, event->id);
	organization->created_at = event->occurred_at;
	organization->known = true;
}

static void
learn(struct organization *organization, const struct event *event)
{
	const json_t *data = event->data;
	const char *address = TEXT(data, "owner_email", "ownerEmail", "email",
	    "owner.email", "billing_email");

	if (!organization->known)
		begin(organization, event,
		    status_word(json_text(data, "status")));
	fill_in(&organization->name,
	    TEXT(data, "name", "organization_name", "organizationName"));
	fill_in(&organization->owner_name,
	    TEXT(data, "owner_name", "ownerName", "owner.name"));
	fill_in(
	    &organization->owner_email, is_address(address) ? address : NULL);
	if (organization->plan == NULL)
		fill_in(&organization->plan, TEXT(data, "plan"));
	if (organization->stripe_customer_id == NULL)
		fill_in(&organization->stripe_customer_id, event->customer_id);
	fill_in(&organization->zone, TEXT(data, "timezone", "zone"));
	organization->onboarded_at = event->received_at;
}

static char *
redirect_url(const struct organization *organization, const struct conf *conf)
{
	const struct message_value values[] = {{"app_url", conf->app_url, true},
	    {"organization_id", organization->id, false},
	    {"organization_name", organization->name, false},
	    {"plan", organization->plan, false},
	    {"owner_email", organization->owner_email, false},
	    {"owner_name", organization->owner_name, false}};
	struct buf url = BUF_INIT(8192);
	char *text = NULL;

	if (conf->onboarding_redirect_url == NULL)
		return NULL;
	if (message_fill(&url, conf->onboarding_redirect_url, values,
		sizeof(values) / sizeof(*values), NULL))
		text = mem_copy(buf_string(&url));
	buf_release(&url);
	return text;
}

static char *
mail_body(const struct organization *organization, const struct conf *conf,
    const char *step, const char *key, const char *redirect)
{
	json_t *mail = json_object();
	char *body;

	json_put(mail, "idempotency_key", key);
	json_put(mail, "step", step);
	json_put(mail, "organization_id", organization->id);
	json_put(mail, "organization_name", organization->name);
	json_put(mail, "owner_name", organization->owner_name);
	json_put(mail, "owner_email", organization->owner_email);
	json_put(mail, "plan", organization->plan);
	json_put(mail, "app_url", conf->app_url);
	json_put(mail, "knowledge_base_url", conf->knowledge_base_url);
	json_put(mail, "redirect_url", redirect);
	json_put(mail, "business_name", conf->business_name);
	body = json_compact(mail);
	json_decref(mail);
	return body;
}

static void
owe_mail(const struct event *event, const struct organization *organization,
    const struct conf *conf, const char *redirect, struct plan *plan)
{
	const size_t count = conf->onboarding_follow_ups
	    ? sizeof(follow_ups) / sizeof(*follow_ups)
	    : 1;
	size_t i;
	char *key;

	for (i = 0; i < count; i++) {
		key = mem_format("%s:%s", event->id, follow_ups[i].step);
		plan_deliver(plan, conf, CONF_MAIL, follow_ups[i].step, key,
		    mail_body(
			organization, conf, follow_ups[i].step, key, redirect),
		    event->received_at + follow_ups[i].days * CLOCK_DAY_S);
	}
}

static void
owe_slack(const struct event *event, const struct organization *organization,
    const struct conf *conf, struct plan *plan)
{
	struct slack_message message = {0};
	char *title = mem_format("New customer: %s",
	    organization->name != NULL ? organization->name : organization->id);

	message.title = title;
	message.fields[0] =
	    (struct slack_field){"Owner", organization->owner_name};
	message.fields[1] =
	    (struct slack_field){"Mail", organization->owner_email};
	message.fields[2] = (struct slack_field){"Plan", organization->plan};
	message.fields[3] =
	    (struct slack_field){"Status", organization->status};
	message.fields[4] =
	    (struct slack_field){"Organization", organization->id};
	plan_deliver(plan, conf, CONF_SLACK_CUSTOMERS, "new_customer",
	    mem_format("%s:slack", event->id), message_slack(&message),
	    event->received_at);
	free(title);
}

static void
report_no_address(
    const struct event *event, struct account *account, struct plan *plan)
{
	struct alert alert = {0};

	alert.kind = mem_copy("onboarding.no_address");
	alert.organization_id = mem_copy(event->organization_id);
	alert.event_id = mem_copy(event->id);
	alert.message = mem_format(
	    "%s has no usable mail address: no welcome and no follow-ups.",
	    account->organization.name != NULL ? account->organization.name
					       : event->organization_id);
	plan_alert(plan, &alert);
}

static void
welcome(const struct event *event, struct account *account,
    const struct conf *conf, const char *redirect, struct plan *plan)
{
	const struct organization *organization = &account->organization;

	owe_slack(event, organization, conf, plan);
	if (organization->owner_email != NULL)
		owe_mail(event, organization, conf, redirect, plan);
	else
		report_no_address(event, account, plan);
}

/* One nobody knows is remembered too: its insertion may come later. */
static void delete (
    const struct event *event, struct account *account, struct plan *plan)
{
	struct organization *organization = &account->organization;

	plan->outcome = "ignored";
	if (!organization->known)
		begin(organization, event, "canceled");
	organization->deleted_at = event->received_at;
	plan->organization_changed = true;
	plan->cancel_follow_ups = true;
}

bool
decide_onboard(const struct event *event, struct account *account,
    const struct conf *conf, struct plan *plan, struct error *error)
{
	struct organization *organization = &account->organization;
	char *redirect;

	(void)error;
	if (strcmp(event->kind, "organization.deleted") == 0) {
		delete (event, account, plan);
		return true;
	}
	if (organization->deleted_at != 0) {
		plan->outcome = "ignored";
		return true;
	}
	learn(organization, event);
	plan->organization_changed = true;
	redirect = redirect_url(organization, conf);
	json_put(plan->result, "redirect", redirect);
	if (strcmp(organization->status, "canceled") != 0)
		welcome(event, account, conf, redirect, plan);
	free(redirect);
	return true;
}
