#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "base/buf.h"
#include "base/mem.h"

#define MARK "\xEF\xBB\xBF"

/* Everything at once, then the end. */
static int
pipe_with(const char *bytes, size_t size)
{
	int ends[2];

	if (pipe(ends) == -1 || write(ends[1], bytes, size) != (ssize_t)size)
		return -1;
	close(ends[1]);
	return ends[0];
}

/* One answer as text: "3<the document>", "!the error" or ".". */
static enum input_answer
show(struct buf *shown, struct input *input)
{
	struct error error = {0};
	const char *text;
	size_t size, line;
	enum input_answer answer =
	    input_next(input, &text, &size, &line, &error);

	if (answer == INPUT_DOCUMENT) {
		buf_format(shown, "%zu<", line);
		buf_add(shown, text, size);
		buf_text(shown, ">");
	} else if (answer == INPUT_FAILED)
		buf_format(shown, "!%s;", error.text);
	else
		buf_text(shown, ".");
	return answer;
}

static void
show_all(struct buf *shown, struct input *input)
{
	while (show(shown, input) != INPUT_END)
		;
}

static const struct told {
	const char *name, *text;
	size_t max;
	const char *shown;
} told[] = {
    {"nothing", "", 99, "!empty input;."},
    {"blanks", " \n\r\n\t\n", 99, "!empty input;."},
    {"a byte order mark", MARK, 99, "!empty input;."},
    {"a byte order mark and a newline", MARK "\n", 99, "!empty input;."},
    {"part of a byte order mark", "\xEF\xBB", 99, "1<\xEF\xBB>."},

    {"one line, no newline", "{\"a\":1}", 99, "1<{\"a\":1}>."},
    {"one line", "{\"a\":1}\n", 99, "1<{\"a\":1}\n>."},
    {"one line, CRLF", "{\"a\":1}\r\n", 99, "1<{\"a\":1}\r\n>."},
    {"one line among blank ones", "\n \n{}\n\n", 99, "1<\n \n{}\n\n>."},
    {"one line behind a byte order mark", MARK "{}\n", 99, "1<" MARK "{}\n>."},
    {"one scalar", "17\n", 99, "1<17\n>."},
    {"one bracket in a string", "[\"[\",\"\\\"[\"]\n", 99,
	"1<[\"[\",\"\\\"[\"]\n>."},

    {"printed over lines", "{\n  \"a\": 1\n}\n", 99, "1<{\n  \"a\": 1\n}\n>."},
    {"printed over lines, CRLF", "{\r\n \"a\": 1\r\n}", 99,
	"1<{\r\n \"a\": 1\r\n}>."},
    {"printed, behind a byte order mark", MARK "\n{\n\"a\":{\n}\n}\n", 99,
	"1<" MARK "\n{\n\"a\":{\n}\n}\n>."},
    {"an array of lines", "[\n{\"a\":1},\n{\"a\":2}\n]\n", 99,
	"1<[\n{\"a\":1},\n{\"a\":2}\n]\n>."},
    {"an object at the margin", "{\"a\":\n{\"b\":1}\n}\n", 99,
	"1<{\"a\":\n{\"b\":1}\n}\n>."},
    {"an object behind a blank line", "{\"a\":\n\n{\"b\":1}\n}\n", 99,
	"1<{\"a\":\n\n{\"b\":1}\n}\n>."},
    {"more objects at the margin", "{\"a\":[\n{\"b\":1},\n{\"b\":2}\n]}", 99,
	"1<{\"a\":[\n{\"b\":1},\n{\"b\":2}\n]}>."},
    {"cut short", "{\n \"a\": {\"b\":\n", 99, "1<{\n \"a\": {\"b\":\n>."},
    {"cut short in its only line", "{\"a\": \"b", 99, "1<{\"a\": \"b>."},

    {"a batch", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", 99,
	"1<{\"a\":1}>2<{\"a\":2}>3<{\"a\":3}>."},
    {"a batch, no newline at its end", "{}\n[]", 99, "1<{}>2<[]>."},
    {"a batch, CRLF", "{}\r\n\r\n[]\r\n", 99, "1<{}\r>3<[]\r>."},
    {"a batch with blank lines", "\n{}\n \n\n[]\n\n\n", 99, "2<{}>5<[]>."},
    {"a batch behind a byte order mark", MARK "{}\n[]\n", 99,
	"1<" MARK "{}>2<[]>."},
    {"a batch behind a line of it", MARK "\n{}\n[]\n", 99, "2<{}>3<[]>."},
    {"a batch of scalars", "\"a\"\n\"b\n17\n", 99, "1<\"a\">2<\"b>3<17>."},
    {"a batch with a bad line", "{}\n{\"a\":\n[]\n}\n", 99,
	"1<{}>2<{\"a\":>3<[]>4<}>."},
    {"a batch with garbage first", "hello [\n{}\n", 99, "1<hello [>2<{}>."},
    {"a batch with brackets in strings", "[\"[\",\"\\\"[\"]\n{}", 99,
	"1<[\"[\",\"\\\"[\"]>2<{}>."},
    {"a batch with a bracket too many first", "[]]\n{}\n", 99, "1<[]]>2<{}>."},
    {"a batch with a closing bracket first", "}\n{}\n", 99, "1<}>2<{}>."},

    {"first line cut short", "{\"a\":\"b\n{\"a\":2}\n{\"a\":3}\n", 99,
	"1<{\"a\":\"b>2<{\"a\":2}>3<{\"a\":3}>."},
    {"first line cut short, of two", "{\"a\":1\n\n{\"a\":2}", 99,
	"1<{\"a\":1>3<{\"a\":2}>."},
    {"first line cut short behind a colon", "{\"a\":\n{\"a\":2}\n{\"a\":3}\n",
	99, "1<{\"a\":>2<{\"a\":2}>3<{\"a\":3}>."},
    {"first two lines cut short", "{\"a\":\"b\n{\"a\":[\"b\n{\"a\":3}\r\n", 99,
	"1<{\"a\":\"b>2<{\"a\":[\"b>3<{\"a\":3}\r>."},
    {"not at the margin", "{\"a\":\"b\n {\"a\":2}\n{\"a\":3}\n", 99,
	"1<{\"a\":\"b\n {\"a\":2}\n{\"a\":3}\n>."},

    {"as long as allowed", "[1,2,3]\n[1,2,4]\n", 7, "1<[1,2,3]>2<[1,2,4]>."},
    {"as long as allowed, in one line", "[1,2,3]\n", 7, "1<[1,2,3]>."},
    {"as long as allowed, over lines", "[1,\n2]\n", 7, "1<[1,\n2]\n>."},
    {"too long, over lines", "[1,\n2]\n\n", 7,
	"!line 1: document is longer than 7 bytes;."},
    {"too long, alone", "[1,2,34]", 7,
	"!line 1: document is longer than 7 bytes;."},
    {"too long, not closed", "[\"12345678,\n{}\n", 7,
	"!line 1: document is longer than 7 bytes;."},
    {"too long, last", "{}\n{\"abc\":1}", 7,
	"1<{}>!line 2: document is longer than 7 bytes;."},
    {"too long, first", "\n{\"abc\":1}\n{}\n", 7,
	"!line 2: document is longer than 7 bytes;3<{}>."},
    {"too long, in the middle", "{}\n{\"abcdefghijklmnopq\":1}\n[]\n", 7,
	"1<{}>!line 2: document is longer than 7 bytes;3<[]>."},
    {"too long, twice", "{}\n{\"abc\":1}\n{\"abc\":2}\n[]", 7,
	"1<{}>!line 2: document is longer than 7 bytes;"
	"!line 3: document is longer than 7 bytes;4<[]>."},
    {"first line cut short, the second too long", "{\"a\"\n{\"abc\":1}\n{}\n",
	7, "!line 1: document is longer than 7 bytes;."},
    {"more blank lines than a document", "\n\n\n\n\n\n\n\n\n{}\n[]\n", 7,
	"10<{}>11<[]>."},
};

