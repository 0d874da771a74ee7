/* SPDX-License-Identifier: Apache-2.0 */
/* Whether it is worth trying to mount by the kernel's EROFS. The mount itself has the last word:
 * it also depends on the file system that the index is on. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "erofs_internal.h"
#include "fs/erofs_mount.h"

/* VARVE_KERNEL_FEATURES=-resend,-erofs: what to do without. */
static bool is_switched_off(void)
{
	static const char name[] = "-erofs";
	const char *features = getenv("VARVE_KERNEL_FEATURES");
	const char *at = features;

	while (at && (at = strstr(at, name))) {
		bool starts = at == features || at[-1] == ',';

		at += sizeof(name) - 1;
		if (starts && (*at == '\0' || *at == ','))
			return true;
	}
	return false;
}

bool erofs_kernel_is_new_enough(const char *release)
{
	int major = 0;
	int minor = 0;

	if (sscanf(release, "%d.%d", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 12);
}

/* A distribution may have brought it to an older kernel. Offers our own program as an image: such a
 * kernel looks into it for a superblock, another one says that it is no block device. Not done on
 * newer kernels, which would complain in their log. */
static bool takes_files(int context)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (size < 0)
		return false;
	path[size] = '\0';
	return fsconfig(context, FSCONFIG_SET_STRING, "source", path, 0) == 0 &&
	       fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 && errno != ENOTBLK;
}

bool erofs_mount_supported(char *why, size_t why_size)
{
	CLEANUP(cleanup_fd) int context = -1;
	struct utsname kernel;
	struct error err;

	if (is_switched_off()) {
		(void)snprintf(why, why_size, "VARVE_KERNEL_FEATURES says -erofs");
		return false;
	}
	if (erofs_open_context(&context, &err) < 0) {
		(void)snprintf(why, why_size, "%s", err.message);
		return false;
	}
	(void)uname(&kernel);
	if (erofs_kernel_is_new_enough(kernel.release) || takes_files(context))
		return true;
	(void)snprintf(why, why_size,
		"kernel %s mounts EROFS on block devices only (6.12 and later also on files)",
		kernel.release);
	return false;
}
