/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "chunk/image_source.h"
#include "layer/image.h"

/* An image on its way to its tree. */
struct image_opening {
	const struct image_context *context;
	const struct image_options *options;
	struct image_source *source; /* where it comes from */
};

/* What an image is made of, once its manifest is known. */
struct image_manifest {
	struct digest digest; /* of the platform manifest */
	struct platform platform;
	int64_t resolved_s;        /* of a tag nobody was asked about; 0: it was */
	struct manifest *manifest; /* owned */
};

void image_manifest_clear(struct image_manifest *manifest);

/* image_manifest.c: from a name to a platform manifest, by the pull policy. */
MUST_CHECK int image_manifest_find(
	const struct image_opening *opening, struct image_manifest *out, struct error *err);

/* Gives a manifest or index by digest: from the store, or from the source and then kept. */
MUST_CHECK int image_document(const struct image_opening *opening, const struct digest *digest,
	char media_type[128], struct buffer *out, struct error *err);

/* image_layer_index.c: the index of one layer, opened from the store or made from what the
 * source has. *unverified is set when it was accepted without a digest. */
MUST_CHECK int image_layer_index(const struct image_opening *opening,
	const struct descriptor *descriptor, struct layer_index **out, bool *unverified,
	struct error *err);

/* image_layers.c: the indexes of several layers at once; indexes[i] is set for each on success. */
MUST_CHECK int image_layer_indexes(const struct image_opening *opening,
	const struct descriptor *layers, size_t n_layers, struct layer_index **indexes,
	bool *unverified, struct error *err);
