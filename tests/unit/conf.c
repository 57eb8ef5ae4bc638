#include "base/conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "../tap.h"

#define EXAMPLE "etc/automate.yaml"
#define MANUAL "man/automate.yaml.5"
#define SYSTEM_FILE "/etc/automate/automate.yaml"

/* In every value that is refused or secret; no message may hold it. */
#define HUSH "hush"

static char folder[] = "/tmp/conf-test-XXXXXX";
static struct conf conf;
static struct error error;

static const char *const variables[] = {"AUTOMATE_CONFIG", "AUTOMATE_DATABASE",
    "MAKE_WEBHOOK_URL", "ZAPIER_WEBHOOK_URL", "BILLING_AUTOMATION_WEBHOOK_URL",
    "SLACK_WEBHOOK_URL", "SLACK_ALERT_WEBHOOK_URL", "SMS_WEBHOOK_URL",
    "FOUNDER_PHONE", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM",
    "TWILIO_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET",
    "STRIPE_AI_CALLS_METER_ID", "STRIPE_API_BASE", "RETELL_API_KEY",
    "RETELL_AGENT_ID", "RETELL_FROM_NUMBER", "RETELL_API_BASE", "CRON_SECRET",
    "ONBOARDING_SECRET", "APP_URL", "NOTION_KB_URL", "CREDENTIALS_DIRECTORY",
    "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TEST_EMPTY", "TEST_SET"};

static void
empty_environment(void)
{
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	setenv("HOME", folder, 1);
}

static char *
in_folder(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

static void
write_bytes(const char *name, const char *bytes, size_t size, mode_t mode)
{
	char *path = in_folder(name);
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	if (file == NULL || fwrite(bytes, 1, size, file) != size ||
	    fclose(file) != 0 || chmod(path, mode) != 0)
		printf("Bail out! cannot write %s\n", path);
	free(path);
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
	write_bytes(name, text, strlen(text), mode);
}

static void
make_folder(const char *name)
{
	char *path = in_folder(name);

	mkdir(path, 0700);
	free(path);
}

static bool
load_path(const char *path)
{
	conf_release(&conf);
	memset(&error, 0, sizeof(error));
	return conf_load(&conf, path, &error);
}

static bool
load_written(void)
{
	char *path = in_folder("automate.yaml");
	bool loaded = load_path(path);

	free(path);
	return loaded;
}

static bool
load(const char *text)
{
	write_file("automate.yaml", text, 0644);
	return load_written();
}

/* What is printed for the key; "" if nothing is. Until the next call. */
static const char *
shown(const char *key)
{
	static char line[512];
	size_t size = strlen(key);
	FILE *file = tmpfile();

	conf_print(&conf, file);
	rewind(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, size) == 0 && line[size] == ':')
			break;
		line[0] = '\0';
	}
	fclose(file);
	return line[0] != '\0' ? line + size + 2 : "";
}

static void
is_shown(const char *key, const char *wanted)
{
	is_text(shown(key), wanted, key);
}

/* What is left of the error's text behind the folder, if it is there. */
static const char *
complaint(void)
{
	size_t size = strlen(folder);

	return strncmp(error.text, folder, size) == 0 ? error.text + size + 1
						      : error.text;
}

static void
is_complaint(const char *wanted)
{
	if (!is_text(complaint(), wanted, wanted))
		return;
	ok(error.kind == ERROR_CONF && strstr(error.text, HUSH) == NULL,
	    "... of the kind for configurations, and keeps the value secret");
}

/*
 * Whatever file, its complaint.
 */

#define AT_LINE(line) "automate.yaml:" line ": "
#define WEBHOOK_URL "mail.url (the webhook that sends mail) must be "
#define LINK_URL "links.app_url (your application) must be "
#define REDIRECT                                                               \
	"onboarding.redirect_url (where a new customer goes next) must be "

