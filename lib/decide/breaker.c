#include "decide/breaker.h"

#define FAILURES_MAX 5
#define PROBE_FIRST_S 60
#define PROBE_LAST_S (30 * 60)

static enum breaker_change
succeed(struct breaker *breaker)
{
	const bool open = breaker->open_until != 0;

	*breaker = (struct breaker){0};
	return open ? BREAKER_CLOSED : BREAKER_SAME;
}

static void
wait_longer(struct breaker *breaker, int64_t now)
{
	breaker->probe_s =
	    breaker->probe_s == 0 ? PROBE_FIRST_S : breaker->probe_s * 2;
	if (breaker->probe_s > PROBE_LAST_S)
		breaker->probe_s = PROBE_LAST_S;
	breaker->open_until = now + breaker->probe_s;
}

enum breaker_change
breaker_step(struct breaker *breaker, bool failed, int64_t now)
{
	const bool open = breaker->open_until != 0;

	if (!failed)
		return succeed(breaker);
	breaker->failures++;
	if (breaker->failures >= FAILURES_MAX && breaker_lets(breaker, now))
		wait_longer(breaker, now);
	return !open && breaker->open_until != 0 ? BREAKER_OPENED
						 : BREAKER_SAME;
}

bool
breaker_lets(const struct breaker *breaker, int64_t now)
{
	return now >= breaker->open_until ||
	    now + PROBE_LAST_S < breaker->open_until;
}
