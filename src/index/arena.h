/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Memory that is given back all at once. Zero-initialise. */
struct arena {
	struct arena_page *pages; /* owned; the first has room */
	size_t used;              /* of the first page */
	size_t page_size;         /* of the first page */
	size_t n_pages;
};

/* Zeroed and aligned for any of our structs; NULL without memory. */
void *arena_alloc(struct arena *arena, size_t size);
void arena_free(struct arena *arena);

/* Makes room for @needed items of @item_size bytes in a malloc()ed array that grows by doubling:
 * 0, or -ENOMEM with the array as it was. */
MUST_CHECK int array_reserve(
	void *array_pointer, size_t *capacity, size_t needed, size_t item_size);

/* As qsort(). Archives are mostly in order already, and looking is cheaper than sorting. */
void sort_unless_sorted(
	void *array, size_t n, size_t item_size, int (*compare)(const void *a, const void *b));
