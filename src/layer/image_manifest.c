/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to a platform manifest: tags are asked for by the pull policy, documents are
 * kept by digest. */
#include "image_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "registry/registry_client.h"
#include "store/store.h"

void image_manifest_clear(struct image_manifest *manifest)
{
	manifest_free(TAKE_PTR(manifest->manifest));
}

static bool registry_is_away(const struct error *err)
{
	return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT ||
	       err->kind == ERROR_RATE_LIMITED;
}

/* A reference without its digest: the name under which the store remembers a tag. */
static const char *tag_text(const struct reference *reference, char text[REFERENCE_TEXT_SIZE])
{
	struct reference tag = *reference;

	tag.has_digest = false;
	return reference_format(&tag, text);
}

static int ask_registry(const struct image_context *context, const struct image_options *options,
	const char *text, struct digest *digest, struct error *err)
{
	struct store_ref ref = {.resolved_s = clock_wall_s()};
	char media_type[128];
	struct error put;

	if (registry_resolve(context->registry, options->reference, digest, media_type, err) < 0)
		return -1;
	ref.digest = *digest;
	if (store_ref_put(context->store, text, &ref, &put) < 0)
		log_warning("%s: its digest cannot be remembered for times without a registry: %s",
			text, put.message);
	return 0;
}

static int resolve_tag(const struct image_context *context, const struct image_options *options,
	struct digest *digest, int64_t *resolved_s, struct error *err)
{
	char text[REFERENCE_TEXT_SIZE];
	struct store_ref known;
	bool found;

	(void)tag_text(options->reference, text);
	if (store_ref_get(context->store, text, &found, &known, err) < 0)
		return -1;
	if (!found && options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"the tag was never resolved in this store and --pull=never forbids to ask");
	if (!found || options->pull == PULL_ALWAYS) {
		if (ask_registry(context, options, text, digest, err) == 0)
			return 0;
		if (!found || !registry_is_away(err))
			return -1;
		log_warning("%s: the registry is away (%s); using what the tag named %lld s ago",
			text, err->message, (long long)(clock_wall_s() - known.resolved_s));
	}
	*digest = known.digest;
	*resolved_s = known.resolved_s;
	return 0;
}

int image_document(const struct image_context *context, const struct reference *reference,
	enum pull_policy pull, const struct digest *digest, char media_type[128],
	struct buffer *out, struct error *err)
{
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	char text[DIGEST_TEXT_SIZE];
	enum manifest_kind kind;
	struct error put;
	bool found;
	size_t size;

	if (store_document_get(context->store, digest, &found, media_type, &data, &size, err) < 0)
		return -1;
	if (found) {
		if (buffer_append(out, data, size) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for a manifest");
		return 0;
	}
	if (pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"%s is not in this store and --pull=never forbids to ask",
			digest_format(digest, text));
	if (registry_get_manifest(context->registry, reference, digest, media_type, out, err) < 0)
		return -1;
	/* Under its digest it would be found for every registry: not with a type that only this one
	 * claims. */
	if (manifest_detect(out->data, out->size, media_type, &kind, err) < 0)
		return error_prefix(err, "document %s", digest_format(digest, text));
	if (store_document_put(context->store, digest, media_type, out->data, out->size, &put) < 0)
		log_warning("%s cannot be kept: %s", digest_format(digest, text), put.message);
	return 0;
}

/* Follows an index to the manifest of the wanted platform; *digest becomes its digest. */
static int select_platform(const struct image_context *context, const struct image_options *options,
	const struct platform *wanted, struct buffer *document, char media_type[128],
	struct digest *digest, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	const struct descriptor *chosen;
	char text[DIGEST_TEXT_SIZE];

	if (manifest_index_parse(document->data, document->size, &index, err) < 0 ||
		manifest_index_select(index, wanted, &chosen, err) < 0)
		return error_prefix(err, "index %s", digest_format(digest, text));
	*digest = chosen->digest;
	buffer_free(document);
	return image_document(
		context, options->reference, options->pull, digest, media_type, document, err);
}

static int parse_manifest(const struct image_context *context, const struct image_options *options,
	struct image_manifest *image, struct error *err)
{
	CLEANUP(buffer_free) struct buffer document = {0};
	char media_type[128];
	char text[DIGEST_TEXT_SIZE];
	enum manifest_kind kind;

	if (image_document(context, options->reference, options->pull, &image->digest, media_type,
		    &document, err) < 0 ||
		manifest_detect(document.data, document.size, media_type, &kind, err) < 0)
		return -1;
	if (kind == MANIFEST_INDEX) {
		if (select_platform(context, options, &image->platform, &document, media_type,
			    &image->digest, err) < 0 ||
			manifest_detect(document.data, document.size, media_type, &kind, err) < 0)
			return -1;
		if (kind == MANIFEST_INDEX)
			return error_set(err, ERROR_UNSUPPORTED,
				"index inside an index: name the inner one, %s",
				digest_format(&image->digest, text));
	}
	if (manifest_parse(document.data, document.size, &image->manifest, err) < 0)
		return error_prefix(err, "manifest %s", digest_format(&image->digest, text));
	return 0;
}

int image_manifest_find(const struct image_context *context, const struct image_options *options,
	struct image_manifest *out, struct error *err)
{
	struct image_manifest image = {.digest = options->reference->digest};

	if (options->platform)
		image.platform = *options->platform;
	else
		platform_host(&image.platform);
	if (!options->reference->has_digest &&
		resolve_tag(context, options, &image.digest, &image.resolved_s, err) < 0)
		return -1;
	if (parse_manifest(context, options, &image, err) < 0)
		return -1;
	*out = image;
	return 0;
}