static const struct {
	const char *text, *wanted;
} refused[] = {
    /* Keys. */
    {"slak:\n  alerts:\n    url: hush\n",
	AT_LINE("3") "unknown key \"slak.alerts.url\"; "
		     "did you mean \"slack.alerts.url\"?"},
    {"slack:\n  alerts:\n    ulr: hush\n",
	AT_LINE("3") "unknown key \"slack.alerts.ulr\"; "
		     "did you mean \"slack.alerts.url\"?"},
    {"mail:\n  url_fil: hush\n",
	AT_LINE("2") "unknown key \"mail.url_fil\"; "
		     "did you mean \"mail.url_file\"?"},
    {"mail:\n  rate_file: hush\n",
	AT_LINE("2") "unknown key \"mail.rate_file\"; "
		     "did you mean \"mail.url_file\"?"},
    {"# one\nmial:\n",
	AT_LINE("2") "unknown key \"mial\"; did you mean \"mail\"?"},
    {"mial: {}\n", AT_LINE("1") "unknown key \"mial\"; did you mean \"mail\"?"},
    {"cat_pictures: hush\n",
	AT_LINE("1") "unknown key \"cat_pictures\"; automate.yaml(5) lists "
		     "them"},
    {"slack.alerts.url: hush\n",
	AT_LINE("1") "unknown key \"slack.alerts.url\"; what follows a dot "
		     "goes on a line of its own, indented"},
    {"mail:\n  https://x.example/hush:\n",
	AT_LINE("2") "unknown key; one is made of letters, digits and _"},
    {"mail:\n  ${TEST_SET}: hush\n",
	AT_LINE("2") "unknown key; one is made of letters, digits and _"},
    {"\"\": hush\n",
	AT_LINE("1") "unknown key; one is made of letters, digits and _"},
    {"? {a: b}\n: hush\n", AT_LINE("1") "a key must be a word"},
    {"business:\n  name: a\n  zone: UTC\n  name: hush\n",
	AT_LINE("4") "duplicate key \"business.name\"; line 2 has it already"},
    {"mail:\n  rate: 1/s\nmail:\n  timeout: 1s\n",
	AT_LINE("3") "duplicate key \"mail\"; line 1 has it already"},
    {"mail: hush\n",
	AT_LINE("1") "mail has keys of its own; indent them below it"},
    {"mail:\n  url:\n    hush: x\n",
	AT_LINE("2") "mail.url takes a value, not keys of its own"},
    {"mail:\n  url_file:\n    hush: x\n",
	AT_LINE("2") "mail.url_file takes a value, not keys of its own"},

    /* YAML. */
    {"mail:\n  url: [hush]\n", AT_LINE("2") "a list; no key takes one"},
    {"- hush\n", AT_LINE("1") "a list; no key takes one"},
    {"hush\n",
	AT_LINE("1") "no key; lines are like \"mail:\" and "
		     "\"  url: ...\""},
    {"business:\n  name: &a hush\n",
	AT_LINE("2") "anchors (&) and aliases (*) are not taken; quote a "
		     "value that begins so"},
    {"mail: &a\n  url: hush\n",
	AT_LINE("1") "anchors (&) and aliases (*) are not taken; quote a "
		     "value that begins so"},
    {"business:\n  name: *hush\n",
	AT_LINE("2") "anchors (&) and aliases (*) are not taken; quote a "
		     "value that begins so"},
    {"business:\n  name: !!str hush\n",
	AT_LINE("2") "tags (!) are not taken; quote a value that begins so"},
    {"mail: !hush\n  url: hush\n",
	AT_LINE("1") "tags (!) are not taken; quote a value that begins so"},
    {"business:\n  zone: UTC\n---\nmail:\n",
	AT_LINE("3") "a second document; there may be one"},
    {"mail:\n\turl: hush\n",
	AT_LINE("2") "not YAML: a tab; lines are indented with blanks"},
    {"mail:\n  url: \"hush\n\n",
	AT_LINE("4") "not YAML: found unexpected end of stream; "
		     "while scanning a quoted scalar, from line 2"},
    {"mail:\n  rate: 1/s\n url: hush\n",
	AT_LINE("3") "not YAML: did not find expected key; "
		     "while parsing a block mapping, from line 1"},
    {"mail:\n  url: \xff hush\n",
	AT_LINE("2") "not YAML: invalid leading UTF-8 octet"},
    {"mail:\n  url: \x01hush\n",
	AT_LINE("2") "not YAML: control characters are not allowed"},
    {"business:\n  name: \"hush\\0\"\n",
	AT_LINE("2") "business.name holds a NUL byte"},
    {"business:\n  name: \"hush\\n\"\n",
	AT_LINE("2") "business.name (your business) must be one line without "
		     "control characters"},
    {"business:\n  name: |\n    hush\n",
	AT_LINE("2") "business.name (your business) must be one line without "
		     "control characters"},

    /* Variables. */
    {"business:\n  name: a ${TEST_UNSET} hush\n",
	AT_LINE("2") "business.name: the environment has no TEST_UNSET; set "
		     "it, or write ${TEST_UNSET:-default}"},
    {"mail:\n  url_file: ${TEST_UNSET}\n",
	AT_LINE("2") "mail.url_file: the environment has no TEST_UNSET; set "
		     "it, or write ${TEST_UNSET:-default}"},
    {"business:\n  name: ${TEST_SET\n",
	AT_LINE("2") "business.name: ${ must begin ${NAME} or "
		     "${NAME:-default}, with no $ in the default; $$ stands "
		     "for one $"},
    {"business:\n  name: ${1}\n",
	AT_LINE("2") "business.name: ${ must begin ${NAME} or "
		     "${NAME:-default}, with no $ in the default; $$ stands "
		     "for one $"},
    {"business:\n  name: ${TEST_SET-hush}\n",
	AT_LINE("2") "business.name: ${ must begin ${NAME} or "
		     "${NAME:-default}, with no $ in the default; $$ stands "
		     "for one $"},
    {"business:\n  name: ${}\n",
	AT_LINE("2") "business.name: ${ must begin ${NAME} or "
		     "${NAME:-default}, with no $ in the default; $$ stands "
		     "for one $"},
    {"business:\n  name: ${TEST_UNSET:-${TEST_SET}}\n",
	AT_LINE("2") "business.name: ${ must begin ${NAME} or "
		     "${NAME:-default}, with no $ in the default; $$ stands "
		     "for one $"},

    /* URLs. */
    {"mail: {url: hush.example}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., or http://... on this machine's loopback"},
    {"mail: {url: ftp://x.example/hush}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., or http://... on this machine's loopback"},
    {"mail: {url: http://x.example/hush}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: http://127.0.0.1.example/hush}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: http://localhost.example/hush}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: \"http://[::2]/hush\"}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: http://10.127.0.1/hush}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: http://x.example?127.0.0.1}\n",
	AT_LINE("1") WEBHOOK_URL
	"https://..., since only loopback may do with http://"},
    {"mail: {url: https://me:hush@x.example/}\n",
	AT_LINE("1") WEBHOOK_URL "without a user name or password"},
    {"mail: {url: http://localhost@x.example/hush}\n",
	AT_LINE("1") WEBHOOK_URL "without a user name or password"},
    {"mail: {url: https:///hush}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: https://x.example:0/hush}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: https://x.example:65536/hush}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: https://x.example:/hush}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: \"https://[::1/hush\"}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: \"https://[::1]x/hush\"}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: 'https://x\\y.example/hush'}\n",
	AT_LINE("1") WEBHOOK_URL "a URL with a host, and a port if any"},
    {"mail: {url: https://x.example/hush hush}\n",
	AT_LINE("1") WEBHOOK_URL "printable ASCII without blanks or line "
				 "ends"},
    {"mail: {url: https://x.example/hush\xc3\xa9}\n",
	AT_LINE("1") WEBHOOK_URL "printable ASCII without blanks or line "
				 "ends"},
    {"links: {app_url: http://app.example}\n",
	AT_LINE("1") LINK_URL
	"https://..., since only loopback may do with http://"},
    {"billing:\n  api_key: \"hush hush\"\n",
	AT_LINE("2") "billing.api_key (the webhook's key) must be printable "
		     "ASCII without blanks or line ends"},

    /* Templates. */
    {"onboarding:\n  redirect_url: \"https://x.example/{organisation}\"\n",
	AT_LINE("2") "onboarding.redirect_url has an unknown placeholder; "
		     "known are: app_url organization_id organization_name "
		     "plan owner_email owner_name"},
    {"onboarding:\n  redirect_url: \"https://x.example/{}\"\n",
	AT_LINE("2") "onboarding.redirect_url has an unknown placeholder; "
		     "known are: app_url organization_id organization_name "
		     "plan owner_email owner_name"},
    {"onboarding:\n  redirect_url: \"https://x.example/{plan\"\n",
	AT_LINE("2") REDIRECT "a template in which each { has its }"},
    {"onboarding:\n  redirect_url: \"https://x.example/plan}\"\n",
	AT_LINE("2") REDIRECT "a template in which each { has its }"},
    {"onboarding:\n  redirect_url: \"{app_url}.hush.example/\"\n",
	AT_LINE("2") REDIRECT "a URL, or a link such as {app_url} and a "
			      "path"},
    {"onboarding:\n  redirect_url: \"{plan}/\"\n",
	AT_LINE("2") REDIRECT "a URL, or a link such as {app_url} and a "
			      "path"},
    {"onboarding:\n  redirect_url: \"https://{plan}.example/\"\n",
	AT_LINE("2") REDIRECT "a URL with a host, and a port if any"},
    {"onboarding:\n  redirect_url: \"http://x.example/{plan}\"\n",
	AT_LINE("2") REDIRECT
	"https://..., since only loopback may do with http://"},
    {"onboarding:\n  redirect_url: \"{app_url}/\"\n",
	AT_LINE("2") "onboarding.redirect_url names {app_url}, but "
		     "links.app_url is not set"},
    {"alerts:\n  runbook_url: \"{knowledge_base_url}/{kind}\"\n",
	AT_LINE("2") "alerts.runbook_url names {knowledge_base_url}, but "
		     "links.knowledge_base_url is not set"},
    {"alerts:\n  runbook_url: \"https://x.example/{plan}\"\n",
	AT_LINE("2") "alerts.runbook_url has an unknown placeholder; known "
		     "are: kind knowledge_base_url"},

    /* Numbers and the rest. */
    {"mail:\n  concurrency: 0\n",
	AT_LINE("2") "mail.concurrency (requests under way at once) must be a "
		     "number, from 1 to 256"},
    {"mail:\n  concurrency: 257\n",
	AT_LINE("2") "mail.concurrency (requests under way at once) must be a "
		     "number, from 1 to 256"},
    {"mail:\n  concurrency: 18446744073709551617\n",
	AT_LINE("2") "mail.concurrency (requests under way at once) must be a "
		     "number, from 1 to 256"},
    {"mail:\n  concurrency: -1\n",
	AT_LINE("2") "mail.concurrency (requests under way at once) must be a "
		     "number, from 1 to 256"},
    {"mail:\n  rate: 0/s\n",
	AT_LINE("2") "mail.rate (how fast to send) must be unlimited, or a "
		     "rate such as 20/s or 600/m, from 1/m to 60000/m"},
    {"mail:\n  rate: 1001/s\n",
	AT_LINE("2") "mail.rate (how fast to send) must be unlimited, or a "
		     "rate such as 20/s or 600/m, from 1/m to 60000/m"},
    {"mail:\n  rate: 9223372036854775807/s\n",
	AT_LINE("2") "mail.rate (how fast to send) must be unlimited, or a "
		     "rate such as 20/s or 600/m, from 1/m to 60000/m"},
    {"mail:\n  rate: 20\n",
	AT_LINE("2") "mail.rate (how fast to send) must be unlimited, or a "
		     "rate such as 20/s or 600/m, from 1/m to 60000/m"},
    {"slack:\n  alerts:\n    timeout: 6m\n",
	AT_LINE("3") "slack.alerts.timeout (how long one request may take) "
		     "must be a length of time such as 30s or 2m, from 1s to "
		     "5m"},
    {"slack:\n  alerts:\n    max_age: 59s\n",
	AT_LINE("3") "slack.alerts.max_age (how long to go on trying) must be "
		     "a length of time such as 30s, 5m, 4h or 90d, from 1m to "
		     "90d"},
    {"database:\n  busy_timeout: soon\n",
	AT_LINE("2") "database.busy_timeout (how long to wait for another's "
		     "lock) must be a length of time such as 30s or 2m, from "
		     "1s to 1m"},
    {"input:\n  body_max: 8MB\n",
	AT_LINE("2") "input.body_max (the largest input document) must be a "
		     "size such as 8MiB, 512KiB or plain bytes, from 1KiB to "
		     "256MiB"},
    {"input:\n  body_max: 257MiB\n",
	AT_LINE("2") "input.body_max (the largest input document) must be a "
		     "size such as 8MiB, 512KiB or plain bytes, from 1KiB to "
		     "256MiB"},
    {"onboarding:\n  follow_ups: yes\n",
	AT_LINE("2") "onboarding.follow_ups (mail on day 1, 3 and 7) must be "
		     "true or false"},
    {"business:\n  zone: Europe/Hushville\n",
	AT_LINE("2") "business.zone (where its days begin and end) must be a "
		     "zone this system knows, such as UTC or Europe/Berlin"},
    {"sms:\n  provider: hush\n",
	AT_LINE("2") "sms.provider (who sends text messages) must be twilio "
		     "or webhook"},
    {"sms:\n  to: \"555 0100\"\n",
	AT_LINE("2") "sms.to (your telephone) must be + and 8 to 15 digits"},
    {"sms:\n  to: +1234567\n",
	AT_LINE("2") "sms.to (your telephone) must be + and 8 to 15 digits"},
    {"sms:\n  to: +1234567890123456\n",
	AT_LINE("2") "sms.to (your telephone) must be + and 8 to 15 digits"},
    {"sms:\n  twilio:\n    from: \"+1 555\"\n",
	AT_LINE("3") "sms.twilio.from (what text messages come from) must be "
		     "+ and 8 to 15 digits, or letters and digits"},
    {"sms:\n  twilio:\n    account_sid: AC/../hush\n",
	AT_LINE("3") "sms.twilio.account_sid (the Twilio account) must be "
		     "letters and digits"},
    {"alerts:\n  quiet_hours: 22:00-24:00\n",
	AT_LINE("2") "alerts.quiet_hours (when only the critical is told) "
		     "must be hours such as 22:00-07:00"},
    {"usage:\n  since: 2026-02-30\n",
	AT_LINE("2") "usage.since (the first day whose usage we report) must "
		     "be a day such as 2026-11-28"},
    {"usage:\n  since: 2026-11-28T00:00:00Z\n",
	AT_LINE("2") "usage.since (the first day whose usage we report) must "
		     "be a day such as 2026-11-28"},
    {"alerts:\n  quiet_hours: 22-7\n",
	AT_LINE("2") "alerts.quiet_hours (when only the critical is told) "
		     "must be hours such as 22:00-07:00"},
    {"database:\n  path: ~/automate.db\n",
	AT_LINE("2") "database.path (the database file) must be written out: "
		     "~ means nothing here, ${HOME} does"},
};

