/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of page-aligned buffers that reads of data files go to. */
#include "store_ranges_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A large read into one huge page is a few segments for the disk instead of one for each 4 KiB,
 * which more than doubles what a fast disk delivers. */
enum { HUGE_PAGE = 2 << 20 };

static size_t bucket_size(unsigned bucket)
{
	return (size_t)1 << (RANGE_SMALLEST + bucket);
}

void range_pool_init(struct range_pool *pool)
{
	*pool = (struct range_pool){.lock = PTHREAD_MUTEX_INITIALIZER};
}

static uint8_t *memory_new(size_t size)
{
	bool is_huge = size >= HUGE_PAGE;
	uint8_t *memory = aligned_alloc(is_huge ? HUGE_PAGE : RANGE_ALIGN, size);

	/* Refused where the kernel has none: then it is ordinary memory. */
	if (memory && is_huge)
		(void)madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void range_destroy(struct stored_range *range)
{
	free(range->memory);
	free(range);
}

void range_pool_trim(struct range_pool *pool)
{
	struct stored_range *freed[RANGE_N_BUCKETS];

	(void)pthread_mutex_lock(&pool->lock);
	memcpy(freed, pool->free, sizeof(freed));
	memset(pool->free, 0, sizeof(pool->free));
	pool->pooled = 0;
	(void)pthread_mutex_unlock(&pool->lock);

	for (unsigned bucket = 0; bucket < RANGE_N_BUCKETS; bucket++) {
		while (freed[bucket]) {
			struct stored_range *range = freed[bucket];

			freed[bucket] = range->next;
			range_destroy(range);
		}
	}
}

void range_pool_destroy(struct range_pool *pool)
{
	range_pool_trim(pool);
	(void)pthread_mutex_destroy(&pool->lock);
}

static struct stored_range *take_pooled(struct range_pool *pool, unsigned bucket)
{
	struct stored_range *range;

	(void)pthread_mutex_lock(&pool->lock);
	range = pool->free[bucket];
	if (range) {
		pool->free[bucket] = range->next;
		pool->pooled -= bucket_size(bucket);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return range;
}

int range_new(
	struct range_pool *pool, size_t capacity, struct stored_range **out, struct error *err)
{
	struct stored_range *range;
	unsigned bucket = 0;

	while (bucket_size(bucket) < capacity)
		bucket++;
	assert(bucket < RANGE_N_BUCKETS);
	range = take_pooled(pool, bucket);
	if (!range) {
		range = calloc(1, sizeof(*range));
		if (range)
			range->memory = memory_new(bucket_size(bucket));
		if (!range || !range->memory) {
			free(range);
			return error_set(err, ERROR_NO_MEMORY, "no memory for a read of %zu bytes",
				capacity);
		}
		range->bucket = bucket;
		range->pool = pool;
	}
	range->data = range->memory;
	range->size = 0;
	*out = range;
	return 0;
}

const uint8_t *stored_range_data(const struct stored_range *range)
{
	return range->data;
}

size_t stored_range_size(const struct stored_range *range)
{
	return range->size;
}

void stored_range_free(struct stored_range *range)
{
	struct range_pool *pool;

	if (!range)
		return;
	pool = range->pool;
	(void)pthread_mutex_lock(&pool->lock);
	if (pool->pooled + bucket_size(range->bucket) <= RANGE_POOLED) {
		range->next = pool->free[range->bucket];
		pool->free[range->bucket] = range;
		pool->pooled += bucket_size(range->bucket);
		range = NULL;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (range)
		range_destroy(range);
}

void stored_range_freep(struct stored_range **range)
{
	stored_range_free(*range);
}
