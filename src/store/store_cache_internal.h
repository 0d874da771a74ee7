/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_internal.h"

/* A layer that there is something of. */
struct known_layer {
	uint8_t key[RECORD_KEY_SIZE];
	bool stored; /* the database has a record of it; otherwise it has an index only */
	struct layer_record record; /* zeros unless it is stored */
	int64_t used_s;             /* or made */
};

/* All of them, least recently used first; *out is malloc()ed and the caller's. */
MUST_CHECK int known_layers(
	struct store *store, struct known_layer **out, size_t *n, struct error *err);

/* Evicts layers that nobody uses with their indexes and those of images that need them, least
 * recently used first, until @wanted bytes are free or none is left. Writer thread. */
MUST_CHECK int evict_layers(
	struct store *store, uint64_t wanted, uint64_t *freed, struct error *err);

/* store_indexes.c: whether index files may be removed now, which nobody looks for until
 * indexes_end_removal(). One at a time. */
bool indexes_begin_removal(struct store *store);
void indexes_end_removal(struct store *store);

/* Between the two, of a layer that the caller has claimed: removes its index, those of images with
 * this layer, and what is recorded of images of which no layer is left. Adds to *freed. */
MUST_CHECK int indexes_remove(struct store *store, const uint8_t key[RECORD_KEY_SIZE],
	uint64_t *freed, struct error *err);

/* Likewise, indexes of images that no record names any more, while no layer is open at all. */
MUST_CHECK int indexes_remove_unnamed(struct store *store, uint64_t *freed, struct error *err);

/* layer_artifact.c: removes artifacts of layers of which nothing else is left, until *freed reaches
 * @wanted or there is none. Writer thread. */
MUST_CHECK int artifacts_evict(
	struct store *store, uint64_t wanted, uint64_t *freed, struct error *err);

/* layer_artifact.c: removes the artifact of one layer, if there is one. */
MUST_CHECK int artifact_remove(
	struct store *store, const uint8_t key[RECORD_KEY_SIZE], struct error *err);

/* Removes data files that nobody recorded and temporary files of writes that did not end. Before
 * the store is used. */
MUST_CHECK int remove_orphans(struct store *store, struct error *err);
