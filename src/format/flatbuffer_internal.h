/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Reads FlatBuffers files that nobody has checked: every access is bounded by the file, nothing is
 * trusted because something else was looked at before. Leaf functions: 0 or -EINVAL when the bytes
 * are no such thing. What is absent from a table reads as its default. Spec: FlatBuffers,
 * "Internals".
 */

struct flat_file {
	const uint8_t *data;
	size_t size;
};

/* A table: its fields are found by their slot, the number of their declaration in the schema. */
struct flat_table {
	const struct flat_file *file; /* borrowed */
	size_t at;                    /* of the table in the file */
	size_t size;                  /* of its inline part, in bytes */
	size_t fields;                /* in the file: one 16-bit offset for each slot */
	size_t n_fields;
};

/* Bytes of a string or of a vector of bytes, without a NUL. data is NULL when absent. */
struct flat_bytes {
	const char *data;
	size_t size;
};

/* A vector of strings or tables. */
struct flat_vector {
	const struct flat_file *file; /* borrowed */
	size_t at;                    /* of element 0 in the file */
	size_t n;
};

MUST_CHECK int flat_root(const struct flat_file *file, struct flat_table *out);

/* An integer of @width bytes (1, 4 or 8), not sign-extended. */
MUST_CHECK int flat_number(const struct flat_table *table, unsigned slot, size_t width,
	uint64_t absent, uint64_t *out);
MUST_CHECK int flat_bytes(const struct flat_table *table, unsigned slot, struct flat_bytes *out);
/* An absent table has no fields. */
MUST_CHECK int flat_table(const struct flat_table *table, unsigned slot, struct flat_table *out);
MUST_CHECK int flat_vector(const struct flat_table *table, unsigned slot, struct flat_vector *out);

/* Element @i < n. */
MUST_CHECK int flat_vector_bytes(
	const struct flat_vector *vector, size_t i, struct flat_bytes *out);
MUST_CHECK int flat_vector_table(
	const struct flat_vector *vector, size_t i, struct flat_table *out);
