/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "chunk/gzip_indexer.h"

/* Decodes a whole zstd blob as a stream and finds its spans, as struct gzip_indexer does for gzip:
 * one or more whole frames each, for nothing else can be decoded alone. A blob of one frame is one
 * span. Bytes that are no frame are ERROR_FORMAT, wherever they are, as is an empty blob. One
 * thread at a time. Spec: RFC 8878. */
struct zstd_indexer;

/* @options is copied. A span ends with the first frame behind half of options->span_size. */
MUST_CHECK int zstd_indexer_new(
	const struct gzip_indexer_options *options, struct zstd_indexer **out, struct error *err);
void zstd_indexer_free(struct zstd_indexer *indexer);
void zstd_indexer_freep(struct zstd_indexer **indexer);

/* The next bytes of the blob. After a failure the indexer may only be freed. */
MUST_CHECK int zstd_indexer_feed(
	struct zstd_indexer *indexer, const void *encoded, size_t encoded_size, struct error *err);

/* The blob has ended; the rest of the data and the last span come from here. */
MUST_CHECK int zstd_indexer_end(struct zstd_indexer *indexer, struct error *err);