static void
test_refused(void)
{
	size_t i;

	setenv("TEST_SET", "set", 1);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (load(refused[i].text))
			ok(false, "loads: %s", refused[i].wanted);
		else
			is_complaint(refused[i].wanted);
	}
	unsetenv("TEST_SET");
}

/* Deeper than any key, and broader than any file. */
static void
test_refused_size(void)
{
	struct buf text = BUF_INIT(4 << 20);
	int i;

	for (i = 0; i < 100000; i++)
		buf_text(&text, "{mail: ");
	ok(!load(buf_string(&text)), "nesting without end is refused");
	is_complaint(AT_LINE("1") "unknown key, and a long one");
	buf_clear(&text);
	while (text.size <= 1 << 20)
		buf_text(&text, "# a comment of some length\n");
	ok(!load(buf_string(&text)) && error.kind == ERROR_CONF,
	    "a file above one MiB is refused: %.80s", complaint());
	buf_clear(&text);
	buf_text(&text, "business:\n  name: ");
	while (text.size < 70000)
		buf_text(&text, "long");
	ok(!load(buf_string(&text)), "a value above 64 KiB is refused");
	is_complaint(AT_LINE("2") "business.name: too long");
	buf_release(&text);
}

static void
test_unreadable(void)
{
	char *path = in_folder("none.yaml"), *wanted;

	ok(!load_path(path), "a file that is not there is an error");
	wanted = mem_format("cannot read %s: No such file or directory", path);
	is_complaint(wanted);
	ok(!load_path(folder) && error.kind == ERROR_CONF &&
		strstr(error.text, "Is a directory") != NULL,
	    "so is a folder");
	setenv("AUTOMATE_CONFIG", path, 1);
	ok(!load_path(NULL), "so is a missing $AUTOMATE_CONFIG");
	is_complaint(wanted);
	unsetenv("AUTOMATE_CONFIG");
	conf_release(&conf);
	ok(!conf_load(&conf, path, NULL), "an error may go unheard");
	free(wanted);
	free(path);
}

