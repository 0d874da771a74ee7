/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Whether puts go to the disk. They stop when the disk refuses one or when everything that the
 * quota allows is in use by open layers, and start again by themselves. */
struct store;

enum caching {
	CACHING_ON,
	CACHING_READ_ONLY, /* opened on a read-only file system: for good */
	CACHING_QUOTA,     /* until layers are closed */
	CACHING_REFUSED,   /* the disk said no: tried again every few seconds */
};

struct space {
	uint64_t quota_bytes;
	unsigned quota_percent;
	_Atomic int caching;        /* enum caching */
	_Atomic int refused_errnum; /* what the disk said last */
	_Atomic uint64_t retry_ns;  /* CACHING_REFUSED: no put before */
	_Atomic uint64_t look_ns;   /* CACHING_REFUSED, _QUOTA: when the writer looks by itself */
	_Atomic bool commit_failed; /* only a commit that works ends the refusal */
	_Atomic uint64_t used;      /* measured at some time, and everything put since then */
	_Atomic uint64_t staged;    /* of files that have no name yet; part of used */
	_Atomic uint64_t limit;     /* effective quota in bytes when it was measured; 0: none */
	_Atomic uint64_t measured_ns;
	_Atomic uint64_t evicted_layers;
	_Atomic uint64_t evicted_bytes;
};

/* True when @size bytes may be written now. While the disk refuses, one caller every few seconds
 * gets true: he tries. */
bool space_admits(struct store *store, uint64_t size);

/* What the write said. errnum 0: it worked. True for an error that means that the disk takes
 * nothing now: the chunk belongs into memory. */
bool space_learn(struct store *store, int errnum, uint64_t size);

/* What a commit said, likewise; writer thread. */
void space_learn_commit(struct store *store, const struct error *err);

/* Allocated bytes of everything in the directory, and the limit that holds now. */
MUST_CHECK int space_measure(
	struct store *store, uint64_t *used, uint64_t *limit, struct error *err);

/* When the writer is to look by itself whether something can be stored again, so that what only
 * goes on then need not try; UINT64_MAX: it need not. Any thread. */
uint64_t space_next_look_ns(struct store *store);

/* Looks. Writer thread. */
void space_look(struct store *store);

/* Writer thread only, so that two do not evict for the same need: measures, evicts what is over the
 * quota, decides whether puts go on. *freed in allocated bytes. */
MUST_CHECK int space_check(struct store *store, uint64_t *freed, struct error *err);
