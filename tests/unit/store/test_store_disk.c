/* SPDX-License-Identifier: Apache-2.0 */
/* Stores on small file systems of their own: full, read-only, and back again. */
#include "store/store_cache.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk_fixture.h"

static bool caching(struct fixture *fixture)
{
	return store_caching(fixture->store, NULL, 0);
}

/* Puts until the disk refuses; returns the first unit that it refused. */
static uint64_t fill_disk(struct fixture *fixture, struct test_layer *layer)
{
	uint64_t i = 0;

	while (caching(fixture)) {
		assert_true(i < layer->shape.n_units);
		layer_put_unit(layer, i++);
	}
	return i - 1;
}

static uint64_t put_on_a_full_disk(struct disk *disk)
{
	const struct layer_shape shape = {
		.seed = 1, .contents = 1, .n_units = 40, .unit_size = MIB, .zero_unit = 99};
	const uint8_t content[32] = {1, 2, 3};
	struct fixture *fixture = disk->fixture;
	struct test_layer layer;
	struct error err = {0};
	uint64_t refused;
	char why[300];
	uint32_t id;

	fixture->options.chunk_memory = 4 * MIB;
	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	refused = fill_disk(fixture, &layer);
	assert_true(refused > 5);
	assert_false(store_caching(fixture->store, why, sizeof(why)));
	assert_non_null(strstr(why, "No space left"));
	for (uint64_t i = 0; i <= refused; i++)
		assert_true(layer_reads_unit(&layer, i));
	for (uint64_t i = refused + 1; i < shape.n_units; i++) {
		layer_put_unit(&layer, i);
		assert_true(layer_reads_unit(&layer, i));
	}
	assert_false(layer_store_has(layer.store, refused));
	assert_int_equal(store_tree_id(fixture->store, content, &id, &err), 0);
	layer_leave(&layer);
	fixture_close(fixture);
	return refused;
}

/* What was stored before the disk was full is recorded, all of it, and right. */
static void expect_service_on_a_full_disk(struct disk *disk)
{
	uint64_t n_stored = put_on_a_full_disk(disk);
	const struct cache_verify_options options = {0};
	struct cache_verify_result result;
	struct error err = {0};

	fixture_open(disk->fixture);
	assert_int_equal(cache_verify(disk->fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_wrong, 0);
	assert_int_equal(result.n_broken_indexes, 0);
	assert_int_equal(result.n_checked, n_stored);
	fixture_close(disk->fixture);
}

static void a_full_ext4_is_served_without_caching(void **state)
{
	(void)state;
	struct disk *disk = disk_make(DISK_EXT4);

	expect_service_on_a_full_disk(disk);
	disk_remove(disk);
}

static void a_full_tmpfs_is_served_without_caching(void **state)
{
	(void)state;
	struct disk *disk = disk_make(DISK_TMPFS);

	expect_service_on_a_full_disk(disk);
	disk_remove(disk);
}

static void expect_caching_again(bool put)
{
	const struct layer_shape shape = {
		.seed = 1, .contents = 1, .n_units = 10, .unit_size = MIB, .zero_unit = 99};
	struct disk *disk = disk_make(DISK_TMPFS);
	struct fixture *fixture = disk->fixture;
	struct test_layer layer;
	char other[100];
	int fd;

	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	(void)snprintf(other, sizeof(other), "%s/other", disk->path);
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fallocate(fd, 0, 0, DISK_SIZE - 8 * MIB), 0);
	assert_true(fill_disk(fixture, &layer) < 5);
	close(fd);
	assert_int_equal(unlink(other), 0);

	/* Asked again every few seconds. */
	for (unsigned i = 0; i < 250 && !caching(fixture); i++) {
		if (put)
			layer_put_unit(&layer, 8);
		(void)usleep(100000);
	}
	assert_true(caching(fixture));
	layer_put_unit(&layer, 9);
	layer_leave(&layer);
	fixture_close(fixture);
	fixture_open(fixture);
	layer_enter(fixture, &layer);
	assert_true(layer_reads_unit(&layer, 9));
	layer_leave(&layer);
	disk_remove(disk);
}

static void caching_goes_on_when_there_is_room_again(void **state)
{
	(void)state;
	expect_caching_again(true);
}

/* What waits for it, as the rest of a layer does, need not try. */
static void room_is_noticed_when_nobody_puts(void **state)
{
	(void)state;
	expect_caching_again(false);
}

