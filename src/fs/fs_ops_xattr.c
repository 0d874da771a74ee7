/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes, in sessions whose trees may have any. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "fs_internal.h"

/* What is looked for, and what is found: a copy, because a failing disk under the index may turn
 * the original into something that the kernel refuses. */
struct search {
	const char *name; /* NULL: all names, each with its NUL */
	bool hide_trusted;
	struct buffer found;
	bool matched;
	int ret;
};

static int match(void *arg, const char *name, const void *value, size_t value_size)
{
	struct search *search = arg;

	if (!search->name) {
		if (search->hide_trusted && strncmp(name, "trusted.", 8) == 0)
			return 0;
		search->ret = buffer_append(&search->found, name, strlen(name) + 1);
		return search->ret;
	}
	if (strcmp(name, search->name) != 0)
		return 0;
	search->matched = true;
	search->ret = buffer_append(&search->found, value, value_size);
	return 1;
}

static int search_node(struct fs_session *session, fuse_ino_t ino, struct search *search)
{
	struct fs_node node;
	struct error err;
	int ret = fs_node_resolve(session, ino, &node);

	if (ret < 0 || !node.tree)
		return ret;
	if (erofs_each_xattr(node.tree->reader, node.nid, match, search, &err) < 0)
		return fs_index_errno(session, node.tree, &err);
	return search->ret;
}

/* Size 0 asks how large the answer is. */
static void reply(fuse_req_t request, const struct buffer *found, size_t size)
{
	if (size == 0)
		(void)fuse_reply_xattr(request, found->size);
	else if (found->size > size)
		(void)fuse_reply_err(request, ERANGE);
	else
		(void)fuse_reply_buf(request, (const char *)found->data, found->size);
}

void fs_op_getxattr(fuse_req_t request, fuse_ino_t ino, const char *name, size_t size)
{
	struct search search = {.name = name};
	int ret = search_node(fuse_req_userdata(request), ino, &search);

	if (ret == 0 && !search.matched)
		ret = -ENODATA;
	if (ret < 0)
		(void)fuse_reply_err(request, -ret);
	else
		reply(request, &search.found, size);
	buffer_free(&search.found);
}

void fs_op_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size)
{
	/* With idmapped mounts the kernel does not tell who asks; then nothing is hidden. */
	uid_t uid = fuse_req_ctx(request)->uid;
	struct search search = {.hide_trusted = uid != 0 && uid != (uid_t)-1};
	int ret = search_node(fuse_req_userdata(request), ino, &search);

	if (ret < 0)
		(void)fuse_reply_err(request, -ret);
	else
		reply(request, &search.found, size);
	buffer_free(&search.found);
}
