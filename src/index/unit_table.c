/* SPDX-License-Identifier: Apache-2.0 */
/* Opens unit tables and answers from their mapped rows. */
#include "unit_table_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "crc32c.h"

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] != 0)
			return false;
	}
	return true;
}

static const char *in_span_problem(const struct unit *unit, const struct unit_table_header *header)
{
	if (header->n_spans == 0)
		return "is verified by a span, and there is none";
	if (unit->flags & (UNIT_ZEROS | UNIT_UNVERIFIED))
		return "has flags that contradict each other";
	return all_zero(unit->digest, sizeof(unit->digest)) ? NULL
							    : "has a digest beside its span's";
}

const char *unit_problem(const struct unit *unit, const struct unit_table_header *header)
{
	uint64_t end;

	if (unit->size == 0)
		return "is empty";
	if (!range_within(unit->data_off, unit->size, header->data_size))
		return "ends behind the data space";
	if (!range_within(unit->blob_off, unit->blob_size, header->blob_size))
		return "ends behind the blob";
	if (unit->blob_size == 0 && !(unit->flags & UNIT_ZEROS))
		return "has no bytes in the blob";
	if (!u64_add(unit->inner_off, unit->size, &end))
		return "has decoded bytes beyond all limits";
	if (unit->codec > CODEC_ZSTD)
		return "has an unknown codec";
	if (unit->flags & ~(unsigned)(UNIT_ZEROS | UNIT_UNVERIFIED | UNIT_IN_SPAN))
		return "has unknown flags";
	if (unit->flags & UNIT_IN_SPAN)
		return in_span_problem(unit, header);
	return NULL;
}

bool unit_before_in_blob(const struct unit *a, const struct unit *b)
{
	if (a->blob_off != b->blob_off)
		return a->blob_off < b->blob_off;
	if (a->inner_off != b->inner_off)
		return a->inner_off < b->inner_off;
	return a->data_off < b->data_off;
}

uint32_t unit_table_crc(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c((uint32_t)CRC32C_SEED, data, HEADER_CRC);

	crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, data + HEADER_N_UNITS, size - HEADER_N_UNITS);
}

void unit_row_decode(const uint8_t *row, struct unit *out)
{
	out->data_off = le64_load(row + ROW_DATA_OFF);
	out->size = le64_load(row + ROW_SIZE);
	out->blob_off = le64_load(row + ROW_BLOB_OFF);
	out->blob_size = le64_load(row + ROW_BLOB_SIZE);
	out->inner_off = le64_load(row + ROW_INNER_OFF);
	memcpy(out->digest, row + ROW_DIGEST, sizeof(out->digest));
	out->codec = row[ROW_CODEC];
	out->flags = row[ROW_FLAGS];
}

static int check_version(const uint8_t *data, size_t size, struct error *err)
{
	uint32_t version;

	if (size < UNIT_TABLE_HEADER_SIZE || memcmp(data, UNIT_TABLE_MAGIC, 8) != 0)
		return error_set(err, ERROR_FORMAT, "not a unit table");
	version = le32_load(data + HEADER_VERSION);
	if (version != UNIT_TABLE_VERSION && version != UNIT_TABLE_VERSION_SPANS)
		return error_set(err, ERROR_UNSUPPORTED, "unit table of version %" PRIu32, version);
	if (unit_table_crc(data, size) != le32_load(data + HEADER_CRC))
		return error_set(err, ERROR_FORMAT, "wrong checksum");
	if ((version == UNIT_TABLE_VERSION_SPANS) != (le64_load(data + HEADER_N_SPANS) > 0))
		return error_set(
			err, ERROR_FORMAT, "spans in a table of version %" PRIu32, version);
	return 0;
}

/* That the parts make up the file. */
static int check_size(const struct unit_table *table, size_t size, struct error *err)
{
	const struct unit_table_header *header = &table->header;
	uint64_t rest = size - UNIT_TABLE_HEADER_SIZE;

	if (header->n_units <= UNIT_TABLE_MAX_UNITS && header->n_spans <= UNIT_TABLE_MAX_UNITS &&
		table->windows_size <= rest &&
		rest - table->windows_size ==
			header->n_units * (UNIT_TABLE_ROW_SIZE + 2 * sizeof(uint32_t)) +
				header->n_spans * SPAN_ROW_SIZE)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"%" PRIu64 " units and %" PRIu64 " spans do not make %zu bytes", header->n_units,
		header->n_spans, size);
}

