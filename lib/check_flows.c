/*
 * automate-check's rehearsal of each flow: what would be recorded and sent, by
 * the same rules and the same tables, in a transaction that is never kept.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "intake.h"
#include "store/health.h"
#include "store/ledger.h"

#define LOST_S 3600 /* how long a call may be overdue */

/* A customer of ours, who is never kept. */
#define CUSTOMER                                                               \
	"{\"id\":\"automate-check\",\"name\":\"automate-check\","              \
	"\"owner_email\":\"check@example.com\",\"plan\":\"check\","            \
	"\"stripe_customer_id\":\"cus_automatecheck\"}"
#define REPORT                                                                 \
	"{\"id\":\"automate-check\",\"leadId\":\"automate-check\","            \
	"\"organizationId\":\"automate-check\",\"error\":\"a rehearsal\","     \
	"\"retellResponse\":{\"status\":500,\"statusText\":\"a rehearsal\"}}"

static bool
understand_report(struct event *event, const char *text, size_t size,
    int64_t now, struct error *error)
{
	return event_from_alert(event, text, size, now, "check", error);
}

/* Record it; what its line says of that is to be json_decref()ed. */
static bool
rehearse(struct ledger *ledger, const char *text, understand_fn *understand,
    decide_fn *decide, int64_t now, json_t **result, struct error *error)
{
	struct event event = {0};
	char *line = NULL;
	bool ok = understand(&event, text, strlen(text), now, error) &&
	    ledger_record(ledger, &event, decide, &line, error) !=
		LEDGER_FAILED &&
	    json_parse(result, line, strlen(line), error);

	free(line);
	event_release(&event);
	return ok;
}

/* What is said of a rehearsal, if it went as it should. */
static void
say(struct check *check, unsigned flow, const char *name, bool ok,
    const json_t *result, const struct error *error, const char *missing,
    const char *next)
{
	const char *outcome = json_text(result, "outcome");
	int64_t deliveries = 0;

	if (!ok)
		check_broken(check, flow, name, error);
	else if (outcome == NULL || strcmp(outcome, "recorded") != 0 ||
	    !json_number(&deliveries, result, "deliveries"))
		check_say(check, flow, CHECK_FAIL, name,
		    mem_format("rehearsed, and %s",
			outcome != NULL ? outcome : "nothing"),
		    mem_copy("automate-check config, and report it as a "
			     "fault"));
	else if (missing != NULL)
		check_say(check, flow, CHECK_SKIP, name,
		    mem_format("rehearsed, but without %s", missing),
		    mem_copy(next));
	else
		check_say(check, flow, CHECK_OK, name,
		    mem_format("rehearsed: recorded, deliveries owed: %" PRId64,
			deliveries),
		    NULL);
}

static void
check_onboarding(struct check *check, struct ledger *ledger)
{
	const struct conf_destination *to = check->conf->destinations;
	struct error error = {0};
	json_t *result = NULL;
	bool ok = rehearse(ledger, CUSTOMER, event_from_organization,
	    decide_onboard, check->now, &result, &error);

	say(check, CHECK_ONBOARDING, "flow.onboarding", ok, result, &error,
	    !to[CONF_MAIL].configured                  ? "mail"
		: !to[CONF_SLACK_CUSTOMERS].configured ? "a post to Slack"
						       : NULL,
	    "see mail and slack.customers above");
	json_decref(result);
}

static void
check_failure_alert(struct check *check, struct ledger *ledger)
{
	const struct conf_destination *to = check->conf->destinations;
	struct error error = {0};
	json_t *result = NULL;
	bool ok = rehearse(ledger, REPORT, understand_report, decide_alert,
	    check->now, &result, &error);

	say(check, CHECK_ALERTS | CHECK_CALLS, "flow.alerts", ok, result,
	    &error,
	    !to[CONF_SLACK_ALERTS].configured ? "a post to Slack"
		: !to[CONF_SMS].configured    ? "an SMS"
					      : NULL,
	    "see slack.alerts and sms above");
	json_decref(result);
}

