/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "flatbuffer_internal.h"
#include "format/ztoc.h"

/* Slots of the schema's tables. */
enum {
	ZTOC_VERSION,
	ZTOC_BUILD_TOOL,
	ZTOC_BLOB_SIZE,
	ZTOC_ARCHIVE_SIZE,
	ZTOC_TOC,
	ZTOC_COMPRESSION
};
enum { TOC_METADATA };
enum {
	FILE_NAME,
	FILE_TYPE,
	FILE_OFFSET,
	FILE_SIZE,
	FILE_LINK,
	FILE_MODE,
	FILE_UID,
	FILE_GID,
	FILE_USER,
	FILE_GROUP,
	FILE_TIME,
	FILE_MAJOR,
	FILE_MINOR,
	FILE_RECORDS,
};
enum { RECORD_KEY, RECORD_VALUE };
enum { COMPRESSION_ALGORITHM, COMPRESSION_MAX_SPAN, COMPRESSION_DIGESTS, COMPRESSION_CHECKPOINTS };
enum { TAR_VERSION, TAR_SPAN_SIZE, TAR_SIZE };

/* CompressionAlgorithm */
enum { ZTOC_GZIP = 1, ZTOC_UNCOMPRESSED = 2 };

struct ztoc_reader {
	struct flat_file file;
	struct span_index *index; /* being filled */
	uint64_t archive_size;    /* where the tar reader of its maker stopped */
	uint64_t text_left;       /* how many more bytes of strings it may name */
	struct buffer record;     /* a PAX record while it is decoded */
	struct buffer scratch;
};

/* For a field that the bounded reader has refused. */
int ztoc_broken(struct error *err, const char *what);

/* The entries of the archive. */
MUST_CHECK int ztoc_read_entries(
	struct ztoc_reader *reader, const struct flat_table *toc, struct error *err);

/* The spans. */
MUST_CHECK int ztoc_read_spans(
	struct ztoc_reader *reader, const struct flat_table *compression, struct error *err);
