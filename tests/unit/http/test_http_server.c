/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_server.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server_fixture.h"

static void answers_on_a_unix_socket_of_the_given_mode(void **state)
{
	struct server_fixture *context = *state;
	struct http_request_options options =
		server_fixture_request(context, HTTP_POST, "http://varve/v1/echo");
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	struct stat status;

	server_fixture_start(context);
	assert_int_equal(stat(context->socket, &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0600);
	options.body = "hello";
	options.body_size = 5;
	server_fixture_call(&options, &answer);
	assert_int_equal(answer.status, 200);
	assert_memory_equal(answer.body.data, "hello", 5);
	assert_string_equal(http_headers_get(&answer.headers, "Content-Type"), "text/plain");
}

static void answers_on_the_loopback(void **state)
{
	struct server_fixture *context = *state;
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	struct http_request_options options = {.method = HTTP_GET};
	char url[64];

	context->options.unix_socket = NULL;
	context->options.address = "127.0.0.1";
	server_fixture_start(context);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/show/",
		http_server_port(context->server));
	options.url = url;
	server_fixture_call(&options, &answer);
	assert_int_equal(answer.status, 200);
}

static void gives_handlers_what_the_request_says(void **state)
{
	struct server_fixture *context = *state;
	const struct http_header accept = {"Accept", "a/b"};
	struct http_request_options options = server_fixture_request(context, HTTP_GET,
		"http://varve/v1/show/a%20b%2Fc?nsx=0&empty&ns=docker.io%3A5000&ns=x");
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	server_fixture_start(context);
	options.headers = &accept;
	options.n_headers = 1;
	server_fixture_call(&options, &answer);
	assert_string_equal((const char *)answer.body.data,
		"GET /v1/show/a b/c ns=docker.io:5000 empty=yes accept=a/b");
	assert_string_equal(http_headers_get(&answer.headers, "X-Extra"), "yes");
	assert_null(http_headers_get(&answer.headers, "X-Other"));
}

static void refuses_unknown_paths_and_methods(void **state)
{
	struct server_fixture *context = *state;
	static const struct {
		enum http_method method;
		const char *url;
		int status;
	} cases[] = {
		{HTTP_GET, "http://varve/", 404},
		{HTTP_GET, "http://varve/v1/echo/more", 404},
		{HTTP_GET, "http://varve/v1/shows", 404},
		{HTTP_GET, "http://varve/v1/echo", 405},
		{HTTP_POST, "http://varve/v1/hold", 405},
		{HTTP_GET, "http://varve/v1/show/%00", 400},
		{HTTP_DELETE, "http://varve/v1/hold", 200},
	};

	server_fixture_start(context);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request_options options =
			server_fixture_request(context, cases[i].method, cases[i].url);
		CLEANUP(http_answer_free) struct http_answer answer = {0};

		server_fixture_call(&options, &answer);
		if (answer.status != cases[i].status)
			fail_msg("%s: %d", cases[i].url, answer.status);
		if (answer.status == 405)
			assert_non_null(http_headers_get(&answer.headers, "Allow"));
	}
}

static void head_is_get_without_the_body(void **state)
{
	struct server_fixture *context = *state;
	struct http_request_options options =
		server_fixture_request(context, HTTP_HEAD, "http://varve/v1/show/x");
	CLEANUP(http_answer_free) struct http_answer answer = {0};

	server_fixture_start(context);
	server_fixture_call(&options, &answer);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.size, 0);
	assert_string_not_equal(http_headers_get(&answer.headers, "Content-Length"), "0");
}

static void reply_held(void *arg)
{
	struct server_fixture *context = arg;

	if (context->held)
		http_call_reply(context->held, 200, NULL, "late", 4);
	context->held = NULL;
}

struct look {
	const struct server_fixture *context;
	bool held;
};

static void look_for_held(void *arg)
{
	struct look *look = arg;

	look->held = look->context->held != NULL;
}

static void wait_for_held(struct server_fixture *context)
{
	struct look look = {.context = context};

	for (int i = 0; i < 2000 && !look.held; i++) {
		(void)usleep(1000);
		fixture_on_loop(&context->fixture, look_for_held, &look);
	}
	assert_true(look.held);
}

