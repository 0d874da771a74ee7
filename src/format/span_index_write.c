/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an index of spans as columns in a frame of zstd. */
#include <inttypes.h>
#include <string.h>

#include "chunk/encode.h"
#include "format/span_index_file.h"
#include "span_index_columns_internal.h"
#include "span_index_internal.h"

/* More effort makes it a few percent smaller and takes ten times as long. */
enum { LEVEL = 12 };

struct writer {
	const struct span_index *index;
	struct column_writer columns[COLUMN_COUNT];
	const struct toc_entry *before; /* the entry before; NULL for the first */
	uint64_t payload_end;           /* of that, with padding */
};

static struct column_writer *column(struct writer *writer, enum span_index_column which)
{
	return &writer->columns[which];
}

static int check_index(const struct span_index *index, struct error *err)
{
	if (index->blob.algorithm == 0 || index->diff_id.algorithm == 0)
		return error_set(err, ERROR_INTERNAL,
			"an index of spans without digests of blob and archive is no file");
	for (size_t i = 0; i < index->n_spans; i++) {
		if (index->spans[i].digest_kind != SPAN_DIGEST_DECODED)
			return error_set(err, ERROR_INTERNAL,
				"span %zu has no digest of its decoded bytes", i);
	}
	return 0;
}

static void put_digest(struct column_writer *column, const struct digest *digest)
{
	column_put_byte(column, (uint8_t)digest->algorithm);
	column_put_bytes(column, digest->bytes, digest_size(digest));
}

static void put_layer(struct writer *writer)
{
	const struct span_index *index = writer->index;
	struct column_writer *layer = column(writer, COLUMN_LAYER);

	column_put_byte(layer, (uint8_t)index->codec);
	column_put_number(layer, index->blob_size);
	column_put_number(layer, index->toc->n_entries);
	column_put_number(layer, index->n_spans);
	put_digest(layer, &index->blob);
	put_digest(layer, &index->diff_id);
}

