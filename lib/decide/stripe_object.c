#include "decide/stripe.h"

#include <stddef.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

const char *
stripe_id(const json_t *object, const char *path)
{
	const json_t *value = json_at(object, path);

	return json_is_object(value) ? json_text(value, "id")
				     : json_text(object, path);
}

int64_t
stripe_time(const json_t *object, const char *path)
{
	int64_t time = 0;

	return json_number(&time, object, path) && time > 0 ? time : 0;
}

/* The first of the paths where there is an id. */
static const char *
first_id(const json_t *object, const char *const *paths)
{
	const char *id = NULL;

	for (; *paths != NULL && id == NULL; paths++)
		id = stripe_id(object, *paths);
	return id;
}

static const char *
first_line_id(const json_t *invoice, const char *path)
{
	const json_t *line;
	const char *id = NULL;
	size_t i;

	json_array_foreach(json_at(invoice, "lines.data"), i, line)
	{
		id = stripe_id(line, path);
		if (id != NULL)
			break;
	}
	return id;
}

const char *
stripe_invoice_subscription(const json_t *invoice)
{
	static const char *const paths[] = {
	    "parent.subscription_details.subscription", "subscription", NULL};
	const char *id = first_id(invoice, paths);

	if (id == NULL)
		id = first_line_id(
		    invoice, "parent.subscription_item_details.subscription");
	return id != NULL ? id : first_line_id(invoice, "subscription");
}

bool
stripe_invoice_is_first(const json_t *invoice)
{
	const char *reason = json_text(invoice, "billing_reason");

	return reason != NULL && strcmp(reason, "subscription_create") == 0;
}

const char *
stripe_subscription_plan(const json_t *subscription, const char *known)
{
	static const char *const names[] = {"metadata.plan",
	    "items.data.0.price.lookup_key", "items.data.0.price.nickname",
	    "plan.nickname", NULL};
	static const char *const ids[] = {"items.data.0.price", "plan", NULL};
	const char *plan = first_id(subscription, names);

	if (plan == NULL)
		plan = known;
	return plan != NULL ? plan : first_id(subscription, ids);
}

const char *
stripe_claim(const json_t *object)
{
	static const char *const paths[] = {"client_reference_id",
	    "metadata.organization_id",
	    "parent.subscription_details.metadata.organization_id",
	    "subscription_details.metadata.organization_id", NULL};

	return first_id(object, paths);
}

char *
stripe_unmatched_key(const char *id)
{
	return mem_format("stripe.unmatched:%s", id);
}
