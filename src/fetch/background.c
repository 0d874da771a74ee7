/* SPDX-License-Identifier: Apache-2.0 */
/* Completes layers in quiet moments. What ends makes room for what comes next, so that a few
 * requests are always under way; time matters only where readers, a bandwidth or a failure ask for
 * a pause. */
#include "fetch_internal.h"

#include "base/clock.h"

/* So long after the last reader was served. */
#define QUIET_NS (500 * NS_PER_MS)
/* Whatever happens or does not happen. */
#define LOOK_NS NS_PER_SECOND
/* After a failure, and before what a pass over the layer left out is tried again. */
#define FIRST_PAUSE_NS (5 * NS_PER_SECOND)
#define LAST_PAUSE_NS (600 * NS_PER_SECOND)
/* Of a limited bandwidth so much is asked for at once, and at most as much is saved up. */
#define STEP_NS (100 * NS_PER_MS)
#define SAVED_NS NS_PER_SECOND

enum {
	MAX_REQUESTS_OF_LAYER = 2,
	MAX_REQUESTS = 4,
};

static double rate_of(const struct fetcher *fetcher)
{
	return (double)fetcher->options.background_bytes_per_s / 1e9;
}

/* Under the lock. */
static void refill_tokens(struct fetcher *fetcher, uint64_t now_ns)
{
	double rate = rate_of(fetcher);
	double most = rate * (double)SAVED_NS;

	if (now_ns <= fetcher->background_refill_ns)
		return;
	fetcher->background_tokens += rate * (double)(now_ns - fetcher->background_refill_ns);
	if (fetcher->background_tokens > most)
		fetcher->background_tokens = most;
	fetcher->background_refill_ns = now_ns;
}

/* When the bandwidth allows the next step. */
static uint64_t tokens_ns(struct fetcher *fetcher)
{
	double rate = rate_of(fetcher);
	double missing;
	uint64_t at = 0;

	if (rate == 0)
		return 0;
	(void)pthread_mutex_lock(&fetcher->tokens_lock);
	missing = rate * (double)STEP_NS - fetcher->background_tokens;
	if (missing > 0)
		at = fetcher->background_refill_ns + (uint64_t)(missing / rate) + NS_PER_MS;
	(void)pthread_mutex_unlock(&fetcher->tokens_lock);
	return at;
}

/* How many of @size bytes may be asked for now. */
static uint64_t tokens_at(struct fetcher *fetcher, uint64_t now_ns, uint64_t size)
{
	(void)pthread_mutex_lock(&fetcher->tokens_lock);
	refill_tokens(fetcher, now_ns);
	if ((double)size > fetcher->background_tokens)
		size = fetcher->background_tokens > 0 ? (uint64_t)fetcher->background_tokens : 0;
	(void)pthread_mutex_unlock(&fetcher->tokens_lock);
	return size;
}

/* Others may have taken some meanwhile: then there are less than none. */
static void take_tokens(struct fetcher *fetcher, uint64_t size)
{
	(void)pthread_mutex_lock(&fetcher->tokens_lock);
	fetcher->background_tokens -= (double)size;
	(void)pthread_mutex_unlock(&fetcher->tokens_lock);
}

uint64_t fetcher_background_wait_ns(struct fetcher *fetcher, uint64_t size)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t at = atomic_load(&fetcher->quiet_since_ns) + QUIET_NS;
	uint64_t allowed_ns;

	if (atomic_load(&fetcher->n_readers) > 0)
		return QUIET_NS;
	if (now_ns < at)
		return at - now_ns;
	if (rate_of(fetcher) == 0)
		return 0;
	if (tokens_at(fetcher, now_ns, 1) > 0) {
		take_tokens(fetcher, size);
		return 0;
	}
	allowed_ns = tokens_ns(fetcher);
	return allowed_ns > now_ns ? allowed_ns - now_ns : NS_PER_MS;
}

