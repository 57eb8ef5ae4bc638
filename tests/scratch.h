#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * A scratch folder of the test program's own, below $TMPDIR or /tmp: made when
 * first asked for, removed with the files in it when the process that made it
 * ends by exit(3) or by returning from main().
 */
static char scratch_folder[1024];
static pid_t scratch_maker;

/* The path of a file in it; the last four results hold. */
static inline const char *
scratch_path(const char *name)
{
	static char paths[4][2048];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_folder, name);
	return path;
}

static inline void
scratch_remove(void)
{
	DIR *folder =
	    getpid() == scratch_maker ? opendir(scratch_folder) : NULL;
	struct dirent *entry;

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL)
		unlink(scratch_path(entry->d_name));
	closedir(folder);
	rmdir(scratch_folder);
}

static inline const char *
scratch(const char *name)
{
	const char *parent = getenv("TMPDIR");

	if (scratch_folder[0] == '\0') {
		snprintf(scratch_folder, sizeof(scratch_folder),
		    "%s/automate-XXXXXX",
		    parent != NULL && *parent != '\0' ? parent : "/tmp");
		if (mkdtemp(scratch_folder) == NULL) {
			printf(
			    "Bail out! %s: cannot be made\n", scratch_folder);
			exit(1);
		}
		scratch_maker = getpid();
		atexit(scratch_remove);
	}
	return scratch_path(name);
}

#endif
