/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes single inodes, directory blocks and xattrs, trusting nothing. */
#include "erofs_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/bytes.h"

static const char *load_contents(
	const struct erofs_reader *reader, struct inode *inode, uint64_t head_size)
{
	uint64_t at = inode->nid * EROFS_NID_SIZE;

	if (inode->layout == LAYOUT_INLINE) {
		/* The kernel wants inline data in one block. */
		if (inode->size > EROFS_BLOCK_SIZE ||
			at % EROFS_BLOCK_SIZE + head_size + inode->size > EROFS_BLOCK_SIZE)
			return "inline data that crosses blocks";
		at += head_size;
		inode->total = head_size + inode->size;
	} else if (inode->layout == LAYOUT_FLAT) {
		at = (uint64_t)inode->union_value * EROFS_BLOCK_SIZE;
	} else {
		return "a layout that its type cannot have";
	}
	if (!range_within(at, inode->size, reader->size))
		return "contents outside the image";
	inode->contents = reader->data + at;
	return NULL;
}

static const char *load_extent(
	const struct erofs_reader *reader, struct inode *inode, uint64_t head_size)
{
	uint64_t at = align_up(head_size, CHUNK_INDEX_SIZE);
	const uint8_t *index = inode->head + at;
	unsigned bits = inode->union_value & CHUNK_FORMAT_BITS;

	if (inode->size == 0)
		return inode->layout == LAYOUT_FLAT ? NULL : "a layout that its type cannot have";
	if (inode->layout != LAYOUT_CHUNKS || inode->union_value != (CHUNK_FORMAT_INDEXES | bits))
		return "a layout that its type cannot have";
	if (inode->size > EROFS_MAX_FILE_SIZE || inode->size > (uint64_t)EROFS_BLOCK_SIZE << bits)
		return "more bytes than its one chunk";
	inode->total = at + CHUNK_INDEX_SIZE;
	if (!range_within(inode->nid * EROFS_NID_SIZE, inode->total, reader->size))
		return "a chunk index outside the image";

	if (le16_load(index) != 0)
		return "unknown bits in its chunk index";
	inode->device = le16_load(index + CHUNK_DEVICE) - 1U;
	inode->data_off = (uint64_t)le32_load(index + CHUNK_BLOCK) * EROFS_BLOCK_SIZE;
	if (inode->device >= reader->n_devices ||
		!range_within(inode->data_off, inode->size, reader->devices[inode->device].size))
		return "bytes outside its device";
	return NULL;
}

static const char *load_by_type(
	const struct erofs_reader *reader, struct inode *inode, uint64_t head_size)
{
	inode->total = head_size;
	switch (inode->mode & S_IFMT) {
	case S_IFDIR:
	case S_IFLNK:
		return load_contents(reader, inode, head_size);
	case S_IFREG:
		return load_extent(reader, inode, head_size);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return inode->layout == LAYOUT_FLAT && inode->size == 0
			       ? NULL
			       : "a layout that its type cannot have";
	default:
		return "an unknown type";
	}
}

static const char *load(const struct erofs_reader *reader, struct inode *inode)
{
	const uint8_t *head = inode->head;
	unsigned format = le16_load(head + INODE_FORMAT);
	unsigned n_xattrs = le16_load(head + INODE_XATTR_COUNT);
	uint64_t head_size = INODE_SIZE;

	inode->mode = le16_load(head + INODE_MODE);
	inode->size = le64_load(head + INODE_FILE_SIZE);
	inode->union_value = le32_load(head + INODE_UNION);
	inode->layout = format >> 1;
	if (!(format & 1) || inode->layout > LAYOUT_CHUNKS)
		return "an unknown format";
	if (n_xattrs > 0) {
		inode->xattrs = head + INODE_SIZE;
		inode->xattrs_size = XATTR_HEADER_SIZE + (n_xattrs - 1) * UINT64_C(4);
		head_size += inode->xattrs_size;
		if (!range_within(inode->nid * EROFS_NID_SIZE, head_size, reader->size))
			return "xattrs outside the image";
	}
	return load_by_type(reader, inode, head_size);
}

