/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer that carries none: the one that a pass over it has left in the store, or
 * that of a pass now. */
#include "image_internal.h"

#include "base/log.h"
#include "fetch/fetcher.h"
#include "format/span_index_file.h"
#include "oci/image_config.h"
#include "pass_internal.h"
#include "store/layer_artifact.h"
#include "store/layer_staging.h"

static enum codec codec_of(enum layer_format format)
{
	if (format == LAYER_FORMAT_TAR)
		return CODEC_NONE;
	return format == LAYER_FORMAT_ZSTD ? CODEC_ZSTD : CODEC_GZIP;
}

static int not_allowed_to_ask(struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND,
		"it has no index in this store and --pull=never forbids to ask");
}

static int get_config(const struct layer_blob *blob, struct buffer *out, struct error *err)
{
	const struct image_opening *opening = blob->opening;
	const struct descriptor *config = &blob->manifest->config;
	struct store *store = opening->context->store;
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	char media_type[128];
	struct error put;
	bool found;
	size_t size;

	if (store_document_get(store, &config->digest, &found, media_type, &data, &size, err) < 0)
		return -1;
	if (found)
		return buffer_append(out, data, size) == 0
			       ? 0
			       : error_set(err, ERROR_NO_MEMORY, "no memory for a config");
	if (opening->options->pull == PULL_NEVER)
		return not_allowed_to_ask(err);
	if (opening->source->ops->get_blob(opening->source, config, MANIFEST_MAX_SIZE, out, err) <
		0)
		return -1;
	if (store_document_put(
		    store, &config->digest, config->media_type, out->data, out->size, &put) < 0)
		log_warning("the config of an image cannot be kept: %s", put.message);
	return 0;
}

/* What the decoded layer has to be. */
static int find_diff_id(const struct layer_blob *blob, struct digest *out, struct error *err)
{
	CLEANUP(image_config_clear) struct image_config config = {0};
	CLEANUP(buffer_free) struct buffer document = {0};
	char text[DIGEST_TEXT_SIZE];

	if (get_config(blob, &document, err) < 0 ||
		image_config_parse(document.data, document.size, &config, err) < 0)
		return error_prefix(
			err, "config %s", digest_format(&blob->manifest->config.digest, text));
	if (config.n_diff_ids != blob->manifest->n_layers)
		return error_set(err, ERROR_FORMAT,
			"config %s has diffIDs of %zu layers, but the manifest has %zu",
			digest_format(&blob->manifest->config.digest, text), config.n_diff_ids,
			blob->manifest->n_layers);
	*out = config.diff_ids[blob->descriptor - blob->manifest->layers];
	return 0;
}

/* The files of @index have their pieces. Those of plain tar that have digests are fetched by
 * themselves, and lie in no span. */
static int build(const struct layer_blob *blob, const struct span_index *index, bool has_digests,
	const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out, struct error *err)
{
	int layers_fd = store_layers_fd(blob->opening->context->store);
	bool has_spans = !has_digests || index->codec != CODEC_NONE;
	const struct layer_index_build_options options = {
		.key = key,
		.blob = &blob->descriptor->digest,
		.blob_size = blob->descriptor->size,
		.spans = index->spans,
		.n_spans = has_spans ? index->n_spans : 0,
		.place_all = true,
	};

	if (layer_index_build(layers_fd, index->toc, &options, err) < 0)
		return -1;
	return layer_index_open(layers_fd, key, out, err);
}

/* From what the pass had left, whose digest was recorded when everything was checked. */
static int build_again(const struct layer_blob *blob, const struct buffer *artifact,
	enum codec codec, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out,
	struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;

	if (span_index_parse(artifact->data, artifact->size, &index, err) < 0)
		return -1;
	if (index->codec != codec || index->blob_size != blob->descriptor->size ||
		!digest_equal(&index->blob, &blob->descriptor->digest))
		return error_set(err, ERROR_FORMAT, "the index is of another blob");
	if (span_index_cut(index, NULL, 0, err) < 0)
		return -1;
	return build(blob, index, false, key, out, err);
}

