/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

/**
 * zstd_encode() - one frame of zstd that says its size.
 * @level: of effort, 1 to 19.
 * @out:   appended to. The same bytes each time, from the same version of libzstd.
 * @err:   ERROR_NO_MEMORY.
 *
 * Threads: workers; pure CPU. Spec: RFC 8878.
 */
MUST_CHECK int zstd_encode(
	const void *data, size_t size, int level, struct buffer *out, struct error *err);
