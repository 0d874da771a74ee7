/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the file of an index of spans, whoever wrote it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chunk/codec.h"
#include "format/span_index_file.h"
#include "span_index_columns_internal.h"
#include "span_index_internal.h"
#include "toc_entry_internal.h"

enum {
	MAX_MODE = 07777,
	MAX_NANOSECONDS = 999999999,
	MIN_EXTENT_SIZE = 2, /* bytes of one in its column */
};

struct reader {
	struct span_index *index; /* being filled */
	struct column_reader columns[COLUMN_COUNT];
	uint64_t n_spans;
	uint64_t text_left; /* how many more bytes of names, links and xattrs there may be */

	/* Of the entry before. */
	char name[TOC_MAX_NAME + 1];
	size_t name_size;
	uint64_t seconds;
	uint64_t payload_end;
};

static struct column_reader *column(struct reader *reader, enum span_index_column which)
{
	return &reader->columns[which];
}

static bool is_broken(const struct reader *reader)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (reader->columns[i].is_broken)
			return true;
	}
	return false;
}

static int too_short(struct error *err)
{
	return error_set(err, ERROR_FORMAT, "a column ends too early");
}

/* Columns are parts of @body. */
static int split(struct reader *reader, const struct buffer *body, struct error *err)
{
	struct column_reader all = {.at = body->data, .end = body->data + body->size};

	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		uint64_t size = column_get_number(&all);
		const uint8_t *bytes = column_get_bytes(&all, size);

		if (all.is_broken)
			return error_set(err, ERROR_FORMAT, "column %zu is not all there", i);
		reader->columns[i] = (struct column_reader){.at = bytes, .end = bytes + size};
	}
	if (all.at != all.end)
		return error_set(err, ERROR_FORMAT, "%zu bytes behind the last column",
			(size_t)(all.end - all.at));
	return 0;
}

static int get_digest(struct column_reader *column, struct digest *out, struct error *err)
{
	uint8_t algorithm = column_get_byte(column);
	const uint8_t *bytes;
	size_t size;

	if (algorithm != DIGEST_SHA256 && algorithm != DIGEST_SHA512)
		return error_set(err, ERROR_FORMAT, "digest of algorithm %u", algorithm);
	*out = (struct digest){.algorithm = (enum digest_algorithm)algorithm};
	size = digest_size(out);
	bytes = column_get_bytes(column, size);
	if (!bytes)
		return too_short(err);
	memcpy(out->bytes, bytes, size);
	return 0;
}

static int get_layer(struct reader *reader, struct error *err)
{
	struct column_reader *layer = column(reader, COLUMN_LAYER);
	const struct column_reader *types = column(reader, COLUMN_TYPES);
	struct span_index *index = reader->index;
	uint8_t codec = column_get_byte(layer);
	uint64_t n_entries;

	index->blob_size = column_get_number(layer);
	n_entries = column_get_number(layer);
	reader->n_spans = column_get_number(layer);
	if (codec > CODEC_ZSTD || index->blob_size > INT64_MAX)
		return error_set(err, ERROR_FORMAT, "blob of codec %u and %" PRIu64 " bytes", codec,
			index->blob_size);
	if (n_entries != (uint64_t)(types->end - types->at) || n_entries > TOC_MAX_ENTRIES)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " entries, %d are possible",
			n_entries, (int)TOC_MAX_ENTRIES);
	if (reader->n_spans > SPAN_INDEX_MAX_SPANS)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " spans, %d are possible",
			reader->n_spans, (int)SPAN_INDEX_MAX_SPANS);
	index->codec = (enum codec)codec;
	if (get_digest(layer, &index->blob, err) < 0)
		return -1;
	return get_digest(layer, &index->diff_id, err);
}

/* What will be kept of an entry is bounded, because a name can be as long as that before it with a
 * few bytes of the file only. */
static int take_text(struct reader *reader, size_t size, struct error *err)
{
	if (size > reader->text_left)
		return error_set(err, ERROR_UNSUPPORTED,
			"more than %d bytes of names, links and xattrs",
			(int)SPAN_INDEX_FILE_MAX_TEXT);
	reader->text_left -= size;
	return 0;
}

