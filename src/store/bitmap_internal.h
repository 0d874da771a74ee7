/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* One bit per unit, read and changed by any thread without a lock. A bit that was seen set also
 * makes visible what its setter did before. */
struct bitmap {
	_Atomic uint64_t *words; /* owned */
	uint64_t n_bits;
};

static inline size_t bitmap_n_words(uint64_t n_bits)
{
	return (size_t)(n_bits / 64 + (n_bits % 64 != 0));
}

/* 0 or -ENOMEM; all bits clear. */
MUST_CHECK static inline int bitmap_init(struct bitmap *bitmap, uint64_t n_bits)
{
	size_t n_words = bitmap_n_words(n_bits);

	bitmap->n_bits = n_bits;
	bitmap->words = calloc(n_words > 0 ? n_words : 1, sizeof(*bitmap->words));
	return bitmap->words ? 0 : -ENOMEM;
}

static inline void bitmap_free(struct bitmap *bitmap)
{
	free(bitmap->words);
	bitmap->words = NULL;
}

static inline bool bitmap_get(const struct bitmap *bitmap, uint64_t i)
{
	uint64_t word = atomic_load_explicit(&bitmap->words[i / 64], memory_order_acquire);

	return word >> (i % 64) & 1;
}

/* True when this call changed the bit. */
static inline bool bitmap_set(struct bitmap *bitmap, uint64_t i)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	return !(atomic_fetch_or(&bitmap->words[i / 64], bit) & bit);
}

/* True when this call changed the bit. */
static inline bool bitmap_clear(struct bitmap *bitmap, uint64_t i)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	return atomic_fetch_and(&bitmap->words[i / 64], ~bit) & bit;
}
