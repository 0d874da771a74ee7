/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of servers mean, and what is made of several failures. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "failure_internal.h"
#include "query_internal.h"
#include "retry_internal.h"
#include "source_internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Row 28 of the conformance table. */
static void queries_are_appended_and_escaped(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer url = {0};

	assert_int_equal(buffer_printf(&url, "/v2/r/manifests/t"), 0);
	assert_int_equal(query_append(&url, "bar", "123"), 0);
	assert_int_equal(query_append(&url, "baz", "456"), 0);
	assert_int_equal(query_append(&url, "baz", "789"), 0);
	assert_string_equal((char *)url.data, "/v2/r/manifests/t?bar=123&baz=456&baz=789");

	buffer_free(&url);
	assert_int_equal(query_append(&url, "ns", "myregistry.example.com:5000"), 0);
	assert_int_equal(query_append(&url, "a b", "&=?#%\xc3\xa9/"), 0);
	assert_string_equal(
		(char *)url.data, "?ns=myregistry.example.com:5000&a%20b=%26%3D%3F%23%25%C3%A9%2F");

	buffer_free(&url);
	assert_int_equal(form_append(&url, "password", "p+w d"), 0);
	assert_int_equal(form_append(&url, "x", ""), 0);
	assert_string_equal((char *)url.data, "password=p%2Bw%20d&x=");
}

static void scopes_are_a_sorted_set_without_placeholders(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{NULL, "repository:team/app:pull"},
		{"repository:team/app:pull", "repository:team/app:pull"},
		{"repository:user/image:pull", "repository:team/app:pull"},
		{"repository:team/app:pull,push  registry:catalog:*",
			"registry:catalog:* repository:team/app:pull "
			"repository:team/app:pull,push"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(cleanup_free) char *scopes = auth_scopes_merge("team/app", cases[i][0]);

		assert_string_equal(scopes, cases[i][1]);
	}
}

static void tokens_are_found_under_either_name(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		const char *token; /* NULL: refused */
		uint64_t lifetime_s;
	} cases[] = {
		{"{\"token\":\"a\",\"expires_in\":300}", "a", 300},
		{"{\"access_token\":\"b\",\"token\":\"a\"}", "b", UINT64_MAX},
		{"{\"access_token\":\"\",\"token\":\"a\",\"expires_in\":10}", "a", 60},
		{"{\"token\":\"a\",\"expires_in\":-5}", "a", 60},
		{"{\"token\":\"a\",\"expires_in\":\"300\"}", "a", UINT64_MAX},
		{"{\"expires_in\":300}", NULL, 0},
		{"{\"token\":5}", NULL, 0},
		{"[]", NULL, 0},
		{"<html>", NULL, 0},
		{"", NULL, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(cleanup_free) char *token = NULL;
		uint64_t lifetime_s = 0;
		struct error err = {0};
		int result = auth_response_parse(
			cases[i].answer, strlen(cases[i].answer), &token, &lifetime_s, &err);

		if (!cases[i].token) {
			assert_int_equal(result, -1);
			assert_int_equal(err.kind, ERROR_FORMAT);
			continue;
		}
		assert_int_equal(result, 0);
		assert_string_equal(token, cases[i].token);
		assert_true(lifetime_s == cases[i].lifetime_s);
	}
}

static void servers_explain_errors_in_many_ways(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\",\"detail\":{}}]}",
			"DENIED: no"},
		{"{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED"},
		{"{\"error\":\"invalid_grant\",\"error_description\":\"bad\"}",
			"invalid_grant: bad"},
		{"{\"details\":\"incorrect username or password\"}",
			"incorrect username or password"},
		{"{\"errors\":[]}", ""},
		{"<html>busy</html>", ""},
		{"", ""},
	};
	char text[100];

	for (size_t i = 0; i < COUNT(cases); i++) {
		registry_error_text(cases[i][0], strlen(cases[i][0]), text, sizeof(text));
		assert_string_equal(text, cases[i][1]);
	}
}

static void pauses_are_seconds_or_a_date(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t seconds;
	} cases[] = {{"5", 5}, {"0", 0}, {"Sun, 06 Nov 1994 08:49:47 GMT", 10},
		{"Sun, 06 Nov 1994 08:49:30 GMT", 0}, {"soon", 0}, {"-3", 0}, {"", 0}, {"1.5", 0},
		{"99999999999999999999", 999999999}, {"Fri, 31 Dec 9999 23:59:59 GMT", 999999999}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_headers headers = {0};

		assert_int_equal(http_headers_add(&headers, "Retry-After", cases[i].text), 0);
		assert_true(exchange_retry_after(&headers, 784111777) ==
			    cases[i].seconds * NS_PER_SECOND);
		http_headers_free(&headers);
	}
}

