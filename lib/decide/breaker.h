#ifndef DECIDE_BREAKER_H
#define DECIDE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The circuit breaker of one destination. Five faults of the destination in a
 * row open it, and nothing is sent there but one probe: the first after a
 * minute, each next one after twice as long, up to half an hour. A success
 * closes it. Zeroed, it is closed; its three numbers are all there is to keep.
 */
struct breaker {
	int64_t failures; /* in a row */
	int64_t open_until; /* when the next probe may go; 0: closed */
	int64_t probe_s; /* the wait before that probe */
};

enum breaker_change { BREAKER_SAME, BREAKER_OPENED, BREAKER_CLOSED };

/*
 * Count what one request showed: failed is the destination_fault of its
 * ruling, so a receiver that refuses one delivery is well. What answers late,
 * begun before the breaker opened, does not lengthen the wait. Opening and
 * closing are worth an alert.
 */
enum breaker_change breaker_step(struct breaker *, bool failed, int64_t now);

/*
 * Whether a request may go now. While open_until is not 0, send one and wait
 * for its answer. A clock put back does not keep a breaker open.
 */
bool breaker_lets(const struct breaker *, int64_t now);

#endif
