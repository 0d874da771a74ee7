/* SPDX-License-Identifier: Apache-2.0 */
/* Units of a gzip blob without any table of contents: pieces of files in spans. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "oci/digest.h"
#include "support/encode.h"
#include "support/span_list.h"

enum { MAX_UNITS = 1000 };

/* A blob and its spans. */
struct sample {
	struct span_list list;
	struct unit_span spans[MAX_UNITS]; /* as they are given to the fixture */
	struct fixture_blob blob;
};

static void sha256(const void *data, size_t size, uint8_t out[32])
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &digest, NULL), 0);
	memcpy(out, digest.bytes, 32);
}

static void add_unit(struct sample *sample, size_t span_i, uint64_t from, uint64_t size)
{
	const struct found_span *found = &sample->list.spans[span_i];
	struct unit *unit = &sample->blob.units[sample->blob.n_units++];

	assert_true(sample->blob.n_units <= MAX_UNITS);
	*unit = (struct unit){
		.data_off = sample->blob.data_size,
		.size = size,
		.blob_off = found->span.blob_off,
		.blob_size = found->span.blob_size,
		.inner_off = from - found->out_off,
		.codec = CODEC_GZIP,
		.flags = UNIT_IN_SPAN,
	};
	memcpy(sample->blob.data + unit->data_off, sample->list.plain.data + from, size);
	if (sample->spans[span_i].digest_kind == SPAN_DIGEST_NONE) {
		unit->flags = 0;
		sha256(sample->list.plain.data + from, size, unit->digest);
	}
	sample->blob.data_size += size;
}

/* Files of @file_size bytes, with headers of 512 before them, cut where spans end. */
static void cut_files(struct sample *sample, uint64_t file_size)
{
	uint64_t end = sample->list.plain.size;
	size_t span_i = 0;

	for (uint64_t file = 512; file < end; file += file_size + 512) {
		uint64_t at = file;

		while (at < end && at < file + file_size) {
			const struct found_span *found = &sample->list.spans[span_i];
			uint64_t span_end = found->out_off + found->span.decoded_size;
			uint64_t size = file + file_size - at;

			if (at >= span_end) {
				span_i++;
				continue;
			}
			add_unit(sample, span_i, at, size < span_end - at ? size : span_end - at);
			at += sample->blob.units[sample->blob.n_units - 1].size;
		}
		sample->blob.data_size = (sample->blob.data_size + 4095) / 4096 * 4096;
	}
}

static void vouch(struct sample *sample, enum span_digest kind)
{
	for (size_t i = 0; i < sample->list.n_spans; i++) {
		const struct found_span *found = &sample->list.spans[i];
		struct unit_span *span = &sample->spans[i];

		*span = found->span;
		span->digest_kind = kind;
		if (kind == SPAN_DIGEST_DECODED)
			sha256(sample->list.plain.data + found->out_off, span->decoded_size,
				span->digest);
		else if (kind == SPAN_DIGEST_ENCODED)
			sha256(sample->blob.blob + span->blob_off, span->blob_size, span->digest);
	}
}

static void make_sample(struct sample *sample, enum span_digest kind, uint64_t size,
	uint64_t span_size, uint64_t file_size)
{
	const struct gzip_style style = {.level = 6};
	struct buffer encoded = {0};
	uint8_t *plain = malloc(size);

	memset(sample, 0, sizeof(*sample));
	assert_non_null(plain);
	fill_mixture(plain, size, 5);
	encode_gzip_member(&style, plain, size, &encoded);
	free(plain);
	assert_int_equal(span_list_index(&sample->list, encoded.data, encoded.size, span_size,
				 encoded.size, NULL),
		0);
	assert_true(sample->list.n_spans <= MAX_UNITS);
	sample->blob = (struct fixture_blob){
		.blob = encoded.data,
		.blob_size = encoded.size,
		.data = calloc(1, size + (size / file_size + 1) * 4096),
		.units = calloc(MAX_UNITS, sizeof(struct unit)),
		.spans = sample->spans,
		.n_spans = sample->list.n_spans,
	};
	assert_true(sample->blob.data && sample->blob.units);
	vouch(sample, kind);
	cut_files(sample, file_size);
}

static const enum span_digest all_kinds[] = {
	SPAN_DIGEST_DECODED, SPAN_DIGEST_ENCODED, SPAN_DIGEST_NONE};

static void a_unit_brings_its_whole_span(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sample sample;
		struct unit unit;
		struct fixture f;

		make_sample(&sample, all_kinds[i], 1500000, 100000, 7000);
		assert_true(sample.list.n_spans > 2);
		unit = sample.blob.units[sample.blob.n_units / 2];
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob});
		assert_int_equal(fixture_fetch(&f, sample.blob.n_units / 2, 1), ERROR_NONE);
		assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
		assert_int_equal(f.sources[0].log[0].off, unit.blob_off);
		assert_int_equal(f.sources[0].log[0].size, unit.blob_size);
		for (uint64_t row = 0; row < f.n_units; row++) {
			struct unit other;

			assert_int_equal(unit_table_get(f.units, row, &other, NULL), 0);
			assert_int_equal(layer_store_has(f.layer_store, row),
				other.blob_off == unit.blob_off);
			if (other.blob_off == unit.blob_off)
				assert_unit_is_right(&f, row);
		}
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

