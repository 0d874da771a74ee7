/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the table of contents of a layer: where its annotations say, or at the end of the blob. */
#include "image_internal.h"

#include <inttypes.h>

/* Enough for the footer and, in most layers, the whole table: one request. */
#define TAIL_SIZE (UINT64_C(256) << 10)

/* The end of a blob, and where it starts. */
struct tail {
	struct buffer bytes;
	uint64_t off;
};

static void tail_clear(struct tail *tail)
{
	buffer_free(&tail->bytes);
}

static int tail_read(const struct layer_blob *blob, struct tail *tail, struct error *err)
{
	uint64_t size = blob->descriptor->size;

	tail->off = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
	return layer_blob_read(blob, tail->off, size - tail->off, &tail->bytes, err);
}

/* Bytes [off, off + size) of the blob, of which the tail may have some. */
static int read_table(const struct layer_blob *blob, const struct tail *tail, uint64_t off,
	uint64_t size, struct buffer *out, struct error *err)
{
	uint64_t missing = off < tail->off ? tail->off - off : 0;

	if (size > LAYER_MAX_ENCODED_TOC)
		return error_set(err, ERROR_FORMAT,
			"its table of contents has %" PRIu64 " bytes, at most %" PRIu64
			" are accepted",
			size, LAYER_MAX_ENCODED_TOC);
	if (missing >= size)
		return layer_blob_read(blob, off, size, out, err);
	if (missing > 0 && layer_blob_read(blob, off, missing, out, err) < 0)
		return -1;
	if (buffer_append(out, tail->bytes.data + (off + missing - tail->off), size - missing) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	return 0;
}

void layer_table_clear(struct layer_table *table)
{
	buffer_free(&table->encoded);
}

static int read_estargz(const struct layer_blob *blob, const struct tail *tail,
	const struct estargz_footer *footer, struct layer_table *out, struct error *err)
{
	uint64_t end = blob->descriptor->size - footer->size;

	if (footer->kind == ESTARGZ_EXTERNAL) {
		out->payload_end = end;
		return layer_table_find_external(blob, &out->encoded, err);
	}
	out->payload_end = footer->toc_off;
	return read_table(blob, tail, footer->toc_off, end - footer->toc_off, &out->encoded, err);
}

static int read_zstd_chunked(const struct layer_blob *blob, const struct tail *tail,
	const struct zstd_chunked_position *position, struct layer_table *out, struct error *err)
{
	out->zstd_chunked = *position;
	return read_table(
		blob, tail, position->off, zstd_chunked_stretch(position), &out->encoded, err);
}

/* Says what the blob is instead of what it should be. */
static int broken_promise(
	const struct layer_blob *blob, const struct detected_layer *detected, struct error *err)
{
	CLEANUP(buffer_free) struct buffer head = {0};
	uint64_t size = blob->descriptor->size;

	if (layer_blob_read(
		    blob, 0, size < DETECT_HEAD_SIZE ? size : DETECT_HEAD_SIZE, &head, err) < 0 ||
		detect_content(blob->descriptor, head.data, head.size, err) < 0)
		return -1;
	return error_set(err, ERROR_FORMAT,
		"its annotations say %s, but the blob ends without the footer of one",
		detected->name);
}

static int find_by_footer(const struct layer_blob *blob, const struct detected_layer *detected,
	bool *found, struct layer_table *out, struct error *err)
{
	CLEANUP(tail_clear) struct tail tail = {0};
	struct detected_footer footer;

	if (tail_read(blob, &tail, err) < 0 || detect_footer(blob->descriptor, tail.bytes.data,
						       tail.bytes.size, found, &footer, err) < 0)
		return -1;
	if (!*found)
		return layer_format_has_toc(detected->format) ? broken_promise(blob, detected, err)
							      : 0;
	out->format = footer.format;
	if (footer.format == LAYER_FORMAT_ESTARGZ)
		return read_estargz(blob, &tail, &footer.estargz, out, err);
	return read_zstd_chunked(blob, &tail, &footer.zstd_chunked, out, err);
}

static int find_by_position(const struct layer_blob *blob,
	const struct zstd_chunked_position *position, bool *found, struct layer_table *out,
	struct error *err)
{
	const struct tail none = {.off = UINT64_MAX};

	*found = true;
	out->format = LAYER_FORMAT_ZSTD_CHUNKED;
	return read_zstd_chunked(blob, &none, position, out, err);
}

int layer_table_find(const struct layer_blob *blob, const struct detected_layer *detected,
	bool *found, struct layer_table *out, struct error *err)
{
	CLEANUP(layer_table_clear) struct layer_table table = {0};
	int result;

	if (detected->format == LAYER_FORMAT_ZSTD_CHUNKED && detected->zstd_chunked.has_position)
		result = find_by_position(
			blob, &detected->zstd_chunked.position, found, &table, err);
	else
		result = find_by_footer(blob, detected, found, &table, err);
	if (result < 0)
		return -1;
	*out = table;
	table.encoded = (struct buffer){0};
	return 0;
}
