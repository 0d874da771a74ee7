/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of notes and private mounts of the processes that serve. */
#include "daemon/run_directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"

static int fits(int length, char out[PATH_MAX], struct error *err)
{
	/* Room for "/mounts/<pid>.json" and the like below it. */
	if (length >= 0 && length < PATH_MAX - 64 && out[0] == '/')
		return 0;
	return error_set(err, ERROR_INVALID,
		"the run directory must be an absolute path shorter than %d bytes: \"%s\"",
		PATH_MAX - 64, out);
}

int run_directory_path(char out[PATH_MAX], struct error *err)
{
	const char *chosen = getenv("VARVE_RUN_DIR");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (chosen && chosen[0])
		length = snprintf(out, PATH_MAX, "%s", chosen);
	else if (geteuid() == 0)
		length = snprintf(out, PATH_MAX, "/run/varve");
	else if (runtime && runtime[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/varve", runtime);
	else
		length = snprintf(out, PATH_MAX, "/tmp/varve-%ju", (uintmax_t)geteuid());
	return fits(length, out, err);
}

static int check_private(const char *dir, struct error *err)
{
	struct stat status;

	if (lstat(dir, &status) < 0)
		return error_set_errno(err, errno, "stat %s", dir);
	if (!S_ISDIR(status.st_mode))
		return error_set(err, ERROR_INVALID, "%s is not a directory", dir);
	if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(err, ERROR_UNAUTHORIZED,
			"%s belongs to user %ju with mode %04o: it must be yours and writable by "
			"nobody else; remove it or set VARVE_RUN_DIR",
			dir, (uintmax_t)status.st_uid, status.st_mode & 07777);
	return 0;
}

int run_directory_make(const char *run_dir, struct error *err)
{
	char mounts[PATH_MAX];

	(void)snprintf(mounts, sizeof(mounts), "%.*s/mounts", PATH_MAX - 8, run_dir);
	if (directory_make(run_dir, 0700, err) < 0 || check_private(run_dir, err) < 0)
		return error_prefix(err, "run directory (VARVE_RUN_DIR names another)");
	return directory_make(mounts, 0700, err);
}

void run_directory_private(const char *run_dir, pid_t pid, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%.*s/%jd", PATH_MAX - 24, run_dir, (intmax_t)pid);
}

int run_directory_make_private(
	const char *run_dir, pid_t pid, char out[PATH_MAX], struct error *err)
{
	run_directory_private(run_dir, pid, out);
	return directory_make(out, 0700, err);
}

void run_directory_remove_private(const char *run_dir, pid_t pid)
{
	static const char *const names[] = {"fs", "lower"};
	char dir[PATH_MAX];
	char path[PATH_MAX];

	run_directory_private(run_dir, pid, dir);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 16, dir, names[i]);
		if (rmdir(path) < 0 && errno != ENOENT)
			log_warning("%s stays: %s", path, strerror(errno));
	}
	(void)snprintf(path, sizeof(path), "%.*s/control.sock", PATH_MAX - 16, dir);
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		log_warning("%s stays: %s", path, strerror(errno));
	if (rmdir(dir) < 0 && errno != ENOENT)
		log_warning("%s stays: %s", dir, strerror(errno));
}
