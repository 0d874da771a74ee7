/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "chunk/unit.h"

/* What vouches for units that have no digest of their own (UNIT_IN_SPAN). */
enum span_digest {
	SPAN_DIGEST_NONE = 0,    /* nothing: every unit has one of its own */
	SPAN_DIGEST_DECODED = 1, /* SHA-256 of all decoded bytes of the span */
	SPAN_DIGEST_ENCODED = 2, /* SHA-256 of its bytes of the blob, as a SOCI ztoc has it */
};

enum {
	/* RFC 1951: a deflate stream reaches back no further than this. */
	SPAN_WINDOW_SIZE = 32 << 10,
	/* A packed window is at most this large. */
	SPAN_MAX_PACKED_WINDOW = 33 << 10,
	/* How much a span decodes to unless somebody chooses otherwise. */
	SPAN_DEFAULT_SIZE = 4 << 20,
};

/* A run of encoded bytes that is decoded by itself, and needs more than the rows of its units to be
 * decoded or verified: a piece of a gzip stream that begins in the middle of a member, or units
 * that only a digest of the whole vouches for. Its units are those with its blob_off and blob_size;
 * their inner_off counts from the span's first decoded byte.
 *
 * Neighbours overlap by a byte of the blob where a border is inside that byte. */
struct unit_span {
	uint64_t blob_off; /* encoded bytes: [blob_off, blob_off + blob_size) of the blob */
	uint64_t blob_size;
	uint64_t decoded_size;
	uint8_t digest[32]; /* of what digest_kind says; zeros: of nothing */
	enum span_digest digest_kind;
	enum codec codec;

	/* Gzip: begins inside a member, at a border between deflate blocks. Otherwise the span
	 * begins with the header of a member, or a frame. What is below is only for such spans. */
	bool in_member;
	/* How many (the upper ones) bits of the first byte belong to it; 0: all of them. */
	unsigned bits;
	/* How many (the lower ones) bits of the last byte belong to it, 8 being all, where it ends
	 * at a border inside a member; 0: it ends otherwise, or nobody knows. Makes decoding twice
	 * as fast; a wrong one gives errors or wrong bytes, as a wrong window does. */
	unsigned end_bits;
	/* What the stream decodes to before the span, as far as the span needs it; packed. NULL
	 * with size 0: nothing. Borrowed. */
	const uint8_t *window;
	size_t window_size;
};

/* NULL, or what is wrong with a span of a blob of this size: for those who read spans from outside.
 * A window that does not unpack is not noticed here. */
const char *span_problem(const struct unit_span *span, uint64_t blob_size);

/* NULL, or what is wrong with a unit of this span; @span NULL: of no span. */
const char *span_unit_problem(const struct unit_span *span, const struct unit *unit);

/**
 * span_window_pack() - pack the bytes before a span.
 * @window: the last @size bytes before it, at most SPAN_WINDOW_SIZE. Those that the span does not
 *          refer to may be zeroed, which makes the result small.
 * @out:    appended to; nothing when all bytes are zero.
 */
MUST_CHECK int span_window_pack(
	const uint8_t *window, size_t size, struct buffer *out, struct error *err);

/* The inverse; what was not packed, or is further back, becomes zeros. ERROR_FORMAT when it is no
 * packed window. */
MUST_CHECK int span_window_unpack(const uint8_t *packed, size_t packed_size,
	uint8_t window[SPAN_WINDOW_SIZE], struct error *err);
