/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include "support/test.h"

#include <string.h>

#include "base/clock.h"

static void wrong_bytes_leave_one_record_for_each_origin(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].lies, true);
	atomic_store(&f.sources[1].lies, true);
	assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_DIGEST_MISMATCH);
	assert_int_equal(atomic_load(&f.n_failed), 2);
	assert_int_equal(f.last_unit, 3);
	fixture_close(&f);
}

static void a_cancelled_read_leaves_no_record(void **state)
{
	struct fixture f;
	struct waiter waiters[2];

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 60000});
	atomic_store(&f.sources[0].stalls, true);
	for (uint64_t i = 0; i < 2; i++)
		waiter_start(&waiters[i], &f, i * 10, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 2);
	fetch_wait_cancel(&waiters[0].wait);
	assert_int_equal(waiter_join(&waiters[0]), ERROR_CANCELLED);
	fetch_layer_free(f.layer);
	f.layer = NULL;
	assert_int_equal(waiter_join(&waiters[1]), ERROR_CANCELLED);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

static void a_refusal_has_one_record_however_many_wait(void **state)
{
	struct fixture f;
	struct waiter waiters[20];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].forbids, true);
	atomic_store(&f.sources[0].delay_us, 50000);
	for (int i = 0; i < 20; i++)
		waiter_start(&waiters[i], &f, 5, 1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_UNAUTHORIZED);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void a_timeout_tells_what_went_wrong_last(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 500});
	atomic_store(&f.sources[0].fails, true);
	assert_int_equal(fixture_fetch(&f, 7, 1), ERROR_TIMEOUT);
	err = fixture_last_failure(&f);
	assert_non_null(strstr(err.message, "within 0.5 s: the fake fails"));
	assert_int_equal(f.last_unit, 7);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void a_request_ends_before_the_patience_of_its_reader(void **state)
{
	struct fixture f;
	uint64_t n_before;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.deadline_ms = 2000});
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	n_before = clock_now_ns();
	assert_int_equal(fixture_fetch(&f, 1, 1), ERROR_NONE);
	assert_true(f.sources[0].log[1].deadline_ns < n_before + 2000 * NS_PER_MS);
	assert_true(f.sources[0].log[1].deadline_ns > n_before + 1000 * NS_PER_MS);
	fixture_close(&f);
}

static void one_refusal_does_not_hide_that_another_source_may_come_back(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].n_fails, 2);
	atomic_store(&f.sources[1].forbids, true);
	waiter_start(&waiter, &f, 0, 1);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

static void after_wrong_bytes_a_source_that_is_away_is_waited_for(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].lies, true);
	atomic_store(&f.sources[1].n_fails, 2);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	assert_int_equal(fixture_last_failure(&f).kind, ERROR_DIGEST_MISMATCH);
	fixture_close(&f);
}

/* Two readers of unit 0; the second comes while the request of the first is under way. */
static void start_early_and_late(struct fixture *f, struct waiter *early, struct waiter *late)
{
	struct fetch_layer_stats stats = {0};

	atomic_store(&f->sources[0].stalls, true);
	waiter_start(early, f, 0, 1);
	wait_until(atomic_load(&f->sources[0].n_started) == 1);
	waiter_start(late, f, 0, 1);
	wait_until((fetch_layer_stats(f->layer, &stats), stats.n_waiting == 2));
	atomic_store(&f->sources[0].stalls, false);
}

static void wrong_bytes_sent_for_before_a_reader_came_do_not_fail_it(void **state)
{
	struct fixture f;
	struct waiter early;
	struct waiter late;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].n_lies, 1);
	start_early_and_late(&f, &early, &late);
	assert_int_equal(waiter_join(&early), ERROR_DIGEST_MISMATCH);
	assert_int_equal(waiter_join(&late), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void a_source_that_lies_on_fails_a_late_reader_too(void **state)
{
	struct fixture f;
	struct waiter early;
	struct waiter late;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].lies, true);
	start_early_and_late(&f, &early, &late);
	assert_int_equal(waiter_join(&early), ERROR_DIGEST_MISMATCH);
	assert_int_equal(waiter_join(&late), ERROR_DIGEST_MISMATCH);
	/* Each asked once more for another origin. */
	assert_int_equal(atomic_load(&f.sources[0].n_started), 4);
	assert_int_equal(atomic_load(&f.n_failed), 2);
	fixture_close(&f);
}

static void a_late_reader_does_not_wait_for_another_source_alone(void **state)
{
	struct fixture f;
	struct waiter early;
	struct waiter late;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].lies, true);
	atomic_store(&f.sources[1].fails, true);
	waiter_start(&early, &f, 0, 1);
	wait_until(atomic_load(&f.n_failed) == 1);
	atomic_store(&f.sources[0].lies, false);
	waiter_start(&late, &f, 0, 1);
	assert_int_equal(waiter_join(&late), ERROR_NONE);
	assert_int_equal(waiter_join(&early), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	fixture_close(&f);
}

