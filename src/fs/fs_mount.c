/* SPDX-License-Identifier: Apache-2.0 */
/* Makes FUSE mounts: with mount(2) where that is allowed, otherwise through fusermount3. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/log.h"
#include "fs_internal.h"

static const char *source_of(const struct fs_session_options *options)
{
	return options->source ? options->source : "varve";
}

/* *allowed false: not by us. */
static int mount_directly(const struct fs_session_options *options, const char *mountpoint,
	int *out, bool *allowed, struct error *err)
{
	CLEANUP(cleanup_fd) int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	unsigned long flags = MS_RDONLY;
	char data[160];

	*allowed = true;
	if (fd < 0) {
		*allowed = errno != EACCES && errno != EPERM;
		return *allowed ? error_set_errno(err, errno, "open /dev/fuse") : 0;
	}
	if (!options->suid)
		flags |= MS_NOSUID;
	if (!options->dev)
		flags |= MS_NODEV;
	/* default_permissions: the kernel compares modes, owners and ACLs, we never see who asks.
	 */
	(void)snprintf(data, sizeof(data),
		"fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fd, getuid(),
		getgid(), options->allow_other ? ",allow_other" : "");
	if (mount(source_of(options), mountpoint, "fuse.varve", flags, data) < 0) {
		*allowed = errno != EPERM;
		return *allowed ? error_set_errno(err, errno, "mount FUSE on %s", mountpoint) : 0;
	}
	*out = TAKE_FD(fd);
	return 0;
}

/* Commas and backslashes are escaped for fusermount3. */
static int append_escaped(struct buffer *out, const char *text)
{
	int ret = 0;

	for (; ret == 0 && *text; text++) {
		if (*text == ',' || *text == '\\')
			ret = buffer_append(out, "\\", 1);
		if (ret == 0)
			ret = buffer_append(out, text, 1);
	}
	return ret;
}

static int mount_by_helper(const struct fs_session_options *options, const char *mountpoint,
	int *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};

	if (buffer_printf(&text, "ro,default_permissions%s%s%s,subtype=varve,fsname=",
		    options->allow_other ? ",allow_other" : "", options->suid ? "" : ",nosuid",
		    options->dev ? "" : ",nodev") < 0 ||
		append_escaped(&text, source_of(options)) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for mount options");
	const char *const arguments[] = {
		"fusermount3", "-o", (const char *)text.data, "--", mountpoint, NULL};
	return fusermount_run(arguments, out, err);
}

int fs_mount(const struct fs_session_options *options, const char *mountpoint, int *fd,
	struct error *err)
{
	bool allowed;

	if (mount_directly(options, mountpoint, fd, &allowed, err) < 0)
		return -1;
	return allowed ? 0 : mount_by_helper(options, mountpoint, fd, err);
}

/* Without a request to whoever serves what is mounted there. */
static int stat_mount(const char *mountpoint, struct statx *out)
{
	return statx(AT_FDCWD, mountpoint,
		AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, out);
}

uint64_t fs_mount_id(const char *mountpoint)
{
	struct statx stat;

	if (stat_mount(mountpoint, &stat) < 0 || !(stat.stx_mask & STATX_MNT_ID))
		return 0;
	return stat.stx_mnt_id;
}

/* The kernel starts with 128 KiB for every mount. */
static void set_read_ahead(const struct statx *stat, unsigned kib)
{
	char path[64];
	char text[16];
	int fd, ret, size;

	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		stat->stx_dev_major, stat->stx_dev_minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		log_debug("read-ahead stays as the kernel set it: open %s: %s", path,
			strerror(errno));
		return;
	}
	size = snprintf(text, sizeof(text), "%u\n", kib);
	ret = fd_write_all(fd, text, (size_t)size);
	if (ret < 0)
		log_debug("read-ahead stays as the kernel set it: write %s: %s", path,
			strerror(-ret));
	(void)close(fd);
}

void fs_mount_tune(struct fs_session *session, unsigned read_ahead_kib)
{
	struct statx stat;

	if (stat_mount(session->mountpoint, &stat) < 0) {
		log_debug("statx %s: %s", session->mountpoint, strerror(errno));
		return;
	}
	if (stat.stx_mask & STATX_MNT_ID)
		session->mount_id = stat.stx_mnt_id;
	set_read_ahead(&stat, read_ahead_kib);
}
