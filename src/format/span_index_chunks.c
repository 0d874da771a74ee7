/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the regular files of an archive into chunks: pieces that come out of one span each. */
#include "span_index_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "toc_entry_internal.h"

/* A walk over the archive: payloads and spans both come in order. */
struct cutter {
	struct span_index *index;
	const uint8_t (*digests)[32]; /* NULL: the spans are what can be verified */
	size_t n_digests;
	size_t n_pieces;

	uint64_t off;        /* in the archive; of the next stored byte */
	size_t span;         /* with that byte, or the last one */
	uint64_t span_start; /* its first byte in the archive */
};

static void seek(struct cutter *cutter, uint64_t off)
{
	const struct span_index *index = cutter->index;

	cutter->off = off;
	while (cutter->span + 1 < index->n_spans &&
		off - cutter->span_start >= index->spans[cutter->span].decoded_size)
		cutter->span_start += index->spans[cutter->span++].decoded_size;
}

/* A hole has no bytes, but a place in the order of the blob. */
static int add_hole(struct cutter *cutter, uint64_t file_off, uint64_t size, struct error *err)
{
	const struct unit_span *span = &cutter->index->spans[cutter->span];
	struct toc_chunk chunk = {
		.file_off = file_off,
		.size = size,
		.blob_off = span->blob_off,
		.inner_off = cutter->off - cutter->span_start,
		.codec = (uint8_t)cutter->index->codec,
		.flags = UNIT_ZEROS,
	};

	return toc_add_chunk(cutter->index->toc, &chunk, err);
}

static int set_digest(struct cutter *cutter, struct toc_chunk *chunk, struct error *err)
{
	if (!cutter->digests) {
		chunk->flags |= UNIT_IN_SPAN;
		return 0;
	}
	if (cutter->n_pieces >= cutter->n_digests)
		return error_set(err, ERROR_INTERNAL, "digests for only %zu pieces of files",
			cutter->n_digests);
	memcpy(chunk->digest, cutter->digests[cutter->n_pieces], sizeof(chunk->digest));
	if (cutter->index->codec == CODEC_NONE) {
		/* Verifiable by itself: nothing around it is needed. */
		chunk->blob_off += chunk->inner_off;
		chunk->blob_size = chunk->size;
		chunk->inner_off = 0;
	}
	return 0;
}

static int add_piece(struct cutter *cutter, uint64_t file_off, uint64_t size, struct error *err)
{
	const struct unit_span *span = &cutter->index->spans[cutter->span];
	struct toc_chunk chunk = {
		.file_off = file_off,
		.size = size,
		.blob_off = span->blob_off,
		.blob_size = span->blob_size,
		.inner_off = cutter->off - cutter->span_start,
		.codec = (uint8_t)cutter->index->codec,
	};

	if (set_digest(cutter, &chunk, err) < 0 ||
		toc_add_chunk(cutter->index->toc, &chunk, err) < 0)
		return -1;
	cutter->n_pieces++;
	return 0;
}

/* Stored bytes, from cutter->off on. */
static int cut_extent(struct cutter *cutter, uint64_t file_off, uint64_t size, struct error *err)
{
	struct span_index *index = cutter->index;

	if (!range_within(cutter->off, size, index->archive_size))
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64 " bytes at %" PRIu64
			" of the archive, but the spans end at %" PRIu64,
			size, cutter->off, index->archive_size);
	while (size > 0) {
		uint64_t left =
			cutter->span_start + index->spans[cutter->span].decoded_size - cutter->off;
		uint64_t piece = size < left ? size : left;

		if (piece > SPAN_INDEX_MAX_PIECE)
			piece = SPAN_INDEX_MAX_PIECE;
		if (add_piece(cutter, file_off, piece, err) < 0)
			return -1;
		seek(cutter, cutter->off + piece);
		file_off += piece;
		size -= piece;
	}
	return 0;
}

static int cut_sparse(struct cutter *cutter, const struct toc_entry *entry,
	const struct span_payload *payload, struct error *err)
{
	uint64_t file_off = 0;

	for (uint32_t i = 0; i < payload->n_extents; i++) {
		const struct span_extent *extent =
			&cutter->index->extents[payload->first_extent + i];

		if (extent->file_off > file_off &&
			add_hole(cutter, file_off, extent->file_off - file_off, err) < 0)
			return -1;
		if (cut_extent(cutter, extent->file_off, extent->size, err) < 0)
			return -1;
		file_off = extent->file_off + extent->size;
	}
	return entry->size > file_off ? add_hole(cutter, file_off, entry->size - file_off, err) : 0;
}

static int cut_entry(struct cutter *cutter, size_t i, struct error *err)
{
	struct toc *toc = cutter->index->toc;
	const struct span_payload *payload = &cutter->index->payloads[i];
	struct toc_entry *entry = &toc->entries[i];
	int result;

	entry->first_chunk = toc->n_chunks;
	if (entry->type != TOC_REGULAR || entry->size == 0)
		return 0;
	if (cutter->index->n_spans == 0)
		return error_set(err, ERROR_FORMAT, "a file with contents, but no span");
	seek(cutter, payload->off);
	if (payload->is_sparse)
		result = cut_sparse(cutter, entry, payload, err);
	else
		result = cut_extent(cutter, 0, entry->size, err);
	entry->n_chunks = toc->n_chunks - entry->first_chunk;
	return result;
}

int span_index_cut(
	struct span_index *index, const uint8_t (*digests)[32], size_t n_digests, struct error *err)
{
	struct cutter cutter = {.index = index, .digests = digests, .n_digests = n_digests};

	if (index->memory->is_cut)
		return error_set(err, ERROR_INTERNAL, "the files are cut already");
	index->memory->is_cut = true;
	for (size_t i = 0; i < index->toc->n_entries; i++) {
		if (cut_entry(&cutter, i, err) < 0)
			return toc_entry_blame(i, index->toc->entries[i].name, err);
	}
	if (digests && cutter.n_pieces != n_digests)
		return error_set(err, ERROR_INTERNAL, "%zu pieces of files, but digests for %zu",
			cutter.n_pieces, n_digests);
	return 0;
}
