/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/codec.h"

#include "support/test.h"

#include <pthread.h>
#include <string.h>

#include "support/encode.h"

enum { PLAIN_SIZE = 3 << 20 };

/* Plain bytes and what they look like encoded as one frame. */
struct sample {
	uint8_t *plain;
	size_t plain_size;
	struct buffer encoded;
};

static void sample_make(struct sample *sample, enum codec codec, size_t size)
{
	sample->plain = malloc(size + 1);
	sample->plain_size = size;
	sample->encoded = (struct buffer){0};
	assert_non_null(sample->plain);
	fill_text(sample->plain, size, 7);
	encode_frame(codec, sample->plain, size, &sample->encoded);
}

static void sample_free(struct sample *sample)
{
	free(sample->plain);
	buffer_free(&sample->encoded);
}

/* Both ways of decoding deliver bytes [skip, skip + size) of plain. */
static void assert_decodes(enum codec codec, const struct buffer *encoded, const uint8_t *plain,
	size_t skip, size_t size)
{
	struct decoded *decoded = NULL;
	uint8_t *out = malloc(size);
	struct error err = {0};

	assert_non_null(out);
	if (codec_decode(codec, encoded->data, encoded->size, skip, out, size, &err) < 0)
		fail_msg("codec_decode: %s", err.message);
	assert_memory_equal(out, plain + skip, size);
	free(out);

	if (codec_decode_new(codec, encoded->data, encoded->size, skip, size, &decoded, &err) < 0)
		fail_msg("codec_decode_new: %s", err.message);
	assert_int_equal(decoded_size(decoded), size);
	assert_memory_equal(decoded_data(decoded), plain + skip, size);
	decoded_unref(decoded);
}

static void assert_refuses(enum codec codec, const void *encoded, size_t encoded_size, size_t skip,
	size_t size, const char *words)
{
	struct decoded *decoded = NULL;
	uint8_t *out = malloc(size);
	struct error err = {0};

	assert_non_null(out);
	assert_int_equal(codec_decode(codec, encoded, encoded_size, skip, out, size, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, words));
	free(out);
	err = (struct error){0};
	assert_int_equal(
		codec_decode_new(codec, encoded, encoded_size, skip, size, &decoded, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_null(decoded);
}

static const enum codec codecs[] = {CODEC_NONE, CODEC_GZIP, CODEC_ZSTD};

static void decodes_any_part_of_a_frame(void **state)
{
	(void)state;
	static const struct {
		size_t skip, size;
	} parts[] = {
		{0, PLAIN_SIZE},
		{0, PLAIN_SIZE - 1},
		{0, PLAIN_SIZE - 2000},
		{0, PLAIN_SIZE / 2},
		{0, 1},
		{1, PLAIN_SIZE - 1},
		{512, PLAIN_SIZE - 512},
		{65536, 4096},
		{65537, 4096},
		{PLAIN_SIZE - 1, 1},
		{PLAIN_SIZE / 2, PLAIN_SIZE / 2},
	};

	for (size_t c = 0; c < 3; c++) {
		struct sample sample;

		sample_make(&sample, codecs[c], PLAIN_SIZE);
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			assert_decodes(codecs[c], &sample.encoded, sample.plain, parts[i].skip,
				parts[i].size);
		sample_free(&sample);
	}
}

static void decodes_across_concatenated_frames(void **state)
{
	(void)state;
	for (size_t c = 0; c < 3; c++) {
		struct sample sample;

		sample_make(&sample, codecs[c], 100000);
		sample.encoded.size = 0;
		encode_frame(codecs[c], sample.plain, 40000, &sample.encoded);
		encode_frame(codecs[c], sample.plain + 40000, 0, &sample.encoded);
		encode_frame(codecs[c], sample.plain + 40000, 60000, &sample.encoded);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 0, 100000);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 0, 40000);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 39999, 2);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 90000, 10000);
		sample_free(&sample);
	}
}

static void stops_before_bytes_that_are_not_needed(void **state)
{
	(void)state;
	static const char garbage[] = "this is no frame at all, whatever decodes it";

	for (size_t c = 0; c < 3; c++) {
		struct sample sample;

		sample_make(&sample, codecs[c], 50000);
		assert_int_equal(buffer_append(&sample.encoded, garbage, sizeof(garbage)), 0);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 0, 50000);
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 100, 300);
		sample_free(&sample);
	}
}

static void decodes_the_whole_part_of_a_frame_that_is_cut_off_later(void **state)
{
	(void)state;
	for (size_t c = 0; c < 3; c++) {
		struct sample sample;

		sample_make(&sample, codecs[c], PLAIN_SIZE);
		sample.encoded.size -= sample.encoded.size / 3;
		assert_decodes(codecs[c], &sample.encoded, sample.plain, 0, PLAIN_SIZE / 3);
		sample_free(&sample);
	}
}

static void refuses_bytes_that_end_too_early(void **state)
{
	(void)state;
	for (size_t c = 0; c < 3; c++) {
		struct sample sample;

		sample_make(&sample, codecs[c], 50000);
		assert_refuses(codecs[c], sample.encoded.data, sample.encoded.size, 0, 50001,
			"decoded bytes of 50001");
		assert_refuses(codecs[c], sample.encoded.data, sample.encoded.size, 50000, 1,
			"decoded bytes of 50001");
		assert_refuses(codecs[c], sample.encoded.data, sample.encoded.size / 2, 0, 50000,
			"decoded bytes of 50000");
		assert_refuses(codecs[c], sample.encoded.data, 0, 0, 1, "decoded bytes of 1");
		sample_free(&sample);
	}
}

