/* SPDX-License-Identifier: Apache-2.0 */
/* Units too large to be held in memory: fetched in pieces, decoded into an unnamed file, and hashed
 * there before the store gets them. */
#include "fetch_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "chunk/codec.h"

struct large_flight {
	struct source_request base;
	struct flight *flight;
	struct large_flight *prev; /* of its layer */
	struct large_flight *next;
	struct source *source;
	struct source_fetch *fetch; /* NULL while a worker has the piece */
	struct stall_watch watch;
	struct decoded *piece;
	uint64_t n_received; /* of the piece */
	bool surplus;        /* the source sent more than was asked for */
	uint64_t n_fed;      /* encoded bytes of the flight already decoded */
	struct work work;
	struct loop_task task;
	struct error err;

	/* A worker's. */
	struct codec_stream *stream;
	int fd;
	uint64_t n_decoded;
	struct digest_hasher *hasher; /* of the encoded bytes, where these are to be verified */
	bool stored;                  /* every unit */
};

static int next_piece(struct large_flight *large, struct error *err);

static void discard_work(struct work *work)
{
	struct large_flight *large = container_of(work, struct large_flight, work);

	decoded_unref(large->piece);
	codec_stream_free(large->stream);
	digest_hasher_free(large->hasher);
	cleanup_fd(&large->fd);
	free(large);
}

/* Its request is over, and no worker has it. */
static void large_end(struct large_flight *large)
{
	struct flight *flight = large->flight;
	struct fetch_layer *layer = flight->layer;

	if (large->prev)
		large->prev->next = large->next;
	else
		layer->larges = large->next;
	if (large->next)
		large->next->prev = large->prev;
	layer->n_requests--;
	layer->fetcher->memory -= flight->memory;
	flight->memory = 0;
	/* The last descriptor of an unnamed file frees its blocks: work for a disk. */
	large->work.run = discard_work;
	large->work.priority = PRIORITY_BACKGROUND;
	workers_submit(layer->fetcher->options.workers, &large->work);
	plan_post(layer->fetcher);
}

static int write_decoded(void *arg, const uint8_t *data, size_t size, struct error *err)
{
	struct large_flight *large = arg;
	const struct flight *flight = large->flight;
	uint64_t at = large->n_decoded;
	uint64_t skip = at < flight->decoded_off ? flight->decoded_off - at : 0;
	uint64_t end = flight->decoded_off + flight->decoded_size;
	int result;

	large->n_decoded += size;
	if (skip >= size)
		return 0;
	if (at + size > end)
		size = end - at;
	result =
		fd_pwrite_all(large->fd, data + skip, size - skip, at + skip - flight->decoded_off);
	if (result < 0)
		return error_set_errno(err, -result, "write an unnamed file of the store");
	return large->n_decoded >= end;
}

/* Whether its encoded bytes are verified, and so are all needed. */
static bool is_verified_encoded(const struct flight *flight)
{
	return flight->has_span && flight->span.digest_kind == SPAN_DIGEST_ENCODED;
}

static int begin_decoding(struct large_flight *large, struct error *err)
{
	const struct flight *flight = large->flight;
	const char *dir = store_dir(flight->layer->fetcher->options.store);

	large->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (large->fd < 0)
		return error_set_errno(err, errno,
			"a unit of %llu bytes is too large for memory and needs a store that can "
			"be written: an unnamed file in %s",
			(unsigned long long)flight->decoded_size, dir);
	if (is_verified_encoded(flight) &&
		digest_hasher_new(DIGEST_SHA256, &large->hasher, err) < 0)
		return -1;
	if (flight->has_span)
		return codec_stream_new_span(&flight->span, &large->stream, err);
	return codec_stream_new(flight->codec, &large->stream, err);
}

static int store_decoded(struct large_flight *large, struct error *err)
{
	CLEANUP(span_bytes_freep) struct span_bytes *span = NULL;
	struct flight *flight = large->flight;
	struct flight_bytes bytes = {.fd = &large->fd};
	struct digest encoded;

	if (large->n_decoded < flight->decoded_off + flight->decoded_size)
		return error_set(err, ERROR_FORMAT,
			"%llu encoded bytes decode to %llu bytes, %llu are needed",
			(unsigned long long)flight->blob_size, (unsigned long long)large->n_decoded,
			(unsigned long long)(flight->decoded_off + flight->decoded_size));
	if (large->hasher && digest_hasher_final(large->hasher, &encoded, err) < 0)
		return -1;
	if (flight->has_span &&
		span_bytes_of_file(&flight->span, large->hasher ? &encoded : NULL, large->fd,
			flight->decoded_off, flight->decoded_size, &span, err) < 0)
		return -1;
	bytes.span = span;
	if (flight_store_units(flight, &bytes, err) < 0)
		return -1;
	large->stored = true;
	return 0;
}

static int decode_piece(struct large_flight *large, struct error *err)
{
	struct flight *flight = large->flight;
	const uint8_t *encoded = decoded_data(large->piece);
	int result;

	if (large->fd < 0 && begin_decoding(large, err) < 0)
		return -1;
	if (large->hasher &&
		digest_hasher_update(large->hasher, encoded, large->n_received, err) < 0)
		return -1;
	result = codec_stream_feed(
		large->stream, encoded, large->n_received, write_decoded, large, err);
	if (result < 0)
		return -1;
	if ((result == 0 || large->hasher) && large->n_fed + large->n_received < flight->blob_size)
		return 0;
	return store_decoded(large, err);
}

