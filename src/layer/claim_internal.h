/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "format/span_index.h"
#include "layer/layer.h"
#include "oci/descriptor.h"
#include "oci/digest.h"
#include "store/store.h"

/* What somebody in the image's repository says is in a layer that nobody here has read: an index of
 * spans of ours, or a ztoc of SOCI's. Used before it is checked; checked when the whole layer has
 * been read. */
struct layer_claim {
	enum layer_claimant by;
	struct digest digest;   /* of the document: who refuses a claim remembers this */
	struct buffer document; /* owned; as it was in the repository */
};

void layer_claim_clear(struct layer_claim *claim);
void layer_claim_free(struct layer_claim *claim);
void layer_claim_freep(struct layer_claim **claim);

/**
 * layer_claim_new() - take a document for a claim.
 * @document: emptied on success. What kind it is its first bytes say.
 */
MUST_CHECK int layer_claim_new(
	struct buffer *document, struct layer_claim **out, struct error *err);

/**
 * layer_claim_parse() - the index of spans that is claimed.
 * @descriptor: of the layer; the index is of its blob, or it is ERROR_FORMAT.
 * @diff_id:    of the image's config: an index that says another is ERROR_FORMAT, too.
 * @codec:      of the layer.
 *
 * Not cut. Threads: CPU only, and as much memory as the layer has names.
 */
MUST_CHECK int layer_claim_parse(const struct layer_claim *claim,
	const struct descriptor *descriptor, const struct digest *diff_id, enum codec codec,
	struct span_index **out, struct error *err);

/* A claim that was found to be wrong is never used again for this blob. */
MUST_CHECK int layer_claim_refuse(struct store *store, const struct digest *blob,
	const struct digest *document, struct error *err);
MUST_CHECK int layer_claim_is_refused(struct store *store, const struct digest *blob,
	const struct digest *document, bool *refused, struct error *err);
