/* SPDX-License-Identifier: Apache-2.0 */
#include "layer_fixture.h"

#include "base/clock.h"
#include "format/toc.h"
#include "index/layer_index.h"

static void require(int result, const struct error *err)
{
	if (result < 0)
		fail_msg("%s", err->message);
}

static void make_toc(struct layer_fixture *fixture, struct toc **out)
{
	struct toc_entry entry = {
		.type = TOC_REGULAR,
		.mode = 0644,
		.size = LAYER_N_UNITS * LAYER_UNIT_SIZE,
		.n_chunks = LAYER_N_UNITS,
	};
	struct error err = {0};

	require(toc_new(out, &err), &err);
	for (uint64_t i = 0; i < LAYER_N_UNITS; i++) {
		struct toc_chunk chunk = {
			.file_off = i * LAYER_UNIT_SIZE,
			.size = LAYER_UNIT_SIZE,
			.blob_off = i * LAYER_UNIT_SIZE,
			.blob_size = LAYER_UNIT_SIZE,
			.codec = CODEC_NONE,
		};
		struct digest digest;

		require(digest_compute(DIGEST_SHA256, fixture->blob + chunk.blob_off,
				LAYER_UNIT_SIZE, &digest, &err),
			&err);
		memcpy(chunk.digest, digest.bytes, sizeof(chunk.digest));
		require(toc_add_chunk(*out, &chunk, &err), &err);
	}
	entry.name = toc_intern(*out, "file", 4);
	require(toc_add_entry(*out, &entry, &err), &err);
}

static void make_index(struct layer_fixture *fixture)
{
	struct layer_index_build_options options = {
		.blob = &fixture->descriptor.digest,
		.blob_size = fixture->descriptor.size,
	};
	const uint8_t key[INDEX_KEY_SIZE] = {1};
	int dir_fd = store_layers_fd(fixture->store);
	struct toc *toc = NULL;
	struct error err = {0};

	make_toc(fixture, &toc);
	options.key = key;
	require(layer_index_build(dir_fd, toc, &options, &err), &err);
	require(layer_index_open(dir_fd, key, &fixture->index, &err), &err);
	toc_free(toc);
}

struct layer_options layer_fixture_options_of(struct layer_fixture *fixture, struct source **source)
{
	*source = &fixture->source.base;
	return (struct layer_options){
		.store = fixture->store,
		.fetcher = fixture->fetcher,
		.loop = fixture->loop,
		.workers = fixture->workers,
		.index = fixture->index,
		.descriptor = &fixture->descriptor,
		.sources = source,
		.n_sources = 1,
	};
}

static void make_blob(struct layer_fixture *fixture, uint32_t seed)
{
	static char media_type[] = "application/vnd.oci.image.layer.v1.tar+gzip";
	const size_t size = LAYER_N_UNITS * LAYER_UNIT_SIZE;
	uint32_t random = seed;

	fixture->blob = malloc(size);
	assert_non_null(fixture->blob);
	for (size_t i = 0; i < size; i++) {
		random = random * 1664525 + 1013904223;
		fixture->blob[i] = (uint8_t)(random >> 24);
	}
	fixture->descriptor.media_type = media_type;
	fixture->descriptor.size = size;
	assert_int_equal(digest_compute(DIGEST_SHA256, fixture->blob, size,
				 &fixture->descriptor.digest, NULL),
		0);
}

void layer_fixture_open(struct layer_fixture *fixture, const struct layer_fixture_options *options)
{
	struct store_options store = {
		.owner = "a test",
		.chunk_memory = options->keeps_nothing ? 1 : 1 << 20,
		.quota_bytes = options->keeps_nothing ? 1 : 0,
	};
	struct fetcher_options fetcher = {
		.deadline_ns = (options->deadline_ms ? options->deadline_ms : 10000) * NS_PER_MS,
	};
	struct layer_options layer;
	struct source *source;
	char dir[300];
	struct error err = {0};

	memset(fixture, 0, sizeof(*fixture));
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	(void)snprintf(dir, sizeof(dir), "%s/store", fixture->scratch->path);
	store.dir = dir;
	make_blob(fixture, options->seed);
	require(store_open(&store, &fixture->store, &err), &err);
	require(loop_new(&fixture->loop, &err), &err);
	require(loop_thread_start(fixture->loop, "net", &err), &err);
	require(workers_new(2, "worker", &fixture->workers, &err), &err);
	fetcher.loop = fixture->loop;
	fetcher.workers = fixture->workers;
	fetcher.store = fixture->store;
	require(fetcher_new(&fetcher, &fixture->fetcher, &err), &err);
	fake_source_init(&fixture->source, fixture->loop, fixture->blob, fixture->descriptor.size,
		"https://registry.example.com");
	/* With a tiny quota the store would remove it before it is found. */
	store_hold_indexes(fixture->store);
	make_index(fixture);
	if (!options->no_layer) {
		layer = layer_fixture_options_of(fixture, &source);
		layer.background = options->background;
		require(layer_open(&layer, &fixture->layer, &err), &err);
		fixture->index = NULL;
	}
	store_release_indexes(fixture->store);
}

void layer_fixture_close(struct layer_fixture *fixture)
{
	layer_unref(fixture->layer);
	layer_index_close(fixture->index);
	fetcher_free(fixture->fetcher);
	loop_thread_stop(fixture->loop);
	workers_free(fixture->workers);
	loop_free(fixture->loop);
	store_close(fixture->store);
	free(fixture->blob);
	(void)scratch_teardown((void **)&fixture->scratch);
}

static void on_done(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct reading *reading = container_of(read, struct reading, read);

	pthread_mutex_lock(&reading->lock);
	reading->n_done++;
	reading->range = range;
	reading->err = err ? *err : (struct error){0};
	pthread_cond_broadcast(&reading->changed);
	pthread_mutex_unlock(&reading->lock);
}

void reading_prepare(
	struct reading *reading, struct layer_fixture *fixture, uint64_t first, uint64_t n)
{
	memset(reading, 0, sizeof(*reading));
	(void)pthread_mutex_init(&reading->lock, NULL);
	(void)pthread_cond_init(&reading->changed, NULL);
	reading->read.layer = fixture->layer;
	reading->read.off = first * LAYER_UNIT_SIZE;
	reading->read.size = n * LAYER_UNIT_SIZE;
	reading->read.done = on_done;
}

void reading_start(
	struct reading *reading, struct layer_fixture *fixture, uint64_t first, uint64_t n)
{
	reading_prepare(reading, fixture, first, n);
	layer_read_start(&reading->read);
}

enum error_kind reading_join(struct reading *reading, struct layer_fixture *fixture)
{
	pthread_mutex_lock(&reading->lock);
	while (reading->n_done == 0)
		pthread_cond_wait(&reading->changed, &reading->lock);
	pthread_mutex_unlock(&reading->lock);
	assert_int_equal(reading->n_done, 1);
	assert_int_equal(reading->range == NULL, reading->err.kind != ERROR_NONE);
	if (reading->range) {
		assert_int_equal(stored_range_size(reading->range), reading->read.size);
		assert_memory_equal(stored_range_data(reading->range),
			fixture->blob + reading->read.off, reading->read.size);
	}
	stored_range_free(reading->range);
	(void)pthread_mutex_destroy(&reading->lock);
	(void)pthread_cond_destroy(&reading->changed);
	return reading->err.kind;
}

enum error_kind fixture_read(struct layer_fixture *fixture, uint64_t first, uint64_t n)
{
	struct reading reading;

	reading_start(&reading, fixture, first, n);
	return reading_join(&reading, fixture);
}
