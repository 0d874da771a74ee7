/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_store.h"

#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"
#include "store_internal.h"

static const struct layer_shape odd = {
	.seed = 1, .contents = 1, .n_units = 40, .unit_size = 5000, .gap = 300, .zero_unit = 7};

static void a_unit_is_readable_as_soon_as_it_was_put(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	assert_false(layer_store_has(layer.store, 3));
	assert_false(layer_reads_unit(&layer, 3));
	layer_put_unit(&layer, 3);
	assert_true(layer_store_has(layer.store, 3));
	assert_true(layer_reads_unit(&layer, 3));
	assert_false(layer_store_has(layer.store, 4));
	assert_false(layer_store_has(layer.store, odd.n_units));
	layer_leave(&layer);
}

static void a_range_is_there_only_with_every_unit_it_touches(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	layer_put_unit(&layer, 5);
	layer_put_unit(&layer, 6);
	/* Units 5 and 6 with the gap between and behind them. */
	assert_true(layer_reads(&layer, 4096 + 5 * 5300 + 100, 5300 + 5100));
	assert_false(layer_reads(&layer, 4096 + 5 * 5300 + 100, 5300 + 5201));
	assert_false(layer_reads(&layer, 4096 + 5 * 5300 - 301, 400));
	layer_leave(&layer);
}

static void bytes_between_units_are_zeros(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	assert_true(layer_reads(&layer, 0, 4096));
	assert_true(layer_reads(&layer, 4096 + 5000, 300));
	assert_true(layer_reads(&layer, 0, 0));
	layer_leave(&layer);
}

static void ranges_of_any_alignment_read_right_before_and_after_they_are_durable(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	for (int durable = 0; durable < 2; durable++) {
		for (uint64_t off = 0; off < 60000; off += 1171)
			for (size_t size = 1; size < 40000; size = size * 3 + 1)
				assert_true(layer_reads(&layer, off, size));
		assert_int_equal(layer_store_sync(layer.store, &err), 0);
	}
	layer_leave(&layer);
}

static void what_was_put_is_there_after_the_store_was_opened_again(void **state)
{
	struct fixture *fixture = *state;
	struct layer_store_stats stats;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	for (uint64_t i = 0; i < odd.n_units; i += 2)
		layer_put_unit(&layer, i);
	layer_leave(&layer);
	fixture_close(fixture);

	fixture_open(fixture);
	layer_enter(fixture, &layer);
	for (uint64_t i = 0; i < odd.n_units; i++)
		assert_int_equal(layer_reads_unit(&layer, i), i % 2 == 0);
	layer_store_stats(layer.store, &stats);
	assert_int_equal(stats.n_units, 40);
	assert_int_equal(stats.n_present, 20);
	assert_int_equal(stats.size, 40 * 5000);
	assert_int_equal(stats.present, 20 * 5000);
	assert_true(stats.allocated > 0);
	assert_false(stats.complete);
	for (uint64_t i = 0; i < odd.n_units; i++)
		layer_put_unit(&layer, i);
	layer_store_stats(layer.store, &stats);
	assert_true(stats.complete);
	layer_leave(&layer);
}

static void a_chunk_in_a_file_is_stored_like_one_in_memory(void **state)
{
	struct fixture *fixture = *state;
	struct verified_chunk *chunk;
	struct test_layer layer;
	struct error err = {0};
	uint8_t bytes[5000];
	struct unit unit;
	int fd;

	layer_make(fixture, &odd, &layer);
	layer_bytes(&layer, 4, bytes);
	fd = memfd_create("chunk", MFD_CLOEXEC);
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 100), sizeof(bytes));
	assert_int_equal(unit_table_get(layer.units, 4, &unit, &err), 0);
	assert_int_equal(chunk_verify_file(&unit, fd, 100, &chunk, &err), 0);
	close(fd);
	assert_null(chunk_data(chunk));
	assert_int_equal(store_put(layer.store, 4, chunk, &err), 0);
	chunk_unref(chunk);
	assert_true(layer_reads_unit(&layer, 4));
	layer_leave(&layer);
}

static void zeros_take_no_space(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape big = {
		.seed = 2, .contents = 2, .n_units = 1, .unit_size = 8 << 20, .zero_unit = 0};
	struct layer_store_stats stats;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &big, &layer);
	layer_put_all(&layer);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	layer_store_stats(layer.store, &stats);
	assert_true(stats.complete);
	assert_int_equal(stats.allocated, 0);
	assert_true(layer_reads(&layer, 4096, 1 << 20));
	layer_leave(&layer);
}

static void two_handles_of_a_layer_see_the_same_units(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer first, second;

	layer_make(fixture, &odd, &first);
	second = first;
	layer_enter(fixture, &second);
	layer_put_unit(&first, 9);
	assert_true(layer_reads_unit(&second, 9));
	layer_leave(&first);
	assert_true(layer_reads_unit(&second, 9));
	layer_put_unit(&second, 10);
	layer_leave(&second);
	layer_enter(fixture, &second);
	assert_true(layer_reads_unit(&second, 10));
	layer_leave(&second);
}