/*
 * Whatever file, what comes of it.
 */

static const struct {
	const char *text, *key, *wanted;
} accepted[] = {
    {"", "mail.rate", "1200/m"},
    {"# nothing\n", "mail.rate", "1200/m"},
    {"---\n...\n", "mail.rate", "1200/m"},
    {"\xef\xbb\xbfmail:\r\n  rate: 1/s\r\n", "mail.rate", "60/m"},
    {"{mail: {rate: 7/m}}", "mail.rate", "7/m"},
    {"mail: {rate: \"unlimited\"}", "mail.rate", "unlimited"},
    {"mail:\nslack:\n  alerts:\n", "slack.alerts.rate", "60/m"},
    {"mail: ~\n", "mail.rate", "1200/m"},
    {"mail: {timeout: }\n", "mail.timeout", "20s"},
    {"mail: {timeout: \"\"}\n", "mail.timeout", "20s"},
    {"mail: {timeout: null}\n", "mail.timeout", "20s"},
    {"mail:\n  timeout: ${TEST_EMPTY}\n", "mail.timeout", "20s"},
    {"mail: {timeout: 90}\n", "mail.timeout", "90s"},
    {"mail: {max_age: 36h}\n", "mail.max_age", "36h"},
    {"mail: {max_age: 1440m}\n", "mail.max_age", "1d"},
    {"mail: {url: https://x.example/hush}\n", "mail.url", "(set)"},
    {"mail: {url: HTTPS://x.example:443/hush?a#b}\n", "mail.url", "(set)"},
    {"mail: {url: http://127.8.9.1:80/hush}\n", "mail.url", "(set)"},
    {"mail: {url: http://localhost/hush}\n", "mail.url", "(set)"},
    {"mail: {url: \"http://[::1]:8080\"}\n", "mail.url", "(set)"},
    {"mail: {url: \"https://[2001:db8::1]/hush\"}\n", "mail.url", "(set)"},
    {"mail: {url: \"https://x.example/@hush\"}\n", "mail.url", "(set)"},
    {"mail: {url: \"\"}\n", "mail.url", "(not set)"},
    {"mail: {api_key: hu$sh}\n", "mail.api_key", "(set)"},
    {"links: {app_url: https://app.example//}\n", "links.app_url",
	"https://app.example"},
    {"links: {app_url: https://app.example}\n", "onboarding.redirect_url",
	"{app_url}/onboarding?organization={organization_id}"},
    {"links: {app_url: https://a.example}\n"
     "onboarding: {redirect_url: \"{app_url}?{plan}{owner_name}\"}\n",
	"onboarding.redirect_url", "{app_url}?{plan}{owner_name}"},
    {"onboarding: {redirect_url: \"https://x.example/{owner_email}\"}\n",
	"onboarding.redirect_url", "https://x.example/{owner_email}"},
    {"links: {knowledge_base_url: https://kb.example}\n", "alerts.runbook_url",
	"{knowledge_base_url}/{kind}"},
    {"onboarding: {follow_ups: false}\n", "onboarding.follow_ups", "false"},
    {"business: {name: Müller & Söhne}\n", "business.name", "Müller & Söhne"},
    {"business: {name: \"~\"}\n", "business.name", "~"},
    {"business: {zone: Europe/Berlin}\n", "business.zone", "Europe/Berlin"},
    {"input: {body_max: 4096}\n", "input.body_max", "4KiB"},
    {"input: {body_max: 1025}\n", "input.body_max", "1025"},
    {"input: {body_max: 512KiB}\n", "input.body_max", "512KiB"},
    {"database: {path: /srv/a b.db}\n", "database.path", "/srv/a b.db"},
    {"sms: {to: +4915112345678}\n", "sms.to", "+4915112345678"},
    {"sms: {twilio: {from: MG0123}}\n", "sms.twilio.from", "MG0123"},
    {"alerts: {sms_per_day: 0}\n", "alerts.sms_per_day", "0"},
    {"alerts: {quiet_hours: 22:30-07:05}\n", "alerts.quiet_hours",
	"22:30-07:05"},
    {"alerts: {quiet_hours: 07:00-07:00}\n", "alerts.quiet_hours", "(not set)"},
    {"usage: {since: 2026-11-28}\n", "usage.since", "2026-11-28"},
    {"usage: {look_back: 1d}\n", "usage.since", "(not set)"},

    /* Variables. */
    {"business: {name: \"a ${TEST_SET} b\"}\n", "business.name", "a ${x} b"},
    {"business: {name: \"${TEST_SET:-c}\"}\n", "business.name", "${x}"},
    {"business: {name: \"${TEST_UNSET:-c: d}${TEST_EMPTY:-e}\"}\n",
	"business.name", "c: de"},
    {"business: {name: \"-${TEST_EMPTY}${TEST_UNSET:-}-\"}\n", "business.name",
	"--"},
    {"business: {name: \"$5 $${TEST_SET} $$$$ $\"}\n", "business.name",
	"$5 ${TEST_SET} $$ $"},
    {"business: {name: '{${TEST_SET:-}}'}\n", "business.name", "{${x}}"},
};

static void
test_accepted(void)
{
	size_t i;

	setenv("TEST_SET", "${x}", 1);
	setenv("TEST_EMPTY", "", 1);
	for (i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		if (!load(accepted[i].text))
			ok(false, "%s", complaint());
		else
			is_shown(accepted[i].key, accepted[i].wanted);
	}
	unsetenv("TEST_SET");
	unsetenv("TEST_EMPTY");
}

static void
test_defaults(void)
{
	const struct conf_destination *mail, *billing, *customers, *alerts;

	ok(load(""), "an empty file loads");
	mail = conf_destination(&conf, "mail");
	billing = conf_destination(&conf, "billing");
	customers = conf_destination(&conf, "slack.customers");
	alerts = conf_destination(&conf, "slack.alerts");
	is_int(conf.busy_timeout_ms, 5000, "busy_timeout_ms");
	is_int(conf.body_max, 8388608, "body_max");
	is_text(conf.zone, "UTC", "zone");
	ok(conf.onboarding_follow_ups, "follow_ups");
	is_int(conf.alert_repeat_s, 14400, "alert_repeat_s");
	is_int(conf.alert_repeat_critical_s, 1800, "alert_repeat_critical_s");
	is_int(conf.alert_group_s, 300, "alert_group_s");
	is_int(conf.alert_sms_per_day, 20, "alert_sms_per_day");
	is_int(conf.alert_quiet.from_s, 0, "alert_quiet_from_s");
	is_int(conf.alert_quiet.until_s, 0, "alert_quiet_until_s");
	is_int(mail->rate_per_minute, 1200, "mail: rate_per_minute");
	is_int(mail->concurrency, 8, "mail: concurrency");
	is_int(mail->timeout_ms, 20000, "mail: timeout_ms");
	is_int(mail->max_age_s, 259200, "mail: max_age_s");
	is_int(billing->max_age_s, 604800, "billing: max_age_s");
	is_int(customers->max_age_s, 259200, "slack.customers: max_age_s");
	is_int(alerts->rate_per_minute, 60, "slack.alerts: rate_per_minute");
	is_int(alerts->concurrency, 1, "slack.alerts: concurrency");
	is_int(alerts->max_age_s, 86400, "slack.alerts: max_age_s");
	is_text(conf.onboarding_redirect_url, NULL, "no redirect");
	is_text(conf.alert_runbook_url, NULL, "no runbook");
	ok(!mail->configured && !billing->configured &&
		!customers->configured && !alerts->configured,
	    "no destination is configured");
}

