/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "oci/descriptor.h"
#include "oci/digest.h"
#include "oci/manifest.h"

/* SOCI's index: an image manifest whose layers are the ztocs of another image's layers. Spec:
 * soci-snapshotter, docs on index manifest versions 1 and 2. */

#define SOCI_INDEX_V1 "application/vnd.amazon.soci.index.v1+json"
#define SOCI_INDEX_V2 "application/vnd.amazon.soci.index.v2+json"

/* On an image's manifest: the digest of its index (version 2). */
#define SOCI_INDEX_DIGEST_ANNOTATION "com.amazon.soci.index-digest"

/* From containerd, to a snapshotter: the same. */
#define SOCI_INDEX_DIGEST_LABEL "containerd.io/snapshot/remote/soci.index.digest"

/* Where to look for the index of an image, in this order. */
enum soci_discovery {
	SOCI_DISCOVERY_NONE,      /* there is none */
	SOCI_DISCOVERY_DIGEST,    /* the manifest of this digest, in the image's repository */
	SOCI_DISCOVERY_REFERRERS, /* the first referrer of the image that is a SOCI_INDEX_V1 */
};

/**
 * soci_discover() - how to find the index of an image.
 * @label:    the value of SOCI_INDEX_DIGEST_LABEL, or NULL.
 * @manifest: of the image for one platform.
 * @allow_v1: also indexes that nothing in the image names. Anybody who may push to the repository
 *            can add one, so this is for the user to allow.
 * @digest:   set for SOCI_DISCOVERY_DIGEST.
 * @err:      ERROR_FORMAT when label or annotation are no digest.
 */
MUST_CHECK int soci_discover(const char *label, const struct manifest *manifest, bool allow_v1,
	enum soci_discovery *out, struct digest *digest, struct error *err);

/* What an index has for a layer. */
struct soci_layer {
	struct digest layer;          /* of the image */
	struct descriptor ztoc;       /* owned */
	const char *layer_media_type; /* borrowed from ztoc; NULL when not told */
	bool has_no_xattrs;           /* says the maker: no xattr and no opaque directory */
};

/* All of it. */
struct soci_index {
	int version; /* 1 or 2 */
	bool has_subject;
	struct digest subject;     /* version 1: the image's manifest */
	struct soci_layer *layers; /* owned; large ones of the image's, in any order */
	size_t n_layers;
};

/**
 * soci_index_parse() - read the manifest of an index.
 * @data:  bytes whose digest the caller has checked.
 * @image: digest of the image's manifest: another subject is ERROR_FORMAT. NULL: do not compare.
 * @err:   ERROR_FORMAT; ERROR_UNSUPPORTED when it is the manifest of something else.
 */
MUST_CHECK int soci_index_parse(const void *data, size_t size, const struct digest *image,
	struct soci_index **out, struct error *err);
void soci_index_free(struct soci_index *index);
void soci_index_freep(struct soci_index **index);

/* The ztoc of a layer; NULL when it has none: such a layer is used without one. */
const struct soci_layer *soci_index_find(
	const struct soci_index *index, const struct digest *layer);
