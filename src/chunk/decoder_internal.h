/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/span.h"

/* Incremental decoding of concatenated frames (gzip members, zstd frames). One thread at a time. */
struct decoder;

/* @codec: not CODEC_NONE, which needs no decoder. */
MUST_CHECK int decoder_new(enum codec codec, struct decoder **out, struct error *err);
void decoder_free(struct decoder *decoder);
void decoder_freep(struct decoder **decoder);

/* Ready for another stream, whatever happened before. */
MUST_CHECK int decoder_reset(struct decoder *decoder, struct error *err);

/* The same for the bytes of a span with the decoder's codec. ERROR_IO: its window does not unpack.
 */
MUST_CHECK int decoder_reset_span(
	struct decoder *decoder, const struct unit_span *span, struct error *err);

/* Gives back what only a large stream needs. Then only reset and free are allowed. */
void decoder_shrink(struct decoder *decoder);

/**
 * decoder_run() - decode until @out is full or the input is used up.
 * @in:  moved on by what was consumed, as is @in_size.
 * @out: @out_size bytes, at least 1; *@produced of them are written.
 */
MUST_CHECK int decoder_run(struct decoder *decoder, const uint8_t **in, size_t *in_size,
	uint8_t *out, size_t out_size, size_t *produced, struct error *err);

/* True when everything so far were whole frames, at least one. */
bool decoder_at_end(const struct decoder *decoder);
