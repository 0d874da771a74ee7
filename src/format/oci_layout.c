/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of an OCI image layout say. */
#include "format/oci_layout.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "name_list_internal.h"
#include "oci/reference.h"

int oci_layout_check(const void *data, size_t size, struct error *err)
{
	CLEANUP(json_freep) struct json *json = NULL;
	const char *version;

	if (json_parse(data, size, &json, err) < 0)
		return error_prefix(err, OCI_LAYOUT_FILE);
	version = json_string(json_get(json, "imageLayoutVersion"));
	if (!version)
		return error_set(
			err, ERROR_FORMAT, OCI_LAYOUT_FILE " has no text \"imageLayoutVersion\"");
	if (strncmp(version, "1.", 2) != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			OCI_LAYOUT_FILE
			" says version %.40s of the layout, and 1.0.0 is what is known",
			version);
	return 0;
}

const char *oci_layout_blob_path(const struct digest *digest, char path[OCI_LAYOUT_BLOB_PATH_SIZE])
{
	char text[DIGEST_TEXT_SIZE];

	(void)snprintf(path, OCI_LAYOUT_BLOB_PATH_SIZE, OCI_LAYOUT_BLOBS "/%s",
		digest_format(digest, text));
	*strchr(path, ':') = '/';
	return path;
}

static const char *name_of(const struct index_manifest *entry)
{
	const char *name =
		descriptor_annotation(&entry->descriptor, OCI_LAYOUT_REF_NAME_ANNOTATION);

	return name ? name
		    : descriptor_annotation(
			      &entry->descriptor, OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION);
}

/* Layouts also hold signatures, attestations and whatever else somebody put there. */
static bool is_image(const struct index_manifest *entry)
{
	static const char *const media_types[] = {MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_OCI_INDEX,
		MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_DOCKER_LIST};

	if (descriptor_annotation(&entry->descriptor, "vnd.docker.reference.type") ||
		(entry->has_platform && strcmp(entry->platform.os, "unknown") == 0))
		return false;
	for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
		if (strcmp(entry->descriptor.media_type, media_types[i]) == 0)
			return true;
	}
	return false;
}

/* "app:1" is what containerd calls "docker.io/library/app:1". */
static bool is_same_reference(const char *a, const char *b)
{
	char a_text[REFERENCE_TEXT_SIZE], b_text[REFERENCE_TEXT_SIZE];
	struct reference a_reference, b_reference;

	return reference_parse(a, &a_reference, NULL) == 0 &&
	       reference_parse(b, &b_reference, NULL) == 0 &&
	       strcmp(reference_format(&a_reference, a_text),
		       reference_format(&b_reference, b_text)) == 0;
}

static bool is_called(const struct index_manifest *entry, const char *tag)
{
	const struct descriptor *descriptor = &entry->descriptor;
	const char *ref = descriptor_annotation(descriptor, OCI_LAYOUT_REF_NAME_ANNOTATION);
	const char *full = descriptor_annotation(descriptor, OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION);

	return (ref && strcmp(ref, tag) == 0) || (full && strcmp(full, tag) == 0) ||
	       (full && is_same_reference(full, tag));
}

/* The entries that a tag may mean, each digest once. */
struct candidates {
	const struct index_manifest **entries; /* owned */
	size_t n;
};

static void candidates_clear(struct candidates *candidates)
{
	free(candidates->entries);
}

static void add_candidate(struct candidates *candidates, const struct index_manifest *entry)
{
	for (size_t i = 0; i < candidates->n; i++) {
		if (digest_equal(
			    &candidates->entries[i]->descriptor.digest, &entry->descriptor.digest))
			return;
	}
	candidates->entries[candidates->n++] = entry;
}

static int find_candidates(const struct manifest_index *index, const char *tag,
	struct candidates *out, struct error *err)
{
	out->entries = calloc(index->n_manifests + 1, sizeof(struct index_manifest *));
	if (!out->entries)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the names in a layout");
	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct index_manifest *entry = &index->manifests[i];
		char number[24];

		(void)snprintf(number, sizeof(number), "@%zu", i);
		if (is_image(entry) &&
			(!tag[0] || strcmp(tag, number) == 0 || is_called(entry, tag)))
			add_candidate(out, entry);
	}
	return 0;
}

static bool is_same_annotation(
	const struct index_manifest *a, const struct index_manifest *b, const char *key)
{
	const char *a_value = descriptor_annotation(&a->descriptor, key);
	const char *b_value = descriptor_annotation(&b->descriptor, key);

	return (!a_value && !b_value) || (a_value && b_value && strcmp(a_value, b_value) == 0);
}

