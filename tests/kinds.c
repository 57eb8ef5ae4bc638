/*
 * kinds: print the kinds of alerts that this software raises, for tests: kind,
 * severity, title and next command (or -), a tab between them, one a line.
 */
#include <stdio.h>

#include "decide/alert.h"

int
main(void)
{
	const struct alert_kind *kind;

	for (kind = alert_kinds; kind->kind != NULL; kind++)
		printf("%s\t%s\t%s\t%s\n", kind->kind, kind->severity,
		    kind->title,
		    kind->next_command != NULL ? kind->next_command : "-");
	return 0;
}
