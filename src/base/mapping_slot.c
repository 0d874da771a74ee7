/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of mapped ranges, readable in a signal handler. */
#include <pthread.h>
#include <stdlib.h>

#include "mapping_internal.h"

enum { SLOTS_PER_TABLE = 256 };

/* Tables are only ever added, so that a handler can walk them at any time. */
struct slot_table {
	struct mapping_slot slots[SLOTS_PER_TABLE];
	_Atomic(struct slot_table *) next; /* owned, for the life of the process */
};

/* Global because a signal handler has no argument to find it by. */
static struct slot_table first_table;
static atomic_size_t n_pages_replaced;
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER; /* held by who changes a slot */

static void slot_set(struct mapping_slot *slot, uintptr_t start, size_t size)
{
	atomic_fetch_add(&slot->sequence, 1);
	atomic_store(&slot->start, start);
	atomic_store(&slot->size, size);
	atomic_store(&slot->failed, false);
	atomic_fetch_sub(&n_pages_replaced, atomic_exchange(&slot->n_pages_replaced, 0));
	atomic_fetch_add(&slot->sequence, 1);
}

static struct mapping_slot *free_slot_of(struct slot_table *table)
{
	for (size_t i = 0; i < SLOTS_PER_TABLE; i++)
		if (atomic_load(&table->slots[i].start) == 0)
			return &table->slots[i];
	return NULL;
}

/* With registry_lock held. */
static struct mapping_slot *free_slot(void)
{
	struct slot_table *table = &first_table;
	struct mapping_slot *slot;
	struct slot_table *next;

	while (!(slot = free_slot_of(table))) {
		next = atomic_load(&table->next);
		if (!next) {
			next = calloc(1, sizeof(*next));
			if (!next)
				return NULL;
			atomic_store(&table->next, next);
		}
		table = next;
	}
	return slot;
}

struct mapping_slot *mapping_slot_take(uintptr_t start, size_t size)
{
	struct mapping_slot *slot;

	pthread_mutex_lock(&registry_lock);
	slot = free_slot();
	if (slot)
		slot_set(slot, start, size);
	pthread_mutex_unlock(&registry_lock);
	return slot;
}

void mapping_slot_release(struct mapping_slot *slot)
{
	pthread_mutex_lock(&registry_lock);
	slot_set(slot, 0, 0);
	pthread_mutex_unlock(&registry_lock);
}

static bool slot_contains(struct mapping_slot *slot, uintptr_t address)
{
	unsigned sequence = atomic_load(&slot->sequence);
	uintptr_t start = atomic_load(&slot->start);
	size_t size = atomic_load(&slot->size);

	return sequence % 2 == 0 && atomic_load(&slot->sequence) == sequence && start != 0 &&
	       address >= start && address - start < size;
}

struct mapping_slot *mapping_slot_find(uintptr_t address)
{
	for (struct slot_table *table = &first_table; table; table = atomic_load(&table->next))
		for (size_t i = 0; i < SLOTS_PER_TABLE; i++)
			if (slot_contains(&table->slots[i], address))
				return &table->slots[i];
	return NULL;
}

bool mapping_slot_count_page(struct mapping_slot *slot)
{
	if (atomic_fetch_add(&n_pages_replaced, 1) >= MAPPING_MAX_PAGES_REPLACED) {
		atomic_fetch_sub(&n_pages_replaced, 1);
		return false;
	}
	atomic_fetch_add(&slot->n_pages_replaced, 1);
	return true;
}
