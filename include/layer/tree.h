/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "index/erofs_reader.h"
#include "layer/layer.h"
#include "oci/digest.h"

enum tree_kind { TREE_LAYER, TREE_IMAGE };

enum { TREE_ID_MAX = (1 << 24) - 1 };

/* A file tree that can be mounted: an index, and the layers its bytes come from. Immutable once in
 * a table; lives as long as the table. */
struct tree {
	uint32_t id; /* 1 to TREE_ID_MAX, bound to this very index for ever */
	enum tree_kind kind;
	char name[DIGEST_TEXT_SIZE]; /* digest of the layer, or of the platform manifest: its entry
					in tree 0 */
	char index_path[512];        /* of the EROFS image, for the EROFS face */
	struct erofs_reader *reader; /* owned */
	struct layer **layers;       /* device i of the index is layers[i]; a reference each */
	uint32_t *layer_ids; /* tree id of the layer, the name of its data file: data/<id> */
	size_t n_layers;
};

/* Frees a tree that is in no table. */
void tree_free(struct tree *tree);
void tree_freep(struct tree **tree);

/* All trees that one process serves. Look-ups are lock-free and may run while trees are added. */
struct tree_table;
MUST_CHECK int tree_table_new(struct tree_table **out, struct error *err);
/* Frees the trees too. Nobody looks up any more. */
void tree_table_free(struct tree_table *table);
void tree_table_freep(struct tree_table **table);

/* @tree is owned by the table on success. ERROR_EXISTS when its id is taken. */
MUST_CHECK int tree_table_add(struct tree_table *table, struct tree *tree, struct error *err);

/* Makes the data space of a layer readable as data/<id>, whether or not the layer has a tree of its
 * own. A reference is taken. The same layer twice is success. */
MUST_CHECK int tree_table_add_data(
	struct tree_table *table, uint32_t id, struct layer *layer, struct error *err);

/* NULL when there is none: a stale node id. */
struct tree *tree_table_get(struct tree_table *table, uint32_t id);
struct layer *tree_table_get_data(struct tree_table *table, uint32_t id);
struct tree *tree_table_find(struct tree_table *table, enum tree_kind kind, const char *name);

/* Calls each() in the order they were added until it returns non-zero; returns that. */
int tree_table_each(struct tree_table *table, int (*each)(void *arg, struct tree *tree), void *arg);
int tree_table_each_data(struct tree_table *table,
	int (*each)(void *arg, uint32_t id, struct layer *layer), void *arg);
