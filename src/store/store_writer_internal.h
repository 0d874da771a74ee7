/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_internal.h"

/* The one thread that makes things durable. */

enum {
	WRITER_BATCH_BYTES = 64 << 20,
	WRITER_BATCH_UNITS = 16384,
	WRITER_MAX_BYTES = 4 * WRITER_BATCH_BYTES,
	WRITER_MAX_PENDING = 262144, /* beyond, a unit is not made durable: it is fetched again */
	WRITER_MAX_STALE = 4096,
};

MUST_CHECK int writer_start(struct store *store, struct error *err);

/* Writes what is pending, ends the thread. True when everything is durable. */
bool writer_stop(struct store *store);

/* Runs the job on the writer, after those before it, and waits; ERROR_READ_ONLY where there is
 * no writer. From the writer itself: at once. */
MUST_CHECK int writer_call(struct store *store, struct writer_job *job, struct error *err);

/* Puts one record and waits until it is durable. @what: for the message of a failure. */
MUST_CHECK int writer_put_record(struct store *store, enum db_table table,
	const uint8_t key[RECORD_KEY_SIZE], const struct buffer *value, const char *what,
	struct error *err);

/* A unit was written through @file. Without memory to remember that it is not made durable, and is
 * fetched again by the next owner. Waits for the disk when that is far behind. */
void writer_add(struct store *store, struct layer_state *layer, struct data_file *file,
	const struct pending_unit *unit);

/* All of these at once; does not wait for the disk unless there is no room to remember them. */
void writer_add_all(struct store *store, struct layer_state *layer, struct data_file *file,
	const struct pending_unit *units, size_t n_units);

/* Records that the layer is in use now, with the next batch. */
void writer_touch(struct store *store, struct layer_state *layer);

/* The place recorded for this digest has no such bytes: dropped with the next batch, unless the
 * record is another one by then. Bounded: one too many is looked up in vain once more. */
void writer_stale(struct store *store, const uint8_t digest[RECORD_CHUNK_KEY_SIZE]);

/* Wakes the writer, for space_next_look_ns() has changed. */
void writer_wake(struct store *store);

/* Looks at the quota soon. */
void writer_check_space(struct store *store);

/* Waits until everything pending now is durable. */
MUST_CHECK int writer_sync(struct store *store, struct error *err);

/* Writer thread, between the layers of a long flush. */
void writer_run_jobs(struct store *store);

/* What one commit is about. */
struct flush {
	struct layer_state *layers; /* by next_flushing; their units are in layer->flushing */
	uint8_t (*stale)[RECORD_CHUNK_KEY_SIZE];
	size_t n_stale;
	bool committed; /* every layer that has not failed is durable */
};

/* store_flush.c. Writer thread: makes units durable and records them. -1 also when all but some
 * layer was committed: that one has failed, and its units are missing again. */
MUST_CHECK int flush_run(struct store *store, struct flush *flush, struct error *err);
