/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a layer's table of contents into its index: what unpacking the archive in an empty
 * directory would leave there, with whiteouts as overlayfs wants them. */
#include "layer_index_internal.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "arena.h"
#include "base/bytes.h"
#include "base/thread.h"
#include "erofs_writer_internal.h"
#include "index/erofs_writer.h"
#include "unit_table_internal.h"

static void layer_builder_cleanup(struct layer_builder *builder)
{
	draft_free(builder->draft);
	free(builder->files);
	free(builder->units.units);
	free(builder->units.spans);
	free(builder->links.names);
	free(builder->whiteouts.names);
}

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for the index of a layer");
}

int late_names_add(
	struct late_names *late, struct draft_entry *entry, const char *path, struct error *err)
{
	if (array_reserve(&late->names, &late->capacity, late->n + 1, sizeof(*late->names)) < 0)
		return no_memory(err);
	late->names[late->n++] = (struct late_name){entry, entry->inode, path};
	return 0;
}

static uint32_t type_bits(unsigned toc_type)
{
	static const uint32_t bits[] = {
		[TOC_DIRECTORY] = S_IFDIR,
		[TOC_REGULAR] = S_IFREG,
		[TOC_SYMLINK] = S_IFLNK,
		[TOC_CHARACTER] = S_IFCHR,
		[TOC_BLOCK] = S_IFBLK,
		[TOC_FIFO] = S_IFIFO,
	};

	return toc_type < sizeof(bits) / sizeof(bits[0]) ? bits[toc_type] : 0;
}

bool is_overlay_xattr(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
	       strncmp(name, "user.overlay.", 13) == 0;
}

/* What an image may carry: not overlayfs' marks, which would hide what other layers have, and
 * nothing that no file system of Linux would have taken when the archive was unpacked. */
static bool is_wanted_xattr(const char *name)
{
	return !is_overlay_xattr(name) && draft_xattr_supported(name);
}

static int set_xattrs(struct layer_builder *builder, const struct toc_entry *entry,
	struct draft_inode *inode, struct error *err)
{
	CLEANUP(cleanup_free) struct draft_xattr *xattrs = NULL;
	size_t n = 0;

	inode->xattrs = NULL;
	if (entry->n_xattrs == 0)
		return 0;
	if (!range_within(entry->first_xattr, entry->n_xattrs, builder->toc->n_xattrs))
		return error_set(err, ERROR_INTERNAL, "xattrs outside the table of contents");
	xattrs = calloc(entry->n_xattrs, sizeof(*xattrs));
	if (!xattrs)
		return no_memory(err);
	for (uint32_t i = 0; i < entry->n_xattrs; i++) {
		const struct toc_xattr *from = &builder->toc->xattrs[entry->first_xattr + i];

		if (is_wanted_xattr(from->name))
			xattrs[n++] =
				(struct draft_xattr){from->name, from->value, from->value_size};
	}
	return draft_make_xattrs(builder->draft, xattrs, n, &inode->xattrs, err);
}

static int set_attributes(struct layer_builder *builder, const struct toc_entry *entry,
	struct draft_inode *inode, struct error *err)
{
	inode->mode = (inode->mode & S_IFMT) | (entry->mode & 07777);
	inode->uid = entry->uid;
	inode->gid = entry->gid;
	inode->mtime_s = entry->mtime_s;
	inode->mtime_ns = entry->mtime_ns;
	inode->flags = 0;
	return set_xattrs(builder, entry, inode, err);
}

static int set_contents(struct layer_builder *builder, const struct toc_entry *entry,
	struct draft_inode *inode, struct error *err)
{
	if (S_ISLNK(inode->mode)) {
		if (!entry->link_name || !entry->link_name[0])
			return error_set(err, ERROR_FORMAT, "a symlink without a target");
		inode->size = strlen(entry->link_name);
		inode->target = draft_copy(builder->draft, entry->link_name, inode->size);
		if (!inode->target)
			return no_memory(err);
	} else if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
		inode->rdev_major = entry->dev_major;
		inode->rdev_minor = entry->dev_minor;
	} else if (S_ISREG(inode->mode)) {
		inode->size = entry->size;
		if (entry->size > 0)
			builder->files[builder->n_files++] =
				(struct file_source){.inode = inode, .entry = entry};
	}
	return inode_check(inode, err);
}

static int add_new(struct layer_builder *builder, struct draft_inode *parent, const char *base,
	size_t base_size, const struct toc_entry *entry, struct error *err)
{
	struct draft_inode *inode;
	uint32_t type = type_bits(entry->type);

	if (type == 0)
		return error_set(err, ERROR_INTERNAL, "entry of type %u", entry->type);
	inode = draft_new_inode(builder->draft, type);
	if (!inode)
		return no_memory(err);
	if (set_attributes(builder, entry, inode, err) < 0 ||
		set_contents(builder, entry, inode, err) < 0)
		return -1;
	return draft_link(builder->draft, parent, base, base_size, inode, err);
}

/* A directory keeps what is below it when it is described again; anything else is replaced. */
static int set_name(struct layer_builder *builder, struct draft_inode *parent, const char *base,
	size_t base_size, const struct toc_entry *entry, struct error *err)
{
	struct draft_entry *there = draft_find(builder->draft, parent, base, base_size);

	if (there && S_ISDIR(there->inode->mode) && entry->type == TOC_DIRECTORY)
		return set_attributes(builder, entry, there->inode, err);
	if (there)
		builder->parent = NULL;
	if (entry->type == TOC_HARDLINK)
		return layer_add_hardlink(builder, parent, base, base_size, entry, err);
	return add_new(builder, parent, base, base_size, entry, err);
}

