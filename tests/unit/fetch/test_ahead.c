/* SPDX-License-Identifier: Apache-2.0 */
/* What is fetched before anybody asks for it. */
#include "fetch_fixture.h"

#include "support/test.h"

#include "base/clock.h"

static void background_does_not_hammer_a_source_that_refuses(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){
			.background = true, .n_units = 400, .unit_size = 100000, .stalled = true});
	atomic_store(&f.sources[0].forbids, true);
	atomic_store(&f.sources[0].stalls, false);
	wait_until(atomic_load(&f.sources[0].n_started) >= 1);
	sleep(2);
	assert_true(atomic_load(&f.sources[0].n_started) <= 4);
	fixture_close(&f);
}

static void background_has_a_few_requests_under_way_at_a_time(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){
			.background = true, .n_units = 400, .unit_size = 100000, .stalled = true});
	wait_until(atomic_load(&f.sources[0].n_started) == 2);
	usleep(300000);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 2);
	fixture_close(&f);
}

static void background_goes_on_as_soon_as_a_request_has_ended(void **state)
{
	struct fixture f;
	uint64_t start_ns;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){
			.background = true, .n_units = 64, .unit_size = 1 << 20, .stalled = true});
	wait_until(atomic_load(&f.sources[0].n_started) > 0);
	start_ns = clock_now_ns();
	atomic_store(&f.sources[0].stalls, false);
	wait_until(atomic_load(&f.n_completed) == 1);
	/* Looking ten times a second for room would take longer. */
	assert_true(clock_now_ns() - start_ns < 3 * NS_PER_SECOND);
	fixture_close(&f);
}

static void background_passes_over_what_is_here(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 70000, .unit_size = 1});
	assert_int_equal(fixture_fetch(&f, 0, 66000), ERROR_NONE);
	fetch_layer_set_background(f.layer, true);
	wait_until(atomic_load(&f.n_completed) == 1);
	fixture_close(&f);
}

static void background_tries_again_what_failed_the_first_time(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(
		&f, &(struct fixture_options){.background = true, .n_units = 10, .stalled = true});
	atomic_store(&f.sources[0].n_fails, 1);
	atomic_store(&f.sources[0].stalls, false);
	wait_until(atomic_load(&f.sources[0].n_started) >= 1);
	assert_int_equal(atomic_load(&f.n_completed), 0);
	/* Turning it on again is a wish not to wait. */
	usleep(300000);
	fetch_layer_set_background(f.layer, true);
	wait_until(atomic_load(&f.n_completed) == 1);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

static void background_waits_for_readers_of_every_layer(void **state)
{
	struct fixture first;
	struct fixture second;
	struct waiter waiter;

	(void)state;
	fixture_open(&first, &(struct fixture_options){0});
	atomic_store(&first.sources[0].stalls, true);
	waiter_start(&waiter, &first, 0, 1);
	fixture_open_beside(
		&second, &first, &(struct fixture_options){.background = true, .unit_size = 9000});
	usleep(1200000);
	assert_int_equal(atomic_load(&second.sources[0].n_started), 0);
	atomic_store(&first.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	wait_until(atomic_load(&second.n_completed) == 1);
	fixture_close(&second);
	fixture_close(&first);
}

static void background_keeps_to_its_bandwidth(void **state)
{
	struct fixture f;
	struct fetch_layer_stats stats;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.background = true,
				 .n_units = 100,
				 .unit_size = 100000,
				 .background_bytes_per_s = 1000000});
	wait_until(atomic_load(&f.sources[0].n_started) >= 1);
	usleep(1500000);
	fetch_layer_stats(f.layer, &stats);
	/* What one second may bring, twice what is queued at once, and little more. */
	assert_true(stats.fetched_bytes > 0);
	assert_true(stats.fetched_bytes < 6000000);
	assert_int_equal(atomic_load(&f.n_completed), 0);
	fixture_close(&f);
}

static void background_stops_when_it_is_turned_off(void **state)
{
	struct fixture f;
	uint64_t n;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.background = true, .n_units = 400, .unit_size = 100000});
	atomic_store(&f.sources[0].delay_us, 100000);
	wait_until(fixture_count(&f) > 0);
	fetch_layer_set_background(f.layer, false);
	usleep(800000);
	n = fixture_count(&f);
	assert_true(n < 400);
	usleep(500000);
	assert_int_equal(fixture_count(&f), n);
	fetch_layer_set_background(f.layer, true);
	atomic_store(&f.sources[0].delay_us, 0);
	wait_until(atomic_load(&f.n_completed) == 1);
	fixture_close(&f);
}

static void background_gives_up_what_it_has_queued(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.background = true,
				 .n_units = 400,
				 .unit_size = 100000,
				 .max_requests = 1,
				 .stalled = true});
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	fetch_layer_set_background(f.layer, false);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	usleep(500000);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	fixture_close(&f);
}

static void background_fetches_nothing_that_cannot_be_kept(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.keeps_nothing = true});
	/* The store learns from what is put. */
	(void)fixture_fetch(&f, 0, 1);
	wait_until(!store_caching(f.store, NULL, 0));
	fetch_layer_set_background(f.layer, true);
	usleep(1500000);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	fixture_close(&f);
}

/* Units of a large file, 2 MiB each. */
enum { LARGE_UNIT = 2 << 20 };

