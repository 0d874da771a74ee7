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
#include "thread_context_internal.h"

enum { FILE_STEP = 1 << 20 };

struct verified_chunk {
	atomic_uint refs;
	bool is_zeros;
	int fd; /* owned; -1 unless the bytes are in a file */
	uint64_t size;
	uint64_t off;            /* in the decoded bytes or in the file */
	struct decoded *decoded; /* owned reference; NULL for zeros and files */
};

/* Each byte equals the next, and the first is zero: memcmp() is the fastest loop there is, and
 * stops at the first difference. */
static bool all_zeros(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int check_digest(const struct unit *unit, struct digest_hasher *hasher, struct error *err)
{
	char expected_text[DIGEST_TEXT_SIZE], actual_text[DIGEST_TEXT_SIZE];
	struct digest expected, actual;

	if (digest_hasher_final(hasher, &actual, err) < 0)
		return -1;
	digest_from_sha256(unit->digest, &expected);
	if (digest_equal(&expected, &actual))
		return 0;
	return error_set(err, ERROR_DIGEST_MISMATCH,
		"%" PRIu64 " decoded bytes have digest %s, expected %s", unit->size,
		digest_format(&actual, actual_text), digest_format(&expected, expected_text));
}

static int new_hasher(struct digest_hasher **out, struct error *err)
{
	struct thread_context *context;

	if (thread_context_get(&context, err) < 0)
		return -1;
	return thread_context_sha256(context, out, err);
}

static int verify_memory(const struct unit *unit, const uint8_t *data, struct error *err)
{
	struct digest_hasher *hasher;

	if (unit->flags & UNIT_UNVERIFIED)
		return 0;
	if (new_hasher(&hasher, err) < 0)
		return -1;
	if (digest_hasher_update(hasher, data, (size_t)unit->size, err) < 0)
		return -1;
	return check_digest(unit, hasher, err);
}

static int verify_file(
	const struct unit *unit, int fd, uint64_t off, bool *is_zeros, struct error *err)
{
	CLEANUP(decoded_unrefp) struct decoded *step = NULL;
	struct digest_hasher *hasher;
	uint64_t done = 0;

	*is_zeros = true;
	if (new_hasher(&hasher, err) < 0 || decoded_new(FILE_STEP, &step, err) < 0)
		return -1;
	while (done < unit->size) {
		uint64_t left = unit->size - done;
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
	return unit->flags & UNIT_UNVERIFIED ? 0 : check_digest(unit, hasher, err);
}

static int new_chunk(const struct unit *unit, struct verified_chunk **out, struct error *err)
{
	struct verified_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a chunk");
	atomic_init(&chunk->refs, 1);
	chunk->fd = -1;
	chunk->size = unit->size;
	*out = chunk;
	return 0;
}

static int outside(const struct unit *unit, uint64_t off, struct error *err)
{
	return error_set(err, ERROR_INTERNAL,
		"chunk of %" PRIu64 " bytes at %" PRIu64 " lies outside what was decoded",
		unit->size, off);
}

int chunk_verify(const struct unit *unit, struct decoded *decoded, size_t off,
	struct verified_chunk **out, struct error *err)
{
	struct verified_chunk *chunk = NULL;
	const uint8_t *data = decoded_data(decoded) + off;

	if (unit->size == 0 || !range_within(off, unit->size, decoded_size(decoded)))
		return outside(unit, off, err);
	if (verify_memory(unit, data, err) < 0 || new_chunk(unit, &chunk, err) < 0)
		return -1;

	chunk->is_zeros = all_zeros(data, (size_t)unit->size);
	if (!chunk->is_zeros) {
		chunk->off = off;
		chunk->decoded = decoded_ref(decoded);
	}
	*out = chunk;
	return 0;
}

int chunk_verify_file(const struct unit *unit, int fd, uint64_t off, struct verified_chunk **out,
	struct error *err)
{
	CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
	bool is_zeros;

	if (unit->size == 0 || !range_within(off, unit->size, INT64_MAX))
		return outside(unit, off, err);
	if (verify_file(unit, fd, off, &is_zeros, err) < 0 || new_chunk(unit, &chunk, err) < 0)
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

int chunk_zeros(const struct unit *unit, struct verified_chunk **out, struct error *err)
{
	if (!(unit->flags & UNIT_ZEROS))
		return error_set(
			err, ERROR_INTERNAL, "chunk of %" PRIu64 " bytes is not zeros", unit->size);
	if (new_chunk(unit, out, err) < 0)
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
