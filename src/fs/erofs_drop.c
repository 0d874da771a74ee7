/* SPDX-License-Identifier: Apache-2.0 */
/* Drops what the kernel has cached of the files of an EROFS mount. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/erofs_mount.h"

static void close_walk(FTS **walk)
{
	if (*walk)
		(void)fts_close(*walk);
}

static int drop_file(const char *path)
{
	CLEANUP(cleanup_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

int erofs_drop_cached(const char *path, struct error *err)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	CLEANUP(close_walk)
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int errnum = 0;

	if (!walk)
		return error_set_errno(err, errno, "walk %s", path);
	while ((entry = fts_read(walk))) {
		int ret = entry->fts_info == FTS_F ? drop_file(entry->fts_path) : 0;

		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
			entry->fts_info == FTS_NS)
			ret = -entry->fts_errno;
		errnum = ret < 0 ? -ret : errnum;
	}
	return errnum ? error_set_errno(err, errnum, "drop what is cached below %s", path) : 0;
}
