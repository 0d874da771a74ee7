/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Where the files of a tar archive are in it: for archives that are read as directories of files,
 * without unpacking them. Only headers are looked at. */
struct tar_members;

enum { TAR_MAX_MEMBERS = 1 << 18, TAR_MAX_MEMBER_NAMES = 32 << 20 /* bytes, of all names */ };

/* A regular file in an archive. */
struct tar_member_place {
	uint64_t off;
	uint64_t size;
};

/* An empty table; @archive_size in bytes. */
MUST_CHECK int tar_members_new(uint64_t archive_size, struct tar_members **out, struct error *err);
void tar_members_free(struct tar_members *members);
void tar_members_freep(struct tar_members **members);

/* Where the next bytes that are needed are in the archive; its size when it has all it needs. */
uint64_t tar_members_want(const struct tar_members *members);

/**
 * tar_members_feed() - bytes of the archive from tar_members_want() on.
 * @size: at least 1; a few KiB are enough for a header, more serve many small members.
 * @err:  ERROR_FORMAT for what is no tar archive or ends too early; ERROR_UNSUPPORTED for a
 *        compressed one: parts of it cannot be read.
 */
MUST_CHECK int tar_members_feed(
	struct tar_members *members, const void *data, size_t size, struct error *err);

/* All of it was fed: makes the table ready for look-ups. ERROR_FORMAT when the archive is cut. */
MUST_CHECK int tar_members_finish(struct tar_members *members, struct error *err);

/**
 * tar_members_find() - look a file up.
 * @path: clean, as toc_clean_name() makes it.
 * @err:  ERROR_NOT_FOUND; ERROR_FORMAT for links that lead nowhere or round in circles;
 *        ERROR_UNSUPPORTED for a file with holes.
 *
 * Links are followed inside the archive, where "/" and what is above it is the archive's root. Of
 * several members of a name the last counts.
 */
MUST_CHECK int tar_members_find(const struct tar_members *members, const char *path,
	struct tar_member_place *out, struct error *err);
