/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

#include "base/clock.h"

#include "client_fixture.h"
#include "fake_server.h"

/* A name server that does not answer: getaddrinfo() of this program stands before libc's. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open; /* guarded by gate_lock */
static int n_inside;   /* guarded by gate_lock: look-ups that hang */

int getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (node && strstr(node, "slow.invalid")) {
		(void)pthread_mutex_lock(&gate_lock);
		n_inside++;
		(void)pthread_cond_broadcast(&gate_changed);
		while (!gate_open)
			(void)pthread_cond_wait(&gate_changed, &gate_lock);
		n_inside--;
		(void)pthread_cond_broadcast(&gate_changed);
		(void)pthread_mutex_unlock(&gate_lock);
		return EAI_NONAME;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, out);
}

static void wait_inside(int n)
{
	(void)pthread_mutex_lock(&gate_lock);
	while (n_inside != n)
		(void)pthread_cond_wait(&gate_changed, &gate_lock);
	(void)pthread_mutex_unlock(&gate_lock);
}

static void set_gate(bool open)
{
	(void)pthread_mutex_lock(&gate_lock);
	gate_open = open;
	(void)pthread_cond_broadcast(&gate_changed);
	(void)pthread_mutex_unlock(&gate_lock);
}

static void serve_ok(struct fake_connection *connection, void *arg)
{
	char head[4096];

	(void)arg;
	while (fake_read_request(connection, head, sizeof(head)))
		fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void assert_works(struct fixture *fixture, struct fake_server *server)
{
	struct probe probe;

	probe_init(&probe, fixture, fake_server_url(server, "/"));
	probe_start(&probe);
	assert_int_equal(probe_wait_done(&probe)->err.kind, ERROR_NONE);
	probe_free(&probe);
}

static void a_name_server_that_hangs_stops_nobody_else(void **state)
{
	(void)state;
	static const struct http_client_options options = {0};
	struct fake_server *server = fake_server_start(NULL, serve_ok, NULL);
	struct fixture fixture;
	struct probe timed_out;
	struct probe cancelled;
	struct probe left;

	fixture_open(&fixture, &options);
	probe_init(&timed_out, &fixture, "http://a.slow.invalid/");
	timed_out.options.connect_timeout_ns = 100 * NS_PER_MS;
	probe_init(&cancelled, &fixture, "http://b.slow.invalid/");
	probe_init(&left, &fixture, "http://c.slow.invalid/");
	probe_start(&timed_out);
	probe_start(&cancelled);
	probe_start(&left);
	wait_inside(3);
	assert_works(&fixture, server);
	assert_int_equal(probe_wait_done(&timed_out)->failure, HTTP_FAILURE_CONNECT_TIMEOUT);
	probe_cancel(&cancelled);
	assert_works(&fixture, server);
	fixture_close(&fixture);
	assert_int_equal(left.result.failure, HTTP_FAILURE_CANCELLED);

	set_gate(true);
	wait_inside(0);
	probe_free(&timed_out);
	probe_free(&cancelled);
	probe_free(&left);
	fake_server_stop(server);
}

static void a_name_that_is_found_to_be_unknown_late_is_an_ordinary_failure(void **state)
{
	(void)state;
	static const struct http_client_options options = {0};
	struct fixture fixture;
	struct probe probe;

	set_gate(false);
	fixture_open(&fixture, &options);
	probe_init(&probe, &fixture, "http://slow.invalid/");
	probe_start(&probe);
	wait_inside(1);
	set_gate(true);
	assert_int_equal(probe_wait_done(&probe)->failure, HTTP_FAILURE_RESOLVE);
	fixture_close(&fixture);
	probe_free(&probe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_server_that_hangs_stops_nobody_else),
		cmocka_unit_test(a_name_that_is_found_to_be_unknown_late_is_an_ordinary_failure),
	};
	return cmocka_run_group_tests_name("http/resolve", tests, NULL, NULL);
}
