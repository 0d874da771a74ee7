/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: which queued flights go into the next requests, in order of who waits for them. */
#include "fetch_internal.h"

#include "base/clock.h"

enum {
	KEPT_FOR_READERS = 2, /* requests of a layer that only readers may use */
	MAX_PASSED = 256,     /* units between the flights of a request */
};

/* What a link delivers in this time may be outstanding beside what is on its way anyway. */
#define RESERVE_NS 100e6
#define RESERVE_MAX ((double)(UINT64_C(4) << 20))

/* Flights that fit into one request, in blob order. */
struct batch {
	const struct flight *seed;
	uint64_t max_size; /* enough is enough from here on */
	uint64_t start;
	uint64_t end;
	uint64_t need; /* memory */
	size_t n;
	struct flight *flights[REQUEST_MAX_FLIGHTS];
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

/* Requests share the link: what was asked for too early delays what is needed next. So the link is
 * kept busy, with room for as long as an answer and a decoder may take, and no more. */
uint64_t plan_outstanding_limit(const struct fetch_layer *layer)
{
	double in_flight = 2 * layer->bytes_per_ns * layer->round_trip_ns;
	double reserve = layer->bytes_per_ns * RESERVE_NS;

	if (layer->bytes_per_ns == 0 || reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	return (uint64_t)(reserve + in_flight);
}

static bool may_start(const struct fetch_layer *layer, enum priority priority)
{
	size_t max = layer->fetcher->options.max_requests;
	size_t kept = max > KEPT_FOR_READERS ? KEPT_FOR_READERS : max - 1;

	switch (priority) {
	case PRIORITY_READER:
		return layer->n_requests < max;
	case PRIORITY_READ_AHEAD:
	case PRIORITY_PREFETCH:
		return layer->n_requests + kept < max &&
		       layer->outstanding < plan_outstanding_limit(layer);
	default:
		return layer->n_requests + kept < max && background_may_start(layer);
	}
}

static bool is_large(const struct flight *flight)
{
	return flight->decoded_size > LARGE_UNIT_SIZE || flight->blob_size > LARGE_UNIT_SIZE;
}

static uint64_t memory_need(const struct flight *flight)
{
	return is_large(flight) ? 2 * LARGE_PIECE_SIZE : flight->blob_size + flight->decoded_size;
}

/* What nobody waits for leaves memory to those who will. */
static bool has_memory(const struct fetcher *fetcher, enum priority priority, uint64_t need)
{
	uint64_t limit = fetcher->options.memory_limit;

	if (priority == PRIORITY_BACKGROUND)
		limit /= 2;
	else if (priority != PRIORITY_READER)
		limit -= limit / 4;
	/* Someone must always go on, whatever the limit. */
	return fetcher->memory == 0 || (need <= limit && fetcher->memory <= limit - need);
}

static bool wants_copy(const struct flight *flight)
{
	return !flight->copy_tried && !flight->zeros &&
	       layer_store_may_copy(flight->layer->options.store);
}

/* Whether a flight needs the same as the seed, and not much later. */
static bool is_alike(const struct flight *seed, const struct flight *flight)
{
	return flight->state == FLIGHT_QUEUED && flight->priority <= seed->priority + 1 &&
	       !flight->zeros && !is_large(flight) && flight->asked == seed->asked &&
	       flight->n_avoid == 0 && wants_copy(flight) == wants_copy(seed);
}

static bool is_full(const struct batch *batch)
{
	return batch->n == REQUEST_MAX_FLIGHTS || batch->end - batch->start >= batch->max_size;
}

/* Whether bytes from @off on follow what ends at @end: at once, behind a gap that is worth its
 * bytes, or with the byte that neighbouring spans share. */
static bool follows(uint64_t end, uint64_t off, uint64_t gap)
{
	return off < end ? end - off == 1 : off - end <= gap;
}

/* Takes a flight before or behind what the batch has, unless it is none for it. */
static bool take(struct batch *batch, struct flight *flight)
{
	uint64_t gap = flight->layer->options.read_ahead ? BRIDGED_GAP : 0;
	uint64_t flight_end = flight->blob_off + flight->blob_size;
	uint64_t need = batch->need + memory_need(flight);
	uint64_t start = batch->start;
	uint64_t end = batch->end;

	if (follows(end, flight->blob_off, gap) && flight_end >= end)
		end = flight_end;
	else if (follows(flight_end, start, gap) && flight->blob_off <= start)
		start = flight->blob_off;
	else
		return false;
	if (!is_alike(batch->seed, flight) || end - start > 2 * batch->max_size ||
		!has_memory(flight->layer->fetcher, batch->seed->priority, need) ||
		(flight->layer->fetcher->memory == 0 &&
			need > flight->layer->fetcher->options.memory_limit))
		return false;
	batch->start = start;
	batch->end = end;
	batch->need = need;
	batch->flights[batch->n++] = flight;
	return true;
}

/* Whether nobody has to fetch the unit of this rank: zeros, or it is here. */
static bool needs_no_bytes(const struct fetch_layer *layer, uint64_t rank)
{
	struct unit unit;
	uint64_t row;

	if (unit_table_by_blob(layer->options.units, rank, &row, NULL) < 0 ||
		unit_table_get(layer->options.units, row, &unit, NULL) < 0)
		return false;
	return unit.flags & UNIT_ZEROS || layer_store_has(layer->options.store, row);
}

/* Holes in what is asked for are passed over: take() knows how wide one may be. *n_passed bounds
 * them, for there may be a million in one place. */
static bool pass_over(
	const struct batch *batch, const struct flight *flight, uint64_t rank, unsigned *n_passed)
{
	const struct fetch_layer *layer = batch->seed->layer;

	if (!layer->options.read_ahead || ++*n_passed > MAX_PASSED)
		return false;
	return flight ? flight->zeros : needs_no_bytes(layer, rank);
}

/* The queued flights before the seed that reach up to it: readers often come from the back (a
 * directory in reverse, a tail of a file). They get half of the room. */
static void take_before(struct batch *batch)
{
	const struct fetch_layer *layer = batch->seed->layer;
	uint64_t rank = batch->seed->first_rank;
	unsigned n_passed = 0;
	uint64_t first;

	while (rank > 0 && batch->n < REQUEST_MAX_FLIGHTS / 2 &&
		batch->end - batch->start < batch->max_size / 2) {
		struct flight *flight;

		if (group_first(layer, rank - 1, &first, NULL) < 0)
			break;
		flight = flight_table_find(&layer->flights, first);
		if (!pass_over(batch, flight, first, &n_passed) && !(flight && take(batch, flight)))
			break;
		rank = first;
	}
	for (size_t i = 0; i < batch->n / 2; i++) {
		struct flight *swapped = batch->flights[i];

		batch->flights[i] = batch->flights[batch->n - 1 - i];
		batch->flights[batch->n - 1 - i] = swapped;
	}
}

static void take_behind(struct batch *batch)
{
	const struct fetch_layer *layer = batch->seed->layer;
	uint64_t rank = batch->seed->first_rank + batch->seed->n_units;
	unsigned n_passed = 0;

	while (!is_full(batch) && rank < layer->header->n_units) {
		struct flight *flight = flight_table_find(&layer->flights, rank);

		if (!pass_over(batch, flight, rank, &n_passed) && !(flight && take(batch, flight)))
			break;
		rank += flight ? flight->n_units : 1;
	}
}

/* The seed and its neighbours leave the queue. */
static void collect(struct flight *seed, struct batch *batch)
{
	batch->seed = seed;
	batch->max_size = plan_request_size(seed->layer);
	batch->start = seed->blob_off;
	batch->end = seed->blob_off + seed->blob_size;
	batch->need = memory_need(seed);
	batch->n = 1;
	batch->flights[0] = seed;
	if (seed->n_avoid == 0) {
		take_before(batch);
		take_behind(batch);
	}
	for (size_t i = 0; i < batch->n; i++)
		queue_remove(&seed->layer->queue[batch->flights[i]->priority], batch->flights[i]);
}

static void start_copy(struct flight *seed)
{
	struct batch batch;

	collect(seed, &batch);
	copy_submit(seed, batch.flights, batch.n);
}

static void start_request(struct flight *seed)
{
	struct fetch_layer *layer = seed->layer;
	struct error err = {0};
	struct batch batch;

	collect(seed, &batch);
	if (request_start(layer, batch.flights, batch.n, seed->priority, &err) == 0)
		return;
	for (size_t i = 0; i < batch.n; i++)
		flight_source_failed(batch.flights[i], NULL, &err);
}

/* What one flight needs next; its state says that it left the queue. */
static void advance(struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct flight_queue *queue = &layer->queue[flight->priority];
	struct error err = {0};

	if (flight_is_present(flight)) {
		queue_remove(queue, flight);
		flight_succeed(flight);
	} else if (flight->zeros) {
		queue_remove(queue, flight);
		flight_submit_zeros(flight);
	} else if (wants_copy(flight))
		start_copy(flight);
	else if (layer->options.n_sources == 0) {
		queue_remove(queue, flight);
		(void)error_set(&err, ERROR_NOT_FOUND,
			"not in the store, and there is no source to fetch it from");
		flight_source_failed(flight, NULL, &err);
	} else if (is_large(flight)) {
		queue_remove(queue, flight);
		if (large_start(flight, &err) < 0)
			flight_source_failed(flight, NULL, &err);
	} else
		start_request(flight);
}

/* The next plan begins with whoever found no memory in this one. */
static void layer_to_front(struct fetch_layer *layer)
{
	struct fetcher *fetcher = layer->fetcher;

	if (!layer->prev)
		return;
	layer->prev->next = layer->next;
	if (layer->next)
		layer->next->prev = layer->prev;
	layer->prev = NULL;
	layer->next = fetcher->layers;
	fetcher->layers->prev = layer;
	fetcher->layers = layer;
}

/* One start for each layer, round by round. False when memory has run out. */
static bool serve(struct fetcher *fetcher, enum priority priority)
{
	bool progress = true;

	while (progress) {
		progress = false;
		for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next) {
			struct flight *flight = layer->queue[priority].head;

			if (!flight || layer->closing || !may_start(layer, priority))
				continue;
			if (!has_memory(fetcher, priority, memory_need(flight))) {
				layer_to_front(layer);
				return false;
			}
			advance(flight);
			progress = true;
		}
	}
	return true;
}

void plan_run(struct fetcher *fetcher)
{
	uint64_t now = clock_now_ns();

	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next)
		background_run(layer, now);
	for (int priority = 0; priority < N_PRIORITIES; priority++) {
		if (!serve(fetcher, (enum priority)priority))
			break;
	}
	for (struct fetch_layer *layer = fetcher->layers; layer; layer = layer->next)
		ahead_prefetch(layer);
	fetcher_arm_timer(fetcher);
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
