/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "layer/tree.h"
#include "oci/image_name.h"
#include "oci/manifest.h"
#include "oci/platform.h"

struct registry_client;

/* From a name to a tree: resolve, manifest, an index per layer, the merged index. */

/* When the registry is asked what a tag means. Directories and archives are always asked: that
 * costs nothing. */
enum pull_policy {
	PULL_ALWAYS, /* ask; when no registry answers, the last known digest with a warning */
	/* Ask only for tags that were never resolved; where the image is no longer in its directory
	 * or archive, the last known digest with a warning. */
	PULL_MISSING,
	PULL_NEVER, /* ask nobody for names, manifests and indexes */
};

/* Everything an image needs from its process; all borrowed, all outliving the trees. */
struct image_context {
	struct store *store;
	struct fetcher *fetcher;
	struct registry_client *registry;
	struct loop *loop; /* the net loop */
	struct workers *workers;
	struct tree_table *trees;
};

/* IMAGE_READING: a layer that nobody has indexed goes by as a whole. */
enum image_step {
	IMAGE_RESOLVING,
	IMAGE_INDEXING,
	IMAGE_READING,
	IMAGE_MERGING,
	IMAGE_READY,
};

/* What an image is opened with. */
struct image_options {
	const struct image_name *name;
	const struct platform *platform;
	const struct digest *layer; /* the tree of this layer alone; NULL for the whole image */
	enum pull_policy pull;
	bool allow_unverified; /* layers without a digest of their table of contents */
	bool trust_indexes;    /* of layers without one, as the image's repository has them */
	bool soci_v1;          /* with trust_indexes: also SOCI's that nothing in the image names */
	bool prefetch;
	bool background;

	/* For a progress line; @n of @total layers have an index or, with IMAGE_READING, bytes of
	 * those that have to be read were: @n only grows, and @total while others are found. NULL:
	 * none. Called from the thread that opens and from its helpers, one at a time. */
	void (*progress)(void *arg, enum image_step step, size_t n, size_t total);
	void *arg;
};

/* What was opened. */
struct image {
	struct tree *tree;                    /* borrowed from the table */
	struct digest manifest;               /* of the platform manifest */
	char reference[IMAGE_NAME_TEXT_SIZE]; /* the full name */
	enum image_place place;
	struct platform platform;
	size_t n_layers;
	uint64_t layers_size; /* encoded bytes of all layers */
	bool unverified;      /* some layer was accepted without a digest */
	/* The tag was not asked for: its last resolution, wall clock; 0 when it was. */
	int64_t resolved_s;
};

/**
 * image_open() - make the tree of an image and put it into the table.
 * @err: names the image, then the layer, then what failed and what to do.
 *
 * Blocks on network, CPU and disk: a thread that serves nothing. The same image again is the same
 * tree.
 * Spec: OCI image-spec, manifest.md and image-index.md; design of trust: docs/architecture.md.
 */
MUST_CHECK int image_open(const struct image_context *context, const struct image_options *options,
	struct image *out, struct error *err);
