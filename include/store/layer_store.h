/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/verify.h"
#include "index/unit_table.h"
#include "store/store.h"

/* The decoded bytes of one layer: a sparse data file and which units of it are here. Any thread.
 * The bit that readers see is set after the bytes were written; the database learns of it only
 * after fdatasync, in batches, from the store's writer thread. */
struct layer_store;

/* @units is borrowed and outlives the handle. While it is open the layer counts as mounted and is
 * not evicted. Presence claimed by the database for another unit table is dropped; while the layer
 * is open with another one, this is ERROR_BUSY. Several handles of a layer share what it has.
 * Reads the whole unit table, and may wait for an eviction: threads that may block. */
MUST_CHECK int layer_store_open(struct store *store, const uint8_t key[32],
	const struct unit_table *units, struct layer_store **out, struct error *err);
void layer_store_close(struct layer_store *layer);
void layer_store_closep(struct layer_store **layer);

/* Whether unit @i can be read now (stored, or kept in memory). Lock-free. */
bool layer_store_has(const struct layer_store *layer, uint64_t i);

/* Bytes that came out of the store: the only other thing, beside a verified chunk, that a reply is
 * made of. Filled by store_get() alone. */
struct stored_range;

/**
 * store_get() - bytes of the data space whose units are all here.
 * @off, @size: inside the data space; size at most 1 MiB. Bytes between units are zeros.
 * @present: false when a unit is missing: nothing was read, *out is not set.
 * @out:     release with stored_range_free(); its memory is pooled and page aligned.
 *
 * Durable bytes are read with O_DIRECT where the file system can and the range is aligned, so that
 * they are cached once, above us. Threads: those that may block on a disk.
 */
MUST_CHECK int store_get(struct layer_store *layer, uint64_t off, size_t size, bool *present,
	struct stored_range **out, struct error *err);
const uint8_t *stored_range_data(const struct stored_range *range);
size_t stored_range_size(const struct stored_range *range);
void stored_range_free(struct stored_range *range);
void stored_range_freep(struct stored_range **range);

/**
 * store_put() - keep the verified bytes of unit @i; readers see it when this returns.
 *
 * All zeros become a hole. When the disk is full or read-only the chunk is kept in bounded memory
 * instead and the call succeeds; store_caching() tells. Already present: nothing to do. Waits for
 * the disk when too much that was put is not durable yet. The digest of a unit that only its span
 * vouched for (UNIT_IN_SPAN) is recorded, so that it can be verified and found like any other.
 * Threads: workers.
 */
MUST_CHECK int store_put(
	struct layer_store *layer, uint64_t i, struct verified_chunk *chunk, struct error *err);

/**
 * store_copy() - find the bytes of unit @i in another layer of this store.
 *
 * Looked up by digest, re-read, hashed again, and put into this layer. What only its span vouches
 * for (UNIT_IN_SPAN) is never found: nobody knows its digest before its bytes are here.
 * *found false: nobody has it, or what was there did not match (then that place is forgotten).
 * Threads: workers.
 */
MUST_CHECK int store_copy(struct layer_store *layer, uint64_t i, bool *found, struct error *err);

/* Whether store_copy() of any unit of this layer may find something: false lets the fetcher skip
 * the look-up altogether. Cheap; may be out of date. */
bool layer_store_may_copy(const struct layer_store *layer);

/**
 * store_forget() - a unit that was found damaged reads as missing, on disk too once this returned.
 * (A store on a read-only file system forgets it until it is closed.)
 * Threads: workers.
 */
MUST_CHECK int store_forget(struct layer_store *layer, uint64_t i, struct error *err);

/**
 * layer_store_discard() - remove all that there is of a layer whose index is not to be believed.
 *
 * Its units, index files and artifact, and the indexes of images that were made with it. Readers
 * miss every unit at once, and nothing is recorded any more when the layer is closed. Nobody puts
 * units any more. Threads: those that may block on a disk.
 */
MUST_CHECK int layer_store_discard(struct layer_store *layer, struct error *err);

/* How much of a layer is here. */
struct layer_store_stats {
	uint64_t n_units;
	uint64_t n_present;
	uint64_t size;      /* bytes of all units */
	uint64_t present;   /* bytes of the present ones */
	uint64_t allocated; /* bytes of the data file on disk */
	bool complete;
};
/* Any thread. */
/* Whether every unit is here. Lock-free. */
bool layer_store_is_complete(const struct layer_store *layer);

/* Asks the disk for the allocated size: never on a loop. */
void layer_store_stats(struct layer_store *layer, struct layer_store_stats *out);

/* Waits until everything put so far is durable. Threads: those that may block. */
MUST_CHECK int layer_store_sync(struct layer_store *layer, struct error *err);

/* A new descriptor of the data file, for mounting a complete layer directly. */
MUST_CHECK int layer_store_data_fd(struct layer_store *layer, int *fd, struct error *err);
