/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/span_index.h"
#include "oci/digest.h"

/* SOCI's table of contents for gzip and uncompressed layers, made by somebody else's pass over the
 * layer and kept beside the image (format/soci_index.h). Spec: soci-snapshotter, ztoc/fbs/ztoc.fbs
 * and ztoc/compression. */

enum { ZTOC_MAX_SIZE = 256 << 20 };

/* Which layer the ztoc has to be of. */
struct ztoc_options {
	const struct digest *blob;
	uint64_t blob_size;
};

/**
 * ztoc_parse() - read a ztoc whose own digest the caller has checked.
 * @out: with a SPAN_DIGEST_ENCODED for each span; nothing of @data is needed afterwards.
 * @err: ERROR_FORMAT for what is no ztoc, contradicts itself, or is of a blob of another size;
 *       ERROR_UNSUPPORTED for a version other than 0.9, another compression than gzip and none, and
 *       archives with sparse files, whose parts a ztoc does not tell.
 *
 * That the blob is another one of the same size shows when a span is verified. Whether its
 * attributes are those of the archive has to be asked of the archive: format/span_headers.h.
 *
 * Threads: workers; CPU only.
 */
MUST_CHECK int ztoc_parse(const void *data, size_t size, const struct ztoc_options *options,
	struct span_index **out, struct error *err);
