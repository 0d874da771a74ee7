/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of spans, which may begin in the middle of a gzip member: by decoders of whole streams
 * where the span can be made one, else by a stream decoder that begins with the span's window. */
#include <inttypes.h>
#include <string.h>

#include "codec_internal.h"
#include "decoded_internal.h"

enum {
	/* Above this the memory for a whole span is worth more than the time. */
	MAX_WHOLE_SIZE = 16 << 20,
	/* The decoder of whole streams is about so many times as fast. */
	WHOLE_SPEED = 2,

	/* RFC 1951 section 3.2.4: three bits, padding to a byte, LEN, NLEN. */
	STORED_HEADER_SIZE = 5,
	/* Section 3.2.6, from the lowest bit: BFINAL, BTYPE 01, and the seven zeros that end the
	 * block. */
	FIXED_BLOCK = 2,
	LAST_FIXED_BLOCK = 3,
	FIXED_BLOCK_BITS = 10,
	/* Bytes of all blocks that are added to those of a span, rounded up. */
	MAX_EMPTY_BLOCKS = 24,
};

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

/* Whether its beginning and its end let the span be decoded as a whole, and whether to do so
 * although not all of it may be wanted. */
static bool pays_as_a_whole(const struct span_call *call)
{
	const struct unit_span *span = call->span;

	if (span->codec == CODEC_NONE ||
		(span->codec == CODEC_GZIP && span->in_member != (span->end_bits > 0)))
		return false;
	return span->decoded_size <= MAX_WHOLE_SIZE &&
	       (call->skip + call->size) * WHOLE_SPEED >= span->decoded_size;
}

/* All frames of a zstd span. *fits stays false when they are not that many bytes, or broken. */
static int decode_frames(
	const struct span_call *call, uint8_t *out, size_t size, bool *fits, struct error *err)
{
	ZSTD_DCtx *zstd;

	if (thread_context_zstd(call->context, &zstd, err) < 0)
		return -1;
	*fits = ZSTD_decompressDCtx(zstd, out, size, call->encoded, call->encoded_size) == size;
	return 0;
}

/* The same of the members of a gzip span that begins with one and ends with one. */
static int decode_members(
	const struct span_call *call, uint8_t *out, size_t size, bool *fits, struct error *err)
{
	struct libdeflate_decompressor *libdeflate;
	const uint8_t *in = call->encoded;
	size_t in_size = call->encoded_size;
	size_t consumed, produced;

	if (thread_context_libdeflate(call->context, &libdeflate, err) < 0)
		return -1;
	while (size > 0) {
		if (libdeflate_gzip_decompress_ex(libdeflate, in, in_size, out, size, &consumed,
			    &produced) != LIBDEFLATE_SUCCESS)
			break;
		in += consumed;
		in_size -= consumed;
		out += produced;
		size -= produced;
	}
	*fits = size == 0;
	return 0;
}

/* Appends @n_bits bits, the lowest first. What is behind them in their last byte becomes zeros. */
static void put_bits(uint8_t *out, size_t *at, uint64_t value, unsigned n_bits)
{
	for (unsigned i = 0; i < n_bits; i++, ++*at) {
		if (*at % 8 == 0)
			out[*at / 8] = 0;
		out[*at / 8] |= (uint8_t)((value >> i & 1) << *at % 8);
	}
}

/* Blocks that decode to nothing, of so many bits that (these + @n_bits) is a multiple of eight: the
 * span begins at the bit of a byte where it always did, because stored blocks in it go on at whole
 * bytes. Returns the bits they take. */
static size_t put_empty_blocks(uint8_t *out, unsigned n_bits)
{
	/* RFC 1951 section 3.2.7: codes of length 2 for "zero" and "many zeros" and of length 1
	 * for "one"; one code of length 1, for the end of the block, behind 256 that there are
	 * not; no code for distances; the end of the block. 93 bits. */
	static const struct {
		uint64_t value;
		unsigned n_bits;
	} dynamic_block[] = {{0, 1}, {2, 2}, {0, 5}, {0, 5}, {18 - 4, 4}, {0, 2 * 3}, {2, 3},
		{2, 3}, {0, 13 * 3}, {1, 3}, {3, 2}, {138 - 11, 7}, {3, 2}, {118 - 11, 7}, {0, 1},
		{1, 2}, {0, 1}};
	size_t at = 0;

	if (n_bits % 2 != 0) {
		for (size_t i = 0; i < sizeof(dynamic_block) / sizeof(dynamic_block[0]); i++)
			put_bits(out, &at, dynamic_block[i].value, dynamic_block[i].n_bits);
	}
	while ((at + n_bits) % 8 != 0)
		put_bits(out, &at, FIXED_BLOCK, FIXED_BLOCK_BITS);
	return at;
}

