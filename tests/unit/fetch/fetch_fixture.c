/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "oci/digest.h"

static void make_units(struct fixture *fixture)
{
	struct unit *units = calloc(fixture->n_units, sizeof(*units));
	struct unit_table_header header = {.n_units = fixture->n_units};
	uint64_t place = (fixture->unit_size + 4095) / 4096 * 4096;
	uint32_t random = 12345;
	struct digest digest;

	assert_non_null(units);
	fixture->blob_size = fixture->n_units * fixture->unit_size;
	fixture->blob = malloc(fixture->blob_size);
	assert_non_null(fixture->blob);
	for (size_t i = 0; i < fixture->blob_size; i++) {
		random = random * 1664525 + 1013904223;
		fixture->blob[i] = (uint8_t)(random >> 24);
	}
	for (uint64_t i = 0; i < fixture->n_units; i++) {
		units[i] = (struct unit){
			.data_off = i * place,
			.size = fixture->unit_size,
			.blob_off = i * fixture->unit_size,
			.blob_size = fixture->unit_size,
			.codec = CODEC_NONE,
		};
		assert_int_equal(digest_compute(DIGEST_SHA256, fixture->blob + units[i].blob_off,
					 fixture->unit_size, &digest, NULL),
			0);
		memcpy(units[i].digest, digest.bytes, 32);
	}
	header.key[0] = 1;
	header.blob.algorithm = DIGEST_SHA256;
	header.blob_size = fixture->blob_size;
	header.data_size = fixture->n_units * place;
	header.prefetch_size = fixture->unit_size * (fixture->n_units / 2);
	assert_int_equal(
		unit_table_write(AT_FDCWD, "units", &header, units, fixture->n_units, NULL), 0);
	assert_int_equal(unit_table_open(AT_FDCWD, "units", &fixture->units, NULL), 0);
	free(units);
}

static void on_failed(void *arg, uint64_t unit, const char *origin, const struct error *err)
{
	struct fixture *fixture = arg;

	(void)unit;
	(void)origin;
	fixture->last_failure = *err;
	atomic_fetch_add(&fixture->n_failed, 1);
}

static void on_completed(void *arg)
{
	struct fixture *fixture = arg;

	atomic_fetch_add(&fixture->n_completed, 1);
}

static void open_store(struct fixture *fixture)
{
	struct store_options options = {.dir = "store", .owner = "a test", .chunk_memory = 1 << 20};
	uint8_t key[32] = {1};

	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/varve-test-fetch-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	assert_int_equal(chdir(fixture->dir), 0);
	make_units(fixture);
	assert_int_equal(store_open(&options, &fixture->store, NULL), 0);
	assert_int_equal(
		layer_store_open(fixture->store, key, fixture->units, &fixture->layer_store, NULL),
		0);
}

void fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct source *sources[2] = {&fixture->sources[0].base, &fixture->sources[1].base};
	struct fetcher_options fetcher = {.memory_limit = options->memory_limit};
	struct fetch_layer_options layer = {
		.sources = sources, .failed = on_failed, .arg = fixture};

	memset(fixture, 0, sizeof(*fixture));
	fixture->unit_size = options->unit_size ? options->unit_size : 10000;
	fixture->n_units = options->n_units ? options->n_units : 100;
	open_store(fixture);
	assert_int_equal(loop_new(&fixture->loop, NULL), 0);
	assert_int_equal(loop_thread_start(fixture->loop, "net", NULL), 0);
	assert_int_equal(workers_new(2, "worker", &fixture->workers, NULL), 0);
	fake_source_init(&fixture->sources[0], fixture->loop, fixture->blob, fixture->blob_size,
		"https://first");
	fake_source_init(&fixture->sources[1], fixture->loop, fixture->blob, fixture->blob_size,
		"https://other");

	fetcher.loop = fixture->loop;
	fetcher.workers = fixture->workers;
	fetcher.store = fixture->store;
	fetcher.deadline_ns = (options->deadline_ms ? options->deadline_ms : 10000) * NS_PER_MS;
	assert_int_equal(fetcher_new(&fetcher, &fixture->fetcher, NULL), 0);
	layer.store = fixture->layer_store;
	layer.units = fixture->units;
	layer.n_sources = options->n_sources ? options->n_sources : 1;
	layer.prefetch = options->prefetch;
	layer.background = options->background;
	layer.read_ahead = options->read_ahead;
	layer.completed = on_completed;
	assert_int_equal(fetch_layer_new(fixture->fetcher, &layer, &fixture->layer, NULL), 0);
}

void fixture_close(struct fixture *fixture)
{
	char command[128];

	fetch_layer_free(fixture->layer);
	fetcher_free(fixture->fetcher);
	loop_thread_stop(fixture->loop);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	layer_store_close(fixture->layer_store);
	store_close(fixture->store);
	unit_table_close(fixture->units);
	free(fixture->blob);
	assert_int_equal(chdir("/"), 0);
	(void)snprintf(command, sizeof(command), "rm -rf %s", fixture->dir);
	assert_int_equal(system(command), 0);
}

static void on_wait_done(struct fetch_wait *wait, const struct error *err)
{
	struct waiter *waiter = container_of(wait, struct waiter, wait);

	pthread_mutex_lock(&waiter->lock);
	waiter->n_done++;
	waiter->err = err ? *err : (struct error){0};
	pthread_cond_broadcast(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

void waiter_start(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n)
{
	uint64_t place = (fixture->unit_size + 4095) / 4096 * 4096;

	memset(waiter, 0, sizeof(*waiter));
	(void)pthread_mutex_init(&waiter->lock, NULL);
	(void)pthread_cond_init(&waiter->cond, NULL);
	waiter->wait.layer = fixture->layer;
	waiter->wait.off = first * place;
	waiter->wait.size = n * place;
	waiter->wait.priority = PRIORITY_READER;
	waiter->wait.done = on_wait_done;
	fetch_wait_start(&waiter->wait);
}

enum error_kind waiter_join(struct waiter *waiter)
{
	pthread_mutex_lock(&waiter->lock);
	while (waiter->n_done == 0)
		pthread_cond_wait(&waiter->cond, &waiter->lock);
	pthread_mutex_unlock(&waiter->lock);
	assert_int_equal(waiter->n_done, 1);
	(void)pthread_mutex_destroy(&waiter->lock);
	(void)pthread_cond_destroy(&waiter->cond);
	return waiter->err.kind;
}

enum error_kind fixture_fetch(struct fixture *fixture, uint64_t first, uint64_t n)
{
	struct waiter waiter;

	waiter_start(&waiter, fixture, first, n);
	return waiter_join(&waiter);
}

void assert_unit_is_right(struct fixture *fixture, uint64_t unit)
{
	uint64_t place = (fixture->unit_size + 4095) / 4096 * 4096;
	size_t size = fixture->unit_size < 65536 ? fixture->unit_size : 65536;
	struct stored_range *range = NULL;
	struct error err = {0};
	bool present = false;

	assert_int_equal(
		store_get(fixture->layer_store, unit * place, size, &present, &range, &err), 0);
	assert_true(present);
	assert_memory_equal(
		stored_range_data(range), fixture->blob + unit * fixture->unit_size, size);
	stored_range_free(range);
}
