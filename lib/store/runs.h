#ifndef STORE_RUNS_H
#define STORE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "store/db.h"

/*
 * Cron's runs: one at a time of each command, each with a row that says when it
 * began, when it ended and how.
 */
struct run;

enum run_answer {
	RUN_BEGUN,
	RUN_ELSEWHERE, /* another process is at it */
	RUN_FAILED
};

/*
 * Take the command's lock, a byte of the file "<database>-runs" that the kernel
 * gives back when the process ends, however it ends; then write the row. A row
 * that was begun and never ended is one that was killed. With db NULL (a dry
 * run) only the lock is taken.
 */
enum run_answer
run_begin(struct run **, const struct conf *, struct db *, const char *command,
    int64_t now, struct error *) __attribute__((warn_unused_result));

/* The number of its row; 0 of a NULL run, and of one without a row. */
int64_t run_id(const struct run *);

/*
 * Write how it ended: exit status, and a summary as JSON (may be NULL). Gives
 * the lock back in any case. Harmless on a NULL run.
 */
bool run_end(struct run *, int status, const char *summary, int64_t now,
    struct error *) __attribute__((warn_unused_result));

/*
 * The same for a command that runs every minute, and beside itself: one row in
 * all, that of its latest run, written when that is over.
 */
bool run_note(struct db *, const char *command, int64_t started_at, int status,
    int64_t now, struct error *) __attribute__((warn_unused_result));

#endif