static int get_type(struct reader *reader, struct toc_entry *entry, struct span_payload *payload,
	struct error *err)
{
	uint8_t byte = column_get_byte(column(reader, COLUMN_TYPES));

	entry->type = byte & ENTRY_TYPE_MASK;
	payload->is_sparse = byte & ENTRY_IS_SPARSE;
	if (byte & ~(ENTRY_TYPE_MASK | ENTRY_IS_SPARSE) || entry->type > TOC_FIFO ||
		(payload->is_sparse && entry->type != TOC_REGULAR))
		return error_set(err, ERROR_FORMAT, "type %u", byte);
	return 0;
}

static int get_name(struct reader *reader, struct toc_entry *entry, struct error *err)
{
	uint64_t shared = column_get_number(column(reader, COLUMN_SHARED));
	size_t rest_size;
	const char *rest = column_get_text(column(reader, COLUMN_NAMES), &rest_size);

	if (!rest)
		return too_short(err);
	if (shared > reader->name_size || rest_size > TOC_MAX_NAME - shared)
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64 " bytes of a name of %zu, and %zu more", shared,
			reader->name_size, rest_size);
	memcpy(reader->name + shared, rest, rest_size + 1);
	reader->name_size = (size_t)shared + rest_size;
	if (take_text(reader, reader->name_size, err) < 0 ||
		toc_entry_set_name(
			reader->index->toc, entry, reader->name, reader->name_size, err) < 0)
		return -1;
	if (strcmp(entry->name, reader->name) != 0)
		return error_set(err, ERROR_FORMAT, "its name is not in its shortest form");
	return 0;
}

static int get_link(struct reader *reader, struct toc_entry *entry, struct error *err)
{
	const char *link;
	size_t size;

	if (entry->type != TOC_SYMLINK && entry->type != TOC_HARDLINK)
		return 0;
	link = column_get_text(column(reader, COLUMN_LINKS), &size);
	if (!link)
		return too_short(err);
	if (take_text(reader, size, err) < 0)
		return -1;
	return toc_entry_set_link(reader->index->toc, entry, link, size, err);
}

static int get_attributes(struct reader *reader, struct toc_entry *entry, struct error *err)
{
	struct column_reader *devices = column(reader, COLUMN_DEVICES);
	uint64_t mode = column_get_number(column(reader, COLUMN_MODES));
	uint64_t uid = column_get_number(column(reader, COLUMN_OWNERS));
	uint64_t gid = column_get_number(column(reader, COLUMN_OWNERS));
	uint64_t nanoseconds = column_get_number(column(reader, COLUMN_FRACTIONS));

	if (mode > MAX_MODE || uid > UINT32_MAX || gid > UINT32_MAX ||
		nanoseconds > MAX_NANOSECONDS)
		return error_set(err, ERROR_FORMAT,
			"mode %" PRIo64 ", owner %" PRIu64 ":%" PRIu64 ", %" PRIu64 " nanoseconds",
			mode, uid, gid, nanoseconds);
	reader->seconds += (uint64_t)column_get_signed(column(reader, COLUMN_TIMES));
	entry->mode = (uint32_t)mode;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	entry->mtime_s = (int64_t)reader->seconds;
	entry->mtime_ns = (uint32_t)nanoseconds;
	if (entry->type == TOC_CHARACTER || entry->type == TOC_BLOCK) {
		uint64_t major = column_get_number(devices);

		return toc_entry_set_device(entry, major, column_get_number(devices), err);
	}
	return 0;
}

static int get_xattr(struct reader *reader, struct error *err)
{
	struct column_reader *text = column(reader, COLUMN_XATTR_TEXT);
	uint64_t value_size = column_get_number(column(reader, COLUMN_XATTRS));
	size_t name_size;
	const char *name = column_get_text(text, &name_size);
	const uint8_t *value = column_get_bytes(text, value_size);

	if (!name || !value)
		return too_short(err);
	if (take_text(reader, name_size + (size_t)value_size, err) < 0)
		return -1;
	return toc_add_xattr(reader->index->toc, name, value, (size_t)value_size, err);
}

