/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of a stream that arrives in pieces, handed on in pieces. */
#include <stdlib.h>

#include "chunk/codec.h"
#include "decoder_internal.h"

enum { PIECE_SIZE = 256 << 10 };

struct codec_stream {
	struct decoder *decoder; /* owned; NULL for CODEC_NONE */
	bool had_enough;
	uint8_t *piece; /* owned; PIECE_SIZE bytes, NULL for CODEC_NONE */
};

int codec_stream_new(enum codec codec, struct codec_stream **out, struct error *err)
{
	CLEANUP(codec_stream_freep) struct codec_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a stream decoder");
	if (codec != CODEC_NONE) {
		stream->piece = malloc(PIECE_SIZE);
		if (!stream->piece)
			return error_set(err, ERROR_NO_MEMORY, "no memory for a stream decoder");
		if (decoder_new(codec, &stream->decoder, err) < 0)
			return -1;
	}
	*out = TAKE_PTR(stream);
	return 0;
}

int codec_stream_new_span(
	const struct unit_span *span, struct codec_stream **out, struct error *err)
{
	CLEANUP(codec_stream_freep) struct codec_stream *stream = NULL;

	if (codec_stream_new(span->codec, &stream, err) < 0)
		return -1;
	if (stream->decoder && decoder_reset_span(stream->decoder, span, err) < 0)
		return -1;
	*out = TAKE_PTR(stream);
	return 0;
}

void codec_stream_free(struct codec_stream *stream)
{
	if (!stream)
		return;
	decoder_free(stream->decoder);
	free(stream->piece);
	free(stream);
}

void codec_stream_freep(struct codec_stream **stream)
{
	codec_stream_free(*stream);
	*stream = NULL;
}

/* The next decoded bytes: of the input itself, or of the decoder's. */
static int next_piece(struct codec_stream *stream, const uint8_t **in, size_t *in_size,
	const uint8_t **piece, size_t *piece_size, struct error *err)
{
	if (stream->decoder) {
		*piece = stream->piece;
		return decoder_run(
			stream->decoder, in, in_size, stream->piece, PIECE_SIZE, piece_size, err);
	}
	*piece = *in;
	*piece_size = *in_size < PIECE_SIZE ? *in_size : PIECE_SIZE;
	*in += *piece_size;
	*in_size -= *piece_size;
	return 0;
}

int codec_stream_feed(struct codec_stream *stream, const void *encoded, size_t encoded_size,
	int (*sink)(void *arg, const uint8_t *data, size_t size, struct error *err), void *arg,
	struct error *err)
{
	const uint8_t *in = encoded;

	while (!stream->had_enough) {
		const uint8_t *piece;
		size_t piece_size;
		int result;

		if (next_piece(stream, &in, &encoded_size, &piece, &piece_size, err) < 0)
			return -1;
		if (piece_size == 0)
			return 0;
		result = sink(arg, piece, piece_size, err);
		if (result < 0)
			return -1;
		stream->had_enough = result > 0;
	}
	return 1;
}

int codec_stream_end(struct codec_stream *stream, struct error *err)
{
	if (stream->had_enough || !stream->decoder || decoder_at_end(stream->decoder))
		return 0;
	return error_set(err, ERROR_FORMAT, "encoded bytes end in the middle of a frame");
}
