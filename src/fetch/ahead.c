/* SPDX-License-Identifier: Apache-2.0 */
/* Units that nobody asked for yet: ahead of a sequential reader, what the image's author marked for
 * prefetch, and in quiet moments the rest of the layer. */
#include "fetch_internal.h"

#include "base/clock.h"

#define QUIET_NS (500 * NS_PER_MS)
#define AROUND_MIN (UINT64_C(128) << 10)
#define AROUND_MAX (UINT64_C(1) << 20)
#define WINDOW_START (UINT64_C(1) << 20)
#define WINDOW_MAX (UINT64_C(48) << 20)

static bool rank_is_present(const struct fetch_layer *layer, uint64_t rank)
{
	uint64_t row;

	return unit_table_by_blob(layer->options.units, rank, &row, NULL) < 0 ||
	       layer_store_has(layer->options.store, row);
}

/* Queues the missing units from *rank on until @size encoded bytes or the end of the layer are
 * reached. Returns the encoded bytes queued; *rank is where to go on. */
static uint64_t queue_from(struct fetch_layer *layer, uint64_t *rank, uint64_t size,
	uint64_t blob_end, enum priority priority)
{
	uint64_t queued = 0;
	uint64_t passed = 0;
	struct flight *flight;

	while (passed < size && *rank < layer->header->n_units) {
		struct unit unit;
		uint64_t row;

		if (unit_table_by_blob(layer->options.units, *rank, &row, NULL) < 0 ||
			unit_table_get(layer->options.units, row, &unit, NULL) < 0 ||
			unit.blob_off >= blob_end)
			break;
		if (rank_is_present(layer, *rank)) {
			/* What is here costs nothing, but a window is a distance. */
			passed += priority == PRIORITY_READ_AHEAD ? unit.size : 0;
			++*rank;
			continue;
		}
		if (flight_get(layer, *rank, priority, &flight, NULL) < 0)
			break;
		if (flight->state == FLIGHT_QUEUED && flight->n_waits == 0)
			queued += flight->blob_size;
		passed += flight->blob_size;
		*rank = flight->first_rank + flight->n_units;
	}
	return queued;
}

static uint64_t max_window(const struct fetch_layer *layer)
{
	uint64_t by_link = 4 * plan_request_size(layer);
	uint64_t by_memory = layer->fetcher->options.memory_limit / 6;
	uint64_t window = by_link < by_memory ? by_link : by_memory;

	return window < WINDOW_MAX ? window : WINDOW_MAX;
}

static void stream_advance(struct fetch_layer *layer, struct stream *stream, uint64_t rank)
{
	uint64_t max = max_window(layer);

	stream->last_rank = rank;
	stream->used = ++layer->stream_clock;
	stream->window *= 2;
	if (stream->window > max)
		stream->window = max;
	if (stream->next_rank <= rank)
		stream->next_rank = rank + 1;

	/* From the reader's place, so that the distance holds; what is queued already is found. */
	rank++;
	(void)queue_from(layer, &rank, stream->window, UINT64_MAX, PRIORITY_READ_AHEAD);
	if (rank > stream->next_rank)
		stream->next_rank = rank;
}

/* Small neighbours of a unit that somebody waits for: asking takes a round trip, in which the link
 * could have carried them, and files that lie together are read together. Returns the first rank
 * ahead that was not asked for. */
static uint64_t queue_around(struct fetch_layer *layer, uint64_t rank)
{
	double by_link = layer->bytes_per_ns * layer->round_trip_ns;
	uint64_t budget = by_link < (double)AROUND_MAX ? (uint64_t)by_link : AROUND_MAX;
	uint64_t used = 0;
	uint64_t ahead = rank + 1;

	if (budget < AROUND_MIN)
		budget = AROUND_MIN;
	for (int step = 1; step >= -1; step -= 2) {
		/* Three quarters of it ahead, the rest behind. */
		uint64_t limit = step > 0 ? budget * 3 / 4 : budget;
		uint64_t next = rank + (uint64_t)step;

		while (next < layer->header->n_units) {
			struct flight *flight;
			struct unit unit;
			uint64_t row;

			if (unit_table_by_blob(layer->options.units, next, &row, NULL) < 0 ||
				unit_table_get(layer->options.units, row, &unit, NULL) < 0 ||
				used + unit.blob_size > limit)
				break;
			used += unit.blob_size;
			if (!layer_store_has(layer->options.store, row) &&
				flight_get(layer, next, PRIORITY_READ_AHEAD, &flight, NULL) < 0)
				break;
			next += (uint64_t)step;
		}
		if (step > 0)
			ahead = next;
	}
	return ahead;
}

