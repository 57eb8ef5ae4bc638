/*
 * The bare program that the benchmark compares with: open the same database
 * with the same settings, commit one row, end.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	char sql[256];
	sqlite3 *db;

	if (argc != 2 || sqlite3_open(argv[1], &db) != SQLITE_OK)
		return 1;
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(db, 5000);
	snprintf(sql, sizeof(sql),
	    "PRAGMA synchronous=FULL; INSERT INTO runs (command, started_at) "
	    "VALUES ('bare', %ld)",
	    (long)getpid());
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return 1;
	return sqlite3_close(db) != SQLITE_OK;
}
