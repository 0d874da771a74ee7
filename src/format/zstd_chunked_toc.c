/* SPDX-License-Identifier: Apache-2.0 */
/* From the manifest of a zstd:chunked layer to entries: every promised digest is checked first. */
#include "zstd_chunked_internal.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "crfs_internal.h"
#include "format/estargz.h"

static int prefix(struct error *err)
{
	return error_prefix(err, "zstd:chunked table of contents");
}

/* @tar_split_digest: of the table; set where it has one. */
static struct crfs_options crfs_of(
	const struct zstd_chunked_options *options, struct digest *tar_split_digest)
{
	return (struct crfs_options){
		.dialect = CRFS_BY_CONTENT,
		.codec = CODEC_ZSTD,
		/* Where the skippable frame of the manifest begins. */
		.payload_end = options->position.off - ZSTD_SKIPPABLE_HEADER_SIZE,
		.allow_unverified = options->allow_unverified,
		.unique_names = true,
		.tar_split_digest = tar_split_digest,
	};
}

/* The JSON, with what a parser needs behind it. */
static int read_json(const void *manifest, const struct zstd_chunked_options *options,
	struct buffer *json, struct error *err)
{
	const struct zstd_chunked_position *position = &options->position;

	if (options->manifest_digest &&
		digest_check(options->manifest_digest, manifest, (size_t)position->size, err) < 0)
		return error_prefix(err, "manifest");
	if (codec_decode_all(CODEC_ZSTD, manifest, (size_t)position->size,
		    (size_t)position->json_size, json, err) < 0)
		return -1;
	if (json->size != position->json_size)
		return error_set(err, ERROR_FORMAT,
			"the manifest decodes to %zu bytes instead of %" PRIu64, json->size,
			position->json_size);
	if (options->toc_digest &&
		digest_check(options->toc_digest, json->data, json->size, err) < 0)
		return error_prefix(err, "JSON");
	if (buffer_reserve(json, CRFS_JSON_PADDING) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to parse it");
	return 0;
}

/* Older writers made none, or did not name its digest. */
static int check_tar_split(const uint8_t *stretch, const struct zstd_chunked_position *position,
	const struct digest *expected, struct error *err)
{
	char expected_text[DIGEST_TEXT_SIZE], actual_text[DIGEST_TEXT_SIZE];
	struct digest actual;

	if (position->tar_split_size == 0 || !expected->algorithm)
		return 0;
	if (digest_compute(expected->algorithm, stretch + (position->tar_split_off - position->off),
		    (size_t)position->tar_split_size, &actual, err) < 0)
		return -1;
	if (digest_equal(expected, &actual))
		return 0;
	return error_set(err, ERROR_DIGEST_MISMATCH,
		"the tar-split has digest %s, but the table says %s: the layer was changed after "
		"it was made, and has to be pushed again",
		digest_format(&actual, actual_text), digest_format(expected, expected_text));
}

int zstd_chunked_parse(const uint8_t *stretch, const struct zstd_chunked_options *options,
	struct toc **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer json = {0};
	CLEANUP(toc_freep) struct toc *toc = NULL;
	struct digest tar_split_digest = {0};
	struct crfs_options crfs = crfs_of(options, &tar_split_digest);

	if (!options->manifest_digest && !options->toc_digest && !options->allow_unverified)
		return error_set(err, ERROR_UNSUPPORTED,
			"no digest of the zstd:chunked table of contents (annotation %s or %s), "
			"and unverified content is not allowed",
			ZSTD_CHUNKED_CHECKSUM_ANNOTATION, ESTARGZ_TOC_DIGEST_ANNOTATION);
	if (read_json(stretch, options, &json, err) < 0 ||
		crfs_json_parse_padded((const char *)json.data, json.size, &crfs, &toc, err) < 0 ||
		check_tar_split(stretch, &options->position, &tar_split_digest, err) < 0)
		return prefix(err);
	*out = TAKE_PTR(toc);
	return 0;
}

int zstd_chunked_json_parse(const char *json, size_t json_size,
	const struct zstd_chunked_options *options, struct toc **out, struct error *err)
{
	struct digest tar_split_digest = {0};
	struct crfs_options crfs = crfs_of(options, &tar_split_digest);

	if (crfs_json_parse(json, json_size, &crfs, out, err) < 0)
		return prefix(err);
	return 0;
}
