/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "client_fixture.h"
#include "fake_server.h"

enum { REQUEST_SIZE = 8192 };

static const struct http_client_options plain_options = {0};

/* Answers every request of a connection with what its path says. */
static void serve_paths(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];
	char body[64];

	(void)arg;
	while (fake_read_request(connection, head, sizeof(head))) {
		if (strstr(head, "/head-only")) {
			fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
		} else if (strstr(head, "/missing")) {
			fake_print(connection,
				"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
		} else if (strstr(head, "/redirect")) {
			fake_print(connection,
				"HTTP/1.1 307 Temporary Redirect\r\nLocation: /ok\r\n"
				"Content-Length: 0\r\n\r\n");
		} else if (strstr(head, "/echo")) {
			assert_true(fake_read(connection, body, 5));
			fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%.5s",
				body);
		} else if (strstr(head, "/request")) {
			fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
				strlen(head), head);
		} else {
			fake_print(connection, "HTTP/1.1 200 OK\r\nWWW-Authenticate: Basic\r\n"
					       "www-authenticate: Bearer realm=\"x\"\r\n"
					       "Content-Length: 5\r\n\r\nhello");
		}
	}
}

struct context {
	struct fixture fixture;
	struct fake_server *server;
};

static int open_context(void **state)
{
	struct context *context = calloc(1, sizeof(*context));

	assert_non_null(context);
	fixture_open(&context->fixture, &plain_options);
	context->server = fake_server_start(NULL, serve_paths, NULL);
	*state = context;
	return 0;
}

static int close_context(void **state)
{
	struct context *context = *state;

	fixture_close(&context->fixture);
	fake_server_stop(context->server);
	free(context);
	return 0;
}

static void get(struct context *context, const struct http_request_options *options,
	struct http_answer *answer)
{
	struct error err = {0};

	if (http_perform(context->fixture.client, options, answer, &err) < 0)
		fail_msg("%s", err.message);
}

static void delivers_status_headers_and_body(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/ok")};
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	get(context, &options, &answer);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.result.status, 200);
	assert_int_equal(answer.body.size, 5);
	assert_memory_equal(answer.body.data, "hello", 5);
	assert_string_equal(http_headers_get(&answer.headers, "content-length"), "5");
	assert_string_equal(http_headers_at(&answer.headers, "WWW-Authenticate", 0), "Basic");
	assert_string_equal(
		http_headers_at(&answer.headers, "WWW-Authenticate", 1), "Bearer realm=\"x\"");
	assert_null(http_headers_at(&answer.headers, "WWW-Authenticate", 2));
	assert_null(http_headers_get(&answer.headers, "X-None"));
	assert_int_equal(answer.result.n_received, 5);
	assert_int_equal(answer.result.err.kind, ERROR_NONE);
}

static void uses_a_connection_again(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/ok")};

	for (int i = 0; i < 3; i++) {
		CLEANUP(http_answer_free) struct http_answer answer = {0};

		get(context, &options, &answer);
		assert_int_equal(answer.result.reused, i > 0);
	}
	assert_int_equal(fake_server_n_connections(context->server), 1);
}

static void a_status_above_399_is_an_answer_and_no_failure(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/missing")};
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	get(context, &options, &answer);
	assert_int_equal(answer.status, 404);
	assert_memory_equal(answer.body.data, "none", 4);
}

static void follows_no_redirect(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/redirect")};
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	get(context, &options, &answer);
	assert_int_equal(answer.status, 307);
	assert_string_equal(http_headers_get(&answer.headers, "Location"), "/ok");
}

