#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "decide/message.h"

static const char *const words[] = {"ok", "skip", "warn", "fail"};

static const struct {
	const char *name;
	unsigned flow;
} flows[] = {{"onboarding", CHECK_ONBOARDING}, {"alerts", CHECK_ALERTS},
    {"payments", CHECK_PAYMENTS}, {"calls", CHECK_CALLS},
    {"usage", CHECK_USAGE}};

void
check_release(struct check *check)
{
	size_t i;

	for (i = 0; i < check->count; i++) {
		free(check->lines[i].name);
		free(check->lines[i].words);
		free(check->lines[i].next);
	}
	free(check->lines);
	check->lines = NULL;
	check->count = 0;
}

unsigned
check_flow(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		if (strcmp(flows[i].name, name) == 0)
			return flows[i].flow;
	return 0;
}

bool
check_wants(const struct check *check, unsigned wanted)
{
	return (check->flows & wanted) != 0;
}

void
check_say(struct check *check, unsigned wanted, enum check_state state,
    const char *name, char *said, char *next)
{
	struct check_line *line;

	if (!check_wants(check, wanted)) {
		free(said);
		free(next);
		return;
	}
	check->lines =
	    mem_resize(check->lines, check->count + 1, sizeof(*check->lines));
	line = &check->lines[check->count++];
	*line = (struct check_line){state, mem_copy(name), said, next};
}

void
check_broken(struct check *check, unsigned wanted, const char *name,
    const struct error *error)
{
	check_say(check, wanted, CHECK_FAIL, name, mem_copy(error->text), NULL);
}

size_t
check_count(const struct check *check, enum check_state state)
{
	size_t i, count = 0;

	for (i = 0; i < check->count; i++)
		count += check->lines[i].state == state;
	return count;
}

const char *
check_word(enum check_state state)
{
	return words[state];
}

static void
print_json(const struct check_line *line, FILE *file)
{
	json_t *json = json_object();
	char *text;

	json_put(json, "check", line->name);
	json_put(json, "state", words[line->state]);
	json_put(json, "words", line->words);
	json_put(json, "next", line->next);
	text = json_compact(json);
	fprintf(file, "%s\n", text);
	free(text);
	json_decref(json);
}

static void
print_safe(const char *before, const char *text, FILE *file)
{
	struct buf line = BUF_INIT(8192);

	message_line(&line, text, 1000);
	fprintf(file, "%s%s\n", before, buf_string(&line));
	buf_release(&line);
}

static void
print_table(const struct check_line *line, FILE *file)
{
	char before[64];

	snprintf(before, sizeof(before), "%-4s  %-22s  ", words[line->state],
	    line->name);
	print_safe(before, line->words, file);
	if (line->next != NULL)
		print_safe("      -> ", line->next, file);
}

void
check_print(
    const struct check *check, enum check_state least, bool as_json, FILE *file)
{
	const struct check_line *line;

	for (line = check->lines; line < check->lines + check->count; line++)
		if (line->state < least)
			continue;
		else if (as_json)
			print_json(line, file);
		else
			print_table(line, file);
}
