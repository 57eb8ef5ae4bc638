#include "base/pace.h"

#include "../tap.h"

#define SECOND INT64_C(1000000)

/* How many leave in ten seconds, of who looks every step_us. */
static int64_t
count(int64_t rate_per_minute, int64_t step_us)
{
	int64_t now, next = 0, left = 0;

	for (now = 1000 * SECOND; now < 1010 * SECOND; now += step_us)
		while (next <= now && left < 100000) {
			next = pace_next(next, rate_per_minute, now);
			left++;
		}
	return left;
}

int
main(void)
{
	is_int(pace_next(0, 60, 5 * SECOND), 6 * SECOND,
	    "after a long rest one leaves, the next a second later");
	is_int(pace_next(7 * SECOND, 60, 7 * SECOND), 8 * SECOND,
	    "a slow rate is kept from one to the next");
	is_int(pace_next(7 * SECOND, 60, 8 * SECOND + 1), 9 * SECOND + 1,
	    "and makes up for nothing");
	is_int(count(60, 1000), 10, "one a second");
	ok(count(30000, 1000) >= 5000 && count(30000, 1000) <= 5051,
	    "500 a second, looked at each millisecond");
	ok(count(30000, 7000) >= 4950 && count(30000, 7000) <= 5051,
	    "and each seven");
	ok(count(120000, 1000) >= 20000 && count(120000, 1000) <= 20201,
	    "more than one a millisecond");
	is_int(count(0, 1000), 100000, "no rate is no limit");
	return tap_end();
}
