/* SPDX-License-Identifier: Apache-2.0 */
#include "index/erofs_reader.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "index/erofs_writer.h"
#include "support/scratch.h"
#include "support/torture_draft.h"

/* The torture tree, written once and open in all tests. */
struct fixture {
	struct scratch *scratch;
	struct draft *draft;
	struct erofs_device devices[TORTURE_DEVICES];
	struct erofs_reader *reader;
};

static void write_tree(struct fixture *fixture, const char *name)
{
	struct erofs_write_options options = {
		.key = torture_key, .devices = fixture->devices, .n_devices = TORTURE_DEVICES};
	struct error err = {0};

	fixture->draft = torture_draft_new(fixture->devices);
	if (erofs_write(fixture->scratch->fd, name, fixture->draft, &options, &err) < 0)
		fail_msg("%s", err.message);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = {0};
	void *scratch;

	assert_non_null(fixture);
	scratch_setup(&scratch);
	fixture->scratch = scratch;
	write_tree(fixture, "t.erofs");
	if (erofs_open(fixture->scratch->fd, "t.erofs", &fixture->reader, &err) < 0)
		fail_msg("%s", err.message);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	void *scratch = fixture->scratch;

	erofs_close(fixture->reader);
	draft_free(fixture->draft);
	scratch_teardown(&scratch);
	free(fixture);
	return 0;
}

static uint64_t find(const struct erofs_reader *reader, const char *path)
{
	uint64_t nid = erofs_root(reader);

	while (*path) {
		size_t size = strcspn(path, "/");
		bool found = false;

		assert_int_equal(erofs_lookup(reader, nid, path, size, &found, &nid, NULL), 0);
		if (!found)
			return 0;
		path += size + (path[size] == '/');
	}
	return nid;
}

static struct erofs_attr attr_of(const struct erofs_reader *reader, const char *path)
{
	struct erofs_attr attr = {0};
	uint64_t nid = find(reader, path);

	if (nid == 0)
		fail_msg("%s is not there", path);
	assert_int_equal(erofs_getattr(reader, nid, &attr, NULL), 0);
	return attr;
}

static void attributes_come_back_as_they_were(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	struct erofs_attr attr = attr_of(reader, "owned");

	assert_int_equal(attr.mode, S_IFREG | 06755);
	assert_int_equal(attr.uid, 70000);
	assert_int_equal(attr.gid, 4000000000);
	assert_int_equal(attr.size, 10);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(attr.mtime_s, 1700000000);
	assert_int_equal(attr.mtime_ns, 123456789);
	attr = attr_of(reader, "before 1970");
	assert_true(attr.mtime_s == -5);
	assert_int_equal(attr.mtime_ns, 999999999);
	assert_true(attr_of(reader, "in 2500").mtime_s == 16725225600);
	assert_true(attr_of(reader, "five gigabytes").size == (UINT64_C(5) << 30) + 1);
	attr = attr_of(reader, "chr");
	assert_int_equal(attr.mode, S_IFCHR | 0600);
	assert_int_equal(attr.rdev_major, 300);
	assert_int_equal(attr.rdev_minor, 0x12345);
	attr = attr_of(reader, "highest");
	assert_int_equal(attr.rdev_major, 4095);
	assert_int_equal(attr.rdev_minor, 1048575);
	assert_int_equal(attr_of(reader, "sub").nlink, 2);
	assert_int_equal(attr_of(reader, "sticky").mode, S_IFDIR | 01777);
	assert_int_equal(attr_of(reader, "implicit/directory").flags, EROFS_IMPLICIT);
	assert_int_equal(attr_of(reader, "owned").flags, 0);
	assert_int_equal(attr_of(reader, "").nid, erofs_root(reader));
}

static void names_of_one_file_lead_to_one_inode(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	struct erofs_attr attr = attr_of(reader, "linked");

	assert_int_equal(attr.nlink, 3);
	assert_int_equal(attr.nid, find(reader, "linked again"));
	assert_int_equal(attr.nid, find(reader, "sub/linked"));
	assert_int_equal(attr_of(reader, "sub/linked symlink").nlink, 2);
}

