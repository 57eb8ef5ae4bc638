#include "decide/event.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/stripe.h"

#define ID_MAX 200
#define KEY_MAX (ID_MAX + 32) /* what we make of an id */

void
event_release(struct event *event)
{
	free(event->id);
	free(event->kind);
	free(event->organization_id);
	free(event->customer_id);
	free(event->lead_id);
	free(event->call_id);
	free(event->invoice_id);
	free(event->call_key);
	free(event->phone);
	free(event->twin_key);
	free(event->twin_of);
	free(event->body);
	json_decref(event->data);
	memset(event, 0, sizeof(*event));
}

static bool
parse(struct event *event, const char *text, size_t size, int64_t now,
    struct error *error)
{
	memset(event, 0, sizeof(*event));
	event->received_at = event->occurred_at = now;
	if (!json_parse(&event->data, text, size, error))
		return false;
	event->body = mem_copy_bytes(text, size);
	if (json_is_object(event->data))
		return true;
	return error_set(error, ERROR_DATA, "the document is no JSON object");
}

/* An id becomes part of keys, addresses and messages: printable, bounded. */
static bool
take_id(char **id, const json_t *data, const char *const *names, bool required,
    struct error *error)
{
	const char *const *name;
	const char *p;

	for (name = names; *name != NULL; name++)
		if (json_at(data, *name) != NULL)
			break;
	if (*name == NULL) {
		if (!required)
			return true;
		return error_set(
		    error, ERROR_DATA, "field \"%s\" is missing", names[0]);
	}
	*id = json_id(data, *name);
	if (*id == NULL)
		return error_set(error, ERROR_DATA,
		    "field \"%s\" must be a text or an integer, not empty",
		    *name);
	if (strlen(*id) > ID_MAX)
		return error_set(error, ERROR_DATA,
		    "field \"%s\" is longer than %d bytes", *name, ID_MAX);
	for (p = *id; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return error_set(error, ERROR_DATA,
			    "field \"%s\" has a blank or control character",
			    *name);
	return true;
}

static bool
is_word(const json_t *data, const char *path, const char *word)
{
	const char *text = json_text(data, path);

	return text != NULL && strcmp(text, word) == 0;
}

/* The row that a Supabase body tells of, or the object itself. */
static bool
find_record(
    const struct event *event, const json_t **record, struct error *error)
{
	const json_t *data = event->data;
	const char *member =
	    is_word(data, "type", "DELETE") ? "old_record" : "record";

	*record = data;
	if (json_text(data, "type") == NULL || json_text(data, "table") == NULL)
		return true;
	*record = json_object_get(data, member);
	if (json_is_object(*record))
		return true;
	return error_set(error, ERROR_DATA, "\"%s\" is no object", member);
}

static bool
is_deletion(const json_t *data)
{
	return is_word(data, "type", "DELETE") ||
	    (is_word(data, "type", "UPDATE") &&
		json_at(data, "record.deleted_at") != NULL);
}

bool
event_from_organization(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	static const char *const ids[] = {
	    "id", "organization_id", "organizationId", NULL};
	static const char *const customers[] = {
	    "stripe_customer_id", "stripeCustomerId", NULL};
	const json_t *record = NULL;
	const char *type, *table, *when;
	bool deleted;

	if (!parse(event, text, size, now, error))
		return false;
	type = json_text(event->data, "type");
	table = json_text(event->data, "table");
	event->source = type != NULL && table != NULL ? "supabase" : "manual";
	if (type != NULL && table != NULL &&
	    strcmp(table, "organizations") != 0)
		return true;
	if (!find_record(event, &record, error))
		return false;
	deleted = table != NULL && is_deletion(event->data);
	if (table != NULL && type != NULL && strcmp(type, "INSERT") != 0 &&
	    !deleted)
		return true;
	if (!take_id(&event->organization_id, record, ids, true, error) ||
	    !take_id(&event->customer_id, record, customers, false, error))
		return false;
	event->kind =
	    mem_copy(deleted ? "organization.deleted" : "organization.created");
	event->id = mem_format(
	    "%s:%s", deleted ? "offboard" : "onboard", event->organization_id);
	when = json_text(record, deleted ? "deleted_at" : "created_at");
	if (when != NULL &&
	    (!clock_parse(&event->occurred_at, when, NULL) ||
		event->occurred_at > now))
		event->occurred_at = now;
	json_incref((json_t *)record);
	json_decref(event->data);
	event->data = (json_t *)record;
	return true;
}

bool
event_from_alert(struct event *event, const char *text, size_t size,
    int64_t now, const char *unique, struct error *error)
{
	static const char *const ids[] = {"id", "idempotency_key", NULL};
	static const char *const organizations[] = {"organization.id",
	    "organization", "organization_id", "organizationId", NULL};
	static const char *const leads[] = {
	    "lead.id", "lead", "lead_id", "leadId", NULL};
	char *id = NULL, when[CLOCK_TEXT_MAX];
	bool ok;

	ok = parse(event, text, size, now, error) &&
	    take_id(&id, event->data, ids, false, error) &&
	    take_id(&event->organization_id, event->data, organizations, false,
		error) &&
	    take_id(&event->lead_id, event->data, leads, false, error);
	event->source = "alert";
	event->kind = mem_copy("alert");
	if (id != NULL)
		event->id = mem_format("alert:%s", id);
	else
		event->id =
		    mem_format("alert:%s:%s", clock_format(when, now), unique);
	free(id);
	return ok;
}

/*
 * What makes two events of Stripe tell one fact: "in some cases two separate
 * Event objects are generated", https://docs.stripe.com/webhooks. A further
 * attempt is another fact. Types that are not here mirror a state: twice does
 * no harm.
 */
static const struct twin {
	const char *kind, *fact;
	const char *path; /* what else tells facts apart; or NULL */
} twins[] = {
    {"charge.dispute.closed", "closed", NULL},
    {"charge.dispute.created", "created", NULL},
    {"checkout.session.async_payment_failed", "failed", NULL},
    {"checkout.session.async_payment_succeeded", "succeeded", NULL},
    {"checkout.session.completed", "completed", NULL},
    {"customer.deleted", "deleted", NULL},
    {"customer.subscription.created", "created", NULL},
    {"customer.subscription.deleted", "deleted", NULL},
    {"customer.subscription.trial_will_end", "trial_will_end", "trial_end"},
    {"invoice.marked_uncollectible", "uncollectible", NULL},
    {"invoice.paid", "paid", NULL},
    {"invoice.payment_action_required", "action", "attempt_count"},
    {"invoice.payment_failed", "failed", "attempt_count"},
    {"invoice.payment_succeeded", "paid", NULL},
    {"invoice.voided", "void", NULL},
};

static char *
twin_key(const char *kind, const json_t *object)
{
	const char *id = json_text(object, "id");
	int64_t number = 0;
	size_t i;

	for (i = 0; id != NULL && i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (strcmp(twins[i].kind, kind) != 0)
			continue;
		if (twins[i].path == NULL ||
		    !json_number(&number, object, twins[i].path))
			return mem_format("%s:%s", id, twins[i].fact);
		return mem_format(
		    "%s:%s:%lld", id, twins[i].fact, (long long)number);
	}
	return NULL;
}

/* An id that a rule may use, or NULL: one of odd bytes is none. */
static char *
usable(const char *id, ptrdiff_t max)
{
	const char *p = id;

	while (p != NULL && (unsigned char)*p > 0x20 && *p != 0x7f)
		p++;
	return p != NULL && p > id && *p == '\0' && p - id <= max ? mem_copy(id)
								  : NULL;
}

static char *
usable_id(const char *id)
{
	return usable(id, ID_MAX);
}

/* Whole seconds of a snapshot, RFC 3339 of a thin event. */
static bool
take_created(struct event *event, struct error *error)
{
	const char *text = json_text(event->data, "created");

	if (json_number(&event->occurred_at, event->data, "created"))
		return true;
	if (text != NULL && clock_parse(&event->occurred_at, text, NULL))
		return true;
	return error_set(
	    error, ERROR_DATA, "field \"created\" is missing or no time");
}

static void
take_object(struct event *event, const json_t *object)
{
	const char *kind = event->kind, *id = json_text(object, "id");
	const char *customer = strncmp(kind, "customer.", 9) == 0 &&
		strncmp(kind, "customer.subscription.", 22) != 0
	    ? id
	    : stripe_id(object, "customer");

	event->customer_id = usable_id(customer);
	event->organization_id = usable_id(stripe_claim(object));
	if (strncmp(kind, "invoice.", 8) == 0)
		event->invoice_id = usable_id(id);
	event->twin_key = twin_key(kind, object);
}

bool
event_from_stripe(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	static const char *const ids[] = {"id", NULL};
	static const char *const kinds[] = {"type", NULL};
	const json_t *object;

	if (!parse(event, text, size, now, error))
		return false;
	event->source = "stripe";
	event->is_claim = true;
	if (!is_word(event->data, "object", "event") &&
	    !is_word(event->data, "object", "v2.core.event"))
		return error_set(error, ERROR_DATA,
		    "field \"object\" is not \"event\": no event of Stripe");
	if (!take_id(&event->id, event->data, ids, true, error) ||
	    !take_id(&event->kind, event->data, kinds, true, error) ||
	    !take_created(event, error))
		return false;
	event->twin_of = usable_id(json_text(event->data, "snapshot_event"));
	object = json_at(event->data, "data.object");
	if (json_is_object(object))
		take_object(event, object);
	else if (is_word(event->data, "object", "event"))
		return error_set(
		    error, ERROR_DATA, "field \"data.object\" is missing");
	return true;
}

bool
event_from_lead(struct event *event, const char *text, size_t size, int64_t now,
    const char *unique, struct error *error)
{
	static const char *const ids[] = {
	    "id", "lead.id", "lead_id", "leadId", "lead", NULL};
	static const char *const organizations[] = {"organization.id",
	    "organization_id", "organizationId", "organization", NULL};
	const json_t *record = NULL;
	const char *table;
	char when[CLOCK_TEXT_MAX];

	if (!parse(event, text, size, now, error))
		return false;
	table = json_text(event->data, "type") != NULL
	    ? json_text(event->data, "table")
	    : NULL;
	event->source = table != NULL ? "supabase" : "manual";
	if (table != NULL && strcmp(table, "leads") != 0)
		return true;
	if (!find_record(event, &record, error) ||
	    !take_id(&event->lead_id, record, ids, true, error) ||
	    !take_id(
		&event->organization_id, record, organizations, false, error))
		return false;
	event->kind = mem_copy(table == NULL             ? "call.ordered"
		: is_deletion(event->data)               ? "lead.deleted"
		: is_word(event->data, "type", "INSERT") ? "lead.created"
							 : "lead.updated");
	event->id = mem_format(
	    "lead:%s:%s:%s", event->lead_id, clock_format(when, now), unique);
	json_incref((json_t *)record);
	json_decref(event->data);
	event->data = (json_t *)record;
	return true;
}

bool
event_from_answer(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	const char *answer;

	if (!parse(event, text, size, now, error))
		return false;
	event->source = "call";
	event->call_id = usable(json_text(event->data, "key"), KEY_MAX);
	event->lead_id = usable_id(json_text(event->data, "lead"));
	event->organization_id =
	    usable_id(json_text(event->data, "organization"));
	answer = json_text(event->data, "answer");
	if (event->call_id == NULL || answer == NULL)
		return error_set(error, ERROR_DATA,
		    "field \"key\" or \"answer\" is missing");
	event->id = mem_format("%s:%s", event->call_id, answer);
	event->kind = mem_format("call.%s", answer);
	return true;
}

/* Under either of two names; a number, or a text that a rule may use. */
static char *
given_id(const json_t *object, const char *name, const char *other)
{
	char *id = json_id(object, name), *result;

	if (id == NULL)
		id = json_id(object, other);
	result = usable_id(id);
	free(id);
	return result;
}

/* Whom the call is about, by what was sent along with it, else by number. */
static void
take_call(struct event *event, const json_t *call)
{
	const json_t *metadata = json_object_get(call, "metadata");

	event->call_key = usable(json_text(metadata, "automate_key"), KEY_MAX);
	event->lead_id = given_id(metadata, "lead_id", "leadId");
	event->organization_id =
	    given_id(metadata, "organization_id", "organizationId");
	event->phone = usable_id(json_text(call,
	    is_word(call, "direction", "inbound") ? "from_number"
						  : "to_number"));
}

/* When it was so, by Retell's clock, in ms; never after we hear of it. */
static void
take_moment(struct event *event, const json_t *call, const char *name)
{
	int64_t at_ms = 0;

	if (json_number(&at_ms, call, name) && at_ms > 0 &&
	    at_ms / 1000 < event->received_at)
		event->occurred_at = at_ms / 1000;
}

bool
event_from_retell(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	static const char *const ids[] = {"call_id", NULL};
	static const char *const kinds[] = {"event", NULL};
	const json_t *call;

	if (!parse(event, text, size, now, error) ||
	    !take_id(&event->kind, event->data, kinds, true, error))
		return false;
	event->source = "retell";
	if (strcmp(event->kind, "call_started") != 0 &&
	    strcmp(event->kind, "call_ended") != 0 &&
	    strcmp(event->kind, "call_analyzed") != 0)
		return true;
	call = json_at(event->data, "call");
	if (!json_is_object(call))
		return error_set(
		    error, ERROR_DATA, "field \"call\" is missing");
	if (!take_id(&event->call_id, call, ids, true, error))
		return error_at(error, "call");
	event->id = mem_format("%s:%s", event->call_id, event->kind);
	take_call(event, call);
	take_moment(event, call,
	    strcmp(event->kind, "call_started") == 0 ? "start_timestamp"
						     : "end_timestamp");
	return true;
}
