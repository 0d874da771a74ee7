/* SPDX-License-Identifier: Apache-2.0 */
/* Directories as EROFS stores them: blocks that can each be searched by themselves. */
#include "erofs_writer_internal.h"

#include <sys/stat.h>

#include "base/bytes.h"

uint8_t dirent_type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}

/* Goes through the names of a directory with "." and ".." in their places among them. */
struct cursor {
	const struct draft_inode *inode;
	uint32_t i;      /* of the sorted entries */
	unsigned n_dots; /* how many of the two have been */
};

struct name {
	const char *text;
	size_t size;
	const struct draft_inode *inode;
};

static bool next_name(struct cursor *cursor, struct name *out)
{
	const struct draft_directory *directory = cursor->inode->directory;
	const struct draft_entry *entry = NULL;

	if (cursor->i < directory->n_entries)
		entry = directory->sorted[cursor->i];
	if (cursor->n_dots < 2 && (!entry || name_compare("..", cursor->n_dots + 1, entry->name,
						     entry->name_size) < 0)) {
		*out = (struct name){"..", cursor->n_dots + 1,
			cursor->n_dots == 0 ? cursor->inode : directory->parent};
		cursor->n_dots++;
		return true;
	}
	if (!entry)
		return false;
	*out = (struct name){entry->name, entry->name_size, entry->inode};
	cursor->i++;
	return true;
}

uint64_t directory_encoded_size(const struct draft_inode *inode)
{
	struct cursor cursor = {.inode = inode};
	uint64_t full = 0, used = 0;
	struct name name;

	while (next_name(&cursor, &name)) {
		if (used + DIRENT_SIZE + name.size > EROFS_BLOCK_SIZE) {
			full += EROFS_BLOCK_SIZE;
			used = 0;
		}
		used += DIRENT_SIZE + name.size;
	}
	return full + used;
}

/* How many names from the cursor on fit into one block, and the bytes they take. */
static unsigned count_block(struct cursor cursor, size_t *ret_size)
{
	struct name name;
	size_t used = 0;
	unsigned n = 0;

	while (next_name(&cursor, &name) && used + DIRENT_SIZE + name.size <= EROFS_BLOCK_SIZE) {
		used += DIRENT_SIZE + name.size;
		n++;
	}
	*ret_size = used;
	return n;
}

int directory_append(struct output_file *file, const struct draft_inode *inode, struct error *err)
{
	struct cursor cursor = {.inode = inode};
	uint64_t left = directory_encoded_size(inode);

	while (left > 0) {
		uint8_t block[EROFS_BLOCK_SIZE] = {0};
		size_t used, size;
		unsigned n = count_block(cursor, &used);
		size_t name_off = (size_t)n * DIRENT_SIZE;

		for (unsigned i = 0; i < n; i++) {
			uint8_t *dirent = block + (size_t)i * DIRENT_SIZE;
			struct name name;

			(void)next_name(&cursor, &name);
			le64_store(dirent + DIRENT_NID, name.inode->nid);
			le16_store(dirent + DIRENT_NAME_OFF, (uint16_t)name_off);
			dirent[DIRENT_TYPE] = dirent_type_of(name.inode->mode);
			memcpy(block + name_off, name.text, name.size);
			name_off += name.size;
		}
		size = left > EROFS_BLOCK_SIZE ? EROFS_BLOCK_SIZE : used;
		if (output_file_append(file, block, size, err) < 0)
			return -1;
		left -= size;
	}
	return 0;
}