static void head_has_a_length_and_no_body(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {.method = HTTP_HEAD,
		.url = fake_server_url(context->server, "/head-only"),
		.max_body = 100};
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	get(context, &options, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(http_headers_get(&answer.headers, "Content-Length"), "12345");
	assert_int_equal(answer.body.size, 0);
}

static void post_sends_its_body(void **state)
{
	struct context *context = *state;
	const struct http_request_options options = {.method = HTTP_POST,
		.url = fake_server_url(context->server, "/echo"),
		.body = "abcde",
		.body_size = 5};
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	get(context, &options, &answer);
	assert_memory_equal(answer.body.data, "abcde", 5);
}

static void sends_the_headers_and_range_it_was_given_and_nothing_unasked(void **state)
{
	struct context *context = *state;
	const struct http_header headers[] = {
		{"Authorization", "Bearer abc"}, {"X-Empty", ""}, {"Accept", "a/b, c/d"}};
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/request?x=1"),
		.headers = headers,
		.n_headers = 3,
		.range = true,
		.range_off = 4096,
		.range_size = 100};
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	const char *head;

	get(context, &options, &answer);
	head = (const char *)answer.body.data;
	assert_non_null(strstr(head, "GET /request?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(head, "Authorization: Bearer abc\r\n"));
	assert_non_null(strstr(head, "X-Empty:\r\n"));
	assert_non_null(strstr(head, "Accept: a/b, c/d\r\n"));
	assert_non_null(strstr(head, "Range: bytes=4096-4195\r\n"));
	assert_non_null(strstr(head, "User-Agent: varve/"));
	assert_null(strstr(head, "Accept-Encoding"));
	assert_null(strstr(head, "Cookie"));
}

static void closes_connections_that_nobody_uses_any_more(void **state)
{
	struct context *context = *state;
	static const struct http_client_options idle_options = {.idle_timeout_ns = 20 * NS_PER_MS};
	const struct http_request_options options = {
		.url = fake_server_url(context->server, "/ok")};
	struct fixture fixture;

	fixture_open(&fixture, &idle_options);
	for (int i = 0; i < 2; i++) {
		CLEANUP(http_answer_free) struct http_answer answer = {0};

		assert_int_equal(http_perform(fixture.client, &options, &answer, NULL), 0);
		assert_false(answer.result.reused);
		fake_server_wait_ended(context->server, i + 1);
	}
	fixture_close(&fixture);
}

static void asks_hundreds_of_hosts(void **state)
{
	struct context *context = *state;

	/* Each address of the loopback is a host of its own. */
	for (int i = 2; i < 250; i++) {
		CLEANUP(http_answer_free) struct http_answer answer = {0};
		char url[64];
		const struct http_request_options options = {
			.url = url, .connect_timeout_ns = NS_PER_SECOND};

		(void)snprintf(url, sizeof(url), "http://127.0.0.%d:%d/ok", i,
			fake_server_port(context->server));
		/* The server listens on the first of them only. */
		assert_int_equal(
			http_perform(context->fixture.client, &options, &answer, NULL), -1);
		assert_int_equal(answer.result.failure, HTTP_FAILURE_CONNECT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			delivers_status_headers_and_body, open_context, close_context),
		cmocka_unit_test_setup_teardown(
			uses_a_connection_again, open_context, close_context),
		cmocka_unit_test_setup_teardown(a_status_above_399_is_an_answer_and_no_failure,
			open_context, close_context),
		cmocka_unit_test_setup_teardown(follows_no_redirect, open_context, close_context),
		cmocka_unit_test_setup_teardown(
			head_has_a_length_and_no_body, open_context, close_context),
		cmocka_unit_test_setup_teardown(post_sends_its_body, open_context, close_context),
		cmocka_unit_test_setup_teardown(
			sends_the_headers_and_range_it_was_given_and_nothing_unasked, open_context,
			close_context),
		cmocka_unit_test_setup_teardown(
			closes_connections_that_nobody_uses_any_more, open_context, close_context),
		cmocka_unit_test_setup_teardown(
			asks_hundreds_of_hosts, open_context, close_context),
	};
	return cmocka_run_group_tests_name("http/http_client", tests, NULL, NULL);
}
