#include "base/conf.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf_key.h"
#include "base/mem.h"

#define SYSTEM_FILE "/etc/automate/automate.yaml"
#define SYSTEM_DATABASE "/var/lib/automate/automate.db"

/* clang-format off */

#define AT(member) .offset = offsetof(struct conf, member)
#define TO(index, member) AT(destinations[index].member)

/* What every destination has beside its address. */
#define LIMITS(name, index, how_fast, at_once, how_long) \
	{name ".rate", "how fast to send", \
	    &conf_rate, TO(index, rate_per_minute), \
	    .fallback = how_fast, .least = 1, .most = 60000}, \
	{name ".concurrency", "requests under way at once", \
	    &conf_number, TO(index, concurrency), \
	    .fallback = at_once, .least = 1, .most = 256}, \
	{name ".timeout", "how long one request may take", \
	    &conf_milliseconds, TO(index, timeout_ms), \
	    .fallback = "20s", .least = 1000, .most = 300000}, \
	{name ".max_age", "how long to go on trying", \
	    &conf_seconds, TO(index, max_age_s), \
	    .fallback = how_long, .least = 60, .most = 90 * CLOCK_DAY_S}

const struct conf_key conf_keys[] = {
	{"database.path", "the database file",
	    &conf_path, AT(database_path),
	    .variables = {"AUTOMATE_DATABASE"}},
	{"database.busy_timeout", "how long to wait for another's lock",
	    &conf_milliseconds, AT(busy_timeout_ms),
	    .fallback = "5s", .least = 1000, .most = 60000},
	{"input.body_max", "the largest input document",
	    &conf_size, AT(body_max),
	    .fallback = "8MiB", .least = 1 << 10, .most = 1 << 28},

	{"business.name", "your business",
	    &conf_text, AT(business_name)},
	{"business.zone", "where its days begin and end",
	    &conf_zone, AT(zone),
	    .fallback = "UTC"},
	{"links.app_url", "your application",
	    &conf_link, AT(app_url),
	    .variables = {"APP_URL"}},
	{"links.knowledge_base_url", "your knowledge base",
	    &conf_link, AT(knowledge_base_url),
	    .variables = {"NOTION_KB_URL"}},

	{"onboarding.redirect_url", "where a new customer goes next",
	    &conf_template, AT(onboarding_redirect_url),
	    .fallback =
		"{app_url}/onboarding?organization={organization_id}",
	    .placeholders = "app_url organization_id organization_name plan "
		"owner_email owner_name"},
	{"onboarding.follow_ups", "mail on day 1, 3 and 7",
	    &conf_flag, AT(onboarding_follow_ups),
	    .fallback = "true"},
	{"onboarding.secret", "what who reports a customer must know",
	    &conf_tokens, AT(onboarding_secret), .secret = true,
	    .variables = {"ONBOARDING_SECRET"}},

	{"mail.url", "the webhook that sends mail",
	    &conf_url, TO(CONF_MAIL, url), .secret = true,
	    .variables = {"MAKE_WEBHOOK_URL", "ZAPIER_WEBHOOK_URL"}},
	{"mail.api_key", "the webhook's key",
	    &conf_token, TO(CONF_MAIL, api_key), .secret = true},
	LIMITS("mail", CONF_MAIL, "1200/m", "8", "72h"),

	{"billing.url", "the webhook that sends billing mail",
	    &conf_url, TO(CONF_BILLING, url), .secret = true,
	    .variables = {"BILLING_AUTOMATION_WEBHOOK_URL"}},
	{"billing.api_key", "the webhook's key",
	    &conf_token, TO(CONF_BILLING, api_key), .secret = true},
	LIMITS("billing", CONF_BILLING, "1200/m", "8", "7d"),
	{"billing.count", "which calls are billed",
	    &conf_choice, AT(usage_count),
	    .fallback = "placed", .choices = "placed connected"},

	{"slack.customers.url", "the webhook of #new-customers",
	    &conf_url, TO(CONF_SLACK_CUSTOMERS, url), .secret = true,
	    .variables = {"SLACK_WEBHOOK_URL"}},
	LIMITS("slack.customers", CONF_SLACK_CUSTOMERS, "60/m", "1", "72h"),

	{"slack.alerts.url", "the webhook of #alerts",
	    &conf_url, TO(CONF_SLACK_ALERTS, url), .secret = true,
	    .variables = {"SLACK_ALERT_WEBHOOK_URL"}},
	LIMITS("slack.alerts", CONF_SLACK_ALERTS, "60/m", "1", "24h"),

	{"sms.provider", "who sends text messages",
	    &conf_provider, TO(CONF_SMS, dialect)},
	{"sms.to", "your telephone",
	    &conf_phone, AT(sms_to),
	    .variables = {"FOUNDER_PHONE"}},
	{"sms.url", "the webhook that sends text messages",
	    &conf_url, AT(sms_url), .secret = true,
	    .variables = {"SMS_WEBHOOK_URL"}},
	LIMITS("sms", CONF_SMS, "60/m", "1", "24h"),
	{"sms.twilio.account_sid", "the Twilio account",
	    &conf_word, AT(twilio_account_sid),
	    .variables = {"TWILIO_ACCOUNT_SID"}},
	{"sms.twilio.auth_token", "the Twilio account's token",
	    &conf_token, AT(twilio_auth_token), .secret = true,
	    .variables = {"TWILIO_AUTH_TOKEN"}},
	{"sms.twilio.from", "what text messages come from",
	    &conf_sender, AT(twilio_from),
	    .variables = {"TWILIO_FROM"}},
	{"sms.twilio.api_base", "where Twilio is",
	    &conf_link, AT(twilio_api_base),
	    .fallback = "https://api.twilio.com",
	    .variables = {"TWILIO_API_BASE"}},

	{"alerts.repeat", "when to say again what still stands",
	    &conf_seconds, AT(alert_repeat_s),
	    .fallback = "4h", .least = 60, .most = 30 * CLOCK_DAY_S},
	{"alerts.repeat_critical", "the same, where it is critical",
	    &conf_seconds, AT(alert_repeat_critical_s),
	    .fallback = "30m", .least = 60, .most = 30 * CLOCK_DAY_S},
	{"alerts.group_interval", "time between messages in a storm",
	    &conf_seconds, AT(alert_group_s),
	    .fallback = "5m", .least = 1, .most = CLOCK_DAY_S},
	{"alerts.sms_per_day", "most text messages in a day",
	    &conf_number, AT(alert_sms_per_day),
	    .fallback = "20", .least = 0, .most = 1000},
	{"alerts.quiet_hours", "when only the critical is told",
	    &conf_hours, AT(alert_quiet)},
	{"alerts.runbook_url", "where a kind of alert is explained",
	    &conf_template, AT(alert_runbook_url),
	    .fallback = "{knowledge_base_url}/{kind}",
	    .placeholders = "kind knowledge_base_url"},
	{"alerts.secret", "what who reports a failure must know",
	    &conf_tokens, AT(alert_secret), .secret = true},

	{"stripe.secret_key", "the key of Stripe's API",
	    &conf_token, AT(stripe_secret_key), .secret = true,
	    .variables = {"STRIPE_SECRET_KEY"}},
	{"stripe.webhook_secret", "what Stripe signs its events with",
	    &conf_tokens, AT(stripe_webhook_secret), .secret = true,
	    .variables = {"STRIPE_WEBHOOK_SECRET"}},
	{"stripe.mode", "which of Stripe's two worlds this is",
	    &conf_choice, AT(stripe_mode), .choices = "live test"},
	{"stripe.meter_id", "the meter of AI calls",
	    &conf_word, AT(stripe_meter_id),
	    .variables = {"STRIPE_AI_CALLS_METER_ID"}},
	{"stripe.api_base", "where Stripe is",
	    &conf_link, AT(stripe_api_base),
	    .fallback = "https://api.stripe.com",
	    .variables = {"STRIPE_API_BASE"}},
	LIMITS("stripe.meter", CONF_STRIPE_METER, "6000/m", "32", "34d"),
	LIMITS("stripe.api", CONF_STRIPE_API, "600/m", "4", "7d"),
	{"stripe.read.rate", "how fast to read",
	    &conf_rate, AT(stripe_read_rate_per_minute),
	    .fallback = "1200/m", .least = 1, .most = 60000},
	{"stripe.read.concurrency", "reads under way at once",
	    &conf_number, AT(stripe_read_concurrency),
	    .fallback = "8", .least = 1, .most = 256},
	{"stripe.read.timeout", "how long one read may take",
	    &conf_milliseconds, AT(stripe_read_timeout_ms),
	    .fallback = "20s", .least = 1000, .most = 300000},

	{"retell.api_key", "the key of Retell's API",
	    &conf_token, AT(retell_api_key), .secret = true,
	    .variables = {"RETELL_API_KEY"}},
	{"retell.webhook_key", "the key Retell signs its events with",
	    &conf_tokens, AT(retell_webhook_key), .secret = true},
	{"retell.agent_id", "the agent that calls",
	    &conf_word, AT(retell_agent_id),
	    .variables = {"RETELL_AGENT_ID"}},
	{"retell.from_number", "the number it calls from",
	    &conf_phone, AT(retell_from_number),
	    .variables = {"RETELL_FROM_NUMBER"}},
	{"retell.api_base", "where Retell is",
	    &conf_link, AT(retell_api_base),
	    .fallback = "https://api.retellai.com",
	    .variables = {"RETELL_API_BASE"}},
	{"retell.timeout", "how long one request may take",
	    &conf_milliseconds, AT(retell_timeout_ms),
	    .fallback = "120s", .least = 1000, .most = 300000},

	{"calls.threshold", "how old a lead is before it is called",
	    &conf_seconds, AT(call_threshold_s),
	    .fallback = "5m", .least = 0, .most = 30 * CLOCK_DAY_S},
	{"calls.deadline", "by when a call must have ended",
	    &conf_seconds, AT(call_deadline_s),
	    .fallback = "2h", .least = 60, .most = 7 * CLOCK_DAY_S},
	{"calls.secret", "what who orders a call must know",
	    &conf_tokens, AT(call_secret), .secret = true},

	{"dunning.hours", "when reminders may go",
	    &conf_hours, AT(dunning_hours),
	    .fallback = "09:00-17:00"},
	{"dunning.stripe", "what a downgrade does to the subscription",
	    &conf_choice, AT(dunning_ending),
	    .fallback = "none", .choices = "none cancel"},
	{"dunning.verify", "whether to ask Stripe before a downgrade",
	    &conf_choice, AT(dunning_verify),
	    .fallback = "on", .choices = "on off"},
	{"dunning.plan", "what one is downgraded to",
	    &conf_text, AT(dunning_plan),
	    .fallback = "free"},

	{"usage.look_back", "how many days the first runs count",
	    &conf_seconds, AT(usage_look_back_s),
	    .fallback = "3d", .least = CLOCK_DAY_S, .most = 34 * CLOCK_DAY_S},
	{"usage.since", "the first day whose usage we report",
	    &conf_day, AT(usage_since)},
	{"usage.settle", "when to believe Stripe's sums",
	    &conf_seconds, AT(usage_settle_s),
	    .fallback = "6h", .least = 0, .most = 7 * CLOCK_DAY_S},
	{"usage.compare_retell", "whether to compare with Retell's count",
	    &conf_flag, AT(usage_compare_retell),
	    .fallback = "false"},

	{"cron.secret", "what who starts a job by HTTP must know",
	    &conf_tokens, AT(cron_secret), .secret = true,
	    .variables = {"CRON_SECRET"}},
	{"cron.ping_deliver", "who hears that deliveries went well",
	    &conf_url, AT(ping_deliver_url), .secret = true},
	{"cron.ping_dunning", "the same of dunning",
	    &conf_url, AT(ping_dunning_url), .secret = true},
	{"cron.ping_reconcile", "the same of reconciliation",
	    &conf_url, AT(ping_reconcile_url), .secret = true},
	{"cron.ping_sweep", "the same of the sweep of calls",
	    &conf_url, AT(ping_sweep_url), .secret = true},
	{"cron.ping_check", "the same of the check",
	    &conf_url, AT(ping_check_url), .secret = true},
	{"cgi.public_url", "where automate-cgi is reached",
	    &conf_link, AT(cgi_public_url)},
};

