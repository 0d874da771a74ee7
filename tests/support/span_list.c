/* SPDX-License-Identifier: Apache-2.0 */
#include "support/span_list.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "chunk/codec.h"

enum { MAX_PIECE = 256 << 10 };

static int take_data(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	struct span_list *list = arg;

	assert_in_range(decoded_size(piece), 1, MAX_PIECE);
	/* A span's data comes before it is reported, and all of it together. */
	assert_int_equal(span, list->n_spans);
	list->span_of_data = span;
	if (++list->n_pieces == list->fail_at_piece)
		return error_set(err, ERROR_NO_SPACE, "no room for pieces");
	assert_int_equal(buffer_append(&list->plain, decoded_data(piece), decoded_size(piece)), 0);
	return 0;
}

static int take_span(void *arg, uint64_t span, uint64_t out_off, const struct unit_span *found,
	struct error *err)
{
	struct span_list *list = arg;
	struct found_span *copy;

	assert_int_equal(span, list->n_spans);
	assert_int_equal(out_off + found->decoded_size, list->plain.size);
	assert_int_equal(found->digest_kind, SPAN_DIGEST_NONE);
	assert_null(span_problem(found, UINT64_MAX));
	list->spans = realloc(list->spans, (list->n_spans + 1) * sizeof(*list->spans));
	assert_non_null(list->spans);
	copy = &list->spans[list->n_spans++];
	*copy = (struct found_span){.span = *found, .out_off = out_off};
	if (found->window_size > 0) {
		uint8_t *window = malloc(found->window_size);

		assert_non_null(window);
		memcpy(window, found->window, found->window_size);
		copy->span.window = window;
	}
	if (list->n_spans == list->fail_at_span)
		return error_set(err, ERROR_NO_SPACE, "no room for spans");
	return 0;
}

int span_list_index(struct span_list *list, const uint8_t *blob, size_t blob_size,
	uint64_t span_size, size_t step, struct error *err)
{
	const struct gzip_indexer_options options = {
		.span_size = span_size, .data = take_data, .found = take_span, .arg = list};
	CLEANUP(gzip_indexer_freep) struct gzip_indexer *indexer = NULL;

	if (gzip_indexer_new(&options, &indexer, err) < 0)
		return -1;
	for (size_t off = 0; off < blob_size; off += step) {
		/* Memory of its own: reading too far would be found. */
		size_t n = blob_size - off < step ? blob_size - off : step;
		CLEANUP(cleanup_free) uint8_t *piece = malloc(n);

		assert_non_null(piece);
		memcpy(piece, blob + off, n);
		if (gzip_indexer_feed(indexer, piece, n, err) < 0)
			return -1;
	}
	return gzip_indexer_end(indexer, &list->summary, err);
}

void span_list_free(struct span_list *list)
{
	for (size_t i = 0; i < list->n_spans; i++)
		free((void *)list->spans[i].span.window);
	free(list->spans);
	buffer_free(&list->plain);
	*list = (struct span_list){0};
}

static void check_part(const struct unit_span *span, const uint8_t *encoded,
	const uint8_t *expected, uint64_t skip, size_t size)
{
	struct decoded *decoded = NULL;
	struct error err = {0};

	if (codec_decode_span(span, encoded, span->blob_size, skip, size, &decoded, &err) < 0)
		fail_msg("span at %ju, %zu bytes from %ju: %s", (uintmax_t)span->blob_off, size,
			(uintmax_t)skip, err.message);
	assert_int_equal(decoded_size(decoded), size);
	assert_memory_equal(decoded_data(decoded), expected + skip, size);
	decoded_unref(decoded);
}

/* To know where it ends makes decoding faster, and is not needed. */
static void check_unknown_end(
	const struct unit_span *span, const uint8_t *encoded, const uint8_t *expected)
{
	struct unit_span other = *span;

	other.end_bits = 0;
	check_part(&other, encoded, expected, 0, span->decoded_size);
}

struct collected {
	struct buffer bytes;
	size_t limit;
};

static int collect(void *arg, const uint8_t *data, size_t size, struct error *err)
{
	struct collected *collected = arg;

	(void)err;
	if (size > collected->limit - collected->bytes.size)
		size = collected->limit - collected->bytes.size;
	assert_int_equal(buffer_append(&collected->bytes, data, size), 0);
	return collected->bytes.size == collected->limit;
}

