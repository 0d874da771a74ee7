/* SPDX-License-Identifier: Apache-2.0 */
#include "store_db_internal.h"

#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_fixture.h"
#include "store_records_internal.h"

static const struct layer_shape small = {
	.seed = 1, .contents = 1, .n_units = 10, .unit_size = 3000, .zero_unit = 99};

/* The database of a store that is not open; *dir_fd outlives it. */
static struct db *open_db(struct fixture *fixture, size_t map_size, int *dir_fd)
{
	struct db_options options = {
		.dir = fixture->path,
		.dir_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.map_size = map_size,
	};
	struct error err = {0};
	struct db *db;
	bool rebuilt;

	if (db_open(&options, &db, &rebuilt, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(rebuilt);
	*dir_fd = options.dir_fd;
	return db;
}

struct change {
	enum db_table table;
	uint8_t key[32];
	size_t key_size;
	const void *data;
	size_t size;
};

static int put_change(struct db_txn *txn, void *arg)
{
	const struct change *change = arg;

	return db_put(
		txn, change->table, change->key, change->key_size, change->data, change->size);
}

static void change_record(struct fixture *fixture, struct change *change)
{
	CLEANUP(cleanup_fd) int dir_fd = -1;
	struct db *db = open_db(fixture, 0, &dir_fd);
	struct error err = {0};

	assert_int_equal(db_write(db, put_change, change, "a change by the test", &err), 0);
	db_close(db);
}

static void a_database_of_a_newer_version_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	struct change change = {
		.table = DB_META, .key = "version", .key_size = 7, .data = "\2\0\0\0", .size = 4};
	struct error err = {0};

	fixture_close(fixture);
	change_record(fixture, &change);
	assert_int_equal(store_open(&fixture->options, &fixture->store, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "newer version"));
}

static void make_closed_layer(struct fixture *fixture, struct test_layer *layer)
{
	layer_make(fixture, &small, layer);
	layer_put_all(layer);
	layer_leave(layer);
	fixture_close(fixture);
}

static void expect_nothing_then_put(struct fixture *fixture, struct test_layer *layer)
{
	fixture_open(fixture);
	layer_enter(fixture, layer);
	for (uint64_t i = 0; i < small.n_units; i++)
		assert_false(layer_store_has(layer->store, i));
	layer_put_all(layer);
	layer_leave(layer);
	fixture_close(fixture);
	fixture_open(fixture);
	layer_enter(fixture, layer);
	for (uint64_t i = 0; i < small.n_units; i++)
		assert_true(layer_reads_unit(layer, i));
	layer_leave(layer);
}

static void a_layer_record_that_nobody_wrote_claims_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct change change = {.table = DB_LAYERS, .key_size = 32, .data = "nonsense", .size = 8};
	struct test_layer layer;

	make_closed_layer(fixture, &layer);
	memcpy(change.key, layer.key, sizeof(layer.key));
	change_record(fixture, &change);
	expect_nothing_then_put(fixture, &layer);
}

static void a_page_of_bits_of_the_wrong_size_claims_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct change change = {
		.table = DB_PRESENCE, .key_size = 8, .data = "\xff\xff\xff", .size = 3};
	struct test_layer layer;

	make_closed_layer(fixture, &layer);
	record_page_key(1, 0, change.key);
	change_record(fixture, &change);
	expect_nothing_then_put(fixture, &layer);
}

static void bits_of_units_that_the_layer_does_not_have_are_ignored(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bits[RECORD_PAGE_SIZE], page[RECORD_SUMMED_PAGE_SIZE];
	struct change change = {
		.table = DB_PRESENCE, .key_size = 8, .data = page, .size = sizeof(page)};
	struct layer_store_stats stats;
	struct test_layer layer;

	make_closed_layer(fixture, &layer);
	memset(bits, 0xff, sizeof(bits));
	for (uint32_t i = 0; i < 2; i++) {
		record_page_encode(1, i, bits, page);
		record_page_key(1, i, change.key);
		change_record(fixture, &change);
	}
	fixture_open(fixture);
	layer_enter(fixture, &layer);
	layer_store_stats(layer.store, &stats);
	assert_int_equal(stats.n_present, small.n_units);
	assert_false(layer_store_has(layer.store, small.n_units));
	layer_leave(&layer);
}

static void a_bit_that_flipped_claims_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bits[RECORD_PAGE_SIZE] = {0x03}, page[RECORD_SUMMED_PAGE_SIZE];
	struct change change = {
		.table = DB_PRESENCE, .key_size = 8, .data = page, .size = sizeof(page)};
	struct test_layer layer;

	make_closed_layer(fixture, &layer);
	record_page_encode(1, 0, bits, page);
	page[0] |= 0x10;
	record_page_key(1, 0, change.key);
	change_record(fixture, &change);
	expect_nothing_then_put(fixture, &layer);
}

/* Two layers, the second's record naming the first's data file. */
static void a_layer_with_the_number_of_another_claims_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape other_shape = small;
	uint8_t number[4];
	struct change change = {.table = DB_NUMBERS, .key_size = 4, .size = 32};
	struct test_layer layer, other;

	other_shape.seed = 2;
	layer_make(fixture, &other_shape, &other);
	layer_leave(&other);
	make_closed_layer(fixture, &layer);
	record_number_key(1, number);
	memcpy(change.key, number, sizeof(number));
	change.data = other.key;
	change_record(fixture, &change);
	expect_nothing_then_put(fixture, &layer);
}

