/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers that are complete or have failed, on open descriptors. */
#include "base/fdio.h"

#include <errno.h>
#include <unistd.h>

int fd_read_exact(int fd, void *data, size_t size)
{
	uint8_t *at = data;

	while (size > 0) {
		ssize_t n = read(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_pread_exact(int fd, void *data, size_t size, uint64_t off)
{
	uint8_t *at = data;

	if (!range_within(off, size, INT64_MAX))
		return -EOVERFLOW;
	while (size > 0) {
		ssize_t n = pread(fd, at, size, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		off += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t size, uint64_t off)
{
	const uint8_t *at = data;

	if (!range_within(off, size, INT64_MAX))
		return -EOVERFLOW;
	while (size > 0) {
		ssize_t n = pwrite(fd, at, size, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		at += n;
		off += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}
