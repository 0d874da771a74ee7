/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string.h>

#include "format/toc.h"
#include "oci/digest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The JSON table of contents that eStargz and zstd:chunked inherited from CRFS, in the two dialects
 * that they made of it. */

/* Who wrote a table, and so what its numbers mean. */
enum crfs_dialect {
	/* stargz-snapshotter: a payload ends where the next one begins; several may come out of the
	 * same encoded bytes; landmarks are bookkeeping. Spec: its docs/estargz.md, "TOC". */
	CRFS_STARGZ,
	/* containers/storage: each file says where it ends, chunks are frames of their own, and may
	 * be zeros. Spec: its pkg/chunked/internal/minimal. */
	CRFS_CONTAINERS,
	/* One of the two: files of CRFS_CONTAINERS have an endOffset, those of the other none. */
	CRFS_BY_CONTENT,
};

/* What a table is read with. */
struct crfs_options {
	enum crfs_dialect dialect;
	enum codec codec;      /* of payloads */
	uint64_t payload_end;  /* where they end at the latest */
	bool allow_unverified; /* accept chunks without a digest */
	bool unique_names;     /* refuse a name that comes twice */
	/* Set to what the table says as tarSplitDigest; unchanged where it says nothing. NULL: that
	 * field is of no interest. */
	struct digest *tar_split_digest;
};

/* A JSON string; not NUL-terminated. data is NULL where the field is absent. */
struct crfs_text {
	const char *data;
	size_t size;
};

static inline bool crfs_text_is(struct crfs_text text, const char *wanted)
{
	return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

struct crfs_xattr {
	struct crfs_text name;
	struct crfs_text value; /* base64 */
};

/* One element of "entries" as it is written there, of right types but otherwise unchecked. Absent
 * numbers are 0. */
struct crfs_record {
	struct crfs_text name;
	struct crfs_text type;
	struct crfs_text link_name;
	struct crfs_text modtime;
	struct crfs_text digest;
	struct crfs_text chunk_digest;
	struct crfs_text chunk_type;
	uint64_t size;
	uint64_t offset;
	uint64_t end_offset;
	uint64_t inner_offset;
	uint64_t chunk_offset;
	uint64_t chunk_size;
	int64_t mode;
	uint64_t uid;
	uint64_t gid;
	uint64_t dev_major;
	uint64_t dev_minor;
	struct crfs_xattr *xattrs;
	size_t n_xattrs;
};

/* @field: for the message. */
MUST_CHECK int crfs_digest_parse(
	struct crfs_text text, const char *field, struct digest *out, struct error *err);

/* Turns records, in order, into a table of contents, applying the rules of the dialect. */
struct crfs_builder;

/* @options is borrowed until the builder is freed. */
MUST_CHECK int crfs_builder_new(
	const struct crfs_options *options, struct crfs_builder **out, struct error *err);
void crfs_builder_free(struct crfs_builder *builder);
void crfs_builder_freep(struct crfs_builder **builder);

/* The record is only read during the call. The message of a failure names the entry. */
MUST_CHECK int crfs_builder_add(
	struct crfs_builder *builder, const struct crfs_record *record, struct error *err);

/* Puts "entry N (name): " before a message about @record that was made elsewhere. */
int crfs_builder_blame(
	const struct crfs_builder *builder, const struct crfs_record *record, struct error *err);

/* A copy of a string that lives as long as the table of contents; NULL without memory. */
const char *crfs_builder_keep(struct crfs_builder *builder, const void *data, size_t size);

/* After the last record. */
MUST_CHECK int crfs_builder_finish(
	struct crfs_builder *builder, struct toc **out, struct error *err);

/* How many bytes behind the JSON can be read, whatever they are. */
enum { CRFS_JSON_PADDING = 64 };

/* From JSON with CRFS_JSON_PADDING readable bytes behind it to entries. */
MUST_CHECK int crfs_json_parse_padded(const char *json, size_t json_size,
	const struct crfs_options *options, struct toc **out, struct error *err);

/* The same from any memory. */
MUST_CHECK int crfs_json_parse(const char *json, size_t json_size,
	const struct crfs_options *options, struct toc **out, struct error *err);

#ifdef __cplusplus
}
#endif
