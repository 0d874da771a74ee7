/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a layer to the tree of the layers below it, as unpacking it there would. */
#include "image_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "arena.h"
#include "base/hash.h"
#include "erofs_internal.h"
#include "hash_table.h"
#include "layer_index_internal.h"

/* A directory of the layer, and the one of the image that takes its names. */
struct frame {
	uint64_t nid;
	struct draft_inode *directory;
};

/* An inode of the layer that has several names, and what stands for it in the image. */
struct known_inode {
	uint64_t nid;
	struct draft_inode *inode;
};

struct merge {
	struct draft *draft;
	const struct erofs_reader *layer;
	unsigned device;
	struct hash_table known; /* struct known_inode */
	struct arena arena;
	struct frame *frames; /* owned: directories still to be merged */
	size_t n_frames;
	size_t frames_capacity;
	struct draft_inode *here; /* the directory that is being merged */
	struct error *err;
	bool failed; /* inside a callback, which has set err */
};

static void merge_cleanup(struct merge *merge)
{
	hash_table_free(&merge->known);
	arena_free(&merge->arena);
	free(merge->frames);
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for the index of an image");
}

static bool has_nid(const void *item, const void *key)
{
	return ((const struct known_inode *)item)->nid == *(const uint64_t *)key;
}

static struct draft_inode *find_known(const struct merge *merge, uint64_t nid)
{
	const struct known_inode *known =
		hash_table_find(&merge->known, hash_bytes(0, &nid, sizeof(nid)), has_nid, &nid);

	return known ? known->inode : NULL;
}

static int add_known(struct merge *merge, uint64_t nid, struct draft_inode *inode)
{
	struct known_inode *known = arena_alloc(&merge->arena, sizeof(*known));

	if (!known)
		return no_memory(merge->err);
	*known = (struct known_inode){nid, inode};
	if (hash_table_insert(&merge->known, hash_bytes(0, &nid, sizeof(nid)), known) < 0)
		return no_memory(merge->err);
	return 0;
}

/* The xattrs of one inode, gathered. */
struct gathering {
	struct merge *merge;
	struct draft_xattr *xattrs; /* owned */
	size_t n;
	size_t capacity;
	bool failed;
};

static int gather_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	struct gathering *gathering = arg;
	const char *copy;

	if (is_overlay_xattr(name))
		return 0;
	copy = draft_copy(gathering->merge->draft, name, strlen(name));
	if (!copy || array_reserve(&gathering->xattrs, &gathering->capacity, gathering->n + 1,
			     sizeof(*gathering->xattrs)) < 0) {
		gathering->failed = true;
		return 1;
	}
	gathering->xattrs[gathering->n++] = (struct draft_xattr){copy, value, value_size};
	return 0;
}

static int copy_xattrs(struct merge *merge, uint64_t nid, struct draft_inode *inode)
{
	struct gathering gathering = {.merge = merge};
	int ret;

	ret = erofs_each_xattr(merge->layer, nid, gather_xattr, &gathering, merge->err);
	if (ret == 0 && gathering.failed)
		ret = no_memory(merge->err);
	if (ret == 0)
		ret = draft_make_xattrs(
			merge->draft, gathering.xattrs, gathering.n, &inode->xattrs, merge->err);
	free(gathering.xattrs);
	return ret;
}

static int copy_attributes(
	struct merge *merge, const struct erofs_attr *attr, struct draft_inode *inode)
{
	inode->mode = attr->mode;
	inode->uid = attr->uid;
	inode->gid = attr->gid;
	inode->mtime_s = attr->mtime_s;
	inode->mtime_ns = attr->mtime_ns;
	inode->flags = 0;
	return copy_xattrs(merge, attr->nid, inode);
}

static int copy_contents(
	struct merge *merge, const struct erofs_attr *attr, struct draft_inode *inode)
{
	struct erofs_extent extent;
	char target[4096];