static void nothing_is_claimed_for_another_unit_table_of_the_same_layer(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape other_shape = odd;
	struct test_layer layer, other;
	uint8_t *old, *expected;
	int fd;

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	layer_leave(&layer);
	fixture_close(fixture);
	fixture_open(fixture);

	other_shape.gap = 304;
	layer_make(fixture, &other_shape, &other);
	for (uint64_t i = 0; i < odd.n_units; i++)
		assert_false(layer_store_has(other.store, i));
	/* Zeros: the old bytes, which lay elsewhere, are gone. */
	layer_put_unit(&other, 7);
	assert_true(layer_reads(&other, 4096 + 7 * 5304, 5304));
	layer_leave(&other);

	old = malloc(4096);
	expected = calloc(1, 4096);
	fd = open(fixture_path(fixture, "layers/%s.data", layer.name), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, old, 4096, 8192), 4096);
	assert_memory_equal(old, expected, 4096);
	close(fd);
	free(old);
	free(expected);
}

static void a_data_file_that_was_cut_claims_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	layer_leave(&layer);
	fixture_close(fixture);
	assert_int_equal(truncate(fixture_path(fixture, "layers/%s.data", layer.name), 8192), 0);

	fixture_open(fixture);
	layer_enter(fixture, &layer);
	for (uint64_t i = 0; i < odd.n_units; i++)
		assert_false(layer_store_has(layer.store, i));
	layer_put_all(&layer);
	assert_true(layer_reads(&layer, 0, 100000));
	layer_leave(&layer);
}

static void a_file_cut_under_an_open_layer_is_an_error_and_never_zeros(void **state)
{
	struct fixture *fixture = *state;
	struct stored_range *range = NULL;
	struct test_layer layer;
	struct error err = {0};
	bool present;

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	for (int durable = 0; durable < 2; durable++) {
		assert_int_equal(
			truncate(fixture_path(fixture, "layers/%s.data", layer.name), 10000), 0);
		assert_int_equal(
			store_get(layer.store, 4096 + 5300, 5000, &present, &range, &err), -1);
		assert_int_equal(err.kind, ERROR_IO);
		assert_non_null(strstr(err.message, layer.name));
		assert_non_null(strstr(err.message, "units 1 to 1"));
		assert_int_equal(layer_store_sync(layer.store, &err), 0);
	}
	layer_leave(&layer);
}

static void a_forgotten_unit_is_missing_also_after_the_store_was_opened_again(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	assert_int_equal(store_forget(layer.store, 3, &err), 0);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	assert_int_equal(store_forget(layer.store, 4, &err), 0);
	for (int opened_again = 0; opened_again < 2; opened_again++) {
		assert_false(layer_store_has(layer.store, 3));
		assert_false(layer_store_has(layer.store, 4));
		assert_true(layer_reads_unit(&layer, 5));
		layer_leave(&layer);
		fixture_close(fixture);
		fixture_open(fixture);
		layer_enter(fixture, &layer);
	}
	layer_put_unit(&layer, 3);
	assert_true(layer_reads_unit(&layer, 3));
	layer_leave(&layer);
}

static void zeros_put_where_other_bytes_were_read_as_zeros(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	layer_damage(fixture, &layer, 7);
	assert_int_equal(store_forget(layer.store, 7, &err), 0);
	layer_put_unit(&layer, 7);
	assert_true(layer_reads_unit(&layer, 7));
	assert_true(layer_reads(&layer, 0, 100000));
	layer_leave(&layer);
}

static void read_small_pieces(struct test_layer *layer, uint64_t first, uint64_t n)
{
	for (uint64_t off = 4096 + first * 5300; off + 650 <= 4096 + (first + n) * 5300; off += 700)
		assert_true(layer_reads(layer, off, 650));
}

static void reading_ahead_never_shows_what_was_not_yet_written(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &odd, &layer);
	for (uint64_t i = 0; i < odd.n_units; i += 3) {
		layer_put_unit(&layer, i);
		assert_int_equal(layer_store_sync(layer.store, &err), 0);
		/* Reads far enough ahead for the holes where the other units will be. */
		for (int round = 0; round < 3; round++)
			read_small_pieces(&layer, i, 1);
		layer_put_unit(&layer, i + 1 < odd.n_units ? i + 1 : 1);
		assert_int_equal(layer_store_sync(layer.store, &err), 0);
		if (i + 1 < odd.n_units)
			read_small_pieces(&layer, i, 2);
	}
	layer_put_all(&layer);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	read_small_pieces(&layer, 0, odd.n_units);
	layer_damage(fixture, &layer, 20);
	assert_int_equal(store_forget(layer.store, 20, &err), 0);
	assert_false(layer_reads_unit(&layer, 20));
	layer_put_unit(&layer, 20);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	read_small_pieces(&layer, 15, 10);
	layer_leave(&layer);
}

