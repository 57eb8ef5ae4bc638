#include "base/conf_key.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#include "base/buf.h"
#include "base/mem.h"

#define FILE_MAX (1 << 20)
#define VALUE_MAX (1 << 16)
#define PATH_ROOM 128 /* of a key's path */

/* A key or section met, and where. */
struct place {
	char *path;
	int line;
};

/* One file being read. */
struct reader {
	struct conf *conf;
	int *lines; /* of each key; 0: not set */
	struct error *error;
	const struct buf *text;
	yaml_parser_t parser;
	yaml_event_t event;
	struct place *places;
	size_t place_count;
};

static void
forget(struct buf *buf)
{
	mem_wipe(buf->data, buf->room);
	buf_release(buf);
}

/* Fill the error with a text and where it belongs. Always false. */
static bool __attribute__((format(printf, 3, 4)))
fault(const struct reader *reader, int line, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return error_set(reader->error, ERROR_CONF, "%s:%d: %s",
	    reader->conf->path, line, text);
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* How many bytes to add, drop or change to make size bytes of b of a. */
static int
distance(const char *a, const char *b, int size)
{
	int row[PATH_ROOM], above, corner, i;

	for (i = 0; i <= size; i++)
		row[i] = i;
	for (; *a != '\0'; a++)
		for (corner = row[0]++, i = 1; i <= size; i++) {
			above = row[i];
			row[i] = least(corner + (*a != b[i - 1]),
			    least(above, row[i - 1]) + 1);
			corner = above;
		}
	return row[size];
}

/* Take the first size bytes of name where they are nearer than the best. */
static void
consider(char known[PATH_ROOM], int *best, const char *path, const char *name,
    int size)
{
	int found = distance(path, name, size);

	if (found >= *best)
		return;
	*best = found;
	snprintf(known, PATH_ROOM, "%.*s", size, name);
}

/* The known key, twin or section nearest to path; "" where all are far. */
static const char *
nearest(char known[PATH_ROOM], const char *path)
{
	int best = (int)strlen(path) / 3 + 2;
	const char *dot;
	char twin[PATH_ROOM];
	size_t i;

	known[0] = '\0';
	for (i = 0; i < conf_key_count; i++) {
		const char *name = conf_keys[i].path;

		consider(known, &best, path, name, (int)strlen(name));
		snprintf(twin, sizeof(twin), "%s_file", name);
		if (conf_keys[i].secret)
			consider(known, &best, path, twin, (int)strlen(twin));
		for (dot = name; (dot = strchr(dot, '.')) != NULL; dot++)
			consider(known, &best, path, name, (int)(dot - name));
	}
	return known;
}

static bool
unknown(const struct reader *reader, const char *path, int line)
{
	char known[PATH_ROOM];

	if (nearest(known, path)[0] == '\0')
		return fault(reader, line,
		    "unknown key \"%s\"; automate.yaml(5) lists them", path);
	return fault(reader, line, "unknown key \"%s\"; did you mean \"%s\"?",
	    path, known);
}

/* The key of that path, or the one whose _file twin it is. */
static const struct conf_key *
find_key(const char *path, bool *is_twin)
{
	size_t i, size;

	for (i = 0; i < conf_key_count; i++) {
		size = strlen(conf_keys[i].path);
		if (strncmp(conf_keys[i].path, path, size) != 0)
			continue;
		*is_twin =
		    conf_keys[i].secret && strcmp(path + size, "_file") == 0;
		if (path[size] == '\0' || *is_twin)
			return &conf_keys[i];
	}
	return NULL;
}

static bool
is_section(const char *path)
{
	size_t i, size = strlen(path);

	for (i = 0; i < conf_key_count; i++)
		if (strncmp(conf_keys[i].path, path, size) == 0 &&
		    conf_keys[i].path[size] == '.')
			return true;
	return false;
}

static int
line_at(const struct buf *text, size_t offset)
{
	int line = 1;
	size_t i;

	for (i = 0; i < offset && i < text->size; i++)
		line += text->data[i] == '\n';
	return line;
}

static bool
is_indented_by_tab(const struct buf *text, int line)
{
	const char *p = buf_string(text);

	while (--line > 0 && (p = strchr(p, '\n')) != NULL)
		p++;
	return p != NULL && p[strspn(p, " ")] == '\t';
}

/* libyaml's words are constant: they hold nothing of the file. */
static bool
not_yaml(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	int line = (int)parser->problem_mark.line + 1;

	if (parser->error == YAML_READER_ERROR)
		return fault(reader,
		    line_at(reader->text, parser->problem_offset),
		    "not YAML: %s", parser->problem);
	if (is_indented_by_tab(reader->text, line))
		return fault(reader, line,
		    "not YAML: a tab; lines are indented with blanks");
	if (parser->context == NULL)
		return fault(reader, line, "not YAML: %s", parser->problem);
	return fault(reader, line, "not YAML: %s; %s, from line %d",
	    parser->problem, parser->context,
	    (int)parser->context_mark.line + 1);
}

static int
event_line(const struct reader *reader)
{
	return (int)reader->event.start_mark.line + 1;
}

/* Of YAML we take mappings and scalars, and of those the plain sort. */
static bool
check_event(const struct reader *reader)
{
	const yaml_event_t *event = &reader->event;
	int line = event_line(reader);

	if (event->type == YAML_SEQUENCE_START_EVENT)
		return fault(reader, line, "a list; no key takes one");
	if (event->type == YAML_ALIAS_EVENT ||
	    (event->type == YAML_SCALAR_EVENT &&
		event->data.scalar.anchor != NULL) ||
	    (event->type == YAML_MAPPING_START_EVENT &&
		event->data.mapping_start.anchor != NULL))
		return fault(reader, line,
		    "anchors (&) and aliases (*) are not taken; quote a "
		    "value that begins so");
	if ((event->type == YAML_SCALAR_EVENT &&
		event->data.scalar.tag != NULL) ||
	    (event->type == YAML_MAPPING_START_EVENT &&
		event->data.mapping_start.tag != NULL))
		return fault(reader, line,
		    "tags (!) are not taken; quote a value that begins so");
	return true;
}

static bool
next_event(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->parser, &reader->event))
		return not_yaml(reader);
	return check_event(reader);
}

