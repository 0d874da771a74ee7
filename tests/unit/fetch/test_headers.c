/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose index somebody else has made: the headers of a file are compared before any of it
 * is stored. */
#include "headers_sample.h"

#include "support/test.h"

#include <string.h>

static const enum codec codecs[] = {CODEC_GZIP, CODEC_NONE};

static void all_of_a_layer_comes_and_no_byte_twice(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;

		sample_make(&sample, codecs[i]);
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

		sample_make(&sample, codecs[i]);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		for (uint64_t row = f.n_units; row-- > 0;) {
			assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
			assert_unit_is_right(&f, row);
			assert_true(span_headers_are_checked(sample.headers, sample.entries[row]));
		}
		/* A span once, and once more with the one before it for the file that it begins
		 * with; but not for each unit. */
		assert_true(atomic_load(&f.sources[0].bytes_asked) < 3 * f.blob_size);
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

		sample_make(&sample, codecs[i]);
		row = sample_row(&sample, "large", 3);
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

/* Whatever the span begins with: that is another file's business. */
static void a_file_whose_headers_are_in_its_span_costs_that_span(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sample sample;
		struct fixture f;
		uint64_t first, row;

		sample_make(&sample, codecs[i]);
		first = sample_row(&sample, "last/5", 0);
		while (sample.blob.units[first].inner_off > 0)
			first++;
		row = first + 2;
		assert_true(row < sample.blob.n_units);
		assert_int_equal(
			sample.blob.units[row].blob_off, sample.blob.units[first].blob_off);
		fixture_open(&f,
			&(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
		assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);
		assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
		assert_unit_is_right(&f, row);
		assert_unit_is_right(&f, first + 1);
		assert_false(layer_store_has(f.layer_store, first));
		assert_int_equal(fixture_fetch(&f, first, 1), ERROR_NONE);
		assert_unit_is_right(&f, first);
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

	sample_make(&sample, CODEC_GZIP);
	options.headers = sample.headers;
	row = sample_row(&sample, "large", 3);
	fixture_open(&f, &options);
	assert_int_equal(fixture_fetch(&f, row, 1), ERROR_NONE);

	assert_int_equal(span_headers_new(sample_read_index(&sample, CODEC_GZIP), &again, NULL), 0);
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
	uint64_t row = sample_row(sample, name, n);
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

		sample_make(&sample, codecs[i]);
		sample_find(&sample, "first/3")->mode = 04755;
		expect_lie(&sample, "first/3", 0,
			"entry first/3: its mode is 4755 in the index, but 0644 in the archive");
		sample_close(&sample);
		sample_make(&sample, codecs[i]);
		sample_find(&sample, "large")->name = "other";
		expect_lie(&sample, "other", 3, "its name is other in the index, but large in the");
		sample_close(&sample);
		sample_make(&sample, codecs[i]);
		sample_find(&sample, "last/17")->uid = 7;
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

	sample_make(&sample, CODEC_GZIP);
	sample_find(&sample, "last/17")->gid = 7;
	row = sample_row(&sample, "first/1", 0);
	fixture_open(
		&f, &(struct fixture_options){.blob = &sample.blob, .headers = sample.headers});
	assert_int_equal(fixture_fetch(&f, sample_row(&sample, "last/17", 0), 1), ERROR_FORMAT);
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

	sample_make(&sample, CODEC_GZIP);
	row = sample_row(&sample, "large", 3);
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

	sample_make(&sample, CODEC_GZIP);
	row = sample_row(&sample, "large", 3);
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

		sample_make(&sample, codecs[i]);
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

	sample_make(&sample, CODEC_GZIP);
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

		sample_make(&sample, CODEC_NONE);
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
		cmocka_unit_test(a_file_whose_headers_are_in_its_span_costs_that_span),
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
