/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose index somebody else has made: the headers of a file are compared before any of it
 * is stored. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "oci/digest.h"
#include "support/encode.h"
#include "support/span_pass.h"
#include "support/tar_archive.h"

enum { SPAN_SIZE = 100000, MAX_UNITS = 4000 };

/* An archive, encoded, and what its index says. */
struct sample {
	struct buffer archive;
	struct span_index *index; /* becomes that of headers */
	struct span_headers *headers;
	struct fixture_blob blob;
	size_t *entries; /* of each unit, by row */
};

static void put_file(struct buffer *archive, const char *name, size_t size, uint32_t seed)
{
	const struct tar_member member = {.type = '0', .name = name, .mode = 0644, .size = size};
	uint8_t *data = malloc(size + 1);

	assert_non_null(data);
	fill_mixture(data, size, seed);
	archive_put(archive, &member);
	archive_put_payload(archive, data, size);
	free(data);
}

/* Small files, one of five spans, directories that fill more than a span, and again files. */
static void make_archive(struct buffer *archive)
{
	char name[64];

	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof(name), "first/%u", i);
		put_file(archive, name, 3000 + 700 * i, i);
	}
	put_file(archive, "large", 5 * SPAN_SIZE, 99);
	for (unsigned i = 0; i < 2 * SPAN_SIZE / 512; i++) {
		(void)snprintf(name, sizeof(name), "directory/%u/", i);
		archive_put(archive, &(struct tar_member){.type = '5', .name = name, .mode = 0755});
	}
	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "last/%u", i);
		archive_put_pax(archive, "comment", "headers of several records", NULL);
		put_file(archive, name, 9000 - 200 * i, 100 + i);
	}
	archive_put_end(archive);
}

static void vouch(struct sample *sample)
{
	for (size_t i = 0; i < sample->index->n_spans; i++) {
		struct unit_span *span = &sample->index->spans[i];
		struct digest digest;

		assert_int_equal(digest_compute(DIGEST_SHA256, sample->blob.blob + span->blob_off,
					 span->blob_size, &digest, NULL),
			0);
		span->digest_kind = SPAN_DIGEST_ENCODED;
		memcpy(span->digest, digest.bytes, sizeof(span->digest));
	}
}

static void add_units(struct sample *sample)
{
	const struct span_index *index = sample->index;
	struct fixture_blob *blob = &sample->blob;

	for (size_t i = 0; i < index->toc->n_entries; i++) {
		const struct toc_entry *entry = &index->toc->entries[i];

		for (size_t j = 0; j < entry->n_chunks; j++) {
			const struct toc_chunk *chunk = &index->toc->chunks[entry->first_chunk + j];

			assert_true(blob->n_units < MAX_UNITS);
			sample->entries[blob->n_units] = i;
			blob->units[blob->n_units++] = (struct unit){
				.data_off = blob->data_size + chunk->file_off,
				.size = chunk->size,
				.blob_off = chunk->blob_off,
				.blob_size = chunk->blob_size,
				.inner_off = chunk->inner_off,
				.codec = index->codec,
				.flags = chunk->flags,
			};
		}
		if (entry->n_chunks == 0)
			continue;
		memcpy(blob->data + blob->data_size, sample->archive.data + index->payloads[i].off,
			entry->size);
		blob->data_size += (entry->size + 4095) / 4096 * 4096;
	}
}

/* What headers are compared with is a second index: the first may lie. */
static void read_index(struct sample *sample, enum codec codec)
{
	const struct fixture_blob *blob = &sample->blob;
	struct error err = {0};

	if (span_pass(codec, blob->blob, blob->blob_size, SPAN_SIZE, &sample->index, &err) < 0)
		fail_msg("%s", err.message);
	vouch(sample);
	if (span_index_cut(sample->index, NULL, 0, &err) < 0)
		fail_msg("%s", err.message);
}

