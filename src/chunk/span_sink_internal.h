/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/gzip_indexer.h"

/* What indexers of every codec do with decoded bytes: they count them span by span and hand them on
 * in pieces. */
struct span_sink {
	struct gzip_indexer_options options; /* with a span_size */
	struct decoded *piece;               /* owned; NULL: none begun */
	size_t piece_size;
	uint64_t out_off; /* decoded bytes so far */

	/* The span that is being decoded. */
	uint64_t span_i;
	uint64_t span_out_off;
};

void span_sink_init(struct span_sink *sink, const struct gzip_indexer_options *options);
void span_sink_clear(struct span_sink *sink);

/* Where the next decoded bytes go, at least one. */
MUST_CHECK int span_sink_room(
	struct span_sink *sink, uint8_t **room, size_t *room_size, struct error *err);
/* That many have been put there. */
MUST_CHECK int span_sink_put(struct span_sink *sink, size_t size, struct error *err);

/* Decoded bytes of the span so far. */
uint64_t span_sink_decoded(const struct span_sink *sink);

/* The span is complete, and the next one begins: sets its decoded_size, and tells of it. Nothing is
 * told of one without bytes. */
MUST_CHECK int span_sink_end_span(
	struct span_sink *sink, struct unit_span *span, struct error *err);
