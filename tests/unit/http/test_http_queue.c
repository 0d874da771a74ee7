/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "client_fixture.h"
#include "fake_server.h"

enum { REQUEST_SIZE = 8192 };

/* The order in which requests reached the server, and a gate that holds its answers back. */
struct server_state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char seen[512]; /* guarded by lock: paths, in order */
	int n_seen;     /* guarded by lock */
	int n_allowed;  /* guarded by lock: answers that may be sent */
};

static void server_allow(struct server_state *server, int n)
{
	(void)pthread_mutex_lock(&server->lock);
	server->n_allowed += n;
	(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->lock);
}

static void server_wait_seen(struct server_state *server, int n)
{
	(void)pthread_mutex_lock(&server->lock);
	while (server->n_seen < n)
		(void)pthread_cond_wait(&server->changed, &server->lock);
	(void)pthread_mutex_unlock(&server->lock);
}

static void serve_gated(
	struct server_state *server, struct fake_connection *connection, const char *head)
{
	(void)pthread_mutex_lock(&server->lock);
	strncat(server->seen, strchr(head, '/') + 1, strcspn(strchr(head, '/') + 1, " "));
	server->n_seen++;
	(void)pthread_cond_broadcast(&server->changed);
	while (server->n_allowed == 0)
		(void)pthread_cond_wait(&server->changed, &server->lock);
	server->n_allowed--;
	(void)pthread_mutex_unlock(&server->lock);
	fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void serve(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];

	while (fake_read_request(connection, head, sizeof(head)))
		serve_gated(arg, connection, head);
}

struct context {
	struct fixture fixture;
	struct server_state state;
	struct fake_server *server;
	char url[8][64];
	int n_urls;
};

static int open_context(void **state)
{
	static const struct http_client_options options = {.max_connections = 4};
	struct context *context = calloc(1, sizeof(*context));

	assert_non_null(context);
	(void)pthread_mutex_init(&context->state.lock, NULL);
	(void)pthread_cond_init(&context->state.changed, NULL);
	fixture_open(&context->fixture, &options);
	context->server = fake_server_start(NULL, serve, &context->state);
	*state = context;
	return 0;
}

static int close_context(void **state)
{
	struct context *context = *state;

	fixture_close(&context->fixture);
	server_allow(&context->state, 1000);
	fake_server_stop(context->server);
	(void)pthread_mutex_destroy(&context->state.lock);
	(void)pthread_cond_destroy(&context->state.changed);
	free(context);
	return 0;
}

static void init(struct context *context, struct probe *probe, const char *path)
{
	char *url = context->url[context->n_urls++];

	assert_true(context->n_urls <= 8);
	(void)snprintf(url, sizeof(context->url[0]), "%s", fake_server_url(context->server, path));
	probe_init(probe, &context->fixture, url);
}

static void assert_succeeds(struct probe *probe)
{
	const struct http_result *result = probe_wait_done(probe);

	if (result->err.kind != ERROR_NONE)
		fail_msg("%s", result->err.message);
}

static void readers_overtake_what_waits_in_the_background(void **state)
{
	struct context *context = *state;
	static const struct {
		const char *path;
		enum priority priority;
	} requests[] = {
		{"/1", PRIORITY_BACKGROUND}, {"/2", PRIORITY_BACKGROUND},
		{"/3", PRIORITY_BACKGROUND},
		{"/b", PRIORITY_BACKGROUND}, /* waits: the fourth connection is for readers */
		{"/r", PRIORITY_READER}, {"/a", PRIORITY_READ_AHEAD},
		{"/s", PRIORITY_READER}, /* waits, but first in line */
	};
	struct probe probes[7];

	for (size_t i = 0; i < 7; i++) {
		init(context, &probes[i], requests[i].path);
		probes[i].options.priority = requests[i].priority;
		probe_start(&probes[i]);
		if (i == 2)
			server_wait_seen(&context->state, 3);
	}
	server_wait_seen(&context->state, 4);
	assert_int_equal(context->state.seen[3], 'r');
	server_allow(&context->state, 1);
	server_wait_seen(&context->state, 5);
	/* Read-ahead and background share three connections; all four are in use. */
	server_allow(&context->state, 2);
	server_wait_seen(&context->state, 6);
	server_allow(&context->state, 1);
	server_wait_seen(&context->state, 7);
	server_allow(&context->state, 3);
	for (size_t i = 0; i < 7; i++)
		assert_succeeds(&probes[i]);
	assert_string_equal(context->state.seen + 3, "rsab");
	for (size_t i = 0; i < 7; i++)
		probe_free(&probes[i]);
}

static void raise_priority(void *arg)
{
	struct probe *probe = arg;

	http_request_set_priority(probe->request, PRIORITY_READER);
}

static void a_waiting_request_can_be_given_another_priority(void **state)
{
	struct context *context = *state;
	struct probe probes[6];
	static const char *const paths[] = {"/1", "/2", "/3", "/4", "/x", "/y"};

	for (size_t i = 0; i < 6; i++) {
		init(context, &probes[i], paths[i]);
		probes[i].options.priority = i < 4 ? PRIORITY_READER : PRIORITY_BACKGROUND;
		probe_start(&probes[i]);
	}
	server_wait_seen(&context->state, 4);
	fixture_on_loop(&context->fixture, raise_priority, &probes[5]);
	server_allow(&context->state, 1);
	server_wait_seen(&context->state, 5);
	assert_int_equal(context->state.seen[4], 'y');
	server_allow(&context->state, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_succeeds(&probes[i]);
		probe_free(&probes[i]);
	}
}

static void waiting_for_a_connection_counts_for_the_deadline(void **state)
{
	struct context *context = *state;
	struct probe probes[5];

	for (size_t i = 0; i < 5; i++) {
		init(context, &probes[i], "/gated");
		if (i == 4)
			probes[i].options.deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
		probe_start(&probes[i]);
	}
	assert_int_equal(probe_wait_done(&probes[4])->failure, HTTP_FAILURE_DEADLINE);
	assert_non_null(strstr(probes[4].result.err.message, "waiting for one of the connections"));
	server_allow(&context->state, 4);
	for (size_t i = 0; i < 5; i++) {
		(void)probe_wait_done(&probes[i]);
		probe_free(&probes[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_context, close_context)
	const struct CMUnitTest tests[] = {
		TEST(readers_overtake_what_waits_in_the_background),
		TEST(a_waiting_request_can_be_given_another_priority),
		TEST(waiting_for_a_connection_counts_for_the_deadline),
	};
	return cmocka_run_group_tests_name("http/queue", tests, NULL, NULL);
}
