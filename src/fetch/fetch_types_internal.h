/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "chunk/span.h"
#include "chunk/verify.h"
#include "fetch/fetcher.h"

#include "stall_internal.h"

/* Everything here belongs to the net loop, except where it says otherwise. */

enum {
	FLIGHT_MAX_AVOID = 8,
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

enum flight_state {
	FLIGHT_QUEUED,    /* in layer->queue[priority] */
	FLIGHT_DELAYED,   /* in layer->delayed: every source failed, another round comes */
	FLIGHT_REQUESTED, /* part of a fetch_request */
	FLIGHT_WORKING,   /* a worker copies, decodes or stores it */
	FLIGHT_ENDED,     /* no longer in the table: its waits are being answered */
};

/* That a wait needs a flight: in a list of both. */
struct wait_link {
	struct flight *flight;
	struct fetch_wait *wait;
	struct wait_link *prev_of_wait;
	struct wait_link *next_of_wait;
	struct wait_link *prev_of_flight;
	struct wait_link *next_of_flight;
};

/* Units that come out of the same encoded bytes, on their way into the store: single flight. */
struct flight {
	struct fetch_layer *layer;
	uint64_t first_rank; /* in blob order; the table's key */
	uint64_t n_units;
	uint64_t blob_off;
	uint64_t blob_size;
	uint64_t decoded_off;  /* smallest inner_off of its units */
	uint64_t decoded_size; /* from there to the end of the last unit */
	enum codec codec;
	bool has_span;         /* they lie in a span, and are decoded and verified with it */
	struct unit_span span; /* its window is borrowed from the unit table */
	bool zeros;            /* one UNIT_ZEROS: made here, asked of nobody */
	enum flight_state state;
	enum priority priority;
	enum priority ahead; /* wanted without a wait: how urgently; N_PRIORITIES: it is not */
	bool copy_tried;
	struct flight *hash_next;
	struct flight *prev; /* in a queue */
	struct flight *next;
	struct wait_link *waits; /* owned list */

	size_t source_i;                     /* asked last */
	uint64_t asked;                      /* a bit for each source that failed in this round */
	unsigned n_rounds;                   /* times that all sources failed */
	bool hope;                           /* a source of this round may serve later */
	uint64_t retry_ns;                   /* when delayed: not before */
	const char *avoid[FLIGHT_MAX_AVOID]; /* borrowed from the sources */
	size_t n_avoid;
	struct error err;   /* the most telling failure so far */
	bool recorded;      /* that failure was reported already */
	const char *origin; /* of that failure; borrowed from a source */

	struct work *at_worker; /* what it waits for there, of this flight or of several; or NULL */

	/* A worker's, while state is FLIGHT_WORKING. */
	struct work work;
	struct loop_task task;
	struct decoded *encoded; /* a reference; the bytes start at encoded_off */
	size_t encoded_off;
	const char *encoded_origin; /* who sent them; borrowed from a source */
	uint64_t memory;            /* charged to the fetcher */
	uint64_t work_copied_bytes;
	struct error work_err;
};

struct flight_queue {
	struct flight *head;
	struct flight *tail;
};

/* The flights of a layer by first_rank. */
struct flight_table {
	struct flight **buckets; /* owned; 1 << shift of them */
	unsigned shift;
	size_t n;
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

	struct flight_table flights;
	struct flight_queue queue[N_PRIORITIES];
	struct flight_queue delayed;
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
	size_t n_readers;               /* waits of PRIORITY_READER */
	uint64_t quiet_since_ns;        /* when n_readers fell to 0 */
	struct loop_task plan_task;
	bool plan_posted;
	struct loop_timer *timer;      /* deadlines, delayed flights, background */
	uint64_t timer_ns;             /* when it fires; UINT64_MAX: it is not set */
	struct loop_timer *trim_timer; /* memory that chunks used, given back after a pause */
	struct work trim_work;
	atomic_bool trimming;          /* trim_work is a worker's */
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
