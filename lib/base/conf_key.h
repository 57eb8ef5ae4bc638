#ifndef BASE_CONF_KEY_H
#define BASE_CONF_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/error.h"

/*
 * What base/conf knows of each key; nobody else includes this. The table is in
 * conf.c, the types of values in conf_type.c, and conf_file.c reads the file.
 *
 * No message about a value holds the value. So none can show a secret, not even
 * one that was written to the wrong key.
 */

#define CONF_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define CONF_DIGITS "0123456789"

struct conf_type;

/*
 * A key: everything there is to know about it. Reading, the environment, the
 * defaults, the _file twins, release, printing and the nearest known key all
 * come from the one table of these, so that a new key is a new row (and a field
 * in struct conf, an entry in automate.yaml(5) and one in etc/automate.yaml).
 */
struct conf_key {
	const char *path; /* in the file, its parts joined by dots */
	const char *help; /* what it is, for messages */
	const struct conf_type *type;
	size_t offset; /* of its field in struct conf */
	const char *fallback; /* the default, as one would write it */
	const char *variables[2]; /* without a file: the first one set */
	bool secret; /* never shown; has a _file twin */
	int64_t least, most; /* of a number */
	const char *placeholders; /* of a template, blanks between them */
	const char *choices; /* of a choice, the same */
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;

/* Its field in struct conf. */
void *conf_field(const struct conf *, const struct conf_key *);

/* How the values of a key are read and checked, kept and shown. */
struct conf_type {
	bool (*read)(struct conf *, const struct conf_key *, const char *value,
	    struct error *);
	void (*print)(const struct conf *, const struct conf_key *, FILE *);

	/* A text: the field is a char *, to be wiped and freed. */
	bool is_text;
	bool (*check)(
	    const struct conf_key *, const char *value, struct error *);

	/* A number: the field is an int64_t. */
	const char *form; /* in words */
	bool (*parse)(int64_t *, const char *value);
	void (*format)(char *text, int64_t); /* of CLOCK_TEXT_MAX */
};

extern const struct conf_type conf_text; /* any one line */
extern const struct conf_type conf_token; /* printable, no blanks */
extern const struct conf_type conf_tokens; /* some, blanks between them */
extern const struct conf_type conf_word; /* letters and digits */
extern const struct conf_type conf_path; /* relative: beside the file */
extern const struct conf_type conf_url; /* https, or http on loopback */
extern const struct conf_type conf_link; /* the same, without a last slash */
extern const struct conf_type conf_template; /* a URL with {placeholders} */
extern const struct conf_type conf_zone; /* IANA */
extern const struct conf_type conf_phone; /* E.164 */
extern const struct conf_type conf_sender; /* what Twilio sends from */
extern const struct conf_type conf_number;
extern const struct conf_type conf_size; /* bytes; 8MiB */
extern const struct conf_type conf_seconds; /* 72h */
extern const struct conf_type conf_milliseconds; /* 20s */
extern const struct conf_type conf_rate; /* a minute; 20/s */
extern const struct conf_type conf_flag; /* the field is a bool */
extern const struct conf_type conf_provider; /* an enum conf_dialect */
extern const struct conf_type conf_choice; /* the field is an int64_t: which */
extern const struct conf_type conf_hours; /* 22:00-07:00 */
extern const struct conf_type conf_day; /* 2026-11-28; its 00:00 UTC, or 0 */

/*
 * Read a value that is not empty, whatever its source. ERROR_CONF, naming the
 * key and what is allowed, if it does not do.
 */
bool conf_read_value(struct conf *, const struct conf_key *, const char *value,
    struct error *) __attribute__((warn_unused_result));

/* A file's name, where relative beside the configuration file. To be freed. */
char *conf_beside(const struct conf *, const char *name);

/*
 * Read the file conf->path into conf. lines, one for each key, gets the line
 * that sets it and is 0 elsewhere. ERROR_CONF with file and line.
 */
bool conf_read_file(struct conf *, int *lines, struct error *)
    __attribute__((warn_unused_result));

#endif
