/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>

enum {
	/* Tables of contents and the like come and go whole; a fixed threshold also keeps the
	 * library from raising it after the first of them. */
	MAPPED_FROM = 256 << 10,
	ARENAS = 2,
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
