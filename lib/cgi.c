#include "cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "child.h"
#include "decide/signature.h"
#include "prog.h"
#include "store/file.h"

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"
#define OUTPUT_MAX (1024 * 1024) /* of a command's result */
#define LINE_MAX_MS 10000 /* without a byte of the body */
#define BODY_MAX_MS 60000 /* for all of it */
#define RUN_MAX_S 60
#define RETRY_AFTER_S "10"
#define STARTING "-starting" /* of the lock, behind the database's path */
#define GATHER_NS 250000000 /* so long deliveries wait for more of them */

struct cgi {
	const struct cgi_route *route;
	struct conf conf;
	struct buf body, output;
	int status; /* of HTTP */
	json_t *answer;
	char *location;
	const char *header; /* one more, or NULL */
	bool browser; /* it asks for a page */
	bool due, start; /* deliveries, the command: when the answer is out */
};

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? value : "";
}

/*
 * Answers. One with an error says what its sender can do about it, and nothing
 * of what is inside; standard error has that.
 */

static const struct answer_text {
	int status;
	const char *name, *text;
} answer_texts[] = {{200, "OK", NULL}, {303, "See Other", NULL},
    {400, "Bad Request", "the request is refused for good"},
    {401, "Unauthorized", "signature or secret refused"},
    {404, "Not Found", "no such path"},
    {405, "Method Not Allowed", "no such method here"},
    {411, "Length Required", "send a Content-Length"},
    {413, "Content Too Large", "the body is too large"},
    {500, "Internal Server Error", "not set up right; see the server's log"},
    {502, "Bad Gateway", "a provider said no"},
    {503, "Service Unavailable", "not now; the same again is safe"}, {0}};

static const struct answer_text *
find_text(int status)
{
	const struct answer_text *text = answer_texts;

	while (text->status != 0 && text->status != status)
		text++;
	return text;
}

/* Answer with an error; words NULL are the status's own. Returns false. */
static bool
refuse(struct cgi *cgi, int status, const char *words)
{
	json_decref(cgi->answer);
	cgi->answer = json_object();
	cgi->status = status;
	json_put(cgi->answer, "error",
	    words != NULL ? words : find_text(status)->text);
	if (status == 503)
		cgi->header = "Retry-After: " RETRY_AFTER_S;
	return false;
}

static int
http_status(int exit_status)
{
	switch (exit_status) {
	case 0: return 200;
	case 65: return 400;
	case 69: return 502;
	case 75: return 503;
	case 77: return 401;
	default: return 500;
	}
}

/* The same for an error of our own, which is said. */
static bool
refuse_error(struct cgi *cgi, const struct error *error)
{
	prog_say("%s", error->text);
	return refuse(cgi, http_status(error_status(error->kind)), NULL);
}

static void
write_all(const struct buf *text)
{
	size_t written = 0;
	ssize_t size;

	while (written < text->size) {
		size = write(
		    STDOUT_FILENO, text->data + written, text->size - written);
		if (size == -1 && errno != EINTR)
			return; /* the client has left */
		written += size > 0 ? (size_t)size : 0;
	}
}

