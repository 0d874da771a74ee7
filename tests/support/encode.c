/* SPDX-License-Identifier: Apache-2.0 */
#include "support/encode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static void require(int condition)
{
	if (!condition)
		abort();
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

void fill_random(uint8_t *data, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)next_random(&seed);
}

void fill_text(uint8_t *data, size_t size, uint32_t seed)
{
	static const char *const words[] = {"layer ", "chunk ", "varve ", "sediment ", "of ",
		"the ", "lake\n", "season ", "thin ", "12345 "};
	size_t filled = 0;

	while (filled < size) {
		const char *word = words[next_random(&seed) % (sizeof(words) / sizeof(words[0]))];

		for (; *word && filled < size; word++)
			data[filled++] = (uint8_t)*word;
	}
}

void fill_mixture(uint8_t *data, size_t size, uint32_t seed)
{
	size_t filled = 0;

	while (filled < size) {
		uint32_t choice = next_random(&seed);
		size_t n = 1 + choice % 60000;
		size_t back = 1 + next_random(&seed) % (32 << 10);

		n = n < size - filled ? n : size - filled;
		if (choice % 5 == 0)
			memset(data + filled, 0, n);
		else if (choice % 5 == 1)
			fill_random(data + filled, n, seed);
		else if (choice % 5 == 2 && back <= filled)
			for (size_t i = 0; i < n; i++)
				data[filled + i] = data[filled + i - back];
		else
			fill_text(data + filled, n, seed);
		filled += n;
	}
}

void encode_gzip_member(
	const struct gzip_style *style, const void *data, size_t size, struct buffer *out)
{
	gz_header header = {.os = 255, .name = (Bytef *)style->name};
	size_t step = style->flush_every > 0 ? style->flush_every : size;
	z_stream zlib = {0};
	size_t done = 0;

	require(deflateInit2(&zlib, style->level, Z_DEFLATED, 15 + 16, 8, style->strategy) == Z_OK);
	require(deflateSetHeader(&zlib, &header) == Z_OK);
	require(buffer_reserve(out, deflateBound(&zlib, size) + 64 + size / (step + 1) * 16) == 0);
	zlib.next_out = out->data + out->size;
	zlib.avail_out = (unsigned)(out->capacity - out->size);
	zlib.next_in = (z_const Bytef *)data;
	for (; size - done > step; done += step) {
		zlib.avail_in = (unsigned)step;
		require(deflate(&zlib, Z_FULL_FLUSH) == Z_OK);
		require(zlib.avail_in == 0);
	}
	zlib.avail_in = (unsigned)(size - done);
	require(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
	out->size += zlib.total_out;
	require(deflateEnd(&zlib) == Z_OK);
}

static void encode_gzip(const void *data, size_t size, struct buffer *out)
{
	const struct gzip_style style = {.level = 6, .strategy = Z_DEFAULT_STRATEGY};

	encode_gzip_member(&style, data, size, out);
}

void encode_frame(enum codec codec, const void *data, size_t size, struct buffer *out)
{
	if (codec == CODEC_GZIP) {
		encode_gzip(data, size, out);
	} else if (codec == CODEC_ZSTD) {
		size_t room = ZSTD_compressBound(size);
		size_t encoded;

		require(buffer_reserve(out, room) == 0);
		encoded = ZSTD_compress(out->data + out->size, room, data, size, 3);
		require(!ZSTD_isError(encoded));
		out->size += encoded;
	} else {
		require(buffer_append(out, data, size) == 0);
	}
}

void encode_zstd_of_unknown_size(const void *data, size_t size, struct buffer *out)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(size);
	ZSTD_inBuffer input = {.src = data, .size = size};
	ZSTD_outBuffer output = {0};

	require(zstd != NULL);
	require(buffer_reserve(out, room) == 0);
	output.dst = out->data + out->size;
	output.size = room;
	require(ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_flush) == 0);
	require(ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_end) == 0);
	out->size += output.pos;
	require(ZSTD_freeCCtx(zstd) == 0);
}

void wrap_deflate(const uint8_t *deflate, size_t size, size_t limit, struct buffer *out)
{
	static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	uint8_t *plain = malloc(limit);
	z_stream zlib = {.next_in = (z_const Bytef *)deflate, .avail_in = (unsigned)size};
	uint8_t trailer[8];

	require(plain && inflateInit2(&zlib, -15) == Z_OK);
	zlib.next_out = plain;
	zlib.avail_out = (unsigned)limit;
	(void)inflate(&zlib, Z_FINISH);
	le32_store(trailer, (uint32_t)crc32(0, plain, (unsigned)limit - zlib.avail_out));
	le32_store(trailer + 4, (uint32_t)(limit - zlib.avail_out));
	require(buffer_append(out, header, sizeof(header)) == 0);
	require(buffer_append(out, deflate, size - zlib.avail_in) == 0);
	require(buffer_append(out, trailer, sizeof(trailer)) == 0);
	require(buffer_append(out, zlib.next_in, zlib.avail_in) == 0);
	require(inflateEnd(&zlib) == Z_OK);
	free(plain);
}
