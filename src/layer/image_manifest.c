/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a platform manifest: tags are asked for by the pull policy, documents are
 * kept by digest. */
#include "image_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

/* An index leads to an index where images of several platforms are exported together. */
enum { MAX_INDEXES = 4 };

void image_manifest_clear(struct image_manifest *manifest)
{
	manifest_free(TAKE_PTR(manifest->manifest));
}

/* What the name meant last may serve: nobody could be asked, or, where that was asked for, the
 * image has left its directory or archive. */
static bool may_use_known(const struct image_opening *opening, const struct error *err)
{
	if (opening->source->is_local)
		return opening->options->pull == PULL_MISSING && err->kind == ERROR_NOT_FOUND;
	return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT ||
	       err->kind == ERROR_RATE_LIMITED;
}

static bool must_ask(const struct image_opening *opening, bool known)
{
	if (opening->options->pull == PULL_NEVER)
		return false;
	return !known || opening->options->pull == PULL_ALWAYS || opening->source->is_local;
}

static int ask_source(const struct image_opening *opening, const char *text, struct digest *digest,
	struct error *err)
{
	struct store_ref ref = {.resolved_s = clock_wall_s()};
	struct error put;

	if (opening->source->ops->resolve(opening->source, "", digest, err) < 0)
		return -1;
	ref.digest = *digest;
	if (store_ref_put(opening->context->store, text, &ref, &put) < 0)
		log_warning(
			"%s: its digest cannot be remembered for times when nobody can be asked: "
			"%s",
			text, put.message);
	return 0;
}

static int resolve_tag(const struct image_opening *opening, struct digest *digest,
	int64_t *resolved_s, struct error *err)
{
	char text[IMAGE_NAME_TEXT_SIZE];
	struct store_ref known;
	bool found;

	(void)image_name_format_tag(opening->options->name, text);
	if (store_ref_get(opening->context->store, text, &found, &known, err) < 0)
		return -1;
	if (!found && opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"the tag was never resolved in this store and --pull=never forbids to ask");
	if (must_ask(opening, found)) {
		if (ask_source(opening, text, digest, err) == 0)
			return 0;
		if (!found || !may_use_known(opening, err))
			return -1;
		log_warning("%s: %s; using what the tag named %lld s ago", text, err->message,
			(long long)(clock_wall_s() - known.resolved_s));
	}
	*digest = known.digest;
	*resolved_s = known.resolved_s;
	return 0;
}

int image_document(const struct image_opening *opening, const struct digest *digest,
	char media_type[128], struct buffer *out, struct error *err)
{
	struct store *store = opening->context->store;
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	char text[DIGEST_TEXT_SIZE];
	enum manifest_kind kind;
	struct error put;
	bool found;
	size_t size;

	if (store_document_get(store, digest, &found, media_type, &data, &size, err) < 0)
		return -1;
	if (found) {
		if (buffer_append(out, data, size) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for a manifest");
		return 0;
	}
	if (opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"%s is not in this store and --pull=never forbids to ask",
			digest_format(digest, text));
	if (opening->source->ops->get_manifest(opening->source, digest, media_type, out, err) < 0)
		return -1;
	/* Under its digest it would be found for every source: not with a type that only this one
	 * claims. */
	if (manifest_detect(out->data, out->size, media_type, &kind, err) < 0)
		return error_prefix(err, "document %s", digest_format(digest, text));
	if (store_document_put(store, digest, media_type, out->data, out->size, &put) < 0)
		log_warning("%s cannot be kept: %s", digest_format(digest, text), put.message);
	return 0;
}

/* Follows an index to the manifest of the wanted platform, or to another index that may have it;
 * *digest becomes its digest. */
static int select_platform(const struct image_opening *opening, const struct platform *wanted,
	struct buffer *document, char media_type[128], struct digest *digest, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	const struct descriptor *chosen;
	char text[DIGEST_TEXT_SIZE];

	if (manifest_index_parse(document->data, document->size, &index, err) < 0 ||
		manifest_index_select(index, wanted, &chosen, err) < 0)
		return error_prefix(err, "index %s", digest_format(digest, text));
	*digest = chosen->digest;
	buffer_free(document);
	return image_document(opening, digest, media_type, document, err);
}

static int parse_manifest(
	const struct image_opening *opening, struct image_manifest *image, struct error *err)
{
	CLEANUP(buffer_free) struct buffer document = {0};
	char media_type[128];
	char text[DIGEST_TEXT_SIZE];
	enum manifest_kind kind;

	if (image_document(opening, &image->digest, media_type, &document, err) < 0)
		return -1;
	for (int depth = 0;; depth++) {
		if (manifest_detect(document.data, document.size, media_type, &kind, err) < 0)
			return -1;
		if (kind != MANIFEST_INDEX)
			break;
		if (depth == MAX_INDEXES)
			return error_set(err, ERROR_UNSUPPORTED,
				"more than %d indexes inside each other: name the image itself by "
				"its digest",
				MAX_INDEXES);
		if (select_platform(opening, &image->platform, &document, media_type,
			    &image->digest, err) < 0)
			return -1;
	}
	if (manifest_parse(document.data, document.size, &image->manifest, err) < 0)
		return error_prefix(err, "manifest %s", digest_format(&image->digest, text));
	return 0;
}

int image_manifest_find(
	const struct image_opening *opening, struct image_manifest *out, struct error *err)
{
	const struct image_options *options = opening->options;
	struct image_manifest image = {.digest = options->name->digest};

	if (options->platform)
		image.platform = *options->platform;
	else
		platform_host(&image.platform);
	if (!options->name->has_digest &&
		resolve_tag(opening, &image.digest, &image.resolved_s, err) < 0)
		return -1;
	if (parse_manifest(opening, &image, err) < 0)
		return -1;
	*out = image;
	return 0;
}
