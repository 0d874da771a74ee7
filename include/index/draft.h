/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A file tree in memory, on its way into an index: inodes, and the names that lead to them. Memory
 * is one arena, given back as a whole; an inode costs about 150 bytes with its name. One thread.
 *
 * Removing a name does not free what it led to, and a directory may be replaced by a new one: what
 * draft_finish() can reach from the root is the tree. */
struct draft;
struct draft_directory;
struct draft_xattrs;

/* A file of any type. What the union holds follows from the mode. */
struct draft_inode {
	union {
		struct draft_directory *directory;
		const char *target; /* symlink; in the tree's arena */
		uint64_t data_off;  /* regular file: place in its device, a multiple of 4096 */
		struct {
			uint32_t rdev_major; /* at most 12 bits */
			uint32_t rdev_minor; /* at most 20 bits */
		};
	};
	uint64_t size; /* regular file: bytes; symlink: of the target */
	int64_t mtime_s;
	const struct draft_xattrs *xattrs; /* NULL: none. From draft_make_xattrs() */
	uint64_t nid;                      /* the writer's */
	uint32_t mtime_ns;
	uint32_t mode; /* with S_IFMT, which never changes */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;  /* draft_finish()'s; 0: not in the tree */
	uint16_t device; /* regular file: 0-based */
	uint8_t flags;   /* enum erofs_flags of index/erofs_reader.h */
};

/* A name in a directory. Stays where it is for the life of the tree. */
struct draft_entry {
	struct draft_entry *next;   /* in the directory, in order of first appearance */
	struct draft_inode *parent; /* the directory; one that was replaced keeps its entries */
	struct draft_inode *inode;  /* NULL: removed */
	uint8_t name_size;
	char name[]; /* not NUL-terminated */
};

/* An empty tree: only its root. */
MUST_CHECK int draft_new(struct draft **out, struct error *err);
/* So many names are to come. */
MUST_CHECK int draft_reserve(struct draft *draft, size_t n_names, struct error *err);
void draft_free(struct draft *draft);
void draft_freep(struct draft **draft);

/* At first an implicit directory, mode 0755, all else 0. Replacing it empties the tree. */
struct draft_inode *draft_root(const struct draft *draft);
MUST_CHECK int draft_replace_root(struct draft *draft, struct error *err);

/* An inode without a name; a directory has no entries yet. NULL without memory. */
struct draft_inode *draft_new_inode(struct draft *draft, uint32_t mode);

/* A copy with a NUL behind it, living as long as the tree; NULL without memory. */
const char *draft_copy(struct draft *draft, const char *text, size_t size);

/* The entry of this name, NULL when there is none or it was removed. */
struct draft_entry *draft_find(const struct draft *draft, const struct draft_inode *directory,
	const char *name, size_t name_size);

/* Gives an inode (another) name, which is 1 to 255 bytes. What had the name before loses it; what
 * was below that is then out of reach. A directory can have only one name, ever. */
MUST_CHECK int draft_link(struct draft *draft, struct draft_inode *directory, const char *name,
	size_t name_size, struct draft_inode *inode, struct error *err);

/* The first entry of a directory, including removed ones; go on with entry->next. */
struct draft_entry *draft_entries(const struct draft_inode *directory);

/* An xattr as the caller has it; nothing is kept of it. */
struct draft_xattr {
	const char *name; /* full: "security.capability" */
	const void *value;
	size_t value_size;
};

/* Whether an image can store an xattr of this name; others are not for files of Linux. */
bool draft_xattr_supported(const char *name);

/* A set of xattrs, shared with every equal one. A name that is there twice has its last value.
 * ERROR_UNSUPPORTED: more than an inode can carry (256 KiB), or a name that is not supported.
 * No xattrs: *out is NULL. */
MUST_CHECK int draft_make_xattrs(struct draft *draft, const struct draft_xattr *xattrs, size_t n,
	const struct draft_xattrs **out, struct error *err);

/* Adds to what an inode has, whose set is replaced by a new one. */
MUST_CHECK int draft_add_xattrs(struct draft *draft, struct draft_inode *inode,
	const struct draft_xattr *more, size_t n_more, struct error *err);

/* Whether draft_walk() makes what is missing. */
enum draft_walk {
	DRAFT_WALK_EXISTING, /* *out is NULL when the path leads to no directory */
	DRAFT_WALK_CREATE,   /* missing directories are made, implicit; a file in the way is
			      * ERROR_FORMAT */
};

/* The directory that a clean path ("usr/lib", "" for the root) leads to. Symlinks on the way are
 * followed inside the tree, as programs that unpack archives do; more than 40 are ERROR_FORMAT. */
MUST_CHECK int draft_walk(struct draft *draft, const char *path, size_t path_size,
	enum draft_walk mode, struct draft_inode **out, struct error *err);

/* The same, from a directory onwards: for a single symlink found in it. */
MUST_CHECK int draft_walk_from(struct draft *draft, struct draft_inode *directory, const char *path,
	size_t path_size, enum draft_walk mode, struct draft_inode **out, struct error *err);

/* What a clean path ("usr/bin/x") leads to. Symlinks on the way are followed, a last one is not.
 * *out is NULL when there is nothing. */
MUST_CHECK int draft_find_path(
	struct draft *draft, const char *path, struct draft_inode **out, struct error *err);

/* Sorts every directory and counts links. Once, after the last change. */
MUST_CHECK int draft_finish(struct draft *draft, struct error *err);

/* After draft_finish(): the number of inodes. */
uint64_t draft_n_inodes(const struct draft *draft);
