/* SPDX-License-Identifier: Apache-2.0 */
/* The annotations of zstd:chunked layers, whoever wrote them. */
#include "zstd_chunked_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "format/estargz.h"

/* The manifest is JSON in the way of CRFS; no other type was ever written. */
enum { MANIFEST_TYPE_CRFS = 1 };

#define STARGZ_CHECKSUM "io.containers.zstd-chunked.manifest-checksum"
#define CONTAINERS_POSITION "io.github.containers.zstd-chunked.manifest-position"
#define STARGZ_POSITION "io.containers.zstd-chunked.manifest-position"
/* stargz writes none. */
#define TAR_SPLIT_POSITION "io.github.containers.zstd-chunked.tarsplit-position"

int zstd_chunked_check_position(const struct zstd_chunked_position *position, uint64_t type,
	uint64_t blob_size, struct error *err)
{
	if (type != MANIFEST_TYPE_CRFS)
		return error_set(err, ERROR_UNSUPPORTED,
			"a manifest of type %" PRIu64 "; only type %d is known", type,
			MANIFEST_TYPE_CRFS);
	if (position->off < ZSTD_SKIPPABLE_HEADER_SIZE || position->size == 0 ||
		!range_within(position->off, position->size, blob_size))
		return error_set(err, ERROR_FORMAT,
			"a manifest of %" PRIu64 " bytes at %" PRIu64 " in a blob of %" PRIu64
			" bytes",
			position->size, position->off, blob_size);
	if (position->size > ZSTD_CHUNKED_MAX_TOC_SIZE ||
		position->json_size > ZSTD_CHUNKED_MAX_TOC_SIZE)
		return error_set(err, ERROR_FORMAT,
			"a manifest of %" PRIu64 " bytes, %" PRIu64 " decoded; at most %d are read",
			position->size, position->json_size, (int)ZSTD_CHUNKED_MAX_TOC_SIZE);
	return 0;
}

uint64_t zstd_chunked_stretch(const struct zstd_chunked_position *position)
{
	if (position->tar_split_size == 0)
		return position->size;
	return position->tar_split_off + position->tar_split_size - position->off;
}

int zstd_chunked_set_tar_split(struct zstd_chunked_position *position,
	const struct zstd_chunked_tar_split *claimed, uint64_t blob_size, struct error *err)
{
	uint64_t manifest_end = position->off + position->size;

	if (claimed->off == 0 && claimed->size == 0 && claimed->decoded_size == 0)
		return 0;
	if (claimed->size == 0 || claimed->off < manifest_end + ZSTD_SKIPPABLE_HEADER_SIZE ||
		!range_within(claimed->off, claimed->size, blob_size))
		return error_set(err, ERROR_FORMAT,
			"a tar-split of %" PRIu64 " bytes at %" PRIu64
			" behind a manifest that ends at %" PRIu64 ", in a blob of %" PRIu64
			" bytes",
			claimed->size, claimed->off, manifest_end, blob_size);
	if (claimed->off + claimed->size - position->off > ZSTD_CHUNKED_MAX_TOC_SIZE ||
		claimed->decoded_size > ZSTD_CHUNKED_MAX_TOC_SIZE)
		return error_set(err, ERROR_FORMAT,
			"a manifest and a tar-split that take %" PRIu64
			" bytes, the latter %" PRIu64 " decoded; at most %d are read",
			claimed->off + claimed->size - position->off, claimed->decoded_size,
			(int)ZSTD_CHUNKED_MAX_TOC_SIZE);
	position->tar_split_off = claimed->off;
	position->tar_split_size = claimed->size;
	return 0;
}

