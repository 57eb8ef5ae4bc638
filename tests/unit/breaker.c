#include "decide/breaker.h"

#include "../tap.h"

#define NOW 1795000000

/* Fail that often at that moment; the last change. */
static enum breaker_change
fail(struct breaker *breaker, int times, int64_t now)
{
	enum breaker_change change = BREAKER_SAME;

	while (times-- > 0)
		change = breaker_step(breaker, true, now);
	return change;
}

static void
test_opening(void)
{
	struct breaker breaker = {0};

	ok(breaker_lets(&breaker, NOW), "a new one is closed");
	ok(fail(&breaker, 4, NOW) == BREAKER_SAME &&
		breaker_lets(&breaker, NOW),
	    "four failures leave it closed");
	ok(breaker_step(&breaker, false, NOW) == BREAKER_SAME,
	    "a success when it is closed is no news");
	ok(fail(&breaker, 4, NOW) == BREAKER_SAME,
	    "after which four more leave it closed");
	ok(fail(&breaker, 1, NOW) == BREAKER_OPENED, "five in a row open it");
	ok(!breaker_lets(&breaker, NOW + 59), "nothing goes for a minute");
	ok(breaker_lets(&breaker, NOW + 60), "then a probe may");
}

static void
test_probes(void)
{
	static const int64_t waits_s[] = {120, 240, 480, 960, 1800, 1800};
	struct breaker breaker = {0};
	int64_t now = NOW + 60;
	bool same = true;
	size_t i;

	fail(&breaker, 5, NOW);
	for (i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
		same = same && fail(&breaker, 1, now) == BREAKER_SAME;
		is_int(breaker.open_until - now, waits_s[i],
		    "each wait is twice the last, up to half an hour");
		now = breaker.open_until;
	}
	ok(same, "a failing probe is no news");
	fail(&breaker, 3, now - 5);
	is_int(breaker.open_until, now, "what answers late lengthens nothing");
	ok(breaker_lets(&breaker, NOW - 9999),
	    "a clock put back does not keep it open");
	ok(breaker_step(&breaker, false, now) == BREAKER_CLOSED &&
		breaker_lets(&breaker, now),
	    "a success closes it");
	ok(fail(&breaker, 4, now) == BREAKER_SAME, "and it counts anew");
	fail(&breaker, 1, now);
	is_int(breaker.open_until - now, 60, "and waits anew");
}

int
main(void)
{
	test_opening();
	test_probes();
	return tap_end();
}