/* clang-format on */

#define KEYS (sizeof(conf_keys) / sizeof(conf_keys[0]))
const size_t conf_key_count = KEYS;

static const struct conf_destination destinations[CONF_DESTINATIONS] = {
    [CONF_MAIL] = {.name = "mail", .dialect = CONF_WEBHOOK},
    [CONF_BILLING] = {.name = "billing", .dialect = CONF_WEBHOOK},
    [CONF_SLACK_CUSTOMERS] = {.name = "slack.customers", .dialect = CONF_SLACK},
    [CONF_SLACK_ALERTS] = {.name = "slack.alerts", .dialect = CONF_SLACK},
    [CONF_SMS] = {.name = "sms"}, /* sms.provider says which */
    [CONF_STRIPE_METER] = {.name = "stripe.meter", .dialect = CONF_STRIPE},
    [CONF_STRIPE_API] = {.name = "stripe.api", .dialect = CONF_STRIPE},
};

/*
 * Where it comes from.
 */

/* A variable that is set to something. */
static const char *
variable(const char *name)
{
	const char *value = name != NULL ? getenv(name) : NULL;

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/*
 * A file of the user's: below the folder the variable names (XDG Base
 * Directory Specification: if absolute), else below home. NULL: homeless.
 */
static char *
user_file(const char *name, const char *below_home, const char *file)
{
	const char *folder = variable(name), *home = variable("HOME");
	const struct passwd *user;

	if (folder != NULL && folder[0] == '/')
		return mem_format("%s/%s", folder, file);
	if (home == NULL && (user = getpwuid(geteuid())) != NULL)
		home = user->pw_dir;
	if (home == NULL)
		return NULL;
	return mem_format("%s/%s/%s", home, below_home, file);
}

/* What exists and cannot be reached exists. */
static bool
exists(const char *path)
{
	return path != NULL &&
	    (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR));
}

