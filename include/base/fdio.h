/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

/* Leaf functions: 0 or -errno. They go on after EINTR and after short transfers. */

/* -ENODATA when the file ends before size bytes. */
MUST_CHECK int fd_read_exact(int fd, void *data, size_t size);
MUST_CHECK int fd_pread_exact(int fd, void *data, size_t size, uint64_t off);
MUST_CHECK int fd_write_all(int fd, const void *data, size_t size);
MUST_CHECK int fd_pwrite_all(int fd, const void *data, size_t size, uint64_t off);

/**
 * file_read() - a whole small file in memory.
 * @dir_fd: AT_FDCWD or a directory.
 * @limit:  a larger file is ERROR_FORMAT naming the limit; nothing is read without one.
 * @out:    empty buffer; filled on success.
 * @err:    the message names @path.
 */
MUST_CHECK int file_read(
	int dir_fd, const char *path, size_t limit, struct buffer *out, struct error *err);

/**
 * file_replace() - give a file new contents, atomically and durably.
 * @mode: permission bits of the new file.
 *
 * Written to a temporary name in the same directory, fsynced, renamed, directory fsynced: readers
 * see the old bytes or the new ones. The message of a failure names @path.
 */
MUST_CHECK int file_replace(int dir_fd, const char *path, const void *data, size_t size,
	mode_t mode, struct error *err);

/* mkdir -p with this mode for what is missing; existing directories are left as they are. */
MUST_CHECK int directory_make(const char *path, mode_t mode, struct error *err);
