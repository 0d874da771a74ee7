/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that waits for a range of a blob. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

#include "range_internal.h"
#include "registry_internal.h"

/* What it waits for. */
struct range_call {
	struct source_request request;
	struct loop_task task;
	struct registry_client *client;
	struct source *source; /* freed on the loop */
	struct buffer body;
	struct error err;

	/* Guarded by lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished;
};

/* The source may be freed only after done() has returned. */
static void range_end(struct loop_task *task)
{
	struct range_call *call = container_of(task, struct range_call, task);

	call->source->ops->free(call->source);
	pthread_mutex_lock(&call->lock);
	call->finished = true;
	pthread_cond_signal(&call->changed);
	pthread_mutex_unlock(&call->lock);
}

static int range_data(struct source_request *request, const uint8_t *data, size_t size)
{
	struct range_call *call = container_of(request, struct range_call, request);

	return buffer_append(&call->body, data, size);
}

static void range_done(struct source_request *request, const char *origin, const struct error *err)
{
	struct range_call *call = container_of(request, struct range_call, request);

	(void)origin;
	if (err)
		call->err = *err;
	call->task.run = range_end;
	loop_post(call->client->loop, &call->task);
}

static void range_start(struct loop_task *task)
{
	struct range_call *call = container_of(task, struct range_call, task);

	if (call->source->ops->start(call->source, &call->request))
		return;
	(void)error_set(&call->err, ERROR_NO_MEMORY, "no memory for a request");
	call->task.run = range_end;
	loop_post(call->client->loop, &call->task);
}

static void range_wait(struct range_call *call)
{
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->changed, NULL);
	call->task.run = range_start;
	loop_post(call->client->loop, &call->task);
	pthread_mutex_lock(&call->lock);
	while (!call->finished)
		pthread_cond_wait(&call->changed, &call->lock);
	pthread_mutex_unlock(&call->lock);
	pthread_cond_destroy(&call->changed);
	pthread_mutex_destroy(&call->lock);
}

int range_check(uint64_t off, uint64_t size, uint64_t blob_size, struct error *err)
{
	if (range_within(off, size, blob_size))
		return 0;
	return error_set(err, ERROR_FORMAT, "bytes %ju to %ju are beyond a blob of %ju bytes",
		(uintmax_t)off, (uintmax_t)(off + size), (uintmax_t)blob_size);
}

int range_read(struct registry_client *client, struct source *source, uint64_t off, uint64_t size,
	struct buffer *out, struct error *err)
{
	struct range_call call = {
		.request = {.off = off,
			.size = size,
			.priority = PRIORITY_READER,
			.data = range_data,
			.done = range_done},
		.client = client,
		.source = source,
	};

	assert(!loop_is_current(client->loop));
	if (size == 0) {
		source->ops->free(source);
		return 0;
	}
	if (buffer_reserve(&call.body, size) < 0) {
		source->ops->free(source);
		return error_set(
			err, ERROR_NO_MEMORY, "no memory for %ju bytes of a blob", (uintmax_t)size);
	}
	call.request.deadline_ns = clock_now_ns() + client->deadline_ns;
	range_wait(&call);
	if (call.err.kind == ERROR_NONE) {
		*out = call.body;
		return 0;
	}
	buffer_free(&call.body);
	if (err)
		*err = call.err;
	return -1;
}
