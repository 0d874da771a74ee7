/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error_map.h"

#include "support/test.h"

#include <errno.h>
#include <string.h>

static void every_failure_has_an_errno_a_status_an_exit_code_and_a_name(void **state)
{
	(void)state;

	for (int kind = ERROR_NONE + 1; kind <= ERROR_INTERNAL; kind++) {
		assert_true(error_errno((enum error_kind)kind) > 0);
		assert_in_range(error_http_status((enum error_kind)kind), 400, 599);
		assert_in_range(error_exit_code((enum error_kind)kind), EXIT_CODE_INTERNAL,
			EXIT_CODE_CANCELLED);
		assert_non_null(error_kind_name((enum error_kind)kind));
	}
}

static void no_failure_is_success_and_success_is_no_failure(void **state)
{
	(void)state;

	assert_int_equal(error_errno(ERROR_NONE), 0);
	assert_int_equal(error_http_status(ERROR_NONE), 200);
	assert_int_equal(error_exit_code(ERROR_NONE), 0);
	assert_false(error_is_retryable(ERROR_NONE));
}

static void names_are_distinct_lower_case_words(void **state)
{
	(void)state;

	for (int kind = ERROR_NONE; kind <= ERROR_INTERNAL; kind++) {
		const char *name = error_kind_name((enum error_kind)kind);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int other = ERROR_NONE; other < kind; other++)
			assert_string_not_equal(name, error_kind_name((enum error_kind)other));
	}
}

static void only_what_another_try_can_mend_is_retryable(void **state)
{
	(void)state;

	assert_true(error_is_retryable(ERROR_UNAVAILABLE));
	assert_true(error_is_retryable(ERROR_RATE_LIMITED));
	assert_true(error_is_retryable(ERROR_TIMEOUT));
	assert_true(error_is_retryable(ERROR_DIGEST_MISMATCH));
	assert_false(error_is_retryable(ERROR_NOT_FOUND));
	assert_false(error_is_retryable(ERROR_UNAUTHORIZED));
	assert_false(error_is_retryable(ERROR_FORMAT));
	assert_false(error_is_retryable(ERROR_CANCELLED));
	assert_false(error_is_retryable(ERROR_INTERNAL));
}

static void a_process_is_never_told_to_spin(void **state)
{
	(void)state;

	for (int kind = ERROR_NONE; kind <= ERROR_INTERNAL; kind++)
		assert_int_not_equal(error_errno((enum error_kind)kind), EAGAIN);
	assert_int_equal(error_errno(ERROR_READ_ONLY), EROFS);
	assert_int_equal(error_errno(ERROR_DIGEST_MISMATCH), EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_has_an_errno_a_status_an_exit_code_and_a_name),
		cmocka_unit_test(no_failure_is_success_and_success_is_no_failure),
		cmocka_unit_test(names_are_distinct_lower_case_words),
		cmocka_unit_test(only_what_another_try_can_mend_is_retryable),
		cmocka_unit_test(a_process_is_never_told_to_spin),
	};
	return cmocka_run_group_tests_name("base/error_map", tests, NULL, NULL);
}
