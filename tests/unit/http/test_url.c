/* SPDX-License-Identifier: Apache-2.0 */
#include "http/url.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

static void takes_a_url_apart_and_normalises_it(void **state)
{
	(void)state;
	CLEANUP(url_free) struct url url = {0};

	assert_int_equal(
		url_parse("HTTPS://Registry.Example:5000/v2/a/../b/./c?x=1&y=%2F#part", &url, NULL),
		0);
	assert_string_equal(url.scheme, "https");
	assert_string_equal(url.host, "registry.example");
	assert_int_equal(url.port, 5000);
	assert_string_equal(url.path, "/v2/b/c");
	assert_string_equal(url.query, "x=1&y=%2F");
}

static void knows_the_usual_ports_and_an_absent_path_and_query(void **state)
{
	(void)state;
	CLEANUP(url_free) struct url plain = {0};
	CLEANUP(url_free) struct url secure = {0};

	assert_int_equal(url_parse("http://[::1]", &plain, NULL), 0);
	assert_int_equal(plain.port, 80);
	assert_string_equal(plain.host, "[::1]");
	assert_string_equal(plain.path, "/");
	assert_null(plain.query);
	assert_int_equal(url_parse("https://h/", &secure, NULL), 0);
	assert_int_equal(secure.port, 443);
}

static void refuses_what_no_registry_is_reached_by(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"example.com/x",
		"ftp://example.com/",
		"file:///etc/passwd",
		"https://user:secret@example.com/",
		"https:///path",
		"https://h:0/",
		"https://h:65536/",
		"https://h/a b",
		"https://h/a\nHost: other",
		"https://h/\x7f",
		"https://[::1/",
		"https://",
		"//example.com/x",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct url url = {0};
		struct error err = {0};

		if (url_parse(texts[i], &url, &err) == 0)
			fail_msg("accepted \"%s\"", texts[i]);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(strstr(err.message, "secret"));
	}
}

