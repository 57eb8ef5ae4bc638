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
	CONF_SMS_WEBHOOK /* JSON {to, text, id} to any SMS gateway */
};

/* Where deliveries go. Rows name a destination; only here has it an address. */
enum conf_destination_index {
	CONF_MAIL,
	CONF_BILLING,
	CONF_SLACK_CUSTOMERS,
	CONF_SLACK_ALERTS,
	CONF_SMS,
	CONF_DESTINATIONS
};

struct conf_destination {
	const char *name; /* "slack.alerts"; also its path in the file */
	enum conf_dialect dialect;
	bool configured; /* whether it has all that sending needs */
	char *url; /* secret, except for Twilio, where it is the API base */
	char *api_key; /* secret; sent as x-make-apikey; CONF_WEBHOOK only */
	int64_t rate_per_minute; /* 0: no limit */
	int64_t concurrency; /* requests under way at once, 1 to 256 */
	int64_t timeout_ms; /* of a whole request */
	int64_t
	    max_age_s; /* a delivery older than this past its due time dies */
};

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
	int64_t alert_quiet_from_s; /* seconds after local midnight; */
	int64_t alert_quiet_until_s; /* equal: no quiet hours */
	char *alert_runbook_url; /* template; NULL: none */
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
