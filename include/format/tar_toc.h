/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "format/tar.h"
#include "format/toc.h"

/* Turns the members of a tar archive, in order, into a table of contents. What chunks a file is cut
 * into, and what their digests are, is up to the caller: it gives them per file, while the archive
 * goes by or when all of it is known. */
struct tar_toc;

/* An empty one. */
MUST_CHECK int tar_toc_new(struct tar_toc **out, struct error *err);
void tar_toc_free(struct tar_toc *tar_toc);
void tar_toc_freep(struct tar_toc **tar_toc);

/**
 * tar_toc_add() - the next member, as a tar_entry_fn gets it; nothing is kept of it.
 * @ret_index: of its entry in the table of contents: 0 for the first one, and so on.
 * @err:       ERROR_FORMAT or ERROR_UNSUPPORTED for what no file can have; names the entry.
 *
 * Names are cleaned and so stay below the root, wherever "/" and "../" in them point to; link names
 * of hard links likewise.
 */
MUST_CHECK int tar_toc_add(struct tar_toc *tar_toc, const struct tar_entry *entry,
	size_t *ret_index, struct error *err);

/* How many members there are so far. */
size_t tar_toc_n_entries(const struct tar_toc *tar_toc);

/* The segments of a member, NULL and 0 without payload; valid until the next tar_toc_add(). */
const struct tar_segment *tar_toc_segments(
	const struct tar_toc *tar_toc, size_t index, size_t *ret_n);

/**
 * tar_toc_set_chunks() - how a file with payload is cut: once for each of them, in any order.
 * @chunks: copied. Ascending, and together exactly the segments: a chunk may end inside a segment,
 *          and go over the end of one only where there is no hole. Holes become chunks of zeros
 *          (UNIT_ZEROS), which have the place in the blob of the chunk after them or, at the end
 *          of a file, before them, so that files keep the order of the archive.
 * @err:    ERROR_INTERNAL when the chunks are other bytes than the segments.
 *
 * Files without any payload need no call.
 */
MUST_CHECK int tar_toc_set_chunks(struct tar_toc *tar_toc, size_t index,
	const struct toc_chunk *chunks, size_t n, struct error *err);

/* Hands over the table of contents; the rest can then only be freed. ERROR_INTERNAL when a file
 * has no chunks yet. */
MUST_CHECK int tar_toc_finish(struct tar_toc *tar_toc, struct toc **out, struct error *err);
