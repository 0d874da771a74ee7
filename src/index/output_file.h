/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A large file written front to back and seen by readers only when it is complete: a temporary
 * name, fsync, rename, fsync of the directory. One thread. */
struct output_file {
	int dir_fd;         /* owned: the directory both names are in */
	int fd;             /* owned */
	const char *path;   /* borrowed: for messages */
	const char *name;   /* borrowed: last component of path */
	char temporary[32]; /* empty once there is nothing to remove */
	uint8_t *buffer;    /* owned */
	size_t used;        /* bytes waiting in buffer */
	uint64_t off;       /* where the next byte goes */
	uint32_t crc;       /* CRC-32C of everything appended since the caller last set it */
};

/* @path: below @dir_fd (or AT_FDCWD); must live as long as the file. The first byte appended goes
 * to @off; what is before it is for output_file_patch(). */
MUST_CHECK int output_file_open(
	int dir_fd, const char *path, uint64_t off, struct output_file *out, struct error *err);
/* Removes what was written, unless it was committed. A zeroed file with fds of -1 is allowed. */
void output_file_close(struct output_file *file);

MUST_CHECK int output_file_append(
	struct output_file *file, const void *data, size_t size, struct error *err);

/* Appends zeros until the next byte goes to @off, which is not before the end. */
MUST_CHECK int output_file_zero_to(struct output_file *file, uint64_t off, struct error *err);

/* Writes at a position of its own; neither end nor checksum change. */
MUST_CHECK int output_file_patch(
	struct output_file *file, const void *data, size_t size, uint64_t off, struct error *err);

/* Makes it durable and gives it its name. Only output_file_close() may follow. */
MUST_CHECK int output_file_commit(struct output_file *file, struct error *err);
