/* SPDX-License-Identifier: Apache-2.0 */
#include "index/unit_table.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "support/scratch.h"
#include "unit_table_damage.h"
#include "unit_table_internal.h"

/* Three files' units, given out of order: two siblings of one encoded range, and a later part of
 * the data space that comes first in the blob. */
static const struct unit samples[] = {
	{.data_off = 8192, .size = 5000, .blob_off = 0, .blob_size = 90, .codec = CODEC_GZIP},
	{.data_off = 4096,
		.size = 10,
		.blob_off = 100,
		.blob_size = 400,
		.inner_off = 512,
		.digest = {1, 2, 3},
		.codec = CODEC_ZSTD},
	{.data_off = 0, .size = 4096, .blob_off = 100, .blob_size = 400, .codec = CODEC_ZSTD},
	{.data_off = 16384, .size = 4096, .blob_off = 50, .blob_size = 0, .flags = UNIT_ZEROS},
};

enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static const struct unit_table_header sample_header = {
	.key = {9, 8, 7},
	.blob = {.algorithm = DIGEST_SHA256, .bytes = {0xab}},
	.blob_size = 500,
	.data_size = 20480,
	.prefetch_size = 100,
};

static struct unit_table *write_and_open(const struct scratch *scratch)
{
	struct unit units[N_SAMPLES];
	struct unit_table *table = NULL;
	struct error err = {0};

	memcpy(units, samples, sizeof(units));
	if (unit_table_write(scratch->fd, "t.units", &sample_header, units, N_SAMPLES, &err) < 0)
		fail_msg("%s", err.message);
	if (unit_table_open(scratch->fd, "t.units", &table, &err) < 0)
		fail_msg("%s", err.message);
	return table;
}

static void rows_come_back_in_order_of_the_data_space(void **state)
{
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);
	static const uint64_t data_offs[] = {0, 4096, 8192, 16384};
	const struct unit_table_header *header = unit_table_header(table);
	struct unit unit;

	assert_int_equal(header->n_units, N_SAMPLES);
	assert_int_equal(header->data_size, 20480);
	assert_int_equal(header->prefetch_size, 100);
	assert_int_equal(header->blob_size, 500);
	assert_memory_equal(header->key, sample_header.key, 32);
	assert_true(digest_equal(&header->blob, &sample_header.blob));
	for (unsigned i = 0; i < N_SAMPLES; i++) {
		assert_int_equal(unit_table_get(table, i, &unit, NULL), 0);
		assert_int_equal(unit.data_off, data_offs[i]);
	}
	assert_int_equal(unit_table_get(table, 1, &unit, NULL), 0);
	assert_int_equal(unit.inner_off, 512);
	assert_int_equal(unit.codec, CODEC_ZSTD);
	assert_memory_equal(unit.digest, samples[1].digest, 32);
	assert_int_equal(unit_table_get(table, 3, &unit, NULL), 0);
	assert_int_equal(unit.flags, UNIT_ZEROS);
	assert_int_equal(unit_table_get(table, N_SAMPLES, &unit, NULL), -1);
}

static void a_range_finds_exactly_the_units_it_touches(void **state)
{
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);
	static const struct {
		uint64_t off, size, first, n;
	} cases[] = {
		{0, 1, 0, 1},
		{0, 4096, 0, 1},
		{4095, 2, 0, 2},
		{4096, 10, 1, 1},
		{4106, 100, 2, 0}, /* padding behind a file */
		{4106, 4087, 2, 1},
		{0, 20480, 0, 4},
		{0, UINT64_MAX, 0, 4},
		{13191, 1, 2, 1},
		{13192, 1, 3, 0},
		{20479, 1, 3, 1},
		{20480, 4096, 4, 0},
		{8192, 0, 2, 0},
		{UINT64_MAX, UINT64_MAX, 4, 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t first, n;

		assert_int_equal(
			unit_table_range(table, cases[i].off, cases[i].size, &first, &n, NULL), 0);
		assert_int_equal(n, cases[i].n);
		assert_int_equal(first, cases[i].first);
	}
}

static void many_units_are_found_wherever_the_range_is(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(unit_table_closep) struct unit_table *table = NULL;
	enum { N = 1000 };
	struct unit units[N];
	struct unit_table_header header = sample_header;

	header.data_size = N * UINT64_C(4096);
	for (unsigned i = 0; i < N; i++)
		units[i] =
			(struct unit){.data_off = i * UINT64_C(4096), .size = 4096, .blob_size = 1};
	assert_int_equal(unit_table_write(scratch->fd, "t.units", &header, units, N, NULL), 0);
	assert_int_equal(unit_table_open(scratch->fd, "t.units", &table, NULL), 0);
	for (unsigned i = 0; i < N; i += 7) {
		for (unsigned wanted = 1; wanted <= N - i; wanted += 13) {
			uint64_t first, n;

			assert_int_equal(unit_table_range(table, i * UINT64_C(4096) + 1,
						 wanted * UINT64_C(4096) - 1, &first, &n, NULL),
				0);
			assert_int_equal(first, i);
			assert_int_equal(n, wanted);
		}
	}
}

