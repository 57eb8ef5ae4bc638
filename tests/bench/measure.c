/*
 * measure: run commands in turns, so that a machine that drifts drifts for all
 * of them, and print for each, on a line: the median of the times from spawning
 * it to its end in microseconds, and its peak memory in KiB.
 *
 *	measure [-n runs] [-i file] [-l file] [-e NAME=file] -- command ...
 *	    [-- command ...]
 *
 * Standard input is /dev/null, or -i a file as it is, or -l each time the next
 * line of a file, for all commands of one turn the same. -e gives the next line
 * of a file as a variable of the environment. What the commands print is thrown
 * away; one that fails ends the measurement.
 *
 * This program must stay small: a child's peak memory is at least its parent's.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 8

extern char **environ;

struct command {
	char **argv;
	int64_t *took_us;
	long peak_kib;
};

static struct command commands[COMMANDS_MAX];
static int commands_count;
static const char *input_path = "/dev/null", *variable;
static FILE *input_lines, *variable_lines;
static int line_fd;

static void
die(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	exit(1);
}

static FILE *
open_lines(const char *path)
{
	FILE *file = fopen(path, "r");

	if (file == NULL)
		die(path);
	return file;
}

static ssize_t
next_line(FILE *file, char **line)
{
	static size_t room;
	ssize_t size;

	*line = NULL;
	room = 0;
	size = getline(line, &room, file);
	if (size <= 0) {
		errno = ENODATA;
		die("too few lines");
	}
	return size;
}

static void
take_lines(void)
{
	char *line;
	ssize_t size;

	if (variable_lines != NULL) {
		size = next_line(variable_lines, &line);
		line[size - 1] = '\0';
		setenv(variable, line, 1);
		free(line);
	}
	if (input_lines != NULL) {
		size = next_line(input_lines, &line);
		if (ftruncate(line_fd, 0) == -1 ||
		    pwrite(line_fd, line, (size_t)size, 0) != size)
			die("the input");
		free(line);
	}
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int
open_input(void)
{
	const int fd =
	    input_lines != NULL ? dup(line_fd) : open(input_path, O_RDONLY);

	if (fd == -1 || (input_lines != NULL && lseek(fd, 0, SEEK_SET) == -1))
		die(input_path);
	return fd;
}

static void
run(struct command *command, int turn)
{
	posix_spawn_file_actions_t actions;
	const int fd = open_input();
	struct rusage usage;
	int64_t start_us;
	pid_t process;
	int status;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_addopen(
	    &actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	start_us = now_us();
	errno = posix_spawnp(
	    &process, command->argv[0], &actions, NULL, command->argv, environ);
	if (errno != 0)
		die(command->argv[0]);
	while (wait4(process, &status, 0, &usage) == -1)
		if (errno != EINTR)
			die("wait4");
	command->took_us[turn] = now_us() - start_us;
	if (status != 0) {
		fprintf(stderr, "measure: %s failed\n", command->argv[0]);
		exit(1);
	}
	if (usage.ru_maxrss > command->peak_kib)
		command->peak_kib = usage.ru_maxrss;
	posix_spawn_file_actions_destroy(&actions);
	close(fd);
}

static int
compare(const void *one, const void *other)
{
	const int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

	return (a > b) - (a < b);
}

static void
take_commands(char *argv[], int runs)
{
	struct command *command;

	while (*argv != NULL && commands_count < COMMANDS_MAX) {
		command = &commands[commands_count++];
		command->argv = argv;
		command->took_us = calloc((size_t)runs, sizeof(int64_t));
		if (command->took_us == NULL)
			die("memory");
		while (*argv != NULL && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv != NULL)
			*argv++ = NULL;
	}
}

static void
set_variable(char *text)
{
	char *path = strchr(text, '=');

	if (path == NULL) {
		errno = EINVAL;
		die(text);
	}
	*path++ = '\0';
	variable = text;
	variable_lines = open_lines(path);
}

static void
set_input_lines(const char *path)
{
	FILE *file = tmpfile();

	if (file == NULL)
		die("a temporary file");
	line_fd = fileno(file);
	input_lines = open_lines(path);
}

int
main(int argc, char *argv[])
{
	int ch, i, turn, runs = 1;

	while ((ch = getopt(argc, argv, "n:i:l:e:")) != -1)
		switch (ch) {
		case 'n': runs = atoi(optarg); break;
		case 'i': input_path = optarg; break;
		case 'l': set_input_lines(optarg); break;
		case 'e': set_variable(optarg); break;
		default: return 64;
		}
	if (runs < 1 || optind >= argc)
		return 64;
	take_commands(argv + optind, runs);
	for (turn = 0; turn < runs; turn++) {
		take_lines();
		for (i = 0; i < commands_count; i++)
			run(&commands[i], turn);
	}
	for (i = 0; i < commands_count; i++) {
		qsort(commands[i].took_us, (size_t)runs, sizeof(int64_t),
		    compare);
		printf("%lld %ld\n", (long long)commands[i].took_us[runs / 2],
		    commands[i].peak_kib);
	}
	return 0;
}
