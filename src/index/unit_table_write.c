/* SPDX-License-Identifier: Apache-2.0 */
/* Writes unit tables. */
#include "unit_table_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arena.h"
#include "base/bytes.h"
#include "crc32c.h"
#include "output_file.h"

/* A unit's two places: the sort key of the second array, small enough to sort fast. */
struct blob_place {
	uint64_t blob_off;
	uint64_t inner_off;
	uint64_t data_off;
	uint32_t row;
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_data_off(const void *a, const void *b)
{
	const struct unit *left = a, *right = b;

	return compare_u64(left->data_off, right->data_off);
}

static int compare_blob_place(const void *a, const void *b)
{
	const struct blob_place *left = a, *right = b;
	int order = compare_u64(left->blob_off, right->blob_off);

	if (order == 0)
		order = compare_u64(left->inner_off, right->inner_off);
	return order != 0 ? order : compare_u64(left->data_off, right->data_off);
}

/* n_units and n_spans of the header are those that were given. */
static int check_rows(const struct unit_table_header *header, const struct unit *units, size_t n,
	struct error *err)
{
	uint64_t end = 0;

	if (n > UNIT_TABLE_MAX_UNITS)
		return error_set(err, ERROR_UNSUPPORTED, "%zu units; at most %d are supported", n,
			UNIT_TABLE_MAX_UNITS);
	if (header->data_size % 4096 != 0 || header->prefetch_size > header->blob_size)
		return error_set(err, ERROR_INTERNAL,
			"unit table with %" PRIu64 " bytes of data and prefetch of %" PRIu64
			" of %" PRIu64,
			header->data_size, header->prefetch_size, header->blob_size);
	for (size_t i = 0; i < n; i++) {
		const char *problem = unit_problem(&units[i], header);

		if (!problem && units[i].data_off < end)
			problem = "overlaps the unit before it";
		if (problem)
			return error_set(err, ERROR_INTERNAL, "unit at data offset %" PRIu64 ": %s",
				units[i].data_off, problem);
		end = units[i].data_off + units[i].size;
	}
	return 0;
}

static void encode_header(
	const struct unit_table_header *header, uint64_t windows_size, uint8_t *out)
{
	memset(out, 0, UNIT_TABLE_HEADER_SIZE);
	memcpy(out + HEADER_MAGIC, UNIT_TABLE_MAGIC, 8);
	le32_store(out + HEADER_VERSION,
		header->n_spans > 0 ? UNIT_TABLE_VERSION_SPANS : UNIT_TABLE_VERSION);
	le64_store(out + HEADER_N_UNITS, header->n_units);
	le64_store(out + HEADER_N_SPANS, header->n_spans);
	le64_store(out + HEADER_WINDOWS_SIZE, windows_size);
	le64_store(out + HEADER_DATA_SIZE, header->data_size);
	le64_store(out + HEADER_BLOB_SIZE, header->blob_size);
	le64_store(out + HEADER_PREFETCH_SIZE, header->prefetch_size);
	memcpy(out + HEADER_KEY, header->key, sizeof(header->key));
	le32_store(out + HEADER_BLOB_ALGORITHM, header->blob.algorithm);
	memcpy(out + HEADER_BLOB_DIGEST, header->blob.bytes, DIGEST_MAX_SIZE);
}

static int append_rows(
	struct output_file *file, const struct unit *units, size_t n_units, struct error *err)
{
	for (size_t i = 0; i < n_units; i++) {
		const struct unit *unit = &units[i];
		uint8_t row[UNIT_TABLE_ROW_SIZE] = {0};

		le64_store(row + ROW_DATA_OFF, unit->data_off);
		le64_store(row + ROW_SIZE, unit->size);
		le64_store(row + ROW_BLOB_OFF, unit->blob_off);
		le64_store(row + ROW_BLOB_SIZE, unit->blob_size);
		le64_store(row + ROW_INNER_OFF, unit->inner_off);
		memcpy(row + ROW_DIGEST, unit->digest, sizeof(unit->digest));
		row[ROW_CODEC] = (uint8_t)unit->codec;
		row[ROW_FLAGS] = (uint8_t)unit->flags;
		if (output_file_append(file, row, sizeof(row), err) < 0)
			return -1;
	}
	return 0;
}

/* *out is malloc()ed: the units in order of the blob. */
static int sort_places(
	const struct unit *units, size_t n_units, struct blob_place **out, struct error *err)
{
	struct blob_place *places = calloc(n_units + 1, sizeof(*places));

	if (!places)
		return error_set(err, ERROR_NO_MEMORY, "no memory to sort %zu units", n_units);
	for (size_t i = 0; i < n_units; i++)
		places[i] = (struct blob_place){
			.blob_off = units[i].blob_off,
			.inner_off = units[i].inner_off,
			.data_off = units[i].data_off,
			.row = (uint32_t)i,
		};
	sort_unless_sorted(places, n_units, sizeof(*places), compare_blob_place);
	*out = places;
	return 0;
}

static int append_orders(struct output_file *file, const struct blob_place *places, size_t n_units,
	struct error *err)
{
	CLEANUP(cleanup_free) uint8_t *ranks = calloc(n_units + 1, sizeof(uint32_t));

