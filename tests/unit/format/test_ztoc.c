/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded ztocs and the layers they are of; tests/golden/ztoc/generate.py says what they are. */
#include "format/ztoc.h"

#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "golden.h"
#include "span_dump.h"

static int parse_size(const struct buffer *ztoc, size_t size, uint64_t blob_size,
	struct span_index **out, struct error *err)
{
	static const struct digest blob = {.algorithm = DIGEST_SHA256};
	struct ztoc_options options = {.blob = &blob, .blob_size = blob_size};

	return ztoc_parse(ztoc->data, size, &options, out, err);
}

static int parse(
	const struct buffer *ztoc, uint64_t blob_size, struct span_index **out, struct error *err)
{
	return parse_size(ztoc, ztoc->size, blob_size, out, err);
}

static void check_digests(const struct span_index *index, const struct buffer *blob)
{
	for (size_t i = 0; i < index->n_spans; i++) {
		const struct unit_span *span = &index->spans[i];
		struct digest digest;
		struct error err = {0};

		assert_int_equal(span->digest_kind, SPAN_DIGEST_ENCODED);
		assert_true(range_within(span->blob_off, span->blob_size, blob->size));
		assert_int_equal(digest_compute(DIGEST_SHA256, blob->data + span->blob_off,
					 (size_t)span->blob_size, &digest, &err),
			0);
		assert_memory_equal(digest.bytes, span->digest, 32);
	}
}

static const struct unit_span *span_of(
	const struct span_index *index, const struct toc_chunk *chunk)
{
	for (size_t i = 0; i < index->n_spans; i++) {
		if (index->spans[i].blob_off == chunk->blob_off)
			return &index->spans[i];
	}
	fail_msg("no span at %llu", (unsigned long long)chunk->blob_off);
	return NULL;
}

/* What a chunk decodes to are the bytes of the archive that it is of. */
static void check_chunk(const struct span_index *index, const struct buffer *blob,
	const struct toc_chunk *chunk, const uint8_t *expected)
{
	const struct unit_span *span = span_of(index, chunk);
	struct decoded *decoded = NULL;
	struct error err = {0};

	assert_int_equal(span->blob_size, chunk->blob_size);
	if (codec_decode_span(span, blob->data + chunk->blob_off, (size_t)chunk->blob_size,
		    chunk->inner_off, (size_t)chunk->size, &decoded, &err) < 0)
		fail_msg("%s", err.message);
	assert_memory_equal(decoded_data(decoded), expected, (size_t)chunk->size);
	decoded_unref(decoded);
}

static void check_contents(const struct span_index *index, const struct buffer *blob)
{
	struct buffer archive = {0};
	struct error err = {0};

	assert_int_equal(
		codec_decode_all(index->codec, blob->data, blob->size, 1 << 20, &archive, &err), 0);
	for (size_t i = 0; i < index->toc->n_entries; i++) {
		const struct toc_entry *entry = &index->toc->entries[i];

		for (uint64_t n = 0; n < entry->n_chunks; n++) {
			const struct toc_chunk *chunk = &index->toc->chunks[entry->first_chunk + n];

			check_chunk(index, blob, chunk,
				archive.data + index->payloads[i].off + chunk->file_off);
		}
	}
	buffer_free(&archive);
}