static void
test_destinations(void)
{
	const struct conf_destination *found;
	int i;

	ok(load("mail: {url: https://m.example/, api_key: k, rate: unlimited}\n"
		"slack: {alerts: {url: https://s.example/}}\n"
		"alerts: {quiet_hours: 22:00-07:30}\n"),
	    "two destinations");
	found = conf_destination(&conf, "mail");
	is_text(found->url, "https://m.example/", "the address");
	is_text(found->api_key, "k", "the key");
	is_int(found->rate_per_minute, 0, "unlimited is 0");
	ok(found->configured && found->dialect == CONF_WEBHOOK, "a webhook");
	found = conf_destination(&conf, "slack.alerts");
	ok(found->configured && found->dialect == CONF_SLACK, "a Slack one");
	ok(!conf_destination(&conf, "slack.customers")->configured,
	    "another without an address");
	ok(conf_destination(&conf, "slack") == NULL, "no such destination");
	for (i = 0; i < CONF_DESTINATIONS; i++)
		ok(conf_destination(&conf, conf.destinations[i].name) ==
			&conf.destinations[i],
		    "by its name: %s", conf.destinations[i].name);
	is_int(conf.alert_quiet.from_s, 22 * 3600, "quiet from");
	is_int(conf.alert_quiet.until_s, 7 * 3600 + 1800, "quiet until");
}

static void
test_stripe(void)
{
	ok(load(""), "without a key");
	ok(!conf_destination(&conf, "stripe.meter")->configured,
	    "Stripe is not configured");
	is_int(conf.stripe_mode, CONF_LIVE, "and live");
	ok(load("stripe: {secret_key: rk_test_1}\n"), "a key of test mode");
	is_int(conf.stripe_mode, CONF_TEST, "is test mode");
	ok(conf_destination(&conf, "stripe.api")->configured, "configured");
	is_text(conf_destination(&conf, "stripe.api")->url,
	    "https://api.stripe.com", "at Stripe's");
	ok(load("stripe: {secret_key: x}\n"), "a key of another form");
	is_int(conf.stripe_mode, CONF_LIVE, "is live");
	ok(load("stripe: {secret_key: sk_test_1, mode: live}\n"), "by hand");
	is_int(conf.stripe_mode, CONF_LIVE, "the mode counts");
	ok(load(""), "defaults");
	is_int(conf.usage_count, CONF_PLACED, "placed calls count");
	is_int(conf.dunning_ending, CONF_LEAVE, "nothing is cancelled");
	is_int(conf.dunning_verify, CONF_VERIFY, "downgrades are verified");
	is_int(conf.dunning_hours.from_s, 9 * 3600, "from nine");
	is_int(conf.dunning_hours.until_s, 17 * 3600, "to five");
}

#define TWILIO "twilio: {account_sid: AC1, auth_token: t, from: MG1}"

static const struct {
	const char *text;
	enum conf_dialect dialect;
	bool configured;
	const char *url;
} sms[] = {
    {"sms:\n", CONF_TWILIO, false, "https://api.twilio.com"},
    {"sms: {to: +15550100, " TWILIO "}\n", CONF_TWILIO, true,
	"https://api.twilio.com"},
    {"sms: {" TWILIO "}\n", CONF_TWILIO, false, "https://api.twilio.com"},
    {"sms: {to: +15550100, twilio: {account_sid: AC1, auth_token: t}}\n",
	CONF_TWILIO, false, "https://api.twilio.com"},
    {"sms: {to: +15550100, twilio: {account_sid: AC1, from: MG1}}\n",
	CONF_TWILIO, false, "https://api.twilio.com"},
    {"sms: {to: +15550100, twilio: {auth_token: t, from: MG1}}\n", CONF_TWILIO,
	false, "https://api.twilio.com"},
    {"sms: {to: +15550100, url: https://g.example/}\n", CONF_SMS_WEBHOOK, true,
	"https://g.example/"},
    {"sms: {url: https://g.example/}\n", CONF_SMS_WEBHOOK, false,
	"https://g.example/"},
    {"sms: {to: +15550100, url: https://g.example/, " TWILIO "}\n", CONF_TWILIO,
	true, "https://api.twilio.com"},
    {"sms: {provider: webhook, to: +15550100, url: https://g.example/, " TWILIO
     "}\n",
	CONF_SMS_WEBHOOK, true, "https://g.example/"},
    {"sms: {provider: webhook, to: +15550100}\n", CONF_SMS_WEBHOOK, false,
	NULL},
    {"sms: {provider: twilio, url: https://g.example/, "
     "twilio: {api_base: http://127.0.0.1:99/}}\n",
	CONF_TWILIO, false, "http://127.0.0.1:99"},
};

static void
test_sms(void)
{
	const struct conf_destination *found;
	size_t i;

	for (i = 0; i < sizeof(sms) / sizeof(sms[0]); i++) {
		if (!load(sms[i].text)) {
			ok(false, "%s", complaint());
			continue;
		}
		found = conf_destination(&conf, "sms");
		is_text(found->url, sms[i].url, sms[i].text);
		ok(found->dialect == sms[i].dialect &&
			found->configured == sms[i].configured,
		    "... its dialect, and whether it can be sent");
	}
}

/*
 * Secrets in files.
 */

/* text with each mark in it replaced by words. */
static char *
replace(const char *text, const char *mark, const char *words)
{
	struct buf out = BUF_INIT(4096);
	const char *next;

	for (; (next = strstr(text, mark)) != NULL;
	     text = next + strlen(mark)) {
		buf_add(&out, text, (size_t)(next - text));
		buf_text(&out, words);
	}
	buf_text(&out, text);
	return out.data;
}

/* PATH in the wanted words stands for where name is. */
static void
secret_refused(const char *name, const char *wanted)
{
	char *text = mem_format("mail:\n  url_file: %s\n", name);
	char *path = name[0] == '/' ? mem_copy(name) : in_folder(name);
	char *words = replace(wanted, "PATH", path);
	char *whole = mem_format(AT_LINE("2") "mail.url_file: %s", words);

	ok(!load(text), "refused: %s: %s", name, wanted);
	is_complaint(whole);
	free(whole);
	free(words);
	free(path);
	free(text);
}

