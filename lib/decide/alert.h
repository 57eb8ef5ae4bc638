#ifndef DECIDE_ALERT_H
#define DECIDE_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

/*
 * What an alert makes us say, and where. Practice: fingerprints and repeats
 * after PagerDuty's and Alertmanager's (facts F41 to F53).
 *
 * An alert's fingerprint is the key it was given, else kind and subject; where
 * it has none of these, its title, less the numbers in it. The same one while
 * open counts up and is told again only after the repeat interval, sooner if it
 * became more severe, never while acknowledged. Alerts of one kind that come
 * within the group interval join in one Slack message that is sent when the
 * interval is over; the first goes at once. An SMS is for critical alerts, one
 * for each kind in the critical repeat interval, up to the day's cap, whose
 * last message says so. In quiet hours what is not critical waits. One that
 * opens and closes more than four times in half an hour is flapping: said once.
 */
#define ALERT_EXAMPLES_MAX 5
#define ALERT_FLAPPING_CHANGES 4
#define ALERT_FLAPPING_S 1800

struct alert {
	char *kind, *severity, *title; /* never NULL once normalized */
	char *message, *details, *next_command;
	char *organization_id, *lead_id, *event_id;
	char *key; /* explicit fingerprint */
	char *avoid; /* destination not to be used; "*": none at all */
	int64_t wait_s; /* told after so long, if it still stands then */
};

void alert_release(struct alert *);

/* Fill in what was left out from the table of kinds; severity from words. */
void alert_normalize(struct alert *);

/* The kinds that this software raises; ends in a NULL kind. */
struct alert_kind {
	const char *kind, *severity, *title, *next_command;
};
extern const struct alert_kind alert_kinds[];

/* 0 info to 3 critical; -1 if it is none of the four words. */
int alert_severity(const char *word);

char *alert_fingerprint(const struct alert *); /* to free */

/* What went before, as the store knows it. */
struct alert_channel {
	int64_t waiting_id; /* a message of this kind not yet tried; 0: none */
	int64_t latest_at; /* when the latest of this kind was or is due */
};

struct alert_history {
	int64_t open_id; /* 0: not open */
	int64_t count, notified_at;
	char severity[16];
	bool acknowledged;
	int64_t changes; /* openings and closings within ALERT_FLAPPING_S */
	struct alert_channel channels[CONF_DESTINATIONS];
	int64_t sms_today;
	int64_t storm_count; /* alerts that the waiting Slack message carries */
	char *examples[ALERT_EXAMPLES_MAX];
	size_t examples_count;
};

void alert_history_release(struct alert_history *);

/* What to do: at most one message a channel. */
struct alert_message {
	const struct conf_destination *destination;
	int64_t replaces_id; /* put it into this row; 0: a new one */
	int64_t due_at;
	char *body;
};

struct alert_ruling {
	struct alert_message messages[3];
	size_t count;
};

void alert_ruling_release(struct alert_ruling *);

/* Pure. The alert is normalized. */
void alert_rule(struct alert_ruling *, const struct alert *,
    const struct alert_history *, const struct conf *, int64_t now);

/* The body of "this is over", for a destination that heard of it. */
char *alert_resolved_body(const struct alert *, const char *by, int64_t count,
    const struct conf_destination *);

#endif
