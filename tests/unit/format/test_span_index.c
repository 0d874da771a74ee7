/* SPDX-License-Identifier: Apache-2.0 */
#include "format/span_index.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "dump.h"
#include "span_dump.h"

enum { BLOB_SIZE = 100000, MiB = 1 << 20 };

static struct span_index *new_index(enum codec codec)
{
	struct span_index *index = NULL;
	struct error err = {0};

	if (span_index_new(&index, &err) < 0)
		fail_msg("%s", err.message);
	index->codec = codec;
	index->blob_size = BLOB_SIZE;
	return index;
}

static int try_span(struct span_index *index, uint64_t off, uint64_t size, uint64_t decoded_size,
	unsigned bits, struct error *err)
{
	struct unit_span span = {
		.blob_off = off,
		.blob_size = size,
		.decoded_size = decoded_size,
		.digest_kind = SPAN_DIGEST_DECODED,
		.codec = index->codec,
		.in_member = bits > 0,
		.bits = bits,
	};

	return span_index_add_span(index, &span, err);
}

static void add_span(struct span_index *index, uint64_t off, uint64_t size, uint64_t decoded_size)
{
	struct error err = {0};

	if (try_span(index, off, size, decoded_size, 0, &err) < 0)
		fail_msg("%s", err.message);
}

static int try_entry(struct span_index *index, const char *name, enum toc_type type, uint64_t size,
	uint64_t off, struct error *err)
{
	struct toc_entry entry = {.name = name, .type = (uint8_t)type, .size = size, .mode = 0644};
	struct span_payload payload = {.off = off};

	return span_index_add_entry(index, &entry, &payload, NULL, err);
}

static void add_file(struct span_index *index, const char *name, uint64_t size, uint64_t off)
{
	struct error err = {0};

	if (try_entry(index, name, TOC_REGULAR, size, off, &err) < 0)
		fail_msg("%s", err.message);
}

static int try_sparse(struct span_index *index, const char *name, uint64_t size, uint64_t off,
	const struct span_extent *extents, uint32_t n, struct error *err)
{
	struct toc_entry entry = {.name = name, .type = TOC_REGULAR, .size = size, .mode = 0644};
	struct span_payload payload = {.off = off, .n_extents = n, .is_sparse = true};

	return span_index_add_entry(index, &entry, &payload, extents, err);
}

static void expect_cut(struct span_index *index, const char *expected)
{
	struct buffer actual = {0};
	struct error err = {0};

	if (span_index_cut(index, NULL, 0, &err) < 0)
		fail_msg("%s", err.message);
	index->n_spans = 0;
	dump_span_index(index, &actual);
	assert_string_equal((char *)actual.data, expected);
	buffer_free(&actual);
	span_index_free(index);
}

static void files_are_cut_where_spans_end(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_GZIP);

	add_span(index, 0, 1000, 4000);
	add_span(index, 1000, 2000, 3000);
	add_span(index, 3000, 10, 1000);
	add_file(index, "first", 3488, 512);
	add_file(index, "empty", 0, 4512);
	add_file(index, "in-two", 200, 4608);
	add_file(index, "in-three", 2000, 5632);
	assert_int_equal(index->archive_size, 8000);
	expect_cut(index, "reg first 0644 0:0 0 size 3488\n"
			  "  chunk 0+3488 at 0+1000 inner 512 gzip 0000000000000000 in span\n"
			  "reg empty 0644 0:0 0 size 0\n"
			  "reg in-two 0644 0:0 0 size 200\n"
			  "  chunk 0+200 at 1000+2000 inner 608 gzip 0000000000000000 in span\n"
			  "reg in-three 0644 0:0 0 size 2000\n"
			  "  chunk 0+1368 at 1000+2000 inner 1632 gzip 0000000000000000 in span\n"
			  "  chunk 1368+632 at 3000+10 inner 0 gzip 0000000000000000 in span\n");
}