/* A read of so many bytes from the start of unit 0. */
static void start_read(struct waiter *waiter, struct fixture *f, uint64_t size)
{
	waiter_prepare(waiter, f, 0, 1);
	waiter->wait.size = size;
	fetch_wait_start(&waiter->wait);
}

static void a_large_file_is_read_ahead_of_its_first_reads(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.read_ahead = true,
				 .stalled = true,
				 .n_units = 8,
				 .unit_size = LARGE_UNIT});
	start_read(&waiter, &f, 128 << 10);
	wait_until(atomic_load(&f.sources[0].n_started) >= 2);
	assert_int_equal(f.sources[0].log[0].off, 0);
	assert_int_equal(f.sources[0].log[0].priority, PRIORITY_READER);
	assert_int_equal(f.sources[0].log[1].off, LARGE_UNIT);
	assert_int_equal(f.sources[0].log[1].priority, PRIORITY_READ_AHEAD);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	fixture_close(&f);
}

static void a_small_read_of_a_large_file_is_no_stream(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){
				 .read_ahead = true, .n_units = 8, .unit_size = LARGE_UNIT});
	start_read(&waiter, &f, 16 << 10);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	usleep(200000);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), LARGE_UNIT);
	fixture_close(&f);
}

static void what_is_outstanding_is_bounded_until_somebody_waits(void **state)
{
	struct fixture f;
	struct waiter waiter;
	unsigned n_started;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.read_ahead = true,
				 .stalled = true,
				 .n_units = 20,
				 .unit_size = LARGE_UNIT});
	start_read(&waiter, &f, 128 << 10);
	wait_until(atomic_load(&f.sources[0].n_started) >= 2);
	usleep(200000);
	n_started = atomic_load(&f.sources[0].n_started);
	assert_true(atomic_load(&f.sources[0].bytes_asked) <= 4 * LARGE_UNIT);
	assert_int_equal(waiter.n_done, 0);

	/* A reader needs no room. */
	struct waiter other;
	waiter_start(&other, &f, 15, 1);
	wait_until(atomic_load(&f.sources[0].n_started) > n_started);
	assert_int_equal(f.sources[0].log[n_started].off, 15 * LARGE_UNIT);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	assert_int_equal(waiter_join(&other), ERROR_NONE);
	fixture_close(&f);
}

static void a_reader_that_finds_everything_is_followed(void **state)
{
	struct fixture f;
	struct unit unit;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.read_ahead = true, .n_units = 400, .unit_size = 50000});
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	wait_until(layer_store_has(f.layer_store, 30));
	/* It never waits again. */
	for (uint64_t i = 3; i < 120; i++) {
		wait_until(layer_store_has(f.layer_store, i));
		assert_int_equal(unit_table_get(f.units, i, &unit, NULL), 0);
		fetch_layer_note_read(f.layer, unit.data_off);
	}
	wait_until(layer_store_has(f.layer_store, 125));
	fixture_close(&f);
}

static void read_ahead_keeps_within_its_window(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.read_ahead = true, .n_units = 2000, .unit_size = 50000});
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	usleep(500000);
	/* Four requests ahead, of 1 MiB as nothing is known of the link, or what was measured. */
	assert_true(fixture_count(&f) < 20 + (UINT64_C(48) << 20) / f.unit_size + 10);
	assert_true(fixture_count(&f) > 40);
	fixture_close(&f);
}

static void a_random_reader_takes_small_neighbours_along_only(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.read_ahead = true, .n_units = 2000, .unit_size = 50000});
	assert_int_equal(fixture_fetch(&f, 1000, 1), ERROR_NONE);
	usleep(200000);
	/* 128 KiB: one before it, one behind. */
	assert_int_equal(fixture_count(&f), 3);
	fixture_close(&f);
}

static void prefetch_goes_on_step_by_step(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.prefetch = true, .n_units = 10000, .unit_size = 100});
	wait_until(fixture_count(&f) == 5000);
	usleep(100000);
	assert_int_equal(fixture_count(&f), 5000);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), 500000);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(background_does_not_hammer_a_source_that_refuses),
		cmocka_unit_test(background_has_a_few_requests_under_way_at_a_time),
		cmocka_unit_test(background_goes_on_as_soon_as_a_request_has_ended),
		cmocka_unit_test(background_passes_over_what_is_here),
		cmocka_unit_test(background_tries_again_what_failed_the_first_time),
		cmocka_unit_test(background_waits_for_readers_of_every_layer),
		cmocka_unit_test(background_keeps_to_its_bandwidth),
		cmocka_unit_test(background_stops_when_it_is_turned_off),
		cmocka_unit_test(background_gives_up_what_it_has_queued),
		cmocka_unit_test(background_fetches_nothing_that_cannot_be_kept),
		cmocka_unit_test(a_large_file_is_read_ahead_of_its_first_reads),
		cmocka_unit_test(a_small_read_of_a_large_file_is_no_stream),
		cmocka_unit_test(what_is_outstanding_is_bounded_until_somebody_waits),
		cmocka_unit_test(a_reader_that_finds_everything_is_followed),
		cmocka_unit_test(read_ahead_keeps_within_its_window),
		cmocka_unit_test(a_random_reader_takes_small_neighbours_along_only),
		cmocka_unit_test(prefetch_goes_on_step_by_step),
	};
	return cmocka_run_group_tests_name("fetch/ahead", tests, NULL, NULL);
}