/* Both programs' annotation of this meaning: which name, and what it says; NULL for none. */
static int find(const struct descriptor *layer, const char *containers, const char *stargz,
	const char **name, const char **value, struct error *err)
{
	const char *first = descriptor_annotation(layer, containers);
	const char *second = descriptor_annotation(layer, stargz);

	if (first && second && strcmp(first, second) != 0)
		return error_set(err, ERROR_FORMAT, "annotations %s and %s contradict each other",
			containers, stargz);
	*name = first ? containers : stargz;
	*value = first ? first : second;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal numbers with a colon between them, and nothing else. */
static bool parse_numbers(const char *text, uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = 0;

		if (i > 0 && *text++ != ':')
			return false;
		if (!is_digit(*text))
			return false;
		for (; is_digit(*text); text++) {
			if (!u64_mul(value, 10, &value) ||
				!u64_add(value, (uint64_t)(*text - '0'), &value))
				return false;
		}
		numbers[i] = value;
	}
	return *text == '\0';
}

static int parse_position(
	const struct descriptor *layer, struct zstd_chunked_promise *promise, struct error *err)
{
	enum { OFF, SIZE, JSON_SIZE, TYPE, N };
	const char *name, *text;
	uint64_t numbers[N];

	if (find(layer, CONTAINERS_POSITION, STARGZ_POSITION, &name, &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (!parse_numbers(text, numbers, N))
		return error_set(err, ERROR_FORMAT,
			"annotation %s is not offset:size:uncompressed size:type", name);
	promise->position = (struct zstd_chunked_position){
		.off = numbers[OFF], .size = numbers[SIZE], .json_size = numbers[JSON_SIZE]};
	if (zstd_chunked_check_position(&promise->position, numbers[TYPE], layer->size, err) < 0)
		return error_prefix(err, "annotation %s", name);
	promise->has_position = true;
	return 0;
}

/* It counts where the manifest's position is known from an annotation, too; elsewhere the footer
 * tells of both. */
static int parse_tar_split(
	const struct descriptor *layer, struct zstd_chunked_promise *promise, struct error *err)
{
	enum { OFF, SIZE, DECODED_SIZE, N };
	const char *text = descriptor_annotation(layer, TAR_SPLIT_POSITION);
	struct zstd_chunked_tar_split tar_split;
	uint64_t numbers[N];

	if (!text || !promise->has_position)
		return 0;
	if (!parse_numbers(text, numbers, N))
		return error_set(err, ERROR_FORMAT,
			"annotation " TAR_SPLIT_POSITION " is not offset:size:uncompressed size");
	tar_split = (struct zstd_chunked_tar_split){
		.off = numbers[OFF], .size = numbers[SIZE], .decoded_size = numbers[DECODED_SIZE]};
	if (zstd_chunked_set_tar_split(&promise->position, &tar_split, layer->size, err) < 0)
		return error_prefix(err, "annotation " TAR_SPLIT_POSITION);
	return 0;
}

static int parse_digest(
	const char *name, const char *text, bool *has, struct digest *out, struct error *err)
{
	if (!text)
		return 0;
	if (digest_parse(text, out, err) < 0)
		return error_prefix(err, "annotation %s", name);
	*has = true;
	return 0;
}

int zstd_chunked_promise_parse(
	const struct descriptor *layer, struct zstd_chunked_promise *out, struct error *err)
{
	const char *toc_digest = descriptor_annotation(layer, ESTARGZ_TOC_DIGEST_ANNOTATION);
	struct zstd_chunked_promise promise = {0};
	const char *name, *text;

	if (toc_digest && descriptor_annotation(layer, ZSTD_CHUNKED_CHECKSUM_ANNOTATION))
		return error_set(err, ERROR_FORMAT,
			"annotations %s and %s: two tables of contents for one layer; push it "
			"again with one of them",
			ZSTD_CHUNKED_CHECKSUM_ANNOTATION, ESTARGZ_TOC_DIGEST_ANNOTATION);
	if (find(layer, ZSTD_CHUNKED_CHECKSUM_ANNOTATION, STARGZ_CHECKSUM, &name, &text, err) < 0 ||
		parse_digest(name, text, &promise.has_manifest_digest, &promise.manifest_digest,
			err) < 0 ||
		parse_digest(ESTARGZ_TOC_DIGEST_ANNOTATION, toc_digest, &promise.has_toc_digest,
			&promise.toc_digest, err) < 0 ||
		parse_position(layer, &promise, err) < 0 ||
		parse_tar_split(layer, &promise, err) < 0)
		return -1;
	*out = promise;
	return 0;
}
