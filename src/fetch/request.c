/* SPDX-License-Identifier: Apache-2.0 */
/* One range request: encoded bytes arrive in order, and each flight goes to a worker as soon as its
 * part is complete, while the rest still arrives. */
#include "fetch_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* What a link of unknown speed is taken for at worst: 1 MiB/s. */
#define SLOW_BYTES_PER_NS (1048576.0 / 1e9)
#define NS_PER_HOUR (3600 * NS_PER_SECOND)

/* One range request under way: flights in blob order. */
struct fetch_request {
	struct source_request base;
	struct fetch_layer *layer;
	struct fetch_request *prev;
	struct fetch_request *next;
	struct source *source;
	struct source_fetch *fetch;
	struct stall_watch watch;
	const char *avoid[FLIGHT_MAX_AVOID]; /* base.avoid; flights end before the request does */
	enum priority priority;
	uint64_t started_ns;
	uint64_t first_byte_ns;
	uint64_t fetched_before; /* of the layer at that moment */
	struct decoded *buffer;  /* base.size bytes */
	uint64_t n_received;
	bool surplus; /* the source sent more than was asked for */
	size_t n_flights;
	size_t n_dispatched;
	struct flight *flights[]; /* REQUEST_MAX_FLIGHTS at most */
};

static struct fetch_request *request_of(struct source_request *base)
{
	return container_of(base, struct fetch_request, base);
}

static void release_memory(struct flight *flight)
{
	flight->layer->fetcher->memory -= flight->memory;
	flight->memory = 0;
}

static void request_end(struct fetch_request *request)
{
	struct fetch_layer *layer = request->layer;

	if (request->prev)
		request->prev->next = request->next;
	else
		layer->requests = request->next;
	if (request->next)
		request->next->prev = request->prev;
	layer->n_requests--;
	layer->outstanding -= request->base.size - request->n_received;
	if (request->priority == PRIORITY_BACKGROUND) {
		layer->n_background--;
		layer->fetcher->n_background--;
	}
	decoded_unref(request->buffer);
	free(request);
	headers_look(layer);
	plan_post(layer->fetcher);
	layer_maybe_closed(layer);
}

static void dispatch_complete_flights(struct fetch_request *request)
{
	while (request->n_dispatched < request->n_flights) {
		struct flight *flight = request->flights[request->n_dispatched];
		uint64_t off = flight->blob_off - request->base.off;

		if (off + flight->blob_size > request->n_received)
			return;
		request->n_dispatched++;
		flight_submit_decode(flight, request->buffer, off, request->base.origin);
	}
}

static int on_data(struct source_request *base, const uint8_t *data, size_t size)
{
	struct fetch_request *request = request_of(base);
	struct fetch_layer *layer = request->layer;
	bool was_enough;

	if (size > base->size - request->n_received) {
		request->surplus = true;
		return -1;
	}
	if (request->n_received == 0) {
		request->first_byte_ns = clock_now_ns();
		request->fetched_before = atomic_load(&layer->fetched_bytes);
	}
	memcpy(decoded_data(request->buffer) + request->n_received, data, size);
	request->n_received += size;
	was_enough = layer->outstanding >= plan_outstanding_limit(layer);
	layer->outstanding -= size;
	if (was_enough && layer->outstanding < plan_outstanding_limit(layer))
		plan_post(layer->fetcher);
	source_received(layer, request->watch.source_i, size);
	atomic_fetch_add(&layer->fetched_bytes, size);
	dispatch_complete_flights(request);
	return 0;
}

static void smooth(double *average, double value)
{
	*average = *average == 0 ? value : *average * 0.8 + value * 0.2;
}

static void measure(struct fetch_request *request)
{
	struct fetch_layer *layer = request->layer;
	uint64_t body_ns = clock_now_ns() - request->first_byte_ns;
	double round_trip_ns = (double)(request->first_byte_ns - request->started_ns);

	if (request->n_received == 0)
		return;
	if (layer->round_trip_ns == 0 || round_trip_ns < layer->round_trip_ns)
		layer->round_trip_ns = round_trip_ns;
	else
		layer->round_trip_ns += (round_trip_ns - layer->round_trip_ns) / 64;
	/* Small answers arrive in one piece and say nothing about bandwidth. What the requests
	 * beside it got in the same time counts: they share the link. */
	if (request->n_received >= (UINT64_C(256) << 10) && body_ns > 0)
		smooth(&layer->bytes_per_ns,
			(double)(atomic_load(&layer->fetched_bytes) - request->fetched_before) /
				(double)body_ns);
	atomic_store(&layer->stat_bytes_per_s, (uint64_t)(layer->bytes_per_ns * 1e9));
	atomic_store(&layer->stat_round_trip_ns, (uint64_t)layer->round_trip_ns);
}

/* What has not arrived, if anything. */
static void fail_rest(struct fetch_request *request, const char *origin, const struct error *err)
{
	while (request->n_dispatched < request->n_flights) {
		struct flight *flight = request->flights[request->n_dispatched++];

		release_memory(flight);
		flight_source_failed(flight, origin, err);
	}
}

