/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "support/test.h"

#include <errno.h>
#include <string.h>

static void numbers_are_little_endian_at_any_alignment(void **state)
{
	(void)state;
	uint8_t bytes[9] = {0xff, 1, 2, 3, 4, 5, 6, 7, 0x88};

	assert_int_equal(le16_load(bytes + 1), 0x0201);
	assert_int_equal(le32_load(bytes + 1), 0x04030201);
	assert_true(le64_load(bytes + 1) == UINT64_C(0x8807060504030201));
	le16_store(bytes + 1, 0xa1b2);
	le32_store(bytes + 3, 0xc3d4e5f6);
	assert_memory_equal(bytes, "\xff\xb2\xa1\xf6\xe5\xd4\xc3\x07\x88", 9);
	le64_store(bytes + 1, UINT64_C(0x0102030405060708));
	assert_memory_equal(bytes, "\xff\x08\x07\x06\x05\x04\x03\x02\x01", 9);
}

static void checked_arithmetic_refuses_to_wrap(void **state)
{
	(void)state;
	uint64_t out = 0;

	assert_true(u64_add(UINT64_MAX - 1, 1, &out));
	assert_true(out == UINT64_MAX);
	assert_false(u64_add(UINT64_MAX, 1, &out));
	assert_true(u64_mul(UINT64_C(1) << 32, UINT32_MAX, &out));
	assert_false(u64_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
}

static void a_range_is_within_its_limit_or_not_and_never_overflows(void **state)
{
	(void)state;

	assert_true(range_within(0, 0, 0));
	assert_true(range_within(10, 0, 10));
	assert_true(range_within(3, 7, 10));
	assert_false(range_within(3, 8, 10));
	assert_false(range_within(11, 0, 10));
	assert_false(range_within(UINT64_MAX, 2, UINT64_MAX));
	assert_false(range_within(2, UINT64_MAX, 10));
}

static void alignment_rounds_to_powers_of_two(void **state)
{
	(void)state;

	assert_int_equal(align_up(0, 4096), 0);
	assert_int_equal(align_up(1, 4096), 4096);
	assert_int_equal(align_up(4096, 4096), 4096);
	assert_int_equal(align_down(4097, 4096), 4096);
}

static void a_buffer_grows_and_always_ends_in_a_zero(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer buffer = {0};

	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
		assert_int_equal(buffer.data[buffer.size], 0);
	}
	assert_int_equal(buffer.size, 20000);
	assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
	assert_int_equal(strlen((char *)buffer.data), 20000);
	buffer_free(&buffer);
	assert_null(buffer.data);
	assert_int_equal(buffer_printf(&buffer, "%s-%d", "again", 7), 0);
	assert_int_equal(buffer_printf(&buffer, "%s", ""), 0);
	assert_string_equal((char *)buffer.data, "again-7");
	assert_int_equal(buffer.size, 7);
}

static void a_buffer_that_cannot_grow_is_as_it_was(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer buffer = {0};

	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 3), -ENOMEM);
	assert_int_equal(buffer.size, 3);
	assert_string_equal((char *)buffer.data, "abc");
}

static void hex_is_lower_case_and_exact(void **state)
{
	(void)state;
	uint8_t bytes[3] = {7, 7, 7};
	char text[7];

	assert_int_equal(hex_decode("00a9ff", 6, bytes, 3), 0);
	assert_memory_equal(bytes, "\x00\xa9\xff", 3);
	hex_encode(bytes, 3, text);
	assert_string_equal(text, "00a9ff");
	assert_int_equal(hex_decode("00A9ff", 6, bytes, 3), -EINVAL);
	assert_int_equal(hex_decode("00a9f", 5, bytes, 3), -EINVAL);
	assert_int_equal(hex_decode("00a9ff00", 8, bytes, 3), -EINVAL);
	assert_int_equal(hex_decode("11111g", 6, bytes, 3), -EINVAL);
	assert_memory_equal(bytes, "\x00\xa9\xff", 3);
	assert_int_equal(hex_decode("", 0, bytes, 0), 0);
}

static const struct {
	const char *plain;
	const char *encoded;
} base64_rows[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xff\xfe", "+//+"},
};

static void base64_agrees_with_the_test_vectors_of_its_specification(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(base64_rows) / sizeof(base64_rows[0]); i++) {
		CLEANUP(buffer_free) struct buffer out = {0};
		const char *plain = base64_rows[i].plain;
		const char *encoded = base64_rows[i].encoded;

		assert_int_equal(base64_encode(plain, strlen(plain), &out), 0);
		assert_string_equal((char *)out.data, encoded);
		buffer_free(&out);
		assert_int_equal(base64_decode(encoded, strlen(encoded), &out), 0);
		assert_int_equal(out.size, strlen(plain));
		assert_string_equal((char *)out.data, plain);
		buffer_free(&out);
		/* Padding is optional. */
		assert_int_equal(base64_decode(encoded, strcspn(encoded, "="), &out), 0);
		assert_string_equal((char *)out.data, plain);
	}
}

static void base64_appends_to_what_is_there(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};

	assert_int_equal(buffer_append(&out, "user:", 5), 0);
	assert_int_equal(base64_decode("Zm9v", 4, &out), 0);
	assert_string_equal((char *)out.data, "user:foo");
	assert_int_equal(base64_encode("foo", 3, &out), 0);
	assert_string_equal((char *)out.data, "user:fooZm9v");
}

static void base64_refuses_what_no_encoder_makes(void **state)
{
	(void)state;
	static const char *const rows[] = {"Z", "Zg=", "Zg===", "=", "====", "Zm9vY", "Zm 9v",
		"Zm9v\n", "Zm-v", "Zm_v", "Z=g=", "Zm9v====", "Zm9v=", "Zm=v",
		"\xc3\xa4==", "Zg==Zg=="};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(buffer_free) struct buffer out = {0};

		assert_int_equal(buffer_append(&out, "kept", 4), 0);
		assert_int_equal(base64_decode(rows[i], strlen(rows[i]), &out), -EINVAL);
		assert_string_equal((char *)out.data, "kept");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_little_endian_at_any_alignment),
		cmocka_unit_test(checked_arithmetic_refuses_to_wrap),
		cmocka_unit_test(a_range_is_within_its_limit_or_not_and_never_overflows),
		cmocka_unit_test(alignment_rounds_to_powers_of_two),
		cmocka_unit_test(a_buffer_grows_and_always_ends_in_a_zero),
		cmocka_unit_test(a_buffer_that_cannot_grow_is_as_it_was),
		cmocka_unit_test(hex_is_lower_case_and_exact),
		cmocka_unit_test(base64_agrees_with_the_test_vectors_of_its_specification),
		cmocka_unit_test(base64_appends_to_what_is_there),
		cmocka_unit_test(base64_refuses_what_no_encoder_makes),
	};
	return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
