#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Other commands of ours as processes. A command is looked for beside the
 * running binary, then in PATH.
 */

/* Whether there is such a command. */
bool child_exists(const char *command);

/*
 * Run "COMMAND ARGUMENT" (NULL: none) with the input on its standard input and
 * take what it prints, up to the output's maximum. True with its exit status.
 * ERROR_CONF where it cannot be started for good, ERROR_RETRY where it cannot
 * be now, was killed by a signal, or was not done within limit_ms, upon which
 * we kill it.
 */
bool child_run(const char *command, const char *argument,
    const struct buf *input, struct buf *output, int64_t limit_ms, int *status,
    struct error *) __attribute__((warn_unused_result));

/*
 * Start "COMMAND ARGUMENT" so that nobody waits for it: a grandchild in a
 * session of its own, without any descriptor of ours and with SIGTERM as usual.
 * before (may be NULL) is called there first; false leaves the command out.
 */
typedef bool child_before(const void *data);
void child_detach(const char *command, const char *argument, child_before *,
    const void *data);

#endif
