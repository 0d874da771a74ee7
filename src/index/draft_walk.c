/* SPDX-License-Identifier: Apache-2.0 */
/* Finds directories of a tree by path. */
#include "draft_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "index/erofs_reader.h"

enum { MAX_SYMLINKS = 40 }; /* as the kernel has it */

/* What is left of a path. */
struct rest {
	const char *at;
	const char *end;
	char *memory; /* owned: where it is once a symlink was followed */
	unsigned n_symlinks;
};

static void rest_cleanup(struct rest *rest)
{
	free(rest->memory);
}

/* Puts a symlink's target before what is left behind its name. */
static int follow(
	struct rest *rest, const struct draft_inode *symlink, const char *behind, struct error *err)
{
	size_t behind_size = (size_t)(rest->end - behind);
	char *memory;

	if (++rest->n_symlinks > MAX_SYMLINKS)
		return error_set(
			err, ERROR_FORMAT, "more than %d symlinks on the way", MAX_SYMLINKS);
	memory = malloc(symlink->size + 1 + behind_size);
	if (!memory)
		return error_set(err, ERROR_NO_MEMORY, "no memory to follow a symlink");
	memcpy(memory, symlink->target, symlink->size);
	memory[symlink->size] = '/';
	memcpy(memory + symlink->size + 1, behind, behind_size);
	free(rest->memory);
	rest->memory = memory;
	rest->at = memory;
	rest->end = memory + symlink->size + 1 + behind_size;
	return 0;
}

static int make_directory(struct draft *draft, struct draft_inode *parent, const char *name,
	size_t name_size, struct draft_inode **out, struct error *err)
{
	struct draft_inode *inode = draft_new_inode(draft, S_IFDIR | 0755);

	if (!inode || array_reserve(&draft->implicit, &draft->implicit_capacity,
			      draft->n_implicit + 1, sizeof(*draft->implicit)) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a file tree");
	inode->flags = EROFS_IMPLICIT;
	if (draft_link(draft, parent, name, name_size, inode, err) < 0)
		return -1;
	draft->implicit[draft->n_implicit++] = draft_find(draft, parent, name, name_size);
	*out = inode;
	return 0;
}

/* One component that is neither "." nor ".." nor a symlink. */
static int step(struct draft *draft, struct draft_inode *here, const struct draft_entry *entry,
	const char *name, size_t name_size, enum draft_walk mode, struct draft_inode **out,
	struct error *err)
{
	*out = NULL;
	if (entry && S_ISDIR(entry->inode->mode)) {
		*out = entry->inode;
		return 0;
	}
	if (mode == DRAFT_WALK_EXISTING)
		return 0;
	if (entry)
		return error_set(err, ERROR_FORMAT, "'%.*s' on the way is not a directory",
			(int)name_size, name);
	return make_directory(draft, here, name, name_size, out, err);
}

static bool is_symlink(const struct draft_entry *entry)
{
	return entry && S_ISLNK(entry->inode->mode) && !(entry->inode->flags & EROFS_HARDLINK);
}

int draft_walk_from(struct draft *draft, struct draft_inode *directory, const char *path,
	size_t path_size, enum draft_walk mode, struct draft_inode **out, struct error *err)
{
	CLEANUP(rest_cleanup) struct rest rest = {.at = path, .end = path + path_size};
	struct draft_inode *here = directory;

	while (rest.at < rest.end) {
		const char *name = rest.at;
		const char *slash = memchr(name, '/', (size_t)(rest.end - name));
		size_t size = (size_t)((slash ? slash : rest.end) - name);
		const char *behind = slash ? slash + 1 : rest.end;
		struct draft_entry *entry;

		rest.at = behind;
		if (size == 0 || (size == 1 && name[0] == '.'))
			continue;
		if (size == 2 && name[0] == '.' && name[1] == '.') {
			here = here->directory->parent;
			continue;
		}

		entry = draft_find(draft, here, name, size);
		if (is_symlink(entry)) {
			if (entry->inode->target[0] == '/')
				here = draft->root;
			if (follow(&rest, entry->inode, behind, err) < 0)
				return -1;
			continue;
		}
		if (step(draft, here, entry, name, size, mode, &here, err) < 0)
			return -1;
		if (!here)
			break;
	}
	*out = here;
	return 0;
}

int draft_walk(struct draft *draft, const char *path, size_t path_size, enum draft_walk mode,
	struct draft_inode **out, struct error *err)
{
	return draft_walk_from(draft, draft->root, path, path_size, mode, out, err);
}

int draft_find_path(
	struct draft *draft, const char *path, struct draft_inode **out, struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	struct draft_inode *parent;
	struct draft_entry *entry;

	if (draft_walk(draft, path, slash ? (size_t)(slash - path) : 0, DRAFT_WALK_EXISTING,
		    &parent, err) < 0)
		return -1;
	entry = parent ? draft_find(draft, parent, base, strlen(base)) : NULL;
	*out = entry ? entry->inode : NULL;
	return 0;
}
