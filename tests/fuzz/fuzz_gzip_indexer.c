/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a gzip blob: the same spans come out however it arrives, and each of them decodes by
 * itself. The first byte chooses the size of spans, the second the pieces in which the blob
 * arrives; where its highest bit is set the rest is a deflate stream, to which a right header and
 * trailer are made, so that not every change ends at a checksum. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "chunk/gzip_indexer.h"
#include "support/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 20, MAX_SPANS = 64 };

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

struct result {
	bool complete;
	struct buffer plain;
	uint64_t n_spans;
	struct unit_span spans[MAX_SPANS]; /* their windows are owned */
	uint64_t out_offs[MAX_SPANS];
};

static int take_data(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	struct result *result = arg;

	require(span == result->n_spans);
	require(buffer_append(&result->plain, decoded_data(piece), decoded_size(piece)) == 0);
	if (result->plain.size > LIMIT)
		return error_set(err, ERROR_UNSUPPORTED, "enough");
	return 0;
}

static int take_span(void *arg, uint64_t span, uint64_t out_off, const struct unit_span *found,
	struct error *err)
{
	struct result *result = arg;
	struct unit_span *copy = &result->spans[span];
	uint8_t *window;

	if (span == MAX_SPANS)
		return error_set(err, ERROR_UNSUPPORTED, "enough");
	require(span == result->n_spans);
	require(out_off + found->decoded_size == result->plain.size);
	require(span_problem(found, UINT64_MAX) == NULL);
	result->out_offs[result->n_spans++] = out_off;
	*copy = *found;
	if (found->window_size == 0)
		return 0;
	window = malloc(found->window_size);
	require(window != NULL);
	memcpy(window, found->window, found->window_size);
	copy->window = window;
	return 0;
}

static void run(const struct buffer *blob, uint64_t span_size, size_t step, struct result *out)
{
	const struct gzip_indexer_options options = {
		.span_size = span_size, .data = take_data, .found = take_span, .arg = out};
	struct gzip_indexer_summary summary;
	struct gzip_indexer *indexer;

	require(gzip_indexer_new(&options, &indexer, NULL) == 0);
	out->complete = true;
	for (size_t off = 0; out->complete && off < blob->size; off += step) {
		size_t n = blob->size - off < step ? blob->size - off : step;

		out->complete = gzip_indexer_feed(indexer, blob->data + off, n, NULL) == 0;
	}
	out->complete = out->complete && gzip_indexer_end(indexer, &summary, NULL) == 0;
	if (out->complete) {
		require(summary.blob_size == blob->size);
		require(summary.decoded_size == out->plain.size);
		require(summary.n_spans == out->n_spans);
	}
	gzip_indexer_free(indexer);
}

static void clear(struct result *result)
{
	for (uint64_t i = 0; i < result->n_spans; i++)
		free((void *)result->spans[i].window);
	buffer_free(&result->plain);
}

static void check_same(const struct result *a, const struct result *b)
{
	require(a->complete == b->complete && a->n_spans == b->n_spans);
	require(a->plain.size == b->plain.size);
	for (uint64_t i = 0; i < a->n_spans; i++) {
		require(a->spans[i].blob_off == b->spans[i].blob_off);
		require(a->spans[i].blob_size == b->spans[i].blob_size);
		require(a->spans[i].window_size == b->spans[i].window_size);
	}
}

static void check_span(
	const struct buffer *blob, const struct unit_span *span, const uint8_t *expected)
{
	size_t size = (size_t)span->decoded_size;
	struct decoded *decoded;

	require(codec_decode_span(span, blob->data + span->blob_off, (size_t)span->blob_size, 0,
			size, &decoded, NULL) == 0);
	require(memcmp(decoded_data(decoded), expected, size) == 0);
	decoded_unref(decoded);
}

static void check_spans(const struct buffer *blob, const struct result *result)
{
	for (uint64_t i = 0; i < result->n_spans; i++) {
		const uint8_t *expected = result->plain.data + result->out_offs[i];
		struct unit_span span = result->spans[i];

		require(range_within(span.blob_off, span.blob_size, blob->size));
		check_span(blob, &span, expected);
		/* By the other decoder. */
		span.end_bits = 0;
		check_span(blob, &span, expected);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result at_once = {0}, in_pieces = {0};
	struct buffer blob = {0};
	uint64_t span_size;
	size_t step;

	if (size < 3)
		return 0;
	span_size = 1 + (uint64_t)data[0] * 400;
	step = 1 + (data[1] & 0x7f);
	if (data[1] & 0x80)
		wrap_deflate(data + 2, size - 2, LIMIT, &blob);
	else
		require(buffer_append(&blob, data + 2, size - 2) == 0);
	run(&blob, span_size, blob.size, &at_once);
	run(&blob, span_size, step, &in_pieces);
	if (at_once.complete || in_pieces.complete) {
		check_same(&at_once, &in_pieces);
		check_spans(&blob, &at_once);
	}
	clear(&at_once);
	clear(&in_pieces);
	buffer_free(&blob);
	return 0;
}