	if (S_ISLNK(attr->mode)) {
		if (erofs_readlink(merge->layer, attr->nid, target, merge->err) < 0)
			return -1;
		inode->size = strlen(target);
		inode->target = draft_copy(merge->draft, target, inode->size);
		if (!inode->target)
			return no_memory(merge->err);
	} else if (S_ISREG(attr->mode)) {
		if (erofs_extent(merge->layer, attr->nid, &extent, merge->err) < 0)
			return -1;
		inode->size = attr->size;
		inode->data_off = extent.data_off;
		inode->device = (uint16_t)merge->device;
	} else if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) {
		inode->rdev_major = attr->rdev_major;
		inode->rdev_minor = attr->rdev_minor;
	}
	return 0;
}

static int push(struct merge *merge, uint64_t nid, struct draft_inode *directory)
{
	if (array_reserve(&merge->frames, &merge->frames_capacity, merge->n_frames + 1,
		    sizeof(*merge->frames)) < 0)
		return no_memory(merge->err);
	merge->frames[merge->n_frames++] = (struct frame){nid, directory};
	return 0;
}

/* A directory of its own for one of the layer: nothing of the lower one of this name is left but,
 * where the layer only implies it, its attributes. */
static int merge_new_directory(struct merge *merge, const struct erofs_dirent *name,
	const struct erofs_attr *attr, const struct draft_entry *there)
{
	struct draft_inode *inode = draft_new_inode(merge->draft, S_IFDIR);
	const struct draft_inode *lower = there ? there->inode : NULL;

	if (!inode)
		return no_memory(merge->err);
	if (lower && S_ISDIR(lower->mode) && (attr->flags & EROFS_IMPLICIT)) {
		inode->mode = lower->mode;
		inode->uid = lower->uid;
		inode->gid = lower->gid;
		inode->mtime_s = lower->mtime_s;
		inode->mtime_ns = lower->mtime_ns;
		inode->xattrs = lower->xattrs;
	} else if (copy_attributes(merge, attr, inode) < 0) {
		return -1;
	}
	if (draft_link(merge->draft, merge->here, name->name, name->name_size, inode, merge->err) <
		0)
		return -1;
	return push(merge, attr->nid, inode);
}

static int merge_directory(struct merge *merge, const struct erofs_dirent *name,
	const struct erofs_attr *attr, const struct draft_entry *there)
{
	bool is_implicit = attr->flags & EROFS_IMPLICIT;
	struct draft_inode *inode;

	if (!there || (attr->flags & EROFS_OPAQUE))
		return merge_new_directory(merge, name, attr, there);
	if (S_ISDIR(there->inode->mode)) {
		if (!is_implicit && copy_attributes(merge, attr, there->inode) < 0)
			return -1;
		return push(merge, attr->nid, there->inode);
	}
	/* Something below "lib" in this layer, and "lib" is a symlink below: it goes to where that
	 * leads, as it does for who unpacks one layer on another. */
	if (is_implicit && S_ISLNK(there->inode->mode)) {
		if (draft_walk_from(merge->draft, merge->here, name->name, name->name_size,
			    DRAFT_WALK_CREATE, &inode, merge->err) < 0)
			return -1;
		return push(merge, attr->nid, inode);
	}
	return merge_new_directory(merge, name, attr, there);
}

static int merge_other(
	struct merge *merge, const struct erofs_dirent *name, const struct erofs_attr *attr)
{
	struct draft_inode *inode = attr->nlink > 1 || (attr->flags & EROFS_HARDLINK)
					    ? find_known(merge, attr->nid)
					    : NULL;

	if (!inode) {
		inode = draft_new_inode(merge->draft, attr->mode & S_IFMT);
		if (!inode)
			return no_memory(merge->err);
		if (copy_attributes(merge, attr, inode) < 0 ||
			copy_contents(merge, attr, inode) < 0)
			return -1;
		if (attr->nlink > 1 && add_known(merge, attr->nid, inode) < 0)
			return -1;
	}
	return draft_link(
		merge->draft, merge->here, name->name, name->name_size, inode, merge->err);
}

