/* SPDX-License-Identifier: Apache-2.0 */
/* Searches through whole images, for messages: which path an inode has, which file a byte of the
 * data space belongs to. */
#include "erofs_internal.h"

#include <inttypes.h>
#include <sys/stat.h>

bool next_inode(const struct erofs_reader *reader, uint64_t *nid)
{
	uint64_t end = reader->size / EROFS_NID_SIZE;

	while (*nid < end) {
		if (*nid % 8 == 0 && reader->inodes[*nid / 8] == 0) {
			*nid += 8;
			continue;
		}
		if (inode_is_known(reader, *nid))
			return true;
		(*nid)++;
	}
	return false;
}

/* A name that leads to an inode. */
struct search {
	uint64_t nid;
	struct erofs_dirent found; /* name is in the image; NULL: not found */
};

static int compare_entry(void *arg, const struct erofs_dirent *entry)
{
	struct search *search = arg;
	bool is_dots = (entry->name_size == 1 && entry->name[0] == '.') ||
		       (entry->name_size == 2 && memcmp(entry->name, "..", 2) == 0);

	if (entry->nid != search->nid || is_dots)
		return 0;
	search->found = *entry;
	return 1;
}

/* Puts "/name" before what is at *at already. */
static int prepend(char *out, size_t *at, const struct erofs_dirent *entry, struct error *err)
{
	if (*at < entry->name_size + 1)
		return error_set(err, ERROR_UNSUPPORTED,
			"the path of inode %" PRIu64 " is longer than 4095 bytes", entry->nid);
	*at -= entry->name_size;
	memcpy(out + *at, entry->name, entry->name_size);
	out[--*at] = '/';
	return 0;
}

/* Any directory that has a name for this inode. */
static int find_parent(const struct erofs_reader *reader, struct search *search,
	uint64_t *ret_parent, struct error *err)
{
	for (uint64_t nid = 0; next_inode(reader, &nid); nid++) {
		struct inode inode;

		if (inode_get(reader, nid, &inode, err) < 0)
			return -1;
		if (!S_ISDIR(inode.mode))
			continue;
		if (erofs_readdir(reader, nid, 0, compare_entry, search, err) < 0)
			return -1;
		if (search->found.name) {
			*ret_parent = nid;
			return 0;
		}
	}
	return error_set(err, ERROR_NOT_FOUND, "inode %" PRIu64 " has no name", search->nid);
}

static int parent_of(const struct erofs_reader *reader, struct search *search, uint64_t *ret_parent,
	struct error *err)
{
	struct inode inode;
	bool found;

	if (inode_get(reader, search->nid, &inode, err) < 0)
		return -1;
	if (!S_ISDIR(inode.mode))
		return find_parent(reader, search, ret_parent, err);
	if (erofs_lookup(reader, search->nid, "..", 2, &found, ret_parent, err) < 0)
		return -1;
	if (!found)
		return broken_since_open(reader, err);
	if (erofs_readdir(reader, *ret_parent, 0, compare_entry, search, err) < 0)
		return -1;
	return search->found.name ? 0 : broken_since_open(reader, err);
}

int erofs_path(const struct erofs_reader *reader, uint64_t nid, char out[4096], struct error *err)
{
	char path[4096];
	size_t at = sizeof(path) - 1;

	path[at] = 0;
	if (nid == reader->root)
		path[--at] = '/';
	while (nid != reader->root) {
		struct search search = {.nid = nid};

		if (parent_of(reader, &search, &nid, err) < 0 ||
			prepend(path, &at, &search.found, err) < 0)
			return -1;
	}
	if (still_readable(reader, err) < 0)
		return -1;
	memcpy(out, path + at, sizeof(path) - at);
	return 0;
}

int erofs_find_data(const struct erofs_reader *reader, unsigned device, uint64_t data_off,
	bool *found, uint64_t *nid, struct error *err)
{
	for (uint64_t i = 0; next_inode(reader, &i); i++) {
		struct inode inode;

		if (inode_get(reader, i, &inode, err) < 0)
			return -1;
		if (!S_ISREG(inode.mode) || inode.size == 0 || inode.device != device ||
			data_off < inode.data_off || data_off - inode.data_off >= inode.size)
			continue;
		if (still_readable(reader, err) < 0)
			return -1;
		*found = true;
		*nid = i;
		return 0;
	}
	if (still_readable(reader, err) < 0)
		return -1;
	*found = false;
	return 0;
}

int erofs_each_file(const struct erofs_reader *reader, unsigned device,
	int (*each)(void *arg, uint64_t nid), void *arg, struct error *err)
{
	for (uint64_t i = 0; next_inode(reader, &i); i++) {
		struct inode inode;

		if (inode_get(reader, i, &inode, err) < 0)
			return -1;
		if (S_ISREG(inode.mode) && inode.size > 0 && inode.device == device &&
			each(arg, i) != 0)
			break;
	}
	return still_readable(reader, err);
}
