/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes zstd blobs front to back and finds where their frames begin. */
#include "chunk/zstd_indexer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>

#include "decoded_internal.h"

enum { PIECE_SIZE = 256 << 10 };

struct zstd_indexer {
	struct gzip_indexer_options options;
	ZSTD_DCtx *context; /* owned */
	bool in_frame;
	uint64_t n_frames;
	uint64_t in_off;       /* encoded bytes consumed */
	uint64_t out_off;      /* decoded bytes */
	struct decoded *piece; /* owned; NULL: none begun */
	size_t piece_size;

	/* The span that is being decoded. */
	uint64_t span_i;
	uint64_t span_in_off;
	uint64_t span_out_off;
};

int zstd_indexer_new(
	const struct gzip_indexer_options *options, struct zstd_indexer **out, struct error *err)
{
	CLEANUP(zstd_indexer_freep) struct zstd_indexer *indexer = calloc(1, sizeof(*indexer));

	if (indexer)
		indexer->context = ZSTD_createDCtx();
	if (!indexer || !indexer->context)
		return error_set(err, ERROR_NO_MEMORY, "no memory to index a zstd stream");
	indexer->options = *options;
	if (options->span_size == 0)
		indexer->options.span_size = SPAN_DEFAULT_SIZE;
	*out = TAKE_PTR(indexer);
	return 0;
}

void zstd_indexer_free(struct zstd_indexer *indexer)
{
	if (!indexer)
		return;
	(void)ZSTD_freeDCtx(indexer->context);
	decoded_unref(indexer->piece);
	free(indexer);
}

void zstd_indexer_freep(struct zstd_indexer **indexer)
{
	zstd_indexer_free(*indexer);
	*indexer = NULL;
}

static int emit_piece(struct zstd_indexer *indexer, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *piece = TAKE_PTR(indexer->piece);

	if (!piece || indexer->piece_size == 0)
		return 0;
	decoded_narrow(piece, 0, indexer->piece_size);
	indexer->piece_size = 0;
	return indexer->options.data(indexer->options.arg, indexer->span_i, piece, err);
}

static uint64_t span_decoded(const struct zstd_indexer *indexer)
{
	return indexer->out_off - indexer->span_out_off;
}

/* Between frames. Frames without contents belong to the span behind them. */
static int end_span(struct zstd_indexer *indexer, struct error *err)
{
	const struct unit_span span = {
		.blob_off = indexer->span_in_off,
		.blob_size = indexer->in_off - indexer->span_in_off,
		.decoded_size = span_decoded(indexer),
		.codec = CODEC_ZSTD,
	};
	uint64_t out_off = indexer->span_out_off;

	if (emit_piece(indexer, err) < 0)
		return -1;
	if (span.decoded_size == 0)
		return 0;
	indexer->span_in_off = indexer->in_off;
	indexer->span_out_off = indexer->out_off;
	return indexer->options.found(indexer->options.arg, indexer->span_i++, out_off, &span, err);
}

/* One call of zstd. *@starved: it needs more input. */
static int decode_some(
	struct zstd_indexer *indexer, ZSTD_inBuffer *in, bool *starved, struct error *err)
{
	ZSTD_outBuffer out = {0};
	size_t before = in->pos;
	size_t result;

	if (!indexer->piece && decoded_new(PIECE_SIZE, &indexer->piece, err) < 0)
		return -1;
	out.dst = decoded_base(indexer->piece) + indexer->piece_size;
	out.size = PIECE_SIZE - indexer->piece_size;
	result = ZSTD_decompressStream(indexer->context, &out, in);
	if (ZSTD_isError(result))
		return error_set(err, ERROR_FORMAT, "not valid zstd near byte %" PRIu64 ": %s",
			indexer->in_off + (in->pos - before), ZSTD_getErrorName(result));
	indexer->in_off += in->pos - before;
	indexer->out_off += out.pos;
	indexer->piece_size += out.pos;
	indexer->in_frame = result != 0;
	indexer->n_frames += result == 0;
	/* With room left there is nothing more in its own buffers. */
	*starved = in->pos == in->size && (result == 0 || out.pos < out.size);
	if (indexer->piece_size == PIECE_SIZE && emit_piece(indexer, err) < 0)
		return -1;
	if (result == 0 && span_decoded(indexer) >= indexer->options.span_size / 2)
		return end_span(indexer, err);
	return 0;
}

int zstd_indexer_feed(
	struct zstd_indexer *indexer, const void *encoded, size_t encoded_size, struct error *err)
{
	ZSTD_inBuffer in = {.src = encoded, .size = encoded_size};
	bool starved = encoded_size == 0;

	while (!starved) {
		if (decode_some(indexer, &in, &starved, err) < 0)
			return -1;
	}
	return 0;
}

int zstd_indexer_end(struct zstd_indexer *indexer, struct error *err)
{
	if (indexer->in_frame)
		return error_set(err, ERROR_FORMAT,
			"the blob ends at byte %" PRIu64 ", in the middle of a zstd frame",
			indexer->in_off);
	if (indexer->n_frames == 0)
		return error_set(err, ERROR_FORMAT, "an empty blob is not zstd");
	return end_span(indexer, err);
}
