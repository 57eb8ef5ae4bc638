#ifndef BASE_MASK_H
#define BASE_MASK_H

#include "base/buf.h"

/*
 * Add the text, which others chose, with "***" for each word that may be
 * private: a mail address, what may be a key or a secret address (24 and more
 * characters with a digit among them), and the secret itself (or NULL)
 * wherever it stands. The digits of what may be a telephone number, seven and
 * more in a row, become '*'. Where the buffer is full, it ends between words.
 */
void mask_text(struct buf *, const char *text, const char *secret);

#endif
