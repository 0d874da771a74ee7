/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "oci/digest.h"

/* What `docker save` writes: a tar archive whose manifest.json lists images, each a config and
 * layers that are files of the archive. There is no manifest with digests and sizes: one is made
 * here from what is there. Spec: Docker image specification v1.2, "Combined Image JSON + Filesystem
 * Changeset Format". */

#define DOCKER_ARCHIVE_INDEX_FILE "manifest.json"

enum { DOCKER_ARCHIVE_MAX_IMAGES = 4096, DOCKER_ARCHIVE_MAX_TAGS = 4096 };

/* Paths are clean names of files in the archive. */
struct docker_archive_image {
	char *config; /* owned */
	char **tags;  /* owned, n_tags of them; as written: "app:1.2" */
	size_t n_tags;
	char **layers; /* owned, n_layers of them, lowest first */
	size_t n_layers;
};

/* The contents of manifest.json. */
struct docker_archive {
	struct docker_archive_image *images; /* owned */
	size_t n_images;
};

/* At most MANIFEST_MAX_SIZE bytes. ERROR_FORMAT names the field. */
MUST_CHECK int docker_archive_parse(
	const void *data, size_t size, struct docker_archive **out, struct error *err);
void docker_archive_free(struct docker_archive *archive);
void docker_archive_freep(struct docker_archive **archive);

/**
 * docker_archive_select() - look a tag up.
 * @tag: a reference, "@3" for the fourth image, or "" for the only one.
 * @out: borrowed.
 * @err: ERROR_NOT_FOUND, or ERROR_INVALID when it could mean several images; both list what
 *       there is.
 */
MUST_CHECK int docker_archive_select(const struct docker_archive *archive, const char *tag,
	const struct docker_archive_image **out, struct error *err);

/* What the bytes of a layer are, by their beginning: as other tools see it, whatever its name. */
enum docker_layer_kind { DOCKER_LAYER_TAR, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD };
enum docker_layer_kind docker_layer_detect(const void *data, size_t size);

/* The media type of such a layer; of a config. */
const char *docker_layer_media_type(enum docker_layer_kind kind);
#define DOCKER_CONFIG_MEDIA_TYPE "application/vnd.docker.container.image.v1+json"

/* What a manifest says of a file. */
struct docker_archive_blob {
	const char *media_type; /* static */
	struct digest digest;
	uint64_t size;
};

/* Appends the manifest of an image to @out; the same for the same parts. */
MUST_CHECK int docker_archive_manifest(const struct docker_archive_blob *config,
	const struct docker_archive_blob *layers, size_t n_layers, struct buffer *out,
	struct error *err);
