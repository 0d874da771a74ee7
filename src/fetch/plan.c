/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: which queued flights go into the next requests, in order of who waits for them. */
#include "fetch_internal.h"

enum {
	KEPT_FOR_READERS = 2, /* requests that only readers may use */
	MAX_BACKGROUND_REQUESTS = 2,
};

uint64_t plan_request_size(const struct fetch_layer *layer)
{
	double size = layer->bytes_per_ns * layer->round_trip_ns * 4;

	/* Four times bandwidth x round trip: with a few requests under way the link never idles,
	 * and the time to ask is a quarter of the time to deliver. */
	if (size < (double)REQUEST_MIN_SIZE)
		return REQUEST_MIN_SIZE;
	if (size > (double)REQUEST_MAX_SIZE)
		return REQUEST_MAX_SIZE;
	return (uint64_t)size;
}

static bool may_start(const struct fetch_layer *layer, enum priority priority)
{
	size_t max = layer->fetcher->options.max_requests;

	switch (priority) {
	case PRIORITY_READER:
		return layer->n_requests < max;
	case PRIORITY_READ_AHEAD:
	case PRIORITY_PREFETCH:
		return layer->n_requests + KEPT_FOR_READERS < max;
	default:
		return layer->n_background < MAX_BACKGROUND_REQUESTS && layer->n_readers == 0 &&
		       layer->n_requests + KEPT_FOR_READERS < max;
	}
}

static bool has_memory(const struct fetcher *fetcher, const struct flight *flight)
{
	uint64_t need = flight->blob_size + flight->decoded_size;

	if (flight->decoded_size > LARGE_UNIT_SIZE || flight->blob_size > LARGE_UNIT_SIZE)
		need = 2 * LARGE_PIECE_SIZE;
	/* Someone must always go on, whatever the limit. */
	return fetcher->memory == 0 ||
	       need <= fetcher->options.memory_limit -
			       (fetcher->memory < fetcher->options.memory_limit
					       ? fetcher->memory
					       : fetcher->options.memory_limit);
}

static bool may_join(const struct flight *seed, const struct flight *flight, uint64_t end)
{
	uint64_t gap = seed->layer->options.read_ahead ? BRIDGED_GAP : 0;

	return flight->state == FLIGHT_QUEUED && flight->n_avoid == 0 && seed->n_avoid == 0 &&
	       flight->source_i == seed->source_i && flight->blob_off >= end &&
	       flight->blob_off - end <= gap && flight->decoded_size <= LARGE_UNIT_SIZE &&
	       flight->blob_size <= LARGE_UNIT_SIZE &&
	       (flight->copy_tried || !layer_store_may_copy(seed->layer->options.store)) &&
	       flight->priority <= seed->priority + 1;
}

/* The queued flights before the seed that reach up to it are taken along: readers often come from
 * the back (a directory in reverse, a tail of a file). */
static struct flight *first_neighbour(struct flight *seed, uint64_t max_size)
{
	struct flight *first = seed;

	while (first->first_rank > 0 && seed->blob_off - first->blob_off < max_size) {
		struct flight *before = flight_find(seed->layer, first->first_rank - 1);

		if (!before || before->n_units != 1 || !may_join(seed, before, before->blob_off) ||
			before->blob_off + before->blob_size != first->blob_off)
			break;
		first = before;
	}
	return first;
}

/* Collects neighbours in blob order, seed included, until the request is large enough. */
static size_t collect(struct flight *seed, struct flight *flights[REQUEST_MAX_FLIGHTS])
{
	struct fetch_layer *layer = seed->layer;
	uint64_t max_size = plan_request_size(layer);
	struct flight *flight;
	uint64_t start;
	size_t n = 0;

	flight = seed->n_avoid == 0 ? first_neighbour(seed, max_size / 2) : seed;
	start = flight->blob_off;
	while (flight && n < REQUEST_MAX_FLIGHTS) {
		uint64_t end = flight->blob_off + flight->blob_size;
		uint64_t rank = flight->first_rank + flight->n_units;

		flights[n++] = flight;
		if (end - start >= max_size || rank >= layer->header->n_units)
			break;
		flight = flight_find(layer, rank);
		if (flight && (!may_join(seed, flight, end) ||
				      flight->blob_off + flight->blob_size - start > 2 * max_size ||
				      !has_memory(layer->fetcher, flight)))
			break;
	}
	return n;
}

static void start_flights(struct flight *seed)
{
	struct flight *flights[REQUEST_MAX_FLIGHTS];
	struct fetch_layer *layer = seed->layer;
	enum priority priority = seed->priority;
	struct error err = {0};
	size_t n = collect(seed, flights);

	for (size_t i = 0; i < n; i++)
		queue_remove(&layer->queue[flights[i]->priority], flights[i]);
	if (request_start(layer, flights, n, priority, &err) == 0)
		return;
	for (size_t i = 0; i < n; i++)
		flight_source_failed(flights[i], NULL, &err);
}

/* What one flight needs next; its state says that it left the queue. */
static void advance(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct error err = {0};

	if (flight_is_present(flight)) {
		queue_remove(&layer->queue[flight->priority], flight);
		flight_succeed(flight);
		return;
	}
	if (!flight->copy_tried && layer_store_may_copy(layer->options.store)) {
		queue_remove(&layer->queue[flight->priority], flight);
		flight_submit_copy(flight);
		return;
	}
	if (layer->options.n_sources == 0) {
		queue_remove(&layer->queue[flight->priority], flight);
		(void)error_set(&err, ERROR_NOT_FOUND,
			"not in the store, and there is no source to fetch it from");
		flight_source_failed(flight, NULL, &err);
		return;
	}
	if (flight->decoded_size > LARGE_UNIT_SIZE || flight->blob_size > LARGE_UNIT_SIZE) {
		queue_remove(&layer->queue[flight->priority], flight);
		if (large_start(flight, &err) < 0)
			flight_source_failed(flight, NULL, &err);
		return;
	}
	start_flights(flight);
}

void plan_run(struct fetcher *fetcher)
{
	for (int priority = 0; priority < N_PRIORITIES; priority++) {
		for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
			struct flight_queue *queue = &layer->queue[priority];

			while (queue->head && !layer->closing &&
				may_start(layer, (enum priority)priority)) {
				if (!has_memory(fetcher, queue->head))
					return;
				advance(queue->head);
			}
		}
	}
}

static void on_plan(struct loop_task *task)
{
	struct fetcher *fetcher = container_of(task, struct fetcher, plan_task);

	fetcher->plan_posted = false;
	plan_run(fetcher);
}

void plan_post(struct fetcher *fetcher)
{
	if (fetcher->plan_posted)
		return;
	fetcher->plan_posted = true;
	fetcher->plan_task.run = on_plan;
	loop_post(fetcher->options.loop, &fetcher->plan_task);
}
