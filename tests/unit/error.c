/*
 * Errors, and the one that is not returned: memory that is exhausted.
 */
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "base/mem.h"

static void
test_set(void)
{
	struct error error = {0};
	char long_text[2 * ERROR_TEXT_MAX];

	ok(!error_set(&error, ERROR_DATA, "field \"%s\"", "id"),
	    "false always");
	is_text(error.text, "field \"id\"", "with its words");
	is_int(error.kind, ERROR_DATA, "and its kind");
	ok(!error_set(NULL, ERROR_DATA, "x"), "also where nobody asks");

	error_set(&error, ERROR_RETRY, "a\nb\033[31m\x7f\r\t\xC3\xA9");
	is_text(error.text, "a?b?[31m???\xC3\xA9",
	    "nothing in it drives a terminal or begins a line");

	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	error_set(&error, ERROR_BUG, "%s", long_text);
	is_int((int64_t)strlen(error.text), ERROR_TEXT_MAX - 1, "it is cut");
}

static void
test_at(void)
{
	struct error error = {0};

	error_set(&error, ERROR_CONF, "no such key");
	ok(!error_at(&error, "line %d", 3), "false always");
	error_at(&error, "%s", "automate.yaml");
	is_text(error.text, "automate.yaml: line 3: no such key", "where");
	is_int(error.kind, ERROR_CONF, "of the same kind");
	ok(!error_at(NULL, "x"), "also where nobody asks");
}

static void
test_status(void)
{
	static const struct {
		enum error_kind kind;
		int status;
		const char *name;
	} rows[] = {{ERROR_NONE, 0, "done"}, {ERROR_NO, 1, "no"},
	    {ERROR_USAGE, 64, "usage"}, {ERROR_DATA, 65, "refused"},
	    {ERROR_PROVIDER, 69, "a provider said no"}, {ERROR_BUG, 70, "ours"},
	    {ERROR_RETRY, 75, "not now"}, {ERROR_AUTH, 77, "signature"},
	    {ERROR_CONF, 78, "configuration"}};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_int(
		    error_status(rows[i].kind), rows[i].status, rows[i].name);
}

static void
ask_for_too_much(void)
{
	free(mem_resize(NULL, SIZE_MAX / 2, 3));
}

/* The exit status of a process that does so; -1: it is not told. */
static int
status_of_asking(void)
{
	int status, silence;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		silence = open("/dev/null", O_WRONLY);
		dup2(silence, STDERR_FILENO);
		ask_for_too_much();
		_exit(0);
	}
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_memory(void)
{
	char *text = mem_copy("one");

	mem_replace(&text, text + 1);
	is_text(text, "ne", "a text replaced by a part of its own");
	mem_replace(&text, NULL);
	ok(text == NULL && mem_copy(NULL) == NULL, "by none");
	is_int(status_of_asking(), 75,
	    "a size that wraps ends the process with \"not now\"");
}

int
main(void)
{
	test_set();
	test_at();
	test_status();
	test_memory();
	return tap_end();
}
