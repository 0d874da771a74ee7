/* SPDX-License-Identifier: Apache-2.0 */
/* Incremental decoding with zlib and zstd behind one interface. */
#include "decoder_internal.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
	/* inflateInit2(): a window of 2^15 bytes, and gzip only or deflate only. */
	GZIP_WINDOW_BITS = 15 + 16,
	RAW_WINDOW_BITS = -15,
	GZIP_TRAILER_SIZE = 8,
	/* zlib counts in 32 bits. */
	ZLIB_MAX = 1 << 30,
	/* A context larger than this holds the window of a stream. */
	ZSTD_KEEP_SIZE = 1 << 20,
};

struct decoder {
	enum codec codec;
	bool at_end;
	z_stream zlib;
	/* Gzip that began inside a member, until that member ends. */
	bool is_raw;
	unsigned prime_bits;   /* of the first byte, which is still to come; 0: all */
	unsigned trailer_left; /* bytes of that member's trailer */
	ZSTD_DCtx
		*zstd; /* owned; NULL for gzip, and between decoder_shrink() and decoder_reset() */
};

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a decoder");
}

int decoder_new(enum codec codec, struct decoder **out, struct error *err)
{
	CLEANUP(cleanup_free) struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return out_of_memory(err);
	decoder->codec = codec;
	switch (codec) {
	case CODEC_GZIP:
		if (inflateInit2(&decoder->zlib, GZIP_WINDOW_BITS) != Z_OK)
			return out_of_memory(err);
		break;
	case CODEC_ZSTD:
		decoder->zstd = ZSTD_createDCtx();
		if (!decoder->zstd)
			return out_of_memory(err);
		break;
	default:
		return error_set(err, ERROR_UNSUPPORTED, "no decoder for codec %d", (int)codec);
	}
	*out = TAKE_PTR(decoder);
	return 0;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	if (decoder->codec == CODEC_GZIP)
		(void)inflateEnd(&decoder->zlib);
	(void)ZSTD_freeDCtx(decoder->zstd);
	free(decoder);
}

void decoder_freep(struct decoder **decoder)
{
	decoder_free(*decoder);
	*decoder = NULL;
}

int decoder_reset(struct decoder *decoder, struct error *err)
{
	decoder->at_end = false;
	decoder->is_raw = false;
	decoder->prime_bits = 0;
	decoder->trailer_left = 0;
	if (decoder->codec == CODEC_GZIP) {
		if (inflateReset2(&decoder->zlib, GZIP_WINDOW_BITS) != Z_OK)
			return error_set(err, ERROR_INTERNAL, "zlib cannot be reset");
		return 0;
	}
	if (!decoder->zstd)
		decoder->zstd = ZSTD_createDCtx();
	if (!decoder->zstd)
		return out_of_memory(err);
	(void)ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only);
	return 0;
}

int decoder_reset_span(struct decoder *decoder, const struct unit_span *span, struct error *err)
{
	uint8_t window[SPAN_WINDOW_SIZE];
	struct error cause;

	if (decoder_reset(decoder, err) < 0)
		return -1;
	if (!span->in_member)
		return 0;
	if (span_window_unpack(span->window, span->window_size, window, &cause) < 0)
		return error_set(err, cause.kind == ERROR_FORMAT ? ERROR_IO : cause.kind,
			"the index of the layer is damaged: %s", cause.message);
	if (inflateReset2(&decoder->zlib, RAW_WINDOW_BITS) != Z_OK ||
		inflateSetDictionary(&decoder->zlib, window, sizeof(window)) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "zlib cannot begin inside a member");
	decoder->is_raw = true;
	decoder->prime_bits = span->bits;
	return 0;
}

void decoder_shrink(struct decoder *decoder)
{
	if (ZSTD_sizeof_DCtx(decoder->zstd) <= ZSTD_KEEP_SIZE)
		return;
	(void)ZSTD_freeDCtx(decoder->zstd);
	decoder->zstd = NULL;
}

/* The bits of the first byte that belong to the span. */
static int prime(struct decoder *decoder, const uint8_t **in, size_t *in_size, struct error *err)
{
	unsigned bits = decoder->prime_bits;

	if (bits == 0 || *in_size == 0)
		return 0;
	if (inflatePrime(&decoder->zlib, (int)bits, **in >> (8 - bits)) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "zlib cannot begin inside a byte");
	++*in;
	--*in_size;
	decoder->prime_bits = 0;
	return 0;
}

