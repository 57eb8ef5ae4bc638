#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "decide/event.h"
#include "decide/plan.h"
#include "store/ledger.h"

/*
 * What every receiving command does with its standard input: document for
 * document understand, record, print; commit in groups; then have sent what is
 * now due.
 */

/*
 * Make an event of one document. An event without an id is no business of ours:
 * it is answered as ignored and not kept.
 */
typedef bool understand_fn(
    struct event *, const char *text, size_t size, int64_t now, struct error *);

/*
 * Look at all of what came, to the byte, before anything reads it, and tell
 * which of the secrets it is signed with, from 1.
 */
typedef bool verify_fn(const struct conf *, const char *header,
    const struct buf *body, int *which, struct error *);

/* By which rules the documents of a sender are taken in; see rules.h. */
struct intake_rules {
	understand_fn *understand;
	verify_fn *verify; /* of a sender who signs; else NULL */
	decide_fn *decide;
};

/*
 * Take in all of standard input, whoever it is from. True only if every
 * document was; else the error is the worst one's, and each was said on
 * standard error already, so its text is empty.
 */
bool intake(const struct conf *, const struct intake_rules *, struct error *)
    __attribute__((warn_unused_result));

/* The same for one document that is at hand. */
bool
intake_text(const struct conf *, const struct intake_rules *, const char *text,
    size_t size, struct error *) __attribute__((warn_unused_result));

/*
 * The same for one document that is verified first, with the header that its
 * signature came in. The result says which secret it was.
 */
bool intake_signed(const struct conf *, const struct intake_rules *,
    const char *header, struct error *) __attribute__((warn_unused_result));

/*
 * The same for what came by HTTP, verified where the rules do that: one
 * document, or, of a sender who does not sign, a batch. The lines of the
 * result, as far as there is room for them, go into *lines, which is also good
 * when not all went well; deliveries are not started, but *due says whether
 * there are any to send.
 */
bool intake_body(const struct conf *, const struct intake_rules *,
    const char *header, const struct buf *body, struct buf *lines, bool *due,
    struct error *) __attribute__((warn_unused_result));

/* The line for a document of which nothing is kept. To be freed. */
char *intake_refused_line(const struct error *);
char *intake_ignored_line(const struct event *);

/*
 * Note, once a run, what goes nowhere since it is not configured; no error: who
 * wants no mail has no mail.
 */
void intake_say_skipped(const struct ledger *, const struct conf *);

/*
 * Start automate-deliver: for the event of that id, or, where NULL, for all
 * that is due. Waits for it and leaves reporting to it; its trouble is not an
 * error here, since what is owed stays owed. Does nothing with --later or
 * --dry-run.
 */
void intake_deliver(const char *event_id);

#endif
