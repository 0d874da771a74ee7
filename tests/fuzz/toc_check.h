/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string.h>

#include "base/bytes.h"
#include "format/toc.h"

/* What format/toc.h promises to the builder of indexes; whoever breaks it ends the process. */

static inline void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static inline void check_name(const char *name)
{
	char clean[TOC_MAX_NAME + 1];

	require(toc_clean_name(name, strlen(name), clean, NULL) == 0);
	require(strcmp(clean, name) == 0);
}

static inline void check_chunks(
	const struct toc *toc, const struct toc_entry *entry, uint64_t payload_end)
{
	uint64_t covered = 0;

	require(range_within(entry->first_chunk, entry->n_chunks, toc->n_chunks));
	for (uint64_t i = 0; i < entry->n_chunks; i++) {
		const struct toc_chunk *chunk = &toc->chunks[entry->first_chunk + i];

		require(chunk->size > 0 && chunk->file_off == covered);
		require(chunk->blob_size > 0 || (chunk->flags & UNIT_ZEROS));
		require(range_within(chunk->blob_off, chunk->blob_size, payload_end));
		covered += chunk->size;
	}
	require(covered == entry->size);
}

/* Ranges of the blob are the same or apart, and so are siblings in what they decode to. */
static inline void check_order(const struct toc *toc)
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

static inline void check_toc(const struct toc *toc, uint64_t payload_end)
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
		check_chunks(toc, entry, payload_end);
	}
}
