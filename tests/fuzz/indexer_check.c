/* SPDX-License-Identifier: Apache-2.0 */
#include "indexer_check.h"

#include <stdlib.h>
#include <string.h>

#include "chunk/codec.h"

static int take_data(void *arg, uint64_t span, struct decoded *piece, struct error *err)
{
	struct indexed *indexed = arg;

	require(span == indexed->n_spans);
	require(buffer_append(&indexed->plain, decoded_data(piece), decoded_size(piece)) == 0);
	if (indexed->plain.size > INDEXED_MAX_SIZE)
		return error_set(err, ERROR_UNSUPPORTED, "enough");
	return 0;
}

static int take_span(void *arg, uint64_t span, uint64_t out_off, const struct unit_span *found,
	struct error *err)
{
	struct indexed *indexed = arg;
	struct unit_span *copy = &indexed->spans[span];
	uint8_t *window;

	if (span == INDEXED_MAX_SPANS)
		return error_set(err, ERROR_UNSUPPORTED, "enough");
	require(span == indexed->n_spans);
	require(out_off + found->decoded_size == indexed->plain.size);
	require(span_problem(found, UINT64_MAX) == NULL);
	indexed->out_offs[indexed->n_spans++] = out_off;
	*copy = *found;
	if (found->window_size == 0)
		return 0;
	window = malloc(found->window_size);
	require(window != NULL);
	memcpy(window, found->window, found->window_size);
	copy->window = window;
	return 0;
}

struct gzip_indexer_options indexed_options(struct indexed *out, uint64_t span_size)
{
	return (struct gzip_indexer_options){
		.span_size = span_size, .data = take_data, .found = take_span, .arg = out};
}

void indexed_clear(struct indexed *indexed)
{
	for (uint64_t i = 0; i < indexed->n_spans; i++)
		free((void *)indexed->spans[i].window);
	buffer_free(&indexed->plain);
}

void indexed_require_same(const struct indexed *a, const struct indexed *b)
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

void indexed_require_spans(const struct buffer *blob, const struct indexed *indexed)
{
	for (uint64_t i = 0; i < indexed->n_spans; i++) {
		const uint8_t *expected = indexed->plain.data + indexed->out_offs[i];
		struct unit_span span = indexed->spans[i];

		require(range_within(span.blob_off, span.blob_size, blob->size));
		check_span(blob, &span, expected);
		/* By the other decoder. */
		span.end_bits = 0;
		check_span(blob, &span, expected);
	}
}