/* Nothing, or YAML's other words for it. */
static bool
is_null(const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;

	return event->data.scalar.length == 0 ||
	    (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(strcmp(value, "~") == 0 || strcmp(value, "null") == 0));
}

/* Add ${NAME} or ${NAME:-default}, at *text, which moves behind it. */
static bool
expand_variable(struct buf *out, const char **text, struct error *error)
{
	const char *name = *text + 2, *end = strchr(name, '}'), *value;
	int size = (int)strspn(name, CONF_LETTERS CONF_DIGITS "_");
	bool has_default = strncmp(name + size, ":-", 2) == 0;
	char *variable;

	if (end == NULL || size == 0 || isdigit((unsigned char)name[0]) ||
	    (name[size] != '}' && !has_default) ||
	    memchr(name, '$', (size_t)(end - name)) != NULL)
		return error_set(error, ERROR_CONF,
		    "${ must begin ${NAME} or ${NAME:-default}, with no $ "
		    "in the default; $$ stands for one $");
	*text = end + 1;
	variable = mem_copy_bytes(name, (size_t)size);
	value = getenv(variable);
	free(variable);
	if (value == NULL && !has_default)
		return error_set(error, ERROR_CONF,
		    "the environment has no %.*s; set it, or write "
		    "${%.*s:-default}",
		    size, name, size, name);
	if (has_default && (value == NULL || value[0] == '\0'))
		buf_add(out, name + size + 2, (size_t)(end - name - size - 2));
	else
		buf_text(out, value);
	return true;
}

static bool
expand(struct buf *out, const char *text, struct error *error)
{
	while (*text != '\0') {
		if (text[0] == '$' && text[1] == '{') {
			if (!expand_variable(out, &text, error))
				return false;
			continue;
		}
		text += text[0] == '$' && text[1] == '$';
		buf_byte(out, *text++);
	}
	if (out->full)
		return error_set(error, ERROR_CONF, "too long");
	return true;
}

