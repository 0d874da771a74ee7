/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/gzip_indexer.h"
#include "chunk/span.h"
#include "support/encode.h"

/* A span that the indexer found, with a window of its own. */
struct found_span {
	struct unit_span span; /* its window is owned */
	uint64_t out_off;
};

/* All that the indexer tells of a blob. */
struct span_list {
	struct found_span *spans; /* owned */
	size_t n_spans;
	size_t n_pieces;
	struct buffer plain; /* the decoded bytes */
	struct gzip_indexer_summary summary;
	uint64_t span_of_data;
	size_t fail_at_piece; /* the receiver fails there; 0: nowhere */
	size_t fail_at_span;
};

/* Feeds the blob in steps; what was collected before a failure is in the list. */
int span_list_index(struct span_list *list, const uint8_t *blob, size_t blob_size,
	uint64_t span_size, size_t step, struct error *err);
void span_list_free(struct span_list *list);

/* Each span, decoded by itself, whole and in parts, is what the stream decoded to; and so is it by
 * the stream decoder. Spans leave no decoded byte out. */
void span_list_check(const struct span_list *list, const uint8_t *blob, size_t blob_size);

void span_list_assert_equal(const struct span_list *a, const struct span_list *b);

/* Every byte of a window that is not zero is needed: without it the span decodes to something
 * else. A sample of them is tried. */
void span_list_check_need(const struct span_list *list, size_t span_i, const uint8_t *blob,
	const uint8_t window[SPAN_WINDOW_SIZE]);
