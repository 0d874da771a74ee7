/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/workers.h"
#include "chunk/source.h"
#include "format/span_headers.h"
#include "store/layer_store.h"

/* Brings missing units of layers into the store: single flight per unit, adjacent units in one
 * request, the next source when one fails, a bound on memory and on waiting. Its state lives on
 * the net loop; decoding, digests and disk run on the workers. */
struct fetcher;

/* What all layers of a fetcher share. 0 in a field with a default means the default. */
struct fetcher_options {
	struct loop *loop;       /* the net loop; borrowed */
	struct workers *workers; /* borrowed */
	struct store *store;     /* borrowed; where the layers' bytes are kept */
	uint64_t memory_limit;   /* bytes of encoded and decoded data in flight; default 256 MiB */
	uint64_t deadline_ns;    /* a wait that took longer fails; default 60 s */
	uint64_t background_bytes_per_s; /* of encoded bytes; 0: no limit */
	unsigned max_requests;           /* concurrent requests of one layer; default 8 */
};

/* Any thread. fetcher_free() releases it. */
MUST_CHECK int fetcher_new(
	const struct fetcher_options *options, struct fetcher **out, struct error *err);
/* How long a wait may take. Any thread. */
uint64_t fetcher_deadline_ns(const struct fetcher *fetcher);
/**
 * fetcher_background_wait_ns() - when somebody may ask for more who reads a layer beside the
 * fetcher, in the background.
 * @size: bytes that he asks for if he may; they count against background_bytes_per_s.
 *
 * Return: 0: now. Otherwise when to ask again: a reader waits or was served a moment ago, or there
 * is no bandwidth. Any thread.
 */
uint64_t fetcher_background_wait_ns(struct fetcher *fetcher, uint64_t size);

/* No layer is registered any more. Any thread but the net loop. */
void fetcher_free(struct fetcher *fetcher);
void fetcher_freep(struct fetcher **fetcher);

/* A layer that units are fetched for. */
struct fetch_layer;

/* Where the units of one layer go and come from, and who hears of the end. */
struct fetch_layer_options {
	struct layer_store *store;      /* borrowed until fetch_layer_free() */
	const struct unit_table *units; /* borrowed */
	struct source **sources; /* in the order they are tried; owned by the layer on success */
	size_t n_sources;
	bool prefetch;   /* [0, prefetch_size) of the blob at once */
	bool background; /* complete the layer when nobody waits */
	/* Fetch ahead of a sequential reader, and bridge small gaps between wanted units. Without
	 * it (and without the two above) exactly the units that are read are fetched. */
	bool read_ahead;
	/* Where nobody has read the archive to the end: no unit of a file is stored before the
	 * file's headers were compared with the index. Borrowed until fetch_layer_free(); NULL:
	 * nothing is compared. */
	struct span_headers *headers;
	/* Someone's read failed for good, or a source gave wrong bytes: the record behind an EIO.
	 * Net loop. */
	void (*failed)(void *arg, uint64_t unit, const char *origin, const struct error *err);
	/* The index is not that of the layer, whoever sends its bytes; @err says where. What was
	 * compared before stays. Net loop; as often as it shows. */
	void (*contradicted)(void *arg, const struct error *err);
	/* Every unit is here. Called once, on the net loop. */
	void (*completed)(void *arg);
	void *arg;
};

/* Any thread. */
MUST_CHECK int fetch_layer_new(struct fetcher *fetcher, const struct fetch_layer_options *options,
	struct fetch_layer **out, struct error *err);
/* Fetches nothing any more: what is under way is cancelled, every wait fails with ERROR_CANCELLED,
 * also those to come; the sources are freed. Nothing is put into the store once it returns. Any
 * thread but the net loop and the workers. */
void fetch_layer_stop(struct fetch_layer *layer);

/* Cancels what is under way, fails every wait with ERROR_CANCELLED, frees the sources; returns when
 * no callback can come any more. Any thread but the net loop and the workers. */
void fetch_layer_free(struct fetch_layer *layer);
void fetch_layer_freep(struct fetch_layer **layer);

/* Starts background completion, or stops it after the requests under way. Any thread. */
void fetch_layer_set_background(struct fetch_layer *layer, bool on);

/* Somebody needs the bytes [off, off + size) of the data space. Embed it; it belongs to the fetcher
 * from fetch_wait_start() until done(). */
struct wait_link;
struct fetch_wait {
	struct fetch_layer *layer;
	uint64_t off;
	uint64_t size;
	enum priority priority;

	/* Exactly once, also after fetch_wait_cancel() (ERROR_CANCELLED). @err NULL: every unit was
	 * there at some moment since the start. On the net loop, or on the thread that called
	 * fetch_wait_start(); must not block on a lock that is held across fetcher calls. */
	void (*done)(struct fetch_wait *wait, const struct error *err);

	struct {
		struct loop_task start_task;
		struct loop_task cancel_task;
		struct fetch_wait *next;
		struct fetch_wait *prev;
		uint64_t deadline_ns;
		struct wait_link *links; /* what it waits for now */
		uint64_t next_row;       /* units from here to end_row come after that */
		uint64_t end_row;
		bool listed;
		atomic_int state;
	} fetcher; /* private; zero before the first start */
};

/* Any thread; never blocks. A wait that is done may be started again. */
void fetch_wait_start(struct fetch_wait *wait);

/* Any thread, also while another one is inside fetch_wait_start(); done() follows soon, exactly
 * once. Of a wait that is not under way: its next start is answered at once. A unit that nobody
 * waits for any more and whose request has not been sent is not fetched. */
void fetch_wait_cancel(struct fetch_wait *wait);

/* A reader got bytes at this place of the data space without waiting: keeps read-ahead going. Any
 * thread; one relaxed store. */
void fetch_layer_note_read(struct fetch_layer *layer, uint64_t off);

/* Counters of one layer since it was registered. */
struct fetch_layer_stats {
	uint64_t fetched_bytes; /* encoded, as received */
	uint64_t copied_bytes;  /* decoded, from other layers of the store */
	uint64_t n_requests;
	uint64_t n_waiting;     /* readers */
	uint64_t bytes_per_s;   /* recent */
	uint64_t round_trip_ns; /* measured */
	uint64_t n_wrong;       /* units a source delivered wrong */
	bool background;
};
/* Any thread. */
void fetch_layer_stats(struct fetch_layer *layer, struct fetch_layer_stats *out);
