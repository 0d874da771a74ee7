/* SPDX-License-Identifier: Apache-2.0 */
/* A tar archive as a directory of files. */
#include "format/tar_members.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/tar.h"

enum { MAX_LINKS = 16, TAR_MAGIC_OFF = 257, NO_LINK = 0 };

/* Strings are offsets: the buffer moves while it grows. */
struct member {
	uint64_t off;
	uint64_t size;
	uint32_t name;
	uint32_t link; /* of what the link leads to, clean; NO_LINK for a file */
	uint32_t order;
	bool has_holes;
};

struct tar_members {
	struct tar_reader *reader; /* owned */
	uint64_t archive_size;
	struct member *members; /* owned; sorted by name, then order, once finished */
	size_t n_members;
	size_t capacity;
	struct buffer names; /* begins with a byte that is nobody's, so that NO_LINK is none */
};

static const char *text_at(const struct tar_members *members, uint32_t off)
{
	return (const char *)members->names.data + off;
}

static int add_name(struct tar_members *members, const char *name, uint32_t *out, struct error *err)
{
	size_t size = strlen(name) + 1;

	if (size > TAR_MAX_MEMBER_NAMES - members->names.size)
		return error_set(err, ERROR_FORMAT, "its names take more than %d bytes",
			TAR_MAX_MEMBER_NAMES);
	*out = (uint32_t)members->names.size;
	if (buffer_append(&members->names, name, size) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the members of an archive");
	return 0;
}

static int add_member(struct tar_members *members, const struct member *member, struct error *err)
{
	if (members->n_members == TAR_MAX_MEMBERS)
		return error_set(err, ERROR_FORMAT, "it has more than %d members", TAR_MAX_MEMBERS);
	if (members->n_members == members->capacity) {
		size_t capacity = members->capacity ? 2 * members->capacity : 64;
		struct member *more = reallocarray(members->members, capacity, sizeof(*more));

		if (!more)
			return error_set(
				err, ERROR_NO_MEMORY, "no memory for the members of an archive");
		members->members = more;
		members->capacity = capacity;
	}
	members->members[members->n_members] = *member;
	members->members[members->n_members].order = (uint32_t)members->n_members;
	members->n_members++;
	return 0;
}

/* A symbolic link counts from the directory it is in, a hard link from the root. */
static int add_link(struct tar_members *members, const struct tar_entry *entry, const char *name,
	uint32_t *out, struct error *err)
{
	char path[2 * TOC_MAX_NAME + 2];
	char clean[TOC_MAX_NAME + 1];
	size_t parent = 0;

	if (entry->type == '2' && entry->link_name[0] != '/' && strrchr(name, '/'))
		parent = (size_t)(strrchr(name, '/') - name) + 1;
	if (strlen(entry->link_name) > TOC_MAX_NAME)
		return error_set(err, ERROR_FORMAT, "the link %.100s leads to a name of %zu bytes",
			name, strlen(entry->link_name));
	(void)snprintf(path, sizeof(path), "%.*s%s", (int)parent, name, entry->link_name);
	if (toc_clean_name(path, strlen(path), clean, err) < 0)
		return error_prefix(err, "the link %.100s", name);
	return add_name(members, clean, out, err);
}

/* What has neither bytes nor a name elsewhere is of no interest. */
static int on_entry(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct tar_members *members = arg;
	struct member member = {.off = entry->payload_off, .size = entry->size};
	char name[TOC_MAX_NAME + 1];

	if (!range_within(entry->payload_off, entry->payload_size, members->archive_size))
		return error_set(err, ERROR_FORMAT,
			"the archive ends before the end of its member %.100s", entry->name);
	if (entry->type > '2')
		return 0;
	if (toc_clean_name(entry->name, strlen(entry->name), name, err) < 0 ||
		add_name(members, name, &member.name, err) < 0)
		return -1;
	member.has_holes = entry->payload_size != entry->size;
	if (entry->link_name && add_link(members, entry, name, &member.link, err) < 0)
		return -1;
	return add_member(members, &member, err);
}

int tar_members_new(uint64_t archive_size, struct tar_members **out, struct error *err)
{
	CLEANUP(tar_members_freep) struct tar_members *members = calloc(1, sizeof(*members));

	if (!members || buffer_append(&members->names, "", 1) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the members of an archive");
	members->archive_size = archive_size;
	if (tar_reader_new(on_entry, members, &members->reader, err) < 0)
		return -1;
	*out = TAKE_PTR(members);
	return 0;
}

void tar_members_free(struct tar_members *members)
{
	if (!members)
		return;
	tar_reader_free(members->reader);
	buffer_free(&members->names);
	free(members->members);
	free(members);
}

void tar_members_freep(struct tar_members **members)
{
	tar_members_free(*members);
	*members = NULL;
}

uint64_t tar_members_want(const struct tar_members *members)
{
	return tar_reader_off(members->reader);
}

/* Tells a compressed archive, which other tools take, from what is none. */
static int check_magic(const uint8_t *data, size_t size, struct error *err)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *name;
		const char *cure;
	} compressions[] = {
		{"\x1f\x8b", 2, "gzip", "gzip -d"},
		{"\x28\xb5\x2f\xfd", 4, "zstd", "zstd -d"},
		{"\xfd"
		 "7zXZ",
			5, "xz", "xz -d"},
		{"BZh", 3, "bzip2", "bzip2 -d"},
	};

	if (size >= TAR_MAGIC_OFF + 5 && memcmp(data + TAR_MAGIC_OFF, "ustar", 5) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++) {
		if (size < compressions[i].size ||
			memcmp(data, compressions[i].magic, compressions[i].size) != 0)
			continue;
		return error_set(err, ERROR_UNSUPPORTED,
			"the archive is compressed with %s, so that no part of it can be read "
			"alone: decompress it first (%s)",
			compressions[i].name, compressions[i].cure);
	}
	return 0;
}

