/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "arena.h"
#include "hash_table.h"
#include "index/draft.h"

struct draft {
	struct arena arena;
	struct hash_table names; /* struct draft_entry, by parent and name */
	struct hash_table xattr_sets;
	uint64_t seed;
	struct draft_inode *root;
	uint64_t n_directories_made;

	/* Directories that draft_walk() made, by their names. Owned. */
	struct draft_entry **implicit;
	size_t n_implicit;
	size_t implicit_capacity;

	uint64_t n_inodes; /* draft_finish()'s */

	/* draft_finish()'s: every directory of the tree, each before what is below it and all of
	 * that before its next sibling. Owned. */
	struct draft_inode **directories;
	size_t n_directories;
};

struct draft_directory {
	struct draft_entry *first;
	struct draft_entry *last;
	struct draft_inode *parent;  /* itself: the root; NULL: has no name yet */
	struct draft_entry **sorted; /* draft_finish()'s: what is left, bytewise; in the arena */
	uint32_t n_entries;          /* before draft_finish() with the removed ones, then without */
	uint64_t size;               /* the writer's: bytes of the encoded entries */
	uint64_t block;              /* the writer's: where they begin, unless inline */
};

/* As it stands behind an inode in an image. */
struct draft_xattrs {
	uint32_t size;
	uint8_t body[];
};

/* Bytewise, a prefix first. */
int name_compare(const char *a, size_t a_size, const char *b, size_t b_size);

/* The prefix of an xattr's name that an image stores as a number. */
struct xattr_prefix {
	const char *text;
	uint8_t size;
	uint8_t id;
	bool whole; /* text is the whole name */
};

/* NULL when there is none for this name or number. */
const struct xattr_prefix *xattr_prefix_of(const char *name);
const struct xattr_prefix *xattr_prefix_by_id(unsigned id);
