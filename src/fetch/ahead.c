/* SPDX-License-Identifier: Apache-2.0 */
/* Units that nobody asked for yet: ahead of a sequential reader, and what the image's author marked
 * for prefetch. */
#include "fetch_internal.h"

#include "base/clock.h"

/* Ten looks a second are enough to follow a reader. */
#define LOOK_NS (100 * NS_PER_MS)
#define AROUND_MIN (UINT64_C(128) << 10)
#define AROUND_MAX (UINT64_C(1) << 20)
#define WINDOW_START (UINT64_C(1) << 20)
#define WINDOW_MAX (UINT64_C(48) << 20)
/* While chunks are kept in a little memory only. */
#define WINDOW_MAX_UNCACHED (UINT64_C(8) << 20)
/* The kernel reads more than a reader asks for only when it reads in order. */
#define LARGE_READ (UINT64_C(64) << 10)
#define FIRST_READS (UINT64_C(1) << 20)
#define LARGE_FILE_UNIT (UINT64_C(1) << 20)
#define PREFETCH_STEP (UINT64_C(32) << 20)

/* Of units at a time: a hostile table may have millions of a byte each. */
enum { MAX_LOOKED_AT = 1 << 16, MAX_AROUND = 256 };

/* False behind the last unit, and when the table cannot be read. */
static bool unit_at(
	const struct fetch_layer *layer, uint64_t rank, uint64_t *row, struct unit *unit)
{
	return rank < layer->header->n_units &&
	       unit_table_by_blob(layer->options.units, rank, row, NULL) == 0 &&
	       unit_table_get(layer->options.units, *row, unit, NULL) == 0;
}

uint64_t ahead_queue(struct fetch_layer *layer, uint64_t *rank, uint64_t size, uint64_t blob_end,
	enum priority priority)
{
	uint64_t queued = 0;
	unsigned n_queued = 0;
	struct flight *flight;
	struct unit unit;
	uint64_t row;

	for (unsigned n = 0; queued < size && n < MAX_LOOKED_AT && n_queued < AHEAD_MAX_QUEUED;
		n++) {
		if (!unit_at(layer, *rank, &row, &unit) || unit.blob_off >= blob_end)
			break;
		if (layer_store_has(layer->options.store, row)) {
			++*rank;
			continue;
		}
		if (flight_want(layer, *rank, priority, &flight, NULL) < 0)
			break;
		queued += flight->blob_size;
		n_queued++;
		*rank = flight->first_rank + flight->n_units;
	}
	return queued;
}

static uint64_t max_window(const struct fetch_layer *layer)
{
	uint64_t outstanding = plan_outstanding_limit(layer);
	uint64_t by_link = 4 * plan_request_size(layer);
	uint64_t by_memory = layer->fetcher->options.memory_limit / 6;
	uint64_t window = by_link < by_memory ? by_link : by_memory;
	bool caching = store_caching(layer->fetcher->options.store, NULL, 0);
	uint64_t most = caching ? WINDOW_MAX : WINDOW_MAX_UNCACHED;

	if (window < 2 * outstanding)
		window = 2 * outstanding;
	return window < most ? window : most;
}

static void stream_advance(struct fetch_layer *layer, struct stream *stream, uint64_t rank)
{
	uint64_t max = max_window(layer);
	struct unit unit;
	uint64_t row;

	stream->last_rank = rank;
	stream->used = ++layer->stream_clock;
	stream->window *= 2;
	if (stream->window > max)
		stream->window = max;
	if (stream->next_rank <= rank)
		stream->next_rank = rank + 1;
	/* From the reader's place, so that the distance holds; what lies before next_rank was asked
	 * for when the reader was further back. */
	if (unit_at(layer, rank, &row, &unit))
		(void)ahead_queue(layer, &stream->next_rank, UINT64_MAX,
			unit.blob_off + unit.blob_size + stream->window, PRIORITY_READ_AHEAD);
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

		for (int n = 0; n < MAX_AROUND && next < layer->header->n_units; n++) {
			struct flight *flight;
			struct unit unit;
			uint64_t row;

			if (!unit_at(layer, next, &row, &unit) || used + unit.blob_size > limit)
				break;
			used += unit.blob_size;
			if (!layer_store_has(layer->options.store, row) &&
				flight_want(layer, next, PRIORITY_READ_AHEAD, &flight, NULL) < 0)
				break;
			next += (uint64_t)step;
		}
		if (step > 0)
			ahead = next;
	}
	return ahead;
}