static void a_handler_may_answer_later(void **state)
{
	struct server_fixture *context = *state;
	struct probe probe;

	server_fixture_start(context);
	probe_init(&probe, &context->fixture, "http://varve/v1/hold");
	probe.options.unix_socket = context->socket;
	probe_start(&probe);
	wait_for_held(context);
	fixture_on_loop(&context->fixture, reply_held, context);
	assert_int_equal(probe_wait_done(&probe)->status, 200);
	assert_memory_equal(probe.body.data, "late", 4);
	probe_free(&probe);
}

static void a_late_answer_to_a_client_that_left_or_after_the_server_is_harmless(void **state)
{
	struct server_fixture *context = *state;
	struct probe probe;

	server_fixture_start(context);
	probe_init(&probe, &context->fixture, "http://varve/v1/hold");
	probe.options.unix_socket = context->socket;
	probe_start(&probe);
	wait_for_held(context);
	probe_cancel(&probe);
	fixture_on_loop(&context->fixture, reply_held, context);

	probe_start(&probe);
	wait_for_held(context);
	fixture_on_loop(&context->fixture, server_fixture_free, context);
	assert_int_equal(probe_wait_done(&probe)->failure, HTTP_FAILURE_CLOSED);
	assert_false(http_call_is_wanted(context->held));
	fixture_on_loop(&context->fixture, reply_held, context);
	probe_free(&probe);
}

static void replaces_a_stale_socket_and_removes_its_own(void **state)
{
	struct server_fixture *context = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	int stale = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", context->socket);
	assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(stale);
	server_fixture_start(context);
	fixture_on_loop(&context->fixture, server_fixture_free, context);
	assert_int_equal(lstat(context->socket, &status), -1);
}

static void refuses_a_place_that_is_taken(void **state)
{
	struct server_fixture *context = *state;
	struct http_server *first;
	char long_path[200];

	server_fixture_start(context);
	first = context->server;
	context->server = NULL;
	fixture_on_loop(&context->fixture, server_fixture_make, context);
	assert_null(context->server);
	assert_int_equal(context->err.kind, ERROR_BUSY);
	assert_non_null(strstr(context->err.message, context->socket));
	context->server = first;
	fixture_on_loop(&context->fixture, server_fixture_free, context);

	(void)write_text(&context->scratch, "control.sock", "a file\n");
	fixture_on_loop(&context->fixture, server_fixture_make, context);
	assert_int_equal(context->err.kind, ERROR_EXISTS);

	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	context->options.unix_socket = long_path;
	fixture_on_loop(&context->fixture, server_fixture_make, context);
	assert_int_equal(context->err.kind, ERROR_INVALID);

	context->options.unix_socket = NULL;
	context->options.address = "0.0.0.0";
	fixture_on_loop(&context->fixture, server_fixture_make, context);
	assert_int_equal(context->err.kind, ERROR_INVALID);
	assert_null(context->server);
}

static void a_client_of_a_missing_socket_names_it(void **state)
{
	struct server_fixture *context = *state;
	struct http_request_options options =
		server_fixture_request(context, HTTP_GET, "http://varve/v1/show/x");
	CLEANUP(http_answer_free) struct http_answer answer = {0};
	struct error err = {0};

	assert_int_equal(http_call_once(&options, &answer, &err), -1);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_int_equal(answer.result.failure, HTTP_FAILURE_CONNECT);
	assert_non_null(strstr(err.message, context->socket));
	assert_non_null(strstr(err.message, "No such file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, server_fixture_open, server_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(answers_on_a_unix_socket_of_the_given_mode),
		TEST(answers_on_the_loopback),
		TEST(gives_handlers_what_the_request_says),
		TEST(refuses_unknown_paths_and_methods),
		TEST(head_is_get_without_the_body),
		TEST(a_handler_may_answer_later),
		TEST(a_late_answer_to_a_client_that_left_or_after_the_server_is_harmless),
		TEST(replaces_a_stale_socket_and_removes_its_own),
		TEST(refuses_a_place_that_is_taken),
		TEST(a_client_of_a_missing_socket_names_it),
	};
	return cmocka_run_group_tests_name("http/http_server", tests, NULL, NULL);
}
