/* SPDX-License-Identifier: Apache-2.0 */
/* The list of images in an archive of `docker save`, and the manifest that it lacks. */
#include "format/docker_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "format/toc.h"
#include "name_list_internal.h"
#include "oci/manifest.h"
#include "oci/reference.h"

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

void docker_archive_free(struct docker_archive *archive)
{
	if (!archive)
		return;
	for (size_t i = 0; i < archive->n_images; i++) {
		struct docker_archive_image *image = &archive->images[i];

		free(image->config);
		free_texts(image->tags, image->n_tags);
		free_texts(image->layers, image->n_layers);
	}
	free(archive->images);
	free(archive);
}

void docker_archive_freep(struct docker_archive **archive)
{
	docker_archive_free(*archive);
	*archive = NULL;
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for the images of an archive");
}

/* A file of the archive. */
static int parse_path(const struct json *value, char **out, struct error *err)
{
	const char *text = json_string(value);
	char clean[TOC_MAX_NAME + 1];

	if (!text)
		return error_set(err, ERROR_FORMAT, "it is missing or not a string");
	if (toc_clean_name(text, strlen(text), clean, err) < 0)
		return -1;
	if (!clean[0])
		return error_set(err, ERROR_FORMAT, "\"%.40s\" names no file", text);
	*out = strdup(clean);
	return *out ? 0 : no_memory(err);
}

static int parse_tag(const struct json *value, char **out, struct error *err)
{
	const char *text = json_string(value);

	if (!text)
		return error_set(err, ERROR_FORMAT, "it is not a string");
	*out = strdup(text);
	return *out ? 0 : no_memory(err);
}

typedef int parse_text(const struct json *value, char **out, struct error *err);

/* An array of strings; null is an empty one. */
static int parse_texts(const struct json *array, const char *name, size_t max, parse_text *parse,
	char ***out, size_t *n_out, struct error *err)
{
	size_t n = json_length(array);

	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > max)
		return error_set(err, ERROR_FORMAT, "\"%s\" is not an array of at most %zu strings",
			name, max);
	*out = calloc(n + 1, sizeof(**out));
	if (!*out)
		return no_memory(err);
	for (; *n_out < n; (*n_out)++) {
		if (parse(json_at(array, *n_out), &(*out)[*n_out], err) < 0)
			return error_prefix(err, "\"%s\"[%zu]", name, *n_out);
	}
	return 0;
}

static int parse_image(
	const struct json *object, struct docker_archive_image *out, struct error *err)
{
	if (!json_is_object(object))
		return error_set(err, ERROR_FORMAT, "it is not an object");
	if (parse_path(json_get(object, "Config"), &out->config, err) < 0)
		return error_prefix(err, "\"Config\"");
	if (parse_texts(json_get(object, "RepoTags"), "RepoTags", DOCKER_ARCHIVE_MAX_TAGS,
		    parse_tag, &out->tags, &out->n_tags, err) < 0)
		return -1;
	return parse_texts(json_get(object, "Layers"), "Layers", MANIFEST_MAX_LAYERS, parse_path,
		&out->layers, &out->n_layers, err);
}

static int parse_images(const struct json *array, struct docker_archive *archive, struct error *err)
{
	size_t n = json_length(array);

	if (!json_is_array(array) || n > DOCKER_ARCHIVE_MAX_IMAGES)
		return error_set(err, ERROR_FORMAT, "it is not an array of at most %d images",
			DOCKER_ARCHIVE_MAX_IMAGES);
	archive->images = calloc(n + 1, sizeof(*archive->images));
	if (!archive->images)
		return no_memory(err);
	while (archive->n_images < n) {
		size_t i = archive->n_images++;

		if (parse_image(json_at(array, i), &archive->images[i], err) < 0)
			return error_prefix(err, "[%zu]", i);
	}
	return 0;
}

int docker_archive_parse(
	const void *data, size_t size, struct docker_archive **out, struct error *err)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = NULL;
	CLEANUP(json_freep) struct json *json = NULL;

	if (json_parse(data, size, &json, err) < 0)
		return -1;
	archive = calloc(1, sizeof(*archive));
	if (!archive)
		return no_memory(err);
	if (parse_images(json, archive, err) < 0)
		return -1;
	*out = TAKE_PTR(archive);
	return 0;
}