/* Status comes first: BusyBox reads it nowhere else. */
static void
write_answer(const struct cgi *cgi)
{
	struct buf text = BUF_INIT(2 * OUTPUT_MAX + 4096);
	char *body = json_compact(cgi->answer);

	buf_format(&text, "Status: %d %s\r\n", cgi->status,
	    find_text(cgi->status)->name);
	if (cgi->location != NULL)
		buf_format(&text, "Location: %s\r\n", cgi->location);
	if (cgi->header != NULL)
		buf_format(&text, "%s\r\n", cgi->header);
	buf_format(&text,
	    "Content-Type: application/json\r\n"
	    "Cache-Control: no-store\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    strlen(body) + 1);
	if (strcmp(variable("REQUEST_METHOD"), "HEAD") != 0)
		buf_format(&text, "%s\n", body);
	write_all(&text);
	buf_release(&text);
	free(body);
}

/*
 * What is asked for.
 */

/*
 * Servers decode and tidy a path differently before it is PATH_INFO; no path
 * of ours needs either, so where the one that was sent is known it must be
 * that very text.
 */
static bool
is_plain(const char *path)
{
	const char *uri = variable("REQUEST_URI");
	char *sent = mem_copy_bytes(uri, strcspn(uri, "?"));
	const size_t size = strlen(sent), path_size = strlen(path);
	bool plain;

	plain = size == 0 ||
	    (strchr(sent, '%') == NULL && strstr(sent, "//") == NULL &&
		strstr(sent, "/.") == NULL && size >= path_size &&
		strcmp(sent + size - path_size, path) == 0);
	free(sent);
	return plain;
}

static bool
find_route(struct cgi *cgi, const struct cgi_route *route)
{
	const char *path = variable("PATH_INFO");

	while (route->path != NULL && strcmp(route->path, path) != 0)
		route++;
	if (route->path == NULL || !is_plain(path))
		return refuse(cgi, 404, NULL);
	cgi->route = route;
	return true;
}

static bool
check_method(struct cgi *cgi)
{
	static char allow[64];
	const char *method = variable("REQUEST_METHOD");
	const char *list = cgi->route->methods;
	const size_t size = strlen(method);

	while (*list != '\0') {
		const size_t word = strcspn(list, ",");

		if (word == size && strncmp(list, method, size) == 0)
			return true;
		list += word;
		list += strspn(list, ", ");
	}
	snprintf(allow, sizeof(allow), "Allow: %s", cgi->route->methods);
	cgi->header = allow;
	return refuse(cgi, 405, NULL);
}

/*
 * The body.
 */

/*
 * Where the length is not known the server has either not read the body or,
 * as BusyBox does, hands it over with its framing.
 */
static bool
take_length(struct cgi *cgi, size_t *length)
{
	const char *text = variable("CONTENT_LENGTH");
	const size_t digits = strspn(text, "0123456789");
	uintmax_t value = 0;
	size_t i;

	if (text[0] == '\0' && variable("HTTP_TRANSFER_ENCODING")[0] != '\0')
		return refuse(cgi, 411, NULL);
	if (text[digits] != '\0')
		return refuse(cgi, 400, "the Content-Length is no number");
	for (i = 0; i < digits; i++) {
		value = value * 10 + (uintmax_t)(text[i] - '0');
		if (value > (uintmax_t)cgi->conf.body_max)
			return refuse(cgi, 413, NULL);
	}
	*length = (size_t)value;
	return true;
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Exactly that many bytes: standard input need not end behind them. */
static bool
read_body(struct cgi *cgi, size_t length)
{
	const int64_t end_ms = clock_monotonic_ms() + BODY_MAX_MS;
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
	char chunk[65536];
	ssize_t size;

	cgi->body.max = length;
	while (cgi->body.size < length) {
		const size_t rest = length - cgi->body.size;
		const int64_t left_ms = end_ms - clock_monotonic_ms();

		if (left_ms <= 0 ||
		    poll(&fd, 1, (int)least(left_ms, LINE_MAX_MS)) == 0)
			return refuse(cgi, 400, "the body came too slowly");
		size = read(STDIN_FILENO, chunk,
		    rest < sizeof(chunk) ? rest : sizeof(chunk));
		if (size == 0 || (size == -1 && errno != EINTR))
			return refuse(
			    cgi, 400, "the body is shorter than announced");
		if (size > 0)
			buf_add(&cgi->body, chunk, (size_t)size);
	}
	return true;
}

static bool
take_body(struct cgi *cgi)
{
	size_t length = 0;

	if (!take_length(cgi, &length) || !read_body(cgi, length))
		return false;
	if (length == 0 &&
	    (cgi->route->way == CGI_TAKE || cgi->route->way == CGI_RUN))
		return refuse(cgi, 400, "the body is empty");
	return true;
}

/*
 * Who asks.
 */

/* The header with its sender's signature; NULL of a route without one. */
static const char *
signature_variable(enum cgi_door door)
{
	return door == CGI_STRIPE ? "HTTP_STRIPE_SIGNATURE"
	    : door == CGI_RETELL  ? "HTTP_X_RETELL_SIGNATURE"
				  : NULL;
}

static const char *
first_set(const char *secret, const char *other)
{
	return secret != NULL && secret[0] != '\0' ? secret : other;
}

static const char *
door_secrets(enum cgi_door door, const struct conf *conf, const char **key)
{
	switch (door) {
	case CGI_ALERT:
		*key = "alerts.secret or onboarding.secret";
		return first_set(conf->alert_secret, conf->onboarding_secret);
	case CGI_CALL:
		*key = "calls.secret or onboarding.secret";
		return first_set(conf->call_secret, conf->onboarding_secret);
	case CGI_CRON: *key = "cron.secret"; return conf->cron_secret;
	default: *key = "onboarding.secret"; return conf->onboarding_secret;
	}
}

static bool
check_secret(const struct cgi *cgi, const char *secrets, struct error *error)
{
	const char *bearer = getenv("HTTP_AUTHORIZATION");

	if (bearer != NULL && bearer[0] != '\0')
		return signature_bearer(bearer, secrets, NULL, error);
	return signature_standard(getenv("HTTP_WEBHOOK_ID"),
	    getenv("HTTP_WEBHOOK_TIMESTAMP"), getenv("HTTP_WEBHOOK_SIGNATURE"),
	    buf_string(&cgi->body), cgi->body.size, secrets, clock_now(), NULL,
	    error);
}

static bool
authorise(struct cgi *cgi)
{
	const char *header = signature_variable(cgi->route->door), *key;
	const char *secrets = door_secrets(cgi->route->door, &cgi->conf, &key);
	struct error error = {0};

	if (cgi->route->door == CGI_OPEN)
		return true;
	if (header != NULL) {
		/* A server joins two with a comma and a blank. */
		if (variable(header)[0] != '\0' &&
		    strstr(variable(header), ", ") == NULL)
			return true;
		error_set(&error, ERROR_AUTH,
		    "none or more than one signature came with it");
	} else if (secrets == NULL || secrets[0] == '\0') {
		error_set(&error, ERROR_AUTH, "nobody may use it; set %s", key);
	} else if (check_secret(cgi, secrets, &error)) {
		return true;
	}
	error_at(&error, "%s", cgi->route->path);
	if (error.kind == ERROR_AUTH && header == NULL)
		cgi->header = "WWW-Authenticate: Bearer";
	return refuse_error(cgi, &error);
}

/*
 * The environment.
 */

/* What a client wrote, or a proxy setting would have done, reaches nobody. */
static bool
is_foreign(const char *entry)
{
	static const char *const proxies[] = {
	    "http_proxy=", "https_proxy=", "all_proxy=", "no_proxy="};
	size_t i;

	for (i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		if (strncasecmp(entry, proxies[i], strlen(proxies[i])) == 0)
			return true;
	return strncmp(entry, "HTTP_", 5) == 0;
}

static void
clean_environment(void)
{
	extern char **environ;
	size_t i = 0;

	while (environ[i] != NULL) {
		char *name;

		if (!is_foreign(environ[i])) {
			i++;
			continue;
		}
		name = mem_copy_bytes(environ[i], strcspn(environ[i], "="));
		unsetenv(name);
		free(name);
	}
}

/* Servers start a program with no more than RFC 3875 asks for. */
static void
complete_environment(void)
{
	setenv("GATEWAY_INTERFACE", "CGI/1.1", 0);
	if (variable("PATH")[0] == '\0')
		setenv("PATH", PATH_DEFAULT, 1);
}

/*
 * Results.
 */

/*
 * Where one line of a result sends a browser: an address, whose template was
 * checked with the configuration and whose values are encoded.
 */
static void
note_redirect(struct cgi *cgi, const json_t *line)
{
	const char *redirect = json_text(line, "redirect");

	if (redirect != NULL && cgi->route->door == CGI_ONBOARDING &&
	    cgi->browser)
		mem_replace(&cgi->location, redirect);
}

/* Every line of the output that is a JSON object. */
static json_t *
read_results(struct cgi *cgi)
{
	const char *line = buf_string(&cgi->output);
	json_t *results = json_array(), *value;
	struct error error;
	size_t size;

	for (; *line != '\0'; line += size + (line[size] == '\n')) {
		size = strcspn(line, "\n");
		if (!json_parse(&value, line, size, &error))
			continue;
		if (json_is_object(value)) {
			note_redirect(cgi, value);
			json_array_append(results, value);
		}
		json_decref(value);
	}
	return results;
}

/* One document's result is the answer, a batch's are listed in it. */
static void
answer_results(struct cgi *cgi, json_t *results)
{
	cgi->answer = json_object();
	cgi->status = cgi->location != NULL ? 303 : 200;
	json_object_set_new(cgi->answer, "ok", json_true());
	if (json_array_size(results) == 1)
		json_object_update(cgi->answer, json_array_get(results, 0));
	else if (json_array_size(results) > 1)
		json_object_set(cgi->answer, "results", results);
}

/*
 * Only what was wrong with a document is told to its sender. Of a batch some
 * may be recorded all the same, so its results are.
 */
static void
answer_failure(struct cgi *cgi, int exit_status, const json_t *results)
{
	const int status = http_status(exit_status);
	const json_t *only = json_array_get(results, 0);

	mem_replace(&cgi->location, NULL);
	refuse(cgi, status, status == 400 ? json_text(only, "error") : NULL);
	if (status == 400 && json_array_size(results) > 1)
		json_object_set(cgi->answer, "results", (json_t *)results);
	if (status == 401 && signature_variable(cgi->route->door) == NULL)
		cgi->header = "WWW-Authenticate: Bearer";
}

static bool
answer(struct cgi *cgi, int exit_status)
{
	json_t *results = read_results(cgi);

	if (exit_status == 0)
		answer_results(cgi, results);
	else
		answer_failure(cgi, exit_status, results);
	json_decref(results);
	return exit_status == 0;
}

/* Were it ever to hang, the alarm ends us, and the server answers with 5xx. */
static bool
take_documents(struct cgi *cgi)
{
	const char *header = signature_variable(cgi->route->door);
	struct error error = {0};
	bool ok;

	alarm(RUN_MAX_S);
	ok = intake_body(&cgi->conf, cgi->route->rules,
	    header != NULL ? getenv(header) : NULL, &cgi->body, &cgi->output,
	    &cgi->due, &error);
	alarm(0);
	if (!ok && error.text[0] != '\0')
		prog_say("%s: %s", cgi->route->path, error.text);
	return answer(cgi, ok ? 0 : error_status(error.kind));
}

static bool
run_command(struct cgi *cgi)
{
	struct error error = {0};
	int status;

	clean_environment();
	if (!child_run(cgi->route->command, "--later", &cgi->body, &cgi->output,
		RUN_MAX_S * 1000, &status, &error))
		return refuse_error(cgi, &error);
	cgi->due = true;
	return answer(cgi, status);
}

static bool
start_command(struct cgi *cgi)
{
	struct error error = {0};

	if (!child_exists(cgi->route->command)) {
		error_set(&error, ERROR_CONF, "there is no %s beside this one",
		    cgi->route->command);
		return refuse_error(cgi, &error);
	}
	cgi->start = true;
	cgi->status = 200;
	cgi->answer = json_object();
	json_object_set_new(cgi->answer, "ok", json_true());
	json_object_set_new(cgi->answer, "started", json_true());
	return true;
}

static bool
look_at_cron(const struct conf *conf, bool *stopped, struct error *error)
{
	const char *command = NULL;
	struct db *db = NULL;
	bool ok = db_open(&db, conf, DB_READ, error) &&
	    check_cron(db, conf, clock_now(), &command, error);

	db_close(db);
	*stopped = ok && command != NULL;
	if (*stopped)
		prog_say("cron stands still: %s ran before, and no more; see "
			 "automate-check",
		    command);
	return ok;
}

/* A database that is not there yet is made by the first who has to write. */
static bool
tell_health(struct cgi *cgi)
{
	const char *path = cgi->conf.database_path;
	const bool there = access(path, F_OK) == 0 || errno != ENOENT;
	struct error error = {0};
	bool stopped = false;

	if (there && access(path, R_OK | W_OK) == -1) {
		error_set(&error, ERROR_RETRY, "%s: %s", path, strerror(errno));
		return refuse_error(cgi, &error);
	}
	if (there && !look_at_cron(&cgi->conf, &stopped, &error))
		return refuse_error(cgi, &error);
	if (stopped)
		return refuse(cgi, 503, "cron stands still");
	cgi->status = 200;
	cgi->answer = json_object();
	json_object_set_new(cgi->answer, "ok", json_true());
	return true;
}

static bool
take_way(struct cgi *cgi)
{
	cgi->output.max = OUTPUT_MAX;
	switch (cgi->route->way) {
	case CGI_TAKE: return take_documents(cgi);
	case CGI_RUN: return run_command(cgi);
	case CGI_START: return start_command(cgi);
	default: return tell_health(cgi);
	}
}

/*
 * Around it.
 */

/*
 * Of several requests at once one has deliveries started, a moment later and
 * for all of them: who finds the lock taken, here or before it forks, has
 * committed before the one who has it looks for what is due.
 */
static bool
gather(const void *data)
{
	const struct timespec moment = {0, GATHER_NS};
	struct error error;

	if (!file_lock(data, STARTING, &error))
		return false;
	nanosleep(&moment, NULL);
	return true;
}

static bool
serve(struct cgi *cgi, const struct cgi_route *routes)
{
	struct error error = {0};

	cgi->browser = strstr(variable("HTTP_ACCEPT"), "text/html") != NULL;
	if (!find_route(cgi, routes) || !check_method(cgi))
		return false;
	if (!prog_ready(&cgi->conf, &error))
		return refuse_error(cgi, &error);
	return take_body(cgi) && authorise(cgi) && take_way(cgi);
}

static void
follow(const struct cgi *cgi)
{
	unsetenv("GATEWAY_INTERFACE");
	clean_environment();
	if (cgi->start)
		child_detach(cgi->route->command, NULL, NULL, NULL);
	if (cgi->due && !file_is_locked(cgi->conf.database_path, STARTING))
		child_detach("automate-deliver", "--quiet", gather,
		    cgi->conf.database_path);
}

bool
cgi_asked(void)
{
	return getenv("REQUEST_METHOD") != NULL ||
	    getenv("GATEWAY_INTERFACE") != NULL;
}

void
cgi_serve(const struct cgi_route *routes)
{
	struct cgi cgi = {0};

	complete_environment();
	serve(&cgi, routes);
	/* A server ends whoever is still there when it has the answer. */
	signal(SIGTERM, SIG_IGN);
	write_answer(&cgi);
	close(STDOUT_FILENO);
	close(STDIN_FILENO);
	follow(&cgi);
	json_decref(cgi.answer);
	free(cgi.location);
	buf_release(&cgi.body);
	buf_release(&cgi.output);
	conf_release(&cgi.conf);
}
