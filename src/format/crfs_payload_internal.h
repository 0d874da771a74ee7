/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "crfs_internal.h"

/* The regular file whose chunks are being read. */
struct crfs_file {
	bool is_open;
	bool is_hidden; /* bookkeeping of the format: its chunks only take part in the layout */
	uint64_t size;
	uint64_t covered; /* bytes that chunks so far describe, from 0 */
	uint64_t end_off; /* CRFS_CONTAINERS: where its encoded bytes end */
};

/* CRFS_STARGZ: payloads that come out of the same encoded bytes. */
struct crfs_group {
	bool is_open;
	uint64_t off;       /* in the blob */
	uint64_t inner_end; /* of the last payload so far */
	size_t first_chunk; /* index into toc->chunks */
};

/* Where the contents of files are: the part of a table that is about the blob. */
struct crfs_payload {
	const struct crfs_options *options; /* borrowed */
	struct toc *toc;                    /* borrowed; its last entry is the open file's */
	enum crfs_dialect dialect;          /* CRFS_BY_CONTENT until a file tells */
	struct crfs_file file;
	struct crfs_group group;
};

/* Learns the dialect from a record of a regular file that is not empty, before anything else looks
 * at it. */
MUST_CHECK int crfs_payload_tell(
	struct crfs_payload *payload, const struct crfs_record *record, struct error *err);

/* A regular file and its first chunk. Its entry is in the table, unless it is hidden. */
MUST_CHECK int crfs_payload_open(struct crfs_payload *payload, const struct crfs_record *record,
	bool is_hidden, struct error *err);

/* The next chunk of the open file. */
MUST_CHECK int crfs_payload_add(
	struct crfs_payload *payload, const struct crfs_record *record, struct error *err);

/* Another entry begins, or none is left: the open file, if any, must be whole. */
MUST_CHECK int crfs_payload_close(struct crfs_payload *payload, struct error *err);

/* After the last file was closed. */
MUST_CHECK int crfs_payload_finish(struct crfs_payload *payload, struct error *err);
