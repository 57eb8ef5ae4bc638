#include "store/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/file.h"

struct schema_version {
	int version;
	const char *sql;
};

#include "schema.inc"

#define VERSIONS (int)(sizeof(schema_versions) / sizeof(schema_versions[0]))
#define APPLICATION_ID 0x4175746f /* "Auto", at offset 68 of the file */
#define PARAMETERS_MAX 24
#define STATEMENTS_MAX 128
#define CACHE_KIB 16384
#define CACHE_PASSING "2048" /* KiB */
#define FRAMES_MAX 1000 /* of the journal: more are brought home at once */
#define FRAMES_LEFT_MAX 250 /* for the next process to read again */

struct db_rows {
	struct db *db;
	const char *sql; /* a literal: its address is its name */
	sqlite3_stmt *statement;
	int places[PARAMETERS_MAX]; /* SQLite's index of $1, $2 … */
	int result;
};

struct db {
	sqlite3 *handle;
	char *path;
	enum db_mode mode;
	int64_t busy_timeout_ms;
	int64_t waiting_since_ms;
	unsigned chance;
	int frames; /* in the journal, as of our latest commit */
	struct db_rows statements[STATEMENTS_MAX];
};

/* SQLite has its own word for a full disk, but not in all places. */
static bool
is_full(const struct db *db)
{
	const int cause = sqlite3_system_errno(db->handle);

	return cause == ENOSPC || cause == EDQUOT;
}

static bool
failed(const struct db *db, int result, struct error *error)
{
	const char *words = sqlite3_errmsg(db->handle);

	result &= 0xff;
	if ((result == SQLITE_IOERR || result == SQLITE_CANTOPEN) &&
	    is_full(db))
		result = SQLITE_FULL;
	switch (result) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(error, ERROR_RETRY,
		    "%s: locked by another process for longer than %lld ms; "
		    "run it again",
		    db->path, (long long)db->busy_timeout_ms);
	case SQLITE_FULL:
		return error_set(error, ERROR_RETRY,
		    "%s: the disk is full; make room and run it again",
		    db->path);
	case SQLITE_NOMEM:
	case SQLITE_IOERR:
	case SQLITE_INTERRUPT:
	case SQLITE_PROTOCOL:
		return error_set(error, ERROR_RETRY, "%s: %s", db->path, words);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return error_set(error, ERROR_CONF,
		    "%s: read-only; see to the permissions of the file and of "
		    "its folder",
		    db->path);
	case SQLITE_NOTADB:
		return error_set(error, ERROR_CONF,
		    "%s: not a database of automate; move it away or set "
		    "database.path",
		    db->path);
	case SQLITE_CORRUPT:
		return error_set(error, ERROR_CONF,
		    "%s: damaged (%s); restore the backup", db->path, words);
	case SQLITE_CANTOPEN:
		return error_set(
		    error, ERROR_CONF, "%s: cannot open: %s", db->path, words);
	default: return error_set(error, ERROR_BUG, "%s: %s", db->path, words);
	}
}

/*
 * Short random sleeps: SQLite's own handler backs off to 100 ms, which makes a
 * tail of half a second with eight writers.
 */
static int
wait_for_lock(void *context, int count)
{
	struct db *db = context;
	struct timespec pause = {0, 0};

	if (count == 0)
		db->waiting_since_ms = clock_monotonic_ms();
	if (clock_monotonic_ms() - db->waiting_since_ms >= db->busy_timeout_ms)
		return 0;
	db->chance = db->chance * 1103515245u + 12345u;
	pause.tv_nsec = 200000 + (long)(db->chance >> 16) % 2000 * 1000;
	nanosleep(&pause, NULL);
	return 1;
}

static bool
execute(struct db *db, const char *sql, struct error *error)
{
	int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return result == SQLITE_OK || failed(db, result, error);
}

static bool
pragma_int(struct db *db, const char *sql, int64_t *value, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	*value = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	return result == SQLITE_ROW || result == SQLITE_DONE ||
	    failed(db, result, error);
}

