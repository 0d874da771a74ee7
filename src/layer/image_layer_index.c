/* SPDX-License-Identifier: Apache-2.0 */
/* The index of one layer: found in the store by the digest of its table of contents, built from
 * that table, or of a layer that has none: made from what was found by a pass over it, or from what
 * somebody claims of it. */
#include "image_internal.h"

#include "base/log.h"
#include "store/store.h"

/* Units without a digest are only in indexes under names of their own, so that nobody finds them
 * who did not ask for that. */
static const char *unverified_name(enum layer_format format)
{
	return format == LAYER_FORMAT_ZSTD_CHUNKED ? "zstd-chunked-unverified"
						   : "estargz-unverified";
}

static int parse_estargz(const struct layer_blob *blob, const struct detected_layer *trusted,
	const struct layer_table *table, bool allow_unverified, struct toc **out, struct error *err)
{
	const struct estargz_toc_options options = {
		.toc_digest = trusted ? &trusted->toc_digest : NULL,
		.allow_unverified = allow_unverified,
		.blob_size = blob->descriptor->size,
		.payload_end = table->payload_end,
	};

	return estargz_toc_parse(table->encoded.data, table->encoded.size, &options, out, err);
}

static int parse_zstd_chunked(const struct detected_layer *trusted, const struct layer_table *table,
	bool allow_unverified, struct toc **out, struct error *err)
{
	struct zstd_chunked_options options = {
		.position = table->zstd_chunked,
		.allow_unverified = allow_unverified,
	};

	if (trusted && trusted->zstd_chunked.has_manifest_digest)
		options.manifest_digest = &trusted->zstd_chunked.manifest_digest;
	if (trusted && trusted->zstd_chunked.has_toc_digest)
		options.toc_digest = &trusted->zstd_chunked.toc_digest;
	return zstd_chunked_parse(table->encoded.data, &options, out, err);
}

/* @trusted: whose digests the table must have; NULL: none is known. */
static int build_index(const struct layer_blob *blob, const struct detected_layer *trusted,
	const struct layer_table *table, bool allow_unverified, const uint8_t key[INDEX_KEY_SIZE],
	struct error *err)
{
	const struct layer_index_build_options build = {
		.key = key,
		.blob = &blob->descriptor->digest,
		.blob_size = blob->descriptor->size,
	};
	CLEANUP(toc_freep) struct toc *toc = NULL;
	int result;

	if (table->format == LAYER_FORMAT_ESTARGZ)
		result = parse_estargz(blob, trusted, table, allow_unverified, &toc, err);
	else
		result = parse_zstd_chunked(trusted, table, allow_unverified, &toc, err);
	if (result < 0)
		return error_prefix(err, "table of contents");
	return layer_index_build(store_layers_fd(blob->opening->context->store), toc, &build, err);
}

/* Without an authenticated digest the bytes themselves are the identity of the table. *found false:
 * there is none. */
static int unverified_index(const struct layer_blob *blob, const struct detected_layer *detected,
	bool *found, struct layer_index **out, struct error *err)
{
	CLEANUP(layer_table_clear) struct layer_table table = {0};
	int layers_fd = store_layers_fd(blob->opening->context->store);
	uint8_t key[INDEX_KEY_SIZE];
	struct digest digest;

	if (layer_table_find(blob, detected, found, &table, err) < 0)
		return -1;
	if (!*found)
		return 0;
	if (digest_compute(DIGEST_SHA256, table.encoded.data, table.encoded.size, &digest, err) <
			0 ||
		layer_index_key(&blob->descriptor->digest, unverified_name(table.format), &digest,
			key, err) < 0 ||
		build_index(blob, NULL, &table, true, key, err) < 0)
		return -1;
	return layer_index_open(layers_fd, key, out, err);
}