static void make_sample(struct sample *sample, enum codec codec)
{
	struct buffer encoded = {0};
	struct error err = {0};

	memset(sample, 0, sizeof(*sample));
	make_archive(&sample->archive);
	if (codec == CODEC_GZIP)
		encode_gzip_member(&(struct gzip_style){.level = 6}, sample->archive.data,
			sample->archive.size, &encoded);
	else
		assert_int_equal(
			buffer_append(&encoded, sample->archive.data, sample->archive.size), 0);
	sample->blob = (struct fixture_blob){
		.blob = encoded.data,
		.blob_size = encoded.size,
		.data = calloc(1, sample->archive.size + MAX_UNITS * 4096),
		.units = calloc(MAX_UNITS, sizeof(struct unit)),
	};
	sample->entries = calloc(MAX_UNITS, sizeof(size_t));
	assert_true(sample->blob.data && sample->blob.units && sample->entries);
	read_index(sample, codec);
	add_units(sample);
	/* Whoever writes them sorts out those without a unit. */
	sample->blob.n_spans = sample->index->n_spans;
	sample->blob.spans = calloc(sample->blob.n_spans, sizeof(struct unit_span));
	assert_non_null(sample->blob.spans);
	memcpy(sample->blob.spans, sample->index->spans,
		sample->blob.n_spans * sizeof(struct unit_span));
	if (span_headers_new(sample->index, &sample->headers, &err) < 0)
		fail_msg("%s", err.message);
}

static void sample_close(struct sample *sample)
{
	span_headers_freep(&sample->headers);
	buffer_free(&sample->archive);
	free(sample->entries);
	free(sample->blob.spans);
}

static struct toc_entry *find(const struct sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->index->toc->n_entries; i++) {
		if (strcmp(sample->index->toc->entries[i].name, name) == 0)
			return &sample->index->toc->entries[i];
	}
	fail_msg("no entry %s", name);
	return NULL;
}

/* The row of the n-th unit of a file. */
static uint64_t row_of(const struct sample *sample, const char *name, uint64_t n)
{
	size_t entry = (size_t)(find(sample, name) - sample->index->toc->entries);
	uint64_t row = 0;

	while (sample->entries[row] != entry)
		row++;
	assert_int_equal(sample->entries[row + n], entry);
	return row + n;
}

static const enum codec codecs[] = {CODEC_GZIP, CODEC_NONE};

static void all_of_a_layer_comes_and_no_byte_twice(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;

		make_sample(&sample, codecs[i]);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		if (fixture_fetch(&f, 0, f.n_units) != ERROR_NONE)
			fail_msg("%s", fixture_last_failure(&f).message);
		assert_true(atomic_load(&f.sources[0].bytes_asked) <=
			    f.blob_size + sample.index->n_spans);
		for (uint64_t row = 0; row < f.n_units; row++)
			assert_unit_is_right(&f, row);
		assert_true(layer_store_is_complete(f.layer_store));
		assert_int_equal(atomic_load(&f.n_contradicted), 0);
		fixture_close(&f);
		sample_close(&sample);
	}
}

/* Whatever order they are read in, each alone. */
static void every_file_can_be_the_first_that_is_read(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;

		make_sample(&sample, codecs[i]);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		for (uint64_t row = f.n_units; row-- > 0;) {
			assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
			assert_unit_is_right(&f, row);
			assert_true(span_headers_are_checked(sample.headers, sample.entries[row]));
		}
		/* Spans before a file are asked for a second time, but not for each unit. */
		assert_true(atomic_load(&f.sources[0].bytes_asked) < 2 * f.blob_size);
		fixture_close(&f);
		sample_close(&sample);
	}
}

static void a_part_of_a_large_file_brings_the_span_with_its_headers(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct span_headers_place place;
		struct fixture f;
		struct unit unit;
		uint64_t row;

		make_sample(&sample, codecs[i]);
		row = row_of(&sample, "large", 3);
		unit = sample.blob.units[row];
		assert_true(
			span_headers_find(sample.headers, unit.blob_off, unit.inner_off, &place));
		assert_true(place.span > place.first_span + 1);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
		assert_unit_is_right(&f, row);
		assert_int_equal(fixture_count(&f), 1);
		assert_int_equal(atomic_load(&f.sources[0].n_started), 1 + place.n_spans);
		assert_int_equal(f.sources[0].log[0].off, unit.blob_off);
		assert_int_equal(f.sources[0].log[0].size, unit.blob_size);
		assert_int_equal(
			f.sources[0].log[1].off, sample.index->spans[place.first_span].blob_off);
		/* Once is enough. */
		assert_int_equal(fixture_fetch(&f, row - 1, 1), ERROR_NONE);
		assert_int_equal(atomic_load(&f.sources[0].n_started), 2 + place.n_spans);
		fixture_close(&f);
		sample_close(&sample);
	}
}

