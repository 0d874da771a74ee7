/* SPDX-License-Identifier: Apache-2.0 */
/* The writer thread: when to flush, and work that other threads wait for. */
#include "store_writer_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "layer_store_internal.h"

/* A power cut loses no more than this. */
static const uint64_t batch_ns = NS_PER_SECOND;
/* After a commit that failed. */
static const uint64_t retry_ns = 5 * NS_PER_SECOND;

static bool on_writer(const struct store *store)
{
	return store->writer.started && pthread_equal(pthread_self(), store->writer.thread);
}

int writer_call(struct store *store, struct writer_job *job, struct error *err)
{
	struct writer *writer = &store->writer;

	if (!writer->started)
		return error_set(
			err, ERROR_READ_ONLY, "store %s is on a read-only file system", store->dir);
	if (on_writer(store))
		return job->run(store, job, err);

	job->next = NULL;
	job->done = false;
	(void)pthread_mutex_lock(&writer->lock);
	*writer->jobs_end = job;
	writer->jobs_end = &job->next;
	(void)pthread_cond_signal(&writer->wake);
	while (!job->done)
		(void)pthread_cond_wait(&writer->done, &writer->lock);
	(void)pthread_mutex_unlock(&writer->lock);

	if (job->result < 0 && err)
		*err = job->err;
	return job->result;
}

void writer_run_jobs(struct store *store)
{
	struct writer *writer = &store->writer;

	for (;;) {
		struct writer_job *job;

		(void)pthread_mutex_lock(&writer->lock);
		job = writer->jobs;
		if (job) {
			writer->jobs = job->next;
			if (!writer->jobs)
				writer->jobs_end = &writer->jobs;
		}
		(void)pthread_mutex_unlock(&writer->lock);
		if (!job)
			return;

		job->result = job->run(store, job, &job->err);
		(void)pthread_mutex_lock(&writer->lock);
		job->done = true;
		(void)pthread_cond_broadcast(&writer->done);
		(void)pthread_mutex_unlock(&writer->lock);
	}
}

/* Under the lock. The queue's reference is taken from the caller's own, which lives. */
static void enqueue(struct writer *writer, struct layer_state *layer, uint64_t delay_ns)
{
	if (!layer->queued) {
		layer->queued = true;
		atomic_fetch_add(&layer->refs, 1);
		layer->next_queued = writer->queue;
		writer->queue = layer;
	}
	if (writer->deadline_ns == 0) {
		writer->deadline_ns = clock_now_ns() + delay_ns;
		(void)pthread_cond_signal(&writer->wake);
	}
}

static int reserve(struct pending_units *pending, size_t more)
{
	size_t capacity = pending->capacity;
	struct pending_unit *units;

	if (pending->n + more <= capacity)
		return 0;
	while (capacity < pending->n + more)
		capacity = capacity > 0 ? 2 * capacity : 64;
	units = realloc(pending->units, capacity * sizeof(*units));
	if (!units)
		return -ENOMEM;
	pending->units = units;
	pending->capacity = capacity;
	return 0;
}

/* Under the lock. False when there is no room to remember it: it will not be durable. */
static bool add(struct store *store, struct layer_state *layer, const struct pending_unit *units,
	size_t n_units, uint64_t delay_ns)
{
	struct writer *writer = &store->writer;

	if (writer->n_pending + n_units > WRITER_MAX_PENDING)
		return false;
	if (reserve(&layer->pending, n_units) < 0)
		return false;
	for (size_t i = 0; i < n_units; i++) {
		layer->pending.units[layer->pending.n++] = units[i];
		writer->pending_bytes += units[i].size;
	}
	writer->n_pending += n_units;
	enqueue(writer, layer, delay_ns);
	return true;
}

static bool batch_is_full(const struct writer *writer)
{
	return writer->pending_bytes >= WRITER_BATCH_BYTES ||
	       writer->n_pending >= WRITER_BATCH_UNITS;
}

/* So many dirty bytes or open files that whoever puts more waits for the disk. */
static bool is_far_behind(const struct store *store)
{
	return store->writer.pending_bytes >= WRITER_MAX_BYTES ||
	       store->writer.n_pinned >= store->files.limit / 2;
}

/* Under the lock. True when it failed. One flush and no more: one that fails makes no room, and
 * must not hold anybody. */
static bool wait_for_flush(struct writer *writer)
{
	uint64_t ticket = ++writer->wanted;

	(void)pthread_cond_signal(&writer->wake);
	while (writer->flushed < ticket)
		(void)pthread_cond_wait(&writer->done, &writer->lock);
	return writer->failed >= ticket;
}

void writer_add(struct store *store, struct layer_state *layer, struct data_file *file,
	const struct pending_unit *unit)
{
	struct writer *writer = &store->writer;
	struct data_file *pin = data_file_ref(&store->files, file);

	(void)pthread_mutex_lock(&writer->lock);
	if (add(store, layer, unit, 1, batch_ns) && !layer->pending.file) {
		layer->pending.file = pin;
		pin = NULL;
		writer->n_pinned++;
	}
	if (batch_is_full(writer))
		(void)pthread_cond_signal(&writer->wake);
	if (is_far_behind(store))
		(void)wait_for_flush(writer);
	(void)pthread_mutex_unlock(&writer->lock);

	data_file_close(&store->files, pin);
}