static void
test_secrets(void)
{
	char *text;

	write_file("secret", "https://x.example/" HUSH "\n", 0600);
	ok(load("mail:\n  url_file: secret\n"), "beside the file");
	is_text(conf_destination(&conf, "mail")->url, "https://x.example/" HUSH,
	    "without its line end");
	text = mem_format("sms:\n  twilio:\n    auth_token_file: %s/secret\n"
			  "  url: ''\n  url_file: ''\n",
	    folder);
	ok(load(text), "by its whole path, and an empty name is none");
	is_text(conf.twilio_auth_token, "https://x.example/" HUSH, "its text");
	free(text);
	setenv("TEST_SET", "secret", 1);
	ok(load("mail:\n  url:\n  url_file: ${TEST_SET}\n"),
	    "its name from a variable, beside an empty value");
	is_shown("mail.url", "(set)");
	unsetenv("TEST_SET");

	ok(!load("mail:\n  url_file: secret\n  url: https://x.example/hush\n"),
	    "both forms");
	is_complaint(AT_LINE("3") "mail.url and mail.url_file exclude each "
				  "other; line 2 has one");
	ok(!load("mail:\n  url: https://x.example/hush\n  url_file: secret\n"),
	    "both forms, the other way round");
	is_complaint(AT_LINE("3") "mail.url and mail.url_file exclude each "
				  "other; line 2 has one");

	write_file("secret", "two\nlines " HUSH "\n", 0600);
	ok(!load("mail:\n  url_file: secret\n"), "two lines");
	is_complaint(
	    AT_LINE("2") WEBHOOK_URL "one line without control characters");
	write_file("secret", HUSH "\n\n", 0600);
	ok(!load("mail:\n  api_key_file: secret\n"), "two line ends");
	is_complaint(AT_LINE("2") "mail.api_key (the webhook's key) must be "
				  "one line without control characters");
	write_file("secret", HUSH " " HUSH, 0600);
	ok(!load("mail:\n  api_key_file: secret\n"), "a blank");
	is_complaint(AT_LINE("2") "mail.api_key (the webhook's key) must be "
				  "printable ASCII without blanks or line "
				  "ends");
	write_bytes("secret", "a\0b", 3, 0600);
	secret_refused("secret", "PATH holds a NUL byte");
	write_file("secret", "\n", 0600);
	secret_refused("secret", "PATH is empty");
	write_file("secret", "", 0600);
	secret_refused("secret", "PATH is empty");
	write_file("secret", HUSH, 0640);
	secret_refused(
	    "secret", "PATH is open to others; type: chmod 600 PATH");
	write_file("secret", HUSH, 0604);
	secret_refused(
	    "secret", "PATH is open to others; type: chmod 600 PATH");
	secret_refused("none", "cannot read PATH: No such file or directory");
	secret_refused("/", "/ is no regular file");
}

static void
test_each_secret(void)
{
	static const struct {
		const char *key, *format;
	} secrets[] = {
	    {"mail.url", "mail: {url%s}"},
	    {"mail.api_key", "mail: {api_key%s}"},
	    {"billing.url", "billing: {url%s}"},
	    {"billing.api_key", "billing: {api_key%s}"},
	    {"slack.customers.url", "slack: {customers: {url%s}}"},
	    {"slack.alerts.url", "slack: {alerts: {url%s}}"},
	    {"sms.url", "sms: {url%s}"},
	    {"sms.twilio.auth_token", "sms: {twilio: {auth_token%s}}"},
	};
	char *text;
	size_t i;

	write_file("secret", "https://x.example/" HUSH "\n", 0600);
	for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		text = replace(
		    secrets[i].format, "%s", ": https://x.example/" HUSH);
		ok(load(text), "%s: %s", text, complaint());
		is_shown(secrets[i].key, "(set)");
		free(text);
		text = replace(secrets[i].format, "%s", "_file: secret");
		ok(load(text), "%s: %s", text, complaint());
		is_shown(secrets[i].key, "(set)");
		free(text);
	}
}

static void
test_large_secret(void)
{
	struct buf text = BUF_INIT(1 << 20);

	while (text.size < 65536)
		buf_text(&text, HUSH);
	write_file("secret", buf_string(&text), 0600);
	ok(load("mail:\n  api_key_file: secret\n"), "a secret of 64 KiB");
	buf_byte(&text, 'x');
	write_file("secret", buf_string(&text), 0600);
	secret_refused("secret", "PATH: the input is longer than 65536 bytes");
	buf_release(&text);
}

static void
test_pipe_secret(void)
{
	char *path = in_folder("pipe");

	ok(mkfifo(path, 0600) == 0, "a pipe nobody writes to");
	secret_refused("pipe", "PATH is no regular file");
	free(path);
}

static void
test_credentials(void)
{
	char *path = in_folder("credentials"), *link;

	make_folder("credentials");
	write_file("credentials/secret", "https://service.example/", 0440);
	write_file("secret", "https://beside.example/", 0600);
	setenv("CREDENTIALS_DIRECTORY", path, 1);
	ok(load("mail:\n  url_file: secret\n"), "a credential, mode 0440");
	is_text(conf_destination(&conf, "mail")->url,
	    "https://service.example/", "comes before the file beside");
	write_file("credentials/secret", "https://service.example/", 0444);
	ok(!load("mail:\n  url_file: secret\n") &&
		strstr(error.text, "chmod 600") != NULL,
	    "a credential for all the world is refused");
	write_file("other", "https://beside.example/", 0600);
	ok(load("mail:\n  url_file: other\n"), "what is no credential");
	is_text(conf_destination(&conf, "mail")->url, "https://beside.example/",
	    "is beside the file");
	link = in_folder("credentials/other");
	ok(symlink("other", link) == 0 && !load("mail:\n  url_file: other\n"),
	    "a credential that cannot be opened is not passed over");
	free(link);
	setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
	ok(load("mail:\n  url_file: secret\n"), "a relative folder");
	is_text(conf_destination(&conf, "mail")->url, "https://beside.example/",
	    "has no credentials");
	unsetenv("CREDENTIALS_DIRECTORY");
	free(path);
}

/*
 * Without a file.
 */

