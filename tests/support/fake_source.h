/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "chunk/source.h"

enum { FAKE_LOG_SIZE = 1024 };

/* What was asked. */
struct fake_asked {
	uint64_t off;
	uint64_t size;
	enum priority priority;
	uint64_t deadline_ns;
};

/* A source with faults that no real server produces on demand. It answers from memory, on the
 * loop, a few KiB at a time. Switches may be turned by the test's thread at any time. */
struct fake_source {
	struct source base;
	struct loop *loop;
	const uint8_t *blob; /* borrowed */
	size_t blob_size;
	const char *origin;
	const char *second_origin; /* asked when the first is to be avoided; NULL: none */

	atomic_bool stalls;                /* takes requests and never answers */
	atomic_bool fails;                 /* ERROR_UNAVAILABLE at once */
	atomic_bool forbids;               /* ERROR_UNAUTHORIZED at once */
	atomic_bool lies;                  /* the first origin flips bits; the second does not */
	atomic_bool cuts;                  /* ends with ERROR_UNAVAILABLE after half of the range */
	atomic_bool surplus;               /* sends more than was asked for */
	atomic_uint_fast64_t stalls_after; /* bytes of a request; UINT64_MAX: not */
	atomic_uint n_fails;               /* so many times ERROR_UNAVAILABLE, then no more */
	atomic_uint n_lies;                /* so many requests as if it lied, then no more */
	atomic_uint_fast64_t lies_at; /* the byte of the blob that is wrong; UINT64_MAX: none */
	atomic_uint delay_us;         /* before each answer */

	atomic_uint n_started;
	atomic_uint n_cancelled;
	atomic_uint n_freed;
	atomic_uint_fast64_t bytes_asked;
	atomic_uint_fast64_t most_asked;      /* by one request */
	struct fake_asked log[FAKE_LOG_SIZE]; /* entries below n_started, once that was read */
};

/* The source is the caller's memory: "free" only counts. */
void fake_source_init(struct fake_source *source, struct loop *loop, const uint8_t *blob,
	size_t blob_size, const char *origin);