/* Its descriptor, or -1 and errno; *path and *forbidden are its own. */
static int
open_secret(
    const struct conf *conf, const char *name, char **path, mode_t *forbidden)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd;

	/*
	 * systemd lets a service's user in by an access control list, which
	 * shows in the mode as a group that may read (systemd issue 29435);
	 * its folder keeps all others out.
	 */
	if (name[0] != '/' && folder != NULL && folder[0] == '/') {
		*path = mem_format("%s/%s", folder, name);
		*forbidden = 037;
		fd = open(*path, flags);
		if (fd != -1 || errno != ENOENT)
			return fd;
		free(*path);
	}
	*path = conf_beside(conf, name);
	*forbidden = 077;
	return open(*path, flags);
}

static bool
cannot_read(const char *path, struct error *error)
{
	return error_set(
	    error, ERROR_CONF, "cannot read %s: %s", path, strerror(errno));
}

/* All of a file just opened. */
static bool
take_file(struct buf *text, int fd, const char *path, struct error *error)
{
	if (fd == -1)
		return cannot_read(path, error);
	if (buf_read(text, fd, error))
		return true;
	error->kind = ERROR_CONF;
	return error_at(error, "%s", path);
}

static bool
take_secret(struct buf *secret, int fd, const char *path, mode_t forbidden,
    struct error *error)
{
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1)
		return cannot_read(path, error);
	if (!S_ISREG(status.st_mode))
		return error_set(
		    error, ERROR_CONF, "%s is no regular file", path);
	if ((status.st_mode & forbidden) != 0)
		return error_set(error, ERROR_CONF,
		    "%s is open to others; type: chmod 600 %s", path, path);
	if (!take_file(secret, fd, path, error))
		return false;
	if (secret->size > 0 && secret->data[secret->size - 1] == '\n')
		secret->data[--secret->size] = '\0';
	if (strlen(buf_string(secret)) != secret->size)
		return error_set(
		    error, ERROR_CONF, "%s holds a NUL byte", path);
	return secret->size > 0 ||
	    error_set(error, ERROR_CONF, "%s is empty", path);
}

/* Replace the name of a file in value by what that file holds. */
static bool
read_secret(const struct conf *conf, struct buf *value, struct error *error)
{
	struct buf secret = BUF_INIT(VALUE_MAX);
	mode_t forbidden;
	char *path;
	int fd = open_secret(conf, buf_string(value), &path, &forbidden);
	bool ok = take_secret(&secret, fd, path, forbidden, error);

	forget(value);
	*value = secret;
	if (fd != -1)
		close(fd);
	free(path);
	return ok;
}

/* Set key, or with is_twin from the file named, by the scalar at hand. */
static bool
read_scalar(
    struct reader *reader, const struct conf_key *key, bool is_twin, int line)
{
	const yaml_event_t *event = &reader->event;
	const char *scalar = (const char *)event->data.scalar.value;
	int *set_on = &reader->lines[key - conf_keys];
	struct buf value = BUF_INIT(VALUE_MAX);
	struct error why = {0};
	bool ok = true;

	if (strlen(scalar) != event->data.scalar.length)
		return fault(reader, line, "%s holds a NUL byte", key->path);
	if (!expand(&value, scalar, &why)) {
		ok = fault(reader, line, "%s%s: %s", key->path,
		    is_twin ? "_file" : "", why.text);
	} else if (value.size > 0 && *set_on != 0) {
		ok = fault(reader, line,
		    "%s and %s_file exclude each other; line %d has one",
		    key->path, key->path, *set_on);
	} else if (value.size > 0) {
		*set_on = line;
		if (is_twin && !read_secret(reader->conf, &value, &why))
			ok = fault(
			    reader, line, "%s_file: %s", key->path, why.text);
		else if (!conf_read_value(
			     reader->conf, key, buf_string(&value), &why))
			ok = fault(reader, line, "%s", why.text);
	}
	forget(&value);
	return ok;
}

static bool
read_leaf(struct reader *reader, const char *path, int line)
{
	bool is_twin;
	const struct conf_key *key = find_key(path, &is_twin);

	if (key == NULL && !is_section(path))
		return unknown(reader, path, line);
	if (is_null(&reader->event))
		return true;
	if (key == NULL)
		return fault(reader, line,
		    "%s has keys of its own; indent them below it", path);
	return read_scalar(reader, key, is_twin, line);
}

