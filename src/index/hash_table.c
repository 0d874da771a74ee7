/* SPDX-License-Identifier: Apache-2.0 */
/* The one hash table of the index builders. */
#include "hash_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/heap.h"

enum { FIRST_CAPACITY = 256 };

void *hash_table_find(const struct hash_table *table, uint64_t hash,
	bool (*equal)(const void *item, const void *key), const void *key)
{
	size_t mask = table->capacity - 1;

	if (table->capacity == 0)
		return NULL;
	for (size_t i = hash & mask; table->slots[i].item; i = (i + 1) & mask) {
		if (table->slots[i].hash == hash && equal(table->slots[i].item, key))
			return table->slots[i].item;
	}
	return NULL;
}

static void place(struct hash_slot *slots, size_t capacity, uint64_t hash, void *item)
{
	size_t mask = capacity - 1;
	size_t i = hash & mask;

	while (slots[i].item)
		i = (i + 1) & mask;
	slots[i] = (struct hash_slot){hash, item};
}

static int grow(struct hash_table *table, size_t capacity)
{
	struct hash_slot *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	heap_prefer_huge(slots);
	for (size_t i = 0; i < table->capacity; i++) {
		if (table->slots[i].item)
			place(slots, capacity, table->slots[i].hash, table->slots[i].item);
	}
	free(table->slots);
	table->slots = slots;
	table->capacity = capacity;
	return 0;
}

int hash_table_reserve(struct hash_table *table, size_t n)
{
	size_t capacity = FIRST_CAPACITY;

	while (capacity / 4 * 3 <= n && capacity < SIZE_MAX / 2)
		capacity *= 2;
	return capacity > table->capacity ? grow(table, capacity) : 0;
}

int hash_table_insert(struct hash_table *table, uint64_t hash, void *item)
{
	assert(item);
	if (table->n >= table->capacity / 4 * 3) {
		int ret = grow(table, table->capacity > 0 ? table->capacity * 2 : FIRST_CAPACITY);

		if (ret < 0)
			return ret;
	}
	place(table->slots, table->capacity, hash, item);
	table->n++;
	return 0;
}

void hash_table_free(struct hash_table *table)
{
	free(table->slots);
	*table = (struct hash_table){0};
}