static void
test_told(void)
{
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct buf shown = BUF_INIT(4096);
		struct input input;
		int fd = pipe_with(told[i].text, strlen(told[i].text));

		input_init(&input, fd, told[i].max);
		show_all(&shown, &input);
		is_text(buf_string(&shown), told[i].shown, told[i].name);
		input_release(&input);
		close(fd);
		buf_release(&shown);
	}
}

/* A descriptor whose every read gives no more than count bytes. */
static int
packets_with(const char *bytes, size_t count)
{
	size_t left = strlen(bytes);
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == -1)
		return -1;
	for (; left > 0; bytes += count, left -= count) {
		count = left < count ? left : count;
		if (write(ends[1], bytes, count) != (ssize_t)count)
			return -1;
	}
	close(ends[1]);
	return ends[0];
}

static void
test_in_pieces(size_t count)
{
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct buf shown = BUF_INIT(4096);
		struct input input;
		int fd = packets_with(told[i].text, count);

		if (fd == -1) {
			ok(true, "%s # SKIP no packets here", told[i].name);
			continue;
		}
		input_init(&input, fd, told[i].max);
		show_all(&shown, &input);
		is_text(buf_string(&shown), told[i].shown, told[i].name);
		input_release(&input);
		close(fd);
		buf_release(&shown);
	}
}

