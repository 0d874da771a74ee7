/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "oci/descriptor.h"
#include "oci/platform.h"

enum { MANIFEST_MAX_SIZE = 4 << 20, MANIFEST_MAX_LAYERS = 1024, INDEX_MAX_MANIFESTS = 4096 };

#define MEDIA_TYPE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

/* Spec: OCI image-spec, manifest.md; Docker image manifest version 2, schema 2. */
struct manifest {
	char *media_type; /* owned */
	struct descriptor config;
	struct descriptor *layers; /* owned, lowest first */
	size_t n_layers;
	struct annotation *annotations; /* owned */
	size_t n_annotations;
};

/* One entry of an index. */
struct index_manifest {
	struct descriptor descriptor;
	bool has_platform;
	struct platform platform;
};

/* Spec: OCI image-spec, image-index.md; Docker manifest list. */
struct manifest_index {
	char *media_type;                 /* owned */
	struct index_manifest *manifests; /* owned */
	size_t n_manifests;
};

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

/**
 * manifest_detect() - tell an image manifest from an index.
 * @content_type: what the server said, or NULL.
 *
 * The document's own mediaType decides; without one its shape does ("manifests" or "layers"; both
 * is ERROR_FORMAT, CVE-2021-41190). Docker schema 1 is ERROR_UNSUPPORTED with a cure in the
 * message. A content type that contradicts the document is ERROR_FORMAT naming both.
 */
MUST_CHECK int manifest_detect(const void *data, size_t size, const char *content_type,
	enum manifest_kind *out, struct error *err);

/**
 * manifest_parse() - read an image manifest.
 * @data: the document's bytes, whose digest the caller has checked.
 * @out:  set on success; release with manifest_free().
 * @err:  ERROR_FORMAT or ERROR_UNSUPPORTED naming the field, or ERROR_NO_MEMORY.
 */
MUST_CHECK int manifest_parse(
	const void *data, size_t size, struct manifest **out, struct error *err);
void manifest_free(struct manifest *manifest);
void manifest_freep(struct manifest **manifest);

/* Reads an image index or a Docker manifest list; otherwise as manifest_parse(). */
MUST_CHECK int manifest_index_parse(
	const void *data, size_t size, struct manifest_index **out, struct error *err);
void manifest_index_free(struct manifest_index *index);
void manifest_index_freep(struct manifest_index **index);

/* The best match for @wanted, borrowed from index; entries without a platform match last;
 * attestations (unknown/unknown) never. ERROR_NOT_FOUND lists what the index offers. */
MUST_CHECK int manifest_index_select(const struct manifest_index *index,
	const struct platform *wanted, const struct descriptor **out, struct error *err);
