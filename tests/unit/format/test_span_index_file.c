/* SPDX-License-Identifier: Apache-2.0 */
/* Files of indexes: those of the layers in tests/golden/ztoc, and broken ones. */
#include "format/span_index_file.h"

#include "support/test.h"

#include <string.h>

#include "chunk/codec.h"
#include "chunk/encode.h"
#include "golden.h"
#include "span_dump.h"
#include "support/span_pass.h"

static struct span_index *pass_over(enum codec codec, const struct buffer *blob, uint64_t span_size)
{
	struct span_index *index = NULL;
	struct error err = {0};

	if (span_pass(codec, blob->data, blob->size, span_size, &index, &err) < 0)
		fail_msg("%s", err.message);
	return index;
}

static struct buffer file_of(const struct span_index *index)
{
	struct buffer file = {0};
	struct error err = {0};

	if (span_index_write(index, &file, NULL, &err) < 0)
		fail_msg("%s", err.message);
	return file;
}

static struct span_index *parse(const struct buffer *file)
{
	struct span_index *index = NULL;
	struct error err = {0};

	if (span_index_parse(file->data, file->size, &index, &err) < 0)
		fail_msg("%s", err.message);
	return index;
}

static void expect_same(const struct span_index *a, const struct span_index *b)
{
	struct buffer left = {0}, right = {0};

	dump_span_index(a, &left);
	dump_span_index(b, &right);
	assert_string_equal((char *)left.data, (char *)right.data);
	assert_int_equal(a->codec, b->codec);
	assert_int_equal(a->blob_size, b->blob_size);
	assert_int_equal(a->archive_size, b->archive_size);
	assert_true(digest_equal(&a->blob, &b->blob));
	assert_true(digest_equal(&a->diff_id, &b->diff_id));
	for (size_t i = 0; i < a->toc->n_entries; i++) {
		assert_int_equal(a->payloads[i].off, b->payloads[i].off);
		assert_int_equal(a->payloads[i].is_sparse, b->payloads[i].is_sparse);
	}
	buffer_free(&left);
	buffer_free(&right);
}

static void check_layer(const char *name)
{
	enum codec codec = strncmp(name, "plain", 5) == 0 ? CODEC_NONE : CODEC_GZIP;
	struct buffer blob = golden_read(name, "blob");
	struct span_index *index = pass_over(codec, &blob, 9000);
	struct buffer file = file_of(index);
	struct span_index *again = parse(&file);
	struct buffer file_again = file_of(again);

	expect_same(index, again);
	assert_int_equal(file.size, file_again.size);
	assert_memory_equal(file.data, file_again.data, file.size);
	span_index_free(index);
	span_index_free(again);
	buffer_free(&file);
	buffer_free(&file_again);
	buffer_free(&blob);
}

static void an_index_comes_back_from_its_file_as_it_was(void **state)
{
	(void)state;
	golden_each(false, check_layer);
}

static void check_span(
	const struct unit_span *span, const struct buffer *blob, const uint8_t *expected)
{
	size_t size = (size_t)span->decoded_size;
	struct decoded *decoded = NULL;
	struct digest digest;
	struct error err = {0};

	if (codec_decode_span(span, blob->data + span->blob_off, (size_t)span->blob_size, 0, size,
		    &decoded, &err) < 0)
		fail_msg("%s", err.message);
	assert_memory_equal(decoded_data(decoded), expected, size);
	assert_int_equal(digest_compute(DIGEST_SHA256, expected, size, &digest, &err), 0);
	assert_memory_equal(digest.bytes, span->digest, 32);
	decoded_unref(decoded);
}

