/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of eStargz' table of contents: which records make a file, which are bookkeeping, and
 * what their numbers may be. Spec: stargz-snapshotter, docs/estargz.md, "TOC". */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "estargz_internal.h"
#include "timestamp_internal.h"

enum {
	MAX_LINK = 4095,
	/* dev_t of Linux: 12 bits of major number, 20 of minor. */
	MAX_MAJOR = 0xfff,
	MAX_MINOR = 0xfffff,
	/* RFC 1951: at best two bits stand for 258 bytes. */
	DEFLATE_MAX_RATIO = 1032,
	MAX_SHOWN_NAME = 80,
};

static const char toc_name[] = "stargz.index.json";

/* The regular file whose chunks are being read. */
struct open_file {
	bool is_open;
	bool is_hidden; /* bookkeeping of the format: its chunks only take part in the layout */
	uint64_t size;
	uint64_t covered; /* bytes that chunks so far describe, from 0 */
};

/* Payloads that come out of the same encoded bytes. */
struct group {
	bool is_open;
	uint64_t off;       /* in the blob */
	uint64_t inner_end; /* of the last payload so far */
	size_t first_chunk; /* index into toc->chunks */
};

struct estargz_builder {
	enum codec codec;
	const struct estargz_toc_options *options;
	struct toc *toc;  /* owned */
	size_t n_records; /* without the one at hand */
	struct open_file file;
	struct group group;
	bool has_no_prefetch;
	struct buffer scratch; /* decoded xattrs */
};

int estargz_builder_new(enum codec codec, const struct estargz_toc_options *options,
	struct estargz_builder **out, struct error *err)
{
	CLEANUP(estargz_builder_freep) struct estargz_builder *builder = NULL;

	builder = calloc(1, sizeof(*builder));
	if (!builder)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	builder->codec = codec;
	builder->options = options;
	if (toc_new(&builder->toc, err) < 0)
		return -1;
	*out = TAKE_PTR(builder);
	return 0;
}

void estargz_builder_free(struct estargz_builder *builder)
{
	if (!builder)
		return;
	toc_free(builder->toc);
	buffer_free(&builder->scratch);
	free(builder);
}

void estargz_builder_freep(struct estargz_builder **builder)
{
	estargz_builder_free(*builder);
	*builder = NULL;
}

const char *estargz_builder_keep(struct estargz_builder *builder, const void *data, size_t size)
{
	return toc_intern(builder->toc, data, size);
}

/* The end of a name tells more than its beginning; control characters stay out of logs. */
static const char *shown(struct estargz_text text, char out[MAX_SHOWN_NAME + 4])
{
	size_t skipped = text.size > MAX_SHOWN_NAME ? text.size - MAX_SHOWN_NAME : 0;
	size_t n = snprintf(out, 4, "%s", skipped > 0 ? "..." : "");

	for (size_t i = skipped; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	out[n] = '\0';
	return out;
}

int estargz_builder_blame(const struct estargz_builder *builder,
	const struct estargz_record *record, struct error *err)
{
	char name[MAX_SHOWN_NAME + 4];

	return error_prefix(
		err, "entry %zu (%s)", builder->n_records + 1, shown(record->name, name));
}

static bool text_is(struct estargz_text text, const char *wanted)
{
	return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents of this size");
}

/* Encoded bytes of the open group end where the next one begins. */
static int close_group(struct estargz_builder *builder, uint64_t end, struct error *err)
{
	struct group *group = &builder->group;
	uint64_t blob_size = end - group->off;

	if (!group->is_open)
		return 0;
	group->is_open = false;
	if (builder->codec == CODEC_GZIP && group->inner_end / DEFLATE_MAX_RATIO > blob_size)
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64 " bytes at %" PRIu64 " of the blob cannot decode to %" PRIu64,
			blob_size, group->off, group->inner_end);
	for (size_t i = group->first_chunk; i < builder->toc->n_chunks; i++)
		builder->toc->chunks[i].blob_size = blob_size;
	return 0;
}

/* Where a payload is: in the same encoded bytes as the one before and behind it there, or in later
 * ones. So ranges never overlap. */