static void a_source_that_sends_too_much_is_told_so(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].surplus, true);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_FORMAT);
	err = fixture_last_failure(&f);
	assert_non_null(strstr(err.message, "sent more than the 10000 bytes"));
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void too_much_of_a_large_unit_is_an_error_too(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(
		&f, &(struct fixture_options){.n_units = 1, .unit_size = (UINT64_C(64) << 20) + 1});
	atomic_store(&f.sources[0].surplus, true);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_FORMAT);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

static void wrong_bytes_in_a_shared_request_fail_their_own_unit_only(void **state)
{
	struct fixture f;
	struct waiter waiters[10];

	(void)state;
	fixture_open(&f, &(struct fixture_options){.max_requests = 1});
	atomic_store(&f.sources[0].lies_at, 15 * f.unit_size + 77);
	atomic_store(&f.sources[0].stalls, true);
	/* While this one is under way the others gather. */
	waiter_start(&waiters[0], &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	for (uint64_t i = 1; i < 10; i++)
		waiter_start(&waiters[i], &f, 10 + i, 1);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(
			waiter_join(&waiters[i]), i == 5 ? ERROR_DIGEST_MISMATCH : ERROR_NONE);
	assert_int_equal(f.sources[0].log[1].off, 11 * f.unit_size);
	assert_int_equal(f.sources[0].log[1].size, 9 * f.unit_size);
	for (uint64_t i = 11; i < 20; i++)
		assert_int_equal(layer_store_has(f.layer_store, i), i != 15);
	assert_int_equal(f.last_unit, 15);
	fixture_close(&f);
}

static void a_delayed_flight_takes_more_readers_along(void **state)
{
	struct fixture f;
	struct waiter waiters[3];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].n_fails, 3);
	for (int i = 0; i < 3; i++) {
		waiter_start(&waiters[i], &f, 0, 1);
		usleep(100000);
	}
	fetch_wait_cancel(&waiters[0].wait);
	(void)waiter_join(&waiters[0]);
	assert_int_equal(waiter_join(&waiters[1]), ERROR_NONE);
	assert_int_equal(waiter_join(&waiters[2]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 4);
	fixture_close(&f);
}

static void the_last_reader_of_a_delayed_flight_may_leave(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].fails, true);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 2);
	usleep(20000);
	fetch_wait_cancel(&waiter.wait);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	usleep(600000);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 2);
	fixture_close(&f);
}

static void the_next_source_is_not_asked_for_nobody(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 2});
	atomic_store(&f.sources[0].fails, true);
	atomic_store(&f.sources[0].delay_us, 100000);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	fetch_wait_cancel(&waiter.wait);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	usleep(200000);
	assert_int_equal(atomic_load(&f.sources[1].n_started), 0);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

static void a_failing_unit_does_not_hold_up_the_others(void **state)
{
	struct fixture f;
	struct waiter bad;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_sources = 1, .max_requests = 1});
	atomic_store(&f.sources[0].n_fails, 1);
	waiter_start(&bad, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	for (uint64_t i = 1; i < 50; i++)
		assert_int_equal(fixture_fetch(&f, i, 1), ERROR_NONE);
	assert_int_equal(waiter_join(&bad), ERROR_NONE);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_bytes_leave_one_record_for_each_origin),
		cmocka_unit_test(a_cancelled_read_leaves_no_record),
		cmocka_unit_test(a_refusal_has_one_record_however_many_wait),
		cmocka_unit_test(a_timeout_tells_what_went_wrong_last),
		cmocka_unit_test(a_request_ends_before_the_patience_of_its_reader),
		cmocka_unit_test(one_refusal_does_not_hide_that_another_source_may_come_back),
		cmocka_unit_test(after_wrong_bytes_a_source_that_is_away_is_waited_for),
		cmocka_unit_test(wrong_bytes_sent_for_before_a_reader_came_do_not_fail_it),
		cmocka_unit_test(a_source_that_lies_on_fails_a_late_reader_too),
		cmocka_unit_test(a_late_reader_does_not_wait_for_another_source_alone),
		cmocka_unit_test(a_source_that_sends_too_much_is_told_so),
		cmocka_unit_test(too_much_of_a_large_unit_is_an_error_too),
		cmocka_unit_test(wrong_bytes_in_a_shared_request_fail_their_own_unit_only),
		cmocka_unit_test(a_delayed_flight_takes_more_readers_along),
		cmocka_unit_test(the_last_reader_of_a_delayed_flight_may_leave),
		cmocka_unit_test(the_next_source_is_not_asked_for_nobody),
		cmocka_unit_test(a_failing_unit_does_not_hold_up_the_others),
	};
	return cmocka_run_group_tests_name("fetch/failures", tests, NULL, NULL);
}
