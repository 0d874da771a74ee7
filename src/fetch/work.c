/* SPDX-License-Identifier: Apache-2.0 */
/* What workers do with a flight: decode, verify and store. */
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
	flight->at_worker = &flight->work;
	workers_submit(flight->layer->fetcher->options.workers, &flight->work);
}

static int verify_unit(const struct flight *flight, const struct unit *unit,
	const struct flight_bytes *bytes, struct verified_chunk **out, struct error *err)
{
	uint64_t off = unit->inner_off - flight->decoded_off;

	if (unit->flags & UNIT_ZEROS)
		return chunk_zeros(unit, out, err);
	if (bytes->span)
		return chunk_verify_span(unit, bytes->span, out, err);
	if (bytes->decoded)
		return chunk_verify(unit, bytes->decoded, off, out, err);
	return chunk_verify_file(unit, *bytes->fd, off, out, err);
}

static int store_unit(
	struct flight *flight, uint64_t i, const struct flight_bytes *bytes, struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
	const struct fetch_layer_options *options = &flight->layer->options;
	struct unit unit;
	uint64_t row;

	if (unit_table_by_blob(options->units, flight->first_rank + i, &row, err) < 0)
		return -1;
	if (layer_store_has(options->store, row))
		return 0;
	if (unit_table_get(options->units, row, &unit, err) < 0)
		return -1;
	if (verify_unit(flight, &unit, bytes, &chunk, err) < 0 ||
		store_put(options->store, row, chunk, err) < 0)
		return error_prefix(err, "unit %llu", (unsigned long long)row);
	return 0;
}

int flight_store_units(struct flight *flight, const struct flight_bytes *bytes, struct error *err)
{
	int result = 0;

	for (uint64_t i = flight->n_left_out; i < flight->n_units; i++) {
		struct error cause;

		if (store_unit(flight, i, bytes, &cause) == 0)
			continue;
		if (result == 0)
			*err = cause;
		result = -1;
		/* One wrong digest says nothing about the siblings; anything else would go on. */
		if (cause.kind != ERROR_DIGEST_MISMATCH)
			break;
	}
	return result;
}

/* Every source would send the same. */
static void contradict(struct flight *flight)
{
	const struct fetch_layer_options *options = &flight->layer->options;

	flight->err = flight->work_err;
	flight_record(flight, NULL, &flight->err);
	flight->recorded = true;
	if (options->contradicted)
		options->contradicted(options->arg, &flight->err);
	flight_fail(flight);
}

static void on_stored(struct loop_task *task)
{
	struct flight *flight = flight_of_task(task);
	struct fetch_layer *layer = flight->layer;

	flight->at_worker = NULL;
	if (flight->decoded) {
		headers_hold(flight);
	} else {
		flight_release(flight);
		loop_timer_set(layer->fetcher->trim_timer, POOL_IDLE_NS);
		if (flight->is_contradiction)
			contradict(flight);
		else
			flight_settle(flight, flight->encoded_origin, &flight->work_err);
	}
	headers_look(layer);
	layer_maybe_closed(layer);
}

void flight_settle(struct flight *flight, const char *origin, const struct error *err)
{
	switch (err->kind) {
	case ERROR_NONE:
		if (flight->n_left_out > 0 && headers_wants_first(flight)) {
			/* Since a moment ago. */
			flight->n_left_out = 0;
			flight_requeue(flight);
		} else
			flight_succeed(flight);
		break;
	case ERROR_DIGEST_MISMATCH:
	case ERROR_FORMAT:
		flight_wrong_bytes(flight, origin, err);
		break;
	default:
		/* Ours, not the source's. */
		flight->err = *err;
		flight->origin = NULL;
		flight->recorded = false;
		flight_fail(flight);
	}
}

static void back_to_loop(struct flight *flight)
{
	flight->task.run = on_stored;
	loop_post(flight->layer->fetcher->options.loop, &flight->task);
}

static int decode_span(struct flight *flight, const uint8_t *encoded, struct error *err)
{
	CLEANUP(span_bytes_freep) struct span_bytes *span = NULL;

	if (span_bytes_decode(&flight->span, encoded, flight->blob_size, flight->decoded_off,
		    flight->decoded_size, &span, err) < 0)
		return -1;
	if (flight->compares && headers_compare(flight, span, err) < 0)
		return error_prefix(
			err, "span at byte %llu of the blob", (unsigned long long)flight->blob_off);
	if (flight->is_for_headers)
		return 0;
	if (!headers_are_ready(flight)) {
		flight->decoded = TAKE_PTR(span);
		return 0;
	}
	return flight_store_units(flight, &(struct flight_bytes){.span = span}, err);
}

static int decode_units(struct flight *flight, const uint8_t *encoded, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *decoded = NULL;

	if (codec_decode_new(flight->codec, encoded, flight->blob_size, flight->decoded_off,
		    flight->decoded_size, &decoded, err) < 0)
		return -1;
	return flight_store_units(flight, &(struct flight_bytes){.decoded = decoded}, err);
}

static void decode_work(struct work *work)
{
	struct flight *flight = flight_of_work(work);
	const uint8_t *encoded = decoded_data(flight->encoded) + flight->encoded_off;

	(void)((flight->has_span ? decode_span : decode_units)(flight, encoded, &flight->work_err) <
		0);
	back_to_loop(flight);
}

void flight_submit_decode(
	struct flight *flight, struct decoded *encoded, size_t off, const char *origin)
{
	flight->encoded = decoded_ref(encoded);
	flight->encoded_off = off;
	flight->encoded_origin = origin;
	to_worker(flight, decode_work);
}

static void store_work(struct work *work)
{
	struct flight *flight = flight_of_work(work);
	struct flight_bytes bytes = {.span = flight->decoded};

	(void)(flight_store_units(flight, &bytes, &flight->work_err) < 0);
	span_bytes_freep(&flight->decoded);
	back_to_loop(flight);
}

void flight_submit_store(struct flight *flight)
{
	to_worker(flight, store_work);
}

static void zeros_work(struct work *work)
{
	struct flight *flight = flight_of_work(work);

	(void)(flight_store_units(flight, &(struct flight_bytes){0}, &flight->work_err) < 0);
	back_to_loop(flight);
}

void flight_submit_zeros(struct flight *flight)
{
	to_worker(flight, zeros_work);
}
