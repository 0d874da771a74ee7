/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mount_target.h"

#include "mount_fixture.h"

#include "base/fdio.h"

static int check(const struct mount_fixture *fixture, const char *reference, bool *same, pid_t *pid,
	struct error *err)
{
	const struct mount_wish wish = {
		.dir = fixture->dir,
		.reference = reference,
		.layer = "",
		.platform = "linux/amd64",
	};

	*err = (struct error){0};
	return mount_target_check(fixture->run_dir, &wish, same, pid, err);
}

static void an_empty_directory_can_be_mounted_on(void **state)
{
	struct error err;
	bool same = true;
	pid_t pid;

	assert_int_equal(check(*state, "registry.example.com/a:1", &same, &pid, &err), 0);
	assert_false(same);
}

static void what_is_no_directory_cannot(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same;
	pid_t pid;

	assert_int_equal(rmdir(fixture->dir), 0);
	assert_int_equal(check(fixture, "registry.example.com/a:1", &same, &pid, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(file_replace(AT_FDCWD, fixture->dir, "", 0, 0600, &err), 0);
	assert_int_equal(check(fixture, "registry.example.com/a:1", &same, &pid, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(unlink(fixture->dir), 0);
}

static void the_same_image_there_is_found(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same = false;
	pid_t pid = 0;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	assert_int_equal(check(fixture, "registry.example.com/a:1", &same, &pid, &err), 0);
	assert_true(same);
	assert_int_equal(pid, 4711);
	(void)close(lock);
}

static void another_image_there_is_refused_with_its_name(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same;
	pid_t pid;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	assert_int_equal(check(fixture, "registry.example.com/b:1", &same, &pid, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.message, "registry.example.com/a:1"));
	assert_non_null(strstr(err.message, "4711"));
	(void)close(lock);
}

static void what_a_dead_process_left_there_makes_room(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same = true;
	pid_t pid;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	(void)close(lock);
	assert_int_equal(check(fixture, "registry.example.com/b:1", &same, &pid, &err), 0);
	assert_false(same);
	assert_false(is_mount_point(fixture->dir));
}

static void a_mount_of_others_is_mounted_over(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same = true;
	pid_t pid;

	mount_tmpfs(fixture->dir);
	assert_int_equal(check(fixture, "registry.example.com/a:1", &same, &pid, &err), 0);
	assert_false(same);
	assert_true(is_mount_point(fixture->dir));
}

static void a_process_that_is_still_on_its_way_there_is_named(void **state)
{
	struct mount_fixture *fixture = *state;
	struct error err;
	bool same;
	pid_t pid;
	int lock;

	record_mount(fixture, 4711, &lock);
	assert_int_equal(check(fixture, "registry.example.com/a:1", &same, &pid, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	(void)close(lock);
}

static void paths_are_made_plain(void **state)
{
	struct mount_fixture *fixture = *state;
	char real[PATH_MAX];
	char path[PATH_MAX];
	char out[PATH_MAX];
	struct error err;

	assert_non_null(realpath(fixture->dir, real));
	(void)snprintf(path, sizeof(path), "%s//run/../mnt/./", fixture->scratch->path);
	assert_int_equal(mount_target_path(path, out, &err), 0);
	assert_string_equal(out, real);
	(void)snprintf(path, sizeof(path), "%s/link", fixture->scratch->path);
	assert_int_equal(symlink("mnt", path), 0);
	assert_int_equal(mount_target_path(path, out, &err), 0);
	assert_string_equal(out, real);
	assert_int_equal(mount_target_path("/nonexistent/x", out, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

#define WITH_MOUNT(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, mount_fixture_setup, mount_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MOUNT(an_empty_directory_can_be_mounted_on),
		WITH_MOUNT(what_is_no_directory_cannot),
		WITH_MOUNT(the_same_image_there_is_found),
		WITH_MOUNT(another_image_there_is_refused_with_its_name),
		WITH_MOUNT(what_a_dead_process_left_there_makes_room),
		WITH_MOUNT(a_mount_of_others_is_mounted_over),
		WITH_MOUNT(a_process_that_is_still_on_its_way_there_is_named),
		WITH_MOUNT(paths_are_made_plain),
	};

	return cmocka_run_group_tests_name("mount_target", tests, NULL, NULL);
}
