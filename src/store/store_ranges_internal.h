/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "store/layer_store.h"

/* Page-aligned memory for what is read from data files, kept for the next read: a fresh buffer
 * would pay a page fault for every 4 KiB. */
enum {
	RANGE_ALIGN = 4096,
	RANGE_SMALLEST = 12,    /* log2 of the bytes of bucket 0 */
	RANGE_N_BUCKETS = 10,   /* up to 2 MiB: the largest read, widened to whole pages, fits */
	RANGE_POOLED = 8 << 20, /* bytes kept at most */
};

struct range_pool {
	pthread_mutex_t lock;
	struct stored_range *free[RANGE_N_BUCKETS]; /* guarded by lock */
	size_t pooled;                              /* bytes in free; guarded by lock */
};

struct stored_range {
	const uint8_t *data; /* inside memory */
	size_t size;
	uint8_t *memory; /* owned; aligned to RANGE_ALIGN */
	unsigned bucket;
	struct range_pool *pool;
	struct stored_range *next; /* in the pool */
};

void range_pool_init(struct range_pool *pool);
/* Every range was freed. */
void range_pool_destroy(struct range_pool *pool);

/* Frees what nobody uses. Any thread. */
void range_pool_trim(struct range_pool *pool);

/* At least capacity bytes of memory, contents undefined; data and size are the caller's to set. */
MUST_CHECK int range_new(
	struct range_pool *pool, size_t capacity, struct stored_range **out, struct error *err);
