/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fetch_types_internal.h"

/* All of this on the net loop, except what work.c hands to workers. */

/* timer.c */
void fetcher_on_timer(struct fetcher *fetcher);
void fetcher_arm_timer(struct fetcher *fetcher);

/* wait.c */
/* Detaches the wait from its flights and answers it. */
void wait_finish(struct fetch_wait *wait, const struct error *err);
/* A flight of this wait is done, and its link gone. */
void wait_flight_done(struct fetch_wait *wait);
/* Begins anew with what is still missing, as far as nothing else is waited for. */
void wait_again(struct fetch_wait *wait);
/* Whether a request was on its way already: what it brought says nothing of what the sources have
 * had since then. */
bool wait_began_after(const struct fetch_wait *wait, uint64_t sent_ns);
void wait_fail_all(struct fetch_layer *layer);
/* Patience has ended. */
void wait_time_out(struct fetch_wait *wait);

/* flight_table.c */
MUST_CHECK int flight_table_init(struct flight_table *table, struct error *err);
void flight_table_destroy(struct flight_table *table);
struct flight *flight_table_find(const struct flight_table *table, uint64_t first_rank);
void flight_table_add(struct flight_table *table, struct flight *flight);
void flight_table_remove(struct flight_table *table, struct flight *flight);
void queue_push(struct flight_queue *queue, struct flight *flight);
void queue_remove(struct flight_queue *queue, struct flight *flight);
MUST_CHECK int wait_link_add(struct fetch_wait *wait, struct flight *flight, struct error *err);
void wait_link_remove(struct wait_link *link);

/* flight_group.c */
/* The rank under which the flight of the unit at @rank is found. */
MUST_CHECK int group_first(
	const struct fetch_layer *layer, uint64_t rank, uint64_t *first_rank, struct error *err);
/* Fills what a flight is of, from its first_rank. */
MUST_CHECK int group_measure(struct flight *flight, struct error *err);

/* The first rank at or before @rank with these encoded bytes or later ones. */
MUST_CHECK int group_first_at(const struct fetch_layer *layer, uint64_t rank, uint64_t blob_off,
	uint64_t *out, struct error *err);

/* headers.c: units of a file wait until its headers were compared */
/* Before the layer's first flight. */
void headers_prepare(struct fetch_layer *layer);
/* What a flight in a span has to compare; sets what of the span is decoded. */
MUST_CHECK int headers_measure(struct flight *flight, const struct unit *first, struct error *err);
/* Compares what is in the span. Workers. */
MUST_CHECK int headers_compare(
	struct flight *flight, const struct span_bytes *bytes, struct error *err);
/* Nothing keeps its units from the store. Any thread. */
bool headers_are_ready(const struct flight *flight);
/* Somebody wants the units that headers before the span are of. */
bool headers_wants_first(const struct flight *flight);
/* Sends for the spans before it that it needs, unless they are on their way. */
void headers_want(struct flight *flight);
/* It is decoded; goes on when its headers were compared. */
void headers_hold(struct flight *flight);
/* Some headers were compared, or a flight has ended. */
void headers_look(struct fetch_layer *layer);
/* A flight for headers goes to the next source. */
void headers_send(struct flight *flight);
/* A flight for headers has failed: so do those that need it. */
void headers_failed(const struct flight *flight);

/* flight.c */
/* An empty one in the table. */
struct flight *flight_new(struct fetch_layer *layer, uint64_t first_rank, enum priority priority);
/* Gives back the memory that its bytes take. */
void flight_release(struct flight *flight);
/* The flight that the unit at @rank belongs to, found or made (then queued): for a wait, which
 * links itself to it. */
MUST_CHECK int flight_get(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err);
/* The same for who does not wait: it stays wanted when all waits have left. */
MUST_CHECK int flight_want(struct fetch_layer *layer, uint64_t rank, enum priority priority,
	struct flight **out, struct error *err);
bool flight_is_wanted(const struct flight *flight);
/* A wait has left: what nobody wants any more is not sent for, but freed. */
void flight_left(struct flight *flight);
void flight_raise(struct flight *flight, enum priority priority);
/* Puts a flight without a request back into its queue. */
void flight_requeue(struct flight *flight);
/* Every unit was in the store: answers the waits, frees. */
void flight_succeed(struct flight *flight);
/* Answers the waits with flight->err, recording it unless that was done; frees. */
void flight_fail(struct flight *flight);
/* The same without a record: nobody wants it. */
void flight_cancel(struct flight *flight);
void flight_record(const struct flight *flight, const char *origin, const struct error *err);
bool flight_is_present(const struct flight *flight);

