/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "chunk/verify.h"

/* Chunks kept in memory while the disk takes none, so that one is not fetched again for every read
 * of a part of it. The least recently used ones leave when there is no room. */
struct layer_state;
struct memory_chunk;

enum { MEMORY_N_BUCKETS = 256 };

struct chunk_memory {
	uint64_t limit; /* bytes; one chunk may be larger */
	pthread_mutex_t lock;
	struct memory_chunk *buckets[MEMORY_N_BUCKETS]; /* guarded by lock, as all below */
	struct memory_chunk *newest;
	struct memory_chunk *oldest;
	uint64_t size;
};

void chunk_memory_init(struct chunk_memory *memory, uint64_t limit);
void chunk_memory_destroy(struct chunk_memory *memory);

/* Keeps a reference of its own; sets the unit's bit in layer->in_memory. */
MUST_CHECK int chunk_memory_put(struct chunk_memory *memory, struct layer_state *layer, uint64_t i,
	struct verified_chunk *chunk, struct error *err);

/* NULL: not there (any more). Release with chunk_unref(). */
struct verified_chunk *chunk_memory_get(
	struct chunk_memory *memory, struct layer_state *layer, uint64_t i);

void chunk_memory_forget(struct chunk_memory *memory, struct layer_state *layer, uint64_t i);
void chunk_memory_forget_layer(struct chunk_memory *memory, struct layer_state *layer);
