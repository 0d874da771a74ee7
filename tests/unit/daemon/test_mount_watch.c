/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mount_watch.h"

#include "mount_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "daemon/mount_users.h"

static void count(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void wait_for_one(atomic_uint *n)
{
	for (unsigned i = 0; i < 20000 && atomic_load(n) == 0; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), 1);
}

static struct mount_watch *start(const struct mount_fixture *fixture, atomic_uint *n)
{
	struct mount_watch *watch;
	unsigned major, minor;
	struct error err = {0};

	device_at(fixture->dir, &major, &minor);
	if (mount_watch_start(major, minor, count, n, &watch, &err) < 0)
		fail_msg("%s", err.message);
	return watch;
}

static void tells_that_the_mount_went_away(void **state)
{
	struct mount_fixture *fixture = *state;
	struct mount_watch *watch;
	atomic_uint n = 0;

	mount_tmpfs(fixture->dir);
	watch = start(fixture, &n);
	assert_int_equal(umount2(fixture->dir, 0), 0);
	wait_for_one(&n);
	mount_watch_free(watch);
}

static void waits_for_the_last_mount_of_the_file_system(void **state)
{
	struct mount_fixture *fixture = *state;
	char second[PATH_MAX];
	struct mount_watch *watch;
	atomic_uint n = 0;

	mount_tmpfs(fixture->dir);
	watch = start(fixture, &n);
	(void)snprintf(second, sizeof(second), "%s/second", fixture->scratch->path);
	assert_int_equal(mkdir(second, 0755), 0);
	assert_int_equal(mount(fixture->dir, second, NULL, MS_BIND, NULL), 0);
	assert_int_equal(umount2(fixture->dir, 0), 0);
	/* The list changed twice: had that been enough, it would have been told by now. */
	usleep(50000);
	assert_int_equal(atomic_load(&n), 0);
	assert_int_equal(umount2(second, 0), 0);
	wait_for_one(&n);
	mount_watch_free(watch);
}

static void tells_nothing_once_it_is_freed(void **state)
{
	struct mount_fixture *fixture = *state;
	atomic_uint n = 0;

	mount_tmpfs(fixture->dir);
	mount_watch_free(start(fixture, &n));
	assert_int_equal(umount2(fixture->dir, 0), 0);
	assert_int_equal(atomic_load(&n), 0);
	mount_watch_free(NULL);
}

/* Who keeps the mount on dir busy. */
static const char *users_of(const struct mount_fixture *fixture, char out[MOUNT_USERS_TEXT_SIZE])
{
	struct mountinfo mounts;

	assert_int_equal(mountinfo_read(&mounts, NULL), 0);
	(void)mount_users(mountinfo_at(&mounts, fixture->dir), out);
	mountinfo_clear(&mounts);
	return out;
}

static void names_who_keeps_a_mount_busy(void **state)
{
	struct mount_fixture *fixture = *state;
	char users[MOUNT_USERS_TEXT_SIZE];
	char path[PATH_MAX];
	char own[32];
	void *map;
	int fd;

	mount_tmpfs(fixture->dir);
	assert_string_equal(users_of(fixture, users), "");
	(void)snprintf(own, sizeof(own), "%jd (", (intmax_t)getpid());
	(void)snprintf(path, sizeof(path), "%.4000s/file", fixture->dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_non_null(strstr(users_of(fixture, users), own));

	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	(void)close(fd);
	assert_non_null(strstr(users_of(fixture, users), own));
	assert_int_equal(munmap(map, 4096), 0);

	assert_int_equal(chdir(fixture->dir), 0);
	assert_non_null(strstr(users_of(fixture, users), own));
	assert_int_equal(chdir("/"), 0);
	assert_string_equal(users_of(fixture, users), "");
}

#define WITH_MOUNT(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, mount_fixture_setup, mount_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MOUNT(tells_that_the_mount_went_away),
		WITH_MOUNT(waits_for_the_last_mount_of_the_file_system),
		WITH_MOUNT(tells_nothing_once_it_is_freed),
		WITH_MOUNT(names_who_keeps_a_mount_busy),
	};

	return cmocka_run_group_tests_name("mount_watch", tests, NULL, NULL);
}
