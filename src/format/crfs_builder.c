/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the table of contents of eStargz and zstd:chunked: which records make an entry,
 * which are bookkeeping, and what their fields may be. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "crfs_payload_internal.h"
#include "timestamp_internal.h"
#include "toc_entry_internal.h"

enum {
	MAX_LINK = 4095,
	/* dev_t of Linux: 12 bits of major number, 20 of minor. */
	MAX_MAJOR = 0xfff,
	MAX_MINOR = 0xfffff,
};

/* 0001-01-01T00:00:00Z, how programs in Go write that they know no time. */
#define GO_ZERO_TIME (-INT64_C(62135596800))

static const char toc_name[] = "stargz.index.json";

struct crfs_builder {
	const struct crfs_options *options;
	struct toc *toc;  /* owned */
	size_t n_records; /* without the one at hand */
	struct crfs_payload payload;
	bool has_no_prefetch;
	struct buffer scratch; /* decoded xattrs */
};

int crfs_builder_new(
	const struct crfs_options *options, struct crfs_builder **out, struct error *err)
{
	CLEANUP(crfs_builder_freep) struct crfs_builder *builder = NULL;

	builder = calloc(1, sizeof(*builder));
	if (!builder)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	builder->options = options;
	if (toc_new(&builder->toc, err) < 0)
		return -1;
	builder->payload = (struct crfs_payload){
		.options = options, .toc = builder->toc, .dialect = options->dialect};
	*out = TAKE_PTR(builder);
	return 0;
}

void crfs_builder_free(struct crfs_builder *builder)
{
	if (!builder)
		return;
	toc_free(builder->toc);
	buffer_free(&builder->scratch);
	free(builder);
}

void crfs_builder_freep(struct crfs_builder **builder)
{
	crfs_builder_free(*builder);
	*builder = NULL;
}

const char *crfs_builder_keep(struct crfs_builder *builder, const void *data, size_t size)
{
	return toc_intern(builder->toc, data, size);
}

int crfs_builder_blame(
	const struct crfs_builder *builder, const struct crfs_record *record, struct error *err)
{
	char name[TOC_SHOWN_SIZE];

	return error_prefix(err, "entry %zu (%s)", builder->n_records + 1,
		toc_entry_shown(record->name.data, record->name.size, name));
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents of this size");
}

static int set_link(struct crfs_builder *builder, const struct crfs_record *record,
	struct toc_entry *entry, struct error *err)
{
	struct crfs_text link = record->link_name;
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
		link = (struct crfs_text){.data = name, .size = strlen(name)};
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
	const struct crfs_record *record, struct toc_entry *entry, struct error *err)
{
	bool is_device = entry->type == TOC_CHARACTER || entry->type == TOC_BLOCK;

	entry->mode = (uint32_t)record->mode & 07777;
	if (record->modtime.size > 0 && !timestamp_parse(record->modtime.data, record->modtime.size,
						&entry->mtime_s, &entry->mtime_ns))
		return error_set(err, ERROR_FORMAT, "modtime is no RFC 3339 time");
	if (entry->mtime_s == GO_ZERO_TIME)
		entry->mtime_s = 0;
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
	struct crfs_builder *builder, const struct crfs_xattr *xattr, struct error *err)
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

static int add_xattrs(struct crfs_builder *builder, const struct crfs_record *record,
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
static bool take_landmark(struct crfs_builder *builder, const struct crfs_record *record,
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

/* Bookkeeping of stargz' dialect; to the other these are files like any. */
static bool is_hidden(struct crfs_builder *builder, const struct crfs_record *record,
	const struct toc_entry *entry)
{
	if (builder->payload.dialect != CRFS_STARGZ)
		return false;
	return take_landmark(builder, record, entry) || is_toc(entry->name);
}

static int add_entry(
	struct crfs_builder *builder, const struct crfs_record *record, struct error *err)
{
	struct crfs_payload *payload = &builder->payload;
	struct toc_entry entry = {.first_chunk = builder->toc->n_chunks};
	bool hidden;

	if (crfs_payload_close(payload, err) < 0 ||
		toc_entry_set_type(&entry, record->type.data, record->type.size, err) < 0 ||
		toc_entry_set_name(
			builder->toc, &entry, record->name.data, record->name.size, err) < 0)
		return -1;
	if (entry.type == TOC_REGULAR && record->size > 0 &&
		crfs_payload_tell(payload, record, err) < 0)
		return -1;
	hidden = is_hidden(builder, record, &entry);
	if (!hidden) {
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
	return crfs_payload_open(payload, record, hidden, err);
}

int crfs_builder_add(
	struct crfs_builder *builder, const struct crfs_record *record, struct error *err)
{
	int result;

	if (crfs_text_is(record->type, "chunk"))
		result = crfs_payload_add(&builder->payload, record, err);
	else
		result = add_entry(builder, record, err);
	if (result < 0)
		return crfs_builder_blame(builder, record, err);
	builder->n_records++;
	return 0;
}

/* Puts a name in a table of so many slots, a power of two and more than there are names. False: it
 * is there already. */
static bool remember_name(const char **slots, size_t n_slots, uint64_t seed, const char *name)
{
	size_t i = (size_t)hash_bytes(seed, name, strlen(name)) & (n_slots - 1);

	for (; slots[i]; i = (i + 1) & (n_slots - 1)) {
		if (strcmp(slots[i], name) == 0)
			return false;
	}
	slots[i] = name;
	return true;
}

static int check_unique(const struct toc *toc, struct error *err)
{
	CLEANUP(cleanup_free) const char **slots = NULL;
	char name[TOC_SHOWN_SIZE];
	size_t n_slots = 64;
	uint64_t seed;

	while (n_slots < toc->n_entries * 2)
		n_slots *= 2;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return out_of_memory(err);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return error_set_errno(err, errno, "read random bytes");
	for (size_t i = 0; i < toc->n_entries; i++) {
		const char *entry = toc->entries[i].name;

		if (!remember_name(slots, n_slots, seed, entry))
			return error_set(err, ERROR_FORMAT,
				"the name '%s' comes twice: readers would differ in which one "
				"counts; build the layer again",
				toc_entry_shown(entry, strlen(entry), name));
	}
	return 0;
}

int crfs_builder_finish(struct crfs_builder *builder, struct toc **out, struct error *err)
{
	if (crfs_payload_close(&builder->payload, err) < 0 ||
		crfs_payload_finish(&builder->payload, err) < 0)
		return error_prefix(err, "end of entries");
	if (builder->options->unique_names && check_unique(builder->toc, err) < 0)
		return -1;
	if (builder->has_no_prefetch)
		builder->toc->prefetch_size = 0;
	*out = TAKE_PTR(builder->toc);
	return 0;
}
