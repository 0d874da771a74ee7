/* SPDX-License-Identifier: Apache-2.0 */
/* Which format a layer is in: one table of media types, promises, footers and first bytes. */
#include "format/detect.h"

#include <string.h>

#include "base/bytes.h"

static const char *const gzip_media_types[] = {
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	NULL,
};
static const char *const zstd_media_types[] = {
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	NULL,
};
static const char *const tar_media_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.docker.image.rootfs.foreign.diff.tar",
	NULL,
};

/* What annotations promise a table of contents by. */
enum { BY_TOC_DIGEST = 1, BY_MANIFEST = 2 };

/* RFC 1952 section 2.3.1, with the only method there is. */
static bool is_gzip(const uint8_t *head, size_t size)
{
	static const uint8_t magic[] = {0x1f, 0x8b, 8};

	return size >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

/* RFC 8878 section 3.1: a frame, or a skippable one with any of its 16 magics. */
static bool is_zstd(const uint8_t *head, size_t size)
{
	return size >= 4 && (le32_load(head) == UINT32_C(0xfd2fb528) ||
				    le32_load(head) >> 4 == UINT32_C(0x184d2a5));
}

/* The sum of a header's bytes, some programs take them as signed, stands in it in octal; its own
 * eight bytes count as spaces. Headers from before there was a magic have it, too. An archive
 * without members is all zeros. */
static bool is_tar(const uint8_t *head, size_t size)
{
	enum { CHECKSUM = 148, CHECKSUM_SIZE = 8, EMPTY = CHECKSUM_SIZE * ' ' };
	int sum = EMPTY, signed_sum = EMPTY, stated = 0;
	size_t i = CHECKSUM;

	if (size < DETECT_HEAD_SIZE)
		return false;
	for (size_t k = 0; k < DETECT_HEAD_SIZE; k++) {
		if (k >= CHECKSUM && k < CHECKSUM + CHECKSUM_SIZE)
			continue;
		sum += head[k];
		signed_sum += (int8_t)head[k];
	}
	while (i < CHECKSUM + CHECKSUM_SIZE && head[i] == ' ')
		i++;
	for (; i < CHECKSUM + CHECKSUM_SIZE && head[i] >= '0' && head[i] <= '7'; i++)
		stated = stated << 3 | (head[i] - '0');
	return stated == sum || stated == signed_sum || sum == EMPTY;
}

/* The first row that fits decides. */
static const struct row {
	enum layer_format format;
	const char *name;
	const char *const *media_types; /* ends with NULL */
	unsigned promise;               /* any of these makes it this format */
	unsigned allowed;               /* others contradict the media type */
	bool (*is_content)(const uint8_t *head, size_t size);
	const char *content; /* for people */
} rows[] = {
	{LAYER_FORMAT_ESTARGZ, "estargz", gzip_media_types, BY_TOC_DIGEST, BY_TOC_DIGEST, is_gzip,
		"gzip"},
	{LAYER_FORMAT_ZSTD_CHUNKED, "zstd-chunked", zstd_media_types, BY_TOC_DIGEST | BY_MANIFEST,
		BY_TOC_DIGEST | BY_MANIFEST, is_zstd, "zstd"},
	{LAYER_FORMAT_GZIP, "gzip", gzip_media_types, 0, 0, is_gzip, "gzip"},
	{LAYER_FORMAT_ZSTD, "zstd", zstd_media_types, 0, 0, is_zstd, "zstd"},
	{LAYER_FORMAT_TAR, "tar", tar_media_types, 0, 0, is_tar, "an uncompressed tar"},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool is_of_row(const struct descriptor *layer, const struct row *row)
{
	for (const char *const *type = row->media_types; *type; type++) {
		if (strcmp(layer->media_type, *type) == 0)
			return true;
	}
	return false;
}

static int unknown_media_type(const struct descriptor *layer, struct error *err)
{
	return error_set(err, ERROR_UNSUPPORTED,
		"media type %s is of no layer that can be mounted: tar, tar+gzip and tar+zstd of "
		"OCI and Docker are",
		layer->media_type);
}

bool layer_format_has_toc(enum layer_format format)
{
	return format == LAYER_FORMAT_ESTARGZ || format == LAYER_FORMAT_ZSTD_CHUNKED;
}

static unsigned promise_of(const struct zstd_chunked_promise *zstd_chunked)
{
	return (zstd_chunked->has_toc_digest ? BY_TOC_DIGEST : 0U) |
	       (zstd_chunked->has_manifest_digest ? BY_MANIFEST : 0U);
}

static int contradiction(const struct descriptor *layer, unsigned promise, struct error *err)
{
	return error_set(err, ERROR_FORMAT,
		"media type %s, but the annotation %s is of %s: push the image again without it, "
		"or with the right media type",
		layer->media_type,
		promise & BY_MANIFEST ? "zstd-chunked.manifest-checksum"
				      : ESTARGZ_TOC_DIGEST_ANNOTATION,
		promise & BY_MANIFEST ? "zstd:chunked" : "eStargz and zstd:chunked");
}

int detect_layer(const struct descriptor *layer, struct detected_layer *out, struct error *err)
{
	struct detected_layer found = {0};
	bool is_known = false;
	unsigned promise;

	if (zstd_chunked_promise_parse(layer, &found.zstd_chunked, err) < 0)
		return -1;
	promise = promise_of(&found.zstd_chunked);
	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (!is_of_row(layer, row))
			continue;
		is_known = true;
		if ((row->promise && !(promise & row->promise)) || promise & ~row->allowed)
			continue;
		found.format = row->format;
		found.name = row->name;
		found.toc_digest = promise & BY_MANIFEST ? found.zstd_chunked.manifest_digest
							 : found.zstd_chunked.toc_digest;
		*out = found;
		return 0;
	}
	return is_known ? contradiction(layer, promise, err) : unknown_media_type(layer, err);
}

static const struct row *row_of(const struct descriptor *layer)
{
	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (is_of_row(layer, row))
			return row;
	}
	return NULL;
}

