/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a flight from the first who wants its units to the last answer. */
#include "fetch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "chunk/decoded.h"

struct flight *flight_new(struct fetch_layer *layer, uint64_t first_rank, enum priority priority)
{
	struct flight *flight = calloc(1, sizeof(*flight));

	if (!flight)
		return NULL;
	flight->layer = layer;
	flight->first_rank = first_rank;
	flight->priority = priority;
	flight->ahead = N_PRIORITIES;
	return flight;
}

int flight_get(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err)
{
	struct flight *flight;
	uint64_t first_rank;

	if (group_first(layer, rank, &first_rank, err) < 0)
		return -1;

	flight = flight_table_find(&layer->flights, first_rank);
	if (flight) {
		flight_raise(flight, priority);
		*out = flight;
		return 0;
	}

	flight = flight_new(layer, first_rank, priority);
	if (!flight)
		return error_set(err, ERROR_NO_MEMORY, "no memory to fetch a unit");
	if (group_measure(flight, err) < 0) {
		free(flight);
		return -1;
	}
	flight_table_add(&layer->flights, flight);
	/* Something that was here is not any more. */
	layer->complete = false;
	flight_requeue(flight);
	*out = flight;
	return 0;
}

int flight_want(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err)
{
	if (flight_get(layer, rank, priority, out, err) < 0)
		return -1;
	if (priority < (*out)->ahead)
		(*out)->ahead = priority;
	return 0;
}

bool flight_is_wanted(const struct flight *flight)
{
	return (flight->waits || flight->ahead != N_PRIORITIES) && !flight->layer->closing;
}

/* Nobody finds it any more. */
static void flight_leave(struct flight *flight)
{
	flight_table_remove(&flight->layer->flights, flight);
	flight->state = FLIGHT_ENDED;
}

void flight_release(struct flight *flight)
{
	flight->layer->fetcher->memory -= flight->memory;
	flight->memory = 0;
	decoded_unref(TAKE_PTR(flight->encoded));
	span_bytes_freep(&flight->decoded);
}

static void flight_free(struct flight *flight)
{
	decoded_unref(flight->encoded);
	span_bytes_free(flight->decoded);
	free(flight);
}

void flight_left(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;

	if (flight->waits || flight->state == FLIGHT_ENDED)
		return;
	if (flight->state == FLIGHT_QUEUED)
		queue_remove(&layer->queue[flight->priority], flight);
	else if (flight->state == FLIGHT_DELAYED)
		queue_remove(&layer->delayed, flight);
	if (flight->ahead != N_PRIORITIES)
		flight->priority = flight->ahead;

	if (flight->state == FLIGHT_QUEUED && flight->ahead != N_PRIORITIES)
		queue_push(&layer->queue[flight->priority], flight);
	else if (flight->state == FLIGHT_QUEUED || flight->state == FLIGHT_DELAYED) {
		flight_leave(flight);
		flight_free(flight);
	}
}

void flight_raise(struct flight *flight, enum priority priority)
{
	if (priority >= flight->priority)
		return;
	if (flight->state == FLIGHT_QUEUED) {
		queue_remove(&flight->layer->queue[flight->priority], flight);
		queue_push(&flight->layer->queue[priority], flight);
	} else if (flight->at_worker)
		workers_raise(flight->layer->fetcher->options.workers, flight->at_worker, priority);
	flight->priority = priority;
}

void flight_requeue(struct flight *flight)
{
	if (flight->is_for_headers) {
		headers_send(flight);
		return;
	}
	flight->state = FLIGHT_QUEUED;
	queue_push(&flight->layer->queue[flight->priority], flight);
	plan_post(flight->layer->fetcher);
}

bool flight_is_present(const struct flight *flight)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t row;

	for (uint64_t i = 0; i < flight->n_units; i++) {
		if (unit_table_by_blob(layer->options.units, flight->first_rank + i, &row, NULL) <
				0 ||
			!layer_store_has(layer->options.store, row))
			return false;
	}
	return true;
}

static struct fetch_wait *take_wait(struct flight *flight)
{
	struct wait_link *link = flight->waits;
	struct fetch_wait *wait = link->wait;

	wait_link_remove(link);
	return wait;
}

void flight_succeed(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;

	flight_leave(flight);
	while (flight->waits)
		wait_flight_done(take_wait(flight));
	flight_free(flight);
	layer->background_pause_ns = 0;
	ahead_follow_notes(layer);
	layer_maybe_complete(layer);
	plan_post(layer->fetcher);
}

void flight_record(const struct flight *flight, const char *origin, const struct error *err)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t rank = flight->is_for_headers ? flight->wanted_by : flight->first_rank;
	uint64_t row = 0;

	if (layer->options.failed &&
		unit_table_by_blob(layer->options.units, rank, &row, NULL) == 0)
		layer->options.failed(layer->options.arg, row, origin, err);
}

/* Whether this wait may still be served: what it needs of the flight is here, as is every sibling
 * whose digest was right. */
static bool is_served(const struct flight *flight, const struct fetch_wait *wait)
{
	const struct unit_table *units = flight->layer->options.units;
	uint64_t first;
	uint64_t rank;
	uint64_t n;

	if (flight->n_units == 1 ||
		unit_table_range(units, wait->off, wait->size, &first, &n, NULL) < 0)
		return false;
	for (uint64_t i = first; i < first + n; i++) {
		if (layer_store_has(flight->layer->options.store, i))
			continue;
		if (unit_table_blob_rank(units, i, &rank, NULL) < 0 ||
			(rank >= flight->first_rank && rank - flight->first_rank < flight->n_units))
			return false;
	}
	return true;
}

void flight_fail(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct error err = flight->err;
	bool recorded = flight->recorded || err.kind == ERROR_CANCELLED;

	if (flight->ahead == PRIORITY_BACKGROUND && err.kind != ERROR_CANCELLED)
		background_failed(layer);
	flight_leave(flight);
	while (flight->waits) {
		struct fetch_wait *wait = take_wait(flight);

		if (is_served(flight, wait)) {
			wait_flight_done(wait);
			continue;
		}
		/* A flight made now asks anew, after this wait began: it is the last one. */
		if (flight->wrong_ns && !layer->closing &&
			wait_began_after(wait, flight->wrong_ns)) {
			wait_again(wait);
			continue;
		}
		if (!recorded)
			flight_record(flight, flight->origin, &err);
		recorded = true;
		wait_finish(wait, &err);
	}
	if (flight->is_for_headers)
		headers_failed(flight);
	flight_free(flight);
	plan_post(layer->fetcher);
}

void flight_cancel(struct flight *flight)
{
	(void)error_set(&flight->err, ERROR_CANCELLED, "%s",
		flight->layer->closing ? "the layer is being unmounted"
				       : "nobody waits for it any more");
	flight_fail(flight);
}
