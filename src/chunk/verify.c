/* SPDX-License-Identifier: Apache-2.0 */
/* The only place where bytes become verified chunks. */
#include "chunk/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "chunk/codec.h"
#include "thread_context_internal.h"

enum { FILE_STEP = 1 << 20 };

struct verified_chunk {
	atomic_uint refs;
	bool is_zeros;
	bool has_digest;
	uint8_t digest[32];
	int fd; /* owned; -1 unless the bytes are in a file */
	uint64_t size;
	uint64_t off;            /* in the decoded bytes or in the file */
	struct decoded *decoded; /* owned reference; NULL for zeros and files */
};

struct span_bytes {
	struct unit_span span; /* without its window */
	bool vouched;          /* by the digest of the span */
	uint64_t skip;         /* what is here begins so far into it */
	uint64_t size;
	struct decoded *decoded; /* owned reference; NULL when the bytes are in a file */
	int fd;                  /* borrowed */
};

/* Each byte equals the next, and the first is zero: memcmp() is the fastest loop there is, and
 * stops at the first difference. */
static bool all_zeros(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* @what: of the digest that should have been. */
static int compare(const uint8_t expected_bytes[32], const struct digest *actual, uint64_t size,
	const char *what, struct error *err)
{
	char expected_text[DIGEST_TEXT_SIZE], actual_text[DIGEST_TEXT_SIZE];
	struct digest expected;

	digest_from_sha256(expected_bytes, &expected);
	if (digest_equal(&expected, actual))
		return 0;
	return error_set(err, ERROR_DIGEST_MISMATCH,
		"%" PRIu64 " %s bytes have digest %s, expected %s", size, what,
		digest_format(actual, actual_text), digest_format(&expected, expected_text));
}

static int new_hasher(struct digest_hasher **out, struct error *err)
{
	struct thread_context *context;

	if (thread_context_get(&context, err) < 0)
		return -1;
	return thread_context_sha256(context, out, err);
}

static int hash_memory(const uint8_t *data, uint64_t size, struct digest *out, struct error *err)
{
	struct digest_hasher *hasher;

	if (new_hasher(&hasher, err) < 0 ||
		digest_hasher_update(hasher, data, (size_t)size, err) < 0)
		return -1;
	return digest_hasher_final(hasher, out, err);
}

static int hash_file(int fd, uint64_t off, uint64_t file_size, struct digest *out, bool *is_zeros,
	struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *step = NULL;
	struct digest_hasher *hasher;
	uint64_t done = 0;

	*is_zeros = true;
	if (new_hasher(&hasher, err) < 0 || decoded_new(FILE_STEP, &step, err) < 0)
		return -1;
	while (done < file_size) {
		uint64_t left = file_size - done;
		size_t size = left < FILE_STEP ? (size_t)left : FILE_STEP;
		int result = fd_pread_exact(fd, decoded_data(step), size, off + done);

		if (result < 0)
			return error_set_errno(err, -result,
				"read %zu bytes at %" PRIu64 " of a decoded chunk's file", size,
				off + done);
		*is_zeros = *is_zeros && all_zeros(decoded_data(step), size);
		if (digest_hasher_update(hasher, decoded_data(step), size, err) < 0)
			return -1;
		done += size;
	}
	return digest_hasher_final(hasher, out, err);
}

/* @digest: NULL when nobody knows it. */
static int new_chunk(const struct unit *unit, const uint8_t *digest, struct verified_chunk **out,
	struct error *err)
{
	struct verified_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a chunk");
	atomic_init(&chunk->refs, 1);
	chunk->fd = -1;
	chunk->size = unit->size;
	if (digest) {
		chunk->has_digest = true;
		memcpy(chunk->digest, digest, sizeof(chunk->digest));
	}
	*out = chunk;
	return 0;
}

static int outside(const struct unit *unit, uint64_t off, struct error *err)
{
	return error_set(err, ERROR_INTERNAL,
		"chunk of %" PRIu64 " bytes at %" PRIu64 " lies outside what was decoded",
		unit->size, off);
}

/* A chunk of bytes that are right. */
static int chunk_in_memory(const struct unit *unit, const uint8_t *digest, struct decoded *decoded,
	size_t off, struct verified_chunk **out, struct error *err)
{
	struct verified_chunk *chunk = NULL;

	if (new_chunk(unit, digest, &chunk, err) < 0)
		return -1;
	chunk->is_zeros = all_zeros(decoded_data(decoded) + off, (size_t)unit->size);
	if (!chunk->is_zeros) {
		chunk->off = off;
		chunk->decoded = decoded_ref(decoded);
	}
	*out = chunk;
	return 0;
}

static int chunk_in_file(const struct unit *unit, const uint8_t *digest, int fd, uint64_t off,
	bool is_zeros, struct verified_chunk **out, struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;

	if (new_chunk(unit, digest, &chunk, err) < 0)
		return -1;
	chunk->is_zeros = is_zeros;
	if (!is_zeros) {
		chunk->off = off;
		chunk->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (chunk->fd < 0)
			return error_set_errno(err, errno, "keep the file of a decoded chunk");
	}
	*out = TAKE_PTR(chunk);
	return 0;
}

/* Its digest is zeros: nothing has it, and nothing may be compared with it. */
static int refuse_in_span(const struct unit *unit, struct error *err)
{
	if (!(unit->flags & UNIT_IN_SPAN))
		return 0;
	return error_set(err, ERROR_INTERNAL,
		"chunk of %" PRIu64 " bytes can be verified only with its span", unit->size);
}

int chunk_verify(const struct unit *unit, struct decoded *decoded, size_t off,
	struct verified_chunk **out, struct error *err)
{
	struct digest digest;

	if (unit->size == 0 || !range_within(off, unit->size, decoded_size(decoded)))
		return outside(unit, off, err);
	if (refuse_in_span(unit, err) < 0)
		return -1;
	if (unit->flags & UNIT_UNVERIFIED)
		return chunk_in_memory(unit, NULL, decoded, off, out, err);
	if (hash_memory(decoded_data(decoded) + off, unit->size, &digest, err) < 0 ||
		compare(unit->digest, &digest, unit->size, "decoded", err) < 0)
		return -1;
	return chunk_in_memory(unit, unit->digest, decoded, off, out, err);
}

static int zeros_in_file(
	const struct unit *unit, bool is_zeros, struct verified_chunk **out, struct error *err)
{
	if (!is_zeros)
		return error_set(err, ERROR_DIGEST_MISMATCH,
			"%" PRIu64 " decoded bytes are not the zeros that they should be",
			unit->size);
	return chunk_zeros(unit, out, err);
}

int chunk_verify_file(const struct unit *unit, int fd, uint64_t off, struct verified_chunk **out,
	struct error *err)
{
	bool is_verified = !(unit->flags & UNIT_UNVERIFIED);
	struct digest digest;
	bool is_zeros;

	if (unit->size == 0 || !range_within(off, unit->size, INT64_MAX))
		return outside(unit, off, err);
	if (refuse_in_span(unit, err) < 0 ||
		hash_file(fd, off, unit->size, &digest, &is_zeros, err) < 0)
		return -1;
	if (unit->flags & UNIT_ZEROS)
		return zeros_in_file(unit, is_zeros, out, err);
	if (is_verified && compare(unit->digest, &digest, unit->size, "decoded", err) < 0)
		return -1;
	return chunk_in_file(unit, is_verified ? unit->digest : NULL, fd, off, is_zeros, out, err);
}

static int check_span(const struct unit_span *span, const struct digest *actual, uint64_t size,
	const char *what, struct error *err)
{
	if (compare(span->digest, actual, size, what, err) < 0)
		return error_prefix(err, "span at byte %" PRIu64 " of the blob", span->blob_off);
	return 0;
}

static int new_span_bytes(const struct unit_span *span, uint64_t skip, uint64_t size,
	struct span_bytes **out, struct error *err)
{
	struct span_bytes *bytes = calloc(1, sizeof(*bytes));

	if (!bytes)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a span");
	bytes->span = *span;
	bytes->span.window = NULL;
	bytes->span.window_size = 0;
	bytes->vouched = span->digest_kind != SPAN_DIGEST_NONE;
	bytes->skip = skip;
	bytes->size = size;
	bytes->fd = -1;
	*out = bytes;
	return 0;
}

int span_bytes_decode(const struct unit_span *span, const void *encoded, size_t encoded_size,
	uint64_t skip, size_t size, struct span_bytes **out, struct error *err)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct digest digest;

	if (encoded_size != span->blob_size || span->decoded_size > SIZE_MAX)
		return error_set(err, ERROR_INTERNAL, "%zu bytes are not the span of %" PRIu64,
			encoded_size, span->blob_size);
	if (span->digest_kind == SPAN_DIGEST_ENCODED &&
		(hash_memory(encoded, encoded_size, &digest, err) < 0 ||
			check_span(span, &digest, encoded_size, "encoded", err) < 0))
		return -1;
	if (span->digest_kind == SPAN_DIGEST_DECODED) {
		skip = 0;
		size = (size_t)span->decoded_size;
	}
	if (new_span_bytes(span, skip, size, &bytes, err) < 0)
		return -1;
	if (codec_decode_span(span, encoded, encoded_size, skip, size, &bytes->decoded, err) < 0)
		return error_prefix(err, "span at byte %" PRIu64 " of the blob", span->blob_off);
	if (span->digest_kind == SPAN_DIGEST_DECODED &&
		(hash_memory(decoded_data(bytes->decoded), size, &digest, err) < 0 ||
			check_span(span, &digest, size, "decoded", err) < 0))
		return -1;
	*out = TAKE_PTR(bytes);
	return 0;
}

