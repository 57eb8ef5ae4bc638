#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/*
 * The configuration: one strict YAML file, or, with no file at all, the
 * environment variables that the hosted functions used, as one checked,
 * read-only struct. automate.yaml(5) is its manual.
 *
 * Texts are NULL where not set. No value ever appears in an error: it might be
 * a secret. The {placeholders} of templates are in automate.yaml(5); one that
 * names {app_url} or {knowledge_base_url} comes only with that link set.
 */

/* How a destination is spoken to. */
enum conf_dialect {
	CONF_WEBHOOK, /* JSON to Make.com, Zapier or the like */
	CONF_SLACK, /* a Slack incoming webhook */
	CONF_TWILIO, /* Twilio's Messages resource */
	CONF_SMS_WEBHOOK, /* JSON {to, text, id} to any SMS gateway */
	CONF_STRIPE /* a request to Stripe's API, as its row says */
};

/* Where deliveries go. Rows name a destination; only here has it an address. */
enum conf_destination_index {
	CONF_MAIL,
	CONF_BILLING,
	CONF_SLACK_CUSTOMERS,
	CONF_SLACK_ALERTS,
	CONF_SMS,
	CONF_STRIPE_METER,
	CONF_STRIPE_API,
	CONF_DESTINATIONS
};

struct conf_destination {
	const char *name; /* "slack.alerts"; also its path in the file */
	enum conf_dialect dialect;
	bool configured; /* whether it has all that sending needs */
	char *url; /* secret, but for Twilio and Stripe: the API's base */
	char *api_key; /* secret; sent as x-make-apikey; CONF_WEBHOOK only */
	int64_t rate_per_minute; /* 0: no limit */
	int64_t concurrency; /* requests under way at once, 1 to 256 */
	int64_t timeout_ms; /* of a whole request */
	int64_t
	    max_age_s; /* a delivery older than this past its due time dies */
};

/* Hours of the day in business.zone, seconds after midnight; equal: none. */
struct conf_hours {
	int64_t from_s, until_s;
};

/* Of choices; 0 where nothing was chosen. */
enum conf_mode { CONF_LIVE = 1, CONF_TEST };
enum conf_count { CONF_PLACED = 1, CONF_CONNECTED };
enum conf_ending { CONF_LEAVE = 1, CONF_CANCEL };
enum conf_verify { CONF_VERIFY = 1, CONF_TRUST };

struct conf {
	char *path; /* the file read; NULL: the environment */
	char *database_path;
	int64_t busy_timeout_ms; /* how long to wait for another's lock */
	int64_t body_max; /* bytes of one input document */

	char *business_name;
	char *zone; /* IANA name */
	char *app_url;
	char *knowledge_base_url;

	char *onboarding_redirect_url; /* template; NULL: nowhere */
	bool onboarding_follow_ups;

	struct conf_destination destinations[CONF_DESTINATIONS];
	char *sms_to; /* the founder's telephone, E.164 */
	char *sms_url; /* secret; destinations[CONF_SMS].url if by webhook */
	char *twilio_account_sid;
	char *twilio_auth_token; /* secret */
	char *twilio_from; /* number, or MG… messaging service */
	char *twilio_api_base; /* destinations[CONF_SMS].url if by Twilio */

	int64_t alert_repeat_s;
	int64_t alert_repeat_critical_s;
	int64_t alert_group_s; /* storms: at most one message in this */
	int64_t alert_sms_per_day; /* cap; 0: no SMS */
	struct conf_hours alert_quiet;
	char *alert_runbook_url; /* template; NULL: none */
	char *alert_secret; /* secrets */

	char *onboarding_secret; /* secrets, blank-separated, as all those */
	char *stripe_secret_key; /* secret */
	char *stripe_webhook_secret; /* secrets */
	char *stripe_api_base;
	char *stripe_meter_id;
	int64_t stripe_mode; /* enum conf_mode; never 0 once loaded */
	int64_t stripe_read_rate_per_minute; /* 0: no limit */
	int64_t stripe_read_concurrency;
	int64_t stripe_read_timeout_ms;

	char *retell_api_key; /* secret */
	char *retell_webhook_key; /* secrets; the API key's if not set */
	char *retell_api_base;
	char *retell_agent_id;
	char *retell_from_number; /* E.164 */
	int64_t retell_timeout_ms;

	char *call_secret; /* secrets */
	int64_t call_threshold_s; /* how old a lead is before it is called */
	int64_t call_deadline_s; /* by when a call must have ended */

	struct conf_hours dunning_hours; /* when reminders may go */
	int64_t dunning_ending; /* enum conf_ending */
	int64_t dunning_verify; /* enum conf_verify */
	char *dunning_plan; /* what one is downgraded to */

	int64_t usage_count; /* enum conf_count */
	int64_t usage_look_back_s; /* whole days */
	int64_t usage_since; /* what was before is another's; 0: nothing was */
	int64_t usage_settle_s; /* before Stripe's sums are believed */
	bool usage_compare_retell;

	char *cron_secret; /* secrets */
	char *ping_deliver_url, *ping_dunning_url, *ping_reconcile_url,
	    *ping_sweep_url, *ping_check_url; /* secret */
	char *cgi_public_url;
};

/*
 * Load, into a zeroed or released struct, the file at path; where path is NULL
 * $AUTOMATE_CONFIG, else the first that exists of automate/automate.yaml below
 * $XDG_CONFIG_HOME (~/.config) and /etc/automate/automate.yaml, else the
 * environment. ERROR_CONF with file and line where it does not hold; what was
 * loaded until then is released by conf_release() all the same.
 */
bool conf_load(struct conf *, const char *path, struct error *)
    __attribute__((warn_unused_result));
void conf_release(struct conf *); /* wipes the secrets */

/* The destination of that name; NULL if there is none. */
const struct conf_destination *
conf_destination(const struct conf *, const char *name);

/*
 * One line a key, "key: value", with the values in effect, for automate-check.
 * A secret is "(set)"; what has no value is "(not set)".
 */
void conf_print(const struct conf *, FILE *);

#endif