static int place(struct estargz_builder *builder, const struct estargz_record *record,
	uint64_t size, struct error *err)
{
	struct group *group = &builder->group;
	uint64_t inner_end;

	if (record->offset >= builder->options->payload_end)
		return error_set(err, ERROR_FORMAT,
			"offset %" PRIu64 " lies behind the payloads, which end at %" PRIu64,
			record->offset, builder->options->payload_end);
	if (!u64_add(record->inner_offset, size, &inner_end))
		return error_set(err, ERROR_FORMAT, "innerOffset %" PRIu64 " is impossible",
			record->inner_offset);

	if (!group->is_open || record->offset > group->off) {
		if (close_group(builder, record->offset, err) < 0)
			return -1;
		*group = (struct group){
			.is_open = true,
			.off = record->offset,
			.first_chunk = builder->toc->n_chunks,
		};
	}
	if (record->offset < group->off)
		return error_set(err, ERROR_FORMAT,
			"offset %" PRIu64 " lies before %" PRIu64 " of the payload before it",
			record->offset, group->off);
	if (record->inner_offset < group->inner_end)
		return error_set(err, ERROR_FORMAT,
			"payload at offset %" PRIu64 ", innerOffset %" PRIu64
			" overlaps the one before it",
			record->offset, record->inner_offset);
	group->inner_end = inner_end;
	return 0;
}

static int parse_sha256(
	struct estargz_text text, const char *field, uint8_t out[32], struct error *err)
{
	char copy[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
		return error_set(err, ERROR_FORMAT, "%s is no digest", field);
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (digest_parse(copy, &digest, err) < 0)
		return error_prefix(err, "%s", field);
	if (digest.algorithm != DIGEST_SHA256)
		return error_set(err, ERROR_UNSUPPORTED, "%s is not SHA-256", field);
	memcpy(out, digest.bytes, 32);
	return 0;
}

/* A chunk is checked by its own digest. That of the file serves only where the chunk is the file.
 */
static int set_digest(const struct estargz_builder *builder, const struct estargz_record *record,
	bool is_whole_file, struct toc_chunk *chunk, struct error *err)
{
	if (record->chunk_digest.size > 0)
		return parse_sha256(record->chunk_digest, "chunkDigest", chunk->digest, err);
	if (is_whole_file && record->digest.size > 0)
		return parse_sha256(record->digest, "digest", chunk->digest, err);
	if (!builder->options->allow_unverified)
		return error_set(err, ERROR_UNSUPPORTED,
			"no chunkDigest, and unverified content is not allowed");
	chunk->flags |= UNIT_UNVERIFIED;
	return 0;
}

/* The next bytes of the open file. */
static int add_chunk(
	struct estargz_builder *builder, const struct estargz_record *record, struct error *err)
{
	struct open_file *file = &builder->file;
	uint64_t left = file->size - file->covered;
	uint64_t size = record->chunk_size != 0 ? record->chunk_size : left;
	struct toc_chunk chunk = {
		.file_off = file->covered,
		.size = size,
		.blob_off = record->offset,
		.inner_off = record->inner_offset,
		.codec = (uint8_t)builder->codec,
	};

	if (record->chunk_offset != file->covered)
		return error_set(err, ERROR_FORMAT,
			"chunkOffset %" PRIu64 ", but the chunks before it end at %" PRIu64,
			record->chunk_offset, file->covered);
	if (size == 0 || size > left)
		return error_set(err, ERROR_FORMAT,
			"chunkSize %" PRIu64 " at %" PRIu64 " of a file of %" PRIu64 " bytes",
			record->chunk_size, file->covered, file->size);
	if (place(builder, record, size, err) < 0)
		return -1;
	file->covered += size;
	if (file->is_hidden)
		return 0;
	if (set_digest(builder, record, size == file->size, &chunk, err) < 0 ||
		toc_add_chunk(builder->toc, &chunk, err) < 0)
		return -1;
	builder->toc->entries[builder->toc->n_entries - 1].n_chunks++;
	return 0;
}

static int close_file(struct estargz_builder *builder, struct error *err)
{
	struct open_file *file = &builder->file;

	if (file->is_open && file->covered != file->size)
		return error_set(err, ERROR_FORMAT,
			"the file before it has chunks for %" PRIu64 " of its %" PRIu64 " bytes",
			file->covered, file->size);
	*file = (struct open_file){0};
	return 0;
}

static int set_type(const struct estargz_record *record, struct toc_entry *entry, struct error *err)
{
	static const struct {
		const char *name;
		enum toc_type type;
	} types[] = {
		{"reg", TOC_REGULAR},
		{"dir", TOC_DIRECTORY},
		{"symlink", TOC_SYMLINK},
		{"hardlink", TOC_HARDLINK},
		{"char", TOC_CHARACTER},
		{"block", TOC_BLOCK},
		{"fifo", TOC_FIFO},
	};
	char name[MAX_SHOWN_NAME + 4];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (text_is(record->type, types[i].name)) {
			entry->type = (uint8_t)types[i].type;
			return 0;
		}
	}
	return error_set(err, ERROR_FORMAT, "unknown type \"%s\"", shown(record->type, name));
}

