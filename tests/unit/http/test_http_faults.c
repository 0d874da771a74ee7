/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

#include "client_fixture.h"
#include "fake_server.h"

enum { REQUEST_SIZE = 8192 };

/* What the server does after it has read a request. */
struct script {
	const char *answer; /* sent first */
	size_t n_filler;    /* then so many bytes 'x' */
	bool keep_open;     /* then waits for the client to close */
};

static void serve_script(struct fake_connection *connection, void *arg)
{
	const struct script *script = arg;
	char head[REQUEST_SIZE];
	char filler[4096];

	memset(filler, 'x', sizeof(filler));
	if (!fake_read_request(connection, head, sizeof(head)))
		return;
	fake_print(connection, "%s", script->answer);
	for (size_t left = script->n_filler; left > 0;) {
		size_t size = left < sizeof(filler) ? left : sizeof(filler);

		fake_write(connection, filler, size);
		left -= size;
	}
	if (script->keep_open)
		fake_wait_for_close(connection);
}

struct context {
	struct fixture fixture;
	struct fake_server *server;
	struct probe probe;
};

static void open_with(struct context *context, struct script *script)
{
	static const struct http_client_options options = {.max_connections = 4};

	fixture_open(&context->fixture, &options);
	context->server = fake_server_start(NULL, serve_script, script);
	probe_init(&context->probe, &context->fixture,
		fake_server_url(context->server, "/v2/blob?token=secret"));
}

static void close_all(struct context *context)
{
	fixture_close(&context->fixture);
	fake_server_stop(context->server);
	probe_free(&context->probe);
}

static void assert_mentions(const char *message, const char *part)
{
	if (!strstr(message, part))
		fail_msg("\"%s\" does not mention \"%s\"", message, part);
}

static void assert_fails(struct probe *probe, enum http_failure failure, enum error_kind kind)
{
	const struct http_result *result = probe_wait_done(probe);

	if (result->failure != failure || result->err.kind != kind)
		fail_msg("failure %d, kind %d: \"%s\"", result->failure, result->err.kind,
			result->err.message);
	assert_mentions(result->err.message, "GET http");
	assert_null(strstr(result->err.message, "secret"));
}

static void a_refused_connection_is_said_to_be_one(void **state)
{
	(void)state;
	struct script script = {.answer = ""};
	struct context context;
	char url[64];

	open_with(&context, &script);
	(void)snprintf(
		url, sizeof(url), "http://127.0.0.1:%d/v2/", fake_server_port(context.server));
	fake_server_stop(context.server);
	context.server = NULL;
	context.probe.options.url = url;
	context.probe.options.range = true;
	context.probe.options.range_size = 4096;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CONNECT, ERROR_UNAVAILABLE);
	assert_mentions(context.probe.result.err.message, "/v2/ range 0-4095: ");
	assert_mentions(context.probe.result.err.message, "Connection refused");
	close_all(&context);
}

static void an_unknown_host_is_said_to_be_one(void **state)
{
	(void)state;
	struct script script = {.answer = ""};
	struct context context;

	open_with(&context, &script);
	/* A label of 64 characters: the resolver says no without asking the network. */
	context.probe.options.url =
		"http://"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid/";
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_RESOLVE, ERROR_UNAVAILABLE);
	assert_mentions(context.probe.result.err.message, "aaa.invalid");
	close_all(&context);
}

static void an_answer_that_does_not_come_is_a_stall(void **state)
{
	(void)state;
	struct script script = {.answer = "", .keep_open = true};
	struct context context;

	open_with(&context, &script);
	context.probe.options.stall_timeout_ns = 100 * NS_PER_MS;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_STALLED, ERROR_TIMEOUT);
	assert_mentions(context.probe.result.err.message, "no answer for 0.1 s");
	close_all(&context);
}

static void a_body_that_stops_is_a_stall_with_its_counts(void **state)
{
	(void)state;
	struct script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 456\r\n\r\n",
		.n_filler = 123,
		.keep_open = true};
	struct context context;

	open_with(&context, &script);
	context.probe.options.stall_timeout_ns = 100 * NS_PER_MS;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_STALLED, ERROR_TIMEOUT);
	assert_mentions(context.probe.result.err.message, "0.1 s after 123 of 456 bytes");
	assert_int_equal(context.probe.result.n_received, 123);
	close_all(&context);
}

static void a_body_shorter_than_announced_is_a_failure_with_its_counts(void **state)
{
	(void)state;
	struct script script = {
		.answer = "HTTP/1.1 206 Partial Content\r\nContent-Length: 456\r\n\r\n",
		.n_filler = 123};
	struct context context;

	open_with(&context, &script);
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE);
	assert_mentions(context.probe.result.err.message, "after 123 of 456 bytes");
	assert_int_equal(context.probe.result.status, 206);
	close_all(&context);
}

