/* SPDX-License-Identifier: Apache-2.0 */
/* Streams a large immutable file to disk under a temporary name. */
#include "output_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/fdio.h"
#include "crc32c.h"

enum { BUFFER_SIZE = 256 << 10 };

/* The directory @path is in; 0 or -errno. */
static int open_parent(int dir_fd, const char *path, size_t parent_size, int *out)
{
	CLEANUP(cleanup_free) char *parent = NULL;
	int fd;

	parent = parent_size == 0 ? strdup(".") : strndup(path, parent_size);
	if (!parent)
		return -ENOMEM;
	fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*out = fd;
	return 0;
}

static int create_temporary(struct output_file *file)
{
	char name[sizeof(file->temporary)];
	uint64_t unique;

	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return -errno;
	(void)snprintf(name, sizeof(name), ".new-%016jx", (uintmax_t)unique);
	file->fd = openat(file->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file->fd < 0)
		return -errno;
	memcpy(file->temporary, name, sizeof(name));
	return 0;
}

int output_file_open(
	int dir_fd, const char *path, uint64_t off, struct output_file *out, struct error *err)
{
	CLEANUP(output_file_close) struct output_file file = {.dir_fd = -1, .fd = -1};
	const char *slash = strrchr(path, '/');
	int ret;

	file.path = path;
	file.name = slash ? slash + 1 : path;
	file.off = off;
	ret = open_parent(dir_fd, path, (size_t)(file.name - path), &file.dir_fd);
	if (ret < 0)
		return error_set_errno(err, -ret, "open the directory of %s", path);
	file.buffer = malloc(BUFFER_SIZE);
	if (!file.buffer)
		return error_set(err, ERROR_NO_MEMORY, "no memory to write %s", path);
	ret = create_temporary(&file);
	if (ret < 0)
		return error_set_errno(err, -ret, "create a temporary file for %s", path);

	*out = file;
	file = (struct output_file){.dir_fd = -1, .fd = -1};
	return 0;
}

void output_file_close(struct output_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	if (file->temporary[0])
		(void)unlinkat(file->dir_fd, file->temporary, 0);
	if (file->dir_fd >= 0)
		(void)close(file->dir_fd);
	free(file->buffer);
	*file = (struct output_file){.dir_fd = -1, .fd = -1};
}

static int flush(struct output_file *file, struct error *err)
{
	int ret = fd_pwrite_all(file->fd, file->buffer, file->used, file->off - file->used);

	if (ret < 0)
		return error_set_errno(err, -ret, "write %s", file->path);
	file->used = 0;
	return 0;
}

int output_file_append(struct output_file *file, const void *data, size_t size, struct error *err)
{
	const uint8_t *from = data;

	file->crc = crc32c(file->crc, data, size);
	while (size > 0) {
		size_t n = BUFFER_SIZE - file->used;

		if (n > size)
			n = size;
		memcpy(file->buffer + file->used, from, n);
		file->used += n;
		file->off += n;
		from += n;
		size -= n;
		if (file->used == BUFFER_SIZE && flush(file, err) < 0)
			return -1;
	}
	return 0;
}

int output_file_zero_to(struct output_file *file, uint64_t off, struct error *err)
{
	static const uint8_t zeros[4096];

	assert(off >= file->off);
	while (file->off < off) {
		uint64_t n = off - file->off;

		if (n > sizeof(zeros))
			n = sizeof(zeros);
		if (output_file_append(file, zeros, n, err) < 0)
			return -1;
	}
	return 0;
}

int output_file_patch(
	struct output_file *file, const void *data, size_t size, uint64_t off, struct error *err)
{
	int ret = fd_pwrite_all(file->fd, data, size, off);

	return ret < 0 ? error_set_errno(err, -ret, "write %s", file->path) : 0;
}

int output_file_commit(struct output_file *file, struct error *err)
{
	if (flush(file, err) < 0)
		return -1;
	if (fsync(file->fd) < 0)
		return error_set_errno(err, errno, "sync %s", file->path);
	if (renameat(file->dir_fd, file->temporary, file->dir_fd, file->name) < 0)
		return error_set_errno(err, errno, "rename a temporary file to %s", file->path);
	file->temporary[0] = 0;

	/* EINVAL: this file system cannot sync directories; its renames are as durable as they
	 * ever get. */
	if (fsync(file->dir_fd) < 0 && errno != EINVAL)
		return error_set_errno(err, errno, "sync the directory of %s", file->path);
	return 0;
}
