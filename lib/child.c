#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prog.h"

#define CHUNK 65536
#define DESCRIPTORS_MAX 1024 /* closed in what is detached */

extern char **environ;

/* Where the running binary is, through any links; else as it was called. */
static char *
own_folder(void)
{
	char path[4096];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (size <= 0)
		return mem_copy(prog.directory);
	path[size] = '\0';
	slash = strrchr(path, '/');
	return slash != NULL ? mem_copy_bytes(path, (size_t)(slash - path))
			     : mem_copy(prog.directory);
}

/* Its path; or its name, to be looked for in PATH. */
static char *
find(const char *command)
{
	char *folder = own_folder(), *path;

	if (folder == NULL)
		return mem_copy(command);
	path = mem_format("%s/%s", folder, command);
	if (access(path, X_OK) == -1)
		mem_replace(&path, command);
	free(folder);
	return path;
}

bool
child_exists(const char *command)
{
	char *path = find(command), *list, *folder, *next;
	bool found = strchr(path, '/') != NULL;

	list = mem_copy(getenv("PATH"));
	for (folder = list; !found && folder != NULL; folder = next) {
		next = strchr(folder, ':');
		if (next != NULL)
			*next++ = '\0';
		free(path);
		path = mem_format("%s/%s", folder, command);
		found = access(path, X_OK) == 0;
	}
	free(path);
	free(list);
	return found;
}

/*
 * Running and collecting.
 */

static bool
spawn(pid_t *pid, const char *command, const char *argument, int input,
    int output, struct error *error)
{
	char *path = find(command);
	const char *words[] = {path, argument, NULL};
	posix_spawn_file_actions_t actions;
	int failure;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	failure = posix_spawnp(
	    pid, path, &actions, NULL, (char *const *)words, environ);
	posix_spawn_file_actions_destroy(&actions);
	free(path);
	return failure == 0 ||
	    error_set(error,
		failure == EAGAIN || failure == ENOMEM ? ERROR_RETRY
						       : ERROR_CONF,
		"cannot start %s: %s", command, strerror(failure));
}

static void
shut(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Write what the pipe takes; close it when it has all, or its reader is gone.
 */
static void
feed(int *fd, const struct buf *input, size_t *fed)
{
	ssize_t size = write(*fd, input->data + *fed, input->size - *fed);

	if (size > 0)
		*fed += (size_t)size;
	if (*fed == input->size ||
	    (size == -1 && errno != EAGAIN && errno != EINTR))
		shut(fd);
}

/* False at the end. */
static bool
collect(int fd, struct buf *output)
{
	char chunk[CHUNK];
	ssize_t size = read(fd, chunk, sizeof(chunk));

	if (size > 0)
		buf_add(output, chunk, (size_t)size);
	return size > 0 || (size == -1 && errno == EINTR);
}

/* Both ways until the command closes its output; false if that takes long. */
static bool
exchange(int *to, int from, const struct buf *input, struct buf *output,
    int64_t limit_ms)
{
	const int64_t end_ms = clock_monotonic_ms() + limit_ms;
	int64_t left_ms = limit_ms;
	size_t fed = 0;

	if (input->size == 0)
		shut(to);
	while (left_ms > 0) {
		struct pollfd fds[] = {{.fd = from, .events = POLLIN},
		    {.fd = *to, .events = POLLOUT}};

		if (poll(fds, 2, (int)left_ms) > 0) {
			if (fds[1].revents != 0)
				feed(to, input, &fed);
			if (fds[0].revents != 0 && !collect(from, output))
				return true;
		}
		left_ms = end_ms - clock_monotonic_ms();
	}
	return false;
}

static bool
reap(pid_t pid, const char *command, int *status, struct error *error)
{
	int state;
	pid_t answer;

	do
		answer = waitpid(pid, &state, 0);
	while (answer == -1 && errno == EINTR);
	if (answer == -1)
		return error_set(error, ERROR_RETRY, "%s: no exit status: %s",
		    command, strerror(errno));
	if (!WIFEXITED(state))
		return error_set(error, ERROR_RETRY, "%s: ended by signal %d",
		    command, WTERMSIG(state));
	*status = WEXITSTATUS(state);
	return true;
}

static bool
talk(const char *command, const char *argument, int pipes[2][2],
    const struct buf *input, struct buf *output, int64_t limit_ms, int *status,
    struct error *error)
{
	pid_t pid;

	if (!spawn(&pid, command, argument, pipes[0][0], pipes[1][1], error))
		return false;
	shut(&pipes[0][0]);
	shut(&pipes[1][1]);
	fcntl(pipes[0][1], F_SETFL, O_NONBLOCK);
	if (exchange(&pipes[0][1], pipes[1][0], input, output, limit_ms)) {
		shut(&pipes[0][1]);
		return reap(pid, command, status, error);
	}
	kill(pid, SIGKILL);
	(void)reap(pid, command, status, error);
	return error_set(error, ERROR_RETRY,
	    "%s: not done within %lld s and ended", command,
	    (long long)limit_ms / 1000);
}

static bool
make_pipe(int fds[2], struct error *error)
{
	if (pipe(fds) == -1)
		return error_set(
		    error, ERROR_RETRY, "no pipe: %s", strerror(errno));
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	return true;
}

bool
child_run(const char *command, const char *argument, const struct buf *input,
    struct buf *output, int64_t limit_ms, int *status, struct error *error)
{
	int pipes[2][2] = {{-1, -1}, {-1, -1}};
	bool ok;
	int i;

	/* A server may ignore it, and then there would be no exit status. */
	signal(SIGCHLD, SIG_DFL);
	ok = make_pipe(pipes[0], error) && make_pipe(pipes[1], error) &&
	    talk(command, argument, pipes, input, output, limit_ms, status,
		error);
	for (i = 0; i < 2; i++) {
		shut(&pipes[i][0]);
		shut(&pipes[i][1]);
	}
	return ok;
}

/*
 * Letting go.
 */

static void
drop_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR), i;

	for (i = 0; i <= STDERR_FILENO; i++)
		if (fd != i)
			dup2(fd, i);
	for (i = STDERR_FILENO + 1; i < DESCRIPTORS_MAX; i++)
		close(i);
}

void
child_detach(const char *command, const char *argument, child_before *before,
    const void *data)
{
	pid_t pid = fork();
	const char *words[] = {NULL, argument, NULL};

	if (pid > 0)
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
	if (pid != 0)
		return;
	signal(SIGTERM, SIG_DFL);
	drop_descriptors();
	setsid();
	if (fork() != 0)
		_exit(0);
	if (before == NULL || before(data)) {
		words[0] = find(command);
		execvp(words[0], (char *const *)words);
	}
	_exit(0);
}