static int add_name(struct layer_builder *builder, struct draft_inode *parent, const char *base,
	size_t base_size, const struct toc_entry *entry, struct error *err)
{
	if (set_name(builder, parent, base, base_size, entry, err) < 0)
		return -1;
	if (!is_whiteout_name(base, base_size))
		return 0;
	return late_names_add(&builder->whiteouts,
		draft_find(builder->draft, parent, base, base_size), entry->name, err);
}

static int find_parent(struct layer_builder *builder, const char *path, size_t size,
	struct draft_inode **out, struct error *err)
{
	if (!builder->parent || builder->parent_size != size ||
		memcmp(builder->parent_path, path, size) != 0) {
		builder->parent = NULL;
		if (draft_walk(builder->draft, path, size, DRAFT_WALK_CREATE, &builder->parent,
			    err) < 0)
			return -1;
		builder->parent_path = path;
		builder->parent_size = size;
	}
	*out = builder->parent;
	return 0;
}

static int add_entry(
	struct layer_builder *builder, const struct toc_entry *entry, struct error *err)
{
	const char *slash = strrchr(entry->name, '/');
	const char *base = slash ? slash + 1 : entry->name;
	struct draft_inode *parent;

	if (!entry->name[0]) {
		if (entry->type != TOC_DIRECTORY)
			return error_set(err, ERROR_FORMAT, "the root is not a directory");
		return set_attributes(builder, entry, draft_root(builder->draft), err);
	}
	if (find_parent(builder, entry->name, slash ? (size_t)(slash - entry->name) : 0, &parent,
		    err) < 0)
		return -1;
	return add_name(builder, parent, base, strlen(base), entry, err);
}

static int make_draft(struct layer_builder *builder, struct error *err)
{
	const struct toc *toc = builder->toc;

	builder->files = calloc(toc->n_entries + 1, sizeof(*builder->files));
	if (!builder->files)
		return no_memory(err);
	if (draft_new(&builder->draft, err) < 0 ||
		draft_reserve(builder->draft, toc->n_entries, err) < 0)
		return -1;
	for (size_t i = 0; i < toc->n_entries; i++) {
		if (add_entry(builder, &toc->entries[i], err) < 0)
			return error_prefix(err, "entry '%.100s'", toc->entries[i].name);
	}
	if (layer_resolve_links(builder, err) < 0 || layer_apply_whiteouts(builder, err) < 0)
		return -1;
	return draft_finish(builder->draft, err);
}

static bool is_built(int dir_fd, const uint8_t key[INDEX_KEY_SIZE])
{
	CLEANUP(layer_index_closep) struct layer_index *index = NULL;

	return layer_index_open(dir_fd, key, &index, NULL) == 0;
}

static int write_units(const struct layer_builder *builder, int dir_fd, struct error *err)
{
	const struct layer_units *units = &builder->units;
	char name[INDEX_NAME_SIZE];

	index_file_name(builder->options->key, "units", name);
	return unit_table_write_spans(dir_fd, name, &units->header, units->units, units->n_units,
		units->spans, units->header.n_spans, err);
}

static int write_tree(const struct layer_builder *builder, int dir_fd, struct error *err)
{
	struct erofs_device device = {.size = builder->units.header.data_size};
	const struct erofs_write_options options = {
		.key = builder->options->key, .devices = &device, .n_devices = 1};
	char name[INDEX_NAME_SIZE];

	hex_encode(options.key, INDEX_KEY_SIZE, device.tag);
	index_file_name(options.key, "erofs", name);
	return erofs_write(dir_fd, name, builder->draft, &options, err);
}

/* The unit table on its way to the disk. */
struct units_job {
	const struct layer_builder *builder;
	int dir_fd;
	int result;
	struct error err;
};

static void *run_units_job(void *arg)
{
	struct units_job *job = arg;

	job->result = write_units(job->builder, job->dir_fd, &job->err);
	return NULL;
}

/* The files have nothing to do with each other any more, and both take CPU as well as the disk. */
static int write_both(const struct layer_builder *builder, int dir_fd, struct error *err)
{
	struct units_job job = {.builder = builder, .dir_fd = dir_fd};
	pthread_t thread;
	bool is_alone = thread_start(&thread, "index-units", run_units_job, &job) < 0;
	int result;

	if (is_alone)
		(void)run_units_job(&job);
	result = write_tree(builder, dir_fd, err);
	if (!is_alone)
		(void)pthread_join(thread, NULL);
	if (job.result < 0 && err)
		*err = job.err;
	return job.result < 0 ? -1 : result;
}

int layer_index_build(int dir_fd, const struct toc *toc,
	const struct layer_index_build_options *options, struct error *err)
{
	CLEANUP(layer_builder_cleanup)
	struct layer_builder builder = {.toc = toc, .options = options};

	if (is_built(dir_fd, options->key))
		return 0;
	if (make_draft(&builder, err) < 0 || layer_place_data(&builder, err) < 0)
		return -1;
	return write_both(&builder, dir_fd, err);
}
