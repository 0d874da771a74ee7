/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tree_mount.h"

#include "support/fs_fixture.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "daemon/mountinfo.h"
#include "fs/erofs_mount.h"

/* A tree that can be mounted in all ways; paths are below the current directory. */
struct mount_fixture {
	struct fs_fixture fs;
	struct tree_mount *mount;
	char dir[PATH_MAX];
	char private_dir[PATH_MAX];
	char upper[PATH_MAX];
	char work[PATH_MAX];
	atomic_bool ended;
};

static void path_in(const struct mount_fixture *fixture, const char *name, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/%s", fixture->fs.scratch->path, name);
}

static void on_ended(void *arg)
{
	struct mount_fixture *fixture = arg;

	atomic_store(&fixture->ended, true);
}

/* Skips the test where that cannot be mounted. */
static void fixture_open(struct mount_fixture *fixture, enum tree_face face, bool writable)
{
	const struct fs_fixture_options no_mount = {.no_mount = true};
	struct tree_mount_options options;
	struct error err = {0};
	char why[256];

	fs_fixture_open(&fixture->fs, &no_mount);
	fixture->mount = NULL;
	atomic_init(&fixture->ended, false);
	path_in(fixture, "mnt", fixture->dir);
	path_in(fixture, "private", fixture->private_dir);
	path_in(fixture, "upper", fixture->upper);
	path_in(fixture, "work", fixture->work);
	assert_int_equal(mkdir(fixture->private_dir, 0700), 0);
	assert_int_equal(mkdir(fixture->upper, 0755), 0);
	assert_int_equal(mkdir(fixture->work, 0755), 0);
	options = (struct tree_mount_options){
		.trees = fixture->fs.trees,
		.tree = fixture->fs.tree,
		.dir = fixture->dir,
		.private_dir = fixture->private_dir,
		.source = "registry.example.com/a:1",
		.face = face,
		.allow_other = geteuid() == 0,
		.upper = writable ? fixture->upper : NULL,
		.work = fixture->work,
	};
	if ((face == FACE_EROFS && !erofs_mount_supported(why, sizeof(why))) ||
		(writable && geteuid() != 0) || access("/dev/fuse", R_OK | W_OK) < 0) {
		print_message("skipped: this user or kernel cannot mount that\n");
		fs_fixture_close(&fixture->fs);
		skip();
	}
	if (tree_mount_start(&options, &fixture->mount, &err) < 0)
		fail_msg("%s", err.message);
	tree_mount_on_end(fixture->mount, on_ended, fixture);
}

static void fixture_close(struct mount_fixture *fixture)
{
	wait_until(atomic_load(&fixture->ended));
	tree_mount_free(fixture->mount);
	fs_fixture_close(&fixture->fs);
}

static void detach(struct mount_fixture *fixture, bool lazy, bool expect_busy)
{
	struct error err = {0};
	bool busy = !expect_busy;

	if (tree_mount_detach(fixture->mount, lazy, &busy, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(busy, expect_busy);
}

static int open_in(const struct mount_fixture *fixture, const char *name, int flags)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.4000s/%s", fixture->dir, name);
	return open(path, flags, 0644);
}

static void check_big(int fd)
{
	uint8_t bytes[4096];

	assert_int_equal(pread(fd, bytes, sizeof(bytes), 1234567), sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], fixture_big_byte(1234567 + i));
}

static const struct mountinfo_entry *entry_of(
	const struct mountinfo *mounts, const struct mount_fixture *fixture)
{
	unsigned major, minor;

	tree_mount_device(fixture->mount, &major, &minor);
	return mountinfo_with_device(mounts, major, minor);
}

static void check_face(enum tree_face face, bool writable, const char *type)
{
	struct mount_fixture fixture;
	struct mountinfo mounts;
	int fd;

	fixture_open(&fixture, face, writable);
	assert_string_equal(tree_mount_face(fixture.mount), face == FACE_EROFS ? "erofs" : "fuse");
	assert_string_equal(tree_mount_face_why(fixture.mount), "");
	assert_int_equal(mountinfo_read(&mounts, NULL), 0);
	assert_non_null(entry_of(&mounts, &fixture));
	assert_string_equal(entry_of(&mounts, &fixture)->dir, fixture.dir);
	assert_string_equal(entry_of(&mounts, &fixture)->type, type);
	assert_non_null(strstr(entry_of(&mounts, &fixture)->options, "nosuid,nodev"));
	mountinfo_clear(&mounts);

	fd = open_in(&fixture, "big", O_RDONLY);
	assert_true(fd >= 0);
	check_big(fd);
	(void)close(fd);
	fd = open_in(&fixture, "new", O_RDWR | O_CREAT);
	assert_int_equal(fd >= 0, writable);
	if (fd >= 0)
		(void)close(fd);
	detach(&fixture, false, false);
	fixture_close(&fixture);
}

