/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "index/unit_table.h"
#include "store/layer_store.h"
#include "store/store.h"

/* The decoded bytes of a layer whose index does not exist yet, in a file without a name: nobody can
 * read them, and whatever ends early leaves nothing behind. Their digests are checked by whoever
 * writes them, before they become the layer's. One thread at a time. */
struct layer_staging;

/* A store that takes nothing now is success: then nothing is kept. */
MUST_CHECK int layer_staging_new(
	struct store *store, struct layer_staging **out, struct error *err);
/* What was not adopted is gone. NULL is allowed. */
void layer_staging_free(struct layer_staging *staging);
void layer_staging_freep(struct layer_staging **staging);

/**
 * layer_staging_write() - bytes [off, off + size) of the data space.
 *
 * Each byte once, in any order. When the disk is full or the quota used up, what was written is
 * given back, the call succeeds, and nothing is kept from then on.
 */
MUST_CHECK int layer_staging_write(struct layer_staging *staging, uint64_t off, const void *data,
	size_t size, struct error *err);

/* Whether everything written so far is there; otherwise @why says what kept the store from it. */
bool layer_staging_is_kept(const struct layer_staging *staging, char *why, size_t why_size);

/**
 * layer_staging_adopt() - the bytes become those of a layer, which is complete then.
 * @units:   every one of them was written, and its bytes have been verified.
 * @adopted: false when nothing is kept, or when the layer has bytes already.
 *
 * Bytes that belong to no unit become zeros. Durable with the writer's next batch, as after
 * store_put(). Threads: those that may block on a disk.
 */
MUST_CHECK int layer_staging_adopt(struct layer_staging *staging, const uint8_t key[32],
	const struct unit_table *units, bool *adopted, struct error *err);

/**
 * layer_staging_fill() - the missing units of an open layer become what was staged at their places.
 * @layer: its data space is the one that was staged, and its bytes have been verified.
 *
 * Copies, and computes digests as store_put() records them. Ends early, with success, when the
 * store takes no more or nothing was kept. Threads: those that may block on a disk.
 */
MUST_CHECK int layer_staging_fill(
	struct layer_staging *staging, struct layer_store *layer, struct error *err);
