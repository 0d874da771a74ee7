/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Decoded bytes that nobody has checked yet. Reference counted, because siblings share them; any
 * thread. Memory comes from a pool, so that a stream of chunks does not pay a page fault for every
 * 4 KiB. */
struct decoded;

/* @size bytes of undefined contents; the caller holds the only reference. ERROR_NO_MEMORY. */
MUST_CHECK int decoded_new(size_t size, struct decoded **out, struct error *err);

/* To be filled before the first verification. */
uint8_t *decoded_data(struct decoded *decoded);
size_t decoded_size(const struct decoded *decoded);

struct decoded *decoded_ref(struct decoded *decoded);
void decoded_unref(struct decoded *decoded);
void decoded_unrefp(struct decoded **decoded);

/**
 * decoded_pool_trim() - give memory back that the pool has kept unused.
 * @idle_ns: buffers that nobody took for at least this long; 0: all of them.
 *
 * The pool keeps at most 32 MiB. It has no thread of its own: whoever owns a timer calls this from
 * time to time, so that an idle process becomes small. Any thread.
 */
void decoded_pool_trim(uint64_t idle_ns);