/* @allow_unverified: units without a digest are accepted. */
static int trusted_index(const struct layer_blob *blob, const struct detected_layer *detected,
	bool allow_unverified, struct layer_index **out, struct error *err)
{
	CLEANUP(layer_table_clear) struct layer_table table = {0};
	int layers_fd = store_layers_fd(blob->opening->context->store);
	uint8_t key[INDEX_KEY_SIZE];
	bool found;

	if (layer_index_key(&blob->descriptor->digest,
		    allow_unverified ? unverified_name(detected->format) : detected->name,
		    &detected->toc_digest, key, err) < 0)
		return -1;
	if (layer_index_open(layers_fd, key, out, err) == 0)
		return 0;
	/* Damaged, or of another version of this program. */
	if (err->kind == ERROR_FORMAT || err->kind == ERROR_UNSUPPORTED)
		log_warning("an index is made anew: %s", err->message);
	else if (err->kind != ERROR_NOT_FOUND)
		return -1;

	if (layer_table_find(blob, detected, &found, &table, err) < 0 ||
		build_index(blob, detected, &table, allow_unverified, key, err) < 0)
		return -1;
	return layer_index_open(layers_fd, key, out, err);
}

/* The same of plain tar, by its headers alone. */
static int unverified_tar_index(
	const struct layer_blob *blob, struct layer_index **out, struct error *err)
{
	CLEANUP(toc_freep) struct toc *toc = NULL;
	int layers_fd = store_layers_fd(blob->opening->context->store);
	uint8_t key[INDEX_KEY_SIZE];
	const struct layer_index_build_options build = {
		.key = key,
		.blob = &blob->descriptor->digest,
		.blob_size = blob->descriptor->size,
	};
	struct digest digest;

	if (image_layer_tar(blob, &toc, &digest, err) < 0 ||
		layer_index_key(&blob->descriptor->digest, "tar-unverified", &digest, key, err) <
			0 ||
		layer_index_build(layers_fd, toc, &build, err) < 0)
		return error_prefix(err, "headers of the archive");
	return layer_index_open(layers_fd, key, out, err);
}

/* Of a layer without a table of contents that the manifest vouches for: what it says of itself
 * counts only if the user takes that for enough. What was read here comes before what others say,
 * and that before reading all of it. */
static int plain_index(const struct layer_blob *blob, const struct detected_layer *detected,
	struct indexed_layer *out, struct error *err)
{
	bool is_tar = detected->format == LAYER_FORMAT_TAR;
	bool allow_unverified = blob->opening->options->allow_unverified;
	bool found = false;

	if (allow_unverified && !is_tar &&
		unverified_index(blob, detected, &found, &out->index, err) < 0)
		return -1;
	if (found) {
		out->trust = LAYER_UNVERIFIED;
		return 0;
	}
	if (layer_spans_find(blob, detected, SPANS_CHECKED, out, err) < 0)
		return -1;
	if (!out->index && layer_spans_find(blob, detected, SPANS_OF_PASS, out, err) < 0)
		return -1;
	if (!out->index && blob->opening->options->trust_indexes &&
		image_layer_claimed(blob, detected, out, err) < 0)
		return -1;
	if (out->index)
		return 0;
	if (allow_unverified && is_tar) {
		out->trust = LAYER_UNVERIFIED;
		return unverified_tar_index(blob, &out->index, err);
	}
	return image_layer_pass(blob, detected, out, err);
}

int image_layer_index(const struct layer_blob *blob, struct indexed_layer *out, struct error *err)
{
	bool allow_unverified = blob->opening->options->allow_unverified;
	struct detected_layer detected;

	*out = (struct indexed_layer){.trust = LAYER_AUTHENTIC};
	if (detect_layer(blob->descriptor, &detected, err) < 0)
		return -1;
	if (!layer_format_has_toc(detected.format))
		return plain_index(blob, &detected, out, err);
	if (trusted_index(blob, &detected, false, &out->index, err) == 0)
		return 0;
	if (err->kind != ERROR_UNSUPPORTED || !allow_unverified)
		return -1;
	out->trust = LAYER_UNVERIFIED;
	return trusted_index(blob, &detected, true, &out->index, err);
}
