/* SPDX-License-Identifier: Apache-2.0 */
/* A whole blob from its sources, front to back, several ranges at a time. */
#include "pass_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A range on its way. Loop only, but for what says otherwise. */
struct range {
	struct source_request request;
	struct pass_fetch *fetch;
	struct source_fetch *call;
	struct loop_task retry;
	bool retries; /* the task is posted */
	size_t source_i;
	size_t n_failures;
	uint64_t off;
	size_t filled;
	struct decoded *bytes; /* the loop's until the range is complete, then the taker's */
	bool complete;         /* guarded by lock */
};

struct pass_fetch {
	struct loop *loop;       /* borrowed */
	struct source **sources; /* owned; freed on the loop */
	size_t n_sources;
	uint64_t blob_size;
	uint64_t patience_ns;
	unsigned n_parallel;
	bool borrows_sources;
	uint64_t n_ranges;
	uint64_t n_started; /* loop only */
	struct loop_task task;
	struct range ranges[PASS_N_RANGES]; /* range i is in i % PASS_N_RANGES */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t n_taken; /* guarded by lock, as all below */
	bool posted;
	bool stop;
	bool stopped;
	bool failed;
	struct error err;
};

static void fail(struct pass_fetch *fetch, const struct error *err)
{
	(void)pthread_mutex_lock(&fetch->lock);
	if (!fetch->failed)
		fetch->err = *err;
	fetch->failed = true;
	(void)pthread_cond_signal(&fetch->changed);
	(void)pthread_mutex_unlock(&fetch->lock);
}

static void complete(struct range *range)
{
	struct pass_fetch *fetch = range->fetch;

	(void)pthread_mutex_lock(&fetch->lock);
	range->complete = true;
	(void)pthread_cond_signal(&fetch->changed);
	(void)pthread_mutex_unlock(&fetch->lock);
}

static int on_data(struct source_request *request, const uint8_t *data, size_t size)
{
	struct range *range = container_of(request, struct range, request);

	if (size > decoded_size(range->bytes) - range->filled)
		return -1;
	memcpy(decoded_data(range->bytes) + range->filled, data, size);
	range->filled += size;
	return 0;
}

/* Asks for what is missing, which may be the rest of a range. */
static void ask(struct range *range)
{
	struct source *source = range->fetch->sources[range->source_i];
	struct error err;

	range->request.off = range->off + range->filled;
	range->request.size = decoded_size(range->bytes) - range->filled;
	range->request.deadline_ns = clock_now_ns() + range->fetch->patience_ns;
	range->call = source->ops->start(source, &range->request);
	if (range->call)
		return;
	(void)error_set(&err, ERROR_NO_MEMORY, "no memory for a request");
	fail(range->fetch, &err);
}

static bool is_stopping(struct pass_fetch *fetch)
{
	bool stop;

	(void)pthread_mutex_lock(&fetch->lock);
	stop = fetch->stop || fetch->failed;
	(void)pthread_mutex_unlock(&fetch->lock);
	return stop;
}

static void on_retry(struct loop_task *task)
{
	struct range *range = container_of(task, struct range, retry);

	range->retries = false;
	if (!is_stopping(range->fetch))
		ask(range);
}

static void on_done(struct source_request *request, const char *origin, const struct error *err)
{
	struct range *range = container_of(request, struct range, request);
	struct pass_fetch *fetch = range->fetch;
	struct error reason = {0};

	range->call = NULL;
	if (range->filled == decoded_size(range->bytes)) {
		complete(range);
		return;
	}
	if (err)
		reason = *err;
	else
		(void)error_set(&reason, ERROR_UNAVAILABLE, "%s sent too little of a range",
			origin ? origin : "a source");
	/* A source has tried again by itself. */
	if (++range->n_failures < fetch->n_sources) {
		range->source_i = (range->source_i + 1) % fetch->n_sources;
		range->retries = true;
		loop_post(fetch->loop, &range->retry);
		return;
	}
	(void)error_prefix(&reason, "bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64, request->off,
		request->off + request->size, fetch->blob_size);
	fail(fetch, &reason);
}

static void start_range(struct pass_fetch *fetch, uint64_t i)
{
	struct range *range = &fetch->ranges[i % PASS_N_RANGES];
	uint64_t off = i * PASS_RANGE_SIZE;
	uint64_t left = fetch->blob_size - off;
	struct error err;

	/* Who waits for it looks at it already. */
	(void)pthread_mutex_lock(&fetch->lock);
	*range = (struct range){
		.request = {.priority = PRIORITY_READER, .data = on_data, .done = on_done},
		.retry = {.run = on_retry},
		.fetch = fetch,
		.off = off,
	};
	(void)pthread_mutex_unlock(&fetch->lock);
	if (decoded_new(left < PASS_RANGE_SIZE ? (size_t)left : PASS_RANGE_SIZE, &range->bytes,
		    &err) < 0)
		fail(fetch, &err);
	else
		ask(range);
}