/* Whether somebody begins to read a large file from its start, with the large reads that the kernel
 * makes of reads in order; of these the second may come first. Nothing lies between the units of a
 * file. */
static bool begins_large_file(
	const struct fetch_layer *layer, uint64_t rank, uint64_t off, uint64_t size)
{
	struct unit unit;
	struct unit neighbour;
	uint64_t row;

	if (size < LARGE_READ || !unit_at(layer, rank, &row, &unit) ||
		off >= unit.data_off + FIRST_READS || unit.size < LARGE_FILE_UNIT)
		return false;
	return row + 1 < layer->header->n_units &&
	       unit_table_get(layer->options.units, row + 1, &neighbour, NULL) == 0 &&
	       neighbour.data_off == unit.data_off + unit.size;
}

/* Without waiting for the second unit to see that it is a stream: that would cost a round trip. */
static void stream_jump(struct fetch_layer *layer, struct stream *stream, uint64_t rank)
{
	stream->window = max_window(layer);
	stream_advance(layer, stream, rank);
}

void ahead_of_reader(struct fetch_layer *layer, uint64_t rank, uint64_t off, uint64_t size)
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
		if (stream->window > 0 && rank == stream->last_rank) {
			if (stream->window == WINDOW_START &&
				begins_large_file(layer, rank, off, size))
				stream_jump(layer, stream, rank);
			return;
		}
		if (stream->used < oldest->used)
			oldest = stream;
	}
	*oldest = (struct stream){
		.next_rank = queue_around(layer, rank),
		.last_rank = rank,
		.window = WINDOW_START,
		.used = ++layer->stream_clock,
	};
	if (begins_large_file(layer, rank, off, size))
		stream_jump(layer, oldest, rank);
}

static bool is_followed(const struct fetch_layer *layer)
{
	uint64_t off = atomic_load_explicit(&layer->note_off, memory_order_relaxed);

	return layer->options.read_ahead && off != UINT64_MAX && off != layer->followed_off;
}

void ahead_follow_notes(struct fetch_layer *layer)
{
	uint64_t off = atomic_load_explicit(&layer->note_off, memory_order_relaxed);
	uint64_t first;
	uint64_t n;
	uint64_t rank;

	if (layer->complete || layer->closing || !is_followed(layer))
		return;
	layer->followed_off = off;
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
	uint64_t rank = layer->prefetch_rank;
	struct unit unit;
	uint64_t row;

	if (layer->prefetch_done || layer->complete || layer->closing ||
		layer->queue[PRIORITY_PREFETCH].head ||
		!store_caching(layer->fetcher->options.store, NULL, 0))
		return;
	(void)ahead_queue(layer, &layer->prefetch_rank, PREFETCH_STEP, layer->header->prefetch_size,
		PRIORITY_PREFETCH);
	/* Without memory it is given up. */
	layer->prefetch_done = layer->prefetch_rank == rank ||
			       !unit_at(layer, layer->prefetch_rank, &row, &unit) ||
			       unit.blob_off >= layer->header->prefetch_size;
	if (!layer->prefetch_done)
		plan_post(layer->fetcher);
}

uint64_t ahead_next_look_ns(const struct fetch_layer *layer, uint64_t now_ns)
{
	if (layer->complete || layer->closing || !is_followed(layer))
		return UINT64_MAX;
	return now_ns + LOOK_NS;
}
