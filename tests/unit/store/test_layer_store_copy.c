/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_store.h"

#include "support/test.h"

#include <string.h>
#include <unistd.h>

#include "disk_fixture.h"
#include "store/store_cache.h"

/* The second layer's unit i is the first's unit i + 3, at another alignment. */
static const struct layer_shape first_shape = {
	.seed = 1, .contents = 5, .n_units = 20, .unit_size = 9000, .zero_unit = 99};
static const struct layer_shape second_shape = {.seed = 2,
	.contents = 5,
	.n_units = 20,
	.unit_size = 9000,
	.gap = 100,
	.zero_unit = 99,
	.shift = 3};

static void make_first(struct fixture *fixture, struct test_layer *first)
{
	struct error err = {0};

	layer_make(fixture, &first_shape, first);
	layer_put_all(first);
	assert_int_equal(layer_store_sync(first->store, &err), 0);
}

static bool copies(struct test_layer *layer, uint64_t i)
{
	struct error err = {0};
	bool found;

	if (store_copy(layer->store, i, &found, &err) < 0)
		fail_msg("%s", err.message);
	return found;
}

static void a_unit_is_copied_from_an_open_layer_that_has_it(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first, second;

	make_first(fixture, &first);
	layer_make(fixture, &second_shape, &second);
	assert_true(layer_store_may_copy(second.store));
	assert_true(copies(&second, 0));
	assert_true(layer_reads_unit(&second, 0));
	assert_true(copies(&second, 16));
	assert_true(layer_reads_unit(&second, 16));
	assert_false(copies(&second, 17));
	assert_false(layer_store_has(second.store, 17));
	layer_leave(&second);
	layer_leave(&first);
}

static void a_unit_is_copied_from_a_layer_of_an_earlier_process(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first, second;

	make_first(fixture, &first);
	layer_leave(&first);
	fixture_close(fixture);
	fixture_open(fixture);
	layer_make(fixture, &second_shape, &second);
	for (uint64_t i = 0; i < 17; i++) {
		assert_true(copies(&second, i));
		assert_true(layer_reads_unit(&second, i));
	}
	layer_leave(&second);
	fixture_close(fixture);
	fixture_open(fixture);
	layer_enter(fixture, &second);
	assert_true(layer_reads_unit(&second, 16));
	layer_leave(&second);
}

static void an_empty_store_has_nothing_to_copy(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first;
	struct error err = {0};

	layer_make(fixture, &first_shape, &first);
	assert_false(layer_store_may_copy(first.store));
	layer_put_unit(&first, 0);
	assert_int_equal(layer_store_sync(first.store, &err), 0);
	assert_false(layer_store_may_copy(first.store));
	assert_false(copies(&first, 1));
	layer_leave(&first);
}

/* The damaged place is forgotten: its own layer misses the unit, and it is not tried again. */
static void expect_damage_to_be_found(struct fixture *fixture, bool open, bool opened_again)
{
	struct test_layer first, second;

	make_first(fixture, &first);
	layer_damage(fixture, &first, 5);
	if (!open)
		layer_leave(&first);
	if (opened_again) {
		fixture_close(fixture);
		fixture_open(fixture);
	}
	layer_make(fixture, &second_shape, &second);
	assert_false(copies(&second, 2));
	assert_false(layer_store_has(second.store, 2));
	if (!open)
		layer_enter(fixture, &first);
	assert_false(layer_store_has(first.store, 5));
	assert_true(layer_store_has(first.store, 4));
	assert_false(copies(&second, 2));
	layer_put_unit(&first, 5);
	assert_true(layer_reads_unit(&first, 5));
	layer_leave(&first);
	layer_leave(&second);
}

static void damage_in_an_open_layer_is_found_and_forgotten(void **state)
{
	expect_damage_to_be_found(*state, true, false);
}

static void damage_in_a_layer_that_was_just_closed_is_found_and_forgotten(void **state)
{
	expect_damage_to_be_found(*state, false, false);
}

static void damage_in_a_closed_layer_is_found_and_forgotten(void **state)
{
	expect_damage_to_be_found(*state, false, true);
}

static void a_layer_that_was_evicted_is_no_source(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first, second;
	struct error err = {0};
	uint64_t freed;

	make_first(fixture, &first);
	layer_leave(&first);
	fixture_close(fixture);
	fixture->options.quota_bytes = 1;
	fixture_open(fixture);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	fixture_close(fixture);
	fixture->options.quota_bytes = 0;
	fixture_open(fixture);

	layer_make(fixture, &second_shape, &second);
	assert_false(layer_store_may_copy(second.store));
	assert_false(copies(&second, 0));
	layer_leave(&second);
}

