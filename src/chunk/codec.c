/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of encoded bytes that are all in memory: whole frames by the fastest decoder where they
 * fit, else a stream that stops when enough has come out. */
#include "chunk/codec.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "codec_internal.h"
#include "decoded_internal.h"

enum {
	/* Header and trailer of a gzip member around an empty deflate stream. */
	GZIP_MIN_SIZE = 18,
	/* RFC 1951: at best two bits stand for 258 bytes. */
	GZIP_MAX_RATIO = 1032,
	/* Decoding whole frames pays as long as little of them is thrown away. */
	MAX_SKIP = 64 << 10,
	MAX_FRAME_SIZE = 16 << 20,
	STEP_SIZE = 64 << 10,
};

/* What the first frame says that it decodes to, or 0. From outside: a hint. */
static uint64_t frame_size_hint(enum codec codec, const uint8_t *in, size_t in_size)
{
	if (codec == CODEC_GZIP) {
		/* ISIZE, RFC 1952 section 2.3.1; of the last member, usually the only one. */
		return in_size < GZIP_MIN_SIZE ? 0 : le32_load(in + in_size - 4);
	}
	if (codec == CODEC_ZSTD) {
		unsigned long long size = ZSTD_getFrameContentSize(in, in_size);

		if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR)
			return size;
	}
	return 0;
}

/* The first frame decoded as a whole. */
struct frame {
	bool fits; /* false: too large for the room, or broken; *out is undefined */
	size_t consumed;
	size_t produced;
};

static int decode_member(struct thread_context *context, const uint8_t *in, size_t in_size,
	uint8_t *out, size_t room, struct frame *frame, struct error *err)
{
	struct libdeflate_decompressor *libdeflate;

	if (thread_context_libdeflate(context, &libdeflate, err) < 0)
		return -1;
	frame->fits = libdeflate_gzip_decompress_ex(libdeflate, in, in_size, out, room,
			      &frame->consumed, &frame->produced) == LIBDEFLATE_SUCCESS;
	return 0;
}

static int decode_zstd_frame(struct thread_context *context, const uint8_t *in, size_t in_size,
	uint8_t *out, size_t room, struct frame *frame, struct error *err)
{
	ZSTD_DCtx *zstd;

	if (thread_context_zstd(context, &zstd, err) < 0)
		return -1;
	frame->consumed = ZSTD_findFrameCompressedSize(in, in_size);
	if (ZSTD_isError(frame->consumed))
		return 0;
	frame->produced = ZSTD_decompressDCtx(zstd, out, room, in, frame->consumed);
	frame->fits = !ZSTD_isError(frame->produced);
	return 0;
}

static int decode_frame(struct thread_context *context, enum codec codec, const uint8_t *in,
	size_t in_size, uint8_t *out, size_t room, struct frame *frame, struct error *err)
{
	*frame = (struct frame){0};
	if (codec == CODEC_GZIP)
		return decode_member(context, in, in_size, out, room, frame, err);
	return decode_zstd_frame(context, in, in_size, out, room, frame, err);
}

static int too_short(struct error *err, uint64_t got, uint64_t wanted)
{
	return error_set(err, ERROR_FORMAT,
		"encoded bytes end after %" PRIu64 " decoded bytes of %" PRIu64, got, wanted);
}

int decode_part(struct decoder *decoder, const uint8_t *in, size_t in_size, uint64_t skip,
	uint8_t *out, size_t size, struct error *err)
{
	uint8_t thrown_away[STEP_SIZE];
	uint64_t off = 0;
	size_t produced;

	while (off < skip) {
		uint64_t left = skip - off;
		size_t step = left < sizeof(thrown_away) ? (size_t)left : sizeof(thrown_away);

		if (decoder_run(decoder, &in, &in_size, thrown_away, step, &produced, err) < 0)
			return -1;
		if (produced == 0)
			return too_short(err, off, skip + size);
		off += produced;
	}
	if (decoder_run(decoder, &in, &in_size, out, size, &produced, err) < 0)
		return -1;
	if (produced < size)
		return too_short(err, skip + produced, skip + size);
	return 0;
}

