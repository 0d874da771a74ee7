/* SPDX-License-Identifier: Apache-2.0 */
/* The one hash table of the index builders. */
#include "hash_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"

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

static int grow(struct hash_table *table)
{
	size_t capacity = table->capacity > 0 ? table->capacity * 2 : FIRST_CAPACITY;
	struct hash_slot *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->capacity; i++) {
		if (table->slots[i].item)
			place(slots, capacity, table->slots[i].hash, table->slots[i].item);
	}
	free(table->slots);
	table->slots = slots;
	table->capacity = capacity;
	return 0;
}

int hash_table_insert(struct hash_table *table, uint64_t hash, void *item)
{
	assert(item);
	if (table->n >= table->capacity / 4 * 3) {
		int ret = grow(table);

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

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t size)
{
	/* Odd constants with about half of their bits set. */
	static const uint64_t a = UINT64_C(0xa0761d6478bd642f), b = UINT64_C(0xe7037ed1a0b428db);
	const uint8_t *p = data;
	uint64_t hash = seed ^ fold(size ^ a, seed ^ b);

	for (; size >= 8; p += 8, size -= 8)
		hash = fold(hash ^ le64_load(p), a ^ seed);
	if (size > 0) {
		uint8_t tail[8] = {0};

		memcpy(tail, p, size);
		hash = fold(hash ^ le64_load(tail), b ^ seed);
	}
	return fold(hash ^ b, a);
}
