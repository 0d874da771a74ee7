/* SPDX-License-Identifier: Apache-2.0 */
/* Image indexes: one manifest for each platform, and the choice among them. */
#include <stdio.h>
#include <string.h>

#include "manifest_internal.h"
#include "media_type_internal.h"

/* platform_match() is above it for every platform that serves. */
enum { SCORE_NO_PLATFORM = 1 };

/* Sets *found when the entry has a platform. A name that is there but empty is one that is not. */
static int parse_platform(
	const struct json *object, struct platform *out, bool *found, struct error *err)
{
	const char *os = json_string(json_get(object, "os"));
	const char *architecture = json_string(json_get(object, "architecture"));
	const struct json *variant = json_get(object, "variant");

	*found = false;
	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return error_set(err, ERROR_FORMAT, "\"platform\" is not an object");
	if (os && !os[0] && architecture && !architecture[0])
		return 0;
	if (!os || !architecture || (variant && !json_is_null(variant) && !json_string(variant)))
		return error_set(err, ERROR_FORMAT,
			"\"platform\" lacks \"os\" or \"architecture\", or has one that is not a "
			"string");
	if (platform_set(os, architecture, json_string(variant), out, err) < 0)
		return error_prefix(err, "\"platform\"");
	*found = true;
	return 0;
}

static int parse_entry(const struct json *object, struct index_manifest *out, struct error *err)
{
	if (descriptor_parse(object, &out->descriptor, err) < 0)
		return -1;
	if (parse_platform(json_get(object, "platform"), &out->platform, &out->has_platform, err) <
		0) {
		descriptor_clear(&out->descriptor);
		return -1;
	}
	return 0;
}

static int parse_entries(
	const struct manifest_document *document, struct manifest_index *index, struct error *err)
{
	const struct json *array = json_get(document->json, "manifests");
	size_t n = json_length(array);

	if (document->kind != MANIFEST_INDEX)
		return error_set(err, ERROR_FORMAT,
			"the document is an image manifest where an index was expected");
	if (!json_is_array(array) || n > INDEX_MAX_MANIFESTS)
		return error_set(err, ERROR_FORMAT,
			"\"manifests\" is not an array of at most %d descriptors",
			INDEX_MAX_MANIFESTS);
	if (n == 0)
		return 0;
	index->manifests = calloc(n, sizeof(*index->manifests));
	if (!index->manifests)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu index entries", n);
	for (; index->n_manifests < n; index->n_manifests++) {
		size_t i = index->n_manifests;

		if (parse_entry(json_at(array, i), &index->manifests[i], err) < 0)
			return error_prefix(err, "\"manifests\"[%zu]", i);
	}
	return 0;
}

int manifest_index_parse(
	const void *data, size_t size, struct manifest_index **out, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	struct manifest_document document;
	int result;

	if (manifest_document_open(data, size, &document, err) < 0)
		return -1;
	index = calloc(1, sizeof(*index));
	if (index) {
		index->media_type = TAKE_PTR(document.media_type);
		result = parse_entries(&document, index, err);
	} else {
		result = error_set(err, ERROR_NO_MEMORY, "no memory for an index");
	}
	manifest_document_close(&document);
	if (result == 0)
		*out = TAKE_PTR(index);
	return result;
}

void manifest_index_free(struct manifest_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->n_manifests; i++)
		descriptor_clear(&index->manifests[i].descriptor);
	free(index->manifests);
	free(index->media_type);
	free(index);
}

void manifest_index_freep(struct manifest_index **index)
{
	manifest_index_free(*index);
}

/* BuildKit hangs provenance documents into the index as manifests of an unknown platform; other
 * tools hang in things that are no manifests at all. */
static bool is_runnable(const struct index_manifest *entry)
{
	const char *media_type = entry->descriptor.media_type;

	if (!media_type_is_manifest(media_type) && !media_type_is_index(media_type))
		return false;
	if (descriptor_annotation(&entry->descriptor, "vnd.docker.reference.type"))
		return false;
	return !entry->has_platform || strcmp(entry->platform.os, "unknown") != 0;
}

static bool is_listed_before(const struct manifest_index *index, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		const struct index_manifest *entry = &index->manifests[j];

		if (is_runnable(entry) && memcmp(&entry->platform, &index->manifests[i].platform,
						  sizeof(entry->platform)) == 0)
			return true;
	}
	return false;
}

/* "linux/amd64, linux/arm64", each once, as far as text reaches. */
static void list_platforms(const struct manifest_index *index, char *text, size_t text_size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct index_manifest *entry = &index->manifests[i];
		char name[100];

		if (!is_runnable(entry) || !entry->has_platform || is_listed_before(index, i))
			continue;
		platform_format(&entry->platform, name);
		if (used + strlen(name) + sizeof(", , ...") > text_size) {
			strcpy(text + used, ", ...");
			return;
		}
		used += (size_t)snprintf(
			text + used, text_size - used, "%s%s", used > 0 ? ", " : "", name);
	}
}

int manifest_index_select(const struct manifest_index *index, const struct platform *wanted,
	const struct descriptor **out, struct error *err)
{
	const struct index_manifest *best = NULL;
	int best_score = 0;
	char wanted_text[100];
	char offered[256];

	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct index_manifest *entry = &index->manifests[i];
		int score;

		if (!is_runnable(entry))
			continue;
		score = entry->has_platform ? platform_match(wanted, &entry->platform)
					    : SCORE_NO_PLATFORM;
		if (score > best_score) {
			best = entry;
			best_score = score;
		}
	}
	if (best) {
		*out = &best->descriptor;
		return 0;
	}
	list_platforms(index, offered, sizeof(offered));
	return error_set(err, ERROR_NOT_FOUND, "no image for %s in the index, which offers %s",
		platform_format(wanted, wanted_text), offered[0] ? offered : "no platform");
}