/* A text at hand. */
static void
test_text(void)
{
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct buf shown = BUF_INIT(4096);
		struct input input;

		input_init_text(
		    &input, told[i].text, strlen(told[i].text), told[i].max);
		ok(input_ready(&input), "nothing to wait for");
		show_all(&shown, &input);
		is_text(buf_string(&shown), told[i].shown, told[i].name);
		input_release(&input);
		buf_release(&shown);
	}
}

static void
say(int fd, const char *words)
{
	if (write(fd, words, strlen(words)) != (ssize_t)strlen(words))
		ok(false, "write");
}

/* One answer, which is there. */
static void
is_next(struct input *input, const char *wanted, const char *name)
{
	struct buf shown = BUF_INIT(4096);

	if (ok(input_ready(input), "ready: %s", name))
		show(&shown, input);
	is_text(buf_string(&shown), wanted, name);
	buf_release(&shown);
}

/* A writer that keeps the descriptor open. */
static void
test_live(void)
{
	struct input input;
	int ends[2];

	if (!ok(pipe(ends) == 0, "pipe"))
		return;
	input_init(&input, ends[0], 99);
	ok(!input_ready(&input), "nothing written");
	say(ends[1], "{\"a\":1}");
	ok(!input_ready(&input), "a line that may go on");
	say(ends[1], "\n");
	is_next(&input, "1<{\"a\":1}\n>", "the first line is not kept back");
	ok(!input_ready(&input), "given");
	say(ends[1], "\n\n[2");
	ok(!input_ready(&input), "blank lines and half a line");
	say(ends[1], "]\n[3]\n[4");
	is_next(&input, "4<[2]>", "the fourth line");
	is_next(&input, "5<[3]>", "the fifth line");
	ok(!input_ready(&input), "half a line");
	close(ends[1]);
	is_next(&input, "6<[4>", "what is left");
	is_next(&input, ".", "the end");
	is_next(&input, ".", "the end again");
	input_release(&input);
	close(ends[0]);
}

static void
test_live_document(void)
{
	struct input input;
	int ends[2];

	if (!ok(pipe(ends) == 0, "pipe"))
		return;
	input_init(&input, ends[0], 99);
	say(ends[1], "{\n \"a\": 1\n}\n");
	ok(!input_ready(&input), "a document goes on to the end");
	close(ends[1]);
	is_next(&input, "1<{\n \"a\": 1\n}\n>", "to the end");
	input_release(&input);
	close(ends[0]);
}

/* The rest of a line that is too long is passed over as it comes. */
static void
test_live_too_long(void)
{
	struct input input;
	int ends[2];

	if (!ok(pipe(ends) == 0, "pipe"))
		return;
	input_init(&input, ends[0], 5);
	say(ends[1], "\"12345");
	is_next(&input, "!line 1: document is longer than 5 bytes;", "at once");
	ok(!input_ready(&input), "it goes on");
	say(ends[1], "6\"");
	ok(!input_ready(&input), "and on");
	say(ends[1], "\n{}\n");
	is_next(&input, "2<{}>", "the next line");
	input_release(&input);
	close(ends[0]);
	close(ends[1]);
}

