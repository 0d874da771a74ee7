/* SPDX-License-Identifier: Apache-2.0 */
/* Claims that were found to be true, and those that were not. */
#include "verdict_internal.h"

#include <stdio.h>

#include "base/log.h"
#include "format/span_index_file.h"
#include "store/layer_artifact.h"

/* For who wants to push it: what the pass found says more than a ztoc. */
static int keep_artifact(const struct layer *layer, struct store *store,
	const struct span_index *actual, struct error *err)
{
	const struct digest *blob = &layer->descriptor.digest;
	const char *format = layer->claim->format;
	CLEANUP(buffer_free) struct buffer artifact = {0};
	uint8_t key[INDEX_KEY_SIZE];
	struct digest digest;

	if (span_index_write(actual, &artifact, NULL, err) < 0 ||
		digest_compute(DIGEST_SHA256, artifact.data, artifact.size, &digest, err) < 0 ||
		layer_index_key(blob, format, &digest, key, err) < 0)
		return -1;
	return layer_artifact_put(
		store, blob, format, key, &digest, artifact.data, artifact.size, err);
}

/* The index keeps its key: who mounts next finds that it was checked. */
static int keep_claim(const struct layer *layer, struct store *store, struct error *err)
{
	const struct layer_claim *claim = layer->claim;
	char name[64];

	(void)snprintf(name, sizeof(name), "%s" LAYER_CHECKED_SUFFIX, claim->format);
	return layer_artifact_put(store, &layer->descriptor.digest, name, layer->index->key,
		&claim->digest, claim->document.data, claim->document.size, err);
}

void verdict_true(struct layer *layer, const struct verdict_place *place,
	const struct span_index *actual, struct layer_staging *staging)
{
	char text[DIGEST_TEXT_SIZE], claim[DIGEST_TEXT_SIZE];
	struct error err;

	(void)digest_format(&layer->descriptor.digest, text);
	if (layer_staging_fill(staging, layer->store, &err) < 0)
		log_warning("layer %s is not completed: %s", text, err.message);
	if (keep_claim(layer, place->store, &err) < 0)
		log_warning(
			"layer %s: the next mount checks its index again: %s", text, err.message);
	if (keep_artifact(layer, place->store, actual, &err) < 0)
		log_warning("layer %s: its index is not kept: %s", text, err.message);
	atomic_store(&layer->trust, LAYER_AUTHENTIC);
	log_info("layer %s: all of it is as its index %s says", text,
		digest_format(&layer->claim->digest, claim));
}

static void forget_claim(const struct layer *layer, struct store *store, const char *text)
{
	const struct layer_claim *claim = layer->claim;
	struct error err;

	if (layer_claim_refuse(store, &layer->descriptor.digest, &claim->digest, &err) < 0)
		log_error("layer %s: that its index is wrong is not remembered: %s", text,
			err.message);
	if (store_ref_remove(store, claim->record, &err) < 0)
		log_error("layer %s: the record of its index stays: %s", text, err.message);
}

static void tell(struct layer *layer)
{
	(void)pthread_mutex_lock(&layer->contradiction_lock);
	if (layer->on_contradicted)
		layer->on_contradicted(layer->on_contradicted_arg, layer);
	layer->contradiction_told = true;
	(void)pthread_mutex_unlock(&layer->contradiction_lock);
}

void verdict_false(struct layer *layer, const struct verdict_place *place, const struct error *why)
{
	char text[DIGEST_TEXT_SIZE], claim[DIGEST_TEXT_SIZE];
	struct error err;

	(void)digest_format(&layer->descriptor.digest, text);
	(void)digest_format(&layer->claim->digest, claim);
	(void)error_set(&err, why->kind,
		"the index %s of this layer, from the image's repository, does not tell the truth: "
		"%.280s",
		claim, why->message);
	layer->contradiction = err;
	atomic_store(&layer->trust, LAYER_CONTRADICTED);
	log_error("layer %s: %s; nothing of it is read any more: mount the image again", text,
		err.message);
	layer_record_failure(layer, 0, claim, &err);
	forget_claim(layer, place->store, text);
	fetch_layer_stop(layer->fetch);
	if (layer_store_discard(layer->store, &err) < 0)
		log_error("layer %s: what its index led to stays in the store: %s", text,
			err.message);
	tell(layer);
}
