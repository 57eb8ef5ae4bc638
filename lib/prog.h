#ifndef PROG_H
#define PROG_H

#include <getopt.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * Start and end of a command: its name, its standard descriptors, the options
 * that all commands share, and the exit status that an error becomes.
 *
 *	static const struct option options[] = {
 *	    PROG_OPTIONS, {"key", required_argument, NULL, 'k'}, {0}};
 *
 *	prog_start("automate-x", "[options] [-k key] <document", argv);
 *	while ((ch = prog_getopt(argc, argv, "k:", options)) != -1)
 *		switch (ch) {
 *		case 'k': key = optarg; break;
 *		}
 *	ok = prog_ready(&conf, &error) && …;
 *	return prog_end(ok ? NULL : &error);
 */
#define PROG_OPTIONS                                                           \
	{"config", required_argument, NULL, 'c'},                              \
	    {"dry-run", no_argument, NULL, 'n'},                               \
	    {"now", required_argument, NULL, PROG_NOW},                        \
	    {"later", no_argument, NULL, PROG_LATER},                          \
	    {"quiet", no_argument, NULL, 'q'},                                 \
	    {"verbose", no_argument, NULL, 'v'},                               \
	    {"json", no_argument, NULL, PROG_JSON},                            \
	    {"help", no_argument, NULL, 'h'},                                  \
	{                                                                      \
		"version", no_argument, NULL, 'V'                              \
	}

enum { PROG_NOW = 0x100, PROG_LATER, PROG_JSON, PROG_OWN };

/* The shared options as given. Read-only to commands. */
struct prog {
	const char *name;
	const char *directory; /* of the running binary; NULL: search PATH */
	const char *config;
	bool dry_run, later, quiet, verbose, json;
};
extern struct prog prog;

/* Name, usage line (without the name) and argv; ignores SIGPIPE, makes sure
 * that descriptors 0 to 2 are open, allows no core file. */
void prog_start(const char *name, const char *usage, char *argv[]);

/*
 * getopt_long(3) over the shared options and a command's own letters, which
 * are returned. Handles the shared ones itself; a wrong one ends the process
 * with the usage and 64.
 */
int prog_getopt(
    int argc, char *argv[], const char *letters, const struct option *options);

/* Say the usage and end with 64. */
void prog_usage(void) __attribute__((noreturn));

/* Set the clock from --now or $AUTOMATE_NOW, then load the configuration. */
bool
prog_ready(struct conf *, struct error *) __attribute__((warn_unused_result));

/* A word that nobody else has, for the id of what has none of its own. */
#define PROG_UNIQUE_SIZE 17
bool prog_unique(char unique[PROG_UNIQUE_SIZE], struct error *)
    __attribute__((warn_unused_result));

/* Who has run it, by login name; the command itself where nobody has. */
const char *prog_user(void);

/* One line "NAME: …" on standard error; prog_note() not with -q. */
void prog_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void prog_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Flush standard output; a failure there is an error like any other. Say the
 * error, if one is given, and return the exit status.
 */
int prog_end(const struct error *);

#endif
