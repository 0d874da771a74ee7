/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/mapping.h"
#include "erofs_format.h"
#include "index/erofs_reader.h"

struct device {
	uint64_t size;
	char tag[DEVICE_TAG_SIZE + 1];
};

struct erofs_reader {
	struct mapping mapping; /* owned */
	const uint8_t *data;    /* the image: where it is mapped, or a test's memory */
	uint64_t size;
	uint64_t root;
	uint64_t n_inodes;
	struct device *devices; /* owned */
	unsigned n_devices;
	bool has_xattrs;
	bool has_unresolved_links;
	uint8_t key[32];
	uint8_t *inodes; /* owned: bit nid is set when an inode of the tree begins there */
};

/* One inode, decoded and within bounds: what it points to is inside the image. */
struct inode {
	uint64_t nid;
	const uint8_t *head;
	uint64_t size;
	uint32_t mode;
	unsigned layout;
	uint32_t union_value;
	const uint8_t *xattrs; /* the body with its header; NULL: none */
	uint64_t xattrs_size;
	const uint8_t *contents; /* directory or symlink: its size bytes; otherwise NULL */
	uint64_t total;          /* bytes of the inode itself with all that follows it */
	unsigned device;         /* regular file with size > 0: 0-based, and its place there */
	uint64_t data_off;
};

/* ERROR_FORMAT when the bytes at this nid are no inode of ours. */
MUST_CHECK int inode_load(
	const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err);

/* The same for a nid that was an inode when the image was opened: ERROR_NOT_FOUND when it was not,
 * ERROR_IO when the disk failed since. */
MUST_CHECK int inode_get(
	const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err);

/* inode_get() of a directory: anything else is ERROR_INVALID. */
MUST_CHECK int directory_get(
	const struct erofs_reader *reader, uint64_t nid, struct inode *out, struct error *err);

/* Ends every answer: -1 with ERROR_IO when the disk has failed since the image was opened. */
MUST_CHECK int still_readable(const struct erofs_reader *reader, struct error *err);

/* What was checked when the image was opened is not so any more. */
int broken_since_open(const struct erofs_reader *reader, struct error *err);

/* One self-contained part of a directory. */
struct directory_block {
	const uint8_t *data;
	unsigned size; /* at most EROFS_BLOCK_SIZE */
	unsigned n;    /* names */
};

/* The block at @off (a multiple of EROFS_BLOCK_SIZE, below the directory's size): 0, or -EILSEQ
 * when its list of names is not inside it. */
MUST_CHECK int directory_block_at(
	const struct inode *directory, uint64_t off, struct directory_block *out);

/* Name i < n of a block: 0, or -EILSEQ when it is not inside the block. next_cookie is not set. */
MUST_CHECK int directory_block_name(
	const struct directory_block *block, unsigned i, struct erofs_dirent *out);

/* One xattr of a body, and where the next begins; 0, or -EILSEQ when it is not inside. */
struct stored_xattr {
	unsigned prefix;
	const char *name; /* without the prefix; not NUL-terminated */
	unsigned name_size;
	const uint8_t *value;
	unsigned value_size;
};

MUST_CHECK int stored_xattr_at(const struct inode *inode, uint64_t *off, struct stored_xattr *out);

/* The first inode at or behind *nid in the order they are stored; false when there is none. */
bool next_inode(const struct erofs_reader *reader, uint64_t *nid);

bool inode_is_known(const struct erofs_reader *reader, uint64_t nid);

/* Parses and checks data and size, which are set; everything else of *reader is set here. */
MUST_CHECK int erofs_check(struct erofs_reader *reader, struct error *err);
MUST_CHECK int erofs_check_header(struct erofs_reader *reader, struct error *err);

/* An image in memory, which is borrowed: for tests and fuzzing. */
MUST_CHECK int erofs_open_memory(
	const uint8_t *data, size_t size, struct erofs_reader **out, struct error *err);

/* The checksums as they should be: of our header and of the superblock (their own fields taken as
 * zero), and of what is behind the first block. */
uint32_t erofs_own_crc(const uint8_t *image);
uint32_t erofs_super_crc(const uint8_t *image);
uint32_t erofs_content_crc(const uint8_t *image, uint64_t size);
