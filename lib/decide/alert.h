#ifndef DECIDE_ALERT_H
#define DECIDE_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

/*
 * What an alert makes us say, where and when. Practice: fingerprints and
 * repeats after PagerDuty's and Alertmanager's (facts F41 to F53). The words
 * are bundle.h's.
 *
 * An alert's fingerprint is the key it was given, else kind and subject; where
 * it has none of these, its title, less the numbers in it. The same one while
 * open counts up and is told again only after the repeat interval, at once if
 * it became more severe, and while acknowledged only then.
 *
 * Slack hears of every alert, the telephone of the critical ones; an error that
 * can have no Slack message goes to the telephone, and what can have neither,
 * but for a mere info, to the mail webhook. What is about the alerts' own Slack
 * channel counts as an error there, since else nobody knows that it is silent.
 *
 * Alerts of one kind that come within the group interval join in one message
 * that is sent when the interval is over; the first goes at once, and so does
 * the first that is critical. A kind has one SMS in the critical repeat
 * interval, up to the day's cap. In quiet hours what is not critical waits, in
 * Slack all of it in one digest.
 *
 * One that has opened and closed more than four times in half an hour is
 * flapping: that is said once, it is held open, and its end is said once when
 * it has neither opened nor closed for half an hour.
 *
 * What a silence covers is kept, and so is what follows from another open alert
 * that is as severe: it is recorded and counted, and told when that is over, if
 * it still stands then.
 */
#define ALERT_FLAPPING_CHANGES 4
#define ALERT_FLAPPING_S 1800
#define ALERT_FALLBACK_S 120
#define ALERT_LATE_S 900
#define ALERT_VERY_LATE_S 7200
#define ALERT_SILENCE_MAX_S 2592000

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

/*
 * The fingerprints of alerts that one of this kind and fingerprint follows
 * from, each to be freed; *count is at most ALERT_PARENTS_MAX.
 */
#define ALERT_PARENTS_MAX 2
void alert_parents(char *parents[ALERT_PARENTS_MAX], size_t *count,
    const char *kind, const char *fingerprint);

/* What went before, as the store knows it. */
struct alert_channel {
	int64_t waiting_id; /* a message to join, not yet tried; 0: none */
	int64_t latest_at; /* when the latest was sent, or queued */
};

struct alert_keeper {
	int64_t silence_id; /* in force for its kind or fingerprint; 0: none */
	int64_t parent_id; /* the worst that is open and was told; 0: none */
	char parent_severity[16];
};

struct alert_history {
	int64_t open_id; /* 0: not open */
	int64_t notified_at;
	char severity[16];
	bool acknowledged, flapping;
	int64_t changes; /* openings and closings within ALERT_FLAPPING_S */
	/* Messages of this kind that are critical as this one is, or not. */
	struct alert_channel channels[CONF_DESTINATIONS];
	int64_t digest_id; /* waits for the end of the quiet hours; 0: none */
	int64_t sms_today;
	struct alert_keeper keeper;
};

/* What to do: at most one message a channel. */
struct alert_message {
	const struct conf_destination *destination;
	const char *step; /* alert, digest, resolved, steady */
	int64_t joins_id; /* the message that carries it too; 0: a new one */
	int64_t due_at; /* of a new one */
};

struct alert_ruling {
	struct alert_message messages[3];
	size_t count;
	bool flapping; /* from now on */
	/* What kept it from being told, at most one; 0: none. */
	int64_t silence_id, parent_id;
};

/* Pure. The alert is normalized. */
void alert_rule(struct alert_ruling *, const struct alert *,
    const struct alert_history *, const struct conf *, int64_t now);

/*
 * The same for one that was kept, once its silence (0: its parent) is over.
 * What had a parent mostly ends with it, when its command runs next, and so is
 * told an hour later.
 */
void
alert_rule_kept(struct alert_ruling *, const struct alert *, int64_t silence_id,
    const struct alert_history *, const struct conf *, int64_t now);

/*
 * The same for the end of an alert (step resolved), or of its flapping while it
 * stands (steady), which is told where it was heard of; the history's channels
 * are those of messages of that step.
 */
void alert_rule_end(struct alert_ruling *, const char *step,
    const struct alert *, const bool heard[CONF_DESTINATIONS],
    const struct alert_history *, const struct conf *, int64_t now);

/*
 * The fallback: what becomes of an alert that was said and not heard. As the
 * store knows it, of each channel since it was last told:
 */
struct alert_standing {
	struct {
		bool used;
		bool done; /* delivered, or cancelled by hand */
		bool lost; /* dead, or its destination is held or gone */
		int64_t first_due_at;
	} channels[CONF_DESTINATIONS];
};

/*
 * The next channel of Slack, telephone and mail webhook that was not used; none
 * as long as one has it, or may yet have it. A critical one has two minutes for
 * that, others until the message is dead or its destination is held. An alert
 * about deliveries takes one such step, and never to the destination that it is
 * about. Pure.
 */
void alert_rule_fallback(struct alert_ruling *, const struct alert *,
    const struct alert_standing *, const struct alert_history *,
    const struct conf *, int64_t now);

/* How bad it is that something is due for so long; NULL: not yet. */
const char *alert_lateness(int64_t age_s);

#endif
