/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of xattrs in the form an image stores them, each kept once. */
#include "draft_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "erofs_format.h"

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for xattrs");
}

static const struct xattr_prefix prefixes[] = {
	{"user.", 5, 1, false},
	{"system.posix_acl_access", 23, 2, true},
	{"system.posix_acl_default", 24, 3, true},
	{"trusted.", 8, 4, false},
	{"security.", 9, 6, false},
};

enum { N_PREFIXES = sizeof(prefixes) / sizeof(prefixes[0]), MAX_XATTR_NAME = 255 };

const struct xattr_prefix *xattr_prefix_of(const char *name)
{
	for (size_t i = 0; i < N_PREFIXES; i++) {
		if (strncmp(name, prefixes[i].text, prefixes[i].size) != 0)
			continue;
		/* Exactly the prefix: there has to be more, or must not be. */
		if ((name[prefixes[i].size] == 0) == prefixes[i].whole)
			return &prefixes[i];
	}
	return NULL;
}

const struct xattr_prefix *xattr_prefix_by_id(unsigned id)
{
	for (size_t i = 0; i < N_PREFIXES; i++) {
		if (prefixes[i].id == id)
			return &prefixes[i];
	}
	return NULL;
}

bool draft_xattr_supported(const char *name)
{
	return strlen(name) <= MAX_XATTR_NAME && xattr_prefix_of(name);
}

struct sorted_xattr {
	const struct draft_xattr *xattr;
	const struct xattr_prefix *prefix;
	size_t position; /* in what the caller gave: the last of equal names counts */
};

static int compare_xattrs(const void *a, const void *b)
{
	const struct sorted_xattr *left = a, *right = b;
	int order = strcmp(left->xattr->name, right->xattr->name);

	if (order != 0)
		return order;
	return (left->position > right->position) - (left->position < right->position);
}

static int sort_xattrs(
	const struct draft_xattr *xattrs, size_t n, struct sorted_xattr *sorted, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!draft_xattr_supported(xattrs[i].name))
			return error_set(err, ERROR_UNSUPPORTED, "xattr '%.100s' cannot be stored",
				xattrs[i].name);
		sorted[i].xattr = &xattrs[i];
		sorted[i].prefix = xattr_prefix_of(xattrs[i].name);
		sorted[i].position = i;
	}
	qsort(sorted, n, sizeof(*sorted), compare_xattrs);
	return 0;
}

static int append_xattr(struct buffer *body, const struct sorted_xattr *sorted)
{
	static const uint8_t zeros[4];
	const char *name = sorted->xattr->name + sorted->prefix->size;
	uint8_t entry[XATTR_ENTRY_SIZE];
	size_t name_size = strlen(name);

	entry[XATTR_NAME_SIZE] = (uint8_t)name_size;
	entry[XATTR_PREFIX] = sorted->prefix->id;
	le16_store(entry + XATTR_VALUE_SIZE, (uint16_t)sorted->xattr->value_size);
	if (buffer_append(body, entry, sizeof(entry)) < 0 ||
		buffer_append(body, name, name_size) < 0 ||
		buffer_append(body, sorted->xattr->value, sorted->xattr->value_size) < 0)
		return -1;
	return buffer_append(body, zeros, -body->size % 4);
}

static int encode(
	const struct sorted_xattr *sorted, size_t n, struct buffer *body, struct error *err)
{
	static const uint8_t header[XATTR_HEADER_SIZE];

	if (buffer_append(body, header, sizeof(header)) < 0)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const struct draft_xattr *xattr = sorted[i].xattr;

		if (i + 1 < n && strcmp(xattr->name, sorted[i + 1].xattr->name) == 0)
			continue;
		if (xattr->value_size > UINT16_MAX)
			return error_set(err, ERROR_UNSUPPORTED,
				"xattr '%.100s' of %zu bytes; at most %d can be stored",
				xattr->name, xattr->value_size, UINT16_MAX);
		if (append_xattr(body, &sorted[i]) < 0)
			return no_memory(err);
		if (body->size > XATTR_MAX_BODY)
			return error_set(err, ERROR_UNSUPPORTED,
				"more than %d bytes of xattrs on one file", XATTR_MAX_BODY);
	}
	return 0;
}

static bool set_has_body(const void *item, const void *key)
{
	const struct draft_xattrs *set = item;
	const struct buffer *body = key;

	return set->size == body->size && memcmp(set->body, body->data, body->size) == 0;
}

static int make_set(struct draft *draft, const struct buffer *body, const struct draft_xattrs **out)
{
	uint64_t hash = hash_bytes(draft->seed, body->data, body->size);
	struct draft_xattrs *set;

	set = hash_table_find(&draft->xattr_sets, hash, set_has_body, body);
	if (!set) {
		set = arena_alloc(&draft->arena, sizeof(*set) + body->size);
		if (!set)
			return -ENOMEM;
		set->size = (uint32_t)body->size;
		memcpy(set->body, body->data, body->size);
		if (hash_table_insert(&draft->xattr_sets, hash, set) < 0)
			return -ENOMEM;
	}
	*out = set;
	return 0;
}

int draft_make_xattrs(struct draft *draft, const struct draft_xattr *xattrs, size_t n,
	const struct draft_xattrs **out, struct error *err)
{
	CLEANUP(cleanup_free) struct sorted_xattr *sorted = NULL;
	CLEANUP(buffer_free) struct buffer body = {0};

	if (n == 0) {
		*out = NULL;
		return 0;
	}
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return no_memory(err);
	if (sort_xattrs(xattrs, n, sorted, err) < 0 || encode(sorted, n, &body, err) < 0)
		return -1;
	return make_set(draft, &body, out) < 0 ? no_memory(err) : 0;
}

/* The full name of an encoded xattr, and where the next one begins. */
static const uint8_t *decode(struct draft *draft, const uint8_t *entry, struct draft_xattr *out)
{
	const struct xattr_prefix *prefix = xattr_prefix_by_id(entry[XATTR_PREFIX]);
	size_t name_size = entry[XATTR_NAME_SIZE];
	char *name = arena_alloc(&draft->arena, prefix->size + name_size + 1);

	if (!name)
		return NULL;
	memcpy(name, prefix->text, prefix->size);
	memcpy(name + prefix->size, entry + XATTR_ENTRY_SIZE, name_size);
	out->name = name;
	out->value = entry + XATTR_ENTRY_SIZE + name_size;
	out->value_size = le16_load(entry + XATTR_VALUE_SIZE);
	return entry + align_up(XATTR_ENTRY_SIZE + name_size + out->value_size, 4);
}

int draft_add_xattrs(struct draft *draft, struct draft_inode *inode, const struct draft_xattr *more,
	size_t n_more, struct error *err)
{
	const struct draft_xattrs *set = inode->xattrs;
	CLEANUP(cleanup_free) struct draft_xattr *all = NULL;
	size_t n = 0, capacity = set ? set->size / XATTR_ENTRY_SIZE : 0;

	all = calloc(capacity + n_more + 1, sizeof(*all));
	if (!all)
		return no_memory(err);
	if (set) {
		const uint8_t *at = set->body + XATTR_HEADER_SIZE;

		while (at && at < set->body + set->size)
			at = decode(draft, at, &all[n++]);
		if (!at)
			return no_memory(err);
	}
	for (size_t i = 0; i < n_more; i++)
		all[n++] = more[i];
	return draft_make_xattrs(draft, all, n, &inode->xattrs, err);
}
