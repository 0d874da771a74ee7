/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mapping.h"

/* One mapped range, as the signal handler sees it. */
struct mapping_slot {
	/* Odd while start and size change. A handler that meets a slot in change, or one that
	 * changed while it looked, passes on: the slot of the range it was called for is at rest.
	 */
	atomic_uint sequence;
	atomic_uintptr_t start; /* 0: free */
	atomic_size_t size;
	atomic_bool failed;
	atomic_size_t n_pages_replaced;
};

/* Of all mappings together. */
enum { MAPPING_MAX_PAGES_REPLACED = 4096 };

/* Takes a free slot for the range [start, start + size); NULL without memory. Any thread. */
struct mapping_slot *mapping_slot_take(uintptr_t start, size_t size);
void mapping_slot_release(struct mapping_slot *slot);

/* The slot whose range contains address, or NULL. Async-signal-safe. */
struct mapping_slot *mapping_slot_find(uintptr_t address);

/* Counts a page of this mapping as replaced until the slot is released; false when there are too
 * many of them. Async-signal-safe. */
bool mapping_slot_count_page(struct mapping_slot *slot);

/* Once a process; 0 or -errno. */
MUST_CHECK int mapping_handler_install(void);
