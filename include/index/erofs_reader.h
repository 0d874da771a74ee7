/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads the metadata-only EROFS images that index/erofs_writer makes: layer indexes (one device)
 * and image indexes (one device per layer). Mapped and immutable; any thread. Everything was
 * checked when it was opened, and stays bounds-checked because a failing disk turns pages into
 * zeros: then calls fail with ERROR_IO. */
struct erofs_reader;

/* Maps and checks every inode, directory, xattr and extent: types, sorted unique names, every
 * directory reached exactly once, device ids and ranges inside their devices, checksum. */
MUST_CHECK int erofs_open(
	int dir_fd, const char *name, struct erofs_reader **out, struct error *err);
void erofs_close(struct erofs_reader *reader);
void erofs_closep(struct erofs_reader **reader);

/* The nid of the root directory, and how many inodes and devices there are. */
uint64_t erofs_root(const struct erofs_reader *reader);
uint64_t erofs_n_inodes(const struct erofs_reader *reader);
unsigned erofs_n_devices(const struct erofs_reader *reader);
bool erofs_has_xattrs(const struct erofs_reader *reader); /* whether any inode has one */

/* Whether a hard link's other name is in a lower layer: such a tree is only part of an image. The
 * link itself is a "symlink" with EROFS_HARDLINK. */
bool erofs_has_unresolved_links(const struct erofs_reader *reader);

/* The 32 bytes of the index' own key. */
const uint8_t *erofs_key(const struct erofs_reader *reader);

/* Bytes of the data space of device i (0-based) and the 64 bytes of its tag (the layer's key in
 * hex). */
uint64_t erofs_device_size(const struct erofs_reader *reader, unsigned i);
const char *erofs_device_tag(const struct erofs_reader *reader, unsigned i, char out[65]);

/* What stat(2) wants to know of an inode. */
/* How a name of a layer relates to lower layers: for merging, and of no concern to who reads. */
enum erofs_flags {
	EROFS_IMPLICIT = 1, /* a directory that nobody described: made because of what is below */
	EROFS_OPAQUE = 2,   /* hides the directory of lower layers that has its name */
	EROFS_HARDLINK = 4, /* "symlink" whose target is the clean name of a hard link's other
			     * name, which this layer does not have */
};

/* What stat(2) wants to know. */
struct erofs_attr {
	uint64_t nid;
	uint64_t size; /* bytes; directories: of their entries */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode; /* with S_IFMT */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t flags; /* enum erofs_flags */
};

/* ERROR_NOT_FOUND when nid is no inode of this image. */
MUST_CHECK int erofs_getattr(
	const struct erofs_reader *reader, uint64_t nid, struct erofs_attr *out, struct error *err);

/* *found false: no such name. */
MUST_CHECK int erofs_lookup(const struct erofs_reader *reader, uint64_t directory, const char *name,
	size_t name_size, bool *found, uint64_t *nid, struct error *err);

/* An entry of a directory, borrowed for the call that gets it. */
struct erofs_dirent {
	const char *name; /* not NUL-terminated */
	size_t name_size;
	uint64_t nid;
	uint32_t type;        /* S_IFMT bits */
	uint64_t next_cookie; /* continues after this entry */
};

/* Calls each() for the entries after @cookie (0 at first), "." and ".." included, in stored order
 * until it returns non-zero. */
MUST_CHECK int erofs_readdir(const struct erofs_reader *reader, uint64_t directory, uint64_t cookie,
	int (*each)(void *arg, const struct erofs_dirent *entry), void *arg, struct error *err);

/* The target without NUL, at most 4095 bytes into out[4096]; NUL appended. */
MUST_CHECK int erofs_readlink(
	const struct erofs_reader *reader, uint64_t nid, char out[4096], struct error *err);

/* Calls each(full name, value) for every xattr until it returns non-zero. */
MUST_CHECK int erofs_each_xattr(const struct erofs_reader *reader, uint64_t nid,
	int (*each)(void *arg, const char *name, const void *value, size_t value_size), void *arg,
	struct error *err);

/* Where a file lies: its bytes are contiguous in one data space. */
struct erofs_extent {
	unsigned device;   /* 0-based: which layer */
	uint64_t data_off; /* of byte 0 of the file in that layer's data space */
	bool hole;         /* an empty file, or one without stored bytes */
};

/* Where a regular file's bytes are. */
MUST_CHECK int erofs_extent(const struct erofs_reader *reader, uint64_t nid,
	struct erofs_extent *out, struct error *err);

/* The path of an inode from the root ("/usr/bin/x"), by search: for messages and `varve why`. */
MUST_CHECK int erofs_path(
	const struct erofs_reader *reader, uint64_t nid, char out[4096], struct error *err);

/* The first file whose stored range on this device contains data_off. */
MUST_CHECK int erofs_find_data(const struct erofs_reader *reader, unsigned device,
	uint64_t data_off, bool *found, uint64_t *nid, struct error *err);

/* Calls each() for every regular file with bytes on this device, until it returns non-zero. */
MUST_CHECK int erofs_each_file(const struct erofs_reader *reader, unsigned device,
	int (*each)(void *arg, uint64_t nid), void *arg, struct error *err);
