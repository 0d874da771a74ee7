/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_server.h"

#include "support/test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#include "server_fixture.h"

static int raw_connect(const struct server_fixture *context)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", context->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Bytes until the server closes; fails the test after two seconds of nothing. */
static size_t read_to_end(int fd, char *out, size_t out_size)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t used = 0;

	for (;;) {
		ssize_t n;

		if (poll(&poll_fd, 1, 2000) != 1)
			fail_msg("the server keeps the connection open");
		n = read(fd, out + used, out_size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	out[used] = '\0';
	return used;
}

static void a_request_that_trickles_ends_at_its_deadline(void **state)
{
	struct server_fixture *context = *state;
	char answer[1024];
	uint64_t began_ns;
	int fd;

	context->options.request_timeout_ns = 150 * NS_PER_MS;
	server_fixture_start(context);
	fd = raw_connect(context);
	began_ns = clock_now_ns();
	send_text(fd, "GET /v1/show/ HTTP/1.1\r\n");
	for (int i = 0; i < 10; i++) {
		(void)usleep(30000);
		send_text(fd, "X: y\r\n");
	}
	(void)read_to_end(fd, answer, sizeof(answer));
	assert_true(clock_now_ns() - began_ns >= 150 * NS_PER_MS);
	(void)close(fd);
}

static void an_idle_connection_ends_at_its_deadline(void **state)
{
	struct server_fixture *context = *state;
	char answer[1024];
	int silent;
	int used;

	context->options.request_timeout_ns = 100 * NS_PER_MS;
	server_fixture_start(context);
	silent = raw_connect(context);
	used = raw_connect(context);
	send_text(used, "GET /v1/show/ HTTP/1.1\r\nHost: x\r\nAccept: y\r\n\r\n");
	assert_int_equal(read_to_end(silent, answer, sizeof(answer)), 0);
	assert_true(read_to_end(used, answer, sizeof(answer)) > 0);
	assert_non_null(strstr(answer, "200 OK"));
	(void)close(silent);
	(void)close(used);
}

static void serves_only_so_many_connections_at_once(void **state)
{
	struct server_fixture *context = *state;
	const char *request = "GET /v1/show/ HTTP/1.1\r\nHost: x\r\nAccept: y\r\n\r\n";
	struct pollfd third = {.events = POLLIN};
	char answer[1024];
	int fds[3];

	context->options.max_connections = 2;
	server_fixture_start(context);
	for (size_t i = 0; i < 3; i++)
		fds[i] = raw_connect(context);
	third.fd = fds[2];
	send_text(fds[2], request);
	assert_int_equal(poll(&third, 1, 150), 0);
	(void)close(fds[0]);
	assert_int_equal(poll(&third, 1, 2000), 1);
	assert_true(read(fds[2], answer, sizeof(answer)) > 0);
	(void)close(fds[1]);
	(void)close(fds[2]);
}

static void refuses_heads_and_bodies_beyond_their_limits(void **state)
{
	struct server_fixture *context = *state;
	char answer[4096];
	char filler[2001];
	int fd;

	context->options.max_head = 1000;
	context->options.max_body = 1000;
	server_fixture_start(context);
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	fd = raw_connect(context);
	send_text(fd, "GET /v1/show/ HTTP/1.1\r\nX: ");
	send_text(fd, filler);
	send_text(fd, "\r\n\r\n");
	(void)read_to_end(fd, answer, sizeof(answer));
	assert_null(strstr(answer, "200 OK"));
	(void)close(fd);

	fd = raw_connect(context);
	send_text(fd, "POST /v1/echo HTTP/1.1\r\nContent-Length: 2000\r\n\r\n");
	send_text(fd, filler);
	(void)read_to_end(fd, answer, sizeof(answer));
	assert_null(strstr(answer, "200 OK"));
	(void)close(fd);
}

static void survives_what_is_not_http(void **state)
{
	struct server_fixture *context = *state;
	static const char *const texts[] = {
		"",
		"\r\n\r\n",
		"\x16\x03\x01\x02",
		"GET\r\n\r\n",
		"GET http://[ HTTP/1.1\r\n\r\n",
		"BREW /v1/show/ HTTP/1.1\r\n\r\n",
		"POST /v1/echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST /v1/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"CONNECT x:1 HTTP/1.1\r\n\r\n",
	};
	struct http_request_options options =
		server_fixture_request(context, HTTP_GET, "http://varve/v1/show/x");
	CLEANUP(http_answer_free) struct http_answer after = {0};
	char answer[4096];

	server_fixture_start(context);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = raw_connect(context);

		send_text(fd, texts[i]);
		(void)shutdown(fd, SHUT_WR);
		(void)read_to_end(fd, answer, sizeof(answer));
		assert_null(strstr(answer, "200 OK"));
		(void)close(fd);
	}
	server_fixture_call(&options, &after);
	assert_int_equal(after.status, 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, server_fixture_open, server_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(a_request_that_trickles_ends_at_its_deadline),
		TEST(an_idle_connection_ends_at_its_deadline),
		TEST(serves_only_so_many_connections_at_once),
		TEST(refuses_heads_and_bodies_beyond_their_limits),
		TEST(survives_what_is_not_http),
	};
	return cmocka_run_group_tests_name("http/limits", tests, NULL, NULL);
}
