/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "fetch/fetcher.h"
#include "index/layer_index.h"
#include "oci/descriptor.h"
#include "store/layer_store.h"

/* One layer being served: its index, its bytes in the store, and who fetches what is missing.
 * Reference counted; any thread. */
struct layer;

/* Why what an index says is believed. */
enum layer_trust {
	/* The manifest names its digest, or it was made here from a blob with the manifest's digest
	 * and the config's diffID. */
	LAYER_AUTHENTIC,
	LAYER_REPOSITORY_TRUSTED, /* somebody who may write to the image's repository says so */
	LAYER_UNVERIFIED,         /* the user wants it so */
	LAYER_CONTRADICTED,       /* it was trusted and did not tell the truth: nothing is read */
};

/* "authentic" and the like. */
const char *layer_trust_name(enum layer_trust trust);

/* Who says what is in a layer with LAYER_REPOSITORY_TRUSTED or LAYER_CONTRADICTED. */
enum layer_claimant { LAYER_CLAIMED_BY_NOBODY, LAYER_CLAIMED_BY_VARVE, LAYER_CLAIMED_BY_SOCI };

/* "varve" and the like; "" for nobody. */
const char *layer_claimant_name(enum layer_claimant claimant);

/* What is claimed of a layer, and who checks claims; private. */
struct layer_claim;
struct layer_checks;

/* What a layer is made of. */
struct layer_options {
	struct store *store;       /* borrowed, outlives the layer */
	struct fetcher *fetcher;   /* borrowed */
	struct loop *loop;         /* the net loop; borrowed */
	struct workers *workers;   /* borrowed */
	struct layer_index *index; /* owned by the layer on success */
	enum layer_trust trust;
	struct layer_claim *claim;   /* owned by the layer on success; NULL unless trusted */
	struct layer_checks *checks; /* borrowed; needed with a claim */
	const struct descriptor *descriptor; /* copied */
	struct source **sources;             /* owned by the layer on success */
	size_t n_sources;
	bool prefetch;
	bool background;
};

/* Opens its part of the store. layer_unref() releases the layer. */
MUST_CHECK int layer_open(
	const struct layer_options *options, struct layer **out, struct error *err);
struct layer *layer_ref(struct layer *layer);
/* The last one closes, waiting for requests under way: not on the net loop, not on a worker. */
void layer_unref(struct layer *layer);
void layer_unrefp(struct layer **layer);

/* Borrowed from the layer. */
const struct layer_index *layer_index_of(const struct layer *layer);
const struct descriptor *layer_descriptor(const struct layer *layer);
struct layer_store *layer_store_of(struct layer *layer);

/* How far its index is trusted now. */
struct layer_trust_state {
	enum layer_trust trust;
	enum layer_claimant by;
	struct digest document;  /* of the claim, if there is or was one; else algorithm 0 */
	char contradiction[480]; /* of LAYER_CONTRADICTED; else "" */
};
/* Any thread. */
void layer_trust_state(struct layer *layer, struct layer_trust_state *out);
enum layer_trust layer_trust(const struct layer *layer);

/**
 * layer_on_contradicted() - hear when a layer becomes LAYER_CONTRADICTED.
 * @hear: called once, at once if it is already; every read fails from then on, and what was read
 *        before is to be dropped. NULL: nobody hears any more; not while the one before is called.
 *
 * On a thread that serves nothing and may block.
 */
void layer_on_contradicted(
	struct layer *layer, void (*hear)(void *arg, struct layer *layer), void *arg);

/* As fetch_layer_set_background(). */
void layer_set_background(struct layer *layer, bool on);

/* A read of the data space. Embed it; it belongs to the layer from layer_read_start() to done(). */
struct layer_read {
	struct layer *layer; /* borrowed: the tree holds it */
	uint64_t off;
	size_t size; /* at most 1 MiB, inside the data space */

	/* Exactly once, on a worker, or on the thread that called layer_read_start(). Either @range
	 * (owned by the callee) or @err. */
	void (*done)(struct layer_read *read, struct stored_range *range, const struct error *err);

	struct {
		struct fetch_wait wait;
		struct work work;
		struct error err;
		unsigned n_rounds;
		bool failed;
	} layer_private;
};

/* What is here is answered at once, before this returns; the rest is waited for without holding
 * the calling thread. Threads: those that may block on a disk. */
void layer_read_start(struct layer_read *read);

/* done() follows soon with ERROR_CANCELLED, if it has not come already. The memory of the read
 * must stay valid until done() returned. Any thread. */
void layer_read_cancel(struct layer_read *read);

/* Why a read failed, or a source was found wrong: kept so that an EIO can be explained. One of each
 * unit, kind and origin. */
struct layer_failure {
	int64_t when_s; /* wall clock; the last time */
	uint64_t n_times;
	uint64_t unit;
	enum error_kind kind;
	char origin[128]; /* who was asked last; "" when nobody */
	char message[480];
};

enum { LAYER_MAX_FAILURES = 32 };

/* Copies the newest first; returns how many. */
size_t layer_failures(struct layer *layer, struct layer_failure *out, size_t max);

/* Counters of a layer since it was opened. */
struct layer_stats {
	struct layer_store_stats store;
	struct fetch_layer_stats fetch;
	uint64_t n_reads; /* FUSE reads of the data space */
	uint64_t read_bytes;
	uint64_t n_failed; /* reads answered with EIO */
};
/* Any thread. */
void layer_stats(struct layer *layer, struct layer_stats *out);
