/* SPDX-License-Identifier: Apache-2.0 */
/* Layers without a table of contents, from blob and index to verified bytes of files: what a
 * fetcher does with the unit table, without a network. */
#include "support/test.h"

#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "chunk/codec.h"
#include "chunk/verify.h"
#include "format/span_index_file.h"
#include "format/ztoc.h"
#include "index/layer_index.h"
#include "support/scratch.h"
#include "support/span_pass.h"

/* Of the layers in tests/golden/ztoc. */
static struct buffer read_golden(const char *name, const char *suffix)
{
	const char *directory = getenv("VARVE_GOLDEN_ZTOC");
	struct buffer contents = {0};
	struct error err = {0};
	char path[4096];

	assert_non_null(directory);
	(void)snprintf(path, sizeof(path), "%s/%s.%s", directory, name, suffix);
	if (file_read(AT_FDCWD, path, 1 << 20, &contents, &err) < 0)
		fail_msg("%s", err.message);
	return contents;
}

static struct layer_index *build(int dir_fd, uint8_t number, const struct span_index *index)
{
	uint8_t key[INDEX_KEY_SIZE] = {number};
	struct layer_index_build_options options = {
		.key = key,
		.blob = &index->blob,
		.blob_size = index->blob_size,
		.spans = index->spans,
		.n_spans = index->n_spans,
	};
	struct layer_index *layer = NULL;
	struct error err = {0};

	if (layer_index_build(dir_fd, index->toc, &options, &err) < 0 ||
		layer_index_open(dir_fd, key, &layer, &err) < 0)
		fail_msg("%s", err.message);
	return layer;
}

/* As the fetcher does: the span's bytes, checked, then the unit. */
static int read_unit(const struct unit_table *table, const struct unit *unit,
	const struct buffer *blob, struct verified_chunk **out, struct error *err)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct unit_span span;
	bool found = false;

	if (unit_table_span(table, unit->blob_off, &found, &span, err) < 0)
		return -1;
	assert_true(found);
	if (span_bytes_decode(&span, blob->data + span.blob_off, (size_t)span.blob_size,
		    unit->inner_off, (size_t)unit->size, &bytes, err) < 0)
		return -1;
	return chunk_verify_span(unit, bytes, out, err);
}

/* The data space of a layer, read unit by unit. */
static int read_all(const struct unit_table *table, const struct buffer *blob, struct buffer *out,
	struct error *err)
{
	const struct unit_table_header *header = unit_table_header(table);

	assert_int_equal(buffer_reserve(out, (size_t)header->data_size), 0);
	memset(out->data, 0, (size_t)header->data_size);
	out->size = (size_t)header->data_size;
	for (uint64_t i = 0; i < header->n_units; i++) {
		CLEANUP(chunk_unrefp) struct verified_chunk *chunk = NULL;
		struct unit unit;

		if (unit_table_get(table, i, &unit, err) < 0 ||
			read_unit(table, &unit, blob, &chunk, err) < 0)
			return -1;
		if (!chunk_is_zeros(chunk))
			memcpy(out->data + unit.data_off, chunk_data(chunk), (size_t)unit.size);
	}
	return 0;
}

/* The contents of regular files that no later entry replaces, in order of the archive. */
static void expect_files(
	const struct span_index *index, const struct buffer *archive, const struct buffer *data)
{
	size_t off = 0, n = 0;

	for (size_t i = 0; i < index->toc->n_entries; i++) {
		const struct toc_entry *entry = &index->toc->entries[i];
		bool is_replaced =
			i + 1 < index->toc->n_entries && strcmp(entry->name, entry[1].name) == 0;

		if (entry->type != TOC_REGULAR || entry->size == 0 || is_replaced)
			continue;
		assert_true(range_within(off, entry->size, data->size));
		assert_memory_equal(data->data + off, archive->data + index->payloads[i].off,
			(size_t)entry->size);
		off = (size_t)align_up(off + entry->size, 4096);
		n++;
	}
	assert_int_equal(off, data->size);
	assert_true(n >= 2);
}

