/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zstd_frames.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "support/encode.h"

enum { MAX_FRAMES = 16 };

struct found {
	struct zstd_frame frames[MAX_FRAMES];
	size_t n;
};

/* Gives the blob in pieces of this size; every frame that ends is noted. */
static int scan(
	const uint8_t *data, size_t size, size_t piece, struct found *found, struct error *err)
{
	struct zstd_scanner scanner = {0};

	found->n = 0;
	while (size > 0) {
		size_t given = size < piece ? size : piece;
		size_t consumed;
		bool ended;

		if (zstd_scanner_feed(&scanner, data, given, &consumed, &ended, err) < 0)
			return -1;
		assert_true(consumed > 0 && consumed <= given);
		assert_true(ended || consumed == given);
		data += consumed;
		size -= consumed;
		if (!ended)
			continue;
		assert_true(found->n < MAX_FRAMES);
		found->frames[found->n++] = scanner.frame;
	}
	return zstd_scanner_end(&scanner, err);
}

static void must_scan(const struct buffer *blob, size_t piece, struct found *found)
{
	struct error err = {0};

	if (scan(blob->data, blob->size, piece, found, &err) < 0)
		fail_msg("%s", err.message);
}

static void append(struct buffer *blob, const void *data, size_t size)
{
	assert_int_equal(buffer_append(blob, data, size), 0);
}

static void append_le32(struct buffer *blob, uint32_t value)
{
	uint8_t bytes[4];

	le32_store(bytes, value);
	append(blob, bytes, sizeof(bytes));
}

static void append_skippable(struct buffer *blob, unsigned kind, const void *data, size_t size)
{
	append_le32(blob, UINT32_C(0x184d2a50) + kind);
	append_le32(blob, (uint32_t)size);
	append(blob, data, size);
}

static void frames_are_found_in_whatever_pieces_they_arrive(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 100, 70000, 300000};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	uint8_t *data = malloc(300000);
	CLEANUP(buffer_free) struct buffer blob = {0};
	uint64_t ends[2 * N];
	size_t n = 0;

	assert_non_null(data);
	for (size_t i = 0; i < N; i++) {
		fill_text(data, sizes[i], (uint32_t)i);
		encode_frame(CODEC_ZSTD, data, sizes[i], &blob);
		ends[n++] = blob.size;
		encode_zstd_of_unknown_size(data, sizes[i], &blob);
		ends[n++] = blob.size;
	}
	for (size_t piece = 1; piece < 1 << 20; piece = piece * 3 + 1) {
		struct found found;
		uint64_t off = 0;

		must_scan(&blob, piece, &found);
		assert_int_equal(found.n, n);
		for (size_t i = 0; i < n; i++) {
			const struct zstd_frame *frame = &found.frames[i];

			assert_int_equal(frame->blob_off, off);
			assert_int_equal(frame->blob_off + frame->blob_size, ends[i]);
			assert_int_equal(frame->is_size_known, i % 2 == 0);
			assert_true(frame->decoded_size >= sizes[i / 2]);
			if (frame->is_size_known)
				assert_int_equal(frame->decoded_size, sizes[i / 2]);
			assert_false(frame->is_skippable);
			off = ends[i];
		}
	}
	free(data);
}

static void skippable_frames_decode_to_nothing(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer blob = {0};

	for (size_t piece = 1; piece < 64; piece++) {
		struct found found;

		blob.size = 0;
		append_skippable(&blob, 0, "abc", 3);
		append_skippable(&blob, 15, "", 0);
		encode_frame(CODEC_ZSTD, "hello", 5, &blob);
		append_skippable(&blob, 7, "", 0);
		must_scan(&blob, piece, &found);
		assert_int_equal(found.n, 4);
		assert_int_equal(found.frames[0].blob_size, 11);
		assert_int_equal(found.frames[1].blob_off, 11);
		assert_int_equal(found.frames[1].blob_size, 8);
		assert_int_equal(found.frames[2].blob_off, 19);
		assert_int_equal(found.frames[2].decoded_size, 5);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(found.frames[i].is_skippable, i != 2);
			if (i != 2)
				assert_int_equal(found.frames[i].decoded_size, 0);
		}
	}
}

