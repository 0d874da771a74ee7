/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what refers to an image, and the index that stands in for a missing referrers API. */
#include "format/referrers.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "oci/manifest.h"

enum { MAX_TAG_DIGITS = 64 };

static bool is_wanted(const struct json *entry, const char *artifact_type)
{
	const char *type = json_string(json_get(entry, "artifactType"));

	return !artifact_type || !type || !type[0] || strcmp(type, artifact_type) == 0;
}

static int parse_entry(const struct json *entry, struct referrer *out, struct error *err)
{
	const char *type = json_string(json_get(entry, "artifactType"));

	if (descriptor_parse(entry, &out->descriptor, err) < 0)
		return -1;
	out->artifact_type = NULL;
	if (!type || !type[0])
		return 0;
	out->artifact_type = strdup(type);
	if (out->artifact_type)
		return 0;
	descriptor_clear(&out->descriptor);
	return error_set(err, ERROR_NO_MEMORY, "no memory for a referrer");
}

/* The array of an image index, whose other members nobody needs. */
static int open_list(const void *data, size_t size, struct json **document,
	const struct json **list, struct error *err)
{
	enum manifest_kind kind;

	if (size > REFERRERS_MAX_SIZE)
		return error_set(err, ERROR_FORMAT, "%zu bytes; at most %d are possible", size,
			(int)REFERRERS_MAX_SIZE);
	if (manifest_detect(data, size, NULL, &kind, err) < 0)
		return -1;
	if (kind != MANIFEST_INDEX)
		return error_set(err, ERROR_FORMAT,
			"an image manifest where an index of referrers was expected");
	if (json_parse(data, size, document, err) < 0)
		return -1;
	*list = json_get(*document, "manifests");
	if (!json_is_array(*list) || json_length(*list) > REFERRERS_MAX)
		return error_set(err, ERROR_FORMAT,
			"\"manifests\" is not an array of at most %d descriptors",
			(int)REFERRERS_MAX);
	return 0;
}

static int parse_list(const struct json *list, const char *artifact_type,
	struct referrers *referrers, struct error *err)
{
	size_t n = json_length(list);

	referrers->list = calloc(n + 1, sizeof(*referrers->list));
	if (!referrers->list)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu referrers", n);
	for (size_t i = 0; i < n; i++) {
		const struct json *entry = json_at(list, i);

		if (!is_wanted(entry, artifact_type))
			continue;
		if (parse_entry(entry, &referrers->list[referrers->n], err) < 0)
			return error_prefix(err, "\"manifests\"[%zu]", i);
		referrers->n++;
	}
	return 0;
}

int referrers_parse(const void *data, size_t size, const char *artifact_type,
	struct referrers **out, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	const struct json *list;

	if (open_list(data, size, &document, &list, err) < 0)
		return error_prefix(err, "referrers");
	referrers = calloc(1, sizeof(*referrers));
	if (!referrers)
		return error_set(err, ERROR_NO_MEMORY, "no memory for referrers");
	if (parse_list(list, artifact_type, referrers, err) < 0)
		return error_prefix(err, "referrers");
	*out = TAKE_PTR(referrers);
	return 0;
}

void referrers_free(struct referrers *referrers)
{
	if (!referrers)
		return;
	for (size_t i = 0; i < referrers->n; i++) {
		descriptor_clear(&referrers->list[i].descriptor);
		free(referrers->list[i].artifact_type);
	}
	free(referrers->list);
	free(referrers);
}

void referrers_freep(struct referrers **referrers)
{
	referrers_free(*referrers);
	*referrers = NULL;
}

const char *referrers_tag(const struct digest *subject, char tag[REFERRERS_TAG_SIZE])
{
	char text[DIGEST_TEXT_SIZE];
	size_t name_size;

	digest_format(subject, text);
	name_size = strcspn(text, ":");
	memcpy(tag, text, name_size);
	tag[name_size] = '-';
	memcpy(tag + name_size + 1, text + name_size + 1, MAX_TAG_DIGITS);
	tag[name_size + 1 + MAX_TAG_DIGITS] = '\0';
	return tag;
}

static struct json *copy_value(const struct json *value);

static int copy_member(const char *key, const struct json *value, void *arg)
{
	json_set(arg, key, copy_value(value));
	return 0;
}

/* What the documents of JSON_MAX_DEPTH levels can hold. */
static struct json *copy_value(const struct json *value)
{
	struct json *copy;
	int64_t integer;
	double number;
	bool is_true;

	if (json_is_object(value)) {
		copy = json_new_object();
		(void)json_each(value, copy_member, copy);
		return copy;
	}
	if (json_is_array(value)) {
		copy = json_new_array();
		for (size_t i = 0; i < json_length(value); i++)
			json_append(copy, copy_value(json_at(value, i)));
		return copy;
	}
	if (json_i64(value, &integer))
		return json_new_i64(integer);
	if (json_f64(value, &number))
		return json_new_f64(number);
	if (json_bool(value, &is_true))
		return json_new_bool(is_true);
	return json_new_string(json_string(value));
}