static int get_xattrs(struct reader *reader, struct toc_entry *entry, struct error *err)
{
	uint64_t n = column_get_number(column(reader, COLUMN_XATTRS));

	if (n > TOC_MAX_XATTRS)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " xattrs; at most %d are possible",
			n, (int)TOC_MAX_XATTRS);
	entry->first_xattr = (uint32_t)reader->index->toc->n_xattrs;
	entry->n_xattrs = (uint32_t)n;
	for (uint64_t i = 0; i < n; i++) {
		if (get_xattr(reader, err) < 0)
			return -1;
	}
	return 0;
}

static int get_extents(struct reader *reader, struct span_payload *payload,
	struct span_extent **out, struct error *err)
{
	CLEANUP(cleanup_free) struct span_extent *extents = NULL;
	struct column_reader *numbers = column(reader, COLUMN_EXTENTS);
	uint64_t n, end = 0;

	if (!payload->is_sparse)
		return 0;
	n = column_get_number(numbers);
	if (n > (uint64_t)(numbers->end - numbers->at) / MIN_EXTENT_SIZE ||
		n > SPAN_INDEX_MAX_EXTENTS)
		return error_set(err, ERROR_FORMAT, "sparse file in %" PRIu64 " parts", n);
	extents = calloc(n + 1, sizeof(*extents));
	if (!extents)
		return error_set(err, ERROR_NO_MEMORY,
			"no memory for a sparse file in %" PRIu64 " parts", n);
	for (uint64_t i = 0; i < n; i++) {
		extents[i] = (struct span_extent){.file_off = column_get_number(numbers)};
		extents[i].size = column_get_number(numbers);
		if (!u64_add(extents[i].file_off, end, &extents[i].file_off) ||
			!u64_add(extents[i].file_off, extents[i].size, &end))
			return error_set(err, ERROR_FORMAT, "part %" PRIu64 " is nowhere", i);
	}
	payload->n_extents = (uint32_t)n;
	*out = TAKE_PTR(extents);
	return 0;
}

static int get_place(struct reader *reader, struct toc_entry *entry, struct span_payload *payload,
	struct error *err)
{
	uint64_t gap = column_get_number(column(reader, COLUMN_GAPS));

	if (entry->type == TOC_REGULAR)
		entry->size = column_get_number(column(reader, COLUMN_SIZES));
	if (!u64_mul(gap, TAR_RECORD, &gap) || !u64_add(reader->payload_end, gap, &payload->off))
		return error_set(err, ERROR_FORMAT, "its payload is nowhere");
	return 0;
}

static int get_entry(struct reader *reader, size_t i, struct error *err)
{
	CLEANUP(cleanup_free) struct span_extent *extents = NULL;
	struct span_index *index = reader->index;
	struct span_payload payload = {0};
	struct toc_entry entry = {0};

	if (get_type(reader, &entry, &payload, err) < 0 || get_name(reader, &entry, err) < 0 ||
		get_link(reader, &entry, err) < 0 || get_attributes(reader, &entry, err) < 0 ||
		get_xattrs(reader, &entry, err) < 0 ||
		get_place(reader, &entry, &payload, err) < 0 ||
		get_extents(reader, &payload, &extents, err) < 0)
		return -1;
	if (is_broken(reader))
		return too_short(err);
	if (span_index_add_entry(index, &entry, &payload, extents, err) < 0)
		return -1;
	reader->payload_end = align_up(payload.off + span_index_stored_size(index, i), TAR_RECORD);
	return 0;
}

/* A window is unpacked for every read of its span, where nobody could say whose fault it is. */
static int get_window(struct reader *reader, struct unit_span *span, struct error *err)
{
	struct column_reader *windows = column(reader, COLUMN_WINDOWS);
	uint64_t size = column_get_number(windows);
	uint8_t window[SPAN_WINDOW_SIZE];

	if (size == 0)
		return 0;
	span->window = column_get_bytes(windows, size);
	if (!span->window || size > SPAN_MAX_PACKED_WINDOW)
		return error_set(err, ERROR_FORMAT, "window of %" PRIu64 " bytes", size);
	span->window_size = (size_t)size;
	return span_window_unpack(span->window, span->window_size, window, err);
}

