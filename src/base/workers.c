/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of threads that takes the most urgent work first. */
#include "base/workers.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"

enum { MAX_NAME = 12 };

struct work_queue {
	struct work *first;
	struct work *last; /* undefined while first is NULL */
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t changed;                 /* of queues and of stopping */
	struct work_queue queues[N_PRIORITIES]; /* guarded by lock */
	bool stopping;                          /* guarded by lock */
	unsigned n_threads;
	pthread_t threads[];
};

static void queue_push(struct work_queue *queue, struct work *work)
{
	work->queued = true;
	work->next = NULL;
	work->prev = queue->first ? queue->last : NULL;
	if (queue->first)
		queue->last->next = work;
	else
		queue->first = work;
	queue->last = work;
}

static void queue_remove(struct work_queue *queue, struct work *work)
{
	work->queued = false;
	if (work->prev)
		work->prev->next = work->next;
	else
		queue->first = work->next;
	if (work->next)
		work->next->prev = work->prev;
	else
		queue->last = work->prev;
}

static struct work *take_most_urgent(struct workers *workers)
{
	for (size_t i = 0; i < N_PRIORITIES; i++) {
		struct work *work = workers->queues[i].first;

		if (work) {
			queue_remove(&workers->queues[i], work);
			return work;
		}
	}
	return NULL;
}

/* NULL when the pool is stopping and nothing is left to do. */
static struct work *wait_for_work(struct workers *workers)
{
	struct work *work;

	pthread_mutex_lock(&workers->lock);
	while (!(work = take_most_urgent(workers)) && !workers->stopping)
		pthread_cond_wait(&workers->changed, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
	return work;
}

static void *serve(void *arg)
{
	struct workers *workers = arg;
	struct work *work;

	while ((work = wait_for_work(workers)))
		work->run(work);
	return NULL;
}

/* The processors this process may use, which in a container can be fewer than there are. */
static unsigned usable_cores(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

int workers_new(unsigned n_threads, const char *name, struct workers **out, struct error *err)
{
	unsigned n_wanted = n_threads ? n_threads : usable_cores();
	CLEANUP(workers_freep) struct workers *workers = NULL;

	assert(strlen(name) <= MAX_NAME);
	workers = calloc(1, sizeof(*workers) + n_wanted * sizeof(workers->threads[0]));
	if (!workers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %u worker threads", n_wanted);
	(void)pthread_mutex_init(&workers->lock, NULL);
	(void)pthread_cond_init(&workers->changed, NULL);

	while (workers->n_threads < n_wanted) {
		char thread_name[THREAD_NAME_SIZE + 16];
		int ret;

		(void)snprintf(
			thread_name, sizeof(thread_name), "%.12s-%u", name, workers->n_threads);
		ret = thread_start(
			&workers->threads[workers->n_threads], thread_name, serve, workers);
		if (ret < 0)
			return error_set_errno(err, -ret, "start worker thread %u of %u (%s)",
				workers->n_threads + 1, n_wanted, name);
		workers->n_threads++;
	}
	*out = TAKE_PTR(workers);
	return 0;
}

void workers_submit(struct workers *workers, struct work *work)
{
	assert((size_t)work->priority < N_PRIORITIES);

	pthread_mutex_lock(&workers->lock);
	queue_push(&workers->queues[work->priority], work);
	pthread_cond_signal(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
}

void workers_raise(struct workers *workers, struct work *work, enum priority priority)
{
	assert((size_t)priority < N_PRIORITIES);

	pthread_mutex_lock(&workers->lock);
	if (work->queued && priority < work->priority) {
		queue_remove(&workers->queues[work->priority], work);
		work->priority = priority;
		queue_push(&workers->queues[priority], work);
	}
	pthread_mutex_unlock(&workers->lock);
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;

	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);

	for (unsigned i = 0; i < workers->n_threads; i++) {
		assert(!pthread_equal(pthread_self(), workers->threads[i]));
		(void)pthread_join(workers->threads[i], NULL);
	}
	(void)pthread_cond_destroy(&workers->changed);
	(void)pthread_mutex_destroy(&workers->lock);
	free(workers);
}

void workers_freep(struct workers **workers)
{
	workers_free(*workers);
}
