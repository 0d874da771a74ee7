/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "chunk/codec.h"
#include "support/encode.h"

enum { PLAIN_SIZE = 2 << 20 };

static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_ZSTD};

/* Collects, and has enough after `enough` bytes. */
struct collector {
	struct buffer bytes;
	size_t enough;
	size_t largest;
	bool fails;
};

static int collect(void *arg, const uint8_t *data, size_t size, struct error *err)
{
	struct collector *collector = arg;

	if (collector->fails)
		return error_set(err, ERROR_NO_SPACE, "the sink is full");
	if (size > collector->largest)
		collector->largest = size;
	assert_int_equal(buffer_append(&collector->bytes, data, size), 0);
	return collector->bytes.size >= collector->enough;
}

static void encode_two_frames(enum codec codec, uint8_t *plain, struct buffer *out)
{
	fill_text(plain, PLAIN_SIZE, 3);
	encode_frame(codec, plain, PLAIN_SIZE / 2, out);
	encode_frame(codec, plain + PLAIN_SIZE / 2, PLAIN_SIZE / 2, out);
}

static void pieces_of_any_size_decode_to_the_same_bytes(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 7, 4096, 100001, SIZE_MAX};
	uint8_t *plain = malloc(PLAIN_SIZE);

	assert_non_null(plain);
	for (size_t c = 0; c < 3; c++) {
		struct buffer encoded = {0};

		encode_two_frames(codecs[c], plain, &encoded);
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
			struct collector collector = {.enough = SIZE_MAX};
			struct codec_stream *stream;
			struct error err = {0};

			assert_int_equal(codec_stream_new(codecs[c], &stream, &err), 0);
			for (size_t off = 0, size; off < encoded.size; off += size) {
				size = encoded.size - off;
				size = size < pieces[p] ? size : pieces[p];
				assert_int_equal(codec_stream_feed(stream, encoded.data + off, size,
							 collect, &collector, &err),
					0);
			}
			assert_int_equal(codec_stream_end(stream, &err), 0);
			assert_int_equal(collector.bytes.size, PLAIN_SIZE);
			assert_memory_equal(collector.bytes.data, plain, PLAIN_SIZE);
			assert_true(collector.largest <= 256 << 10);
			buffer_free(&collector.bytes);
			codec_stream_free(stream);
		}
		buffer_free(&encoded);
	}
	free(plain);
}

static void a_sink_that_had_enough_is_not_called_again(void **state)
{
	(void)state;
	uint8_t *plain = malloc(PLAIN_SIZE);

	assert_non_null(plain);
	for (size_t c = 0; c < 3; c++) {
		struct collector collector = {.enough = 1};
		struct buffer encoded = {0};
		struct codec_stream *stream;
		struct error err = {0};
		size_t seen;

		encode_two_frames(codecs[c], plain, &encoded);
		assert_int_equal(codec_stream_new(codecs[c], &stream, &err), 0);
		assert_int_equal(codec_stream_feed(stream, encoded.data, encoded.size, collect,
					 &collector, &err),
			1);
		seen = collector.bytes.size;
		assert_int_equal(
			codec_stream_feed(stream, "no frame", 8, collect, &collector, &err), 1);
		assert_int_equal(collector.bytes.size, seen);
		assert_int_equal(codec_stream_end(stream, &err), 0);
		codec_stream_free(stream);
		buffer_free(&collector.bytes);
		buffer_free(&encoded);
	}
	free(plain);
}

static void the_error_of_a_sink_comes_through(void **state)
{
	(void)state;
	struct collector collector = {.fails = true};
	struct buffer encoded = {0};
	struct codec_stream *stream;
	struct error err = {0};

	encode_frame(CODEC_GZIP, "abc", 3, &encoded);
	assert_int_equal(codec_stream_new(CODEC_GZIP, &stream, &err), 0);
	assert_int_equal(
		codec_stream_feed(stream, encoded.data, encoded.size, collect, &collector, &err),
		-1);
	assert_int_equal(err.kind, ERROR_NO_SPACE);
	codec_stream_free(stream);
	buffer_free(&encoded);
}

static void an_end_inside_a_frame_is_an_error(void **state)
{
	(void)state;
	uint8_t *plain = malloc(PLAIN_SIZE);

	assert_non_null(plain);
	for (size_t c = 1; c < 3; c++) {
		size_t sizes[3] = {0, 0, 0};
		struct buffer encoded = {0};

		encode_two_frames(codecs[c], plain, &encoded);
		sizes[1] = encoded.size / 2 + 1;
		sizes[2] = encoded.size - 1;
		for (size_t i = 0; i < 3; i++) {
			struct collector collector = {.enough = SIZE_MAX};
			struct codec_stream *stream;
			struct error err = {0};

			assert_int_equal(codec_stream_new(codecs[c], &stream, &err), 0);
			assert_int_equal(codec_stream_feed(stream, encoded.data, sizes[i], collect,
						 &collector, &err),
				0);
			assert_int_equal(codec_stream_end(stream, &err), -1);
			assert_int_equal(err.kind, ERROR_FORMAT);
			codec_stream_free(stream);
			buffer_free(&collector.bytes);
		}
		buffer_free(&encoded);
	}
	free(plain);
}

static void bytes_that_are_no_frame_are_an_error(void **state)
{
	(void)state;
	struct collector collector = {.enough = SIZE_MAX};
	struct codec_stream *stream;
	struct error err = {0};

	assert_int_equal(codec_stream_new(CODEC_GZIP, &stream, &err), 0);
	assert_int_equal(
		codec_stream_feed(stream, "plain text", 10, collect, &collector, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	codec_stream_free(stream);
	assert_int_equal(codec_stream_new((enum codec)99, &stream, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_decode_to_the_same_bytes),
		cmocka_unit_test(a_sink_that_had_enough_is_not_called_again),
		cmocka_unit_test(the_error_of_a_sink_comes_through),
		cmocka_unit_test(an_end_inside_a_frame_is_an_error),
		cmocka_unit_test(bytes_that_are_no_frame_are_an_error),
	};
	return cmocka_run_group_tests_name("chunk/codec_stream", tests, NULL, NULL);
}