static size_t common_size(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static void put_names(struct writer *writer, const struct toc_entry *entry)
{
	size_t shared = writer->before ? common_size(writer->before->name, entry->name) : 0;
	const char *rest = entry->name + shared;

	column_put_number(column(writer, COLUMN_SHARED), shared);
	column_put_bytes(column(writer, COLUMN_NAMES), rest, strlen(rest) + 1);
	if (entry->link_name)
		column_put_bytes(column(writer, COLUMN_LINKS), entry->link_name,
			strlen(entry->link_name) + 1);
}

static void put_xattrs(struct writer *writer, const struct toc_entry *entry)
{
	struct column_writer *sizes = column(writer, COLUMN_XATTRS);
	struct column_writer *text = column(writer, COLUMN_XATTR_TEXT);

	column_put_number(sizes, entry->n_xattrs);
	for (uint32_t i = 0; i < entry->n_xattrs; i++) {
		const struct toc_xattr *xattr = &writer->index->toc->xattrs[entry->first_xattr + i];

		column_put_number(sizes, xattr->value_size);
		column_put_bytes(text, xattr->name, strlen(xattr->name) + 1);
		column_put_bytes(text, xattr->value, xattr->value_size);
	}
}

static void put_attributes(struct writer *writer, const struct toc_entry *entry)
{
	/* As unsigned, because times from outside may be as far apart as they like. */
	uint64_t seconds =
		(uint64_t)entry->mtime_s - (writer->before ? (uint64_t)writer->before->mtime_s : 0);

	column_put_number(column(writer, COLUMN_MODES), entry->mode);
	column_put_number(column(writer, COLUMN_OWNERS), entry->uid);
	column_put_number(column(writer, COLUMN_OWNERS), entry->gid);
	column_put_signed(column(writer, COLUMN_TIMES), (int64_t)seconds);
	column_put_number(column(writer, COLUMN_FRACTIONS), entry->mtime_ns);
	if (entry->type == TOC_CHARACTER || entry->type == TOC_BLOCK) {
		column_put_number(column(writer, COLUMN_DEVICES), entry->dev_major);
		column_put_number(column(writer, COLUMN_DEVICES), entry->dev_minor);
	}
	put_xattrs(writer, entry);
}

static void put_extents(struct writer *writer, const struct span_payload *payload)
{
	struct column_writer *extents = column(writer, COLUMN_EXTENTS);
	uint64_t end = 0;

	column_put_number(extents, payload->n_extents);
	for (uint32_t i = 0; i < payload->n_extents; i++) {
		const struct span_extent *extent =
			&writer->index->extents[payload->first_extent + i];

		column_put_number(extents, extent->file_off - end);
		column_put_number(extents, extent->size);
		end = extent->file_off + extent->size;
	}
}

static int put_payload(struct writer *writer, size_t i, struct error *err)
{
	const struct toc_entry *entry = &writer->index->toc->entries[i];
	const struct span_payload *payload = &writer->index->payloads[i];

	if (payload->off % TAR_RECORD != 0)
		return error_set(err, ERROR_INTERNAL,
			"payload %zu starts at %" PRIu64 ", no multiple of %d", i, payload->off,
			(int)TAR_RECORD);
	if (entry->type == TOC_REGULAR)
		column_put_number(column(writer, COLUMN_SIZES), entry->size);
	column_put_number(
		column(writer, COLUMN_GAPS), (payload->off - writer->payload_end) / TAR_RECORD);
	if (payload->is_sparse)
		put_extents(writer, payload);
	writer->payload_end =
		align_up(payload->off + span_index_stored_size(writer->index, i), TAR_RECORD);
	return 0;
}

static int put_entry(struct writer *writer, size_t i, struct error *err)
{
	const struct toc_entry *entry = &writer->index->toc->entries[i];
	unsigned sparse = writer->index->payloads[i].is_sparse ? ENTRY_IS_SPARSE : 0;

	column_put_byte(column(writer, COLUMN_TYPES), (uint8_t)(entry->type | sparse));
	put_names(writer, entry);
	put_attributes(writer, entry);
	if (put_payload(writer, i, err) < 0)
		return -1;
	writer->before = entry;
	return 0;
}

static void put_span(struct writer *writer, size_t i)
{
	const struct unit_span *span = &writer->index->spans[i];
	const struct unit_span *before = i > 0 ? span - 1 : NULL;
	uint64_t end = before ? before->blob_off + before->blob_size : 0;
	struct column_writer *numbers = column(writer, COLUMN_SPANS);
	struct column_writer *windows = column(writer, COLUMN_WINDOWS);

	column_put_signed(numbers, (int64_t)(span->blob_off - end));
	column_put_number(numbers, span->blob_size);
	column_put_number(numbers, span->decoded_size);
	column_put_byte(column(writer, COLUMN_SPAN_BITS),
		(uint8_t)(span->bits | span->end_bits << SPAN_END_BITS_SHIFT |
			  (span->in_member ? SPAN_IN_MEMBER : 0)));
	column_put_bytes(column(writer, COLUMN_DIGESTS), span->digest, sizeof(span->digest));
	column_put_number(windows, span->window_size);
	column_put_bytes(windows, span->window, span->window_size);
}

static size_t size_of(
	const struct writer *writer, enum span_index_column first, enum span_index_column last)
{
	size_t size = 0;

	for (unsigned i = first; i <= last; i++)
		size += writer->columns[i].bytes.size;
	return size;
}

static void measure(const struct writer *writer, struct span_index_file_sizes *sizes)
{
	*sizes = (struct span_index_file_sizes){
		.names = size_of(writer, COLUMN_SHARED, COLUMN_LINKS),
		.attributes = size_of(writer, COLUMN_LAYER, COLUMN_TYPES) +
			      size_of(writer, COLUMN_MODES, COLUMN_EXTENTS),
		.spans = size_of(writer, COLUMN_SPANS, COLUMN_SPAN_BITS),
		.digests = size_of(writer, COLUMN_DIGESTS, COLUMN_DIGESTS),
		.windows = size_of(writer, COLUMN_WINDOWS, COLUMN_WINDOWS),
	};
}

/* All columns, each with its size before it. */
static int join(struct writer *writer, struct buffer *body, struct error *err)
{
	struct column_writer joined = {0};

	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		struct column_writer *column = &writer->columns[i];

		column_put_number(&joined, column->bytes.size);
		column_put_bytes(&joined, column->bytes.data, column->bytes.size);
		joined.is_broken = joined.is_broken || column->is_broken;
	}
	*body = joined.bytes;
	if (joined.is_broken)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the file of an index");
	if (body->size > SPAN_INDEX_FILE_MAX_BODY)
		return error_set(err, ERROR_UNSUPPORTED,
			"%zu bytes are more than the %d of the largest possible index", body->size,
			(int)SPAN_INDEX_FILE_MAX_BODY);
	return 0;
}

static int append_file(const struct buffer *body, struct buffer *out, struct error *err)
{
	uint8_t header[SPAN_INDEX_HEADER_SIZE] = SPAN_INDEX_FILE_MAGIC;

	le32_store(header + SPAN_INDEX_HEADER_VERSION, SPAN_INDEX_FILE_VERSION);
	le32_store(header + SPAN_INDEX_HEADER_ZEROS, 0);
	if (buffer_append(out, header, sizeof(header)) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the file of an index");
	return zstd_encode(body->data, body->size, LEVEL, out, err);
}

static int write_columns(struct writer *writer, struct error *err)
{
	put_layer(writer);
	for (size_t i = 0; i < writer->index->toc->n_entries; i++) {
		if (put_entry(writer, i, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < writer->index->n_spans; i++)
		put_span(writer, i);
	return 0;
}

static void writer_cleanup(struct writer *writer)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		buffer_free(&writer->columns[i].bytes);
}

int span_index_write(const struct span_index *index, struct buffer *out,
	struct span_index_file_sizes *sizes, struct error *err)
{
	CLEANUP(writer_cleanup) struct writer writer = {.index = index};
	CLEANUP(buffer_free) struct buffer body = {0};

	if (check_index(index, err) < 0 || write_columns(&writer, err) < 0 ||
		join(&writer, &body, err) < 0)
		return -1;
	if (sizes)
		measure(&writer, sizes);
	return append_file(&body, out, err);
}
