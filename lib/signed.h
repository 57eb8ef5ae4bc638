#ifndef SIGNED_H
#define SIGNED_H

#include "intake.h"

/*
 * All of a command that takes in what its sender has signed: its name, the
 * variable in which a web server hands over the signature, whose rules, and
 * what main() was given. --signature stands in for the variable; --unsigned
 * takes batches of what we fetched with our own key, and is refused under CGI.
 * Returns the exit status.
 */
int signed_command(const char *name, const char *variable,
    const struct intake_rules *, int argc, char *argv[]);

#endif