static bool is_same_name(const struct index_manifest *a, const struct index_manifest *b)
{
	return is_same_annotation(a, b, OCI_LAYOUT_REF_NAME_ANNOTATION) &&
	       is_same_annotation(a, b, OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION);
}

/* One image, each time for another platform. */
static bool is_one_image(const struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->n; i++) {
		const struct index_manifest *entry = candidates->entries[i];

		if (!entry->has_platform || !is_same_name(entry, candidates->entries[0]))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (memcmp(&entry->platform, &candidates->entries[j]->platform,
				    sizeof(entry->platform)) == 0)
				return false;
		}
	}
	return true;
}

static int set_not_found(const struct manifest_index *index, const char *tag, struct error *err)
{
	struct name_list list = {0};

	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct index_manifest *entry = &index->manifests[i];
		char number[24];

		(void)snprintf(number, sizeof(number), "@%zu", i);
		if (is_image(entry))
			name_list_add(&list, name_of(entry) ? name_of(entry) : number);
	}
	if (!list.used)
		return error_set(err, ERROR_NOT_FOUND, OCI_LAYOUT_INDEX_FILE " names no image");
	return error_set(
		err, ERROR_NOT_FOUND, "it has no image \"%.100s\"; there is: %s", tag, list.text);
}

static int set_ambiguous(const struct candidates *candidates, const char *tag, struct error *err)
{
	struct name_list list = {0};

	for (size_t i = 0; i < candidates->n; i++) {
		const struct index_manifest *entry = candidates->entries[i];
		const char *name = name_of(entry);
		char digest[1 + DIGEST_TEXT_SIZE] = "@";

		if (tag[0])
			name = descriptor_annotation(
				&entry->descriptor, OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION);
		(void)digest_format(&entry->descriptor.digest, digest + 1);
		name_list_add(&list, name && strcmp(name, tag) != 0 ? name : digest);
	}
	return error_set(err, ERROR_INVALID, "%zu images%s%.100s%s in it, say which: %s",
		candidates->n, tag[0] ? " are called \"" : " are", tag, tag[0] ? "\"" : "",
		list.text);
}

static struct json *entry_to_json(const struct index_manifest *entry)
{
	struct json *platform = json_new_object();
	struct json *json = json_new_object();
	char digest[DIGEST_TEXT_SIZE];

	json_set(json, "mediaType", json_new_string(entry->descriptor.media_type));
	json_set(json, "digest", json_new_string(digest_format(&entry->descriptor.digest, digest)));
	json_set(json, "size", json_new_i64((int64_t)entry->descriptor.size));
	json_set(platform, "architecture", json_new_string(entry->platform.architecture));
	json_set(platform, "os", json_new_string(entry->platform.os));
	if (entry->platform.variant[0])
		json_set(platform, "variant", json_new_string(entry->platform.variant));
	json_set(json, "platform", platform);
	return json;
}

static int make_index(
	const struct candidates *candidates, struct oci_layout_choice *out, struct error *err)
{
	CLEANUP(json_freep) struct json *json = json_new_object();
	CLEANUP(buffer_free) struct buffer document = {0};
	struct json *manifests = json_new_array();

	json_set(json, "schemaVersion", json_new_i64(2));
	json_set(json, "mediaType", json_new_string(MEDIA_TYPE_OCI_INDEX));
	for (size_t i = 0; i < candidates->n; i++)
		json_append(manifests, entry_to_json(candidates->entries[i]));
	json_set(json, "manifests", manifests);
	if (json_write(json, false, &document, err) < 0 ||
		digest_compute(DIGEST_SHA256, document.data, document.size, &out->digest, err) < 0)
		return -1;
	out->document = document;
	document = (struct buffer){0};
	return 0;
}

int oci_layout_select(const struct manifest_index *index, const char *tag,
	struct oci_layout_choice *out, struct error *err)
{
	CLEANUP(candidates_clear) struct candidates candidates = {0};

	if (find_candidates(index, tag, &candidates, err) < 0)
		return -1;
	if (candidates.n == 0)
		return set_not_found(index, tag, err);
	if (candidates.n > 1 && !is_one_image(&candidates))
		return set_ambiguous(&candidates, tag, err);
	if (candidates.n > 1)
		return make_index(&candidates, out, err);
	out->digest = candidates.entries[0]->descriptor.digest;
	return 0;
}
