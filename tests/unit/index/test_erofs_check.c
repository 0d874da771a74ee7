/* SPDX-License-Identifier: Apache-2.0 */
#include "index/erofs_reader.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "erofs_internal.h"
#include "index/erofs_writer.h"
#include "support/scratch.h"
#include "support/torture_draft.h"

/* A small index in memory, and where its inodes are. */
struct fixture {
	struct scratch *scratch;
	struct buffer image;
	uint64_t root;
	uint64_t directory;
	uint64_t file;
	uint64_t symlink;
	uint64_t xattr;
	uint64_t linked;
	uint64_t large; /* a directory with blocks of its own */
};

static void build(struct fixture *fixture, struct draft *draft)
{
	static const struct erofs_device device = {
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 1 << 20};
	struct erofs_write_options options = {
		.key = torture_key, .devices = &device, .n_devices = 1};
	struct draft_inode *root = draft_root(draft), *directory, *inodes[4], *large;
	struct error err = {0};

	directory = torture_add(draft, root, "directory", S_IFDIR | 0755);
	inodes[0] = torture_add_file(draft, root, "file", 0, 4096, 5000);
	inodes[1] = torture_add_symlink(draft, root, "symlink", "target");
	inodes[2] = torture_add_file(draft, root, "xattr", 0, 0, 0);
	torture_add_xattr(draft, inodes[2], "user.name", "value", 5);
	inodes[3] = torture_add_file(draft, directory, "a", 0, 0, 0);
	assert_int_equal(draft_link(draft, directory, "b", 1, inodes[3], NULL), 0);
	large = torture_add(draft, root, "large", S_IFDIR | 0755);
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "number %03u", i);
		torture_add_file(draft, large, name, 0, 0, 0);
	}
	assert_int_equal(draft_finish(draft, NULL), 0);
	if (erofs_write(fixture->scratch->fd, "i.erofs", draft, &options, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(
		file_read(fixture->scratch->fd, "i.erofs", 1 << 20, &fixture->image, NULL), 0);
	fixture->root = root->nid;
	fixture->directory = directory->nid;
	fixture->file = inodes[0]->nid;
	fixture->symlink = inodes[1]->nid;
	fixture->xattr = inodes[2]->nid;
	fixture->linked = inodes[3]->nid;
	fixture->large = large->nid;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	CLEANUP(draft_freep) struct draft *draft = NULL;
	void *scratch;

	assert_non_null(fixture);
	scratch_setup(&scratch);
	fixture->scratch = scratch;
	assert_int_equal(draft_new(&draft, NULL), 0);
	build(fixture, draft);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	void *scratch = fixture->scratch;

	buffer_free(&fixture->image);
	scratch_teardown(&scratch);
	free(fixture);
	return 0;
}

static int open_image(const struct fixture *fixture, struct error *err)
{
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;

	return erofs_open_memory(fixture->image.data, fixture->image.size, &reader, err);
}

/* Opening fails with this message after size bytes at off were exchanged and checksums repaired. */
static void refused(
	struct fixture *fixture, uint64_t off, const void *bytes, size_t size, const char *message)
{
	uint8_t *image = fixture->image.data;
	struct error err = {0};
	uint8_t saved[16];

	assert_true(size <= sizeof(saved));
	memcpy(saved, image + off, size);
	memcpy(image + off, bytes, size);
	le32_store(image + OWN_CONTENT_CRC, erofs_content_crc(image, fixture->image.size));
	le32_store(image + SUPER_OFF + SUPER_CRC, erofs_super_crc(image));
	le32_store(image + OWN_CRC, erofs_own_crc(image));
	assert_int_equal(open_image(fixture, &err), -1);
	if (!strstr(err.message, message))
		fail_msg("'%s' instead of '%s'", err.message, message);
	memcpy(image + off, saved, size);
	le32_store(image + OWN_CONTENT_CRC, erofs_content_crc(image, fixture->image.size));
	le32_store(image + SUPER_OFF + SUPER_CRC, erofs_super_crc(image));
	le32_store(image + OWN_CRC, erofs_own_crc(image));
	assert_int_equal(open_image(fixture, NULL), 0);
}

static void refused_value(
	struct fixture *fixture, uint64_t off, size_t size, uint64_t value, const char *message)
{
	uint8_t bytes[8];

	le64_store(bytes, value);
	refused(fixture, off, bytes, size, message);
}

static void a_changed_byte_anywhere_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct buffer *image = &fixture->image;

	for (size_t i = 0; i < image->size; i++) {
		image->data[i] ^= 0x40;
		assert_int_equal(open_image(fixture, NULL), -1);
		image->data[i] ^= 0x40;
	}
	assert_int_equal(open_image(fixture, NULL), 0);
}

