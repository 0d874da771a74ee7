/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/gzip_indexer.h"

#include "support/test.h"

#include <string.h>
#include <zlib.h>

#include "chunk/codec.h"
#include "support/scratch.h"
#include "support/span_list.h"

enum { SIZE = 1500000, SPAN = 100000 };

static uint8_t plain[SIZE];

static void encode(const struct gzip_style *style, size_t from, size_t to, struct buffer *out)
{
	encode_gzip_member(style, plain + from, to - from, out);
}

/* Indexes the blob, and decodes each span by itself. */
static void check(const struct buffer *blob, size_t size, struct gzip_indexer_summary *summary)
{
	struct span_list list = {0};
	struct error err = {0};

	if (span_list_index(&list, blob->data, blob->size, SPAN, blob->size, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(list.plain.size, size);
	assert_memory_equal(list.plain.data, plain, size);
	span_list_check(&list, blob->data, blob->size);
	*summary = list.summary;
	span_list_free(&list);
}

static void refuse(const struct buffer *blob, const char *why)
{
	struct span_list list = {0};
	struct error err = {0};

	assert_int_equal(span_list_index(&list, blob->data, blob->size, SPAN, 777, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, why))
		fail_msg("'%s' is not in '%s'", why, err.message);
	span_list_free(&list);
}

static void every_span_of_any_gzip_stream_decodes_by_itself(void **state)
{
	(void)state;
	static const struct gzip_style styles[] = {
		{.level = 1},
		{.level = 6},
		{.level = 9, .name = "a name in the header"},
		{.level = 0},
		{.level = 6, .strategy = Z_FIXED},
		{.level = 6, .strategy = Z_HUFFMAN_ONLY},
		{.level = 6, .strategy = Z_RLE},
		{.level = 6, .flush_every = 131072},
		{.level = 6, .flush_every = 3001},
	};

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
		struct gzip_indexer_summary summary;
		struct buffer blob = {0};

		encode(&styles[i], 0, SIZE, &blob);
		check(&blob, SIZE, &summary);
		assert_int_equal(summary.blob_size, blob.size);
		assert_int_equal(summary.decoded_size, SIZE);
		assert_int_equal(summary.n_members, 1);
		assert_in_range(summary.n_spans, SIZE / SPAN / 5, SIZE / SPAN);
		buffer_free(&blob);
	}
}

static void members_follow_each_other_and_may_be_empty(void **state)
{
	(void)state;
	static const size_t cuts[] = {
		0, 0, 1, 70000, 70000, 70000, 300000, 1200000, 1200001, SIZE, SIZE, SIZE};
	const struct gzip_style style = {.level = 6};
	struct gzip_indexer_summary summary;
	struct buffer blob = {0};

	for (size_t i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++)
		encode(&style, cuts[i], cuts[i + 1], &blob);
	check(&blob, SIZE, &summary);
	assert_int_equal(summary.n_members, 11);
	buffer_free(&blob);
}

/* The members of bgzip: 64 KiB each, and at the end one that is empty. */
static void spans_of_small_members_begin_at_members(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct span_list list = {0};
	struct buffer blob = {0};
	struct error err = {0};

	for (size_t off = 0; off < SIZE; off += 65280)
		encode(&style, off, off + 65280 < SIZE ? off + 65280 : SIZE, &blob);
	encode(&style, 0, 0, &blob);
	assert_int_equal(
		span_list_index(&list, blob.data, blob.size, 2 * 65280, blob.size, &err), 0);
	assert_int_equal(list.n_spans, (SIZE + 65279) / 65280);
	for (size_t i = 0; i < list.n_spans; i++) {
		assert_false(list.spans[i].span.in_member);
		assert_int_equal(list.spans[i].span.window_size, 0);
	}
	span_list_check(&list, blob.data, blob.size);
	span_list_free(&list);
	buffer_free(&blob);
}

static void the_same_spans_are_found_however_the_bytes_arrive(void **state)
{
	(void)state;
	static const size_t steps[] = {1, 7, 4096, 100001};
	const struct gzip_style style = {.level = 6};
	struct span_list expected = {0};
	struct buffer blob = {0};
	struct error err = {0};

	encode(&style, 0, SIZE / 2, &blob);
	encode(&style, SIZE / 2, SIZE, &blob);
	assert_int_equal(
		span_list_index(&expected, blob.data, blob.size, SPAN, blob.size, &err), 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct span_list list = {0};

		assert_int_equal(
			span_list_index(&list, blob.data, blob.size, SPAN, steps[i], &err), 0);
		span_list_assert_equal(&list, &expected);
		span_list_free(&list);
	}
	span_list_free(&expected);
	buffer_free(&blob);
}

static void zeros_behind_the_last_member_are_ignored(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct gzip_indexer_summary summary;
	struct buffer blob = {0};
	uint8_t *zeros = calloc(1, 10000);

	encode(&style, 0, SIZE, &blob);
	assert_int_equal(buffer_append(&blob, zeros, 10000), 0);
	check(&blob, SIZE, &summary);
	assert_int_equal(summary.blob_size, blob.size);
	assert_int_equal(summary.n_members, 1);

	assert_int_equal(buffer_append(&blob, "x", 1), 0);
	refuse(&blob, "the zeros behind the last gzip member end at byte ");
	free(zeros);
	buffer_free(&blob);
}

static void what_is_no_gzip_is_refused(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct buffer member = {0}, blob = {0};

	refuse(&blob, "an empty blob is not gzip");
	assert_int_equal(buffer_append(&blob, "plain text", 10), 0);
	refuse(&blob, "not valid gzip near byte 2: incorrect header check");
	buffer_free(&blob);
	assert_int_equal(buffer_append(&blob, "\0\0\0\0", 4), 0);
	refuse(&blob, "not valid gzip");
	buffer_free(&blob);

	encode(&style, 0, SIZE, &member);
	for (size_t cut = 1; cut < 30; cut++) {
		blob = (struct buffer){0};
		assert_int_equal(buffer_append(&blob, member.data, member.size - cut), 0);
		refuse(&blob, "in the middle of a gzip member");
		buffer_free(&blob);
	}
	buffer_free(&member);
}

static void garbage_behind_the_last_member_is_refused(void **state)
{
	(void)state;
	static const char *const garbage[] = {
		"x", "garbage", "\x1f", "\x1f\x8b", "\x1f\x8b\x08\xff"};
	const struct gzip_style style = {.level = 6};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct span_list list = {0};
		struct buffer blob = {0};
		struct error err = {0};

		encode(&style, 0, 1000, &blob);
		assert_int_equal(buffer_append(&blob, garbage[i], strlen(garbage[i])), 0);
		assert_int_equal(span_list_index(&list, blob.data, blob.size, SPAN, 3, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (i == 1)
			assert_non_null(strstr(err.message, "is neither another member nor zeros"));
		span_list_free(&list);
		buffer_free(&blob);
	}
}

static void a_wrong_checksum_or_length_is_refused(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct buffer blob = {0};

	encode(&style, 0, SIZE, &blob);
	blob.data[blob.size - 8] ^= 1;
	refuse(&blob, "incorrect data check");
	blob.data[blob.size - 8] ^= 1;
	blob.data[blob.size - 1] ^= 1;
	refuse(&blob, "incorrect length check");
	buffer_free(&blob);
}

static void a_receiver_that_fails_ends_the_work(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct buffer blob = {0};

	encode(&style, 0, SIZE, &blob);
	for (int i = 0; i < 2; i++) {
		struct span_list list = {.fail_at_piece = i == 0 ? 3 : 0, .fail_at_span = i};
		struct error err = {0};

		assert_int_equal(span_list_index(&list, blob.data, blob.size, SPAN, 999, &err), -1);
		assert_int_equal(err.kind, ERROR_NO_SPACE);
		span_list_free(&list);
	}
	buffer_free(&blob);
}

/* Most of a window is not referred to: that is what makes an index small. */
static void windows_hold_only_what_the_span_refers_to(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	uint8_t window[SPAN_WINDOW_SIZE];
	struct span_list list = {0};
	struct buffer blob = {0};
	struct error err = {0};
	size_t n_windows = 0;

	encode(&style, 0, SIZE, &blob);
	assert_int_equal(span_list_index(&list, blob.data, blob.size, SPAN, blob.size, &err), 0);
	for (size_t i = 0; i < list.n_spans; i++) {
		const struct found_span *found = &list.spans[i];
		const uint8_t *before = list.plain.data + found->out_off - SPAN_WINDOW_SIZE;

		if (found->span.window_size == 0)
			continue;
		n_windows++;
		assert_int_equal(span_window_unpack(
					 found->span.window, found->span.window_size, window, &err),
			0);
		for (size_t k = 0; k < SPAN_WINDOW_SIZE; k++)
			assert_true(window[k] == 0 || window[k] == before[k]);
		span_list_check_need(&list, i, blob.data, window);
	}
	assert_in_range(n_windows, 3, list.n_spans);
	span_list_free(&list);
	buffer_free(&blob);
}

static void check_tool(struct scratch *scratch, const char *command)
{
	struct gzip_indexer_summary summary;
	struct buffer blob = {0};
	char line[1024];
	FILE *file;

	(void)snprintf(line, sizeof(line), "cd '%s' && %s", scratch->path, command);
	file = popen(line, "r"); /* NOLINT(cert-env33-c): the test's own command */
	assert_non_null(file);
	for (;;) {
		char piece[65536];
		size_t n = fread(piece, 1, sizeof(piece), file);

		if (n == 0)
			break;
		assert_int_equal(buffer_append(&blob, piece, n), 0);
	}
	assert_int_equal(pclose(file), 0);
	check(&blob, SIZE, &summary);
	buffer_free(&blob);
}

static void output_of_real_compressors_is_indexed(void **state)
{
	struct scratch *scratch = *state;
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/plain", scratch->path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(plain, 1, SIZE, file), SIZE);
	assert_int_equal(fclose(file), 0);

	check_tool(scratch, "gzip -1 < plain");
	check_tool(scratch, "gzip -6 < plain");
	check_tool(scratch, "gzip -9 < plain");
	check_tool(scratch, "(head -c 700000 plain | gzip; tail -c +700001 plain | gzip -9)");
	if (system("pigz --version >/dev/null 2>&1") != 0) { /* NOLINT(cert-env33-c) */
		print_message("pigz is not installed: its output was not tried\n");
		return;
	}
	check_tool(scratch, "pigz -p 4 -b 128 < plain");
	check_tool(scratch, "pigz -p 4 -b 128 --independent < plain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_span_of_any_gzip_stream_decodes_by_itself),
		cmocka_unit_test(members_follow_each_other_and_may_be_empty),
		cmocka_unit_test(spans_of_small_members_begin_at_members),
		cmocka_unit_test(the_same_spans_are_found_however_the_bytes_arrive),
		cmocka_unit_test(zeros_behind_the_last_member_are_ignored),
		cmocka_unit_test(what_is_no_gzip_is_refused),
		cmocka_unit_test(garbage_behind_the_last_member_is_refused),
		cmocka_unit_test(a_wrong_checksum_or_length_is_refused),
		cmocka_unit_test(a_receiver_that_fails_ends_the_work),
		cmocka_unit_test(windows_hold_only_what_the_span_refers_to),
		cmocka_unit_test_setup_teardown(
			output_of_real_compressors_is_indexed, scratch_setup, scratch_teardown),
	};

	fill_mixture(plain, sizeof(plain), 11);
	return cmocka_run_group_tests_name("chunk/gzip_indexer", tests, NULL, NULL);
}
