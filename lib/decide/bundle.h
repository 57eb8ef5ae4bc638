#ifndef DECIDE_BUNDLE_H
#define DECIDE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "decide/alert.h"

/*
 * What a message to the founder carries: an alert, or many that happened at
 * once or in quiet hours; and its words for Slack, the telephone and the mail
 * webhook.
 */
#define BUNDLE_EXAMPLES_MAX 5
#define BUNDLE_KINDS_MAX 10

struct bundle {
	char *step; /* alert, digest, resolved, steady */
	char *key; /* of the delivery */
	int64_t count; /* of alerts */
	int64_t over; /* those of them that are resolved */
	int64_t kinds_total;
	int64_t since; /* when the first was first seen */
	struct bundle_kind {
		char *kind;
		int64_t count;
	} kinds[BUNDLE_KINDS_MAX]; /* of a digest; most frequent first */
	size_t kinds_count;
	struct bundle_example {
		struct alert alert;
		int64_t count; /* how often it was seen */
		bool flapping; /* or was, until it ended */
		char *resolved_by; /* NULL: open */
	} examples[BUNDLE_EXAMPLES_MAX]; /* the most severe first */
	size_t examples_count;
	bool last_sms; /* of today */
};

void bundle_release(struct bundle *);

/* The body for that destination, to be freed with free(3). Pure. */
char *bundle_body(const struct bundle *, const struct conf *,
    const struct conf_destination *) __attribute__((warn_unused_result));

#endif
