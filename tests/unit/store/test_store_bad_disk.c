/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that cannot give back what was written to it. */
#include "store/store_cache.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "disk_fixture.h"

static const struct layer_shape shape = {
	.seed = 1, .contents = 1, .n_units = 8, .unit_size = 8192, .gap = 8192, .zero_unit = 99};

/* A layer whose data file has lost the block that says where its eight extents are. */
static struct disk *make_unreadable(struct test_layer *layer)
{
	struct disk *disk = disk_make(DISK_EXT4);
	const char *name = strrchr(disk->fixture->path, '/') + 1;
	char command[400];

	fixture_open(disk->fixture);
	layer_make(disk->fixture, &shape, layer);
	layer_put_all(layer);
	layer_leave(layer);
	fixture_close(disk->fixture);
	disk_unmount(disk);
	(void)snprintf(command, sizeof(command),
		"block=$(debugfs -R 'dump_extents -n /%s/layers/%s.data' %s 2>/dev/null | "
		"awk '$1 == \"0/\" {print $8}') && test $block -gt 0 && "
		"dd if=/dev/zero of=%s bs=4096 count=1 seek=$block conv=notrunc 2>/dev/null",
		name, layer->name, disk->image, disk->image);
	assert_int_equal(disk_run(command), 0);
	disk_mount(disk);
	fixture_open(disk->fixture);
	return disk;
}

static void a_unit_that_cannot_be_read_is_an_error_that_names_file_and_unit(void **state)
{
	(void)state;
	struct stored_range *range = NULL;
	struct test_layer layer;
	struct error err = {0};
	struct disk *disk = make_unreadable(&layer);
	bool present;

	layer_enter(disk->fixture, &layer);
	assert_true(layer_store_has(layer.store, 1));
	assert_int_equal(store_get(layer.store, 4096 + 16384, 8192, &present, &range, &err), -1);
	assert_int_equal(err.kind, ERROR_IO);
	assert_non_null(strstr(err.message, layer.name));
	assert_non_null(strstr(err.message, "units 1 to 1"));
	assert_null(range);
	layer_leave(&layer);
	disk_remove(disk);
}

static void a_unit_that_cannot_be_read_is_not_copied_and_is_forgotten(void **state)
{
	(void)state;
	struct layer_shape other_shape = shape;
	struct test_layer layer, other;
	struct error err = {0};
	struct disk *disk = make_unreadable(&layer);
	bool found;

	other_shape.seed = 2;
	layer_make(disk->fixture, &other_shape, &other);
	assert_int_equal(store_copy(other.store, 1, &found, &err), 0);
	assert_false(found);
	layer_enter(disk->fixture, &layer);
	assert_false(layer_store_has(layer.store, 1));
	assert_true(layer_store_has(layer.store, 2));
	layer_leave(&layer);
	layer_leave(&other);
	disk_remove(disk);
}

static void units_that_cannot_be_read_are_found_by_verification(void **state)
{
	(void)state;
	const struct cache_verify_options options = {.repair = true};
	struct cache_verify_result result;
	struct test_layer layer;
	struct error err = {0};
	struct disk *disk = make_unreadable(&layer);

	assert_int_equal(cache_verify(disk->fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_checked, 8);
	assert_int_equal(result.n_wrong, 8);
	assert_int_equal(result.n_repaired, 8);
	disk_remove(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_that_cannot_be_read_is_an_error_that_names_file_and_unit),
		cmocka_unit_test(a_unit_that_cannot_be_read_is_not_copied_and_is_forgotten),
		cmocka_unit_test(units_that_cannot_be_read_are_found_by_verification),
	};
	return cmocka_run_group_tests_name("store/bad_disk", tests, NULL, NULL);
}