/* The path of the file to read; NULL: there is none. */
static char *
find_file(const char *path)
{
	char *found;

	if (path == NULL)
		path = variable("AUTOMATE_CONFIG");
	if (path != NULL)
		return mem_copy(path);
	found =
	    user_file("XDG_CONFIG_HOME", ".config", "automate/automate.yaml");
	if (exists(found))
		return found;
	free(found);
	return exists(SYSTEM_FILE) ? mem_copy(SYSTEM_FILE) : NULL;
}

static bool
read_environment(struct conf *conf, int lines[KEYS], struct error *error)
{
	const char *name, *value;
	size_t i;

	for (i = 0; i < KEYS; i++) {
		name = conf_keys[i].variables[0];
		if (variable(name) == NULL)
			name = conf_keys[i].variables[1];
		value = variable(name);
		if (value == NULL)
			continue;
		lines[i] = -1;
		if (!conf_read_value(conf, &conf_keys[i], value, error))
			return error_at(error, "environment: %s", name);
	}
	return true;
}

static bool
set_defaults(struct conf *conf, const int lines[KEYS], struct error *error)
{
	size_t i;

	for (i = 0; i < KEYS; i++)
		if (lines[i] == 0 && conf_keys[i].fallback != NULL &&
		    !conf_read_value(
			conf, &conf_keys[i], conf_keys[i].fallback, error))
			return false;
	return true;
}

