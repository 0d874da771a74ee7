/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "chunk/source.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* Where one image comes from: a repository of a registry, a directory, an archive. The image has a
 * name there, everything else a digest. The calls block on network or disk: for threads that set
 * things up, never a loop or a worker; several threads may call at once. */
struct image_source;

/* What an implementation provides. */
struct image_source_ops {
	/* The digest of the manifest or index that the image's name means now. @suffix is appended
	 * to its tag, for an image that belongs to this one; "" for itself. */
	int (*resolve)(struct image_source *source, const char *suffix, struct digest *out,
		struct error *err);

	/* A manifest or index whose bytes have this digest, at most MANIFEST_MAX_SIZE. @out is
	 * empty. @media_type is what the source calls it. */
	int (*get_manifest)(struct image_source *source, const struct digest *digest,
		char media_type[128], struct buffer *out, struct error *err);

	/* A whole small blob; its bytes have the descriptor's digest. @out is empty. */
	int (*get_blob)(struct image_source *source, const struct descriptor *descriptor,
		uint64_t max_size, struct buffer *out, struct error *err);

	/* Bytes [off, off + size) of a blob as they are there: nothing is verified. */
	int (*get_range_unverified)(struct image_source *source,
		const struct descriptor *descriptor, uint64_t off, uint64_t size,
		struct buffer *out, struct error *err);

	/* What refers to a manifest, as the image index that format/referrers.h reads; nothing is
	 * written to @out, which is empty, when there is none. Entries of other types than
	 * @artifact_type may be among them. No digest vouches for it, but each entry has the digest
	 * of a manifest, for get_manifest. */
	int (*get_referrers)(struct image_source *source, const struct digest *subject,
		const char *artifact_type, struct buffer *out, struct error *err);

	/* Ranges of a blob for the fetcher. *out outlives the image source. */
	int (*open_blob)(struct image_source *source, const struct descriptor *descriptor,
		struct source **out, struct error *err);

	void (*free)(struct image_source *source);
};

/* First member of every implementation. */
struct image_source {
	const struct image_source_ops *ops;
	bool is_local; /* asking it costs nothing and contacts nobody */
};

void image_source_free(struct image_source *source);
void image_source_freep(struct image_source **source);
