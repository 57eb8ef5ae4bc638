/*
 * stripe-get: one read through lib/net/stripe, for tests.
 *
 *	stripe-get PATH [NAME VALUE]...
 *
 * Prints the object, or "absent"; ends as a command would.
 */
#include "net/stripe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static void
print(enum stripe_answer answer, const json_t *object)
{
	char *text;

	if (answer == STRIPE_ABSENT)
		puts("absent");
	if (answer != STRIPE_FOUND)
		return;
	text = json_compact(object);
	puts(text);
	free(text);
}

int
main(int argc, char *argv[])
{
	struct conf conf = {0};
	struct stripe *stripe = NULL;
	struct error error = {0};
	enum stripe_answer answer;
	json_t *object = NULL;

	if (argc < 2 || argc % 2 != 0) {
		fputs("usage: stripe-get PATH [NAME VALUE]...\n", stderr);
		return 64;
	}
	if (conf_load(&conf, NULL, &error) &&
	    stripe_open(&stripe, &conf, &error)) {
		answer = stripe_get(stripe, argv[1],
		    (const char *const *)&argv[2], &object, &error);
		print(answer, object);
	}
	if (error.kind != ERROR_NONE)
		fprintf(stderr, "stripe-get: %s\n", error.text);
	json_decref(object);
	stripe_close(stripe);
	conf_release(&conf);
	return error_status(error.kind);
}