static const struct {
	const char *name, *value, *key, *wanted;
} environment[] = {
    {"AUTOMATE_DATABASE", "/srv/a.db", "database.path", "/srv/a.db"},
    {"APP_URL", "https://app.example/", "links.app_url", "https://app.example"},
    {"NOTION_KB_URL", "https://kb.example", "links.knowledge_base_url",
	"https://kb.example"},
    {"MAKE_WEBHOOK_URL", "https://m.example/", "mail.url", "(set)"},
    {"ZAPIER_WEBHOOK_URL", "https://z.example/", "mail.url", "(set)"},
    {"BILLING_AUTOMATION_WEBHOOK_URL", "https://b.example/", "billing.url",
	"(set)"},
    {"SLACK_WEBHOOK_URL", "https://s.example/", "slack.customers.url", "(set)"},
    {"SLACK_ALERT_WEBHOOK_URL", "https://s.example/", "slack.alerts.url",
	"(set)"},
    {"SMS_WEBHOOK_URL", "https://g.example/", "sms.url", "(set)"},
    {"FOUNDER_PHONE", "+15550100", "sms.to", "+15550100"},
    {"TWILIO_ACCOUNT_SID", "AC1", "sms.twilio.account_sid", "AC1"},
    {"TWILIO_AUTH_TOKEN", "t", "sms.twilio.auth_token", "(set)"},
    {"TWILIO_FROM", "+15550101", "sms.twilio.from", "+15550101"},
    {"TWILIO_API_BASE", "http://127.0.0.1:99", "sms.twilio.api_base",
	"http://127.0.0.1:99"},
    {"STRIPE_SECRET_KEY", "sk_test_1", "stripe.secret_key", "(set)"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_1 whsec_2", "stripe.webhook_secret",
	"(set)"},
    {"STRIPE_AI_CALLS_METER_ID", "mtr_1", "stripe.meter_id", "mtr_1"},
    {"STRIPE_API_BASE", "http://127.0.0.1:98", "stripe.api_base",
	"http://127.0.0.1:98"},
    {"RETELL_API_KEY", "key_1", "retell.api_key", "(set)"},
    {"RETELL_AGENT_ID", "agent_1", "retell.agent_id", "agent_1"},
    {"RETELL_FROM_NUMBER", "+15550102", "retell.from_number", "+15550102"},
    {"RETELL_API_BASE", "http://127.0.0.1:97", "retell.api_base",
	"http://127.0.0.1:97"},
    {"CRON_SECRET", "c", "cron.secret", "(set)"},
    {"ONBOARDING_SECRET", "o", "onboarding.secret", "(set)"},
};

/* What the example names besides, for settings that are to be tried. */
static const char *const tried[] = {"MAKE_API_KEY", "BILLING_API_KEY",
    "ALERTS_SECRET", "RETELL_WEBHOOK_KEY", "CALLS_SECRET", "PING_DELIVER",
    "PING_DUNNING", "PING_RECONCILE", "PING_SWEEP", "PING_CHECK"};

#define TRIED (sizeof(tried) / sizeof(tried[0]))
#define VARIABLES (sizeof(environment) / sizeof(environment[0]))

static void
test_environment(void)
{
	size_t i;

	for (i = 0; i < VARIABLES; i++) {
		setenv(environment[i].name, environment[i].value, 1);
		ok(load_path(NULL), "only %s", environment[i].name);
		is_shown(environment[i].key, environment[i].wanted);
		is_text(conf.path, NULL, "... from no file");
		unsetenv(environment[i].name);
		ok(load_path(NULL) &&
			strcmp(shown(environment[i].key),
			    environment[i].wanted) != 0,
		    "... and not without it");
	}
	setenv("ZAPIER_WEBHOOK_URL", "https://z.example/", 1);
	setenv("MAKE_WEBHOOK_URL", "", 1);
	ok(load_path(NULL), "an empty Make.com, and Zapier");
	is_text(conf_destination(&conf, "mail")->url, "https://z.example/",
	    "is Zapier");
	setenv("MAKE_WEBHOOK_URL", "https://m.example/", 1);
	ok(load_path(NULL), "both");
	is_text(conf_destination(&conf, "mail")->url, "https://m.example/",
	    "are Make.com");
	setenv("MAKE_WEBHOOK_URL", "http://m.example/" HUSH, 1);
	ok(!load_path(NULL), "the same checks");
	is_complaint("environment: MAKE_WEBHOOK_URL: " WEBHOOK_URL
		     "https://..., since only loopback may do with http://");
	setenv("MAKE_WEBHOOK_URL", "https://m.example/${HOME}/a$$b", 1);
	ok(load_path(NULL), "a value with dollars");
	is_text(conf_destination(&conf, "mail")->url,
	    "https://m.example/${HOME}/a$$b", "is left alone");
	ok(load("business: {name: x}\n") &&
		conf_destination(&conf, "mail")->url == NULL,
	    "with a file, variables nobody named do nothing");
	empty_environment();
}

/*
 * Where the file is, and the database.
 */

static void
is_loaded_from(const char *wanted)
{
	char *path = in_folder(wanted);

	ok(load_path(NULL), "loads: %s", error.text);
	is_text(conf.path, path, wanted);
	free(path);
}

static void
test_search(void)
{
	char *xdg = in_folder("xdg"), *named = in_folder("named.yaml");

	make_folder(".config");
	make_folder(".config/automate");
	make_folder("xdg");
	make_folder("xdg/automate");
	write_file(".config/automate/automate.yaml", "", 0644);
	is_loaded_from(".config/automate/automate.yaml");
	setenv("XDG_CONFIG_HOME", xdg, 1);
	write_file("xdg/automate/automate.yaml", "", 0644);
	is_loaded_from("xdg/automate/automate.yaml");
	setenv("XDG_CONFIG_HOME", "xdg", 1);
	is_loaded_from(".config/automate/automate.yaml");
	setenv("AUTOMATE_CONFIG", "", 1);
	is_loaded_from(".config/automate/automate.yaml");
	setenv("AUTOMATE_CONFIG", named, 1);
	write_file("named.yaml", "", 0644);
	is_loaded_from("named.yaml");
	ok(load("") && strcmp(conf.path, named) != 0,
	    "a path given comes before all");
	write_file(".config/automate/automate.yaml", "hush", 0644);
	unsetenv("AUTOMATE_CONFIG");
	ok(!load_path(NULL), "a bad file is not passed over");
	free(named);
	free(xdg);
	empty_environment();
}

/* As somebody who is neither root nor called automate; 0 if all is well. */
static int
database_of_user(void)
{
	char *home = in_folder(".local/state/automate/automate.db");
	int wrong = 0;

	setenv("AUTOMATE_CONFIG", "/dev/null", 1);
	if (!load_path(NULL) || strcmp(conf.database_path, home) != 0)
		wrong = 1;
	setenv("XDG_STATE_HOME", "relative", 1);
	if (!load_path(NULL) || strcmp(conf.database_path, home) != 0)
		wrong = 2;
	setenv("XDG_STATE_HOME", "/state", 1);
	if (!load_path(NULL) ||
	    strcmp(conf.database_path, "/state/automate/automate.db") != 0)
		wrong = 3;
	free(home);
	conf_release(&conf);
	return wrong;
}

static void
test_database(void)
{
	char *beside = in_folder("sub.db");
	int status = -1;

	ok(load("database: {path: sub.db}\n"), "a relative path");
	is_text(conf.database_path, beside, "is beside the file");
	free(beside);
	if (geteuid() == 0) {
		ok(load(""), "no path, as root");
		is_text(conf.database_path, "/var/lib/automate/automate.db",
		    "is below /var/lib");
	}
	fflush(stdout);
	if (fork() == 0)
		_exit(geteuid() == 0 && setuid(65534) != 0
			? 9
			: database_of_user());
	wait(&status);
	is_int(status, 0, "the database of a user, in ~ or $XDG_STATE_HOME");
}

