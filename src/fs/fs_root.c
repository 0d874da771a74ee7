/* SPDX-License-Identifier: Apache-2.0 */
/* Tree 0: the directory of everything a process serves.
 *
 *	t/<id in base 36>	the root of a tree
 *	images/<digest>		a symbolic link to it, by the digest of the platform manifest
 *	layers/<digest>		the same for the tree of a single layer
 *	.../<digest>.<id>	the same for other trees of this digest, made from other tables: the
 *				first that came keeps the plain name
 *	data/<id>		the data space of a layer as one file: a device of the EROFS face
 *
 * A directory has one place only, because the kernel moves a directory that it finds under a second
 * name; hence the links. Trees appear while it is mounted: names that do not exist, and the
 * contents of these directories, are asked for each time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs_internal.h"

/* Rows of tree 0, in the low 32 bits; the others have a tree id there and their kind above. */
enum {
	ROW_ROOT = FUSE_ROOT_ID,
	ROW_IMAGES,
	ROW_LAYERS,
	ROW_TREES,
	ROW_DATA,
	ROW_END,
};
enum { KIND_FIXED, KIND_LINK, KIND_FILE };
enum { KIND_SHIFT = 32, FILE_BLOCK = 4096, STAT_BLOCK = 512 };
enum { LINK_NAME_SIZE = DIGEST_TEXT_SIZE + 16 };

static const char *const directory_names[ROW_END] = {
	[ROW_IMAGES] = "images",
	[ROW_LAYERS] = "layers",
	[ROW_TREES] = "t",
	[ROW_DATA] = "data",
};

static uint64_t row_make(unsigned kind, uint32_t id)
{
	return (uint64_t)kind << KIND_SHIFT | id;
}

static unsigned row_kind(uint64_t row)
{
	return (unsigned)(row >> KIND_SHIFT);
}

/* Lower-case, shortest form. */
static void format_base36(uint32_t id, char out[16])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char text[16];
	char *at = text + sizeof(text);

	*--at = '\0';
	do {
		*--at = digits[id % 36];
		id /= 36;
	} while (id > 0);
	(void)strcpy(out, at);
}

/* 0 for anything that is not exactly what one of the two formats makes of an id. */
static uint32_t parse_id(const char *name, unsigned base)
{
	uint64_t id = 0;

	if (name[0] == '0')
		return 0;
	for (const char *at = name; *at; at++) {
		unsigned digit;

		if (*at >= '0' && *at <= '9')
			digit = (unsigned)(*at - '0');
		else if (*at >= 'a' && *at <= 'z')
			digit = (unsigned)(*at - 'a') + 10;
		else
			return 0;
		id = id * base + digit;
		if (digit >= base || id > TREE_ID_MAX)
			return 0;
	}
	return (uint32_t)id;
}

uint64_t fs_data_size(const struct layer *layer)
{
	return unit_table_header(layer_index_of(layer)->units)->data_size;
}

struct layer *fs_root_data(struct fs_session *session, uint64_t row)
{
	if (row_kind(row) != KIND_FILE)
		return NULL;
	return tree_table_get_data(session->trees, (uint32_t)row);
}

uint64_t fs_root_data_row(uint32_t id)
{
	return row_make(KIND_FILE, id);
}

struct count {
	size_t n[ROW_END];
};

static int count_tree(void *arg, struct tree *tree)
{
	struct count *count = arg;

	count->n[ROW_TREES]++;
	count->n[tree->kind == TREE_IMAGE ? ROW_IMAGES : ROW_LAYERS]++;
	return 0;
}

static int count_data(void *arg, uint32_t id, struct layer *layer)
{
	struct count *count = arg;

	(void)id;
	(void)layer;
	count->n[ROW_DATA]++;
	return 0;
}

/* The kernel keeps the contents of a directory as long as its time of change stays the same, so
 * that moves with the number of entries, which only grows. */
