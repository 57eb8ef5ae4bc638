#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static int64_t offset_s;

int64_t
clock_now(void)
{
	return (int64_t)time(NULL) + offset_s;
}

void
clock_set(int64_t now)
{
	offset_s = now - (int64_t)time(NULL);
}

int64_t
clock_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t
days_from_date(int64_t year, int month, int day)
{
	int64_t era, day_of_era, day_of_year, year_of_era;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	    day_of_year;
	return era * 146097 + day_of_era - 719468;
}

/* Exactly count digits at *text, which moves behind them. */
static bool
take_digits(const char **text, int count, int *value)
{
	for (*value = 0; count-- > 0; (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool
take_byte(const char **text, const char *allowed)
{
	if (**text == '\0' || strchr(allowed, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* Z, +HH, +HHMM or +HH:MM. */
static bool
take_offset(const char **text, int *seconds)
{
	int hours, minutes = 0, sign;

	*seconds = 0;
	if (take_byte(text, "Zz"))
		return true;
	sign = **text == '-' ? -1 : 1;
	if (!take_byte(text, "+-") || !take_digits(text, 2, &hours))
		return false;
	if (**text == ':' || isdigit((unsigned char)**text)) {
		if (**text == ':')
			(*text)++;
		if (!take_digits(text, 2, &minutes))
			return false;
	}
	*seconds = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

bool
clock_parse(int64_t *moment, const char *text, struct error *error)
{
	int year, month, day, hour, minute, second, offset;
	const char *p = text;

	if (!take_digits(&p, 4, &year) || !take_byte(&p, "-") ||
	    !take_digits(&p, 2, &month) || !take_byte(&p, "-") ||
	    !take_digits(&p, 2, &day) || !take_byte(&p, "Tt ") ||
	    !take_digits(&p, 2, &hour) || !take_byte(&p, ":") ||
	    !take_digits(&p, 2, &minute) || !take_byte(&p, ":") ||
	    !take_digits(&p, 2, &second))
		goto bad;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			;
	if (!take_offset(&p, &offset) || *p != '\0' || month < 1 ||
	    month > 12 || day < 1 || day > days_in_month(year, month) ||
	    hour > 23 || minute > 59 || second > 60)
		goto bad;
	*moment = days_from_date(year, month, day) * CLOCK_DAY_S + hour * 3600 +
	    minute * 60 + second - offset;
	return true;
bad:
	return error_set(error, ERROR_DATA,
	    "\"%.40s\" is no time like 2026-11-24T09:30:00Z", text);
}

char *
clock_format(char *text, int64_t moment)
{
	time_t t = (time_t)moment;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	strftime(text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

static const struct unit {
	char letter;
	int64_t length_s;
} units[] = {{'d', CLOCK_DAY_S}, {'h', 3600}, {'m', 60}, {'s', 1}};

bool
clock_parse_length(int64_t *length_s, const char *text, struct error *error)
{
	int64_t value = 0, factor = 1;
	const char *p = text;
	size_t i;

	while (isdigit((unsigned char)*p) && p - text < 10)
		value = value * 10 + (*p++ - '0');
	if (p == text)
		goto bad;
	if (*p != '\0') {
		for (i = 0; i < 4 && units[i].letter != *p; i++)
			;
		if (i == 4 || p[1] != '\0')
			goto bad;
		factor = units[i].length_s;
	}
	*length_s = value * factor;
	return true;
bad:
	return error_set(error, ERROR_DATA,
	    "\"%.40s\" is no length of time like 30s, 5m, 4h or 90d", text);
}

char *
clock_format_length(char *text, int64_t length_s)
{
	size_t i = 0;

	while (i < 3 && length_s < 2 * units[i].length_s)
		i++;
	snprintf(text, CLOCK_TEXT_MAX, "%lld%c",
	    (long long)(length_s / units[i].length_s), units[i].letter);
	return text;
}

int64_t
clock_day(int64_t moment)
{
	int64_t rest = moment % CLOCK_DAY_S;

	return moment - rest - (rest < 0 ? CLOCK_DAY_S : 0);
}

void
clock_live_in(const char *zone)
{
	setenv("TZ", zone != NULL ? zone : "UTC", 1);
	tzset();
}

/*
 * Make zone the process's own for a while; libc has no other way. False, and
 * nothing to leave, where it is that already.
 */
static bool
enter_zone(const char *zone, char **former)
{
	const char *present = getenv("TZ");

	if (present != NULL &&
	    strcmp(present, zone != NULL ? zone : "UTC") == 0)
		return false;
	*former = mem_copy(present);
	clock_live_in(zone);
	return true;
}

static void
leave_zone(char *former)
{
	if (former != NULL)
		setenv("TZ", former, 1);
	else
		unsetenv("TZ");
	tzset();
	free(former);
}

void
clock_local(struct tm *tm, int64_t moment, const char *zone)
{
	time_t t = (time_t)moment;
	char *former;
	bool entered = enter_zone(zone, &former);

	if (localtime_r(&t, tm) == NULL)
		memset(tm, 0, sizeof(*tm));
	if (entered)
		leave_zone(former);
}

int64_t
clock_from_local(const struct tm *calendar, const char *zone)
{
	struct tm tm = *calendar;
	char *former;
	bool entered = enter_zone(zone, &former);
	time_t t;

	tm.tm_isdst = -1;
	t = mktime(&tm);
	if (tm.tm_isdst == 0) {
		struct tm summer = *calendar;
		time_t earlier;

		summer.tm_isdst = 1;
		earlier = mktime(&summer);
		if (earlier < t && summer.tm_hour == calendar->tm_hour)
			t = earlier;
	}
	if (entered)
		leave_zone(former);
	return (int64_t)t;
}

bool
clock_zone_known(const char *zone)
{
	const char *folder = getenv("TZDIR");
	char *path;
	bool known;

	if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL)
		return false;
	if (strcmp(zone, "UTC") == 0)
		return true;
	path = mem_format(
	    "%s/%s", folder != NULL ? folder : "/usr/share/zoneinfo", zone);
	known = access(path, R_OK) == 0;
	free(path);
	return known;
}
