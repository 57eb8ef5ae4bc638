#include "sums.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

struct sums {
	const struct conf *conf;
	struct stripe *stripe;
};

struct reading {
	void *tag;
	char *customer_id;
	int64_t day_at;
	int64_t sum; /* of the pages so far */
	char *last; /* summary of the page before */
};

static bool
ask_for_meter(struct sums *sums, struct usage_meter *meter, struct error *error)
{
	char *path =
	    mem_format("/v1/billing/meters/%s", sums->conf->stripe_meter_id);
	json_t *object = NULL;
	bool ok = false;

	switch (stripe_get(sums->stripe, path, NULL, &object, error)) {
	case STRIPE_FOUND: ok = usage_meter_read(meter, object, error); break;
	case STRIPE_ABSENT:
		error_set(error, ERROR_CONF,
		    "stripe.meter_id: Stripe knows no meter %.60s",
		    sums->conf->stripe_meter_id);
		break;
	case STRIPE_FAILED: break;
	}
	json_decref(object);
	free(path);
	return ok;
}

bool
sums_open(struct sums **sums, const struct conf *conf,
    struct usage_meter *meter, struct error *error)
{
	*sums = mem_alloc(sizeof(**sums));
	(*sums)->conf = conf;
	return stripe_open(&(*sums)->stripe, conf, error) &&
	    ask_for_meter(*sums, meter, error);
}

void
sums_close(struct sums *sums)
{
	if (sums == NULL)
		return;
	stripe_close(sums->stripe);
	free(sums);
}

static void
ask(struct sums *sums, struct reading *reading)
{
	char *path = mem_format("/v1/billing/meters/%s/event_summaries",
		 sums->conf->stripe_meter_id),
	     *from = mem_format("%" PRId64, reading->day_at),
	     *until = mem_format("%" PRId64, reading->day_at + CLOCK_DAY_S);
	const char *query[] = {"customer", reading->customer_id, "start_time",
	    from, "end_time", until, "value_grouping_window", "day", "limit",
	    "100", reading->last != NULL ? "starting_after" : NULL,
	    reading->last, NULL};

	stripe_start(sums->stripe, path, query, reading);
	free(path);
	free(from);
	free(until);
}

void
sums_start(
    struct sums *sums, const char *customer_id, int64_t day_at, void *tag)
{
	struct reading *reading = mem_alloc(sizeof(*reading));

	reading->tag = tag;
	reading->customer_id = mem_copy(customer_id);
	reading->day_at = day_at;
	ask(sums, reading);
}

bool
sums_busy(const struct sums *sums)
{
	return stripe_busy(sums->stripe);
}

static void
reading_free(struct reading *reading)
{
	free(reading->customer_id);
	free(reading->last);
	free(reading);
}

/* Not to be known is an answer; not in those words everywhere. */
static bool
is_no_customer(const struct error *error)
{
	return error->kind == ERROR_PROVIDER &&
	    strstr(error->text, "No such customer") != NULL;
}

/* Whether it is the last page. */
static bool
take_page(struct sums *sums, struct reading *reading, const json_t *list,
    enum stripe_answer *answer, struct error *error)
{
	const json_t *data = json_object_get(list, "data");
	const size_t count = json_array_size(data);

	if (*answer == STRIPE_FAILED && is_no_customer(error))
		*answer = STRIPE_ABSENT;
	if (*answer == STRIPE_FOUND && !usage_sum(list, &reading->sum, error))
		*answer = STRIPE_FAILED;
	if (*answer != STRIPE_FOUND || count == 0 ||
	    !json_is_true(json_object_get(list, "has_more")))
		return true;
	mem_replace(
	    &reading->last, json_text(json_array_get(data, count - 1), "id"));
	ask(sums, reading);
	return false;
}

bool
sums_wait(struct sums *sums, void **tag, enum stripe_answer *answer,
    int64_t *sum, struct error *error)
{
	struct reading *reading;
	json_t *list;
	void *done;
	bool whole;

	do {
		if (!stripe_wait(sums->stripe, &done, answer, &list, error))
			return false;
		reading = done;
		whole = take_page(sums, reading, list, answer, error);
		json_decref(list);
	} while (!whole);
	*tag = reading->tag;
	*sum = reading->sum;
	reading_free(reading);
	return true;
}