static void on_piece_decoded(struct loop_task *task)
{
	struct large_flight *large = container_of(task, struct large_flight, task);
	struct flight *flight = large->flight;
	struct fetch_layer *layer = flight->layer;
	const char *origin = large->base.origin;
	struct error err = large->err;

	flight->at_worker = NULL;
	large->n_fed += large->n_received;
	if (err.kind == ERROR_NONE && !large->stored && flight_is_wanted(flight) &&
		next_piece(large, &err) == 0)
		return;
	if (err.kind == ERROR_NONE && !large->stored)
		(void)error_set(&err, ERROR_CANCELLED, "nobody waits for it any more");
	large_end(large);
	flight_settle(flight, origin, &err);
	layer_maybe_closed(layer);
}

static void piece_work(struct work *work)
{
	struct large_flight *large = container_of(work, struct large_flight, work);

	large->err = (struct error){0};
	(void)(decode_piece(large, &large->err) < 0);
	large->task.run = on_piece_decoded;
	loop_post(large->flight->layer->fetcher->options.loop, &large->task);
}

static int on_data(struct source_request *base, const uint8_t *data, size_t size)
{
	struct large_flight *large = container_of(base, struct large_flight, base);

	if (size > base->size - large->n_received) {
		large->surplus = true;
		return -1;
	}
	memcpy(decoded_data(large->piece) + large->n_received, data, size);
	large->n_received += size;
	source_received(large->flight->layer, large->flight->source_i, size);
	atomic_fetch_add(&large->flight->layer->fetched_bytes, size);
	return 0;
}

static void on_done(struct source_request *base, const char *origin, const struct error *err)
{
	struct large_flight *large = container_of(base, struct large_flight, base);
	struct flight *flight = large->flight;
	struct fetch_layer *layer = flight->layer;
	const char *name = origin ? origin : "the source";
	struct error wrong;

	/* Never from inside start(). */
	assert(large->fetch);
	large->fetch = NULL;
	if (large->surplus) {
		(void)error_set(&wrong, ERROR_FORMAT, "%s sent more than the %llu bytes asked for",
			name, (unsigned long long)base->size);
		err = &wrong;
	} else if (!err && large->n_received < base->size) {
		(void)error_set(&wrong, ERROR_UNAVAILABLE, "%s ended after %llu of %llu bytes",
			name, (unsigned long long)large->n_received,
			(unsigned long long)base->size);
		err = &wrong;
	}
	if (err) {
		large_end(large);
		flight_source_failed(flight, origin, err);
		layer_maybe_closed(layer);
		return;
	}
	source_served(layer, flight->source_i);
	flight->state = FLIGHT_WORKING;
	large->work.run = piece_work;
	large->work.priority = flight->priority;
	flight->at_worker = &large->work;
	workers_submit(layer->fetcher->options.workers, &large->work);
}

static int next_piece(struct large_flight *large, struct error *err)
{
	struct flight *flight = large->flight;
	struct fetch_layer *layer = flight->layer;
	uint64_t left = flight->blob_size - large->n_fed;
	uint64_t size = left < LARGE_PIECE_SIZE ? left : LARGE_PIECE_SIZE;

	large->n_received = 0;
	large->base = (struct source_request){
		.off = flight->blob_off + large->n_fed,
		.size = size,
		.priority = flight->priority,
		.deadline_ns = request_deadline(layer, size, clock_now_ns()),
		.avoid = flight->avoid,
		.n_avoid = flight->n_avoid,
		.origin = large->base.origin,
		.data = on_data,
		.done = on_done,
	};
	large->fetch = large->source->ops->start(large->source, &large->base);
	if (!large->fetch)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	flight->state = FLIGHT_REQUESTED;
	stall_watch_begin(&large->watch, flight);
	atomic_fetch_add(&layer->total_requests, 1);
	return 0;
}

int large_start(struct flight *flight, struct error *err)
{
	struct fetch_layer *layer = flight->layer;
	struct large_flight *large = calloc(1, sizeof(*large));

	if (!large)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a request");
	large->flight = flight;
	large->fd = -1;
	flight->source_i = source_turn(flight);
	flight->sent_ns = clock_now_ns();
	large->source = layer->options.sources[flight->source_i];
	if (decoded_new(LARGE_PIECE_SIZE, &large->piece, err) < 0 || next_piece(large, err) < 0) {
		decoded_unref(large->piece);
		free(large);
		return -1;
	}
	large->next = layer->larges;
	if (layer->larges)
		layer->larges->prev = large;
	layer->larges = large;
	flight->memory = 2 * LARGE_PIECE_SIZE;
	layer->fetcher->memory += flight->memory;
	layer->n_requests++;
	return 0;
}

void large_cancel_all(struct fetch_layer *layer)
{
	struct large_flight *following;

	for (struct large_flight *large = layer->larges; large; large = following) {
		struct flight *flight = large->flight;

		following = large->next;
		/* What a worker has comes back by itself. */
		if (!large->fetch)
			continue;
		large->source->ops->cancel(large->fetch);
		large_end(large);
		flight_cancel(flight);
	}
}

void large_cancel_stalled(struct fetch_layer *layer, uint64_t now_ns)
{
	struct large_flight *following;
	struct error err;

	for (struct large_flight *large = layer->larges; large; large = following) {
		struct flight *flight = large->flight;
		const char *origin = large->base.origin;

		following = large->next;
		if (!large->fetch ||
			!stall_watch_has_stalled(&large->watch, large->n_received, now_ns, &err))
			continue;
		large->source->ops->cancel(large->fetch);
		large_end(large);
		flight_source_failed(flight, origin, &err);
	}
}
