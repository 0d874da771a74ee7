/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store_ranges_internal.h"

/* Read-ahead for small reads that follow each other, as those of many small files do: with O_DIRECT
 * nobody else does it, and a disk read for every 4 KiB costs twenty times the copy out of memory.
 */
struct layer_state;

enum {
	WINDOW_SIZE = 256 << 10,
	WINDOW_MAX_READ = 64 << 10, /* larger reads are read-ahead already */
	WINDOW_NEAR = 128 << 10,    /* a read that far from the last one belongs to its stream */
	WINDOW_STREAK = 3,          /* so many reads in a stream before one is worth a window */
	N_WINDOWS = 8,
};

/* One stream of reads, and the bytes ahead of it. */
struct window {
	const struct layer_state *layer; /* NULL: unused; never followed */
	uint64_t version;                /* of the layer at the last read of the stream */
	uint64_t last_end;
	unsigned streak;            /* reads since the version changed or a window was read */
	uint64_t used;              /* when, in reads of windows */
	struct stored_range *range; /* owned; NULL: none yet */
	uint64_t range_off;         /* of its bytes in the data space */
	uint64_t range_version;     /* of the layer before they were read */
	bool range_valid;           /* they are of this layer */
};

struct windows {
	pthread_mutex_t lock;
	struct window windows[N_WINDOWS]; /* guarded by lock */
	uint64_t n_reads;                 /* guarded by lock */
};

void windows_init(struct windows *windows);
void windows_destroy(struct windows *windows);

/* What to do about a read of bytes that are all durable. */
enum window_advice {
	WINDOW_COPIED, /* the bytes are in out */
	WINDOW_READ,   /* read WINDOW_SIZE bytes from there on and give them to windows_fill() */
	WINDOW_NONE,
};

/* @version: the layer's, loaded after its units were found to be there. A window that was read
 * before one of them was written has another one. */
enum window_advice windows_get(struct windows *windows, const struct layer_state *layer,
	uint64_t version, uint64_t off, size_t size, uint8_t *out);

/* Takes range: bytes of the layer from off on, read after version was loaded. */
void windows_fill(struct windows *windows, const struct layer_state *layer, uint64_t version,
	uint64_t off, struct stored_range *range);

/* The layer is about to be freed. */
void windows_forget(struct windows *windows, const struct layer_state *layer);
