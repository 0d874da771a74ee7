/* SPDX-License-Identifier: Apache-2.0 */
/* File trees in memory: inodes and their names. */
#include "draft_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "index/erofs_reader.h"

enum { MAX_NAME = 255 };

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a file tree");
}

int draft_new(struct draft **out, struct error *err)
{
	CLEANUP(draft_freep) struct draft *draft = calloc(1, sizeof(*draft));

	if (!draft)
		return no_memory(err);
	if (getrandom(&draft->seed, sizeof(draft->seed), 0) != sizeof(draft->seed))
		return error_set_errno(err, errno, "read random bytes");
	if (draft_replace_root(draft, err) < 0)
		return -1;
	*out = TAKE_PTR(draft);
	return 0;
}

int draft_reserve(struct draft *draft, size_t n_names, struct error *err)
{
	return hash_table_reserve(&draft->names, n_names) < 0 ? no_memory(err) : 0;
}

void draft_free(struct draft *draft)
{
	if (!draft)
		return;
	free(draft->directories);
	free(draft->implicit);
	hash_table_free(&draft->names);
	hash_table_free(&draft->xattr_sets);
	arena_free(&draft->arena);
	free(draft);
}

void draft_freep(struct draft **draft)
{
	draft_free(*draft);
}

struct draft_inode *draft_root(const struct draft *draft)
{
	return draft->root;
}

int draft_replace_root(struct draft *draft, struct error *err)
{
	struct draft_inode *root = draft_new_inode(draft, S_IFDIR | 0755);

	if (!root)
		return no_memory(err);
	root->flags = EROFS_IMPLICIT;
	root->directory->parent = root;
	draft->root = root;
	return 0;
}

struct draft_inode *draft_new_inode(struct draft *draft, uint32_t mode)
{
	struct draft_inode *inode = arena_alloc(&draft->arena, sizeof(*inode));

	if (!inode)
		return NULL;
	inode->mode = mode;
	if (!S_ISDIR(mode))
		return inode;

	inode->directory = arena_alloc(&draft->arena, sizeof(*inode->directory));
	if (!inode->directory)
		return NULL;
	draft->n_directories_made++;
	return inode;
}

const char *draft_copy(struct draft *draft, const char *text, size_t size)
{
	char *copy = arena_alloc(&draft->arena, size + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, size);
	return copy;
}

struct name_key {
	const struct draft_inode *parent;
	const char *name;
	size_t name_size;
};

static bool entry_has_key(const void *item, const void *key)
{
	const struct draft_entry *entry = item;
	const struct name_key *wanted = key;

	return entry->parent == wanted->parent && entry->name_size == wanted->name_size &&
	       memcmp(entry->name, wanted->name, wanted->name_size) == 0;
}

static uint64_t hash_of(const struct draft *draft, const struct name_key *key)
{
	return hash_bytes(draft->seed ^ (uintptr_t)key->parent, key->name, key->name_size);
}

struct draft_entry *draft_find(const struct draft *draft, const struct draft_inode *directory,
	const char *name, size_t name_size)
{
	struct name_key key = {directory, name, name_size};
	struct draft_entry *entry;

	entry = hash_table_find(&draft->names, hash_of(draft, &key), entry_has_key, &key);
	return entry && entry->inode ? entry : NULL;
}

static struct draft_entry *add_entry(
	struct draft *draft, const struct name_key *key, uint64_t hash, struct draft_inode *parent)
{
	struct draft_directory *directory = parent->directory;
	struct draft_entry *entry = arena_alloc(&draft->arena, sizeof(*entry) + key->name_size);

	if (!entry)
		return NULL;
	entry->parent = parent;
	entry->name_size = (uint8_t)key->name_size;
	memcpy(entry->name, key->name, key->name_size);
	if (hash_table_insert(&draft->names, hash, entry) < 0)
		return NULL;

	if (directory->last)
		directory->last->next = entry;
	else
		directory->first = entry;
	directory->last = entry;
	directory->n_entries++;
	return entry;
}

int draft_link(struct draft *draft, struct draft_inode *directory, const char *name,
	size_t name_size, struct draft_inode *inode, struct error *err)
{
	struct name_key key = {directory, name, name_size};
	struct draft_entry *entry;
	uint64_t hash;

	assert(S_ISDIR(directory->mode));
	assert(!S_ISDIR(inode->mode) || !inode->directory->parent);
	if (name_size == 0 || name_size > MAX_NAME)
		return error_set(err, ERROR_FORMAT,
			"a file name of %zu bytes; 1 to %d are possible", name_size, MAX_NAME);
	hash = hash_of(draft, &key);
	entry = hash_table_find(&draft->names, hash, entry_has_key, &key);
	if (!entry)
		entry = add_entry(draft, &key, hash, directory);
	if (!entry)
		return no_memory(err);

	entry->inode = inode;
	if (S_ISDIR(inode->mode))
		inode->directory->parent = directory;
	return 0;
}

struct draft_entry *draft_entries(const struct draft_inode *directory)
{
	assert(S_ISDIR(directory->mode));
	return directory->directory->first;
}

uint64_t draft_n_inodes(const struct draft *draft)
{
	return draft->n_inodes;
}
