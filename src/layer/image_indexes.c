/* SPDX-License-Identifier: Apache-2.0 */
/* The indexes of an image's layers: found in the store, made, or taken from the repository. */
#include "layer/image_indexes.h"

#include <stdlib.h>
#include <string.h>

#include "format/span_index_file.h"
#include "image_indexing_internal.h"
#include "store/layer_artifact.h"
#include "store/store.h"

const char *image_index_state_name(enum image_index_state state)
{
	static const char *const names[] = {
		[IMAGE_INDEX_NOT_NEEDED] = "not needed",
		[IMAGE_INDEX_MISSING] = "missing",
		[IMAGE_INDEX_AUTHENTIC] = "authentic",
		[IMAGE_INDEX_TRUSTED] = "repository-trusted",
	};

	return names[state];
}

struct layer_blob image_indexing_blob(
	const struct image_indexes *indexes, const struct image_index *layer)
{
	return (struct layer_blob){
		.opening = &indexes->indexing->opening,
		.manifest = indexes->indexing->image.manifest,
		.descriptor = layer->layer,
		.turns = &indexes->indexing->turns,
	};
}

/* Takes the file of a record of the store; nothing when there is none. Others' formats are no files
 * of ours: @ours refuses them. */
static int take_record(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, bool ours, struct image_index *layer, struct error *err)
{
	CLEANUP(buffer_free) struct buffer file = {0};
	struct digest document;
	bool found;

	if (layer->file.size > 0)
		return 0;
	if (layer_spans_document(blob, detected, record, &found, &document, &file, err) < 0)
		return -1;
	if (!found || (ours && (file.size < strlen(SPAN_INDEX_FILE_MAGIC) ||
				       memcmp(file.data, SPAN_INDEX_FILE_MAGIC,
					       strlen(SPAN_INDEX_FILE_MAGIC)) != 0)))
		return 0;
	layer->document = document;
	layer->file = file;
	file = (struct buffer){0};
	layer->state = record == SPANS_CLAIMED ? IMAGE_INDEX_TRUSTED : IMAGE_INDEX_AUTHENTIC;
	return 0;
}

/* What the store has, the best first. */
static int find(const struct layer_blob *blob, const struct detected_layer *detected,
	struct image_index *layer, struct error *err)
{
	if (take_record(blob, detected, SPANS_OF_PASS, true, layer, err) < 0 ||
		take_record(blob, detected, SPANS_CHECKED, true, layer, err) < 0)
		return -1;
	return take_record(blob, detected, SPANS_CLAIMED, false, layer, err);
}

/* The index that the store works with is there, and the file it was made from is not any more. */
static int write_again(const struct layer_blob *blob, const struct detected_layer *detected,
	struct image_index *layer, struct error *err)
{
	CLEANUP(pass_result_clear) struct pass_result result = {0};
	uint8_t key[INDEX_KEY_SIZE];

	if (image_layer_read(blob, detected, &result, err) < 0 ||
		span_index_write(result.index, &layer->file, NULL, err) < 0 ||
		digest_compute(DIGEST_SHA256, layer->file.data, layer->file.size, &layer->document,
			err) < 0 ||
		layer_spans_key(blob, detected, SPANS_OF_PASS, &layer->document, key, err) < 0)
		return -1;
	layer->state = IMAGE_INDEX_AUTHENTIC;
	return layer_artifact_put(blob->opening->context->store, &blob->descriptor->digest,
		detected->name, key, &layer->document, layer->file.data, layer->file.size, err);
}

static int make(const struct layer_blob *blob, const struct detected_layer *detected,
	struct image_index *layer, struct error *err)
{
	CLEANUP(indexed_layer_clear) struct indexed_layer indexed = {0};

	if (layer->state == IMAGE_INDEX_AUTHENTIC)
		return 0;
	buffer_free(&layer->file);
	if (image_layer_pass(blob, detected, &indexed, err) < 0 ||
		take_record(blob, detected, SPANS_OF_PASS, true, layer, err) < 0)
		return -1;
	layer->made = true;
	return layer->file.size > 0 ? 0 : write_again(blob, detected, layer, err);
}

static int pull(const struct layer_blob *blob, const struct detected_layer *detected,
	struct image_index *layer, struct error *err)
{
	CLEANUP(indexed_layer_clear) struct indexed_layer indexed = {0};

	if (layer->state != IMAGE_INDEX_MISSING)
		return 0;
	if (image_layer_claimed(blob, detected, &indexed, err) < 0)
		return -1;
	layer->made = indexed.index != NULL;
	return take_record(blob, detected, SPANS_CLAIMED, false, layer, err);
}

static int open_layer(struct image_indexes *indexes, struct image_index *layer,
	enum image_indexes_wish wish, struct error *err)
{
	struct layer_blob blob = image_indexing_blob(indexes, layer);
	struct detected_layer detected;

	if (detect_layer(layer->layer, &detected, err) < 0)
		return -1;
	layer->format = detected.name;
	layer->state = IMAGE_INDEX_NOT_NEEDED;
	if (layer_format_has_toc(detected.format))
		return 0;
	layer->state = IMAGE_INDEX_MISSING;
	if (find(&blob, &detected, layer, err) < 0)
		return -1;
	if (wish == IMAGE_INDEXES_MAKE)
		return make(&blob, &detected, layer, err);
	return wish == IMAGE_INDEXES_PULL ? pull(&blob, &detected, layer, err) : 0;
}

