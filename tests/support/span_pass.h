/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/span_index.h"

/* What a full pass over a gzip or plain layer in memory finds: entries, spans with the digests of
 * what they decode to, digests of blob and archive. @span_size as of the gzip indexer; plain layers
 * are cut there. Fails with @err like everything that it calls. */
MUST_CHECK int span_pass(enum codec codec, const void *blob, size_t blob_size, uint64_t span_size,
	struct span_index **out, struct error *err);
