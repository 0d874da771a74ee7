/* SPDX-License-Identifier: Apache-2.0 */
/* What can be decided about a layer only when all of it is known: hard links to what comes later,
 * and whiteouts. */
#include "draft_internal.h"
#include "layer_index_internal.h"

#include <sys/stat.h>

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for the index of a layer");
}

/* NULL when this layer has no such name. */
static int find_target(
	struct draft *draft, const char *path, struct draft_inode **out, struct error *err)
{
	if (draft_find_path(draft, path, out, err) < 0)
		return -1;
	if (*out && S_ISDIR((*out)->mode))
		return error_set(err, ERROR_FORMAT, "a hard link to directory '%.100s'", path);
	return 0;
}

static int make_placeholder(
	struct draft *draft, const char *target, struct draft_inode **out, struct error *err)
{
	struct draft_inode *inode = draft_new_inode(draft, S_IFLNK | 0777);

	if (!inode)
		return no_memory(err);
	inode->flags = EROFS_HARDLINK;
	inode->size = strlen(target);
	if (inode->size >= TOC_MAX_NAME)
		return error_set(err, ERROR_UNSUPPORTED,
			"a hard link to a name of %ju bytes; less than %d are supported",
			(uintmax_t)inode->size, TOC_MAX_NAME);
	inode->target = draft_copy(draft, target, inode->size);
	if (!inode->target)
		return no_memory(err);
	*out = inode;
	return 0;
}

int layer_add_hardlink(struct layer_builder *builder, struct draft_inode *parent, const char *base,
	size_t base_size, const struct toc_entry *entry, struct error *err)
{
	struct draft_inode *inode;

	if (!entry->link_name || !entry->link_name[0])
		return error_set(err, ERROR_FORMAT, "a hard link without a target");
	if (find_target(builder->draft, entry->link_name, &inode, err) < 0)
		return -1;
	if (!inode && make_placeholder(builder->draft, entry->link_name, &inode, err) < 0)
		return -1;
	if (draft_link(builder->draft, parent, base, base_size, inode, err) < 0)
		return -1;
	if (!(inode->flags & EROFS_HARDLINK))
		return 0;
	return late_names_add(&builder->links, draft_find(builder->draft, parent, base, base_size),
		entry->name, err);
}

/* A placeholder's target is at best a later name: going backwards, it is known already, and a
 * chain is never followed for more than one step. */
int layer_resolve_links(struct layer_builder *builder, struct error *err)
{
	for (size_t i = builder->links.n; i > 0; i--) {
		const struct late_name *link = &builder->links.names[i - 1];
		struct draft_inode *target;

		if (link->entry->inode != link->inode)
			continue;
		if (find_target(builder->draft, link->inode->target, &target, err) < 0)
			return error_prefix(err, "entry '%.100s'", link->path);
		if (target == link->inode)
			return error_set(err, ERROR_FORMAT,
				"entry '%.100s': hard links that lead in a circle, by '%.100s'",
				link->path, target->target);
		if (target)
			link->entry->inode = target;
	}
	return 0;
}

/* Hides what lower layers have below a directory. */
static int make_opaque(struct draft *draft, struct draft_inode *directory, struct error *err)
{
	static const struct draft_xattr marks[] = {
		{"trusted.overlay.opaque", "y", 1}, {"user.overlay.opaque", "y", 1}};

	directory->flags |= EROFS_OPAQUE;
	return draft_add_xattrs(draft, directory, marks, 2, err);
}

/* `.wh.NAME`: a character device 0:0 called NAME. A directory of that name in the same layer is
 * not what is meant, but the one of lower layers below it is: an opaque one of its own. */
static int hide_name(struct draft *draft, struct draft_inode *directory, const char *name,
	size_t name_size, struct error *err)
{
	struct draft_entry *there = draft_find(draft, directory, name, name_size);
	struct draft_inode *inode;

	if (there && !S_ISDIR(there->inode->mode))
		return 0;
	if (there) {
		/* What it is does not depend on a lower one any more. */
		there->inode->flags &= (uint8_t)~EROFS_IMPLICIT;
		return make_opaque(draft, there->inode, err);
	}
	inode = draft_new_inode(draft, S_IFCHR);
	if (!inode)
		return no_memory(err);
	return draft_link(draft, directory, name, name_size, inode, err);
}

static bool is_text(const struct draft_entry *entry, const char *text)
{
	return entry->name_size == strlen(text) && memcmp(entry->name, text, strlen(text)) == 0;
}

static int apply_whiteout(struct draft *draft, const struct draft_entry *entry, struct error *err)
{
	static const char own_prefix[] = ".wh..wh."; /* AUFS' own files */
	enum { PREFIX = 4 };

	if (is_text(entry, ".wh..wh..opq"))
		return make_opaque(draft, entry->parent, err);
	if (entry->name_size >= sizeof(own_prefix) - 1 &&
		memcmp(entry->name, own_prefix, sizeof(own_prefix) - 1) == 0)
		return 0;
	/* Nothing, "." and ".." are no names. */
	if (is_text(entry, ".wh.") || is_text(entry, ".wh..") || is_text(entry, ".wh..."))
		return 0;
	return hide_name(
		draft, entry->parent, entry->name + PREFIX, entry->name_size - PREFIX, err);
}

/* Nobody described them, so that they are not whiteouts; names of AUFS' own files, and whiteouts
 * with something below, are what they are made of. */
static void hide_implicit(struct draft *draft)
{
	for (size_t i = 0; i < draft->n_implicit; i++) {
		struct draft_entry *entry = draft->implicit[i];

		if (is_whiteout_name(entry->name, entry->name_size) && entry->inode &&
			(entry->inode->flags & EROFS_IMPLICIT))
			entry->inode = NULL;
	}
}

int layer_apply_whiteouts(struct layer_builder *builder, struct error *err)
{
	for (size_t i = 0; i < builder->whiteouts.n; i++) {
		const struct late_name *whiteout = &builder->whiteouts.names[i];

		if (!whiteout->entry->inode)
			continue;
		if (apply_whiteout(builder->draft, whiteout->entry, err) < 0)
			return error_prefix(err, "entry '%.100s'", whiteout->path);
		whiteout->entry->inode = NULL;
	}
	hide_implicit(builder->draft);
	return 0;
}