/* *out stays NULL when no pass has been made, or nothing is left of it. */
static int find_index(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_index **out, struct error *err)
{
	struct store *store = blob->opening->context->store;
	CLEANUP(buffer_free) struct buffer artifact = {0};
	uint8_t key[INDEX_KEY_SIZE];
	struct digest digest;
	bool found;

	if (layer_artifact_find(
		    store, &blob->descriptor->digest, detected->name, &found, &digest, err) < 0)
		return -1;
	if (!found)
		return 0;
	if (layer_index_key(&blob->descriptor->digest, detected->name, &digest, key, err) < 0)
		return -1;
	if (layer_index_open(store_layers_fd(store), key, out, err) == 0)
		return 0;
	/* Evicted, damaged, or of another version of this program. */
	if (err->kind != ERROR_NOT_FOUND && err->kind != ERROR_FORMAT &&
		err->kind != ERROR_UNSUPPORTED)
		return -1;
	if (layer_artifact_read(store, key, &digest, &found, &artifact, err) < 0)
		return -1;
	if (!found)
		return 0;
	if (build_again(blob, &artifact, codec_of(detected->format), key, out, err) == 0)
		return 0;
	if (err->kind != ERROR_FORMAT && err->kind != ERROR_UNSUPPORTED)
		return -1;
	log_warning("a layer is read as a whole again: %s", err->message);
	return 0;
}

/* Without it the layer is as lazy as others; and it was not promised to be kept. */
static void keep_bytes(struct layer_staging *staging, const struct layer_index *index)
{
	struct error err;
	char why[256];
	bool adopted;

	if (!layer_staging_is_kept(staging, why, sizeof(why)))
		log_warning("a layer was read as a whole and only its index is kept: %s", why);
	else if (layer_staging_adopt(staging, index->key, index->units, &adopted, &err) < 0)
		log_warning(
			"a layer was read as a whole and only its index is kept: %s", err.message);
}

/* Everything that is known of the layer was checked. */
static int keep(const struct layer_blob *blob, const struct detected_layer *detected,
	struct pass_result *result, struct layer_staging *staging, struct layer_index **out,
	struct error *err)
{
	struct store *store = blob->opening->context->store;
	CLEANUP(buffer_free) struct buffer artifact = {0};
	uint8_t key[INDEX_KEY_SIZE];
	struct digest digest;
	struct error put;

	if (span_index_write(result->index, &artifact, NULL, err) < 0 ||
		digest_compute(DIGEST_SHA256, artifact.data, artifact.size, &digest, err) < 0 ||
		layer_index_key(&blob->descriptor->digest, detected->name, &digest, key, err) < 0 ||
		span_index_cut(result->index, (const uint8_t(*)[32])result->digests,
			result->n_digests, err) < 0 ||
		build(blob, result->index, true, key, out, err) < 0)
		return -1;
	keep_bytes(staging, *out);
	if (layer_artifact_put(store, &blob->descriptor->digest, detected->name, key, &digest,
		    artifact.data, artifact.size, &put) < 0)
		log_warning("the next mount reads a layer as a whole again: %s", put.message);
	return 0;
}

static void on_progress(void *arg, uint64_t done)
{
	const struct layer_blob *blob = arg;
	const struct image_options *options = blob->opening->options;

	if (!options->progress)
		return;
	(void)pthread_mutex_lock(blob->turns->reporting);
	options->progress(
		options->arg, IMAGE_READING, (size_t)done, (size_t)blob->descriptor->size);
	(void)pthread_mutex_unlock(blob->turns->reporting);
}

static int read_layer(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_index **out, struct error *err)
{
	const struct image_opening *opening = blob->opening;
	CLEANUP(layer_staging_freep) struct layer_staging *staging = NULL;
	CLEANUP(pass_result_clear) struct pass_result result = {0};
	struct source *sources[LAYER_MAX_SOURCES];
	struct digest diff_id;
	struct pass_options options = {
		.loop = opening->context->loop,
		.sources = sources,
		.patience_ns = fetcher_deadline_ns(opening->context->fetcher),
		.descriptor = blob->descriptor,
		.diff_id = &diff_id,
		.codec = codec_of(detected->format),
		.progress = on_progress,
		.arg = (void *)(uintptr_t)blob,
	};

	if (find_diff_id(blob, &diff_id, err) < 0 ||
		layer_staging_new(opening->context->store, &staging, err) < 0)
		return -1;
	if (layer_blob_sources(opening, blob->descriptor, sources, &options.n_sources, err) < 0) {
		for (size_t i = 0; i < options.n_sources; i++)
			sources[i]->ops->free(sources[i]);
		return -1;
	}
	options.staging = staging;
	if (pass_run(&options, &result, err) < 0)
		return -1;
	return keep(blob, detected, &result, staging, out, err);
}

int image_layer_pass(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_index **out, struct error *err)
{
	int result;

	*out = NULL;
	if (find_index(blob, detected, out, err) < 0)
		return -1;
	if (*out)
		return 0;
	if (blob->opening->options->pull == PULL_NEVER)
		return not_allowed_to_ask(err);

	(void)pthread_mutex_lock(&blob->turns->reading);
	/* An image may have a layer twice. */
	result = find_index(blob, detected, out, err);
	if (result == 0 && !*out)
		result = read_layer(blob, detected, out, err);
	(void)pthread_mutex_unlock(&blob->turns->reading);
	return result;
}
