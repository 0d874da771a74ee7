/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher's life: layers come and go from any thread, their state stays on the net loop. */
#include "fetch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/heap.h"
#include "chunk/decoded.h"

static void on_timer(void *arg)
{
	fetcher_on_timer(arg);
}

static void trim_work(struct work *work)
{
	struct fetcher *fetcher = container_of(work, struct fetcher, trim_work);

	decoded_pool_trim(0);
	store_trim(fetcher->options.store);
	heap_trim();
	atomic_store(&fetcher->trimming, false);
}

static void on_trim_timer(void *arg)
{
	struct fetcher *fetcher = arg;

	if (atomic_exchange(&fetcher->trimming, true))
		return;
	fetcher->trim_work = (struct work){.run = trim_work, .priority = PRIORITY_BACKGROUND};
	workers_submit(fetcher->options.workers, &fetcher->trim_work);
}

static void on_init(struct loop_task *task)
{
	struct fetcher *fetcher = container_of(task, struct fetcher, init_task);

	fetcher->init_err = (struct error){0};
	if (loop_timer_new(fetcher->options.loop, on_trim_timer, fetcher, &fetcher->trim_timer,
		    &fetcher->init_err) == 0 &&
		loop_timer_new(fetcher->options.loop, on_timer, fetcher, &fetcher->timer,
			&fetcher->init_err) < 0)
		loop_timer_free(fetcher->trim_timer);
	pthread_mutex_lock(&fetcher->init_lock);
	fetcher->init_finished = true;
	pthread_cond_broadcast(&fetcher->init_done);
	pthread_mutex_unlock(&fetcher->init_lock);
}

static void on_exit_task(struct loop_task *task)
{
	struct fetcher *fetcher = container_of(task, struct fetcher, init_task);

	if (fetcher->plan_posted || atomic_load(&fetcher->trimming)) {
		/* The plan task is still in the loop's hands and comes before this one's next run;
		 * a worker that trims is done in a few milliseconds. */
		loop_post(fetcher->options.loop, task);
		return;
	}
	loop_timer_free(fetcher->timer);
	loop_timer_free(fetcher->trim_timer);
	pthread_mutex_lock(&fetcher->init_lock);
	fetcher->init_finished = true;
	pthread_cond_broadcast(&fetcher->init_done);
	pthread_mutex_unlock(&fetcher->init_lock);
}

/* Runs a task on the loop and waits for it. */
static void run_on_loop(struct fetcher *fetcher, void (*run)(struct loop_task *task))
{
	fetcher->init_finished = false;
	fetcher->init_task.run = run;
	loop_post(fetcher->options.loop, &fetcher->init_task);
	pthread_mutex_lock(&fetcher->init_lock);
	while (!fetcher->init_finished)
		pthread_cond_wait(&fetcher->init_done, &fetcher->init_lock);
	pthread_mutex_unlock(&fetcher->init_lock);
}

static void fetcher_destroy(struct fetcher *fetcher)
{
	pthread_mutex_destroy(&fetcher->tokens_lock);
	pthread_mutex_destroy(&fetcher->init_lock);
	pthread_cond_destroy(&fetcher->init_done);
	free(fetcher);
}

int fetcher_new(const struct fetcher_options *options, struct fetcher **out, struct error *err)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a fetcher");
	fetcher->options = *options;
	if (fetcher->options.memory_limit == 0)
		fetcher->options.memory_limit = UINT64_C(256) << 20;
	if (fetcher->options.deadline_ns == 0)
		fetcher->options.deadline_ns = 60 * NS_PER_SECOND;
	if (fetcher->options.max_requests == 0)
		fetcher->options.max_requests = 8;
	fetcher->background_refill_ns = clock_now_ns();
	(void)pthread_mutex_init(&fetcher->tokens_lock, NULL);
	fetcher->timer_ns = UINT64_MAX;
	(void)pthread_mutex_init(&fetcher->init_lock, NULL);
	(void)pthread_cond_init(&fetcher->init_done, NULL);

	run_on_loop(fetcher, on_init);
	if (!fetcher->timer) {
		if (err)
			*err = fetcher->init_err;
		fetcher_destroy(fetcher);
		return -1;
	}
	*out = fetcher;
	return 0;
}

