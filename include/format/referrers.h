/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "oci/descriptor.h"
#include "oci/digest.h"

/* What refers to an image: the answer of the referrers API, or the index behind the tag that stands
 * in where a registry has no such API. Spec: OCI distribution-spec, "Listing Referrers" and
 * "Referrers Tag Schema". */

enum {
	REFERRERS_MAX_SIZE = 4 << 20, /* of the answer, as of every manifest */
	REFERRERS_MAX = 4096,
	/* Name of the algorithm, at most 64 digits, NUL. */
	REFERRERS_TAG_SIZE = 32 + 1 + 64 + 1,
};

/* One of them. */
struct referrer {
	struct descriptor descriptor; /* of its manifest */
	char *artifact_type;          /* owned; NULL when nobody said it */
};

/* A list of them. */
struct referrers {
	struct referrer *list; /* owned; in the order of the answer */
	size_t n;
};

/**
 * referrers_parse() - read an image index of referrers.
 * @artifact_type: only those of this type, as a server need not have filtered; and those that say
 *                 nothing about their type, whose manifest has to be asked. NULL: all.
 * @err:           ERROR_FORMAT for what is no image index, and for a broken entry, unless it is of
 *                 another type.
 */
MUST_CHECK int referrers_parse(const void *data, size_t size, const char *artifact_type,
	struct referrers **out, struct error *err);
void referrers_free(struct referrers *referrers);
void referrers_freep(struct referrers **referrers);

/* The tag that stands in for the API: "sha256-<hex>", of a longer digest its first 64 digits.
 * Returns
 * @tag. */
const char *referrers_tag(const struct digest *subject, char tag[REFERRERS_TAG_SIZE]);

/**
 * referrers_add() - the index behind that tag with one more referrer.
 * @data:        as it is now; NULL with size 0 where there is none.
 * @descriptor:  of the referrer's manifest; replaces an entry of the same digest. Its media type,
 *               digest, size and annotations are written.
 * @out:         appended to.
 *
 * Everything else in the index stays as it is, in its order.
 */
MUST_CHECK int referrers_add(const void *data, size_t size, const struct descriptor *descriptor,
	const char *artifact_type, struct buffer *out, struct error *err);

/**
 * referrers_join() - two lists as one.
 * @data:  a list, all of whose members are kept; NULL with size 0 for none.
 * @more:  whose entries come after those of @data.
 * @out:   appended to.
 * @err:   ERROR_FORMAT for what is no image index; ERROR_UNSUPPORTED above the limits.
 */
MUST_CHECK int referrers_join(const void *data, size_t size, const void *more, size_t more_size,
	struct buffer *out, struct error *err);

/**
 * referrers_add_manifest() - list a manifest or index if it refers to @subject.
 * @data, @size:      the list as it is now, as for referrers_add().
 * @document:         of the manifest, whose bytes the caller has checked.
 * @descriptor:       of the document.
 * @out:              appended to when *@added is set.
 *
 * Its type is what the document says: "artifactType", or else the media type of its config.
 */
MUST_CHECK int referrers_add_manifest(const void *data, size_t size, const struct digest *subject,
	const struct buffer *document, const struct descriptor *descriptor, struct buffer *out,
	bool *added, struct error *err);
