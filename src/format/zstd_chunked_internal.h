/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/zstd_chunked.h"

/* RFC 8878 section 3.1.2: a magic and a size. */
enum { ZSTD_SKIPPABLE_HEADER_SIZE = 8 };

/* Whether a manifest can be there, and is not too large. */
MUST_CHECK int zstd_chunked_check_position(const struct zstd_chunked_position *position,
	uint64_t type, uint64_t blob_size, struct error *err);
