#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SHARED_LETTERS "c:nqvhV"

struct prog prog;
static const char *usage_line;
static const char *now_text;

/* A missing descriptor 0 to 2 would be the database's number next. */
static void
open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void
prog_start(const char *name, const char *usage, char *argv[])
{
	static const struct rlimit none = {0, 0};
	const char *slash = argv[0] != NULL ? strrchr(argv[0], '/') : NULL;

	open_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_CORE, &none);
	prog.name = name;
	usage_line = usage;
	if (slash != NULL)
		prog.directory =
		    mem_copy_bytes(argv[0], (size_t)(slash - argv[0]));
}

void
prog_usage(void)
{
	fprintf(stderr, "usage: %s %s\n", prog.name, usage_line);
	exit(error_status(ERROR_USAGE));
}

static void
help(void)
{
	printf(
	    "usage: %s %s\n\n"
	    "  -c, --config FILE  the configuration; see automate.yaml(5)\n"
	    "  -n, --dry-run      say what would be done and keep nothing\n"
	    "      --now TIME     take TIME (RFC 3339) for the present\n"
	    "      --later        leave sending to the next automate-deliver\n"
	    "      --json         one JSON object a line where there is a table\n"
	    "  -q, --quiet        only errors on standard error\n"
	    "  -v, --verbose      more on standard error\n"
	    "  -h, --help         this text; all options: man %s\n"
	    "  -V, --version      the version\n",
	    prog.name, usage_line, prog.name);
	exit(prog_end(NULL));
}

static bool
take_shared(int ch)
{
	switch (ch) {
	case 'c': prog.config = optarg; return true;
	case 'n': prog.dry_run = true; return true;
	case 'q': prog.quiet = true; return true;
	case 'v': prog.verbose = true; return true;
	case PROG_NOW: now_text = optarg; return true;
	case PROG_LATER: prog.later = true; return true;
	case PROG_JSON: prog.json = true; return true;
	case 'h': help(); return true;
	case 'V': printf("%s %s\n", prog.name, VERSION); exit(prog_end(NULL));
	default: return false;
	}
}

int
prog_getopt(
    int argc, char *argv[], const char *letters, const struct option *options)
{
	char all[64];
	int ch;

	snprintf(all, sizeof(all), "%s%s", SHARED_LETTERS, letters);
	do
		ch = getopt_long(argc, argv, all, options, NULL);
	while (ch != -1 && take_shared(ch));
	if (ch == '?')
		prog_usage();
	return ch;
}

bool
prog_ready(struct conf *conf, struct error *error)
{
	const char *text = now_text != NULL ? now_text : getenv("AUTOMATE_NOW");
	int64_t now;

	if (text != NULL && text[0] != '\0') {
		if (!clock_parse(&now, text, error)) {
			error->kind = ERROR_USAGE;
			return error_at(error, "--now");
		}
		clock_set(now);
	}
	return conf_load(conf, prog.config, error);
}

bool
prog_unique(char unique[PROG_UNIQUE_SIZE], struct error *error)
{
	uint64_t dice;

	if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		return error_set(error, ERROR_RETRY, "no random numbers");
	snprintf(unique, PROG_UNIQUE_SIZE, "%016" PRIx64, dice);
	return true;
}

static void
say(const char *format, va_list arguments)
{
	char line[ERROR_TEXT_MAX];

	vsnprintf(line, sizeof(line), format, arguments);
	fprintf(stderr, "%s: %s\n", prog.name, line);
}

const char *
prog_user(void)
{
	const char *name = getenv("LOGNAME");

	if (name == NULL || name[0] == '\0')
		name = getlogin();
	return name != NULL ? name : prog.name;
}

void
prog_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void
prog_note(const char *format, ...)
{
	va_list arguments;

	if (prog.quiet)
		return;
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

int
prog_end(const struct error *error)
{
	struct error last = {0};

	if (error == NULL && (fflush(stdout) != 0 || ferror(stdout))) {
		error_set(&last, ERROR_RETRY, "cannot write the output: %s",
		    strerror(errno));
		error = &last;
	}
	if (error == NULL)
		return 0;
	fflush(stdout);
	if (error->text[0] != '\0')
		prog_say("%s", error->text);
	return error_status(error->kind);
}
