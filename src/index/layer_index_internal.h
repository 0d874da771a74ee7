/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "index/draft.h"
#include "index/layer_index.h"

/* Whether an xattr is one of overlayfs' own marks. */
bool is_overlay_xattr(const char *name);

/* Whether a name begins with ".wh.". */
static inline bool is_whiteout_name(const char *name, size_t size)
{
	return size >= 4 && memcmp(name, ".wh.", 4) == 0;
}

/* A name that is waiting for the rest of the layer: of a hard link whose target was not there yet,
 * or a whiteout. */
struct late_name {
	struct draft_entry *entry;
	struct draft_inode *inode; /* what it had then; something else: it was replaced */
	const char *path;          /* the toc's: for messages */
};

/* A list of them. Zero-initialise. */
struct late_names {
	struct late_name *names; /* owned */
	size_t n;
	size_t capacity;
};

/* A regular file with bytes. */
struct file_source {
	struct draft_inode *inode;
	const struct toc_entry *entry;
	uint64_t blob_off; /* where its first chunk is */
	uint64_t inner_off;
};

/* What the unit table is written from. */
struct layer_units {
	struct unit_table_header header; /* n_spans of it are to be written */
	struct unit *units;              /* owned */
	size_t n_units;
	struct unit_span *spans; /* owned */
};

/* A layer on its way from table of contents to index. */
struct layer_builder {
	const struct toc *toc;
	const struct layer_index_build_options *options;
	struct draft *draft;       /* owned */
	struct file_source *files; /* owned; replaced ones included */
	size_t n_files;
	struct layer_units units;
	struct late_names links;     /* whose inode is a placeholder with EROFS_HARDLINK */
	struct late_names whiteouts; /* everything that begins with ".wh." */

	/* The directory of the entry before, as archives stay in one for a while. */
	const char *parent_path;
	size_t parent_size;
	struct draft_inode *parent; /* NULL: unknown */
};

MUST_CHECK int late_names_add(
	struct late_names *late, struct draft_entry *entry, const char *path, struct error *err);

/* Adds a hard link's name: to the inode of its target, or to a placeholder. */
MUST_CHECK int layer_add_hardlink(struct layer_builder *builder, struct draft_inode *parent,
	const char *base, size_t base_size, const struct toc_entry *entry, struct error *err);

/* Gives hard links what came after them; what is not in this layer stays a placeholder. */
MUST_CHECK int layer_resolve_links(struct layer_builder *builder, struct error *err);

/* Turns whiteouts into what overlayfs understands. */
MUST_CHECK int layer_apply_whiteouts(struct layer_builder *builder, struct error *err);

/* Gives every file of the finished draft its place in the data space, and lists the units. */
MUST_CHECK int layer_place_data(struct layer_builder *builder, struct error *err);

/* "<key in hex>.<suffix>" */
enum { INDEX_NAME_SIZE = INDEX_KEY_HEX + 8 };
void index_file_name(
	const uint8_t key[INDEX_KEY_SIZE], const char *suffix, char out[INDEX_NAME_SIZE]);