static void a_cut_image_is_refused_at_every_length(void **state)
{
	struct fixture *fixture = *state;
	size_t size = fixture->image.size;

	for (size_t i = 0; i < size; i += 64) {
		CLEANUP(cleanup_free) uint8_t *copy = malloc(i + 1);
		CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;

		memcpy(copy, fixture->image.data, i);
		assert_int_equal(erofs_open_memory(copy, i, &reader, NULL), -1);
	}
}

static void headers_that_we_would_not_write_are_refused(void **state)
{
	struct fixture *fixture = *state;

	refused_value(fixture, OWN_MAGIC, 1, 'V', "not an index");
	refused_value(fixture, OWN_VERSION, 4, 2, "version 2");
	refused_value(fixture, OWN_IMAGE_SIZE, 8, 4096, "instead of 4096");
	refused_value(fixture, OWN_END, 1, 1, "unknown fields");
	refused_value(fixture, OWN_KEY, 1, 1, "a superblock that is not ours");
	refused_value(fixture, SUPER_OFF + SUPER_BLOCK_BITS, 1, 9, "not ours");
	refused_value(fixture, SUPER_OFF + SUPER_FEATURE_INCOMPAT, 4, 0x1c, "not ours");
	refused_value(fixture, SUPER_OFF + SUPER_META_BLOCK, 4, 1, "not ours");
	refused_value(fixture, SUPER_OFF + SUPER_SIZE - 1, 1, 1, "not ours");
	refused_value(fixture, SUPER_OFF + SUPER_EXTRA_DEVICES, 2, 0, "0 devices");
	refused_value(fixture, SUPER_OFF + SUPER_EXTRA_DEVICES, 2, 2, "device 1 without a key");
	refused_value(fixture, SUPER_OFF + SUPER_EXTRA_DEVICES, 2, 65535, "65535 devices");
	refused_value(fixture, DEVICE_TABLE_OFF + DEVICE_TAG, 1, 'A', "without a key");
	refused_value(fixture, DEVICE_TABLE_OFF + DEVICE_RESERVED, 4, 1, "without a key");
	refused_value(fixture, SUPER_OFF + SUPER_N_INODES, 8, 7, "inodes instead of 7");
	refused_value(fixture, SUPER_OFF + SUPER_ROOT_NID, 2, 0, "unknown format");
	refused_value(fixture, SUPER_OFF + SUPER_ROOT_NID, 2, 65535, "outside the image");
	refused_value(fixture, SUPER_OFF + SUPER_ROOT_NID, 2, fixture->file, "not a directory");
}