static int set_name(struct estargz_builder *builder, const struct estargz_record *record,
	struct toc_entry *entry, struct error *err)
{
	char name[TOC_MAX_NAME + 1];

	if (!record->name.data)
		return error_set(err, ERROR_FORMAT, "no name");
	if (toc_clean_name(record->name.data, record->name.size, name, err) < 0)
		return -1;
	if (name[0] == '\0' && entry->type != TOC_DIRECTORY)
		return error_set(err, ERROR_FORMAT, "the root is no directory");
	entry->name = toc_intern(builder->toc, name, strlen(name));
	return entry->name ? 0 : out_of_memory(err);
}

static int set_link(struct estargz_builder *builder, const struct estargz_record *record,
	struct toc_entry *entry, struct error *err)
{
	struct estargz_text link = record->link_name;
	char name[TOC_MAX_NAME + 1];

	if (entry->type != TOC_SYMLINK && entry->type != TOC_HARDLINK)
		return 0;
	if (link.size == 0 || link.size > MAX_LINK || memchr(link.data, '\0', link.size))
		return error_set(
			err, ERROR_FORMAT, "linkName of %zu bytes or with a zero byte", link.size);
	if (entry->type == TOC_HARDLINK) {
		if (toc_clean_name(link.data, link.size, name, err) < 0)
			return error_prefix(err, "linkName");
		if (name[0] == '\0')
			return error_set(err, ERROR_FORMAT, "hard link to the root");
		link = (struct estargz_text){.data = name, .size = strlen(name)};
	}
	entry->link_name = toc_intern(builder->toc, link.data, link.size);
	return entry->link_name ? 0 : out_of_memory(err);
}

static int set_number(
	uint64_t value, uint64_t most, const char *field, uint32_t *out, struct error *err)
{
	if (value > most)
		return error_set(err, ERROR_FORMAT, "%s %" PRIu64 " is larger than %" PRIu64, field,
			value, most);
	*out = (uint32_t)value;
	return 0;
}

static int set_attributes(
	const struct estargz_record *record, struct toc_entry *entry, struct error *err)
{
	bool is_device = entry->type == TOC_CHARACTER || entry->type == TOC_BLOCK;

	entry->mode = (uint32_t)record->mode & 07777;
	if (record->modtime.size > 0 && !timestamp_parse(record->modtime.data, record->modtime.size,
						&entry->mtime_s, &entry->mtime_ns))
		return error_set(err, ERROR_FORMAT, "modtime is no RFC 3339 time");
	if (set_number(record->uid, UINT32_MAX, "uid", &entry->uid, err) < 0 ||
		set_number(record->gid, UINT32_MAX, "gid", &entry->gid, err) < 0)
		return -1;
	if (!is_device)
		return 0;
	if (set_number(record->dev_major, MAX_MAJOR, "devMajor", &entry->dev_major, err) < 0)
		return -1;
	return set_number(record->dev_minor, MAX_MINOR, "devMinor", &entry->dev_minor, err);
}

static int add_xattr(
	struct estargz_builder *builder, const struct estargz_xattr *xattr, struct error *err)
{
	char name[256];
	int result;

