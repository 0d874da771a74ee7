/* SPDX-License-Identifier: Apache-2.0 */
/* Image manifests: the configuration and the layers of one image. */
#include "oci/manifest.h"

#include "annotation_internal.h"
#include "manifest_internal.h"

static int parse_layers(const struct json *array, struct manifest *manifest, struct error *err)
{
	size_t n = json_length(array);

	if (array && json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > MANIFEST_MAX_LAYERS)
		return error_set(err, ERROR_FORMAT,
			"\"layers\" is missing or not an array of at most %d descriptors",
			MANIFEST_MAX_LAYERS);
	if (n == 0)
		return 0;
	manifest->layers = calloc(n, sizeof(*manifest->layers));
	if (!manifest->layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu layers", n);
	for (; manifest->n_layers < n; manifest->n_layers++) {
		size_t i = manifest->n_layers;

		if (descriptor_parse(json_at(array, i), &manifest->layers[i], err) < 0)
			return error_prefix(err, "\"layers\"[%zu]", i);
	}
	return 0;
}

static int parse_members(
	const struct manifest_document *document, struct manifest *manifest, struct error *err)
{
	if (document->kind != MANIFEST_IMAGE)
		return error_set(err, ERROR_FORMAT,
			"the document is an index where an image manifest was expected");
	if (descriptor_parse(json_get(document->json, "config"), &manifest->config, err) < 0)
		return error_prefix(err, "\"config\"");
	if (parse_layers(json_get(document->json, "layers"), manifest, err) < 0)
		return -1;
	return annotations_parse(json_get(document->json, "annotations"), &manifest->annotations,
		&manifest->n_annotations, err);
}

int manifest_parse(const void *data, size_t size, struct manifest **out, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	struct manifest_document document;
	int result;

	if (manifest_document_open(data, size, &document, err) < 0)
		return -1;
	manifest = calloc(1, sizeof(*manifest));
	if (manifest) {
		manifest->media_type = TAKE_PTR(document.media_type);
		result = parse_members(&document, manifest, err);
	} else {
		result = error_set(err, ERROR_NO_MEMORY, "no memory for a manifest");
	}
	manifest_document_close(&document);
	if (result == 0)
		*out = TAKE_PTR(manifest);
	return result;
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->n_layers; i++)
		descriptor_clear(&manifest->layers[i]);
	free(manifest->layers);
	descriptor_clear(&manifest->config);
	annotations_free(manifest->annotations, manifest->n_annotations);
	free(manifest->media_type);
	free(manifest);
}

void manifest_freep(struct manifest **manifest)
{
	manifest_free(*manifest);
}
