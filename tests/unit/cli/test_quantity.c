/* SPDX-License-Identifier: Apache-2.0 */
#include "quantity_internal.h"

#include "support/test.h"

#include <errno.h>

#define KIB UINT64_C(1024)

static void sizes_are_powers_of_1024_unless_a_b_follows(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} rows[] = {
		{"0", 0},
		{"4096", 4096},
		{"4096B", 4096},
		{"1K", KIB},
		{"1k", KIB},
		{"1KiB", KIB},
		{"1KB", 1000},
		{"1.5M", KIB * KIB * 3 / 2},
		{"20G", 20 * KIB * KIB * KIB},
		{"2T", 2 * KIB * KIB * KIB * KIB},
		{"1.", 1},
		{".5K", 512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t size = 77;

		assert_int_equal(size_parse(rows[i].text, &size), 0);
		assert_int_equal(size, rows[i].size);
	}
}

static void refuses_what_is_no_size(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"x",
		"1X",
		"-1",
		"+1",
		"1e3",
		"1 K",
		" 1",
		"1K ",
		"0x10",
		"1..2",
		"1.2.3",
		"nan",
		"inf",
		"K",
		"1BB",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint64_t size = 77;

		assert_int_equal(size_parse(texts[i], &size), -EINVAL);
		assert_int_equal(size, 77);
	}
}

static void refuses_sizes_beyond_any_disk(void **state)
{
	uint64_t size = 77;

	(void)state;
	assert_int_equal(size_parse("9223372036854775808", &size), -ERANGE);
	assert_int_equal(size_parse("99999999T", &size), -ERANGE);
	assert_int_equal(
		size_parse("9999999999999999999999999999999999999999999999999999", &size), -ERANGE);
	assert_int_equal(size, 77);
}

static void rates_may_end_in_per_second(void **state)
{
	uint64_t rate;

	(void)state;
	assert_int_equal(rate_parse("20M/s", &rate), 0);
	assert_int_equal(rate, 20 * KIB * KIB);
	assert_int_equal(rate_parse("500KB", &rate), 0);
	assert_int_equal(rate, 500000);
	assert_int_equal(rate_parse("/s", &rate), -EINVAL);
	assert_int_equal(rate_parse("1/m", &rate), -EINVAL);
}

static void times_are_seconds_unless_a_unit_follows(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(duration_parse("30", &ns), 0);
	assert_int_equal(ns, UINT64_C(30000000000));
	assert_int_equal(duration_parse("500ms", &ns), 0);
	assert_int_equal(ns, UINT64_C(500000000));
	assert_int_equal(duration_parse("1.5m", &ns), 0);
	assert_int_equal(ns, UINT64_C(90000000000));
	assert_int_equal(duration_parse("2h", &ns), 0);
	assert_int_equal(ns, UINT64_C(7200000000000));
	assert_int_equal(duration_parse("0", &ns), -EINVAL);
	assert_int_equal(duration_parse("1d", &ns), -EINVAL);
}

static void a_quota_is_a_size_or_a_percentage(void **state)
{
	uint64_t bytes = 7;
	unsigned percent = 7;

	(void)state;
	assert_int_equal(quota_parse("80%", &bytes, &percent), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(percent, 80);
	assert_int_equal(quota_parse("2G", &bytes, &percent), 0);
	assert_int_equal(bytes, 2 * KIB * KIB * KIB);
	assert_int_equal(percent, 0);
	assert_int_equal(quota_parse("0%", &bytes, &percent), -ERANGE);
	assert_int_equal(quota_parse("101%", &bytes, &percent), -ERANGE);
	assert_int_equal(quota_parse("%", &bytes, &percent), -EINVAL);
	assert_int_equal(quota_parse("", &bytes, &percent), -EINVAL);
}

static void sizes_read_well(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 KB"},
		{999949, "999.9 KB"},
		{999950, "1.0 MB"},
		{123456789, "123.5 MB"},
		{UINT64_MAX, "18.4 EB"},
	};
	char text[QUANTITY_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(size_format(rows[i].size, text), rows[i].text);
}

static void times_read_well(void **state)
{
	char text[QUANTITY_TEXT_SIZE];

	(void)state;
	assert_string_equal(duration_format(-5, text), "0 s");
	assert_string_equal(duration_format(119, text), "119 s");
	assert_string_equal(duration_format(120, text), "2 min");
	assert_string_equal(duration_format(7200, text), "2 h");
	assert_string_equal(duration_format(INT64_MAX, text), "106751991167300 days");
}

static void a_percentage_is_100_only_for_all_and_0_only_for_nothing(void **state)
{
	(void)state;
	assert_int_equal(percent_of(0, 0), 100);
	assert_int_equal(percent_of(0, 1000), 0);
	assert_int_equal(percent_of(1, 1000000), 1);
	assert_int_equal(percent_of(999999, 1000000), 99);
	assert_int_equal(percent_of(1000, 1000), 100);
	assert_int_equal(percent_of(UINT64_MAX / 2, UINT64_MAX), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_powers_of_1024_unless_a_b_follows),
		cmocka_unit_test(refuses_what_is_no_size),
		cmocka_unit_test(refuses_sizes_beyond_any_disk),
		cmocka_unit_test(rates_may_end_in_per_second),
		cmocka_unit_test(times_are_seconds_unless_a_unit_follows),
		cmocka_unit_test(a_quota_is_a_size_or_a_percentage),
		cmocka_unit_test(sizes_read_well),
		cmocka_unit_test(times_read_well),
		cmocka_unit_test(a_percentage_is_100_only_for_all_and_0_only_for_nothing),
	};

	return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
