/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum digest_algorithm { DIGEST_SHA256 = 1, DIGEST_SHA512 = 2 };

enum { DIGEST_MAX_SIZE = 64, DIGEST_TEXT_SIZE = 7 + 128 + 1 };

/* A content digest. Unused bytes are zero, so that two digests are equal when memcmp says so.
 * Spec: OCI image-spec, descriptor.md, "Digests". */
struct digest {
	enum digest_algorithm algorithm;
	uint8_t bytes[DIGEST_MAX_SIZE];
};

/* 32 or 64. */
size_t digest_size(const struct digest *digest);

/* Parses "sha256:<64 lower-case hex>" or "sha512:<128 ...>". Anything else is ERROR_FORMAT with the
 * text, cut, in the message; a well-formed digest of another algorithm is ERROR_UNSUPPORTED. */
MUST_CHECK int digest_parse(const char *text, struct digest *out, struct error *err);

/* Writes "algorithm:hex" and a NUL to text (DIGEST_TEXT_SIZE bytes); returns text. */
const char *digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);

/* Same algorithm, same bytes. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* The SHA-256 digest with these 32 bytes. */
void digest_from_sha256(const uint8_t bytes[32], struct digest *out);

/* Incremental hashing (OpenSSL EVP). One thread at a time. */
struct digest_hasher;
MUST_CHECK int digest_hasher_new(
	enum digest_algorithm algorithm, struct digest_hasher **out, struct error *err);
MUST_CHECK int digest_hasher_update(
	struct digest_hasher *hasher, const void *data, size_t size, struct error *err);
/* The digest of everything so far; the hasher may then only be freed or reset. */
MUST_CHECK int digest_hasher_final(
	struct digest_hasher *hasher, struct digest *out, struct error *err);
MUST_CHECK int digest_hasher_reset(struct digest_hasher *hasher, struct error *err);
void digest_hasher_free(struct digest_hasher *hasher);
void digest_hasher_freep(struct digest_hasher **hasher);

/* Digest of bytes in memory. Pure CPU: never on a loop for more than a few KiB. */
MUST_CHECK int digest_compute(enum digest_algorithm algorithm, const void *data, size_t size,
	struct digest *out, struct error *err);

/* ERROR_DIGEST_MISMATCH, naming both digests, unless data has this digest. */
MUST_CHECK int digest_check(
	const struct digest *expected, const void *data, size_t size, struct error *err);