static void every_name_of_a_large_directory_is_found_and_no_other(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	uint64_t many = find(reader, "many");

	for (unsigned i = 0; i < TORTURE_MANY; i++) {
		char name[128];
		bool found;
		uint64_t nid;

		(void)snprintf(name, sizeof(name), "f%05u_%0*d", i, (int)(i % 90) + 1, 0);
		assert_int_equal(
			erofs_lookup(reader, many, name, strlen(name), &found, &nid, NULL), 0);
		assert_true(found);
		name[strlen(name) - 1] = '1';
		assert_int_equal(
			erofs_lookup(reader, many, name, strlen(name), &found, &nid, NULL), 0);
		assert_false(found);
	}
}

static void names_that_cannot_be_there_are_not_found(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const char *const names[] = {"", "!", "\xff", "zzzz", "on", "onee", "f99999"};
	bool found;
	uint64_t nid;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(erofs_lookup(reader, erofs_root(reader), names[i],
					 strlen(names[i]), &found, &nid, NULL),
			0);
		assert_false(found);
	}
	assert_int_equal(erofs_lookup(reader, erofs_root(reader), ".", 1, &found, &nid, NULL), 0);
	assert_true(found);
	assert_int_equal(nid, erofs_root(reader));
	assert_int_equal(erofs_lookup(reader, find(reader, "sub"), "..", 2, &found, &nid, NULL), 0);
	assert_int_equal(nid, erofs_root(reader));
}

struct listing {
	unsigned n;
	unsigned stop_after;
	uint64_t cookie;
	char previous[256];
	const struct erofs_reader *reader;
};

static int note_entry(void *arg, const struct erofs_dirent *entry)
{
	struct listing *listing = arg;
	struct erofs_attr attr;
	char name[256];

	memcpy(name, entry->name, entry->name_size);
	name[entry->name_size] = 0;
	assert_true(strcmp(listing->previous, name) < 0);
	memcpy(listing->previous, name, sizeof(name));
	assert_int_equal(erofs_getattr(listing->reader, entry->nid, &attr, NULL), 0);
	assert_int_equal(attr.mode & S_IFMT, entry->type);
	listing->cookie = entry->next_cookie;
	listing->n++;
	return listing->n % listing->stop_after == 0;
}

static void readdir_goes_on_where_it_was_stopped(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const unsigned steps[] = {1, 2, 7, 100, 20000};

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct listing listing = {.reader = reader, .stop_after = steps[i]};
		unsigned n;

		do {
			n = listing.n;
			assert_int_equal(erofs_readdir(reader, find(reader, "many"), listing.cookie,
						 note_entry, &listing, NULL),
				0);
		} while (listing.n > n);
		assert_int_equal(listing.n, TORTURE_MANY + 2);
	}
}

static void any_cookie_is_survived(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const uint64_t cookies[] = {1, 4095, 4096, 5000, 1 << 20, 1 << 30, UINT64_MAX};

	for (unsigned i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
		struct listing listing = {.reader = reader, .stop_after = 1000000};

		assert_int_equal(erofs_readdir(reader, find(reader, "many"), cookies[i], note_entry,
					 &listing, NULL),
			0);
		assert_true(listing.n < TORTURE_MANY + 2);
	}
}

static void symlinks_of_every_length_are_read(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const unsigned sizes[] = {4095, 4032, 4031};
	char target[4096];

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "symlink of %u", sizes[i]);
		assert_int_equal(erofs_readlink(reader, find(reader, name), target, NULL), 0);
		assert_int_equal(strlen(target), sizes[i]);
		assert_int_equal(strspn(target, "z"), sizes[i]);
	}
	assert_int_equal(erofs_readlink(reader, find(reader, "short"), target, NULL), 0);
	assert_string_equal(target, "a");
	assert_int_equal(erofs_readlink(reader, find(reader, "one"), target, NULL), -1);
}

struct wanted_xattr {
	const char *name;
	size_t size;
	char first;
	unsigned n_seen;
	unsigned n_all;
};

static int note_xattr(void *arg, const char *name, const void *value, size_t value_size)
{
	struct wanted_xattr *wanted = arg;

	wanted->n_all++;
	if (strcmp(name, wanted->name) != 0)
		return 0;
	wanted->n_seen++;
	assert_int_equal(value_size, wanted->size);
	if (value_size > 0)
		assert_int_equal(*(const char *)value, wanted->first);
	return 0;
}