int span_bytes_of_file(const struct unit_span *span, const struct digest *encoded, int fd,
	uint64_t skip, uint64_t size, struct span_bytes **out, struct error *err)
{
	struct digest digest;
	bool is_zeros;

	if (!range_within(skip, size, span->decoded_size) ||
		(span->digest_kind == SPAN_DIGEST_ENCODED && !encoded) ||
		(span->digest_kind == SPAN_DIGEST_DECODED && size != span->decoded_size))
		return error_set(err, ERROR_INTERNAL,
			"%" PRIu64 " bytes from %" PRIu64 " do not verify a span of %" PRIu64, size,
			skip, span->decoded_size);
	if (span->digest_kind == SPAN_DIGEST_ENCODED &&
		check_span(span, encoded, span->blob_size, "encoded", err) < 0)
		return -1;
	if (span->digest_kind == SPAN_DIGEST_DECODED &&
		(hash_file(fd, 0, size, &digest, &is_zeros, err) < 0 ||
			check_span(span, &digest, size, "decoded", err) < 0))
		return -1;
	if (new_span_bytes(span, skip, size, out, err) < 0)
		return -1;
	(*out)->fd = fd;
	return 0;
}

const uint8_t *span_bytes_vouched(const struct span_bytes *bytes, size_t *size)
{
	if (!bytes->vouched || !bytes->decoded)
		return NULL;
	*size = (size_t)bytes->size;
	return decoded_data(bytes->decoded);
}