static int parse_header(
	const uint8_t *data, size_t size, struct unit_table *table, struct error *err)
{
	struct unit_table_header *header = &table->header;

	if (check_version(data, size, err) < 0)
		return -1;
	header->n_units = le64_load(data + HEADER_N_UNITS);
	header->n_spans = le64_load(data + HEADER_N_SPANS);
	header->data_size = le64_load(data + HEADER_DATA_SIZE);
	header->blob_size = le64_load(data + HEADER_BLOB_SIZE);
	header->prefetch_size = le64_load(data + HEADER_PREFETCH_SIZE);
	memcpy(header->key, data + HEADER_KEY, sizeof(header->key));
	header->blob.algorithm = le32_load(data + HEADER_BLOB_ALGORITHM);
	memcpy(header->blob.bytes, data + HEADER_BLOB_DIGEST, DIGEST_MAX_SIZE);
	table->windows_size = le64_load(data + HEADER_WINDOWS_SIZE);

	if (check_size(table, size, err) < 0)
		return -1;
	if (header->data_size % 4096 != 0 || header->prefetch_size > header->blob_size)
		return error_set(err, ERROR_FORMAT, "sizes that contradict each other");
	if (header->blob.algorithm != DIGEST_SHA256 && header->blob.algorithm != DIGEST_SHA512)
		return error_set(err, ERROR_FORMAT, "unknown digest algorithm");
	if (!all_zero(data + HEADER_RESERVED, UNIT_TABLE_HEADER_SIZE - HEADER_RESERVED))
		return error_set(err, ERROR_FORMAT, "unknown header fields");
	return 0;
}

static int check_rows(const struct unit_table *table, struct error *err)
{
	uint64_t end = 0;

	for (uint64_t i = 0; i < table->header.n_units; i++) {
		const uint8_t *row = table->rows + i * UNIT_TABLE_ROW_SIZE;
		const char *problem;
		struct unit unit;

		unit_row_decode(row, &unit);
		problem = unit_problem(&unit, &table->header);
		if (!problem && unit.data_off < end)
			problem = "overlaps the unit before it";
		if (!problem && !all_zero(row + ROW_RESERVED, UNIT_TABLE_ROW_SIZE - ROW_RESERVED))
			problem = "has unknown fields";
		if (problem)
			return error_set(err, ERROR_FORMAT, "unit %" PRIu64 " %s", i, problem);
		end = unit.data_off + unit.size;
	}
	return 0;
}

/* Both arrays are permutations when each undoes the other. */
static int check_orders(const struct unit_table *table, struct error *err)
{
	uint64_t n = table->header.n_units;
	struct unit previous = {0};

	for (uint64_t i = 0; i < n; i++) {
		uint32_t row = le32_load(table->by_blob + i * sizeof(uint32_t));
		struct unit unit;

		if (row >= n || le32_load(table->ranks + row * sizeof(uint32_t)) != i)
			return error_set(err, ERROR_FORMAT, "order of the blob is broken");
		unit_row_decode(table->rows + row * (uint64_t)UNIT_TABLE_ROW_SIZE, &unit);
		if (i > 0 && !unit_before_in_blob(&previous, &unit))
			return error_set(err, ERROR_FORMAT, "units are not in order of the blob");
		previous = unit;
	}
	return 0;
}

int unit_table_parse(const uint8_t *data, size_t size, struct unit_table *table, struct error *err)
{
	if (parse_header(data, size, table, err) < 0)
		return -1;
	table->rows = data + UNIT_TABLE_HEADER_SIZE;
	table->by_blob = table->rows + table->header.n_units * UNIT_TABLE_ROW_SIZE;
	table->ranks = table->by_blob + table->header.n_units * sizeof(uint32_t);
	table->spans = table->ranks + table->header.n_units * sizeof(uint32_t);
	table->windows = table->spans + table->header.n_spans * SPAN_ROW_SIZE;
	if (check_rows(table, err) < 0 || check_orders(table, err) < 0)
		return -1;
	return unit_table_check_spans(table, err);
}

