/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the JSON of a table of contents; what is accepted keeps what format/toc.h promises
 * to the builder of indexes. */
#include <string.h>

#include "base/bytes.h"
#include "format/estargz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_END = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void check_name(const char *name)
{
	char clean[TOC_MAX_NAME + 1];

	require(toc_clean_name(name, strlen(name), clean, NULL) == 0);
	require(strcmp(clean, name) == 0);
}

static void check_chunks(const struct toc *toc, const struct toc_entry *entry)
{
	uint64_t covered = 0;

	require(range_within(entry->first_chunk, entry->n_chunks, toc->n_chunks));
	for (uint64_t i = 0; i < entry->n_chunks; i++) {
		const struct toc_chunk *chunk = &toc->chunks[entry->first_chunk + i];

		require(chunk->size > 0 && chunk->file_off == covered);
		require(chunk->blob_size > 0);
		require(range_within(chunk->blob_off, chunk->blob_size, PAYLOAD_END));
		covered += chunk->size;
	}
	require(covered == entry->size);
}

/* Ranges of the blob are the same or apart, and so are siblings in what they decode to. */
static void check_order(const struct toc *toc)
{
	for (size_t i = 1; i < toc->n_chunks; i++) {
		const struct toc_chunk *before = &toc->chunks[i - 1];
		const struct toc_chunk *chunk = &toc->chunks[i];

		if (chunk->blob_off == before->blob_off) {
			require(chunk->blob_size == before->blob_size);
			require(chunk->inner_off >= before->inner_off + before->size);
		} else {
			require(chunk->blob_off >= before->blob_off + before->blob_size);
		}
	}
}

static void check_toc(const struct toc *toc)
{
	for (size_t i = 0; i < toc->n_entries; i++) {
		const struct toc_entry *entry = &toc->entries[i];

		check_name(entry->name);
		require((entry->type == TOC_SYMLINK || entry->type == TOC_HARDLINK) ==
			(entry->link_name != NULL));
		if (entry->type == TOC_HARDLINK)
			check_name(entry->link_name);
		require(entry->type == TOC_DIRECTORY || entry->name[0] != '\0');
		require(entry->mode <= 07777);
		require(range_within(entry->first_xattr, entry->n_xattrs, toc->n_xattrs));
		require(entry->type == TOC_REGULAR || (entry->n_chunks == 0 && entry->size == 0));
		check_chunks(toc, entry);
	}
	check_order(toc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct estargz_toc_options options = {
		.blob_size = PAYLOAD_END + 1000, .payload_end = PAYLOAD_END};
	struct toc *strict = NULL, *lenient = NULL;
	struct error err = {0};

	if (estargz_json_parse((const char *)data, size, CODEC_GZIP, &options, &strict, &err) < 0)
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
	options.allow_unverified = true;
	if (estargz_json_parse((const char *)data, size, CODEC_ZSTD, &options, &lenient, NULL) == 0)
		check_toc(lenient);
	if (strict) {
		require(lenient && lenient->n_entries == strict->n_entries);
		check_toc(strict);
	}
	toc_free(strict);
	toc_free(lenient);
	return 0;
}
