/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/referrers.h"
#include "layer/image.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* The indexes of an image's layers as files (format/span_index_file.h): made, shown, pushed beside
 * the image, and compared with the layers. Layers that carry a table of contents need none.
 *
 * All calls block on network, CPU and disk: a thread that serves nothing, one at a time. */

/* What a store has for a layer. */
enum image_index_state {
	IMAGE_INDEX_NOT_NEEDED, /* the layer has a table of contents */
	IMAGE_INDEX_MISSING,
	IMAGE_INDEX_AUTHENTIC, /* made here from the whole layer, or checked against it here */
	IMAGE_INDEX_TRUSTED, /* somebody's in the image's repository; nobody has checked it here */
};

/* "not needed" and so on. */
const char *image_index_state_name(enum image_index_state state);

/* One layer of an image. A layer that the image has twice is there once. */
struct image_index {
	const struct descriptor *layer; /* borrowed from the image's manifest */
	const char *format;             /* of the layer: "gzip"; static */
	enum image_index_state state;
	bool made;              /* now */
	struct digest document; /* of file; algorithm 0 without one */
	struct buffer file;     /* owned; empty without one */
};

/* All of an image. */
struct image_indexes {
	struct digest manifest;
	struct platform platform;
	char reference[IMAGE_NAME_TEXT_SIZE];
	struct image_index *layers; /* owned */
	size_t n_layers;
	struct image_indexing *indexing; /* private */
};

/* What to do about layers without an index. */
enum image_indexes_wish {
	IMAGE_INDEXES_FIND, /* nothing */
	IMAGE_INDEXES_MAKE, /* read them as a whole; a trusted index is not good enough */
	IMAGE_INDEXES_PULL, /* take what is in the image's repository, trusting whoever writes there
			     */
};

/**
 * image_indexes_open() - the indexes of an image, from the store or as wished.
 * @options: image, platform, pull, progress, and one layer for that alone. Borrowed until
 *           image_indexes_close(), like @context.
 * @err:     names the image, then the layer.
 */
MUST_CHECK int image_indexes_open(const struct image_context *context,
	const struct image_options *options, enum image_indexes_wish wish,
	struct image_indexes **out, struct error *err);
void image_indexes_close(struct image_indexes *indexes);
void image_indexes_closep(struct image_indexes **indexes);

/* Where an artifact went. */
struct image_indexes_pushed {
	struct digest artifact;       /* of its manifest */
	size_t n_indexes;             /* in it */
	size_t n_sent;                /* of which so many were not in the repository before */
	uint64_t sent_size;           /* bytes of these */
	char tag[REFERRERS_TAG_SIZE]; /* that it is listed under; "" for the referrers API */
};

/**
 * image_indexes_push() - put the indexes into the image's repository, as one artifact that refers
 * to the image. Once more changes nothing.
 * @indexes: those that are authentic; there is one at least, or it is ERROR_INVALID, as it is for
 * an image that is in no registry.
 */
MUST_CHECK int image_indexes_push(
	const struct image_indexes *indexes, struct image_indexes_pushed *out, struct error *err);

/* Calls each() for every index of a layer of the image that its repository has, with the descriptor
 * of the file. A repository that cannot be asked has none; the log says why. */
void image_indexes_each_offer(const struct image_indexes *indexes,
	void (*each)(void *arg, const struct image_index *layer, const struct descriptor *index),
	void *arg);

/* What became of a claim. */
struct image_index_verdict {
	const struct image_index *layer;
	struct digest document; /* what was compared; algorithm 0: nobody claims anything */
	struct error err;       /* ERROR_NONE: it is true; otherwise the first contradiction */
};

/**
 * image_indexes_verify() - read layers as a whole, and compare with what is claimed of them.
 * @file: an index; NULL: those in the image's repository.
 * @each: called for every claim, and for every layer that needs an index and has no claim.
 * @err:  a layer could not be read, or is not what its digests say; or @file is of none of them.
 *
 * Everything counts: entries, and that each span decodes to what its digest says.
 */
MUST_CHECK int image_indexes_verify(const struct image_indexes *indexes, const struct buffer *file,
	void (*each)(void *arg, const struct image_index_verdict *verdict), void *arg,
	struct error *err);
