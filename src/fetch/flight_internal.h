/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk/span.h"
#include "chunk/verify.h"
#include "fetch/fetcher.h"

/* Net loop, except where it says otherwise. */

enum { FLIGHT_MAX_AVOID = 8 };

enum flight_state {
	FLIGHT_QUEUED,    /* in layer->queue[priority] */
	FLIGHT_DELAYED,   /* in layer->delayed: every source failed, another round comes */
	FLIGHT_REQUESTED, /* part of a fetch_request */
	FLIGHT_WORKING,   /* a worker copies, decodes or stores it */
	FLIGHT_HELD,      /* decoded, in layer->held: headers of an earlier span come first */
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
	/* Of a layer whose headers are compared: which span it is of, and the entry whose bytes it
	 * begins with. */
	size_t span_i;
	size_t first_entry;
	bool compares;      /* the headers in its span, before any unit is stored */
	bool has_headers;   /* those of first_entry are in spans before this one */
	uint64_t n_first;   /* its first units, all of first_entry */
	uint64_t first_off; /* of the data space: [first_off, first_end) is what they hold */
	uint64_t first_end;
	uint64_t n_left_out; /* of them, all or none: the others are stored without them */
	bool looked_back;    /* whether the store has any of first_entry */
	bool is_for_headers; /* no unit at all: a span that only has headers to compare */
	uint64_t wanted_by;  /* likewise: first_rank of a flight that waits for it */
	enum flight_state state;
	enum priority priority;
	enum priority ahead; /* wanted without a wait: how urgently; N_PRIORITIES: it is not */
	bool copy_tried;
	struct flight *hash_next;
	struct flight *prev; /* in a queue */
	struct flight *next;
	struct wait_link *waits; /* owned list */

	size_t source_i;                     /* asked last */
	uint64_t sent_ns;                    /* when */
	uint64_t wrong_ns;                   /* likewise, of the first wrong bytes; 0: none */
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
	struct span_bytes *decoded; /* owned; of one that is held */
	bool is_contradiction;      /* work_err is the index's fault */
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