static void content_ranges_are_read_strictly(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "bytes", "bytes 0-9", "bytes 9-0/10",
		"bytes 0-10/10", "bytes */10", "bytes 0-9/10 ", "bytes -9/10",
		"bytes 0-99999999999999999999/*", "bytes 0-18446744073709551615/*", "items 0-9/10",
		"bytes 0-9/x"};
	uint64_t first;
	uint64_t last;
	uint64_t total;

	assert_int_equal(content_range_parse("bytes 5-9/10", &first, &last, &total), 0);
	assert_true(first == 5 && last == 9 && total == 10);
	assert_int_equal(content_range_parse("Bytes 0-0/*", &first, &last, &total), 0);
	assert_true(first == 0 && last == 0 && total == UINT64_MAX);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (content_range_parse(wrong[i], &first, &last, &total) == 0)
			fail_msg("\"%s\" was accepted", wrong[i]);
	}
}

/* How often a host is asked that always fails like this. */
static unsigned attempts(const struct exchange_result *result, bool last_host)
{
	struct retry retry = {0};
	uint64_t delay_ns;
	unsigned n = 1;

	while (retry_is_due(&retry, result, last_host, &delay_ns))
		n++;
	return n;
}

/* Row 29. */
static void only_what_may_pass_is_tried_again(void **state)
{
	(void)state;
	static const struct {
		int status;
		enum http_failure failure;
		enum error_kind kind;
		unsigned last;
		unsigned other;
	} cases[] = {
		{408, HTTP_FAILURE_NONE, ERROR_TIMEOUT, 5, 5},
		{429, HTTP_FAILURE_NONE, ERROR_RATE_LIMITED, 5, 5},
		{500, HTTP_FAILURE_NONE, ERROR_UNAVAILABLE, 2, 1},
		{502, HTTP_FAILURE_NONE, ERROR_UNAVAILABLE, 2, 1},
		{503, HTTP_FAILURE_NONE, ERROR_UNAVAILABLE, 2, 1},
		{504, HTTP_FAILURE_NONE, ERROR_UNAVAILABLE, 2, 1},
		{400, HTTP_FAILURE_NONE, ERROR_UNSUPPORTED, 1, 1},
		{401, HTTP_FAILURE_NONE, ERROR_UNAUTHORIZED, 1, 1},
		{404, HTTP_FAILURE_NONE, ERROR_NOT_FOUND, 1, 1},
		{0, HTTP_FAILURE_CONNECT, ERROR_UNAVAILABLE, 3, 1},
		{0, HTTP_FAILURE_STALLED, ERROR_TIMEOUT, 3, 1},
		{0, HTTP_FAILURE_DEADLINE, ERROR_TIMEOUT, 1, 1},
		{0, HTTP_FAILURE_SERVER_UNTRUSTED, ERROR_UNAUTHORIZED, 1, 1},
		{0, HTTP_FAILURE_CLIENT_CERT_REFUSED, ERROR_UNAUTHORIZED, 1, 1},
		{200, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE, 3, 1},
		{200, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT, 1, 1},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct exchange_result result = {
			.status = cases[i].status, .failure = cases[i].failure};

		result.err.kind = cases[i].kind;
		assert_int_equal(attempts(&result, true), cases[i].last);
		assert_int_equal(attempts(&result, false), cases[i].other);
	}
}

static void another_status_in_between_is_another_chance(void **state)
{
	(void)state;
	struct exchange_result busy = {.status = 503};
	struct exchange_result broken = {.status = 500};
	struct retry retry = {0};
	uint64_t delay_ns;

	assert_true(retry_is_due(&retry, &busy, true, &delay_ns));
	assert_true(retry_is_due(&retry, &broken, true, &delay_ns));
	assert_false(retry_is_due(&retry, &broken, true, &delay_ns));
}

static void a_pause_that_is_too_long_is_not_waited_for(void **state)
{
	(void)state;
	struct exchange_result busy = {.status = 429, .retry_after_ns = RETRY_AFTER_MAX_NS};
	struct retry retry = {0};
	uint64_t delay_ns;

	assert_true(retry_is_due(&retry, &busy, true, &delay_ns));
	busy.retry_after_ns++;
	assert_false(retry_is_due(&retry, &busy, true, &delay_ns));
}

static struct error make_error(enum error_kind kind, const char *message)
{
	struct error err = {0};

	(void)error_set(&err, kind, "%s", message);
	return err;
}

static void one_failure_is_told_with_its_host(void **state)
{
	(void)state;
	struct failure_list list = {0};
	struct error err = make_error(ERROR_TIMEOUT, "GET https://a/v2/: no answer for 10 s");
	struct error out = {0};

	failure_list_compose(&list, &out);
	assert_int_equal(out.kind, ERROR_UNAVAILABLE);
	failure_list_add(&list, 0, "https://a", &err, false);
	failure_list_add(&list, 0, "https://a", &err, false);
	failure_list_compose(&list, &out);
	assert_int_equal(out.kind, ERROR_TIMEOUT);
	assert_string_equal(out.message, err.message);
	err = make_error(ERROR_FORMAT, "too short");
	failure_list_add(&list, 0, "https://a", &err, true);
	failure_list_compose(&list, &out);
	assert_string_equal(out.message, "https://a: too short");
	failure_list_clear(&list);
}