static bool is_called(const struct docker_archive_image *image, const char *tag)
{
	char wanted_text[REFERENCE_TEXT_SIZE], text[REFERENCE_TEXT_SIZE];
	struct reference wanted, reference;
	bool is_reference = reference_parse(tag, &wanted, NULL) == 0;

	if (is_reference)
		(void)reference_format(&wanted, wanted_text);
	for (size_t i = 0; i < image->n_tags; i++) {
		if (strcmp(image->tags[i], tag) == 0)
			return true;
		if (is_reference && reference_parse(image->tags[i], &reference, NULL) == 0 &&
			strcmp(reference_format(&reference, text), wanted_text) == 0)
			return true;
	}
	return false;
}

static bool is_same(const struct docker_archive_image *a, const struct docker_archive_image *b)
{
	return strcmp(a->config, b->config) == 0;
}

/* Names all images, or those that are called by the tag. */
static void list_images(
	const struct docker_archive *archive, const char *tag, struct name_list *out)
{
	for (size_t i = 0; i < archive->n_images; i++) {
		const struct docker_archive_image *image = &archive->images[i];
		char number[24];

		(void)snprintf(number, sizeof(number), "@%zu", i);
		if (tag && !is_called(image, tag))
			continue;
		for (size_t j = 0; j < image->n_tags && !tag; j++)
			name_list_add(out, image->tags[j]);
		if (image->n_tags == 0 || tag)
			name_list_add(out, number);
	}
}

int docker_archive_select(const struct docker_archive *archive, const char *tag,
	const struct docker_archive_image **out, struct error *err)
{
	const struct docker_archive_image *found = NULL;
	struct name_list list = {0};
	char number[24];

	for (size_t i = 0; i < archive->n_images; i++) {
		const struct docker_archive_image *image = &archive->images[i];

		(void)snprintf(number, sizeof(number), "@%zu", i);
		if (tag[0] && strcmp(tag, number) != 0 && !is_called(image, tag))
			continue;
		if (found && !is_same(found, image)) {
			list_images(archive, tag[0] ? tag : NULL, &list);
			return error_set(err, ERROR_INVALID,
				"several images%s%.100s%s in it, say which: %s",
				tag[0] ? " are called \"" : " are", tag, tag[0] ? "\"" : "",
				list.text);
		}
		found = found ? found : image;
	}
	if (found) {
		*out = found;
		return 0;
	}
	list_images(archive, NULL, &list);
	if (!list.used)
		return error_set(err, ERROR_NOT_FOUND, DOCKER_ARCHIVE_INDEX_FILE " names no image");
	return error_set(
		err, ERROR_NOT_FOUND, "it has no image \"%.100s\"; there is: %s", tag, list.text);
}

enum docker_layer_kind docker_layer_detect(const void *data, size_t size)
{
	if (size >= 2 && memcmp(data, "\x1f\x8b", 2) == 0)
		return DOCKER_LAYER_GZIP;
	if (size >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0)
		return DOCKER_LAYER_ZSTD;
	return DOCKER_LAYER_TAR;
}

const char *docker_layer_media_type(enum docker_layer_kind kind)
{
	switch (kind) {
	case DOCKER_LAYER_GZIP:
		return "application/vnd.docker.image.rootfs.diff.tar.gzip";
	case DOCKER_LAYER_ZSTD:
		return "application/vnd.docker.image.rootfs.diff.tar.zstd";
	default:
		return "application/vnd.docker.image.rootfs.diff.tar";
	}
}

static struct json *blob_to_json(const struct docker_archive_blob *blob)
{
	struct json *json = json_new_object();
	char digest[DIGEST_TEXT_SIZE];

	json_set(json, "mediaType", json_new_string(blob->media_type));
	json_set(json, "size", json_new_i64((int64_t)blob->size));
	json_set(json, "digest", json_new_string(digest_format(&blob->digest, digest)));
	return json;
}

int docker_archive_manifest(const struct docker_archive_blob *config,
	const struct docker_archive_blob *layers, size_t n_layers, struct buffer *out,
	struct error *err)
{
	CLEANUP(json_freep) struct json *json = json_new_object();
	struct json *array = json_new_array();

	json_set(json, "schemaVersion", json_new_i64(2));
	json_set(json, "mediaType", json_new_string(MEDIA_TYPE_DOCKER_MANIFEST));
	json_set(json, "config", blob_to_json(config));
	for (size_t i = 0; i < n_layers; i++)
		json_append(array, blob_to_json(&layers[i]));
	json_set(json, "layers", array);
	return json_write(json, false, out, err);
}