static void an_empty_blob_has_no_frames(void **state)
{
	(void)state;
	struct zstd_scanner scanner = {0};
	size_t consumed;
	bool ended;

	assert_int_equal(zstd_scanner_feed(&scanner, NULL, 0, &consumed, &ended, NULL), 0);
	assert_int_equal(consumed, 0);
	assert_false(ended);
	assert_int_equal(zstd_scanner_end(&scanner, NULL), 0);
}

static void a_blob_that_ends_in_a_frame_is_noticed_at_every_byte(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer blob = {0};
	size_t first;

	encode_frame(CODEC_ZSTD, "first", 5, &blob);
	first = blob.size;
	encode_zstd_of_unknown_size("second", 6, &blob);
	for (size_t size = 1; size < blob.size; size++) {
		struct error err = {0};
		struct found found;
		int result = scan(blob.data, size, 4, &found, &err);

		assert_int_equal(result, size == first ? 0 : -1);
		if (size == first)
			continue;
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_non_null(strstr(err.message, "the blob ends in it"));
		assert_non_null(strstr(err.message, size < first ? "at 0 " : "at "));
	}
}

/* A header, blocks and nothing else, in hex. */
static int scan_hex(const char *hex, struct found *found, struct error *err)
{
	uint8_t bytes[64];
	size_t size = strlen(hex) / 2;

	assert_int_equal(hex_decode(hex, 2 * size, bytes, size), 0);
	return scan(bytes, size, 3, found, err);
}

#define MAGIC "28b52ffd"
#define RAW_BLOCK "2900000102030405" /* the last one, of 5 bytes */
#define RLE_BLOCK "2b000000"         /* of 5 zeros */

static const struct {
	const char *hex;
	uint64_t size; /* UINT64_MAX: not said */
	uint64_t window;
} headers[] = {
	{MAGIC "0000" RAW_BLOCK, UINT64_MAX, 1024},
	{MAGIC "000f" RAW_BLOCK, UINT64_MAX, 2048 + 7 * 256},
	{MAGIC "00f8" RAW_BLOCK, UINT64_MAX, UINT64_C(1) << 41},
	{MAGIC "2005" RAW_BLOCK, 5, 5},
	{MAGIC "800005000000" RAW_BLOCK, 5, 1024},
	{MAGIC "c0000500000000000000" RLE_BLOCK, 5, 1024},
	{MAGIC "a005000000" RAW_BLOCK, 5, 5},
	{MAGIC "2405" RAW_BLOCK "11223344", 5, 5},
	{MAGIC "210005" RAW_BLOCK, 5, 5},
	{MAGIC "02000000" RAW_BLOCK, UINT64_MAX, 1024},
	{MAGIC "c300000000000500000000000000" RAW_BLOCK, 5, 1024},
	/* A compressed block of one byte, and an empty raw one. */
	{MAGIC "6000000c000000010000", 256, 256},
	{MAGIC "3000010000", 0, 0},
};

static void every_form_of_header_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct error err = {0};
		struct found found;

		if (scan_hex(headers[i].hex, &found, &err) < 0)
			fail_msg("%s: %s", headers[i].hex, err.message);
		assert_int_equal(found.n, 1);
		assert_int_equal(found.frames[0].blob_size, strlen(headers[i].hex) / 2);
		assert_int_equal(found.frames[0].window_size, headers[i].window);
		assert_int_equal(found.frames[0].is_size_known, headers[i].size != UINT64_MAX);
		assert_int_equal(found.frames[0].decoded_size,
			headers[i].size == UINT64_MAX ? 5 : headers[i].size);
	}
}

