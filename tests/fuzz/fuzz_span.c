/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as those of a span that claims anything: every way of decoding it gives the same bytes,
 * unless it claims to end where it does not, which only has to do no harm. Layout: flags and codec,
 * bits, sizes, the window as it is packed or to be packed, the rest. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "chunk/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_SIZE = 10, IN_MEMBER = 4, PACKED = 8 };

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* A copy without a byte more, so that reading too far is found. */
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	require(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

static int decode(const struct unit_span *span, const uint8_t *encoded, size_t encoded_size,
	uint64_t skip, size_t size, struct decoded **out)
{
	*out = NULL;
	return codec_decode_span(span, encoded, encoded_size, skip, size, out, NULL);
}

struct collected {
	struct buffer bytes;
	size_t limit;
};

static int collect(void *arg, const uint8_t *data, size_t size, struct error *err)
{
	struct collected *collected = arg;
	size_t left = collected->limit - collected->bytes.size;

	(void)err;
	require(buffer_append(&collected->bytes, data, size < left ? size : left) == 0);
	return size >= left;
}

static void check_stream(const struct unit_span *span, const uint8_t *encoded, size_t encoded_size,
	struct decoded *whole)
{
	struct collected collected = {.limit = (size_t)span->decoded_size};
	struct codec_stream *stream;
	int result = 0;

	require(codec_stream_new_span(span, &stream, NULL) == 0);
	for (size_t off = 0; result == 0 && off < encoded_size; off += 11)
		result = codec_stream_feed(stream, encoded + off,
			encoded_size - off < 11 ? encoded_size - off : 11, collect, &collected,
			NULL);
	/* What the whole-stream decoder accepts the other may find fault with, not change. */
	require(memcmp(collected.bytes.data ? (const void *)collected.bytes.data : "",
			decoded_data(whole), collected.bytes.size) == 0);
	codec_stream_free(stream);
	buffer_free(&collected.bytes);
}

static void check(const struct unit_span *span, const uint8_t *encoded, size_t encoded_size,
	uint64_t skip, size_t size)
{
	bool comparable = !span->in_member || span->end_bits == 0;
	struct decoded *whole, *part;

	if (decode(span, encoded, encoded_size, skip, size, &part) == 0)
		require(decoded_size(part) == size);
	if (decode(span, encoded, encoded_size, 0, (size_t)span->decoded_size, &whole) == 0 &&
		comparable) {
		if (part)
			require(memcmp(decoded_data(whole) + skip, decoded_data(part), size) == 0);
		check_stream(span, encoded, encoded_size, whole);
	}
	decoded_unref(whole);
	decoded_unref(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer packed = {0};
	struct unit_span span = {0};
	size_t window_size, part_size;
	uint8_t *encoded, *window = NULL;
	uint64_t skip;

	if (size < HEADER_SIZE)
		return 0;
	span.codec = (enum codec)(data[0] % 3);
	span.in_member = data[0] & IN_MEMBER;
	span.bits = data[1] & 15;
	span.end_bits = data[1] >> 4;
	span.decoded_size = 1 + (uint64_t)le16_load(data + 2);
	skip = le16_load(data + 4);
	part_size = 1 + (size_t)le16_load(data + 6);
	window_size = le16_load(data + 8);
	if (window_size > size - HEADER_SIZE)
		window_size = size - HEADER_SIZE;
	if (data[0] & PACKED) {
		require(buffer_append(&packed, data + HEADER_SIZE, window_size) == 0);
	} else if (window_size <= SPAN_WINDOW_SIZE) {
		require(span_window_pack(data + HEADER_SIZE, window_size, &packed, NULL) == 0);
	}
	data += HEADER_SIZE + window_size;
	size -= HEADER_SIZE + window_size;
	if (packed.size > 0)
		span.window = window = copy_of(packed.data, packed.size);
	span.window_size = packed.size;
	span.blob_size = size;

	encoded = copy_of(data, size);
	if (!span_problem(&span, UINT64_MAX) && skip + part_size <= span.decoded_size)
		check(&span, encoded, size, skip, part_size);
	free(encoded);
	free(window);
	buffer_free(&packed);
	return 0;
}
