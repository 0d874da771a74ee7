/* SPDX-License-Identifier: Apache-2.0 */
/* Listing directories, with and without the attributes of what is in them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs_internal.h"

/* More than the kernel asks for at once, in all its versions so far. */
enum { MAX_LISTING = 1 << 20, MAX_NAME = 255 };

/* One reply being filled. */
struct listing {
	struct fs_session *session;
	fuse_req_t request;
	struct tree *tree; /* of the directory; NULL: tree 0 */
	bool plus;
	int ret; /* 0 or -errno */
	char *data;
	size_t size;
	size_t used;
};

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Non-zero when the reply is full or has failed. */
static int add(struct listing *listing, const char *name, const struct fs_node *node, uint32_t type,
	uint64_t next_cookie)
{
	char *at = listing->data + listing->used;
	size_t left = listing->size - listing->used;
	struct fuse_entry_param entry = {0};
	size_t size;

	entry.attr.st_ino = node_id(node->tree ? node->tree->id : 0, node->nid);
	entry.attr.st_mode = type;
	if (listing->plus && !is_dot(name)) {
		/* "." and ".." stay without a node id: the kernel looks them up by itself. */
		listing->ret = fs_node_entry(listing->session, node, &entry);
		if (listing->ret < 0)
			return 1;
		/* A link of tree 0 may become another one. */
		if (!node->tree && S_ISLNK(type))
			entry.entry_timeout = 0;
	}
	if (listing->plus)
		size = fuse_add_direntry_plus(
			listing->request, at, left, name, &entry, (off_t)next_cookie);
	else
		size = fuse_add_direntry(
			listing->request, at, left, name, &entry.attr, (off_t)next_cookie);
	if (size > left)
		return 1;
	listing->used += size;
	return 0;
}

static int add_tree_entry(void *arg, const struct erofs_dirent *entry)
{
	struct listing *listing = arg;
	struct fs_node node = {.tree = listing->tree, .nid = entry->nid};
	char name[MAX_NAME + 1];

	if (entry->name_size > MAX_NAME) {
		listing->ret = -EIO;
		return 1;
	}
	memcpy(name, entry->name, entry->name_size);
	name[entry->name_size] = '\0';
	return add(listing, name, &node, entry->type, entry->next_cookie);
}

static int add_root_entry(void *arg, const char *name, const struct fs_node *node, uint32_t type,
	uint64_t next_cookie)
{
	return add(arg, name, node, type, next_cookie);
}

static int fill(struct listing *listing, const struct fs_node *directory, uint64_t cookie)
{
	struct error err;

	if (!directory->tree) {
		int ret = fs_root_readdir(
			listing->session, directory->nid, cookie, add_root_entry, listing);

		return ret < 0 ? ret : listing->ret;
	}
	if (erofs_readdir(directory->tree->reader, directory->nid, cookie, add_tree_entry, listing,
		    &err) < 0)
		return fs_index_errno(listing->session, directory->tree, &err);
	return listing->ret;
}

static void list(fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct fs_session *session = fuse_req_userdata(request);
	struct listing listing = {
		.session = session,
		.request = request,
		.plus = plus,
		.size = size < MAX_LISTING ? size : MAX_LISTING,
	};
	struct fs_node directory = {0};
	int ret = fs_node_resolve(session, ino, &directory);

	listing.tree = directory.tree;
	listing.data = malloc(listing.size);
	if (ret == 0 && !listing.data)
		ret = -ENOMEM;
	if (ret == 0)
		ret = fill(&listing, &directory, (uint64_t)off);
	/* Entries that are complete are told; the failure comes again with the next one. */
	if (ret < 0 && listing.used == 0)
		(void)fuse_reply_err(request, -ret);
	else
		(void)fuse_reply_buf(request, listing.data, listing.used);
	free(listing.data);
}

void fs_op_readdir(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file)
{
	(void)file;
	list(request, ino, size, off, false);
}

void fs_op_readdirplus(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file)
{
	(void)file;
	list(request, ino, size, off, true);
}
