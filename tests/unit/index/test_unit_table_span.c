/* SPDX-License-Identifier: Apache-2.0 */
#include "index/unit_table.h"

#include "support/test.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "support/scratch.h"
#include "unit_table_damage.h"
#include "unit_table_internal.h"

/* A blob of gzip: a span that begins with the member and has two units, one that begins inside a
 * byte, one whose unit has a digest of its own, and one of padding only; and a unit that needs no
 * span. */
static const struct unit sample_units[] = {
	{.data_off = 0,
		.size = 3000,
		.blob_off = 0,
		.blob_size = 101,
		.inner_off = 512,
		.codec = CODEC_GZIP,
		.flags = UNIT_IN_SPAN},
	{.data_off = 4096,
		.size = 488,
		.blob_off = 0,
		.blob_size = 101,
		.inner_off = 3512,
		.codec = CODEC_GZIP,
		.flags = UNIT_IN_SPAN},
	{.data_off = 4584,
		.size = 4000,
		.blob_off = 100,
		.blob_size = 200,
		.codec = CODEC_GZIP,
		.flags = UNIT_IN_SPAN},
	{.data_off = 12288,
		.size = 4096,
		.blob_off = 300,
		.blob_size = 100,
		.digest = {5},
		.codec = CODEC_GZIP},
	{.data_off = 16384, .size = 60, .blob_off = 450, .blob_size = 50, .digest = {6}},
	{.data_off = 16500, .size = 10, .blob_off = 460, .flags = UNIT_ZEROS},
};

static const struct unit_span sample_spans[] = {
	{.blob_off = 300,
		.blob_size = 100,
		.decoded_size = 4096,
		.codec = CODEC_GZIP,
		.in_member = true,
		.window = (const uint8_t *)"a window",
		.window_size = 8},
	{.blob_off = 0,
		.blob_size = 101,
		.decoded_size = 4000,
		.digest = {1, 2, 3},
		.digest_kind = SPAN_DIGEST_DECODED,
		.codec = CODEC_GZIP,
		.end_bits = 3},
	{.blob_off = 400,
		.blob_size = 50,
		.decoded_size = 100,
		.codec = CODEC_GZIP,
		.in_member = true,
		.window = (const uint8_t *)"of nobody",
		.window_size = 9},
	{.blob_off = 100,
		.blob_size = 200,
		.decoded_size = 4000,
		.digest = {4},
		.digest_kind = SPAN_DIGEST_ENCODED,
		.codec = CODEC_GZIP,
		.in_member = true,
		.bits = 5,
		.end_bits = 8,
		.window = (const uint8_t *)"another window",
		.window_size = 14},
};

enum {
	N_UNITS = sizeof(sample_units) / sizeof(sample_units[0]),
	N_SPANS = sizeof(sample_spans) / sizeof(sample_spans[0]),
	N_USED_SPANS = N_SPANS - 1,
	WINDOWS_SIZE = 8 + 14,
	SPANS = UNIT_TABLE_HEADER_SIZE + N_UNITS * (UNIT_TABLE_ROW_SIZE + 8),
	WINDOWS = SPANS + N_USED_SPANS * SPAN_ROW_SIZE,
};

static const struct unit_table_header sample_header = {
	.blob = {.algorithm = DIGEST_SHA256},
	.blob_size = 500,
	.data_size = 20480,
};

static int write_changed(const struct scratch *scratch, const struct unit *units,
	const struct unit_span *spans, size_t n_spans, struct error *err)
{
	struct unit units_copy[N_UNITS];
	struct unit_span spans_copy[N_SPANS];

	memcpy(units_copy, units, sizeof(units_copy));
	memcpy(spans_copy, spans, n_spans * sizeof(*spans));
	return unit_table_write_spans(scratch->fd, "t.units", &sample_header, units_copy, N_UNITS,
		spans_copy, n_spans, err);
}

static struct unit_table *write_and_open(const struct scratch *scratch)
{
	struct unit_table *table = NULL;
	struct error err = {0};

	if (write_changed(scratch, sample_units, sample_spans, N_SPANS, &err) < 0 ||
		unit_table_open(scratch->fd, "t.units", &table, &err) < 0)
		fail_msg("%s", err.message);
	return table;
}

