/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a span a possible one, and the packing of windows. */
#include "chunk/span.h"

#include <string.h>

#include "thread_context_internal.h"

/* A mount waits for the windows of a whole ztoc. Level 12 makes them 6 % smaller and takes six
 * times as long. */
enum { WINDOW_LEVEL = 3 };

static bool is_zero_digest(const struct unit_span *span)
{
	static const uint8_t zeros[sizeof(span->digest)];

	return memcmp(span->digest, zeros, sizeof(zeros)) == 0;
}

const char *span_problem(const struct unit_span *span, uint64_t blob_size)
{
	if (span->blob_size == 0 || span->decoded_size == 0)
		return "is empty";
	if (!range_within(span->blob_off, span->blob_size, blob_size))
		return "ends behind the blob";
	if (span->decoded_size > INT64_MAX)
		return "has decoded bytes beyond all limits";
	if (span->codec > CODEC_ZSTD)
		return "has an unknown codec";
	if (span->digest_kind > SPAN_DIGEST_ENCODED)
		return "has a digest of an unknown kind";
	if (span->digest_kind == SPAN_DIGEST_NONE && !is_zero_digest(span))
		return "has a digest of nothing";
	if (span->in_member && span->codec != CODEC_GZIP)
		return "begins inside a member, which only gzip has";
	if (!span->in_member && (span->bits != 0 || span->window_size != 0))
		return "has what only spans inside a member need";
	if (span->bits > 7 || span->end_bits > 8)
		return "begins or ends beyond the bits of a byte";
	if (span->window_size > SPAN_MAX_PACKED_WINDOW || (span->window_size > 0 && !span->window))
		return "has an impossible window";
	return NULL;
}

const char *span_unit_problem(const struct unit_span *span, const struct unit *unit)
{
	if (unit->flags & UNIT_ZEROS)
		return NULL;
	if (!span)
		return unit->flags & UNIT_IN_SPAN ? "has no span to vouch for it" : NULL;
	if (unit->codec != span->codec || unit->blob_size != span->blob_size)
		return "has other encoded bytes than its span";
	if (!range_within(unit->inner_off, unit->size, span->decoded_size))
		return "ends behind its span";
	if ((unit->flags & UNIT_IN_SPAN) && span->digest_kind == SPAN_DIGEST_NONE)
		return "has a span that vouches for nothing";
	return NULL;
}

int span_window_pack(const uint8_t *window, size_t size, struct buffer *out, struct error *err)
{
	uint8_t packed[SPAN_MAX_PACKED_WINDOW];
	size_t packed_size;

	if (size > SPAN_WINDOW_SIZE)
		return error_set(err, ERROR_INTERNAL, "pack a window of %zu bytes", size);
	while (size > 0 && *window == 0) {
		window++;
		size--;
	}
	if (size == 0)
		return 0;
	packed_size = ZSTD_compress(packed, sizeof(packed), window, size, WINDOW_LEVEL);
	if (ZSTD_isError(packed_size) || buffer_append(out, packed, packed_size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to pack a window");
	return 0;
}

int span_window_unpack(const uint8_t *packed, size_t packed_size, uint8_t window[SPAN_WINDOW_SIZE],
	struct error *err)
{
	struct thread_context *context;
	ZSTD_DCtx *zstd;
	size_t size = 0;

	if (packed_size > 0) {
		if (thread_context_get(&context, err) < 0 ||
			thread_context_zstd(context, &zstd, err) < 0)
			return -1;
		size = ZSTD_decompressDCtx(zstd, window, SPAN_WINDOW_SIZE, packed, packed_size);
		if (ZSTD_isError(size))
			return error_set(err, ERROR_FORMAT, "packed window of %zu bytes: %s",
				packed_size, ZSTD_getErrorName(size));
	}
	memmove(window + SPAN_WINDOW_SIZE - size, window, size);
	memset(window, 0, SPAN_WINDOW_SIZE - size);
	return 0;
}