/* The tasks of ranges come before this one, when it is posted again. */
static bool stop_all(struct pass_fetch *fetch)
{
	bool waits = false;

	for (size_t i = 0; i < PASS_N_RANGES; i++) {
		struct range *range = &fetch->ranges[i];
		struct source_fetch *call = TAKE_PTR(range->call);

		if (call)
			fetch->sources[range->source_i]->ops->cancel(call);
		waits |= range->retries;
	}
	if (waits)
		return false;
	for (size_t i = 0; i < fetch->n_sources && !fetch->borrows_sources; i++)
		fetch->sources[i]->ops->free(fetch->sources[i]);
	return true;
}

static void on_stop(struct pass_fetch *fetch)
{
	if (!stop_all(fetch)) {
		loop_post(fetch->loop, &fetch->task);
		return;
	}
	(void)pthread_mutex_lock(&fetch->lock);
	fetch->stopped = true;
	(void)pthread_cond_signal(&fetch->changed);
	(void)pthread_mutex_unlock(&fetch->lock);
}

static void on_task(struct loop_task *task)
{
	struct pass_fetch *fetch = container_of(task, struct pass_fetch, task);
	uint64_t end;
	bool stop, failed;

	(void)pthread_mutex_lock(&fetch->lock);
	stop = fetch->stop;
	failed = fetch->failed;
	/* Once it is to stop nobody else posts it. */
	fetch->posted = stop;
	end = fetch->n_taken + fetch->n_parallel;
	(void)pthread_mutex_unlock(&fetch->lock);
	if (stop) {
		on_stop(fetch);
		return;
	}
	while (!failed && fetch->n_started < end && fetch->n_started < fetch->n_ranges)
		start_range(fetch, fetch->n_started++);
}

/* Under the lock. */
static void post(struct pass_fetch *fetch)
{
	if (fetch->posted)
		return;
	fetch->posted = true;
	loop_post(fetch->loop, &fetch->task);
}

int pass_fetch_new(
	const struct pass_fetch_options *options, struct pass_fetch **out, struct error *err)
{
	struct pass_fetch *fetch = calloc(1, sizeof(*fetch));
	size_t n_sources = options->n_sources;

	if (fetch)
		fetch->sources = calloc(n_sources, sizeof(*fetch->sources));
	if (!fetch || !fetch->sources) {
		free(fetch);
		for (size_t i = 0; i < n_sources && !options->borrows_sources; i++)
			options->sources[i]->ops->free(options->sources[i]);
		return error_set(err, ERROR_NO_MEMORY, "no memory to fetch a layer");
	}
	memcpy(fetch->sources, options->sources, n_sources * sizeof(*fetch->sources));
	fetch->n_sources = n_sources;
	fetch->borrows_sources = options->borrows_sources;
	fetch->loop = options->loop;
	fetch->blob_size = options->blob_size;
	fetch->patience_ns = options->patience_ns;
	fetch->n_parallel = options->n_ranges ? options->n_ranges : PASS_N_RANGES;
	fetch->n_ranges =
		fetch->blob_size / PASS_RANGE_SIZE + (fetch->blob_size % PASS_RANGE_SIZE > 0);
	fetch->task.run = on_task;
	(void)pthread_mutex_init(&fetch->lock, NULL);
	(void)pthread_cond_init(&fetch->changed, NULL);
	(void)pthread_mutex_lock(&fetch->lock);
	post(fetch);
	(void)pthread_mutex_unlock(&fetch->lock);
	*out = fetch;
	return 0;
}

void pass_fetch_cancel(struct pass_fetch *fetch)
{
	struct error err;

	(void)error_set(&err, ERROR_CANCELLED, "the layer is not needed any more");
	fail(fetch, &err);
}

void pass_fetch_free(struct pass_fetch *fetch)
{
	if (!fetch)
		return;
	(void)pthread_mutex_lock(&fetch->lock);
	fetch->stop = true;
	post(fetch);
	while (!fetch->stopped)
		(void)pthread_cond_wait(&fetch->changed, &fetch->lock);
	(void)pthread_mutex_unlock(&fetch->lock);
	for (size_t i = 0; i < PASS_N_RANGES; i++)
		decoded_unref(fetch->ranges[i].bytes);
	(void)pthread_cond_destroy(&fetch->changed);
	(void)pthread_mutex_destroy(&fetch->lock);
	free(fetch->sources);
	free(fetch);
}

void pass_fetch_freep(struct pass_fetch **fetch)
{
	pass_fetch_free(*fetch);
	*fetch = NULL;
}

int pass_fetch_next(struct pass_fetch *fetch, struct decoded **out, struct error *err)
{
	struct range *range;
	int result = 0;

	*out = NULL;
	(void)pthread_mutex_lock(&fetch->lock);
	if (fetch->n_taken < fetch->n_ranges) {
		range = &fetch->ranges[fetch->n_taken % PASS_N_RANGES];
		while (!range->complete && !fetch->failed)
			(void)pthread_cond_wait(&fetch->changed, &fetch->lock);
		if (range->complete) {
			*out = TAKE_PTR(range->bytes);
			range->complete = false;
			fetch->n_taken++;
			post(fetch);
		} else {
			if (err)
				*err = fetch->err;
			result = -1;
		}
	}
	(void)pthread_mutex_unlock(&fetch->lock);
	return result;
}
