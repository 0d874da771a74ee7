/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, with checksums that are right, as an index; what is accepted can be read whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "erofs_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int result)
{
	if (result < 0)
		__builtin_trap();
}

/* Directories still to be read: a checked image has at most as many as inodes. */
struct walk {
	const struct erofs_reader *reader;
	uint64_t *directories;
	size_t n;
	uint64_t here;
};

static int ignore_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	size_t *total = arg;

	*total += strlen(name) + value_size;
	if (value_size > 0)
		*total += *(const uint8_t *)value;
	return 0;
}

static void read_inode(const struct erofs_reader *reader, const struct erofs_attr *attr)
{
	struct erofs_extent extent;
	char text[4096];
	size_t total = 0;

	must(erofs_each_xattr(reader, attr->nid, ignore_xattr, &total, NULL));
	if (total > 0 && !erofs_has_xattrs(reader))
		__builtin_trap();
	if (S_ISLNK(attr->mode)) {
		must(erofs_readlink(reader, attr->nid, text, NULL));
		if (strlen(text) != attr->size)
			__builtin_trap();
	}
	if (S_ISREG(attr->mode)) {
		must(erofs_extent(reader, attr->nid, &extent, NULL));
		if (!extent.hole && !range_within(extent.data_off, attr->size,
					    erofs_device_size(reader, extent.device)))
			__builtin_trap();
	}
	if (erofs_path(reader, attr->nid, text, NULL) == 0 && text[0] != '/')
		__builtin_trap();
}

static int read_entry(void *arg, const struct erofs_dirent *entry)
{
	struct walk *walk = arg;
	struct erofs_attr attr;
	uint64_t nid;
	bool found;

	must(erofs_lookup(
		walk->reader, walk->here, entry->name, entry->name_size, &found, &nid, NULL));
	if (!found || nid != entry->nid)
		__builtin_trap();
	must(erofs_getattr(walk->reader, nid, &attr, NULL));
	if ((attr.mode & S_IFMT) != entry->type)
		__builtin_trap();
	read_inode(walk->reader, &attr);
	if (S_ISDIR(attr.mode) && entry->name[0] != '.')
		walk->directories[walk->n++] = nid;
	return 0;
}

static void read_tree(const struct erofs_reader *reader)
{
	struct walk walk = {.reader = reader};

	walk.directories = calloc(erofs_n_inodes(reader) + 1, sizeof(uint64_t));
	if (!walk.directories)
		return;
	walk.directories[walk.n++] = erofs_root(reader);
	while (walk.n > 0) {
		walk.here = walk.directories[--walk.n];
		must(erofs_readdir(reader, walk.here, 0, read_entry, &walk, NULL));
	}
	free(walk.directories);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct erofs_reader *reader = NULL;
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	if (size >= 2 * EROFS_BLOCK_SIZE && size <= 1 << 20) {
		le64_store(copy + OWN_OFF + OWN_IMAGE_SIZE, size);
		le32_store(copy + OWN_OFF + OWN_CONTENT_CRC, erofs_content_crc(copy, size));
		le32_store(copy + OWN_OFF + OWN_CRC, erofs_own_crc(copy));
		le32_store(copy + SUPER_OFF + SUPER_CRC, erofs_super_crc(copy));
	}
	if (erofs_open_memory(copy, size, &reader, NULL) == 0)
		read_tree(reader);
	erofs_close(reader);
	free(copy);
	return 0;
}
