/* SPDX-License-Identifier: Apache-2.0 */
/* Flights: the table that makes a unit fetched once however many wait for it, and what becomes of
 * a flight when a source delivers, fails or lies. */
#include "fetch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FIRST_RETRY_NS (200 * NS_PER_MS)
#define MAX_RETRY_NS (5 * NS_PER_SECOND)

void queue_push(struct flight_queue *queue, struct flight *flight)
{
	flight->next = NULL;
	flight->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = flight;
	else
		queue->head = flight;
	queue->tail = flight;
}

void queue_remove(struct flight_queue *queue, struct flight *flight)
{
	if (flight->prev)
		flight->prev->next = flight->next;
	else
		queue->head = flight->next;
	if (flight->next)
		flight->next->prev = flight->prev;
	else
		queue->tail = flight->prev;
	flight->prev = NULL;
	flight->next = NULL;
}

static struct flight **bucket_of(struct fetch_layer *layer, uint64_t first_rank)
{
	return &layer->buckets[(first_rank * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

struct flight *flight_find(struct fetch_layer *layer, uint64_t first_rank)
{
	struct flight *flight = *bucket_of(layer, first_rank);

	while (flight && flight->first_rank != first_rank)
		flight = flight->hash_next;
	return flight;
}

static int unit_at_rank(
	const struct fetch_layer *layer, uint64_t rank, struct unit *unit, struct error *err)
{
	uint64_t row;

	if (unit_table_by_blob(layer->options.units, rank, &row, err) < 0)
		return -1;
	return unit_table_get(layer->options.units, row, unit, err);
}

/* The first sibling of the unit at this rank. */
static int first_sibling(const struct fetch_layer *layer, uint64_t rank, struct unit *first,
	uint64_t *first_rank, struct error *err)
{
	struct unit before;

	if (unit_at_rank(layer, rank, first, err) < 0)
		return -1;

	while (rank > 0) {
		if (unit_at_rank(layer, rank - 1, &before, err) < 0)
			return -1;
		if (before.blob_off != first->blob_off)
			break;
		*first = before;
		rank--;
	}
	*first_rank = rank;
	return 0;
}

static int flight_measure(struct flight *flight, const struct unit *first, struct error *err)
{
	const struct fetch_layer *layer = flight->layer;
	struct unit unit = *first;
	uint64_t end = 0;
	uint64_t rank = flight->first_rank;

	flight->blob_off = first->blob_off;
	flight->codec = first->codec;
	flight->decoded_off = first->inner_off;
	for (;;) {
		flight->n_units++;
		if (unit.blob_size > flight->blob_size)
			flight->blob_size = unit.blob_size;
		if (unit.inner_off + unit.size > end)
			end = unit.inner_off + unit.size;
		if (++rank >= layer->header->n_units)
			break;
		if (unit_at_rank(layer, rank, &unit, err) < 0)
			return -1;
		if (unit.blob_off != first->blob_off)
			break;
	}
	flight->decoded_size = end - flight->decoded_off;
	return 0;
}

int flight_get(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err)
{
	struct unit first;
	uint64_t first_rank;
	struct flight *flight;
	struct flight **bucket;

	if (first_sibling(layer, rank, &first, &first_rank, err) < 0)
		return -1;

	flight = flight_find(layer, first_rank);
	if (flight) {
		flight_raise(flight, priority);
		*out = flight;
		return 0;
	}

	flight = calloc(1, sizeof(*flight));
	if (!flight)
		return error_set(err, ERROR_NO_MEMORY, "no memory to fetch a unit");
	flight->layer = layer;
	flight->first_rank = first_rank;
	flight->priority = priority;
	if (flight_measure(flight, &first, err) < 0) {
		free(flight);
		return -1;
	}

	bucket = bucket_of(layer, first_rank);
	flight->hash_next = *bucket;
	*bucket = flight;
	layer->n_flights++;
	flight_requeue(flight);
	*out = flight;
	return 0;
}

void flight_free(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct flight **link = bucket_of(layer, flight->first_rank);

	while (*link != flight)
		link = &(*link)->hash_next;
	*link = flight->hash_next;
	layer->n_flights--;
	decoded_unref(flight->encoded);
	large_free(flight->large);
	free(flight->waits);
	free(flight);
}

int flight_add_wait(struct flight *flight, struct fetch_wait *wait, struct error *err)
{
	if (flight->n_waits == flight->waits_capacity) {
		size_t capacity = flight->waits_capacity ? 2 * flight->waits_capacity : 4;
		struct fetch_wait **waits =
			reallocarray(flight->waits, capacity, sizeof(*flight->waits));

		if (!waits)
			return error_set(err, ERROR_NO_MEMORY, "no memory for a waiting read");
		flight->waits = waits;
		flight->waits_capacity = capacity;
	}
	flight->waits[flight->n_waits++] = wait;
	return 0;
}

void flight_drop_wait(struct flight *flight, struct fetch_wait *wait)
{
	for (size_t i = 0; i < flight->n_waits; i++) {
		if (flight->waits[i] != wait)
			continue;
		flight->waits[i] = flight->waits[--flight->n_waits];
		break;
	}

	/* What nobody wants any more is not sent for. */
	if (flight->n_waits > 0 || flight->priority != PRIORITY_READER)
		return;
	if (flight->state == FLIGHT_QUEUED)
		queue_remove(&flight->layer->queue[flight->priority], flight);
	else if (flight->state == FLIGHT_DELAYED)
		queue_remove(&flight->layer->delayed, flight);
	else
		return;
	flight_free(flight);
}

void flight_raise(struct flight *flight, enum priority priority)
{
	if (priority >= flight->priority)
		return;
	if (flight->state == FLIGHT_QUEUED) {
		queue_remove(&flight->layer->queue[flight->priority], flight);
		queue_push(&flight->layer->queue[priority], flight);
	}
	flight->priority = priority;
}

void flight_requeue(struct flight *flight)
{
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

void flight_succeed(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct fetch_wait **waits = TAKE_PTR(flight->waits);
	size_t n_waits = flight->n_waits;

	flight_free(flight);
	for (size_t i = 0; i < n_waits; i++)
		wait_flight_done(waits[i]);
	free(waits);
	ahead_follow_notes(layer);
	layer_maybe_complete(layer);
	plan_post(layer->fetcher);
}

void flight_fail(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct error err = flight->err;
	uint64_t row = 0;

	if (flight->n_waits > 0 && err.kind != ERROR_CANCELLED && layer->options.failed &&
		unit_table_by_blob(layer->options.units, flight->first_rank, &row, NULL) == 0)
		layer->options.failed(layer->options.arg, row, flight->origin, &err);

	/* Each one leaves the flight's list by itself, and the last one must not free the flight.
	 */
	flight->state = FLIGHT_WORKING;
	while (flight->n_waits > 0)
		wait_finish(flight->waits[flight->n_waits - 1], &err);
	flight_free(flight);
	plan_post(layer->fetcher);
}

/* A digest mismatch tells more than the connection error of the next source; otherwise the last
 * word counts. */
static void flight_remember(struct flight *flight, const char *origin, const struct error *err)
{
	if (flight->err.kind == ERROR_DIGEST_MISMATCH && err->kind != ERROR_DIGEST_MISMATCH)
		return;
	flight->err = *err;
	flight->origin = origin;
}

static bool worth_another_round(const struct flight *flight)
{
	switch (flight->err.kind) {
	case ERROR_UNAVAILABLE:
	case ERROR_RATE_LIMITED:
	case ERROR_TIMEOUT:
		return flight->n_waits > 0 && !flight->layer->closing;
	default:
		return false;
	}
}

void flight_source_failed(struct flight *flight, const char *origin, const struct error *err)
{
	struct fetch_layer *layer = flight->layer;
	uint64_t delay;

	flight_remember(flight, origin, err);
	if (layer->closing) {
		flight_fail(flight);
		return;
	}
	if (++flight->source_i < layer->options.n_sources) {
		flight_requeue(flight);
		return;
	}
	if (!worth_another_round(flight)) {
		flight_fail(flight);
		return;
	}

	delay = FIRST_RETRY_NS << (flight->n_rounds < 5 ? flight->n_rounds : 5);
	flight->n_rounds++;
	flight->source_i = 0;
	flight->retry_ns = clock_now_ns() + (delay < MAX_RETRY_NS ? delay : MAX_RETRY_NS);
	flight->state = FLIGHT_DELAYED;
	queue_push(&layer->delayed, flight);
	fetcher_arm_timer(layer->fetcher);
}

void flight_wrong_bytes(struct flight *flight, const char *origin, const struct error *err)
{
	struct fetch_layer *layer = flight->layer;
	uint64_t row = 0;

	atomic_fetch_add(&layer->n_wrong, 1);
	if (layer->options.failed &&
		unit_table_by_blob(layer->options.units, flight->first_rank, &row, NULL) == 0)
		layer->options.failed(layer->options.arg, row, origin, err);
	flight_remember(flight, origin, err);

	if (layer->closing || !origin || flight->n_avoid == FLIGHT_MAX_AVOID) {
		flight_fail(flight);
		return;
	}
	flight->avoid[flight->n_avoid++] = origin;
	flight_requeue(flight);
}
