/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations: the key-value pairs of descriptors and manifests. */
#include "annotation_internal.h"

#include <string.h>

struct annotation_reader {
	struct annotation *annotations; /* owned, n of them filled */
	size_t n;
	struct error *err;
};

static int set_no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for annotations");
}

static int append(struct annotation_reader *reader, const char *key, const char *value)
{
	struct annotation *annotation = &reader->annotations[reader->n];

	annotation->key = strdup(key);
	annotation->value = strdup(value);
	if (!annotation->key || !annotation->value) {
		free(annotation->key);
		free(annotation->value);
		return set_no_memory(reader->err);
	}
	reader->n++;
	return 0;
}

static int read_annotation(const char *key, const struct json *value, void *arg)
{
	struct annotation_reader *reader = arg;
	const char *text = json_string(value);

	if (!text)
		return error_set(
			reader->err, ERROR_FORMAT, "annotation \"%.100s\" is not a string", key);
	if (strlen(key) > ANNOTATION_MAX_KEY_SIZE || strlen(text) > ANNOTATION_MAX_VALUE_SIZE)
		return error_set(reader->err, ERROR_FORMAT,
			"annotation \"%.100s\" is longer than %d bytes (key) or %d (value)", key,
			ANNOTATION_MAX_KEY_SIZE, ANNOTATION_MAX_VALUE_SIZE);
	return append(reader, key, text);
}

int annotations_parse(
	const struct json *object, struct annotation **out, size_t *n, struct error *err)
{
	struct annotation_reader reader = {.err = err};
	size_t length = json_length(object);

	*out = NULL;
	*n = 0;
	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return error_set(err, ERROR_FORMAT, "\"annotations\" is not an object");
	if (length > ANNOTATIONS_MAX)
		return error_set(err, ERROR_FORMAT, "%zu annotations, more than the limit of %d",
			length, ANNOTATIONS_MAX);
	if (length == 0)
		return 0;

	reader.annotations = calloc(length, sizeof(*reader.annotations));
	if (!reader.annotations)
		return set_no_memory(err);
	if (json_each(object, read_annotation, &reader) != 0) {
		annotations_free(reader.annotations, reader.n);
		return -1;
	}
	*out = reader.annotations;
	*n = reader.n;
	return 0;
}

int annotations_copy(
	const struct annotation *from, size_t n, struct annotation **out, struct error *err)
{
	struct annotation_reader reader = {.err = err};

	*out = NULL;
	if (n == 0)
		return 0;
	reader.annotations = calloc(n, sizeof(*reader.annotations));
	if (!reader.annotations)
		return set_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (append(&reader, from[i].key, from[i].value) < 0) {
			annotations_free(reader.annotations, reader.n);
			return -1;
		}
	}
	*out = reader.annotations;
	return 0;
}

void annotations_free(struct annotation *annotations, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(annotations[i].key);
		free(annotations[i].value);
	}
	free(annotations);
}

const char *annotations_find(const struct annotation *annotations, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(annotations[i].key, key) == 0)
			return annotations[i].value;
	}
	return NULL;
}
