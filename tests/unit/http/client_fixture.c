/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP client on a thread, and requests that tests watch. */
#include "client_fixture.h"

#include "support/test.h"

#include <stdio.h>

void fixture_open(struct fixture *fixture, const struct http_client_options *options)
{
	struct error err = {0};

	*fixture = (struct fixture){0};
	if (loop_new(&fixture->loop, &err) < 0 ||
		http_client_new(fixture->loop, options, &fixture->client, &err) < 0 ||
		loop_thread_start(fixture->loop, "test-net", &err) < 0)
		fail_msg("%s", err.message);
}

void fixture_close(struct fixture *fixture)
{
	loop_thread_stop(fixture->loop);
	http_client_free(fixture->client);
	loop_free(fixture->loop);
}

struct call {
	struct loop_task task;
	void (*run)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done; /* guarded by lock */
};

static void run_call(struct loop_task *task)
{
	struct call *call = (struct call *)(void *)task;

	call->run(call->arg);
	(void)pthread_mutex_lock(&call->lock);
	call->done = true;
	(void)pthread_cond_signal(&call->changed);
	(void)pthread_mutex_unlock(&call->lock);
}

void fixture_on_loop(struct fixture *fixture, void (*run)(void *arg), void *arg)
{
	struct call call = {
		.task.run = run_call,
		.run = run,
		.arg = arg,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	loop_post(fixture->loop, &call.task);
	(void)pthread_mutex_lock(&call.lock);
	while (!call.done)
		(void)pthread_cond_wait(&call.changed, &call.lock);
	(void)pthread_mutex_unlock(&call.lock);
}

void probe_init(struct probe *probe, struct fixture *fixture, const char *url)
{
	*probe = (struct probe){
		.fixture = fixture,
		.options = {.url = url},
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
}

void probe_free(struct probe *probe)
{
	buffer_free(&probe->body);
	(void)pthread_mutex_destroy(&probe->lock);
	(void)pthread_cond_destroy(&probe->changed);
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct probe *probe = arg;
	const char *connection = http_headers_get(&response->headers, "X-Connection");

	(void)pthread_mutex_lock(&probe->lock);
	probe->status = response->status;
	probe->version = response->version;
	(void)snprintf(probe->x_connection, sizeof(probe->x_connection), "%s",
		connection ? connection : "");
	probe->n_responses++;
	(void)pthread_cond_broadcast(&probe->changed);
	(void)pthread_mutex_unlock(&probe->lock);
	if (probe->on_response_hook)
		probe->on_response_hook(probe);
	return probe->response_flow;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct probe *probe = arg;
	enum http_flow flow;

	if (probe->on_data_hook)
		probe->on_data_hook(probe);
	flow = probe->data_flow;
	(void)pthread_mutex_lock(&probe->lock);
	probe->n_data++;
	if (flow == HTTP_CONTINUE && buffer_append(&probe->body, data, size) < 0)
		flow = HTTP_ABORT;
	(void)pthread_cond_broadcast(&probe->changed);
	(void)pthread_mutex_unlock(&probe->lock);
	return flow;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct probe *probe = arg;

	if (probe->on_done_hook)
		probe->on_done_hook(probe);
	probe->request = NULL;
	(void)pthread_mutex_lock(&probe->lock);
	probe->result = *result;
	probe->n_done++;
	(void)pthread_cond_broadcast(&probe->changed);
	(void)pthread_mutex_unlock(&probe->lock);
}

void probe_start_on_loop(void *arg)
{
	static const struct http_callbacks callbacks = {
		.on_response = on_response, .on_data = on_data, .on_done = on_done};
	struct probe *probe = arg;

	probe->start_ret = http_request_start(probe->fixture->client, &probe->options, &callbacks,
		probe, &probe->request, &probe->start_err);
}

void probe_start(struct probe *probe)
{
	fixture_on_loop(probe->fixture, probe_start_on_loop, probe);
}

static void cancel(void *arg)
{
	struct probe *probe = arg;

	if (probe->request)
		http_request_cancel(probe->request);
	probe->request = NULL;
}

void probe_cancel(struct probe *probe)
{
	fixture_on_loop(probe->fixture, cancel, probe);
}

static void resume(void *arg)
{
	struct probe *probe = arg;

	if (probe->request)
		http_request_resume(probe->request);
}

struct flow_change {
	struct probe *probe;
	enum http_flow flow;
};

static void set_flow(void *arg)
{
	struct flow_change *change = arg;

	change->probe->data_flow = change->flow;
	resume(change->probe);
}

void probe_resume(struct probe *probe, enum http_flow data_flow)
{
	struct flow_change change = {.probe = probe, .flow = data_flow};

	fixture_on_loop(probe->fixture, set_flow, &change);
}

void probe_wait_response(struct probe *probe)
{
	(void)pthread_mutex_lock(&probe->lock);
	while (probe->n_responses == 0 && probe->n_done == 0)
		(void)pthread_cond_wait(&probe->changed, &probe->lock);
	(void)pthread_mutex_unlock(&probe->lock);
}

void probe_wait_data(struct probe *probe, int n_calls)
{
	(void)pthread_mutex_lock(&probe->lock);
	while (probe->n_data < n_calls && probe->n_done == 0)
		(void)pthread_cond_wait(&probe->changed, &probe->lock);
	(void)pthread_mutex_unlock(&probe->lock);
}

const struct http_result *probe_wait_done(struct probe *probe)
{
	(void)pthread_mutex_lock(&probe->lock);
	while (probe->n_done == 0)
		(void)pthread_cond_wait(&probe->changed, &probe->lock);
	(void)pthread_mutex_unlock(&probe->lock);
	return &probe->result;
}
