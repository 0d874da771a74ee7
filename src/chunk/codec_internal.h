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