/* Each path may come once. */
static bool
take_place(struct reader *reader, const char *path, int line)
{
	size_t i, count = reader->place_count;

	for (i = 0; i < count; i++)
		if (strcmp(reader->places[i].path, path) == 0)
			return fault(reader, line,
			    "duplicate key \"%s\"; line %d has it already",
			    path, reader->places[i].line);
	reader->places =
	    mem_resize(reader->places, count + 1, sizeof(*reader->places));
	reader->places[count].path = mem_copy(path);
	reader->places[count].line = line;
	reader->place_count++;
	return true;
}

/*
 * The path of the key at hand. What does not look like a key may be a secret
 * in a wrong place, so it is not shown.
 */
static bool
take_name(struct reader *reader, const char *section, char path[PATH_ROOM])
{
	int line = event_line(reader), size;
	const char *name;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return fault(reader, line, "a key must be a word");
	name = (const char *)reader->event.data.scalar.value;
	if (name[0] == '\0' ||
	    name[strspn(name, CONF_LETTERS CONF_DIGITS "_-.")] != '\0')
		return fault(reader, line,
		    "unknown key; one is made of letters, digits and _");
	size = snprintf(path, PATH_ROOM, "%s%s%s", section,
	    section[0] != '\0' ? "." : "", name);
	if (size >= PATH_ROOM)
		return fault(reader, line, "unknown key, and a long one");
	if (strchr(name, '.') != NULL)
		return fault(reader, line,
		    "unknown key \"%s\"; what follows a dot goes on a line "
		    "of its own, indented",
		    path);
	return take_place(reader, path, line);
}

/*
 * The keys of one section, up to its end. Of an unknown one too, so that the
 * message can name a whole path.
 */
static bool
read_section(struct reader *reader, const char *section)
{
	char path[PATH_ROOM];
	bool is_twin;
	int line;

	for (;;) {
		if (!next_event(reader))
			return false;
		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return true;
		line = event_line(reader);
		if (!take_name(reader, section, path) || !next_event(reader))
			return false;
		if (reader->event.type == YAML_SCALAR_EVENT) {
			if (!read_leaf(reader, path, line))
				return false;
			continue;
		}
		if (find_key(path, &is_twin) != NULL)
			return fault(reader, line,
			    "%s takes a value, not keys of its own", path);
		if (!read_section(reader, path))
			return false;
		if (!is_section(path))
			return unknown(reader, path, line);
	}
}

/* A stream of at most one document, which is a mapping or nothing. */
static bool
read_stream(struct reader *reader)
{
	if (!next_event(reader) || !next_event(reader))
		return false;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return true;
	if (!next_event(reader))
		return false;
	if (reader->event.type == YAML_SCALAR_EVENT && !is_null(&reader->event))
		return fault(reader, event_line(reader),
		    "no key; lines are like \"mail:\" and \"  url: ...\"");
	if (reader->event.type == YAML_MAPPING_START_EVENT &&
	    !read_section(reader, ""))
		return false;
	if (!next_event(reader) || !next_event(reader))
		return false;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return fault(reader, event_line(reader),
		    "a second document; there may be one");
	return true;
}

static bool
read_text(struct reader *reader)
{
	const struct buf *text = reader->text;
	bool ok;

	if (!yaml_parser_initialize(&reader->parser))
		return error_set(reader->error, ERROR_RETRY, "out of memory");
	yaml_parser_set_input_string(&reader->parser,
	    (const unsigned char *)buf_string(text), text->size);
	ok = read_stream(reader);
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
	while (reader->place_count > 0)
		free(reader->places[--reader->place_count].path);
	free(reader->places);
	return ok;
}

bool
conf_read_file(struct conf *conf, int *lines, struct error *error)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct reader reader = {
	    .conf = conf, .lines = lines, .error = error, .text = &text};
	int fd = open(conf->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool ok = take_file(&text, fd, conf->path, error) && read_text(&reader);

	if (fd != -1)
		close(fd);
	forget(&text);
	return ok;
}
