/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of file contents: from a place in a file to a place in a layer's data space. */
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "fs_internal.h"

/* Where a file lies. */
struct place {
	struct layer *layer;
	uint64_t data_off;
	uint64_t size; /* of the file */
	bool hole;
};

static int place_in_tree(struct fs_session *session, const struct fs_node *node, struct place *out)
{
	struct erofs_extent extent;
	struct erofs_attr attr;
	struct error err;

	if (erofs_getattr(node->tree->reader, node->nid, &attr, &err) < 0 ||
		erofs_extent(node->tree->reader, node->nid, &extent, &err) < 0)
		return fs_index_errno(session, node->tree, &err);
	*out = (struct place){.size = attr.size, .hole = extent.hole || attr.size == 0};
	if (out->hole)
		return 0;
	if (extent.device >= node->tree->n_layers)
		return -EIO;
	out->layer = node->tree->layers[extent.device];
	out->data_off = extent.data_off;
	return 0;
}

static int place_of(struct fs_session *session, fuse_ino_t ino, struct place *out)
{
	struct fs_node node;
	int ret = fs_node_resolve(session, ino, &node);

	if (ret < 0)
		return ret;
	if (node.tree)
		return place_in_tree(session, &node, out);
	*out = (struct place){.layer = fs_root_data(session, node.nid)};
	if (!out->layer)
		return -ESTALE;
	out->size = fs_data_size(out->layer);
	return 0;
}

/* A part of a file of which nothing is stored. */
static void reply_zeros(fuse_req_t request, size_t size)
{
	char *zeros = calloc(1, size);

	if (zeros)
		(void)fuse_reply_buf(request, zeros, size);
	else
		(void)fuse_reply_err(request, EIO);
	free(zeros);
}

void fs_op_read(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file)
{
	struct fs_session *session = fuse_req_userdata(request);
	uint64_t start = (uint64_t)off;
	struct place place;
	int ret = place_of(session, ino, &place);

	(void)file;
	atomic_fetch_add_explicit(&session->n_reads, 1, memory_order_relaxed);
	if (ret == 0 && (off < 0 || size > FS_MAX_READ))
		ret = -EINVAL;
	if (ret < 0) {
		(void)fuse_reply_err(request, -ret);
		return;
	}
	if (start >= place.size) {
		(void)fuse_reply_buf(request, NULL, 0);
		return;
	}
	if (size > place.size - start)
		size = (size_t)(place.size - start);
	if (place.hole)
		reply_zeros(request, size);
	/* An index that was damaged since it was checked. */
	else if (place.data_off > UINT64_MAX - start ||
		 !range_within(place.data_off + start, size, fs_data_size(place.layer)))
		(void)fuse_reply_err(request, EIO);
	else
		fs_park_read(session, request, place.layer, place.data_off + start, size);
}