static bool is_listed(const struct image_indexes *indexes, const struct digest *digest)
{
	for (size_t i = 0; i < indexes->n_layers; i++) {
		if (digest_equal(&indexes->layers[i].layer->digest, digest))
			return true;
	}
	return false;
}

static int list_layers(struct image_indexes *indexes, struct error *err)
{
	const struct manifest *manifest = indexes->indexing->image.manifest;
	const struct digest *wanted = indexes->indexing->opening.options->layer;
	char text[DIGEST_TEXT_SIZE];

	indexes->layers = calloc(manifest->n_layers + 1, sizeof(*indexes->layers));
	if (!indexes->layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the layers of an image");
	for (size_t i = 0; i < manifest->n_layers; i++) {
		const struct descriptor *layer = &manifest->layers[i];

		if ((!wanted || digest_equal(&layer->digest, wanted)) &&
			!is_listed(indexes, &layer->digest))
			indexes->layers[indexes->n_layers++].layer = layer;
	}
	if (wanted && indexes->n_layers == 0)
		return error_set(err, ERROR_NOT_FOUND,
			"the image has no layer %s (it has %zu layers)",
			digest_format(wanted, text), manifest->n_layers);
	return 0;
}

static int open_layers(
	struct image_indexes *indexes, enum image_indexes_wish wish, struct error *err)
{
	const struct image_options *options = indexes->indexing->opening.options;
	char text[DIGEST_TEXT_SIZE];

	for (size_t i = 0; i < indexes->n_layers; i++) {
		if (open_layer(indexes, &indexes->layers[i], wish, err) < 0)
			return error_prefix(err, "layer %s",
				digest_format(&indexes->layers[i].layer->digest, text));
		if (options->progress)
			options->progress(options->arg, IMAGE_INDEXING, i + 1, indexes->n_layers);
	}
	return 0;
}

static int open_image(
	struct image_indexes *indexes, enum image_indexes_wish wish, struct error *err)
{
	struct image_indexing *indexing = indexes->indexing;
	struct image_opening *opening = &indexing->opening;

	if (opening->options->progress)
		opening->options->progress(opening->options->arg, IMAGE_RESOLVING, 0, 0);
	if (image_open_source(opening, &opening->source, err) < 0 ||
		image_manifest_find(opening, &indexing->image, err) < 0 ||
		image_artifacts_new(&opening->artifacts, err) < 0 ||
		image_soci_new(&opening->soci, err) < 0)
		return -1;
	opening->image = &indexing->image;
	indexes->manifest = indexing->image.digest;
	indexes->platform = indexing->image.platform;
	return list_layers(indexes, err) < 0 ? -1 : open_layers(indexes, wish, err);
}

static struct image_indexes *indexes_new(
	const struct image_context *context, const struct image_options *options)
{
	CLEANUP(cleanup_free) struct image_indexes *indexes = calloc(1, sizeof(*indexes));

	if (!indexes)
		return NULL;
	indexes->indexing = calloc(1, sizeof(*indexes->indexing));
	if (!indexes->indexing)
		return NULL;
	indexes->indexing->opening = (struct image_opening){.context = context, .options = options};
	(void)pthread_mutex_init(&indexes->indexing->reporting, NULL);
	(void)pthread_mutex_init(&indexes->indexing->turns.reading, NULL);
	indexes->indexing->turns.reporting = &indexes->indexing->reporting;
	(void)image_name_format(options->name, indexes->reference);
	return TAKE_PTR(indexes);
}

int image_indexes_open(const struct image_context *context, const struct image_options *options,
	enum image_indexes_wish wish, struct image_indexes **out, struct error *err)
{
	CLEANUP(image_indexes_closep) struct image_indexes *indexes = indexes_new(context, options);
	int result;

	if (!indexes)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the indexes of an image");
	store_hold_indexes(context->store);
	result = open_image(indexes, wish, err);
	store_release_indexes(context->store);
	if (result < 0)
		return error_prefix(err, "image %s", indexes->reference);
	*out = TAKE_PTR(indexes);
	return 0;
}

void image_indexes_close(struct image_indexes *indexes)
{
	struct image_indexing *indexing;

	if (!indexes)
		return;
	indexing = indexes->indexing;
	for (size_t i = 0; i < indexes->n_layers; i++)
		buffer_free(&indexes->layers[i].file);
	free(indexes->layers);
	image_soci_free(indexing->opening.soci);
	image_artifacts_free(indexing->opening.artifacts);
	image_manifest_clear(&indexing->image);
	image_source_free(indexing->opening.source);
	(void)pthread_mutex_destroy(&indexing->turns.reading);
	(void)pthread_mutex_destroy(&indexing->reporting);
	free(indexing);
	free(indexes);
}

void image_indexes_closep(struct image_indexes **indexes)
{
	image_indexes_close(*indexes);
	*indexes = NULL;
}
