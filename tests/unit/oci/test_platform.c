/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/platform.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static struct platform parse(const char *text)
{
	struct platform platform;

	assert_int_equal(platform_parse(text, &platform, NULL), 0);
	return platform;
}

static void other_names_of_a_platform_become_one(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *normal;
	} cases[] = {
		{"linux/amd64", "linux/amd64"},
		{"Linux/X86_64", "linux/amd64"},
		{"linux/x86-64/v1", "linux/amd64"},
		{"linux/amd64/v3", "linux/amd64/v3"},
		{"linux/i386", "linux/386"},
		{"linux/aarch64", "linux/arm64"},
		{"linux/arm64/v8", "linux/arm64"},
		{"linux/arm64/8", "linux/arm64"},
		{"linux/arm64/v9.2", "linux/arm64/v9.2"},
		{"linux/arm", "linux/arm/v7"},
		{"linux/arm/6", "linux/arm/v6"},
		{"linux/armhf", "linux/arm/v7"},
		{"linux/armel", "linux/arm/v6"},
		{"linux/riscv64", "linux/riscv64"},
		{"windows/amd64", "windows/amd64"},
		{"macos/arm64", "darwin/arm64"},
		{"linux/unheard-of", "linux/unheard-of"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct platform platform = parse(cases[i].text);
		char text[100];

		assert_string_equal(platform_format(&platform, text), cases[i].normal);
	}
}

static void half_a_platform_is_completed_from_this_machine(void **state)
{
	(void)state;
	struct platform host, platform;

	platform_host(&host);
	platform = parse("linux");
	assert_string_equal(platform.os, "linux");
	assert_string_equal(platform.architecture, host.architecture);
	assert_string_equal(platform.variant, host.variant);
	platform = parse("aarch64");
	assert_string_equal(platform.os, host.os);
	assert_string_equal(platform.architecture, "arm64");
}

static void this_machine_has_the_platform_uname_says(void **state)
{
	(void)state;
	struct utsname name;
	struct platform host, expected;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(platform_set(name.sysname, name.machine, NULL, &expected, NULL), 0);
	platform_host(&host);
	assert_string_equal(host.os, "linux");
	assert_memory_equal(&host, &expected, sizeof(host));
	assert_int_not_equal(strcmp(host.architecture, "x86_64"), 0);
	assert_int_not_equal(strcmp(host.architecture, "aarch64"), 0);
}

static void refuses_what_is_not_a_platform(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "/", "linux/", "/amd64", "linux//v7",
		"linux/arm/v7/x", "unheard-of", "linux/am d64", "linux/amd64\n", "linux/\xc3\xa9",
		"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct platform platform;
		struct error err = {0};

		assert_int_equal(platform_parse(texts[i], &platform, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void fields_of_an_index_entry_are_checked(void **state)
{
	(void)state;
	struct platform platform;
	struct error err = {0};

	assert_int_equal(platform_set("linux", "arm64", "v8", &platform, NULL), 0);
	assert_string_equal(platform.variant, "");
	assert_int_equal(platform_set("linux", "arm64", "", &platform, NULL), 0);
	assert_int_equal(platform_set("", "arm64", NULL, &platform, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(platform_set("linux", "", NULL, &platform, &err), -1);
	assert_int_equal(platform_set("linux", "arm", "v/7", &platform, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

static void a_machine_runs_its_variant_and_lower_ones(void **state)
{
	(void)state;
	static const struct {
		const char *wanted;
		const char *offered;
		bool runs;
	} cases[] = {
		{"linux/amd64", "linux/amd64", true},
		{"linux/amd64", "windows/amd64", false},
		{"linux/amd64", "linux/386", false},
		{"linux/amd64", "linux/amd64/v2", false},
		{"linux/amd64/v3", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64/v2", true},
		{"linux/amd64/v3", "linux/amd64/v4", false},
		{"linux/arm/v7", "linux/arm/v6", true},
		{"linux/arm/v7", "linux/arm/v5", true},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/arm64", "linux/arm/v7", false},
		{"linux/arm64", "linux/arm64/v9", false},
		{"linux/arm64", "linux/arm64/v8.1", false},
		{"linux/arm64/v8.2", "linux/arm64", true},
		{"linux/arm64/v8.2", "linux/arm64/v8.3", false},
		{"linux/arm64/v9", "linux/arm64/v8.5", true},
		{"linux/arm64/v9", "linux/arm64/v8.6", false},
		{"linux/arm64/v9.1", "linux/arm64/v8.6", true},
		{"linux/mips/softfloat", "linux/mips/softfloat", true},
		{"linux/mips/softfloat", "linux/mips/hardfloat", false},
		{"linux/riscv64", "linux/riscv64/v2", false},
		{"linux/amd64/v3", "linux/amd64/v2x", false},
		{"unknown/unknown", "linux/amd64", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct platform wanted = parse(cases[i].wanted);
		struct platform offered = parse(cases[i].offered);

		if ((platform_match(&wanted, &offered) > 0) != cases[i].runs)
			fail_msg("%s on %s", cases[i].offered, cases[i].wanted);
	}
}

static void the_nearest_variant_scores_best(void **state)
{
	(void)state;
	static const char *const falling[][5] = {
		{"linux/arm/v7", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5", NULL},
		{"linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v2", "linux/amd64", NULL},
		{"linux/arm64/v9.1", "linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6",
			"linux/arm64"},
	};

	for (size_t i = 0; i < 3; i++) {
		struct platform wanted = parse(falling[i][0]);
		int last = 1 << 30;

		for (size_t j = 1; j < 5 && falling[i][j]; j++) {
			struct platform offered = parse(falling[i][j]);
			int score = platform_match(&wanted, &offered);

			assert_true(score > 0 && score < last);
			last = score;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_names_of_a_platform_become_one),
		cmocka_unit_test(half_a_platform_is_completed_from_this_machine),
		cmocka_unit_test(this_machine_has_the_platform_uname_says),
		cmocka_unit_test(refuses_what_is_not_a_platform),
		cmocka_unit_test(fields_of_an_index_entry_are_checked),
		cmocka_unit_test(a_machine_runs_its_variant_and_lower_ones),
		cmocka_unit_test(the_nearest_variant_scores_best),
	};
	return cmocka_run_group_tests_name("oci/platform", tests, NULL, NULL);
}