static void what_is_no_frame_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum error_kind kind;
		const char *words;
	} cases[] = {
		{"00000000", ERROR_FORMAT,
			"no zstd frame at 0, but bytes that begin with 00000000"},
		{MAGIC "2005" RAW_BLOCK "1f8b0800", ERROR_FORMAT, "no zstd frame at 14"},
		{"27b52ffd", ERROR_UNSUPPORTED, "before version 1.0"},
		{"22b52ffd", ERROR_UNSUPPORTED, "before version 1.0"},
		{"21b52ffd", ERROR_FORMAT, "no zstd frame"},
		{MAGIC "2805", ERROR_UNSUPPORTED, "reserves"},
		{MAGIC "210705", ERROR_UNSUPPORTED, "dictionary"},
		{MAGIC "2005070000", ERROR_FORMAT, "reserved type"},
		{MAGIC "2006" RAW_BLOCK, ERROR_FORMAT, "decodes to more than it can"},
		{MAGIC "c000ffffffffffffffff" RAW_BLOCK, ERROR_FORMAT, "more than it can"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		struct found found;

		assert_int_equal(scan_hex(cases[i].hex, &found, &err), -1);
		if (err.kind != cases[i].kind || !strstr(err.message, cases[i].words))
			fail_msg("%s: %s", cases[i].hex, err.message);
	}
}

/* Frames of 10, 20 and 30 bytes that decode to ten times that, and their table. */
static struct buffer table_of(bool checksums, size_t n_frames)
{
	struct buffer table = {0};
	uint8_t descriptor = checksums ? 0x80 : 0;

	append_le32(&table, UINT32_C(0x184d2a5e));
	append_le32(&table, (uint32_t)(n_frames * (checksums ? 12 : 8) + 9));
	for (uint32_t i = 1; i <= n_frames; i++) {
		append_le32(&table, 10 * i);
		append_le32(&table, 100 * i);
		if (checksums)
			append_le32(&table, i);
	}
	append_le32(&table, (uint32_t)n_frames);
	append(&table, &descriptor, 1);
	append_le32(&table, UINT32_C(0x8f92eab1));
	return table;
}

static int read_table(const struct buffer *table, uint64_t data_size, struct zstd_frame **frames,
	size_t *n, struct error *err)
{
	struct zstd_seek_table_place place;
	uint64_t blob_size = data_size + table->size;
	bool found;

	if (zstd_seek_table_find(table->data, table->size, blob_size, &found, &place, err) < 0)
		return -1;
	assert_true(found);
	assert_true(range_within(place.off, place.size, blob_size));
	if (place.size > table->size)
		return error_set(err, ERROR_FORMAT, "larger than what there is");
	return zstd_seek_table_parse(
		table->data + (table->size - place.size), &place, frames, n, err);
}

static void a_seek_table_lists_all_frames(void **state)
{
	(void)state;
	for (size_t n_frames = 0; n_frames <= 3; n_frames++) {
		for (int checksums = 0; checksums < 2; checksums++) {
			struct buffer table = table_of(checksums, n_frames);
			struct zstd_frame *frames = NULL;
			struct error err = {0};
			uint64_t off = 0;
			size_t n;

			if (read_table(&table, 5 * n_frames * (n_frames + 1), &frames, &n, &err) <
				0)
				fail_msg("%s", err.message);
			assert_int_equal(n, n_frames);
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(frames[i].blob_off, off);
				assert_int_equal(frames[i].blob_size, 10 * (i + 1));
				assert_int_equal(frames[i].decoded_size, 100 * (i + 1));
				assert_true(frames[i].is_size_known);
				off += frames[i].blob_size;
			}
			free(frames);
			buffer_free(&table);
		}
	}
}

