/* SPDX-License-Identifier: Apache-2.0 */
/* File systems for tests. */
#include "disk_fixture.h"

#include "support/test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* What mkfs.xfs makes at least. */
static const off_t xfs_size = 320 * MIB;

int disk_run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void require_mounts(void)
{
	if (geteuid() != 0) {
		print_message("skipped: mounting needs root\n");
		skip();
	}
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("skipped: no mount namespace: %s\n", strerror(errno));
		skip();
	}
}

static bool try_mount(struct disk *disk)
{
	char command[300], options[64];

	if (disk->kind == DISK_TMPFS) {
		(void)snprintf(options, sizeof(options), "size=%d", DISK_SIZE);
		return mount("none", disk->path, "tmpfs", 0, options) == 0;
	}
	(void)snprintf(command, sizeof(command), "mount -o loop %s %s 2>/dev/null", disk->image,
		disk->path);
	return disk_run(command) == 0;
}

static bool make_image(struct disk *disk)
{
	bool xfs = disk->kind == DISK_XFS;
	char command[300];
	int fd;

	(void)snprintf(disk->image, sizeof(disk->image), "/tmp/varve-test-image-XXXXXX");
	fd = mkstemp(disk->image);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, xfs ? xfs_size : DISK_SIZE), 0);
	close(fd);
	(void)snprintf(command, sizeof(command), "%s -q %s >/dev/null 2>&1",
		xfs ? "mkfs.xfs" : "mkfs.ext4 -m 0 -b 4096", disk->image);
	return disk_run(command) == 0;
}

struct disk *disk_make(enum disk_kind kind)
{
	static const char *const names[] = {"ext4", "tmpfs", "xfs"};
	struct disk *disk = calloc(1, sizeof(*disk));

	require_mounts();
	assert_non_null(disk);
	disk->kind = kind;
	(void)snprintf(disk->path, sizeof(disk->path), "/tmp/varve-test-disk-XXXXXX");
	assert_non_null(mkdtemp(disk->path));
	if ((kind != DISK_TMPFS && !make_image(disk)) || !try_mount(disk)) {
		print_message("skipped: cannot make or mount %s here\n", names[kind]);
		disk_remove(disk);
		skip();
	}
	disk->fixture = fixture_new(disk->path);
	return disk;
}

void disk_remove(struct disk *disk)
{
	if (disk->fixture)
		fixture_free(disk->fixture);
	(void)umount2(disk->path, MNT_DETACH);
	(void)rmdir(disk->path);
	if (disk->image[0])
		(void)unlink(disk->image);
	free(disk);
}

void disk_remount(struct disk *disk, bool read_only)
{
	assert_int_equal(mount("none", disk->path, NULL,
				 (unsigned long)(MS_REMOUNT | (read_only ? MS_RDONLY : 0)), NULL),
		0);
}

void disk_unmount(struct disk *disk)
{
	assert_int_equal(umount2(disk->path, 0), 0);
}

void disk_mount(struct disk *disk)
{
	assert_true(try_mount(disk));
}
