/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "credentials_internal.h"

/* "user:pa:ss" */
#define AUTH "\"auth\":\"dXNlcjpwYTpzcw==\""

static struct credentials_entry parse(
	const char *text, const char *registry, const char *repository)
{
	struct credentials_entry entry;
	struct error err = {0};

	if (credentials_file_parse(text, strlen(text), registry, repository, &entry, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return entry;
}

static void each_form_of_a_secret_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *entry;
		const char *username;
		const char *secret;
		bool is_identity_token;
	} cases[] = {
		{AUTH, "user", "pa:ss", false},
		{"\"auth\":\"dXNlcjpwYTpzcw\"", "user", "pa:ss", false},
		{"\"auth\":\"dXNlcjo=\"", "user", "", false},
		{"\"auth\":\"\",\"username\":\"a\",\"password\":\"b\"", "a", "b", false},
		{"\"username\":\"a\",\"password\":\"b\",\"email\":\"c\"", "a", "b", false},
		{AUTH ",\"username\":\"a\",\"password\":\"b\"", "user", "pa:ss", false},
		{"\"identitytoken\":\"t\"", "<token>", "t", true},
		{AUTH ",\"identitytoken\":\"t\"", "<token>", "t", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];

		(void)snprintf(
			text, sizeof(text), "{\"auths\":{\"r.example.com\":{%s}}}", cases[i].entry);
		CLEANUP(credentials_entry_clear)
		struct credentials_entry entry = parse(text, "r.example.com", NULL);
		assert_true(entry.has_credential);
		assert_string_equal(entry.credential.username, cases[i].username);
		assert_string_equal(entry.credential.secret, cases[i].secret);
		assert_int_equal(entry.credential.is_identity_token, cases[i].is_identity_token);
		assert_string_equal(entry.helper, "");
	}
}

static void a_key_fits_as_docker_and_containers_have_it(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		const char *registry;
		const char *repository;
		bool fits;
	} cases[] = {
		{"r.example.com", "r.example.com", NULL, true},
		{"R.Example.com", "r.example.com", NULL, true},
		{"r.example.com/", "r.example.com", NULL, true},
		{"https://r.example.com", "r.example.com", NULL, true},
		{"http://r.example.com/v1/", "r.example.com", NULL, true},
		{"r.example.com/v2/", "r.example.com", NULL, true},
		{"r.example.com:5000", "r.example.com:5000", NULL, true},
		{"r.example.com:5000", "r.example.com", NULL, false},
		{"r.example.com", "r.example.com:5000", NULL, false},
		{"example.com", "r.example.com", NULL, false},
		{"r.example.com.evil.example", "r.example.com", NULL, false},
		{"", "r.example.com", NULL, false},
		{"https://", "r.example.com", NULL, false},
		{"https://index.docker.io/v1/", "docker.io", NULL, true},
		{"https://index.docker.io/v1/", "registry-1.docker.io", NULL, true},
		{"docker.io", "index.docker.io", NULL, true},
		{"docker.io/library", "docker.io", "library/app", true},
		{"r.example.com/team", "r.example.com", "team/app", true},
		{"r.example.com/team/", "r.example.com", "team/app", true},
		{"r.example.com/team/app", "r.example.com", "team/app", true},
		{"r.example.com/team/app", "r.example.com", "team/app2", false},
		{"r.example.com/team/ap", "r.example.com", "team/app", false},
		{"r.example.com/team", "r.example.com", "teams/app", false},
		{"r.example.com/team", "r.example.com", NULL, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text), "{\"auths\":{\"%s\":{" AUTH "}}}", cases[i].key);
		CLEANUP(credentials_entry_clear)
		struct credentials_entry entry =
			parse(text, cases[i].registry, cases[i].repository);
		if (entry.has_credential != cases[i].fits)
			fail_msg("%s for %s", cases[i].key, cases[i].registry);
	}
}

#define USER(key, name) "\"" key "\":{\"username\":\"" name "\",\"password\":\"p\"}"

