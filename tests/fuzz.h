#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A fuzz harness: defines LLVMFuzzerTestOneInput(), which gives any bytes to a
 * parser and expects what its header promises. Linked with -fsanitize=fuzzer it
 * searches; with FUZZ_MAIN defined it runs over the files it is given.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static inline void
expect(bool fact, const char *words)
{
	if (fact)
		return;
	fprintf(stderr, "broken promise: %s\n", words);
	abort();
}

#ifdef FUZZ_MAIN
int
main(int argc, char *argv[])
{
	static uint8_t bytes[1 << 20];
	int i;

	for (i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		if (file == NULL) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(
		    bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	return 0;
}
#endif

#endif
