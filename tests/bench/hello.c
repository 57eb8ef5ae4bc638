/* A CGI program that does nothing: what automate-cgi is compared with. */
#include <unistd.h>

int
main(void)
{
	static const char answer[] =
	    "Status: 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: 6\r\n\r\nhello\n";

	return write(STDOUT_FILENO, answer, sizeof(answer) - 1) !=
	    (ssize_t)sizeof(answer) - 1;
}
