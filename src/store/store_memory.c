/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded memory for chunks that cannot be stored. */
#include "store_memory_internal.h"

#include <stdlib.h>

#include "store_internal.h"

struct memory_chunk {
	struct layer_state *layer; /* never followed unless the layer is known to be open */
	uint64_t unit;
	struct verified_chunk *chunk; /* owned */
	uint64_t size;
	struct memory_chunk *next; /* in the bucket, or in a list to be freed */
	struct memory_chunk *newer;
	struct memory_chunk *older;
};

void chunk_memory_init(struct chunk_memory *memory, uint64_t limit)
{
	*memory = (struct chunk_memory){.limit = limit, .lock = PTHREAD_MUTEX_INITIALIZER};
}

static struct memory_chunk **bucket_of(
	struct chunk_memory *memory, const struct layer_state *layer, uint64_t i)
{
	return &memory->buckets[(layer->key[0] + i) % MEMORY_N_BUCKETS];
}

static struct memory_chunk *find(
	struct chunk_memory *memory, const struct layer_state *layer, uint64_t i)
{
	struct memory_chunk *entry = *bucket_of(memory, layer, i);

	while (entry && (entry->layer != layer || entry->unit != i))
		entry = entry->next;
	return entry;
}

static void unlink_age(struct chunk_memory *memory, struct memory_chunk *entry)
{
	*(entry->newer ? &entry->newer->older : &memory->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &memory->oldest) = entry->newer;
	entry->newer = entry->older = NULL;
}

static void link_newest(struct chunk_memory *memory, struct memory_chunk *entry)
{
	entry->older = memory->newest;
	entry->newer = NULL;
	*(memory->newest ? &memory->newest->newer : &memory->oldest) = entry;
	memory->newest = entry;
}

/* Under the lock: readers stop seeing it, and it moves to the list that is freed without it. */
static void detach(
	struct chunk_memory *memory, struct memory_chunk *entry, struct memory_chunk **freed)
{
	struct memory_chunk **link = bucket_of(memory, entry->layer, entry->unit);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	unlink_age(memory, entry);
	memory->size -= entry->size;
	(void)bitmap_clear(&entry->layer->in_memory, entry->unit);
	entry->next = *freed;
	*freed = entry;
}

static void free_list(struct memory_chunk *list)
{
	while (list) {
		struct memory_chunk *entry = list;

		list = entry->next;
		chunk_unref(entry->chunk);
		free(entry);
	}
}

int chunk_memory_put(struct chunk_memory *memory, struct layer_state *layer, uint64_t i,
	struct verified_chunk *chunk, struct error *err)
{
	struct memory_chunk *entry = calloc(1, sizeof(*entry));
	struct memory_chunk *freed = NULL;

	if (!entry)
		return error_set(err, ERROR_NO_MEMORY, "no memory to keep unit %ju", (uintmax_t)i);
	entry->layer = layer;
	entry->unit = i;
	entry->chunk = chunk_ref(chunk);
	entry->size = chunk_size(chunk);

	(void)pthread_mutex_lock(&memory->lock);
	if (find(memory, layer, i)) {
		entry->next = freed;
		freed = entry;
	} else {
		struct memory_chunk **bucket = bucket_of(memory, layer, i);

		entry->next = *bucket;
		*bucket = entry;
		link_newest(memory, entry);
		memory->size += entry->size;
		(void)bitmap_set(&layer->in_memory, i);
		while (memory->size > memory->limit && memory->oldest != entry)
			detach(memory, memory->oldest, &freed);
	}
	(void)pthread_mutex_unlock(&memory->lock);
	free_list(freed);
	return 0;
}

struct verified_chunk *chunk_memory_get(
	struct chunk_memory *memory, struct layer_state *layer, uint64_t i)
{
	struct verified_chunk *chunk = NULL;
	struct memory_chunk *entry;

	(void)pthread_mutex_lock(&memory->lock);
	entry = find(memory, layer, i);
	if (entry) {
		unlink_age(memory, entry);
		link_newest(memory, entry);
		chunk = chunk_ref(entry->chunk);
	}
	(void)pthread_mutex_unlock(&memory->lock);
	return chunk;
}

void chunk_memory_forget(struct chunk_memory *memory, struct layer_state *layer, uint64_t i)
{
	struct memory_chunk *freed = NULL;
	struct memory_chunk *entry;

	(void)pthread_mutex_lock(&memory->lock);
	entry = find(memory, layer, i);
	if (entry)
		detach(memory, entry, &freed);
	(void)pthread_mutex_unlock(&memory->lock);
	free_list(freed);
}

void chunk_memory_forget_layer(struct chunk_memory *memory, struct layer_state *layer)
{
	struct memory_chunk *freed = NULL;
	struct memory_chunk *newer;

	(void)pthread_mutex_lock(&memory->lock);
	for (struct memory_chunk *entry = memory->oldest; entry; entry = newer) {
		newer = entry->newer;
		if (entry->layer == layer)
			detach(memory, entry, &freed);
	}
	(void)pthread_mutex_unlock(&memory->lock);
	free_list(freed);
}

void chunk_memory_destroy(struct chunk_memory *memory)
{
	struct memory_chunk *freed = NULL;

	while (memory->oldest)
		detach(memory, memory->oldest, &freed);
	free_list(freed);
	(void)pthread_mutex_destroy(&memory->lock);
}