static void spans_come_back_with_their_windows(void **state)
{
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);

	assert_int_equal(unit_table_header(table)->n_spans, N_USED_SPANS);
	for (size_t i = 0; i < N_SPANS; i++) {
		struct unit_span expected = sample_spans[i], span = {0};
		struct error err = {0};
		bool found;

		assert_int_equal(unit_table_span(table, expected.blob_off, &found, &span, &err), 0);
		/* Padding behind the last file: nobody ever decodes it. */
		assert_int_equal(found, expected.blob_off != 400);
		if (!found)
			continue;
		assert_int_equal(span.blob_size, expected.blob_size);
		assert_int_equal(span.decoded_size, expected.decoded_size);
		assert_memory_equal(span.digest, expected.digest, sizeof(span.digest));
		assert_int_equal(span.digest_kind, expected.digest_kind);
		assert_int_equal(span.codec, expected.codec);
		assert_int_equal(span.in_member, expected.in_member);
		assert_int_equal(span.bits, expected.bits);
		assert_int_equal(span.end_bits, expected.end_bits);
		assert_int_equal(span.window_size, expected.window_size);
		if (span.window_size > 0)
			assert_memory_equal(span.window, expected.window, span.window_size);
		else
			assert_null(span.window);
	}
}

static void other_places_of_the_blob_have_no_span(void **state)
{
	static const uint64_t places[] = {1, 99, 101, 299, 301, 399, 450, 460, 500, UINT64_MAX};
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct unit_span span;
		bool found = true;

		assert_int_equal(unit_table_span(table, places[i], &found, &span, NULL), 0);
		assert_false(found);
	}
}

static void units_in_spans_say_so(void **state)
{
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(*state);
	struct unit unit;

	assert_int_equal(unit_table_get(table, 1, &unit, NULL), 0);
	assert_int_equal(unit.flags, UNIT_IN_SPAN);
	assert_int_equal(unit.inner_off, 3512);
	assert_int_equal(unit_table_get(table, 3, &unit, NULL), 0);
	assert_int_equal(unit.flags, 0);
}

/* A store keeps the tables it has: without spans nothing about them is new. */
static void a_table_without_used_spans_is_one_of_the_first_version(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(buffer_free) struct buffer plain = {0}, file = {0};
	struct unit units[] = {sample_units[4]};
	struct unit_span spans[N_SPANS];
	struct unit_table *table = NULL;

	memcpy(spans, sample_spans, sizeof(spans));
	assert_int_equal(
		unit_table_write(scratch->fd, "plain.units", &sample_header, units, 1, NULL), 0);
	assert_int_equal(unit_table_write_spans(scratch->fd, "t.units", &sample_header, units, 1,
				 spans, N_SPANS, NULL),
		0);
	assert_int_equal(file_read(scratch->fd, "plain.units", 1 << 20, &plain, NULL), 0);
	assert_int_equal(file_read(scratch->fd, "t.units", 1 << 20, &file, NULL), 0);
	assert_int_equal(file.size, UNIT_TABLE_HEADER_SIZE + UNIT_TABLE_ROW_SIZE + 8);
	assert_int_equal(plain.size, file.size);
	assert_memory_equal(plain.data, file.data, file.size);
	assert_int_equal(le32_load(file.data + HEADER_VERSION), UNIT_TABLE_VERSION);

	assert_int_equal(unit_table_open(scratch->fd, "t.units", &table, NULL), 0);
	assert_int_equal(unit_table_header(table)->n_spans, 0);
	unit_table_close(table);
}

static void expect_refused(const struct scratch *scratch, const struct unit *units,
	const struct unit_span *spans, size_t n_spans, const char *message)
{
	struct error err = {0};

	assert_int_equal(write_changed(scratch, units, spans, n_spans, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, message))
		fail_msg("'%s' is not in '%s'", message, err.message);
	assert_int_equal(faccessat(scratch->fd, "t.units", F_OK, 0), -1);
}

