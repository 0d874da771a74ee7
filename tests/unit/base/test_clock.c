/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "support/test.h"

#include <time.h>

static void monotonic_time_passes_in_nanoseconds(void **state)
{
	(void)state;
	const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
	uint64_t before = clock_now_ns();

	assert_int_equal(nanosleep(&pause, NULL), 0);
	assert_true(clock_now_ns() - before >= 2 * NS_PER_MS);
	assert_true(clock_now_ns() - before < 60 * NS_PER_SECOND);
}

static void wall_time_is_that_of_the_c_library(void **state)
{
	(void)state;
	int64_t before = time(NULL);
	int64_t now = clock_wall_s();

	/* time() may lag by one tick of the kernel. */
	assert_true(now >= before && now <= (int64_t)time(NULL) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_passes_in_nanoseconds),
		cmocka_unit_test(wall_time_is_that_of_the_c_library),
	};
	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