int inode_load(
	const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err)
{
	const char *problem;

	if (nid > reader->size / EROFS_NID_SIZE ||
		!range_within(nid * EROFS_NID_SIZE, INODE_SIZE, reader->size))
		return error_set(err, ERROR_FORMAT, "inode %" PRIu64 " is outside the image", nid);
	*out = (struct inode){.nid = nid, .head = reader->data + nid * EROFS_NID_SIZE};
	problem = load(reader, out);
	if (problem)
		return error_set(err, ERROR_FORMAT, "inode %" PRIu64 " has %s", nid, problem);
	return 0;
}

bool inode_is_known(const struct erofs_reader *reader, uint64_t nid)
{
	return nid < reader->size / EROFS_NID_SIZE && (reader->inodes[nid / 8] >> nid % 8 & 1);
}

int broken_since_open(const struct erofs_reader *reader, struct error *err)
{
	char key[65];

	hex_encode(reader->key, sizeof(reader->key), key);
	return error_set(err, ERROR_IO,
		mapping_failed(&reader->mapping) ? "index %s: the disk under it failed"
						 : "index %s: its file was changed in place",
		key);
}

int still_readable(const struct erofs_reader *reader, struct error *err)
{
	return mapping_failed(&reader->mapping) ? broken_since_open(reader, err) : 0;
}

int inode_get(const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err)
{
	if (!inode_is_known(reader, nid))
		return error_set(
			err, ERROR_NOT_FOUND, "inode %" PRIu64 " is not in this tree", nid);
	if (inode_load(reader, nid, out, NULL) < 0)
		return broken_since_open(reader, err);
	return 0;
}

int directory_get(
	const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err)
{
	if (inode_get(reader, nid, out, err) < 0)
		return -1;
	if (!S_ISDIR(out->mode))
		return error_set(err, ERROR_INVALID, "inode %" PRIu64 " is not a directory", nid);
	return 0;
}

int directory_block_at(const struct inode *directory, uint64_t off, struct directory_block *out)
{
	uint64_t left = directory->size - off;
	unsigned names_off;

	out->data = directory->contents + off;
	out->size = left < EROFS_BLOCK_SIZE ? (unsigned)left : EROFS_BLOCK_SIZE;
	if (out->size < DIRENT_SIZE)
		return -EILSEQ;
	names_off = le16_load(out->data + DIRENT_NAME_OFF);
	out->n = names_off / DIRENT_SIZE;
	return out->n > 0 && names_off % DIRENT_SIZE == 0 && names_off <= out->size ? 0 : -EILSEQ;
}

static uint32_t mode_of_dirent_type(unsigned type)
{
	static const uint32_t modes[] = {
		0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};

	return type < sizeof(modes) / sizeof(modes[0]) ? modes[type] : 0;
}

int directory_block_name(const struct directory_block *block, unsigned i, struct erofs_dirent *out)
{
	const uint8_t *dirent = block->data + (size_t)i * DIRENT_SIZE;
	unsigned begin = le16_load(dirent + DIRENT_NAME_OFF);
	unsigned end = block->size;

	if (i + 1 < block->n)
		end = le16_load(dirent + DIRENT_SIZE + DIRENT_NAME_OFF);
	if (begin < block->n * DIRENT_SIZE || begin > end || end > block->size)
		return -EILSEQ;
	out->name = (const char *)block->data + begin;
	out->name_size = end - begin;
	/* Only the last name of a block has zeros behind it. */
	if (i + 1 == block->n)
		out->name_size = strnlen(out->name, out->name_size);
	out->nid = le64_load(dirent + DIRENT_NID);
	out->type = mode_of_dirent_type(dirent[DIRENT_TYPE]);
	return 0;
}

int stored_xattr_at(const struct inode *inode, uint64_t *off, struct stored_xattr *out)
{
	const uint8_t *entry = inode->xattrs + *off;
	uint64_t left = inode->xattrs_size - *off;
	uint64_t size;

	if (left < XATTR_ENTRY_SIZE)
		return -EILSEQ;
	out->name_size = entry[XATTR_NAME_SIZE];
	out->prefix = entry[XATTR_PREFIX];
	out->value_size = le16_load(entry + XATTR_VALUE_SIZE);
	size = align_up(XATTR_ENTRY_SIZE + (uint64_t)out->name_size + out->value_size, 4);
	if (size > left)
		return -EILSEQ;
	out->name = (const char *)entry + XATTR_ENTRY_SIZE;
	out->value = entry + XATTR_ENTRY_SIZE + out->name_size;
	*off += size;
	return 0;
}
