/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "format/span_headers.h"
#include "format/span_index.h"
#include "layer/layer.h"
#include "oci/descriptor.h"
#include "oci/digest.h"
#include "store/store.h"

/* The key of an index is made with the name of the layer's format and this; so is the record of one
 * that was found to be true. */
#define LAYER_CLAIMED_SUFFIX "-claimed"
#define LAYER_CHECKED_SUFFIX "-checked"

enum { LAYER_CLAIM_RECORD_SIZE = 2 * DIGEST_TEXT_SIZE + 80 };

/* What somebody in the image's repository says is in a layer that nobody here has read: an index of
 * spans of ours, or a ztoc of SOCI's. Used before it is checked; checked when the whole layer has
 * been read. */
struct layer_claim {
	enum layer_claimant by;
	struct digest digest;   /* of the document: who refuses a claim remembers this */
	struct buffer document; /* owned; as it was in the repository */
	/* owned; of a ztoc: what it says of a file is compared when that is read first */
	struct span_headers *headers;

	/* Of the layer it is of: */
	const char *format; /* name of its format, static */
	enum codec codec;
	struct digest diff_id;
	char record[LAYER_CLAIM_RECORD_SIZE]; /* that leads to it, in the store */
};

void layer_claim_clear(struct layer_claim *claim);
void layer_claim_free(struct layer_claim *claim);
void layer_claim_freep(struct layer_claim **claim);

/**
 * layer_claim_new() - take a document for a claim.
 * @document: emptied on success. What kind it is its first bytes say.
 *
 * The caller says which layer it is of.
 */
MUST_CHECK int layer_claim_new(
	struct buffer *document, struct layer_claim **out, struct error *err);

/**
 * layer_claim_parse() - the index of spans that is claimed.
 * @descriptor: of the layer, of whose blob the index has to be.
 * @err: ERROR_FORMAT, also for an index of another layer, compression or diffID.
 *
 * Not cut. Threads: CPU only, and as much memory as the layer has names.
 */
MUST_CHECK int layer_claim_parse(const struct layer_claim *claim,
	const struct descriptor *descriptor, struct span_index **out, struct error *err);

/* Gives a claim of SOCI's its headers; does nothing where they are there or not needed.
 * @index: what layer_claim_parse() made of it: emptied where it is needed. */
MUST_CHECK int layer_claim_keep_headers(
	struct layer_claim *claim, struct span_index **index, struct error *err);

/* A claim that was found to be wrong is never used again for this blob. */
MUST_CHECK int layer_claim_refuse(struct store *store, const struct digest *blob,
	const struct digest *document, struct error *err);
MUST_CHECK int layer_claim_is_refused(struct store *store, const struct digest *blob,
	const struct digest *document, bool *refused, struct error *err);