static void a_chunked_body_without_its_end_is_a_failure(void **state)
{
	(void)state;
	struct script script = {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
					  "5\r\nhello\r\n"};
	struct context context;

	open_with(&context, &script);
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE);
	close_all(&context);
}

static void a_connection_closed_without_a_word_is_a_failure(void **state)
{
	(void)state;
	struct script script = {.answer = ""};
	struct context context;

	open_with(&context, &script);
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CLOSED, ERROR_UNAVAILABLE);
	assert_int_equal(context.probe.result.status, 0);
	close_all(&context);
}

static void what_is_not_http_is_refused(void **state)
{
	(void)state;
	struct script script = {.answer = "220 mail.example ESMTP\r\n\r\n"};
	struct context context;

	open_with(&context, &script);
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT);
	close_all(&context);
}

static void a_body_beyond_its_limit_is_refused_before_it_is_read(void **state)
{
	(void)state;
	struct script script = {
		.answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", .n_filler = 1000};
	struct context context;

	open_with(&context, &script);
	context.probe.options.max_body = 999;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT);
	assert_mentions(context.probe.result.err.message, "999 bytes");
	assert_int_equal(context.probe.n_responses, 1);
	assert_int_equal(context.probe.n_data, 0);
	close_all(&context);
}

static void a_body_of_unknown_length_ends_at_its_limit(void **state)
{
	(void)state;
	struct script script = {
		.answer = "HTTP/1.1 200 OK\r\n\r\n", .n_filler = 100000, .keep_open = true};
	struct context context;

	open_with(&context, &script);
	context.probe.options.max_body = 5000;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT);
	assert_true(context.probe.body.size <= 5000);
	close_all(&context);
}

static void serve_many_headers(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];

	(void)arg;
	if (!fake_read_request(connection, head, sizeof(head)))
		return;
	fake_print(connection, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 1000; i++)
		fake_print(connection, "X-Header-%d: %0100d\r\n", i, i);
	fake_print(connection, "Content-Length: 0\r\n\r\n");
}

static void headers_beyond_their_limit_are_refused(void **state)
{
	(void)state;
	struct script script = {.answer = ""};
	struct context context;
	struct fake_server *server = fake_server_start(NULL, serve_many_headers, NULL);

	open_with(&context, &script);
	context.probe.options.url = fake_server_url(server, "/");
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_PROTOCOL, ERROR_FORMAT);
	assert_mentions(context.probe.result.err.message, "headers");
	close_all(&context);
	fake_server_stop(server);
}

static void a_deadline_ends_a_body_that_still_trickles(void **state)
{
	(void)state;
	struct script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 456\r\n\r\n",
		.n_filler = 10,
		.keep_open = true};
	struct context context;

	open_with(&context, &script);
	context.probe.options.deadline_ns = clock_now_ns() + 100 * NS_PER_MS;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_DEADLINE, ERROR_TIMEOUT);
	assert_mentions(context.probe.result.err.message, "10 bytes received");
	close_all(&context);
}

