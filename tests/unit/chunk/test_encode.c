/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/encode.h"

#include "support/test.h"

#include <string.h>

#include "chunk/codec.h"

static struct buffer encode(const void *data, size_t size, int level)
{
	struct buffer out = {0};
	struct error err = {0};

	if (zstd_encode(data, size, level, &out, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static void what_was_encoded_decodes_to_itself(void **state)
{
	(void)state;
	static uint8_t data[300000];
	static const size_t sizes[] = {0, 1, 4096, sizeof(data)};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buffer encoded = encode(data, sizes[i], 12), decoded = {0};
		struct error err = {0};

		assert_int_equal(codec_decode_all(CODEC_ZSTD, encoded.data, encoded.size, sizes[i],
					 &decoded, &err),
			0);
		assert_int_equal(decoded.size, sizes[i]);
		assert_memory_equal(decoded.data, data, sizes[i]);
		buffer_free(&encoded);
		buffer_free(&decoded);
	}
}

static void a_frame_goes_behind_what_is_there(void **state)
{
	(void)state;
	struct buffer alone = encode("text", 4, 1), out = {0};
	struct error err = {0};

	assert_int_equal(buffer_append(&out, "before", 6), 0);
	assert_int_equal(zstd_encode("text", 4, 1, &out, &err), 0);
	assert_int_equal(out.size, 6 + alone.size);
	assert_memory_equal(out.data, "before", 6);
	assert_memory_equal(out.data + 6, alone.data, alone.size);
	assert_int_equal(out.data[out.size], 0);
	buffer_free(&alone);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_decodes_to_itself),
		cmocka_unit_test(a_frame_goes_behind_what_is_there),
	};
	return cmocka_run_group_tests_name("chunk/encode", tests, NULL, NULL);
}