static void streams_of_several_layers_do_not_mix(void **state)
{
	enum { N_LAYERS = 12 };
	struct fixture *fixture = *state;
	struct test_layer layers[N_LAYERS];
	struct layer_shape shape = odd;
	struct error err = {0};

	for (unsigned i = 0; i < N_LAYERS; i++) {
		shape.seed = shape.contents = i + 1;
		layer_make(fixture, &shape, &layers[i]);
		layer_put_all(&layers[i]);
	}
	assert_int_equal(layer_store_sync(layers[0].store, &err), 0);
	for (uint64_t n_used = 1; n_used <= N_LAYERS; n_used += 5)
		for (uint64_t off = 4096; off < 150000; off += 3000)
			for (unsigned i = 0; i < n_used; i++)
				assert_true(layer_reads(&layers[i], off, 3000));
	for (unsigned i = 0; i < N_LAYERS; i++)
		layer_leave(&layers[i]);
	/* A layer opened later may live where one of them did. */
	shape.seed = shape.contents = N_LAYERS + 1;
	layer_make(fixture, &shape, &layers[0]);
	layer_put_all(&layers[0]);
	assert_int_equal(layer_store_sync(layers[0].store, &err), 0);
	read_small_pieces(&layers[0], 0, odd.n_units);
	layer_leave(&layers[0]);
}

static void the_data_file_can_be_handed_out(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};
	struct stat status;
	uint8_t expected[5000], actual[5000];
	int fd;

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	assert_int_equal(layer_store_data_fd(layer.store, &fd, &err), 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size % 4096, 0);
	assert_int_equal(pread(fd, actual, sizeof(actual), 4096), sizeof(actual));
	layer_bytes(&layer, 0, expected);
	assert_memory_equal(actual, expected, sizeof(actual));
	close(fd);
	layer_leave(&layer);
}

static void an_empty_layer_is_complete(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape empty = {.seed = 9, .unit_size = 1};
	struct layer_store_stats stats;
	struct test_layer layer;

	layer_make(fixture, &empty, &layer);
	layer_store_stats(layer.store, &stats);
	assert_true(stats.complete);
	assert_true(layer_reads(&layer, 0, 4096));
	layer_leave(&layer);
}

static unsigned n_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(directory);
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

static void more_layers_than_descriptors_can_be_open(void **state)
{
	enum { N_LAYERS = 300, LIMIT = 512 };
	const struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
	struct fixture *fixture = *state;
	static struct test_layer layers[N_LAYERS];
	struct layer_shape shape = {.n_units = 2, .unit_size = 100, .zero_unit = 9};
	struct error err = {0};

	fixture_close(fixture);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_open(fixture);
	for (unsigned i = 0; i < N_LAYERS; i++) {
		shape.seed = 100 + i;
		shape.contents = 100 + i;
		layer_make(fixture, &shape, &layers[i]);
		layer_put_all(&layers[i]);
	}
	assert_int_equal(layer_store_sync(layers[0].store, &err), 0);
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < N_LAYERS; i++)
			assert_true(layer_reads_unit(&layers[i], 1));
	/* Two for each of the files that stay open: an eighth of the limit. */
	assert_true(n_descriptors() < LIMIT / 4 + 30);
	for (unsigned i = 0; i < N_LAYERS; i++)
		layer_leave(&layers[i]);
}

static void buffers_of_reads_are_kept_until_a_quiet_moment(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	layer_make(fixture, &odd, &layer);
	layer_put_all(&layer);
	assert_true(layer_reads_unit(&layer, 3));
	assert_true(fixture->store->ranges.pooled > 0);
	store_trim(fixture->store);
	assert_int_equal(fixture->store->ranges.pooled, 0);
	assert_true(layer_reads_unit(&layer, 3));
	layer_leave(&layer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_unit_is_readable_as_soon_as_it_was_put),
		TEST(a_range_is_there_only_with_every_unit_it_touches),
		TEST(bytes_between_units_are_zeros),
		TEST(buffers_of_reads_are_kept_until_a_quiet_moment),
		TEST(ranges_of_any_alignment_read_right_before_and_after_they_are_durable),
		TEST(what_was_put_is_there_after_the_store_was_opened_again),
		TEST(a_chunk_in_a_file_is_stored_like_one_in_memory),
		TEST(zeros_take_no_space),
		TEST(two_handles_of_a_layer_see_the_same_units),
		TEST(nothing_is_claimed_for_another_unit_table_of_the_same_layer),
		TEST(a_data_file_that_was_cut_claims_nothing),
		TEST(a_file_cut_under_an_open_layer_is_an_error_and_never_zeros),
		TEST(a_forgotten_unit_is_missing_also_after_the_store_was_opened_again),
		TEST(zeros_put_where_other_bytes_were_read_as_zeros),
		TEST(reading_ahead_never_shows_what_was_not_yet_written),
		TEST(streams_of_several_layers_do_not_mix),
		TEST(the_data_file_can_be_handed_out),
		TEST(an_empty_layer_is_complete),
		TEST(more_layers_than_descriptors_can_be_open),
	};
	return cmocka_run_group_tests_name("store/layer_store", tests, NULL, NULL);
}