static void
is_unreadable(int fd, const char *why, const char *name)
{
	char *wanted = mem_format("!cannot read the input: %s;.", why);
	struct buf shown = BUF_INIT(4096);
	struct input input;

	input_init(&input, fd, 99);
	ok(fd == -1 || input_ready(&input), "ready to fail: %s", name);
	show_all(&shown, &input);
	is_text(buf_string(&shown), wanted, name);
	input_release(&input);
	buf_release(&shown);
	free(wanted);
}

static void
test_unreadable(void)
{
	int directory = open(".", O_RDONLY), closed = dup(directory);

	close(closed);
	is_unreadable(directory, strerror(EISDIR), "a directory");
	is_unreadable(closed, strerror(EBADF), "a closed descriptor");
	is_unreadable(-1, strerror(EBADF), "no descriptor");
	close(directory);
}

/* Reading that fails later, when `before` has been read. */
static void
test_failing(const char *before, const char *wanted)
{
	struct buf shown = BUF_INIT(4096);
	struct input input;
	int ends[2], directory = open(".", O_RDONLY);

	if (!ok(pipe(ends) == 0, "pipe"))
		return;
	input_init(&input, ends[0], 99);
	say(ends[1], before);
	while (input_ready(&input))
		show(&shown, &input);
	dup2(directory, ends[0]);
	show_all(&shown, &input);
	is_text(buf_string(&shown), wanted, "reading fails");
	input_release(&input);
	buf_release(&shown);
	close(directory);
	close(ends[0]);
	close(ends[1]);
}

/* Takes fd. */
static void
fails_as(int fd, enum error_kind kind, const char *name)
{
	struct error error = {0};
	struct input input;
	const char *text;
	size_t size, line;

	input_init(&input, fd, 99);
	ok(input_next(&input, &text, &size, &line, &error) == INPUT_FAILED &&
		error.kind == kind,
	    "%s", name);
	input_release(&input);
	input_release(&input);
	ok(input.data == NULL, "released twice");
	if (fd != -1)
		close(fd);
}

static void
test_kind(void)
{
	const int memory = open("/proc/self/mem", O_RDONLY);

	fails_as(pipe_with("", 0), ERROR_DATA, "empty input is refused");
	fails_as(-1, ERROR_USAGE, "no descriptor is wrong usage");
	fails_as(open(".", O_RDONLY), ERROR_USAGE, "so is a directory");
	if (memory != -1) /* page 0 gives EIO */
		fails_as(memory, ERROR_RETRY, "else it may go well later");
}

/* Line number of the many, and what it should hold: 0 to 3000 bytes. */
static void
many_line(struct buf *line, int number)
{
	buf_clear(line);
	buf_format(line, "{\"n\":%d,\"pad\":\"%*s\"}", number,
	    number * 7919 % 3000, "");
}

static pid_t
write_many(int *fd, int count)
{
	struct buf line = BUF_INIT(4096);
	int ends[2], number;
	pid_t pid;

	if (pipe(ends) == -1 || (pid = fork()) == -1)
		return -1;
	*fd = ends[0];
	if (pid != 0) {
		close(ends[1]);
		return pid;
	}
	for (number = 1; number <= count; number++) {
		many_line(&line, number);
		buf_byte(&line, '\n');
		say(ends[1], line.data);
	}
	_exit(0);
}

static int late_end;

static void
write_late(int signal)
{
	(void)signal;
	say(late_end, "17");
	close(late_end);
}

/* Not blocking, as some parents leave a pipe; and a signal comes. */
static void
test_nonblocking(void)
{
	const struct itimerval soon = {{0, 0}, {0, 20000}};
	struct sigaction action = {0};
	struct buf shown = BUF_INIT(99);
	struct input input;
	int ends[2];

	if (!ok(pipe(ends) == 0, "pipe"))
		return;
	late_end = ends[1];
	action.sa_handler = write_late;
	sigaction(SIGALRM, &action, NULL);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	input_init(&input, ends[0], 99);
	setitimer(ITIMER_REAL, &soon, NULL);
	show_all(&shown, &input);
	is_text(buf_string(&shown), "1<17>.", "what is written later");
	input_release(&input);
	close(ends[0]);
	buf_release(&shown);
}

