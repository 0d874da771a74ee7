/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* The artifact that carries the indexes of an image's layers: an image manifest that refers to that
 * of the image, and whose layers are files of format/span_index_file.h. Spec: OCI image-spec,
 * manifest.md, "Guidelines for Artifact Usage". */

/* Its configuration, which says nothing. */
#define OCI_EMPTY_MEDIA_TYPE "application/vnd.oci.empty.v1+json"
#define OCI_EMPTY_BLOB "{}"

/* What it has for a layer. */
struct span_index_layer {
	struct digest layer;     /* of the image */
	struct descriptor index; /* owned; of the file, at most SPAN_INDEX_FILE_MAX_SIZE */
};

/* All of it. */
struct span_index_manifest {
	struct digest subject;           /* the image's manifest */
	struct span_index_layer *layers; /* owned; of different layers of the image */
	size_t n_layers;
};

/* The descriptor of the empty configuration, whose blob is OCI_EMPTY_BLOB; its media type is not
 * owned. */
void span_index_config(struct descriptor *out);

/**
 * span_index_manifest_write() - the manifest of an artifact.
 * @subject: media type, digest and size of the image's manifest.
 * @layers:  of the index only digest and size are looked at.
 * @out:     appended to. The same bytes for the same input.
 */
MUST_CHECK int span_index_manifest_write(const struct descriptor *subject,
	const struct span_index_layer *layers, size_t n_layers, struct buffer *out,
	struct error *err);

/**
 * span_index_manifest_parse() - read the manifest of an artifact.
 * @data:    bytes whose digest the caller has checked.
 * @subject: digest of the image's manifest: another subject is ERROR_FORMAT. NULL: any will do.
 * @err:     ERROR_FORMAT; ERROR_UNSUPPORTED when it is the manifest of something else.
 *
 * Layers of media types that are not known are left out.
 */
MUST_CHECK int span_index_manifest_parse(const void *data, size_t size,
	const struct digest *subject, struct span_index_manifest **out, struct error *err);
void span_index_manifest_free(struct span_index_manifest *manifest);
void span_index_manifest_freep(struct span_index_manifest **manifest);

/* The index of a layer; NULL when the artifact has none. */
const struct descriptor *span_index_manifest_find(
	const struct span_index_manifest *manifest, const struct digest *layer);
