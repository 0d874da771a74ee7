/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "oci/digest.h"

static void fill_randomly(uint8_t *data, size_t size)
{
	uint32_t random = 12345;

	for (size_t i = 0; i < size; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (uint8_t)(random >> 24);
	}
}

static void make_raw_blob(uint64_t unit_size, uint64_t n_units, struct fixture_blob *out)
{
	uint64_t place = (unit_size + 4095) / 4096 * 4096;

	*out = (struct fixture_blob){
		.blob = malloc(n_units * unit_size),
		.blob_size = n_units * unit_size,
		.data = calloc(n_units, place),
		.data_size = n_units * place,
		.units = calloc(n_units, sizeof(struct unit)),
		.n_units = n_units,
	};
	assert_true(out->blob && out->data && out->units);
	fill_randomly(out->blob, out->blob_size);
	for (uint64_t i = 0; i < n_units; i++) {
		struct unit *unit = &out->units[i];
		struct digest digest;

		*unit = (struct unit){
			.data_off = i * place,
			.size = unit_size,
			.blob_off = i * unit_size,
			.blob_size = unit_size,
			.codec = CODEC_NONE,
		};
		memcpy(out->data + unit->data_off, out->blob + unit->blob_off, unit_size);
		assert_int_equal(digest_compute(DIGEST_SHA256, out->blob + unit->blob_off,
					 unit_size, &digest, NULL),
			0);
		memcpy(unit->digest, digest.bytes, 32);
	}
}

/* The unit table of the fixture, in the directory at hand. */
static void make_units(struct fixture *fixture, const struct fixture_options *options, uint8_t key)
{
	struct unit_table_header header = {.key = {key}, .blob.algorithm = DIGEST_SHA256};
	struct fixture_blob blob;
	char name[16];

	(void)snprintf(name, sizeof(name), "units%u", key);
	if (options->blob)
		blob = *options->blob;
	else
		make_raw_blob(options->unit_size ? options->unit_size : 10000,
			options->n_units ? options->n_units : 100, &blob);
	fixture->blob = blob.blob;
	fixture->blob_size = blob.blob_size;
	fixture->data = blob.data;
	fixture->n_units = blob.n_units;
	fixture->unit_size = blob.units[0].size;
	header.blob.bytes[0] = key;
	header.n_units = blob.n_units;
	header.blob_size = blob.blob_size;
	header.data_size = blob.data_size;
	header.prefetch_size = blob.blob_size / 2;
	assert_int_equal(unit_table_write_spans(AT_FDCWD, name, &header, blob.units, blob.n_units,
				 blob.spans, blob.n_spans, NULL),
		0);
	assert_int_equal(unit_table_open(AT_FDCWD, name, &fixture->units, NULL), 0);
	free(blob.units);
}

static void on_failed(void *arg, uint64_t unit, const char *origin, const struct error *err)
{
	struct fixture *fixture = arg;

	(void)origin;
	pthread_mutex_lock(&fixture->lock);
	fixture->last_failure = *err;
	fixture->last_unit = unit;
	pthread_mutex_unlock(&fixture->lock);
	atomic_fetch_add(&fixture->n_failed, 1);
}

struct error fixture_last_failure(struct fixture *fixture)
{
	struct error err;

	pthread_mutex_lock(&fixture->lock);
	err = fixture->last_failure;
	pthread_mutex_unlock(&fixture->lock);
	return err;
}

static void on_completed(void *arg)
{
	struct fixture *fixture = arg;

	atomic_fetch_add(&fixture->n_completed, 1);
}

static void on_contradicted(void *arg, const struct error *err)
{
	struct fixture *fixture = arg;

	(void)err;
	atomic_fetch_add(&fixture->n_contradicted, 1);
}

static void open_layer(struct fixture *fixture, const struct fixture_options *options, uint8_t key)
{
	struct source *sources[2] = {&fixture->sources[0].base, &fixture->sources[1].base};
	const uint8_t layer_key[32] = {key};
	struct fetch_layer_options layer = {
		.units = fixture->units,
		.sources = sources,
		.n_sources = options->n_sources ? options->n_sources : 1,
		.prefetch = options->prefetch,
		.background = options->background,
		.read_ahead = options->read_ahead,
		.headers = options->headers,
		.failed = on_failed,
		.contradicted = on_contradicted,
		.completed = on_completed,
		.arg = fixture,
	};

	(void)pthread_mutex_init(&fixture->lock, NULL);
	assert_int_equal(layer_store_open(fixture->store, layer_key, fixture->units,
				 &fixture->layer_store, NULL),
		0);
	fake_source_init(&fixture->sources[0], fixture->loop, fixture->blob, fixture->blob_size,
		"https://first");
	fake_source_init(&fixture->sources[1], fixture->loop, fixture->blob, fixture->blob_size,
		"https://other");
	atomic_store(&fixture->sources[0].stalls, options->stalled);
	layer.store = fixture->layer_store;
	assert_int_equal(fetch_layer_new(fixture->fetcher, &layer, &fixture->layer, NULL), 0);
}

