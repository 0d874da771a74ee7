/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tree.h"

#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer_fixture.h"

static struct tree *new_tree(uint32_t id, enum tree_kind kind)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	assert_non_null(tree);
	tree->id = id;
	tree->kind = kind;
	(void)snprintf(tree->name, sizeof(tree->name), "sha256:%u", id);
	return tree;
}

static void trees_are_found_by_id_and_by_name(void **state)
{
	struct tree_table *table;
	struct tree *tree = new_tree(7, TREE_IMAGE);
	struct tree *other = new_tree(8, TREE_LAYER);

	(void)state;
	assert_int_equal(tree_table_new(&table, NULL), 0);
	assert_null(tree_table_get(table, 7));
	assert_int_equal(tree_table_add(table, tree, NULL), 0);
	assert_int_equal(tree_table_add(table, other, NULL), 0);
	assert_ptr_equal(tree_table_get(table, 7), tree);
	assert_null(tree_table_get_data(table, 7));
	assert_ptr_equal(tree_table_find(table, TREE_IMAGE, "sha256:7"), tree);
	assert_null(tree_table_find(table, TREE_LAYER, "sha256:7"));
	assert_ptr_equal(tree_table_find(table, TREE_LAYER, "sha256:8"), other);
	tree_table_free(table);
	tree_table_free(NULL);
}

static void an_id_is_given_once(void **state)
{
	struct tree_table *table;
	struct tree *second = new_tree(7, TREE_LAYER);
	struct error err = {0};

	(void)state;
	assert_int_equal(tree_table_new(&table, NULL), 0);
	assert_int_equal(tree_table_add(table, new_tree(7, TREE_IMAGE), NULL), 0);
	assert_int_equal(tree_table_add(table, second, &err), -1);
	assert_int_equal(err.kind, ERROR_EXISTS);
	tree_free(second);
	tree_table_free(table);
}

static int stop_at_third(void *arg, struct tree *tree)
{
	uint32_t *expected = arg;

	assert_int_equal(tree->id, (*expected)++);
	return tree->id == 3 ? 42 : 0;
}

static void trees_come_in_the_order_they_were_added_until_it_is_enough(void **state)
{
	struct tree_table *table;
	uint32_t expected = 1;

	(void)state;
	assert_int_equal(tree_table_new(&table, NULL), 0);
	for (uint32_t id = 1; id <= 100; id++)
		assert_int_equal(tree_table_add(table, new_tree(id, TREE_IMAGE), NULL), 0);
	assert_int_equal(tree_table_each(table, stop_at_third, &expected), 42);
	assert_int_equal(expected, 4);
	tree_table_free(table);
}

static void data_of_a_layer_holds_a_reference(void **state)
{
	struct layer_fixture f;
	struct tree_table *table;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	assert_int_equal(tree_table_new(&table, NULL), 0);
	assert_int_equal(tree_table_add_data(table, 5, f.layer, NULL), 0);
	assert_int_equal(tree_table_add_data(table, 5, f.layer, NULL), 0);
	assert_ptr_equal(tree_table_get_data(table, 5), f.layer);
	assert_null(tree_table_get(table, 5));
	layer_unref(f.layer);
	assert_int_equal(atomic_load(&f.source.n_freed), 0);
	assert_int_equal(fixture_read(&f, 0, 1), ERROR_NONE);
	tree_table_free(table);
	assert_int_equal(atomic_load(&f.source.n_freed), 1);
	f.layer = NULL;
	layer_fixture_close(&f);
}

enum { N_TREES = 3000 };

struct looker {
	pthread_t thread;
	struct tree_table *table;
	atomic_uint *n_added; /* ids up to this one are there */
	unsigned n_missed;
};

static int count_tree(void *arg, struct tree *tree)
{
	(void)tree;
	++*(unsigned *)arg;
	return 0;
}

static void *look_up(void *arg)
{
	struct looker *looker = arg;
	uint32_t last;

	do {
		unsigned n = 0;

		last = atomic_load(looker->n_added);
		for (uint32_t id = last > 20 ? last - 20 : 1; id <= last; id++) {
			struct tree *tree = tree_table_get(looker->table, id);

			looker->n_missed += !tree || tree->id != id || tree->name[0] != 's';
		}
		(void)tree_table_each(looker->table, count_tree, &n);
		looker->n_missed += n < last;
	} while (last < N_TREES);
	return NULL;
}

static void looking_up_goes_on_while_trees_are_added(void **state)
{
	struct tree_table *table;
	atomic_uint n_added = 0;
	struct looker lookers[3];

	(void)state;
	assert_int_equal(tree_table_new(&table, NULL), 0);
	for (int i = 0; i < 3; i++) {
		lookers[i] = (struct looker){.table = table, .n_added = &n_added};
		assert_int_equal(pthread_create(&lookers[i].thread, NULL, look_up, &lookers[i]), 0);
	}
	for (uint32_t id = 1; id <= N_TREES; id++) {
		assert_int_equal(tree_table_add(table, new_tree(id, TREE_LAYER), NULL), 0);
		atomic_store(&n_added, id);
	}
	for (int i = 0; i < 3; i++) {
		(void)pthread_join(lookers[i].thread, NULL);
		assert_int_equal(lookers[i].n_missed, 0);
	}
	tree_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_are_found_by_id_and_by_name),
		cmocka_unit_test(an_id_is_given_once),
		cmocka_unit_test(trees_come_in_the_order_they_were_added_until_it_is_enough),
		cmocka_unit_test(data_of_a_layer_holds_a_reference),
		cmocka_unit_test(looking_up_goes_on_while_trees_are_added),
	};
	return cmocka_run_group_tests_name("layer/tree", tests, NULL, NULL);
}
