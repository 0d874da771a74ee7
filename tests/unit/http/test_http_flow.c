/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_client.h"

#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "client_fixture.h"
#include "fake_server.h"
#include "soak.h"

enum { REQUEST_SIZE = 8192, BODY_SIZE = 3 * 1024 * 1024 };

static uint8_t byte_at(size_t off)
{
	return (uint8_t)(off * 7 + off / 251);
}

static void serve_large(struct fake_connection *connection)
{
	uint8_t bytes[4096];

	fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_SIZE);
	for (size_t off = 0; off < BODY_SIZE; off += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(off + i);
		fake_write(connection, bytes, sizeof(bytes));
	}
}

static void serve(struct fake_connection *connection, void *arg)
{
	char head[REQUEST_SIZE];

	(void)arg;
	while (fake_read_request(connection, head, sizeof(head))) {
		if (strstr(head, "/large")) {
			serve_large(connection);
		} else if (strstr(head, "/ok")) {
			fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		} else if (strstr(head, "/silent")) {
			fake_wait_for_close(connection);
		} else if (strstr(head, "/half")) {
			fake_print(connection, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
			fake_wait_for_close(connection);
		}
	}
}

struct context {
	struct fixture fixture;
	struct fake_server *server;
	char url[8][64];
	int n_urls;
};

static int open_context(void **state)
{
	static const struct http_client_options options = {.max_connections = 4};
	struct context *context = calloc(1, sizeof(*context));

	assert_non_null(context);
	fixture_open(&context->fixture, &options);
	context->server = fake_server_start(NULL, serve, NULL);
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

/* A request that works shows that the loop and the connections survived what came before. */
static void assert_still_works(struct context *context)
{
	struct probe probe;

	init(context, &probe, "/ok");
	probe_start(&probe);
	assert_succeeds(&probe);
	probe_free(&probe);
}

static void assert_whole_body(const struct probe *probe)
{
	assert_int_equal(probe->body.size, BODY_SIZE);
	for (size_t off = 0; off < BODY_SIZE; off++)
		if (probe->body.data[off] != byte_at(off))
			fail_msg("wrong byte at %zu", off);
}

static void a_paused_body_goes_on_where_it_stopped(void **state)
{
	struct context *context = *state;
	struct probe probe;

	init(context, &probe, "/large");
	probe.data_flow = HTTP_PAUSE;
	probe.options.stall_timeout_ns = 50 * NS_PER_MS;
	probe_start(&probe);
	probe_wait_data(&probe, 1);
	/* Longer than the stall timeout, which does not count while we are the slow ones. */
	(void)usleep(150000);
	probe_resume(&probe, HTTP_CONTINUE);
	assert_succeeds(&probe);
	assert_whole_body(&probe);
	assert_int_equal(probe.result.n_received, BODY_SIZE);
	probe_free(&probe);
}

static void pause_every_other_time(struct probe *probe)
{
	probe->data_flow = probe->data_flow == HTTP_PAUSE ? HTTP_CONTINUE : HTTP_PAUSE;
	if (probe->data_flow == HTTP_PAUSE)
		loop_timer_set(probe->hook_arg, NS_PER_MS);
}

static void resume_fire(void *arg)
{
	struct probe *probe = arg;

	if (probe->request)
		http_request_resume(probe->request);
}

static void make_timer(void *arg)
{
	struct probe *probe = arg;
	struct loop_timer *timer = NULL;

	assert_int_equal(loop_timer_new(probe->fixture->loop, resume_fire, probe, &timer, NULL), 0);
	probe->hook_arg = timer;
}

static void free_timer(void *arg)
{
	struct probe *probe = arg;

	loop_timer_free(probe->hook_arg);
}

static void a_body_paused_again_and_again_arrives_whole(void **state)
{
	struct context *context = *state;
	struct probe probe;

	init(context, &probe, "/large");
	fixture_on_loop(&context->fixture, make_timer, &probe);
	probe.on_data_hook = pause_every_other_time;
	probe_start(&probe);
	assert_succeeds(&probe);
	assert_whole_body(&probe);
	fixture_on_loop(&context->fixture, free_timer, &probe);
	probe_free(&probe);
}

static void abort_after_resume_ends_the_request(void **state)
{
	struct context *context = *state;
	struct probe probe;

	init(context, &probe, "/large");
	probe.data_flow = HTTP_PAUSE;
	probe_start(&probe);
	probe_wait_data(&probe, 1);
	probe_resume(&probe, HTTP_ABORT);
	assert_int_equal(probe_wait_done(&probe)->failure, HTTP_FAILURE_CANCELLED);
	probe_free(&probe);
	assert_still_works(context);
}

static void cancelled_requests_are_not_heard_of_again(void **state)
{
	struct context *context = *state;
	struct probe silent;
	struct probe half;
	struct probe paused;

	init(context, &silent, "/silent");
	init(context, &half, "/half");
	init(context, &paused, "/large");
	paused.data_flow = HTTP_PAUSE;
	probe_start(&silent);
	probe_start(&half);
	probe_start(&paused);
	probe_wait_data(&half, 1);
	probe_wait_data(&paused, 1);
	probe_cancel(&silent);
	probe_cancel(&half);
	probe_cancel(&paused);
	assert_still_works(context);
	assert_int_equal(silent.n_done + half.n_done + paused.n_done, 0);
	probe_free(&silent);
	probe_free(&half);
	probe_free(&paused);
}

static void must_not_run(void *arg, const struct http_result *result)
{
	(void)arg;
	(void)result;
	abort();
}

static void start_and_cancel(void *arg)
{
	static const struct http_callbacks callbacks = {.on_done = must_not_run};
	struct probe *probe = arg;
	struct http_request *request = NULL;

	assert_int_equal(http_request_start(probe->fixture->client, &probe->options, &callbacks,
				 probe, &request, NULL),
		0);
	http_request_cancel(request);
}

static void a_request_can_be_cancelled_before_anything_happened(void **state)
{
	struct context *context = *state;
	struct probe probe;

	init(context, &probe, "/ok");
	fixture_on_loop(&context->fixture, start_and_cancel, &probe);
	probe_free(&probe);
	assert_still_works(context);
}

static void resume_and_cancel(void *arg)
{
	struct probe *probe = arg;

	http_request_resume(probe->request);
	http_request_cancel(probe->request);
	probe->request = NULL;
}

static void a_request_can_be_cancelled_while_it_waits_or_is_to_resume(void **state)
{
	struct context *context = *state;
	struct probe probes[5];
	struct probe paused;

	for (size_t i = 0; i < 5; i++) {
		init(context, &probes[i], "/silent");
		probe_start(&probes[i]);
	}
	for (size_t i = 5; i-- > 0;)
		probe_cancel(&probes[i]);
	init(context, &paused, "/large");
	paused.data_flow = HTTP_PAUSE;
	probe_start(&paused);
	probe_wait_data(&paused, 1);
	fixture_on_loop(&context->fixture, resume_and_cancel, &paused);
	assert_still_works(context);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(probes[i].n_done, 0);
	for (size_t i = 0; i < 5; i++)
		probe_free(&probes[i]);
	probe_free(&paused);
}

static void cancel_hook(struct probe *probe)
{
	struct probe *victim = probe->hook_arg;

	if (victim->request)
		http_request_cancel(victim->request);
	victim->request = NULL;
}

static void a_callback_can_cancel_its_own_request(void **state)
{
	struct context *context = *state;
	struct probe in_response;
	struct probe in_data;

	init(context, &in_response, "/half");
	in_response.on_response_hook = cancel_hook;
	in_response.hook_arg = &in_response;
	init(context, &in_data, "/large");
	in_data.on_data_hook = cancel_hook;
	in_data.hook_arg = &in_data;
	probe_start(&in_response);
	probe_start(&in_data);
	probe_wait_response(&in_response);
	probe_wait_data(&in_data, 1);
	assert_still_works(context);
	assert_int_equal(in_response.n_data, 0);
	assert_int_equal(in_data.n_data, 1);
	assert_int_equal(in_response.n_done + in_data.n_done, 0);
	probe_free(&in_response);
	probe_free(&in_data);
}

static void a_callback_can_cancel_another_request(void **state)
{
	struct context *context = *state;
	struct probe victim;
	struct probe waiting_victim;
	struct probe other;
	struct probe last;

	init(context, &victim, "/half");
	probe_start(&victim);
	probe_wait_data(&victim, 1);
	init(context, &other, "/large");
	other.on_data_hook = cancel_hook;
	other.hook_arg = &victim;
	probe_start(&other);
	assert_succeeds(&other);
	assert_whole_body(&other);
	assert_int_equal(victim.n_done, 0);

	init(context, &waiting_victim, "/silent");
	probe_start(&waiting_victim);
	init(context, &last, "/ok");
	last.on_done_hook = cancel_hook;
	last.hook_arg = &waiting_victim;
	probe_start(&last);
	assert_succeeds(&last);
	assert_still_works(context);
	assert_int_equal(waiting_victim.n_done, 0);
	probe_free(&victim);
	probe_free(&waiting_victim);
	probe_free(&other);
	probe_free(&last);
}

static void start_hook(struct probe *probe)
{
	struct probe *next = probe->hook_arg;

	if (!next)
		return;
	probe->hook_arg = NULL;
	probe_start_on_loop(next);
}

static void a_callback_can_start_a_request(void **state)
{
	struct context *context = *state;
	struct probe first;
	struct probe from_data;
	struct probe from_done;

	init(context, &from_done, "/ok");
	init(context, &from_data, "/ok");
	from_data.on_done_hook = start_hook;
	from_data.hook_arg = &from_done;
	init(context, &first, "/large");
	first.on_data_hook = start_hook;
	first.hook_arg = &from_data;
	probe_start(&first);
	assert_succeeds(&first);
	assert_succeeds(&from_data);
	assert_succeeds(&from_done);
	assert_whole_body(&first);
	probe_free(&first);
	probe_free(&from_data);
	probe_free(&from_done);
}

static void random_histories_end_every_request_once(void **state)
{
	struct context *context = *state;
	static const char *const paths[] = {"/large", "/ok", "/ok", "/silent", "/half"};
	char urls[5][64];
	const char *url_list[5];
	const struct soak soak = {.urls = url_list, .n_urls = 5, .n_requests = 200, .seed = 1};

	for (size_t i = 0; i < 5; i++) {
		(void)snprintf(
			urls[i], sizeof(urls[i]), "%s", fake_server_url(context->server, paths[i]));
		url_list[i] = urls[i];
	}
	soak_run(&context->fixture, &soak);
	assert_still_works(context);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_context, close_context)
	const struct CMUnitTest tests[] = {
		TEST(a_paused_body_goes_on_where_it_stopped),
		TEST(a_body_paused_again_and_again_arrives_whole),
		TEST(abort_after_resume_ends_the_request),
		TEST(cancelled_requests_are_not_heard_of_again),
		TEST(a_request_can_be_cancelled_before_anything_happened),
		TEST(a_request_can_be_cancelled_while_it_waits_or_is_to_resume),
		TEST(a_callback_can_cancel_its_own_request),
		TEST(a_callback_can_cancel_another_request),
		TEST(a_callback_can_start_a_request),
		TEST(random_histories_end_every_request_once),
	};
	return cmocka_run_group_tests_name("http/flow", tests, NULL, NULL);
}
