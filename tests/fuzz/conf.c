/*
 * Any bytes at all as a configuration file: it loads, and everything in it can
 * be relied on, or it is refused with the place and without a value of it.
 */
#include "base/conf.h"

#include <string.h>
#include <unistd.h>

#include "../fuzz.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/conf_key.h"
#include "decide/message.h"

/* What a corpus file has for a secret. No key can have such a name. */
#define SECRET "s3cr3t!"

static char path[] = "/tmp/automate-fuzz-XXXXXX";

static void
remove_file(void)
{
	unlink(path);
}

static void
put_file(const uint8_t *bytes, size_t size)
{
	static int fd = -1;

	if (fd == -1) {
		fd = mkstemp(path);
		atexit(remove_file);
	}
	expect(fd != -1 && ftruncate(fd, 0) == 0 &&
		pwrite(fd, bytes, size, 0) == (ssize_t)size,
	    "the file can be written");
}

static bool
holds(const uint8_t *bytes, size_t size, const char *word)
{
	const size_t length = strlen(word);
	size_t i;

	for (i = 0; i + length <= size; i++)
		if (memcmp(bytes + i, word, length) == 0)
			return true;
	return false;
}

/* A _file twin names a file, and that name may be said. */
static void
check_error(const struct error *error, const uint8_t *bytes, size_t size)
{
	size_t i, lines = 2; /* libyaml ends behind the last one */
	const char *place = error->text + strlen(path) + 1;

	expect(error->kind == ERROR_CONF && error->text[0] != '\0',
	    "what does not hold is refused in words");
	expect(
	    holds(bytes, size, "_file") || strstr(error->text, SECRET) == NULL,
	    "which have no value of it");
	if (strncmp(error->text, path, strlen(path)) != 0)
		return;
	for (i = 0; i < size; i++)
		lines += bytes[i] == '\n' || bytes[i] == '\r' ||
		    bytes[i] >= 0x80; /* YAML has more line ends than these */
	i = strtoul(place, NULL, 10);
	expect(i >= 1 && i <= lines, "and the line, which is there");
}

static void
check_number(const struct conf *conf, const struct conf_key *key)
{
	const int64_t number = *(int64_t *)conf_field(conf, key);

	expect((number >= key->least && number <= key->most) ||
		(key->type == &conf_rate && number == 0),
	    "a number is within its limits");
}

/* The template as conf.h says who fills it. */
static void
check_template(const struct conf *conf, const char *template)
{
	const struct message_value values[] = {{"app_url", conf->app_url, true},
	    {"knowledge_base_url", conf->knowledge_base_url, true},
	    {"organization_id", "o", false}, {"organization_name", "n", false},
	    {"plan", "p", false}, {"owner_email", "e", false},
	    {"owner_name", "w", false}, {"kind", "k", false}};
	struct buf url = BUF_INIT(1 << 20);
	struct error error = {0};

	expect(message_fill(&url, template, values,
		   sizeof(values) / sizeof(values[0]), &error),
	    error.text);
	expect(strncasecmp(buf_string(&url), "http", 4) == 0,
	    "a template makes an address");
	buf_release(&url);
}

static void
check_values(const struct conf *conf)
{
	const struct conf_destination *destination = conf->destinations;
	const char *text;
	size_t i;

	for (i = 0; i < conf_key_count; i++) {
		if (conf_keys[i].type->parse != NULL)
			check_number(conf, &conf_keys[i]);
		if (!conf_keys[i].type->is_text)
			continue;
		text = *(char **)conf_field(conf, &conf_keys[i]);
		expect(
		    text == NULL || *text != '\0', "a text is there or is not");
		if (text != NULL && conf_keys[i].type == &conf_template)
			check_template(conf, text);
	}
	for (i = 0; i < CONF_DESTINATIONS; i++, destination++)
		expect(destination->name != NULL &&
			(!destination->configured || destination->url != NULL),
		    "where something is sent there is an address");
	expect(conf->database_path != NULL, "there is a database");
	expect(clock_zone_known(conf->zone), "and a zone");
}

/* One line for each key, and none that has a secret. */
static void
check_print(const struct conf *conf)
{
	char *text = NULL, *line, *value;
	size_t size = 0, i;
	FILE *file = open_memstream(&text, &size);

	expect(file != NULL, "there is memory");
	conf_print(conf, file);
	fclose(file);
	line = text;
	for (i = 0; i < conf_key_count; i++) {
		expect(strncmp(line, conf_keys[i].path,
			   strlen(conf_keys[i].path)) == 0,
		    "each key has its line");
		value = line + strlen(conf_keys[i].path) + 2;
		expect(!conf_keys[i].secret ||
			strncmp(value, "(set)\n", 6) == 0 ||
			strncmp(value, "(not set)\n", 10) == 0,
		    "a secret is not shown");
		line = strchr(line, '\n');
		expect(line != NULL, "which ends");
		line++;
	}
	expect(*line == '\0', "and nothing else");
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct conf conf = {0};
	struct error error = {0};

	put_file(bytes, size);
	if (conf_load(&conf, path, &error)) {
		check_values(&conf);
		check_print(&conf);
	} else {
		check_error(&error, bytes, size);
	}
	conf_release(&conf);
	conf_release(&conf);
	return 0;
}