/*
 * What one key says about another.
 */

/* The link a template names that is not set; NULL: none. */
static const char *
missing_link(const struct conf *conf, const char *template)
{
	if (conf->app_url == NULL && strstr(template, "{app_url}") != NULL)
		return "app_url";
	if (conf->knowledge_base_url == NULL &&
	    strstr(template, "{knowledge_base_url}") != NULL)
		return "knowledge_base_url";
	return NULL;
}

/* Without its link a template that is only the default is none. */
static bool
finish_templates(struct conf *conf, const int lines[KEYS], struct error *error)
{
	const char *link;
	char **template;
	size_t i;

	for (i = 0; i < KEYS; i++) {
		template = conf_field(conf, &conf_keys[i]);
		if (conf_keys[i].type != &conf_template || *template == NULL)
			continue;
		link = missing_link(conf, *template);
		if (link != NULL && lines[i] != 0)
			return error_set(error, ERROR_CONF,
			    "%s:%d: %s names {%s}, but links.%s is not set",
			    conf->path, lines[i], conf_keys[i].path, link,
			    link);
		if (link != NULL)
			mem_replace(template, NULL);
	}
	return true;
}

static bool
finish_database(struct conf *conf, struct error *error)
{
	const struct passwd *user;

	if (conf->database_path != NULL)
		return true;
	user = geteuid() != 0 ? getpwuid(geteuid()) : NULL;
	if (geteuid() == 0 ||
	    (user != NULL && strcmp(user->pw_name, "automate") == 0))
		conf->database_path = mem_copy(SYSTEM_DATABASE);
	else
		conf->database_path = user_file(
		    "XDG_STATE_HOME", ".local/state", "automate/automate.db");
	return conf->database_path != NULL ||
	    error_set(error, ERROR_CONF,
		"no place for the database: no home; set database.path or "
		"AUTOMATE_DATABASE");
}

