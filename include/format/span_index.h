/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/span.h"
#include "chunk/unit.h"
#include "format/tar.h"
#include "format/toc.h"
#include "oci/digest.h"

/* What makes a layer lazy that has no table of contents of its own: the entries of its archive with
 * the places of their payloads in the decoded bytes, and the spans, from each of whose beginnings
 * decoding can start. It comes from a full pass over the layer, from an artifact of ours
 * (format/span_index_file.h) or from a SOCI ztoc (format/ztoc.h), and becomes a struct toc whose
 * chunks are pieces of files. */

enum {
	SPAN_INDEX_MAX_SPANS = 1 << 20,
	SPAN_INDEX_MAX_EXTENTS = 16 << 20,
	/* No piece of a file is larger, however large its span is. */
	SPAN_INDEX_MAX_PIECE = 8 << 20,
};

/* Decoded bytes of a layer, at most. */
#define SPAN_INDEX_MAX_ARCHIVE (UINT64_C(16) << 40)

/* A part of a sparse file that is stored; the rest of the file reads as zeros. */
struct span_extent {
	uint64_t file_off; /* ascending, without overlaps */
	uint64_t size;     /* at least 1 */
};

/* Where an entry's bytes are. */
struct span_payload {
	/* Of its first stored byte in the decoded archive; also where the headers of an entry
	 * without a payload end. Ascending. */
	uint64_t off;
	uint32_t first_extent; /* index into span_index.extents */
	uint32_t n_extents;
	/* Only the extents are stored, one behind the other. Otherwise all of a regular file is. */
	bool is_sparse;
};

/* All of a layer. Codec, digests and blob_size are the caller's to set, before spans are added. */
struct span_index {
	enum codec codec;
	struct digest blob;
	uint64_t blob_size;
	struct digest diff_id; /* of all decoded bytes; algorithm 0 where nobody has said it */
	uint64_t archive_size; /* decoded bytes that the spans make up */

	struct toc *toc;               /* owned; entries in order of the archive, without chunks */
	struct span_payload *payloads; /* owned; one for each entry */
	struct span_extent *extents;   /* owned */
	size_t n_extents;
	/* owned; in order, from the first decoded byte to archive_size without gaps, none empty */
	struct unit_span *spans;
	size_t n_spans;

	struct span_index_memory *memory; /* private: capacities, and bytes of windows */
};

/* An empty one. */
MUST_CHECK int span_index_new(struct span_index **out, struct error *err);
void span_index_free(struct span_index *index);
void span_index_freep(struct span_index **index);

/**
 * span_index_add_entry() - the next entry of the archive.
 * @entry:   without chunks; its strings are from toc_intern(index->toc), its xattrs the last ones
 *           that were added to index->toc.
 * @payload: first_extent is not looked at.
 * @extents: payload->n_extents of them, copied.
 * @err:     ERROR_FORMAT for offsets that go back, or extents outside the file.
 */
MUST_CHECK int span_index_add_entry(struct span_index *index, const struct toc_entry *entry,
	const struct span_payload *payload, const struct span_extent *extents, struct error *err);

/**
 * span_index_add_member() - the same from the member of an archive that is being read.
 * @err: ERROR_FORMAT or ERROR_UNSUPPORTED for what no file can have; names the entry.
 *
 * The entry has the number that index->toc->n_entries had before.
 */
MUST_CHECK int span_index_add_member(
	struct span_index *index, const struct tar_entry *member, struct error *err);

/**
 * span_index_add_span() - the next span.
 * @span: copied with its window.
 * @err:  ERROR_FORMAT for one that is empty or of another codec, or whose bytes do not lie behind
 *        those of the span before it.
 *
 * archive_size grows by its decoded_size.
 */
MUST_CHECK int span_index_add_span(
	struct span_index *index, const struct unit_span *span, struct error *err);

/* How many bytes of the archive an entry's payload takes, without padding. */
uint64_t span_index_stored_size(const struct span_index *index, size_t i);

/* The headers of entry @i, with everything between it and the payload before: [*off, *off + *size)
 * of the decoded archive. */
void span_index_headers(const struct span_index *index, size_t i, uint64_t *off, uint64_t *size);

/* The span with decoded byte @off of the archive, below archive_size; *start is its first byte. */
size_t span_index_find(const struct span_index *index, uint64_t off, uint64_t *start);

/**
 * span_index_cut() - give the regular files their chunks.
 * @digests:   SHA-256 of each piece that is stored, in order of the archive; NULL when only the
 *             spans can be verified: chunks are UNIT_IN_SPAN then.
 * @n_digests: as many as there are such pieces, otherwise ERROR_INTERNAL.
 * @err:       ERROR_FORMAT for a payload that ends behind the spans.
 *
 * A file is cut where a span ends, and every SPAN_INDEX_MAX_PIECE bytes since the last cut; holes
 * become UNIT_ZEROS. A second call is ERROR_INTERNAL.
 *
 * What becomes of the table of contents needs the spans, too, except with digests and another codec
 * than gzip: plain pieces have places of their own then, and frames of zstd need nothing else.
 */
MUST_CHECK int span_index_cut(struct span_index *index, const uint8_t (*digests)[32],
	size_t n_digests, struct error *err);

/**
 * span_index_compare() - whether an index that was trusted told the truth.
 * @claimed: from somebody else.
 * @actual:  from a full pass here.
 * @err:     ERROR_FORMAT naming the first contradiction: another blob or archive, or an entry with
 *           both of what is said about it.
 *
 * Spans may differ, as everybody chooses their own; that bytes are those of the archive, the
 * digests of the claimed ones have shown. What @claimed leaves open (the digest of a ztoc's
 * archive, and with it how many zeros are at its end) contradicts nothing.
 */
MUST_CHECK int span_index_compare(
	const struct span_index *claimed, const struct span_index *actual, struct error *err);