/* What zlib does itself where it has read the member's header. Its contents concern the whole
 * member, of which we saw a part. */
static void skip_trailer(struct decoder *decoder, const uint8_t **in, size_t *in_size)
{
	size_t n = *in_size < decoder->trailer_left ? *in_size : decoder->trailer_left;

	*in += n;
	*in_size -= n;
	decoder->trailer_left -= (unsigned)n;
	decoder->at_end = decoder->trailer_left == 0;
}

static int member_ended(struct decoder *decoder, const uint8_t **in, size_t *in_size)
{
	decoder->at_end = !decoder->is_raw;
	if (decoder->is_raw) {
		decoder->is_raw = false;
		decoder->trailer_left = GZIP_TRAILER_SIZE;
		skip_trailer(decoder, in, in_size);
	}
	return 0;
}

/* One call of inflate() on at most ZLIB_MAX bytes. */
static int inflate_some(struct decoder *decoder, const uint8_t **in, size_t *in_size, uint8_t **out,
	size_t *out_size, struct error *err)
{
	z_stream *zlib = &decoder->zlib;
	unsigned given = *in_size < ZLIB_MAX ? (unsigned)*in_size : ZLIB_MAX;
	unsigned room = *out_size < ZLIB_MAX ? (unsigned)*out_size : ZLIB_MAX;
	int result;

	zlib->next_in = (z_const Bytef *)*in;
	zlib->avail_in = given;
	zlib->next_out = *out;
	zlib->avail_out = room;
	result = inflate(zlib, Z_NO_FLUSH);
	*in += given - zlib->avail_in;
	*in_size -= given - zlib->avail_in;
	*out += room - zlib->avail_out;
	*out_size -= room - zlib->avail_out;

	switch (result) {
	case Z_STREAM_END:
		return member_ended(decoder, in, in_size);
	case Z_OK:
	case Z_BUF_ERROR: /* no progress without more input or room */
		return 0;
	case Z_MEM_ERROR:
		return out_of_memory(err);
	default:
		return error_set(
			err, ERROR_FORMAT, "not valid gzip: %s", zlib->msg ? zlib->msg : "damaged");
	}
}

static int step_gzip(struct decoder *decoder, const uint8_t **in, size_t *in_size, uint8_t **out,
	size_t *out_size, struct error *err)
{
	if (decoder->trailer_left > 0) {
		skip_trailer(decoder, in, in_size);
		return 0;
	}
	if (decoder->at_end && inflateReset2(&decoder->zlib, GZIP_WINDOW_BITS) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "zlib cannot be reset");
	decoder->at_end = false;
	if (prime(decoder, in, in_size, err) < 0)
		return -1;
	return inflate_some(decoder, in, in_size, out, out_size, err);
}

static int step_zstd(struct decoder *decoder, const uint8_t **in, size_t *in_size, uint8_t **out,
	size_t *out_size, struct error *err)
{
	ZSTD_inBuffer input = {.src = *in, .size = *in_size};
	ZSTD_outBuffer output = {.dst = *out, .size = *out_size};
	size_t result = ZSTD_decompressStream(decoder->zstd, &output, &input);

	if (ZSTD_isError(result))
		return error_set(
			err, ERROR_FORMAT, "not valid zstd: %s", ZSTD_getErrorName(result));
	*in += input.pos;
	*in_size -= input.pos;
	*out += output.pos;
	*out_size -= output.pos;
	decoder->at_end = result == 0;
	return 0;
}

int decoder_run(struct decoder *decoder, const uint8_t **in, size_t *in_size, uint8_t *out,
	size_t out_size, size_t *produced, struct error *err)
{
	uint8_t *start = out;

	while (out_size > 0 && (*in_size > 0 || !decoder->at_end)) {
		size_t in_before = *in_size;
		size_t out_before = out_size;
		int result = decoder->codec == CODEC_GZIP
				     ? step_gzip(decoder, in, in_size, &out, &out_size, err)
				     : step_zstd(decoder, in, in_size, &out, &out_size, err);

		if (result < 0)
			return -1;
		if (*in_size == in_before && out_size == out_before)
			break;
	}
	*produced = (size_t)(out - start);
	return 0;
}

bool decoder_at_end(const struct decoder *decoder)
{
	return decoder->at_end;
}
