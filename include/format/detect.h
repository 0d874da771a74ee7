/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/estargz.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* Which of the formats a layer is in that can be mounted without being there. */
enum layer_format { LAYER_FORMAT_ESTARGZ };

/* What the manifest promises about a layer. */
struct detected_layer {
	enum layer_format format;
	const char *name; /* of the format: "estargz"; static */
	/* Of the table of contents; without one nothing that is read can be trusted. */
	bool has_toc_digest;
	struct digest toc_digest;
};

/**
 * detect_layer() - the format of a layer, by the media type and annotations of its descriptor.
 * @allow_unverified: accept a layer that may be of a format but whose annotation is missing.
 * @err: ERROR_UNSUPPORTED naming the media type, what was looked for and what to do;
 *       ERROR_FORMAT when the annotation is no digest.
 */
MUST_CHECK int detect_layer(const struct descriptor *layer, bool allow_unverified,
	struct detected_layer *out, struct error *err);

/**
 * detect_estargz_footer() - see whether the blob keeps the promise.
 * @tail: the last bytes of the blob, at least ESTARGZ_FOOTER_SIZE where the blob has them.
 * @out:  of a kind that is not ESTARGZ_FOOTER_NONE.
 * @err:  ERROR_FORMAT for a layer that claims to be eStargz and is not; ERROR_UNSUPPORTED for one
 *        that never claimed it: a plain gzip layer.
 */
MUST_CHECK int detect_estargz_footer(const struct descriptor *layer, const uint8_t *tail,
	size_t tail_size, struct estargz_footer *out, struct error *err);
