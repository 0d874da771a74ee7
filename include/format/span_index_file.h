/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/span_index.h"

/* An index of spans as a file: kept here, pushed beside the image, taken from there by other nodes.
 *
 * Layout, version 1: SPAN_INDEX_FILE_MAGIC, a 32-bit version, 32 bits of zeros, then one frame of
 * zstd. What it decodes to are columns in the order of enum span_index_column, each with its size
 * before it; numbers are LEB128. */

#define SPAN_INDEX_FILE_MAGIC "varvespx"

/* Of the artifact that refers to an image's manifest, and of its layers, each such a file. */
#define SPAN_INDEX_ARTIFACT_TYPE "application/vnd.varve.layer-index.v1+json"
#define SPAN_INDEX_MEDIA_TYPE "application/vnd.varve.layer-index.v1"

/* On each of them: the digest of the image's layer that it is of. */
#define SPAN_INDEX_LAYER_ANNOTATION "dev.varve.layer-index.layer-digest"

enum {
	SPAN_INDEX_FILE_VERSION = 1,
	SPAN_INDEX_FILE_MAX_SIZE = 64 << 20,
	SPAN_INDEX_FILE_MAX_BODY = 256 << 20, /* decoded */
	SPAN_INDEX_FILE_MAX_TEXT = 256 << 20, /* bytes of all names, links and xattrs together */
};

/* Of which parts of the file how many bytes are, before compression. */
struct span_index_file_sizes {
	size_t names;      /* with links */
	size_t attributes; /* everything else about entries */
	size_t spans;      /* without digests and windows */
	size_t digests;
	size_t windows;
};

/**
 * span_index_write() - the file of an index.
 * @index: whose spans all have a SPAN_DIGEST_DECODED; its digests of blob and archive are known.
 *         Whether its files are cut makes no difference.
 * @out:   appended to. The same bytes for the same index, from the same version of libzstd.
 * @sizes: may be NULL.
 * @err:   ERROR_INTERNAL for an index that lacks any of that, or whose payloads do not start at
 *         multiples of 512; ERROR_UNSUPPORTED above the limits.
 *
 * Threads: workers; CPU only.
 */
MUST_CHECK int span_index_write(const struct span_index *index, struct buffer *out,
	struct span_index_file_sizes *sizes, struct error *err);

/**
 * span_index_parse() - read such a file.
 * @err: ERROR_FORMAT for broken ones; ERROR_UNSUPPORTED for another version, which says so.
 *
 * Nothing in it is true only because it is well-formed: the caller decides whether to trust it, and
 * compares blob, blob_size and diff_id with those of the layer.
 *
 * Threads: workers; CPU only.
 */
MUST_CHECK int span_index_parse(
	const void *data, size_t size, struct span_index **out, struct error *err);
