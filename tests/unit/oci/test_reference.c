/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/reference.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN

static void what_people_type_gets_its_normal_form(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *normal;
	} cases[] = {
		{"alpine", "docker.io/library/alpine:latest"},
		{"alpine:3.19", "docker.io/library/alpine:3.19"},
		{"user/app", "docker.io/user/app:latest"},
		{"docker.io/alpine", "docker.io/library/alpine:latest"},
		{"index.docker.io/user/app:1", "docker.io/user/app:1"},
		{"docker.io", "docker.io/library/docker.io:latest"},
		{"localhost/app", "localhost/app:latest"},
		{"localhost:5000", "docker.io/library/localhost:5000"},
		{"localhost:5000/app", "localhost:5000/app:latest"},
		{"localhost:5000/app:1_0-a.b", "localhost:5000/app:1_0-a.b"},
		{"registry.example.com/a/b/c", "registry.example.com/a/b/c:latest"},
		{"UPPER/app", "UPPER/app:latest"},
		{"127.0.0.1/app", "127.0.0.1/app:latest"},
		{"[::1]:5000/app:x", "[::1]:5000/app:x"},
		{"[fd00::1]/app", "[fd00::1]/app:latest"},
		{"my-host.example.com:65535/a__b/c--d/e.f_g", "my-host.example.com:65535/a__b/c--d/"
							      "e.f_g:latest"},
		{"alpine@" DIGEST, "docker.io/library/alpine@" DIGEST},
		{"r.example.com/app:1@" DIGEST, "r.example.com/app:1@" DIGEST},
		{"r.example.com:443/app@" DIGEST, "r.example.com:443/app@" DIGEST},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reference reference;
		struct reference again;
		char text[REFERENCE_TEXT_SIZE];

		assert_int_equal(reference_parse(cases[i].text, &reference, NULL), 0);
		assert_string_equal(reference_format(&reference, text), cases[i].normal);
		assert_int_equal(reference_parse(text, &again, NULL), 0);
		assert_memory_equal(&again, &reference, sizeof(again));
	}
}

static void the_parts_are_kept_apart(void **state)
{
	(void)state;
	struct reference reference;
	char digest[DIGEST_TEXT_SIZE];

	assert_int_equal(reference_parse("r.example.com:5000/a/b:v1@" DIGEST, &reference, NULL), 0);
	assert_string_equal(reference.registry, "r.example.com:5000");
	assert_string_equal(reference.repository, "a/b");
	assert_string_equal(reference.tag, "v1");
	assert_true(reference.has_digest);
	assert_string_equal(digest_format(&reference.digest, digest), DIGEST);

	assert_int_equal(reference_parse("a@" DIGEST, &reference, NULL), 0);
	assert_string_equal(reference.tag, "");
}

static void a_refusal_names_the_part_that_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"", "empty"},
		{"Alpine", "upper-case"},
		{"r.example.com/App", "upper-case"},
		{"r.example.com/", "a repository is"},
		{"/alpine", "a repository is"},
		{"a//b", "a repository is"},
		{"a/../b", "a repository is"},
		{"-a", "a repository is"},
		{"a_", "a repository is"},
		{"a___b", "a repository is"},
		{"a..b", "a repository is"},
		{"a b", "a repository is"},
		{"a\nb", "a repository is"},
		{"caf\xc3\xa9", "a repository is"},
		{":tag", "a repository is"},
		{"alpine:", "a tag has"},
		{"alpine:.x", "a tag has"},
		{"alpine:-x", "a tag has"},
		{"alpine:a:b@" DIGEST, "a repository is"},
		{"alpine:a b", "a tag has"},
		{"alpine@sha256:abc", "64 lower-case hexadecimal"},
		{"alpine@", "is not a digest"},
		{"alpine@md5:d41d8cd98f00b204e9800998ecf8427e", "other than sha256"},
		{"host:0/app", "not a registry"},
		{"host:65536/app", "not a registry"},
		{"host:/app", "not a registry"},
		{"host:port/app", "not a registry"},
		{"../app", "not a registry"},
		{"a..b/app", "not a registry"},
		{".a/app", "not a registry"},
		{"-a.example.com/app", "not a registry"},
		{"a-.example.com/app", "not a registry"},
		{"[::1/app", "not a registry"},
		{"[::g]/app", "not a registry"},
		{"[::1]]/app", "not a registry"},
		{"[fd00..1]/app", "not a registry"},
		{"[::1]x/app", "not a registry"},
		{"https://r.example.com/app", "without"},
		{"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "image id"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reference reference = {.tag = "untouched"};
		struct error err = {0};

		assert_int_equal(reference_parse(cases[i].text, &reference, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.message, cases[i].why))
			fail_msg("%s", err.message);
		assert_string_equal(reference.tag, "untouched");
	}
}

static void lengths_are_limited(void **state)
{
	(void)state;
	struct reference reference;
	char text[1024];

	/* 255 characters of repository pass, 256 do not. */
	(void)snprintf(
		text, sizeof(text), "r.example.com/%s", FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa");
	assert_int_equal(reference_parse(text, &reference, NULL), 0);
	strcat(text, "a");
	assert_int_equal(reference_parse(text, &reference, NULL), -1);

	/* docker.io adds "library/". */
	assert_int_equal(reference_parse(FIFTY FIFTY FIFTY FIFTY FIFTY, &reference, NULL), -1);

	(void)snprintf(text, sizeof(text), "a:%s", FIFTY FIFTY TEN TEN "aaaaaaaa");
	assert_int_equal(reference_parse(text, &reference, NULL), 0);
	strcat(text, "a");
	assert_int_equal(reference_parse(text, &reference, NULL), -1);

	(void)snprintf(text, sizeof(text), "%s.test/a", FIFTY FIFTY FIFTY FIFTY FIFTY);
	assert_int_equal(reference_parse(text, &reference, NULL), 0);
	(void)snprintf(text, sizeof(text), "%s.test/a", FIFTY FIFTY FIFTY FIFTY FIFTY "a");
	assert_int_equal(reference_parse(text, &reference, NULL), -1);
}

static void the_longest_reference_is_formatted_whole(void **state)
{
	(void)state;
	struct reference reference;
	char text[REFERENCE_TEXT_SIZE];
	char formatted[REFERENCE_TEXT_SIZE];

	(void)snprintf(text, sizeof(text), "%s.test:65535/%s:%s@sha512:%s%s%s",
		FIFTY FIFTY FIFTY FIFTY FIFTY, FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa",
		FIFTY FIFTY TEN TEN "aaaaaaaa", FIFTY, FIFTY, TEN TEN "aaaaaaaa");
	assert_int_equal(reference_parse(text, &reference, NULL), 0);
	assert_string_equal(reference_format(&reference, formatted), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_type_gets_its_normal_form),
		cmocka_unit_test(the_parts_are_kept_apart),
		cmocka_unit_test(a_refusal_names_the_part_that_is_wrong),
		cmocka_unit_test(lengths_are_limited),
		cmocka_unit_test(the_longest_reference_is_formatted_whole),
	};
	return cmocka_run_group_tests_name("oci/reference", tests, NULL, NULL);
}