uint64_t fetcher_deadline_ns(const struct fetcher *fetcher)
{
	return fetcher->options.deadline_ns;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	run_on_loop(fetcher, on_exit_task);
	fetcher_destroy(fetcher);
}

void fetcher_freep(struct fetcher **fetcher)
{
	fetcher_free(*fetcher);
}

static void on_add(struct loop_task *task)
{
	struct fetch_layer *layer = container_of(task, struct fetch_layer, add_task);
	struct fetcher *fetcher = layer->fetcher;

	layer->next = fetcher->layers;
	if (fetcher->layers)
		fetcher->layers->prev = layer;
	fetcher->layers = layer;
	/* Who mounts is about to read. */
	atomic_store(&fetcher->quiet_since_ns, clock_now_ns());
	layer_maybe_complete(layer);
	plan_post(fetcher);
}

static void on_background(struct loop_task *task)
{
	struct fetch_layer *layer = container_of(task, struct fetch_layer, background_task);

	atomic_store(&layer->background_posted, false);
	layer->background_not_before_ns = 0;
	layer->background_pause_ns = 0;
	if (!atomic_load(&layer->background_wanted))
		background_stop(layer);
	plan_post(layer->fetcher);
}

static void layer_destroy(struct fetch_layer *layer)
{
	pthread_mutex_destroy(&layer->close_lock);
	pthread_cond_destroy(&layer->close_done);
	flight_table_destroy(&layer->flights);
	free(layer->options.sources);
	free(layer->health);
	free(layer);
}

int fetch_layer_new(struct fetcher *fetcher, const struct fetch_layer_options *options,
	struct fetch_layer **out, struct error *err)
{
	struct fetch_layer *layer;

	if (options->n_sources > MAX_SOURCES)
		return error_set(err, ERROR_INVALID, "%zu sources of a layer, %d are the most",
			options->n_sources, MAX_SOURCES);
	layer = calloc(1, sizeof(*layer));
	if (!layer)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a layer");
	layer->fetcher = fetcher;
	layer->options = *options;
	layer->options.sources = calloc(options->n_sources + 1, sizeof(*options->sources));
	layer->health = calloc(options->n_sources + 1, sizeof(*layer->health));
	if (!layer->options.sources || !layer->health ||
		flight_table_init(&layer->flights, NULL) < 0) {
		free(layer->options.sources);
		free(layer->health);
		free(layer);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a layer");
	}
	for (size_t i = 0; i < options->n_sources; i++)
		layer->options.sources[i] = options->sources[i];
	layer->header = unit_table_header(options->units);
	layer->prefetch_done = !options->prefetch;
	layer->next_retry_ns = UINT64_MAX;
	layer->next_stall_ns = UINT64_MAX;
	layer->followed_off = UINT64_MAX;
	atomic_init(&layer->note_off, UINT64_MAX);
	atomic_init(&layer->background_wanted, options->background);
	(void)pthread_mutex_init(&layer->close_lock, NULL);
	(void)pthread_cond_init(&layer->close_done, NULL);

	headers_prepare(layer);
	layer->background_task.run = on_background;
	layer->add_task.run = on_add;
	loop_post(fetcher->options.loop, &layer->add_task);
	*out = layer;
	return 0;
}

void layer_maybe_complete(struct fetch_layer *layer)
{
	if (layer->complete || !layer_store_is_complete(layer->options.store))
		return;
	layer->complete = true;
	if (layer->options.completed && !layer->told_complete)
		layer->options.completed(layer->options.arg);
	layer->told_complete = true;
}