static int get_span(struct reader *reader, uint64_t *end, struct error *err)
{
	struct column_reader *numbers = column(reader, COLUMN_SPANS);
	uint64_t gap = (uint64_t)column_get_signed(numbers);
	uint64_t size = column_get_number(numbers);
	uint8_t bits = column_get_byte(column(reader, COLUMN_SPAN_BITS));
	const uint8_t *digest = column_get_bytes(column(reader, COLUMN_DIGESTS), 32);
	struct unit_span span = {
		.blob_off = *end + gap,
		.blob_size = size,
		.decoded_size = column_get_number(numbers),
		.digest_kind = SPAN_DIGEST_DECODED,
		.codec = reader->index->codec,
		.in_member = bits & SPAN_IN_MEMBER,
		.bits = bits & SPAN_BITS_MASK,
		.end_bits = bits >> SPAN_END_BITS_SHIFT & SPAN_END_BITS_MASK,
	};

	if (is_broken(reader))
		return too_short(err);
	memcpy(span.digest, digest, sizeof(span.digest));
	if (get_window(reader, &span, err) < 0)
		return -1;
	*end = span.blob_off + span.blob_size;
	return span_index_add_span(reader->index, &span, err);
}

static int get_spans(struct reader *reader, struct error *err)
{
	uint64_t end = 0;

	for (uint64_t i = 0; i < reader->n_spans; i++) {
		if (get_span(reader, &end, err) < 0)
			return error_prefix(err, "span %" PRIu64, i);
	}
	return 0;
}

static int get_entries(struct reader *reader, struct error *err)
{
	const struct column_reader *types = column(reader, COLUMN_TYPES);
	size_t n = (size_t)(types->end - types->at);

	for (size_t i = 0; i < n; i++) {
		if (get_entry(reader, i, err) < 0)
			return toc_entry_blame(i, reader->name, err);
	}
	return 0;
}

static int get_all(struct reader *reader, const struct buffer *body, struct error *err)
{
	if (split(reader, body, err) < 0 || get_layer(reader, err) < 0 ||
		get_spans(reader, err) < 0 || get_entries(reader, err) < 0)
		return -1;
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		if (reader->columns[i].at != reader->columns[i].end)
			return error_set(err, ERROR_FORMAT, "column %zu has more than is used", i);
	}
	return 0;
}

static int open_body(const uint8_t *data, size_t size, struct buffer *out, struct error *err)
{
	uint32_t version;

	if (size < SPAN_INDEX_HEADER_SIZE ||
		memcmp(data, SPAN_INDEX_FILE_MAGIC, SPAN_INDEX_HEADER_VERSION) != 0)
		return error_set(err, ERROR_FORMAT, "it does not begin as one");
	version = le32_load(data + SPAN_INDEX_HEADER_VERSION);
	if (version != SPAN_INDEX_FILE_VERSION || le32_load(data + SPAN_INDEX_HEADER_ZEROS) != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"version %" PRIu32 "; this program reads version %d", version,
			(int)SPAN_INDEX_FILE_VERSION);
	if (size > SPAN_INDEX_FILE_MAX_SIZE)
		return error_set(err, ERROR_UNSUPPORTED, "%zu bytes; at most %d are supported",
			size, (int)SPAN_INDEX_FILE_MAX_SIZE);
	return codec_decode_all(CODEC_ZSTD, data + SPAN_INDEX_HEADER_SIZE,
		size - SPAN_INDEX_HEADER_SIZE, SPAN_INDEX_FILE_MAX_BODY, out, err);
}

int span_index_parse(const void *data, size_t size, struct span_index **out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;
	CLEANUP(buffer_free) struct buffer body = {0};
	CLEANUP(cleanup_free) struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return error_set(err, ERROR_NO_MEMORY, "no memory to read an index of spans");
	if (span_index_new(&index, err) < 0)
		return -1;
	reader->index = index;
	reader->text_left = SPAN_INDEX_FILE_MAX_TEXT;
	if (open_body(data, size, &body, err) < 0 || get_all(reader, &body, err) < 0)
		return error_prefix(err, "index of spans");
	*out = TAKE_PTR(index);
	return 0;
}
