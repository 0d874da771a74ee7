/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that would change something: the answer is EROFS, also on a mount that somebody made
 * writable. */
#include <errno.h>

#include "fs_internal.h"

static void refuse(fuse_req_t request)
{
	(void)fuse_reply_err(request, EROFS);
}

static void refuse_setattr(fuse_req_t request, fuse_ino_t ino, struct stat *attr, int to_set,
	struct fuse_file_info *file)
{
	(void)ino;
	(void)attr;
	(void)to_set;
	(void)file;
	refuse(request);
}

static void refuse_mknod(
	fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)device;
	refuse(request);
}

static void refuse_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent;
	(void)name;
	(void)mode;
	refuse(request);
}

/* unlink, rmdir, removexattr */
static void refuse_name(fuse_req_t request, fuse_ino_t ino, const char *name)
{
	(void)ino;
	(void)name;
	refuse(request);
}

static void refuse_symlink(
	fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	(void)parent;
	(void)name;
	refuse(request);
}

static void refuse_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
	fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	(void)parent;
	(void)name;
	(void)new_parent;
	(void)new_name;
	(void)flags;
	refuse(request);
}

static void refuse_link(
	fuse_req_t request, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	(void)ino;
	(void)new_parent;
	(void)new_name;
	refuse(request);
}

static void refuse_write(fuse_req_t request, fuse_ino_t ino, const char *data, size_t size,
	off_t off, struct fuse_file_info *file)
{
	(void)ino;
	(void)data;
	(void)size;
	(void)off;
	(void)file;
	refuse(request);
}

static void refuse_setxattr(fuse_req_t request, fuse_ino_t ino, const char *name, const char *value,
	size_t size, int flags)
{
	(void)ino;
	(void)name;
	(void)value;
	(void)size;
	(void)flags;
	refuse(request);
}

static void refuse_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *file)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)file;
	refuse(request);
}

static void refuse_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t off, off_t size,
	struct fuse_file_info *file)
{
	(void)ino;
	(void)mode;
	(void)off;
	(void)size;
	(void)file;
	refuse(request);
}

static void refuse_copy(fuse_req_t request, fuse_ino_t from, off_t from_off,
	struct fuse_file_info *from_file, fuse_ino_t to, off_t to_off,
	struct fuse_file_info *to_file, size_t size, int flags)
{
	(void)from;
	(void)from_off;
	(void)from_file;
	(void)to;
	(void)to_off;
	(void)to_file;
	(void)size;
	(void)flags;
	refuse(request);
}

void fs_ops_fill_refusals(struct fuse_lowlevel_ops *ops)
{
	ops->setattr = refuse_setattr;
	ops->mknod = refuse_mknod;
	ops->mkdir = refuse_mkdir;
	ops->unlink = refuse_name;
	ops->rmdir = refuse_name;
	ops->removexattr = refuse_name;
	ops->symlink = refuse_symlink;
	ops->rename = refuse_rename;
	ops->link = refuse_link;
	ops->write = refuse_write;
	ops->setxattr = refuse_setxattr;
	ops->create = refuse_create;
	ops->fallocate = refuse_fallocate;
	ops->copy_file_range = refuse_copy;
}