	if (!ranks)
		return error_set(err, ERROR_NO_MEMORY, "no memory to sort %zu units", n_units);
	for (size_t i = 0; i < n_units; i++) {
		uint8_t row[4];

		le32_store(row, places[i].row);
		le32_store(ranks + sizeof(uint32_t) * places[i].row, (uint32_t)i);
		if (output_file_append(file, row, sizeof(row), err) < 0)
			return -1;
	}
	return output_file_append(file, ranks, n_units * sizeof(uint32_t), err);
}

static int append_spans(
	struct output_file *file, const struct unit_span *spans, size_t n_spans, struct error *err)
{
	uint64_t window_off = 0;

	for (size_t i = 0; i < n_spans; i++) {
		uint8_t row[SPAN_ROW_SIZE];

		span_row_encode(&spans[i], window_off, row);
		window_off += spans[i].window_size;
		if (output_file_append(file, row, sizeof(row), err) < 0)
			return -1;
	}
	for (size_t i = 0; i < n_spans; i++) {
		if (output_file_append(file, spans[i].window, spans[i].window_size, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_span(const void *a, const void *b)
{
	const struct unit_span *left = a, *right = b;

	return compare_u64(left->blob_off, right->blob_off);
}

static int sort_spans(const struct unit_table_header *header, struct unit_span *spans,
	size_t n_spans, struct error *err)
{
	if (n_spans > UNIT_TABLE_MAX_UNITS)
		return error_set(err, ERROR_UNSUPPORTED, "%zu spans; at most %d are supported",
			n_spans, UNIT_TABLE_MAX_UNITS);
	sort_unless_sorted(spans, n_spans, sizeof(*spans), compare_span);
	for (size_t i = 0; i < n_spans; i++) {
		const char *problem = span_problem(&spans[i], header->blob_size);

		if (!problem && i > 0 && spans[i - 1].blob_off == spans[i].blob_off)
			problem = "is there twice";
		if (problem)
			return error_set(err, ERROR_FORMAT,
				"span at byte %" PRIu64 " of the blob %s", spans[i].blob_off,
				problem);
	}
	return 0;
}

/* Leaves the sorted spans that have units, and checks that these are theirs. */
static int match_spans(const struct unit *units, const struct blob_place *places, size_t n_units,
	struct unit_span *spans, size_t *n_spans, struct error *err)
{
	size_t n_kept = 0;
	size_t next = 0;

	for (size_t i = 0; i < n_units; i++) {
		const struct unit *unit = &units[places[i].row];
		const struct unit_span *span = NULL;
		const char *problem;

		while (next < *n_spans && spans[next].blob_off < unit->blob_off)
			next++;
		if (next < *n_spans && spans[next].blob_off == unit->blob_off)
			spans[n_kept++] = spans[next++];
		if (n_kept > 0 && spans[n_kept - 1].blob_off == unit->blob_off)
			span = &spans[n_kept - 1];
		problem = span_unit_problem(span, unit);
		if (problem)
			return error_set(err, ERROR_FORMAT, "unit at data offset %" PRIu64 " %s",
				unit->data_off, problem);
	}
	*n_spans = n_kept;
	return 0;
}

/* All that a table is made of, checked and in order. */
struct table_parts {
	struct unit_table_header header;
	const struct unit *units;
	const struct blob_place *places; /* of the units in order of the blob */
	const struct unit_span *spans;
};

static int write_file(
	int dir_fd, const char *name, const struct table_parts *parts, struct error *err)
{
	CLEANUP(output_file_close) struct output_file file = {.dir_fd = -1, .fd = -1};
	const struct unit_table_header *header = &parts->header;
	uint8_t encoded[UNIT_TABLE_HEADER_SIZE];
	uint64_t windows_size = 0;

	for (uint64_t i = 0; i < header->n_spans; i++)
		windows_size += parts->spans[i].window_size;
	encode_header(header, windows_size, encoded);
	if (output_file_open(dir_fd, name, sizeof(encoded), &file, err) < 0)
		return -1;
	file.crc = crc32c((uint32_t)CRC32C_SEED, encoded, sizeof(encoded));
	if (append_rows(&file, parts->units, header->n_units, err) < 0 ||
		append_orders(&file, parts->places, header->n_units, err) < 0 ||
		append_spans(&file, parts->spans, header->n_spans, err) < 0)
		return -1;
	le32_store(encoded + HEADER_CRC, file.crc);
	if (output_file_patch(&file, encoded, sizeof(encoded), 0, err) < 0)
		return -1;
	return output_file_commit(&file, err);
}

int unit_table_write_spans(int dir_fd, const char *name, const struct unit_table_header *header,
	struct unit *units, size_t n_units, struct unit_span *spans, size_t n_spans,
	struct error *err)
{
	CLEANUP(cleanup_free) struct blob_place *places = NULL;
	struct table_parts parts = {.header = *header, .units = units, .spans = spans};

	parts.header.n_units = n_units;
	parts.header.n_spans = n_spans;
	sort_unless_sorted(units, n_units, sizeof(*units), compare_data_off);
	if (sort_spans(header, spans, n_spans, err) < 0 ||
		check_rows(&parts.header, units, n_units, err) < 0 ||
		sort_places(units, n_units, &places, err) < 0 ||
		match_spans(units, places, n_units, spans, &n_spans, err) < 0)
		return error_prefix(err, "write %s", name);
	parts.header.n_spans = n_spans;
	parts.places = places;
	return write_file(dir_fd, name, &parts, err);
}

int unit_table_write(int dir_fd, const char *name, const struct unit_table_header *header,
	struct unit *units, size_t n_units, struct error *err)
{
	return unit_table_write_spans(dir_fd, name, header, units, n_units, NULL, 0, err);
}
