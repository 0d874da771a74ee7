/* SPDX-License-Identifier: Apache-2.0 */
/* Takes back what the kernel has cached of a layer that turned out to be another one. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fs_internal.h"

struct drop {
	struct fs_session *session;
	const struct layer *layer;
	const struct tree *tree;
	int errnum; /* the last one that says more than that the kernel has nothing */
};

static void drop_node(struct drop *drop, uint64_t node)
{
	int ret = fuse_lowlevel_notify_inval_inode(drop->session->fuse, node, 0, 0);

	if (ret < 0 && ret != -ENOENT)
		drop->errnum = -ret;
}

static int drop_file(void *arg, uint64_t nid)
{
	struct drop *drop = arg;

	drop_node(drop, node_id(drop->tree->id, nid));
	return 0;
}

static int drop_tree(void *arg, struct tree *tree)
{
	struct drop *drop = arg;
	struct error err;

	drop->tree = tree;
	for (size_t i = 0; i < tree->n_layers; i++) {
		if (tree->layers[i] == drop->layer &&
			erofs_each_file(tree->reader, (unsigned)i, drop_file, drop, &err) < 0)
			log_error("%s: what the kernel has cached may stay: %s",
				drop->session->mountpoint, err.message);
	}
	return 0;
}

static int drop_data(void *arg, uint32_t id, struct layer *layer)
{
	struct drop *drop = arg;

	if (layer == drop->layer)
		drop_node(drop, node_id(0, fs_root_data_row(id)));
	return 0;
}

void fs_session_drop_cached(struct fs_session *session, const struct layer *layer)
{
	struct drop drop = {.session = session, .layer = layer};

	if (fs_session_ended(session))
		return;
	(void)tree_table_each(session->trees, drop_tree, &drop);
	(void)tree_table_each_data(session->trees, drop_data, &drop);
	if (drop.errnum)
		log_error("%s: the kernel does not forget what it has cached of a layer: %s",
			session->mountpoint, strerror(drop.errnum));
}
