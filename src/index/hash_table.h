/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Items found by a 64-bit hash and an equality of the user's: open addressing, nothing is ever
 * removed. Zero-initialise. Items are borrowed. */
struct hash_table {
	struct hash_slot {
		uint64_t hash;
		void *item; /* NULL: free */
	} * slots;          /* owned */
	size_t n;
	size_t capacity; /* 0 or a power of two */
};

void *hash_table_find(const struct hash_table *table, uint64_t hash,
	bool (*equal)(const void *item, const void *key), const void *key);

/* Makes room for so many items at once; 0 or -ENOMEM. */
MUST_CHECK int hash_table_reserve(struct hash_table *table, size_t n);

/* Of an item that is not in it yet; 0 or -ENOMEM. */
MUST_CHECK int hash_table_insert(struct hash_table *table, uint64_t hash, void *item);
void hash_table_free(struct hash_table *table);
