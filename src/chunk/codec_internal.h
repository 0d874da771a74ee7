/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/codec.h"
#include "thread_context_internal.h"

/* codec.c, for codec_span.c */

/* [skip, skip + size) of what the decoder delivers from here on. */
MUST_CHECK int decode_part(struct decoder *decoder, const uint8_t *in, size_t in_size,
	uint64_t skip, uint8_t *out, size_t size, struct error *err);

/* The same of bytes that are not encoded. */
MUST_CHECK int copy_plain(const uint8_t *in, size_t in_size, uint64_t skip, uint8_t *out,
	size_t size, struct error *err);

/* Bytes [skip, skip + size) of a span. */
struct span_call {
	const struct unit_span *span;
	const uint8_t *encoded;
	size_t encoded_size;
	uint64_t skip;
	size_t size;
	struct thread_context *context;
};

/* codec_span.c: by a decoder of whole streams. *out stays as it is when the span is not for those,
 * or broken. */
MUST_CHECK int span_decode_whole(
	const struct span_call *call, struct decoded **out, struct error *err);
