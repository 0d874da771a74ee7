/* SPDX-License-Identifier: Apache-2.0 */
/* SOCI's index manifest, and where an image says that it has one. */
#include "format/soci_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static const char ztoc_media_type[] = "application/octet-stream";
static const char layer_digest_annotation[] = "com.amazon.soci.image-layer-digest";
static const char layer_media_type_annotation[] = "com.amazon.soci.image-layer-mediaType";
static const char disable_xattrs_annotation[] = "com.amazon.soci.disable-xattrs";

static const char *find_annotation(const struct manifest *manifest, const char *key)
{
	for (size_t i = 0; i < manifest->n_annotations; i++) {
		if (strcmp(manifest->annotations[i].key, key) == 0)
			return manifest->annotations[i].value;
	}
	return NULL;
}

int soci_discover(const char *label, const struct manifest *manifest, bool allow_v1,
	enum soci_discovery *out, struct digest *digest, struct error *err)
{
	const char *annotation = find_annotation(manifest, SOCI_INDEX_DIGEST_ANNOTATION);

	if (label) {
		if (digest_parse(label, digest, err) < 0)
			return error_prefix(err, "label %s", SOCI_INDEX_DIGEST_LABEL);
		*out = SOCI_DISCOVERY_DIGEST;
		return 0;
	}
	if (annotation) {
		if (digest_parse(annotation, digest, err) < 0)
			return error_prefix(err, "annotation %s", SOCI_INDEX_DIGEST_ANNOTATION);
		*out = SOCI_DISCOVERY_DIGEST;
		return 0;
	}
	*out = allow_v1 ? SOCI_DISCOVERY_REFERRERS : SOCI_DISCOVERY_NONE;
	return 0;
}

/* The configuration is empty; its media type says what the manifest is. */
static int set_version(const struct manifest *manifest, struct soci_index *index, struct error *err)
{
	const char *type = manifest->config.media_type;

	if (strcmp(type, SOCI_INDEX_V1) == 0)
		index->version = 1;
	else if (strcmp(type, SOCI_INDEX_V2) == 0)
		index->version = 2;
	else
		return error_set(err, ERROR_UNSUPPORTED,
			"its configuration is %.100s, that of an index is " SOCI_INDEX_V1
			" or ...v2+json",
			type);
	return 0;
}

static int set_subject(const void *data, size_t size, const struct digest *image,
	struct soci_index *index, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	struct descriptor subject;
	const struct json *member;

	if (json_parse(data, size, &document, err) < 0)
		return -1;
	member = json_get(document, "subject");
	if (!member || json_is_null(member))
		return 0;
	if (descriptor_parse(member, &subject, err) < 0)
		return error_prefix(err, "\"subject\"");
	index->has_subject = true;
	index->subject = subject.digest;
	descriptor_clear(&subject);
	if (image && !digest_equal(image, &index->subject)) {
		char text[DIGEST_TEXT_SIZE];

		return error_set(err, ERROR_FORMAT, "it is the index of another image, %s",
			digest_format(&index->subject, text));
	}
	return 0;
}

/* Besides ztocs there may be other artifacts, which have other media types. */
static int add_layer(struct soci_index *index, const struct descriptor *blob, struct error *err)
{
	const char *digest = descriptor_annotation(blob, layer_digest_annotation);
	const char *disable_xattrs = descriptor_annotation(blob, disable_xattrs_annotation);
	struct soci_layer *layer = &index->layers[index->n_layers];
	const struct soci_layer *same;

	if (strcmp(blob->media_type, ztoc_media_type) != 0)
		return 0;
	if (!digest)
		return error_set(err, ERROR_FORMAT, "no annotation %s", layer_digest_annotation);
	if (digest_parse(digest, &layer->layer, err) < 0)
		return error_prefix(err, "annotation %s", layer_digest_annotation);
	same = soci_index_find(index, &layer->layer);
	if (same && digest_equal(&same->ztoc.digest, &blob->digest))
		return 0; /* an image may have a layer twice */
	if (same)
		return error_set(err, ERROR_FORMAT, "another ztoc for layer %s", digest);
	if (descriptor_copy(blob, &layer->ztoc, err) < 0)
		return -1;
	layer->layer_media_type = descriptor_annotation(&layer->ztoc, layer_media_type_annotation);
	layer->has_no_xattrs = disable_xattrs && strcmp(disable_xattrs, "true") == 0;
	index->n_layers++;
	return 0;
}

static int add_layers(const struct manifest *manifest, struct soci_index *index, struct error *err)
{
	index->layers = calloc(manifest->n_layers + 1, sizeof(*index->layers));
	if (!index->layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a SOCI index");
	for (size_t i = 0; i < manifest->n_layers; i++) {
		if (add_layer(index, &manifest->layers[i], err) < 0)
			return error_prefix(err, "\"layers\"[%zu]", i);
	}
	return 0;
}

int soci_index_parse(const void *data, size_t size, const struct digest *image,
	struct soci_index **out, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(soci_index_freep) struct soci_index *index = calloc(1, sizeof(*index));

	if (!index)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a SOCI index");
	if (manifest_parse(data, size, &manifest, err) < 0 ||
		set_version(manifest, index, err) < 0 ||
		set_subject(data, size, image, index, err) < 0 ||
		add_layers(manifest, index, err) < 0)
		return error_prefix(err, "SOCI index");
	*out = TAKE_PTR(index);
	return 0;
}

void soci_index_free(struct soci_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->n_layers; i++)
		descriptor_clear(&index->layers[i].ztoc);
	free(index->layers);
	free(index);
}

void soci_index_freep(struct soci_index **index)
{
	soci_index_free(*index);
	*index = NULL;
}

const struct soci_layer *soci_index_find(const struct soci_index *index, const struct digest *layer)
{
	for (size_t i = 0; i < index->n_layers; i++) {
		if (digest_equal(&index->layers[i].layer, layer))
			return &index->layers[i];
	}
	return NULL;
}