static void the_spans_of_an_index_decode_to_the_archive_and_have_its_digests(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip", "blob");
	struct span_index *made = pass_over(CODEC_GZIP, &blob, 9000);
	struct buffer file = file_of(made);
	struct span_index *index = parse(&file);
	struct buffer archive = {0};
	uint64_t start = 0;
	struct error err = {0};

	assert_int_equal(
		codec_decode_all(CODEC_GZIP, blob.data, blob.size, 1 << 20, &archive, &err), 0);
	assert_int_equal(index->archive_size, archive.size);
	assert_true(index->n_spans >= 4);
	for (size_t i = 0; i < index->n_spans; i++) {
		check_span(&index->spans[i], &blob, archive.data + start);
		start += index->spans[i].decoded_size;
	}
	span_index_free(made);
	span_index_free(index);
	buffer_free(&file);
	buffer_free(&archive);
	buffer_free(&blob);
}

static void add_sparse_file(struct span_index *index)
{
	static const struct span_extent extents[] = {{0, 100}, {1 << 20, 5000}};
	struct toc_entry entry = {
		.name = "sparse",
		.type = TOC_REGULAR,
		.size = 2 << 20,
		.mode = 07777,
		.uid = UINT32_MAX,
		.mtime_s = INT64_MIN,
		.mtime_ns = 999999999,
	};
	struct span_payload payload = {.off = 1024, .n_extents = 2, .is_sparse = true};
	struct error err = {0};

	assert_int_equal(span_index_add_entry(index, &entry, &payload, extents, &err), 0);
	entry = (struct toc_entry){.name = "hole",
		.type = TOC_REGULAR,
		.size = INT64_C(1) << 40,
		.mtime_s = INT64_MAX};
	payload = (struct span_payload){.off = 6656 + 512, .is_sparse = true};
	assert_int_equal(span_index_add_entry(index, &entry, &payload, NULL, &err), 0);
}

static struct span_index *new_index(uint64_t decoded_size)
{
	struct span_index *index = NULL;
	struct unit_span span = {.blob_size = 20000,
		.decoded_size = decoded_size,
		.digest_kind = SPAN_DIGEST_DECODED,
		.codec = CODEC_GZIP};
	struct error err = {0};

	assert_int_equal(span_index_new(&index, &err), 0);
	index->codec = CODEC_GZIP;
	index->blob_size = 20000;
	index->blob.algorithm = DIGEST_SHA512;
	index->diff_id.algorithm = DIGEST_SHA256;
	assert_int_equal(span_index_add_span(index, &span, &err), 0);
	return index;
}

static void extreme_attributes_and_sparse_files_come_back(void **state)
{
	(void)state;
	struct span_index *index = new_index(10000);
	struct span_index *again;
	struct buffer file;
	struct error err = {0};

	add_sparse_file(index);
	file = file_of(index);
	again = parse(&file);
	assert_int_equal(span_index_cut(index, NULL, 0, &err), 0);
	assert_int_equal(span_index_cut(again, NULL, 0, &err), 0);
	expect_same(index, again);
	span_index_free(index);
	span_index_free(again);
	buffer_free(&file);
}

