/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads put, read, copy, forget, open, close, list and evict at once: what is read is right,
 * and under ThreadSanitizer nothing races. */
#include "store/store_cache.h"

#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store_fixture.h"

enum { N_LAYERS = 6, N_THREADS = 6, N_UNITS = 60, UNIT_SIZE = 7000, N_ROUNDS = 400 };

struct shared {
	struct fixture *fixture;
	struct test_layer layers[N_LAYERS]; /* their unit tables; open all the time */
	_Atomic unsigned n_read;
	_Atomic unsigned n_copied;
};

struct worker {
	pthread_t thread;
	struct shared *shared;
	unsigned seed;
};

static unsigned next(struct worker *worker)
{
	worker->seed = worker->seed * 1103515245 + 12345;
	return worker->seed >> 16;
}

static void copy(struct shared *shared, struct test_layer *layer, uint64_t i)
{
	struct error err = {0};
	bool found;

	assert_int_equal(store_copy(layer->store, i, &found, &err), 0);
	shared->n_copied += found;
}

/* On a handle of its own, which it closes. */
static void use_layer(struct worker *worker)
{
	struct shared *shared = worker->shared;
	struct test_layer layer = shared->layers[next(worker) % N_LAYERS];
	struct error err = {0};

	assert_int_equal(layer_store_open(shared->fixture->store, layer.key, layer.units,
				 &layer.store, &err),
		0);
	for (unsigned n = 0; n < 8; n++) {
		uint64_t i = next(worker) % N_UNITS;

		switch (next(worker) % 8) {
		case 0:
		case 1:
		case 2:
			layer_put_unit(&layer, i);
			break;
		case 3:
			copy(shared, &layer, i);
			break;
		case 4:
			assert_int_equal(store_forget(layer.store, i, &err), 0);
			break;
		default:
			shared->n_read += layer_reads_unit(&layer, i);
		}
	}
	layer_store_close(layer.store);
}

static int count(void *arg, const struct cache_layer *layer)
{
	assert_true(layer->n_present <= layer->n_units);
	++*(unsigned *)arg;
	return 0;
}

static void use_store(struct worker *worker)
{
	struct store *store = worker->shared->fixture->store;
	uint8_t content[32] = {(uint8_t)(next(worker) % 50)};
	struct error err = {0};
	unsigned n = 0;
	uint64_t freed;
	uint32_t id;

	switch (next(worker) % 4) {
	case 0:
		assert_int_equal(cache_each_layer(store, count, &n, &err), 0);
		assert_true(n <= N_LAYERS);
		break;
	case 1:
		assert_int_equal(store_tree_id(store, content, &id, &err), 0);
		break;
	case 2:
		assert_int_equal(cache_evict(store, &freed, &err), 0);
		break;
	default:
		assert_int_equal(layer_store_sync(worker->shared->layers[0].store, &err), 0);
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned round = 0; round < N_ROUNDS / N_THREADS; round++) {
		use_layer(worker);
		if (next(worker) % 8 == 0)
			use_store(worker);
	}
	return NULL;
}

static void make_layers(struct shared *shared)
{
	for (unsigned i = 0; i < N_LAYERS; i++) {
		/* Pairs of layers share contents, so that copies find something. */
		const struct layer_shape shape = {.seed = i + 1,
			.contents = i / 2,
			.n_units = N_UNITS,
			.unit_size = UNIT_SIZE,
			.gap = i * 100,
			.zero_unit = 5};

		layer_make(shared->fixture, &shape, &shared->layers[i]);
	}
}

static void run_workers(struct shared *shared)
{
	struct worker workers[N_THREADS];

	for (unsigned i = 0; i < N_THREADS; i++) {
		workers[i] = (struct worker){.shared = shared, .seed = i + 1};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static void expect_all_right(struct shared *shared)
{
	const struct cache_verify_options options = {0};
	struct cache_verify_result result;
	struct error err = {0};

	assert_int_equal(cache_verify(shared->fixture->store, &options, &result, &err), 0);
	assert_true(result.n_checked > 0);
	assert_int_equal(result.n_wrong, 0);
	assert_int_equal(result.n_broken_indexes, 0);
}

static void threads_that_share_layers_read_right_bytes(void **state)
{
	struct shared *shared = calloc(1, sizeof(*shared));

	shared->fixture = *state;
	make_layers(shared);
	run_workers(shared);
	assert_true(shared->n_read > 0);
	assert_true(shared->n_copied > 0);
	for (unsigned i = 0; i < N_LAYERS; i++)
		layer_leave(&shared->layers[i]);
	fixture_close(shared->fixture);
	fixture_open(shared->fixture);
	expect_all_right(shared);
	free(shared);
}

/* Only the unit tables stay open: layers come and go, and are evicted in between. */
static void layers_are_evicted_while_others_open_them(void **state)
{
	struct shared *shared = calloc(1, sizeof(*shared));
	struct cache_usage usage;
	struct error err = {0};

	shared->fixture = *state;
	fixture_close(shared->fixture);
	/* The database takes 4 MiB in advance. */
	shared->fixture->options.quota_bytes = (5 << 20) + N_LAYERS * N_UNITS * UNIT_SIZE / 3;
	shared->fixture->options.chunk_memory = 10 * UNIT_SIZE;
	fixture_open(shared->fixture);
	make_layers(shared);
	for (unsigned i = 1; i < N_LAYERS; i++) {
		layer_store_close(shared->layers[i].store);
		shared->layers[i].store = NULL;
	}
	run_workers(shared);
	assert_true(shared->n_read > 0);
	/* Those that were evicted get a file again. */
	for (unsigned i = 0; i < N_LAYERS; i++) {
		layer_leave(&shared->layers[i]);
		layer_enter(shared->fixture, &shared->layers[i]);
	}
	expect_all_right(shared);
	assert_int_equal(cache_usage(shared->fixture->store, &usage, &err), 0);
	assert_true(usage.evicted_layers > 0);
	for (unsigned i = 0; i < N_LAYERS; i++)
		layer_leave(&shared->layers[i]);
	free(shared);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(threads_that_share_layers_read_right_bytes),
		TEST(layers_are_evicted_while_others_open_them),
	};
	return cmocka_run_group_tests_name("store/threads", tests, NULL, NULL);
}