static int decode_stream(struct thread_context *context, enum codec codec, const uint8_t *in,
	size_t in_size, uint64_t skip, uint8_t *out, size_t size, struct error *err)
{
	struct decoder *decoder;
	int result;

	if (thread_context_decoder(context, codec, &decoder, err) < 0)
		return -1;
	result = decode_part(decoder, in, in_size, skip, out, size, err);
	decoder_shrink(decoder);
	return result;
}

int copy_plain(const uint8_t *in, size_t in_size, uint64_t skip, uint8_t *out, size_t size,
	struct error *err)
{
	if (!range_within(skip, size, in_size))
		return too_short(err, in_size, skip + size);
	memcpy(out, in + skip, size);
	return 0;
}

static int check_arguments(
	enum codec codec, uint64_t skip, size_t size, uint64_t *end, struct error *err)
{
	if (codec != CODEC_NONE && codec != CODEC_GZIP && codec != CODEC_ZSTD)
		return error_set(err, ERROR_UNSUPPORTED, "no decoder for codec %d", (int)codec);
	if (size == 0 || !u64_add(skip, size, end))
		return error_set(err, ERROR_INTERNAL,
			"decode %zu bytes from %" PRIu64 ": no such range", size, skip);
	return 0;
}

int codec_decode(enum codec codec, const void *encoded, size_t encoded_size, uint64_t skip,
	void *out, size_t size, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	struct thread_context *context;
	struct frame frame;
	uint64_t end = 0;

	if (check_arguments(codec, skip, size, &end, err) < 0)
		return -1;
	if (codec == CODEC_NONE)
		return copy_plain(encoded, encoded_size, skip, out, size, err);
	if (thread_context_get(&context, err) < 0)
		return -1;

	if (skip == 0 && frame_size_hint(codec, encoded, encoded_size) == size) {
		if (decode_frame(context, codec, encoded, encoded_size, out, size, &frame, err) < 0)
			return -1;
		if (frame.fits && frame.produced == size)
			return 0;
		return decode_stream(context, codec, encoded, encoded_size, skip, out, size, err);
	}
	if (skip > MAX_SKIP || end > MAX_FRAME_SIZE)
		return decode_stream(context, codec, encoded, encoded_size, skip, out, size, err);

	if (codec_decode_new(codec, encoded, encoded_size, skip, size, &decoded, err) < 0)
		return -1;
	memcpy(out, decoded_data(decoded), size);
	return 0;
}

/* How much memory to take for [skip, end) of the decoded bytes: with room for the whole frame
 * unless that is out of proportion. */
static size_t room_for(uint64_t hint, uint64_t skip, uint64_t end)
{
	uint64_t most = end + end / 4;

	if (skip > MAX_SKIP)
		return (size_t)(end - skip);
	return (size_t)(hint > end && hint <= most ? hint : end);
}

int codec_decode_new(enum codec codec, const void *encoded, size_t encoded_size, uint64_t skip,
	size_t size, struct decoded **out, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	struct thread_context *context;
	uint64_t hint, end = 0;
	size_t room;

	if (check_arguments(codec, skip, size, &end, err) < 0)
		return -1;
	hint = frame_size_hint(codec, encoded, encoded_size);
	if (decoded_new(room_for(hint, skip, end), &decoded, err) < 0)
		return -1;
	room = decoded_capacity(decoded);

	if (codec == CODEC_NONE) {
		decoded_narrow(decoded, 0, size);
		if (copy_plain(encoded, encoded_size, skip, decoded_base(decoded), size, err) < 0)
			return -1;
		*out = TAKE_PTR(decoded);
		return 0;
	}
	if (thread_context_get(&context, err) < 0)
		return -1;
	if (skip <= MAX_SKIP && hint <= room) {
		struct frame frame;

		if (decode_frame(context, codec, encoded, encoded_size, decoded_base(decoded), room,
			    &frame, err) < 0)
			return -1;
		if (frame.fits && frame.produced >= end) {
			decoded_narrow(decoded, (size_t)skip, size);
			*out = TAKE_PTR(decoded);
			return 0;
		}
	}
	decoded_narrow(decoded, 0, size);
	if (decode_stream(context, codec, encoded, encoded_size, skip, decoded_base(decoded), size,
		    err) < 0)
		return -1;
	*out = TAKE_PTR(decoded);
	return 0;
}

