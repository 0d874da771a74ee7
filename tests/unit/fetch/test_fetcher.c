/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include "support/test.h"

#include <string.h>

#include "base/clock.h"

static void many_waits_for_one_unit_cause_one_request(void **state)
{
	struct fixture f;
	struct waiter waiters[50];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].delay_us, 20000);
	for (int i = 0; i < 50; i++)
		waiter_start(&waiters[i], &f, 7, 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_unit_is_right(&f, 7);
	fixture_close(&f);
}

static void adjacent_units_share_a_request_and_nothing_else_is_fetched(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	assert_int_equal(fixture_fetch(&f, 10, 20), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), 20 * f.unit_size);
	for (uint64_t i = 0; i < f.n_units; i++)
		assert_int_equal(layer_store_has(f.layer_store, i), i >= 10 && i < 30);
	for (uint64_t i = 10; i < 30; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void a_sequential_reader_is_run_ahead_of(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.read_ahead = true, .n_units = 400, .unit_size = 50000});
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	wait_until(layer_store_has(f.layer_store, 20));
	assert_false(layer_store_has(f.layer_store, 399));
	fixture_close(&f);
}

static void wrong_bytes_are_refused_and_another_origin_is_asked(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	f.sources[0].second_origin = "https://second";
	atomic_store(&f.sources[0].lies, true);
	assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_NONE);
	assert_unit_is_right(&f, 3);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	assert_int_equal(fixture_last_failure(&f).kind, ERROR_DIGEST_MISMATCH);
	fixture_close(&f);
}

static void wrong_bytes_from_everyone_reach_nobody(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].lies, true);
	atomic_store(&f.sources[1].lies, true);
	assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_DIGEST_MISMATCH);
	assert_false(layer_store_has(f.layer_store, 3));
	/* Not for ever: the next read asks again. */
	atomic_store(&f.sources[0].lies, false);
	assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_NONE);
	fixture_close(&f);
}

static void the_next_source_follows_one_that_fails_or_ends_early(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].fails, true);
	assert_int_equal(fixture_fetch(&f, 0, 10), ERROR_NONE);
	atomic_store(&f.sources[0].fails, false);
	atomic_store(&f.sources[0].cuts, true);
	assert_int_equal(fixture_fetch(&f, 10, 10), ERROR_NONE);
	for (uint64_t i = 0; i < 20; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void a_refusal_fails_at_once_and_says_why(void **state)
{
	struct fixture f;
	uint64_t start = clock_now_ns();

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].forbids, true);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_UNAUTHORIZED);
	assert_true(clock_now_ns() - start < 5 * NS_PER_SECOND);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	assert_string_equal(fixture_last_failure(&f).message, "the fake forbids");
	fixture_close(&f);
}

static void a_read_outlives_a_source_that_comes_back(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].fails, true);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) >= 2);
	atomic_store(&f.sources[0].fails, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	fixture_close(&f);
}

static void patience_ends_with_a_timeout(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 100});
	atomic_store(&f.sources[0].stalls, true);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_TIMEOUT);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void cancelling_is_answered_once_whoever_is_faster(void **state)
{
	struct fixture f;
	struct waiter waiters[64];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 64; i++)
			waiter_start(&waiters[i], &f, (uint64_t)(round * 5 + i % 5), 1);
		for (int i = 0; i < 64; i += 2)
			fetch_wait_cancel(&waiters[i].wait);
		for (int i = 0; i < 64; i++) {
			enum error_kind kind = waiter_join(&waiters[i]);

			if (i % 2)
				assert_int_equal(kind, ERROR_NONE);
			else
				assert_true(kind == ERROR_NONE || kind == ERROR_CANCELLED);
		}
	}
	fixture_close(&f);
}

static void a_cancelled_reader_does_not_wait_for_a_stalled_source(void **state)
{
	struct fixture f;
	struct waiter waiter;
	uint64_t start = clock_now_ns();

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 60000});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	fetch_wait_cancel(&waiter.wait);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	assert_true(clock_now_ns() - start < 5 * NS_PER_SECOND);
	fixture_close(&f);
}

