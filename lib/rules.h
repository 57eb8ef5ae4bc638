#ifndef RULES_H
#define RULES_H

#include "intake.h"

/*
 * Those who send us documents, and how these are taken in: once for commands
 * and for automate-cgi. Who signs has a file of its own (rules_signed.c), since
 * it takes nettle to verify that, which commands for the others do not load.
 */
extern const struct intake_rules rules_organization, rules_alert;
extern const struct intake_rules rules_stripe, rules_retell;

#endif
