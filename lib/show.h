#ifndef SHOW_H
#define SHOW_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/*
 * What commands that list things print: JSON, one object a line, and words that
 * others chose, made safe for a terminal.
 */

/* The object as a line on standard output; it is released. */
void show_json(json_t *);

/* At most points_max code points of the text, as message_line() has them. */
void show_line(FILE *, const char *text, size_t points_max);

#endif
