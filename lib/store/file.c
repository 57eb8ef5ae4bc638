#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static bool
is_shared(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL
	    ? mem_copy(".")
	    : mem_copy_bytes(path, (size_t)(slash - path) + 1);
	struct stat status;
	bool shared =
	    stat(folder, &status) == 0 && (status.st_mode & S_ISGID) != 0;

	free(folder);
	return shared;
}

int
file_open(const char *path)
{
	const int flags = O_RDWR | O_CLOEXEC;
	const mode_t mode = is_shared(path) ? 0660 : 0600;
	int fd = open(path, flags | O_CREAT | O_EXCL, mode);

	if (fd == -1)
		return errno == EEXIST ? open(path, flags) : -1;
	/* Whatever the umask, which a server may have set. */
	if (fchmod(fd, mode) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

bool
file_lock(const char *database, const char *suffix, struct error *error)
{
	char *path = mem_format("%s%s", database, suffix);
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	const int fd = file_open(path);
	bool ok = fd != -1 && fcntl(fd, F_SETLK, &lock) != -1;

	if (!ok)
		error_set(error,
		    errno == EACCES || errno == EAGAIN ? ERROR_RETRY
						       : ERROR_CONF,
		    "%s: %s", path, strerror(errno));
	free(path);
	return ok;
}

bool
file_is_locked(const char *database, const char *suffix)
{
	char *path = mem_format("%s%s", database, suffix);
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	const int fd = file_open(path);
	bool locked = fd != -1 && fcntl(fd, F_GETLK, &lock) != -1 &&
	    lock.l_type != F_UNLCK;

	if (fd != -1)
		close(fd);
	free(path);
	return locked;
}