/* Refuse what is not ours, or later than we are, without touching it. */
static bool
check_version(struct db *db, int64_t *version, struct error *error)
{
	int64_t application, tables;

	if (!pragma_int(db, "PRAGMA user_version", version, error) ||
	    !pragma_int(db, "PRAGMA application_id", &application, error))
		return false;
	if (application == 0 && *version == 0) {
		if (!pragma_int(db, "SELECT count(*) FROM sqlite_schema",
			&tables, error))
			return false;
		if (tables == 0)
			return true;
	}
	if (application != APPLICATION_ID)
		return failed(db, SQLITE_NOTADB, error);
	if (*version > VERSIONS)
		return error_set(error, ERROR_CONF,
		    "%s: made by a later version of automate (schema %lld, "
		    "this one knows %d); install that one",
		    db->path, (long long)*version, VERSIONS);
	return true;
}

static bool
migrate(struct db *db, struct error *error)
{
	struct buf sql = BUF_INIT(1024);
	int64_t version;
	bool ok;
	int i;

	ok = execute(db, "BEGIN IMMEDIATE", error) &&
	    check_version(db, &version, error);
	for (i = 0; ok && i < VERSIONS; i++)
		if (schema_versions[i].version > version)
			ok = execute(db, schema_versions[i].sql, error);
	buf_format(&sql, "PRAGMA user_version=%d;PRAGMA application_id=%d",
	    VERSIONS, APPLICATION_ID);
	ok = ok && execute(db, buf_string(&sql), error) &&
	    execute(db, "COMMIT", error);
	buf_release(&sql);
	if (!ok)
		db_rollback(db);
	return ok;
}

/* Two makers of one database can block each other here past any handler. */
static bool
use_wal(struct db *db, struct error *error)
{
	const int64_t start_ms = clock_monotonic_ms();
	int result, count = 0;

	for (;;) {
		result = sqlite3_exec(
		    db->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
		if (result == SQLITE_OK)
			return true;
		if ((result & 0xff) != SQLITE_BUSY ||
		    clock_monotonic_ms() - start_ms > db->busy_timeout_ms)
			return failed(db, result, error);
		wait_for_lock(db, count++);
	}
}

/* A database in memory may be made; the one on the disk is to stay as it is. */
static bool
may_change(const struct db *db)
{
	return db->mode == DB_WRITE ||
	    (db->mode == DB_REHEARSE &&
		sqlite3_db_filename(db->handle, "main")[0] == '\0');
}

static bool
prepare_schema(struct db *db, struct error *error)
{
	int64_t version;

	if (!check_version(db, &version, error))
		return false;
	if (version == VERSIONS)
		return true;
	if (!may_change(db))
		return error_set(error, ERROR_CONF,
		    "%s: schema %lld, this version needs %d; run any command "
		    "that writes once",
		    db->path, (long long)version, VERSIONS);
	return use_wal(db, error) && migrate(db, error);
}

static bool
cannot_make(const char *what, const char *path, struct error *error)
{
	return error_set(error,
	    errno == ENOSPC || errno == EDQUOT ? ERROR_RETRY : ERROR_CONF,
	    "%s: cannot make the %s: %s", path, what, strerror(errno));
}

static bool
make_folder(const char *path, struct error *error)
{
	char *folder = mem_copy(path), *slash;
	struct stat status;
	bool ok = true;

	for (slash = strchr(folder + 1, '/'); ok && slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(folder, &status) == -1 && mkdir(folder, 0700) == -1 &&
		    errno != EEXIST)
			ok = cannot_make("folder", folder, error);
		*slash = '/';
	}
	free(folder);
	return ok;
}

/*
 * SQLite makes files with the umask's mode and gives its journals the mode of
 * the database, so it is made here, for those alone whom store/file.h allows.
 */
static bool
make_file(const struct db *db, struct error *error)
{
	int fd;

	if (db->mode == DB_READ || access(db->path, F_OK) == 0)
		return true;
	if (!make_folder(db->path, error))
		return false;
	fd = file_open(db->path);
	if (fd == -1)
		return cannot_make("database", db->path, error);
	close(fd);
	return true;
}