static void what_lacks_digests_is_no_file(void **state)
{
	(void)state;
	struct unit_span encoded = {.blob_off = 10,
		.blob_size = 10,
		.decoded_size = 10,
		.digest_kind = SPAN_DIGEST_ENCODED,
		.codec = CODEC_GZIP};
	struct span_index *index = new_index(1000);
	struct buffer file = {0};
	struct error err = {0};

	index->diff_id.algorithm = 0;
	assert_int_equal(span_index_write(index, &file, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	index->diff_id.algorithm = DIGEST_SHA256;
	index->n_spans = 0;
	assert_int_equal(span_index_add_span(index, &encoded, &err), 0);
	assert_int_equal(span_index_write(index, &file, NULL, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_int_equal(file.size, 0);
	span_index_free(index);
}

static void sizes_are_of_everything_in_the_file(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip", "blob");
	struct span_index *index = pass_over(CODEC_GZIP, &blob, 9000);
	struct span_index_file_sizes sizes;
	struct buffer file = {0}, body = {0};
	struct error err = {0};

	assert_int_equal(span_index_write(index, &file, &sizes, &err), 0);
	assert_int_equal(
		codec_decode_all(CODEC_ZSTD, file.data + 16, file.size - 16, 1 << 20, &body, &err),
		0);
	assert_int_equal(sizes.digests, index->n_spans * 32);
	assert_true(sizes.names > 0 && sizes.attributes > 0 && sizes.spans > 0);
	assert_true(sizes.windows > 0);
	/* Besides, there are only the sizes of 19 columns. */
	assert_in_range(body.size - sizes.names - sizes.attributes - sizes.spans - sizes.digests -
				sizes.windows,
		19, 60);
	span_index_free(index);
	buffer_free(&blob);
	buffer_free(&file);
	buffer_free(&body);
}

static void refuse(const struct buffer *file, enum error_kind kind, const char *words)
{
	struct span_index *index = NULL;
	struct error err = {0};

	assert_int_equal(span_index_parse(file->data, file->size, &index, &err), -1);
	assert_null(index);
	if (err.kind != kind || !strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void what_is_no_file_of_this_version_is_refused(void **state)
{
	(void)state;
	struct span_index *index = new_index(1000);
	struct buffer file = file_of(index), nothing = {.data = (uint8_t *)"", .size = 0};
	size_t size = file.size;

	refuse(&nothing, ERROR_FORMAT, "does not begin as one");
	file.data[0] ^= 1;
	refuse(&file, ERROR_FORMAT, "does not begin as one");
	file.data[0] ^= 1;
	file.data[8] = 2;
	refuse(&file, ERROR_UNSUPPORTED, "version 2; this program reads version 1");
	file.data[8] = 1;
	for (file.size = 16; file.size < size; file.size++)
		refuse(&file, ERROR_FORMAT, "index of spans: ");
	span_index_free(index);
	buffer_free(&file);
}

static struct buffer pack(const struct buffer *body)
{
	struct buffer file = {0};
	struct error err = {0};

	assert_int_equal(buffer_append(&file, "varvespx\1\0\0\0\0\0\0\0", 16), 0);
	assert_int_equal(zstd_encode(body->data, body->size, 1, &file, &err), 0);
	return file;
}

static struct buffer body_of(const char *name)
{
	struct buffer blob = golden_read(name, "blob"), body = {0};
	struct span_index *index = pass_over(CODEC_GZIP, &blob, 9000);
	struct buffer file = file_of(index);
	struct error err = {0};

	assert_int_equal(
		codec_decode_all(CODEC_ZSTD, file.data + 16, file.size - 16, 1 << 20, &body, &err),
		0);
	span_index_free(index);
	buffer_free(&blob);
	buffer_free(&file);
	return body;
}

static void a_body_with_any_byte_changed_is_read_or_refused_in_bounds(void **state)
{
	(void)state;
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	struct buffer body = body_of("gzip");
	size_t n_refused = 0;

	for (size_t i = 0; i < body.size; i++) {
		struct span_index *index = NULL;
		struct error err = {0};
		struct buffer file;

		body.data[i] ^= changes[i % sizeof(changes)];
		file = pack(&body);
		if (span_index_parse(file.data, file.size, &index, &err) < 0) {
			assert_non_null(strstr(err.message, "index of spans: "));
			n_refused++;
		}
		span_index_free(index);
		buffer_free(&file);
		body.data[i] ^= changes[i % sizeof(changes)];
	}
	assert_true(n_refused > body.size / 4);
	buffer_free(&body);
}

static void a_body_with_more_or_less_is_refused(void **state)
{
	(void)state;
	struct buffer body = body_of("gzip-one-span");
	struct buffer file;

	assert_int_equal(buffer_append(&body, "", 1), 0);
	file = pack(&body);
	refuse(&file, ERROR_FORMAT, "1 bytes behind the last column");
	buffer_free(&file);
	body.size -= 2;
	file = pack(&body);
	refuse(&file, ERROR_FORMAT, "column 18 is not all there");
	buffer_free(&file);
	buffer_free(&body);
}

/* 16 KiB of zeros, packed, decode to what no memory should be taken for. */
static void a_body_that_decodes_to_too_much_is_refused(void **state)
{
	(void)state;
	struct buffer zeros = {.data = calloc(1, 32 << 20), .size = 32 << 20};
	struct buffer frame = {0}, file = {0};
	struct error err = {0};

	assert_non_null(zeros.data);
	assert_int_equal(zstd_encode(zeros.data, zeros.size, 1, &frame, &err), 0);
	assert_int_equal(buffer_append(&file, "varvespx\1\0\0\0\0\0\0\0", 16), 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(buffer_append(&file, frame.data, frame.size), 0);
	refuse(&file, ERROR_FORMAT, "more than the allowed");
	buffer_free(&zeros);
	buffer_free(&frame);
	buffer_free(&file);
}

static void expect_contradiction(
	const struct span_index *claimed, const struct span_index *actual, const char *words)
{
	struct error err = {0};

	assert_int_equal(span_index_compare(claimed, actual, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void an_index_with_other_spans_is_no_contradiction(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip", "blob");
	struct span_index *small = pass_over(CODEC_GZIP, &blob, 5000);
	struct span_index *large = pass_over(CODEC_GZIP, &blob, 20000);
	struct error err = {0};

	assert_true(small->n_spans > large->n_spans);
	assert_int_equal(span_index_compare(small, large, &err), 0);
	large->diff_id.algorithm = 0;
	large->archive_size = 7;
	assert_int_equal(span_index_compare(large, small, &err), 0);
	span_index_free(small);
	span_index_free(large);
	buffer_free(&blob);
}

static void each_contradiction_is_named(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip", "blob");
	struct span_index *claimed = pass_over(CODEC_GZIP, &blob, 9000);
	struct span_index *actual = pass_over(CODEC_GZIP, &blob, 9000);

	claimed->toc->entries[3].mode = 0600;
	expect_contradiction(claimed, actual,
		"entry 4 (etc/text): its mode is 0600 in the index, but 4755 in the archive");
	claimed->toc->entries[3].mode = 04755;
	claimed->payloads[3].off += 512;
	expect_contradiction(claimed, actual, "its place in the archive is ");
	claimed->payloads[3].off -= 512;
	claimed->payloads[3].is_sparse = true;
	expect_contradiction(claimed, actual, "its parts are others");
	claimed->payloads[3].is_sparse = false;
	claimed->toc->n_entries--;
	expect_contradiction(
		claimed, actual, "the number of entries is 12 in the index, but is 13");
	claimed->archive_size++;
	expect_contradiction(claimed, actual, "its size is ");
	claimed->diff_id.bytes[0] ^= 1;
	expect_contradiction(claimed, actual, "the archive is sha256:");
	claimed->blob_size++;
	expect_contradiction(claimed, actual, "its size is ");
	claimed->blob.bytes[0] ^= 1;
	expect_contradiction(claimed, actual, "the blob is sha256:");
	span_index_free(claimed);
	span_index_free(actual);
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_comes_back_from_its_file_as_it_was),
		cmocka_unit_test(the_spans_of_an_index_decode_to_the_archive_and_have_its_digests),
		cmocka_unit_test(extreme_attributes_and_sparse_files_come_back),
		cmocka_unit_test(what_lacks_digests_is_no_file),
		cmocka_unit_test(sizes_are_of_everything_in_the_file),
		cmocka_unit_test(what_is_no_file_of_this_version_is_refused),
		cmocka_unit_test(a_body_with_any_byte_changed_is_read_or_refused_in_bounds),
		cmocka_unit_test(a_body_with_more_or_less_is_refused),
		cmocka_unit_test(a_body_that_decodes_to_too_much_is_refused),
		cmocka_unit_test(an_index_with_other_spans_is_no_contradiction),
		cmocka_unit_test(each_contradiction_is_named),
	};
	return cmocka_run_group_tests_name("format/span_index_file", tests, NULL, NULL);
}
