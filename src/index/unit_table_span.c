/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of a unit table. */
#include "unit_table_internal.h"

#include <inttypes.h>

#include "base/bytes.h"

void span_row_encode(const struct unit_span *span, uint64_t window_off, uint8_t out[SPAN_ROW_SIZE])
{
	memset(out, 0, SPAN_ROW_SIZE);
	le64_store(out + SPAN_BLOB_OFF, span->blob_off);
	le64_store(out + SPAN_BLOB_SIZE, span->blob_size);
	le64_store(out + SPAN_DECODED_SIZE, span->decoded_size);
	memcpy(out + SPAN_DIGEST, span->digest, sizeof(span->digest));
	le64_store(out + SPAN_WINDOW_OFF, window_off);
	le32_store(out + SPAN_PACKED_SIZE, (uint32_t)span->window_size);
	out[SPAN_DIGEST_KIND] = (uint8_t)span->digest_kind;
	out[SPAN_CODEC] = (uint8_t)span->codec;
	out[SPAN_IN_MEMBER] = span->in_member;
	out[SPAN_BITS] = (uint8_t)span->bits;
	out[SPAN_END_BITS] = (uint8_t)span->end_bits;
}

/* Row @i with its place among the windows, or what is wrong with it. */
static const char *decode_row(
	const struct unit_table *table, uint64_t i, struct unit_span *out, uint64_t *window_off)
{
	const uint8_t *row = table->spans + i * SPAN_ROW_SIZE;

	*window_off = le64_load(row + SPAN_WINDOW_OFF);
	*out = (struct unit_span){
		.blob_off = le64_load(row + SPAN_BLOB_OFF),
		.blob_size = le64_load(row + SPAN_BLOB_SIZE),
		.decoded_size = le64_load(row + SPAN_DECODED_SIZE),
		.digest_kind = row[SPAN_DIGEST_KIND],
		.codec = row[SPAN_CODEC],
		.in_member = row[SPAN_IN_MEMBER] == 1,
		.bits = row[SPAN_BITS],
		.end_bits = row[SPAN_END_BITS],
		.window_size = le32_load(row + SPAN_PACKED_SIZE),
	};
	memcpy(out->digest, row + SPAN_DIGEST, sizeof(out->digest));
	if (!range_within(*window_off, out->window_size, table->windows_size))
		return "has a window outside the file";
	if (out->window_size > 0)
		out->window = table->windows + *window_off;
	if (row[SPAN_IN_MEMBER] > 1)
		return "has unknown flags";
	for (size_t k = SPAN_RESERVED; k < SPAN_ROW_SIZE; k++) {
		if (row[k] != 0)
			return "has unknown fields";
	}
	return span_problem(out, table->header.blob_size);
}

static int check_rows(const struct unit_table *table, struct error *err)
{
	uint64_t windows_end = 0;
	uint64_t previous = 0;

	for (uint64_t i = 0; i < table->header.n_spans; i++) {
		struct unit_span span;
		uint64_t window_off;
		const char *problem = decode_row(table, i, &span, &window_off);

		if (!problem && i > 0 && span.blob_off <= previous)
			problem = "is not behind the one before it";
		if (!problem && window_off != windows_end)
			problem = "has a window that is not behind the one before it";
		if (problem)
			return error_set(err, ERROR_FORMAT, "span %" PRIu64 " %s", i, problem);
		previous = span.blob_off;
		windows_end += span.window_size;
	}
	if (windows_end != table->windows_size)
		return error_set(err, ERROR_FORMAT, "windows that no span has");
	return 0;
}

/* Units and spans in order of the blob, side by side. */
static int check_units(const struct unit_table *table, struct error *err)
{
	struct unit_span span = {0};
	uint64_t n_passed = 0; /* spans, with the one in `span` */
	uint64_t window_off;

	for (uint64_t i = 0; i < table->header.n_units; i++) {
		uint32_t row = le32_load(table->by_blob + i * sizeof(uint32_t));
		const char *problem;
		struct unit unit;

		unit_row_decode(table->rows + row * (uint64_t)UNIT_TABLE_ROW_SIZE, &unit);
		while (n_passed < table->header.n_spans &&
			(n_passed == 0 || span.blob_off < unit.blob_off))
			(void)decode_row(table, n_passed++, &span, &window_off);
		problem = span_unit_problem(
			n_passed > 0 && span.blob_off == unit.blob_off ? &span : NULL, &unit);
		if (problem)
			return error_set(err, ERROR_FORMAT, "unit %" PRIu32 " %s", row, problem);
	}
	return 0;
}

int unit_table_check_spans(const struct unit_table *table, struct error *err)
{
	if (table->header.n_spans == 0)
		return table->windows_size == 0
			       ? 0
			       : error_set(err, ERROR_FORMAT, "windows that no span has");
	return check_rows(table, err) < 0 ? -1 : check_units(table, err);
}

int unit_table_span(const struct unit_table *table, uint64_t blob_off, bool *found,
	struct unit_span *out, struct error *err)
{
	uint64_t low = 0, high = table->header.n_spans;
	struct unit_span span;
	uint64_t window_off;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (le64_load(table->spans + middle * SPAN_ROW_SIZE + SPAN_BLOB_OFF) < blob_off)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < table->header.n_spans;
	if (*found && decode_row(table, low, &span, &window_off))
		return unit_table_disk_failed(table, err);
	if (mapping_failed(&table->mapping))
		return unit_table_disk_failed(table, err);
	*found = *found && span.blob_off == blob_off;
	if (*found)
		*out = span;
	return 0;
}
