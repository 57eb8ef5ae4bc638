#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * TAP for unit programs: ok() a fact with its name, is_text() and is_int() a
 * value with what it should be, and return tap_end() from main().
 */
static int tap_count, tap_failed;

static inline bool
ok(bool fact, const char *format, ...)
{
	va_list arguments;

	printf("%sok %d - ", fact ? "" : "not ", ++tap_count);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	tap_failed += !fact;
	return fact;
}

static inline bool
is_text(const char *got, const char *wanted, const char *name)
{
	bool same = got == wanted ||
	    (got != NULL && wanted != NULL && strcmp(got, wanted) == 0);

	ok(same, "%s", name);
	if (!same)
		printf("#    got: %s\n# wanted: %s\n", got ? got : "(null)",
		    wanted ? wanted : "(null)");
	return same;
}

static inline bool
is_int(int64_t got, int64_t wanted, const char *name)
{
	ok(got == wanted, "%s", name);
	if (got != wanted)
		printf("#    got: %" PRId64 "\n# wanted: %" PRId64 "\n", got,
		    wanted);
	return got == wanted;
}

static inline int
tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