static void a_source_whose_file_is_gone_is_no_source(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first, second;

	make_first(fixture, &first);
	layer_leave(&first);
	fixture_close(fixture);
	assert_int_equal(unlink(fixture_path(fixture, "layers/%s.data", first.name)), 0);
	fixture_open(fixture);
	layer_make(fixture, &second_shape, &second);
	assert_false(copies(&second, 0));
	layer_leave(&second);
}

static void bytes_without_a_digest_are_neither_source_nor_copy(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape shape = first_shape;
	struct test_layer first, second;
	struct error err = {0};

	shape.unverified = true;
	layer_make(fixture, &shape, &first);
	layer_put_all(&first);
	assert_int_equal(layer_store_sync(first.store, &err), 0);
	layer_make(fixture, &second_shape, &second);
	assert_false(copies(&second, 0));
	layer_leave(&second);
	shape.seed = 3;
	layer_make(fixture, &shape, &second);
	assert_false(copies(&second, 0));
	layer_leave(&second);
	layer_leave(&first);
}

static void a_unit_too_large_for_memory_is_copied(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape shape = {.seed = 1,
		.contents = 1,
		.n_units = 1,
		.unit_size = 64 * MIB + 1234,
		.zero_unit = 9};
	struct test_layer first, second;
	struct error err = {0};

	layer_make(fixture, &shape, &first);
	layer_put_all(&first);
	assert_int_equal(layer_store_sync(first.store, &err), 0);
	shape.seed = 2;
	layer_make(fixture, &shape, &second);
	assert_true(copies(&second, 0));
	assert_true(layer_reads(&second, 4096 + 63 * MIB + 500, MIB));
	layer_leave(&second);
	layer_leave(&first);
}

static uint64_t n_free(struct fixture *fixture)
{
	struct cache_usage usage;
	struct error err = {0};

	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	return usage.file_system_free;
}

static void a_copy_shares_the_disk_with_its_source_where_the_file_system_can(void **state)
{
	(void)state;
	/* The last 1000 bytes of a unit are no whole block: they are written. */
	const struct layer_shape source_shape = {.seed = 1,
		.contents = 5,
		.n_units = 8,
		.unit_size = 4 * MIB + 1000,
		.gap = 3096,
		.zero_unit = 99};
	struct disk *disk = disk_make(DISK_XFS);
	struct layer_shape shape = source_shape;
	struct test_layer source, copy;
	struct error err = {0};
	uint64_t before;

	fixture_open(disk->fixture);
	layer_make(disk->fixture, &source_shape, &source);
	layer_put_all(&source);
	assert_int_equal(layer_store_sync(source.store, &err), 0);
	shape.seed = 2;
	layer_make(disk->fixture, &shape, &copy);
	before = n_free(disk->fixture);
	for (uint64_t i = 0; i < shape.n_units; i++)
		assert_true(copies(&copy, i));
	assert_int_equal(layer_store_sync(copy.store, &err), 0);
	assert_true(n_free(disk->fixture) + 8 * MIB > before);
	for (uint64_t i = 0; i + 1 < shape.n_units; i++) {
		uint64_t end = 4096 + i * (4 * MIB + 4096) + 4 * MIB;

		assert_true(layer_reads(&copy, end - MIB, MIB));
		assert_true(layer_reads(&copy, end - 500, 10000));
	}
	layer_leave(&copy);
	layer_leave(&source);
	disk_remove(disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_unit_is_copied_from_an_open_layer_that_has_it),
		TEST(a_unit_is_copied_from_a_layer_of_an_earlier_process),
		TEST(an_empty_store_has_nothing_to_copy),
		TEST(damage_in_an_open_layer_is_found_and_forgotten),
		TEST(damage_in_a_layer_that_was_just_closed_is_found_and_forgotten),
		TEST(damage_in_a_closed_layer_is_found_and_forgotten),
		TEST(a_layer_that_was_evicted_is_no_source),
		TEST(a_source_whose_file_is_gone_is_no_source),
		TEST(bytes_without_a_digest_are_neither_source_nor_copy),
		TEST(a_unit_too_large_for_memory_is_copied),
		cmocka_unit_test(a_copy_shares_the_disk_with_its_source_where_the_file_system_can),
	};
	return cmocka_run_group_tests_name("store/layer_store_copy", tests, NULL, NULL);
}
