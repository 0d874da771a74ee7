/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a directory before something is mounted on it. */
#include "daemon/mount_target.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/leftovers.h"
#include "daemon/mount_record.h"
#include "daemon/mountinfo.h"
#include "fs/erofs_mount.h"

static int no_path(const char *dir, int errnum, struct error *err)
{
	return error_set_errno(err, errnum, "%s", dir);
}

/* realpath() of the parent, and the last name as it is: what is mounted there may be dead. */
static int path_of_dead(const char *dir, char out[PATH_MAX], struct error *err)
{
	CLEANUP(cleanup_free) char *copy = strdup(dir);
	size_t size = strlen(dir);
	char *name;
	size_t used;

	if (!copy)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a path");
	while (size > 1 && copy[size - 1] == '/')
		copy[--size] = 0;
	name = strrchr(copy, '/');
	if (name)
		*name++ = 0;
	else
		name = copy;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(
			err, ERROR_INVALID, "%s is a dead mount: name it by its path", dir);
	if (!realpath(name == copy ? "." : copy[0] ? copy : "/", out))
		return no_path(dir, errno, err);
	used = strlen(out);
	if (used + strlen(name) + 2 > PATH_MAX)
		return no_path(dir, ENAMETOOLONG, err);
	(void)snprintf(out + used, PATH_MAX - used, "%s%s", used > 1 ? "/" : "", name);
	return 0;
}

int mount_target_path(const char *dir, char out[PATH_MAX], struct error *err)
{
	if (realpath(dir, out))
		return 0;
	if (errno != ENOTCONN && errno != EIO && errno != EACCES)
		return no_path(dir, errno, err);
	return path_of_dead(dir, out, err);
}

static bool is_dead(const char *dir)
{
	struct stat status;

	return stat(dir, &status) < 0 && errno == ENOTCONN;
}

static bool is_same(const struct mount_record *record, const struct mount_wish *wish)
{
	return strcmp(record->reference, wish->reference) == 0 &&
	       strcmp(record->layer, wish->layer) == 0 &&
	       strcmp(record->platform, wish->platform) == 0 &&
	       (record->upper[0] != 0) == wish->writable;
}

static int remove_dead(const struct mountinfo_entry *entry, struct error *err)
{
	bool busy;

	if (strcmp(entry->type, "fuse.varve") != 0)
		return error_set(err, ERROR_BUSY,
			"%s is a dead mount of another program (%s): umount %s first", entry->dir,
			entry->type, entry->dir);
	if (mount_detach(entry->dir, true, &busy, err) < 0)
		return error_prefix(err, "the dead mount on %s", entry->dir);
	log_warning("removed the dead varve mount on %s", entry->dir);
	return 0;
}

/* Decides about the mount that is there, if any. */
static int check_mount(const char *run_dir, const struct mount_wish *wish,
	const struct mountinfo_entry *entry, const struct mount_record *record, bool *same,
	pid_t *pid, struct error *err)
{
	bool recorded = record && strcmp(record->dir, wish->dir) == 0;

	if (recorded && record->alive && is_same(record, wish)) {
		*same = true;
		*pid = record->pid;
		return 0;
	}
	if (recorded && record->alive)
		return error_set(err, ERROR_BUSY,
			"process %jd has %s%s%s mounted on %s: `varve umount %s` first, or choose "
			"another directory",
			(intmax_t)record->pid, record->reference,
			record->layer[0] ? ", layer " : "", record->layer, wish->dir, wish->dir);
	if (recorded) {
		leftovers_remove(run_dir, record);
		return 0;
	}
	return is_dead(entry->dir) ? remove_dead(entry, err) : 0;
}

/* Somebody who is still on the way to a mount there has no device yet. */
static int check_starting(
	const struct mount_records *records, const struct mount_wish *wish, struct error *err)
{
	for (size_t i = 0; i < records->n_records; i++) {
		const struct mount_record *record = &records->records[i];

		if (record->alive && record->major == 0 && record->minor == 0 &&
			strcmp(record->dir, wish->dir) == 0)
			return error_set(err, ERROR_BUSY, "process %jd is about to mount %s on %s",
				(intmax_t)record->pid, record->reference, wish->dir);
	}
	return 0;
}

static int check_directory(const char *dir, struct error *err)
{
	struct stat status;
	struct dirent *entry;
	unsigned n = 0;
	DIR *files;

	if (stat(dir, &status) < 0)
		return no_path(dir, errno, err);
	if (!S_ISDIR(status.st_mode))
		return error_set(err, ERROR_INVALID,
			"%s is not a directory: an image is mounted on one", dir);
	/* A directory that may not be read may still be mounted on. */
	files = opendir(dir);
	while (files && n == 0 && (entry = readdir(files)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (files)
		(void)closedir(files);
	if (n > 0)
		log_warning(
			"%s is not empty: what it holds is hidden while the image is mounted", dir);
	return 0;
}

int mount_target_check(const char *run_dir, const struct mount_wish *wish, bool *same, pid_t *pid,
	struct error *err)
{
	CLEANUP(mount_records_clear) struct mount_records records = {0};
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	const struct mountinfo_entry *entry;

	*same = false;
	if (mount_records_read(run_dir, &records, err) < 0 || mountinfo_read(&mounts, err) < 0)
		return -1;
	entry = mountinfo_at(&mounts, wish->dir);
	if (entry && check_mount(run_dir, wish, entry,
			     mount_records_with_device(&records, entry->major, entry->minor), same,
			     pid, err) < 0)
		return -1;
	if (*same)
		return 0;
	if (check_starting(&records, wish, err) < 0)
		return -1;
	return check_directory(wish->dir, err);
}
