/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of the layers in tests/golden/ztoc, compared with their ztocs. */
#include "format/span_headers.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "format/ztoc.h"
#include "golden.h"

struct layer {
	struct buffer archive;
	struct span_headers *headers; /* owned */
	const struct span_index *index;
};

static struct layer open_layer(const char *name)
{
	static const struct digest digest = {.algorithm = DIGEST_SHA256};
	struct buffer blob = golden_read(name, "blob"), ztoc = golden_read(name, "ztoc");
	struct ztoc_options options = {.blob = &digest, .blob_size = blob.size};
	struct span_index *index = NULL;
	struct layer layer = {0};
	struct error err = {0};

	if (ztoc_parse(ztoc.data, ztoc.size, &options, &index, &err) < 0 ||
		codec_decode_all(
			index->codec, blob.data, blob.size, 1 << 20, &layer.archive, &err) < 0 ||
		span_headers_new(index, &layer.headers, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	layer.index = span_headers_index(layer.headers);
	buffer_free(&blob);
	buffer_free(&ztoc);
	return layer;
}

static void close_layer(struct layer *layer)
{
	span_headers_freep(&layer->headers);
	assert_null(layer->headers);
	buffer_free(&layer->archive);
}

static int check(struct layer *layer, size_t entry, struct error *err)
{
	uint64_t off, size;

	span_index_headers(layer->index, entry, &off, &size);
	assert_true(range_within(off, size, layer->archive.size));
	return span_headers_check(
		layer->headers, entry, layer->archive.data + off, (size_t)size, err);
}

static void check_layer(const char *name)
{
	struct layer layer = open_layer(name);
	struct error err = {0};

	for (size_t i = 0; i < layer.index->toc->n_entries; i++) {
		assert_false(span_headers_are_checked(layer.headers, i));
		if (check(&layer, i, &err) < 0)
			fail_msg("%s: %s", name, err.message);
		assert_true(span_headers_are_checked(layer.headers, i));
	}
	close_layer(&layer);
}

static void every_golden_ztoc_says_what_its_archive_says(void **state)
{
	(void)state;
	golden_each(false, check_layer);
}

static struct toc_entry *find(const struct layer *layer, const char *name)
{
	for (size_t i = 0; i < layer->index->toc->n_entries; i++) {
		if (strcmp(layer->index->toc->entries[i].name, name) == 0)
			return &layer->index->toc->entries[i];
	}
	fail_msg("no entry %s", name);
	return NULL;
}

static void expect_lie(struct layer *layer, const struct toc_entry *entry, const char *words)
{
	size_t i = (size_t)(entry - layer->index->toc->entries);
	struct error err = {0};

	assert_int_equal(check(layer, i, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	assert_false(span_headers_are_checked(layer->headers, i));
}

static void each_attribute_that_is_a_lie_is_named(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *text = find(&layer, "etc/text"), *device = find(&layer, "null");
	struct toc_entry *link = find(&layer, "bin"), saved = *text;

	text->mode = 0644;
	expect_lie(&layer, text, "entry etc/text: its mode is 0644 in the index, but 4755 in");
	*text = saved;
	text->uid = 7;
	expect_lie(&layer, text, "its owner is 7 in the index, but 0 in the archive");
	*text = saved;
	text->gid = 8;
	expect_lie(&layer, text, "its group is 8 in the index");
	*text = saved;
	text->mtime_s++;
	expect_lie(&layer, text, "its time of modification is 1700000001.000000000 in the index");
	*text = saved;
	text->mtime_ns = 1;
	expect_lie(&layer, text, "its time of modification is 1700000000.000000001 in the index");
	*text = saved;
	text->name = "etc/shadow";
	expect_lie(&layer, text, "entry etc/shadow: its name is etc/shadow in the index, but etc/");
	*text = saved;
	text->type = TOC_FIFO;
	expect_lie(&layer, text, "its type is fifo in the index, but reg in the archive");
	*text = saved;
	device->dev_minor = 4;
	expect_lie(&layer, device, "its minor number is 4 in the index, but 3 in the archive");
	device->dev_major = 2;
	expect_lie(&layer, device, "its major number is 2 in the index");
	link->link_name = "elsewhere";
	expect_lie(&layer, link, "its link name is elsewhere in the index, but usr/./bin/ in the");
	close_layer(&layer);
}

static void a_size_that_is_a_lie_is_named(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *text = find(&layer, "etc/text");

	/* Within the padding, so that the places of other headers stay. */
	text->size++;
	expect_lie(&layer, text, "its size is 26138 in the index, but 26137 in the archive");
	close_layer(&layer);
}

static void xattrs_have_to_be_the_same_on_both_sides(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *text = find(&layer, "etc/text");
	struct toc_xattr *xattr = &layer.index->toc->xattrs[text->first_xattr];
	struct toc_xattr saved = *xattr;

	assert_int_equal(text->n_xattrs, 2);
	text->n_xattrs = 1;
	expect_lie(&layer, text, "its xattr user.comment is not the same");
	text->n_xattrs = 2;
	xattr->name = "user.more";
	expect_lie(&layer, text, "its xattr user.more is not the same");
	*xattr = saved;
	xattr->value_size--;
	expect_lie(&layer, text, "its xattr security.capability is not the same");
	close_layer(&layer);
}

static void a_place_without_a_header_is_a_lie(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *text = find(&layer, "etc/text");
	uint8_t zeros[1024] = {0};
	struct error err = {0};

	assert_int_equal(
		span_headers_compare(layer.index->toc, text, zeros, sizeof(zeros), &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(span_headers_compare(layer.index->toc, text, "", 0, &err), -1);
	assert_non_null(strstr(err.message, "no header where the index has one"));
	memset(zeros, 'x', sizeof(zeros));
	assert_int_equal(
		span_headers_compare(layer.index->toc, text, zeros, sizeof(zeros), &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	close_layer(&layer);
}

/* Another member would be hidden from the index there. */
static void a_member_that_the_index_leaves_out_is_a_lie(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *device = find(&layer, "null");
	size_t i = (size_t)(device - layer.index->toc->entries);
	uint64_t off, size, before_off, before_size;
	struct error err = {0};

	span_index_headers(layer.index, i, &off, &size);
	span_index_headers(layer.index, i - 1, &before_off, &before_size);
	assert_int_equal(before_off + before_size, off);
	assert_int_equal(
		span_headers_compare(layer.index->toc, device, layer.archive.data + before_off,
			(size_t)(before_size + size), &err),
		-1);
	assert_non_null(strstr(err.message, "its headers end "));
	close_layer(&layer);
}

static void the_headers_of_a_units_file_are_found(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	struct toc_entry *noise = find(&layer, "noise");
	size_t i = (size_t)(noise - layer.index->toc->entries);
	uint64_t payload = layer.index->payloads[i].off, start, off, size;
	struct span_headers_place place;
	size_t span;

	span_index_headers(layer.index, i, &off, &size);
	for (uint64_t n = 0; n < noise->size; n += noise->size - 1) {
		span = span_index_find(layer.index, payload + n, &start);
		assert_true(span_headers_find(layer.headers, layer.index->spans[span].blob_off,
			payload + n - start, &place));
		assert_int_equal(place.entry, i);
		assert_int_equal(place.off, off);
		assert_int_equal(place.size, size);
		assert_int_equal(place.first_span, span_index_find(layer.index, off, &start));
		assert_int_equal(place.inner_off, off - start);
		assert_int_equal(place.n_spans,
			span_index_find(layer.index, payload - 1, &start) - place.first_span + 1);
	}
	span = span_index_find(layer.index, payload + noise->size, &start);
	assert_false(span_headers_find(layer.headers, layer.index->spans[span].blob_off,
		payload + noise->size - start, &place));
	assert_false(span_headers_find(layer.headers, 10, 0, &place));
	assert_false(span_headers_find(layer.headers, 11, 600, &place));
	assert_false(span_headers_find(layer.headers, 10, UINT64_MAX, &place));
	close_layer(&layer);
}

static int check_span(struct layer *layer, size_t span, struct error *err)
{
	uint64_t start = 0;

	for (size_t i = 0; i < span; i++)
		start += layer->index->spans[i].decoded_size;
	return span_headers_check_span(layer->headers, span, layer->archive.data + start,
		(size_t)layer->index->spans[span].decoded_size, err);
}

/* Those that lie in several spans, when the last of these was seen, in whatever order. */
static void a_decoded_span_is_good_for_all_headers_that_it_completes(void **state)
{
	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		struct layer layer = open_layer("plain");
		size_t n = layer.index->n_spans, n_several = 0;
		bool *seen = calloc(n, sizeof(*seen));
		struct error err = {0};

		assert_true(n > 3);
		for (size_t i = 0; i < n; i++) {
			size_t span = backwards ? n - 1 - i : i;

			if (check_span(&layer, span, &err) < 0 ||
				check_span(&layer, span, &err) < 0)
				fail_msg("%s", err.message);
			seen[span] = true;
			for (size_t j = 0; j < layer.index->toc->n_entries; j++) {
				uint64_t off, size, ignored;
				size_t first, last, missing;
				bool all = true;

				span_index_headers(layer.index, j, &off, &size);
				first = span_index_find(layer.index, off, &ignored);
				last = span_index_find(layer.index, off + size - 1, &ignored);
				n_several += i == 0 && first != last;
				for (size_t k = first; k <= last; k++)
					all = all && seen[k];
				assert_int_equal(span_headers_are_checked(layer.headers, j), all);
				assert_int_equal(
					span_headers_missing(layer.headers, j, &missing), !all);
				if (!all)
					assert_false(seen[missing]);
			}
		}
		assert_in_range(n_several, 1, layer.index->toc->n_entries - 1);
		free(seen);
		close_layer(&layer);
	}
}

static void a_lie_about_headers_in_two_spans_is_found(void **state)
{
	(void)state;
	struct layer layer = open_layer("plain");
	struct error err = {0};
	uint64_t off, size, ignored;
	size_t i = 0, first, last;

	do {
		assert_true(++i < layer.index->toc->n_entries);
		span_index_headers(layer.index, i, &off, &size);
		first = span_index_find(layer.index, off, &ignored);
		last = span_index_find(layer.index, off + size - 1, &ignored);
	} while (first == last);
	layer.index->toc->entries[i].mode ^= 01;
	for (size_t span = 0; span < last; span++)
		assert_int_equal(check_span(&layer, span, &err), 0);
	assert_int_equal(check_span(&layer, last, &err), -1);
	assert_non_null(strstr(err.message, "its mode is "));
	assert_false(span_headers_are_checked(layer.headers, i));
	span_headers_set_checked(layer.headers, i);
	assert_int_equal(check_span(&layer, last, &err), 0);
	close_layer(&layer);
}

static bool is_odd_span(void *arg, uint64_t blob_off)
{
	const struct span_index *index = arg;
	size_t i = 0;

	while (index->spans[i].blob_off != blob_off)
		i++;
	return i % 2 == 1;
}

static void windows_that_somebody_else_has_are_freed(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip");
	size_t n_kept = 0;

	span_headers_drop_windows(layer.headers, is_odd_span, (void *)layer.index);
	for (size_t i = 0; i < layer.index->n_spans; i++) {
		if (i % 2 == 1)
			assert_int_equal(layer.index->spans[i].window_size, 0);
		n_kept += layer.index->spans[i].window_size > 0;
	}
	assert_true(n_kept > 0);
	close_layer(&layer);
}

static void an_entry_without_room_for_a_header_is_refused(void **state)
{
	(void)state;
	struct span_headers *headers = NULL;
	struct span_index *index = NULL;
	struct span_payload payload = {.off = 511};
	struct toc_entry entry = {.type = TOC_DIRECTORY, .name = "a", .link_name = ""};
	struct error err = {0};

	assert_int_equal(span_index_new(&index, &err), 0);
	assert_int_equal(span_index_add_entry(index, &entry, &payload, NULL, &err), 0);
	assert_int_equal(span_headers_new(index, &headers, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "no room for its header"));
	index->payloads[0].off = SPAN_HEADERS_MAX_SIZE + 1;
	assert_int_equal(span_headers_new(index, &headers, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	index->payloads[0].off = 512;
	assert_int_equal(span_headers_new(index, &headers, &err), -1);
	assert_non_null(strstr(err.message, "lies behind the spans"));
	assert_null(headers);
	span_index_freep(&index);
}

static void a_lie_in_a_decoded_span_is_found(void **state)
{
	(void)state;
	struct layer layer = open_layer("gzip-one-span");
	struct error err = {0};

	find(&layer, "twice")->mode = 01777;
	assert_int_equal(
		span_headers_check_span(layer.headers, 0, layer.archive.data, 5000, &err), 0);
	assert_int_equal(span_headers_check_span(
				 layer.headers, 0, layer.archive.data, layer.archive.size, &err),
		-1);
	assert_non_null(strstr(err.message, "entry twice: its mode is 1777"));
	close_layer(&layer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_ztoc_says_what_its_archive_says),
		cmocka_unit_test(each_attribute_that_is_a_lie_is_named),
		cmocka_unit_test(a_size_that_is_a_lie_is_named),
		cmocka_unit_test(xattrs_have_to_be_the_same_on_both_sides),
		cmocka_unit_test(a_place_without_a_header_is_a_lie),
		cmocka_unit_test(a_member_that_the_index_leaves_out_is_a_lie),
		cmocka_unit_test(the_headers_of_a_units_file_are_found),
		cmocka_unit_test(a_decoded_span_is_good_for_all_headers_that_it_completes),
		cmocka_unit_test(a_lie_about_headers_in_two_spans_is_found),
		cmocka_unit_test(windows_that_somebody_else_has_are_freed),
		cmocka_unit_test(an_entry_without_room_for_a_header_is_refused),
		cmocka_unit_test(a_lie_in_a_decoded_span_is_found),
	};
	return cmocka_run_group_tests_name("format/span_headers", tests, NULL, NULL);
}
