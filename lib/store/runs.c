#include "store/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/file.h"

struct run {
	struct db *db;
	int fd;
	int64_t id;
};

/* Commands with a run of their own; a command's place is its byte. */
static const char *const commands[] = {"deliver", "dunning", "reconcile",
    "reconcile-today", "sweep", "check", "digest"};

static off_t
byte_of(const char *command)
{
	off_t i;

	for (i = 0; i < (off_t)(sizeof(commands) / sizeof(commands[0])); i++)
		if (strcmp(commands[i], command) == 0)
			return i;
	return i;
}

static enum run_answer
take_lock(struct run *run, const struct conf *conf, const char *command,
    struct error *error)
{
	char *path = mem_format("%s-runs", conf->database_path);
	struct flock lock = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = byte_of(command),
	    .l_len = 1};
	enum run_answer answer = RUN_BEGUN;

	run->fd = file_open(path);
	if (run->fd == -1) {
		error_set(error, ERROR_CONF, "%s: %s", path, strerror(errno));
		answer = RUN_FAILED;
	} else if (fcntl(run->fd, F_SETLK, &lock) == -1) {
		answer = errno == EACCES || errno == EAGAIN ? RUN_ELSEWHERE
							    : RUN_FAILED;
		error_set(error, ERROR_RETRY, "%s: %s", path, strerror(errno));
	}
	free(path);
	return answer;
}

static bool
write_begin(
    struct run *run, const char *command, int64_t now, struct error *error)
{
	struct db_rows *rows = db_query(run->db,
	    "INSERT INTO runs (command, started_at) VALUES ($1, $2) "
	    "RETURNING id",
	    "ti", command, now);

	if (db_next(rows))
		run->id = db_int(rows, 0);
	return db_done(rows, error);
}

static void
run_free(struct run *run)
{
	if (run->fd != -1)
		close(run->fd);
	free(run);
}

enum run_answer
run_begin(struct run **result, const struct conf *conf, struct db *db,
    const char *command, int64_t now, struct error *error)
{
	struct run *run = mem_alloc(sizeof(*run));
	enum run_answer answer;

	*result = NULL;
	run->db = db;
	run->fd = -1;
	answer = take_lock(run, conf, command, error);
	if (answer == RUN_BEGUN && db != NULL &&
	    !write_begin(run, command, now, error))
		answer = RUN_FAILED;
	if (answer == RUN_BEGUN)
		*result = run;
	else
		run_free(run);
	return answer;
}

int64_t
run_id(const struct run *run)
{
	return run != NULL ? run->id : 0;
}

bool
run_end(struct run *run, int status, const char *summary, int64_t now,
    struct error *error)
{
	bool ok = true;

	if (run == NULL)
		return true;
	if (run->db != NULL)
		ok = db_run(run->db, error,
		    "UPDATE runs SET ended_at = $2, status = $3, summary = $4 "
		    "WHERE id = $1",
		    "iiit", run->id, now, (int64_t)status, summary);
	run_free(run);
	return ok;
}

bool
run_note(struct db *db, const char *command, int64_t started_at, int status,
    int64_t now, struct error *error)
{
	if (!db_run(db, error,
		"UPDATE runs SET started_at = $2, ended_at = $3, status = $4 "
		"WHERE command = $1",
		"tiii", command, started_at, now, (int64_t)status))
		return false;
	return db_changes(db) > 0 ||
	    db_run(db, error,
		"INSERT INTO runs (command, started_at, ended_at, status) "
		"VALUES ($1, $2, $3, $4)",
		"tiii", command, started_at, now, (int64_t)status);
}
