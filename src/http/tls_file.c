/* SPDX-License-Identifier: Apache-2.0 */
/* Reading certificate files, and noticing when they are replaced. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"

#include "tls_internal.h"

static int record(struct tls_files *files, const char *path, const struct stat *status)
{
	struct tls_file *grown =
		reallocarray(files->files, files->n_files + 1, sizeof(*files->files));

	if (!grown)
		return -ENOMEM;
	files->files = grown;
	grown += files->n_files;
	*grown = (struct tls_file){
		.path = strdup(path),
		.dev = status->st_dev,
		.ino = status->st_ino,
		.size = status->st_size,
		.modified = status->st_mtim,
		.changed = status->st_ctim,
	};
	if (!grown->path)
		return -ENOMEM;
	files->n_files++;
	return 0;
}

static int check(const char *what, const char *path, size_t limit, const struct stat *status,
	struct error *err)
{
	if (S_ISDIR(status->st_mode))
		return error_set(
			err, ERROR_INVALID, "%s %s is a directory, not a file", what, path);
	if (!S_ISREG(status->st_mode))
		return error_set(err, ERROR_INVALID, "%s %s is not a regular file", what, path);
	if (status->st_size == 0)
		return error_set(err, ERROR_INVALID, "%s %s is empty", what, path);
	if ((uint64_t)status->st_size > limit)
		return error_set(
			err, ERROR_INVALID, "%s %s is larger than %zu bytes", what, path, limit);
	return 0;
}

static int open_failed(const char *what, const char *path, int errnum, struct error *err)
{
	if (errnum == EACCES || errnum == EPERM)
		return error_set(err, ERROR_INVALID,
			"%s %s cannot be read by user %u: permission denied", what, path,
			(unsigned)geteuid());
	(void)error_set_errno(err, errnum, "%s %s cannot be read", what, path);
	if (err && errnum != ENOMEM)
		err->kind = ERROR_INVALID;
	return -1;
}

int tls_file_read(struct tls_files *files, const char *what, const char *path, size_t limit,
	struct buffer *out, struct error *err)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int ret;

	if (fd < 0 || fstat(fd, &status) < 0)
		return open_failed(what, path, errno, err);
	if (check(what, path, limit, &status, err) < 0)
		return -1;
	if (buffer_reserve(out, (size_t)status.st_size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s %s", what, path);
	ret = fd_read_exact(fd, out->data, (size_t)status.st_size);
	if (ret < 0)
		return open_failed(what, path, -ret, err);
	out->size = (size_t)status.st_size;
	if (record(files, path, &status) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %s %s", what, path);
	return 0;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool file_changed(const struct tls_file *file)
{
	struct stat status;

	if (stat(file->path, &status) < 0)
		return true;
	return status.st_dev != file->dev || status.st_ino != file->ino ||
	       status.st_size != file->size || !same_time(status.st_mtim, file->modified) ||
	       !same_time(status.st_ctim, file->changed);
}

bool tls_files_changed(const struct tls_files *files)
{
	for (size_t i = 0; i < files->n_files; i++)
		if (file_changed(&files->files[i]))
			return true;
	return false;
}

void tls_files_free(struct tls_files *files)
{
	for (size_t i = 0; i < files->n_files; i++)
		free(files->files[i].path);
	free(files->files);
	*files = (struct tls_files){0};
}
