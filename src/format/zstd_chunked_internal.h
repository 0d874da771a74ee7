/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/zstd_chunked.h"

/* RFC 8878 section 3.1.2: a magic and a size. */
enum { ZSTD_SKIPPABLE_HEADER_SIZE = 8 };

/* Whether a manifest can be there, and is not too large. */
MUST_CHECK int zstd_chunked_check_position(const struct zstd_chunked_position *position,
	uint64_t type, uint64_t blob_size, struct error *err);

/* Where somebody says that the tar-split is. */
struct zstd_chunked_tar_split {
	uint64_t off;
	uint64_t size;
	uint64_t decoded_size;
};

/* Sets position->tar_split_*, whose manifest was checked; all zeros are none. ERROR_FORMAT where
 * none can be. */
MUST_CHECK int zstd_chunked_set_tar_split(struct zstd_chunked_position *position,
	const struct zstd_chunked_tar_split *claimed, uint64_t blob_size, struct error *err);
