#include "decide/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#define ID_MAX 200

void
event_release(struct event *event)
{
	free(event->id);
	free(event->kind);
	free(event->organization_id);
	free(event->customer_id);
	free(event->lead_id);
	free(event->call_id);
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
	const char *type, *table, *created;

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
	if (table != NULL && type != NULL && strcmp(type, "INSERT") != 0 &&
	    !is_deletion(event->data))
		return true;
	if (!take_id(&event->organization_id, record, ids, true, error) ||
	    !take_id(&event->customer_id, record, customers, false, error))
		return false;
	event->kind = mem_copy(is_deletion(event->data) && table != NULL
		? "organization.deleted"
		: "organization.created");
	event->id = mem_format("%s:%s",
	    strcmp(event->kind, "organization.deleted") == 0 ? "offboard"
							     : "onboard",
	    event->organization_id);
	created = json_text(record, "created_at");
	if (created != NULL && !clock_parse(&event->occurred_at, created, NULL))
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
	static const char *const organizations[] = {"organization",
	    "organization_id", "organizationId", "organization.id", NULL};
	static const char *const leads[] = {
	    "lead", "lead_id", "leadId", "lead.id", NULL};
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
