/* SPDX-License-Identifier: Apache-2.0 */
/* What workers do with a flight: look for its units in other layers, decode, verify and store. */
#include "fetch_internal.h"

#include "base/clock.h"
#include "chunk/codec.h"

/* So long after the last chunk the memory that chunks used is given back. */
#define POOL_IDLE_NS (2 * NS_PER_SECOND)

static struct flight *flight_of_work(struct work *work)
{
	return container_of(work, struct flight, work);
}

static struct flight *flight_of_task(struct loop_task *task)
{
	return container_of(task, struct flight, task);
}

static void to_worker(struct flight *flight, void (*run)(struct work *work))
{
	flight->state = FLIGHT_WORKING;
	flight->work_err = (struct error){0};
	flight->work.run = run;
	flight->work.priority = flight->priority;
	workers_submit(flight->layer->fetcher->options.workers, &flight->work);
}

static void back_to_loop(struct flight *flight, void (*run)(struct loop_task *task))
{
	flight->task.run = run;
	loop_post(flight->layer->fetcher->options.loop, &flight->task);
}

static int unit_of_flight(const struct flight *flight, uint64_t i, uint64_t *row, struct unit *unit,
	struct error *err)
{
	const struct unit_table *units = flight->layer->options.units;

	if (unit_table_by_blob(units, flight->first_rank + i, row, err) < 0)
		return -1;
	return unit_table_get(units, *row, unit, err);
}

static void on_copied(struct loop_task *task)
{
	struct flight *flight = flight_of_task(task);
	struct fetch_layer *layer = flight->layer;

	flight->copy_tried = true;
	atomic_fetch_add(&layer->copied_bytes, flight->work_copied_bytes);
	if (flight->work_copied)
		flight_succeed(flight);
	else if (layer->closing || (flight->n_waits == 0 && flight->priority == PRIORITY_READER)) {
		(void)error_set(&flight->err, ERROR_CANCELLED, "nobody waits for it any more");
		flight_fail(flight);
	} else
		flight_requeue(flight);
	layer_maybe_closed(layer);
}

static void copy_work(struct work *work)
{
	struct flight *flight = flight_of_work(work);
	struct layer_store *store = flight->layer->options.store;
	bool all = true;

	flight->work_copied_bytes = 0;
	for (uint64_t i = 0; i < flight->n_units; i++) {
		bool found = false;
		struct unit unit;
		uint64_t row;

		if (unit_of_flight(flight, i, &row, &unit, &flight->work_err) < 0) {
			all = false;
			break;
		}
		if (layer_store_has(store, row))
			continue;
		/* A failing copy is no failure of the read: the unit is fetched instead. The store
		 * reports a damaged neighbour itself. */
		if (store_copy(store, row, &found, &flight->work_err) < 0 || !found) {
			all = false;
			continue;
		}
		flight->work_copied_bytes += unit.size;
	}
	flight->work_copied = all;
	back_to_loop(flight, on_copied);
}

void flight_submit_copy(struct flight *flight)
{
	to_worker(flight, copy_work);
}

int flight_store_units(struct flight *flight, struct decoded *decoded, int fd, struct error *err)
{
	struct layer_store *store = flight->layer->options.store;

	for (uint64_t i = 0; i < flight->n_units; i++) {
		CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
		struct unit unit;
		uint64_t row;
		uint64_t off;
		int result;

		if (unit_of_flight(flight, i, &row, &unit, err) < 0)
			return -1;
		if (layer_store_has(store, row))
			continue;
		off = unit.inner_off - flight->decoded_off;
		if (unit.flags & UNIT_ZEROS)
			result = chunk_zeros(&unit, &chunk, err);
		else if (decoded)
			result = chunk_verify(&unit, decoded, off, &chunk, err);
		else
			result = chunk_verify_file(&unit, fd, off, &chunk, err);
		if (result < 0 || store_put(store, row, chunk, err) < 0)
			return error_prefix(err, "unit %llu", (unsigned long long)row);
	}
	return 0;
}

static void on_decoded(struct loop_task *task)
{
	struct flight *flight = flight_of_task(task);
	struct fetch_layer *layer = flight->layer;
	const char *origin = flight->origin;

	layer->fetcher->memory -= flight->memory;
	flight->memory = 0;
	decoded_unref(TAKE_PTR(flight->encoded));
	loop_timer_set(layer->fetcher->trim_timer, POOL_IDLE_NS);

	switch (flight->work_err.kind) {
	case ERROR_NONE:
		flight_succeed(flight);
		break;
	case ERROR_DIGEST_MISMATCH:
	case ERROR_FORMAT:
		flight_wrong_bytes(flight, origin, &flight->work_err);
		break;
	default:
		flight->err = flight->work_err;
		flight_fail(flight);
	}
	layer_maybe_closed(layer);
}

static void decode_work(struct work *work)
{
	struct flight *flight = flight_of_work(work);
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;
	struct error *err = &flight->work_err;

	if (codec_decode_new(flight->codec, decoded_data(flight->encoded) + flight->encoded_off,
		    flight->blob_size, flight->decoded_off, flight->decoded_size, &decoded,
		    err) == 0)
		(void)(flight_store_units(flight, decoded, -1, err) < 0);
	back_to_loop(flight, on_decoded);
}

void flight_submit_decode(
	struct flight *flight, struct decoded *encoded, size_t off, const char *origin)
{
	flight->encoded = decoded_ref(encoded);
	flight->encoded_off = off;
	flight->origin = origin;
	to_worker(flight, decode_work);
}