static struct json *new_entry(const struct descriptor *descriptor, const char *artifact_type)
{
	struct json *entry = json_new_object();
	char digest[DIGEST_TEXT_SIZE];

	json_set(entry, "mediaType", json_new_string(descriptor->media_type));
	json_set(entry, "digest", json_new_string(digest_format(&descriptor->digest, digest)));
	json_set(entry, "size", json_new_i64((int64_t)descriptor->size));
	if (artifact_type)
		json_set(entry, "artifactType", json_new_string(artifact_type));
	if (descriptor->n_annotations > 0) {
		struct json *annotations = json_new_object();

		for (size_t i = 0; i < descriptor->n_annotations; i++)
			json_set(annotations, descriptor->annotations[i].key,
				json_new_string(descriptor->annotations[i].value));
		json_set(entry, "annotations", annotations);
	}
	return entry;
}

/* The old entries without the one of this digest, and the new one. */
static struct json *new_list(
	const struct json *old, const struct descriptor *descriptor, const char *artifact_type)
{
	struct json *list = json_new_array();
	char digest[DIGEST_TEXT_SIZE];

	digest_format(&descriptor->digest, digest);
	for (size_t i = 0; i < json_length(old); i++) {
		const char *other = json_string(json_get(json_at(old, i), "digest"));

		if (!other || strcmp(other, digest) != 0)
			json_append(list, copy_value(json_at(old, i)));
	}
	json_append(list, new_entry(descriptor, artifact_type));
	return list;
}

int referrers_add(const void *data, size_t size, const struct descriptor *descriptor,
	const char *artifact_type, struct buffer *out, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	CLEANUP(json_freep) struct json *index = NULL;
	const struct json *list = NULL;

	if (size > 0 && open_list(data, size, &document, &list, err) < 0)
		return error_prefix(err, "referrers");
	if (json_length(list) >= REFERRERS_MAX)
		return error_set(err, ERROR_UNSUPPORTED,
			"the image has %d referrers already; remove some", (int)REFERRERS_MAX);
	if (document) {
		index = copy_value(document);
	} else {
		index = json_new_object();
		json_set(index, "schemaVersion", json_new_i64(2));
		json_set(index, "mediaType", json_new_string(MEDIA_TYPE_OCI_INDEX));
	}
	json_set(index, "manifests", new_list(list, descriptor, artifact_type));
	return json_write(index, false, out, err);
}

/* One list of all entries of both, of which either may be absent. */
static struct json *join_lists(const struct json *first, const struct json *second)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < json_length(first); i++)
		json_append(list, copy_value(json_at(first, i)));
	for (size_t i = 0; i < json_length(second); i++)
		json_append(list, copy_value(json_at(second, i)));
	return list;
}

int referrers_join(const void *data, size_t size, const void *more, size_t more_size,
	struct buffer *out, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	CLEANUP(json_freep) struct json *added = NULL;
	CLEANUP(json_freep) struct json *index = NULL;
	const struct json *list = NULL;
	const struct json *added_list;

	if ((size > 0 && open_list(data, size, &document, &list, err) < 0) ||
		open_list(more, more_size, &added, &added_list, err) < 0)
		return error_prefix(err, "referrers");
	if (json_length(list) + json_length(added_list) > REFERRERS_MAX)
		return error_set(err, ERROR_UNSUPPORTED, "the image has more than %d referrers",
			(int)REFERRERS_MAX);
	index = copy_value(document ? document : added);
	json_set(index, "manifests", join_lists(list, added_list));
	return json_write(index, false, out, err);
}

int referrers_add_manifest(const void *data, size_t size, const struct digest *subject,
	const struct buffer *document, const struct descriptor *descriptor, struct buffer *out,
	bool *added, struct error *err)
{
	CLEANUP(json_freep) struct json *manifest = NULL;
	const char *text, *type;
	struct digest found;

	*added = false;
	if (json_parse(document->data, document->size, &manifest, err) < 0)
		return -1;
	text = json_string(json_get(json_get(manifest, "subject"), "digest"));
	if (!text)
		return 0;
	if (digest_parse(text, &found, err) < 0)
		return error_prefix(err, "\"subject\"");
	if (!digest_equal(&found, subject))
		return 0;
	type = json_string(json_get(manifest, "artifactType"));
	if (!type || !type[0])
		type = json_string(json_get(json_get(manifest, "config"), "mediaType"));
	if (referrers_add(data, size, descriptor, type, out, err) < 0)
		return -1;
	*added = true;
	return 0;
}
