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
 * Take in all of standard input. True only if every document was; else the
 * error is the worst one's, and each was said on standard error already, so
 * its text is empty.
 */
bool intake(const struct conf *, understand_fn *, decide_fn *, struct error *)
    __attribute__((warn_unused_result));

/* The same for one document that is at hand. */
bool
intake_text(const struct conf *, const char *text, size_t size, understand_fn *,
    decide_fn *, struct error *) __attribute__((warn_unused_result));

/*
 * The same for a document that its sender has signed: verify() looks at all of
 * standard input, to the byte, before anything reads it, and tells which of the
 * secrets fits, from 1. The result says which.
 */
typedef bool verify_fn(const struct conf *, const char *header,
    const struct buf *body, int *which, struct error *);

bool intake_signed(const struct conf *, const char *header, verify_fn *,
    understand_fn *, decide_fn *, struct error *)
    __attribute__((warn_unused_result));

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