/* The rest of the input, in steps. */
static int append_stream(struct decoder *decoder, const uint8_t *in, size_t in_size, size_t limit,
	struct buffer *buffer, struct error *err)
{
	size_t produced;

	do {
		uint8_t beyond;
		size_t room = limit - buffer->size < STEP_SIZE ? limit - buffer->size : STEP_SIZE;

		if (room == 0) {
			if (decoder_run(decoder, &in, &in_size, &beyond, 1, &produced, err) < 0)
				return -1;
			if (produced > 0)
				return error_set(err, ERROR_FORMAT,
					"decodes to more than the allowed %zu bytes", limit);
			break;
		}
		if (buffer_reserve(buffer, room) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for decoded bytes");
		if (decoder_run(decoder, &in, &in_size, buffer->data + buffer->size, room,
			    &produced, err) < 0)
			return -1;
		buffer->size += produced;
	} while (produced > 0);

	if (!decoder_at_end(decoder))
		return error_set(err, ERROR_FORMAT,
			"encoded bytes end in the middle of a frame, after %zu decoded bytes",
			buffer->size);
	return 0;
}

/* One frame, as a whole, in place. *@consumed is 0 when that is not possible. */
static int append_frame(struct thread_context *context, enum codec codec, const uint8_t *in,
	size_t in_size, size_t limit, struct buffer *buffer, size_t *consumed, struct error *err)
{
	uint64_t hint = frame_size_hint(codec, in, in_size);
	struct frame frame;

	*consumed = 0;
	if (hint == 0 || hint > limit - buffer->size)
		return 0;
	if (codec == CODEC_GZIP && hint / GZIP_MAX_RATIO > in_size)
		return 0;
	if (buffer_reserve(buffer, (size_t)hint) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for decoded bytes");
	heap_prefer_huge(buffer->data);
	if (decode_frame(context, codec, in, in_size, buffer->data + buffer->size, (size_t)hint,
		    &frame, err) < 0)
		return -1;
	if (!frame.fits)
		return 0;
	buffer->size += frame.produced;
	*consumed = frame.consumed;
	return 0;
}

static int append_all(enum codec codec, const uint8_t *in, size_t in_size, size_t limit,
	struct buffer *buffer, struct error *err)
{
	struct thread_context *context;
	struct decoder *decoder;
	int result;

	if (thread_context_get(&context, err) < 0)
		return -1;
	for (;;) {
		size_t consumed;

		if (append_frame(context, codec, in, in_size, limit, buffer, &consumed, err) < 0)
			return -1;
		if (consumed == 0)
			break;
		in += consumed;
		in_size -= consumed;
		if (in_size == 0)
			return 0;
	}
	if (thread_context_decoder(context, codec, &decoder, err) < 0)
		return -1;
	result = append_stream(decoder, in, in_size, limit, buffer, err);
	decoder_shrink(decoder);
	return result;
}

int codec_decode_all(enum codec codec, const void *encoded, size_t encoded_size, size_t limit,
	struct buffer *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer buffer = {0};
	uint64_t end = 0;

	if (check_arguments(codec, 0, 1, &end, err) < 0)
		return -1;
	if (codec == CODEC_NONE && encoded_size > limit)
		return error_set(err, ERROR_FORMAT, "%zu bytes are more than the allowed %zu",
			encoded_size, limit);
	if (codec == CODEC_NONE) {
		if (buffer_append(&buffer, encoded, encoded_size) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for plain bytes");
	} else if (append_all(codec, encoded, encoded_size, limit, &buffer, err) < 0) {
		return -1;
	}
	if (buffer_append(&buffer, NULL, 0) < 0) /* the 0 behind the bytes */
		return error_set(err, ERROR_NO_MEMORY, "no memory for decoded bytes");
	*out = buffer;
	buffer = (struct buffer){0};
	return 0;
}