/* When nothing holds it up any more; UINT64_MAX: when the last reader is served. */
static uint64_t quiet_ns(const struct fetch_layer *layer)
{
	const struct fetcher *fetcher = layer->fetcher;
	uint64_t at = atomic_load(&fetcher->quiet_since_ns) + QUIET_NS;

	if (atomic_load(&fetcher->n_readers) > 0)
		return UINT64_MAX;
	return at > layer->background_not_before_ns ? at : layer->background_not_before_ns;
}

bool background_may_start(const struct fetch_layer *layer)
{
	const struct fetcher *fetcher = layer->fetcher;

	return clock_now_ns() >= quiet_ns(layer) && fetcher->n_background < MAX_REQUESTS &&
	       layer->n_background < MAX_REQUESTS_OF_LAYER &&
	       layer->n_batches < MAX_REQUESTS_OF_LAYER;
}

static bool is_wanted(const struct fetch_layer *layer)
{
	return atomic_load(&layer->background_wanted) && !layer->complete && !layer->closing;
}

/* In longer and longer steps, until something succeeds. What fails during a pause began before. */
static void begin_pause(struct fetch_layer *layer, uint64_t now_ns)
{
	uint64_t pause_ns =
		layer->background_pause_ns ? layer->background_pause_ns : FIRST_PAUSE_NS;

	if (now_ns < layer->background_not_before_ns)
		return;
	layer->background_not_before_ns = now_ns + pause_ns;
	layer->background_pause_ns = pause_ns < LAST_PAUSE_NS / 2 ? 2 * pause_ns : LAST_PAUSE_NS;
}

void background_failed(struct fetch_layer *layer)
{
	begin_pause(layer, clock_now_ns());
}

/* What failed on the way, or was given up or forgotten, is tried again in the next pass. */
static void maybe_end_pass(struct fetch_layer *layer, uint64_t now_ns)
{
	if (layer->background_rank < layer->header->n_units || layer->flights.n > 0)
		return;
	layer_maybe_complete(layer);
	if (layer->complete)
		return;
	layer->background_rank = 0;
	begin_pause(layer, now_ns);
}

/* One request waits here while others are under way. */
static bool has_room(const struct fetch_layer *layer)
{
	return !layer->queue[PRIORITY_BACKGROUND].head && !layer->queue[PRIORITY_PREFETCH].head &&
	       layer->flights.n <= AHEAD_MAX_QUEUED;
}

void background_run(struct fetch_layer *layer, uint64_t now_ns)
{
	struct fetcher *fetcher = layer->fetcher;
	uint64_t size = plan_request_size(layer) * 2;
	uint64_t rank = layer->background_rank;
	uint64_t queued;

	if (!is_wanted(layer))
		return;
	maybe_end_pass(layer, now_ns);
	if (layer->complete || now_ns < quiet_ns(layer) || !has_room(layer) ||
		!store_caching(fetcher->options.store, NULL, 0))
		return;
	if (rate_of(fetcher) > 0) {
		if (now_ns < tokens_ns(fetcher))
			return;
		size = tokens_at(fetcher, now_ns, size);
	}

	queued = ahead_queue(layer, &layer->background_rank, size, UINT64_MAX, PRIORITY_BACKGROUND);
	if (rate_of(fetcher) > 0)
		take_tokens(fetcher, queued);
	/* Past many that are here. */
	if (queued == 0 && layer->background_rank != rank)
		plan_post(fetcher);
}

uint64_t background_next_look_ns(const struct fetch_layer *layer, uint64_t now_ns)
{
	struct fetcher *fetcher = layer->fetcher;
	uint64_t at = quiet_ns(layer);

	if (!is_wanted(layer))
		return UINT64_MAX;
	if (tokens_ns(fetcher) > at)
		at = tokens_ns(fetcher);
	return at > now_ns ? at : now_ns + LOOK_NS;
}

void background_stop(struct fetch_layer *layer)
{
	struct flight_queue *queue = &layer->queue[PRIORITY_BACKGROUND];

	while (queue->head) {
		queue->head->ahead = N_PRIORITIES;
		flight_left(queue->head);
	}
	/* When it is turned on again. */
	layer->background_rank = 0;
}
