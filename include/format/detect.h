/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/estargz.h"
#include "format/zstd_chunked.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* What format a layer is in: what its descriptor says, whether the end of the blob agrees, whether
 * its beginning does. */

enum layer_format {
	LAYER_FORMAT_ESTARGZ,
	LAYER_FORMAT_ZSTD_CHUNKED,
	/* Without a table of contents that the manifest vouches for: */
	LAYER_FORMAT_GZIP,
	LAYER_FORMAT_ZSTD,
	LAYER_FORMAT_TAR,
};

/* What the descriptor of a layer says. */
struct detected_layer {
	enum layer_format format;
	const char *name; /* of the format; part of the keys of indexes: never changes. Static */
	/* What vouches for the table of contents: of LAYER_FORMAT_ESTARGZ and
	 * LAYER_FORMAT_ZSTD_CHUNKED, the digest that all of it follows from. */
	struct digest toc_digest;
	struct zstd_chunked_promise zstd_chunked; /* of LAYER_FORMAT_ZSTD_CHUNKED */
};

/* True for the formats whose table of contents the manifest vouches for. */
bool layer_format_has_toc(enum layer_format format);

/**
 * detect_layer() - the format of a layer, by the media type and annotations of its descriptor.
 * @err: ERROR_UNSUPPORTED naming a media type that is of no layer known here; ERROR_FORMAT naming
 *       the annotation that is malformed, or media type and annotation that exclude each other.
 */
MUST_CHECK int detect_layer(
	const struct descriptor *layer, struct detected_layer *out, struct error *err);

enum { DETECT_TAIL_SIZE = 64 }; /* the largest footer */

/* What the end of a blob says. */
struct detected_footer {
	enum layer_format format; /* LAYER_FORMAT_ESTARGZ or LAYER_FORMAT_ZSTD_CHUNKED */
	struct estargz_footer estargz;
	struct zstd_chunked_position zstd_chunked;
};

/**
 * detect_footer() - look for a footer that leads to a table of contents.
 * @tail: the last bytes of the blob, at least DETECT_TAIL_SIZE where the blob has them.
 * @err:  ERROR_FORMAT when it is malformed, or when the media type says otherwise.
 *
 * A blob without a footer is success with *@found false.
 */
MUST_CHECK int detect_footer(const struct descriptor *layer, const uint8_t *tail, size_t tail_size,
	bool *found, struct detected_footer *out, struct error *err);

enum { DETECT_HEAD_SIZE = 512 }; /* a tar header */

/**
 * detect_content() - see whether a blob begins as its media type says.
 * @head: the first bytes of the blob, DETECT_HEAD_SIZE where the blob has them.
 * @err:  ERROR_FORMAT naming the media type and what the blob is instead.
 */
MUST_CHECK int detect_content(
	const struct descriptor *layer, const uint8_t *head, size_t head_size, struct error *err);
