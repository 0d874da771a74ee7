/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/mapping.h"
#include "index/unit_table.h"

/* The file: a header of UNIT_TABLE_HEADER_SIZE bytes, then n_units rows in order of data_off, then
 * n_units u32 (the row that is i-th in order of the blob), then n_units u32 (the inverse of that),
 * then n_spans rows in order of blob_off, then their packed windows in the same order.
 * Everything is little-endian; numbers below are byte positions. */
enum {
	/* The first version knows no spans, and is still what a table without them is. */
	UNIT_TABLE_VERSION = 1,
	UNIT_TABLE_VERSION_SPANS = 2,
	UNIT_TABLE_HEADER_SIZE = 256,
	UNIT_TABLE_ROW_SIZE = 80,
	UNIT_TABLE_MAX_UNITS = 1 << 30,

	HEADER_MAGIC = 0,
	HEADER_VERSION = 8,
	HEADER_CRC = 12, /* CRC-32C of the whole file with this field zero */
	HEADER_N_UNITS = 16,
	HEADER_DATA_SIZE = 24,
	HEADER_BLOB_SIZE = 32,
	HEADER_PREFETCH_SIZE = 40,
	HEADER_KEY = 48,
	HEADER_BLOB_ALGORITHM = 80,
	HEADER_BLOB_DIGEST = 88,
	HEADER_N_SPANS = 152,
	HEADER_WINDOWS_SIZE = 160, /* bytes of all windows */
	HEADER_RESERVED = 168,     /* zeros to the end of the header */

	ROW_DATA_OFF = 0,
	ROW_SIZE = 8,
	ROW_BLOB_OFF = 16,
	ROW_BLOB_SIZE = 24,
	ROW_INNER_OFF = 32,
	ROW_DIGEST = 40,
	ROW_CODEC = 72,
	ROW_FLAGS = 73,
	ROW_RESERVED = 74, /* zeros to the end of the row */

	SPAN_ROW_SIZE = 80,
	SPAN_BLOB_OFF = 0,
	SPAN_BLOB_SIZE = 8,
	SPAN_DECODED_SIZE = 16,
	SPAN_DIGEST = 24,
	SPAN_WINDOW_OFF = 56, /* among the windows */
	SPAN_PACKED_SIZE = 64,
	SPAN_DIGEST_KIND = 68,
	SPAN_CODEC = 69,
	SPAN_IN_MEMBER = 70,
	SPAN_BITS = 71,
	SPAN_END_BITS = 72,
	SPAN_RESERVED = 73, /* zeros to the end of the row */
};

#define UNIT_TABLE_MAGIC "varveunt"

struct unit_table {
	struct mapping mapping; /* owned */
	const uint8_t *rows;
	const uint8_t *by_blob;
	const uint8_t *ranks;
	const uint8_t *spans;
	const uint8_t *windows;
	uint64_t windows_size;
	struct unit_table_header header;
};

/* Whether a unit fits the blob and the data space of a header: what the writer promises and the
 * reader checks. Returns NULL, or what is wrong. */
const char *unit_problem(const struct unit *unit, const struct unit_table_header *header);

/* True when a goes before b in order of the blob. */
bool unit_before_in_blob(const struct unit *a, const struct unit *b);

/* unit_table_span.c */
void span_row_encode(const struct unit_span *span, uint64_t window_off, uint8_t out[SPAN_ROW_SIZE]);
/* Every span, and that of every unit. */
MUST_CHECK int unit_table_check_spans(const struct unit_table *table, struct error *err);

/* The row of a unit, without any check. */
void unit_row_decode(const uint8_t *row, struct unit *out);

/* ERROR_IO: what was checked when the table was opened is not so any more. */
int unit_table_disk_failed(const struct unit_table *table, struct error *err);

/* Checks the bytes of a whole file; *table borrows them. */
MUST_CHECK int unit_table_parse(
	const uint8_t *data, size_t size, struct unit_table *table, struct error *err);

/* CRC-32C of a whole file, its own field taken as zero. */
uint32_t unit_table_crc(const uint8_t *data, size_t size);
