/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "chunk/gzip_indexer.h"

/* What an indexer has to keep, whatever the blob. */

enum { INDEXED_MAX_SIZE = 1 << 20, INDEXED_MAX_SPANS = 64 };

/* What one made of a blob. Zero-initialise; indexed_clear() frees it. */
struct indexed {
	bool complete; /* the blob was accepted; set by the user */
	struct buffer plain;
	uint64_t n_spans;
	struct unit_span spans[INDEXED_MAX_SPANS]; /* their windows are owned */
	uint64_t out_offs[INDEXED_MAX_SPANS];
};

/* Options of an indexer that fills @out. It is ended where @out would be too large. */
struct gzip_indexer_options indexed_options(struct indexed *out, uint64_t span_size);
void indexed_clear(struct indexed *indexed);

/* Both are of the same blob. */
void indexed_require_same(const struct indexed *a, const struct indexed *b);
/* Each span decodes alone. */
void indexed_require_spans(const struct buffer *blob, const struct indexed *indexed);

static inline void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}
