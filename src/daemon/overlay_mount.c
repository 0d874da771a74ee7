/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts overlayfs over a tree. */
#include "daemon/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"

/* Whether "0" of this namespace is the machine's: trusted.* attributes are for that root alone. */
static bool in_user_namespace(void)
{
	CLEANUP(buffer_free) struct buffer map = {0};
	unsigned inside, outside, count;

	if (file_read(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL) < 0 || !map.data)
		return false;
	return sscanf((const char *)map.data, "%u %u %u", &inside, &outside, &count) != 3 ||
	       inside != 0 || outside != 0 || count != UINT32_MAX;
}

int overlay_mount_allowed(struct error *err)
{
	CLEANUP(cleanup_fd) int context = fsopen("overlay", FSOPEN_CLOEXEC);

	if (context >= 0)
		return 0;
	if (errno == EPERM)
		return error_set(err, ERROR_UNSUPPORTED,
			"a writable mount (--rw) is an overlay mount, which this user may not "
			"make: run varve as root, or inside `unshare --user --map-root-user "
			"--mount`");
	if (errno == ENODEV)
		return error_set(err, ERROR_UNSUPPORTED,
			"a writable mount (--rw) needs overlayfs, which this kernel does not have");
	return error_set_errno(err, errno, "prepare an overlay mount");
}

/* What overlayfs itself has to say about a refusal is read from the context, a line at a time. */
static int refused(int context, int errnum, const char *what, struct error *err)
{
	char line[256];
	ssize_t n = read(context, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = 0;
	line[strcspn(line, "\n")] = 0;
	return error_set_errno(err, errnum, "overlay mount: %s%s%s%s", what, n > 0 ? " (" : "",
		n > 0 ? line : "", n > 0 ? ")" : "");
}

static int set(int context, const char *key, const char *value, struct error *err)
{
	if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) == 0)
		return 0;
	return refused(context, errno, key, err);
}

/* lowerdir is a list: colons and backslashes of a path are escaped. Every other option is taken as
 * it is. */
static int set_lower(int context, const char *lower, struct error *err)
{
	CLEANUP(buffer_free) struct buffer value = {0};

	for (const char *p = lower; *p; p++) {
		if (((*p == ':' || *p == '\\') && buffer_append(&value, "\\", 1) < 0) ||
			buffer_append(&value, p, 1) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for a mount option");
	}
	return set(context, "lowerdir", (const char *)value.data, err);
}

static int configure(int context, const struct overlay_mount_options *options, struct error *err)
{
	if (set(context, "source", options->source, err) < 0 ||
		set_lower(context, options->lower, err) < 0 ||
		set(context, "upperdir", options->upper, err) < 0 ||
		set(context, "workdir", options->work, err) < 0)
		return -1;
	if (in_user_namespace() && fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		return refused(context, errno, "userxattr", err);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return refused(context, errno, options->upper, err);
	return 0;
}

int overlay_mount(const struct overlay_mount_options *options, struct error *err)
{
	CLEANUP(cleanup_fd) int context = -1;
	CLEANUP(cleanup_fd) int mount = -1;
	unsigned attributes =
		(options->suid ? 0 : MOUNT_ATTR_NOSUID) | (options->dev ? 0 : MOUNT_ATTR_NODEV);

	if (overlay_mount_allowed(err) < 0)
		return -1;
	context = fsopen("overlay", FSOPEN_CLOEXEC);
	if (context < 0)
		return error_set_errno(err, errno, "prepare an overlay mount");
	if (configure(context, options, err) < 0)
		return -1;
	mount = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	if (mount < 0)
		return refused(context, errno, options->mountpoint, err);
	if (move_mount(mount, "", AT_FDCWD, options->mountpoint, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, "mount on %s", options->mountpoint);
	return 0;
}
