#include "base/input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"
#define READ_SIZE 65536

enum mode {
	START, /* only blank lines so far */
	ALONE, /* one whole line, and since then only blank ones */
	OPEN, /* a document that goes on, or a batch with its start cut short */
	WHOLE, /* one document, to the end */
	LINES, /* a batch */
	OVER
};

enum found { NOTHING, DOCUMENT, TOO_LONG, EMPTY, UNREADABLE, END };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
has_mark(const char *text, size_t size)
{
	return size >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0;
}

static bool
is_blank_line(const char *text, size_t size)
{
	size_t i = has_mark(text, size) ? 3 : 0;

	while (i < size && is_blank(text[i]))
		i++;
	return i == size;
}

/* Only brackets and strings count, as JSON has them. */
static void
shape_feed(struct input_shape *shape, const char *text, size_t size)
{
	const char *end = text + size;

	for (; text < end; text++) {
		const char c = *text;

		if (!is_blank(c)) {
			shape->first = shape->filled ? shape->first : c;
			shape->last = c;
			shape->filled = true;
		}
		if (shape->escaped)
			shape->escaped = false;
		else if (shape->in_string && c == '\\')
			shape->escaped = true;
		else if (c == '"')
			shape->in_string = !shape->in_string;
		else if (!shape->in_string)
			shape->depth +=
			    (c == '{' || c == '[') - (c == '}' || c == ']');
	}
}

/* Whether nothing on later lines can belong to it, unless it is garbage. */
static bool
is_complete(const struct input_shape *shape)
{
	return (shape->first != '{' && shape->first != '[') ||
	    shape->depth <= 0;
}

static bool
is_object(const struct input_shape *shape)
{
	return shape->first == '{' && shape->last == '}' && shape->depth == 0 &&
	    !shape->in_string;
}

void
input_init(struct input *input, int fd, size_t document_max)
{
	memset(input, 0, sizeof(*input));
	input->fd = fd;
	input->document_max = document_max;
	input->room = READ_SIZE;
	input->data = mem_resize(NULL, input->room, 1);
	input->start_number = input->line_number = 1;
}

void
input_init_text(
    struct input *input, const char *text, size_t size, size_t document_max)
{
	memset(input, 0, sizeof(*input));
	input->fd = -1;
	input->document_max = document_max;
	input->room = input->end = size;
	input->data = mem_copy_bytes(text, size);
	input->ended = true;
	input->start_number = input->line_number = 1;
}

void
input_release(struct input *input)
{
	free(input->data);
	memset(input, 0, sizeof(*input));
	input->fd = -1;
	input->mode = OVER;
}

static bool
is_readable(int fd, int timeout_ms)
{
	struct pollfd poller = {fd, POLLIN, 0};

	return poll(&poller, 1, timeout_ms) > 0;
}

static void
make_room(struct input *input)
{
	const size_t gone = input->start;

	if (gone > 0)
		memmove(input->data, input->data + gone, input->end - gone);
	input->end -= gone;
	input->line_at -= gone;
	input->seen -= gone;
	input->start = 0;
	if (input->room - input->end < READ_SIZE) {
		input->data = mem_resize(input->data, input->room, 2);
		input->room *= 2;
	}
}

/* Read once, waiting for it. */
static void
fill(struct input *input)
{
	ssize_t got;

	make_room(input);
	while ((got = read(input->fd, input->data + input->end,
		    input->room - input->end)) == -1) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			is_readable(input->fd, -1);
		else if (errno != EINTR)
			break;
	}
	if (got > 0)
		input->end += (size_t)got;
	else
		input->ended = true;
	if (got == -1)
		input->failure = errno;
}

/* Look at the rest of the line that came; whether that is all of it. */
static bool
look(struct input *input)
{
	const char *rest = input->data + input->seen;
	size_t size = input->end - input->seen;
	const char *newline = memchr(rest, '\n', size);

	if (newline != NULL)
		size = (size_t)(newline - rest);
	if (input->mode != LINES)
		shape_feed(&input->shape, rest, size);
	input->seen += size;
	return newline != NULL || input->ended;
}

/* After look() was true: whether it was for the end of the input. */
static bool
at_end(const struct input *input)
{
	return input->seen == input->end;
}

static void
next_line(struct input *input)
{
	if (!at_end(input)) {
		input->seen++;
		input->line_number++;
	}
	input->line_at = input->seen;
	if (input->shape.filled)
		input->before = input->shape.last;
	input->shape = (struct input_shape){0};
}

/* Let go of what is before the current line. */
static void
drop(struct input *input)
{
	input->start = input->line_at;
	input->start_number = input->line_number;
}

/*
 * What follows decides what input_next() gives next, one line at a time. True:
 * found is set, or there is another mode or line to go on with. False: that
 * needs more of the input.
 */
static bool
give(struct input *input, enum found found, size_t at, size_t size,
    size_t number)
{
	input->found = found;
	input->found_at = at;
	input->found_size = size;
	input->found_number = number;
	return true;
}

static bool
finish(struct input *input)
{
	enum found found = END;

	if (input->failure != 0)
		found = UNREADABLE;
	else if (!input->given)
		found = EMPTY;
	input->mode = OVER;
	return give(input, found, 0, 0, input->line_number);
}

static bool
refuse_line(struct input *input)
{
	input->skipping = true;
	return give(input, TOO_LONG, 0, 0, input->line_number);
}