static void refuses_bytes_that_are_no_frame(void **state)
{
	(void)state;
	static const uint8_t text[] = "<html>503 Service Unavailable</html>";
	struct sample sample;

	assert_refuses(CODEC_GZIP, text, sizeof(text), 0, 100, "not valid gzip");
	assert_refuses(CODEC_ZSTD, text, sizeof(text), 0, 100, "not valid zstd");

	sample_make(&sample, CODEC_GZIP, 50000);
	memset(sample.encoded.data + sample.encoded.size / 2, 0xff, 64);
	assert_refuses(CODEC_GZIP, sample.encoded.data, sample.encoded.size, 0, 50000, "gzip");
	sample_free(&sample);
}

static void does_not_believe_the_size_in_a_gzip_trailer(void **state)
{
	(void)state;
	static const uint32_t lies[] = {0, 1, 49999, 50001, 52000, 90000, UINT32_MAX};
	struct sample sample;
	struct buffer two_members = {0};

	/* The last four bytes belong to a member behind the one that is asked for. */
	sample_make(&sample, CODEC_GZIP, 50000);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		two_members.size = 0;
		encode_frame(CODEC_GZIP, sample.plain, 50000, &two_members);
		assert_int_equal(buffer_append(&two_members, (uint8_t[4]){0}, 4), 0);
		le32_store(two_members.data + two_members.size - 4, lies[i]);
		assert_decodes(CODEC_GZIP, &two_members, sample.plain, 0, 50000);
		assert_decodes(CODEC_GZIP, &two_members, sample.plain, 7, 49993);
	}
	buffer_free(&two_members);
	sample_free(&sample);
}

static void decodes_zstd_frames_of_unknown_size_and_skips_skippable_ones(void **state)
{
	(void)state;
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
	struct sample sample;

	sample_make(&sample, CODEC_ZSTD, PLAIN_SIZE);
	sample.encoded.size = 0;
	assert_int_equal(buffer_append(&sample.encoded, skippable, sizeof(skippable)), 0);
	encode_zstd_of_unknown_size(sample.plain, PLAIN_SIZE, &sample.encoded);
	assert_decodes(CODEC_ZSTD, &sample.encoded, sample.plain, 0, PLAIN_SIZE);
	assert_decodes(CODEC_ZSTD, &sample.encoded, sample.plain, 0, 1000);
	assert_decodes(CODEC_ZSTD, &sample.encoded, sample.plain, 2000000, 1000);
	sample_free(&sample);
}

static void decodes_everything_up_to_a_limit(void **state)
{
	(void)state;
	for (size_t c = 0; c < 3; c++) {
		struct error err = {0};
		struct sample sample;
		struct buffer out = {0};

		sample_make(&sample, codecs[c], 300000);
		sample.encoded.size = 0;
		encode_frame(codecs[c], sample.plain, 100000, &sample.encoded);
		encode_frame(codecs[c], sample.plain + 100000, 200000, &sample.encoded);
		assert_int_equal(codec_decode_all(codecs[c], sample.encoded.data,
					 sample.encoded.size, 300000, &out, &err),
			0);
		assert_int_equal(out.size, 300000);
		assert_memory_equal(out.data, sample.plain, 300000);
		assert_int_equal(out.data[out.size], 0);
		buffer_free(&out);

		assert_int_equal(codec_decode_all(codecs[c], sample.encoded.data,
					 sample.encoded.size, 299999, &out, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, "allowed 299999"));
		assert_null(out.data);
		sample_free(&sample);
	}
}

static void decoding_everything_refuses_an_incomplete_or_followed_frame(void **state)
{
	(void)state;
	for (size_t c = 1; c < 3; c++) {
		struct error err = {0};
		struct sample sample;
		struct buffer out = {0};

		sample_make(&sample, codecs[c], 100000);
		assert_int_equal(codec_decode_all(codecs[c], sample.encoded.data,
					 sample.encoded.size - 1, 1 << 20, &out, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_int_equal(buffer_append(&sample.encoded, "junkjunk", 8), 0);
		assert_int_equal(codec_decode_all(codecs[c], sample.encoded.data,
					 sample.encoded.size, 1 << 20, &out, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_null(out.data);
		sample_free(&sample);
	}
}

static void *decode_in_thread(void *arg)
{
	const struct sample *sample = arg;
	uint8_t out[5000];

	for (int i = 0; i < 50; i++) {
		if (codec_decode(CODEC_GZIP, sample->encoded.data, sample->encoded.size,
			    (size_t)i * 900, out, sizeof(out), NULL) < 0 ||
			memcmp(out, sample->plain + i * 900, sizeof(out)) != 0)
			return arg;
	}
	return NULL;
}

static void threads_have_decoders_of_their_own_that_end_with_them(void **state)
{
	(void)state;
	pthread_t threads[4];
	struct sample sample;

	sample_make(&sample, CODEC_GZIP, 200000);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, decode_in_thread, &sample), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	sample_free(&sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_any_part_of_a_frame),
		cmocka_unit_test(decodes_across_concatenated_frames),
		cmocka_unit_test(stops_before_bytes_that_are_not_needed),
		cmocka_unit_test(decodes_the_whole_part_of_a_frame_that_is_cut_off_later),
		cmocka_unit_test(refuses_bytes_that_end_too_early),
		cmocka_unit_test(refuses_bytes_that_are_no_frame),
		cmocka_unit_test(does_not_believe_the_size_in_a_gzip_trailer),
		cmocka_unit_test(decodes_zstd_frames_of_unknown_size_and_skips_skippable_ones),
		cmocka_unit_test(decodes_everything_up_to_a_limit),
		cmocka_unit_test(decoding_everything_refuses_an_incomplete_or_followed_frame),
		cmocka_unit_test(threads_have_decoders_of_their_own_that_end_with_them),
	};
	return cmocka_run_group_tests_name("chunk/codec", tests, NULL, NULL);
}