static void inodes_that_lead_astray_are_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t file = fixture->file * 32, symlink = fixture->symlink * 32;
	uint64_t index = file + INODE_SIZE, xattr = fixture->xattr * 32;

	refused_value(fixture, file + INODE_FORMAT, 2, 4 << 1, "an unknown format");
	refused_value(fixture, file + INODE_FORMAT, 2, 1 | 5 << 1, "an unknown format");
	refused_value(fixture, file + INODE_FORMAT, 2, 1, "a layout that its type cannot have");
	refused_value(fixture, file + INODE_UNION, 4, 0x21 | 0x40, "a layout");
	refused_value(fixture, file + INODE_UNION, 4, 0x20, "more bytes than its one chunk");
	refused_value(fixture, file + INODE_FILE_SIZE, 8, UINT64_MAX, "more bytes than");
	refused_value(fixture, file + INODE_XATTR_COUNT, 2, 65535, "xattrs outside the image");
	refused_value(fixture, file + INODE_NLINK, 4, 0, "no links");
	refused_value(fixture, file + INODE_NLINK, 4, 2, "has 1 names, not 2");
	refused_value(fixture, file + INODE_MTIME_NS, 4, 1000000000, "nanoseconds");
	refused_value(fixture, file + INODE_OWN_FLAGS, 4, EROFS_OPAQUE, "unknown flags");
	refused_value(fixture, file + INODE_MODE, 2, S_IFSOCK, "a layout");
	refused_value(fixture, xattr + INODE_MODE, 2, S_IFSOCK, "another type");
	refused_value(fixture, xattr + INODE_MODE, 2, 0, "an unknown type");
	refused_value(fixture, index + CHUNK_DEVICE, 2, 0, "outside its device");
	refused_value(fixture, index + CHUNK_DEVICE, 2, 2, "outside its device");
	refused_value(fixture, index + CHUNK_BLOCK, 4, 255, "outside its device");
	refused_value(fixture, index + CHUNK_BLOCK, 4, UINT32_MAX, "outside its device");
	refused_value(fixture, index, 2, 1, "unknown bits");
	refused_value(fixture, symlink + INODE_FILE_SIZE, 8, 0, "no usable symlink");
	refused_value(fixture, symlink + INODE_FILE_SIZE, 8, 5000, "crosses blocks");
	refused_value(fixture, symlink + INODE_FORMAT, 2, 1, "overlaps");
	refused_value(fixture, symlink + INODE_SIZE + 2, 1, 0, "no usable symlink");
	refused_value(fixture, fixture->linked * 32 + INODE_NLINK, 4, 1, "more than one name");
	refused_value(fixture, fixture->linked * 32 + INODE_NLINK, 4, 3, "has 2 names, not 3");
	refused_value(fixture, xattr + INODE_SIZE, 1, 1, "shared xattrs");
	refused_value(fixture, xattr + INODE_SIZE + 12, 1, 255, "xattrs that do not end");
	refused_value(fixture, xattr + INODE_SIZE + 12, 1, 0, "without a name");
	refused_value(fixture, xattr + INODE_SIZE + 13, 1, 5, "without a name");
	refused_value(fixture, xattr + INODE_SIZE + 14, 2, 65535, "xattrs that do not end");
	refused_value(fixture, xattr + INODE_SIZE + 17, 1, 0, "a zero in its name");
}

/* Where the entries of "directory" are: ".", "..", "a", "b". */
static uint64_t entry_at(const struct fixture *fixture, unsigned i)
{
	return fixture->directory * 32 + INODE_SIZE + (uint64_t)i * DIRENT_SIZE;
}

static void directories_that_lead_astray_are_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t names = entry_at(fixture, 4);

	refused_value(fixture, entry_at(fixture, 0), 8, fixture->root, "wrong '..'");
	refused_value(fixture, entry_at(fixture, 1), 8, fixture->directory, "wrong '..'");
	refused_value(fixture, entry_at(fixture, 1) + DIRENT_TYPE, 1, 1, "wrong '..'");
	refused_value(fixture, entry_at(fixture, 2), 8, 0, "unknown format");
	refused_value(fixture, entry_at(fixture, 2), 8, UINT64_MAX / 32, "outside the image");
	refused_value(fixture, entry_at(fixture, 2), 8, UINT64_MAX, "outside the image");
	refused_value(fixture, entry_at(fixture, 2) + DIRENT_TYPE, 1, 2, "another type");
	refused_value(fixture, entry_at(fixture, 2) + DIRENT_TYPE, 1, 9, "another type");
	refused_value(fixture, entry_at(fixture, 0) + DIRENT_NAME_OFF, 2, 0, "broken list");
	refused_value(fixture, entry_at(fixture, 0) + DIRENT_NAME_OFF, 2, 60, "broken list");
	refused_value(fixture, entry_at(fixture, 0) + DIRENT_NAME_OFF, 2, 50, "broken list");
	refused_value(fixture, entry_at(fixture, 2) + DIRENT_NAME_OFF, 2, 4095, "outside its");
	refused_value(fixture, entry_at(fixture, 3) + DIRENT_NAME_OFF, 2, 51, "empty or too");
	refused_value(fixture, names + 3, 1, 'c', "out of order");
	refused_value(fixture, names + 3, 1, '/', "not one component");
	refused_value(fixture, names + 3, 1, 0, "not one component");
	refused_value(fixture, names + 4, 1, 'a', "out of order");
	refused_value(fixture, names, 1, '-', "two names");
	refused_value(fixture, fixture->directory * 32 + INODE_NLINK, 4, 3, "number of links");
}

