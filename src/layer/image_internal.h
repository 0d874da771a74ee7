/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "base/bytes.h"
#include "chunk/image_source.h"
#include "claim_internal.h"
#include "format/detect.h"
#include "index/layer_index.h"
#include "layer/image.h"

struct image_manifest;
struct image_artifacts;

/* An image on its way to its tree. */
struct image_opening {
	const struct image_context *context;
	const struct image_options *options;
	struct image_source *source;        /* where it comes from */
	const struct image_manifest *image; /* once its manifest is known */
	struct image_artifacts *artifacts;  /* that refer to it */
	struct image_soci *soci;            /* its index of SOCI's; NULL: it is not looked for */
};

/* What an image is made of, once its manifest is known. */
struct image_manifest {
	struct digest digest; /* of the platform manifest */
	struct platform platform;
	int64_t resolved_s;        /* of a tag nobody was asked about; 0: it was */
	struct manifest *manifest; /* owned */
};

void image_manifest_clear(struct image_manifest *manifest);

/* image_source.c: where an image comes from; freed by the caller. */
MUST_CHECK int image_open_source(
	const struct image_opening *opening, struct image_source **out, struct error *err);

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
	uint64_t to_read;           /* bytes of the layers read as a whole; guarded by reporting */
	uint64_t n_read;            /* of those that are done; guarded by reading */
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
	struct buffer encoded;                     /* owned; of zstd:chunked, with its tar-split */
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

/* The index of a layer, and why it is believed. */
struct indexed_layer {
	struct layer_index *index; /* owned */
	enum layer_trust trust;
	struct layer_claim *claim; /* owned; NULL unless trusted */
};

void indexed_layer_clear(struct indexed_layer *layer);

/* image_layer_spans.c: layers that are made of an index of spans. */
enum codec layer_spans_codec(enum layer_format format);

/* What the decoded layer has to be, as the image's config says. */
MUST_CHECK int layer_spans_diff_id(
	const struct layer_blob *blob, struct digest *out, struct error *err);

/* @index: its files have their pieces; @has_digests: and these have digests of their own. */
MUST_CHECK int layer_spans_build(const struct layer_blob *blob, const struct span_index *index,
	bool has_digests, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out,
	struct error *err);

/* Which record of this store led to the index of a layer. */
enum layer_spans_record {
	SPANS_OF_PASS, /* made here, from the whole layer */
	SPANS_CHECKED, /* claimed, and found to be true of the whole layer */
	SPANS_CLAIMED, /* by somebody in the image's repository, and only used for images of that */
	SPANS_CLAIMED_V1, /* likewise, by an index of SOCI's that the user allows to use */
};

/* The key of the index of @document. */
MUST_CHECK int layer_spans_key(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, const struct digest *document, uint8_t key[INDEX_KEY_SIZE],
	struct error *err);

/* out->index stays NULL when there is no such record, or nothing is left of what it leads to. */
MUST_CHECK int layer_spans_find(const struct layer_blob *blob,
	const struct detected_layer *detected, enum layer_spans_record record,
	struct indexed_layer *out, struct error *err);

/* What such a record leads to, and nothing that is made of it: *found false when there is no
 * record, or its document was evicted. @out is empty. */
MUST_CHECK int layer_spans_document(const struct layer_blob *blob,
	const struct detected_layer *detected, enum layer_spans_record record, bool *found,
	struct digest *digest, struct buffer *out, struct error *err);

/* Which layer the claim is of, and how it is remembered: as SPANS_CLAIMED or SPANS_CLAIMED_V1. */
MUST_CHECK int layer_spans_describe(const struct layer_blob *blob,
	const struct detected_layer *detected, enum layer_spans_record record,
	struct layer_claim *claim, struct error *err);

/* Remembers a claim for the next mount of an image of this repository. */
MUST_CHECK int layer_spans_put_claim(const struct layer_blob *blob, const struct layer_claim *claim,
	const uint8_t key[INDEX_KEY_SIZE], struct error *err);

/* image_layer_tar.c: what the headers of plain tar say; its units have no digests. @digest: of all
 * bytes that were read for it, the identity of the table. Nothing is verified. */
MUST_CHECK int image_layer_tar(
	const struct layer_blob *blob, struct toc **out, struct digest *digest, struct error *err);

/* image_layer_pass.c: reads the blob as a whole, unless somebody else has just done that. */
MUST_CHECK int image_layer_pass(const struct layer_blob *blob,
	const struct detected_layer *detected, struct indexed_layer *out, struct error *err);

/* image_layer_claimed.c: the index that somebody in the repository claims to be that of the layer.
 * out->index stays NULL when there is none that can be used, which is said in the log. */
MUST_CHECK int image_layer_claimed(const struct layer_blob *blob,
	const struct detected_layer *detected, struct indexed_layer *out, struct error *err);

/* image_artifacts.c: the indexes that refer to the image, asked for once and kept for all its
 * layers. */
MUST_CHECK int image_artifacts_new(struct image_artifacts **out, struct error *err);
void image_artifacts_free(struct image_artifacts *artifacts);

/* The nth file that is said to be the index of the layer, counted from 0; NULL when there are no
 * more. A source that cannot be asked has none, and the log says so. */
const struct descriptor *image_artifacts_find(const struct layer_blob *blob, size_t nth);

/* image_layer_soci.c: the ztoc of a layer, as SOCI's index of the image names it. That is asked for
 * once and kept for all layers. */
MUST_CHECK int image_soci_new(struct image_soci **out, struct error *err);
void image_soci_free(struct image_soci *soci);

/* @out stays empty where there is none, or only one of which the log says why it is not used.
 * @is_v1: nothing in the image names it. */
MUST_CHECK int image_layer_soci(
	const struct layer_blob *blob, struct buffer *out, bool *is_v1, struct error *err);

/* image_layer_index.c: the index of one layer, opened from the store or made from what the
 * source has. */
MUST_CHECK int image_layer_index(
	const struct layer_blob *blob, struct indexed_layer *out, struct error *err);

/* image_layers.c: the indexes of several layers of the manifest at once; indexed[i] is set for each
 * on success. */
MUST_CHECK int image_layer_indexes(const struct image_opening *opening,
	const struct manifest *manifest, const struct descriptor *layers, size_t n_layers,
	struct indexed_layer *indexed, struct error *err);
