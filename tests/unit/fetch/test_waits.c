/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include "support/test.h"

#include <stdlib.h>

/* Holds the net loop until it is let go. */
struct hold {
	struct loop_task task;
	atomic_bool held;
	atomic_bool let_go;
	atomic_bool over;
};

static void on_hold(struct loop_task *task)
{
	struct hold *hold = container_of(task, struct hold, task);

	atomic_store(&hold->held, true);
	while (!atomic_load(&hold->let_go))
		usleep(100);
	atomic_store(&hold->over, true);
}

static void hold_loop(struct hold *hold, struct fixture *f)
{
	*hold = (struct hold){.task.run = on_hold};
	loop_post(f->loop, &hold->task);
	wait_until(atomic_load(&hold->held));
}

static void let_go(struct hold *hold)
{
	atomic_store(&hold->let_go, true);
	wait_until(atomic_load(&hold->over));
}

static void a_wait_cancelled_before_it_starts_is_answered_at_once(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	waiter_prepare(&waiter, &f, 3, 1);
	fetch_wait_cancel(&waiter.wait);
	fetch_wait_cancel(&waiter.wait);
	fetch_wait_start(&waiter.wait);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 0);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

struct canceller {
	struct waiter *waiter;
	atomic_int *gate;
};

static void *cancel_soon(void *arg)
{
	struct canceller *canceller = arg;

	atomic_fetch_add(canceller->gate, 1);
	while (atomic_load(canceller->gate) < 2)
		;
	fetch_wait_cancel(&canceller->waiter->wait);
	return NULL;
}

static void a_cancel_may_meet_the_start_of_its_wait(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 1000, .unit_size = 100});
	for (uint64_t round = 0; round < 1000; round++) {
		/* Freed as soon as it is answered and the other thread is through. */
		struct waiter *waiter = malloc(sizeof(*waiter));
		atomic_int gate = 0;
		struct canceller canceller = {.waiter = waiter, .gate = &gate};
		pthread_t thread;
		enum error_kind kind;

		assert_non_null(waiter);
		waiter_prepare(waiter, &f, round, 1);
		assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
		while (atomic_load(&gate) < 1)
			;
		atomic_fetch_add(&gate, 1);
		fetch_wait_start(&waiter->wait);
		(void)pthread_join(thread, NULL);
		kind = waiter_join(waiter);
		assert_true(kind == ERROR_NONE || kind == ERROR_CANCELLED);
		free(waiter);
	}
	fixture_close(&f);
}

static void *free_layer(void *arg)
{
	struct fixture *f = arg;

	fetch_layer_free(f->layer);
	return NULL;
}

static void a_layer_is_not_gone_before_a_late_cancel_was_answered(void **state)
{
	struct fixture f;
	struct waiter waiter;
	struct hold hold;
	pthread_t thread;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	hold_loop(&hold, &f);
	assert_int_equal(pthread_create(&thread, NULL, free_layer, &f), 0);
	usleep(20000);
	fetch_wait_cancel(&waiter.wait);
	let_go(&hold);
	(void)pthread_join(thread, NULL);
	assert_int_equal(waiter.n_done, 1);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	f.layer = NULL;
	fixture_close(&f);
}

static void ten_thousand_waits_come_and_go(void **state)
{
	enum { N = 10000 };
	struct fixture f;
	struct waiter *waiters = calloc(N, sizeof(*waiters));

	(void)state;
	assert_non_null(waiters);
	fixture_open(&f, &(struct fixture_options){.n_units = N, .unit_size = 100});
	/* Taken as they are queued, all of them would be one request. */
	atomic_store(&f.sources[0].stalls, true);
	for (uint64_t i = 0; i < N; i++)
		waiter_start(&waiters[i], &f, N - 1 - i, 1);
	for (uint64_t i = 0; i < N; i += 2)
		fetch_wait_cancel(&waiters[i].wait);
	for (uint64_t i = 0; i < N; i += 2)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_CANCELLED);
	atomic_store(&f.sources[0].stalls, false);
	for (uint64_t i = 1; i < N; i += 2)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
	free(waiters);
}

static void ten_thousand_waits_are_tried_again_when_the_source_is_back(void **state)
{
	enum { N = 10000 };
	struct fixture f;
	struct waiter *waiters = calloc(N, sizeof(*waiters));

	(void)state;
	assert_non_null(waiters);
	fixture_open(&f,
		&(struct fixture_options){.n_units = N, .unit_size = 100, .deadline_ms = 60000});
	atomic_store(&f.sources[0].fails, true);
	for (uint64_t i = 0; i < N; i++)
		waiter_start(&waiters[i], &f, i, 1);
	usleep(300000);
	atomic_store(&f.sources[0].fails, false);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	fixture_close(&f);
	free(waiters);
}

static void a_wait_for_very_many_units_asks_for_them_bit_by_bit(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 3000, .unit_size = 100});
	assert_int_equal(fixture_fetch(&f, 0, 2900), ERROR_NONE);
	assert_int_equal(fixture_count(&f), 2900);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), 2900 * 100);
	assert_true(atomic_load(&f.sources[0].most_asked) <= 256 * 100);
	fixture_close(&f);
}

static void what_a_cancelled_reader_wanted_is_not_sent_for(void **state)
{
	struct fixture f;
	struct waiter first;
	struct waiter cancelled;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.max_requests = 1});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&first, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	waiter_start(&cancelled, &f, 50, 1);
	fetch_wait_cancel(&cancelled.wait);
	assert_int_equal(waiter_join(&cancelled), ERROR_CANCELLED);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&first), ERROR_NONE);
	assert_int_equal(fixture_fetch(&f, 1, 1), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 2);
	assert_false(layer_store_has(f.layer_store, 50));
	fixture_close(&f);
}

static void what_is_prefetched_stays_wanted_when_its_reader_leaves(void **state)
{
	struct fixture f;
	struct waiter waiter;
	struct hold hold;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.max_requests = 1, .prefetch = true});
	hold_loop(&hold, &f);
	/* Both are on the loop before its next plan. */
	waiter_start(&waiter, &f, 30, 1);
	fetch_wait_cancel(&waiter.wait);
	let_go(&hold);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	wait_until(fixture_count(&f) == f.n_units / 2);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_cancelled_before_it_starts_is_answered_at_once),
		cmocka_unit_test(a_cancel_may_meet_the_start_of_its_wait),
		cmocka_unit_test(a_layer_is_not_gone_before_a_late_cancel_was_answered),
		cmocka_unit_test(ten_thousand_waits_come_and_go),
		cmocka_unit_test(ten_thousand_waits_are_tried_again_when_the_source_is_back),
		cmocka_unit_test(a_wait_for_very_many_units_asks_for_them_bit_by_bit),
		cmocka_unit_test(what_a_cancelled_reader_wanted_is_not_sent_for),
		cmocka_unit_test(what_is_prefetched_stays_wanted_when_its_reader_leaves),
	};
	return cmocka_run_group_tests_name("fetch/waits", tests, NULL, NULL);
}