void writer_add_all(struct store *store, struct layer_state *layer, struct data_file *file,
	const struct pending_unit *units, size_t n_units)
{
	struct writer *writer = &store->writer;
	struct data_file *pin = data_file_ref(&store->files, file);

	(void)pthread_mutex_lock(&writer->lock);
	if (!add(store, layer, units, n_units, batch_ns) && !wait_for_flush(writer))
		(void)add(store, layer, units, n_units, batch_ns);
	if (layer->pending.n > 0 && !layer->pending.file) {
		layer->pending.file = pin;
		pin = NULL;
		writer->n_pinned++;
	}
	if (batch_is_full(writer))
		(void)pthread_cond_signal(&writer->wake);
	(void)pthread_mutex_unlock(&writer->lock);

	data_file_close(&store->files, pin);
}

void writer_touch(struct store *store, struct layer_state *layer)
{
	struct writer *writer = &store->writer;

	if (!writer->started || atomic_load(&layer->discarded))
		return;
	(void)pthread_mutex_lock(&writer->lock);
	layer->pending.used = true;
	enqueue(writer, layer, batch_ns);
	(void)pthread_mutex_unlock(&writer->lock);
}

void writer_stale(struct store *store, const uint8_t digest[RECORD_CHUNK_KEY_SIZE])
{
	struct writer *writer = &store->writer;

	if (!writer->started)
		return;
	(void)pthread_mutex_lock(&writer->lock);
	if (writer->n_stale < WRITER_MAX_STALE)
		memcpy(writer->stale[writer->n_stale++], digest, RECORD_CHUNK_KEY_SIZE);
	(void)pthread_mutex_unlock(&writer->lock);
}

void writer_wake(struct store *store)
{
	struct writer *writer = &store->writer;

	if (!writer->started)
		return;
	(void)pthread_mutex_lock(&writer->lock);
	(void)pthread_cond_signal(&writer->wake);
	(void)pthread_mutex_unlock(&writer->lock);
}

void writer_check_space(struct store *store)
{
	struct writer *writer = &store->writer;

	if (!writer->started)
		return;
	(void)pthread_mutex_lock(&writer->lock);
	if (!writer->space_due) {
		writer->space_due = true;
		(void)pthread_cond_signal(&writer->wake);
	}
	(void)pthread_mutex_unlock(&writer->lock);
}

int writer_sync(struct store *store, struct error *err)
{
	struct writer *writer = &store->writer;
	bool failed;

	if (!writer->started)
		return 0;
	assert(!on_writer(store));
	(void)pthread_mutex_lock(&writer->lock);
	failed = wait_for_flush(writer);
	if (failed && err)
		*err = writer->failure;
	(void)pthread_mutex_unlock(&writer->lock);
	return failed ? -1 : 0;
}

/* Takes over what is queued. Under the lock. */
static void take_queue(struct writer *writer, struct flush *flush)
{
	flush->layers = writer->queue;
	for (struct layer_state *layer = flush->layers; layer; layer = layer->next_queued) {
		layer->next_flushing = layer->next_queued;
		layer->queued = false;
		layer->flushing = layer->pending;
		layer->pending = (struct pending_units){0};
	}
	writer->queue = NULL;
	writer->pending_bytes = 0;
	writer->n_pending = 0;
	writer->n_pinned = 0;
	writer->deadline_ns = 0;

	if (writer->n_stale > 0) {
		memcpy(flush->stale, writer->stale, writer->n_stale * sizeof(*writer->stale));
		flush->n_stale = writer->n_stale;
		writer->n_stale = 0;
	}
}

/* What did not become durable is tried again later, unless the store is being closed. */
static void give_back(struct store *store, struct layer_state *layer)
{
	struct writer *writer = &store->writer;
	struct pending_units *units = &layer->flushing;

	(void)pthread_mutex_lock(&writer->lock);
	layer->pending.used |= units->used;
	if (!writer->stop && units->n > 0 && add(store, layer, units->units, units->n, retry_ns) &&
		!layer->pending.file) {
		layer->pending.file = units->file;
		units->file = NULL;
		writer->n_pinned++;
	}
	(void)pthread_mutex_unlock(&writer->lock);
}

static void release(struct store *store, struct layer_state *layer, bool durable)
{
	if (!durable && !layer->failed && !db_is_lost(store->db))
		give_back(store, layer);
	data_file_close(&store->files, layer->flushing.file);
	free(layer->flushing.units);
	layer->flushing = (struct pending_units){0};
	layer->failed = false;
	state_table_release(store, layer);
}

