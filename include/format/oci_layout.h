/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"
#include "oci/digest.h"
#include "oci/manifest.h"

/* The files of an OCI image layout: oci-layout says that it is one, index.json names its images,
 * blobs/ALGORITHM/HEX holds everything else. Spec: OCI image-spec, image-layout.md. */

#define OCI_LAYOUT_FILE "oci-layout"
#define OCI_LAYOUT_INDEX_FILE "index.json"
#define OCI_LAYOUT_BLOBS "blobs"

/* What images are called in index.json: the tag of the one, all of the name for containerd. */
#define OCI_LAYOUT_REF_NAME_ANNOTATION "org.opencontainers.image.ref.name"
#define OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION "io.containerd.image.name"

enum {
	OCI_LAYOUT_MAX_FILE = 4 << 10, /* oci-layout itself */
	/* "blobs/sha256/HEX" and a NUL. */
	OCI_LAYOUT_BLOB_PATH_SIZE = sizeof(OCI_LAYOUT_BLOBS) + 1 + DIGEST_TEXT_SIZE,
};

/* Checks the contents of oci-layout: ERROR_FORMAT, or ERROR_UNSUPPORTED with the version found. */
MUST_CHECK int oci_layout_check(const void *data, size_t size, struct error *err);

/* Where a blob is, below the directory of the layout; returns path. */
const char *oci_layout_blob_path(const struct digest *digest, char path[OCI_LAYOUT_BLOB_PATH_SIZE]);

/* What a tag means in an index.json. */
struct oci_layout_choice {
	struct digest digest;
	/* Not empty when index.json has the image for several platforms without an index of its
	 * own: such an index, made here, with that digest. */
	struct buffer document;
};

/**
 * oci_layout_select() - look a tag up.
 * @index: the contents of index.json.
 * @tag:   the value of either annotation, a reference that is short for it, "@3" for the fourth
 *         entry, or "" for the only image there is.
 * @out:   empty; on success the document in it is the caller's.
 * @err:   ERROR_NOT_FOUND, or ERROR_INVALID when it could mean several images; both list what
 *         there is.
 */
MUST_CHECK int oci_layout_select(const struct manifest_index *index, const char *tag,
	struct oci_layout_choice *out, struct error *err);
