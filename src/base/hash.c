/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

/* The order of its bytes is the machine's. */
static uint64_t word_at(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t size)
{
	/* Odd constants with about half of their bits set. */
	static const uint64_t a = UINT64_C(0xa0761d6478bd642f), b = UINT64_C(0xe7037ed1a0b428db);
	const uint8_t *p = data;
	uint64_t hash = seed ^ fold(size ^ a, seed ^ b);

	for (; size >= 8; p += 8, size -= 8)
		hash = fold(hash ^ word_at(p), a ^ seed);
	if (size > 0) {
		uint8_t tail[8] = {0};

		memcpy(tail, p, size);
		hash = fold(hash ^ word_at(tail), b ^ seed);
	}
	return fold(hash ^ b, a);
}
