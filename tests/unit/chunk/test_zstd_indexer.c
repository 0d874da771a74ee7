/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/zstd_indexer.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "support/encode.h"

enum { SIZE = 1500000, SPAN = 100000, MAX_SPANS = 64 };

static uint8_t plain[SIZE];

/* What an indexer found. */
struct found {
	struct buffer data;
	struct unit_span spans[MAX_SPANS];
	uint64_t out_offs[MAX_SPANS];
	uint64_t n;
};

static int on_data(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	struct found *found = arg;

	(void)err;
	assert_int_equal(span, found->n);
	assert_in_range(decoded_size(piece), 1, 256 << 10);
	assert_int_equal(buffer_append(&found->data, decoded_data(piece), decoded_size(piece)), 0);
	return 0;
}

static int on_span(void *arg, uint64_t span_i, uint64_t out_off, const struct unit_span *span,
	struct error *err)
{
	struct found *found = arg;

	(void)err;
	assert_int_equal(span_i, found->n);
	assert_true(found->n < MAX_SPANS);
	assert_int_equal(out_off + span->decoded_size, found->data.size);
	assert_null(span_problem(span, UINT64_MAX));
	found->out_offs[found->n] = out_off;
	found->spans[found->n++] = *span;
	return 0;
}

static int run(const struct buffer *blob, size_t step, struct found *found, struct error *err)
{
	const struct gzip_indexer_options options = {
		.span_size = SPAN, .data = on_data, .found = on_span, .arg = found};
	CLEANUP(zstd_indexer_freep) struct zstd_indexer *indexer = NULL;

	assert_int_equal(zstd_indexer_new(&options, &indexer, err), 0);
	for (size_t off = 0; off < blob->size; off += step) {
		size_t left = blob->size - off;

		if (zstd_indexer_feed(indexer, blob->data + off, left < step ? left : step, err) <
			0)
			return -1;
	}
	return zstd_indexer_end(indexer, err);
}

/* Every span decodes by itself. */
static void check(const struct buffer *blob, size_t step, size_t size, uint64_t n_spans)
{
	struct found found = {0};
	struct error err = {0};

	if (run(blob, step, &found, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(found.data.size, size);
	assert_memory_equal(found.data.data, plain, size);
	assert_int_equal(found.n, n_spans);
	for (uint64_t i = 0; i < found.n; i++) {
		const struct unit_span *span = &found.spans[i];
		struct decoded *decoded;

		if (codec_decode_span(span, blob->data + span->blob_off, (size_t)span->blob_size, 0,
			    (size_t)span->decoded_size, &decoded, &err) < 0)
			fail_msg("%s", err.message);
		assert_memory_equal(decoded_data(decoded), plain + found.out_offs[i],
			(size_t)span->decoded_size);
		decoded_unref(decoded);
	}
	buffer_free(&found.data);
}

static void refuse(const struct buffer *blob, const char *why)
{
	struct found found = {0};
	struct error err = {0};

	assert_int_equal(run(blob, 777, &found, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, why))
		fail_msg("'%s' is not in '%s'", why, err.message);
	buffer_free(&found.data);
}

static void a_single_frame_is_a_single_span(void **state)
{
	(void)state;
	static const size_t steps[] = {SIZE_MAX, 1 << 17, 1001};
	struct buffer known = {0}, unknown = {0};

	encode_frame(CODEC_ZSTD, plain, SIZE, &known);
	encode_zstd_of_unknown_size(plain, SIZE, &unknown);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		check(&known, steps[i] < known.size ? steps[i] : known.size, SIZE, 1);
		check(&unknown, steps[i] < unknown.size ? steps[i] : unknown.size, SIZE, 1);
	}
	buffer_free(&known);
	buffer_free(&unknown);
}

static void frames_make_spans_of_at_least_half_the_size(void **state)
{
	(void)state;
	struct buffer large = {0}, small = {0};

	for (size_t off = 0; off < SIZE; off += 150000)
		encode_frame(CODEC_ZSTD, plain + off, 150000, &large);
	for (size_t off = 0; off < SIZE; off += 20000)
		encode_frame(CODEC_ZSTD, plain + off, 20000, &small);
	check(&large, 4096, SIZE, 10);
	/* Three frames each. */
	check(&small, 4096, SIZE, 25);
	buffer_free(&large);
	buffer_free(&small);
}

static void frames_without_contents_make_no_span(void **state)
{
	(void)state;
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
	struct buffer blob = {0};

	assert_int_equal(buffer_append(&blob, skippable, sizeof(skippable)), 0);
	encode_frame(CODEC_ZSTD, plain, 60000, &blob);
	encode_frame(CODEC_ZSTD, plain, 0, &blob);
	assert_int_equal(buffer_append(&blob, skippable, sizeof(skippable)), 0);
	encode_frame(CODEC_ZSTD, plain + 60000, 60000, &blob);
	assert_int_equal(buffer_append(&blob, skippable, sizeof(skippable)), 0);
	check(&blob, 5, 120000, 2);
	buffer_free(&blob);
}

static void what_is_not_all_of_zstd_is_refused(void **state)
{
	(void)state;
	struct buffer blob = {0}, empty = {0};

	encode_frame(CODEC_ZSTD, plain, SIZE, &blob);
	blob.size -= 5;
	refuse(&blob, "in the middle of a zstd frame");
	blob.size += 5;
	assert_int_equal(buffer_append(&blob, "garbage", 7), 0);
	refuse(&blob, "not valid zstd near byte");
	refuse(&empty, "an empty blob");
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_frame_is_a_single_span),
		cmocka_unit_test(frames_make_spans_of_at_least_half_the_size),
		cmocka_unit_test(frames_without_contents_make_no_span),
		cmocka_unit_test(what_is_not_all_of_zstd_is_refused),
	};

	fill_mixture(plain, sizeof(plain), 7);
	return cmocka_run_group_tests_name("chunk/zstd_indexer", tests, NULL, NULL);
}
