/*
 * The watcher outside: which address is told, how often it is tried, and that
 * it takes nobody's time for long.
 */
#include "../receiver.h"
#include "../tap.h"
#include "base/clock.h"
#include "net/ping.h"

static char *
url_of(const char *path)
{
	return mem_format("http://127.0.0.1:%d%s", port, path);
}

static bool
tell(const char *path, enum ping what)
{
	char *url = url_of(path);
	bool heard = ping(url, what);

	free(url);
	return heard;
}

static void
test_addresses(void)
{
	ok(tell("/ping/1", PING_START) &&
		received("\"path\":\"/ping/1/start\""),
	    "that it began");
	ok(tell("/ping/1", PING_WELL) && received("\"path\":\"/ping/1\""),
	    "that it went well");
	ok(tell("/ping/1", PING_FAILED) &&
		received("\"path\":\"/ping/1/fail\""),
	    "that it failed");
	ok(tell("/ping/key/slug?create=1", PING_FAILED) &&
		received("\"path\":\"/ping/key/slug/fail\"") &&
		received("\"query\":\"create=1\""),
	    "with what the address asks for");
	ok(tell("/ping/2/", PING_START) &&
		received("\"path\":\"/ping/2/start\""),
	    "one slash is enough");
	ok(ping(NULL, PING_WELL), "nobody to tell is no trouble");
}

static void
test_tries(void)
{
	int64_t start_ms;

	script("/busy 503\n/busy 503\n/busy 200\n/gone 404\n/down 500\n");
	ok(tell("/busy", PING_WELL), "told in the end");
	is_int(count_requests("\"path\":\"/busy\""), 3, "at the third try");
	ok(!tell("/gone", PING_WELL), "an address that is gone");
	is_int(count_requests("\"path\":\"/gone\""), 1, "is tried once");
	start_ms = clock_monotonic_ms();
	ok(!tell("/down", PING_WELL), "one that is down");
	is_int(count_requests("\"path\":\"/down\""), 5, "is tried five times");
	ok(clock_monotonic_ms() - start_ms < 10000, "within ten seconds");
}

int
main(void)
{
	receiver_start();
	test_addresses();
	test_tries();
	return tap_end();
}
