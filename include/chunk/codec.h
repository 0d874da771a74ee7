/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "chunk/decoded.h"
#include "chunk/span.h"
#include "chunk/unit.h"

/**
 * codec_decode() - bytes [skip, skip + size) of what an encoded range decodes to.
 * @encoded: starts at a frame (gzip member, zstd frame); may hold several, and may end with
 *           encoded bytes that are not needed: decoding stops when @out is full.
 * @out:     @size bytes; contents undefined on failure.
 * @err:     ERROR_FORMAT when the bytes are no such stream, or end before skip + size bytes.
 *
 * Never allocates in proportion to what a header claims. Threads: workers; pure CPU.
 * Spec: RFC 1952, RFC 8878.
 */
MUST_CHECK int codec_decode(enum codec codec, const void *encoded, size_t encoded_size,
	uint64_t skip, void *out, size_t size, struct error *err);

/**
 * codec_decode_new() - the same into memory of the pool.
 * @out: bytes [skip, skip + size); release with decoded_unref().
 *
 * Faster than codec_decode(): what follows the wanted bytes in a frame (the next tar headers) has
 * room, so that the fast decoders, which need the whole frame, write in place.
 */
MUST_CHECK int codec_decode_new(enum codec codec, const void *encoded, size_t encoded_size,
	uint64_t skip, size_t size, struct decoded **out, struct error *err);

/**
 * codec_decode_span() - bytes [skip, skip + size) of what a span decodes to.
 * @encoded: the span's bytes of the blob, from span->blob_off on.
 * @size:    at least 1, and not beyond span->decoded_size.
 * @out:     as of codec_decode_new().
 * @err:     ERROR_FORMAT when the bytes are no such stream, or end too early; ERROR_IO when the
 *           span's window does not unpack, which is the fault of whoever kept the span.
 *
 * Goes over the ends of gzip members and zstd frames. Threads: workers; pure CPU.
 * Spec: RFC 1951, RFC 1952.
 */
MUST_CHECK int codec_decode_span(const struct unit_span *span, const void *encoded,
	size_t encoded_size, uint64_t skip, size_t size, struct decoded **out, struct error *err);

/**
 * codec_decode_all() - all that the encoded bytes decode to.
 * @limit: more than this is ERROR_FORMAT.
 * @out:   empty buffer; filled on success. Memory grows with what was decoded, not with what a
 *         header claims.
 */
MUST_CHECK int codec_decode_all(enum codec codec, const void *encoded, size_t encoded_size,
	size_t limit, struct buffer *out, struct error *err);

/* Decoding of a stream that arrives in pieces and whose output may not fit in memory. */
struct codec_stream;
MUST_CHECK int codec_stream_new(enum codec codec, struct codec_stream **out, struct error *err);
/* The same for the bytes of a span; @span is not needed afterwards. */
MUST_CHECK int codec_stream_new_span(
	const struct unit_span *span, struct codec_stream **out, struct error *err);
void codec_stream_free(struct codec_stream *stream);
void codec_stream_freep(struct codec_stream **stream);

/**
 * codec_stream_feed() - decode the next encoded bytes.
 * @sink: gets the decoded bytes, at most 256 KiB a call; -1 with @err set aborts, 1 means that
 *        enough was seen: feeding returns 1 and ignores the rest.
 *
 * Return: 0 go on, 1 the sink had enough, -1 with @err set.
 */
MUST_CHECK int codec_stream_feed(struct codec_stream *stream, const void *encoded,
	size_t encoded_size,
	int (*sink)(void *arg, const uint8_t *data, size_t size, struct error *err), void *arg,
	struct error *err);

/* ERROR_FORMAT unless the input ended at the end of a frame. */
MUST_CHECK int codec_stream_end(struct codec_stream *stream, struct error *err);
