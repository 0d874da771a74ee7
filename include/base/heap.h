/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* How the C library keeps freed memory. A node that was busy once must not look busy for ever. */

/* For a process with a few threads that allocate little and a few large things now and then: at the
 * start, before the first thread. */
void heap_configure(void);

/* Gives back to the system what the C library keeps of freed memory. Takes a few milliseconds: not
 * on a loop. */
void heap_trim(void);

/* Memory that is filled pays a page fault for every page of it: as much as decoding what it is
 * filled with, where pages are of 4 KiB. */
enum { HEAP_HUGE_PAGE = 2 << 20 };

/* A mapping of its own of zeros, in huge pages as far as it is large enough for them and the kernel
 * has any; munmap() takes it. NULL without memory. */
void *heap_map(size_t size);

/* Asks for huge pages for malloc()ed memory that is large enough for them. Costs a call of the
 * system: before it is filled, and not for small things. */
void heap_prefer_huge(void *data);
