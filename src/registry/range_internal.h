/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "chunk/source.h"

struct registry_client;

/* Reads [off, off + size), which lies inside the blob, from a source that was never used, and frees
 * the source in any case. Blocks; not on the net loop. @out is empty. */
MUST_CHECK int range_read(struct registry_client *client, struct source *source, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err);

/* ERROR_FORMAT unless the range lies inside the blob. */
MUST_CHECK int range_check(uint64_t off, uint64_t size, uint64_t blob_size, struct error *err);