static void on_done(struct source_request *base, const char *origin, const struct error *err)
{
	struct fetch_request *request = request_of(base);
	const char *name = origin ? origin : "the source";
	struct error wrong;

	/* Never from inside start(). */
	assert(request->fetch);
	measure(request);
	if (request->surplus) {
		(void)error_set(&wrong, ERROR_FORMAT, "%s sent more than the %llu bytes asked for",
			name, (unsigned long long)base->size);
		err = &wrong;
	} else if (!err && request->n_received < base->size) {
		(void)error_set(&wrong, ERROR_UNAVAILABLE, "%s ended after %llu of %llu bytes",
			name, (unsigned long long)request->n_received,
			(unsigned long long)base->size);
		err = &wrong;
	}
	if (!err)
		source_served(request->layer, request->watch.source_i);
	fail_rest(request, origin, err);
	request_end(request);
}

/* Earlier than the patience of who waits for it, so that the cause is known when that ends. But
 * many bytes over a slow link get the time they need: what does not arrive in one reader's time is
 * there for the next. */
uint64_t request_deadline(const struct fetch_layer *layer, uint64_t size, uint64_t now_ns)
{
	uint64_t patience_ns = layer->fetcher->options.deadline_ns;
	double rate = layer->bytes_per_ns > 0 ? layer->bytes_per_ns / 4 : SLOW_BYTES_PER_NS;
	double needed_ns = (double)size / rate;
	uint64_t deadline_ns = now_ns + patience_ns - patience_ns / 10;

	if (needed_ns > (double)patience_ns / 2)
		deadline_ns += needed_ns < (double)NS_PER_HOUR ? (uint64_t)needed_ns : NS_PER_HOUR;
	return deadline_ns;
}

static struct fetch_request *request_new(struct fetch_layer *layer, struct flight **flights,
	size_t n_flights, enum priority priority, struct error *err)
{
	const struct flight *last = flights[n_flights - 1];
	struct fetch_request *request =
		calloc(1, sizeof(*request) + n_flights * sizeof(request->flights[0]));

	if (!request) {
		(void)error_set(err, ERROR_NO_MEMORY, "no memory for a request");
		return NULL;
	}
	request->layer = layer;
	request->source = layer->options.sources[flights[0]->source_i];
	request->priority = priority;
	request->started_ns = clock_now_ns();
	request->n_flights = n_flights;
	memcpy(request->flights, flights, n_flights * sizeof(request->flights[0]));
	memcpy(request->avoid, flights[0]->avoid, sizeof(request->avoid));
	request->base = (struct source_request){
		.off = flights[0]->blob_off,
		.size = last->blob_off + last->blob_size - flights[0]->blob_off,
		.priority = priority,
		.avoid = request->avoid,
		.n_avoid = flights[0]->n_avoid,
		.data = on_data,
		.done = on_done,
	};
	request->base.deadline_ns =
		request_deadline(layer, request->base.size, request->started_ns);
	if (decoded_new(request->base.size, &request->buffer, err) < 0) {
		free(request);
		return NULL;
	}
	return request;
}

int request_start(struct fetch_layer *layer, struct flight **flights, size_t n_flights,
	enum priority priority, struct error *err)
{
	size_t source_i = source_turn(flights[0]);
	struct fetch_request *request;

	for (size_t i = 0; i < n_flights; i++)
		flights[i]->source_i = source_i;
	request = request_new(layer, flights, n_flights, priority, err);
	if (!request)
		return -1;
	request->fetch = request->source->ops->start(request->source, &request->base);
	if (!request->fetch) {
		decoded_unref(request->buffer);
		free(request);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	}

	for (size_t i = 0; i < n_flights; i++) {
		flights[i]->state = FLIGHT_REQUESTED;
		flights[i]->sent_ns = request->started_ns;
		flights[i]->memory = flights[i]->blob_size + flights[i]->decoded_size;
		layer->fetcher->memory += flights[i]->memory;
	}
	request->next = layer->requests;
	if (layer->requests)
		layer->requests->prev = request;
	layer->requests = request;
	layer->n_requests++;
	layer->outstanding += request->base.size;
	if (priority == PRIORITY_BACKGROUND) {
		layer->n_background++;
		layer->fetcher->n_background++;
	}
	stall_watch_begin(&request->watch, flights[0]);
	atomic_fetch_add(&layer->total_requests, 1);
	for (size_t i = 0; i < n_flights; i++)
		headers_want(flights[i]);
	return 0;
}

void request_cancel_all(struct fetch_layer *layer)
{
	struct error err;

	(void)error_set(&err, ERROR_CANCELLED, "the layer is being unmounted");
	while (layer->requests) {
		struct fetch_request *request = layer->requests;

		request->source->ops->cancel(request->fetch);
		fail_rest(request, NULL, &err);
		request_end(request);
	}
}

void request_cancel_stalled(struct fetch_layer *layer, uint64_t now_ns)
{
	struct fetch_request *following;
	struct error err;

	for (struct fetch_request *request = layer->requests; request; request = following) {
		following = request->next;
		if (!stall_watch_has_stalled(&request->watch, request->n_received, now_ns, &err))
			continue;
		request->source->ops->cancel(request->fetch);
		fail_rest(request, request->base.origin, &err);
		request_end(request);
	}
}
