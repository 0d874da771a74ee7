/* SPDX-License-Identifier: Apache-2.0 */
/* The trees of one process. Look-ups run on every request of every mount, so they take no lock: the
 * table of a look-up is an array that only grows, and a grown one replaces it whole. */
#include "layer/tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	uint32_t id;
	struct tree *tree; /* either of the two */
	struct layer *layer;
};

struct slots {
	struct slots *older; /* kept: a look-up may still be in it */
	size_t capacity;
	atomic_size_t n;
	struct slot entries[];
};

struct tree_table {
	_Atomic(struct slots *) slots;
	pthread_mutex_t lock; /* of adding */
};

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->n_layers; i++)
		layer_unref(tree->layers[i]);
	free(tree->layers);
	free(tree->layer_ids);
	erofs_close(tree->reader);
	free(tree);
}

void tree_freep(struct tree **tree)
{
	tree_free(*tree);
}

static struct slots *slots_new(size_t capacity)
{
	struct slots *slots = calloc(1, sizeof(*slots) + capacity * sizeof(slots->entries[0]));

	if (slots)
		slots->capacity = capacity;
	return slots;
}

int tree_table_new(struct tree_table **out, struct error *err)
{
	struct tree_table *table = calloc(1, sizeof(*table));
	struct slots *slots = slots_new(16);

	if (!table || !slots) {
		free(table);
		free(slots);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of trees");
	}
	atomic_init(&table->slots, slots);
	(void)pthread_mutex_init(&table->lock, NULL);
	*out = table;
	return 0;
}

void tree_table_free(struct tree_table *table)
{
	struct slots *slots;

	if (!table)
		return;
	slots = atomic_load(&table->slots);
	for (size_t i = 0; i < atomic_load(&slots->n); i++) {
		tree_free(slots->entries[i].tree);
		layer_unref(slots->entries[i].layer);
	}
	while (slots) {
		struct slots *older = slots->older;

		free(slots);
		slots = older;
	}
	(void)pthread_mutex_destroy(&table->lock);
	free(table);
}

void tree_table_freep(struct tree_table **table)
{
	tree_table_free(*table);
}

static const struct slot *find(struct tree_table *table, uint32_t id, bool data)
{
	const struct slots *slots = atomic_load_explicit(&table->slots, memory_order_acquire);
	size_t n = atomic_load_explicit(&slots->n, memory_order_acquire);

	for (size_t i = 0; i < n; i++) {
		if (slots->entries[i].id == id && (slots->entries[i].layer != NULL) == data)
			return &slots->entries[i];
	}
	return NULL;
}

/* Under the lock. */
static int add(struct tree_table *table, const struct slot *slot, struct error *err)
{
	struct slots *slots = atomic_load(&table->slots);
	size_t n = atomic_load(&slots->n);

	if (n == slots->capacity) {
		struct slots *larger = slots_new(2 * n);

		if (!larger)
			return error_set(err, ERROR_NO_MEMORY, "no memory for another tree");
		memcpy(larger->entries, slots->entries, n * sizeof(slots->entries[0]));
		larger->older = slots;
		atomic_store(&larger->n, n);
		atomic_store_explicit(&table->slots, larger, memory_order_release);
		slots = larger;
	}
	slots->entries[n] = *slot;
	atomic_store_explicit(&slots->n, n + 1, memory_order_release);
	return 0;
}

int tree_table_add(struct tree_table *table, struct tree *tree, struct error *err)
{
	struct slot slot = {.id = tree->id, .tree = tree};
	int result;

	pthread_mutex_lock(&table->lock);
	if (find(table, tree->id, false))
		result = error_set(err, ERROR_EXISTS, "tree %u is served already", tree->id);
	else
		result = add(table, &slot, err);
	pthread_mutex_unlock(&table->lock);
	return result;
}

int tree_table_add_data(
	struct tree_table *table, uint32_t id, struct layer *layer, struct error *err)
{
	struct slot slot = {.id = id, .layer = layer};
	int result = 0;

	pthread_mutex_lock(&table->lock);
	if (!find(table, id, true)) {
		result = add(table, &slot, err);
		if (result == 0)
			layer_ref(layer);
	}
	pthread_mutex_unlock(&table->lock);
	return result;
}

struct tree *tree_table_get(struct tree_table *table, uint32_t id)
{
	const struct slot *slot = find(table, id, false);

	return slot ? slot->tree : NULL;
}

struct layer *tree_table_get_data(struct tree_table *table, uint32_t id)
{
	const struct slot *slot = find(table, id, true);

	return slot ? slot->layer : NULL;
}

struct find_name {
	enum tree_kind kind;
	const char *name;
	struct tree *found;
};

static int match_name(void *arg, struct tree *tree)
{
	struct find_name *wanted = arg;

	if (tree->kind != wanted->kind || strcmp(tree->name, wanted->name) != 0)
		return 0;
	wanted->found = tree;
	return 1;
}

struct tree *tree_table_find(struct tree_table *table, enum tree_kind kind, const char *name)
{
	struct find_name wanted = {.kind = kind, .name = name};

	(void)tree_table_each(table, match_name, &wanted);
	return wanted.found;
}

int tree_table_each(struct tree_table *table, int (*each)(void *arg, struct tree *tree), void *arg)
{
	const struct slots *slots = atomic_load_explicit(&table->slots, memory_order_acquire);
	size_t n = atomic_load_explicit(&slots->n, memory_order_acquire);
	int result = 0;

	for (size_t i = 0; i < n && result == 0; i++) {
		if (slots->entries[i].tree)
			result = each(arg, slots->entries[i].tree);
	}
	return result;
}

int tree_table_each_data(struct tree_table *table,
	int (*each)(void *arg, uint32_t id, struct layer *layer), void *arg)
{
	const struct slots *slots = atomic_load_explicit(&table->slots, memory_order_acquire);
	size_t n = atomic_load_explicit(&slots->n, memory_order_acquire);
	int result = 0;

	for (size_t i = 0; i < n && result == 0; i++) {
		if (slots->entries[i].layer)
			result = each(arg, slots->entries[i].id, slots->entries[i].layer);
	}
	return result;
}
