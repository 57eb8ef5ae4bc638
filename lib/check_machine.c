/*
 * automate-check's looks at the machine: the configuration, who may read and
 * write what, the disk, and whether the database is sound.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"

#define ROOM_LEAST (100LL * 1024 * 1024) /* bytes */
#define ROOM_LITTLE (1024LL * 1024 * 1024)

/* What each destination is for, and what makes it one. */
static const struct {
	unsigned flows;
	const char *keys;
} uses[CONF_DESTINATIONS] = {
    [CONF_MAIL] = {CHECK_ONBOARDING,
	"mail.url (MAKE_WEBHOOK_URL or ZAPIER_WEBHOOK_URL)"},
    [CONF_BILLING] = {CHECK_PAYMENTS,
	"billing.url (BILLING_AUTOMATION_WEBHOOK_URL)"},
    [CONF_SLACK_CUSTOMERS] = {CHECK_ONBOARDING | CHECK_PAYMENTS,
	"slack.customers.url (SLACK_WEBHOOK_URL)"},
    [CONF_SLACK_ALERTS] = {CHECK_EVERY,
	"slack.alerts.url (SLACK_ALERT_WEBHOOK_URL)"},
    [CONF_SMS] = {CHECK_ALERTS | CHECK_CALLS,
	"sms.to (FOUNDER_PHONE), and sms.url (SMS_WEBHOOK_URL) or "
	"sms.twilio (TWILIO_...)"},
    [CONF_STRIPE_METER] = {CHECK_USAGE,
	"stripe.secret_key (STRIPE_SECRET_KEY)"},
    [CONF_STRIPE_API] = {CHECK_PAYMENTS | CHECK_USAGE,
	"stripe.secret_key (STRIPE_SECRET_KEY)"},
};

static void
check_destinations(struct check *check)
{
	const struct conf_destination *destination;
	size_t i;

	for (i = 0; i < CONF_DESTINATIONS; i++) {
		destination = &check->conf->destinations[i];
		if (destination->configured)
			check_say(check, uses[i].flows, CHECK_OK,
			    destination->name, mem_copy("configured"), NULL);
		else
			check_say(check, uses[i].flows, CHECK_SKIP,
			    destination->name,
			    mem_copy("not configured: nothing is sent there"),
			    mem_format("to have it, set %s", uses[i].keys));
	}
}

static void
check_key(struct check *check, unsigned flows, const char *name,
    const char *value, const char *without, const char *keys)
{
	if (value != NULL)
		check_say(check, flows, CHECK_OK, name, mem_copy("set"), NULL);
	else
		check_say(check, flows, CHECK_SKIP, name, mem_copy(without),
		    mem_format("to have it, set %s", keys));
}

static void
check_keys(struct check *check)
{
	const struct conf *conf = check->conf;

	check_key(check, CHECK_PAYMENTS, "stripe.webhook_secret",
	    conf->stripe_webhook_secret,
	    "not set: every event of Stripe is refused",
	    "stripe.webhook_secret (STRIPE_WEBHOOK_SECRET)");
	check_key(check, CHECK_USAGE, "stripe.meter_id", conf->stripe_meter_id,
	    "not set: no usage is reported",
	    "stripe.meter_id (STRIPE_AI_CALLS_METER_ID)");
	check_key(check, CHECK_CALLS | CHECK_ALERTS, "retell.api_key",
	    conf->retell_api_key, "not set: no call is placed or heard of",
	    "retell.api_key (RETELL_API_KEY)");
	check_key(check, CHECK_EVERY, "links.knowledge_base",
	    conf->knowledge_base_url,
	    "not set: alerts have no link to their runbook",
	    "links.knowledge_base_url (NOTION_KB_URL)");
	check_key(check, CHECK_EVERY, "cron.ping_check", conf->ping_check_url,
	    "not set: nobody outside notices if this machine dies",
	    "cron.ping_check to an address of healthchecks.io or the like");
}

/* A secret that is in no file of its own may be in this one. */
static void
check_configuration_file(struct check *check)
{
	const char *path = check->conf->path;
	struct stat status;

	if (stat(path, &status) == -1)
		check_say(check, CHECK_EVERY, CHECK_WARN, "configuration",
		    mem_format("%s: %s", path, strerror(errno)), NULL);
	else if ((status.st_mode & 022) != 0)
		check_say(check, CHECK_EVERY, CHECK_FAIL, "configuration",
		    mem_format("%s can be changed by others (mode %04o)", path,
			(unsigned)status.st_mode & 07777),
		    mem_format("chmod go-w %s", path));
	else if (status.st_uid != 0 && status.st_uid != geteuid())
		check_say(check, CHECK_EVERY, CHECK_WARN, "configuration",
		    mem_format("%s is another user's", path),
		    mem_format("chown root %s", path));
	else if ((status.st_mode & 007) != 0)
		check_say(check, CHECK_EVERY, CHECK_WARN, "configuration",
		    mem_format("%s, with what may be secret in it, can be read "
			       "by everybody (mode %04o)",
			path, (unsigned)status.st_mode & 07777),
		    mem_format("chmod o-rwx %s", path));
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "configuration",
		    mem_copy(path), NULL);
}