static void the_order_of_the_blob_and_its_inverse_agree(void **state)
{
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);
	static const uint64_t rows[] = {2, 3, 0, 1};

	for (unsigned i = 0; i < N_SAMPLES; i++) {
		uint64_t row, rank;

		assert_int_equal(unit_table_by_blob(table, i, &row, NULL), 0);
		assert_int_equal(row, rows[i]);
		assert_int_equal(unit_table_blob_rank(table, row, &rank, NULL), 0);
		assert_int_equal(rank, i);
	}
}

static void a_layer_without_files_has_an_empty_table(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(unit_table_closep) struct unit_table *table = NULL;
	struct unit_table_header header = sample_header;
	uint64_t first, n;

	header.data_size = 0;
	assert_int_equal(unit_table_write(scratch->fd, "t.units", &header, NULL, 0, NULL), 0);
	assert_int_equal(unit_table_open(scratch->fd, "t.units", &table, NULL), 0);
	assert_int_equal(unit_table_range(table, 0, 4096, &first, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void mistakes_of_the_builder_are_refused(void **state)
{
	const struct scratch *scratch = *state;
	static const struct {
		struct unit unit;
		const char *message;
	} cases[] = {
		{{.data_off = 4096, .size = 0, .blob_size = 1}, "is empty"},
		{{.data_off = 20480, .size = 1, .blob_size = 1}, "behind the data space"},
		{{.data_off = UINT64_MAX, .size = 2, .blob_size = 1}, "behind the data space"},
		{{.data_off = 4096, .size = 1, .blob_off = 500, .blob_size = 1}, "behind the blob"},
		{{.data_off = 4096, .size = 1, .blob_size = 0}, "no bytes in the blob"},
		{{.data_off = 4096, .size = 1, .blob_size = 1, .codec = 3}, "codec"},
		{{.data_off = 4096, .size = 1, .blob_size = 1, .flags = 8}, "flags"},
		{{.data_off = 4096, .size = 1, .blob_size = 1, .flags = UNIT_IN_SPAN},
			"by a span, and there is none"},
		{{.data_off = 4096, .size = 1, .blob_size = 1, .inner_off = UINT64_MAX},
			"beyond all limits"},
		{{.data_off = 4095, .size = 1, .blob_size = 1}, "overlaps"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unit units[] = {cases[i].unit,
			{.data_off = 0, .size = 4096, .blob_off = 0, .blob_size = 100}};
		struct error err = {0};

		assert_int_equal(
			unit_table_write(scratch->fd, "bad.units", &sample_header, units, 2, &err),
			-1);
		assert_int_equal(err.kind, ERROR_INTERNAL);
		assert_non_null(strstr(err.message, cases[i].message));
		assert_int_equal(faccessat(scratch->fd, "bad.units", F_OK, 0), -1);
	}
}

/* Every byte of the file is either what the table says or part of a check on it. */
static void a_changed_byte_anywhere_is_found(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(buffer_free) struct buffer file = {0};

	unit_table_close(write_and_open(scratch));
	assert_int_equal(file_read(scratch->fd, "t.units", 1 << 20, &file, NULL), 0);
	for (size_t i = 0; i < file.size; i++) {
		struct unit_table table = {0};
		struct error err = {0};

		file.data[i] ^= 0x10;
		assert_int_equal(unit_table_parse(file.data, file.size, &table, &err), -1);
		file.data[i] ^= 0x10;
	}
	for (size_t size = 0; size < file.size; size++) {
		struct unit_table table = {0};

		assert_int_equal(unit_table_parse(file.data, size, &table, NULL), -1);
	}
}

/* With a checksum that is right, the rows have to be. */
static void contradictions_are_found_behind_a_right_checksum(void **state)
{
	const struct scratch *scratch = *state;
	enum {
		ROWS = UNIT_TABLE_HEADER_SIZE,
		ORDER = ROWS + N_SAMPLES * UNIT_TABLE_ROW_SIZE,
		RANKS = ORDER + N_SAMPLES * 4,
	};
	static const struct damage cases[] = {
		{HEADER_VERSION, 3, "version 3"},
		{HEADER_VERSION, 2, "spans in a table of version 2"},
		{HEADER_N_SPANS, 1, "spans in a table of version 1"},
		{HEADER_WINDOWS_SIZE, 1, "do not make"},
		{HEADER_N_UNITS, 3, "do not make"},
		{HEADER_N_UNITS + 7, 0xff, "do not make"},
		{HEADER_DATA_SIZE, 1, "contradict"},
		{HEADER_PREFETCH_SIZE + 1, 2, "contradict"},
		{HEADER_BLOB_ALGORITHM, 3, "digest algorithm"},
		{HEADER_RESERVED, 1, "unknown header"},
		{ROWS + UNIT_TABLE_ROW_SIZE + ROW_DATA_OFF + 1, 0, "overlaps"},
		{ROWS + ROW_SIZE + 1, 0, "is empty"},
		{ROWS + ROW_BLOB_SIZE + 5, 1, "behind the blob"},
		{ROWS + ROW_CODEC, 3, "codec"},
		{ROWS + ROW_FLAGS, 0x80, "flags"},
		{ROWS + ROW_RESERVED, 1, "unknown fields"},
		{ORDER, 1, "order"},
		{ORDER + 3, 0xff, "order"},
		{RANKS + 4, 0, "order"},
	};

	unit_table_close(write_and_open(scratch));
	assert_damage_is_found(scratch->fd, "t.units", cases, sizeof(cases) / sizeof(cases[0]));
}

static void an_exchanged_order_is_found(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(buffer_free) struct buffer file = {0};
	struct unit_table table = {0};
	struct error err = {0};
	uint8_t *order;

	unit_table_close(write_and_open(scratch));
	assert_int_equal(file_read(scratch->fd, "t.units", 1 << 20, &file, NULL), 0);
	order = file.data + UNIT_TABLE_HEADER_SIZE + (size_t)N_SAMPLES * UNIT_TABLE_ROW_SIZE;
	/* 2, 3, 0, 1 becomes 0, 3, 2, 1: still a permutation, and its inverse with it. */
	le32_store(order, 0);
	le32_store(order + 8, 2);
	le32_store(order + 16, 0);
	le32_store(order + 24, 2);
	le32_store(file.data + HEADER_CRC, unit_table_crc(file.data, file.size));
	assert_int_equal(unit_table_parse(file.data, file.size, &table, &err), -1);
	assert_non_null(strstr(err.message, "not in order of the blob"));
}

static void the_old_table_stays_until_the_new_one_is_complete(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(scratch);
	CLEANUP(unit_table_closep) struct unit_table *again = write_and_open(scratch);
	struct unit unit;

	assert_int_equal(unit_table_get(table, 0, &unit, NULL), 0);
	assert_int_equal(unit.size, 4096);
	assert_int_equal(unit_table_header(again)->n_units, N_SAMPLES);
}

/* Cutting the file under the mapping does what a failing disk does: SIGBUS. */
static void a_disk_that_fails_later_makes_errors_not_signals(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(scratch);
	uint64_t first, n;
	struct unit unit;
	char path[300];
	struct {
		int result;
		struct error err;
	} calls[4] = {0};

	(void)snprintf(path, sizeof(path), "%s/t.units", scratch->path);
	assert_int_equal(truncate(path, 0), 0);
	calls[0].result = unit_table_get(table, 0, &unit, &calls[0].err);
	calls[1].result = unit_table_range(table, 0, 1, &first, &n, &calls[1].err);
	calls[2].result = unit_table_by_blob(table, 0, &n, &calls[2].err);
	calls[3].result = unit_table_blob_rank(table, 0, &n, &calls[3].err);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(calls[i].result, -1);
		assert_int_equal(calls[i].err.kind, ERROR_IO);
	}
}

static void an_absent_table_is_not_found(void **state)
{
	const struct scratch *scratch = *state;
	struct unit_table *table = NULL;
	struct error err = {0};

	assert_int_equal(unit_table_open(scratch->fd, "none", &table, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_null(table);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, because cmocka resets SIGBUS behind every test and the process' handler
		 * is installed once. */
		IN_SCRATCH(a_disk_that_fails_later_makes_errors_not_signals),
		IN_SCRATCH(rows_come_back_in_order_of_the_data_space),
		IN_SCRATCH(a_range_finds_exactly_the_units_it_touches),
		IN_SCRATCH(many_units_are_found_wherever_the_range_is),
		IN_SCRATCH(the_order_of_the_blob_and_its_inverse_agree),
		IN_SCRATCH(a_layer_without_files_has_an_empty_table),
		IN_SCRATCH(mistakes_of_the_builder_are_refused),
		IN_SCRATCH(a_changed_byte_anywhere_is_found),
		IN_SCRATCH(contradictions_are_found_behind_a_right_checksum),
		IN_SCRATCH(an_exchanged_order_is_found),
		IN_SCRATCH(the_old_table_stays_until_the_new_one_is_complete),
		IN_SCRATCH(an_absent_table_is_not_found),
	};
	return cmocka_run_group_tests_name("index/unit_table", tests, NULL, NULL);
}
