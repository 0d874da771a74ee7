/* SPDX-License-Identifier: Apache-2.0 */
/* Reference-counted memory for decoded bytes, recycled through a bounded pool of size classes. */
#include "chunk/decoded.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/heap.h"
#include "decoded_internal.h"

/* Capacities from 2^MIN_SHIFT on, four classes to each doubling. Below, malloc() recycles well
 * itself; above, a page fault is small against the work on the bytes. */
enum {
	MIN_SHIFT = 17,
	MAX_SHIFT = 23,
	N_CLASSES = (MAX_SHIFT - MIN_SHIFT + 1) * 4,
	CLASS_NONE = N_CLASSES,
};

static const size_t pool_limit = (size_t)32 << 20;

struct decoded {
	atomic_uint refs;
	unsigned size_class; /* CLASS_NONE: not for the pool */
	size_t size;
	size_t off; /* of the decoded bytes in base */
	size_t capacity;
	bool is_mapped; /* base is a mapping of its own; otherwise it follows this struct */
	uint8_t *base;

	/* Only while in the pool; guarded by its lock. */
	struct decoded *newer;
	struct decoded *older;
	uint64_t since_ns;
};

struct pool_class {
	struct decoded *newest;
	struct decoded *oldest;
};

static struct {
	pthread_mutex_t lock;
	size_t size;                          /* guarded by lock: sum of capacities */
	struct pool_class classes[N_CLASSES]; /* guarded by lock */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t class_capacity(unsigned size_class)
{
	return (size_t)(4 + size_class % 4) << (MIN_SHIFT - 2 + size_class / 4);
}

/* The smallest class with this capacity, or CLASS_NONE. */
static unsigned class_of(size_t capacity)
{
	if (capacity <= class_capacity(0) / 2)
		return CLASS_NONE;
	for (unsigned size_class = 0; size_class < N_CLASSES; size_class++) {
		if (capacity <= class_capacity(size_class))
			return size_class;
	}
	return CLASS_NONE;
}

static void pool_unlink(struct decoded *decoded)
{
	struct pool_class *class = &pool.classes[decoded->size_class];

	*(decoded->newer ? &decoded->newer->older : &class->newest) = decoded->older;
	*(decoded->older ? &decoded->older->newer : &class->oldest) = decoded->newer;
	decoded->newer = NULL;
	decoded->older = NULL;
	pool.size -= decoded->capacity;
}

static struct decoded *pool_take(unsigned size_class)
{
	struct decoded *decoded;

	if (size_class == CLASS_NONE)
		return NULL;
	pthread_mutex_lock(&pool.lock);
	decoded = pool.classes[size_class].newest;
	if (decoded)
		pool_unlink(decoded);
	pthread_mutex_unlock(&pool.lock);
	return decoded;
}

/* Takes buffers out, oldest first, until the rest is at most @limit bytes and younger than
 * @before_ns. They are chained by `older`. The lock is held. */
static struct decoded *pool_evict(size_t limit, uint64_t before_ns)
{
	struct decoded *evicted = NULL;

	for (;;) {
		struct decoded *oldest = NULL;

		for (unsigned i = 0; i < N_CLASSES; i++) {
			struct decoded *candidate = pool.classes[i].oldest;

			if (candidate && (!oldest || candidate->since_ns < oldest->since_ns))
				oldest = candidate;
		}
		if (!oldest || (pool.size <= limit && oldest->since_ns > before_ns))
			return evicted;
		pool_unlink(oldest);
		oldest->older = evicted;
		evicted = oldest;
	}
}

static void free_one(struct decoded *decoded)
{
	if (decoded->is_mapped)
		(void)munmap(decoded->base, decoded->capacity);
	free(decoded);
}

static void free_chain(struct decoded *chain)
{
	while (chain) {
		struct decoded *next = chain->older;

		free_one(chain);
		chain = next;
	}
}

static void pool_put(struct decoded *decoded)
{
	struct pool_class *class = &pool.classes[decoded->size_class];
	struct decoded *evicted;

	decoded->since_ns = clock_now_ns();
	pthread_mutex_lock(&pool.lock);
	decoded->newer = NULL;
	decoded->older = class->newest;
	*(class->newest ? &class->newest->newer : &class->oldest) = decoded;
	class->newest = decoded;
	pool.size += decoded->capacity;
	evicted = pool_evict(pool_limit, 0);
	pthread_mutex_unlock(&pool.lock);
	free_chain(evicted);
}

void decoded_pool_trim(uint64_t idle_ns)
{
	uint64_t now_ns = clock_now_ns();
	struct decoded *evicted;

	pthread_mutex_lock(&pool.lock);
	evicted =
		pool_evict(idle_ns == 0 ? 0 : pool_limit, now_ns > idle_ns ? now_ns - idle_ns : 0);
	pthread_mutex_unlock(&pool.lock);
	free_chain(evicted);
}

/* NULL without memory. */
static struct decoded *allocate(size_t capacity, unsigned size_class)
{
	CLEANUP(cleanup_free) struct decoded *decoded = NULL;
	bool is_mapped = capacity > class_capacity(0) / 2;

	decoded = malloc(sizeof(*decoded) + (is_mapped ? 0 : capacity));
	if (!decoded)
		return NULL;
	*decoded = (struct decoded){
		.size_class = size_class,
		.capacity = capacity,
		.is_mapped = is_mapped,
		.base = (uint8_t *)(decoded + 1),
	};
	if (is_mapped) {
		decoded->base = heap_map(capacity);
		if (!decoded->base)
			return NULL;
	}
	return TAKE_PTR(decoded);
}

int decoded_new(size_t size, struct decoded **out, struct error *err)
{
	struct decoded *decoded;
	size_t capacity;
	unsigned size_class;

	if (__builtin_add_overflow(size, DECODED_SLACK, &capacity))
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu decoded bytes", size);
	size_class = class_of(capacity);
	if (size_class != CLASS_NONE)
		capacity = class_capacity(size_class);

	decoded = pool_take(size_class);
	if (!decoded)
		decoded = allocate(capacity, size_class);
	if (!decoded)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu decoded bytes", size);

	atomic_init(&decoded->refs, 1);
	decoded->off = 0;
	decoded->size = size;
	*out = decoded;
	return 0;
}

uint8_t *decoded_data(struct decoded *decoded)
{
	return decoded->base + decoded->off;
}

size_t decoded_size(const struct decoded *decoded)
{
	return decoded->size;
}

uint8_t *decoded_base(struct decoded *decoded)
{
	return decoded->base;
}

size_t decoded_capacity(const struct decoded *decoded)
{
	return decoded->capacity;
}

void decoded_narrow(struct decoded *decoded, size_t off, size_t size)
{
	decoded->off = off;
	decoded->size = size;
}

struct decoded *decoded_ref(struct decoded *decoded)
{
	atomic_fetch_add_explicit(&decoded->refs, 1, memory_order_relaxed);
	return decoded;
}

void decoded_unref(struct decoded *decoded)
{
	if (!decoded || atomic_fetch_sub_explicit(&decoded->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (decoded->size_class == CLASS_NONE)
		free_one(decoded);
	else
		pool_put(decoded);
}

void decoded_unrefp(struct decoded **decoded)
{
	decoded_unref(*decoded);
	*decoded = NULL;
}
