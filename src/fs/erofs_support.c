/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the kernel can mount an EROFS image that is a file. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/erofs_mount.h"

static bool cannot(char *why, size_t why_size, const char *reason)
{
	(void)snprintf(why, why_size, "%s", reason);
	return false;
}

/* "-resend,-erofs": tests take features of a kernel away. */
static bool is_disabled(void)
{
	const char *features = getenv("VARVE_KERNEL_FEATURES");
	const char *found = features ? strstr(features, "-erofs") : NULL;

	return found && (found == features || found[-1] == ',') &&
	       (found[6] == 0 || found[6] == ',');
}

/* Offers our own program as an image. A kernel that takes files looks into it and finds no
 * superblock; another one says that it is no block device. */
static int try_a_file(void)
{
	CLEANUP(cleanup_fd) int context = fsopen("erofs", FSOPEN_CLOEXEC);
	char path[PATH_MAX];
	ssize_t size;

	if (context < 0)
		return errno;
	size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (size < 0)
		return errno;
	path[size] = 0;
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", path, 0) < 0 ||
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return errno;
	return 0;
}

bool erofs_mount_supported(char *why, size_t why_size)
{
	struct utsname kernel;
	char reason[256];

	if (is_disabled())
		return cannot(why, why_size, "VARVE_KERNEL_FEATURES takes it away");
	if (geteuid() != 0)
		return cannot(why, why_size, "needs root");
	(void)uname(&kernel);
	switch (try_a_file()) {
	case EPERM:
		return cannot(why, why_size, "needs the right to mount (CAP_SYS_ADMIN)");
	case ENODEV:
		(void)snprintf(reason, sizeof(reason), "kernel %s has no EROFS", kernel.release);
		return cannot(why, why_size, reason);
	case ENOSYS:
	case ENOTBLK:
		(void)snprintf(reason, sizeof(reason), "kernel %s has no file-backed EROFS",
			kernel.release);
		return cannot(why, why_size, reason);
	default:
		return true;
	}
}
