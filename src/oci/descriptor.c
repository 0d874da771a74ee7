/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: media type, digest and size of a blob, as manifests name it. */
#include "oci/descriptor.h"

#include <string.h>

#include "annotation_internal.h"
#include "media_type_internal.h"

enum { MAX_URLS = 64, MAX_URL_SIZE = 8192 };

static int parse_media_type(const struct json *object, char **out, struct error *err)
{
	const struct json *value = json_get(object, "mediaType");

	if (!value)
		return error_set(err, ERROR_FORMAT, "\"mediaType\" is missing");
	if (media_type_parse(json_string(value), out, err) < 0)
		return error_prefix(err, "\"mediaType\"");
	return 0;
}

static int parse_digest(const struct json *object, struct digest *out, struct error *err)
{
	const char *text = json_string(json_get(object, "digest"));

	if (!text)
		return error_set(err, ERROR_FORMAT, "\"digest\" is missing or not a string");
	return digest_parse(text, out, err);
}

static int parse_size(const struct json *object, uint64_t *out, struct error *err)
{
	int64_t size;

	if (!json_i64(json_get(object, "size"), &size) || size < 0)
		return error_set(err, ERROR_FORMAT,
			"\"size\" is missing or not an integer between 0 and 2^63 - 1");
	*out = (uint64_t)size;
	return 0;
}

static int parse_urls(const struct json *array, struct descriptor *out, struct error *err)
{
	size_t n = json_length(array);

	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > MAX_URLS)
		return error_set(err, ERROR_FORMAT,
			"\"urls\" is not an array of at most %d strings", MAX_URLS);
	if (n == 0)
		return 0;
	out->urls = calloc(n, sizeof(*out->urls));
	if (!out->urls)
		return error_set(err, ERROR_NO_MEMORY, "no memory for URLs");
	for (; out->n_urls < n; out->n_urls++) {
		const char *url = json_string(json_at(array, out->n_urls));

		if (!url || strlen(url) > MAX_URL_SIZE)
			return error_set(err, ERROR_FORMAT,
				"\"urls\"[%zu] is not a string of at most %d bytes", out->n_urls,
				MAX_URL_SIZE);
		out->urls[out->n_urls] = strdup(url);
		if (!out->urls[out->n_urls])
			return error_set(err, ERROR_NO_MEMORY, "no memory for URLs");
	}
	return 0;
}

int descriptor_parse(const struct json *object, struct descriptor *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (!json_is_object(object))
		return error_set(err, ERROR_FORMAT, "the descriptor is missing or not an object");
	if (parse_media_type(object, &out->media_type, err) < 0 ||
		parse_digest(object, &out->digest, err) < 0 ||
		parse_size(object, &out->size, err) < 0 ||
		parse_urls(json_get(object, "urls"), out, err) < 0 ||
		annotations_parse(json_get(object, "annotations"), &out->annotations,
			&out->n_annotations, err) < 0) {
		descriptor_clear(out);
		return -1;
	}
	return 0;
}

void descriptor_clear(struct descriptor *descriptor)
{
	free(descriptor->media_type);
	annotations_free(descriptor->annotations, descriptor->n_annotations);
	for (size_t i = 0; i < descriptor->n_urls; i++)
		free(descriptor->urls[i]);
	free(descriptor->urls);
	memset(descriptor, 0, sizeof(*descriptor));
}

static int copy_owned(const struct descriptor *from, struct descriptor *out, struct error *err)
{
	out->media_type = strdup(from->media_type);
	if (from->n_urls > 0)
		out->urls = calloc(from->n_urls, sizeof(*out->urls));
	if (!out->media_type || (from->n_urls > 0 && !out->urls))
		return error_set(err, ERROR_NO_MEMORY, "no memory for a descriptor");
	for (; out->n_urls < from->n_urls; out->n_urls++) {
		out->urls[out->n_urls] = strdup(from->urls[out->n_urls]);
		if (!out->urls[out->n_urls])
			return error_set(err, ERROR_NO_MEMORY, "no memory for a descriptor");
	}
	if (annotations_copy(from->annotations, from->n_annotations, &out->annotations, err) < 0)
		return -1;
	out->n_annotations = from->n_annotations;
	return 0;
}

int descriptor_copy(const struct descriptor *from, struct descriptor *out, struct error *err)
{
	struct descriptor copy = {.digest = from->digest, .size = from->size};

	if (copy_owned(from, &copy, err) < 0) {
		descriptor_clear(&copy);
		return -1;
	}
	*out = copy;
	return 0;
}

const char *descriptor_annotation(const struct descriptor *descriptor, const char *key)
{
	return annotations_find(descriptor->annotations, descriptor->n_annotations, key);
}