static void all_of_a_layer_comes_in_few_requests_and_no_byte_twice(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sample sample;
		struct fixture f;

		/* All that a reader waits for together goes into one request, whatever lies inside
		 * the bytes that neighbours share. */
		make_sample(&sample, all_kinds[i], 1000000, 100000, 30000);
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob});
		assert_int_equal(fixture_fetch(&f, 0, f.n_units), ERROR_NONE);
		assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
		assert_true(atomic_load(&f.sources[0].bytes_asked) <= f.blob_size);
		for (uint64_t row = 0; row < f.n_units; row++)
			assert_unit_is_right(&f, row);
		assert_true(layer_store_is_complete(f.layer_store));
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

static void wrong_bytes_of_a_span_are_fetched_from_another_source(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sample sample;
		struct fixture f;

		make_sample(&sample, all_kinds[i], 300000, 100000, 7000);
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob, .n_sources = 2});
		atomic_store(&f.sources[0].lies_at, sample.spans[0].blob_size / 2);
		assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
		assert_unit_is_right(&f, 0);
		assert_int_equal(atomic_load(&f.n_failed), 1);
		if (i < 2)
			assert_non_null(strstr(
				fixture_last_failure(&f).message, "span at byte 0 of the blob: "));
		assert_int_equal(atomic_load(&f.sources[1].n_started), 1);
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

/* A digest that no source can satisfy: an index that lies, or a blob that is not the one. */
static void a_span_of_another_digest_is_refused_with_its_place_named(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;
		char name[64];

		make_sample(&sample, all_kinds[i], 500000, 100000, 7000);
		sample.spans[1].digest[3] ^= 1;
		(void)snprintf(name, sizeof(name), "span at byte %llu of the blob: ",
			(unsigned long long)sample.spans[1].blob_off);
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob, .n_sources = 2});
		for (uint64_t row = 0; row < f.n_units; row++) {
			struct unit unit;

			assert_int_equal(unit_table_get(f.units, row, &unit, NULL), 0);
			if (unit.blob_off != sample.spans[1].blob_off)
				continue;
			assert_int_equal(fixture_fetch(&f, row, 1), ERROR_DIGEST_MISMATCH);
			assert_false(layer_store_has(f.layer_store, row));
		}
		assert_ptr_not_equal(strstr(fixture_last_failure(&f).message, name), NULL);
		/* What is around it is not concerned. */
		assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
		assert_unit_is_right(&f, 0);
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

/* Above 64 MiB a span is decoded into a file. */
static void a_span_too_large_for_memory_is_verified_in_a_file(void **state)
{
	enum { SIZE = (64 << 20) + 4000000 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sample sample;
		struct fixture f;

		make_sample(&sample, all_kinds[i], SIZE, 2 * (uint64_t)SIZE, 1000000);
		assert_int_equal(sample.list.n_spans, 1);
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob});
		assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_NONE);
		assert_true(layer_store_is_complete(f.layer_store));
		for (uint64_t row = 0; row < f.n_units; row += 7)
			assert_unit_is_right(&f, row);
		assert_true(atomic_load(&f.sources[0].n_started) > 1);
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

static void a_large_span_of_another_digest_is_refused(void **state)
{
	enum { SIZE = (64 << 20) + 4000000 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;

		make_sample(&sample, all_kinds[i], SIZE, 2 * (uint64_t)SIZE, 1000000);
		sample.spans[0].digest[3] ^= 1;
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob});
		assert_int_equal(fixture_fetch(&f, 3, 1), ERROR_DIGEST_MISMATCH);
		assert_int_equal(fixture_count(&f), 0);
		assert_non_null(
			strstr(fixture_last_failure(&f).message, "span at byte 0 of the blob: "));
		fixture_close(&f);
		span_list_free(&sample.list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_brings_its_whole_span),
		cmocka_unit_test(all_of_a_layer_comes_in_few_requests_and_no_byte_twice),
		cmocka_unit_test(wrong_bytes_of_a_span_are_fetched_from_another_source),
		cmocka_unit_test(a_span_of_another_digest_is_refused_with_its_place_named),
		cmocka_unit_test(a_span_too_large_for_memory_is_verified_in_a_file),
		cmocka_unit_test(a_large_span_of_another_digest_is_refused),
	};
	return cmocka_run_group_tests_name("fetch/spans", tests, NULL, NULL);
}
