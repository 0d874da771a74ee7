/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests are made, and in which order. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static void without_read_ahead_gaps_are_not_bridged(void **state)
{
	struct fixture f;
	struct waiter waiters[5];

	(void)state;
	fixture_open(&f, &(struct fixture_options){.max_requests = 1});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiters[0], &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	for (uint64_t i = 1; i < 5; i++)
		waiter_start(&waiters[i], &f, 2 * i, 1);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 5);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), 5 * f.unit_size);
	assert_int_equal(fixture_count(&f), 5);
	fixture_close(&f);
}

/* Raw units, every third of them zeros. */
static struct fixture_blob units_and_zeros(uint64_t n, uint64_t size)
{
	struct fixture_blob blob = {.n_units = n, .blob_size = n * size, .data_size = n * 4096};

	blob.blob = calloc(n, size);
	blob.data = calloc(n, 4096);
	blob.units = calloc(n, sizeof(*blob.units));
	assert_true(blob.blob && blob.data && blob.units);
	for (uint64_t i = 0; i < n; i++) {
		struct unit *unit = &blob.units[i];

		*unit = (struct unit){.data_off = i * 4096,
			.size = size,
			.blob_off = i * size,
			.blob_size = size,
			.flags = i % 3 == 1 ? UNIT_ZEROS : UNIT_UNVERIFIED};
		if (i % 3 == 1)
			continue;
		memset(blob.blob + i * size, 1 + (int)(i % 200), size);
		memcpy(blob.data + i * 4096, blob.blob + i * size, size);
	}
	return blob;
}

static void zeros_between_units_do_not_end_a_request(void **state)
{
	enum { N = 60 };
	struct fixture_blob blob = units_and_zeros(N, 100);
	struct fixture f;
	struct waiter waiters[3];

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.blob = &blob, .read_ahead = true, .max_requests = 1});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiters[0], &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	/* Before and behind the one that begins the request. */
	waiter_start(&waiters[1], &f, N / 2, N / 2);
	waiter_start(&waiters[2], &f, 1, N / 2 - 1);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_true(atomic_load(&f.sources[0].n_started) <= 3);
	assert_int_equal(fixture_count(&f), N);
	for (uint64_t i = 0; i < N; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

/* Units too large to be fetched with a neighbour, and small ones between them. */
static struct fixture_blob large_and_small_units(uint64_t n)
{
	enum { LARGE = 200000, SMALL = 10000, PLACE = 200704 };
	struct fixture_blob blob = {.n_units = n, .blob_size = n * LARGE, .data_size = n * PLACE};
	uint64_t blob_off = 0;

	blob.blob = calloc(n, LARGE);
	blob.data = calloc(n, PLACE);
	blob.units = calloc(n, sizeof(*blob.units));
	assert_true(blob.blob && blob.data && blob.units);
	for (uint64_t i = 0; i < n; i++) {
		struct unit *unit = &blob.units[i];

		*unit = (struct unit){.data_off = i * PLACE,
			.size = i % 2 ? SMALL : LARGE,
			.blob_off = blob_off,
			.blob_size = i % 2 ? SMALL : LARGE,
			.flags = UNIT_UNVERIFIED};
		memset(blob.blob + blob_off, (int)i + 1, unit->size);
		memset(blob.data + unit->data_off, (int)i + 1, unit->size);
		blob_off += unit->size;
	}
	return blob;
}

static void units_that_are_here_do_not_end_a_request(void **state)
{
	struct fixture_blob blob = large_and_small_units(7);
	struct fixture f;
	struct waiter waiters[2];

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.blob = &blob, .read_ahead = true, .max_requests = 1});
	assert_int_equal(fixture_fetch(&f, 1, 1), ERROR_NONE);
	assert_int_equal(fixture_fetch(&f, 5, 1), ERROR_NONE);
	assert_int_equal(fixture_count(&f), 2);
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiters[0], &f, 6, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 3);
	waiter_start(&waiters[1], &f, 0, 5);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 4);
	assert_int_equal(f.sources[0].log[3].off, 0);
	for (uint64_t i = 0; i < 7; i++)
		assert_unit_is_right(&f, i);
	fixture_close(&f);
}

static void a_reader_from_the_back_has_its_neighbours_taken_along(void **state)
{
	struct fixture f;
	struct waiter waiters[20];

	(void)state;
	fixture_open(&f, &(struct fixture_options){.max_requests = 1});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiters[0], &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	for (uint64_t i = 1; i < 20; i++)
		waiter_start(&waiters[i], &f, 50 - i, 1);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 2);
	assert_int_equal(f.sources[0].log[1].off, 31 * f.unit_size);
	fixture_close(&f);
}