static void tell_closed(struct fetch_layer *layer)
{
	pthread_mutex_lock(&layer->close_lock);
	layer->closed = true;
	pthread_cond_broadcast(&layer->close_done);
	pthread_mutex_unlock(&layer->close_lock);
}

/* Once nothing of the layer is with a worker or a source any more, and nobody waits for an answer.
 */
void layer_maybe_closed(struct fetch_layer *layer)
{
	struct fetcher *fetcher = layer->fetcher;

	if (!layer->closing || layer->is_gone || layer->flights.n > 0 || layer->n_requests > 0 ||
		layer->n_waits > 0 || layer->n_batches > 0)
		return;
	layer->is_gone = true;
	if (layer->prev)
		layer->prev->next = layer->next;
	else
		fetcher->layers = layer->next;
	if (layer->next)
		layer->next->prev = layer->prev;
	for (size_t i = 0; i < layer->options.n_sources; i++)
		layer->options.sources[i]->ops->free(layer->options.sources[i]);

	tell_closed(layer);
}

static void fail_queue(struct flight_queue *queue)
{
	while (queue->head) {
		struct flight *flight = queue->head;

		queue_remove(queue, flight);
		flight_cancel(flight);
	}
}

static void on_close(struct loop_task *task)
{
	struct fetch_layer *layer = container_of(task, struct fetch_layer, close_task);

	/* Stopped before: the tasks that were posted since then have run. */
	if (layer->is_gone) {
		tell_closed(layer);
		return;
	}
	layer->closing = true;
	/* From here on the last request, worker or wait to come back closes; not one of those that
	 * are cancelled here. */
	layer->n_requests++;
	wait_fail_all(layer);
	for (int i = 0; i < N_PRIORITIES; i++)
		fail_queue(&layer->queue[i]);
	fail_queue(&layer->delayed);
	headers_look(layer);
	request_cancel_all(layer);
	large_cancel_all(layer);
	layer->n_requests--;
	layer_maybe_closed(layer);
}

void fetch_layer_stop(struct fetch_layer *layer)
{
	pthread_mutex_lock(&layer->close_lock);
	layer->closed = false;
	pthread_mutex_unlock(&layer->close_lock);
	layer->close_task.run = on_close;
	loop_post(layer->fetcher->options.loop, &layer->close_task);
	pthread_mutex_lock(&layer->close_lock);
	while (!layer->closed)
		pthread_cond_wait(&layer->close_done, &layer->close_lock);
	pthread_mutex_unlock(&layer->close_lock);
}

void fetch_layer_free(struct fetch_layer *layer)
{
	if (!layer)
		return;
	fetch_layer_stop(layer);
	layer_destroy(layer);
}

void fetch_layer_freep(struct fetch_layer **layer)
{
	fetch_layer_free(*layer);
}

void fetch_layer_set_background(struct fetch_layer *layer, bool on)
{
	atomic_store(&layer->background_wanted, on);
	if (!atomic_exchange(&layer->background_posted, true))
		loop_post(layer->fetcher->options.loop, &layer->background_task);
}

void fetch_layer_note_read(struct fetch_layer *layer, uint64_t off)
{
	atomic_store_explicit(&layer->note_off, off, memory_order_relaxed);
}

void fetch_layer_stats(struct fetch_layer *layer, struct fetch_layer_stats *out)
{
	*out = (struct fetch_layer_stats){
		.fetched_bytes = atomic_load(&layer->fetched_bytes),
		.copied_bytes = atomic_load(&layer->copied_bytes),
		.n_requests = atomic_load(&layer->total_requests),
		.n_waiting = atomic_load(&layer->n_waiting),
		.bytes_per_s = atomic_load(&layer->stat_bytes_per_s),
		.round_trip_ns = atomic_load(&layer->stat_round_trip_ns),
		.n_wrong = atomic_load(&layer->n_wrong),
		.background = atomic_load(&layer->background_wanted),
	};
}