static void a_hole_is_zeros_in_its_place(void **state)
{
	(void)state;
	static const struct span_extent extents[] = {{100, 50}, {1000, 3000}};
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};

	add_span(index, 0, 1000, 2000);
	add_span(index, 1000, 2000, 3000);
	assert_int_equal(try_sparse(index, "sparse", 5000, 512, extents, 2, &err), 0);
	assert_int_equal(span_index_stored_size(index, 0), 3050);
	assert_int_equal(try_sparse(index, "all-hole", 1 << 30, 4096, NULL, 0, &err), 0);
	add_file(index, "after", 1, 4608);
	expect_cut(index, "reg sparse 0644 0:0 0 size 5000\n"
			  "  chunk 0+100 at 0+0 inner 512 gzip 0000000000000000 zeros\n"
			  "  chunk 100+50 at 0+1000 inner 512 gzip 0000000000000000 in span\n"
			  "  chunk 150+850 at 0+0 inner 562 gzip 0000000000000000 zeros\n"
			  "  chunk 1000+1438 at 0+1000 inner 562 gzip 0000000000000000 in span\n"
			  "  chunk 2438+1562 at 1000+2000 inner 0 gzip 0000000000000000 in span\n"
			  "  chunk 4000+1000 at 1000+0 inner 1562 gzip 0000000000000000 zeros\n"
			  "reg all-hole 0644 0:0 0 size 1073741824\n"
			  "  chunk 0+1073741824 at 1000+0 inner 2096 gzip 0000000000000000 zeros\n"
			  "reg after 0644 0:0 0 size 1\n"
			  "  chunk 0+1 at 1000+2000 inner 2608 gzip 0000000000000000 in span\n");
}

static void pieces_of_a_large_span_are_8_mib_at_most(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_ZSTD);

	add_span(index, 7, 1000, 30 * MiB);
	add_file(index, "large", 20 * MiB, 512);
	expect_cut(index,
		"reg large 0644 0:0 0 size 20971520\n"
		"  chunk 0+8388608 at 7+1000 inner 512 zstd 0000000000000000 in span\n"
		"  chunk 8388608+8388608 at 7+1000 inner 8389120 zstd 0000000000000000 in span\n"
		"  chunk 16777216+4194304 at 7+1000 inner 16777728 zstd 0000000000000000 in "
		"span\n");
}

static void pieces_with_digests_need_no_span_to_vouch_for_them(void **state)
{
	(void)state;
	static const uint8_t digests[3][32] = {{0x11}, {0x22}, {0x33}};
	struct span_index *index = new_index(CODEC_GZIP);
	struct buffer text = {0};
	struct error err = {0};

	add_span(index, 0, 1000, 2000);
	add_span(index, 1000, 1000, 2000);
	add_file(index, "a", 2000, 512);
	add_file(index, "b", 10, 3072);
	if (span_index_cut(index, digests, 3, &err) < 0)
		fail_msg("%s", err.message);
	dump_toc(index->toc, &text);
	assert_string_equal((char *)text.data,
		"reg a 0644 0:0 0 size 2000\n"
		"  chunk 0+1488 at 0+1000 inner 512 gzip 1100000000000000\n"
		"  chunk 1488+512 at 1000+1000 inner 0 gzip 2200000000000000\n"
		"reg b 0644 0:0 0 size 10\n"
		"  chunk 0+10 at 1000+1000 inner 1072 gzip 3300000000000000\n");
	buffer_free(&text);
	span_index_free(index);
}

static void a_plain_piece_with_a_digest_is_fetched_alone(void **state)
{
	(void)state;
	static const uint8_t digests[2][32] = {{0x11}, {0x22}};
	struct span_index *index = new_index(CODEC_NONE);
	struct buffer text = {0};
	struct error err = {0};

	add_span(index, 0, 1000, 1000);
	add_span(index, 1000, 1000, 1000);
	add_file(index, "a", 600, 512);
	assert_int_equal(span_index_cut(index, digests, 2, &err), 0);
	dump_toc(index->toc, &text);
	assert_string_equal((char *)text.data,
		"reg a 0644 0:0 0 size 600\n"
		"  chunk 0+488 at 512+488 inner 0 none 1100000000000000\n"
		"  chunk 488+112 at 1000+112 inner 0 none 2200000000000000\n");
	buffer_free(&text);
	span_index_free(index);
}

