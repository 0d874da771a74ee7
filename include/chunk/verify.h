/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/decoded.h"
#include "chunk/unit.h"

/* Bytes whose digest has been checked. Only the functions below make one, and the store and the
 * reply path accept nothing else, so unchecked bytes cannot reach a reader. Immutable, reference
 * counted, any thread. */
struct verified_chunk;

/**
 * chunk_verify() - check the bytes of one unit.
 * @unit:    its size and digest decide; UNIT_UNVERIFIED is accepted as it is.
 * @decoded: the chunk takes a reference of its own; bytes [off, off + unit->size) are checked.
 * @err:     ERROR_DIGEST_MISMATCH naming expected and actual digest.
 *
 * Threads: workers only; pure CPU.
 */
MUST_CHECK int chunk_verify(const struct unit *unit, struct decoded *decoded, size_t off,
	struct verified_chunk **out, struct error *err);

/**
 * chunk_verify_file() - the same for a unit too large for memory, in an unnamed file.
 * @fd: bytes [off, off + unit->size) are read and hashed; a duplicate is kept.
 */
MUST_CHECK int chunk_verify_file(const struct unit *unit, int fd, uint64_t off,
	struct verified_chunk **out, struct error *err);

/* A unit whose authenticated index says that it is all zeros (UNIT_ZEROS): no memory behind it. */
MUST_CHECK int chunk_zeros(const struct unit *unit, struct verified_chunk **out, struct error *err);

struct verified_chunk *chunk_ref(struct verified_chunk *chunk);
void chunk_unref(struct verified_chunk *chunk);
void chunk_unrefp(struct verified_chunk **chunk);

/* Decoded bytes; as the unit says. */
uint64_t chunk_size(const struct verified_chunk *chunk);

/* True when every byte is zero; computed once, at verification. */
bool chunk_is_zeros(const struct verified_chunk *chunk);

/* The bytes, or NULL when they are zeros or in a file. */
const uint8_t *chunk_data(const struct verified_chunk *chunk);

/* The file and the offset of the unit in it, or -1. Borrowed. */
int chunk_fd(const struct verified_chunk *chunk, uint64_t *off);