static void the_fuse_face_serves_and_goes(void **state)
{
	(void)state;
	check_face(FACE_FUSE, false, "fuse.varve");
}

static void the_erofs_face_serves_and_goes(void **state)
{
	(void)state;
	check_face(FACE_EROFS, false, "erofs");
}

static void a_writable_fuse_face_takes_new_files(void **state)
{
	(void)state;
	check_face(FACE_FUSE, true, "overlay");
}

static void a_writable_erofs_face_takes_new_files(void **state)
{
	(void)state;
	check_face(FACE_EROFS, true, "overlay");
}

static void the_face_is_chosen_by_what_the_kernel_can(void **state)
{
	struct mount_fixture fixture;
	char why[256];
	bool supported = erofs_mount_supported(why, sizeof(why));

	(void)state;
	fixture_open(&fixture, FACE_AUTO, false);
	assert_string_equal(tree_mount_face(fixture.mount), supported ? "erofs" : "fuse");
	assert_string_equal(tree_mount_face_why(fixture.mount), supported ? "" : why);
	detach(&fixture, false, false);
	fixture_close(&fixture);
}

static void check_busy(enum tree_face face, bool writable)
{
	struct mount_fixture fixture;
	struct stat status;
	char path[PATH_MAX];
	int fd;

	fixture_open(&fixture, face, writable);
	fd = open_in(&fixture, "big", O_RDONLY);
	assert_true(fd >= 0);
	detach(&fixture, false, true);
	(void)snprintf(path, sizeof(path), "%.4000s/big", fixture.dir);
	assert_int_equal(stat(path, &status), 0);

	detach(&fixture, true, true);
	assert_int_equal(stat(path, &status), -1);
	check_big(fd);
	assert_false(atomic_load(&fixture.ended));
	(void)close(fd);
	fixture_close(&fixture);
}

static void a_busy_fuse_mount_is_detached_and_served_on(void **state)
{
	(void)state;
	check_busy(FACE_FUSE, false);
}

static void a_busy_erofs_mount_is_detached_and_served_on(void **state)
{
	(void)state;
	check_busy(FACE_EROFS, false);
}

static void a_busy_writable_mount_is_detached_and_served_on(void **state)
{
	(void)state;
	check_busy(FACE_EROFS, true);
}

static void what_others_unmounted_is_no_failure(void **state)
{
	struct mount_fixture fixture;
	struct error err = {0};
	bool busy;

	(void)state;
	fixture_open(&fixture, FACE_EROFS, true);
	assert_int_equal(mount_detach(fixture.dir, false, &busy, &err), 0);
	detach(&fixture, false, false);
	detach(&fixture, true, false);
	fixture_close(&fixture);
}

static void a_mount_below_another_one_stays_until_that_is_gone(void **state)
{
	struct mount_fixture fixture;
	struct error err = {0};
	bool busy;

	(void)state;
	fixture_open(&fixture, FACE_EROFS, false);
	assert_int_equal(mount("tmpfs", fixture.dir, "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(tree_mount_detach(fixture.mount, true, &busy, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_int_equal(umount2(fixture.dir, 0), 0);
	detach(&fixture, false, false);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fuse_face_serves_and_goes),
		cmocka_unit_test(the_erofs_face_serves_and_goes),
		cmocka_unit_test(a_writable_fuse_face_takes_new_files),
		cmocka_unit_test(a_writable_erofs_face_takes_new_files),
		cmocka_unit_test(the_face_is_chosen_by_what_the_kernel_can),
		cmocka_unit_test(a_busy_fuse_mount_is_detached_and_served_on),
		cmocka_unit_test(a_busy_erofs_mount_is_detached_and_served_on),
		cmocka_unit_test(a_busy_writable_mount_is_detached_and_served_on),
		cmocka_unit_test(what_others_unmounted_is_no_failure),
		cmocka_unit_test(a_mount_below_another_one_stays_until_that_is_gone),
	};

	return cmocka_run_group_tests_name("tree_mount", tests, NULL, NULL);
}
