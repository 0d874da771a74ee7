/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes zstd blobs front to back and finds where their frames begin. */
#include "chunk/zstd_indexer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "span_sink_internal.h"

/* Of a window, 128 MiB: what zstd's own decoder takes unless it is told otherwise, and with it
 * those that decode the spans later. */
enum { MAX_WINDOW_LOG = 27 };

enum { MAX_HEADER_SIZE = 18 }; /* of a frame, with its magic; RFC 8878, section 3.1.1 */

struct zstd_indexer {
	struct span_sink sink;
	ZSTD_DCtx *context; /* owned */
	bool in_frame;
	uint64_t n_frames;
	uint64_t in_off; /* encoded bytes consumed */
	uint64_t span_in_off;

	/* The frame that is being decoded. */
	uint64_t frame_off;
	uint64_t frame_out_off;
	uint8_t head[MAX_HEADER_SIZE]; /* its first bytes */
	size_t head_size;
};

int zstd_indexer_new(
	const struct gzip_indexer_options *options, struct zstd_indexer **out, struct error *err)
{
	CLEANUP(zstd_indexer_freep) struct zstd_indexer *indexer = calloc(1, sizeof(*indexer));

	if (indexer)
		indexer->context = ZSTD_createDCtx();
	if (!indexer || !indexer->context)
		return error_set(err, ERROR_NO_MEMORY, "no memory to index a zstd stream");
	if (ZSTD_isError(
		    ZSTD_DCtx_setParameter(indexer->context, ZSTD_d_windowLogMax, MAX_WINDOW_LOG)))
		return error_set(err, ERROR_INTERNAL, "zstd takes no limit of windows");
	span_sink_init(&indexer->sink, options);
	*out = TAKE_PTR(indexer);
	return 0;
}

void zstd_indexer_free(struct zstd_indexer *indexer)
{
	if (!indexer)
		return;
	(void)ZSTD_freeDCtx(indexer->context);
	span_sink_clear(&indexer->sink);
	free(indexer);
}

void zstd_indexer_freep(struct zstd_indexer **indexer)
{
	zstd_indexer_free(*indexer);
	*indexer = NULL;
}

/* Between frames. Frames without contents belong to the span behind them. */
static int end_span(struct zstd_indexer *indexer, struct error *err)
{
	struct unit_span span = {
		.blob_off = indexer->span_in_off,
		.blob_size = indexer->in_off - indexer->span_in_off,
		.codec = CODEC_ZSTD,
	};

	if (span_sink_decoded(&indexer->sink) > 0)
		indexer->span_in_off = indexer->in_off;
	return span_sink_end_span(&indexer->sink, &span, err);
}

static int zstd_failed(const struct zstd_indexer *indexer, size_t result, struct error *err)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return error_set(err, ERROR_NO_MEMORY, "no memory to decode zstd");
	case ZSTD_error_dictionary_wrong:
		return error_set(err, ERROR_UNSUPPORTED,
			"the zstd frame at byte %" PRIu64
			" needs a dictionary, which no image can carry: compress the layer "
			"without one",
			indexer->frame_off);
	case ZSTD_error_frameParameter_windowTooLarge:
		return error_set(err, ERROR_UNSUPPORTED,
			"the zstd frame at byte %" PRIu64
			" needs a window of more than %d MiB: compress the layer with a smaller "
			"one (zstd --long=%d or less)",
			indexer->frame_off, 1 << (MAX_WINDOW_LOG - 20), MAX_WINDOW_LOG);
	case ZSTD_error_frameParameter_unsupported:
		return error_set(err, ERROR_UNSUPPORTED,
			"the zstd frame at byte %" PRIu64
			" uses what version 1 of the format reserves",
			indexer->frame_off);
	case ZSTD_error_prefix_unknown:
		return error_set(err, ERROR_FORMAT,
			"no zstd frame at byte %" PRIu64
			", where the blob begins or the frame before it ends",
			indexer->frame_off);
	default:
		return error_set(err, ERROR_FORMAT,
			"the zstd frame at byte %" PRIu64 " is not valid near byte %" PRIu64 ": %s",
			indexer->frame_off, indexer->in_off, ZSTD_getErrorName(result));
	}
}

/* @n_in bytes at @in were consumed. */
static void account(struct zstd_indexer *indexer, const uint8_t *in, size_t n_in)
{
	size_t room = MAX_HEADER_SIZE - indexer->head_size;
	size_t size = n_in < room ? n_in : room;

	memcpy(indexer->head + indexer->head_size, in, size);
	indexer->head_size += size;
	indexer->in_off += n_in;
}

/* zstd compares what a frame says of its size with what it is only where it gets the frame as a
 * whole, or its last block has contents. A frame that is decoded now has to be one that is decoded
 * later, in whatever way. */
static int check_frame_size(const struct zstd_indexer *indexer, struct error *err)
{
	unsigned long long stated = ZSTD_getFrameContentSize(indexer->head, indexer->head_size);
	uint64_t actual = indexer->sink.out_off - indexer->frame_out_off;

	if (stated == ZSTD_CONTENTSIZE_UNKNOWN || stated == actual)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"the zstd frame at byte %" PRIu64 " says that it decodes to another size than "
		"%" PRIu64 " bytes",
		indexer->frame_off, actual);
}

static int end_frame(struct zstd_indexer *indexer, struct error *err)
{
	struct span_sink *sink = &indexer->sink;

	if (check_frame_size(indexer, err) < 0)
		return -1;
	indexer->n_frames++;
	indexer->frame_off = indexer->in_off;
	indexer->frame_out_off = sink->out_off;
	indexer->head_size = 0;
	if (span_sink_decoded(sink) < sink->options.span_size / 2)
		return 0;
	return end_span(indexer, err);
}

/* One call of zstd. *@starved: it needs more input. */
static int decode_some(
	struct zstd_indexer *indexer, ZSTD_inBuffer *in, bool *starved, struct error *err)
{
	ZSTD_outBuffer out = {0};
	size_t before = in->pos;
	uint8_t *room;
	size_t result;

	if (span_sink_room(&indexer->sink, &room, &out.size, err) < 0)
		return -1;
	out.dst = room;
	result = ZSTD_decompressStream(indexer->context, &out, in);
	account(indexer, (const uint8_t *)in->src + before, in->pos - before);
	if (ZSTD_isError(result))
		return zstd_failed(indexer, result, err);
	indexer->in_frame = result != 0;
	/* With room left there is nothing more in its own buffers. */
	*starved = in->pos == in->size && (result == 0 || out.pos < out.size);
	if (span_sink_put(&indexer->sink, out.pos, err) < 0)
		return -1;
	return result == 0 ? end_frame(indexer, err) : 0;
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
			"the blob ends at byte %" PRIu64
			", in the middle of the zstd frame at byte %" PRIu64,
			indexer->in_off, indexer->frame_off);
	if (indexer->n_frames == 0)
		return error_set(err, ERROR_FORMAT, "an empty blob is not zstd");
	return end_span(indexer, err);
}