static void several_failures_name_each_host_and_its_cause(void **state)
{
	(void)state;
	struct failure_list list = {0};
	struct error first = make_error(
		ERROR_UNAVAILABLE, "HEAD https://mirror:5000/v2/x range 0-9: connection refused");
	struct error second = make_error(ERROR_UNAUTHORIZED, "authenticate with b: wrong password");
	struct error out = {0};

	failure_list_add(&list, 0, "https://mirror:5000", &first, false);
	failure_list_add(&list, 1, "https://b", &second, true);
	failure_list_compose(&list, &out);
	assert_int_equal(out.kind, ERROR_UNAUTHORIZED);
	assert_string_equal(out.message, "https://mirror:5000: connection refused; "
					 "https://b: authenticate with b: wrong password");
	failure_list_clear(&list);
}

/* As server and as [host] with a client certificate: the second try must not hide the first. */
static void an_origin_that_stands_twice_in_hosts_toml_is_told_twice(void **state)
{
	(void)state;
	struct failure_list list = {0};
	struct error first = make_error(ERROR_UNAUTHORIZED, "no client certificate");
	struct error second = make_error(ERROR_UNAUTHORIZED, "not trusted");
	struct error out = {0};

	failure_list_add(&list, 0, "https://a", &first, false);
	failure_list_add(&list, 1, "https://a", &second, false);
	failure_list_compose(&list, &out);
	assert_string_equal(
		out.message, "https://a: no client certificate; https://a: not trusted");
	failure_list_clear(&list);
}

static void the_upstream_decides_about_the_kind_if_it_answered(void **state)
{
	(void)state;
	static const struct {
		enum error_kind mirror;
		bool mirror_answered;
		enum error_kind upstream;
		bool upstream_answered;
		enum error_kind expected;
	} cases[] = {
		{ERROR_UNAVAILABLE, false, ERROR_NOT_FOUND, true, ERROR_NOT_FOUND},
		{ERROR_UNAUTHORIZED, true, ERROR_NOT_FOUND, true, ERROR_NOT_FOUND},
		{ERROR_NOT_FOUND, true, ERROR_UNAVAILABLE, false, ERROR_UNAVAILABLE},
		{ERROR_NOT_FOUND, true, ERROR_UNAUTHORIZED, false, ERROR_UNAUTHORIZED},
		{ERROR_UNAUTHORIZED, true, ERROR_UNAVAILABLE, false, ERROR_UNAUTHORIZED},
		{ERROR_RATE_LIMITED, true, ERROR_TIMEOUT, false, ERROR_RATE_LIMITED},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct failure_list list = {0};
		struct error mirror = make_error(cases[i].mirror, "m");
		struct error upstream = make_error(cases[i].upstream, "u");
		struct error out = {0};

		failure_list_add(&list, 0, "https://m", &mirror, cases[i].mirror_answered);
		failure_list_add(&list, 1, "https://u", &upstream, cases[i].upstream_answered);
		failure_list_compose(&list, &out);
		assert_int_equal(out.kind, cases[i].expected);
		failure_list_clear(&list);
	}
}

static void long_causes_are_cut_so_that_all_hosts_are_named(void **state)
{
	(void)state;
	static const char *const origins[] = {
		"https://a", "https://b", "https://c", "https://d", "https://e"};
	struct failure_list list = {0};
	struct error out = {0};
	char text[400];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t i = 0; i < COUNT(origins); i++) {
		struct error err = make_error(ERROR_UNAVAILABLE, text);

		failure_list_add(&list, i, origins[i], &err, false);
	}
	failure_list_compose(&list, &out);
	for (size_t i = 1; i < COUNT(origins); i++)
		assert_non_null(strstr(out.message, origins[i]));
	assert_true(strlen(out.message) < sizeof(out.message) - 40);
	failure_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_appended_and_escaped),
		cmocka_unit_test(scopes_are_a_sorted_set_without_placeholders),
		cmocka_unit_test(tokens_are_found_under_either_name),
		cmocka_unit_test(servers_explain_errors_in_many_ways),
		cmocka_unit_test(pauses_are_seconds_or_a_date),
		cmocka_unit_test(content_ranges_are_read_strictly),
		cmocka_unit_test(only_what_may_pass_is_tried_again),
		cmocka_unit_test(another_status_in_between_is_another_chance),
		cmocka_unit_test(a_pause_that_is_too_long_is_not_waited_for),
		cmocka_unit_test(one_failure_is_told_with_its_host),
		cmocka_unit_test(several_failures_name_each_host_and_its_cause),
		cmocka_unit_test(an_origin_that_stands_twice_in_hosts_toml_is_told_twice),
		cmocka_unit_test(the_upstream_decides_about_the_kind_if_it_answered),
		cmocka_unit_test(long_causes_are_cut_so_that_all_hosts_are_named),
	};
	return cmocka_run_group_tests_name("registry/answers", tests, NULL, NULL);
}
