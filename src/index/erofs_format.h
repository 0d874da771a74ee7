/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where things are in an image: byte positions within the structure that the prefix names, all
 * little-endian. What is not listed is zero and has to be.
 * Spec: Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h. */

enum {
	EROFS_BLOCK_BITS = 12,
	EROFS_BLOCK_SIZE = 1 << EROFS_BLOCK_BITS,
	EROFS_NID_SIZE = 32, /* an inode is at byte nid * 32, as the metadata begins at block 0 */
	EROFS_MAX_DEVICES = 4096,

	/* The kernel leaves the first 1024 bytes of an image alone; ours are in OWN_x. */
	OWN_OFF = 0,
	OWN_SIZE = 128,
	OWN_MAGIC = 0,
	OWN_VERSION = 8,
	OWN_CONTENT_CRC = 12, /* CRC-32C of bytes EROFS_BLOCK_SIZE to the end of the image */
	OWN_IMAGE_SIZE = 16,
	OWN_KEY = 24, /* 32 bytes: the index' key */
	OWN_CRC = 56, /* CRC-32C of bytes 0 to 1023 with this field zero */
	OWN_END = 60, /* zeros from here */
	OWN_FORMAT_VERSION = 1,

	SUPER_OFF = 1024,
	SUPER_SIZE = 128,
	SUPER_MAGIC = 0,
	SUPER_CRC = 4, /* CRC-32C of bytes 1024 to 4095 with this field zero */
	SUPER_FEATURE_COMPAT = 8,
	SUPER_BLOCK_BITS = 12,
	SUPER_ROOT_NID = 14,
	SUPER_N_INODES = 16,
	SUPER_BLOCKS = 36,
	SUPER_META_BLOCK = 40,
	SUPER_UUID = 48,
	SUPER_VOLUME_NAME = 64,
	SUPER_FEATURE_INCOMPAT = 80,
	SUPER_EXTRA_DEVICES = 86,
	SUPER_DEVICE_TABLE = 88,    /* in slots of 128 bytes */
	SUPER_COMPAT = 0x1 | 0x2,   /* checksum, mtime */
	SUPER_INCOMPAT = 0x4 | 0x8, /* chunked files, device table */

	DEVICE_TABLE_OFF = SUPER_OFF + SUPER_SIZE,
	DEVICE_SIZE = 128,
	DEVICE_TAG = 0,
	DEVICE_TAG_SIZE = 64,
	DEVICE_BLOCKS = 64,
	DEVICE_RESERVED = 68,

	/* Extended inodes only. */
	INODE_SIZE = 64,
	INODE_FORMAT = 0,      /* 1 (extended) | layout << 1 */
	INODE_XATTR_COUNT = 2, /* 0, or 1 + (bytes of the xattr body - 12) / 4 */
	INODE_MODE = 4,
	INODE_FILE_SIZE = 8,
	INODE_UNION = 16, /* start block, device number or chunk format */
	INODE_INO = 20,
	INODE_UID = 24,
	INODE_GID = 28,
	INODE_MTIME = 32,
	INODE_MTIME_NS = 40,
	INODE_NLINK = 44,
	INODE_OWN_FLAGS = 48, /* enum erofs_flags: reserved bytes that the kernel does not read */
	INODE_RESERVED = 52,

	LAYOUT_FLAT = 0,
	LAYOUT_INLINE = 2,
	LAYOUT_CHUNKS = 4,

	CHUNK_FORMAT_INDEXES = 0x20,
	CHUNK_FORMAT_BITS = 0x1f, /* log2 of blocks per chunk */
	CHUNK_MAX_BITS = 31,
	CHUNK_INDEX_SIZE = 8,
	CHUNK_DEVICE = 2, /* 1-based */
	CHUNK_BLOCK = 4,

	DIRENT_SIZE = 12,
	DIRENT_NID = 0,
	DIRENT_NAME_OFF = 8,
	DIRENT_TYPE = 10,

	XATTR_HEADER_SIZE = 12,
	XATTR_ENTRY_SIZE = 4,
	XATTR_NAME_SIZE = 0,
	XATTR_PREFIX = 1,
	XATTR_VALUE_SIZE = 2,
	XATTR_MAX_BODY = XATTR_HEADER_SIZE + 4 * 65534,
};

#define EROFS_MAGIC 0xe0f5e1e2U
#define OWN_MAGIC_TEXT "varveidx"
#define EROFS_VOLUME_NAME "varve"

/* An inode's nid has 40 bits in a FUSE node id, and blocks are counted in 32. */
#define EROFS_MAX_IMAGE_SIZE ((UINT64_C(1) << 40) * EROFS_NID_SIZE)
#define EROFS_MAX_FILE_SIZE ((uint64_t)EROFS_BLOCK_SIZE << CHUNK_MAX_BITS)
