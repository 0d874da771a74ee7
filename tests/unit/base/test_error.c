/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "support/test.h"

#include <errno.h>

static void prefixes_accumulate_from_the_innermost_frame_outwards(void **state)
{
	(void)state;
	struct error err = {0};

	assert_int_equal(error_set(&err, ERROR_DIGEST_MISMATCH, "%d bytes", 5), -1);
	assert_int_equal(error_prefix(&err, "chunk %d", 7), -1);
	assert_int_equal(error_prefix(&err, "layer %s", "sha256:ab"), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_string_equal(err.message, "layer sha256:ab: chunk 7: 5 bytes");
}

static void errno_decides_the_kind_and_is_spelled_out(void **state)
{
	(void)state;
	struct error err = {0};

	assert_int_equal(error_set_errno(&err, ENOSPC, "write %s", "x"), -1);
	assert_int_equal(err.kind, ERROR_NO_SPACE);
	assert_string_equal(err.message, "write x: No space left on device");
	assert_int_equal(error_set_errno(&err, EROFS, "write"), -1);
	assert_int_equal(err.kind, ERROR_READ_ONLY);
	assert_int_equal(error_set_errno(&err, EFAULT, "write"), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
}

static void a_null_error_is_allowed_everywhere(void **state)
{
	(void)state;

	assert_int_equal(error_set(NULL, ERROR_INVALID, "x"), -1);
	assert_int_equal(error_set_errno(NULL, EIO, "x"), -1);
	assert_int_equal(error_prefix(NULL, "x"), -1);
}

static void the_innermost_text_survives_when_prefixes_fill_the_message(void **state)
{
	(void)state;
	struct error err = {0};

	error_set(&err, ERROR_UNAVAILABLE, "GET https://r.example/v2/a/blobs/b: 503");
	for (int i = 0; i < 40; i++)
		error_prefix(&err, "context number %d of a rather long chain", i);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_non_null(strstr(err.message, ": GET https://r.example/v2/a/blobs/b: 503"));
	assert_ptr_equal(
		strstr(err.message, "context number 39 of a rather long chain: ..."), err.message);
}

static void a_long_message_loses_nothing_to_a_prefix_that_fits(void **state)
{
	(void)state;
	struct error err = {0};
	char text[470];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, ERROR_FORMAT, "%s", text);
	error_prefix(&err, "layer");
	assert_memory_equal(err.message, "layer: x", 8);
	assert_string_equal(err.message + 7, text);
}

static void a_cut_never_begins_inside_a_character(void **state)
{
	(void)state;
	struct error err = {0};
	char text[478];

	for (size_t shift = 0; shift < 3; shift++) {
		size_t used = shift;

		memset(text, 'a', shift);
		for (; used + 3 < sizeof(text); used += 3)
			memcpy(text + used, "\xe2\x82\xac", 3);
		text[used] = '\0';
		error_set(&err, ERROR_FORMAT, "%s", text);
		error_prefix(&err, "layer");
		assert_memory_equal(err.message, "layer: ...\xe2\x82\xac", 13);
	}
}

static void the_reason_of_an_errno_survives_a_long_text_before_it(void **state)
{
	(void)state;
	struct error err = {0};
	char path[600];
	const char *reason = ": Permission denied";

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	error_set_errno(&err, EACCES, "open %s", path);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_string_equal(err.message + sizeof(err.message) - 1 - strlen(reason), reason);
}

static void a_message_may_be_made_from_itself(void **state)
{
	(void)state;
	struct error err = {0};

	error_set(&err, ERROR_IO, "disk");
	error_set(&err, ERROR_UNAVAILABLE, "all sources failed, last: %s", err.message);
	assert_string_equal(err.message, "all sources failed, last: disk");
	error_prefix(&err, "again (%s)", err.message);
	assert_string_equal(err.message,
		"again (all sources failed, last: disk): all sources failed, last: disk");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_accumulate_from_the_innermost_frame_outwards),
		cmocka_unit_test(errno_decides_the_kind_and_is_spelled_out),
		cmocka_unit_test(a_null_error_is_allowed_everywhere),
		cmocka_unit_test(the_innermost_text_survives_when_prefixes_fill_the_message),
		cmocka_unit_test(a_long_message_loses_nothing_to_a_prefix_that_fits),
		cmocka_unit_test(a_cut_never_begins_inside_a_character),
		cmocka_unit_test(the_reason_of_an_errno_survives_a_long_text_before_it),
		cmocka_unit_test(a_message_may_be_made_from_itself),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
