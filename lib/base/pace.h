#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

/*
 * A rate, kept evenly. Waiting comes in milliseconds and at busy times late, so
 * a fast rate is kept over the latest tenth of a second; one that is slower
 * than that, from one to the next.
 *
 * When the one after it may leave, where one leaves now that might have from
 * next_us on. Microseconds of a clock that never jumps; a rate of 0 is none.
 */
int64_t pace_next(int64_t next_us, int64_t rate_per_minute, int64_t now_us);

#endif