static void check_contents(
	int dir_fd, size_t number, const struct span_index *index, const struct buffer *blob)
{
	CLEANUP(layer_index_closep)
	struct layer_index *layer = build(dir_fd, (uint8_t)number, index);
	struct buffer archive = {0}, data = {0};
	struct error err = {0};

	assert_int_equal(
		codec_decode_all(index->codec, blob->data, blob->size, 1 << 20, &archive, &err), 0);
	if (read_all(layer->units, blob, &data, &err) < 0)
		fail_msg("%s", err.message);
	expect_files(index, &archive, &data);
	buffer_free(&archive);
	buffer_free(&data);
}

static struct span_index *read_ztoc(const char *name, const struct buffer *blob)
{
	struct buffer ztoc = read_golden(name, "ztoc");
	struct span_index *index = NULL;
	struct digest digest;
	struct ztoc_options options = {.blob = &digest, .blob_size = blob->size};
	struct error err = {0};

	if (digest_compute(DIGEST_SHA256, blob->data, blob->size, &digest, &err) < 0 ||
		ztoc_parse(ztoc.data, ztoc.size, &options, &index, &err) < 0 ||
		span_index_cut(index, NULL, 0, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	buffer_free(&ztoc);
	return index;
}

/* Through the file, as on a node that did not make the index. */
static struct span_index *read_file(enum codec codec, const struct buffer *blob)
{
	struct span_index *made = NULL, *index = NULL;
	struct buffer file = {0};
	struct error err = {0};

	if (span_pass(codec, blob->data, blob->size, 9000, &made, &err) < 0 ||
		span_index_write(made, &file, NULL, &err) < 0 ||
		span_index_parse(file.data, file.size, &index, &err) < 0 ||
		span_index_cut(index, NULL, 0, &err) < 0)
		fail_msg("%s", err.message);
	span_index_free(made);
	buffer_free(&file);
	return index;
}

static void files_are_read_through_a_ztoc(void **state)
{
	static const char *const names[] = {"gzip", "gzip-members", "gzip-padded", "gnu", "plain"};
	struct scratch *scratch = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buffer blob = read_golden(names[i], "blob");
		struct span_index *index = read_ztoc(names[i], &blob);

		check_contents(scratch->fd, i, index, &blob);
		span_index_free(index);
		buffer_free(&blob);
	}
}

static void files_are_read_through_an_index_of_ours(void **state)
{
	static const char *const names[] = {"gzip", "gzip-members", "gzip-named", "gnu", "plain"};
	struct scratch *scratch = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum codec codec = strcmp(names[i], "plain") == 0 ? CODEC_NONE : CODEC_GZIP;
		struct buffer blob = read_golden(names[i], "blob");
		struct span_index *index = read_file(codec, &blob);

		check_contents(scratch->fd, i, index, &blob);
		span_index_free(index);
		buffer_free(&blob);
	}
}

static void a_wrong_byte_of_the_blob_is_a_digest_mismatch(void **state)
{
	struct scratch *scratch = *state;
	struct buffer blob = read_golden("gzip", "blob");

	for (int is_ztoc = 0; is_ztoc <= 1; is_ztoc++) {
		struct span_index *index =
			is_ztoc ? read_ztoc("gzip", &blob) : read_file(CODEC_GZIP, &blob);
		struct layer_index *layer = build(scratch->fd, (uint8_t)is_ztoc, index);
		struct buffer data = {0};
		struct error err = {0};

		/* In a stored byte of the noise, where deflate would notice nothing. */
		blob.data[blob.size - 3000] ^= 1;
		assert_int_equal(read_all(layer->units, &blob, &data, &err), -1);
		assert_true(err.kind == ERROR_DIGEST_MISMATCH || err.kind == ERROR_FORMAT);
		if (is_ztoc)
			assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
		blob.data[blob.size - 3000] ^= 1;
		layer_index_close(layer);
		span_index_free(index);
		buffer_free(&data);
	}
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			files_are_read_through_a_ztoc, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			files_are_read_through_an_index_of_ours, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_wrong_byte_of_the_blob_is_a_digest_mismatch,
			scratch_setup, scratch_teardown),
	};
	return cmocka_run_group_tests_name("index/span_layer", tests, NULL, NULL);
}
