/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files, and parts of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"

#include "local_internal.h"

static int set_open_error(struct error *err, int errnum, const char *path)
{
	if (errnum == ENOTDIR)
		errnum = ENOENT;
	return error_set_errno(err, errnum, "open %s", path);
}

/* Looks before it opens: opening a device may do something, opening a FIFO may last for ever. */
static int open_regular(const char *path, int *out, struct error *err)
{
	CLEANUP(cleanup_fd) int found = open(path, O_PATH | O_CLOEXEC);
	char self[40];
	struct stat status;
	int fd;

	if (found < 0)
		return set_open_error(err, errno, path);
	if (fstat(found, &status) < 0)
		return error_set_errno(err, errno, "stat %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_FORMAT, "%s is %s, not a regular file", path,
			S_ISDIR(status.st_mode) ? "a directory" : "something special");
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return set_open_error(err, errno, path);
	*out = fd;
	return 0;
}

int local_file_open(const char *path, struct local_file **out, struct error *err)
{
	struct local_file *file;
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat status;

	if (open_regular(path, &fd, err) < 0)
		return -1;
	if (fstat(fd, &status) < 0)
		return error_set_errno(err, errno, "stat %s", path);
	file = calloc(1, sizeof(*file));
	if (!file)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an open file");
	file->path = strdup(path);
	if (!file->path) {
		free(file);
		return error_set(err, ERROR_NO_MEMORY, "no memory for an open file");
	}
	atomic_init(&file->refs, 1);
	file->fd = TAKE_FD(fd);
	file->size = (uint64_t)status.st_size;
	file->mtime = status.st_mtim;
	*out = file;
	return 0;
}

struct local_file *local_file_ref(struct local_file *file)
{
	atomic_fetch_add(&file->refs, 1);
	return file;
}

void local_file_unref(struct local_file *file)
{
	if (!file || atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	(void)close(file->fd);
	free(file->path);
	free(file);
}

int local_file_read(
	const struct local_file *file, uint64_t off, void *data, size_t size, struct error *err)
{
	int result = fd_pread_exact(file->fd, data, size, off);

	if (result == -ENODATA)
		return error_set(err, ERROR_FORMAT,
			"%s had %ju bytes when it was opened and has fewer now", file->path,
			(uintmax_t)file->size);
	if (result < 0)
		return error_set_errno(err, -result, "read %s at %ju", file->path, (uintmax_t)off);
	return 0;
}

int local_file_check_unchanged(const struct local_file *file, struct error *err)
{
	struct stat status;

	if (fstat(file->fd, &status) < 0)
		return error_set_errno(err, errno, "stat %s", file->path);
	if ((uint64_t)status.st_size == file->size && status.st_mtim.tv_sec == file->mtime.tv_sec &&
		status.st_mtim.tv_nsec == file->mtime.tv_nsec)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"%s was changed while it was in use (%ju bytes, now %ju): mount it again",
		file->path, (uintmax_t)file->size, (uintmax_t)status.st_size);
}

void local_range_clear(struct local_range *range)
{
	local_file_unref(range->file);
	*range = (struct local_range){0};
}

int local_range_read(
	const struct local_range *range, uint64_t off, void *data, size_t size, struct error *err)
{
	if (range->in_archive && local_file_check_unchanged(range->file, err) < 0)
		return -1;
	return local_file_read(range->file, range->off + off, data, size, err);
}

int local_range_read_all(
	const struct local_range *range, uint64_t limit, struct buffer *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer bytes = {0};

	if (range->size > limit)
		return error_set(err, ERROR_FORMAT, "%ju bytes, more than the limit of %ju",
			(uintmax_t)range->size, (uintmax_t)limit);
	if (buffer_reserve(&bytes, range->size + 1) < 0)
		return error_set(
			err, ERROR_NO_MEMORY, "no memory for %ju bytes", (uintmax_t)range->size);
	if (local_range_read(range, 0, bytes.data, range->size, err) < 0)
		return -1;
	bytes.size = range->size;
	bytes.data[bytes.size] = 0;
	*out = bytes;
	bytes = (struct buffer){0};
	return 0;
}
