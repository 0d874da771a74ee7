/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "base/bytes.h"
#include "chunk/image_source.h"
#include "format/detect.h"
#include "index/layer_index.h"
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

/* What the layers of an image that are indexed at the same time have to share. */
struct layer_turns {
	pthread_mutex_t reading;    /* a whole layer, which takes all cores and much memory */
	pthread_mutex_t *reporting; /* progress; borrowed */
};

/* The layer whose index is made, and of what; all borrowed. */
struct layer_blob {
	const struct image_opening *opening;
	const struct manifest *manifest;
	const struct descriptor *descriptor; /* of manifest->layers */
	struct layer_turns *turns;
};

/* image_layer_blob.c: bytes [off, off + size) of the blob, as the source has them. @out is
 * empty. Refused with --pull=never. */
MUST_CHECK int layer_blob_read(const struct layer_blob *blob, uint64_t off, uint64_t size,
	struct buffer *out, struct error *err);

/* Where the fetcher gets the blob, in this order: @out has LAYER_MAX_SOURCES places. Also on
 * failure *n_out of them are the caller's. */
enum { LAYER_MAX_SOURCES = 2 };
MUST_CHECK int layer_blob_sources(const struct image_opening *opening,
	const struct descriptor *descriptor, struct source **out, size_t *n_out, struct error *err);

#define LAYER_MAX_ENCODED_TOC (UINT64_C(150) << 20)

/* A table of contents as the layer carries it; of one of the formats that have one. */
struct layer_table {
	enum layer_format format;
	struct buffer encoded;                     /* owned */
	uint64_t payload_end;                      /* LAYER_FORMAT_ESTARGZ */
	struct zstd_chunked_position zstd_chunked; /* LAYER_FORMAT_ZSTD_CHUNKED */
};

void layer_table_clear(struct layer_table *table);

/* image_layer_table.c: finds it, wherever it is. *found is false for a layer that promises none and
 * has none; one that breaks its promise is ERROR_FORMAT. */
MUST_CHECK int layer_table_find(const struct layer_blob *blob,
	const struct detected_layer *detected, bool *found, struct layer_table *out,
	struct error *err);

/* image_layer_external.c: the table of an eStargz layer that is in an image of its own. */
MUST_CHECK int layer_table_find_external(
	const struct layer_blob *blob, struct buffer *out, struct error *err);

/* image_layer_pass.c: the index of a layer that has no table of contents. Its blob is read as a
 * whole unless that has been done before. */
MUST_CHECK int image_layer_pass(const struct layer_blob *blob,
	const struct detected_layer *detected, struct layer_index **out, struct error *err);

/* image_layer_index.c: the index of one layer, opened from the store or made from what the
 * source has. *unverified is set when it was accepted without a digest. */
MUST_CHECK int image_layer_index(const struct layer_blob *blob, struct layer_index **out,
	bool *unverified, struct error *err);

/* image_layers.c: the indexes of several layers of the manifest at once; indexes[i] is set for each
 * on success. */
MUST_CHECK int image_layer_indexes(const struct image_opening *opening,
	const struct manifest *manifest, const struct descriptor *layers, size_t n_layers,
	struct layer_index **indexes, bool *unverified, struct error *err);