static void closing_cancels_requests_and_answers_waits(void **state)
{
	struct fixture f;
	struct waiter waiters[8];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].stalls, true);
	for (uint64_t i = 0; i < 8; i++)
		waiter_start(&waiters[i], &f, i * 10, 1);
	wait_until(atomic_load(&f.sources[0].n_started) >= 8);
	fixture_close(&f);
	for (int i = 0; i < 8; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_CANCELLED);
	assert_int_equal(atomic_load(&f.sources[0].n_freed), 1);
}

static void background_completes_the_layer_in_quiet_moments(void **state)
{
	struct fixture f;
	struct fetch_layer_stats stats;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.background = true});
	wait_until(atomic_load(&f.n_completed) == 1);
	fetch_layer_stats(f.layer, &stats);
	assert_int_equal(stats.fetched_bytes, f.blob_size);
	for (uint64_t i = 0; i < f.n_units; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void background_can_be_turned_on_later(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	fetch_layer_set_background(f.layer, true);
	wait_until(atomic_load(&f.n_completed) == 1);
	fixture_close(&f);
}

static void what_the_author_marked_is_prefetched(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.prefetch = true});
	wait_until(layer_store_has(f.layer_store, f.n_units / 2 - 1));
	for (uint64_t i = 0; i < f.n_units / 2; i++)
		wait_until(layer_store_has(f.layer_store, i));
	assert_false(layer_store_has(f.layer_store, f.n_units / 2));
	fixture_close(&f);
}

static void a_small_memory_limit_slows_down_but_stops_nobody(void **state)
{
	struct fixture f;
	struct waiter waiters[100];

	(void)state;
	fixture_open(&f, &(struct fixture_options){.memory_limit = 15000});
	for (uint64_t i = 0; i < 100; i++)
		waiter_start(&waiters[i], &f, 99 - i, 1);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	for (uint64_t i = 0; i < 100; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void a_unit_too_large_for_memory_passes_through_a_file(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.n_units = 2, .unit_size = (UINT64_C(64) << 20) + 5000});
	assert_int_equal(fixture_fetch(&f, 1, 1), ERROR_NONE);
	assert_unit_is_right(&f, 1);
	assert_false(layer_store_has(f.layer_store, 0));
	atomic_store(&f.sources[0].lies, true);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_DIGEST_MISMATCH);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_waits_for_one_unit_cause_one_request),
		cmocka_unit_test(adjacent_units_share_a_request_and_nothing_else_is_fetched),
		cmocka_unit_test(a_sequential_reader_is_run_ahead_of),
		cmocka_unit_test(wrong_bytes_are_refused_and_another_origin_is_asked),
		cmocka_unit_test(wrong_bytes_from_everyone_reach_nobody),
		cmocka_unit_test(the_next_source_follows_one_that_fails_or_ends_early),
		cmocka_unit_test(a_refusal_fails_at_once_and_says_why),
		cmocka_unit_test(a_read_outlives_a_source_that_comes_back),
		cmocka_unit_test(patience_ends_with_a_timeout),
		cmocka_unit_test(cancelling_is_answered_once_whoever_is_faster),
		cmocka_unit_test(a_cancelled_reader_does_not_wait_for_a_stalled_source),
		cmocka_unit_test(closing_cancels_requests_and_answers_waits),
		cmocka_unit_test(background_completes_the_layer_in_quiet_moments),
		cmocka_unit_test(background_can_be_turned_on_later),
		cmocka_unit_test(what_the_author_marked_is_prefetched),
		cmocka_unit_test(a_small_memory_limit_slows_down_but_stops_nobody),
		cmocka_unit_test(a_unit_too_large_for_memory_passes_through_a_file),
	};
	return cmocka_run_group_tests_name("fetch/fetcher", tests, NULL, NULL);
}