static void a_place_that_is_wrong_is_no_source(void **state)
{
	struct fixture *fixture = *state;
	const struct chunk_record lie = {.number = 1, .unit = 2, .data_off = 5};
	uint8_t value[RECORD_CHUNK_SIZE];
	struct change change = {
		.table = DB_CHUNKS, .key_size = 8, .data = value, .size = sizeof(value)};
	struct layer_shape other_shape = small;
	struct test_layer layer, other;
	struct error err = {0};
	struct unit unit;
	bool found;

	layer_make(fixture, &small, &layer);
	layer_put_all(&layer);
	assert_int_equal(unit_table_get(layer.units, 4, &unit, &err), 0);
	layer_leave(&layer);
	fixture_close(fixture);
	memcpy(change.key, unit.digest, 8);
	record_chunk_encode(&lie, value);
	change_record(fixture, &change);

	fixture_open(fixture);
	other_shape.seed = 2;
	layer_make(fixture, &other_shape, &other);
	assert_int_equal(store_copy(other.store, 4, &found, &err), 0);
	assert_false(found);
	assert_int_equal(store_copy(other.store, 5, &found, &err), 0);
	assert_true(found);
	assert_true(layer_reads_unit(&other, 5));
	layer_leave(&other);
}

struct many {
	uint32_t first;
	uint32_t n;
	unsigned calls;
};

static int put_many(struct db_txn *txn, void *arg)
{
	struct many *many = arg;
	uint8_t value[100] = {0};
	int code = 0;

	many->calls++;
	for (uint32_t i = 0; code == 0 && i < many->n; i++) {
		uint8_t key[4];

		record_number_key(many->first + i, key);
		code = db_put(txn, DB_CHUNKS, key, sizeof(key), value, sizeof(value));
	}
	return code;
}

static void a_write_that_does_not_fit_is_done_again_in_a_larger_map(void **state)
{
	struct fixture *fixture = *state;
	struct many many = {.n = 20000};
	CLEANUP(cleanup_fd) int dir_fd = -1;
	CLEANUP(db_read_end) struct db_txn txn = {0};
	struct error err = {0};
	struct db *db;
	size_t n;

	fixture_close(fixture);
	db = open_db(fixture, 256 << 10, &dir_fd);
	assert_int_equal(db_write(db, put_many, &many, "many records", &err), 0);
	assert_true(many.calls > 1);
	assert_int_equal(db_read_begin(db, &txn, &err), 0);
	assert_int_equal(db_count(&txn, DB_CHUNKS, &n), 0);
	assert_int_equal(n, 20000);
	db_read_end(&txn);
	db_close(db);
}

static int fail_with(struct db_txn *txn, void *arg)
{
	struct many one = {.n = 1};
	int code = put_many(txn, &one);

	return code != 0 ? code : *(int *)arg;
}

static void a_write_that_fails_changes_nothing_and_says_what_it_was(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(db_read_end) struct db_txn txn = {0};
	struct error err = {0};
	CLEANUP(cleanup_fd) int dir_fd = -1;
	int code = ENOSPC;
	struct db *db;
	size_t n;

	fixture_close(fixture);
	db = open_db(fixture, 0, &dir_fd);
	assert_int_equal(db_write(db, fail_with, &code, "bind a tree id", &err), -1);
	assert_int_equal(err.kind, ERROR_NO_SPACE);
	assert_non_null(strstr(err.message, "bind a tree id"));
	assert_int_equal(db_read_begin(db, &txn, &err), 0);
	assert_int_equal(db_count(&txn, DB_CHUNKS, &n), 0);
	assert_int_equal(n, 0);
	db_read_end(&txn);

	assert_int_equal(access(fixture_path(fixture, "index.mdb.suspect"), F_OK), -1);
	code = MDB_CORRUPTED;
	assert_int_equal(db_write(db, fail_with, &code, "bind a tree id", &err), -1);
	assert_int_equal(access(fixture_path(fixture, "index.mdb.suspect"), F_OK), 0);
	db_close(db);
}

static void a_sound_database_passes_the_check_and_noise_does_not(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};
	uint8_t noise[4096];
	bool sound;

	make_closed_layer(fixture, &layer);
	assert_int_equal(db_check(fixture_path(fixture, "index.mdb"), &sound, &err), 0);
	assert_true(sound);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 7919);
	for (off_t page = 2; page < 8; page++) {
		int fd = open(fixture_path(fixture, "index.mdb"), O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
		close(fd);
	}
	assert_int_equal(db_check(fixture_path(fixture, "index.mdb"), &sound, &err), 0);
	assert_false(sound);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_database_of_a_newer_version_is_left_alone),
		TEST(a_layer_record_that_nobody_wrote_claims_nothing),
		TEST(a_page_of_bits_of_the_wrong_size_claims_nothing),
		TEST(bits_of_units_that_the_layer_does_not_have_are_ignored),
		TEST(a_bit_that_flipped_claims_nothing),
		TEST(a_layer_with_the_number_of_another_claims_nothing),
		TEST(a_place_that_is_wrong_is_no_source),
		TEST(a_write_that_does_not_fit_is_done_again_in_a_larger_map),
		TEST(a_write_that_fails_changes_nothing_and_says_what_it_was),
		TEST(a_sound_database_passes_the_check_and_noise_does_not),
	};
	return cmocka_run_group_tests_name("store/db", tests, NULL, NULL);
}
