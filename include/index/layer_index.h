/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
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
};

/**
 * layer_index_build() - write <key>.erofs and <key>.units below dir_fd.
 *
 * Applies eStargz' rules: missing parents become 0755 root, later entries replace earlier ones,
 * `.wh.X` becomes a character device 0:0, `.wh..wh..opq` sets trusted.overlay.opaque and
 * user.overlay.opaque on its directory, hard links share an inode; trusted.overlay.* and
 * user.overlay.* from the archive are dropped. A hard link whose target is not in this layer is
 * kept unresolved. Files get 4 KiB aligned, contiguous places in order of the blob.
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
