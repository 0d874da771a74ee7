/* SPDX-License-Identifier: Apache-2.0 */
/* SOCI's ztoc: its root table, and that it belongs to the layer. */
#include "format/ztoc.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "ztoc_internal.h"

/* Strings of a file that shares none of them are together smaller than the file. Some sharing is
 * allowed, so that the result stays in proportion to what was read. */
enum { MAX_SHARING = 4 };

static const char version[] = "0.9";

int ztoc_broken(struct error *err, const char *what)
{
	return error_set(err, ERROR_FORMAT, "%s: broken FlatBuffers table", what);
}

static int check_version(const struct flat_table *root, struct error *err)
{
	struct flat_bytes text;

	if (flat_bytes(root, ZTOC_VERSION, &text) < 0)
		return ztoc_broken(err, "version");
	if (text.size == strlen(version) && memcmp(text.data, version, text.size) == 0)
		return 0;
	return error_set(err, ERROR_UNSUPPORTED, "version \"%.*s\"; %s is supported",
		(int)(text.size < 20 ? text.size : 20), text.data ? text.data : "", version);
}

static int check_sizes(struct ztoc_reader *reader, const struct flat_table *root, struct error *err)
{
	uint64_t blob_size;

	if (flat_number(root, ZTOC_BLOB_SIZE, 8, 0, &blob_size) < 0 ||
		flat_number(root, ZTOC_ARCHIVE_SIZE, 8, 0, &reader->archive_size) < 0)
		return ztoc_broken(err, "archive size");
	if (blob_size != reader->index->blob_size)
		return error_set(err, ERROR_FORMAT,
			"it is of a blob of %" PRIu64 " bytes, the layer has %" PRIu64, blob_size,
			reader->index->blob_size);
	if (reader->archive_size > SPAN_INDEX_MAX_ARCHIVE)
		return error_set(err, ERROR_UNSUPPORTED,
			"archive of %" PRIu64 " bytes; 16 TiB are supported", reader->archive_size);
	return 0;
}

static int read_root(struct ztoc_reader *reader, struct error *err)
{
	struct flat_table root, toc, compression;

	if (flat_root(&reader->file, &root) < 0)
		return ztoc_broken(err, "root");
	if (check_version(&root, err) < 0 || check_sizes(reader, &root, err) < 0)
		return -1;
	if (flat_table(&root, ZTOC_TOC, &toc) < 0)
		return ztoc_broken(err, "toc");
	if (flat_table(&root, ZTOC_COMPRESSION, &compression) < 0)
		return ztoc_broken(err, "compression_info");
	if (ztoc_read_spans(reader, &compression, err) < 0)
		return -1;
	return ztoc_read_entries(reader, &toc, err);
}

static void reader_cleanup(struct ztoc_reader *reader)
{
	buffer_free(&reader->record);
	buffer_free(&reader->scratch);
}

int ztoc_parse(const void *data, size_t size, const struct ztoc_options *options,
	struct span_index **out, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;
	CLEANUP(reader_cleanup)
	struct ztoc_reader reader = {
		.file = {.data = data, .size = size},
		.text_left = (uint64_t)size * MAX_SHARING,
	};

	if (size > ZTOC_MAX_SIZE)
		return error_set(err, ERROR_UNSUPPORTED,
			"ztoc of %zu bytes; at most %d are supported", size, (int)ZTOC_MAX_SIZE);
	if (span_index_new(&index, err) < 0)
		return -1;
	index->blob = *options->blob;
	index->blob_size = options->blob_size;
	reader.index = index;
	if (read_root(&reader, err) < 0)
		return error_prefix(err, "ztoc");
	*out = TAKE_PTR(index);
	return 0;
}
