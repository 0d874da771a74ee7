/* SPDX-License-Identifier: Apache-2.0 */
/* One owner at a time: takes, describes and asks for the lock of a store. */
#include "store_lock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "store/store.h"

#define LOCK_NAME "lock"

enum { TEXT_SIZE = 512 };

/* "pid 123: mount ..." from what the owner wrote; it may be between taking and describing. */
static void read_owner(int fd, char *text, size_t text_size)
{
	char line[TEXT_SIZE];
	ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
	char *end;

	line[n > 0 ? (size_t)n : 0] = '\0';
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	(void)snprintf(text, text_size, "%s", line[0] ? line : "a process that just started");
}

/* Whole file, whoever has it open. */
static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static int open_lock(int dir_fd, const char *dir, struct lock_file *lock, struct error *err)
{
	lock->fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (lock->fd >= 0)
		return 0;
	if (errno != EROFS)
		return error_set_errno(err, errno, "open %s/" LOCK_NAME, dir);

	lock->read_only = true;
	lock->fd = openat(dir_fd, LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (lock->fd >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(err, ERROR_READ_ONLY,
			"%s is on a read-only file system and holds no store; choose another "
			"--store",
			dir);
	return error_set_errno(err, errno, "open %s/" LOCK_NAME, dir);
}

int lock_file_describe(
	struct lock_file *lock, const char *dir, const char *owner, struct error *err)
{
	char line[TEXT_SIZE];
	size_t size;
	int ret;

	if (lock->read_only)
		return 0;
	(void)snprintf(line, sizeof(line) - 1, "pid %d: %s", (int)getpid(), owner);
	size = strcspn(line, "\n");
	line[size++] = '\n';
	ret = fd_pwrite_all(lock->fd, line, size, 0);
	if (ret == 0 && ftruncate(lock->fd, (off_t)size) < 0)
		ret = -errno;
	/* On a full disk the store still serves; others then see no more than that it is owned. */
	if (ret < 0 && ret != -ENOSPC && ret != -EDQUOT)
		return error_set_errno(err, -ret, "write %s/" LOCK_NAME, dir);
	return 0;
}

int lock_file_take(
	int dir_fd, const char *dir, const char *owner, struct lock_file *out, struct error *err)
{
	struct lock_file lock = {.fd = -1};
	struct flock request;
	off_t size;

	if (open_lock(dir_fd, dir, &lock, err) < 0)
		return -1;
	request = whole_file(lock.read_only ? F_RDLCK : F_WRLCK);
	if (fcntl(lock.fd, F_OFD_SETLK, &request) < 0) {
		char text[TEXT_SIZE];
		int errnum = errno;

		read_owner(lock.fd, text, sizeof(text));
		lock_file_release(&lock, false);
		if (errnum != EAGAIN && errnum != EACCES)
			return error_set_errno(err, errnum, "lock %s/" LOCK_NAME, dir);
		return error_set(err, ERROR_BUSY,
			"store %s is in use by %.200s; use \"varve status --store %s\", unmount "
			"it, or choose another --store",
			dir, text, dir);
	}

	size = lseek(lock.fd, 0, SEEK_END);
	lock.unclean = !lock.read_only && size > 0;
	if (lock_file_describe(&lock, dir, owner, err) < 0) {
		lock_file_release(&lock, false);
		return -1;
	}
	*out = lock;
	return 0;
}

void lock_file_release(struct lock_file *lock, bool clean)
{
	if (lock->fd < 0)
		return;
	/* Failing leaves a check to the next owner, no harm. */
	if (clean && !lock->read_only && ftruncate(lock->fd, 0) < 0)
		lock->unclean = true;
	(void)close(lock->fd);
	lock->fd = -1;
}

int store_owner(const char *dir, bool *owned, char *text, size_t text_size, struct error *err)
{
	CLEANUP(cleanup_fd) int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_fd) int fd = -1;
	struct flock request = whole_file(F_WRLCK);

	if (dir_fd >= 0)
		fd = openat(dir_fd, LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		*owned = false;
		return 0;
	}
	if (fd < 0)
		return error_set_errno(err, errno, "open %s/" LOCK_NAME, dir);
	if (fcntl(fd, F_OFD_GETLK, &request) < 0)
		return error_set_errno(err, errno, "ask for the owner of %s", dir);

	*owned = request.l_type != F_UNLCK;
	if (*owned)
		read_owner(fd, text, text_size);
	return 0;
}
