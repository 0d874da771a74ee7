/* SPDX-License-Identifier: Apache-2.0 */
/* Removes dead mounts and directories of processes that were killed. */
#include "daemon/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/mountinfo.h"
#include "daemon/run_directory.h"
#include "fs/erofs_mount.h"

static void detach(const char *dir)
{
	struct error err;
	bool busy;

	if (mount_detach(dir, true, &busy, &err) < 0)
		log_warning("a mount that nobody serves stays: %s", err.message);
	else
		log_info("removed the mount on %s that nobody served any more", dir);
}

/* The mounts below faces and overlays, top down: each holds the one after it. */
static void remove_private(const char *run_dir, const struct mountinfo *mounts, pid_t pid)
{
	static const char *const names[] = {"lower", "fs"};
	char dir[PATH_MAX];
	char path[PATH_MAX];

	run_directory_private(run_dir, pid, dir);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 16, dir, names[i]);
		if (mountinfo_at(mounts, path))
			detach(path);
	}
	run_directory_remove_private(run_dir, pid);
}

/* Device numbers are used again: only a mount at the recorded place is the recorded one. */
static bool is_mounted(const struct mountinfo *mounts, const struct mount_record *record)
{
	const struct mountinfo_entry *entry = mountinfo_at(mounts, record->dir);

	return entry && (record->major || record->minor) && entry->major == record->major &&
	       entry->minor == record->minor;
}

void leftovers_remove_private(const char *run_dir, pid_t pid)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	struct error err;

	if (mountinfo_read(&mounts, &err) < 0)
		log_warning("private mounts stay: %s", err.message);
	else
		remove_private(run_dir, &mounts, pid);
}

void leftovers_remove(const char *run_dir, const struct mount_record *record)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	struct error err;

	if (mountinfo_read(&mounts, &err) < 0) {
		log_warning("%s stays as it is: %s", record->dir, err.message);
		return;
	}
	if (is_mounted(&mounts, record))
		detach(record->dir);
	remove_private(run_dir, &mounts, record->pid);
	mount_record_remove(run_dir, record->pid);
	log_info("cleaned up after process %jd, which ended without unmounting %s",
		(intmax_t)record->pid, record->dir);
}

static bool has_record(const struct mount_records *records, pid_t pid)
{
	for (size_t i = 0; i < records->n_records; i++) {
		if (records->records[i].pid == pid)
			return true;
	}
	return false;
}

/* The pid that a name in the run directory stands for, or 0. */
static pid_t pid_of(const char *name)
{
	unsigned long pid = 0;

	if (name[0] < '1' || name[0] > '9' || name[strspn(name, "0123456789")])
		return 0;
	errno = 0;
	pid = strtoul(name, NULL, 10);
	return errno || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static void clean_unrecorded(const char *run_dir, DIR *dir, const struct mount_records *records)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};
	struct dirent *entry;
	struct error err;

	if (mountinfo_read(&mounts, &err) < 0) {
		log_warning("%s is not cleaned: %s", run_dir, err.message);
		return;
	}
	while ((entry = readdir(dir))) {
		pid_t pid = pid_of(entry->d_name);

		if (pid && !has_record(records, pid))
			remove_private(run_dir, &mounts, pid);
	}
}

int leftovers_clean(const char *run_dir, struct error *err)
{
	CLEANUP(mount_records_clear) struct mount_records records = {0};
	DIR *dir;

	if (mount_records_read(run_dir, &records, err) < 0)
		return -1;
	for (size_t i = 0; i < records.n_records; i++) {
		if (!records.records[i].alive)
			leftovers_remove(run_dir, &records.records[i]);
	}
	dir = opendir(run_dir);
	if (!dir)
		return error_set_errno(err, errno, "open %s", run_dir);
	clean_unrecorded(run_dir, dir, &records);
	(void)closedir(dir);
	return 0;
}