int tar_members_feed(struct tar_members *members, const void *data, size_t size, struct error *err)
{
	if (tar_reader_off(members->reader) == 0 && check_magic(data, size, err) < 0)
		return -1;
	if (tar_reader_feed(members->reader, data, size, err) < 0)
		return -1;
	(void)tar_reader_skip(
		members->reader, members->archive_size - tar_reader_off(members->reader));
	return 0;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct tar_members *members = arg;
	const struct member *x = a, *y = b;
	int result = strcmp(text_at(members, x->name), text_at(members, y->name));

	if (result != 0)
		return result;
	return x->order < y->order ? -1 : x->order > y->order;
}

int tar_members_finish(struct tar_members *members, struct error *err)
{
	if (tar_reader_finish(members->reader, err) < 0)
		return -1;
	if (members->n_members > 1)
		qsort_r(members->members, members->n_members, sizeof(*members->members), compare,
			members);
	return 0;
}

/* The last one of this name; NULL when there is none. */
static const struct member *find_name(const struct tar_members *members, const char *name)
{
	size_t low = 0, high = members->n_members;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(text_at(members, members->members[middle].name), name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || strcmp(text_at(members, members->members[low - 1].name), name) != 0)
		return NULL;
	return &members->members[low - 1];
}

int tar_members_find(const struct tar_members *members, const char *path,
	struct tar_member_place *out, struct error *err)
{
	const struct member *member = find_name(members, path);

	if (!member)
		return error_set(err, ERROR_NOT_FOUND, "the archive has no file %.200s", path);
	for (int n = 0; member->link != NO_LINK; n++) {
		const char *target = text_at(members, member->link);

		if (n == MAX_LINKS)
			return error_set(err, ERROR_FORMAT,
				"%.100s is more than %d links after each other", path, MAX_LINKS);
		member = find_name(members, target);
		if (!member)
			return error_set(err, ERROR_FORMAT,
				"%.100s is a link to %.100s, which the archive does not have", path,
				target);
	}
	if (member->has_holes)
		return error_set(err, ERROR_UNSUPPORTED,
			"%.200s is stored with holes (tar --sparse): pack the archive without them",
			path);
	*out = (struct tar_member_place){member->off, member->size};
	return 0;
}
