/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer that somebody in the image's repository has made: believed as far as he who
 * may write there is, until the whole layer is here. */
#include "image_internal.h"

#include <stdio.h>

#include "base/log.h"
#include "format/span_index_file.h"

/* The claim becomes an index, unless it cannot be of this layer. */
static int use(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, struct layer_claim **claim, struct indexed_layer *out,
	struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *owned = NULL;
	const struct span_index *index;
	uint8_t key[INDEX_KEY_SIZE];
	struct error put;

	if (layer_spans_describe(blob, detected, record, *claim, err) < 0 ||
		layer_claim_parse(*claim, blob->descriptor, &owned, err) < 0 ||
		layer_spans_key(blob, detected, record, &(*claim)->digest, key, err) < 0 ||
		span_index_cut(owned, NULL, 0, err) < 0)
		return -1;
	index = owned;
	if (layer_claim_keep_headers(*claim, &owned, err) < 0 ||
		layer_spans_build(blob, index, false, key, &out->index, err) < 0)
		return -1;
	if (layer_spans_put_claim(blob, *claim, key, &put) < 0)
		log_warning("the next mount looks for the index of a layer again: %s", put.message);
	out->trust = LAYER_REPOSITORY_TRUSTED;
	out->claim = TAKE_PTR(*claim);
	return 0;
}

/* @what: for the log. A document that is of no use says so there, and the next one is tried. */
static int try(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, struct buffer *document, const char *what,
	struct indexed_layer *out, struct error *err)
{
	CLEANUP(layer_claim_freep) struct layer_claim *claim = NULL;
	char layer[DIGEST_TEXT_SIZE], text[DIGEST_TEXT_SIZE];
	struct error why = {0};
	bool refused;

	if (layer_claim_new(document, &claim, err) < 0 ||
		layer_claim_is_refused(blob->opening->context->store, &blob->descriptor->digest,
			&claim->digest, &refused, err) < 0)
		return -1;
	(void)digest_format(&blob->descriptor->digest, layer);
	(void)digest_format(&claim->digest, text);
	if (refused) {
		log_info("layer %s: %s %s is not used: it was found to contradict the layer", layer,
			what, text);
		return 0;
	}
	if (use(blob, detected, record, &claim, out, &why) == 0) {
		log_info("layer %s: %s %s is trusted until the whole layer is here", layer, what,
			text);
		return 0;
	}
	log_warning("layer %s: %s %s is not used: %s", layer, what, text, why.message);
	return 0;
}

static int get_artifact(const struct layer_blob *blob, const struct descriptor *index,
	struct buffer *out, struct error *err)
{
	struct image_source *source = blob->opening->source;

	return source->ops->get_blob(source, index, SPAN_INDEX_FILE_MAX_SIZE, out, err);
}

static int try_artifacts(const struct layer_blob *blob, const struct detected_layer *detected,
	struct indexed_layer *out, struct error *err)
{
	const struct descriptor *index;
	char layer[DIGEST_TEXT_SIZE];

	for (size_t i = 0; !out->index && (index = image_artifacts_find(blob, i)); i++) {
		CLEANUP(buffer_free) struct buffer document = {0};
		struct error why;

		if (get_artifact(blob, index, &document, &why) < 0)
			log_warning("layer %s: its index is not used: %s",
				digest_format(&blob->descriptor->digest, layer), why.message);
		else if (try(blob, detected, SPANS_CLAIMED, &document, "the index", out, err) < 0)
			return -1;
	}
	return 0;
}

static int try_soci(const struct layer_blob *blob, const struct detected_layer *detected,
	struct indexed_layer *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer document = {0};
	char layer[DIGEST_TEXT_SIZE];
	bool is_v1 = false;
	struct error why;

	if (image_layer_soci(blob, &document, &is_v1, &why) < 0) {
		log_warning("layer %s: its ztoc is not used: %s",
			digest_format(&blob->descriptor->digest, layer), why.message);
		return 0;
	}
	if (document.size == 0)
		return 0;
	return try(blob, detected, is_v1 ? SPANS_CLAIMED_V1 : SPANS_CLAIMED, &document, "the ztoc",
		out, err);
}

int image_layer_claimed(const struct layer_blob *blob, const struct detected_layer *detected,
	struct indexed_layer *out, struct error *err)
{
	if (layer_spans_find(blob, detected, SPANS_CLAIMED, out, err) < 0)
		return -1;
	if (!out->index && blob->opening->options->soci_v1 &&
		layer_spans_find(blob, detected, SPANS_CLAIMED_V1, out, err) < 0)
		return -1;
	if (out->index || blob->opening->options->pull == PULL_NEVER)
		return 0;
	if (try_artifacts(blob, detected, out, err) < 0)
		return -1;
	return out->index ? 0 : try_soci(blob, detected, out, err);
}
