/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "chunk/verify.h"
#include "fetch/fetcher.h"

/* Everything here belongs to the net loop, except where it says otherwise. */

enum {
	FLIGHT_BUCKETS = 256,
	FLIGHT_MAX_AVOID = 8,
	REQUEST_MAX_FLIGHTS = 512,
	N_STREAMS = 8,
};

#define LARGE_UNIT_SIZE (UINT64_C(64) << 20)
#define LARGE_PIECE_SIZE (UINT64_C(8) << 20)
#define REQUEST_MIN_SIZE (UINT64_C(1) << 20)
#define REQUEST_MAX_SIZE (UINT64_C(8) << 20)
#define BRIDGED_GAP (UINT64_C(64) << 10)

enum flight_state {
	FLIGHT_QUEUED,    /* in layer->queue[priority] */
	FLIGHT_DELAYED,   /* in layer->delayed: every source failed, another round comes */
	FLIGHT_REQUESTED, /* part of a fetch_request */
	FLIGHT_WORKING,   /* a worker copies, decodes or stores it */
};

/* Units that come out of the same encoded bytes, on their way into the store: single flight. */
struct flight {
	struct fetch_layer *layer;
	uint64_t first_rank; /* in blob order */
	uint64_t n_units;
	uint64_t blob_off;
	uint64_t blob_size;
	uint64_t decoded_off;  /* smallest inner_off of its units */
	uint64_t decoded_size; /* from there to the end of the last unit */
	enum codec codec;
	enum flight_state state;
	enum priority priority;
	bool copy_tried;
	struct flight *hash_next;
	struct flight *prev; /* in a queue */
	struct flight *next;

	struct fetch_wait **waits; /* owned array */
	size_t n_waits;
	size_t waits_capacity;

	unsigned source_i;                   /* whose turn it is */
	unsigned n_rounds;                   /* times that all sources failed */
	uint64_t retry_ns;                   /* when delayed: not before */
	const char *avoid[FLIGHT_MAX_AVOID]; /* borrowed from the sources */
	size_t n_avoid;
	struct error err;   /* the most telling failure so far */
	const char *origin; /* of that failure; borrowed from a source */

	/* A worker's, while state is FLIGHT_WORKING. */
	struct work work;
	struct loop_task task;
	struct decoded *encoded; /* a reference; the bytes start at encoded_off */
	size_t encoded_off;
	uint64_t memory;  /* charged to the fetcher */
	bool work_copied; /* every unit was found in another layer */
	uint64_t work_copied_bytes;
	struct error work_err;
	struct large_flight *large; /* owned; NULL unless too large for memory */
};

struct flight_queue {
	struct flight *head;
	struct flight *tail;
};

/* A reader that goes through the blob in order. */
struct stream {
	uint64_t next_rank; /* first unit not yet asked for */
	uint64_t last_rank; /* where the reader was seen last */
	uint64_t window;    /* bytes to stay ahead */
	uint64_t used;      /* for replacement: larger is later */
};

struct fetch_layer {
	struct fetcher *fetcher;
	struct fetch_layer_options options;
	const struct unit_table_header *header;
	struct fetch_layer *prev;
	struct fetch_layer *next;

	struct flight *buckets[FLIGHT_BUCKETS]; /* by first_rank */
	size_t n_flights;
	struct flight_queue queue[N_PRIORITIES];
	struct flight_queue delayed;
	size_t n_requests;
	size_t n_background;            /* of those requests */
	struct fetch_request *requests; /* list */
	struct stream streams[N_STREAMS];
	uint64_t stream_clock;

	uint64_t background_rank; /* everything before was present or asked for */
	bool prefetch_started;
	bool complete;
	size_t n_readers;        /* waits of PRIORITY_READER */
	uint64_t quiet_since_ns; /* when n_readers fell to 0 */

	double bytes_per_ns;  /* smoothed; 0: unknown */
	double round_trip_ns; /* smoothed; 0: unknown */

	bool closing;
	struct loop_task add_task;
	struct loop_task close_task;
	struct loop_task background_task;
	atomic_bool background_posted; /* the task is on its way */
	atomic_bool background_wanted;
	atomic_uint_fast64_t note_off; /* any thread: where a reader was served last */
	pthread_mutex_t close_lock;
	pthread_cond_t close_done;
	bool closed; /* guarded by close_lock */

	/* Counters; any thread reads. */
	atomic_uint_fast64_t fetched_bytes;
	atomic_uint_fast64_t copied_bytes;
	atomic_uint_fast64_t total_requests;
	atomic_uint_fast64_t n_wrong;
	atomic_uint_fast64_t n_waiting;
	atomic_uint_fast64_t stat_bytes_per_s;
	atomic_uint_fast64_t stat_round_trip_ns;
};

struct fetcher {
	struct fetcher_options options;
	struct fetch_layer *layers;
	uint64_t memory; /* in flight, bytes */
	struct loop_task plan_task;
	bool plan_posted;
	struct loop_timer *timer;      /* deadlines, delayed flights, background */
	struct loop_timer *trim_timer; /* memory of the pool, given back after a pause */
	struct fetch_wait *waits_head; /* by deadline: every wait has the same patience */
	struct fetch_wait *waits_tail;
	double background_tokens; /* encoded bytes that may be asked for now */
	uint64_t background_refill_ns;
	struct loop_task init_task;
	pthread_mutex_t init_lock;
	pthread_cond_t init_done;
	bool init_finished; /* guarded by init_lock */
	struct error init_err;
};

/* One range request under way: flights in blob order. */
struct fetch_request {
	struct source_request base;
	struct fetch_layer *layer;
	struct fetch_request *prev;
	struct fetch_request *next;
	struct source *source;
	struct source_fetch *fetch;
	enum priority priority;
	uint64_t started_ns;
	uint64_t first_byte_ns;
	struct decoded *buffer; /* base.size bytes */
	uint64_t n_received;
	size_t n_flights;
	size_t n_dispatched;
	struct flight *flights[]; /* REQUEST_MAX_FLIGHTS at most */
};
