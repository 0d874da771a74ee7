/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/estargz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A JSON string; not NUL-terminated. data is NULL where the field is absent. */
struct estargz_text {
	const char *data;
	size_t size;
};

struct estargz_xattr {
	struct estargz_text name;
	struct estargz_text value; /* base64 */
};

/* One element of "entries" as it is written there, of right types but otherwise unchecked. Absent
 * numbers are 0. */
struct estargz_record {
	struct estargz_text name;
	struct estargz_text type;
	struct estargz_text link_name;
	struct estargz_text modtime;
	struct estargz_text digest;
	struct estargz_text chunk_digest;
	uint64_t size;
	uint64_t offset;
	uint64_t inner_offset;
	uint64_t chunk_offset;
	uint64_t chunk_size;
	int64_t mode;
	uint64_t uid;
	uint64_t gid;
	uint64_t dev_major;
	uint64_t dev_minor;
	struct estargz_xattr *xattrs;
	size_t n_xattrs;
};

/* Turns records, in order, into a table of contents, applying the rules of the specification. */
struct estargz_builder;

/* @options is borrowed until the builder is freed. */
MUST_CHECK int estargz_builder_new(enum codec codec, const struct estargz_toc_options *options,
	struct estargz_builder **out, struct error *err);
void estargz_builder_free(struct estargz_builder *builder);
void estargz_builder_freep(struct estargz_builder **builder);

/* The record is only read during the call. The message of a failure names the entry. */
MUST_CHECK int estargz_builder_add(
	struct estargz_builder *builder, const struct estargz_record *record, struct error *err);

/* Puts "entry N (name): " before a message about @record that was made elsewhere. */
int estargz_builder_blame(const struct estargz_builder *builder,
	const struct estargz_record *record, struct error *err);

/* A copy of a string that lives as long as the table of contents; NULL without memory. */
const char *estargz_builder_keep(struct estargz_builder *builder, const void *data, size_t size);

/* After the last record. */
MUST_CHECK int estargz_builder_finish(
	struct estargz_builder *builder, struct toc **out, struct error *err);

/* How many bytes behind the JSON can be read, whatever they are. */
enum { ESTARGZ_JSON_PADDING = 64 };

/* estargz_json_parse() for JSON with ESTARGZ_JSON_PADDING readable bytes behind it. */
MUST_CHECK int estargz_json_parse_padded(const char *json, size_t json_size, enum codec codec,
	const struct estargz_toc_options *options, struct toc **out, struct error *err);

#ifdef __cplusplus
}
#endif
