/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "format/span_index.h"

/* What an index says, as text, for comparison: its spans, one a line, then its entries as of
 * dump_toc().
 *
 *   span BLOB_OFF+BLOB_SIZE decodes to SIZE [in member] [bits N] [end bits N]
 *       [window DIGEST] none|encoded|decoded DIGEST
 *
 * Digests are cut to 16 digits; that of a window is without the zeros it begins with.
 */
void dump_span_index(const struct span_index *index, struct buffer *out);
