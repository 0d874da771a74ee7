/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for threads that can wait. */
#include "http/http_sync.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* One request from the thread that waits to the loop and back. */
struct job {
	struct loop_task task;
	struct http_client *client;          /* borrowed */
	struct http_request_options options; /* what it points to is the waiting thread's */
	struct http_answer answer;           /* loop thread until done */
	void (*ended)(struct job *job);      /* last; job may be gone when it returns */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done; /* guarded by lock */
};

void http_answer_free(struct http_answer *answer)
{
	http_headers_free(&answer->headers);
	buffer_free(&answer->body);
	*answer = (struct http_answer){0};
}

static int copy_headers(const struct http_headers *from, struct http_headers *to)
{
	return buffer_append(&to->text, from->text.data, from->text.size);
}

static enum http_flow on_response(void *arg, const struct http_response *response)
{
	struct job *job = arg;

	job->answer.status = response->status;
	if (copy_headers(&response->headers, &job->answer.headers) < 0)
		return HTTP_ABORT;
	if (response->has_length && response->length <= job->options.max_body &&
		job->options.method != HTTP_HEAD &&
		buffer_reserve(&job->answer.body, response->length) < 0)
		return HTTP_ABORT;
	return HTTP_CONTINUE;
}

static enum http_flow on_data(void *arg, const void *data, size_t size)
{
	struct job *job = arg;

	return buffer_append(&job->answer.body, data, size) < 0 ? HTTP_ABORT : HTTP_CONTINUE;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct job *job = arg;

	job->answer.result = *result;
	/* The callbacks above stop for one reason only. */
	if (result->failure == HTTP_FAILURE_CANCELLED && job->answer.status != 0)
		(void)error_set(&job->answer.result.err, ERROR_NO_MEMORY,
			"no memory for the answer of %zu bytes", job->answer.body.size);
	job->ended(job);
}

static void start(struct job *job)
{
	const struct http_callbacks callbacks = {
		.on_response = on_response, .on_data = on_data, .on_done = on_done};
	struct http_result result = {.failure = HTTP_FAILURE_INTERNAL};

	if (http_request_start(job->client, &job->options, &callbacks, job, NULL, &result.err) < 0)
		on_done(job, &result);
}

static int take_answer(struct job *job, struct http_answer *out, struct error *err)
{
	if (job->answer.result.err.kind != ERROR_NONE) {
		out->result = job->answer.result;
		http_answer_free(&job->answer);
		if (err)
			*err = out->result.err;
		return -1;
	}
	*out = job->answer;
	return 0;
}

static void prepare(struct job *job, const struct http_request_options *options)
{
	job->options = *options;
	if (job->options.max_body == 0)
		job->options.max_body = HTTP_ANSWER_MAX_SIZE;
}

static void run_on_loop(struct loop_task *task)
{
	start((struct job *)(void *)((char *)task - offsetof(struct job, task)));
}

static void wake_waiter(struct job *job)
{
	(void)pthread_mutex_lock(&job->lock);
	job->done = true;
	(void)pthread_cond_signal(&job->changed);
	(void)pthread_mutex_unlock(&job->lock);
}

int http_perform(struct http_client *client, const struct http_request_options *options,
	struct http_answer *out, struct error *err)
{
	struct job job = {
		.task.run = run_on_loop,
		.client = client,
		.ended = wake_waiter,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	assert(!loop_is_current(http_client_loop(client)));
	prepare(&job, options);
	loop_post(http_client_loop(client), &job.task);

	(void)pthread_mutex_lock(&job.lock);
	while (!job.done)
		(void)pthread_cond_wait(&job.changed, &job.lock);
	(void)pthread_mutex_unlock(&job.lock);
	(void)pthread_mutex_destroy(&job.lock);
	(void)pthread_cond_destroy(&job.changed);
	return take_answer(&job, out, err);
}

static void stop_loop(struct job *job)
{
	loop_stop(http_client_loop(job->client));
}

int http_call_once(
	const struct http_request_options *options, struct http_answer *out, struct error *err)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	CLEANUP(http_client_freep) struct http_client *client = NULL;
	const struct http_client_options client_options = {.tls = options->tls};
	struct job job = {.task.run = run_on_loop, .ended = stop_loop};

	if (loop_new(&loop, err) < 0)
		return -1;
	if (http_client_new(loop, &client_options, &client, err) < 0)
		return -1;
	prepare(&job, options);
	job.client = client;
	loop_post(loop, &job.task);
	loop_run(loop);
	return take_answer(&job, out, err);
}
