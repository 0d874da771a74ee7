/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_internal.h"

/* A layer with something stored, as the database has it. */
struct known_layer {
	uint8_t key[RECORD_KEY_SIZE];
	struct layer_record record;
	int64_t used_s;
};

/* All of them, least recently used first; *out is malloc()ed and the caller's. */
MUST_CHECK int known_layers(
	struct store *store, struct known_layer **out, size_t *n, struct error *err);

/* Evicts layers that nobody uses, least recently used first, until @wanted bytes are free or none
 * is left. Writer thread. */
MUST_CHECK int evict_layers(
	struct store *store, uint64_t wanted, uint64_t *freed, struct error *err);

/* Removes data files that nobody recorded and temporary files of writes that did not end. Before
 * the store is used. */
MUST_CHECK int remove_orphans(struct store *store, struct error *err);
