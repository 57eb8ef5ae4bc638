#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

/*
 * Time. A moment is an int64_t of UTC seconds since 1970, a length an int64_t
 * with its unit in the name. RFC 3339 is the only written form of a moment;
 * lengths are written 30s, 5m, 4h, 90d. Rules never ask the time: it arrives in
 * the event they decide.
 */
#define CLOCK_TEXT_MAX 32
#define CLOCK_DAY_S 86400

/*
 * Now, or the moment given to clock_set(), advancing from there as the real
 * clock does. Commands set it from --now, else from $AUTOMATE_NOW, so that
 * fourteen days of dunning can be played in a second.
 */
int64_t clock_now(void);
void clock_set(int64_t now);

/* Milliseconds of a clock that never jumps, for measuring lengths. */
int64_t clock_monotonic_ms(void);

/*
 * An RFC 3339 moment: date, T or blank, time, optional fraction (dropped), and
 * Z or an offset, "+00" as PostgreSQL writes it included. ERROR_DATA if not.
 */
bool clock_parse(int64_t *, const char *text, struct error *)
    __attribute__((warn_unused_result));

/* "2026-11-24T09:30:00Z" into a buffer of CLOCK_TEXT_MAX, which is returned. */
char *clock_format(char *text, int64_t);

/* "30s" "5m" "4h" "90d", or plain seconds. ERROR_DATA if not, or negative. */
bool clock_parse_length(int64_t *length_s, const char *text, struct error *)
    __attribute__((warn_unused_result));

/* The largest unit that says it in two digits: "45s", "12m", "3h", "9d". */
char *clock_format_length(char *text, int64_t length_s);

/* Start (00:00 UTC) of the day a moment lies in. */
int64_t clock_day(int64_t);

/*
 * The calendar in an IANA zone ("Europe/Berlin"; NULL is UTC), and the moment
 * of a calendar time there. A local time that daylight saving skips gives the
 * moment an hour later, one that it repeats the earlier of the two.
 */
void clock_local(struct tm *, int64_t, const char *zone);
int64_t clock_from_local(const struct tm *, const char *zone);

/*
 * Make the zone the process's own. The two above change the environment for
 * any other zone, which no second thread may see: one that starts threads lives
 * in the zone it will ask for.
 */
void clock_live_in(const char *zone);

/* Whether the system knows the zone. */
bool clock_zone_known(const char *zone);

#endif
