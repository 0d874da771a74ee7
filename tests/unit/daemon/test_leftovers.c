/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/leftovers.h"

#include "mount_fixture.h"

#include "base/log.h"

static size_t n_records(const struct mount_fixture *fixture)
{
	struct mount_records records;
	size_t n;

	assert_int_equal(mount_records_read(fixture->run_dir, &records, NULL), 0);
	n = records.n_records;
	mount_records_clear(&records);
	return n;
}

static void clean(const struct mount_fixture *fixture)
{
	struct error err = {0};

	if (leftovers_clean(fixture->run_dir, &err) < 0)
		fail_msg("%s", err.message);
}

static void the_mount_of_a_dead_process_is_taken_away(void **state)
{
	struct mount_fixture *fixture = *state;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	(void)close(lock);
	clean(fixture);
	assert_false(is_mount_point(fixture->dir));
	assert_int_equal(n_records(fixture), 0);
}

static void the_mount_of_a_living_process_stays(void **state)
{
	struct mount_fixture *fixture = *state;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	clean(fixture);
	assert_true(is_mount_point(fixture->dir));
	assert_int_equal(n_records(fixture), 1);
	(void)close(lock);
}

static void another_mount_at_the_same_place_stays(void **state)
{
	struct mount_fixture *fixture = *state;
	int lock;

	mount_tmpfs(fixture->dir);
	record_mount(fixture, 4711, &lock);
	(void)close(lock);
	assert_int_equal(umount2(fixture->dir, 0), 0);
	assert_int_equal(mount("/proc", fixture->dir, NULL, MS_BIND, NULL), 0);
	clean(fixture);
	assert_true(is_mount_point(fixture->dir));
	assert_int_equal(n_records(fixture), 0);
}

static void a_process_that_died_before_it_mounted_leaves_nothing(void **state)
{
	struct mount_fixture *fixture = *state;
	int lock;

	record_mount(fixture, 4711, &lock);
	(void)close(lock);
	clean(fixture);
	assert_int_equal(n_records(fixture), 0);
}

static void private_mounts_without_a_record_are_taken_away(void **state)
{
	struct mount_fixture *fixture = *state;
	char dir[PATH_MAX];
	char path[PATH_MAX];
	struct error err;

	assert_int_equal(run_directory_make_private(fixture->run_dir, 4711, dir, &err), 0);
	(void)snprintf(path, sizeof(path), "%.4000s/fs", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	mount_tmpfs(path);
	clean(fixture);
	assert_false(is_mount_point(path));
	assert_int_equal(access(dir, F_OK), -1);
}

#define WITH_MOUNT(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, mount_fixture_setup, mount_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MOUNT(the_mount_of_a_dead_process_is_taken_away),
		WITH_MOUNT(the_mount_of_a_living_process_stays),
		WITH_MOUNT(another_mount_at_the_same_place_stays),
		WITH_MOUNT(a_process_that_died_before_it_mounted_leaves_nothing),
		WITH_MOUNT(private_mounts_without_a_record_are_taken_away),
	};

	return cmocka_run_group_tests_name("leftovers", tests, NULL, NULL);
}
