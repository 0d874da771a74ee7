/* SPDX-License-Identifier: Apache-2.0 */
/* From node ids to what an index says about them. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/bytes.h"
#include "base/error_map.h"
#include "base/log.h"
#include "fs_internal.h"

enum { FILE_BLOCK = 4096, STAT_BLOCK = 512 };

int fs_node_resolve(const struct fs_session *session, fuse_ino_t ino, struct fs_node *out)
{
	uint32_t id = node_tree_id(ino);
	struct tree *tree;

	if (session->tree) {
		*out = (struct fs_node){.tree = session->tree, .nid = node_nid(ino)};
		if (ino == FUSE_ROOT_ID)
			out->nid = erofs_root(session->tree->reader);
		else if (id != session->tree->id)
			return -ESTALE;
		return 0;
	}
	tree = id != 0 ? tree_table_get(session->trees, id) : NULL;
	if (id != 0 && !tree)
		return -ESTALE;
	*out = (struct fs_node){.tree = tree, .nid = node_nid(ino)};
	return 0;
}

int fs_index_errno(struct fs_session *session, const struct tree *tree, const struct error *err)
{
	enum log_level level = LOG_LEVEL_DEBUG;

	/* A nid that a client kept from another time, or made up: nothing is broken. */
	if (err->kind == ERROR_NOT_FOUND)
		return -ESTALE;
	/* A walk over a broken index would fill the log. */
	if (!atomic_exchange(&session->index_failed, true))
		level = LOG_LEVEL_ERROR;
	log_write(level, "%s: index of %s: %s", session->mountpoint, tree->name, err->message);
	return err->kind == ERROR_NO_MEMORY ? -ENOMEM : -EIO;
}

static void stat_of_attr(const struct tree *tree, const struct erofs_attr *attr, struct stat *out)
{
	*out = (struct stat){
		.st_ino = node_id(tree->id, attr->nid),
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = makedev(attr->rdev_major, attr->rdev_minor),
		.st_size = (off_t)attr->size,
		.st_blksize = FILE_BLOCK,
		/* As EROFS counts them: the places of the data space. */
		.st_blocks = (blkcnt_t)(align_up(attr->size, FILE_BLOCK) / STAT_BLOCK),
	};
	out->st_mtim.tv_sec = attr->mtime_s;
	out->st_mtim.tv_nsec = attr->mtime_ns;
	out->st_atim = out->st_mtim;
	out->st_ctim = out->st_mtim;
}

int fs_node_stat(
	struct fs_session *session, const struct fs_node *node, struct stat *out, double *timeout)
{
	struct erofs_attr attr;
	struct error err;

	if (!node->tree)
		return fs_root_stat(session, node->nid, out, timeout);
	if (erofs_getattr(node->tree->reader, node->nid, &attr, &err) < 0)
		return fs_index_errno(session, node->tree, &err);
	stat_of_attr(node->tree, &attr, out);
	*timeout = TIMEOUT_UNLIMITED;
	return 0;
}

int fs_node_entry(
	struct fs_session *session, const struct fs_node *node, struct fuse_entry_param *out)
{
	int ret;

	*out = (struct fuse_entry_param){.entry_timeout = TIMEOUT_UNLIMITED};
	ret = fs_node_stat(session, node, &out->attr, &out->attr_timeout);
	if (ret < 0)
		return ret;
	out->ino = out->attr.st_ino;
	return 0;
}

int fs_node_lookup(struct fs_session *session, const struct fs_node *directory, const char *name,
	struct fuse_entry_param *out)
{
	struct fs_node node = {.tree = directory->tree};
	struct error err;
	bool found;

	if (!directory->tree)
		return fs_root_lookup(session, directory->nid, name, out);
	if (erofs_lookup(directory->tree->reader, directory->nid, name, strlen(name), &found,
		    &node.nid, &err) < 0)
		return fs_index_errno(session, directory->tree, &err);
	if (!found) {
		*out = (struct fuse_entry_param){.entry_timeout = TIMEOUT_UNLIMITED};
		return 0;
	}
	return fs_node_entry(session, &node, out);
}

int fs_node_readlink(struct fs_session *session, const struct fs_node *node, char out[4096])
{
	struct error err;

	if (!node->tree)
		return fs_root_readlink(session, node->nid, out);
	if (erofs_readlink(node->tree->reader, node->nid, out, &err) < 0)
		return fs_index_errno(session, node->tree, &err);
	return 0;
}
