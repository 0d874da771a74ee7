/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "format/toc.h"

/* Tar archives made by hand, for what no program writes, and the way from an archive to a table of
 * contents that tests share. Running out of memory aborts. */

enum tar_dialect { TAR_POSIX, TAR_GNU, TAR_V7 };

/* A header record; what is 0 or NULL is so in the record, too. Names are cut to their field. */
struct tar_member {
	enum tar_dialect dialect;
	char type;
	const char *name;
	const char *link_name;
	const char *prefix;
	unsigned mode;
	unsigned uid;
	unsigned gid;
	uint64_t size;
	uint64_t mtime;
	unsigned dev_major;
	unsigned dev_minor;
};

/* Where fields are, for archive_patch(). */
enum {
	TAR_MODE_OFF = 100,
	TAR_UID_OFF = 108,
	TAR_GID_OFF = 116,
	TAR_SIZE_OFF = 124,
	TAR_MTIME_OFF = 136,
	TAR_CHECKSUM_OFF = 148,
	TAR_DEV_MAJOR_OFF = 329,
	TAR_PREFIX_OFF = 345,
	TAR_SPARSE_OFF = 386,
	TAR_IS_EXTENDED_OFF = 482,
	TAR_REAL_SIZE_OFF = 483,
};

void archive_put(struct buffer *archive, const struct tar_member *member);

/* Bytes and their padding. */
void archive_put_payload(struct buffer *archive, const void *data, size_t size);

/* A regular file of one record and the payload that is text. */
void archive_put_file(struct buffer *archive, const char *name, const char *text);

/* A header and payload of type 'x', 'g', 'L' or 'K'. */
void archive_put_extension(struct buffer *archive, char type, const void *data, size_t size);

/* Appends "LENGTH KEY=VALUE\n" to the records of a PAX header. */
void pax_put(struct buffer *records, const char *key, const void *value, size_t value_size);

/* An 'x' header of one record per pair of strings; ends with NULL. */
void archive_put_pax(struct buffer *archive, ...) __attribute__((sentinel));

/* Overwrites bytes of the last record put, which is a header, and makes its checksum right. */
void archive_patch(struct buffer *archive, size_t off, const void *bytes, size_t size);

void archive_put_end(struct buffer *archive);

/**
 * toc_of_archive() - reads an archive as a layer is read.
 * @piece: bytes that the reader is fed at a time.
 * @cut:   files are cut where the archive's bytes are a multiple of it: its spans, which are the
 *         encoded bytes of the chunks.
 *
 * Digests of chunks are right. Aborts when the reader hands over other bytes than its segments say.
 */
MUST_CHECK int toc_of_archive(const void *data, size_t size, size_t piece, uint64_t cut,
	struct toc **out, struct error *err);
