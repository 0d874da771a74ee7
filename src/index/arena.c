/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for trees of up to millions of small things. */
#include "arena.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/heap.h"

/* Those behind the first few are mapped: the tree is a large one. */
enum { PAGE_SIZE = 256 << 10, N_SMALL_PAGES = 4, ALIGNMENT = 8 };

struct arena_page {
	struct arena_page *next;
	size_t mapped_size; /* 0: from calloc() */
	uint64_t data[];
};

/* With room for so many bytes, or more. */
static struct arena_page *new_page(struct arena *arena, size_t size)
{
	bool is_mapped = arena->n_pages >= N_SMALL_PAGES;
	size_t room = is_mapped ? HEAP_HUGE_PAGE - sizeof(struct arena_page) : PAGE_SIZE;
	struct arena_page *page;

	if (size > room)
		room = size;
	page = is_mapped ? heap_map(sizeof(*page) + room) : calloc(1, sizeof(*page) + room);
	if (!page)
		return NULL;
	page->mapped_size = is_mapped ? sizeof(*page) + room : 0;
	page->next = arena->pages;
	arena->pages = page;
	arena->page_size = room;
	arena->n_pages++;
	return page;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_page *page;
	uint8_t *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = align_up(size, ALIGNMENT);
	if (arena->pages && size <= arena->page_size - arena->used) {
		at = (uint8_t *)arena->pages->data + arena->used;
		arena->used += size;
		return at;
	}

	page = new_page(arena, size);
	if (!page)
		return NULL;
	arena->used = size;
	return page->data;
}

void arena_free(struct arena *arena)
{
	while (arena->pages) {
		struct arena_page *page = arena->pages;

		arena->pages = page->next;
		if (page->mapped_size > 0)
			(void)munmap(page, page->mapped_size);
		else
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

void sort_unless_sorted(
	void *array, size_t n, size_t item_size, int (*compare)(const void *a, const void *b))
{
	const uint8_t *items = array;

	for (size_t i = 1; i < n; i++) {
		if (compare(items + (i - 1) * item_size, items + i * item_size) > 0) {
			qsort(array, n, item_size, compare);
			return;
		}
	}
}
