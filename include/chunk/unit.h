/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum codec { CODEC_NONE = 0, CODEC_GZIP = 1, CODEC_ZSTD = 2 };

enum {
	UNIT_ZEROS = 1,      /* whatever the digest, which may be zeros, too */
	UNIT_UNVERIFIED = 2, /* the table of contents gave no digest and the user allowed that */
	UNIT_IN_SPAN = 4, /* the digest is zeros; that of its span vouches for it (chunk/span.h) */
};

/* The smallest part of a layer that is fetched, verified and present as a whole (a chunk of
 * eStargz, a span of gzip). Units never overlap in the data space. Units with the same blob_off
 * are siblings: they come out of the same encoded bytes, decoded once. */
struct unit {
	uint64_t data_off; /* place in the layer's data space, bytes */
	uint64_t size;     /* decoded bytes, at least 1 */
	uint64_t blob_off; /* encoded bytes: [blob_off, blob_off + blob_size) of the blob */
	uint64_t blob_size;
	uint64_t inner_off; /* where the unit starts in the decoded bytes */
	uint8_t digest[32]; /* SHA-256 of the decoded bytes */
	enum codec codec;
	unsigned flags;
};
