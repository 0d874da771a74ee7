/* SPDX-License-Identifier: Apache-2.0 */
/* Lookup and readdir. */
#include "erofs_internal.h"

#include <sys/stat.h>

#include "draft_internal.h"

/* The last block whose first name is not behind the wanted one: the only one it can be in. */
static int find_block(const struct inode *directory, const char *name, size_t name_size,
	struct directory_block *out)
{
	uint64_t low = 0, high = (directory->size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		struct directory_block block;
		struct erofs_dirent first;
		int ret = directory_block_at(directory, middle * EROFS_BLOCK_SIZE, &block);

		if (ret == 0)
			ret = directory_block_name(&block, 0, &first);
		if (ret < 0)
			return ret;
		if (name_compare(first.name, first.name_size, name, name_size) <= 0)
			low = middle;
		else
			high = middle;
	}
	return directory_block_at(directory, low * EROFS_BLOCK_SIZE, out);
}

static int find_name(const struct directory_block *block, const char *name, size_t name_size,
	bool *found, uint64_t *nid)
{
	unsigned low = 0, high = block->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		struct erofs_dirent entry;
		int ret = directory_block_name(block, middle, &entry);
		int order;

		if (ret < 0)
			return ret;
		order = name_compare(entry.name, entry.name_size, name, name_size);
		if (order == 0) {
			*nid = entry.nid;
			*found = true;
			return 0;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return 0;
}

int erofs_lookup(const struct erofs_reader *reader, uint64_t directory, const char *name,
	size_t name_size, bool *found, uint64_t *nid, struct error *err)
{
	struct directory_block block;
	bool is_there = false;
	struct inode inode;
	uint64_t there = 0;

	if (directory_get(reader, directory, &inode, err) < 0)
		return -1;
	if (find_block(&inode, name, name_size, &block) < 0 ||
		find_name(&block, name, name_size, &is_there, &there) < 0)
		return broken_since_open(reader, err);
	if (still_readable(reader, err) < 0)
		return -1;
	if (is_there && !inode_is_known(reader, there))
		return broken_since_open(reader, err);
	*found = is_there;
	if (is_there)
		*nid = there;
	return 0;
}

/* A cookie is where the next entry is: the offset of its block, plus its number in there. */
int erofs_readdir(const struct erofs_reader *reader, uint64_t directory, uint64_t cookie,
	int (*each)(void *arg, const struct erofs_dirent *entry), void *arg, struct error *err)
{
	uint64_t off = cookie & ~(uint64_t)(EROFS_BLOCK_SIZE - 1);
	unsigned i = (unsigned)(cookie % EROFS_BLOCK_SIZE);
	struct inode inode;

	if (directory_get(reader, directory, &inode, err) < 0)
		return -1;
	for (; off < inode.size; off += EROFS_BLOCK_SIZE, i = 0) {
		struct directory_block block;

		if (directory_block_at(&inode, off, &block) < 0)
			return broken_since_open(reader, err);
		for (; i < block.n; i++) {
			struct erofs_dirent entry;

			if (directory_block_name(&block, i, &entry) < 0 || entry.type == 0 ||
				!inode_is_known(reader, entry.nid))
				return broken_since_open(reader, err);
			if (still_readable(reader, err) < 0)
				return -1;
			entry.next_cookie = i + 1 < block.n ? off + i + 1 : off + EROFS_BLOCK_SIZE;
			if (each(arg, &entry) != 0)
				return 0;
		}
	}
	return still_readable(reader, err);
}
