#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

/*
 * What failed, of which kind, in words. A struct error is owned by the caller,
 * starts zeroed and is filled by the function that returns false; nothing in it
 * is allocated. There are few kinds since there are few things one can do about
 * an error; prog_end() alone makes exit statuses of them (sysexits(3)), and
 * automate-cgi makes HTTP statuses of those.
 *
 * The text is one line: what, where (line, field, row), what to do next. It
 * never holds a secret, a whole telephone number or a mail address. Control
 * bytes in it, which would come from outside, are replaced by '?', so printing
 * it to a terminal is safe.
 */
enum error_kind {
	ERROR_NONE,
	ERROR_NO, /* 1: the honest no; some of a batch failed */
	ERROR_USAGE, /* 64: the command line is wrong */
	ERROR_DATA, /* 65: refused for good: these bytes will never do */
	ERROR_PROVIDER, /* 69: a provider said no */
	ERROR_BUG, /* 70: ours */
	ERROR_RETRY, /* 75: not now; the same again is safe and useful */
	ERROR_AUTH, /* 77: signature or secret refused */
	ERROR_CONF /* 78: the configuration or the installation */
};

#define ERROR_TEXT_MAX 1024

struct error {
	enum error_kind kind;
	char text[ERROR_TEXT_MAX];
};

/* Fill the error (a NULL one is allowed). Always returns false. */
bool error_set(struct error *, enum error_kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "WHERE: " in front of the text. Always returns false. */
bool error_at(struct error *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * "cannot read the input", with the system's reason: ERROR_USAGE where it is a
 * directory or open for writing alone, else ERROR_RETRY. Always returns false.
 */
bool error_read(struct error *, int system_error);

/* The exit status of a kind: 0, 1 or one of sysexits(3). */
int error_status(enum error_kind);

#endif
