/* SPDX-License-Identifier: Apache-2.0 */
/* Two descriptions of one entry: what an index says, and what the archive says. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "toc_entry_internal.h"

static int differs(struct error *err, const char *what, const char *index, const char *archive)
{
	return error_set(err, ERROR_FORMAT, "its %s is %s in the index, but %s in the archive",
		what, index, archive);
}

static int compare_number(const char *what, uint64_t expected, uint64_t actual, struct error *err)
{
	char index[24], archive[24];

	if (expected == actual)
		return 0;
	(void)snprintf(index, sizeof(index), "%" PRIu64, expected);
	(void)snprintf(archive, sizeof(archive), "%" PRIu64, actual);
	return differs(err, what, index, archive);
}

static int compare_mode(uint32_t expected, uint32_t actual, struct error *err)
{
	char index[16], archive[16];

	if (expected == actual)
		return 0;
	(void)snprintf(index, sizeof(index), "%04" PRIo32, expected);
	(void)snprintf(archive, sizeof(archive), "%04" PRIo32, actual);
	return differs(err, "mode", index, archive);
}

static int compare_text(
	const char *what, const char *expected, const char *actual, struct error *err)
{
	char index[TOC_SHOWN_SIZE], archive[TOC_SHOWN_SIZE];

	expected = expected ? expected : "";
	actual = actual ? actual : "";
	if (strcmp(expected, actual) == 0)
		return 0;
	return differs(err, what, toc_entry_shown(expected, strlen(expected), index),
		toc_entry_shown(actual, strlen(actual), archive));
}

static int compare_time(
	const struct toc_entry *expected, const struct toc_entry *actual, struct error *err)
{
	char index[40], archive[40];

	if (expected->mtime_s == actual->mtime_s && expected->mtime_ns == actual->mtime_ns)
		return 0;
	(void)snprintf(index, sizeof(index), "%" PRId64 ".%09" PRIu32, expected->mtime_s,
		expected->mtime_ns);
	(void)snprintf(archive, sizeof(archive), "%" PRId64 ".%09" PRIu32, actual->mtime_s,
		actual->mtime_ns);
	return differs(err, "time of modification", index, archive);
}

/* What counts of a name: the last one. */
static const struct toc_xattr *find_xattr(
	const struct toc *toc, const struct toc_entry *entry, const char *name)
{
	for (uint32_t i = entry->n_xattrs; i > 0; i--) {
		const struct toc_xattr *xattr = &toc->xattrs[entry->first_xattr + i - 1];

		if (strcmp(xattr->name, name) == 0)
			return xattr;
	}
	return NULL;
}

/* Every xattr of the one is in the other. */
static int compare_xattrs(const struct toc *toc, const struct toc_entry *entry,
	const struct toc *other_toc, const struct toc_entry *other, struct error *err)
{
	char shown[TOC_SHOWN_SIZE];

	for (uint32_t i = 0; i < entry->n_xattrs; i++) {
		const char *name = toc->xattrs[entry->first_xattr + i].name;
		const struct toc_xattr *left = find_xattr(toc, entry, name);
		const struct toc_xattr *right = find_xattr(other_toc, other, name);

		if (!right || left->value_size != right->value_size ||
			memcmp(left->value, right->value, left->value_size) != 0)
			return error_set(err, ERROR_FORMAT,
				"its xattr %s is not the same in index and archive",
				toc_entry_shown(name, strlen(name), shown));
	}
	return 0;
}

int toc_entry_compare(const struct toc *index, const struct toc_entry *expected,
	const struct toc *archive, const struct toc_entry *actual, struct error *err)
{
	if (compare_text("name", expected->name, actual->name, err) < 0 ||
		compare_text("type", toc_entry_type_name(expected->type),
			toc_entry_type_name(actual->type), err) < 0 ||
		compare_text("link name", expected->link_name, actual->link_name, err) < 0 ||
		compare_mode(expected->mode, actual->mode, err) < 0 ||
		compare_number("owner", expected->uid, actual->uid, err) < 0 ||
		compare_number("group", expected->gid, actual->gid, err) < 0 ||
		compare_number("size", expected->size, actual->size, err) < 0 ||
		compare_number("major number", expected->dev_major, actual->dev_major, err) < 0 ||
		compare_number("minor number", expected->dev_minor, actual->dev_minor, err) < 0 ||
		compare_time(expected, actual, err) < 0)
		return -1;
	if (compare_xattrs(index, expected, archive, actual, err) < 0)
		return -1;
	return compare_xattrs(archive, actual, index, expected, err);
}
