/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "format/zstd_chunked.h"
#include "oci/digest.h"

/* Tables of contents as their writers make them, of a tree like /usr: directories of nine files,
 * three levels of them in ten, in order. All end the process when there is no memory. */

/* The compressed bytes, and what a manifest would say about them. */
struct written_table {
	struct buffer bytes;
	uint64_t blob_size;
	uint64_t json_size; /* of the tables that are JSON */
	struct digest json_digest;
	struct zstd_chunked_position position; /* of zstd:chunked */
};

/* The gzip member with a tar of one entry that is at the end of an eStargz layer. */
void write_estargz_table(size_t n_entries, struct written_table *out);
/* The manifest of a zstd:chunked layer in the dialect of containers/storage. */
void write_zstd_chunked_table(size_t n_entries, struct written_table *out);
/* The file of an index of spans. */
void write_span_table(size_t n_entries, struct written_table *out);