static void units_that_do_not_fit_their_span_are_refused(void **state)
{
	static const struct {
		size_t i;
		struct unit unit;
		const char *message;
	} cases[] = {
		{0, {.size = 1, .blob_size = 100, .codec = CODEC_GZIP, .flags = UNIT_IN_SPAN},
			"other encoded bytes"},
		{0, {.size = 1, .blob_size = 101, .codec = CODEC_ZSTD, .flags = UNIT_IN_SPAN},
			"other encoded bytes"},
		{0,
			{.size = 3001,
				.inner_off = 1000,
				.blob_size = 101,
				.codec = CODEC_GZIP,
				.flags = UNIT_IN_SPAN},
			"behind its span"},
		{3,
			{.data_off = 12288,
				.size = 4096,
				.blob_off = 300,
				.blob_size = 100,
				.codec = CODEC_GZIP,
				.flags = UNIT_IN_SPAN},
			"vouches for nothing"},
		{4,
			{.data_off = 16384,
				.size = 60,
				.blob_off = 450,
				.blob_size = 50,
				.flags = UNIT_IN_SPAN},
			"no span to vouch"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unit units[N_UNITS];

		memcpy(units, sample_units, sizeof(units));
		units[cases[i].i] = cases[i].unit;
		expect_refused(*state, units, sample_spans, N_SPANS, cases[i].message);
	}
}

static void spans_that_are_none_are_refused(void **state)
{
	static const struct {
		struct unit_span span;
		const char *message;
	} cases[] = {
		{{.blob_off = 0, .blob_size = 101, .decoded_size = 1, .codec = CODEC_GZIP},
			"is there twice"},
		{{.blob_off = 10, .decoded_size = 1}, "is empty"},
		{{.blob_off = 10, .blob_size = 1}, "is empty"},
		{{.blob_off = 490, .blob_size = 11, .decoded_size = 1}, "behind the blob"},
		{{.blob_off = 10, .blob_size = 1, .decoded_size = UINT64_MAX}, "all limits"},
		{{.blob_off = 10, .blob_size = 1, .decoded_size = 1, .codec = 3}, "codec"},
		{{.blob_off = 10, .blob_size = 1, .decoded_size = 1, .digest_kind = 3}, "kind"},
		{{.blob_off = 10, .blob_size = 1, .decoded_size = 1, .digest = {1}},
			"digest of nothing"},
		{{.blob_off = 10, .blob_size = 1, .decoded_size = 1, .in_member = true},
			"only gzip has"},
		{{.blob_off = 10,
			 .blob_size = 1,
			 .decoded_size = 1,
			 .codec = CODEC_GZIP,
			 .bits = 1},
			"inside a member need"},
		{{.blob_off = 10,
			 .blob_size = 1,
			 .decoded_size = 1,
			 .codec = CODEC_GZIP,
			 .in_member = true,
			 .bits = 8},
			"bits of a byte"},
		{{.blob_off = 10,
			 .blob_size = 1,
			 .decoded_size = 1,
			 .codec = CODEC_GZIP,
			 .in_member = true,
			 .end_bits = 9},
			"bits of a byte"},
		{{.blob_off = 10,
			 .blob_size = 1,
			 .decoded_size = 1,
			 .codec = CODEC_GZIP,
			 .in_member = true,
			 .window = (const uint8_t *)"",
			 .window_size = SPAN_MAX_PACKED_WINDOW + 1},
			"impossible window"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unit_span spans[N_SPANS];

		memcpy(spans, sample_spans, sizeof(spans));
		spans[2] = cases[i].span;
		expect_refused(*state, sample_units, spans, N_SPANS, cases[i].message);
	}
}

static void a_changed_byte_anywhere_is_found(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(buffer_free) struct buffer file = {0};

	unit_table_close(write_and_open(scratch));
	assert_int_equal(file_read(scratch->fd, "t.units", 1 << 20, &file, NULL), 0);
	assert_int_equal(file.size, WINDOWS + WINDOWS_SIZE);
	for (size_t i = 0; i < file.size; i++) {
		struct unit_table table = {0};

		file.data[i] ^= 0x10;
		assert_int_equal(unit_table_parse(file.data, file.size, &table, NULL), -1);
		file.data[i] ^= 0x10;
		assert_int_equal(unit_table_parse(file.data, i, &table, NULL), -1);
	}
}

static void contradictions_are_found_behind_a_right_checksum(void **state)
{
	const struct scratch *scratch = *state;
	enum { SECOND = SPANS + SPAN_ROW_SIZE };
	static const struct damage cases[] = {
		{HEADER_VERSION, 1, "spans in a table of version 1"},
		{HEADER_N_SPANS, 0, "spans in a table of version 2"},
		{HEADER_N_SPANS, 2, "do not make"},
		{HEADER_N_SPANS + 7, 0x80, "do not make"},
		{HEADER_WINDOWS_SIZE, 0, "do not make"},
		{HEADER_WINDOWS_SIZE + 7, 0xff, "do not make"},
		{SPANS + SPAN_DIGEST_KIND, 3, "kind"},
		{SPANS + SPAN_DIGEST_KIND, 0, "digest of nothing"},
		{SPANS + SPAN_CODEC, 2, "other encoded bytes"},
		{SPANS + SPAN_BLOB_SIZE, 102, "other encoded bytes"},
		{SPANS + SPAN_BLOB_SIZE + 7, 1, "behind the blob"},
		{SPANS + SPAN_DECODED_SIZE + 1, 1, "behind its span"},
		{SPANS + SPAN_BITS, 1, "only spans inside a member"},
		{SECOND + SPAN_BITS, 8, "bits of a byte"},
		{SECOND + SPAN_IN_MEMBER, 2, "flags"},
		{SECOND + SPAN_BLOB_OFF, 0, "not behind the one before"},
		{SECOND + SPAN_BLOB_OFF, 101, "no span to vouch"},
		{SECOND + SPAN_DIGEST_KIND, 0, "digest of nothing"},
		{SECOND + SPAN_PACKED_SIZE, 15, "not behind the one before"},
		{SECOND + SPAN_PACKED_SIZE + 3, 1, "outside the file"},
		{SECOND + SPAN_WINDOW_OFF, 1, "not behind the one before"},
		{SECOND + SPAN_WINDOW_OFF + 7, 0xff, "outside the file"},
		{SECOND + SPAN_RESERVED, 1, "unknown fields"},
		{SECOND + SPAN_ROW_SIZE + SPAN_PACKED_SIZE, 7, "windows that no span has"},
		{UNIT_TABLE_HEADER_SIZE + ROW_DIGEST, 1, "digest beside its span's"},
		{UNIT_TABLE_HEADER_SIZE + ROW_FLAGS, UNIT_IN_SPAN | UNIT_UNVERIFIED, "contradict"},
	};

	unit_table_close(write_and_open(scratch));
	assert_damage_is_found(scratch->fd, "t.units", cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_disk_that_fails_later_makes_errors_not_signals(void **state)
{
	const struct scratch *scratch = *state;
	CLEANUP(unit_table_closep) struct unit_table *table = write_and_open(scratch);
	struct error err = {0};
	struct unit_span span;
	char path[300];
	bool found;
	int result;

	(void)snprintf(path, sizeof(path), "%s/t.units", scratch->path);
	assert_int_equal(truncate(path, 0), 0);
	result = unit_table_span(table, 100, &found, &span, &err);
	assert_int_equal(result, -1);
	assert_int_equal(err.kind, ERROR_IO);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, because cmocka resets SIGBUS behind every test and the process' handler
		 * is installed once. */
		IN_SCRATCH(a_disk_that_fails_later_makes_errors_not_signals),
		IN_SCRATCH(spans_come_back_with_their_windows),
		IN_SCRATCH(other_places_of_the_blob_have_no_span),
		IN_SCRATCH(units_in_spans_say_so),
		IN_SCRATCH(a_table_without_used_spans_is_one_of_the_first_version),
		IN_SCRATCH(units_that_do_not_fit_their_span_are_refused),
		IN_SCRATCH(spans_that_are_none_are_refused),
		IN_SCRATCH(a_changed_byte_anywhere_is_found),
		IN_SCRATCH(contradictions_are_found_behind_a_right_checksum),
	};
	return cmocka_run_group_tests_name("index/unit_table_span", tests, NULL, NULL);
}
