/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "chunk/decoded.h"
#include "chunk/span.h"

/* Decodes a whole gzip blob as a stream and finds the places where decoding may start later: the
 * borders between the spans. One thread at a time.
 *
 * Members follow each other without anything between them. Each one's CRC and length are checked.
 * What follows the last member has to be zeros, which are ignored as GNU gzip ignores them (tapes
 * and block devices pad so); anything else is ERROR_FORMAT, as is an empty blob. */
struct gzip_indexer;

/* Who gets what is found. Each function returns 0, or -1 with @err set, which ends the work. */
struct gzip_indexer_options {
	/* A span ends at the first border between deflate blocks behind so many decoded bytes, or
	 * between members behind half of that. 0: SPAN_DEFAULT_SIZE. */
	uint64_t span_size;

	/* The next decoded bytes, at most 256 KiB, all of them of span number @span (from 0). Take
	 * a reference to keep them. */
	int (*data)(void *arg, uint64_t span, struct decoded *piece, struct error *err);

	/**
	 * found() - a span is complete, and all its data was given before.
	 * @out_off: where its decoded bytes begin.
	 * @found:   without a digest. The window holds what the span refers to and zeros; borrowed
	 *           for the call.
	 *
	 * Spans come in order and their decoded bytes leave nothing out; none is empty.
	 */
	int (*found)(void *arg, uint64_t span, uint64_t out_off, const struct unit_span *found,
		struct error *err);
	void *arg;
};

/* What a blob turned out to be. */
struct gzip_indexer_summary {
	uint64_t blob_size;
	uint64_t decoded_size;
	uint64_t n_members;
	uint64_t n_spans;
};

/* @options is copied. */
MUST_CHECK int gzip_indexer_new(
	const struct gzip_indexer_options *options, struct gzip_indexer **out, struct error *err);
void gzip_indexer_free(struct gzip_indexer *indexer);
void gzip_indexer_freep(struct gzip_indexer **indexer);

/* The next bytes of the blob. After a failure the indexer may only be freed. */
MUST_CHECK int gzip_indexer_feed(
	struct gzip_indexer *indexer, const void *encoded, size_t encoded_size, struct error *err);

/* The blob has ended; the rest of the data and the last span come from here. @out may be NULL. */
MUST_CHECK int gzip_indexer_end(
	struct gzip_indexer *indexer, struct gzip_indexer_summary *out, struct error *err);