static void a_blob_without_a_seek_table_is_told_apart(void **state)
{
	(void)state;
	struct buffer table = table_of(false, 3);
	struct zstd_seek_table_place place;
	bool found = true;

	assert_int_equal(zstd_seek_table_find(table.data, 8, 100, &found, &place, NULL), 0);
	assert_false(found);
	found = true;
	table.data[table.size - 1] ^= 1;
	assert_int_equal(
		zstd_seek_table_find(table.data, table.size, 100, &found, &place, NULL), 0);
	assert_false(found);
	buffer_free(&table);
}

static void assert_bad_table(
	struct buffer table, uint64_t data_size, enum error_kind kind, const char *words)
{
	struct zstd_frame *frames = NULL;
	struct error err = {0};
	size_t n;

	assert_int_equal(read_table(&table, data_size, &frames, &n, &err), -1);
	if (err.kind != kind || !strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	assert_null(frames);
	buffer_free(&table);
}

static struct buffer patched_table(size_t off, uint32_t value)
{
	struct buffer table = table_of(false, 3);

	le32_store(table.data + off, value);
	return table;
}

static void seek_tables_that_cannot_be_are_refused(void **state)
{
	(void)state;
	enum { N_FRAMES = 8 + 3 * 8 };
	struct buffer reserved = table_of(false, 3);

	assert_bad_table(table_of(false, 3), 59, ERROR_FORMAT, "frame 2 has 30 bytes at 30 of 59");
	assert_bad_table(table_of(false, 3), 61, ERROR_FORMAT, "end at 60 and not at 61");
	assert_bad_table(patched_table(8, 0), 60, ERROR_FORMAT, "frame 0 has 0 bytes");
	assert_bad_table(patched_table(8, UINT32_MAX), 60, ERROR_FORMAT, "frame 0 has 4294967295");
	assert_bad_table(patched_table(0, 0x184d2a5d), 60, ERROR_FORMAT, "no skippable frame");
	assert_bad_table(patched_table(4, 34), 60, ERROR_FORMAT, "no skippable frame");
	assert_bad_table(patched_table(N_FRAMES, 2), 60, ERROR_FORMAT, "no skippable frame");
	assert_bad_table(patched_table(N_FRAMES, 100), 60, ERROR_FORMAT, "in a blob of 101");
	assert_bad_table(
		patched_table(N_FRAMES, UINT32_MAX), 60, ERROR_UNSUPPORTED, "4294967295 frames");
	reserved.data[reserved.size - 5] = 4;
	assert_bad_table(reserved, 60, ERROR_UNSUPPORTED, "reserved");
}

static void a_table_that_changes_after_it_was_found_is_refused(void **state)
{
	(void)state;
	struct buffer table = table_of(false, 3);
	struct zstd_seek_table_place place;
	struct zstd_frame *frames = NULL;
	struct error err = {0};
	bool found;
	size_t n;

	assert_int_equal(
		zstd_seek_table_find(table.data, table.size, 60 + table.size, &found, &place, &err),
		0);
	le32_store(table.data + table.size - 9, UINT32_MAX);
	assert_int_equal(zstd_seek_table_parse(table.data, &place, &frames, &n, &err), -1);
	assert_non_null(strstr(err.message, "its end has changed"));
	buffer_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_found_in_whatever_pieces_they_arrive),
		cmocka_unit_test(skippable_frames_decode_to_nothing),
		cmocka_unit_test(an_empty_blob_has_no_frames),
		cmocka_unit_test(a_blob_that_ends_in_a_frame_is_noticed_at_every_byte),
		cmocka_unit_test(every_form_of_header_is_read),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(a_seek_table_lists_all_frames),
		cmocka_unit_test(a_blob_without_a_seek_table_is_told_apart),
		cmocka_unit_test(seek_tables_that_cannot_be_are_refused),
		cmocka_unit_test(a_table_that_changes_after_it_was_found_is_refused),
	};
	return cmocka_run_group_tests_name("format/zstd_frames", tests, NULL, NULL);
}
