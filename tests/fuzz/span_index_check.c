/* SPDX-License-Identifier: Apache-2.0 */
#include "span_index_check.h"

#include <string.h>

#include "base/bytes.h"

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

static void check_spans(const struct span_index *index)
{
	uint64_t out = 0;

	for (size_t i = 0; i < index->n_spans; i++) {
		const struct unit_span *span = &index->spans[i];

		require(!span_problem(span, index->blob_size));
		require(i == 0 || span->blob_off > index->spans[i - 1].blob_off);
		require(span->codec == index->codec);
		out += span->decoded_size;
	}
	require(out == index->archive_size);
}

static void check_entry(const struct span_index *index, size_t i)
{
	const struct toc_entry *entry = &index->toc->entries[i];
	bool is_link = entry->type == TOC_SYMLINK || entry->type == TOC_HARDLINK;
	uint64_t off, size;

	check_name(entry->name);
	require(is_link == (entry->link_name != NULL));
	if (entry->type == TOC_HARDLINK)
		check_name(entry->link_name);
	require(entry->type == TOC_DIRECTORY || entry->name[0] != '\0');
	require(entry->mode <= 07777 && entry->mtime_ns < 1000000000);
	require(range_within(entry->first_xattr, entry->n_xattrs, index->toc->n_xattrs));
	require(entry->type == TOC_REGULAR || entry->size == 0);
	require(range_within(
		index->payloads[i].first_extent, index->payloads[i].n_extents, index->n_extents));
	span_index_headers(index, i, &off, &size);
	require(range_within(off, size, SPAN_INDEX_MAX_ARCHIVE));
}

static const struct unit_span *span_at(const struct span_index *index, uint64_t blob_off)
{
	for (size_t i = 0; i < index->n_spans; i++) {
		if (index->spans[i].blob_off == blob_off)
			return &index->spans[i];
	}
	return NULL;
}

static void check_chunks(const struct span_index *index, const struct toc_entry *entry)
{
	uint64_t covered = 0;

	for (uint64_t i = 0; i < entry->n_chunks; i++) {
		const struct toc_chunk *chunk = &index->toc->chunks[entry->first_chunk + i];
		struct unit unit = {
			.size = chunk->size,
			.blob_off = chunk->blob_off,
			.blob_size = chunk->blob_size,
			.inner_off = chunk->inner_off,
			.codec = chunk->codec,
			.flags = chunk->flags,
		};

		require(chunk->size > 0 && chunk->file_off == covered);
		require(!span_unit_problem(span_at(index, chunk->blob_off), &unit));
		covered += chunk->size;
	}
	require(covered == entry->size);
}

void check_span_index(struct span_index *index)
{
	struct error err = {0};

	check_spans(index);
	for (size_t i = 0; i < index->toc->n_entries; i++)
		check_entry(index, i);
	if (span_index_cut(index, NULL, 0, &err) < 0) {
		require(err.kind == ERROR_FORMAT);
		return;
	}
	for (size_t i = 0; i < index->toc->n_entries; i++)
		check_chunks(index, &index->toc->entries[i]);
}