/* @place: "begins" or "ends". */
static int lie(
	const struct descriptor *layer, const char *place, const char *content, struct error *err)
{
	return error_set(err, ERROR_FORMAT,
		"media type %s, but the blob %s as %s does: push the image again with the right "
		"one",
		layer->media_type, place, content);
}

int detect_footer(const struct descriptor *layer, const uint8_t *tail, size_t tail_size,
	bool *found, struct detected_footer *out, struct error *err)
{
	struct detected_footer footer = {0};
	const struct row *row = row_of(layer);
	bool is_zstd_chunked;

	*found = false;
	if (estargz_footer_parse(tail, tail_size, layer->size, &footer.estargz, err) < 0 ||
		zstd_chunked_footer_parse(tail, tail_size, layer->size, &is_zstd_chunked,
			&footer.zstd_chunked, err) < 0)
		return -1;
	if (!is_zstd_chunked && footer.estargz.kind == ESTARGZ_FOOTER_NONE)
		return 0;
	footer.format = is_zstd_chunked ? LAYER_FORMAT_ZSTD_CHUNKED : LAYER_FORMAT_ESTARGZ;
	if (row && row->is_content != (is_zstd_chunked ? is_zstd : is_gzip))
		return lie(layer, "ends", is_zstd_chunked ? "zstd:chunked" : "eStargz", err);
	*found = true;
	*out = footer;
	return 0;
}

int detect_content(
	const struct descriptor *layer, const uint8_t *head, size_t head_size, struct error *err)
{
	const struct row *promised = row_of(layer);

	if (!promised)
		return unknown_media_type(layer, err);
	if (promised->is_content(head, head_size))
		return 0;
	for (const struct row *row = rows; row < rows + N_ROWS; row++) {
		if (row->is_content(head, head_size))
			return lie(layer, "begins", row->content, err);
	}
	return error_set(err, ERROR_FORMAT,
		"media type %s, but the blob begins as neither gzip, zstd nor tar does: it is no "
		"layer",
		layer->media_type);
}
