/* SPDX-License-Identifier: Apache-2.0 */
#include "timestamp_internal.h"

#include "support/test.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void times_become_seconds_since_1970(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t nanoseconds;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"1969-12-31T23:59:59Z", -1, 0},
		{"2024-02-29T12:34:56Z", 1709210096, 0},
		{"2000-02-29T00:00:00Z", 951782400, 0},
		{"2038-01-19T03:14:08z", INT64_C(2147483648), 0},
		{"2024-02-29t12:34:56.5Z", 1709210096, 500000000},
		{"2024-02-29 12:34:56.123456789Z", 1709210096, 123456789},
		{"2024-02-29T12:34:56.1234567899999Z", 1709210096, 123456789},
		{"2024-02-29T12:34:56,000000001Z", 1709210096, 1},
		{"2024-02-29T12:34:56+00:00", 1709210096, 0},
		{"2024-02-29T14:04:56+01:30", 1709210096, 0},
		{"2024-02-29T07:34:56-05:00", 1709210096, 0},
		{"2016-12-31T23:59:60Z", 1483228800, 0},
		{"0001-01-01T00:00:00Z", INT64_C(-62135596800), 0},
		{"0000-01-01T00:00:00Z", INT64_C(-62167219200), 0},
		{"-0001-12-31T23:59:59Z", INT64_C(-62167219201), 0},
		{"10000-01-01T00:00:00Z", INT64_C(253402300800), 0},
		{"292277026596-12-04T15:30:07Z", INT64_C(9223372036854775807), 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t seconds = 1;
		uint32_t nanoseconds = 1;

		if (!timestamp_parse(cases[i].text, strlen(cases[i].text), &seconds, &nanoseconds))
			fail_msg("%s", cases[i].text);
		if (seconds != cases[i].seconds || nanoseconds != cases[i].nanoseconds)
			fail_msg("%s: %" PRId64 ".%09u", cases[i].text, seconds, nanoseconds);
	}
}

static void days_agree_with_the_c_library_over_eight_centuries(void **state)
{
	(void)state;
	for (int64_t day = -146097; day < 146097; day += 13) {
		time_t expected = (time_t)(day * 86400 + 3723);
		struct tm tm;
		char text[64];
		int64_t seconds;
		uint32_t nanoseconds;
		size_t size;

		assert_non_null(gmtime_r(&expected, &tm));
		size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_true(timestamp_parse(text, size, &seconds, &nanoseconds));
		if (seconds != expected)
			fail_msg("%s: %" PRId64, text, seconds);
	}
}

static void anything_else_is_no_time(void **state)
{
	(void)state;
	static const char *const cases[] = {"", "Z", "2024", "2024-02-29", "2024-02-29T12:34:56",
		"2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2024-00-01T00:00:00Z",
		"2024-13-01T00:00:00Z", "2024-04-31T00:00:00Z", "2024-01-00T00:00:00Z",
		"2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
		"2024-01-01T00:00:61Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+24:00",
		"2024-01-01T00:00:00+0100", "2024-01-01T00:00:00Zx", "2024-1-1T00:00:00Z",
		"+2024-01-01T00:00:00Z", "24-01-01T00:00:00Z", "9999999999999-01-01T00:00:00Z",
		"2024-01-01T00:00:00 Z"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t seconds;
		uint32_t nanoseconds;

		if (timestamp_parse(cases[i], strlen(cases[i]), &seconds, &nanoseconds))
			fail_msg("%s", cases[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_become_seconds_since_1970),
		cmocka_unit_test(days_agree_with_the_c_library_over_eight_centuries),
		cmocka_unit_test(anything_else_is_no_time),
	};
	return cmocka_run_group_tests_name("format/timestamp", tests, NULL, NULL);
}