static char *
failed_payment(int64_t now, bool live)
{
	return mem_format(
	    "{\"id\":\"evt_automatecheck\",\"object\":\"event\",\"type\":"
	    "\"invoice.payment_failed\",\"created\":%" PRId64 ",\"livemode\":"
	    "%s,\"data\":{\"object\":{\"id\":\"in_automatecheck\",\"object\":"
	    "\"invoice\",\"customer\":\"cus_automatecheck\",\"status\":"
	    "\"open\",\"billing_reason\":\"subscription_cycle\","
	    "\"amount_remaining\":100,\"amount_due\":100,\"currency\":\"usd\","
	    "\"attempt_count\":1,\"parent\":{\"type\":"
	    "\"subscription_details\",\"subscription_details\":"
	    "{\"subscription\":\"sub_automatecheck\"}}}}}",
	    now, live ? "true" : "false");
}

/* Of the customer who was onboarded in the same transaction. */
static void
check_payments(struct check *check, struct ledger *ledger)
{
	char *text =
	    failed_payment(check->now, check->conf->stripe_mode == CONF_LIVE);
	struct error error = {0};
	json_t *result = NULL;
	bool ok = rehearse(ledger, text, event_from_stripe, decide_stripe,
	    check->now, &result, &error);

	say(check, CHECK_PAYMENTS, "flow.payments", ok, result, &error,
	    check->conf->stripe_webhook_secret == NULL ? "stripe.webhook_secret"
		: !check->conf->destinations[CONF_BILLING].configured
		? "mail to the customer"
		: NULL,
	    "see billing and stripe.webhook_secret above");
	json_decref(result);
	free(text);
}

static void
rehearse_all(struct check *check)
{
	struct ledger *ledger = NULL;
	struct error error = {0};

	if (!check_wants(
		check, CHECK_ONBOARDING | CHECK_ALERTS | CHECK_PAYMENTS))
		return;
	if (!ledger_open(&ledger, check->conf, DB_REHEARSE, &error)) {
		check_broken(check, CHECK_EVERY, "flows", &error);
		return;
	}
	check_onboarding(check, ledger);
	check_failure_alert(check, ledger);
	check_payments(check, ledger);
	ledger_close(ledger);
}

static void
check_calls(struct check *check)
{
	struct error error = {0};
	int64_t lost = 0;

	if (check->conf->retell_api_key == NULL)
		check_say(check, CHECK_CALLS, CHECK_SKIP, "flow.calls",
		    mem_copy("no call is placed without retell.api_key"), NULL);
	else if (!health_calls_lost(
		     check->db, check->now - LOST_S, &lost, &error))
		check_broken(check, CHECK_CALLS, "flow.calls", &error);
	else if (lost > 0)
		check_say(check, CHECK_CALLS, CHECK_WARN, "flow.calls",
		    mem_format("calls that should have ended, and nobody said "
			       "so: %" PRId64,
			lost),
		    mem_copy("automate-call --sweep"));
	else
		check_say(check, CHECK_CALLS, CHECK_OK, "flow.calls",
		    mem_copy("every call has its end"), NULL);
}

static void
check_reconciliation(struct check *check)
{
	const struct conf *conf = check->conf;
	struct error error = {0};
	int64_t open = 0;
	int64_t before =
	    clock_day(check->now - conf->usage_settle_s) - CLOCK_DAY_S;

	if (conf->stripe_meter_id == NULL || conf->stripe_secret_key == NULL)
		check_say(check, CHECK_USAGE, CHECK_SKIP, "flow.reconciliation",
		    mem_copy("no usage is reported without stripe.meter_id "
			     "and stripe.secret_key"),
		    NULL);
	else if (!health_days_open(check->db, before, &open, &error))
		check_broken(check, CHECK_USAGE, "flow.reconciliation", &error);
	else if (open > 0)
		check_say(check, CHECK_USAGE, CHECK_WARN, "flow.reconciliation",
		    mem_format("days that are over and not confirmed by "
			       "Stripe: %" PRId64,
			open),
		    mem_copy("automate-reconcile; then automate-log list "
			     "--kind usage.drift"));
	else
		check_say(check, CHECK_USAGE, CHECK_OK, "flow.reconciliation",
		    mem_copy("every day that is over is confirmed"), NULL);
}

void
check_flows(struct check *check)
{
	rehearse_all(check);
	check_calls(check);
	check_reconciliation(check);
}
