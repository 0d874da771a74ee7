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

static void refuse_as(enum error_kind kind, const struct buffer *blob, const char *why)
{
	struct found found = {0};
	struct error err = {0};

	assert_int_equal(run(blob, 777, &found, &err), -1);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.message, why))
		fail_msg("'%s' is not in '%s'", why, err.message);
	buffer_free(&found.data);
}

static void refuse(const struct buffer *blob, const char *why)
{
	refuse_as(ERROR_FORMAT, blob, why);
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

static void frames_that_do_not_say_their_size_make_spans(void **state)
{
	(void)state;
	struct buffer blob = {0};

	for (size_t off = 0; off < SIZE; off += 150000)
		encode_zstd_of_unknown_size(plain + off, 150000, &blob);
	check(&blob, 4096, SIZE, 10);
	check(&blob, 1, SIZE, 10);
	buffer_free(&blob);
}

/* Behind a good frame: a header, and a raw block of five bytes, in hex. */
static struct buffer with_frame(const char *hex)
{
	struct buffer blob = {0};
	uint8_t bytes[64];
	size_t size = strlen(hex) / 2;

	encode_frame(CODEC_ZSTD, plain, 5, &blob);
	assert_int_equal(hex_decode(hex, 2 * size, bytes, size), 0);
	assert_int_equal(buffer_append(&blob, bytes, size), 0);
	return blob;
}

/* RFC 8878 sections 3.1.1.1 and 3.1.1.2. */
#define MAGIC "28b52ffd"
#define RAW_BLOCK "2900000102030405"

static void a_frame_that_needs_a_dictionary_is_refused(void **state)
{
	(void)state;
	struct buffer blob = with_frame(MAGIC "210705" RAW_BLOCK);

	refuse_as(ERROR_UNSUPPORTED, &blob, "frame at byte 14 needs a dictionary");
	buffer_free(&blob);
}

static void windows_are_limited(void **state)
{
	(void)state;
	/* 128 MiB, the next larger one, and the largest there is. */
	struct buffer most = with_frame(MAGIC "0088" RAW_BLOCK);
	struct buffer more = with_frame(MAGIC "0089" RAW_BLOCK);
	struct buffer largest = with_frame(MAGIC "00ff" RAW_BLOCK);
	struct found found = {0};
	struct error err = {0};

	if (run(&most, 777, &found, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(found.data.size, 10);
	refuse_as(ERROR_UNSUPPORTED, &more, "a window of more than 128 MiB");
	refuse_as(ERROR_UNSUPPORTED, &largest, "zstd --long=27");
	buffer_free(&found.data);
	buffer_free(&most);
	buffer_free(&more);
	buffer_free(&largest);
}

static void a_frame_of_another_version_is_no_frame(void **state)
{
	(void)state;
	struct buffer reserved = with_frame(MAGIC "2805" RAW_BLOCK);
	struct buffer ancient = with_frame("21b52ffd2005" RAW_BLOCK);

	refuse_as(ERROR_UNSUPPORTED, &reserved, "byte 14 uses what version 1");
	refuse(&ancient, "no zstd frame at byte 14");
	buffer_free(&reserved);
	buffer_free(&ancient);
}

static void a_frame_has_the_size_that_it_says(void **state)
{
	(void)state;
	/* It says 150 bytes, and has an empty block. */
	struct buffer blob = with_frame(MAGIC "2096010000");
	static const size_t steps[] = {1, 7, 777};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct found found = {0};
		struct error err = {0};

		assert_int_equal(run(&blob, steps[i], &found, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, "the zstd frame at byte 14 "));
		buffer_free(&found.data);
	}
	buffer_free(&blob);
}

static void what_is_not_all_of_zstd_is_refused(void **state)
{
	(void)state;
	struct buffer blob = {0}, empty = {0};

	encode_frame(CODEC_ZSTD, plain, SIZE, &blob);
	blob.size -= 5;
	refuse(&blob, "in the middle of the zstd frame at byte 0");
	blob.size += 5;
	assert_int_equal(buffer_append(&blob, "garbage", 7), 0);
	refuse(&blob, "no zstd frame at byte");
	refuse(&empty, "an empty blob");
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_frame_is_a_single_span),
		cmocka_unit_test(frames_make_spans_of_at_least_half_the_size),
		cmocka_unit_test(frames_without_contents_make_no_span),
		cmocka_unit_test(frames_that_do_not_say_their_size_make_spans),
		cmocka_unit_test(a_frame_that_needs_a_dictionary_is_refused),
		cmocka_unit_test(windows_are_limited),
		cmocka_unit_test(a_frame_of_another_version_is_no_frame),
		cmocka_unit_test(a_frame_has_the_size_that_it_says),
		cmocka_unit_test(what_is_not_all_of_zstd_is_refused),
	};

	fill_mixture(plain, sizeof(plain), 7);
	return cmocka_run_group_tests_name("chunk/zstd_indexer", tests, NULL, NULL);
}