void
check_configuration(struct check *check)
{
	if (check->conf->path != NULL)
		check_configuration_file(check);
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "configuration",
		    mem_copy("the environment; no file was found"), NULL);
	check_destinations(check);
	check_keys(check);
}

static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_copy(".");
	return slash == path ? mem_copy("/")
			     : mem_copy_bytes(path, (size_t)(slash - path));
}

static char *
user_name(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user != NULL ? mem_copy(user->pw_name)
			    : mem_format("#%lu", (unsigned long)uid);
}

/*
 * What root makes beside a database of somebody else's, that one could not
 * write: its lock files, and the database itself.
 */
bool
check_owner(struct check *check)
{
	char *folder = folder_of(check->conf->database_path), *name;
	struct stat status;
	bool ours = geteuid() != 0 ||
	    (stat(check->conf->database_path, &status) == -1 &&
		stat(folder, &status) == -1) ||
	    status.st_uid == 0;

	free(folder);
	if (ours)
		return true;
	name = user_name(status.st_uid);
	check_say(check, CHECK_EVERY, CHECK_FAIL, "user",
	    mem_format("you are root, and the database is %s's: not opened, "
		       "for what root leaves beside it %s could not use",
		name, name),
	    mem_format("HOME=/ runuser -u %s -- automate-check", name));
	free(name);
	return false;
}

static void
check_disk(struct check *check)
{
	char *folder = folder_of(check->conf->database_path);
	struct statvfs status;
	long long room;

	if (statvfs(folder, &status) == -1) {
		check_say(check, CHECK_EVERY, CHECK_FAIL, "disk",
		    mem_format("%s: %s", folder, strerror(errno)), NULL);
	} else {
		room = (long long)status.f_bavail * (long long)status.f_frsize;
		check_say(check, CHECK_EVERY,
		    room < ROOM_LEAST        ? CHECK_FAIL
			: room < ROOM_LITTLE ? CHECK_WARN
					     : CHECK_OK,
		    "disk",
		    mem_format(
			"%lld MiB free at %s", room / (1024 * 1024), folder),
		    room < ROOM_LITTLE
			? mem_copy("make room; automate-deliver purge --older "
				   "90d helps a little")
			: NULL);
	}
	free(folder);
}

/* A file of the database that somebody else made, and we cannot use. */
static bool
check_beside(struct check *check, const char *suffix)
{
	char *path = mem_format("%s%s", check->conf->database_path, suffix);
	bool ok = access(path, F_OK) == -1 || access(path, R_OK | W_OK) == 0;
	char *name;
	struct stat status;

	if (!ok && stat(path, &status) == 0) {
		name = user_name(status.st_uid);
		check_say(check, CHECK_EVERY, CHECK_FAIL, "database.mode",
		    mem_format("%s is %s's, and cannot be written", path, name),
		    mem_format("chown --reference=%s %s",
			check->conf->database_path, path));
		free(name);
	}
	free(path);
	return ok;
}

static bool
check_folder(struct check *check)
{
	char *folder = folder_of(check->conf->database_path);
	struct stat status;
	bool ok = true;

	if (stat(folder, &status) == 0 &&
	    (status.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH) {
		ok = false;
		check_say(check, CHECK_EVERY, CHECK_FAIL, "database.mode",
		    mem_format("%s can be changed by everybody", folder),
		    mem_format("chmod o-w %s", folder));
	} else if (access(folder, W_OK) == -1) {
		ok = false;
		check_say(check, CHECK_EVERY, CHECK_FAIL, "database.mode",
		    mem_format("%s cannot be written by you, and the journal "
			       "goes there",
			folder),
		    mem_copy("run automate-check as the user that cron runs "
			     "the commands as"));
	}
	free(folder);
	return ok;
}

static void
check_modes(struct check *check)
{
	static const char *const suffixes[] = {
	    "-wal", "-shm", "-senders", "-runs"};
	const char *path = check->conf->database_path;
	struct stat status;
	bool ok = check_folder(check);
	size_t i;

	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		ok = check_beside(check, suffixes[i]) && ok;
	if (stat(path, &status) == -1)
		return;
	if ((status.st_mode & 007) != 0)
		check_say(check, CHECK_EVERY, CHECK_FAIL, "database.mode",
		    mem_format("%s, with customers in it, is open to everybody "
			       "(mode %04o)",
			path, (unsigned)status.st_mode & 07777),
		    mem_format("chmod o-rwx %s*", path));
	else if (ok)
		check_say(check, CHECK_EVERY, CHECK_OK, "database.mode",
		    mem_format("mode %04o, and all of it can be written",
			(unsigned)status.st_mode & 07777),
		    NULL);
}

void
check_machine(struct check *check)
{
	struct error error = {0};
	char *damage;

	check_disk(check);
	check_modes(check);
	if (check->db == NULL)
		return;
	if (!db_examine(check->db, &damage, &error)) {
		check_broken(check, CHECK_EVERY, "database", &error);
		return;
	}
	if (damage != NULL)
		check_say(check, CHECK_EVERY, CHECK_FAIL, "database",
		    mem_format(
			"%s: damaged: %s", check->conf->database_path, damage),
		    mem_copy("restore the backup; see automate-setup(7)"));
	else
		check_say(check, CHECK_EVERY, CHECK_OK, "database",
		    mem_format("%s: sound, and of this version",
			check->conf->database_path),
		    NULL);
	free(damage);
}