static void the_unit_somebody_waits_for_is_in_the_next_request(void **state)
{
	enum { N = 2000 };
	struct fixture f;
	struct waiter *waiters = calloc(N, sizeof(*waiters));
	struct fake_asked next;

	(void)state;
	assert_non_null(waiters);
	fixture_open(
		&f, &(struct fixture_options){.n_units = N, .unit_size = 100, .max_requests = 1});
	atomic_store(&f.sources[0].stalls, true);
	waiter_start(&waiters[0], &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	/* More neighbours lie before it than fit into a request. */
	for (uint64_t i = 1; i < N; i++)
		waiter_start(&waiters[i], &f, N - i, 1);
	usleep(50000);
	atomic_store(&f.sources[0].stalls, false);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	next = f.sources[0].log[1];
	assert_int_equal(next.off + next.size, N * f.unit_size);
	fixture_close(&f);
	free(waiters);
}

static void readers_come_before_what_nobody_waits_for(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 400,
				 .unit_size = 100000,
				 .max_requests = 1,
				 .prefetch = true,
				 .stalled = true});
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	assert_int_equal(f.sources[0].log[0].priority, PRIORITY_PREFETCH);
	/* In the middle of what is queued for prefetching. */
	waiter_start(&waiter, &f, 150, 1);
	usleep(20000);
	atomic_store(&f.sources[0].stalls, false);
	assert_int_equal(waiter_join(&waiter), ERROR_NONE);
	wait_until(atomic_load(&f.sources[0].n_started) >= 2);
	assert_int_equal(f.sources[0].log[1].priority, PRIORITY_READER);
	assert_true(f.sources[0].log[1].off <= 150 * f.unit_size);
	assert_true(f.sources[0].log[1].off + f.sources[0].log[1].size >= 151 * f.unit_size);
	fixture_close(&f);
}

static void a_request_takes_no_more_than_the_memory_that_is_left(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.memory_limit = 100000});
	assert_int_equal(fixture_fetch(&f, 0, 100), ERROR_NONE);
	/* Each unit needs room for its encoded and its decoded bytes. */
	assert_true(atomic_load(&f.sources[0].most_asked) <= 50000);
	assert_true(atomic_load(&f.sources[0].most_asked) > 10000);
	fixture_close(&f);
}

static void no_layer_takes_all_memory_from_another(void **state)
{
	struct fixture first;
	struct fixture second;
	struct waiter waiters[100];

	(void)state;
	fixture_open(&first, &(struct fixture_options){.memory_limit = 20000});
	fixture_open_beside(&second, &first, &(struct fixture_options){.unit_size = 9000});
	atomic_store(&second.sources[0].stalls, true);
	for (uint64_t i = 0; i < 100; i++)
		waiter_start(&waiters[i], &second, i, 1);
	wait_until(atomic_load(&second.sources[0].n_started) == 1);
	atomic_store(&second.sources[0].delay_us, 10000);
	atomic_store(&second.sources[0].stalls, false);
	assert_int_equal(fixture_fetch(&first, 0, 1), ERROR_NONE);
	assert_true(atomic_load(&second.sources[0].n_started) < 20);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	fixture_close(&second);
	fixture_close(&first);
}

static void units_of_another_layer_are_copied_and_not_fetched(void **state)
{
	struct fixture first;
	struct fixture second;
	struct fetch_layer_stats stats;

	(void)state;
	fixture_open(&first, &(struct fixture_options){0});
	fixture_open_beside(&second, &first, &(struct fixture_options){0});
	assert_int_equal(fixture_fetch(&first, 0, 50), ERROR_NONE);
	assert_int_equal(layer_store_sync(first.layer_store, NULL), 0);
	assert_int_equal(fixture_fetch(&second, 0, 100), ERROR_NONE);
	for (uint64_t i = 0; i < 100; i++)
		assert_unit_is_right(&second, i);
	fetch_layer_stats(second.layer, &stats);
	assert_int_equal(stats.copied_bytes, 50 * second.unit_size);
	assert_int_equal(stats.fetched_bytes, 50 * second.unit_size);
	fixture_close(&second);
	fixture_close(&first);
}

static void units_that_no_other_layer_has_share_a_request_still(void **state)
{
	struct fixture first;
	struct fixture second;

	(void)state;
	fixture_open(&first, &(struct fixture_options){0});
	fixture_open_beside(&second, &first, &(struct fixture_options){.unit_size = 9000});
	assert_int_equal(fixture_fetch(&first, 0, 100), ERROR_NONE);
	assert_int_equal(layer_store_sync(first.layer_store, NULL), 0);
	assert_true(layer_store_may_copy(second.layer_store));
	assert_int_equal(fixture_fetch(&second, 10, 60), ERROR_NONE);
	assert_int_equal(atomic_load(&second.sources[0].n_started), 1);
	assert_int_equal(atomic_load(&second.sources[0].bytes_asked), 60 * second.unit_size);
	fixture_close(&second);
	fixture_close(&first);
}

