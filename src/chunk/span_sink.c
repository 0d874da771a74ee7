/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded bytes on their way from an indexer to whoever gave it its options. */
#include "span_sink_internal.h"

#include "decoded_internal.h"

enum { PIECE_SIZE = 256 << 10 };

void span_sink_init(struct span_sink *sink, const struct gzip_indexer_options *options)
{
	sink->options = *options;
	if (options->span_size == 0)
		sink->options.span_size = SPAN_DEFAULT_SIZE;
}

void span_sink_clear(struct span_sink *sink)
{
	decoded_unref(sink->piece);
}

static int emit_piece(struct span_sink *sink, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *piece = TAKE_PTR(sink->piece);

	if (!piece || sink->piece_size == 0)
		return 0;
	decoded_narrow(piece, 0, sink->piece_size);
	sink->piece_size = 0;
	return sink->options.data(sink->options.arg, sink->span_i, piece, err);
}

int span_sink_room(struct span_sink *sink, uint8_t **room, size_t *room_size, struct error *err)
{
	if (!sink->piece && decoded_new(PIECE_SIZE, &sink->piece, err) < 0)
		return -1;
	*room = decoded_base(sink->piece) + sink->piece_size;
	*room_size = PIECE_SIZE - sink->piece_size;
	return 0;
}

int span_sink_put(struct span_sink *sink, size_t size, struct error *err)
{
	sink->out_off += size;
	sink->piece_size += size;
	return sink->piece_size == PIECE_SIZE ? emit_piece(sink, err) : 0;
}

uint64_t span_sink_decoded(const struct span_sink *sink)
{
	return sink->out_off - sink->span_out_off;
}

int span_sink_end_span(struct span_sink *sink, struct unit_span *span, struct error *err)
{
	uint64_t out_off = sink->span_out_off;

	span->decoded_size = span_sink_decoded(sink);
	if (span->decoded_size == 0)
		return 0;
	if (emit_piece(sink, err) < 0)
		return -1;
	sink->span_out_off = sink->out_off;
	return sink->options.found(sink->options.arg, sink->span_i++, out_off, span, err);
}
