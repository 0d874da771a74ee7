/* SPDX-License-Identifier: Apache-2.0 */
/* The indexes of an image's layers become an artifact beside the image. */
#include "layer/image_indexes.h"

#include <stdlib.h>
#include <string.h>

#include "format/span_index_file.h"
#include "format/span_index_manifest.h"
#include "image_indexing_internal.h"
#include "registry/registry_push.h"

/* An artifact on its way. */
struct artifact {
	const struct image_indexes *indexes;
	struct registry_client *registry; /* borrowed */
	const struct reference *reference;
	struct span_index_layer *layers; /* owned; what the descriptors name is borrowed */
	size_t n_layers;
	struct buffer manifest; /* owned */
};

static void artifact_clear(struct artifact *artifact)
{
	free(artifact->layers);
	buffer_free(&artifact->manifest);
}

static int push_file(const struct artifact *artifact, const struct digest *digest, const void *data,
	size_t size, struct image_indexes_pushed *pushed, struct error *err)
{
	bool existed;

	if (registry_push_blob(
		    artifact->registry, artifact->reference, digest, data, size, &existed, err) < 0)
		return -1;
	if (!existed) {
		pushed->n_sent++;
		pushed->sent_size += size;
	}
	return 0;
}

static int push_indexes(
	struct artifact *artifact, struct image_indexes_pushed *pushed, struct error *err)
{
	const struct image_indexes *indexes = artifact->indexes;

	artifact->layers = calloc(indexes->n_layers + 1, sizeof(*artifact->layers));
	if (!artifact->layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an artifact");
	for (size_t i = 0; i < indexes->n_layers; i++) {
		const struct image_index *layer = &indexes->layers[i];

		if (layer->state != IMAGE_INDEX_AUTHENTIC)
			continue;
		if (push_file(artifact, &layer->document, layer->file.data, layer->file.size,
			    pushed, err) < 0)
			return -1;
		artifact->layers[artifact->n_layers++] = (struct span_index_layer){
			.layer = layer->layer->digest,
			.index = {.digest = layer->document, .size = layer->file.size},
		};
	}
	pushed->n_indexes = artifact->n_layers;
	return 0;
}

/* It says nothing; and it is no index that somebody could count. */
static int push_config(const struct artifact *artifact, struct error *err)
{
	struct descriptor config;
	bool existed;

	span_index_config(&config);
	return registry_push_blob(artifact->registry, artifact->reference, &config.digest,
		OCI_EMPTY_BLOB, config.size, &existed, err);
}

/* Media type, digest and size of the image's manifest; the type is the caller's. */
static int describe_subject(
	const struct image_indexes *indexes, struct descriptor *out, struct error *err)
{
	const struct image_opening *opening = &indexes->indexing->opening;
	CLEANUP(buffer_free) struct buffer document = {0};
	char media_type[128];

	if (image_document(opening, &indexes->manifest, media_type, &document, err) < 0)
		return -1;
	/* What it says of itself, as a registry compares with that. */
	out->media_type = indexes->indexing->image.manifest->media_type;
	out->digest = indexes->manifest;
	out->size = document.size;
	return 0;
}

static int push_manifest(
	struct artifact *artifact, struct image_indexes_pushed *pushed, struct error *err)
{
	struct descriptor manifest = {.media_type = (char *)(uintptr_t)MEDIA_TYPE_OCI_MANIFEST};
	struct descriptor subject = {0};
	bool has_subject = false;

	if (describe_subject(artifact->indexes, &subject, err) < 0 ||
		span_index_manifest_write(&subject, artifact->layers, artifact->n_layers,
			&artifact->manifest, err) < 0 ||
		digest_compute(DIGEST_SHA256, artifact->manifest.data, artifact->manifest.size,
			&manifest.digest, err) < 0)
		return -1;
	manifest.size = artifact->manifest.size;
	if (registry_push_manifest(artifact->registry, artifact->reference, &manifest,
		    artifact->manifest.data, NULL, &has_subject, err) < 0)
		return -1;
	pushed->artifact = manifest.digest;
	if (has_subject)
		return 0;
	(void)referrers_tag(&subject.digest, pushed->tag);
	return registry_push_referrer(artifact->registry, artifact->reference, &subject.digest,
		&manifest, SPAN_INDEX_ARTIFACT_TYPE, err);
}

int image_indexes_push(
	const struct image_indexes *indexes, struct image_indexes_pushed *out, struct error *err)
{
	const struct image_opening *opening = &indexes->indexing->opening;
	const struct image_name *name = opening->options->name;
	CLEANUP(artifact_clear)
	struct artifact artifact = {
		.indexes = indexes,
		.registry = opening->context->registry,
		.reference = &name->reference,
	};
	struct image_indexes_pushed pushed = {0};

	if (name->place != IMAGE_IN_REGISTRY)
		return error_set(err, ERROR_INVALID,
			"%s is in no registry: push the image first, and then the indexes of what "
			"was pushed",
			indexes->reference);
	if (push_indexes(&artifact, &pushed, err) < 0)
		return -1;
	if (artifact.n_layers == 0)
		return error_set(err, ERROR_INVALID,
			"%s has no layer whose index could be pushed: all of them have a table of "
			"contents",
			indexes->reference);
	if (push_config(&artifact, err) < 0 || push_manifest(&artifact, &pushed, err) < 0)
		return -1;
	*out = pushed;
	return 0;
}
