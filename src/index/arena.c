/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for trees of up to millions of small things. */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { PAGE_SIZE = 256 << 10, ALIGNMENT = 8 };

struct arena_page {
	struct arena_page *next;
	uint64_t data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_page *page;
	size_t page_size;
	uint8_t *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = align_up(size, ALIGNMENT);
	if (arena->pages && size <= arena->page_size - arena->used) {
		at = (uint8_t *)arena->pages->data + arena->used;
		arena->used += size;
		return at;
	}

	page_size = size > PAGE_SIZE ? size : PAGE_SIZE;
	page = calloc(1, sizeof(*page) + page_size);
	if (!page)
		return NULL;
	page->next = arena->pages;
	arena->pages = page;
	arena->page_size = page_size;
	arena->used = size;
	return page->data;
}

void arena_free(struct arena *arena)
{
	while (arena->pages) {
		struct arena_page *page = arena->pages;

		arena->pages = page->next;
		free(page);
	}
	*arena = (struct arena){0};
}

int array_reserve(void *array_pointer, size_t *capacity, size_t needed, size_t item_size)
{
	size_t n = *capacity > 0 ? *capacity : 16;
	void *array;

	if (needed <= *capacity)
		return 0;
	if (needed > SIZE_MAX / 2 / item_size)
		return -ENOMEM;
	while (n < needed)
		n *= 2;
	memcpy(&array, array_pointer, sizeof(array));
	array = reallocarray(array, n, item_size);
	if (!array)
		return -ENOMEM;
	memcpy(array_pointer, &array, sizeof(array));
	*capacity = n;
	return 0;
}
