/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of spans, which may begin in the middle of a gzip member. */
#include <inttypes.h>

#include "codec_internal.h"
#include "decoded_internal.h"

static int check_arguments(
	const struct unit_span *span, uint64_t skip, size_t size, struct error *err)
{
	const char *problem = span_problem(span, UINT64_MAX);

	if (problem)
		return error_set(
			err, ERROR_INTERNAL, "span at %" PRIu64 " %s", span->blob_off, problem);
	if (size == 0 || !range_within(skip, size, span->decoded_size))
		return error_set(err, ERROR_INTERNAL,
			"decode %zu bytes from %" PRIu64 " of a span of %" PRIu64, size, skip,
			span->decoded_size);
	return 0;
}

/* All frames of a zstd span in one call; false: not that many bytes, or broken. */
static bool decode_frames(
	ZSTD_DCtx *zstd, const void *encoded, size_t encoded_size, struct decoded *decoded)
{
	size_t size = decoded_size(decoded);

	return ZSTD_decompressDCtx(zstd, decoded_base(decoded), size, encoded, encoded_size) ==
	       size;
}

static int decode_into(const struct unit_span *span, const void *encoded, size_t encoded_size,
	uint64_t skip, struct decoded *decoded, struct error *err)
{
	size_t size = decoded_size(decoded);
	struct thread_context *context;
	struct decoder *decoder;
	ZSTD_DCtx *zstd;
	int result;

	if (span->codec == CODEC_NONE)
		return copy_plain(encoded, encoded_size, skip, decoded_base(decoded), size, err);
	if (thread_context_get(&context, err) < 0)
		return -1;
	if (span->codec == CODEC_ZSTD && skip == 0 && size == span->decoded_size) {
		if (thread_context_zstd(context, &zstd, err) < 0)
			return -1;
		if (decode_frames(zstd, encoded, encoded_size, decoded))
			return 0;
	}
	if (thread_context_decoder(context, span->codec, &decoder, err) < 0 ||
		decoder_reset_span(decoder, span, err) < 0)
		return -1;
	result =
		decode_part(decoder, encoded, encoded_size, skip, decoded_base(decoded), size, err);
	decoder_shrink(decoder);
	return result;
}

int codec_decode_span(const struct unit_span *span, const void *encoded, size_t encoded_size,
	uint64_t skip, size_t size, struct decoded **out, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;

	if (check_arguments(span, skip, size, err) < 0 || decoded_new(size, &decoded, err) < 0)
		return -1;
	if (decode_into(span, encoded, encoded_size, skip, decoded, err) < 0)
		return -1;
	*out = TAKE_PTR(decoded);
	return 0;
}
