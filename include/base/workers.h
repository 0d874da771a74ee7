/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A pool of threads for what must not run on a loop: decoding, digests, disk, name lookups,
 * helpers. Work never waits for a fetch. */
struct workers;

/* Who waits for it. Lower values run first; equal ones in the order they came. */
enum priority {
	PRIORITY_READER,     /* a process is blocked in read(2) */
	PRIORITY_READ_AHEAD, /* the kernel or our own window asked before anyone waits */
	PRIORITY_PREFETCH,   /* landmark or profile */
	PRIORITY_BACKGROUND, /* completion of whole layers */
	N_PRIORITIES,
};

/* Embed it in the thing it is about, so that submitting cannot fail. It belongs to the pool from
 * workers_submit() until run() is called. Zero what is the pool's before the first time. */
struct work {
	struct work *next; /* the pool's */
	struct work *prev; /* the pool's */
	bool queued;       /* the pool's */
	enum priority priority;
	void (*run)(struct work *work); /* a worker thread */
};

/* @n_threads: 0 means one per online core. @name: at most 12 characters, for top(1). */
MUST_CHECK int workers_new(
	unsigned n_threads, const char *name, struct workers **out, struct error *err);

/* Any thread. */
void workers_submit(struct workers *workers, struct work *work);

/* Somebody more urgent wants it now: behind what is as urgent already. Without effect when it is
 * running, or was never submitted; its memory must be there. Any thread. */
void workers_raise(struct workers *workers, struct work *work, enum priority priority);

/* Finishes everything submitted, joins, frees. NULL is allowed. */
void workers_free(struct workers *workers);
void workers_freep(struct workers **workers);
