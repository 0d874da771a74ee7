/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/span.h"
#include "chunk/unit.h"
#include "oci/digest.h"

/* Which part of the blob decodes and verifies to which part of the data space: an immutable mapped
 * file of fixed rows in order of data_off. Any thread. */
struct unit_table;

/* What a table is of. */
struct unit_table_header {
	uint8_t key[32];    /* of the layer index this belongs to */
	struct digest blob; /* claimed until the whole blob was hashed */
	uint64_t blob_size;
	uint64_t data_size;     /* bytes of the data space, a multiple of 4096 */
	uint64_t prefetch_size; /* blob bytes [0, prefetch_size) are wanted at once */
	uint64_t n_units;
	uint64_t n_spans;
};

/* Rows may come in any order; they are sorted by data_off. Overlaps, empty units and ranges
 * outside blob or data space are ERROR_INTERNAL: the builder made a mistake. Written to @name
 * below @dir_fd through a temporary name, fsynced, renamed. */
MUST_CHECK int unit_table_write(int dir_fd, const char *name,
	const struct unit_table_header *header, struct unit *units, size_t n_units,
	struct error *err);

/**
 * unit_table_write_spans() - the same for units of which some lie in spans.
 * @spans: in any order; they are sorted by blob_off. Those without a unit are left out. Their
 *         digests and windows come from outside: units that do not fit theirs, and spans that are
 *         none, are ERROR_FORMAT.
 *
 * Without spans the file is the same as that of unit_table_write().
 */
MUST_CHECK int unit_table_write_spans(int dir_fd, const char *name,
	const struct unit_table_header *header, struct unit *units, size_t n_units,
	struct unit_span *spans, size_t n_spans, struct error *err);

/* Checks header, checksum and every row, so that nothing below can fail on hostile bytes. */
MUST_CHECK int unit_table_open(
	int dir_fd, const char *name, struct unit_table **out, struct error *err);
void unit_table_close(struct unit_table *table);
void unit_table_closep(struct unit_table **table);

/* Borrowed from the table. */
const struct unit_table_header *unit_table_header(const struct unit_table *table);

/* Row @i < n_units; -1 with ERROR_IO when the disk under the table failed. */
MUST_CHECK int unit_table_get(
	const struct unit_table *table, uint64_t i, struct unit *out, struct error *err);

/* The rows that overlap [off, off + size) are [*first, *first + *n); none: *n is 0. */
MUST_CHECK int unit_table_range(const struct unit_table *table, uint64_t off, uint64_t size,
	uint64_t *first, uint64_t *n, struct error *err);

/* Rows ordered by blob_off (ties by inner_off): the i-th in that order. Sequential completion
 * walks this. */
MUST_CHECK int unit_table_by_blob(
	const struct unit_table *table, uint64_t i, uint64_t *row, struct error *err);

/* The position in blob order of a row: the inverse of unit_table_by_blob(). */
MUST_CHECK int unit_table_blob_rank(
	const struct unit_table *table, uint64_t row, uint64_t *i, struct error *err);

/* The span whose encoded bytes begin at blob_off; *found false when the units there need none. Its
 * window is borrowed from the table. */
MUST_CHECK int unit_table_span(const struct unit_table *table, uint64_t blob_off, bool *found,
	struct unit_span *out, struct error *err);
