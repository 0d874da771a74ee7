/* SPDX-License-Identifier: Apache-2.0 */
/* Stores and layers for tests. */
#include "store_fixture.h"

#include "support/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

enum { MAX_UNITS = 65536, FIRST_OFF = 4096 };

struct fixture *fixture_new(const char *parent)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/varve-test-XXXXXX", parent);
	assert_non_null(mkdtemp(fixture->path));
	fixture->options = (struct store_options){.dir = fixture->path, .owner = "the test"};
	return fixture;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void fixture_free(struct fixture *fixture)
{
	fixture_close(fixture);
	(void)nftw(fixture->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(fixture);
}

void fixture_open(struct fixture *fixture)
{
	struct error err = {0};

	if (store_open(&fixture->options, &fixture->store, &err) < 0)
		fail_msg("%s", err.message);
}

void fixture_close(struct fixture *fixture)
{
	store_close(fixture->store);
	fixture->store = NULL;
}

int fixture_setup(void **state)
{
	const char *parent = getenv("TMPDIR");
	struct fixture *fixture = fixture_new(parent ? parent : "/tmp");

	fixture_open(fixture);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

const char *fixture_path(const struct fixture *fixture, const char *format, ...)
{
	static __thread char path[512];
	va_list ap;
	int n = snprintf(path, sizeof(path), "%s/", fixture->path);

	va_start(ap, format);
	(void)vsnprintf(path + n, sizeof(path) - (size_t)n, format, ap);
	va_end(ap);
	return path;
}

/* Incompressible, and cheap to make again. */
static void fill(uint64_t seed, uint8_t *out, size_t size)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t i = 0; i < size; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		out[i] = (uint8_t)(x >> (i % 8 * 8));
	}
}

void layer_bytes(const struct test_layer *layer, uint64_t i, uint8_t *out)
{
	const struct layer_shape *shape = &layer->shape;

	if (i == shape->zero_unit)
		memset(out, 0, shape->unit_size);
	else
		fill((uint64_t)shape->contents << 32 | (i + shape->shift), out, shape->unit_size);
}

static uint64_t unit_off(const struct layer_shape *shape, uint64_t i)
{
	return FIRST_OFF + i * (shape->unit_size + shape->gap);
}

void layer_range(const struct test_layer *layer, uint64_t off, size_t size, uint8_t *out)
{
	const struct layer_shape *shape = &layer->shape;
	uint8_t *unit = malloc(shape->unit_size);

	assert_non_null(unit);
	memset(out, 0, size);
	for (uint64_t i = 0; i < shape->n_units; i++) {
		uint64_t start = unit_off(shape, i);
		uint64_t end = start + shape->unit_size;
		uint64_t from = start > off ? start : off;
		uint64_t to = end < off + size ? end : off + size;

		if (from >= to)
			continue;
		layer_bytes(layer, i, unit);
		memcpy(out + (from - off), unit + (from - start), to - from);
	}
	free(unit);
}

/* Moves the digest of a unit to a span of its own. */
static void put_in_span(struct unit *unit, struct unit_span *out)
{
	*out = (struct unit_span){
		.blob_off = unit->blob_off,
		.blob_size = unit->blob_size,
		.decoded_size = unit->size,
		.digest_kind = SPAN_DIGEST_DECODED,
	};
	memcpy(out->digest, unit->digest, sizeof(out->digest));
	memset(unit->digest, 0, sizeof(unit->digest));
	unit->flags = UNIT_IN_SPAN;
}

static void write_units(struct fixture *fixture, struct test_layer *layer)
{
	const struct layer_shape *shape = &layer->shape;
	struct unit *units = calloc(shape->n_units + 1, sizeof(*units));
	struct unit_span *spans = calloc(shape->n_units + 1, sizeof(*spans));
	uint8_t *bytes = malloc(shape->unit_size + 1);
	struct unit_table_header header = {
		.blob = {.algorithm = DIGEST_SHA256, .bytes = {(uint8_t)shape->seed}},
		.blob_size = shape->n_units * shape->unit_size + 1,
		.data_size = align_up(unit_off(shape, shape->n_units) + 1, 4096),
		.n_units = shape->n_units,
	};
	struct error err = {0};
	char name[80];

	assert_non_null(units);
	assert_non_null(spans);
	assert_non_null(bytes);
	memcpy(header.key, layer->key, sizeof(header.key));
	for (uint64_t i = 0; i < shape->n_units; i++) {
		struct digest digest;

		layer_bytes(layer, i, bytes);
		assert_int_equal(
			digest_compute(DIGEST_SHA256, bytes, shape->unit_size, &digest, &err), 0);
		units[i] = (struct unit){
			.data_off = unit_off(shape, i),
			.size = shape->unit_size,
			.blob_off = i * shape->unit_size,
			.blob_size = shape->unit_size,
			.flags = i == shape->zero_unit ? UNIT_ZEROS
				 : shape->unverified   ? UNIT_UNVERIFIED
						       : 0,
		};
		if (!shape->unverified)
			memcpy(units[i].digest, digest.bytes, sizeof(units[i].digest));
		if (shape->in_spans)
			put_in_span(&units[i], &spans[i]);
	}
	(void)snprintf(name, sizeof(name), "%s.units", layer->name);
	if (unit_table_write_spans(store_layers_fd(fixture->store), name, &header, units,
		    shape->n_units, spans, shape->in_spans ? shape->n_units : 0, &err) < 0)
		fail_msg("%s", err.message);
	free(bytes);
	free(spans);
	free(units);
}