void span_bytes_free(struct span_bytes *bytes)
{
	if (!bytes)
		return;
	decoded_unref(bytes->decoded);
	free(bytes);
}

void span_bytes_freep(struct span_bytes **bytes)
{
	span_bytes_free(*bytes);
	*bytes = NULL;
}

/* The digest of a unit that the span vouches for: of nothing to compare it with. */
static int own_digest(const struct unit *unit, const struct span_bytes *bytes, uint64_t off,
	struct digest *out, bool *is_zeros, struct error *err)
{
	const struct unit_span *span = &bytes->span;

	if (bytes->fd >= 0)
		return hash_file(bytes->fd, off, unit->size, out, is_zeros, err);
	/* A large file fills whole spans. */
	if (span->digest_kind == SPAN_DIGEST_DECODED && unit->size == span->decoded_size) {
		digest_from_sha256(span->digest, out);
		return 0;
	}
	return hash_memory(decoded_data(bytes->decoded) + off, unit->size, out, err);
}

int chunk_verify_span(const struct unit *unit, const struct span_bytes *bytes,
	struct verified_chunk **out, struct error *err)
{
	uint64_t off = unit->inner_off - bytes->skip;
	struct digest digest;
	bool is_zeros = false;

	if (unit->size == 0 || unit->inner_off < bytes->skip ||
		!range_within(off, unit->size, bytes->size))
		return outside(unit, unit->inner_off, err);
	if (!(unit->flags & UNIT_IN_SPAN))
		return bytes->decoded ? chunk_verify(unit, bytes->decoded, (size_t)off, out, err)
				      : chunk_verify_file(unit, bytes->fd, off, out, err);
	if (!bytes->vouched || unit->blob_off != bytes->span.blob_off)
		return error_set(err, ERROR_INTERNAL,
			"the span at byte %" PRIu64 " of the blob vouches for no chunk at %" PRIu64,
			bytes->span.blob_off, unit->blob_off);
	if (own_digest(unit, bytes, off, &digest, &is_zeros, err) < 0)
		return -1;
	return bytes->decoded
		       ? chunk_in_memory(unit, digest.bytes, bytes->decoded, (size_t)off, out, err)
		       : chunk_in_file(unit, digest.bytes, bytes->fd, off, is_zeros, out, err);
}

int chunk_zeros(const struct unit *unit, struct verified_chunk **out, struct error *err)
{
	if (!(unit->flags & UNIT_ZEROS))
		return error_set(
			err, ERROR_INTERNAL, "chunk of %" PRIu64 " bytes is not zeros", unit->size);
	if (new_chunk(unit, NULL, out, err) < 0)
		return -1;
	(*out)->is_zeros = true;
	return 0;
}

struct verified_chunk *chunk_ref(struct verified_chunk *chunk)
{
	atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
	return chunk;
}

void chunk_unref(struct verified_chunk *chunk)
{
	if (!chunk || atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) != 1)
		return;
	cleanup_fd(&chunk->fd);
	decoded_unref(chunk->decoded);
	free(chunk);
}

void chunk_unrefp(struct verified_chunk **chunk)
{
	chunk_unref(*chunk);
	*chunk = NULL;
}

uint64_t chunk_size(const struct verified_chunk *chunk)
{
	return chunk->size;
}

const uint8_t *chunk_digest(const struct verified_chunk *chunk)
{
	return chunk->has_digest ? chunk->digest : NULL;
}

bool chunk_is_zeros(const struct verified_chunk *chunk)
{
	return chunk->is_zeros;
}

const uint8_t *chunk_data(const struct verified_chunk *chunk)
{
	return chunk->decoded ? decoded_data(chunk->decoded) + chunk->off : NULL;
}

int chunk_fd(const struct verified_chunk *chunk, uint64_t *off)
{
	if (chunk->fd >= 0)
		*off = chunk->off;
	return chunk->fd;
}