	if (xattr->name.size >= sizeof(name) || memchr(xattr->name.data, '\0', xattr->name.size))
		return error_set(err, ERROR_FORMAT, "xattr name of %zu bytes or with a zero byte",
			xattr->name.size);
	memcpy(name, xattr->name.data, xattr->name.size);
	name[xattr->name.size] = '\0';
	builder->scratch.size = 0;
	result = base64_decode(xattr->value.data, xattr->value.size, &builder->scratch);
	if (result == -EINVAL)
		return error_set(err, ERROR_FORMAT, "xattr %s is no base64", name);
	if (result < 0)
		return out_of_memory(err);
	return toc_add_xattr(builder->toc, name, builder->scratch.data, builder->scratch.size, err);
}

static int add_xattrs(struct estargz_builder *builder, const struct estargz_record *record,
	struct toc_entry *entry, struct error *err)
{
	if (record->n_xattrs > TOC_MAX_XATTRS)
		return error_set(err, ERROR_FORMAT, "%zu xattrs; at most %d are possible",
			record->n_xattrs, (int)TOC_MAX_XATTRS);
	entry->first_xattr = (uint32_t)builder->toc->n_xattrs;
	entry->n_xattrs = (uint32_t)record->n_xattrs;
	for (size_t i = 0; i < record->n_xattrs; i++) {
		if (add_xattr(builder, &record->xattrs[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Landmarks are regular files of one byte in the root. */
static bool take_landmark(struct estargz_builder *builder, const struct estargz_record *record,
	const struct toc_entry *entry)
{
	struct toc *toc = builder->toc;

	if (entry->type != TOC_REGULAR || record->size != 1)
		return false;
	if (strcmp(entry->name, ".no.prefetch.landmark") == 0) {
		builder->has_no_prefetch = true;
	} else if (strcmp(entry->name, ".prefetch.landmark") == 0) {
		toc->prefetch_size = record->offset;
	} else {
		return false;
	}
	toc->has_landmark = true;
	return true;
}

/* The table of contents is no file of the layer, and nothing is below it. */
static bool is_toc(const char *name)
{
	size_t size = sizeof(toc_name) - 1;

	return strncmp(name, toc_name, size) == 0 && (name[size] == '\0' || name[size] == '/');
}

static int add_entry(
	struct estargz_builder *builder, const struct estargz_record *record, struct error *err)
{
	struct open_file *file = &builder->file;
	struct toc_entry entry = {.first_chunk = builder->toc->n_chunks};

	if (close_file(builder, err) < 0 || set_type(record, &entry, err) < 0 ||
		set_name(builder, record, &entry, err) < 0)
		return -1;
	file->is_hidden = take_landmark(builder, record, &entry) || is_toc(entry.name);
	if (!file->is_hidden) {
		if (set_link(builder, record, &entry, err) < 0 ||
			set_attributes(record, &entry, err) < 0 ||
			add_xattrs(builder, record, &entry, err) < 0)
			return -1;
		if (entry.type == TOC_REGULAR)
			entry.size = record->size;
		if (toc_add_entry(builder->toc, &entry, err) < 0)
			return -1;
	}
	if (entry.type != TOC_REGULAR)
		return 0;
	file->is_open = true;
	file->size = record->size;
	return record->size > 0 ? add_chunk(builder, record, err) : 0;
}

int estargz_builder_add(
	struct estargz_builder *builder, const struct estargz_record *record, struct error *err)
{
	int result;

	if (!text_is(record->type, "chunk"))
		result = add_entry(builder, record, err);
	else if (builder->file.is_open)
		result = add_chunk(builder, record, err);
	else
		result = error_set(err, ERROR_FORMAT, "chunk of no regular file");
	if (result < 0)
		return estargz_builder_blame(builder, record, err);
	builder->n_records++;
	return 0;
}

int estargz_builder_finish(struct estargz_builder *builder, struct toc **out, struct error *err)
{
	if (close_file(builder, err) < 0 ||
		close_group(builder, builder->options->payload_end, err) < 0)
		return error_prefix(err, "end of entries");
	if (builder->has_no_prefetch)
		builder->toc->prefetch_size = 0;
	*out = TAKE_PTR(builder->toc);
	return 0;
}