/* The blocks of a span that ends at a border inside the member, behind empty ones and before an
 * empty last one. Returns the size of all; 0: there are no bits between beginning and end. */
static size_t copy_blocks(const struct span_call *call, uint8_t *out)
{
	const struct unit_span *span = call->span;
	unsigned n_before = span->bits > 0 ? 8 - span->bits : 0;
	size_t at = put_empty_blocks(out, span->bits);
	uint8_t *first = out + at / 8;
	uint8_t before = n_before > 0 ? *first : 0;
	uint8_t *last = first + call->encoded_size - 1;

	if (call->encoded_size == 1 && span->end_bits <= n_before)
		return 0;
	memcpy(first, call->encoded, call->encoded_size);
	*first = (uint8_t)(*first >> n_before << n_before) | before;
	at = (size_t)(last - out) * 8 + span->end_bits;
	*last &= (uint8_t)((1u << span->end_bits) - 1);
	put_bits(out, &at, LAST_FIXED_BLOCK, FIXED_BLOCK_BITS);
	return (at + 7) / 8;
}

/* A span of deflate blocks, from memory for the window and the span: the window becomes a block in
 * front of the others. */
static int decode_blocks(
	const struct span_call *call, uint8_t *out, size_t size, bool *fits, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *stream = NULL;
	struct libdeflate_decompressor *libdeflate;
	const struct unit_span *span = call->span;
	size_t head_size = STORED_HEADER_SIZE + SPAN_WINDOW_SIZE;
	size_t blocks_size;
	uint8_t *head;

	if (thread_context_libdeflate(call->context, &libdeflate, err) < 0 ||
		decoded_new(head_size + call->encoded_size + MAX_EMPTY_BLOCKS, &stream, err) < 0)
		return -1;
	head = decoded_data(stream);
	head[0] = 0;
	le16_store(head + 1, SPAN_WINDOW_SIZE);
	le16_store(head + 3, (uint16_t)~SPAN_WINDOW_SIZE);
	blocks_size = copy_blocks(call, head + head_size);
	if (blocks_size == 0 || span_window_unpack(span->window, span->window_size,
					head + STORED_HEADER_SIZE, NULL) < 0)
		return 0;
	*fits = libdeflate_deflate_decompress(libdeflate, head, head_size + blocks_size, out, size,
			NULL) == LIBDEFLATE_SUCCESS;
	return 0;
}

int span_decode_whole(const struct span_call *call, struct decoded **out, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	const struct unit_span *span = call->span;
	size_t before = span->in_member ? SPAN_WINDOW_SIZE : 0;
	size_t size = before + (size_t)span->decoded_size;
	uint8_t *base;
	bool fits = false;
	int result;

	if (decoded_new(size, &decoded, err) < 0)
		return -1;
	base = decoded_base(decoded);
	if (span->codec == CODEC_ZSTD)
		result = decode_frames(call, base, size, &fits, err);
	else if (span->in_member)
		result = decode_blocks(call, base, size, &fits, err);
	else
		result = decode_members(call, base, size, &fits, err);
	if (result < 0)
		return -1;
	if (fits) {
		decoded_narrow(decoded, before + (size_t)call->skip, call->size);
		*out = TAKE_PTR(decoded);
	}
	return 0;
}

static int decode_part_of_span(
	const struct span_call *call, struct decoded *decoded, struct error *err)
{
	struct decoder *decoder;
	int result;

	if (thread_context_decoder(call->context, call->span->codec, &decoder, err) < 0 ||
		decoder_reset_span(decoder, call->span, err) < 0)
		return -1;
	result = decode_part(decoder, call->encoded, call->encoded_size, call->skip,
		decoded_base(decoded), call->size, err);
	decoder_shrink(decoder);
	return result;
}

int codec_decode_span(const struct unit_span *span, const void *encoded, size_t encoded_size,
	uint64_t skip, size_t size, struct decoded **out, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	struct span_call call = {
		.span = span,
		.encoded = encoded,
		.encoded_size = encoded_size,
		.skip = skip,
		.size = size,
	};

	if (check_arguments(span, skip, size, err) < 0 ||
		thread_context_get(&call.context, err) < 0)
		return -1;
	if (encoded_size > 0 && pays_as_a_whole(&call)) {
		if (span_decode_whole(&call, &decoded, err) < 0)
			return -1;
		if (decoded) {
			*out = TAKE_PTR(decoded);
			return 0;
		}
	}
	if (decoded_new(size, &decoded, err) < 0)
		return -1;
	if (span->codec == CODEC_NONE) {
		if (copy_plain(encoded, encoded_size, skip, decoded_base(decoded), size, err) < 0)
			return -1;
	} else if (decode_part_of_span(&call, decoded, err) < 0) {
		return -1;
	}
	*out = TAKE_PTR(decoded);
	return 0;
}