static void refuses_a_url_that_is_too_long(void **state)
{
	(void)state;
	CLEANUP(cleanup_free) char *text = malloc(URL_MAX_SIZE + 2);
	CLEANUP(url_free) struct url longest = {0};
	struct url url = {0};
	struct error err = {0};

	memset(text, 'a', URL_MAX_SIZE + 1);
	memcpy(text, "https://h/", 10);
	text[URL_MAX_SIZE + 1] = '\0';
	assert_int_equal(url_parse(text, &url, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	text[URL_MAX_SIZE] = '\0';
	assert_int_equal(url_parse(text, &longest, NULL), 0);
}

static void formats_what_it_parsed(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"https://registry.example/v2/",
		"http://registry.example:5000/v2/a/blobs/x?ns=docker.io",
		"https://[::1]:5000/",
		"http://h/a%20b?",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CLEANUP(url_free) struct url url = {0};
		CLEANUP(buffer_free) struct buffer text = {0};

		assert_int_equal(url_parse(texts[i], &url, NULL), 0);
		assert_int_equal(url_format(&url, &text, NULL), 0);
		assert_string_equal((const char *)text.data, texts[i]);
	}
}

static void resolves_references_as_rfc_3986_says(void **state)
{
	(void)state;
	static const struct {
		const char *reference;
		const char *expected;
	} cases[] = {
		{"https://cdn.example/x?sig=1", "https://cdn.example/x?sig=1"},
		{"/v2/other?y=1", "https://h:5000/v2/other?y=1"},
		{"//other.example/x", "https://other.example/x"},
		{"sibling", "https://h:5000/a/b/sibling"},
		{"../up", "https://h:5000/a/up"},
		{"../../../up", "https://h:5000/up"},
		{"?only=query", "https://h:5000/a/b/c?only=query"},
		{"", "https://h:5000/a/b/c?d=1"},
		{"#fragment", "https://h:5000/a/b/c?d=1"},
		{"/with space", "https://h:5000/with%20space"},
		{"http://plain.example/", "http://plain.example/"},
	};
	CLEANUP(url_free) struct url base = {0};

	assert_int_equal(url_parse("https://h:5000/a/b/c?d=1", &base, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(url_free) struct url url = {0};
		CLEANUP(buffer_free) struct buffer text = {0};

		assert_int_equal(url_resolve(&base, cases[i].reference, &url, NULL), 0);
		assert_int_equal(url_format(&url, &text, NULL), 0);
		assert_string_equal((const char *)text.data, cases[i].expected);
	}
}

static void refuses_to_be_redirected_outside_http(void **state)
{
	(void)state;
	static const char *const references[] = {"file:///etc/passwd", "ftp://x/", "javascript:1",
		"https://u:p@h/", "https:///x", "/a\r\nX: y"};
	CLEANUP(url_free) struct url base = {0};

	assert_int_equal(url_parse("https://h:5000/a/b/c?d=1", &base, NULL), 0);
	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
		struct url url = {0};
		struct error err = {0};

		if (url_resolve(&base, references[i], &url, &err) == 0)
			fail_msg("accepted \"%s\"", references[i]);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void an_origin_is_scheme_host_and_port(void **state)
{
	(void)state;
	static const struct {
		const char *a;
		const char *b;
		bool equal;
	} cases[] = {
		{"https://h/x", "https://H:443/y?z", true},
		{"https://h/", "http://h:443/", false},
		{"https://h/", "https://h:444/", false},
		{"https://h/", "https://h.example/", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(url_free) struct url a = {0};
		CLEANUP(url_free) struct url b = {0};

		assert_int_equal(url_parse(cases[i].a, &a, NULL), 0);
		assert_int_equal(url_parse(cases[i].b, &b, NULL), 0);
		assert_int_equal(url_origin_equal(&a, &b), cases[i].equal);
	}
}

static void redacts_all_that_may_be_a_secret(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"https://h/p", "https://h/p"},
		{"https://h/p?ns=docker.io", "https://h/p?ns=docker.io"},
		{"https://h/p?X-Sig=abc&ns=docker.io&t=1",
			"https://h/p?X-Sig=***&ns=docker.io&t=***"},
		{"https://h/p?ticket", "https://h/p?***"},
		{"https://h/p?a=1&&b=2", "https://h/p?a=***&&b=***"},
		{"https://user:secret@h/p?a=b", "https://***@h/p?a=***"},
		{"https://u:p@w@h/", "https://***@h/"},
		{"no url at all?x=y", "no url at all?x=***"},
		{"https://h/p#access_token=1", "https://h/p#access_token=***"},
		{"/p?a=https://u:p@h/", "/p?a=***"},
		{"", ""},
	};
	char shown[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		url_redact(cases[i].text, shown, sizeof(shown));
		assert_string_equal(shown, cases[i].expected);
	}
}

static void redaction_fits_any_buffer(void **state)
{
	(void)state;
	const char *text = "https://user:secret@registry.example/path?token=abc&ns=docker.io";

	for (size_t size = 1; size < 80; size++) {
		CLEANUP(cleanup_free) char *shown = malloc(size);

		url_redact(text, shown, size);
		assert_true(strlen(shown) < size);
		assert_null(strstr(shown, "sec"));
		assert_null(strstr(shown, "abc"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_url_apart_and_normalises_it),
		cmocka_unit_test(knows_the_usual_ports_and_an_absent_path_and_query),
		cmocka_unit_test(refuses_what_no_registry_is_reached_by),
		cmocka_unit_test(refuses_a_url_that_is_too_long),
		cmocka_unit_test(formats_what_it_parsed),
		cmocka_unit_test(resolves_references_as_rfc_3986_says),
		cmocka_unit_test(refuses_to_be_redirected_outside_http),
		cmocka_unit_test(an_origin_is_scheme_host_and_port),
		cmocka_unit_test(redacts_all_that_may_be_a_secret),
		cmocka_unit_test(redaction_fits_any_buffer),
	};
	return cmocka_run_group_tests_name("http/url", tests, NULL, NULL);
}
