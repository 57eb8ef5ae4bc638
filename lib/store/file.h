#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <stdbool.h>

#include "base/error.h"

/*
 * The files of a database. By themselves they are their owner's alone. Where
 * several users are to share a database, such as a web server's and cron's, its
 * folder has the set-group-ID bit (chmod g+s): then what is made there belongs
 * to the folder's group, and may be read and written by it.
 */

/* Open for reading and writing, made if it is not there; -1 with errno. */
int file_open(const char *path) __attribute__((warn_unused_result));

/*
 * Lock the file "<database><suffix>", unless another process has it locked,
 * until this process ends or runs another program. ERROR_RETRY where it is
 * locked already, ERROR_CONF where it cannot be.
 */
bool file_lock(const char *database, const char *suffix, struct error *)
    __attribute__((warn_unused_result));

/* Whether another process has it locked. */
bool file_is_locked(const char *database, const char *suffix);

#endif