void ahead_of_reader(struct fetch_layer *layer, uint64_t rank)
{
	struct stream *oldest = &layer->streams[0];

	if (!layer->options.read_ahead)
		return;
	for (size_t i = 0; i < N_STREAMS; i++) {
		struct stream *stream = &layer->streams[i];

		/* Within what was read or asked for ahead, or the next unit after it. */
		if (stream->window > 0 && rank > stream->last_rank && rank <= stream->next_rank) {
			stream_advance(layer, stream, rank);
			return;
		}
		if (stream->window > 0 && rank == stream->last_rank)
			return;
		if (stream->used < oldest->used)
			oldest = stream;
	}
	*oldest = (struct stream){
		.next_rank = queue_around(layer, rank),
		.last_rank = rank,
		.window = WINDOW_START,
		.used = ++layer->stream_clock,
	};
}

void ahead_follow_notes(struct fetch_layer *layer)
{
	uint64_t off = atomic_load_explicit(&layer->note_off, memory_order_relaxed);
	uint64_t first;
	uint64_t n;
	uint64_t rank;

	if (off == UINT64_MAX || !layer->options.read_ahead || layer->complete || layer->closing)
		return;
	if (unit_table_range(layer->options.units, off, 1, &first, &n, NULL) < 0 || n == 0 ||
		unit_table_blob_rank(layer->options.units, first, &rank, NULL) < 0)
		return;
	for (size_t i = 0; i < N_STREAMS; i++) {
		struct stream *stream = &layer->streams[i];

		if (stream->window > 0 && rank > stream->last_rank && rank < stream->next_rank) {
			stream_advance(layer, stream, rank);
			return;
		}
	}
}

void ahead_prefetch(struct fetch_layer *layer)
{
	uint64_t rank = 0;

	if (layer->prefetch_started || !layer->options.prefetch)
		return;
	layer->prefetch_started = true;
	(void)queue_from(layer, &rank, UINT64_MAX, layer->header->prefetch_size, PRIORITY_PREFETCH);
}

static void refill_tokens(struct fetcher *fetcher, uint64_t now_ns)
{
	double rate = (double)fetcher->options.background_bytes_per_s / 1e9;
	double most = rate * (double)NS_PER_SECOND;

	fetcher->background_tokens += rate * (double)(now_ns - fetcher->background_refill_ns);
	if (fetcher->background_tokens > most)
		fetcher->background_tokens = most;
	fetcher->background_refill_ns = now_ns;
}

void ahead_background(struct fetch_layer *layer, uint64_t now_ns)
{
	struct fetcher *fetcher = layer->fetcher;
	bool limited = fetcher->options.background_bytes_per_s > 0;
	uint64_t size = plan_request_size(layer) * 2;
	uint64_t queued;

	if (!atomic_load(&layer->background_wanted) || layer->complete || layer->closing ||
		layer->n_readers > 0 || now_ns - layer->quiet_since_ns < QUIET_NS ||
		layer->queue[PRIORITY_BACKGROUND].head || layer->queue[PRIORITY_PREFETCH].head)
		return;
	if (!store_caching(layer->fetcher->options.store, NULL, 0))
		return;
	if (limited) {
		refill_tokens(fetcher, now_ns);
		if (fetcher->background_tokens <= 0)
			return;
	}

	queued = queue_from(layer, &layer->background_rank, size, UINT64_MAX, PRIORITY_BACKGROUND);
	if (limited)
		fetcher->background_tokens -= (double)queued;
	if (layer->background_rank < layer->header->n_units || layer->n_flights > 0)
		return;

	/* At the end: what failed or was given up on the way is tried again, unhurriedly. */
	if (layer_store_is_complete(layer->options.store))
		layer_maybe_complete(layer);
	else
		layer->background_rank = 0;
	layer->quiet_since_ns = now_ns + 10 * QUIET_NS;
}
