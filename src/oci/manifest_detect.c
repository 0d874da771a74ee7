/* SPDX-License-Identifier: Apache-2.0 */
/* What kind of document a registry answered with. */
#include <string.h>

#include "manifest_internal.h"
#include "media_type_internal.h"

static bool is_present(const struct json *object, const char *key)
{
	const struct json *value = json_get(object, key);

	return value && !json_is_null(value);
}

static int check_schema(const struct manifest_document *document, struct error *err)
{
	const struct json *root = document->json;
	int64_t version = 2;

	if (is_present(root, "schemaVersion") &&
		!json_i64(json_get(root, "schemaVersion"), &version))
		return error_set(err, ERROR_FORMAT, "\"schemaVersion\" is not an integer");
	if (version == 1 || is_present(root, "fsLayers") ||
		(document->has_media_type && media_type_is_schema1(document->media_type)))
		return error_set(err, ERROR_UNSUPPORTED,
			"this is a Docker schema 1 manifest, which names no layer sizes; push the "
			"image again with a current tool (skopeo copy converts it)");
	if (version != 2)
		return error_set(err, ERROR_UNSUPPORTED, "\"schemaVersion\" is %lld instead of 2",
			(long long)version);
	return 0;
}

/* What the members say. An image that is also an index would be read differently by different
 * programs under one digest: CVE-2021-41190. */
static int kind_by_shape(const struct json *root, enum manifest_kind *out, struct error *err)
{
	bool is_index = is_present(root, "manifests");
	bool is_image = is_present(root, "layers") || is_present(root, "config");

	if (is_index && is_image)
		return error_set(err, ERROR_FORMAT,
			"the document has both \"manifests\" and \"layers\" or \"config\"");
	if (!is_index && !is_image)
		return error_set(
			err, ERROR_FORMAT, "the document has neither \"layers\" nor \"manifests\"");
	*out = is_index ? MANIFEST_INDEX : MANIFEST_IMAGE;
	return 0;
}

static int check_media_type(const struct manifest_document *document, struct error *err)
{
	const char *media_type = document->media_type;

	if (!media_type_is_manifest(media_type) && !media_type_is_index(media_type))
		return error_set(err, ERROR_UNSUPPORTED,
			"media type %s is neither an image manifest nor an index", media_type);
	if (media_type_is_index(media_type) != (document->kind == MANIFEST_INDEX))
		return error_set(err, ERROR_FORMAT,
			"\"mediaType\" is %s but the document has the members of %s", media_type,
			document->kind == MANIFEST_INDEX ? "an index" : "an image manifest");
	return 0;
}

static int classify(struct manifest_document *document, struct error *err)
{
	const struct json *root = document->json;
	const char *media_type;

	if (!json_is_object(root))
		return error_set(err, ERROR_FORMAT, "the document is not a JSON object");
	document->has_media_type = is_present(root, "mediaType");
	if (document->has_media_type) {
		if (media_type_parse(json_string(json_get(root, "mediaType")),
			    &document->media_type, err) < 0)
			return error_prefix(err, "\"mediaType\"");
	}
	if (check_schema(document, err) < 0 || kind_by_shape(root, &document->kind, err) < 0)
		return -1;
	if (document->has_media_type)
		return check_media_type(document, err);

	media_type =
		document->kind == MANIFEST_INDEX ? MEDIA_TYPE_OCI_INDEX : MEDIA_TYPE_OCI_MANIFEST;
	document->media_type = strdup(media_type);
	if (!document->media_type)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a media type");
	return 0;
}

int manifest_document_open(
	const void *data, size_t size, struct manifest_document *out, struct error *err)
{
	struct manifest_document document = {0};

	if (size > MANIFEST_MAX_SIZE)
		return error_set(err, ERROR_FORMAT, "%zu bytes, more than the limit of %d", size,
			MANIFEST_MAX_SIZE);
	if (json_parse(data, size, &document.json, err) < 0)
		return -1;
	if (classify(&document, err) < 0) {
		manifest_document_close(&document);
		return -1;
	}
	*out = document;
	return 0;
}

void manifest_document_close(struct manifest_document *document)
{
	json_free(document->json);
	free(document->media_type);
}

static bool contradicts(const struct manifest_document *document, const char *content_type)
{
	if (document->has_media_type)
		return strcmp(content_type, document->media_type) != 0;
	return document->kind == MANIFEST_INDEX ? !media_type_is_index(content_type)
						: !media_type_is_manifest(content_type);
}

/* A content type that says nothing about manifests (application/json, say) contradicts nothing. */
static int check_content_type(
	const struct manifest_document *document, const char *content_type, struct error *err)
{
	bool is_known = media_type_is_index(content_type) || media_type_is_manifest(content_type) ||
			media_type_is_schema1(content_type);

	if (!is_known || !contradicts(document, content_type))
		return 0;
	return error_set(err, ERROR_FORMAT, "the content type is %s but the document is %s%s",
		content_type, document->media_type,
		document->has_media_type ? "" : " by its members");
}

int manifest_detect(const void *data, size_t size, const char *content_type,
	enum manifest_kind *out, struct error *err)
{
	CLEANUP(cleanup_free) char *served_as = NULL;
	struct manifest_document document;
	struct error cause;
	int result = 0;

	if (content_type && media_type_parse(content_type, &served_as, &cause) < 0 &&
		cause.kind == ERROR_NO_MEMORY)
		return error_set(err, cause.kind, "%s", cause.message);
	if (manifest_document_open(data, size, &document, err) < 0)
		return -1;
	if (served_as)
		result = check_content_type(&document, served_as, err);
	if (result == 0)
		*out = document.kind;
	manifest_document_close(&document);
	return result;
}