/* A directory that is its own grandchild would make a walk endless. */
static void a_directory_with_two_names_is_refused(void **state)
{
	struct fixture *fixture = *state;
	uint8_t entry[DIRENT_SIZE];

	memcpy(entry, fixture->image.data + entry_at(fixture, 2), sizeof(entry));
	le64_store(entry, fixture->root);
	entry[DIRENT_TYPE] = 2;
	refused(fixture, entry_at(fixture, 2), entry, sizeof(entry), "two names");
	le64_store(entry, fixture->directory);
	refused(fixture, entry_at(fixture, 2), entry, sizeof(entry), "two names");
}

static void what_overlaps_is_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t large = fixture->large * 32;
	uint32_t last = (uint32_t)(fixture->image.size / EROFS_BLOCK_SIZE);

	/* The blocks of a large directory: in the header, in the inodes, outside. */
	refused_value(fixture, large + INODE_UNION, 4, 0, "overlaps");
	refused_value(fixture, large + INODE_UNION, 4, 1, "overlaps");
	refused_value(fixture, large + INODE_UNION, 4, last, "contents outside the image");
}

static int ignore_entry(void *arg, const struct erofs_dirent *entry)
{
	(void)arg;
	(void)entry;
	return 0;
}

static int ignore_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	(void)arg;
	(void)name;
	(void)value;
	(void)value_size;
	return 0;
}

#define IS_IO_ERROR(call)                                                                          \
	do {                                                                                       \
		struct error err = {0};                                                            \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(err.kind, ERROR_IO);                                              \
	} while (0)

/* Cutting the file under the mapping does what a failing disk does: SIGBUS. */
static void a_disk_that_fails_later_makes_errors_not_signals(void **state)
{
	struct fixture *fixture = *state;
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	struct erofs_extent extent;
	struct erofs_attr attr;
	char text[4096];
	uint64_t nid;
	bool found;

	assert_int_equal(erofs_open(fixture->scratch->fd, "i.erofs", &reader, NULL), 0);
	assert_int_equal(erofs_getattr(reader, fixture->file, &attr, NULL), 0);
	(void)snprintf(text, sizeof(text), "%s/i.erofs", fixture->scratch->path);
	assert_int_equal(truncate(text, 0), 0);

	IS_IO_ERROR(erofs_getattr(reader, fixture->file, &attr, &err));
	IS_IO_ERROR(erofs_lookup(reader, fixture->root, "file", 4, &found, &nid, &err));
	IS_IO_ERROR(erofs_lookup(reader, fixture->large, "number 123", 10, &found, &nid, &err));
	IS_IO_ERROR(erofs_readdir(reader, fixture->root, 0, ignore_entry, NULL, &err));
	IS_IO_ERROR(erofs_readlink(reader, fixture->symlink, text, &err));
	IS_IO_ERROR(erofs_each_xattr(reader, fixture->xattr, ignore_xattr, NULL, &err));
	IS_IO_ERROR(erofs_extent(reader, fixture->file, &extent, &err));
	IS_IO_ERROR(erofs_path(reader, fixture->linked, text, &err));
	IS_IO_ERROR(erofs_find_data(reader, 0, 4096, &found, &nid, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_changed_byte_anywhere_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_cut_image_is_refused_at_every_length, setup, teardown),
		cmocka_unit_test_setup_teardown(
			headers_that_we_would_not_write_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			inodes_that_lead_astray_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			directories_that_lead_astray_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_directory_with_two_names_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_overlaps_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_disk_that_fails_later_makes_errors_not_signals, setup, teardown),
	};
	return cmocka_run_group_tests_name("index/erofs_check", tests, NULL, NULL);
}