/* Its index may be evicted when it is not open. */
void layer_enter(struct fixture *fixture, struct test_layer *layer)
{
	struct error err = {0};
	char name[80];

	(void)snprintf(name, sizeof(name), "%s.units", layer->name);
	store_hold_indexes(fixture->store);
	if (faccessat(store_layers_fd(fixture->store), name, F_OK, 0) < 0)
		write_units(fixture, layer);
	if (unit_table_open(store_layers_fd(fixture->store), name, &layer->units, &err) < 0 ||
		layer_store_open(fixture->store, layer->key, layer->units, &layer->store, &err) < 0)
		fail_msg("%s", err.message);
	store_release_indexes(fixture->store);
}

void layer_make(struct fixture *fixture, const struct layer_shape *shape, struct test_layer *out)
{
	memset(out, 0, sizeof(*out));
	out->shape = *shape;
	fill(shape->seed + 1000, out->key, sizeof(out->key));
	hex_encode(out->key, sizeof(out->key), out->name);
	store_hold_indexes(fixture->store);
	write_units(fixture, out);
	layer_enter(fixture, out);
	store_release_indexes(fixture->store);
}

void layer_leave(struct test_layer *layer)
{
	layer_store_closep(&layer->store);
	unit_table_closep(&layer->units);
	layer->store = NULL;
	layer->units = NULL;
}

static struct verified_chunk *chunk_of_span(
	const struct test_layer *layer, const struct unit *unit, const uint8_t *bytes)
{
	struct span_bytes *decoded;
	struct verified_chunk *chunk;
	struct unit_span span;
	struct error err = {0};
	bool found;

	if (unit_table_span(layer->units, unit->blob_off, &found, &span, &err) < 0 ||
		span_bytes_decode(&span, bytes, unit->size, 0, unit->size, &decoded, &err) < 0 ||
		chunk_verify_span(unit, decoded, &chunk, &err) < 0)
		fail_msg("%s", err.message);
	span_bytes_free(decoded);
	return chunk;
}

struct verified_chunk *layer_chunk(const struct test_layer *layer, uint64_t i)
{
	struct verified_chunk *chunk;
	struct decoded *decoded;
	struct error err = {0};
	struct unit unit;

	assert_int_equal(unit_table_get(layer->units, i, &unit, &err), 0);
	if (unit.flags & UNIT_ZEROS) {
		assert_int_equal(chunk_zeros(&unit, &chunk, &err), 0);
		return chunk;
	}
	assert_int_equal(decoded_new(unit.size, &decoded, &err), 0);
	layer_bytes(layer, i, decoded_data(decoded));
	if (unit.flags & UNIT_IN_SPAN)
		chunk = chunk_of_span(layer, &unit, decoded_data(decoded));
	else if (chunk_verify(&unit, decoded, 0, &chunk, &err) < 0)
		fail_msg("%s", err.message);
	decoded_unref(decoded);
	return chunk;
}

void layer_put_unit(struct test_layer *layer, uint64_t i)
{
	struct verified_chunk *chunk = layer_chunk(layer, i);
	struct error err = {0};

	if (store_put(layer->store, i, chunk, &err) < 0)
		fail_msg("%s", err.message);
	chunk_unref(chunk);
}

void layer_put_all(struct test_layer *layer)
{
	for (uint64_t i = 0; i < layer->shape.n_units; i++)
		layer_put_unit(layer, i);
}

bool layer_reads(struct test_layer *layer, uint64_t off, size_t size)
{
	struct stored_range *range = NULL;
	struct error err = {0};
	uint8_t *expected;
	bool present;

	if (store_get(layer->store, off, size, &present, &range, &err) < 0)
		fail_msg("%s", err.message);
	if (!present) {
		assert_null(range);
		return false;
	}
	expected = malloc(size + 1);
	assert_non_null(expected);
	layer_range(layer, off, size, expected);
	assert_int_equal(stored_range_size(range), size);
	assert_memory_equal(stored_range_data(range), expected, size);
	free(expected);
	stored_range_free(range);
	return true;
}

bool layer_reads_unit(struct test_layer *layer, uint64_t i)
{
	return layer_reads(layer, unit_off(&layer->shape, i), layer->shape.unit_size);
}

void layer_damage(struct fixture *fixture, const struct test_layer *layer, uint64_t i)
{
	static const char wrong[] = "not what was verified";
	int fd = open(fixture_path(fixture, "layers/%s.data", layer->name), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, wrong, sizeof(wrong), (off_t)(unit_off(&layer->shape, i) + 7)),
		sizeof(wrong));
	assert_int_equal(fsync(fd), 0);
	close(fd);
}
