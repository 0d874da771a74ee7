/* SPDX-License-Identifier: Apache-2.0 */
/* Takes mounts away. */
#include <errno.h>
#include <sys/mount.h>

#include "fs/erofs_mount.h"
#include "fs_internal.h"

static int detach_by_helper(const char *mountpoint, bool lazy, bool *busy, struct error *err)
{
	const char *const usual[] = {"fusermount3", "-u", "--", mountpoint, NULL};
	const char *const detach[] = {"fusermount3", "-u", "-z", "--", mountpoint, NULL};
	struct error problem;

	if (fusermount_run(usual, NULL, &problem) == 0)
		return 0;
	if (problem.kind == ERROR_BUSY) {
		*busy = true;
		if (!lazy || fusermount_run(detach, NULL, &problem) == 0)
			return 0;
	}
	return error_set(err, problem.kind, "%s", problem.message);
}

int mount_detach(const char *mountpoint, bool lazy, bool *busy, struct error *err)
{
	*busy = false;
	if (umount2(mountpoint, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EBUSY) {
		*busy = true;
		if (!lazy || umount2(mountpoint, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
			return 0;
	}
	if (errno == EPERM)
		return detach_by_helper(mountpoint, lazy, busy, err);
	if (errno == EINVAL)
		return error_set(err, ERROR_NOT_FOUND, "%s is not a mount point", mountpoint);
	return error_set_errno(err, errno, "unmount %s", mountpoint);
}
