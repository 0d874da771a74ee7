/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that take requests and then send nothing, or next to nothing: the next source is asked
 * while the reader is still patient, and for a while before them. A source that stands alone is
 * left to its own deadlines. */
#include "fetch_internal.h"

#include "base/clock.h"

/* So long without bytes is a stall, unless round trips or the patience of readers say otherwise. */
#define STALL_NS (3 * NS_PER_SECOND)
#define ROUND_TRIPS 16
/* Fewer bytes in a second are no progress either. */
#define MIN_BYTES_PER_S 1024
/* How long others come first, twice as long each time. */
#define FIRST_PAUSE_NS (30 * NS_PER_SECOND)
#define LAST_PAUSE_NS (600 * NS_PER_SECOND)
/* A request without a byte may be waiting for a connection, but not for ever. */
enum { MAX_QUEUED_WINDOWS = 4 };

static uint64_t all_sources(const struct fetch_layer *layer)
{
	return (UINT64_C(1) << layer->options.n_sources) - 1;
}

bool source_is_left(const struct flight *flight)
{
	return ~flight->asked & all_sources(flight->layer);
}

size_t source_turn(const struct flight *flight)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t now = clock_now_ns();
	size_t first = SIZE_MAX;

	for (size_t i = 0; i < layer->options.n_sources; i++) {
		if (flight->asked >> i & 1)
			continue;
		if (layer->health[i].down_until_ns <= now)
			return i;
		if (first == SIZE_MAX)
			first = i;
	}
	return first == SIZE_MAX ? 0 : first;
}

/* How long the source of a flight may send nothing. */
static uint64_t window_ns(const struct flight *flight)
{
	const struct fetch_layer *layer = flight->layer;
	uint64_t patience_ns = layer->fetcher->options.deadline_ns;
	double ns = (double)STALL_NS;

	if (ns > (double)patience_ns / 8)
		ns = (double)patience_ns / 8;
	if (ns < layer->round_trip_ns * ROUND_TRIPS)
		ns = layer->round_trip_ns * ROUND_TRIPS;
	/* After the last one only the first is left. */
	if ((flight->asked | UINT64_C(1) << flight->source_i) == all_sources(layer))
		ns *= 4;
	return ns < (double)patience_ns / 2 ? (uint64_t)ns : patience_ns / 2;
}

static void look_at(struct stall_watch *watch, uint64_t at_ns)
{
	watch->at_ns = at_ns;
	if (at_ns < watch->layer->next_stall_ns)
		watch->layer->next_stall_ns = at_ns;
}

void stall_watch_begin(struct stall_watch *watch, const struct flight *flight)
{
	struct fetch_layer *layer = flight->layer;
	struct source_health *health = &layer->health[flight->source_i];

	*watch = (struct stall_watch){
		.layer = layer,
		.source_i = flight->source_i,
		.window_ns = window_ns(flight),
		.at_ns = UINT64_MAX,
		.n_received_beside = layer->fetcher->received[flight->source_i],
	};
	if (layer->options.n_sources < 2)
		return;
	look_at(watch, clock_now_ns() + watch->window_ns);
	/* One request finds out whether it is back; those beside it go elsewhere meanwhile. */
	if (health->pause_ns > 0 && health->down_until_ns < watch->at_ns)
		health->down_until_ns = watch->at_ns;
	fetcher_arm_timer(layer->fetcher);
}

static void source_stalled(struct source_health *health, uint64_t now_ns)
{
	/* It is known already: this request was sent before. */
	if (now_ns < health->down_until_ns)
		return;
	health->pause_ns = health->pause_ns ? 2 * health->pause_ns : FIRST_PAUSE_NS;
	if (health->pause_ns > LAST_PAUSE_NS)
		health->pause_ns = LAST_PAUSE_NS;
	health->down_until_ns = now_ns + health->pause_ns;
}

void source_received(struct fetch_layer *layer, size_t source_i, size_t size)
{
	layer->fetcher->received[source_i] += size;
}

void source_served(struct fetch_layer *layer, size_t source_i)
{
	layer->health[source_i] = (struct source_health){0};
}

/* Whether the watch goes on. */
static bool is_served(struct stall_watch *watch, uint64_t n_received)
{
	uint64_t beside = watch->layer->fetcher->received[watch->source_i];
	double enough = (double)watch->window_ns / 1e9 * MIN_BYTES_PER_S;

	if ((double)(n_received - watch->n_received) >= enough)
		return true;
	return n_received == 0 && (double)(beside - watch->n_received_beside) >= enough &&
	       watch->n_queued++ < MAX_QUEUED_WINDOWS;
}

bool stall_watch_has_stalled(
	struct stall_watch *watch, uint64_t n_received, uint64_t now_ns, struct error *err)
{
	struct fetch_layer *layer = watch->layer;

	if (watch->at_ns > now_ns) {
		look_at(watch, watch->at_ns);
		return false;
	}
	if (is_served(watch, n_received)) {
		watch->n_received = n_received;
		watch->n_received_beside = layer->fetcher->received[watch->source_i];
		look_at(watch, now_ns + watch->window_ns);
		return false;
	}
	source_stalled(&layer->health[watch->source_i], now_ns);
	(void)error_set(err, ERROR_TIMEOUT, "no more than %llu bytes came in %.1f s",
		(unsigned long long)(n_received - watch->n_received),
		(double)watch->window_ns / 1e9);
	return true;
}

void fetcher_look_for_stalls(struct fetch_layer *layer, uint64_t now_ns)
{
	if (layer->next_stall_ns > now_ns || layer->closing)
		return;
	layer->next_stall_ns = UINT64_MAX;
	request_cancel_stalled(layer, now_ns);
	large_cancel_stalled(layer, now_ns);
}
