/* SPDX-License-Identifier: Apache-2.0 */
/* Opens images and answers about single inodes. */
#include "erofs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "draft_internal.h"

int erofs_open(int dir_fd, const char *name, struct erofs_reader **out, struct error *err)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	CLEANUP(cleanup_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "open %s", name);
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_set(err, ERROR_NO_MEMORY, "no memory to open %s", name);
	if (mapping_open(fd, &reader->mapping, err) < 0)
		return error_prefix(err, "open %s", name);
	reader->data = reader->mapping.data;
	reader->size = reader->mapping.size;
	if (erofs_check(reader, err) < 0) {
		if (mapping_failed(&reader->mapping))
			(void)error_set(err, ERROR_IO, "the disk failed");
		return error_prefix(err, "index %s", name);
	}
	*out = TAKE_PTR(reader);
	return 0;
}

int erofs_open_memory(
	const uint8_t *data, size_t size, struct erofs_reader **out, struct error *err)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return error_set(err, ERROR_NO_MEMORY, "no memory to open an index");
	reader->data = data;
	reader->size = size;
	if (erofs_check(reader, err) < 0)
		return -1;
	*out = TAKE_PTR(reader);
	return 0;
}

void erofs_close(struct erofs_reader *reader)
{
	if (!reader)
		return;
	mapping_close(&reader->mapping);
	free(reader->devices);
	free(reader->inodes);
	free(reader);
}

void erofs_closep(struct erofs_reader **reader)
{
	erofs_close(*reader);
}

uint64_t erofs_root(const struct erofs_reader *reader)
{
	return reader->root;
}

uint64_t erofs_n_inodes(const struct erofs_reader *reader)
{
	return reader->n_inodes;
}

unsigned erofs_n_devices(const struct erofs_reader *reader)
{
	return reader->n_devices;
}

bool erofs_has_xattrs(const struct erofs_reader *reader)
{
	return reader->has_xattrs;
}

bool erofs_has_unresolved_links(const struct erofs_reader *reader)
{
	return reader->has_unresolved_links;
}

const uint8_t *erofs_key(const struct erofs_reader *reader)
{
	return reader->key;
}

uint64_t erofs_device_size(const struct erofs_reader *reader, unsigned i)
{
	return i < reader->n_devices ? reader->devices[i].size : 0;
}

const char *erofs_device_tag(const struct erofs_reader *reader, unsigned i, char out[65])
{
	memset(out, 0, DEVICE_TAG_SIZE + 1);
	if (i < reader->n_devices)
		memcpy(out, reader->devices[i].tag, DEVICE_TAG_SIZE);
	return out;
}

int erofs_getattr(
	const struct erofs_reader *reader, uint64_t nid, struct erofs_attr *out, struct error *err)
{
	struct erofs_attr attr;
	struct inode inode;
	uint32_t rdev;

	if (inode_get(reader, nid, &inode, err) < 0)
		return -1;
	rdev = S_ISCHR(inode.mode) || S_ISBLK(inode.mode) ? inode.union_value : 0;
	attr = (struct erofs_attr){
		.nid = nid,
		.size = inode.size,
		.mtime_s = (int64_t)le64_load(inode.head + INODE_MTIME),
		.mtime_ns = le32_load(inode.head + INODE_MTIME_NS),
		.mode = inode.mode,
		.uid = le32_load(inode.head + INODE_UID),
		.gid = le32_load(inode.head + INODE_GID),
		.nlink = le32_load(inode.head + INODE_NLINK),
		.rdev_major = rdev >> 8 & 0xfff,
		.rdev_minor = (rdev & 0xff) | (rdev >> 12 & 0xfff00),
		.flags = le32_load(inode.head + INODE_OWN_FLAGS),
	};
	if (still_readable(reader, err) < 0)
		return -1;
	*out = attr;
	return 0;
}

int erofs_readlink(
	const struct erofs_reader *reader, uint64_t nid, char out[4096], struct error *err)
{
	struct inode inode;

	if (inode_get(reader, nid, &inode, err) < 0)
		return -1;
	if (!S_ISLNK(inode.mode))
		return error_set(err, ERROR_INVALID, "inode %" PRIu64 " is not a symlink", nid);
	if (inode.size >= 4096)
		return broken_since_open(reader, err);
	memcpy(out, inode.contents, inode.size);
	out[inode.size] = 0;
	return still_readable(reader, err);
}

int erofs_extent(const struct erofs_reader *reader, uint64_t nid, struct erofs_extent *out,
	struct error *err)
{
	struct inode inode;

	if (inode_get(reader, nid, &inode, err) < 0)
		return -1;
	if (!S_ISREG(inode.mode))
		return error_set(
			err, ERROR_INVALID, "inode %" PRIu64 " is not a regular file", nid);
	if (still_readable(reader, err) < 0)
		return -1;
	*out = (struct erofs_extent){
		.device = inode.device, .data_off = inode.data_off, .hole = inode.size == 0};
	return 0;
}

int erofs_each_xattr(const struct erofs_reader *reader, uint64_t nid,
	int (*each)(void *arg, const char *name, const void *value, size_t value_size), void *arg,
	struct error *err)
{
	struct inode inode;
	uint64_t off = XATTR_HEADER_SIZE;

	if (inode_get(reader, nid, &inode, err) < 0)
		return -1;
	while (off < inode.xattrs_size) {
		const struct xattr_prefix *prefix;
		struct stored_xattr xattr;
		char name[UINT8_MAX * 2];

		if (stored_xattr_at(&inode, &off, &xattr) < 0)
			return broken_since_open(reader, err);
		prefix = xattr_prefix_by_id(xattr.prefix);
		if (!prefix || prefix->size + xattr.name_size >= sizeof(name))
			return broken_since_open(reader, err);
		memcpy(name, prefix->text, prefix->size);
		memcpy(name + prefix->size, xattr.name, xattr.name_size);
		name[prefix->size + xattr.name_size] = 0;
		if (still_readable(reader, err) < 0)
			return -1;
		if (each(arg, name, xattr.value, xattr.value_size) != 0)
			return 0;
	}
	return still_readable(reader, err);
}
