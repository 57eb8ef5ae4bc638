#ifndef TESTS_RECEIVER_H
#define TESTS_RECEIVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

/*
 * The receiver, tests/httpd.c, for unit programs: receiver_start() first, at
 * the top of the tree; from then on the program is in a folder of its own,
 * which goes at its end.
 */
static char receiver_folder[] = "/tmp/automate-unit-XXXXXX";
static char *receiver_top; /* where we were */
static pid_t receiver_pid;
static int port;

/* What has to be for a test to mean anything. */
static inline void
must(bool fact, const char *what)
{
	if (fact)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

/* What the receiver answers from now on. */
static inline void
script(const char *text)
{
	FILE *file = fopen("script.new", "w");

	must(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 &&
		rename("script.new", "script") == 0,
	    "cannot write the script");
	if (receiver_pid > 0)
		kill(receiver_pid, SIGHUP);
}

static inline void
receiver_end(void)
{
	char *command = mem_format("rm -rf %s", receiver_folder);

	if (receiver_pid > 0)
		kill(receiver_pid, SIGTERM);
	if (chdir("/") == -1 || system(command) != 0)
		printf("# %s remains\n", receiver_folder);
	free(command);
	free(receiver_top);
}

static inline void
receiver_start(void)
{
	const char *name = getenv("BUILD");
	char *build = realpath(name != NULL ? name : "build", NULL), *command;
	FILE *pipe, *file;
	long pid = 0;

	receiver_top = realpath(".", NULL);
	must(build != NULL && receiver_top != NULL, "no build directory");
	must(mkdtemp(receiver_folder) != NULL && chdir(receiver_folder) == 0,
	    "no scratch");
	atexit(receiver_end);
	command = mem_format(
	    "%s/tests/httpd -d -r requests -p port -s script", build);
	script("");
	pipe = popen(command, "r");
	must(pipe != NULL && fscanf(pipe, "%ld", &pid) == 1, command);
	pclose(pipe);
	receiver_pid = (pid_t)pid;
	file = fopen("port", "r");
	must(file != NULL && fscanf(file, "%d", &port) == 1, "no port");
	fclose(file);
	free(command);
	free(build);
}

/* A file, as it is. */
static inline void
read_file(struct buf *text, const char *path)
{
	struct error error = {0};
	FILE *file = fopen(path, "r");

	must(file != NULL, path);
	must(buf_read(text, fileno(file), &error), error.text);
	fclose(file);
}

/* A line of a script: the path answers with a file of tests/data. */
static inline void
add_answer(struct buf *text, const char *path, int status, const char *name)
{
	char *file = mem_format("%s/tests/data/%s", receiver_top, name);
	struct buf body = BUF_INIT(1024 * 1024);
	size_t i;

	read_file(&body, file);
	buf_format(text, "%s %d body=", path, status);
	for (i = 0; i < body.size; i++)
		if (body.data[i] == '\\')
			buf_text(text, "\\\\");
		else if (body.data[i] == '\n')
			buf_text(text, "\\n");
		else
			buf_byte(text, body.data[i]);
	buf_byte(text, '\n');
	buf_release(&body);
	free(file);
}

/* How often the text stands in what was received. */
static inline int
count_requests(const char *text)
{
	struct buf requests = BUF_INIT(64 * 1024 * 1024);
	const char *p;
	int count = 0;

	read_file(&requests, "requests");
	for (p = buf_string(&requests); (p = strstr(p, text)) != NULL; p++)
		count++;
	buf_release(&requests);
	return count;
}

/* The last request, one line as httpd.c writes it, behind what was before. */
static inline const char *
last_request(struct buf *requests)
{
	const char *p, *last = "";

	read_file(requests, "requests");
	for (p = buf_string(requests); (p = strstr(p, "{\"n\":")) != NULL; p++)
		last = p;
	return last;
}

/* It has the text, as it is written there. */
static inline bool
received(const char *text)
{
	struct buf requests = BUF_INIT(64 * 1024 * 1024);
	bool found = strstr(last_request(&requests), text) != NULL;

	buf_release(&requests);
	return found;
}

/* What is at a path of it (base/json.h), "body" or "headers.host", to free. */
static inline char *
received_at(const char *path)
{
	struct buf requests = BUF_INIT(64 * 1024 * 1024);
	const char *last = last_request(&requests);
	json_t *request = NULL;
	char *text;

	must(json_parse(&request, last, strlen(last), NULL), "no request");
	text = mem_copy(json_text(request, path));
	json_decref(request);
	buf_release(&requests);
	return text;
}

/* A listening socket; its port. */
static inline int
listen_anywhere(int *fd)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*fd = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(*fd, (struct sockaddr *)&address, size) == 0 &&
		listen(*fd, 5) == 0 &&
		getsockname(*fd, (struct sockaddr *)&address, &size) == 0,
	    "cannot listen");
	return ntohs(address.sin_port);
}

#endif
