/* SPDX-License-Identifier: Apache-2.0 */
/* Writes unit tables. */
#include "unit_table_internal.h"

#include <inttypes.h>
#include <stdlib.h>

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

static void encode_header(const struct unit_table_header *header, size_t n_units, uint8_t *out)
{
	memset(out, 0, UNIT_TABLE_HEADER_SIZE);
	memcpy(out + HEADER_MAGIC, UNIT_TABLE_MAGIC, 8);
	le32_store(out + HEADER_VERSION, UNIT_TABLE_VERSION);
	le64_store(out + HEADER_N_UNITS, n_units);
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

static int append_orders(
	struct output_file *file, const struct unit *units, size_t n_units, struct error *err)
{
	CLEANUP(cleanup_free) struct blob_place *places = calloc(n_units + 1, sizeof(*places));
	CLEANUP(cleanup_free) uint8_t *ranks = calloc(n_units + 1, sizeof(uint32_t));

	if (!places || !ranks)
		return error_set(err, ERROR_NO_MEMORY, "no memory to sort %zu units", n_units);
	for (size_t i = 0; i < n_units; i++)
		places[i] = (struct blob_place){
			.blob_off = units[i].blob_off,
			.inner_off = units[i].inner_off,
			.data_off = units[i].data_off,
			.row = (uint32_t)i,
		};
	qsort(places, n_units, sizeof(*places), compare_blob_place);

	for (size_t i = 0; i < n_units; i++) {
		uint8_t row[4];

		le32_store(row, places[i].row);
		le32_store(ranks + sizeof(uint32_t) * places[i].row, (uint32_t)i);
		if (output_file_append(file, row, sizeof(row), err) < 0)
			return -1;
	}
	return output_file_append(file, ranks, n_units * sizeof(uint32_t), err);
}

int unit_table_write(int dir_fd, const char *name, const struct unit_table_header *header,
	struct unit *units, size_t n_units, struct error *err)
{
	CLEANUP(output_file_close) struct output_file file = {.dir_fd = -1, .fd = -1};
	uint8_t encoded[UNIT_TABLE_HEADER_SIZE];

	if (n_units > 0)
		qsort(units, n_units, sizeof(*units), compare_data_off);
	if (check_rows(header, units, n_units, err) < 0)
		return error_prefix(err, "write %s", name);

	encode_header(header, n_units, encoded);
	if (output_file_open(dir_fd, name, sizeof(encoded), &file, err) < 0)
		return -1;
	file.crc = crc32c((uint32_t)CRC32C_SEED, encoded, sizeof(encoded));
	if (append_rows(&file, units, n_units, err) < 0)
		return -1;
	if (append_orders(&file, units, n_units, err) < 0)
		return -1;
	le32_store(encoded + HEADER_CRC, file.crc);
	if (output_file_patch(&file, encoded, sizeof(encoded), 0, err) < 0)
		return -1;
	return output_file_commit(&file, err);
}