static void check_stream(
	const struct unit_span *span, const uint8_t *encoded, const uint8_t *expected, size_t step)
{
	struct collected collected = {.limit = span->decoded_size};
	struct codec_stream *stream;
	struct error err = {0};

	assert_int_equal(codec_stream_new_span(span, &stream, &err), 0);
	for (size_t off = 0; off < span->blob_size; off += step) {
		size_t n = span->blob_size - off < step ? span->blob_size - off : step;

		if (codec_stream_feed(stream, encoded + off, n, collect, &collected, &err) < 0)
			fail_msg("%s", err.message);
	}
	assert_int_equal(collected.bytes.size, span->decoded_size);
	assert_memory_equal(collected.bytes.data, expected, span->decoded_size);
	codec_stream_free(stream);
	buffer_free(&collected.bytes);
}

void span_list_check(const struct span_list *list, const uint8_t *blob, size_t blob_size)
{
	uint64_t out_off = 0;

	assert_int_equal(list->summary.n_spans, list->n_spans);
	assert_int_equal(list->summary.blob_size, blob_size);
	for (size_t i = 0; i < list->n_spans; i++) {
		const struct unit_span *span = &list->spans[i].span;
		const uint8_t *expected = list->plain.data + out_off;
		CLEANUP(cleanup_free) uint8_t *encoded = malloc(span->blob_size);

		assert_non_null(encoded);
		assert_int_equal(list->spans[i].out_off, out_off);
		assert_null(span_problem(span, blob_size));
		memcpy(encoded, blob + span->blob_off, span->blob_size);
		check_part(span, encoded, expected, 0, span->decoded_size);
		check_unknown_end(span, encoded, expected);
		check_part(span, encoded, expected, 0, 1);
		check_part(span, encoded, expected, span->decoded_size - 1, 1);
		check_part(span, encoded, expected, span->decoded_size / 3,
			span->decoded_size / 2 + 1);
		check_stream(span, encoded, expected, 10000);
		out_off += span->decoded_size;
	}
	assert_int_equal(out_off, list->plain.size);
}

void span_list_assert_equal(const struct span_list *a, const struct span_list *b)
{
	assert_int_equal(a->n_spans, b->n_spans);
	assert_int_equal(a->plain.size, b->plain.size);
	assert_memory_equal(a->plain.data, b->plain.data, a->plain.size);
	assert_memory_equal(&a->summary, &b->summary, sizeof(a->summary));
	for (size_t i = 0; i < a->n_spans; i++) {
		struct found_span left = a->spans[i];
		struct found_span right = b->spans[i];

		assert_int_equal(left.span.window_size, right.span.window_size);
		if (left.span.window_size > 0)
			assert_memory_equal(
				left.span.window, right.span.window, left.span.window_size);
		left.span.window = right.span.window = NULL;
		assert_memory_equal(&left, &right, sizeof(left));
	}
}

void span_list_check_need(const struct span_list *list, size_t span_i, const uint8_t *blob,
	const uint8_t window[SPAN_WINDOW_SIZE])
{
	const struct found_span *found = &list->spans[span_i];
	uint8_t changed[SPAN_WINDOW_SIZE];
	size_t n_tried = 0;

	memcpy(changed, window, sizeof(changed));
	for (size_t i = 0; i < SPAN_WINDOW_SIZE && n_tried < 20; i += 1 + i % 97) {
		struct unit_span span = found->span;
		struct decoded *decoded = NULL;
		struct buffer packed = {0};
		struct error err = {0};

		if (window[i] == 0)
			continue;
		n_tried++;
		changed[i] ^= 0xff;
		assert_int_equal(span_window_pack(changed, sizeof(changed), &packed, &err), 0);
		changed[i] ^= 0xff;
		span.window = packed.data;
		span.window_size = packed.size;
		assert_int_equal(codec_decode_span(&span, blob + span.blob_off, span.blob_size, 0,
					 span.decoded_size, &decoded, &err),
			0);
		assert_memory_not_equal(decoded_data(decoded), list->plain.data + found->out_off,
			span.decoded_size);
		decoded_unref(decoded);
		buffer_free(&packed);
	}
}