static void closing_while_units_are_copied_loses_nothing(void **state)
{
	struct fixture first;
	struct waiter waiters[100];

	(void)state;
	fixture_open(&first, &(struct fixture_options){.unit_size = 100000});
	assert_int_equal(fixture_fetch(&first, 0, 100), ERROR_NONE);
	assert_int_equal(layer_store_sync(first.layer_store, NULL), 0);
	for (int round = 0; round < 5; round++) {
		struct fixture second;

		fixture_open_beside(
			&second, &first, &(struct fixture_options){.unit_size = 100000});
		for (uint64_t i = 0; i < 100; i++)
			waiter_start(&waiters[i], &second, i, 1);
		usleep((useconds_t)round * 2000);
		fixture_close(&second);
		for (uint64_t i = 0; i < 100; i++) {
			enum error_kind kind = waiter_join(&waiters[i]);

			assert_true(kind == ERROR_NONE || kind == ERROR_CANCELLED);
		}
	}
	fixture_close(&first);
}

static void a_layer_without_sources_says_so(void **state)
{
	struct fixture f;
	struct fetch_layer_options options = {0};
	struct fetch_layer *kept;
	struct error err;

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	options.store = f.layer_store;
	options.units = f.units;
	kept = f.layer;
	assert_int_equal(fetch_layer_new(f.fetcher, &options, &f.layer, &err), 0);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NOT_FOUND);
	fetch_layer_free(f.layer);
	f.layer = kept;
	fixture_close(&f);
}

static uint64_t fetched_bytes(struct fixture *f)
{
	struct fetch_layer_stats stats;

	fetch_layer_stats(f->layer, &stats);
	return stats.fetched_bytes;
}

/* Holds a worker until it is let go. */
struct gate {
	struct work work;
	atomic_bool held;
	atomic_bool let_go;
	atomic_bool over;
};

static void stand_at_gate(struct work *work)
{
	struct gate *gate = container_of(work, struct gate, work);

	atomic_store(&gate->held, true);
	while (!atomic_load(&gate->let_go))
		usleep(100);
	atomic_store(&gate->over, true);
}

static void gate_submit(struct gate *gate, struct fixture *f)
{
	*gate = (struct gate){.work = {.run = stand_at_gate, .priority = PRIORITY_READER}};
	workers_submit(f->workers, &gate->work);
}

static void gate_open(struct gate *gate)
{
	atomic_store(&gate->let_go, true);
	wait_until(atomic_load(&gate->over));
}

/* Net loop: tasks that were posted before have run. */
static void nothing(void *arg)
{
	(void)arg;
}

static void what_a_reader_joins_is_decoded_before_what_came_earlier(void **state)
{
	enum { N = 6 };
	struct fixture f;
	struct waiter waiters[N];
	struct waiter reader;
	struct gate gates[3];

	(void)state;
	fixture_open(&f, &(struct fixture_options){0});
	/* Both workers are busy while bytes arrive that nobody waits for. */
	for (size_t i = 0; i < 2; i++) {
		gate_submit(&gates[i], &f);
		wait_until(atomic_load(&gates[i].held));
	}
	for (uint64_t i = 0; i < N; i++) {
		waiter_prepare(&waiters[i], &f, 10 * i, 1);
		waiters[i].wait.priority = PRIORITY_PREFETCH;
		fetch_wait_start(&waiters[i].wait);
	}
	wait_until(fetched_bytes(&f) == N * f.unit_size);
	waiter_start(&reader, &f, 50, 1);
	fixture_on_loop(&f, nothing, NULL);
	/* As urgent as the reader's, and later. */
	gate_submit(&gates[2], &f);
	gate_open(&gates[0]);
	wait_until(atomic_load(&gates[2].held));
	assert_int_equal(waiter_join(&reader), ERROR_NONE);
	assert_int_equal(fixture_count(&f), 1);
	assert_unit_is_right(&f, 50);
	gate_open(&gates[1]);
	gate_open(&gates[2]);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(waiter_join(&waiters[i]), ERROR_NONE);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_reader_joins_is_decoded_before_what_came_earlier),
		cmocka_unit_test(without_read_ahead_gaps_are_not_bridged),
		cmocka_unit_test(zeros_between_units_do_not_end_a_request),
		cmocka_unit_test(units_that_are_here_do_not_end_a_request),
		cmocka_unit_test(a_reader_from_the_back_has_its_neighbours_taken_along),
		cmocka_unit_test(the_unit_somebody_waits_for_is_in_the_next_request),
		cmocka_unit_test(readers_come_before_what_nobody_waits_for),
		cmocka_unit_test(a_request_takes_no_more_than_the_memory_that_is_left),
		cmocka_unit_test(no_layer_takes_all_memory_from_another),
		cmocka_unit_test(units_of_another_layer_are_copied_and_not_fetched),
		cmocka_unit_test(units_that_no_other_layer_has_share_a_request_still),
		cmocka_unit_test(closing_while_units_are_copied_loses_nothing),
		cmocka_unit_test(a_layer_without_sources_says_so),
	};
	return cmocka_run_group_tests_name("fetch/plan", tests, NULL, NULL);
}
