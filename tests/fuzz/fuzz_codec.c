/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as gzip or zstd: every way of decoding gives the same bytes. The first byte chooses the
 * codec, the next two where decoding starts and how far it goes. */
#include <string.h>

#include "chunk/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static int collect(void *arg, const uint8_t *data, size_t size, struct error *err)
{
	struct buffer *out = arg;

	(void)err;
	require(buffer_append(out, data, size) == 0);
	return out->size >= LIMIT;
}

/* By the stream decoder, in small pieces; true when the input ended with a frame. */
static bool decode_pieces(enum codec codec, const uint8_t *in, size_t in_size, struct buffer *out)
{
	struct codec_stream *stream;
	bool whole = true;

	require(codec_stream_new(codec, &stream, NULL) == 0);
	for (size_t off = 0; whole && off < in_size; off += 97)
		whole = codec_stream_feed(stream, in + off, in_size - off < 97 ? in_size - off : 97,
				collect, out, NULL) >= 0;
	whole = whole && codec_stream_end(stream, NULL) == 0;
	codec_stream_free(stream);
	return whole;
}

static void check_part(enum codec codec, const uint8_t *in, size_t in_size, size_t skip,
	size_t part_size, const struct buffer *plain)
{
	struct decoded *decoded = NULL;
	uint8_t *out = malloc(part_size);
	int direct, pooled;

	require(out != NULL);
	direct = codec_decode(codec, in, in_size, skip, out, part_size, NULL);
	pooled = codec_decode_new(codec, in, in_size, skip, part_size, &decoded, NULL);
	require(direct == pooled);
	if (direct == 0)
		require(memcmp(out, decoded_data(decoded), part_size) == 0);
	if (direct == 0 && skip + part_size <= plain->size)
		require(memcmp(out, plain->data + skip, part_size) == 0);
	decoded_unref(decoded);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer plain = {0}, all = {0};
	enum codec codec;
	bool whole;

	if (size < 3)
		return 0;
	codec = (enum codec)(data[0] % 3);
	whole = decode_pieces(codec, data + 3, size - 3, &plain);
	if (codec_decode_all(codec, data + 3, size - 3, LIMIT - 1, &all, NULL) == 0) {
		require(whole && all.size == plain.size);
		require(all.size == 0 || memcmp(all.data, plain.data, all.size) == 0);
	} else {
		require(!whole || plain.size >= LIMIT);
	}
	check_part(codec, data + 3, size - 3, (size_t)data[1] * 5, (size_t)data[2] * 7 + 1, &plain);
	if (plain.size > 0)
		check_part(codec, data + 3, size - 3, 0, plain.size, &plain);
	buffer_free(&plain);
	buffer_free(&all);
	return 0;
}
