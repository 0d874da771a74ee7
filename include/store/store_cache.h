/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

/* The store as a cache: what is in it, whether it is right, and making room. */

/* What there is of one layer: something stored, or an index only. */
struct cache_layer {
	uint8_t key[32];
	struct digest blob;
	uint64_t blob_size;
	uint64_t n_units;
	uint64_t n_present;
	uint64_t size;
	uint64_t present;
	uint64_t allocated; /* of its data file and its index */
	int64_t used_s;     /* wall clock of the last open or close */
	bool open;          /* in use by this process */
};

/* Calls each() with a borrowed record until it returns non-zero. */
MUST_CHECK int cache_each_layer(struct store *store,
	int (*each)(void *arg, const struct cache_layer *layer), void *arg, struct error *err);

/* How full the cache is. */
struct cache_usage {
	uint64_t allocated; /* bytes of everything in the directory */
	uint64_t quota;     /* effective limit in bytes; 0: none */
	uint64_t file_system_free;
	uint64_t evicted_layers; /* since the store was opened */
	uint64_t evicted_bytes;
};
/* As it is now. Threads: those that may block on a disk. */
MUST_CHECK int cache_usage(struct store *store, struct cache_usage *out, struct error *err);

/* Evicts whole layers with their indexes, least recently used first and never an open one, until
 * the quota holds. Also called by the store itself after puts. *freed in allocated bytes. */
MUST_CHECK int cache_evict(struct store *store, uint64_t *freed, struct error *err);

/* What to do with findings, and whom to tell. The functions may be NULL. */
struct cache_verify_options {
	bool repair; /* forget what is wrong, so that it is fetched again */
	/* Called now and then for a progress bar; non-zero stops early. */
	int (*progress)(void *arg, uint64_t checked_bytes, uint64_t total_bytes);
	/* A finding: layer key, unit (UINT64_MAX: the layer as a whole), what is wrong. */
	void (*finding)(void *arg, const uint8_t key[32], uint64_t unit, const char *what);
	void *arg;
};

/* What was looked at and found. */
struct cache_verify_result {
	uint64_t n_layers;
	uint64_t n_checked; /* units read and hashed */
	uint64_t checked_bytes;
	uint64_t n_wrong; /* units whose bytes do not match, or cannot be read */
	uint64_t n_repaired;
	uint64_t n_broken_indexes; /* layers whose index does not open */
};

/* Reads and hashes every unit that the store claims to have. */
MUST_CHECK int cache_verify(struct store *store, const struct cache_verify_options *options,
	struct cache_verify_result *out, struct error *err);
