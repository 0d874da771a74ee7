/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/span.h"
#include "format/toc.h"
#include "index/erofs_reader.h"
#include "index/unit_table.h"
#include "oci/digest.h"

/* The index of one layer: its tree as an EROFS image and its unit table. The key names both. */
enum { INDEX_KEY_SIZE = 32, INDEX_KEY_HEX = 65 };

/* sha256(blob digest text | NUL | format name | NUL | authenticated TOC digest text): a manifest
 * that names a well-known blob with a table of contents of its own gets a tree of its own. */
MUST_CHECK int layer_index_key(const struct digest *blob, const char *format,
	const struct digest *toc, uint8_t key[INDEX_KEY_SIZE], struct error *err);

/* Which blob the index is of. Everything is borrowed for the call. */
struct layer_index_build_options {
	const uint8_t *key; /* INDEX_KEY_SIZE bytes */
	const struct digest *blob;
	uint64_t blob_size;
	const struct unit_span *spans; /* in which chunks lie; those without chunks are left out */
	size_t n_spans;
	/* Every regular entry has a place, in order of the entries and replaced ones included: as
	 * layer_place_next() gives them. Otherwise only what is in the tree has one. */
	bool place_all;
};

/**
 * layer_place_next() - the place in the data space of the next regular entry that has bytes.
 * @end: of the data space so far, 0 before the first one; goes on.
 *
 * For who puts bytes at their places before the index can be built: with place_all it has the same.
 */
MUST_CHECK int layer_place_next(uint64_t *end, uint64_t size, uint64_t *ret_off, struct error *err);

/**
 * layer_index_build() - write <key>.erofs and <key>.units below dir_fd.
 *
 * The tree is what unpacking the archive in an empty directory leaves there:
 * - Missing parents become 0755 root (EROFS_IMPLICIT). A later entry replaces an earlier one; a
 *   directory that is described again keeps what is below it. Symlinks on the way to a name are
 *   followed inside the tree. A name below a regular file is ERROR_FORMAT.
 * - Hard links share an inode, also with a target that comes later; links that lead in a circle or
 *   to a directory are ERROR_FORMAT. One whose target is not in this layer is kept unresolved
 *   (EROFS_HARDLINK).
 * - `.wh.X` becomes a character device 0:0 called X. Where the layer has an X of its own, the
 *   whiteout is gone; such a directory is opaque, as it hides the lower X but not itself.
 *   `.wh..wh..opq` makes its directory opaque: EROFS_OPAQUE, trusted.overlay.opaque and
 *   user.overlay.opaque. Other names that begin with `.wh..wh.` vanish, with all below them.
 * - trusted.overlay.* and user.overlay.* from the archive are dropped, and so are xattrs outside
 *   user, trusted, security and POSIX ACLs, which no file system of Linux would have taken.
 * Files get 4 KiB aligned, contiguous places in order of the blob, unless options->place_all says
 * otherwise.
 * Idempotent: an index of this key that is already there and opens is left alone.
 *
 * Threads: workers. CPU and disk.
 */
MUST_CHECK int layer_index_build(int dir_fd, const struct toc *toc,
	const struct layer_index_build_options *options, struct error *err);

/* An open index: both files of one key, checked. */
struct layer_index {
	uint8_t key[INDEX_KEY_SIZE];
	struct erofs_reader *tree; /* owned */
	struct unit_table *units;  /* owned */
	bool has_unresolved_links; /* no tree of its own; only part of an image */
};

/* Opens and checks both files and that they belong together. ERROR_NOT_FOUND when absent. */
MUST_CHECK int layer_index_open(
	int dir_fd, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out, struct error *err);
void layer_index_close(struct layer_index *index);
void layer_index_closep(struct layer_index **index);
