/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest of the artifact that carries the indexes of an image's layers. */
#include "format/span_index_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "format/span_index_file.h"
#include "oci/manifest.h"

/* Of OCI_EMPTY_BLOB, as the specification has it. */
static const uint8_t empty_digest[32] = {0x44, 0x13, 0x6f, 0xa3, 0x55, 0xb3, 0x67, 0x8a, 0x11, 0x46,
	0xad, 0x16, 0xf7, 0xe8, 0x64, 0x9e, 0x94, 0xfb, 0x4f, 0xc2, 0x1f, 0xe7, 0x7e, 0x83, 0x10,
	0xc0, 0x60, 0xf6, 0x1c, 0xaa, 0xff, 0x8a};

void span_index_config(struct descriptor *out)
{
	*out = (struct descriptor){.media_type = (char *)(uintptr_t)OCI_EMPTY_MEDIA_TYPE,
		.size = sizeof(OCI_EMPTY_BLOB) - 1};
	digest_from_sha256(empty_digest, &out->digest);
}

static struct json *new_descriptor(
	const char *media_type, const struct digest *digest, uint64_t size)
{
	struct json *object = json_new_object();
	char text[DIGEST_TEXT_SIZE];

	json_set(object, "mediaType", json_new_string(media_type));
	json_set(object, "digest", json_new_string(digest_format(digest, text)));
	json_set(object, "size", json_new_i64((int64_t)size));
	return object;
}

static struct json *new_layer(const struct span_index_layer *layer)
{
	struct json *object =
		new_descriptor(SPAN_INDEX_MEDIA_TYPE, &layer->index.digest, layer->index.size);
	struct json *annotations = json_new_object();
	char text[DIGEST_TEXT_SIZE];

	json_set(annotations, SPAN_INDEX_LAYER_ANNOTATION,
		json_new_string(digest_format(&layer->layer, text)));
	json_set(object, "annotations", annotations);
	return object;
}

int span_index_manifest_write(const struct descriptor *subject,
	const struct span_index_layer *layers, size_t n_layers, struct buffer *out,
	struct error *err)
{
	CLEANUP(json_freep) struct json *manifest = json_new_object();
	struct json *list = json_new_array();
	struct descriptor config;

	span_index_config(&config);
	for (size_t i = 0; i < n_layers; i++)
		json_append(list, new_layer(&layers[i]));
	json_set(manifest, "schemaVersion", json_new_i64(2));
	json_set(manifest, "mediaType", json_new_string(MEDIA_TYPE_OCI_MANIFEST));
	json_set(manifest, "artifactType", json_new_string(SPAN_INDEX_ARTIFACT_TYPE));
	json_set(
		manifest, "config", new_descriptor(config.media_type, &config.digest, config.size));
	json_set(manifest, "layers", list);
	json_set(manifest, "subject",
		new_descriptor(subject->media_type, &subject->digest, subject->size));
	return json_write(manifest, false, out, err);
}

/* Registries that know no artifactType had it as the media type of the configuration. */
static int check_type(
	const struct json *document, const struct manifest *manifest, struct error *err)
{
	const char *type = json_string(json_get(document, "artifactType"));

	if (!type)
		type = manifest->config.media_type;
	if (strcmp(type, SPAN_INDEX_ARTIFACT_TYPE) == 0)
		return 0;
	return error_set(err, ERROR_UNSUPPORTED,
		"it is a %.100s, that of layer indexes is " SPAN_INDEX_ARTIFACT_TYPE, type);
}

static int take_subject(const struct json *document, const struct digest *expected,
	struct digest *out, struct error *err)
{
	char text[DIGEST_TEXT_SIZE], expected_text[DIGEST_TEXT_SIZE];
	struct descriptor subject;

	if (descriptor_parse(json_get(document, "subject"), &subject, err) < 0)
		return error_prefix(err, "\"subject\"");
	*out = subject.digest;
	descriptor_clear(&subject);
	if (!expected || digest_equal(out, expected))
		return 0;
	return error_set(err, ERROR_FORMAT, "it is of the image %s, not of %s",
		digest_format(out, text), digest_format(expected, expected_text));
}

/* Empties @from on success. */
static int add_layer(
	struct span_index_manifest *manifest, struct descriptor *from, struct error *err)
{
	const char *text = descriptor_annotation(from, SPAN_INDEX_LAYER_ANNOTATION);
	struct digest layer;

	if (strcmp(from->media_type, SPAN_INDEX_MEDIA_TYPE) != 0)
		return 0;
	if (!text)
		return error_set(
			err, ERROR_FORMAT, "it has no annotation " SPAN_INDEX_LAYER_ANNOTATION);
	if (digest_parse(text, &layer, err) < 0)
		return error_prefix(err, SPAN_INDEX_LAYER_ANNOTATION);
	if (from->size > SPAN_INDEX_FILE_MAX_SIZE)
		return error_set(err, ERROR_FORMAT,
			"an index of %ju bytes; at most %d are possible", (uintmax_t)from->size,
			(int)SPAN_INDEX_FILE_MAX_SIZE);
	if (span_index_manifest_find(manifest, &layer))
		return error_set(err, ERROR_FORMAT, "a second index of layer %s", text);
	manifest->layers[manifest->n_layers++] =
		(struct span_index_layer){.layer = layer, .index = *from};
	*from = (struct descriptor){0};
	return 0;
}

static int take_layers(
	struct manifest *from, struct span_index_manifest *manifest, struct error *err)
{
	manifest->layers = calloc(from->n_layers + 1, sizeof(*manifest->layers));
	if (!manifest->layers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu indexes", from->n_layers);
	for (size_t i = 0; i < from->n_layers; i++) {
		if (add_layer(manifest, &from->layers[i], err) < 0)
			return error_prefix(err, "\"layers\"[%zu]", i);
	}
	return 0;
}

static int parse(const void *data, size_t size, const struct digest *subject,
	struct span_index_manifest *out, struct error *err)
{
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(json_freep) struct json *document = NULL;

	if (manifest_parse(data, size, &manifest, err) < 0 ||
		json_parse(data, size, &document, err) < 0 ||
		check_type(document, manifest, err) < 0 ||
		take_subject(document, subject, &out->subject, err) < 0)
		return -1;
	return take_layers(manifest, out, err);
}

int span_index_manifest_parse(const void *data, size_t size, const struct digest *subject,
	struct span_index_manifest **out, struct error *err)
{
	CLEANUP(span_index_manifest_freep)
	struct span_index_manifest *manifest = calloc(1, sizeof(*manifest));

	if (!manifest)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a manifest");
	if (parse(data, size, subject, manifest, err) < 0)
		return error_prefix(err, "manifest of layer indexes");
	*out = TAKE_PTR(manifest);
	return 0;
}

void span_index_manifest_free(struct span_index_manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->n_layers; i++)
		descriptor_clear(&manifest->layers[i].index);
	free(manifest->layers);
	free(manifest);
}

void span_index_manifest_freep(struct span_index_manifest **manifest)
{
	span_index_manifest_free(*manifest);
	*manifest = NULL;
}

const struct descriptor *span_index_manifest_find(
	const struct span_index_manifest *manifest, const struct digest *layer)
{
	for (size_t i = 0; i < manifest->n_layers; i++) {
		if (digest_equal(&manifest->layers[i].layer, layer))
			return &manifest->layers[i].index;
	}
	return NULL;
}
