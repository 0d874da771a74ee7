/* SPDX-License-Identifier: Apache-2.0 */
/* What is claimed of an image's layers, and whether it is true. */
#include "layer/image_indexes.h"

#include <string.h>

#include "format/span_index_file.h"
#include "image_indexing_internal.h"

/* The claims of one layer, which is read once for all of them. */
struct verification {
	const struct image_indexes *indexes;
	const struct image_index *layer;
	struct layer_blob blob;
	struct detected_layer detected;
	struct pass_result actual;
	struct buffer file; /* owned; of the actual index */
	void (*each)(void *arg, const struct image_index_verdict *verdict);
	void *arg;
};

static void verification_clear(struct verification *verification)
{
	pass_result_clear(&verification->actual);
	buffer_free(&verification->file);
}

/* Reads the layer, unless that has been done. */
static int read_layer(struct verification *verification, struct error *err)
{
	if (verification->actual.index)
		return 0;
	if (image_layer_read(
		    &verification->blob, &verification->detected, &verification->actual, err) < 0)
		return -1;
	return span_index_write(verification->actual.index, &verification->file, NULL, err);
}

/* What is claimed against what is so. */
static int compare(
	struct verification *verification, const struct layer_claim *claim, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *claimed = NULL;
	const struct buffer *actual = &verification->file;

	if (layer_claim_parse(claim, verification->blob.descriptor, &claimed, err) < 0)
		return -1;
	if (claim->document.size == actual->size &&
		memcmp(claim->document.data, actual->data, actual->size) == 0)
		return 0;
	if (span_index_compare(claimed, verification->actual.index, err) < 0)
		return -1;
	return image_index_check_spans(
		&verification->blob, claimed, verification->actual.index, err);
}

/* @document is emptied. */
static int judge(struct verification *verification, struct buffer *document, struct error *err)
{
	CLEANUP(layer_claim_freep) struct layer_claim *claim = NULL;
	struct image_index_verdict verdict = {.layer = verification->layer};

	if (read_layer(verification, err) < 0 || layer_claim_new(document, &claim, err) < 0 ||
		layer_spans_describe(&verification->blob, &verification->detected, SPANS_CLAIMED,
			claim, err) < 0)
		return -1;
	verdict.document = claim->digest;
	(void)compare(verification, claim, &verdict.err);
	verification->each(verification->arg, &verdict);
	return 0;
}

static int begin(struct verification *verification, const struct image_indexes *indexes,
	const struct image_index *layer, struct error *err)
{
	verification->indexes = indexes;
	verification->layer = layer;
	verification->blob = image_indexing_blob(indexes, layer);
	return detect_layer(layer->layer, &verification->detected, err);
}

/* An index that is offered and cannot be had is as bad as a wrong one. */
static int judge_offer(
	struct verification *verification, const struct descriptor *index, struct error *err)
{
	struct image_source *source = verification->indexes->indexing->opening.source;
	CLEANUP(buffer_free) struct buffer document = {0};
	struct image_index_verdict verdict = {
		.layer = verification->layer, .document = index->digest};

	if (source->ops->get_blob(
		    source, index, SPAN_INDEX_FILE_MAX_SIZE, &document, &verdict.err) == 0)
		return judge(verification, &document, err);
	verification->each(verification->arg, &verdict);
	return 0;
}

static int verify_offers(struct verification *verification, struct error *err)
{
	struct image_index_verdict nothing = {.layer = verification->layer};
	const struct descriptor *index;
	size_t n = 0;

	(void)error_set(&nothing.err, ERROR_NOT_FOUND, "nobody has put an index of it there");
	while ((index = image_artifacts_find(&verification->blob, n))) {
		if (judge_offer(verification, index, err) < 0)
			return -1;
		n++;
	}
	if (n == 0)
		verification->each(verification->arg, &nothing);
	return 0;
}

static int verify_layer(struct verification *verification, const struct image_indexes *indexes,
	const struct image_index *layer, const struct buffer *file, struct error *err)
{
	CLEANUP(buffer_free) struct buffer copy = {0};
	char text[DIGEST_TEXT_SIZE];
	int result = begin(verification, indexes, layer, err);

	if (result == 0 && file && buffer_append(&copy, file->data, file->size) < 0)
		result = error_set(err, ERROR_NO_MEMORY, "no memory for an index");
	else if (result == 0)
		result = file ? judge(verification, &copy, err) : verify_offers(verification, err);
	return result < 0
		       ? error_prefix(err, "layer %s", digest_format(&layer->layer->digest, text))
		       : 0;
}

/* The layer that an index is of. */
static int find_layer(const struct image_indexes *indexes, const struct buffer *file,
	const struct image_index **out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;
	char text[DIGEST_TEXT_SIZE];

	if (span_index_parse(file->data, file->size, &index, err) < 0)
		return -1;
	for (size_t i = 0; i < indexes->n_layers; i++) {
		*out = &indexes->layers[i];
		if (digest_equal(&(*out)->layer->digest, &index->blob))
			return 0;
	}
	return error_set(err, ERROR_INVALID, "it is the index of layer %s, which %s does not have",
		digest_format(&index->blob, text), indexes->reference);
}

int image_indexes_verify(const struct image_indexes *indexes, const struct buffer *file,
	void (*each)(void *arg, const struct image_index_verdict *verdict), void *arg,
	struct error *err)
{
	const struct image_index *only = NULL;

	if (file && find_layer(indexes, file, &only, err) < 0)
		return -1;
	for (size_t i = 0; i < indexes->n_layers; i++) {
		const struct image_index *layer = &indexes->layers[i];
		CLEANUP(verification_clear)
		struct verification verification = {.each = each, .arg = arg};

		if (layer->state == IMAGE_INDEX_NOT_NEEDED || (only && layer != only))
			continue;
		if (verify_layer(&verification, indexes, layer, file, err) < 0)
			return -1;
	}
	return 0;
}

void image_indexes_each_offer(const struct image_indexes *indexes,
	void (*each)(void *arg, const struct image_index *layer, const struct descriptor *index),
	void *arg)
{
	for (size_t i = 0; i < indexes->n_layers; i++) {
		struct layer_blob blob = image_indexing_blob(indexes, &indexes->layers[i]);
		const struct descriptor *index;

		for (size_t n = 0; (index = image_artifacts_find(&blob, n)); n++)
			each(arg, &indexes->layers[i], index);
	}
}