static void the_number_of_digests_has_to_be_that_of_the_pieces(void **state)
{
	(void)state;
	static const uint8_t digests[2][32] = {{0x11}, {0x22}};

	for (size_t n = 0; n <= 2; n += 2) {
		struct span_index *index = new_index(CODEC_GZIP);
		struct error err = {0};

		add_span(index, 0, 1000, 2000);
		add_file(index, "a", 100, 512);
		assert_int_equal(span_index_cut(index, digests, n, &err), -1);
		assert_int_equal(err.kind, ERROR_INTERNAL);
		span_index_free(index);
	}
}

static void files_are_cut_only_once(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};

	assert_int_equal(span_index_cut(index, NULL, 0, &err), 0);
	assert_int_equal(span_index_cut(index, NULL, 0, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	span_index_free(index);
	span_index_free(NULL);
}

static void a_payload_behind_the_spans_is_refused(void **state)
{
	(void)state;
	static const struct span_extent extent = {0, 100};
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};

	add_span(index, 0, 1000, 2000);
	add_file(index, "a", 1489, 512);
	assert_int_equal(span_index_cut(index, NULL, 0, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "entry 1 (a): 1489 bytes at 512"));
	span_index_freep(&index);

	index = new_index(CODEC_GZIP);
	assert_int_equal(try_sparse(index, "s", 1000, 512, &extent, 1, &err), 0);
	assert_int_equal(span_index_cut(index, NULL, 0, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	span_index_free(index);
}

static void spans_that_cannot_be_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t off, size, decoded_size;
		unsigned bits;
	} cases[] = {
		{500, 0, 10, 0},
		{500, 10, 0, 0},
		{499, 10, 10, 0},
		{498, 10, 10, 3},
		{BLOB_SIZE - 9, 10, 10, 0},
		{UINT64_MAX, 10, 10, 0},
		{500, UINT64_MAX, 10, 0},
		{500, 10, 10 * 1032 + 1032, 0}, /* deflate packs no better */
		{500, 10, UINT64_MAX, 0},
		{500, 10, 10, 8},
	};
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};

	add_span(index, 0, 500, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(try_span(index, cases[i].off, cases[i].size, cases[i].decoded_size,
					 cases[i].bits, &err),
			-1);
		assert_true(err.kind == ERROR_FORMAT || err.kind == ERROR_UNSUPPORTED);
		assert_int_equal(index->n_spans, 1);
	}
	assert_int_equal(try_span(index, 499, 10, 10, 3, &err), 0);
	assert_int_equal(index->n_spans, 2);
	assert_int_equal(index->archive_size, 1010);
	span_index_free(index);

	index = new_index(CODEC_NONE);
	assert_int_equal(try_span(index, 0, 10, 11, 0, &err), -1);
	assert_int_equal(try_span(index, 0, 10, 10, 0, &err), 0);
	span_index_free(index);
}

