/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are made of an index of spans, and what this store remembers of them. */
#include "image_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/span_index_file.h"
#include "oci/image_config.h"
#include "store/layer_artifact.h"
#include "store/store.h"

void indexed_layer_clear(struct indexed_layer *layer)
{
	layer_index_close(TAKE_PTR(layer->index));
	layer_claim_free(TAKE_PTR(layer->claim));
}

enum codec layer_spans_codec(enum layer_format format)
{
	if (format == LAYER_FORMAT_TAR)
		return CODEC_NONE;
	return format == LAYER_FORMAT_ZSTD ? CODEC_ZSTD : CODEC_GZIP;
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
		return error_set(err, ERROR_NOT_FOUND,
			"it is not in this store and --pull=never forbids to ask");
	if (opening->source->ops->get_blob(opening->source, config, MANIFEST_MAX_SIZE, out, err) <
		0)
		return -1;
	if (store_document_put(
		    store, &config->digest, config->media_type, out->data, out->size, &put) < 0)
		log_warning("the config of an image cannot be kept: %s", put.message);
	return 0;
}

int layer_spans_diff_id(const struct layer_blob *blob, struct digest *out, struct error *err)
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

/* Those of plain tar that have digests are fetched by themselves, and lie in no span. */
int layer_spans_build(const struct layer_blob *blob, const struct span_index *index,
	bool has_digests, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out,
	struct error *err)
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

/* What a record is called, or a key is made with: one that was found to be true keeps its key. */
static void format_name(const struct detected_layer *detected, const char *suffix, char out[64])
{
	(void)snprintf(out, 64, "%s%s", detected->name, suffix);
}

int layer_spans_key(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, const struct digest *document, uint8_t key[INDEX_KEY_SIZE],
	struct error *err)
{
	char name[64];

	format_name(detected, record == SPANS_OF_PASS ? "" : LAYER_CLAIMED_SUFFIX, name);
	return layer_index_key(&blob->descriptor->digest, name, document, key, err);
}

/* Who writes to one repository says nothing about the images of another. */
static int claim_record(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, char *out, size_t size, struct error *err)
{
	const struct image_name *image = blob->opening->options->name;
	char place[IMAGE_NAME_TEXT_SIZE + 64];
	char blob_text[DIGEST_TEXT_SIZE], place_text[DIGEST_TEXT_SIZE];
	struct digest digest;
	int length;

	if (image->place == IMAGE_IN_REGISTRY)
		length = snprintf(place, sizeof(place), "%s/%s", image->reference.registry,
			image->reference.repository);
	else
		length = snprintf(
			place, sizeof(place), "%s:%s", image_place_name(image->place), image->path);
	if (digest_compute(DIGEST_SHA256, place, (size_t)length, &digest, err) < 0)
		return -1;
	(void)snprintf(out, size, "claimed layer index%s: %s %s %s",
		record == SPANS_CLAIMED_V1 ? " (SOCI v1)" : "", detected->name,
		digest_format(&blob->descriptor->digest, blob_text),
		digest_format(&digest, place_text));
	return 0;
}

static bool is_claim(enum layer_spans_record record)
{
	return record == SPANS_CLAIMED || record == SPANS_CLAIMED_V1;
}

static int find_record(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, bool *found, struct digest *document, struct error *err)
{
	struct store *store = blob->opening->context->store;
	char name[LAYER_CLAIM_RECORD_SIZE];
	struct store_ref ref;
	bool refused;

	if (is_claim(record)) {
		if (claim_record(blob, detected, record, name, sizeof(name), err) < 0 ||
			store_ref_get(store, name, found, &ref, err) < 0)
			return -1;
		if (!*found)
			return 0;
		*document = ref.digest;
		if (layer_claim_is_refused(
			    store, &blob->descriptor->digest, document, &refused, err) < 0)
			return -1;
		*found = !refused;
		return 0;
	}
	format_name(detected, record == SPANS_CHECKED ? LAYER_CHECKED_SUFFIX : "", name);
	return layer_artifact_find(store, &blob->descriptor->digest, name, found, document, err);
}

int layer_spans_describe(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, struct layer_claim *claim, struct error *err)
{
	claim->format = detected->name;
	claim->codec = layer_spans_codec(detected->format);
	if (layer_spans_diff_id(blob, &claim->diff_id, err) < 0)
		return -1;
	return claim_record(blob, detected, record, claim->record, sizeof(claim->record), err);
}

int layer_spans_put_claim(const struct layer_blob *blob, const struct layer_claim *claim,
	const uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	const struct store_ref ref = {.digest = claim->digest, .resolved_s = clock_wall_s()};
	struct store *store = blob->opening->context->store;

	if (layer_artifact_keep(store, key, claim->document.data, claim->document.size, err) < 0)
		return -1;
	return store_ref_put(store, claim->record, &ref, err);
}

