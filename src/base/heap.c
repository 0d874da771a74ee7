/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

enum {
	/* Tables of contents and the like come and go whole; a fixed threshold also keeps the
	 * library from raising it after the first of them. */
	MAPPED_FROM = 256 << 10,
	ARENAS = 2,
	PAGE = 4096, /* or a part of one, where pages are larger: then nothing is preferred */
};

void heap_configure(void)
{
	/* Refused values leave the defaults, which are as good for everything but memory. */
	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	(void)mallopt(M_ARENA_MAX, ARENAS);
}

void heap_trim(void)
{
	(void)malloc_trim(0);
}

/* Refused where the kernel has none: then it is ordinary memory. */
static void prefer_huge(void *first_page, size_t size)
{
	(void)madvise(first_page, size, MADV_HUGEPAGE);
}

void *heap_map(size_t size)
{
	size_t spare = size >= HEAP_HUGE_PAGE ? HEAP_HUGE_PAGE : 0;
	uint8_t *base, *first;
	size_t before;

	if (size > SIZE_MAX - spare)
		return NULL;
	base = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (spare == 0)
		return base;
	before = -(uintptr_t)base % HEAP_HUGE_PAGE;
	first = base + before;
	if (before > 0)
		(void)munmap(base, before);
	if (before < spare)
		(void)munmap(first + size, spare - before);
	prefer_huge(first, size);
	return first;
}

void heap_prefer_huge(void *data)
{
	size_t size = malloc_usable_size(data);
	size_t before = (uintptr_t)data % PAGE;

	/* All of its mapping, from the library's own words before it on: of two halves that the
	 * kernel treats differently realloc() would have to copy the bytes. */
	if (size >= HEAP_HUGE_PAGE)
		prefer_huge((uint8_t *)data - before, before + size);
}