/* The second would decode another unit than the first for the same place of the blob. */
static void two_spans_never_start_at_the_same_byte(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};

	assert_int_equal(try_span(index, 10, 1, 5, 0, &err), 0);
	assert_int_equal(try_span(index, 10, 20, 5, 4, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	span_index_free(index);
}

static void a_span_of_another_codec_is_refused(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_GZIP);
	struct unit_span span = {.blob_size = 10, .decoded_size = 10, .codec = CODEC_ZSTD};
	struct error err = {0};

	assert_int_equal(span_index_add_span(index, &span, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	span_index_free(index);
}

static void windows_are_copied(void **state)
{
	(void)state;
	uint8_t window[] = "window";
	struct span_index *index = new_index(CODEC_GZIP);
	struct unit_span span = {
		.blob_size = 10,
		.decoded_size = 10,
		.codec = CODEC_GZIP,
		.in_member = true,
		.window = window,
		.window_size = sizeof(window),
	};
	struct error err = {0};

	assert_int_equal(span_index_add_span(index, &span, &err), 0);
	memset(window, 0, sizeof(window));
	assert_string_equal((const char *)index->spans[0].window, "window");
	span_index_free(index);
}

static void entries_that_cannot_be_are_refused(void **state)
{
	(void)state;
	static const struct span_extent outside = {900, 101}, empty = {5, 0};
	static const struct span_extent overlap[] = {{0, 10}, {9, 10}};
	struct span_index *index = new_index(CODEC_GZIP);
	struct toc_entry plain = {.name = "p", .type = TOC_REGULAR, .size = 100};
	struct span_payload payload = {.off = 4096, .n_extents = 1};
	struct error err = {0};

	add_file(index, "first", 1, 1024);
	assert_int_equal(try_entry(index, "back", TOC_REGULAR, 1, 1024, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(try_entry(index, "in-padding", TOC_DIRECTORY, 0, 1535, &err), -1);
	assert_int_equal(try_entry(index, "huge", TOC_REGULAR, UINT64_MAX, 4096, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_int_equal(try_entry(index, "far", TOC_FIFO, 0, UINT64_MAX, &err), -1);
	assert_int_equal(try_sparse(index, "outside", 1000, 4096, &outside, 1, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(try_sparse(index, "empty", 1000, 4096, &empty, 1, &err), -1);
	assert_int_equal(try_sparse(index, "overlap", 1000, 4096, overlap, 2, &err), -1);
	assert_int_equal(span_index_add_entry(index, &plain, &payload, &empty, &err), -1);
	assert_int_equal(index->toc->n_entries, 1);
	assert_int_equal(index->n_extents, 0);
	assert_int_equal(try_entry(index, "at-once", TOC_DIRECTORY, 0, 1536, &err), 0);
	span_index_free(index);
}

static void headers_lie_between_payloads(void **state)
{
	(void)state;
	static const struct span_extent extents[] = {{0, 10}, {100, 20}};
	struct span_index *index = new_index(CODEC_GZIP);
	struct error err = {0};
	uint64_t off, size;

	add_file(index, "a", 513, 1024);
	assert_int_equal(try_sparse(index, "s", 1000, 3072, extents, 2, &err), 0);
	assert_int_equal(try_entry(index, "d", TOC_DIRECTORY, 0, 4096, &err), 0);
	assert_int_equal(try_entry(index, "e", TOC_DIRECTORY, 0, 4608, &err), 0);
	span_index_headers(index, 0, &off, &size);
	assert_true(off == 0 && size == 1024);
	span_index_headers(index, 1, &off, &size);
	assert_true(off == 2048 && size == 1024);
	span_index_headers(index, 2, &off, &size);
	assert_true(off == 3584 && size == 512);
	span_index_headers(index, 3, &off, &size);
	assert_true(off == 4096 && size == 512);
	span_index_free(index);
}

static void the_span_of_a_byte_is_found(void **state)
{
	(void)state;
	struct span_index *index = new_index(CODEC_GZIP);
	uint64_t start;

	for (uint64_t i = 0; i < 100; i++)
		add_span(index, i * 10, 10, i + 1);
	for (uint64_t i = 0, first = 0; i < 100; first += ++i) {
		assert_int_equal(span_index_find(index, first, &start), i);
		assert_int_equal(start, first);
		assert_int_equal(span_index_find(index, first + i, &start), i);
		assert_int_equal(start, first);
	}
	span_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_cut_where_spans_end),
		cmocka_unit_test(a_hole_is_zeros_in_its_place),
		cmocka_unit_test(pieces_of_a_large_span_are_8_mib_at_most),
		cmocka_unit_test(pieces_with_digests_need_no_span_to_vouch_for_them),
		cmocka_unit_test(a_plain_piece_with_a_digest_is_fetched_alone),
		cmocka_unit_test(the_number_of_digests_has_to_be_that_of_the_pieces),
		cmocka_unit_test(files_are_cut_only_once),
		cmocka_unit_test(a_payload_behind_the_spans_is_refused),
		cmocka_unit_test(spans_that_cannot_be_are_refused),
		cmocka_unit_test(two_spans_never_start_at_the_same_byte),
		cmocka_unit_test(a_span_of_another_codec_is_refused),
		cmocka_unit_test(windows_are_copied),
		cmocka_unit_test(entries_that_cannot_be_are_refused),
		cmocka_unit_test(headers_lie_between_payloads),
		cmocka_unit_test(the_span_of_a_byte_is_found),
	};
	return cmocka_run_group_tests_name("format/span_index", tests, NULL, NULL);
}
