/* SPDX-License-Identifier: Apache-2.0 */
/* Who keeps a mount busy, as far as /proc tells. */
#include "daemon/mount_users.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fdio.h"

enum { MAX_NAMED = 4, MAPS_LIMIT = 64 << 20, SMALL_LIMIT = 64 << 10 };

/* A path below the mount point; it may end in " (deleted)". */
static bool is_below(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	return strncmp(path, dir, size) == 0 && (path[size] == '/' || path[size] == 0);
}

static bool links_into(int proc_fd, const char *name, const char *dir)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(proc_fd, name, path, sizeof(path) - 1);

	if (n <= 0)
		return false;
	path[n] = 0;
	return is_below(path, dir);
}

static bool has_open_file(int proc_fd, const char *dir)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool found = false;

	if (!files) {
		cleanup_fd(&fd);
		return false;
	}
	while (!found && (entry = readdir(files)))
		found = entry->d_name[0] != '.' && links_into(fd, entry->d_name, dir);
	(void)closedir(files);
	return found;
}

/* Lines of maps(5) have the device as "08:1f" in hexadecimal. */
static bool has_map(int proc_fd, const struct mountinfo_entry *mount)
{
	CLEANUP(buffer_free) struct buffer maps = {0};
	char device[32];

	if (file_read(proc_fd, "maps", MAPS_LIMIT, &maps, NULL) < 0 || !maps.data)
		return false;
	(void)snprintf(device, sizeof(device), " %02x:%02x ", mount->major, mount->minor);
	return strstr((const char *)maps.data, device) != NULL;
}

static void append_name(int proc_fd, const char *pid, char *out)
{
	CLEANUP(buffer_free) struct buffer name = {0};
	size_t used = strlen(out);

	(void)snprintf(out + used, MOUNT_USERS_TEXT_SIZE - used, "%s%s", used ? ", " : "", pid);
	used = strlen(out);
	if (file_read(proc_fd, "comm", SMALL_LIMIT, &name, NULL) < 0 || !name.data)
		return;
	(void)snprintf(out + used, MOUNT_USERS_TEXT_SIZE - used, " (%.*s)",
		(int)strcspn((const char *)name.data, "\n"), (const char *)name.data);
}

static bool is_user(int proc_fd, const struct mountinfo_entry *mount)
{
	return links_into(proc_fd, "cwd", mount->dir) || links_into(proc_fd, "root", mount->dir) ||
	       has_open_file(proc_fd, mount->dir) || has_map(proc_fd, mount);
}

const char *mount_users(const struct mountinfo_entry *mount, char out[MOUNT_USERS_TEXT_SIZE])
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned n = 0;

	out[0] = 0;
	while (proc && n <= MAX_NAMED && (entry = readdir(proc))) {
		CLEANUP(cleanup_fd) int fd = -1;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		fd = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || !is_user(fd, mount))
			continue;
		if (n++ < MAX_NAMED)
			append_name(fd, entry->d_name, out);
	}
	if (n > MAX_NAMED) {
		size_t used = strlen(out);

		(void)snprintf(out + used, MOUNT_USERS_TEXT_SIZE - used, " and others");
	}
	if (proc)
		(void)closedir(proc);
	return out;
}