/* source_health.c: sources that take requests and send nothing */
/* Whose turn it is for this flight: those that stalled lately come last. */
size_t source_turn(const struct flight *flight);
/* Another source has not failed in this round. */
bool source_is_left(const struct flight *flight);
/* A request for this flight was sent to flight->source_i. */
void stall_watch_begin(struct stall_watch *watch, const struct flight *flight);
/* True, with the reason, when it is time and too little has come since the last look. */
bool stall_watch_has_stalled(
	struct stall_watch *watch, uint64_t n_received, uint64_t now_ns, struct error *err);
void source_received(struct fetch_layer *layer, size_t source_i, size_t size);
/* A request has ended well. */
void source_served(struct fetch_layer *layer, size_t source_i);
/* Asks the next source for what has stalled. */
void fetcher_look_for_stalls(struct fetch_layer *layer, uint64_t now_ns);

/* flight_retry.c */
/* This source failed: next source, next round, or the end. */
void flight_source_failed(struct flight *flight, const char *origin, const struct error *err);
/* The bytes from origin were wrong. */
void flight_wrong_bytes(struct flight *flight, const char *origin, const struct error *err);
void fetcher_retry_delayed(struct fetch_layer *layer, uint64_t now_ns);

/* copy.c */
/* Flights that have left their queue; @seed is one of them. */
void copy_submit(struct flight *seed, struct flight **flights, size_t n_flights);

/* work.c */
/* Takes a reference on encoded. */
void flight_submit_decode(
	struct flight *flight, struct decoded *encoded, size_t off, const char *origin);
void flight_submit_zeros(struct flight *flight);
/* One that was held. */
void flight_submit_store(struct flight *flight);
/* What a worker found out about bytes from origin decides about the flight. */
void flight_settle(struct flight *flight, const char *origin, const struct error *err);
/* Where the decoded bytes of a flight are, from its decoded_off on; one of them, or none for
 * zeros. Borrowed. */
struct flight_bytes {
	struct decoded *decoded;
	int *fd;
	struct span_bytes *span;
};
/* Workers: stores every unit whose digest is right; fails with the first failure. */
MUST_CHECK int flight_store_units(
	struct flight *flight, const struct flight_bytes *bytes, struct error *err);

/* request.c */
MUST_CHECK int request_start(struct fetch_layer *layer, struct flight **flights, size_t n_flights,
	enum priority priority, struct error *err);
void request_cancel_all(struct fetch_layer *layer);
void request_cancel_stalled(struct fetch_layer *layer, uint64_t now_ns);
uint64_t request_deadline(const struct fetch_layer *layer, uint64_t size, uint64_t now_ns);

/* large.c */
MUST_CHECK int large_start(struct flight *flight, struct error *err);
void large_cancel_all(struct fetch_layer *layer);
void large_cancel_stalled(struct fetch_layer *layer, uint64_t now_ns);

/* plan.c */
void plan_post(struct fetcher *fetcher);
void plan_run(struct fetcher *fetcher);
uint64_t plan_request_size(const struct fetch_layer *layer);
/* With so many bytes outstanding nothing that nobody waits for is asked for. */
uint64_t plan_outstanding_limit(const struct fetch_layer *layer);

/* ahead.c: units that nobody asked for yet */
/* A reader waits for the unit of this rank; @off and @size are its wait's. */
void ahead_of_reader(struct fetch_layer *layer, uint64_t rank, uint64_t off, uint64_t size);
void ahead_follow_notes(struct fetch_layer *layer);
/* When the layer is to be looked at again; UINT64_MAX: only when something happens. */
uint64_t ahead_next_look_ns(const struct fetch_layer *layer, uint64_t now_ns);
/* Queues the next part of what the image's author marked, once the one before is under way. */
void ahead_prefetch(struct fetch_layer *layer);
/* Queues the missing units from *rank on that begin before @blob_end, until @size encoded bytes are
 * reached, or AHEAD_MAX_QUEUED flights, or many that are here. Returns the encoded bytes queued;
 * *rank is where to go on. */
uint64_t ahead_queue(struct fetch_layer *layer, uint64_t *rank, uint64_t size, uint64_t blob_end,
	enum priority priority);

/* background.c: the rest of the layer */
/* Queues the next units, if the moment is right and those before are under way. */
void background_run(struct fetch_layer *layer, uint64_t now_ns);
bool background_may_start(const struct fetch_layer *layer);
/* As ahead_next_look_ns(). */
uint64_t background_next_look_ns(const struct fetch_layer *layer, uint64_t now_ns);
/* A flight of its priority has failed. */
void background_failed(struct fetch_layer *layer);
/* Gives up what it has queued. */
void background_stop(struct fetch_layer *layer);

/* fetcher.c */
void layer_maybe_closed(struct fetch_layer *layer);
void layer_maybe_complete(struct fetch_layer *layer);