static void what_the_store_has_of_a_file_was_compared(void **state)
{
	(void)state;
	struct sample sample;
	struct fixture_options options = {.blob = &sample.blob};
	struct span_headers *again = NULL;
	struct fixture f;
	uint64_t row;

	make_sample(&sample, CODEC_GZIP);
	options.headers = sample.headers;
	row = row_of(&sample, "large", 3);
	fixture_open(&f, &options);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);

	read_index(&sample, CODEC_GZIP);
	assert_int_equal(span_headers_new(sample.index, &again, NULL), 0);
	options.headers = again;
	fixture_reopen_layer(&f, &options);
	assert_false(span_headers_are_checked(again, sample.entries[row]));
	assert_int_equal(fixture_fetch(&f, row - 1, 1), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_true(span_headers_are_checked(again, sample.entries[row]));
	fixture_close(&f);
	span_headers_free(again);
	sample_close(&sample);
}

static void expect_lie(struct sample *sample, const char *name, uint64_t n, const char *words)
{
	uint64_t row = row_of(sample, name, n);
	struct fixture f;

	fixture_open(
		&f, &(struct fixture_options){
			    .blob = &sample->blob, .headers = sample->headers, .n_sources = 2});
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_FORMAT);
	assert_false(layer_store_has(f.layer_store, row));
	assert_int_equal(fixture_count(&f), 0);
	assert_true(atomic_load(&f.n_contradicted) > 0);
	if (!strstr(fixture_last_failure(&f).message, words))
		fail_msg("\"%s\" lacks \"%s\"", fixture_last_failure(&f).message, words);
	/* It is nobody's fault who sends the bytes. */
	assert_int_equal(atomic_load(&f.sources[1].n_started), 0);
	fixture_close(&f);
}

static void a_lie_about_a_file_is_found_before_any_of_it_is_stored(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;

		make_sample(&sample, codecs[i]);
		find(&sample, "first/3")->mode = 04755;
		expect_lie(&sample, "first/3", 0,
			"entry first/3: its mode is 4755 in the index, but 0644 in the archive");
		sample_close(&sample);
		make_sample(&sample, codecs[i]);
		find(&sample, "large")->name = "other";
		expect_lie(&sample, "other", 3, "its name is other in the index, but large in the");
		sample_close(&sample);
		make_sample(&sample, codecs[i]);
		find(&sample, "last/17")->uid = 7;
		expect_lie(&sample, "last/17", 0, "its owner is 7 in the index, but 0 in the");
		sample_close(&sample);
	}
}

