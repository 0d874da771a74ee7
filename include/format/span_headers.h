/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/span_index.h"

/* Compares the attributes that an index claims with the headers in the archive. Needed where nobody
 * has read the archive to the end: a span's digest vouches for its bytes, but only the headers
 * among them say whose bytes they are (SOCI's ztocs).
 *
 * How a layer uses it: before the first bytes of a file go into the store, its headers are
 * compared. They are in the decoded archive just before its payload, nearly always in the same
 * span; they are in no file, so in no data space, and a span has to be decoded from its beginning
 * up to there. Headers that lie in several spans are put together from them. A file of which the
 * store has any chunk was compared before. */
struct span_headers;

enum {
	/* Headers of one entry, at most: two long names and a set of pax records. */
	SPAN_HEADERS_MAX_SIZE = 4 << 20,
	/* What a span may have, encoded or decoded: all of one is looked at. */
	SPAN_HEADERS_MAX_SPAN = 64 << 20,
	/* Of entries that were seen in part, at most. */
	SPAN_HEADERS_MAX_PARTS = 16 << 20,
};

/* The headers of one entry. */
struct span_headers_place {
	size_t entry; /* of the table of contents */
	size_t span;  /* that was asked about */
	uint64_t off; /* [off, off + size) of the decoded archive */
	uint64_t size;
	size_t first_span; /* they are in [first_span, first_span + n_spans) */
	size_t n_spans;
	uint64_t inner_off; /* of the first header in what the first of them decodes to */
};

/* @index: owned by *out on success; need not be cut. ERROR_FORMAT where an entry has no room for a
 * header, ERROR_UNSUPPORTED where it has headers of more than SPAN_HEADERS_MAX_SIZE,
 * or a span is larger than SPAN_HEADERS_MAX_SPAN. Any thread may
 * use *out. */
MUST_CHECK int span_headers_new(
	struct span_index *index, struct span_headers **out, struct error *err);
void span_headers_free(struct span_headers *headers);
void span_headers_freep(struct span_headers **headers);

/* Borrowed: its entries and spans. */
const struct span_index *span_headers_index(const struct span_headers *headers);

/* Frees the windows of the spans that has() is true for: somebody else has them. Before other
 * threads know *headers. */
void span_headers_drop_windows(
	struct span_headers *headers, bool (*has)(void *arg, uint64_t blob_off), void *arg);

/* Where the headers are of the file with this byte of what the span at @blob_off decodes to, as a
 * unit has them. False when no file has it. */
bool span_headers_find(const struct span_headers *headers, uint64_t blob_off, uint64_t inner_off,
	struct span_headers_place *out);

/* Whether these headers were compared, and were as the index says. */
bool span_headers_are_checked(const struct span_headers *headers, size_t entry);

/* They were compared in an earlier life of the store. */
void span_headers_set_checked(struct span_headers *headers, size_t entry);

/* The first span that has to be given to span_headers_check_span() before the headers of this entry
 * can be compared; false when they were. */
bool span_headers_missing(struct span_headers *headers, size_t entry, size_t *span);

/**
 * span_headers_check() - compare the headers of one entry.
 * @bytes: of its whole place.
 * @err:   ERROR_FORMAT naming the entry, what the index says and what the archive says. The fault
 *         is the index's, not that of whoever delivered the bytes: every source would tell the
 * same.
 *
 * Threads: workers; pure CPU.
 */
MUST_CHECK int span_headers_check(struct span_headers *headers, size_t entry, const void *bytes,
	size_t size, struct error *err);

/**
 * span_headers_check_span() - the same for all headers that a span completes.
 * @decoded: the first @size bytes of what it decodes to; headers that go on behind them are left,
 *           unless these are all of the span: then their part is kept for the next one.
 *
 * For who has decoded a span anyway: files that are read later need no second look at it.
 */
MUST_CHECK int span_headers_check_span(struct span_headers *headers, size_t span,
	const void *decoded, size_t size, struct error *err);

/* Compares one entry of @toc with the headers of a member: the bytes between the payload before it
 * and its own. As span_headers_check(). */
MUST_CHECK int span_headers_compare(const struct toc *toc, const struct toc_entry *entry,
	const void *bytes, size_t size, struct error *err);
