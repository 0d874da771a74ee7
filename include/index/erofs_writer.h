/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "index/draft.h"

/* Where the bytes of regular files are: one device per layer. */
struct erofs_device {
	char tag[65];  /* 64 lower-case hex digits: the key of the layer whose data it is */
	uint64_t size; /* bytes of its data space, a multiple of 4096, less than 16 TiB */
};

/* What an image says besides its tree. */
struct erofs_write_options {
	const uint8_t *key; /* 32 bytes: of the index; also makes the image's UUID */
	const struct erofs_device *devices;
	unsigned n_devices; /* 1 to 4096 */
};

/**
 * erofs_write() - write a tree as a metadata-only EROFS image.
 * @name: below @dir_fd; replaced atomically and durably.
 * @draft: after draft_finish(). The nids of its inodes are set.
 *
 * The same tree and options make the same bytes. Directories and symlinks are inside the image,
 * the bytes of regular files on its devices. Kernels from 5.16 on mount it.
 * ERROR_UNSUPPORTED: a file above 8 TiB, a symlink above 4095 bytes, a device number above
 * 4095:1048575.
 *
 * Threads: workers. CPU and disk.
 */
MUST_CHECK int erofs_write(int dir_fd, const char *name, struct draft *draft,
	const struct erofs_write_options *options, struct error *err);
