/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fetch_types_internal.h"

/* All of this on the net loop, except what work.c hands to workers. */

/* wait.c */
void fetcher_on_timer(struct fetcher *fetcher);
void fetcher_arm_timer(struct fetcher *fetcher);
/* Detaches the wait from its flights and answers it. */
void wait_finish(struct fetch_wait *wait, const struct error *err);
/* The next flight of this wait is done. */
void wait_flight_done(struct fetch_wait *wait);
void wait_fail_all(struct fetch_layer *layer);

/* flight.c */
void queue_push(struct flight_queue *queue, struct flight *flight);
void queue_remove(struct flight_queue *queue, struct flight *flight);
struct flight *flight_find(struct fetch_layer *layer, uint64_t first_rank);
/* The flight that unit at @rank belongs to, found or made (then queued). */
MUST_CHECK int flight_get(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err);
MUST_CHECK int flight_add_wait(struct flight *flight, struct fetch_wait *wait, struct error *err);
void flight_drop_wait(struct flight *flight, struct fetch_wait *wait);
void flight_raise(struct flight *flight, enum priority priority);
/* Puts a flight without a request back into its queue. */
void flight_requeue(struct flight *flight);
/* Every unit is in the store: answers the waits, frees. */
void flight_succeed(struct flight *flight);
/* This source failed: next source, next round, or the end. */
void flight_source_failed(struct flight *flight, const char *origin, const struct error *err);
/* The bytes from origin were wrong. */
void flight_wrong_bytes(struct flight *flight, const char *origin, const struct error *err);
void flight_fail(struct flight *flight);
void flight_free(struct flight *flight);
bool flight_is_present(const struct flight *flight);

/* work.c: what workers do with a flight */
void flight_submit_copy(struct flight *flight);
/* Takes a reference on encoded. */
void flight_submit_decode(
	struct flight *flight, struct decoded *encoded, size_t off, const char *origin);
MUST_CHECK int flight_store_units(
	struct flight *flight, struct decoded *decoded, int fd, struct error *err);

/* request.c */
MUST_CHECK int request_start(struct fetch_layer *layer, struct flight **flights, size_t n_flights,
	enum priority priority, struct error *err);
void request_cancel_all(struct fetch_layer *layer);

/* large.c */
MUST_CHECK int large_start(struct flight *flight, struct error *err);
void large_free(struct large_flight *large);
void large_cancel(struct large_flight *large);

/* plan.c */
void plan_post(struct fetcher *fetcher);
void plan_run(struct fetcher *fetcher);
uint64_t plan_request_size(const struct fetch_layer *layer);

/* ahead.c: units that nobody asked for yet */
void ahead_of_reader(struct fetch_layer *layer, uint64_t rank);
void ahead_follow_notes(struct fetch_layer *layer);
void ahead_prefetch(struct fetch_layer *layer);
/* Queues background work if it may run now. */
void ahead_background(struct fetch_layer *layer, uint64_t now_ns);

/* fetcher.c */
void layer_maybe_closed(struct fetch_layer *layer);
void layer_maybe_complete(struct fetch_layer *layer);
