/* SPDX-License-Identifier: Apache-2.0 */
#include "headers_sample.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "oci/digest.h"
#include "support/encode.h"
#include "support/span_pass.h"
#include "support/tar_archive.h"

enum { MAX_UNITS = 4000 };

static void put_file(struct buffer *archive, const char *name, size_t size, uint32_t seed)
{
	const struct tar_member member = {.type = '0', .name = name, .mode = 0644, .size = size};
	uint8_t *data = malloc(size + 1);

	assert_non_null(data);
	fill_mixture(data, size, seed);
	archive_put(archive, &member);
	archive_put_payload(archive, data, size);
	free(data);
}

static void make_archive(struct buffer *archive)
{
	char name[64];

	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof(name), "first/%u", i);
		put_file(archive, name, 3000 + 700 * i, i);
	}
	put_file(archive, "large", 5 * SPAN_SIZE, 99);
	for (unsigned i = 0; i < 2 * SPAN_SIZE / 512; i++) {
		(void)snprintf(name, sizeof(name), "directory/%u/", i);
		archive_put(archive, &(struct tar_member){.type = '5', .name = name, .mode = 0755});
	}
	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "last/%u", i);
		archive_put_pax(archive, "comment", "headers of several records", NULL);
		put_file(archive, name, 9000 - 200 * i, 100 + i);
	}
	archive_put_end(archive);
}

static void vouch(const struct sample *sample, struct span_index *index)
{
	for (size_t i = 0; i < index->n_spans; i++) {
		struct unit_span *span = &index->spans[i];
		struct digest digest;

		assert_int_equal(digest_compute(DIGEST_SHA256, sample->blob.blob + span->blob_off,
					 span->blob_size, &digest, NULL),
			0);
		span->digest_kind = SPAN_DIGEST_ENCODED;
		memcpy(span->digest, digest.bytes, sizeof(span->digest));
	}
}

static void add_units(struct sample *sample)
{
	const struct span_index *index = sample->index;
	struct fixture_blob *blob = &sample->blob;

	for (size_t i = 0; i < index->toc->n_entries; i++) {
		const struct toc_entry *entry = &index->toc->entries[i];

		for (size_t j = 0; j < entry->n_chunks; j++) {
			const struct toc_chunk *chunk = &index->toc->chunks[entry->first_chunk + j];

			assert_true(blob->n_units < MAX_UNITS);
			sample->entries[blob->n_units] = i;
			blob->units[blob->n_units++] = (struct unit){
				.data_off = blob->data_size + chunk->file_off,
				.size = chunk->size,
				.blob_off = chunk->blob_off,
				.blob_size = chunk->blob_size,
				.inner_off = chunk->inner_off,
				.codec = index->codec,
				.flags = chunk->flags,
			};
		}
		if (entry->n_chunks == 0)
			continue;
		memcpy(blob->data + blob->data_size, sample->archive.data + index->payloads[i].off,
			entry->size);
		blob->data_size += (entry->size + 4095) / 4096 * 4096;
	}
}

struct span_index *sample_read_index(const struct sample *sample, enum codec codec)
{
	const struct fixture_blob *blob = &sample->blob;
	struct span_index *index = NULL;
	struct error err = {0};

	if (span_pass(codec, blob->blob, blob->blob_size, SPAN_SIZE, &index, &err) < 0)
		fail_msg("%s", err.message);
	vouch(sample, index);
	if (span_index_cut(index, NULL, 0, &err) < 0)
		fail_msg("%s", err.message);
	return index;
}

void sample_make(struct sample *sample, enum codec codec)
{
	struct buffer encoded = {0};
	struct error err = {0};

	memset(sample, 0, sizeof(*sample));
	make_archive(&sample->archive);
	if (codec == CODEC_GZIP)
		encode_gzip_member(&(struct gzip_style){.level = 6}, sample->archive.data,
			sample->archive.size, &encoded);
	else
		assert_int_equal(
			buffer_append(&encoded, sample->archive.data, sample->archive.size), 0);
	sample->blob = (struct fixture_blob){
		.blob = encoded.data,
		.blob_size = encoded.size,
		.data = calloc(1, sample->archive.size + MAX_UNITS * 4096),
		.units = calloc(MAX_UNITS, sizeof(struct unit)),
	};
	sample->entries = calloc(MAX_UNITS, sizeof(size_t));
	assert_true(sample->blob.data && sample->blob.units && sample->entries);
	sample->index = sample_read_index(sample, codec);
	add_units(sample);
	/* Whoever writes them sorts out those without a unit. */
	sample->blob.n_spans = sample->index->n_spans;
	sample->blob.spans = calloc(sample->blob.n_spans, sizeof(struct unit_span));
	assert_non_null(sample->blob.spans);
	memcpy(sample->blob.spans, sample->index->spans,
		sample->blob.n_spans * sizeof(struct unit_span));
	if (span_headers_new(sample->index, &sample->headers, &err) < 0)
		fail_msg("%s", err.message);
}

void sample_close(struct sample *sample)
{
	span_headers_freep(&sample->headers);
	buffer_free(&sample->archive);
	free(sample->entries);
	free(sample->blob.spans);
}

struct toc_entry *sample_find(const struct sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->index->toc->n_entries; i++) {
		if (strcmp(sample->index->toc->entries[i].name, name) == 0)
			return &sample->index->toc->entries[i];
	}
	fail_msg("no entry %s", name);
	return NULL;
}

uint64_t sample_row(const struct sample *sample, const char *name, uint64_t n)
{
	size_t entry = (size_t)(sample_find(sample, name) - sample->index->toc->entries);
	uint64_t row = 0;

	while (sample->entries[row] != entry)
		row++;
	assert_int_equal(sample->entries[row + n], entry);
	return row + n;
}