static void flush(struct store *store, struct flush *work, uint64_t ticket)
{
	struct writer *writer = &store->writer;
	struct error err = {0};
	int result = flush_run(store, work, &err);
	bool awaited;

	while (work->layers) {
		struct layer_state *layer = work->layers;

		work->layers = layer->next_flushing;
		release(store, layer, work->committed);
	}

	(void)pthread_mutex_lock(&writer->lock);
	awaited = ticket > writer->flushed;
	writer->flushed = ticket;
	writer->failed = result < 0 ? ticket : 0;
	writer->failure = err;
	(void)pthread_cond_broadcast(&writer->done);
	(void)pthread_mutex_unlock(&writer->lock);
	if (result < 0 && !awaited && !db_is_lost(store->db))
		log_warning("store %s: %s", store->dir, err.message);
}

/* Under the lock. */
static bool flush_is_due(const struct writer *writer)
{
	if (writer->wanted > writer->flushed)
		return true;
	if (writer->deadline_ns == 0)
		return false;
	return writer->stop || batch_is_full(writer) || clock_now_ns() >= writer->deadline_ns;
}

/* Under the lock, which is not held while waiting. */
static void wait_for_work(struct store *store)
{
	struct writer *writer = &store->writer;
	uint64_t until_ns = space_next_look_ns(store);
	struct timespec until;

	if (writer->deadline_ns > 0 && writer->deadline_ns < until_ns)
		until_ns = writer->deadline_ns;
	until.tv_sec = (time_t)(until_ns / NS_PER_SECOND);
	until.tv_nsec = (long)(until_ns % NS_PER_SECOND);
	if (until_ns < UINT64_MAX)
		(void)pthread_cond_timedwait(&writer->wake, &writer->lock, &until);
	else
		(void)pthread_cond_wait(&writer->wake, &writer->lock);
}

static void check_space(struct store *store)
{
	struct error err = {0};
	uint64_t freed;

	/* Nobody knows what could be evicted. */
	if (db_is_lost(store->db))
		return;
	if (space_check(store, &freed, &err) < 0)
		log_warning("store %s: make room: %s", store->dir, err.message);
}

static void *run(void *arg)
{
	struct store *store = arg;
	struct writer *writer = &store->writer;
	struct flush work = {.stale = writer->stale + WRITER_MAX_STALE};
	uint64_t ticket = 0;

	(void)pthread_mutex_lock(&writer->lock);
	for (;;) {
		bool jobs = writer->jobs != NULL;
		bool due = flush_is_due(writer);
		bool space = writer->space_due && !writer->stop;
		bool look = !writer->stop && clock_now_ns() >= space_next_look_ns(store);

		if (!jobs && !due && !space && !look) {
			if (writer->stop)
				break;
			wait_for_work(store);
			continue;
		}
		if (due) {
			ticket = writer->wanted;
			take_queue(writer, &work);
		}
		if (space)
			writer->space_due = false;
		(void)pthread_mutex_unlock(&writer->lock);

		writer_run_jobs(store);
		if (due)
			flush(store, &work, ticket);
		if (space)
			check_space(store);
		if (look)
			space_look(store);
		(void)pthread_mutex_lock(&writer->lock);
	}
	(void)pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static int start_thread(struct store *store)
{
	sigset_t all, old;
	int ret;

	/* Signals go to the thread that waits for them; those a thread causes itself do not wait.
	 */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGFPE);
	(void)sigdelset(&all, SIGILL);
	(void)sigdelset(&all, SIGABRT);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&store->writer.thread, NULL, run, store);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

int writer_start(struct store *store, struct error *err)
{
	struct writer *writer = &store->writer;
	pthread_condattr_t attributes;
	int ret;

	/* One half is filled while the other is written. */
	writer->stale = calloc((size_t)2 * WRITER_MAX_STALE, sizeof(*writer->stale));
	if (!writer->stale)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the writer");
	writer->jobs_end = &writer->jobs;
	(void)pthread_mutex_init(&writer->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&writer->wake, &attributes);
	(void)pthread_cond_init(&writer->done, NULL);
	(void)pthread_condattr_destroy(&attributes);

	writer->started = true;
	ret = start_thread(store);
	if (ret < 0) {
		writer->started = false;
		(void)writer_stop(store);
		return error_set_errno(err, -ret, "start the writer thread");
	}
	(void)pthread_setname_np(writer->thread, "varve-writer");
	return 0;
}

bool writer_stop(struct store *store)
{
	struct writer *writer = &store->writer;
	bool durable;

	if (!writer->stale)
		return true;
	if (writer->started) {
		(void)pthread_mutex_lock(&writer->lock);
		writer->stop = true;
		(void)pthread_cond_signal(&writer->wake);
		(void)pthread_mutex_unlock(&writer->lock);
		(void)pthread_join(writer->thread, NULL);
		writer->started = false;
	}
	durable = writer->failed == 0;
	(void)pthread_cond_destroy(&writer->wake);
	(void)pthread_cond_destroy(&writer->done);
	(void)pthread_mutex_destroy(&writer->lock);
	free(writer->stale);
	writer->stale = NULL;
	return durable;
}
