/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/decoded.h"
#include "chunk/span.h"
#include "chunk/unit.h"
#include "oci/digest.h"

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
 * chunk_verify_file() - the same for a unit too large for memory, in an unnamed file. One of zeros
 * needs no digest.
 * @fd: bytes [off, off + unit->size) are read and hashed; a duplicate is kept.
 */
MUST_CHECK int chunk_verify_file(const struct unit *unit, int fd, uint64_t off,
	struct verified_chunk **out, struct error *err);

/* Decoded bytes of a span, and whether its digest vouches for them. Only the two functions below
 * make one. One thread. */
struct span_bytes;

/**
 * span_bytes_decode() - decode a span and check its digest.
 * @encoded: all bytes of the span. Where its digest is of these, they are checked before they are
 *           decoded.
 * @skip:    bytes [skip, skip + size) of what it decodes to are needed. Where its digest is of the
 *           decoded bytes, all of them are decoded nevertheless.
 * @err:     as of codec_decode_span(); ERROR_DIGEST_MISMATCH naming the span and both digests.
 *
 * Threads: workers only; pure CPU.
 */
MUST_CHECK int span_bytes_decode(const struct unit_span *span, const void *encoded,
	size_t encoded_size, uint64_t skip, size_t size, struct span_bytes **out,
	struct error *err);

/**
 * span_bytes_of_file() - the same of a span too large for memory, which the caller has decoded into
 * an unnamed file.
 * @encoded: digest of all its encoded bytes; NULL where the span's digest is of something else.
 * @fd:      its first byte is byte @skip of what the span decodes to; borrowed as long as @out.
 */
MUST_CHECK int span_bytes_of_file(const struct unit_span *span, const struct digest *encoded,
	int fd, uint64_t skip, uint64_t size, struct span_bytes **out, struct error *err);
/* The bytes that it decodes to, from byte @skip of the span on, once its digest has vouched for
 * them: for who reads what is between the units. NULL where it has none, or they are in a file. */
const uint8_t *span_bytes_vouched(const struct span_bytes *bytes, size_t *size);
void span_bytes_free(struct span_bytes *bytes);
void span_bytes_freep(struct span_bytes **bytes);

/**
 * chunk_verify_span() - a unit of a span.
 * @unit: with a digest of its own it is checked as by chunk_verify(). With UNIT_IN_SPAN the digest
 *        of the span decides, which was checked; the chunk's own digest is computed.
 */
MUST_CHECK int chunk_verify_span(const struct unit *unit, const struct span_bytes *bytes,
	struct verified_chunk **out, struct error *err);

/* A unit whose authenticated index says that it is all zeros (UNIT_ZEROS): no memory behind it. */
MUST_CHECK int chunk_zeros(const struct unit *unit, struct verified_chunk **out, struct error *err);

struct verified_chunk *chunk_ref(struct verified_chunk *chunk);
void chunk_unref(struct verified_chunk *chunk);
void chunk_unrefp(struct verified_chunk **chunk);

/* Decoded bytes; as the unit says. */
uint64_t chunk_size(const struct verified_chunk *chunk);

/* SHA-256 of the bytes, for who wants to recognise them again; NULL of zeros (UNIT_ZEROS) and of
 * bytes that nobody verified. */
const uint8_t *chunk_digest(const struct verified_chunk *chunk);

/* True when every byte is zero; computed once, at verification. */
bool chunk_is_zeros(const struct verified_chunk *chunk);

/* The bytes, or NULL when they are zeros or in a file. */
const uint8_t *chunk_data(const struct verified_chunk *chunk);

/* The file and the offset of the unit in it, or -1. Borrowed. */
int chunk_fd(const struct verified_chunk *chunk, uint64_t *off);