/* The mode that a key shows, sk_test_… or rk_live_…; else live. */
static void
finish_stripe(struct conf *conf)
{
	struct conf_destination *destination;
	const char *key = conf->stripe_secret_key;
	int i;

	if (conf->stripe_mode == 0)
		conf->stripe_mode = key != NULL &&
			(strncmp(key, "sk_test_", 8) == 0 ||
			    strncmp(key, "rk_test_", 8) == 0)
		    ? CONF_TEST
		    : CONF_LIVE;
	for (i = CONF_STRIPE_METER; i <= CONF_STRIPE_API; i++) {
		destination = &conf->destinations[i];
		destination->url = mem_copy(conf->stripe_api_base);
		destination->configured = key != NULL;
	}
}

static void
finish_destinations(struct conf *conf)
{
	struct conf_destination *sms = &conf->destinations[CONF_SMS];
	size_t i;

	if (sms->dialect == CONF_WEBHOOK)
		sms->dialect =
		    conf->sms_url != NULL && conf->twilio_account_sid == NULL
		    ? CONF_SMS_WEBHOOK
		    : CONF_TWILIO;
	sms->url = mem_copy(sms->dialect == CONF_TWILIO ? conf->twilio_api_base
							: conf->sms_url);
	for (i = 0; i < CONF_DESTINATIONS; i++)
		conf->destinations[i].configured =
		    conf->destinations[i].url != NULL;
	if (conf->sms_to == NULL ||
	    (sms->dialect == CONF_TWILIO &&
		(conf->twilio_account_sid == NULL ||
		    conf->twilio_auth_token == NULL ||
		    conf->twilio_from == NULL)))
		sms->configured = false;
	finish_stripe(conf);
}

bool
conf_load(struct conf *conf, const char *path, struct error *error)
{
	struct error unheard = {0};
	int lines[KEYS] = {0}; /* where each key is set; 0: nowhere */

	if (error == NULL)
		error = &unheard;
	memcpy(conf->destinations, destinations, sizeof(destinations));
	conf->path = find_file(path);
	if (!(conf->path != NULL ? conf_read_file(conf, lines, error)
				 : read_environment(conf, lines, error)))
		return false;
	if (!set_defaults(conf, lines, error) ||
	    !finish_templates(conf, lines, error) ||
	    !finish_database(conf, error))
		return false;
	finish_destinations(conf);
	return true;
}

static void
wipe_text(char *text)
{
	if (text != NULL)
		mem_wipe(text, strlen(text));
	free(text);
}

void
conf_release(struct conf *conf)
{
	size_t i;

	for (i = 0; i < KEYS; i++)
		if (conf_keys[i].type->is_text)
			wipe_text(*(char **)conf_field(conf, &conf_keys[i]));
	for (i = CONF_SMS; i < CONF_DESTINATIONS; i++)
		wipe_text(conf->destinations[i].url); /* copies */
	free(conf->path);
	memset(conf, 0, sizeof(*conf));
}

const struct conf_destination *
conf_destination(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++)
		if (strcmp(destinations[i].name, name) == 0)
			return &conf->destinations[i];
	return NULL;
}

void
conf_print(const struct conf *conf, FILE *file)
{
	size_t i;

	for (i = 0; i < KEYS; i++) {
		fprintf(file, "%s: ", conf_keys[i].path);
		if (conf_keys[i].secret)
			fputs(*(char **)conf_field(conf, &conf_keys[i]) != NULL
				? "(set)"
				: "(not set)",
			    file);
		else
			conf_keys[i].type->print(conf, &conf_keys[i], file);
		fputc('\n', file);
	}
}