static void directory_stat(struct fs_session *session, uint64_t row, struct stat *out)
{
	struct count count = {0};

	(void)tree_table_each(session->trees, count_tree, &count);
	(void)tree_table_each_data(session->trees, count_data, &count);
	out->st_mode = S_IFDIR | 0555;
	out->st_nlink = row == ROW_ROOT ? 6 : 2;
	if (row == ROW_TREES)
		out->st_nlink += count.n[ROW_TREES];
	out->st_mtim.tv_nsec = (long)(count.n[row] % 1000000000);
}

int fs_root_stat(struct fs_session *session, uint64_t row, struct stat *out, double *timeout)
{
	struct layer *layer = fs_root_data(session, row);
	char target[4096];

	*out = (struct stat){
		.st_ino = node_id(0, row),
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_nlink = 1,
		.st_blksize = FILE_BLOCK,
		.st_mtim.tv_sec = session->started_s,
	};
	*timeout = TIMEOUT_UNLIMITED;
	if (layer) {
		/* All files of a layer, whoever may read them there. */
		out->st_mode = S_IFREG | 0400;
		out->st_size = (off_t)fs_data_size(layer);
		out->st_blocks = out->st_size / STAT_BLOCK;
	} else if (row_kind(row) == KIND_LINK && fs_root_readlink(session, row, target) == 0) {
		out->st_mode = S_IFLNK | 0777;
		out->st_size = (off_t)strlen(target);
	} else if (row >= ROW_ROOT && row < ROW_END) {
		directory_stat(session, row, out);
		*timeout = 0;
	} else
		return -ESTALE;
	out->st_atim = out->st_mtim;
	out->st_ctim = out->st_mtim;
	return 0;
}

int fs_root_readlink(struct fs_session *session, uint64_t row, char out[4096])
{
	struct tree *tree = NULL;
	char id[16];

	if (row_kind(row) == KIND_LINK)
		tree = tree_table_get(session->trees, (uint32_t)row);
	if (!tree)
		return -ESTALE;
	format_base36(tree->id, id);
	(void)snprintf(out, 4096, "../t/%s", id);
	return 0;
}

static int lookup_directory(
	struct fs_session *session, const char *name, struct fuse_entry_param *out)
{
	for (uint64_t row = ROW_IMAGES; row < ROW_END; row++) {
		struct fs_node node = {.nid = row};

		if (strcmp(name, directory_names[row]) == 0)
			return fs_node_entry(session, &node, out);
	}
	return -ENOENT;
}

static bool has_plain_name(struct fs_session *session, const struct tree *tree)
{
	return tree_table_find(session->trees, tree->kind, tree->name) == tree;
}

static void link_name(struct fs_session *session, const struct tree *tree, char out[LINK_NAME_SIZE])
{
	char id[16];

	format_base36(tree->id, id);
	(void)snprintf(out, LINK_NAME_SIZE, "%s%s%s", tree->name,
		has_plain_name(session, tree) ? "" : ".", has_plain_name(session, tree) ? "" : id);
}

static struct tree *find_link(struct fs_session *session, enum tree_kind kind, const char *name)
{
	struct tree *tree = tree_table_find(session->trees, kind, name);
	const char *dot = strrchr(name, '.');
	char full[LINK_NAME_SIZE];

	if (tree || !dot)
		return tree;
	tree = tree_table_get(session->trees, parse_id(dot + 1, 36));
	if (!tree || tree->kind != kind)
		return NULL;
	link_name(session, tree, full);
	return strcmp(full, name) == 0 ? tree : NULL;
}

static int lookup_link(struct fs_session *session, enum tree_kind kind, const char *name,
	struct fuse_entry_param *out)
{
	struct tree *tree = find_link(session, kind, name);
	struct fs_node node = {0};
	int ret;

	if (!tree)
		return -ENOENT;
	node.nid = row_make(KIND_LINK, tree->id);
	ret = fs_node_entry(session, &node, out);
	/* A rebuilt index is another tree of the same name. */
	out->entry_timeout = 0;
	return ret;
}