static void check_good(const char *name)
{
	struct buffer blob = golden_read(name, "blob");
	struct buffer ztoc = golden_read(name, "ztoc");
	struct buffer expected = golden_read(name, "dump");
	struct buffer actual = {0};
	struct span_index *index = NULL;
	struct error err = {0};

	if (parse(&ztoc, blob.size, &index, &err) < 0 || span_index_cut(index, NULL, 0, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	dump_span_index(index, &actual);
	if (strcmp((char *)actual.data, (char *)expected.data) != 0)
		fail_msg("%s reads as:\n%s", name, (char *)actual.data);
	check_digests(index, &blob);
	check_contents(index, &blob);
	span_index_free(index);
	buffer_free(&blob);
	buffer_free(&ztoc);
	buffer_free(&expected);
	buffer_free(&actual);
}

static void check_bad(const char *name)
{
	struct buffer blob = golden_read("gzip-one-span", "blob");
	struct buffer ztoc = golden_read(name, "ztoc");
	struct span_index *index = NULL;
	struct error err = {0};

	if (parse(&ztoc, blob.size, &index, &err) == 0 && span_index_cut(index, NULL, 0, &err) == 0)
		fail_msg("%s was accepted", name);
	golden_check_error(name, &err);
	assert_true(err.kind == ERROR_FORMAT || err.kind == ERROR_UNSUPPORTED);
	span_index_free(index);
	buffer_free(&blob);
	buffer_free(&ztoc);
}

static void every_golden_ztoc_reads_as_recorded_and_every_chunk_decodes(void **state)
{
	(void)state;
	golden_each(false, check_good);
}

static void every_ztoc_that_should_fail_does_so_with_its_reason(void **state)
{
	(void)state;
	golden_each_file("ztoc", true, check_bad);
}

static void a_ztoc_of_a_blob_of_another_size_is_refused(void **state)
{
	(void)state;
	struct buffer ztoc = golden_read("gzip", "ztoc");
	struct span_index *index = NULL;
	struct error err = {0};

	assert_int_equal(parse(&ztoc, 12345, &index, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "the layer has 12345"));
	assert_null(index);
	buffer_free(&ztoc);
}

/* Everything that is needed lies before the end. */
static void a_ztoc_that_was_cut_is_refused_wherever_it_was_cut(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip-one-span", "blob");
	struct buffer ztoc = golden_read("gzip-one-span", "ztoc");

	for (size_t size = 0; size + 4 < ztoc.size; size++) {
		/* Of its own size, so that reading beyond it is seen. */
		uint8_t *copy = malloc(size + 1);
		struct buffer cut = {.data = copy, .size = size};
		struct span_index *index = NULL;
		struct error err = {0};

		assert_non_null(copy);
		memcpy(copy, ztoc.data, size);
		assert_int_equal(parse(&cut, blob.size, &index, &err), -1);
		assert_true(err.kind == ERROR_FORMAT || err.kind == ERROR_UNSUPPORTED);
		free(copy);
	}
	buffer_free(&blob);
	buffer_free(&ztoc);
}

static void a_ztoc_with_any_byte_changed_is_read_or_refused_in_bounds(void **state)
{
	(void)state;
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	struct buffer blob = golden_read("gzip-one-span", "blob");
	struct buffer ztoc = golden_read("gzip-one-span", "ztoc");
	size_t n_refused = 0;

	for (size_t i = 0; i < ztoc.size * sizeof(changes); i++) {
		uint8_t change = changes[i % sizeof(changes)];
		struct span_index *index = NULL;
		struct error err = {0};

		ztoc.data[i / sizeof(changes)] ^= change;
		if (parse(&ztoc, blob.size, &index, &err) < 0) {
			assert_int_not_equal(err.kind, ERROR_NONE);
			n_refused++;
		}
		span_index_free(index);
		ztoc.data[i / sizeof(changes)] ^= change;
	}
	assert_true(n_refused > ztoc.size / 4);
	buffer_free(&blob);
	buffer_free(&ztoc);
}

/* Another program's appendix: what follows the tables is nobody's. */
static void bytes_behind_the_tables_are_ignored(void **state)
{
	(void)state;
	struct buffer blob = golden_read("gzip-one-span", "blob");
	struct buffer ztoc = golden_read("gzip-one-span", "ztoc");
	struct span_index *index = NULL;
	struct error err = {0};

	assert_int_equal(buffer_append(&ztoc, "more", 4), 0);
	assert_int_equal(parse(&ztoc, blob.size, &index, &err), 0);
	assert_int_equal(index->n_spans, 1);
	span_index_free(index);
	buffer_free(&blob);
	buffer_free(&ztoc);
}

static void an_absurd_size_is_refused_before_anything_is_read(void **state)
{
	(void)state;
	struct buffer ztoc = golden_read("gzip-one-span", "ztoc");
	struct span_index *index = NULL;
	struct error err = {0};

	assert_int_equal(parse_size(&ztoc, (size_t)ZTOC_MAX_SIZE + 1, 1, &index, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	buffer_free(&ztoc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_ztoc_reads_as_recorded_and_every_chunk_decodes),
		cmocka_unit_test(every_ztoc_that_should_fail_does_so_with_its_reason),
		cmocka_unit_test(a_ztoc_of_a_blob_of_another_size_is_refused),
		cmocka_unit_test(a_ztoc_that_was_cut_is_refused_wherever_it_was_cut),
		cmocka_unit_test(a_ztoc_with_any_byte_changed_is_read_or_refused_in_bounds),
		cmocka_unit_test(bytes_behind_the_tables_are_ignored),
		cmocka_unit_test(an_absurd_size_is_refused_before_anything_is_read),
	};
	return cmocka_run_group_tests_name("format/ztoc", tests, NULL, NULL);
}
