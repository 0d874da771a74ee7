/* SPDX-License-Identifier: Apache-2.0 */
/* Writes EROFS images: first every inode gets its place, then everything is streamed in order:
 * superblock and devices, inodes, the blocks of large directories and long symlinks. */
#include "erofs_writer_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "crc32c.h"

enum {
	MAX_SYMLINK = 4095,
	MAX_RDEV_MAJOR = (1 << 12) - 1,
	MAX_RDEV_MINOR = (1 << 20) - 1,
};

struct writer {
	const struct erofs_write_options *options;
	struct draft *draft;
	struct output_file file;
	uint64_t header_size; /* superblock and devices */
	uint64_t end;         /* of the inodes placed so far */
	uint64_t size;        /* of the image */
	uint64_t next_block;  /* for data that is not inline, in order of the inodes */
	uint32_t n_written;
};

static void writer_cleanup(struct writer *writer)
{
	output_file_close(&writer->file);
}

/* How one inode is stored. */
struct shape {
	unsigned layout;
	uint64_t size;      /* of the file */
	uint64_t head_size; /* inode and xattrs */
	uint64_t total;     /* and chunk index or inline data */
	uint64_t blocks;    /* elsewhere in the image */
};

static void shape_data(struct shape *shape)
{
	if (shape->head_size + shape->size <= EROFS_BLOCK_SIZE) {
		shape->layout = LAYOUT_INLINE;
		shape->total = shape->head_size + shape->size;
	} else {
		shape->blocks = (shape->size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
	}
}

static struct shape shape_of(const struct draft_inode *inode)
{
	struct shape shape = {.layout = LAYOUT_FLAT};

	shape.head_size = INODE_SIZE + (inode->xattrs ? inode->xattrs->size : 0);
	shape.total = shape.head_size;
	if (S_ISDIR(inode->mode)) {
		shape.size = inode->directory->size;
		shape_data(&shape);
	} else if (S_ISLNK(inode->mode)) {
		shape.size = inode->size;
		shape_data(&shape);
	} else if (S_ISREG(inode->mode) && inode->size > 0) {
		shape.size = inode->size;
		shape.layout = LAYOUT_CHUNKS;
		shape.total = align_up(shape.head_size, CHUNK_INDEX_SIZE) + CHUNK_INDEX_SIZE;
	}
	return shape;
}

/* Calls visit() once for every inode, in the order they are stored. */
static int each_inode(struct writer *writer,
	int (*visit)(struct writer *writer, struct draft_inode *inode, struct error *err),
	struct error *err)
{
	const struct draft *draft = writer->draft;
	uint64_t last = draft->root->nid;

	if (visit(writer, draft->root, err) < 0)
		return -1;
	for (size_t i = 0; i < draft->n_directories; i++) {
		const struct draft_directory *directory = draft->directories[i]->directory;

		for (uint32_t j = 0; j < directory->n_entries; j++) {
			struct draft_inode *inode = directory->sorted[j]->inode;

			/* Nids ascend: the other names of an inode come after its first. */
			if (inode->nid != 0 && inode->nid <= last)
				continue;
			if (visit(writer, inode, err) < 0)
				return -1;
			last = inode->nid;
		}
	}
	return 0;
}

int inode_check(const struct draft_inode *inode, struct error *err)
{
	if (inode->mtime_ns >= 1000000000)
		return error_set(err, ERROR_FORMAT, "%" PRIu32 " ns of a second", inode->mtime_ns);
	if (S_ISREG(inode->mode) && inode->size > EROFS_MAX_FILE_SIZE)
		return error_set(err, ERROR_UNSUPPORTED,
			"a file of %" PRIu64 " bytes; at most 8 TiB are supported", inode->size);
	if (S_ISLNK(inode->mode) && (inode->size == 0 || inode->size > MAX_SYMLINK))
		return error_set(err, ERROR_UNSUPPORTED,
			"a symlink of %" PRIu64 " bytes; 1 to %d are supported", inode->size,
			MAX_SYMLINK);
	if ((S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) &&
		(inode->rdev_major > MAX_RDEV_MAJOR || inode->rdev_minor > MAX_RDEV_MINOR))
		return error_set(err, ERROR_UNSUPPORTED,
			"device number %" PRIu32 ":%" PRIu32 "; at most %d:%d is supported",
			inode->rdev_major, inode->rdev_minor, MAX_RDEV_MAJOR, MAX_RDEV_MINOR);
	return 0;
}

static int check_extent(
	const struct writer *writer, const struct draft_inode *inode, struct error *err)
{
	const struct erofs_write_options *options = writer->options;

	if (!S_ISREG(inode->mode) || inode->size == 0)
		return 0;
	if (inode->device >= options->n_devices || inode->data_off % EROFS_BLOCK_SIZE != 0 ||
		!range_within(inode->data_off, inode->size, options->devices[inode->device].size))
		return error_set(err, ERROR_INTERNAL,
			"%" PRIu64 " bytes at %" PRIu64 " are not on device %u", inode->size,
			inode->data_off, inode->device);
	return 0;
}

/* An inode with what belongs to it stays inside one block when it fits into one. */
static int place_inode(struct writer *writer, struct draft_inode *inode, struct error *err)
{
	uint64_t at = align_up(writer->end, EROFS_NID_SIZE);
	struct shape shape;

	if (inode_check(inode, err) < 0 || check_extent(writer, inode, err) < 0)
		return -1;
	if (S_ISDIR(inode->mode))
		inode->directory->size = directory_encoded_size(inode);
	shape = shape_of(inode);
	if (at % EROFS_BLOCK_SIZE + shape.total > EROFS_BLOCK_SIZE)
		at = align_up(at, EROFS_BLOCK_SIZE);

	inode->nid = at / EROFS_NID_SIZE;
	writer->end = at + shape.total;
	writer->next_block += shape.blocks; /* so far a count; see place_all() */
	return 0;
}

/* Decides where everything goes. */
static int place_all(struct writer *writer, struct error *err)
{
	writer->end = writer->header_size;
	if (each_inode(writer, place_inode, err) < 0)
		return -1;
	writer->end = align_up(writer->end, EROFS_BLOCK_SIZE);
	writer->size = writer->end + writer->next_block * EROFS_BLOCK_SIZE;
	if (writer->size / EROFS_BLOCK_SIZE > UINT32_MAX)
		return error_set(
			err, ERROR_UNSUPPORTED, "an index of %" PRIu64 " bytes", writer->size);
	writer->next_block = writer->end / EROFS_BLOCK_SIZE;
	return 0;
}

static unsigned chunk_bits(uint64_t size)
{
	uint64_t blocks = (size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
	unsigned bits = 0;

	while ((UINT64_C(1) << bits) < blocks)
		bits++;
	return bits;
}

/* As new_encode_dev() of the kernel has it. */
static uint32_t encode_rdev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

static uint32_t union_of(
	const struct writer *writer, const struct draft_inode *inode, const struct shape *shape)
{
	if (shape->layout == LAYOUT_CHUNKS)
		return CHUNK_FORMAT_INDEXES | chunk_bits(inode->size);
	if (shape->blocks > 0)
		return (uint32_t)writer->next_block;
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		return encode_rdev(inode->rdev_major, inode->rdev_minor);
	return 0;
}

static int append_chunk_index(
	struct writer *writer, const struct draft_inode *inode, struct error *err)
{
	uint8_t index[CHUNK_INDEX_SIZE] = {0};

	if (output_file_zero_to(&writer->file, align_up(writer->file.off, sizeof(index)), err) < 0)
		return -1;
	le16_store(index + CHUNK_DEVICE, (uint16_t)(inode->device + 1));
	le32_store(index + CHUNK_BLOCK, (uint32_t)(inode->data_off / EROFS_BLOCK_SIZE));
	return output_file_append(&writer->file, index, sizeof(index), err);
}

static int append_contents(
	struct writer *writer, const struct draft_inode *inode, struct error *err)
{
	if (S_ISDIR(inode->mode))
		return directory_append(&writer->file, inode, err);
	return output_file_append(&writer->file, inode->target, inode->size, err);
}

static int write_inode(struct writer *writer, struct draft_inode *inode, struct error *err)
{
	const struct draft_xattrs *xattrs = inode->xattrs;
	struct shape shape = shape_of(inode);
	uint8_t head[INODE_SIZE] = {0};

	le16_store(head + INODE_FORMAT, (uint16_t)(1 | shape.layout << 1));
	if (xattrs)
		le16_store(head + INODE_XATTR_COUNT,
			(uint16_t)(1 + (xattrs->size - XATTR_HEADER_SIZE) / 4));
	le16_store(head + INODE_MODE, (uint16_t)inode->mode);
	le64_store(head + INODE_FILE_SIZE, shape.size);
	le32_store(head + INODE_UNION, union_of(writer, inode, &shape));
	le32_store(head + INODE_INO, ++writer->n_written);
	le32_store(head + INODE_UID, inode->uid);
	le32_store(head + INODE_GID, inode->gid);
	le64_store(head + INODE_MTIME, (uint64_t)inode->mtime_s);
	le32_store(head + INODE_MTIME_NS, inode->mtime_ns);
	le32_store(head + INODE_NLINK, inode->nlink);
	le32_store(head + INODE_OWN_FLAGS, inode->flags);
	writer->next_block += shape.blocks;

	if (output_file_zero_to(&writer->file, inode->nid * EROFS_NID_SIZE, err) < 0 ||
		output_file_append(&writer->file, head, sizeof(head), err) < 0)
		return -1;
	if (xattrs && output_file_append(&writer->file, xattrs->body, xattrs->size, err) < 0)
		return -1;
	if (shape.layout == LAYOUT_CHUNKS)
		return append_chunk_index(writer, inode, err);
	return shape.layout == LAYOUT_INLINE ? append_contents(writer, inode, err) : 0;
}

static int write_blocks(struct writer *writer, struct draft_inode *inode, struct error *err)
{
	if (shape_of(inode).blocks == 0)
		return 0;
	if (append_contents(writer, inode, err) < 0)
		return -1;
	return output_file_zero_to(
		&writer->file, align_up(writer->file.off, EROFS_BLOCK_SIZE), err);
}

static void encode_devices(const struct erofs_write_options *options, uint8_t *header)
{
	for (unsigned i = 0; i < options->n_devices; i++) {
		const struct erofs_device *device = &options->devices[i];
		uint8_t *slot = header + DEVICE_TABLE_OFF + (size_t)i * DEVICE_SIZE;

		memcpy(slot + DEVICE_TAG, device->tag, DEVICE_TAG_SIZE);
		le32_store(slot + DEVICE_BLOCKS, (uint32_t)(device->size / EROFS_BLOCK_SIZE));
	}
}

/* Needs the checksum of what is behind the first block, that is: everything else written. */
static void encode_first_block(const struct writer *writer, uint8_t *header)
{
	const struct erofs_write_options *options = writer->options;
	uint8_t *own = header + OWN_OFF;
	uint8_t *super = header + SUPER_OFF;

	memcpy(own + OWN_MAGIC, OWN_MAGIC_TEXT, 8);
	le32_store(own + OWN_VERSION, OWN_FORMAT_VERSION);
	le32_store(own + OWN_CONTENT_CRC, writer->file.crc);
	le64_store(own + OWN_IMAGE_SIZE, writer->size);
	memcpy(own + OWN_KEY, options->key, 32);
	le32_store(own + OWN_CRC, crc32c((uint32_t)CRC32C_SEED, header, SUPER_OFF));

	le32_store(super + SUPER_MAGIC, EROFS_MAGIC);
	le32_store(super + SUPER_FEATURE_COMPAT, SUPER_COMPAT);
	super[SUPER_BLOCK_BITS] = EROFS_BLOCK_BITS;
	le16_store(super + SUPER_ROOT_NID, (uint16_t)writer->draft->root->nid);
	le64_store(super + SUPER_N_INODES, writer->draft->n_inodes);
	le32_store(super + SUPER_BLOCKS, (uint32_t)(writer->size / EROFS_BLOCK_SIZE));
	memcpy(super + SUPER_UUID, options->key, 16);
	memcpy(super + SUPER_VOLUME_NAME, EROFS_VOLUME_NAME, strlen(EROFS_VOLUME_NAME));
	le32_store(super + SUPER_FEATURE_INCOMPAT, SUPER_INCOMPAT);
	le16_store(super + SUPER_EXTRA_DEVICES, (uint16_t)options->n_devices);
	le16_store(super + SUPER_DEVICE_TABLE, DEVICE_TABLE_OFF / DEVICE_SIZE);
	le32_store(super + SUPER_CRC,
		crc32c((uint32_t)CRC32C_SEED, super, EROFS_BLOCK_SIZE - SUPER_OFF));
}

static int write_image(struct writer *writer, uint8_t *header, struct error *err)
{
	writer->file.crc = (uint32_t)CRC32C_SEED;
	if (output_file_append(&writer->file, header + EROFS_BLOCK_SIZE,
		    writer->header_size - EROFS_BLOCK_SIZE, err) < 0)
		return -1;
	if (each_inode(writer, write_inode, err) < 0 ||
		output_file_zero_to(&writer->file, writer->end, err) < 0)
		return -1;
	if (each_inode(writer, write_blocks, err) < 0)
		return -1;
	assert(writer->file.off == writer->size);
	encode_first_block(writer, header);
	return output_file_patch(&writer->file, header, EROFS_BLOCK_SIZE, 0, err);
}

static int check_devices(const struct erofs_write_options *options, struct error *err)
{
	if (options->n_devices == 0 || options->n_devices > EROFS_MAX_DEVICES)
		return error_set(err, ERROR_UNSUPPORTED, "%u devices; 1 to %d are supported",
			options->n_devices, EROFS_MAX_DEVICES);
	for (unsigned i = 0; i < options->n_devices; i++) {
		uint64_t size = options->devices[i].size;

		assert(size % EROFS_BLOCK_SIZE == 0);
		if (size / EROFS_BLOCK_SIZE > UINT32_MAX)
			return error_set(err, ERROR_UNSUPPORTED,
				"a layer of %" PRIu64 " bytes; less than 16 TiB are supported",
				size);
	}
	return 0;
}

int erofs_write(int dir_fd, const char *name, struct draft *draft,
	const struct erofs_write_options *options, struct error *err)
{
	CLEANUP(writer_cleanup)
	struct writer writer = {
		.options = options, .draft = draft, .file = {.dir_fd = -1, .fd = -1}};
	CLEANUP(cleanup_free) uint8_t *header = NULL;

	assert(draft->n_directories > 0);
	if (check_devices(options, err) < 0)
		return error_prefix(err, "write %s", name);
	writer.header_size = align_up(
		DEVICE_TABLE_OFF + (uint64_t)options->n_devices * DEVICE_SIZE, EROFS_BLOCK_SIZE);
	header = calloc(1, writer.header_size);
	if (!header)
		return error_set(err, ERROR_NO_MEMORY, "no memory to write %s", name);
	encode_devices(options, header);
	if (place_all(&writer, err) < 0)
		return error_prefix(err, "write %s", name);

	if (output_file_open(dir_fd, name, EROFS_BLOCK_SIZE, &writer.file, err) < 0)
		return -1;
	if (write_image(&writer, header, err) < 0)
		return -1;
	return output_file_commit(&writer.file, err);
}
