#include "base/pace.h"

#define MINUTE_US 60000000
#define LATE_US 100000

int64_t
pace_next(int64_t next_us, int64_t rate_per_minute, int64_t now_us)
{
	const int64_t gap_us =
	    rate_per_minute > 0 ? MINUTE_US / rate_per_minute : 0;
	const int64_t least_us = now_us - (gap_us < LATE_US ? LATE_US : 0);

	return (next_us > least_us ? next_us : least_us) + gap_us;
}