int unit_table_disk_failed(const struct unit_table *table, struct error *err)
{
	return error_set(err, ERROR_IO,
		"the disk under a unit table of %" PRIu64 " units failed or its file was changed",
		table->header.n_units);
}

int unit_table_open(int dir_fd, const char *name, struct unit_table **out, struct error *err)
{
	CLEANUP(unit_table_closep) struct unit_table *table = NULL;
	CLEANUP(cleanup_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "open %s", name);
	table = calloc(1, sizeof(*table));
	if (!table)
		return error_set(err, ERROR_NO_MEMORY, "no memory to open %s", name);
	if (mapping_open(fd, &table->mapping, err) < 0)
		return error_prefix(err, "open %s", name);
	if (unit_table_parse(table->mapping.data, table->mapping.size, table, err) < 0) {
		if (mapping_failed(&table->mapping))
			(void)error_set(err, ERROR_IO, "the disk failed");
		return error_prefix(err, "unit table %s", name);
	}
	*out = TAKE_PTR(table);
	return 0;
}

void unit_table_close(struct unit_table *table)
{
	if (!table)
		return;
	mapping_close(&table->mapping);
	free(table);
}

void unit_table_closep(struct unit_table **table)
{
	unit_table_close(*table);
}

const struct unit_table_header *unit_table_header(const struct unit_table *table)
{
	return &table->header;
}

int unit_table_get(const struct unit_table *table, uint64_t i, struct unit *out, struct error *err)
{
	struct unit unit;

	if (i >= table->header.n_units)
		return error_set(err, ERROR_INTERNAL, "unit %" PRIu64 " of %" PRIu64, i,
			table->header.n_units);
	unit_row_decode(table->rows + i * UNIT_TABLE_ROW_SIZE, &unit);
	if (mapping_failed(&table->mapping) || unit_problem(&unit, &table->header))
		return unit_table_disk_failed(table, err);
	*out = unit;
	return 0;
}

/* The first row that ends behind off; n_units when there is none. */
static uint64_t first_ending_after(const struct unit_table *table, uint64_t off)
{
	uint64_t low = 0, high = table->header.n_units;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const uint8_t *row = table->rows + middle * UNIT_TABLE_ROW_SIZE;

		if (le64_load(row + ROW_DATA_OFF) + le64_load(row + ROW_SIZE) > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The first row that starts at or behind off; n_units when there is none. */
static uint64_t first_starting_at(const struct unit_table *table, uint64_t low, uint64_t off)
{
	uint64_t step = 1, high = low, n = table->header.n_units;

	/* Ranges are short compared with tables: gallop from where they begin. */
	while (high < n &&
		le64_load(table->rows + high * UNIT_TABLE_ROW_SIZE + ROW_DATA_OFF) < off) {
		low = high + 1;
		high = n - high > step ? high + step : n;
		step *= 2;
	}
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (le64_load(table->rows + middle * UNIT_TABLE_ROW_SIZE + ROW_DATA_OFF) < off)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int unit_table_range(const struct unit_table *table, uint64_t off, uint64_t size, uint64_t *first,
	uint64_t *n, struct error *err)
{
	uint64_t end, low, high;

	if (!u64_add(off, size, &end))
		end = UINT64_MAX;
	low = first_ending_after(table, off);
	high = size == 0 ? low : first_starting_at(table, low, end);
	if (mapping_failed(&table->mapping))
		return unit_table_disk_failed(table, err);
	*first = low;
	*n = high - low;
	return 0;
}

static int load_order(const struct unit_table *table, const uint8_t *order, uint64_t i,
	uint64_t *out, struct error *err)
{
	uint32_t value;

	if (i >= table->header.n_units)
		return error_set(err, ERROR_INTERNAL, "unit %" PRIu64 " of %" PRIu64, i,
			table->header.n_units);
	value = le32_load(order + i * sizeof(uint32_t));
	if (mapping_failed(&table->mapping) || value >= table->header.n_units)
		return unit_table_disk_failed(table, err);
	*out = value;
	return 0;
}

int unit_table_by_blob(const struct unit_table *table, uint64_t i, uint64_t *row, struct error *err)
{
	return load_order(table, table->by_blob, i, row, err);
}

int unit_table_blob_rank(
	const struct unit_table *table, uint64_t row, uint64_t *i, struct error *err)
{
	return load_order(table, table->ranks, row, i, err);
}
