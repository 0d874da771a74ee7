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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_accumulate_from_the_innermost_frame_outwards),
		cmocka_unit_test(errno_decides_the_kind_and_is_spelled_out),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
