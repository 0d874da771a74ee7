/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/scratch.h"

#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "daemon/mount_record.h"
#include "daemon/mountinfo.h"
#include "daemon/run_directory.h"

/* A run directory, and a directory that a tmpfs may be mounted on: for tests that need a mount but
 * not what is in it. */
struct mount_fixture {
	struct scratch *scratch;
	char run_dir[PATH_MAX];
	char dir[PATH_MAX];
};

static inline int mount_fixture_setup(void **state)
{
	struct mount_fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err;

	assert_non_null(fixture);
	assert_int_equal(scratch_setup((void **)&fixture->scratch), 0);
	(void)snprintf(fixture->run_dir, PATH_MAX, "%s/run", fixture->scratch->path);
	(void)snprintf(fixture->dir, PATH_MAX, "%s/mnt", fixture->scratch->path);
	assert_int_equal(run_directory_make(fixture->run_dir, &err), 0);
	assert_int_equal(mkdir(fixture->dir, 0755), 0);
	*state = fixture;
	return 0;
}

static inline int mount_fixture_teardown(void **state)
{
	struct mount_fixture *fixture = *state;

	while (umount2(fixture->dir, MNT_DETACH) == 0)
		;
	assert_int_equal(scratch_teardown((void **)&fixture->scratch), 0);
	free(fixture);
	return 0;
}

/* Skips the test where this process may not mount. */
static inline void mount_tmpfs(const char *dir)
{
	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k") == 0)
		return;
	print_message("skipped: this user may not mount\n");
	skip();
}

static inline void device_at(const char *dir, unsigned *major, unsigned *minor)
{
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;

	assert_int_equal(mountinfo_read(&mounts, NULL), 0);
	entry = mountinfo_at(&mounts, dir);
	assert_non_null(entry);
	*major = entry->major;
	*minor = entry->minor;
	mountinfo_clear(&mounts);
}

/* A record of what is mounted on dir now, by a process that lives as long as *lock is open. */
static inline void record_mount(const struct mount_fixture *fixture, pid_t pid, int *lock)
{
	struct mount_record record = {
		.pid = pid,
		.dir = fixture->dir,
		.reference = "registry.example.com/a:1",
		.layer = "",
		.platform = "linux/amd64",
		.manifest = "",
		.face = "fuse",
		.store = "/nonexistent",
		.control = "",
		.log = "",
		.upper = "",
	};
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;
	struct error err;

	assert_int_equal(mountinfo_read(&mounts, NULL), 0);
	entry = mountinfo_at(&mounts, fixture->dir);
	if (entry) {
		record.major = entry->major;
		record.minor = entry->minor;
	}
	mountinfo_clear(&mounts);
	*lock = -1;
	assert_int_equal(mount_record_write(fixture->run_dir, &record, lock, &err), 0);
}

static inline bool is_mount_point(const char *dir)
{
	struct mountinfo mounts;
	bool found;

	assert_int_equal(mountinfo_read(&mounts, NULL), 0);
	found = mountinfo_at(&mounts, dir) != NULL;
	mountinfo_clear(&mounts);
	return found;
}