static bool is_gone(enum error_kind kind)
{
	return kind == ERROR_NOT_FOUND || kind == ERROR_FORMAT || kind == ERROR_UNSUPPORTED;
}

/* *claim stays NULL when the document was evicted. */
static int read_document(const struct layer_blob *blob, const uint8_t key[INDEX_KEY_SIZE],
	const struct digest *digest, struct layer_claim **claim, struct error *err)
{
	CLEANUP(buffer_free) struct buffer document = {0};
	bool found;

	if (layer_artifact_read(
		    blob->opening->context->store, key, digest, &found, &document, err) < 0)
		return -1;
	return found ? layer_claim_new(&document, claim, err) : 0;
}

/* The digest of the document was recorded when it was accepted. */
static int build_again(const struct layer_blob *blob, const struct detected_layer *detected,
	struct layer_claim *claim, const uint8_t key[INDEX_KEY_SIZE], struct layer_index **out,
	struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;

	/* A claim is described already; of what was found to be true only this is needed. */
	if ((!claim->format &&
		    layer_spans_describe(blob, detected, SPANS_CLAIMED, claim, err) < 0) ||
		layer_claim_parse(claim, blob->descriptor, &index, err) < 0 ||
		span_index_cut(index, NULL, 0, err) < 0)
		return -1;
	return layer_spans_build(blob, index, false, key, out, err);
}

/* An index that was evicted, is damaged, or of another version of this program is built again. */
static int open_or_build(const struct layer_blob *blob, const struct detected_layer *detected,
	const struct digest *document, const uint8_t key[INDEX_KEY_SIZE],
	struct indexed_layer *layer, struct error *err)
{
	int layers_fd = store_layers_fd(blob->opening->context->store);

	if (layer_index_open(layers_fd, key, &layer->index, err) == 0)
		return 0;
	if (!is_gone(err->kind) ||
		(!layer->claim && read_document(blob, key, document, &layer->claim, err) < 0))
		return -1;
	if (!layer->claim ||
		build_again(blob, detected, layer->claim, key, &layer->index, err) == 0)
		return 0;
	if (!is_gone(err->kind))
		return -1;
	log_warning("the index of a layer that was kept is of no use: %s", err->message);
	return 0;
}

static int read_headers(const struct layer_blob *blob, struct layer_claim *claim, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;

	if (claim->by != LAYER_CLAIMED_BY_SOCI)
		return 0;
	if (layer_claim_parse(claim, blob->descriptor, &index, err) < 0)
		return -1;
	return layer_claim_keep_headers(claim, &index, err);
}

/* Without the document nobody could check the claim. */
static int find_claim(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, const struct digest *document,
	const uint8_t key[INDEX_KEY_SIZE], struct indexed_layer *layer, struct error *err)
{
	if (read_document(blob, key, document, &layer->claim, err) < 0)
		return -1;
	if (!layer->claim)
		return 0;
	if (layer_spans_describe(blob, detected, record, layer->claim, err) < 0)
		return -1;
	if (read_headers(blob, layer->claim, err) < 0) {
		if (!is_gone(err->kind))
			return -1;
		log_warning("the index of a layer that was kept is of no use: %s", err->message);
		return 0;
	}
	return open_or_build(blob, detected, document, key, layer, err);
}

int layer_spans_find(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, struct indexed_layer *out, struct error *err)
{
	CLEANUP(indexed_layer_clear) struct indexed_layer layer = {0};
	uint8_t key[INDEX_KEY_SIZE];
	struct digest document;
	bool found;
	int result;

	if (find_record(blob, detected, record, &found, &document, err) < 0)
		return -1;
	if (!found)
		return 0;
	if (layer_spans_key(blob, detected, record, &document, key, err) < 0)
		return -1;
	if (is_claim(record))
		result = find_claim(blob, detected, record, &document, key, &layer, err);
	else
		result = open_or_build(blob, detected, &document, key, &layer, err);
	if (result < 0 || !layer.index)
		return result;
	out->trust = is_claim(record) ? LAYER_REPOSITORY_TRUSTED : LAYER_AUTHENTIC;
	out->index = TAKE_PTR(layer.index);
	if (is_claim(record))
		out->claim = TAKE_PTR(layer.claim);
	return 0;
}

int layer_spans_document(const struct layer_blob *blob, const struct detected_layer *detected,
	enum layer_spans_record record, bool *found, struct digest *digest, struct buffer *out,
	struct error *err)
{
	uint8_t key[INDEX_KEY_SIZE];

	if (find_record(blob, detected, record, found, digest, err) < 0)
		return -1;
	if (!*found)
		return 0;
	if (layer_spans_key(blob, detected, record, digest, key, err) < 0)
		return -1;
	return layer_artifact_read(blob->opening->context->store, key, digest, found, out, err);
}