static bool is_whiteout(const struct erofs_attr *attr)
{
	return S_ISCHR(attr->mode) && attr->rdev_major == 0 && attr->rdev_minor == 0;
}

static int merge_name(struct merge *merge, const struct erofs_dirent *name)
{
	struct draft_entry *there;
	struct erofs_attr attr;

	if (erofs_getattr(merge->layer, name->nid, &attr, merge->err) < 0)
		return -1;
	there = draft_find(merge->draft, merge->here, name->name, name->name_size);
	if (is_whiteout(&attr)) {
		if (there)
			there->inode = NULL;
		return 0;
	}
	if (S_ISDIR(attr.mode))
		return merge_directory(merge, name, &attr, there);
	return merge_other(merge, name, &attr);
}

static int visit_name(void *arg, const struct erofs_dirent *name)
{
	struct merge *merge = arg;
	bool is_dots = (name->name_size == 1 && name->name[0] == '.') ||
		       (name->name_size == 2 && memcmp(name->name, "..", 2) == 0);

	if (is_dots || merge_name(merge, name) == 0)
		return 0;
	(void)error_prefix(merge->err, "'%.*s'", (int)name->name_size, name->name);
	merge->failed = true;
	return 1;
}

static int merge_root(struct merge *merge)
{
	uint64_t nid = erofs_root(merge->layer);
	struct draft_inode before = *draft_root(merge->draft);
	struct draft_inode *root;
	struct erofs_attr attr;

	if (erofs_getattr(merge->layer, nid, &attr, merge->err) < 0)
		return -1;
	if (attr.flags & EROFS_OPAQUE) {
		if (draft_replace_root(merge->draft, merge->err) < 0)
			return -1;
		root = draft_root(merge->draft);
		before.directory = root->directory;
		*root = before;
	}
	root = draft_root(merge->draft);
	if (!(attr.flags & EROFS_IMPLICIT) && copy_attributes(merge, &attr, root) < 0)
		return -1;
	return push(merge, nid, root);
}

/* What an unresolved hard link means is decided before the layer changes anything. */
static int resolve_link(struct merge *merge, uint64_t nid)
{
	struct draft_inode *inode;
	char target[4096], path[4096];

	if (erofs_readlink(merge->layer, nid, target, merge->err) < 0)
		return -1;
	if (draft_find_path(merge->draft, target, &inode, merge->err) < 0)
		return error_prefix(merge->err, "hard link to '%.100s'", target);
	if (inode && !S_ISDIR(inode->mode))
		return add_known(merge, nid, inode);
	if (erofs_path(merge->layer, nid, path, merge->err) < 0)
		return -1;
	return error_set(merge->err, ERROR_FORMAT, "hard link '%.180s' to '%.180s', which %s",
		path + 1, target, inode ? "is a directory" : "no layer below it has");
}

static int resolve_links(struct merge *merge)
{
	for (uint64_t nid = 0; next_inode(merge->layer, &nid); nid++) {
		struct erofs_attr attr;

		if (erofs_getattr(merge->layer, nid, &attr, merge->err) < 0)
			return -1;
		if ((attr.flags & EROFS_HARDLINK) && resolve_link(merge, nid) < 0)
			return -1;
	}
	return 0;
}

int image_merge_layer(
	struct draft *draft, const struct erofs_reader *layer, unsigned device, struct error *err)
{
	CLEANUP(merge_cleanup)
	struct merge merge = {.draft = draft, .layer = layer, .device = device, .err = err};

	if (erofs_has_unresolved_links(layer) && resolve_links(&merge) < 0)
		return -1;
	if (merge_root(&merge) < 0)
		return -1;
	while (merge.n_frames > 0) {
		struct frame frame = merge.frames[--merge.n_frames];

		merge.here = frame.directory;
		if (erofs_readdir(layer, frame.nid, 0, visit_name, &merge, err) < 0)
			return -1;
		if (merge.failed)
			return -1;
	}
	return 0;
}
