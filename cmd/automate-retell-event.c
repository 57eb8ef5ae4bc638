/*
 * automate-retell-event: verify one signed event of Retell on standard input
 * and record what it says of a call, once.
 */
#include "rules.h"
#include "signed.h"

int
main(int argc, char *argv[])
{
	return signed_command("automate-retell-event",
	    "HTTP_X_RETELL_SIGNATURE", &rules_retell, argc, argv);
}