void fixture_reopen_layer(struct fixture *fixture, const struct fixture_options *options)
{
	fetch_layer_free(fixture->layer);
	layer_store_close(fixture->layer_store);
	(void)pthread_mutex_destroy(&fixture->lock);
	open_layer(fixture, options, 1);
}

void fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct store_options store = {
		.dir = "store",
		.owner = "a test",
		.chunk_memory = options->keeps_nothing ? 1 : 1 << 20,
		.quota_bytes = options->keeps_nothing,
	};
	struct fetcher_options fetcher = {
		.memory_limit = options->memory_limit,
		.max_requests = options->max_requests,
		.background_bytes_per_s = options->background_bytes_per_s,
		.deadline_ns = (options->deadline_ms ? options->deadline_ms : 10000) * NS_PER_MS,
	};

	memset(fixture, 0, sizeof(*fixture));
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/varve-test-fetch-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	assert_int_equal(chdir(fixture->dir), 0);
	assert_int_equal(store_open(&store, &fixture->store, NULL), 0);
	assert_int_equal(loop_new(&fixture->loop, NULL), 0);
	assert_int_equal(loop_thread_start(fixture->loop, "net", NULL), 0);
	assert_int_equal(workers_new(2, "worker", &fixture->workers, NULL), 0);
	fetcher.loop = fixture->loop;
	fetcher.workers = fixture->workers;
	fetcher.store = fixture->store;
	assert_int_equal(fetcher_new(&fetcher, &fixture->fetcher, NULL), 0);
	make_units(fixture, options, 1);
	open_layer(fixture, options, 1);
}

void fixture_open_beside(
	struct fixture *fixture, struct fixture *first, const struct fixture_options *options)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->shares = true;
	fixture->store = first->store;
	fixture->loop = first->loop;
	fixture->workers = first->workers;
	fixture->fetcher = first->fetcher;
	make_units(fixture, options, 2);
	open_layer(fixture, options, 2);
}

void fixture_close(struct fixture *fixture)
{
	char command[128];

	fetch_layer_free(fixture->layer);
	layer_store_close(fixture->layer_store);
	unit_table_close(fixture->units);
	free(fixture->blob);
	free(fixture->data);
	(void)pthread_mutex_destroy(&fixture->lock);
	if (fixture->shares)
		return;
	fetcher_free(fixture->fetcher);
	loop_thread_stop(fixture->loop);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	store_close(fixture->store);
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

void waiter_prepare(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n)
{
	struct unit from;
	struct unit to;

	memset(waiter, 0, sizeof(*waiter));
	(void)pthread_mutex_init(&waiter->lock, NULL);
	(void)pthread_cond_init(&waiter->cond, NULL);
	assert_int_equal(unit_table_get(fixture->units, first, &from, NULL), 0);
	assert_int_equal(unit_table_get(fixture->units, first + n - 1, &to, NULL), 0);
	waiter->wait.layer = fixture->layer;
	waiter->wait.off = from.data_off;
	waiter->wait.size = to.data_off + to.size - from.data_off;
	waiter->wait.priority = PRIORITY_READER;
	waiter->wait.done = on_wait_done;
}

void waiter_start(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n)
{
	waiter_prepare(waiter, fixture, first, n);
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

void assert_unit_is_right(struct fixture *fixture, uint64_t i)
{
	struct stored_range *range = NULL;
	bool present = false;
	struct unit unit;
	size_t size;

	assert_int_equal(unit_table_get(fixture->units, i, &unit, NULL), 0);
	size = unit.size < 65536 ? unit.size : 65536;
	assert_int_equal(
		store_get(fixture->layer_store, unit.data_off, size, &present, &range, NULL), 0);
	assert_true(present);
	assert_memory_equal(stored_range_data(range), fixture->data + unit.data_off, size);
	stored_range_free(range);
}

uint64_t fixture_count(struct fixture *fixture)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < fixture->n_units; i++)
		n += layer_store_has(fixture->layer_store, i);
	return n;
}

struct loop_call {
	struct loop_task task;
	void (*fn)(void *arg);
	void *arg;
	atomic_bool done;
};

static void run_call(struct loop_task *task)
{
	struct loop_call *call = container_of(task, struct loop_call, task);

	call->fn(call->arg);
	atomic_store(&call->done, true);
}

void fixture_on_loop(struct fixture *fixture, void (*fn)(void *arg), void *arg)
{
	struct loop_call call = {.task.run = run_call, .fn = fn, .arg = arg};

	loop_post(fixture->loop, &call.task);
	wait_until(atomic_load(&call.done));
}
