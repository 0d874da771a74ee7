/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer of which nobody has one: made by reading all of it. */
#include "image_indexing_internal.h"

#include "base/log.h"
#include "fetch/fetcher.h"
#include "format/span_index_file.h"
#include "store/layer_artifact.h"
#include "store/layer_staging.h"

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
		layer_spans_key(blob, detected, SPANS_OF_PASS, &digest, key, err) < 0 ||
		span_index_cut(result->index, (const uint8_t(*)[32])result->digests,
			result->n_digests, err) < 0 ||
		layer_spans_build(blob, result->index, true, key, out, err) < 0)
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
	options->progress(options->arg, IMAGE_READING, (size_t)(blob->turns->n_read + done),
		(size_t)blob->turns->to_read);
	(void)pthread_mutex_unlock(blob->turns->reporting);
}

/* All of it goes by, and its files to the staging. */
static int run(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_staging *staging, struct pass_result *out, struct error *err)
{
	const struct image_opening *opening = blob->opening;
	struct source *sources[LAYER_MAX_SOURCES];
	struct digest diff_id;
	struct pass_options options = {
		.loop = opening->context->loop,
		.sources = sources,
		.patience_ns = fetcher_deadline_ns(opening->context->fetcher),
		.descriptor = blob->descriptor,
		.diff_id = &diff_id,
		.codec = layer_spans_codec(detected->format),
		.progress = on_progress,
		.arg = (void *)(uintptr_t)blob,
	};

	if (layer_spans_diff_id(blob, &diff_id, err) < 0)
		return -1;
	if (layer_blob_sources(opening, blob->descriptor, sources, &options.n_sources, err) < 0) {
		for (size_t i = 0; i < options.n_sources; i++)
			sources[i]->ops->free(sources[i]);
		return -1;
	}
	options.staging = staging;
	return pass_run(&options, out, err);
}

int image_layer_read(const struct layer_blob *blob, const struct detected_layer *detected,
	struct pass_result *out, struct error *err)
{
	CLEANUP(layer_staging_freep) struct layer_staging *staging = NULL;

	if (layer_staging_new(blob->opening->context->store, &staging, err) < 0)
		return -1;
	return run(blob, detected, staging, out, err);
}

static int read_layer(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_index **out, struct error *err)
{
	CLEANUP(layer_staging_freep) struct layer_staging *staging = NULL;
	CLEANUP(pass_result_clear) struct pass_result result = {0};

	if (layer_staging_new(blob->opening->context->store, &staging, err) < 0 ||
		run(blob, detected, staging, &result, err) < 0)
		return -1;
	return keep(blob, detected, &result, staging, out, err);
}

int image_layer_pass(const struct layer_blob *blob, const struct detected_layer *detected,
	struct indexed_layer *out, struct error *err)
{
	int result;

	if (blob->opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");

	(void)pthread_mutex_lock(blob->turns->reporting);
	blob->turns->to_read += blob->descriptor->size;
	(void)pthread_mutex_unlock(blob->turns->reporting);
	(void)pthread_mutex_lock(&blob->turns->reading);
	/* An image may have a layer twice. */
	result = layer_spans_find(blob, detected, SPANS_OF_PASS, out, err);
	if (result == 0 && !out->index)
		result = read_layer(blob, detected, &out->index, err);
	blob->turns->n_read += blob->descriptor->size;
	(void)pthread_mutex_unlock(&blob->turns->reading);
	return result;
}
