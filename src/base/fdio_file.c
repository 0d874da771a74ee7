/* SPDX-License-Identifier: Apache-2.0 */
/* Whole small files by name: read, replace atomically, and the directories they live in. */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 4096 };

static int read_to_end(
	int fd, const char *path, size_t limit, struct buffer *out, struct error *err)
{
	for (;;) {
		ssize_t n;

		/* One byte more than known to be there, so that the end is seen without another
		 * round of growing. */
		if (buffer_reserve(out, READ_STEP) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory to read %s", path);
		n = read(fd, out->data + out->size, out->capacity - out->size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "read %s", path);
		if (n == 0)
			return 0;
		out->size += (size_t)n;
		out->data[out->size] = 0;
		if (out->size > limit)
			return error_set(err, ERROR_FORMAT,
				"%s is larger than the limit of %zu bytes", path, limit);
	}
}

int file_read(int dir_fd, const char *path, size_t limit, struct buffer *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer contents = {0};
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat status;

	/* O_NONBLOCK: the open of a FIFO must not wait for a writer. */
	fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set_errno(err, errno, "open %s", path);
	if (fstat(fd, &status) < 0)
		return error_set_errno(err, errno, "stat %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_INVALID, "%s is not a regular file", path);
	if ((uint64_t)status.st_size > limit)
		return error_set(err, ERROR_FORMAT, "%s has %jd bytes, more than the limit of %zu",
			path, (intmax_t)status.st_size, limit);

	if (buffer_reserve(&contents, (size_t)status.st_size + READ_STEP) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %jd bytes of %s",
			(intmax_t)status.st_size, path);
	if (read_to_end(fd, path, limit, &contents, err) < 0)
		return -1;

	*out = contents;
	contents = (struct buffer){0};
	return 0;
}

/* A file on its way to its final name; removed unless it arrives there. */
struct new_file {
	int dir_fd;    /* owned: the directory both names are in */
	int fd;        /* owned */
	char name[32]; /* empty once there is nothing to remove */
};

static void new_file_cleanup(struct new_file *file)
{
	cleanup_fd(&file->fd);
	if (file->name[0])
		(void)unlinkat(file->dir_fd, file->name, 0);
	cleanup_fd(&file->dir_fd);
}

static int open_parent(int dir_fd, const char *path, size_t parent_size)
{
	CLEANUP(cleanup_free) char *parent = NULL;
	int fd;

	if (parent_size == 0)
		fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else {
		parent = strndup(path, parent_size);
		if (!parent)
			return -ENOMEM;
		fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static int new_file_create(struct new_file *file, mode_t mode)
{
	char name[sizeof(file->name)];
	uint64_t unique;

	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return -errno;
	(void)snprintf(name, sizeof(name), ".new-%016jx", (uintmax_t)unique);
	file->fd = openat(file->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (file->fd < 0)
		return -errno;

	memcpy(file->name, name, sizeof(name));
	/* The umask has had its say in open(); the caller's mode is exact. */
	return fchmod(file->fd, mode) < 0 ? -errno : 0;
}

/* Some file systems cannot sync a directory, and say EINVAL: their renames are as durable as they
 * ever get. */
static int sync_directory(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

int file_replace(
	int dir_fd, const char *path, const void *data, size_t size, mode_t mode, struct error *err)
{
	CLEANUP(new_file_cleanup) struct new_file file = {.dir_fd = -1, .fd = -1};
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int ret;

	if (!name[0])
		return error_set(err, ERROR_INVALID, "write '%s': not the name of a file", path);
	ret = open_parent(dir_fd, path, (size_t)(name - path));
	if (ret < 0)
		return error_set_errno(err, -ret, "open the directory of %s", path);
	file.dir_fd = ret;

	ret = new_file_create(&file, mode);
	if (ret < 0)
		return error_set_errno(err, -ret, "create a temporary file for %s", path);
	ret = fd_write_all(file.fd, data, size);
	if (ret < 0)
		return error_set_errno(err, -ret, "write %zu bytes for %s", size, path);
	if (fsync(file.fd) < 0)
		return error_set_errno(err, errno, "fsync the new %s", path);

	if (renameat(file.dir_fd, file.name, file.dir_fd, name) < 0)
		return error_set_errno(err, errno, "rename a temporary file to %s", path);
	file.name[0] = '\0';
	ret = sync_directory(file.dir_fd);
	if (ret < 0)
		return error_set_errno(err, -ret, "fsync the directory of %s", path);
	return 0;
}

/* mkdir(2), content with a directory (or a link to one) that is there already. */
static int make_one(const char *path, mode_t mode)
{
	struct stat status;
	int failure;

	if (mkdir(path, mode) == 0)
		return 0;
	failure = errno;
	if (stat(path, &status) < 0)
		return -failure;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
	CLEANUP(cleanup_free) char *prefix = strdup(path);
	int ret;

	if (!prefix)
		return error_set(err, ERROR_NO_MEMORY, "no memory to make directory %s", path);

	for (char *end = prefix; *end;) {
		char kept;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		kept = *end;
		*end = '\0';
		ret = make_one(prefix, mode);
		if (ret < 0)
			return error_set_errno(err, -ret, "make directory %s", prefix);
		*end = kept;
	}
	return path[0] ? 0 : error_set(err, ERROR_INVALID, "make directory '': empty path");
}
