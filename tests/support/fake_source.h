/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "chunk/source.h"

/* A source with faults that no real server produces on demand. It answers from memory, on the
 * loop, a few KiB at a time. Switches may be turned by the test's thread at any time. */
struct fake_source {
	struct source base;
	struct loop *loop;
	const uint8_t *blob; /* borrowed */
	size_t blob_size;
	const char *origin;
	const char *second_origin; /* asked when the first is to be avoided; NULL: none */

	atomic_bool stalls;   /* takes requests and never answers */
	atomic_bool fails;    /* ERROR_UNAVAILABLE at once */
	atomic_bool forbids;  /* ERROR_UNAUTHORIZED at once */
	atomic_bool lies;     /* the first origin flips bits; the second does not */
	atomic_bool cuts;     /* ends with ERROR_UNAVAILABLE after half of the range */
	atomic_uint delay_us; /* before each answer */

	atomic_uint n_started;
	atomic_uint n_cancelled;
	atomic_uint n_freed;
	atomic_uint_fast64_t bytes_asked;
};

/* The source is the caller's memory: "free" only counts. */
void fake_source_init(struct fake_source *source, struct loop *loop, const uint8_t *blob,
	size_t blob_size, const char *origin);