static void xattrs_come_back_with_their_full_names(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const struct {
		const char *path, *name;
		size_t size;
		char first;
		unsigned n;
	} cases[] = {
		{"capable", "security.capability", 20, 1, 1},
		{"capable too", "security.capability", 20, 1, 1},
		{"acl", "system.posix_acl_access", 44, 2, 1},
		{"default acl", "system.posix_acl_default", 44, 2, 1},
		{"big xattr", "user.big", 65535, 'B', 1},
		{"several xattrs", "user.a", 0, 0, 5},
		{"several xattrs", "user.z", 1, '1', 5},
		{"several xattrs", "trusted.t", 2, 't', 5},
		{"several xattrs", "security.s", 3, 's', 5},
		{"several xattrs", "user.long", 3000, 'B', 5},
		{"symlink with xattr", "trusted.t", 12, 'o', 1},
		{"symlink with big xattr", "trusted.t", 5000, 'B', 1},
	};

	assert_true(erofs_has_xattrs(reader));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wanted_xattr wanted = {
			.name = cases[i].name, .size = cases[i].size, .first = cases[i].first};

		assert_int_equal(erofs_each_xattr(reader, find(reader, cases[i].path), note_xattr,
					 &wanted, NULL),
			0);
		assert_int_equal(wanted.n_seen, 1);
		assert_int_equal(wanted.n_all, cases[i].n);
	}
}

static void extents_say_where_bytes_are(void **state)
{
	const struct fixture *fixture = *state;
	const struct erofs_reader *reader = fixture->reader;
	struct erofs_extent first, second;
	uint64_t nid;
	bool found;

	assert_int_equal(erofs_n_devices(reader), 2);
	assert_int_equal(erofs_device_size(reader, 1), fixture->devices[1].size);
	assert_int_equal(erofs_extent(reader, find(reader, "one"), &first, NULL), 0);
	assert_int_equal(erofs_extent(reader, find(reader, "page"), &second, NULL), 0);
	assert_int_equal(first.device, 0);
	assert_int_equal(second.data_off, first.data_off + 4096);
	assert_int_equal(erofs_extent(reader, find(reader, "five gigabytes"), &first, NULL), 0);
	assert_int_equal(erofs_extent(reader, find(reader, "last"), &second, NULL), 0);
	assert_int_equal(second.device, 1);
	assert_true(second.data_off == first.data_off + (UINT64_C(5) << 30) + 4096);
	assert_int_equal(erofs_extent(reader, find(reader, "empty"), &first, NULL), 0);
	assert_true(first.hole);

	assert_int_equal(erofs_find_data(reader, 1, second.data_off + 9, &found, &nid, NULL), 0);
	assert_true(found);
	assert_int_equal(nid, find(reader, "last"));
	assert_int_equal(erofs_find_data(reader, 1, second.data_off + 10, &found, &nid, NULL), 0);
	assert_false(found);
}

static void paths_are_found_from_inodes(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	static const char *const paths[] = {"", "sub", "sub/linked symlink", "directory 7/3"};
	char deep[4096] = "/deep", path[4096];

	for (unsigned i = 1; i < sizeof(paths) / sizeof(paths[0]); i++) {
		uint64_t nid = find(reader, paths[i]);

		assert_int_equal(erofs_path(reader, nid, path, NULL), 0);
		assert_int_equal(find(reader, path + 1), nid);
	}
	assert_int_equal(erofs_path(reader, erofs_root(reader), path, NULL), 0);
	assert_string_equal(path, "/");
	for (unsigned i = 0; i < 1000; i++)
		memcpy(deep + 5 + i * 2, "/d", 3);
	memcpy(deep + 2005, "/bottom", 8);
	assert_int_equal(erofs_path(reader, find(reader, deep + 1), path, NULL), 0);
	assert_string_equal(path, deep);
}

static void a_number_that_is_no_inode_is_not_found(void **state)
{
	const struct erofs_reader *reader = ((struct fixture *)*state)->reader;
	uint64_t one = find(reader, "one");
	uint64_t numbers[] = {0, 1, one + 1, UINT64_MAX, UINT64_MAX / 32, UINT64_C(1) << 40};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct erofs_attr attr;
		struct error err = {0};

		assert_int_equal(erofs_getattr(reader, numbers[i], &attr, &err), -1);
		assert_int_equal(err.kind, ERROR_NOT_FOUND);
	}
}

static void the_same_tree_makes_the_same_bytes(void **state)
{
	const struct fixture *fixture = *state;
	struct fixture again = {.scratch = fixture->scratch};
	CLEANUP(buffer_free) struct buffer first = {0};
	CLEANUP(buffer_free) struct buffer second = {0};

	write_tree(&again, "again.erofs");
	draft_free(again.draft);
	assert_int_equal(file_read(fixture->scratch->fd, "t.erofs", 64 << 20, &first, NULL), 0);
	assert_int_equal(
		file_read(fixture->scratch->fd, "again.erofs", 64 << 20, &second, NULL), 0);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
}