static void the_most_particular_key_wins_whatever_the_order(void **state)
{
	(void)state;
	/* clang-format off */
	static const char text[] = "{\"auths\":{"
		USER("r.example.com/team", "team") ","
		USER("https://r.example.com", "url") ","
		USER("r.example.com/team/app", "app") ","
		USER("r.example.com", "host") ","
		USER("https://u.example.com/v1/", "url-only") ","
		"\"u.example.com\":{}}}";
	/* clang-format on */
	static const struct {
		const char *registry;
		const char *repository;
		const char *username;
	} cases[] = {
		{"r.example.com", "team/app", "app"},
		{"r.example.com", "team/app/part", "app"},
		{"r.example.com", "team/other", "team"},
		{"r.example.com", "other", "host"},
		{"r.example.com", NULL, "host"},
		{"u.example.com", "other", "url-only"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(credentials_entry_clear)
		struct credentials_entry entry =
			parse(text, cases[i].registry, cases[i].repository);
		assert_true(entry.has_credential);
		assert_string_equal(entry.credential.username, cases[i].username);
	}
}

static void helpers_are_named_for_one_registry_or_for_all(void **state)
{
	(void)state;
	static const char text[] =
		"{\"credsStore\":\"all\",\"credHelpers\":{\"h.example.com\":\"one-1.x_y\","
		"\"none.example.com\":\"\",\"https://index.docker.io/v1/\":\"hub\"},"
		"\"auths\":{\"h.example.com\":{},\"none.example.com\":{" AUTH "}}}";
	static const struct {
		const char *registry;
		const char *helper;
		bool is_default;
		bool has_credential;
	} cases[] = {
		{"h.example.com", "one-1.x_y", false, false},
		{"none.example.com", "", false, true},
		{"docker.io", "hub", false, false},
		{"other.example.com", "all", true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(credentials_entry_clear)
		struct credentials_entry entry = parse(text, cases[i].registry, NULL);
		assert_string_equal(entry.helper, cases[i].helper);
		assert_int_equal(entry.helper_is_default, cases[i].is_default);
		assert_int_equal(entry.has_credential, cases[i].has_credential);
	}
}

static void nothing_is_in_files_that_say_nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "{}", "{\"auths\":null,\"credsStore\":\"\"}",
		"{\"auths\":{\"r.example.com\":{\"auth\":\"\"}},\"credHelpers\":{}}",
		"{\"auths\":{\"other.example.com\":{\"auth\":7}},\"HttpHeaders\":{\"a\":\"b\"}}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CLEANUP(credentials_entry_clear)
		struct credentials_entry entry = parse(texts[i], "r.example.com", "app");
		assert_false(entry.has_credential);
		assert_string_equal(entry.helper, "");
	}
}

static void what_is_wrong_is_named_without_the_secret(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"{", "line 1"},
		{"[]", "not a JSON object"},
		{"{\"auths\":[]}", "\"auths\" is not an object"},
		{"{\"auths\":{\"r.example.com\":\"s3cret\"}}",
			"\"auths\": \"r.example.com\": the entry is not an object"},
		{"{\"auths\":{\"r.example.com\":{\"auth\":\"s3cret!\"}}}",
			"\"auth\" is not base64 of user:password"},
		{"{\"auths\":{\"r.example.com\":{\"auth\":\"czNjcmV0\"}}}",
			"\"auth\" is not base64 of user:password"},
		{"{\"auths\":{\"r.example.com\":{\"auth\":7}}}", "\"auth\" is not"},
		{"{\"auths\":{\"r.example.com\":{\"auth\":\"czNjcmV0OgA=\"}}}", "\"auth\" is not"},
		{"{\"auths\":{\"r.example.com\":{\"username\":\"s3cret\"}}}",
			"\"password\" is missing"},
		{"{\"auths\":{\"r.example.com\":{\"username\":7,\"password\":\"s3cret\"}}}",
			"\"username\" is missing or not a string"},
		{"{\"auths\":{\"r.example.com\":{\"identitytoken\":{}}}}", "\"identitytoken\""},
		{"{\"credHelpers\":[]}", "\"credHelpers\" is not an object"},
		{"{\"credHelpers\":{\"r.example.com\":\"../s3cret\"}}",
			"\"credHelpers\": \"r.example.com\" is not a name of a helper"},
		{"{\"credHelpers\":{\"r.example.com\":7}}", "is not a name of a helper"},
		{"{\"credsStore\":\"/bin/s3cret\"}", "\"credsStore\" is not a name of a helper"},
		{"{\"credsStore\":\"a b\"}", "\"credsStore\" is not a name of a helper"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct credentials_entry entry;
		struct error err = {0};

		assert_int_equal(credentials_file_parse(cases[i].text, strlen(cases[i].text),
					 "r.example.com", NULL, &entry, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (!strstr(err.message, cases[i].why) || strstr(err.message, "s3cret"))
			fail_msg("%s", err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_of_a_secret_is_read),
		cmocka_unit_test(a_key_fits_as_docker_and_containers_have_it),
		cmocka_unit_test(the_most_particular_key_wins_whatever_the_order),
		cmocka_unit_test(helpers_are_named_for_one_registry_or_for_all),
		cmocka_unit_test(nothing_is_in_files_that_say_nothing),
		cmocka_unit_test(what_is_wrong_is_named_without_the_secret),
	};
	return cmocka_run_group_tests_name("registry/credentials_file", tests, NULL, NULL);
}
