/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for units in the other layers of the store before a source is asked for them. Neighbours
 * are looked for together: what is not there comes back together and shares a request. */
#include "fetch_internal.h"

#include <stdlib.h>

/* Flights that are looked for in other layers together: the one somebody wants most first. */
struct copy_batch {
	struct work work;
	struct loop_task task;
	struct fetch_layer *layer;
	size_t n_flights;
	struct flight *flights[]; /* at the end: those that were not found */
};

static void settle_missed(struct flight *flight)
{
	flight->copy_tried = true;
	flight->at_worker = NULL;
	if (flight_is_wanted(flight))
		flight_requeue(flight);
	else
		flight_cancel(flight);
}

static void on_copied(struct loop_task *task)
{
	struct flight *flight = container_of(task, struct flight, task);
	struct fetch_layer *layer = flight->layer;

	atomic_fetch_add(&layer->copied_bytes, flight->work_copied_bytes);
	flight_succeed(flight);
	layer_maybe_closed(layer);
}

static void on_batch(struct loop_task *task)
{
	struct copy_batch *batch = container_of(task, struct copy_batch, task);
	struct fetch_layer *layer = batch->layer;

	for (size_t i = 0; i < batch->n_flights; i++) {
		struct flight *flight = batch->flights[i];

		atomic_fetch_add(&layer->copied_bytes, flight->work_copied_bytes);
		settle_missed(flight);
	}
	free(batch);
	layer->n_batches--;
	plan_post(layer->fetcher);
	layer_maybe_closed(layer);
}

/* True when every unit is here now. */
static bool copy_units(struct flight *flight)
{
	const struct fetch_layer_options *options = &flight->layer->options;
	bool all = true;

	flight->work_copied_bytes = 0;
	for (uint64_t i = 0; i < flight->n_units; i++) {
		struct error err;
		struct unit unit;
		bool found = false;
		uint64_t row;

		if (unit_table_by_blob(options->units, flight->first_rank + i, &row, &err) < 0 ||
			unit_table_get(options->units, row, &unit, &err) < 0)
			return false;
		if (layer_store_has(options->store, row))
			continue;
		/* A failing copy is no failure of the read: the unit is fetched instead. The store
		 * reports a damaged neighbour itself. */
		if (store_copy(options->store, row, &found, &err) < 0 || !found)
			all = false;
		else
			flight->work_copied_bytes += unit.size;
	}
	return all;
}

static void batch_work(struct work *work)
{
	struct copy_batch *batch = container_of(work, struct copy_batch, work);
	struct loop *loop = batch->layer->fetcher->options.loop;
	size_t n_missed = 0;

	for (size_t i = 0; i < batch->n_flights; i++) {
		struct flight *flight = batch->flights[i];

		if (copy_units(flight)) {
			flight->task.run = on_copied;
			loop_post(loop, &flight->task);
		} else
			batch->flights[n_missed++] = flight;
	}
	batch->n_flights = n_missed;
	batch->task.run = on_batch;
	loop_post(loop, &batch->task);
}

void copy_submit(struct flight *seed, struct flight **flights, size_t n_flights)
{
	struct fetch_layer *layer = seed->layer;
	struct copy_batch *batch =
		calloc(1, sizeof(*batch) + n_flights * sizeof(batch->flights[0]));

	if (!batch) {
		/* Asking a source does as well. */
		for (size_t i = 0; i < n_flights; i++)
			settle_missed(flights[i]);
		return;
	}
	batch->layer = layer;
	batch->flights[batch->n_flights++] = seed;
	for (size_t i = 0; i < n_flights; i++) {
		flights[i]->state = FLIGHT_WORKING;
		flights[i]->at_worker = &batch->work;
		if (flights[i] != seed)
			batch->flights[batch->n_flights++] = flights[i];
	}
	batch->work.run = batch_work;
	batch->work.priority = seed->priority;
	layer->n_batches++;
	workers_submit(layer->fetcher->options.workers, &batch->work);
}
