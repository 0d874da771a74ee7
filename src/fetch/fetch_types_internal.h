/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fetch/fetcher.h"

#include "flight_internal.h"
#include "stall_internal.h"

/* Everything here belongs to the net loop, except where it says otherwise. */

enum {
	MAX_SOURCES = 32, /* of a layer */
	REQUEST_MAX_FLIGHTS = 512,
	WAIT_MAX_FLIGHTS = 256, /* of one wait at a time: a flight takes 1.5 KiB */
	N_STREAMS = 8,
	AHEAD_MAX_QUEUED = 2048, /* at a time: a hostile table may have millions of a byte each */
};

#define LARGE_UNIT_SIZE (UINT64_C(64) << 20)
#define LARGE_PIECE_SIZE (UINT64_C(8) << 20)
#define REQUEST_MIN_SIZE (UINT64_C(1) << 20)
#define REQUEST_MAX_SIZE (UINT64_C(8) << 20)
#define BRIDGED_GAP (UINT64_C(64) << 10)

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

	struct flight_table flights;
	struct flight_queue queue[N_PRIORITIES];
	struct flight_queue delayed;
	struct flight_queue held;
	uint64_t next_retry_ns;       /* no delayed flight is due earlier */
	struct source_health *health; /* owned; of each source */
	uint64_t next_stall_ns;       /* no watch is due earlier */
	size_t n_requests;
	uint64_t outstanding;           /* encoded bytes asked for and not yet received */
	size_t n_background;            /* of those requests */
	size_t n_waits;                 /* started, not yet answered */
	size_t n_batches;               /* copy_batch */
	struct fetch_request *requests; /* list */
	struct large_flight *larges;    /* list */
	struct stream streams[N_STREAMS];
	uint64_t stream_clock;
	uint64_t followed_off; /* the place of note_off that was looked at last */

	uint64_t prefetch_rank; /* everything before was present or asked for */
	bool prefetch_done;
	uint64_t background_rank;          /* likewise */
	uint64_t background_not_before_ns; /* after a failure, or a pass that left something out */
	uint64_t background_pause_ns;      /* after the next one; 0: the shortest */
	bool complete;
	bool told_complete;

	double bytes_per_ns; /* of all requests together, smoothed; 0: unknown */
	/* The shortest, growing slowly towards what is measured: without the time that a request
	 * waits for those before it. 0: unknown. */
	double round_trip_ns;

	bool closing;
	bool is_gone; /* closed, and in no list */
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
	struct fetch_layer *layers;     /* whoever was refused memory last comes first */
	uint64_t memory;                /* in flight, bytes */
	uint64_t received[MAX_SOURCES]; /* encoded bytes from the i-th source of any layer */
	size_t n_background;            /* requests of that priority */
	atomic_size_t n_readers; /* waits of PRIORITY_READER; any thread reads, as the next */
	atomic_uint_fast64_t quiet_since_ns; /* when n_readers fell to 0 */
	struct loop_task plan_task;
	bool plan_posted;
	struct loop_timer *timer;      /* deadlines, delayed flights, background */
	uint64_t timer_ns;             /* when it fires; UINT64_MAX: it is not set */
	struct loop_timer *trim_timer; /* memory that chunks used, given back after a pause */
	struct work trim_work;
	atomic_bool trimming;          /* trim_work is a worker's */
	struct fetch_wait *waits_head; /* by deadline: every wait has the same patience */
	struct fetch_wait *waits_tail;
	pthread_mutex_t tokens_lock;
	double background_tokens; /* encoded bytes that may be asked for now; guarded by
				     tokens_lock, as the next */
	uint64_t background_refill_ns;
	struct loop_task init_task;
	pthread_mutex_t init_lock;
	pthread_cond_t init_done;
	bool init_finished; /* guarded by init_lock */
	struct error init_err;
};