static void files_of_other_spans_are_read_in_spite_of_a_lie(void **state)
{
	(void)state;
	struct sample sample;
	struct fixture f;
	uint64_t row;

	make_sample(&sample, CODEC_GZIP);
	find(&sample, "last/17")->gid = 7;
	row = row_of(&sample, "first/1", 0);
	fixture_open(
		&f, &(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
	assert_int_equal(fixture_fetch(&f, row_of(&sample, "last/17", 0), 1), ERROR_FORMAT);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
	assert_unit_is_right(&f, row);
	fixture_close(&f);
	sample_close(&sample);
}

static void wrong_bytes_of_headers_are_fetched_from_another_source(void **state)
{
	(void)state;
	struct sample sample;
	struct span_headers_place place;
	struct fixture f;
	struct unit unit;
	uint64_t row;

	make_sample(&sample, CODEC_GZIP);
	row = row_of(&sample, "large", 3);
	unit = sample.blob.units[row];
	assert_true(span_headers_find(sample.headers, unit.blob_off, unit.inner_off, &place));
	fixture_open(&f, &(struct fixture_options){
				 .blob = &sample.blob, .headers = sample.headers, .n_sources = 2});
	atomic_store(&f.sources[0].lies_at, sample.index->spans[place.first_span].blob_off + 9);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
	assert_unit_is_right(&f, row);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	assert_int_equal(atomic_load(&f.n_contradicted), 0);
	assert_int_equal(atomic_load(&f.sources[1].n_started), 1);
	fixture_close(&f);
	sample_close(&sample);
}

static void headers_that_nobody_sends_fail_the_read_with_the_reason(void **state)
{
	(void)state;
	struct sample sample;
	struct span_headers_place place;
	struct fixture f;
	struct unit unit;
	uint64_t row;

	make_sample(&sample, CODEC_GZIP);
	row = row_of(&sample, "large", 3);
	unit = sample.blob.units[row];
	assert_true(span_headers_find(sample.headers, unit.blob_off, unit.inner_off, &place));
	fixture_open(
		&f, &(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
	atomic_store(&f.sources[0].lies_at, sample.index->spans[place.first_span].blob_off + 9);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_DIGEST_MISMATCH);
	assert_int_equal(fixture_count(&f), 0);
	assert_non_null(strstr(fixture_last_failure(&f).message, "span at byte "));
	/* For a while: the next read tries again. */
	atomic_store(&f.sources[0].lies_at, UINT64_MAX);
	atomic_store(&f.sources[0].n_fails, 3);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
	assert_unit_is_right(&f, row);
	fixture_close(&f);
	sample_close(&sample);
}

/* What is held takes memory that others need, too. */
static void little_memory_is_enough(void **state)
{
	enum { N = 20 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct waiter waiters[N];
		struct sample sample;
		struct fixture f;

		make_sample(&sample, codecs[i]);
		fixture_open(&f, &(struct fixture_options){.blob = &sample.blob,
					 .headers = sample.headers,
					 .memory_limit = 3 * SPAN_SIZE,
					 .max_requests = 2});
		for (uint64_t n = 0; n < N; n++)
			waiter_start(&waiters[n], &f, (N - 1 - n) * f.n_units / N, 1);
		for (int n = 0; n < N; n++)
			assert_int_equal(waiter_join(&waiters[n]), ERROR_NONE);
		fixture_close(&f);
		sample_close(&sample);
	}
}

static void the_background_completes_such_a_layer(void **state)
{
	(void)state;
	struct sample sample;
	struct fixture f;

	make_sample(&sample, CODEC_GZIP);
	fixture_open(&f, &(struct fixture_options){.blob = &sample.blob,
				 .headers = sample.headers,
				 .background = true,
				 .read_ahead = true});
	wait_until(layer_store_is_complete(f.layer_store));
	assert_true(atomic_load(&f.sources[0].bytes_asked) <= f.blob_size + sample.index->n_spans);
	fixture_close(&f);
	sample_close(&sample);
}

/* The last span is a short one, and begins inside a file. */
static void a_layer_closes_while_units_wait_for_headers(void **state)
{
	(void)state;
	for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
		const struct unit_span *last;
		struct sample sample;
		struct waiter waiter;
		struct fixture f;
		uint64_t row = 0;

		make_sample(&sample, CODEC_NONE);
		last = &sample.index->spans[sample.index->n_spans - 1];
		while (sample.blob.units[row].blob_off < last->blob_off)
			row++;
		assert_int_equal(sample.blob.units[row].inner_off, 0);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		/* Enough for the span, and not for the one before it. */
		atomic_store(&f.sources[0].stalls_after, last->blob_size);
		waiter_start(&waiter, &f, row, 1);
		wait_until(atomic_load(&f.sources[0].n_started) == 2);
		usleep(100000);
		if (is_cancelled) {
			fetch_wait_cancel(&waiter.wait);
			assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
			fixture_close(&f);
		} else {
			assert_int_equal(fixture_count(&f), 0);
			fetch_layer_free(TAKE_PTR(f.layer));
			assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
			fixture_close(&f);
		}
		sample_close(&sample);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_layer_comes_and_no_byte_twice),
		cmocka_unit_test(every_file_can_be_the_first_that_is_read),
		cmocka_unit_test(a_part_of_a_large_file_brings_the_span_with_its_headers),
		cmocka_unit_test(what_the_store_has_of_a_file_was_compared),
		cmocka_unit_test(a_lie_about_a_file_is_found_before_any_of_it_is_stored),
		cmocka_unit_test(files_of_other_spans_are_read_in_spite_of_a_lie),
		cmocka_unit_test(wrong_bytes_of_headers_are_fetched_from_another_source),
		cmocka_unit_test(headers_that_nobody_sends_fail_the_read_with_the_reason),
		cmocka_unit_test(little_memory_is_enough),
		cmocka_unit_test(the_background_completes_such_a_layer),
		cmocka_unit_test(a_layer_closes_while_units_wait_for_headers),
	};
	return cmocka_run_group_tests_name("fetch/headers", tests, NULL, NULL);
}