/* sqlite3_open_v2() has few words for what stat(2) and access(2) can tell. */
static bool
check_file(const struct db *db, struct error *error)
{
	struct stat status;

	if (stat(db->path, &status) == -1 || access(db->path, R_OK) == -1)
		return error_set(
		    error, ERROR_CONF, "%s: %s", db->path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(error, ERROR_CONF, "%s: not a file", db->path);
	if (db->mode != DB_READ && access(db->path, W_OK) == -1)
		return failed(db, SQLITE_READONLY, error);
	return true;
}

static int
note_frames(void *context, sqlite3 *handle, const char *name, int frames)
{
	struct db *db = context;

	db->frames = frames;
	if (frames >= FRAMES_MAX)
		sqlite3_wal_checkpoint_v2(
		    handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/*
 * A process that has the database to itself reads the whole journal when it
 * opens it, and cannot know what of it is in the database already, so that it
 * only ever grows. Before it costs more than it saves, it is emptied, unless
 * somebody else is at work. What was committed needs none of this.
 */
static void
empty_journal(struct db *db)
{
	if (db->frames < FRAMES_LEFT_MAX)
		return;
	sqlite3_busy_handler(db->handle, NULL, NULL);
	sqlite3_wal_checkpoint_v2(
	    db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static bool
set_up(struct db *db, struct error *error)
{
	struct buf sql = BUF_INIT(1024);
	bool ok;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_handler(db->handle, wait_for_lock, db);
	sqlite3_wal_hook(db->handle, note_frames, db);
	sqlite3_db_config(
	    db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	buf_format(&sql,
	    "PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;"
	    "PRAGMA cache_size=-%d",
	    CACHE_KIB);
	ok = execute(db, buf_string(&sql), error);
	buf_release(&sql);
	return ok;
}

/*
 * SQLite makes a cache of 20 pages for each temporary table, which costs more
 * than most statements that need one do; with no pages to begin with, it takes
 * them one by one. And it counts its memory, under a lock; nobody asks.
 */
static void
configure(void)
{
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static bool
open_handle(struct db *db, const char *path, struct error *error)
{
	int result;

	configure();
	result = sqlite3_open_v2(path, &db->handle,
	    (db->mode == DB_READ ? SQLITE_OPEN_READONLY
				 : SQLITE_OPEN_READWRITE) |
		SQLITE_OPEN_CREATE * (path[0] == ':') | SQLITE_OPEN_NOMUTEX,
	    NULL);
	return result == SQLITE_OK ? set_up(db, error)
				   : failed(db, result, error);
}

bool
db_open(struct db **result, const struct conf *conf, enum db_mode mode,
    struct error *error)
{
	struct db *db = mem_alloc(sizeof(*db));
	const char *path = conf->database_path;
	bool ok;

	*result = db;
	db->path = mem_copy(path);
	db->mode = mode;
	db->busy_timeout_ms = conf->busy_timeout_ms;
	db->chance = (unsigned)getpid() * 2654435761u;
	if (mode == DB_REHEARSE && access(path, F_OK) == -1)
		path = ":memory:";
	ok = path[0] == ':' || (make_file(db, error) && check_file(db, error));
	ok = ok && open_handle(db, path, error) && prepare_schema(db, error);
	if (!ok) {
		db_close(db);
		*result = NULL;
	}
	return ok;
}

bool
db_pass(struct db *db, struct error *error)
{
	return execute(db, "PRAGMA cache_size=-" CACHE_PASSING, error);
}

void
db_close(struct db *db)
{
	int i;

	if (db == NULL)
		return;
	for (i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(db->statements[i].statement);
	if (db->handle != NULL) {
		db_rollback(db);
		empty_journal(db);
	}
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
}

bool
db_begin(struct db *db, struct error *error)
{
	return execute(db, "BEGIN IMMEDIATE", error);
}

bool
db_commit(struct db *db, struct error *error)
{
	if (db->mode == DB_REHEARSE) {
		db_rollback(db);
		return true;
	}
	if (execute(db, "COMMIT", error))
		return true;
	db_rollback(db);
	return false;
}

void
db_rollback(struct db *db)
{
	if (db_in_transaction(db))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool
db_in_transaction(const struct db *db)
{
	return sqlite3_get_autocommit(db->handle) == 0;
}

int64_t
db_changes(const struct db *db)
{
	return sqlite3_changes64(db->handle);
}

static void
find_places(struct db_rows *rows)
{
	char name[8];
	int i;

	for (i = 0; i < PARAMETERS_MAX; i++) {
		sqlite3_snprintf(sizeof(name), name, "$%d", i + 1);
		rows->places[i] =
		    sqlite3_bind_parameter_index(rows->statement, name);
	}
}

/* The prepared statement of a literal, known by its address. */
static struct db_rows *
prepared(struct db *db, const char *sql)
{
	size_t start = ((uintptr_t)sql >> 3) % STATEMENTS_MAX, i;
	struct db_rows *rows = &db->statements[start];

	for (i = 0; i < STATEMENTS_MAX; i++) {
		rows = &db->statements[(start + i) % STATEMENTS_MAX];
		if (rows->sql == sql || rows->sql == NULL)
			break;
	}
	if (rows->sql != sql) {
		sqlite3_finalize(rows->statement);
		rows->statement = NULL;
		rows->db = db;
		rows->result = sqlite3_prepare_v3(db->handle, sql, -1,
		    SQLITE_PREPARE_PERSISTENT, &rows->statement, NULL);
		rows->sql = rows->result == SQLITE_OK ? sql : NULL;
		if (rows->sql != NULL)
			find_places(rows);
	}
	return rows;
}

static void
bind(struct db_rows *rows, const char *types, va_list arguments)
{
	const char *text;
	int64_t number;
	int i;

	for (i = 0; types[i] != '\0'; i++)
		if (types[i] == 't') {
			text = va_arg(arguments, const char *);
			rows->result = sqlite3_bind_text(rows->statement,
			    rows->places[i], text, -1, SQLITE_TRANSIENT);
		} else {
			number = va_arg(arguments, int64_t);
			rows->result = sqlite3_bind_int64(
			    rows->statement, rows->places[i], number);
		}
}

static struct db_rows *
start(struct db *db, const char *sql, const char *types, va_list arguments)
{
	struct db_rows *rows = prepared(db, sql);

	if (rows->sql != NULL) {
		sqlite3_reset(rows->statement);
		rows->result = SQLITE_OK;
		bind(rows, types, arguments);
	}
	return rows;
}

struct db_rows *
db_query(struct db *db, const char *sql, const char *types, ...)
{
	struct db_rows *rows;
	va_list arguments;

	va_start(arguments, types);
	rows = start(db, sql, types, arguments);
	va_end(arguments);
	return rows;
}

bool
db_next(struct db_rows *rows)
{
	if (rows->sql == NULL ||
	    (rows->result != SQLITE_OK && rows->result != SQLITE_ROW))
		return false;
	rows->result = sqlite3_step(rows->statement);
	return rows->result == SQLITE_ROW;
}

bool
db_done(struct db_rows *rows, struct error *error)
{
	bool ok = rows->result == SQLITE_DONE || rows->result == SQLITE_ROW ||
	    rows->result == SQLITE_OK;

	if (!ok)
		failed(rows->db, rows->result, error);
	if (rows->statement != NULL)
		sqlite3_reset(rows->statement);
	return ok;
}

bool
db_run(
    struct db *db, struct error *error, const char *sql, const char *types, ...)
{
	const bool rehearsal =
	    db->mode == DB_REHEARSE && !db_in_transaction(db);
	struct db_rows *rows;
	va_list arguments;
	bool ok;

	if (rehearsal && !db_begin(db, error))
		return false;
	va_start(arguments, types);
	rows = start(db, sql, types, arguments);
	va_end(arguments);
	db_next(rows);
	ok = db_done(rows, error);
	if (rehearsal)
		db_rollback(db);
	return ok;
}

const char *
db_text(struct db_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->statement, column);
}

int64_t
db_int(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(rows->statement, column);
}

bool
db_is_null(struct db_rows *rows, int column)
{
	return sqlite3_column_type(rows->statement, column) == SQLITE_NULL;
}

bool
db_examine(struct db *db, char **damage, struct error *error)
{
	struct db_rows *rows = db_query(db, "PRAGMA quick_check(1)", "");

	*damage = NULL;
	if (db_next(rows) && strcmp(db_text(rows, 0), "ok") != 0)
		*damage = mem_copy(db_text(rows, 0));
	if (db_done(rows, error))
		return true;
	free(*damage);
	*damage = NULL;
	return false;
}
