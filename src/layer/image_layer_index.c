/* SPDX-License-Identifier: Apache-2.0 */
/* The index of one eStargz layer: found in the store by the digest of its table of contents, or
 * built from the end of the blob. */
#include "image_internal.h"

#include <string.h>

#include "base/log.h"
#include "format/detect.h"
#include "format/estargz.h"
#include "store/store.h"

/* Enough for the footer and, in most layers, the whole table: one request. */
#define TAIL_SIZE (UINT64_C(256) << 10)
#define MAX_ENCODED_TOC (UINT64_C(64) << 20)
#define UNVERIFIED_FORMAT "estargz-unverified"

/* The end of a blob, and where it starts. */
struct tail {
	struct buffer bytes;
	uint64_t off;
};

static void tail_clear(struct tail *tail)
{
	buffer_free(&tail->bytes);
}

static int read_range(const struct image_opening *opening, const struct descriptor *descriptor,
	uint64_t off, uint64_t size, struct buffer *out, struct error *err)
{
	struct image_source *source = opening->source;

	if (opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");
	return source->ops->get_range_unverified(source, descriptor, off, size, out, err);
}

/* Makes the tail reach down to off. */
static int tail_extend(const struct image_opening *opening, const struct descriptor *descriptor,
	struct tail *tail, uint64_t off, struct error *err)
{
	CLEANUP(buffer_free) struct buffer more = {0};

	if (off >= tail->off)
		return 0;
	if (descriptor->size - off > MAX_ENCODED_TOC)
		return error_set(err, ERROR_FORMAT,
			"its table of contents has %llu bytes, at most %llu are accepted",
			(unsigned long long)(descriptor->size - off),
			(unsigned long long)MAX_ENCODED_TOC);
	if (read_range(opening, descriptor, off, tail->off - off, &more, err) < 0)
		return -1;
	if (buffer_append(&more, tail->bytes.data, tail->bytes.size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	buffer_free(&tail->bytes);
	tail->bytes = more;
	more = (struct buffer){0};
	tail->off = off;
	return 0;
}

/* The layer of the companion image that holds our table of contents. */
static int find_external_layer(const struct image_opening *opening, const struct digest *layer,
	struct descriptor *out, struct error *err)
{
	struct image_source *source = opening->source;
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(buffer_free) struct buffer document = {0};
	struct digest digest;
	char media_type[128];
	char wanted[DIGEST_TEXT_SIZE];

	if (source->ops->resolve(source, ESTARGZ_EXTERNAL_TAG_SUFFIX, &digest, err) < 0 ||
		image_document(opening, &digest, media_type, &document, err) < 0 ||
		manifest_parse(document.data, document.size, &manifest, err) < 0)
		return -1;
	(void)digest_format(layer, wanted);
	for (size_t i = 0; i < manifest->n_layers; i++) {
		const char *named = descriptor_annotation(
			&manifest->layers[i], ESTARGZ_EXTERNAL_LAYER_ANNOTATION);

		if (named && strcmp(named, wanted) == 0)
			return descriptor_copy(&manifest->layers[i], out, err);
	}
	return error_set(err, ERROR_NOT_FOUND, "it has no table of contents for %s", wanted);
}

static int external_toc(const struct image_opening *opening, const struct descriptor *descriptor,
	struct buffer *out, struct error *err)
{
	CLEANUP(descriptor_clear) struct descriptor toc = {0};
	struct image_source *source = opening->source;

	if (opening->options->pull == PULL_NEVER)
		return error_set(err, ERROR_NOT_FOUND,
			"it has no index in this store and --pull=never forbids to ask");
	if (find_external_layer(opening, &descriptor->digest, &toc, err) < 0 ||
		source->ops->get_blob(source, &toc, MAX_ENCODED_TOC, out, err) < 0)
		return error_prefix(
			err, "external table of contents in <tag>%s", ESTARGZ_EXTERNAL_TAG_SUFFIX);
	return 0;
}

/* The encoded table of contents, whichever way the layer carries it. */
static int find_toc(const struct image_opening *opening, const struct descriptor *descriptor,
	struct buffer *out, uint64_t *payload_end, struct error *err)
{
	CLEANUP(tail_clear) struct tail tail = {0};
	struct estargz_footer footer;
	uint64_t start;

	tail.off = descriptor->size > TAIL_SIZE ? descriptor->size - TAIL_SIZE : 0;
	if (read_range(opening, descriptor, tail.off, descriptor->size - tail.off, &tail.bytes,
		    err) < 0 ||
		detect_estargz_footer(descriptor, tail.bytes.data, tail.bytes.size, &footer, err) <
			0)
		return -1;
	if (footer.kind == ESTARGZ_EXTERNAL) {
		*payload_end = descriptor->size - footer.size;
		return external_toc(opening, descriptor, out, err);
	}
	if (tail_extend(opening, descriptor, &tail, footer.toc_off, err) < 0)
		return -1;
	*payload_end = footer.toc_off;
	start = footer.toc_off - tail.off;
	if (buffer_append(out, tail.bytes.data + start,
		    descriptor->size - footer.size - footer.toc_off) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	return 0;
}

static int build_index(const struct image_context *context, const struct descriptor *descriptor,
	const struct buffer *encoded, const struct estargz_toc_options *toc_options,
	const uint8_t key[INDEX_KEY_SIZE], struct error *err)
{
	CLEANUP(toc_freep) struct toc *toc = NULL;
	struct layer_index_build_options build = {
		.key = key,
		.blob = &descriptor->digest,
		.blob_size = descriptor->size,
	};

	if (estargz_toc_parse(encoded->data, encoded->size, toc_options, &toc, err) < 0)
		return error_prefix(err, "table of contents");
	return layer_index_build(store_layers_fd(context->store), toc, &build, err);
}

/* Without an authenticated digest the bytes themselves are the identity of the table. */
static int unverified_index(const struct image_opening *opening,
	const struct descriptor *descriptor, struct layer_index **out, struct error *err)
{
	const struct image_context *context = opening->context;
	CLEANUP(buffer_free) struct buffer encoded = {0};
	struct estargz_toc_options toc_options = {
		.allow_unverified = true,
		.blob_size = descriptor->size,
	};
	uint8_t key[INDEX_KEY_SIZE];
	struct digest digest;

	if (find_toc(opening, descriptor, &encoded, &toc_options.payload_end, err) < 0 ||
		digest_compute(DIGEST_SHA256, encoded.data, encoded.size, &digest, err) < 0 ||
		layer_index_key(&descriptor->digest, UNVERIFIED_FORMAT, &digest, key, err) < 0 ||
		build_index(context, descriptor, &encoded, &toc_options, key, err) < 0)
		return -1;
	return layer_index_open(store_layers_fd(context->store), key, out, err);
}

/* @allow_unverified: units without a digest are accepted, in an index with a key of its own, so
 * that nobody finds it who did not ask for that. */
static int trusted_index(const struct image_opening *opening, const struct descriptor *descriptor,
	const struct detected_layer *detected, bool allow_unverified, struct layer_index **out,
	struct error *err)
{
	const struct image_context *context = opening->context;
	CLEANUP(buffer_free) struct buffer encoded = {0};
	struct estargz_toc_options toc_options = {
		.toc_digest = &detected->toc_digest,
		.allow_unverified = allow_unverified,
		.blob_size = descriptor->size,
	};
	uint8_t key[INDEX_KEY_SIZE];

	if (layer_index_key(&descriptor->digest,
		    allow_unverified ? UNVERIFIED_FORMAT : detected->name, &detected->toc_digest,
		    key, err) < 0)
		return -1;
	if (layer_index_open(store_layers_fd(context->store), key, out, err) == 0)
		return 0;
	/* Damaged, or of another version of this program. */
	if (err->kind == ERROR_FORMAT || err->kind == ERROR_UNSUPPORTED)
		log_warning("an index is made anew: %s", err->message);
	else if (err->kind != ERROR_NOT_FOUND)
		return -1;

	if (find_toc(opening, descriptor, &encoded, &toc_options.payload_end, err) < 0 ||
		build_index(context, descriptor, &encoded, &toc_options, key, err) < 0)
		return -1;
	return layer_index_open(store_layers_fd(context->store), key, out, err);
}

int image_layer_index(const struct image_opening *opening, const struct descriptor *descriptor,
	struct layer_index **out, bool *unverified, struct error *err)
{
	bool allow_unverified = opening->options->allow_unverified;
	struct detected_layer detected;

	if (detect_layer(descriptor, allow_unverified, &detected, err) < 0)
		return -1;
	if (!detected.has_toc_digest) {
		*unverified = true;
		return unverified_index(opening, descriptor, out, err);
	}
	if (trusted_index(opening, descriptor, &detected, false, out, err) == 0)
		return 0;
	if (err->kind != ERROR_UNSUPPORTED || !allow_unverified)
		return -1;
	*unverified = true;
	return trusted_index(opening, descriptor, &detected, true, out, err);
}