/*
 * The example and the manual.
 */

static void
read_file(struct buf *text, const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd == -1 || !buf_read(text, fd, &error))
		printf("Bail out! cannot read %s\n", path);
	close(fd);
}

static void
print_all(struct buf *text)
{
	FILE *file = tmpfile();

	conf_print(&conf, file);
	fflush(file);
	rewind(file);
	buf_clear(text);
	ok(buf_read(text, fileno(file), &error), "printed");
	fclose(file);
}

static void
test_example(void)
{
	struct buf without = BUF_INIT(65536), with = BUF_INIT(65536);
	size_t i;

	ok(load_path(EXAMPLE), "the example loads: %s", error.text);
	print_all(&with);
	if (access(SYSTEM_FILE, F_OK) != 0) {
		ok(load_path(NULL), "so does nothing at all");
		print_all(&without);
		is_text(buf_string(&with), buf_string(&without),
		    "they say the same");
		for (i = 0; i < VARIABLES; i++)
			setenv(environment[i].name, environment[i].value, 1);
		ok(load_path(NULL), "with all variables");
		print_all(&without);
		ok(load_path(EXAMPLE), "and the example");
		print_all(&with);
		is_text(buf_string(&with), buf_string(&without),
		    "they say the same");
	}
	empty_environment();
	buf_release(&without);
	buf_release(&with);
}

/* Every "#key:" of the example as "key:". */
static void
test_whole_example(void)
{
	struct buf example = BUF_INIT(65536), all = BUF_INIT(65536);
	const char *p;
	size_t i;

	read_file(&example, EXAMPLE);
	for (p = buf_string(&example); *p != '\0'; p++)
		if (p[0] != '#' || p[1] == ' ' || p[1] == '\n')
			buf_byte(&all, *p);
	for (i = 0; i < VARIABLES; i++)
		setenv(environment[i].name, environment[i].value, 1);
	for (i = 0; i < TRIED; i++)
		setenv(tried[i], "https://k.example/", 1);
	ok(load(buf_string(&all)), "the example with all settings in use: %s",
	    error.text);
	print_all(&all);
	ok(strstr(buf_string(&all), "(not set)") == NULL,
	    "sets each key there is");
	for (p = buf_string(&all); (p = strstr(p, "(not set)")) != NULL; p++)
		printf("# %.60s\n", p - 40);
	for (i = 0; i < TRIED; i++)
		unsetenv(tried[i]);
	empty_environment();
	buf_release(&example);
	buf_release(&all);
}

/* One entry of the manual, up to the next; its default is what we print. */
static void
check_default(const char *entry, const char *key)
{
	size_t size = strcspn(entry, "\n");
	const char *mark = NULL, *p, *end = strstr(entry, "\n.It ");
	char *wanted;

	for (p = entry; p < entry + size; p++)
		if (strncmp(p, " Ta ", 4) == 0)
			mark = p + 4;
	if (mark != NULL)
		wanted = mem_copy_bytes(mark, strcspn(mark, "\n"));
	else if ((mark = strstr(entry, "\nDefault: ")) != NULL && mark < end)
		wanted = mem_copy_bytes(mark + 10, strcspn(mark + 10, ".\n"));
	else
		return;
	is_text(shown(key), wanted, "... and its default");
	free(wanted);
}

static void
check_keys(const char *manual)
{
	struct buf all = BUF_INIT(65536);
	const char *line, *entry;
	char *key, *item;

	print_all(&all);
	for (line = buf_string(&all); *line != '\0';
	     line += strcspn(line, "\n") + 1) {
		key = mem_copy_bytes(line, strcspn(line, ":"));
		item = mem_format("\n.It Cm %s ", key);
		entry = strstr(manual, item);
		ok(entry != NULL, "the manual has %s", key);
		if (entry != NULL)
			check_default(entry + 1, key);
		free(item);
		free(key);
	}
	buf_release(&all);
}

/* The first display of the examples. */
static void
check_example(const char *manual)
{
	const char *text, *end;
	char *example;

	text = strstr(manual, "\n.Sh EXAMPLES\n");
	text = text != NULL ? strstr(text, "\n.Bd ") : NULL;
	text = text != NULL ? strchr(text + 1, '\n') : NULL;
	end = text != NULL ? strstr(text, "\n.Ed") : NULL;
	if (!ok(end != NULL, "the manual has an example"))
		return;
	example = mem_copy_bytes(text + 1, (size_t)(end - text));
	write_file("mail-url", "https://m.example/", 0600);
	write_file("slack-alerts-url", "https://s.example/", 0600);
	ok(load(example), "it loads: %s", error.text);
	ok(conf_destination(&conf, "mail")->configured &&
		conf_destination(&conf, "slack.alerts")->configured,
	    "and configures what it shows");
	free(example);
}

static void
test_manual(void)
{
	struct buf text = BUF_INIT(262144);
	const char *manual, *p;
	char *item;
	size_t i;

	read_file(&text, MANUAL);
	manual = buf_string(&text);
	ok(load(""), "an empty file");
	check_keys(manual);
	for (p = manual; (p = strstr(p, "\n.It Cm ")) != NULL; p++) {
		item = mem_copy_bytes(p + 8, strcspn(p + 8, " \n"));
		ok(shown(item)[0] != '\0', "there is %s of the manual", item);
		free(item);
	}
	for (i = 0; i < VARIABLES; i++) {
		item = mem_format("\n.It Ev %s Ta Cm %s", environment[i].name,
		    environment[i].key);
		ok(strstr(manual, item) != NULL, "the manual has %s",
		    environment[i].name);
		free(item);
	}
	check_example(manual);
	buf_release(&text);
}

static void
test_release(void)
{
	static const struct conf zero;

	ok(load("mail: {url: https://m.example/}\n"), "something to release");
	conf_release(&conf);
	ok(memcmp(&conf, &zero, sizeof(conf)) == 0, "nothing is left");
	conf_release(&conf);
	ok(memcmp(&conf, &zero, sizeof(conf)) == 0, "nor after twice");
}

int
main(void)
{
	char *remove;

	if (mkdtemp(folder) == NULL)
		return 1;
	chmod(folder, 0755);
	empty_environment();
	test_refused();
	test_refused_size();
	test_unreadable();
	test_accepted();
	test_defaults();
	test_destinations();
	test_stripe();
	test_sms();
	test_secrets();
	test_each_secret();
	test_large_secret();
	test_pipe_secret();
	test_credentials();
	if (access(SYSTEM_FILE, F_OK) == 0)
		ok(true, "the environment # SKIP there is " SYSTEM_FILE);
	else
		test_environment();
	test_database();
	test_example();
	test_whole_example();
	test_manual();
	test_search();
	test_release();
	remove = mem_format("rm -rf '%s'", folder);
	if (system(remove) != 0)
		printf("# %s is left\n", folder);
	free(remove);
	return tap_end();
}
