/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that take requests and send nothing, or stop in the middle. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <string.h>

#include "base/clock.h"

/* An eighth of it is the time after which the next source is asked. */
enum { PATIENCE_MS = 16000, EARLY_MS = 8000 };

static void open_with_two_sources(struct fixture *f)
{
	fixture_open(f, &(struct fixture_options){.n_sources = 2, .deadline_ms = PATIENCE_MS});
}

static void the_next_source_is_asked_long_before_patience_ends(void **state)
{
	uint64_t start_ns = clock_now_ns();
	struct fixture f;

	(void)state;
	open_with_two_sources(&f);
	atomic_store(&f.sources[0].stalls, true);
	assert_int_equal(fixture_fetch(&f, 7, 1), ERROR_NONE);
	assert_unit_is_right(&f, 7);
	assert_true(clock_now_ns() - start_ns < EARLY_MS * NS_PER_MS);
	assert_int_equal(atomic_load(&f.sources[0].n_cancelled), 1);
	assert_int_equal(atomic_load(&f.sources[1].n_started), 1);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	/* Nobody waits for it a second time. */
	for (uint64_t i = 20; i < 25; i++)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	fixture_close(&f);
}

static void what_came_before_a_stall_is_kept(void **state)
{
	struct fixture f;

	(void)state;
	open_with_two_sources(&f);
	atomic_store(&f.sources[0].stalls_after, 30000);
	assert_int_equal(fixture_fetch(&f, 10, 20), ERROR_NONE);
	for (uint64_t i = 10; i < 30; i++)
		assert_unit_is_right(&f, i);
	/* Pieces of 16 KiB: three units were whole. */
	assert_int_equal(atomic_load(&f.sources[1].bytes_asked), 17 * f.unit_size);
	fixture_close(&f);
}

static void each_request_that_stalls_is_sent_once_more_only(void **state)
{
	enum { N = 8 };
	struct waiter waiters[N];
	struct fixture f;

	(void)state;
	open_with_two_sources(&f);
	atomic_store(&f.sources[0].stalls, true);
	for (uint64_t i = 0; i < N; i++)
		waiter_start(&waiters[i], &f, 10 * i, 1);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_true(atomic_load(&f.sources[0].n_started) <= N);
	assert_int_equal(atomic_load(&f.sources[1].n_started), N);
	assert_int_equal(fixture_count(&f), N);
	fixture_close(&f);
}

static void a_source_that_stands_alone_keeps_its_time(void **state)
{
	struct waiter waiter;
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 4000});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiter, &f, 0, 1);
	usleep(1500000);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	fixture_close(&f);
}

static void when_all_stall_the_first_is_asked_again(void **state)
{
	struct waiter waiter;
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2, .deadline_ms = 8000});
	atomic_store(&f.sources[0].stalls, true);
	atomic_store(&f.sources[1].stalls, true);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[1].n_started) == 1);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	fixture_close(&f);
}

static void a_large_unit_begins_anew_elsewhere(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2,
				 .deadline_ms = 4000,
				 .n_units = 1,
				 .unit_size = (UINT64_C(64) << 20) + 1});
	atomic_store(&f.sources[0].stalls_after, 3 << 20);
	while (fixture_fetch(&f, 0, 1) != ERROR_NONE)
		;
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.sources[0].n_cancelled), 1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_source_is_asked_long_before_patience_ends),
		cmocka_unit_test(what_came_before_a_stall_is_kept),
		cmocka_unit_test(each_request_that_stalls_is_sent_once_more_only),
		cmocka_unit_test(a_source_that_stands_alone_keeps_its_time),
		cmocka_unit_test(when_all_stall_the_first_is_asked_again),
		cmocka_unit_test(a_large_unit_begins_anew_elsewhere),
	};
	return cmocka_run_group_tests_name("fetch/stalls", tests, NULL, NULL);
}
