#include "base/clock.h"

#include <stdlib.h>

#include "../tap.h"

#define HOUR 3600
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Wrong is told from right by what it is written again as: not at all. */
static const struct {
	const char *text, *wanted;
} moments[] = {
    {"2026-11-24T09:30:00Z", "2026-11-24T09:30:00Z"},
    {"2026-11-24 09:30:00Z", "2026-11-24T09:30:00Z"},
    {"2026-11-24t09:30:00z", "2026-11-24T09:30:00Z"},
    {"2026-11-24T09:30:00.999999999Z", "2026-11-24T09:30:00Z"},
    {"2026-10-05T14:03:22.481937+00:00", "2026-10-05T14:03:22Z"},
    {"2026-10-05 14:03:22.481937+00", "2026-10-05T14:03:22Z"},
    {"2026-10-05T14:03:22+0530", "2026-10-05T08:33:22Z"},
    {"2026-10-05T14:03:22-05:30", "2026-10-05T19:33:22Z"},
    {"2026-12-31T23:59:59-12:00", "2027-01-01T11:59:59Z"},
    {"2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00Z"},
    {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
    {"1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"},
    {"1900-03-01T00:00:00Z", "1900-03-01T00:00:00Z"},
    {"2000-02-29T12:00:00Z", "2000-02-29T12:00:00Z"},
    {"2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"},
    {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
    {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"}, /* a leap second */
    {"2026-02-29T12:00:00Z", NULL},
    {"2100-02-29T12:00:00Z", NULL},
    {"2026-04-31T12:00:00Z", NULL},
    {"2026-13-01T12:00:00Z", NULL},
    {"2026-00-01T12:00:00Z", NULL},
    {"2026-01-00T12:00:00Z", NULL},
    {"2026-01-01T24:00:00Z", NULL},
    {"2026-01-01T12:60:00Z", NULL},
    {"2026-01-01T12:00:61Z", NULL},
    {"2026-01-01T12:00:00", NULL},
    {"2026-01-01T12:00Z", NULL},
    {"2026-01-01", NULL},
    {"2026-1-1T12:00:00Z", NULL},
    {"26-01-01T12:00:00Z", NULL},
    {"+2026-01-01T12:00:00Z", NULL},
    {"2026-01-01T12:00:00Zulu", NULL},
    {"2026-01-01T12:00:00 Z", NULL},
    {"2026-01-01T12:00:00+24:00", NULL},
    {"2026-01-01T12:00:00+01:60", NULL},
    {"2026-01-01T12:00:00+1", NULL},
    {"2026-01-01T12:00:00+01:", NULL},
    {" 2026-01-01T12:00:00Z", NULL},
    {"2026/01/01T12:00:00Z", NULL},
    {"1764000000", NULL},
    {"now", NULL},
    {"", NULL},
};

static void
test_moments(void)
{
	char again[CLOCK_TEXT_MAX];
	int64_t moment;
	size_t i;

	for (i = 0; i < ROWS(moments); i++) {
		moment = 12345;
		if (clock_parse(&moment, moments[i].text, NULL))
			is_text(clock_format(again, moment), moments[i].wanted,
			    moments[i].text);
		else
			ok(moments[i].wanted == NULL && moment == 12345,
			    "\"%s\" is no time", moments[i].text);
	}
}

/* Each day of 800 years has the day of the one before, and one. */
static void
test_calendar(void)
{
	int64_t day = 0, moment, wrong = 0;
	char text[CLOCK_TEXT_MAX];

	for (day = -100 * 366; day < 700 * 366; day += 17) {
		clock_format(text, day * CLOCK_DAY_S + 12345);
		wrong += !clock_parse(&moment, text, NULL) ||
		    moment != day * CLOCK_DAY_S + 12345;
	}
	is_int(wrong, 0, "what is written reads back, over 800 years");
}

static void
test_refusal(void)
{
	struct error error = {0};
	int64_t moment;

	ok(!clock_parse(&moment, "tomorrow", &error), "refused");
	is_int(error.kind, ERROR_DATA, "for good");
	is_text(error.text, "\"tomorrow\" is no time like 2026-11-24T09:30:00Z",
	    "in words");
	ok(!clock_parse(&moment,
	       "2026-01-01T12:00:00Z and much more than anybody wants to read",
	       &error) &&
		strstr(error.text, "anybody") == NULL,
	    "which quote no more than 40 bytes");
}

static const struct {
	const char *text;
	int64_t length_s; /* -1: it is none */
	const char *again;
} lengths[] = {
    {"0", 0, "0s"},
    {"45", 45, "45s"},
    {"45s", 45, "45s"},
    {"119s", 119, "119s"},
    {"120s", 120, "2m"},
    {"5m", 300, "5m"},
    {"90m", 5400, "90m"},
    {"4h", 14400, "4h"},
    {"47h", 47 * HOUR, "47h"},
    {"48h", 48 * HOUR, "2d"},
    {"90d", 90 * 24 * HOUR, "90d"},
    {"1000000000", 1000000000, "11574d"},
    {"9999999999d", 9999999999 * CLOCK_DAY_S, "9999999999d"},
    {"", -1, NULL},
    {"s", -1, NULL},
    {"-5m", -1, NULL},
    {"+5m", -1, NULL},
    {" 5m", -1, NULL},
    {"5 m", -1, NULL},
    {"5M", -1, NULL},
    {"5min", -1, NULL},
    {"1.5h", -1, NULL},
    {"1h30m", -1, NULL},
    {"5w", -1, NULL},
    {"99999999999999999999s", -1, NULL},
};

static void
test_lengths(void)
{
	char again[CLOCK_TEXT_MAX];
	int64_t length;
	size_t i;

	for (i = 0; i < ROWS(lengths); i++)
		if (clock_parse_length(&length, lengths[i].text, NULL)) {
			is_int(length, lengths[i].length_s, lengths[i].text);
			is_text(clock_format_length(again, length),
			    lengths[i].again, "and for people");
		} else {
			ok(lengths[i].length_s == -1, "\"%s\" is no length",
			    lengths[i].text);
		}
}

static void
test_days(void)
{
	is_int(clock_day(0), 0, "a day begins");
	is_int(clock_day(CLOCK_DAY_S - 1), 0, "and lasts");
	is_int(clock_day(CLOCK_DAY_S), CLOCK_DAY_S, "and ends");
	is_int(clock_day(-1), -CLOCK_DAY_S, "before 1970 too");
	is_int(clock_day(-CLOCK_DAY_S), -CLOCK_DAY_S, "to the second");
}

/* A moment, what clocks there show, and the moment of that again. */
static const struct {
	const char *moment, *zone, *local, *again;
} locals[] = {
    {"2026-07-01T12:00:00Z", NULL, "2026-07-01T12:00:00Z",
	"2026-07-01T12:00:00Z"},
    {"2026-07-01T12:00:00Z", "UTC", "2026-07-01T12:00:00Z",
	"2026-07-01T12:00:00Z"},
    {"2026-07-01T12:00:00Z", "Europe/Berlin", "2026-07-01T14:00:00Z",
	"2026-07-01T12:00:00Z"},
    {"2026-01-01T12:00:00Z", "Europe/Berlin", "2026-01-01T13:00:00Z",
	"2026-01-01T12:00:00Z"},
    {"2026-01-01T02:00:00Z", "America/New_York", "2025-12-31T21:00:00Z",
	"2026-01-01T02:00:00Z"},
    {"2026-01-01T12:00:00Z", "Asia/Kolkata", "2026-01-01T17:30:00Z",
	"2026-01-01T12:00:00Z"},
    {"2026-01-01T12:00:00Z", "Pacific/Kiritimati", "2026-01-02T02:00:00Z",
	"2026-01-01T12:00:00Z"},
    /* the last second before an hour is lost, and the first behind it */
    {"2026-03-29T00:59:59Z", "Europe/Berlin", "2026-03-29T01:59:59Z",
	"2026-03-29T00:59:59Z"},
    {"2026-03-29T01:00:00Z", "Europe/Berlin", "2026-03-29T03:00:00Z",
	"2026-03-29T01:00:00Z"},
    /* an hour comes twice: it means the first time */
    {"2026-10-25T00:30:00Z", "Europe/Berlin", "2026-10-25T02:30:00Z",
	"2026-10-25T00:30:00Z"},
    {"2026-10-25T01:30:00Z", "Europe/Berlin", "2026-10-25T02:30:00Z",
	"2026-10-25T00:30:00Z"},
    {"2026-10-25T02:00:00Z", "Europe/Berlin", "2026-10-25T03:00:00Z",
	"2026-10-25T02:00:00Z"},
    {"2026-11-01T06:30:00Z", "America/New_York", "2026-11-01T01:30:00Z",
	"2026-11-01T05:30:00Z"},
};

static int64_t
parsed(const char *text)
{
	int64_t moment = 0;

	if (!clock_parse(&moment, text, NULL))
		printf("Bail out! %s\n", text);
	return moment;
}

static void
test_locals(void)
{
	char shown[CLOCK_TEXT_MAX], name[100];
	struct tm tm;
	size_t i;

	for (i = 0; i < ROWS(locals); i++) {
		snprintf(name, sizeof(name), "%s in %s", locals[i].moment,
		    locals[i].zone != NULL ? locals[i].zone : "no zone");
		clock_local(&tm, parsed(locals[i].moment), locals[i].zone);
		strftime(shown, sizeof(shown), "%Y-%m-%dT%H:%M:%SZ", &tm);
		is_text(shown, locals[i].local, name);
		is_text(
		    clock_format(shown, clock_from_local(&tm, locals[i].zone)),
		    locals[i].again, "and back");
	}
}

static void
is_moment(
    const char *local, const char *zone, const char *wanted, const char *name)
{
	int64_t moment = parsed(local);
	char shown[CLOCK_TEXT_MAX];
	struct tm tm;

	clock_local(&tm, moment, NULL);
	is_text(clock_format(shown, clock_from_local(&tm, zone)), wanted, name);
}

static void
test_skipped(void)
{
	struct tm tm;
	char shown[CLOCK_TEXT_MAX];

	is_moment("2026-03-29T02:30:00Z", "Europe/Berlin",
	    "2026-03-29T01:30:00Z", "a time that is skipped: an hour later");
	is_moment("2026-03-08T02:00:00Z", "America/New_York",
	    "2026-03-08T07:00:00Z", "also its first second");
	is_moment("2026-03-29T03:00:00Z", "Europe/Berlin",
	    "2026-03-29T01:00:00Z", "behind it nothing is");

	clock_local(&tm, parsed("2026-01-31T12:00:00Z"), NULL);
	tm.tm_mday++;
	is_text(clock_format(shown, clock_from_local(&tm, "UTC")),
	    "2026-02-01T12:00:00Z", "the day behind a month's last");
}

static void
test_zone_kept(void)
{
	time_t moment = 1782900000;
	struct tm tm;

	setenv("TZ", "Asia/Tokyo", 1);
	clock_local(&tm, moment, "Europe/Berlin");
	clock_from_local(&tm, "America/New_York");
	localtime_r(&moment, &tm);
	is_text(getenv("TZ"), "Asia/Tokyo", "the process keeps its own zone");
	is_int(tm.tm_gmtoff, 9 * HOUR, "and goes by it");
	unsetenv("TZ");
	clock_local(&tm, moment, "Europe/Berlin");
	ok(getenv("TZ") == NULL, "or has none");
}

static const struct {
	const char *name;
	bool known;
} zones[] = {{"UTC", true}, {"Europe/Berlin", true},
    {"America/Argentina/Buenos_Aires", true}, {"Europe/Nowhere", false},
    {"", false}, {"/etc/passwd", false}, {"../../../etc/passwd", false},
    {"Europe/../../../../etc/passwd", false}};

static void
test_zones(void)
{
	size_t i;

	for (i = 0; i < ROWS(zones); i++)
		is_int(clock_zone_known(zones[i].name), zones[i].known,
		    zones[i].name);
}

static void
test_set(void)
{
	int64_t now;

	clock_set(1000000000);
	now = clock_now();
	ok(now >= 1000000000 && now < 1000000060, "the clock can be set");
	clock_set(time(NULL));
	now = clock_monotonic_ms();
	ok(clock_monotonic_ms() >= now, "and another one cannot");
}

int
main(void)
{
	test_moments();
	test_calendar();
	test_refusal();
	test_lengths();
	test_days();
	test_locals();
	test_skipped();
	test_zone_kept();
	test_zones();
	test_set();
	return tap_end();
}
