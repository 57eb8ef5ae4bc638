#include "show.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "decide/message.h"

#define ROOM 65536

void
show_json(json_t *object)
{
	char *text = json_compact(object);

	puts(text);
	free(text);
	json_decref(object);
}

void
show_line(FILE *stream, const char *text, size_t points_max)
{
	struct buf line = BUF_INIT(ROOM);

	message_line(&line, text, points_max);
	fputs(buf_string(&line), stream);
	buf_release(&line);
}