static int lookup_tree(struct fs_session *session, const char *name, struct fuse_entry_param *out)
{
	struct fs_node node = {.tree = tree_table_get(session->trees, parse_id(name, 36))};

	if (!node.tree)
		return -ENOENT;
	node.nid = erofs_root(node.tree->reader);
	return fs_node_entry(session, &node, out);
}

static int lookup_data(struct fs_session *session, const char *name, struct fuse_entry_param *out)
{
	uint32_t id = parse_id(name, 10);
	struct fs_node node = {.nid = row_make(KIND_FILE, id)};

	if (!tree_table_get_data(session->trees, id))
		return -ENOENT;
	return fs_node_entry(session, &node, out);
}

int fs_root_lookup(
	struct fs_session *session, uint64_t row, const char *name, struct fuse_entry_param *out)
{
	switch (row) {
	case ROW_ROOT:
		return lookup_directory(session, name, out);
	case ROW_IMAGES:
		return lookup_link(session, TREE_IMAGE, name, out);
	case ROW_LAYERS:
		return lookup_link(session, TREE_LAYER, name, out);
	case ROW_TREES:
		return lookup_tree(session, name, out);
	case ROW_DATA:
		return lookup_data(session, name, out);
	default:
		return -ESTALE;
	}
}

/* Passes on the entries after a cookie; a cookie is the number of the entry. */
struct listing {
	struct fs_session *session;
	uint64_t row;
	uint64_t cookie;
	uint64_t i;
	int (*each)(void *arg, const char *name, const struct fs_node *node, uint32_t type,
		uint64_t next_cookie);
	void *arg;
};

static int list_entry(
	struct listing *listing, const char *name, const struct fs_node *node, uint32_t type)
{
	if (listing->i++ < listing->cookie)
		return 0;
	return listing->each(listing->arg, name, node, type, listing->i);
}

static int list_tree(void *arg, struct tree *tree)
{
	struct listing *listing = arg;
	struct fs_node node = {0};
	char name[LINK_NAME_SIZE];
	char id[16];

	if (listing->row == ROW_TREES) {
		format_base36(tree->id, id);
		node.tree = tree;
		node.nid = erofs_root(tree->reader);
		return list_entry(listing, id, &node, S_IFDIR);
	}
	if (tree->kind != (listing->row == ROW_IMAGES ? TREE_IMAGE : TREE_LAYER))
		return 0;
	node.nid = row_make(KIND_LINK, tree->id);
	link_name(listing->session, tree, name);
	return list_entry(listing, name, &node, S_IFLNK);
}

static int list_data(void *arg, uint32_t id, struct layer *layer)
{
	struct fs_node node = {.nid = row_make(KIND_FILE, id)};
	char name[16];

	(void)layer;
	(void)snprintf(name, sizeof(name), "%u", id);
	return list_entry(arg, name, &node, S_IFREG);
}

static void list_directories(struct listing *listing)
{
	for (uint64_t row = ROW_IMAGES; row < ROW_END; row++) {
		struct fs_node node = {.nid = row};

		if (list_entry(listing, directory_names[row], &node, S_IFDIR) != 0)
			return;
	}
}

int fs_root_readdir(struct fs_session *session, uint64_t row, uint64_t cookie,
	int (*each)(void *arg, const char *name, const struct fs_node *node, uint32_t type,
		uint64_t next_cookie),
	void *arg)
{
	struct listing listing = {
		.session = session, .row = row, .cookie = cookie, .each = each, .arg = arg};
	struct fs_node self = {.nid = row};
	struct fs_node root = {.nid = ROW_ROOT};

	if (row < ROW_ROOT || row >= ROW_END)
		return -ESTALE;
	if (list_entry(&listing, ".", &self, S_IFDIR) != 0 ||
		list_entry(&listing, "..", &root, S_IFDIR) != 0)
		return 0;
	if (row == ROW_ROOT)
		list_directories(&listing);
	else if (row == ROW_DATA)
		(void)tree_table_each_data(session->trees, list_data, &listing);
	else
		(void)tree_table_each(session->trees, list_tree, &listing);
	return 0;
}
