/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of the kernel about names and attributes. */
#include <errno.h>
#include <sys/statvfs.h>

#include "fs_internal.h"

enum { FILE_BLOCK = 4096, MAX_NAME = 255, MAX_WAITING = 65535 };

static void want(struct fuse_conn_info *connection, unsigned capability, bool wanted)
{
	connection->want &= ~capability;
	if (wanted)
		connection->want |= connection->capable & capability;
}

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
	const struct fs_session *session = userdata;

	want(connection, FUSE_CAP_ASYNC_READ, true);
	/* With it a reader around the page cache cannot be killed while it waits. The EROFS face
	 * does not wait there, and reads the data files of tree 0 in parallel. */
	want(connection, FUSE_CAP_ASYNC_DIO, session->tree == NULL);
	want(connection, FUSE_CAP_CACHE_SYMLINKS, true);
	want(connection, FUSE_CAP_READDIRPLUS, true);
	want(connection, FUSE_CAP_READDIRPLUS_AUTO, false);
	/* The directories of tree 0 change, and the kernel looks at the time of change of a cached
	 * one only with AUTO_INVAL_DATA. Inside trees attributes never expire, so that there it
	 * costs nothing. */
	want(connection, FUSE_CAP_AUTO_INVAL_DATA, session->tree == NULL);
	want(connection, FUSE_CAP_EXPLICIT_INVAL_DATA, session->tree != NULL);
	/* The kernel enforces the ACLs that are stored, and remembers where there are none. */
	want(connection, FUSE_CAP_POSIX_ACL, session->answer_xattr);
	want(connection, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
		false);
	/* Also decides how much one read asks for. */
	connection->max_write = FS_MAX_READ;
	connection->max_background = MAX_WAITING;
	connection->congestion_threshold = MAX_WAITING;
}

static void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fs_session *session = fuse_req_userdata(request);
	struct fuse_entry_param entry;
	struct fs_node directory;
	int ret = fs_node_resolve(session, parent, &directory);

	if (ret == 0)
		ret = fs_node_lookup(session, &directory, name, &entry);
	if (ret < 0)
		(void)fuse_reply_err(request, -ret);
	else
		(void)fuse_reply_entry(request, &entry);
}

static void op_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct fs_session *session = fuse_req_userdata(request);
	struct fs_node node;
	struct stat attr;
	double timeout;
	int ret = fs_node_resolve(session, ino, &node);

	(void)file;
	if (ret == 0)
		ret = fs_node_stat(session, &node, &attr, &timeout);
	if (ret < 0)
		(void)fuse_reply_err(request, -ret);
	else
		(void)fuse_reply_attr(request, &attr, timeout);
}

static void op_readlink(fuse_req_t request, fuse_ino_t ino)
{
	struct fs_session *session = fuse_req_userdata(request);
	struct fs_node node;
	char target[4096];
	int ret = fs_node_resolve(session, ino, &node);

	if (ret == 0)
		ret = fs_node_readlink(session, &node, target);
	if (ret < 0)
		(void)fuse_reply_err(request, -ret);
	else
		(void)fuse_reply_readlink(request, target);
}

/* Nothing is remembered about open files: the kernel asks once and never again. */
static void op_not_needed(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	(void)file;
	(void)fuse_reply_err(request, ENOSYS);
}

static int add_tree(void *arg, struct tree *tree)
{
	struct statvfs *total = arg;

	total->f_files += erofs_n_inodes(tree->reader);
	return 0;
}

static int add_data(void *arg, uint32_t id, struct layer *layer)
{
	struct statvfs *total = arg;

	(void)id;
	total->f_blocks += fs_data_size(layer) / FILE_BLOCK;
	return 0;
}

/* Full, as every read-only file system is. */
static void op_statfs(fuse_req_t request, fuse_ino_t ino)
{
	struct fs_session *session = fuse_req_userdata(request);
	struct statvfs total = {
		.f_bsize = FILE_BLOCK,
		.f_frsize = FILE_BLOCK,
		.f_namemax = MAX_NAME,
	};
	struct fs_node node;
	int ret = fs_node_resolve(session, ino, &node);

	if (ret < 0) {
		(void)fuse_reply_err(request, -ret);
		return;
	}
	if (node.tree) {
		for (unsigned i = 0; i < erofs_n_devices(node.tree->reader); i++)
			total.f_blocks += erofs_device_size(node.tree->reader, i) / FILE_BLOCK;
		(void)add_tree(&total, node.tree);
	} else {
		(void)tree_table_each(session->trees, add_tree, &total);
		(void)tree_table_each_data(session->trees, add_data, &total);
	}
	(void)fuse_reply_statfs(request, &total);
}

/* What is absent is answered ENOSYS by libfuse, or needs no answer (forget): lseek, which the
 * kernel then does by itself as for a file without holes, and getxattr of sessions without. */
void fs_ops_fill(struct fuse_lowlevel_ops *ops, bool answer_xattr)
{
	*ops = (struct fuse_lowlevel_ops){
		.init = op_init,
		.lookup = op_lookup,
		.getattr = op_getattr,
		.readlink = op_readlink,
		.open = op_not_needed,
		.opendir = op_not_needed,
		.flush = op_not_needed,
		.statfs = op_statfs,
		.read = fs_op_read,
		.readdir = fs_op_readdir,
		.readdirplus = fs_op_readdirplus,
	};
	if (answer_xattr) {
		ops->getxattr = fs_op_getxattr;
		ops->listxattr = fs_op_listxattr;
	}
	fs_ops_fill_refusals(ops);
}
