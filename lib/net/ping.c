#include "net/ping.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http.h"

#define TRIES_MAX 5
#define LIMIT_MS 10000
#define PAUSE_MS 200 /* before the second try; then twice as long */

static char *
address(const char *url, enum ping what)
{
	static const char *const below[] = {"/start", "", "/fail"};
	const size_t size = strcspn(url, "?");
	const char *gap =
	    size > 0 && url[size - 1] == '/' && below[what][0] == '/'
	    ? below[what] + 1
	    : below[what];

	return mem_format("%.*s%s%s", (int)size, url, gap, url + size);
}

static bool
is_worth_a_repeat(const struct answer *answer)
{
	return (answer->failure != ANSWER_COMPLETE &&
		   answer->failure != ANSWER_UNSENDABLE) ||
	    answer->status == 408 || answer->status == 429 ||
	    answer->status >= 500;
}

bool
ping(const char *url, enum ping what)
{
	const int64_t until_ms = clock_monotonic_ms() + LIMIT_MS;
	struct timespec pause = {0, PAUSE_MS * 1000000};
	struct http_request request = {.method = "GET"};
	struct answer answer = {0};
	bool again = url != NULL, heard = url == NULL;
	char *text = url != NULL ? address(url, what) : NULL;
	int tries;

	request.url = text;
	for (tries = 0; again && tries < TRIES_MAX; tries++) {
		if (tries > 0)
			nanosleep(&pause, NULL);
		if (tries > 1)
			pause.tv_nsec *= 2;
		request.timeout_ms = until_ms - clock_monotonic_ms();
		if (request.timeout_ms <= 0 ||
		    !http_request(&request, &answer, NULL))
			break;
		heard = answer.failure == ANSWER_COMPLETE &&
		    answer.status >= 200 && answer.status < 300;
		again = !heard && is_worth_a_repeat(&answer);
		buf_release(&answer.body);
		memset(&answer, 0, sizeof(answer));
	}
	free(text);
	return heard;
}