static void a_store_on_a_read_only_file_system_is_read(void **state)
{
	(void)state;
	const struct layer_shape shape = {
		.seed = 1, .contents = 1, .n_units = 6, .unit_size = 50000, .zero_unit = 99};
	const uint8_t known[32] = {1}, unknown[32] = {2}, other[32] = {3};
	const struct store_ref ref = {.digest.algorithm = DIGEST_SHA256, .resolved_s = 5};
	struct disk *disk = disk_make(DISK_EXT4);
	struct fixture *fixture = disk->fixture;
	uint32_t ids[4];
	struct test_layer layer;
	struct error err = {0};
	char why[300];

	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	for (uint64_t i = 0; i < 4; i++)
		layer_put_unit(&layer, i);
	assert_int_equal(store_tree_id(fixture->store, known, &ids[0], &err), 0);
	layer_leave(&layer);
	assert_int_equal(store_ref_put(fixture->store, "r.example/a", &ref, &err), 0);
	fixture_close(fixture);
	disk_remount(disk, true);

	fixture_open(fixture);
	assert_false(store_caching(fixture->store, why, sizeof(why)));
	assert_non_null(strstr(why, "read-only"));
	layer_enter(fixture, &layer);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(layer_reads_unit(&layer, i));
	assert_false(layer_reads_unit(&layer, 4));
	layer_put_unit(&layer, 4);
	assert_true(layer_reads(&layer, 4096 + 3 * 50000, 100000));
	assert_int_equal(store_forget(layer.store, 1, &err), 0);
	assert_false(layer_store_has(layer.store, 1));
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	layer_leave(&layer);

	assert_int_equal(store_ref_put(fixture->store, "r.example/a", &ref, &err), 0);
	assert_int_equal(store_ref_put(fixture->store, "r.example/b", &ref, &err), -1);
	assert_int_equal(err.kind, ERROR_READ_ONLY);
	assert_int_equal(store_tree_id(fixture->store, known, &ids[1], &err), 0);
	assert_int_equal(ids[1], ids[0]);
	assert_int_equal(store_tree_id(fixture->store, unknown, &ids[1], &err), 0);
	assert_int_equal(store_tree_id(fixture->store, other, &ids[2], &err), 0);
	assert_int_not_equal(ids[1], ids[0]);
	assert_int_not_equal(ids[1], ids[2]);
	fixture_close(fixture);
	fixture_open(fixture);
	/* Not recorded, and the same again. */
	assert_int_equal(store_tree_id(fixture->store, unknown, &ids[3], &err), 0);
	assert_int_equal(ids[3], ids[1]);
	disk_remove(disk);
}

static void a_read_only_directory_without_a_store_is_refused_with_advice(void **state)
{
	(void)state;
	struct disk *disk = disk_make(DISK_TMPFS);
	struct store *store;
	struct error err = {0};

	disk_remount(disk, true);
	assert_int_equal(store_open(&disk->fixture->options, &store, &err), -1);
	assert_int_equal(err.kind, ERROR_READ_ONLY);
	assert_non_null(strstr(err.message, "choose another --store"));
	disk_remount(disk, false);
	disk_remove(disk);
}

static void a_disk_that_turns_read_only_keeps_serving(void **state)
{
	(void)state;
	const struct layer_shape shape = {
		.seed = 1, .contents = 1, .n_units = 6, .unit_size = 50000, .zero_unit = 99};
	const uint8_t content[32] = {9};
	struct disk *disk = disk_make(DISK_EXT4);
	struct fixture *fixture = disk->fixture;
	char command[200];
	struct test_layer layer;
	struct error err = {0};
	uint32_t id;

	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	layer_put_unit(&layer, 0);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	/* What the kernel does on an error of the disk; a plain remount is refused while files are
	 * open for writing. */
	(void)snprintf(command, sizeof(command), "mount -o remount,abort %s", disk->path);
	(void)disk_run(command);
	layer_put_unit(&layer, 1);
	if (caching(fixture)) {
		print_message("skipped: this kernel does not let a test break an ext4\n");
		layer_leave(&layer);
		disk_remove(disk);
		skip();
	}
	assert_true(layer_reads_unit(&layer, 0));
	assert_true(layer_reads_unit(&layer, 1));
	assert_int_equal(store_tree_id(fixture->store, content, &id, &err), 0);
	layer_leave(&layer);
	disk_remove(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_ext4_is_served_without_caching),
		cmocka_unit_test(a_full_tmpfs_is_served_without_caching),
		cmocka_unit_test(caching_goes_on_when_there_is_room_again),
		cmocka_unit_test(room_is_noticed_when_nobody_puts),
		cmocka_unit_test(a_store_on_a_read_only_file_system_is_read),
		cmocka_unit_test(a_read_only_directory_without_a_store_is_refused_with_advice),
		cmocka_unit_test(a_disk_that_turns_read_only_keeps_serving),
	};
	return cmocka_run_group_tests_name("store/disk", tests, NULL, NULL);
}
