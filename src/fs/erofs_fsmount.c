/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the kernel for an EROFS mount on files, one option per call: a mount(2) string would end at
 * 4096 bytes, which is some 60 devices. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "erofs_internal.h"

enum { MESSAGE_SIZE = 300 };

/* What the kernel said about this context, the last line of it. */
static void read_kernel_message(int context, char out[MESSAGE_SIZE])
{
	char line[MESSAGE_SIZE];
	ssize_t n;

	out[0] = '\0';
	while ((n = read(context, line, sizeof(line) - 1)) > 0) {
		if (line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		/* "e " and the like stand before the text. */
		(void)strcpy(out, n > 2 && line[1] == ' ' ? line + 2 : line);
	}
}

static int fail(int context, int errnum, const char *what, const char *value, struct error *err)
{
	char message[MESSAGE_SIZE];
	struct utsname kernel;

	read_kernel_message(context, message);
	/* Older kernels want a block device. */
	if (errnum == ENOTBLK) {
		(void)uname(&kernel);
		return error_set(err, ERROR_UNSUPPORTED,
			"kernel %s does not mount EROFS on files like %s (6.12 and later do)",
			kernel.release, value);
	}
	if (message[0])
		return error_set(err, ERROR_UNSUPPORTED, "EROFS: %s %s: %s (%s)", what, value,
			message, strerror(errnum));
	return error_set_errno(err, errnum, "EROFS: %s %s", what, value);
}

int erofs_open_context(int *out, struct error *err)
{
	struct utsname kernel;
	int fd = fsopen("erofs", FSOPEN_CLOEXEC);

	if (fd >= 0) {
		*out = fd;
		return 0;
	}
	(void)uname(&kernel);
	if (errno == EPERM)
		return error_set(err, ERROR_UNAUTHORIZED, "mounting EROFS needs root");
	if (errno == ENODEV || errno == ENOSYS)
		return error_set(err, ERROR_UNSUPPORTED, "kernel %s has no EROFS", kernel.release);
	return error_set_errno(err, errno, "fsopen erofs");
}

static int configure(int context, const struct erofs_image *image, struct error *err)
{
	char message[MESSAGE_SIZE];
	unsigned long last;

	if (fsconfig(context, FSCONFIG_SET_STRING, "source", image->index_path, 0) < 0)
		return fail(context, errno, "source", image->index_path, err);
	for (size_t i = 0; i < image->n_devices; i++) {
		if (fsconfig(context, FSCONFIG_SET_STRING, "device", image->devices[i], 0) < 0)
			return fail(context, errno, "device", image->devices[i], err);
	}
	/* Without it file data is cached twice: here, and as pages of the file below. */
	if (fsconfig(context, FSCONFIG_SET_FLAG, "directio", NULL, 0) < 0) {
		read_kernel_message(context, message);
		log_debug("EROFS caches data twice: no directio in this kernel: %s", message);
	}
	if (fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return fail(context, errno, "set", "ro", err);
	last = erofs_read_ahead_last();
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail(context, errno, "mount", image->index_path, err);
	erofs_read_ahead_set(last, image->read_ahead_kib);
	return 0;
}

int erofs_fsmount(const struct erofs_image *image, int *fd, struct error *err)
{
	CLEANUP(cleanup_fd) int context = -1;
	unsigned attributes = MOUNT_ATTR_RDONLY;
	int mount;

	if (erofs_open_context(&context, err) < 0 || configure(context, image, err) < 0)
		return -1;
	if (!image->suid)
		attributes |= MOUNT_ATTR_NOSUID;
	if (!image->dev)
		attributes |= MOUNT_ATTR_NODEV;
	mount = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	if (mount < 0)
		return fail(context, errno, "fsmount", image->index_path, err);
	*fd = mount;
	return 0;
}
