/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_client.h"

#include "support/scratch.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"

static void reads_the_body_of_an_answer(void **state)
{
	static const char text[] = "HTTP/1.1 202 Accepted\r\nContent-Type: x\r\n"
				   "content-LENGTH:  7\r\n\r\n\r\n\r\nabc";
	struct error err = {0};
	const void *body;
	size_t size;
	int status;

	(void)state;
	assert_int_equal(
		control_response_parse(text, sizeof(text) - 1, &status, &body, &size, &err), 0);
	assert_int_equal(status, 202);
	assert_int_equal(size, 7);
	assert_memory_equal(body, "\r\n\r\nabc", 7);
}

static void refuses_what_is_no_answer_or_not_all_of_it(void **state)
{
	static const char *const texts[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
		"SSH-2.0-x\r\n\r\n",
		"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nX-Content-Length: 3\r\n\r\nabc",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = {0};
		const void *body;
		size_t size;
		int status;

		assert_int_equal(control_response_parse(
					 texts[i], strlen(texts[i]), &status, &body, &size, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
	}
}

static void refuses_a_nul_byte_in_the_head(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n";
	const void *body;
	size_t size;
	int status;

	(void)state;
	assert_int_equal(
		control_response_parse(text, sizeof(text) - 1, &status, &body, &size, NULL), -1);
}

static void escapes_parameters(void **state)
{
	struct buffer target = {0};

	(void)state;
	assert_int_equal(buffer_append(&target, "/v1/why", 7), 0);
	assert_int_equal(control_target_add(&target, "dir", "/mnt/a b&c=d?e%"), 0);
	assert_int_equal(control_target_add(&target, "path", "\303\274\n"), 0);
	assert_string_equal(
		(char *)target.data, "/v1/why?dir=/mnt/a%20b%26c%3Dd%3Fe%25&path=%C3%BC%0A");
	buffer_free(&target);
}

static void nobody_at_the_socket_is_no_failure(void **state)
{
	struct scratch *scratch = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct error err = {0};
	struct json *out;
	bool served = true;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/s", scratch->path);
	assert_int_equal(
		control_request(address.sun_path, "GET", "/", NS_PER_SECOND, &served, &out, &err),
		0);
	assert_false(served);

	/* A socket that its process left behind. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	served = true;
	assert_int_equal(
		control_request(address.sun_path, "GET", "/", NS_PER_SECOND, &served, &out, &err),
		0);
	assert_false(served);
}

static void a_process_that_does_not_answer_is_not_waited_for_for_ever(void **state)
{
	struct scratch *scratch = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct error err = {0};
	struct json *out;
	bool served = false;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/s", scratch->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(
		control_request(address.sun_path, "GET", "/", 50 * NS_PER_MS, &served, &out, &err),
		-1);
	assert_int_equal(err.kind, ERROR_TIMEOUT);
	assert_true(served);
	(void)close(fd);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_body_of_an_answer),
		cmocka_unit_test(refuses_what_is_no_answer_or_not_all_of_it),
		cmocka_unit_test(refuses_a_nul_byte_in_the_head),
		cmocka_unit_test(escapes_parameters),
		WITH_SCRATCH(nobody_at_the_socket_is_no_failure),
		WITH_SCRATCH(a_process_that_does_not_answer_is_not_waited_for_for_ever),
	};

	return cmocka_run_group_tests_name("control_client", tests, NULL, NULL);
}