/* Once a first line is too long, only its end tells what the input is. */
static bool
skip_line(struct input *input)
{
	const bool whole = look(input);

	input->line_at = input->seen;
	drop(input);
	if (!whole)
		return false;
	input->skipping = false;
	if (input->mode == START && input->shape.filled)
		input->mode = is_complete(&input->shape) ? LINES : OVER;
	next_line(input);
	drop(input);
	return true;
}

/* It is a batch: back to its first line. */
static bool
begin_lines(struct input *input)
{
	input->mode = LINES;
	input->line_at = input->seen = input->start;
	input->line_number = input->start_number;
	return true;
}

static bool
pass_mark(struct input *input)
{
	if (input->seen > 0 || input->line_number > 1)
		return true;
	if (has_mark(input->data, input->end))
		input->seen = 3;
	return input->ended || input->end >= 3 ||
	    memcmp(input->data, BYTE_ORDER_MARK, input->end) != 0;
}

static bool
decide_start(struct input *input)
{
	size_t size;
	bool whole;

	if (!pass_mark(input))
		return false;
	whole = look(input);
	size = input->seen - input->line_at;
	if (size > input->document_max)
		return refuse_line(input);
	if (!whole)
		return false;
	if (at_end(input) && (input->failure != 0 || !input->shape.filled))
		return finish(input);
	if (is_complete(&input->shape))
		input->mode = input->shape.filled ? ALONE : START;
	else
		input->mode = input->shape.first == '{' ? OPEN : WHOLE;
	next_line(input);
	if (input->mode == START &&
	    input->line_at - input->start > input->document_max)
		drop(input);
	return true;
}

static bool
decide_alone(struct input *input)
{
	const bool whole = look(input);

	if (input->shape.filled ||
	    input->end - input->start > input->document_max)
		return begin_lines(input);
	if (whole && !at_end(input)) {
		next_line(input);
		return true;
	}
	if (input->ended) {
		input->mode = WHOLE;
		return true;
	}
	if (is_readable(input->fd, 0))
		return false;
	input->mode = LINES;
	give(input, DOCUMENT, input->start, input->line_at - input->start,
	    input->start_number);
	drop(input);
	return true;
}

/* Whether an object at this place cannot be part of a document. */
static bool
cannot_continue(const struct input *input)
{
	return is_object(&input->shape) && input->before != ':' &&
	    input->before != ',' && input->before != '[';
}

static bool
decide_open(struct input *input)
{
	const bool whole = look(input);
	const size_t size = input->seen - input->line_at;

	if (!whole && size <= input->document_max)
		return false;
	if (input->shape.filled && input->data[input->line_at] != '{')
		input->mode = WHOLE;
	else if (size <= input->document_max && cannot_continue(input))
		return begin_lines(input);
	else if (at_end(input) ||
	    input->seen - input->start > input->document_max)
		input->mode = WHOLE;
	else
		next_line(input);
	return true;
}

static bool
decide_whole(struct input *input)
{
	const size_t size = input->end - input->start;

	if (input->failure != 0)
		return finish(input);
	if (size <= input->document_max && !input->ended)
		return false;
	input->mode = OVER;
	return give(input, size > input->document_max ? TOO_LONG : DOCUMENT,
	    input->start, size, input->start_number);
}

static bool
decide_lines(struct input *input)
{
	const bool whole = look(input);
	const size_t size = input->seen - input->line_at;
	const char *line = input->data + input->line_at;

	if (!whole && size <= input->document_max)
		return false;
	if (at_end(input) && (input->failure != 0 || size == 0))
		return finish(input);
	if (size > input->document_max)
		return refuse_line(input);
	if (!is_blank_line(line, size))
		give(input, DOCUMENT, input->line_at, size, input->line_number);
	next_line(input);
	drop(input);
	return true;
}

static bool
decide(struct input *input)
{
	bool going = true;

	while (going && input->found == NOTHING)
		if (input->skipping)
			going = skip_line(input);
		else
			switch ((enum mode)input->mode) {
			case START: going = decide_start(input); break;
			case ALONE: going = decide_alone(input); break;
			case OPEN: going = decide_open(input); break;
			case WHOLE: going = decide_whole(input); break;
			case LINES: going = decide_lines(input); break;
			case OVER: finish(input);
			}
	return input->found != NOTHING;
}

static void
explain(const struct input *input, enum found found, struct error *error)
{
	if (found == EMPTY)
		error_set(error, ERROR_DATA, "empty input");
	else if (found == TOO_LONG)
		error_set(error, ERROR_DATA,
		    "line %zu: document is longer than %zu bytes",
		    input->found_number, input->document_max);
	else
		error_read(error, input->failure);
}

enum input_answer
input_next(struct input *input, const char **text, size_t *size, size_t *line,
    struct error *error)
{
	enum found found;

	while (!decide(input))
		fill(input);
	found = (enum found)input->found;
	input->found = NOTHING;
	*text = input->data + input->found_at;
	*size = input->found_size;
	*line = input->found_number;
	if (found == END)
		return INPUT_END;
	input->given = true;
	if (found == DOCUMENT)
		return INPUT_DOCUMENT;
	explain(input, found, error);
	if (found == UNREADABLE)
		input->failure = 0;
	return INPUT_FAILED;
}

bool
input_ready(struct input *input)
{
	while (!decide(input)) {
		if (!is_readable(input->fd, 0))
			return false;
		fill(input);
	}
	return true;
}