static void
test_many(void)
{
	const int count = 5000;
	struct buf wanted = BUF_INIT(4096);
	struct error error = {0};
	struct input input;
	const char *text;
	size_t size, line;
	int fd = -1, same = 0;
	pid_t pid = write_many(&fd, count);

	input_init(&input, fd, 4096);
	while (
	    input_next(&input, &text, &size, &line, &error) == INPUT_DOCUMENT) {
		many_line(&wanted, (int)line);
		/* the first may have its newline, if the second is late */
		size -= line == 1 && text[size - 1] == '\n';
		same += line == (size_t)same + 1 && size == wanted.size &&
		    memcmp(text, wanted.data, size) == 0;
	}
	is_int(same, count, "many lines, each as it was written");
	ok(input.room <= 4 * 65536, "in little memory");
	input_release(&input);
	close(fd);
	waitpid(pid, NULL, 0);
	buf_release(&wanted);
}

/* One document of a megabyte, then a line of one where that is too much. */
static void
test_large(void)
{
	const size_t size = 1 << 20;
	char *text = mem_alloc(size + 2);
	struct error error = {0};
	struct input input;
	const char *got;
	size_t got_size, line;
	FILE *file = tmpfile();
	int fd = fileno(file);

	memset(text, ' ', size);
	text[0] = '"';
	text[size - 1] = '"';
	text[size] = '\n';
	ok(write(fd, text, size + 1) == (ssize_t)size + 1, "a large file");

	lseek(fd, 0, SEEK_SET);
	input_init(&input, fd, size + 1);
	ok(input_next(&input, &got, &got_size, &line, &error) ==
		    INPUT_DOCUMENT &&
		got_size == size + 1 && memcmp(got, text, got_size) == 0,
	    "a document of a megabyte, byte for byte");
	input_release(&input);

	say(fd, "{}\n");
	lseek(fd, 0, SEEK_SET);
	input_init(&input, fd, 1000);
	ok(input_next(&input, &got, &got_size, &line, &error) == INPUT_FAILED,
	    "too much");
	ok(input_next(&input, &got, &got_size, &line, &error) ==
		    INPUT_DOCUMENT &&
		line == 2 && got_size == 2,
	    "and the line behind it");
	ok(input.room <= 4 * 65536, "in little memory");
	input_release(&input);
	fclose(file);
	free(text);
}

static void
test_blank(void)
{
	struct error error = {0};
	struct input input;
	FILE *file = tmpfile();
	const char *text;
	size_t size, line;
	int i;

	for (i = 0; i < 1 << 20; i++)
		putc('\n', file);
	fputs("{}", file);
	rewind(file);
	input_init(&input, fileno(file), 1000);
	ok(input_next(&input, &text, &size, &line, &error) == INPUT_DOCUMENT &&
		size <= 1000 && memcmp(text + size - 2, "{}", 2) == 0,
	    "a megabyte of blank lines first");
	ok(input.room <= 4 * 65536, "in little memory");
	input_release(&input);
	fclose(file);
}

int
main(void)
{
	test_told();
	test_text();
	test_in_pieces(1);
	test_in_pieces(5);
	test_live();
	test_live_document();
	test_live_too_long();
	test_unreadable();
	test_failing("", "!cannot read the input: Is a directory;.");
	test_failing("{}\n[1", "1<{}>!cannot read the input: Is a directory;.");
	test_failing(
	    "{}\n[]\n[1", "1<{}>2<[]>!cannot read the input: Is a directory;.");
	test_failing("{\n1\n", "!cannot read the input: Is a directory;.");
	test_failing("{\n{", "!cannot read the input: Is a directory;.");
	test_kind();
	test_nonblocking();
	test_many();
	test_large();
	test_blank();
	return tap_end();
}
