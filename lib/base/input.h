#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The documents of a descriptor: one JSON document, or a batch of them, one on
 * each line. Which of the two is seen from the input, not told. Nothing is
 * parsed here; a text that is no JSON is handed out for its reader to refuse.
 *
 * It is a batch if its first line that is not blank closes every bracket it
 * opens, or is a scalar or garbage. Then each line that is not blank is a
 * document, less its newline. Otherwise the whole input is one document, with
 * one exception: a batch whose first lines were cut short. There, all lines
 * begin with '{' and one of them is a whole object, where no object can
 * continue what is before it.
 *
 * One document is given byte for byte as it came, blank lines and a byte order
 * mark before it and the last newline included, also if it is all on one line:
 * signatures are made over those bytes. Only where a writer stops after a first
 * line and keeps the descriptor open is that line given without what may still
 * follow, rather than kept back until more comes.
 *
 * A document has at most document_max bytes, without its newline in a batch.
 * Memory is bounded by a few times that, however long the batch.
 */
struct input_shape {
	bool filled; /* there is a byte that is not blank: */
	char first, last;
	bool in_string, escaped;
	int64_t depth;
};

struct input { /* private */
	int fd;
	int failure; /* errno of the read that failed */
	size_t document_max;
	int mode;
	bool ended; /* no more can be read */
	bool given; /* some document or failure was */
	bool skipping; /* the rest of a line that is too long */

	char *data;
	size_t room, end;
	size_t start; /* what is before it was given */
	size_t line_at; /* where the line starts that is looked at */
	size_t seen; /* what of it was looked at */
	size_t start_number, line_number; /* of these two lines, from 1 */
	struct input_shape shape; /* of the line so far */
	char before; /* the last byte before it that is not blank */

	int found; /* what input_next() gives next, and where it is */
	size_t found_at, found_size, found_number;
};

enum input_answer {
	INPUT_DOCUMENT,
	INPUT_END,
	INPUT_FAILED /* an error; go on, the next answer may be a document */
};

/* Read from fd, which stays the caller's; or a text at hand, which is copied.
 */
void input_init(struct input *, int fd, size_t document_max);
void input_init_text(
    struct input *, const char *text, size_t size, size_t document_max);
void input_release(struct input *);

/*
 * The next document, waiting for it: its text, which is borrowed until the next
 * call of input_next() or input_ready(), and the number of the line where that
 * starts, from 1. INPUT_FAILED is ERROR_DATA for a document over the maximum
 * (in a batch, its line is skipped) and for an input with no document at all
 * ("empty input"), error_read() where reading fails; a line that this cuts
 * short is not given. INPUT_END comes last, and then again.
 */
enum input_answer input_next(struct input *, const char **text, size_t *size,
    size_t *line, struct error *) __attribute__((warn_unused_result));

/* Whether input_next() would answer without waiting for a writer. */
bool input_ready(struct input *);

#endif