static void a_host_that_does_not_complete_a_connection_times_out(void **state)
{
	(void)state;
	struct script script = {.answer = "", .keep_open = true};
	struct context context;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	char url[64];
	int fillers[8];

	/* A full backlog: the kernel drops what else knocks. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	for (size_t i = 0; i < 8; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)&address, size);
	}
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(address.sin_port));

	open_with(&context, &script);
	context.probe.options.url = url;
	context.probe.options.connect_timeout_ns = 200 * NS_PER_MS;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CONNECT_TIMEOUT, ERROR_TIMEOUT);
	assert_mentions(context.probe.result.err.message, "no connection after 0.2 s");
	close_all(&context);
	for (size_t i = 0; i < 8; i++)
		(void)close(fillers[i]);
	(void)close(fd);
}

static void abort_from_either_callback_ends_the_request(void **state)
{
	(void)state;
	struct script script = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 456\r\n\r\n",
		.n_filler = 10,
		.keep_open = true};
	struct context context;

	open_with(&context, &script);
	context.probe.response_flow = HTTP_ABORT;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED);
	assert_int_equal(context.probe.n_data, 0);
	probe_free(&context.probe);

	probe_init(&context.probe, &context.fixture, fake_server_url(context.server, "/"));
	context.probe.data_flow = HTTP_ABORT;
	probe_start(&context.probe);
	assert_fails(&context.probe, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED);
	assert_int_equal(context.probe.n_data, 1);
	close_all(&context);
}

static void what_cannot_be_sent_is_refused_at_the_start(void **state)
{
	(void)state;
	static const struct http_header bad_name[] = {{"X Y", "1"}};
	static const struct http_header bad_value[] = {{"X-Y", "1\r\nAuthorization: forged"}};
	struct script script = {.answer = ""};
	struct context context;

	open_with(&context, &script);
	context.probe.options.headers = bad_name;
	context.probe.options.n_headers = 1;
	probe_start(&context.probe);
	assert_int_equal(context.probe.start_ret, -1);
	assert_int_equal(context.probe.start_err.kind, ERROR_INVALID);

	context.probe.options.headers = bad_value;
	probe_start(&context.probe);
	assert_int_equal(context.probe.start_ret, -1);
	assert_null(strstr(context.probe.start_err.message, "forged"));

	context.probe.options.n_headers = 0;
	context.probe.options.url = "https://localhost/";
	probe_start(&context.probe);
	assert_int_equal(context.probe.start_ret, -1);
	assert_mentions(context.probe.start_err.message, "authorities");

	context.probe.options.url = fake_server_url(context.server, "/");
	context.probe.options.range = true;
	context.probe.options.range_off = UINT64_MAX;
	context.probe.options.range_size = 2;
	probe_start(&context.probe);
	assert_int_equal(context.probe.start_ret, -1);
	close_all(&context);
}

static void freeing_the_client_ends_what_is_active_and_what_waits(void **state)
{
	(void)state;
	static const struct http_client_options options = {.max_connections = 1};
	struct script script = {.answer = "", .keep_open = true};
	struct fake_server *server = fake_server_start(NULL, serve_script, &script);
	struct fixture fixture;
	struct probe active;
	struct probe waiting;

	fixture_open(&fixture, &options);
	probe_init(&active, &fixture, fake_server_url(server, "/"));
	probe_init(&waiting, &fixture, active.options.url);
	probe_start(&active);
	probe_start(&waiting);
	fixture_close(&fixture);
	assert_fails(&active, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED);
	assert_fails(&waiting, HTTP_FAILURE_CANCELLED, ERROR_CANCELLED);
	probe_free(&active);
	probe_free(&waiting);
	fake_server_stop(server);
}

static void serve_once(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];

	(void)arg;
	if (fake_read_request(connection, head, sizeof(head)))
		fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void a_kept_connection_that_the_server_closed_is_replaced(void **state)
{
	(void)state;
	static const struct http_client_options options = {0};
	struct fake_server *server = fake_server_start(NULL, serve_once, NULL);
	struct fixture fixture;

	fixture_open(&fixture, &options);
	for (int i = 0; i < 20; i++) {
		struct probe probe;

		probe_init(&probe, &fixture, fake_server_url(server, "/"));
		probe_start(&probe);
		if (probe_wait_done(&probe)->err.kind != ERROR_NONE)
			fail_msg("%s", probe.result.err.message);
		probe_free(&probe);
	}
	fixture_close(&fixture);
	fake_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_connection_is_said_to_be_one),
		cmocka_unit_test(an_unknown_host_is_said_to_be_one),
		cmocka_unit_test(an_answer_that_does_not_come_is_a_stall),
		cmocka_unit_test(a_body_that_stops_is_a_stall_with_its_counts),
		cmocka_unit_test(a_body_shorter_than_announced_is_a_failure_with_its_counts),
		cmocka_unit_test(a_chunked_body_without_its_end_is_a_failure),
		cmocka_unit_test(a_connection_closed_without_a_word_is_a_failure),
		cmocka_unit_test(what_is_not_http_is_refused),
		cmocka_unit_test(a_body_beyond_its_limit_is_refused_before_it_is_read),
		cmocka_unit_test(a_body_of_unknown_length_ends_at_its_limit),
		cmocka_unit_test(headers_beyond_their_limit_are_refused),
		cmocka_unit_test(a_deadline_ends_a_body_that_still_trickles),
		cmocka_unit_test(a_host_that_does_not_complete_a_connection_times_out),
		cmocka_unit_test(abort_from_either_callback_ends_the_request),
		cmocka_unit_test(what_cannot_be_sent_is_refused_at_the_start),
		cmocka_unit_test(a_kept_connection_that_the_server_closed_is_replaced),
		cmocka_unit_test(freeing_the_client_ends_what_is_active_and_what_waits),
	};
	return cmocka_run_group_tests_name("http/faults", tests, NULL, NULL);
}