static int write_one_file(const struct fixture *fixture, uint64_t size, struct error *err)
{
	CLEANUP(draft_freep) struct draft *draft = NULL;
	struct erofs_device device = {.size = align_up(size, 4096)};
	struct erofs_write_options options = {
		.key = torture_key, .devices = &device, .n_devices = 1};

	memset(device.tag, 'd', 64);
	assert_int_equal(draft_new(&draft, NULL), 0);
	torture_add_file(draft, draft_root(draft), "big", 0, 0, size);
	assert_int_equal(draft_finish(draft, NULL), 0);
	return erofs_write(fixture->scratch->fd, "big.erofs", draft, &options, err);
}

static void what_erofs_cannot_hold_is_refused_with_a_reason(void **state)
{
	const struct fixture *fixture = *state;
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	struct error err = {0};

	assert_int_equal(write_one_file(fixture, UINT64_C(8) << 40, &err), 0);
	assert_int_equal(erofs_open(fixture->scratch->fd, "big.erofs", &reader, &err), 0);
	assert_true(attr_of(reader, "big").size == UINT64_C(8) << 40);
	assert_int_equal(write_one_file(fixture, (UINT64_C(8) << 40) + 1, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "at most 8 TiB"));
	assert_int_equal(write_one_file(fixture, UINT64_C(16) << 40, &err), -1);
	assert_non_null(strstr(err.message, "less than 16 TiB"));
}

/* Their table reaches far beyond the first block, and the root has to have a number of 16 bits. */
static void thousands_of_devices_are_possible(void **state)
{
	const struct fixture *fixture = *state;
	enum { N = 4096 };
	CLEANUP(cleanup_free) struct erofs_device *devices = calloc(N + 1, sizeof(*devices));
	CLEANUP(draft_freep) struct draft *draft = NULL;
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	struct erofs_write_options options = {
		.key = torture_key, .devices = devices, .n_devices = N};
	struct erofs_extent extent;
	struct error err = {0};
	char tag[65];

	assert_non_null(devices);
	for (unsigned i = 0; i <= N; i++) {
		(void)snprintf(devices[i].tag, sizeof(devices[i].tag), "%064x", i);
		devices[i].size = UINT64_C(4096) * i;
	}
	assert_int_equal(draft_new(&draft, NULL), 0);
	torture_add_file(draft, draft_root(draft), "file", N - 1, 8192, 5000);
	assert_int_equal(draft_finish(draft, NULL), 0);
	if (erofs_write(fixture->scratch->fd, "n.erofs", draft, &options, &err) < 0 ||
		erofs_open(fixture->scratch->fd, "n.erofs", &reader, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(erofs_n_devices(reader), N);
	assert_int_equal(erofs_device_size(reader, 77), 77 * 4096);
	assert_string_equal(erofs_device_tag(reader, 4095, tag), devices[4095].tag);
	assert_int_equal(erofs_extent(reader, find(reader, "file"), &extent, NULL), 0);
	assert_int_equal(extent.device, N - 1);

	options.n_devices = N + 1;
	assert_int_equal(erofs_write(fixture->scratch->fd, "n.erofs", draft, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_come_back_as_they_were),
		cmocka_unit_test(names_of_one_file_lead_to_one_inode),
		cmocka_unit_test(every_name_of_a_large_directory_is_found_and_no_other),
		cmocka_unit_test(names_that_cannot_be_there_are_not_found),
		cmocka_unit_test(readdir_goes_on_where_it_was_stopped),
		cmocka_unit_test(any_cookie_is_survived),
		cmocka_unit_test(symlinks_of_every_length_are_read),
		cmocka_unit_test(xattrs_come_back_with_their_full_names),
		cmocka_unit_test(extents_say_where_bytes_are),
		cmocka_unit_test(paths_are_found_from_inodes),
		cmocka_unit_test(a_number_that_is_no_inode_is_not_found),
		cmocka_unit_test(the_same_tree_makes_the_same_bytes),
		cmocka_unit_test(thousands_of_devices_are_possible),
		cmocka_unit_test(what_erofs_cannot_hold_is_refused_with_a_reason),
	};
	return cmocka_run_group_tests_name("index/erofs", tests, setup, teardown);
}
