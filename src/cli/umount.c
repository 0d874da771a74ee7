/* SPDX-License-Identifier: Apache-2.0 */
/* `varve umount`: takes a mount away and waits for the process that served it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_map.h"
#include "base/log.h"
#include "cli_internal.h"
#include "daemon/leftovers.h"
#include "daemon/mount_record.h"
#include "daemon/mount_target.h"
#include "daemon/mount_users.h"
#include "daemon/mountinfo.h"
#include "daemon/run_directory.h"
#include "fs/erofs_mount.h"

enum { WAIT_MS = 10000, LAZY_WAIT_MS = 1000 };

struct umount_arguments {
	struct common_arguments common; /* first */
	bool lazy;
};

/* What is to be taken away, and what happened. */
struct umount_work {
	const struct umount_arguments *arguments;
	char dir[PATH_MAX];
	char run_dir[PATH_MAX];
	struct mount_records records;
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;
	const struct mount_record *record; /* NULL when nobody left one */
	bool still_served;
	bool was_dead;
};

static void work_clear(struct umount_work *work)
{
	mount_records_clear(&work->records);
	mountinfo_clear(&work->mounts);
}

static const struct mount_record *dead_record_of(
	const struct mount_records *records, const char *dir)
{
	for (size_t i = 0; i < records->n_records; i++) {
		if (!records->records[i].alive && strcmp(records->records[i].dir, dir) == 0)
			return &records->records[i];
	}
	return NULL;
}

static int find(struct umount_work *work, const char *dir, struct error *err)
{
	if (mount_target_path(dir, work->dir, err) < 0 ||
		run_directory_path(work->run_dir, err) < 0 ||
		mount_records_read(work->run_dir, &work->records, err) < 0 ||
		mountinfo_read(&work->mounts, err) < 0)
		return -1;
	work->entry = mountinfo_at(&work->mounts, work->dir);
	if (!work->entry) {
		work->record = dead_record_of(&work->records, work->dir);
		if (work->record)
			return 0;
		return error_set(err, ERROR_NOT_FOUND, "%s is not a mount point", work->dir);
	}
	work->record =
		mount_records_with_device(&work->records, work->entry->major, work->entry->minor);
	if (work->record || strcmp(work->entry->type, "fuse.varve") == 0)
		return 0;
	return error_set(err, ERROR_INVALID,
		"%s is a mount of type %s that varve has no record of: use `umount %s`", work->dir,
		work->entry->type, work->dir);
}

static int refuse_busy(const struct umount_work *work, struct error *err)
{
	char users[MOUNT_USERS_TEXT_SIZE];

	(void)mount_users(work->entry, users);
	return error_set(err, ERROR_BUSY,
		"%s is in use%s%s: end that first, or use `varve umount --lazy %s`", work->dir,
		users[0] ? " by " : "", users, work->dir);
}

/* Waits until the process has ended; its pid cannot become another's meanwhile. */
static bool wait_for_process(int pid_fd, int timeout_ms)
{
	struct pollfd polled = {.fd = pid_fd, .events = POLLIN};
	uint64_t deadline_ns = clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	for (;;) {
		uint64_t now_ns = clock_now_ns();
		int left_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / NS_PER_MS) : 0;
		int n = poll(&polled, 1, left_ms);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static int unmount_served(struct umount_work *work, struct error *err)
{
	CLEANUP(cleanup_fd) int pid_fd = -1;
	bool lazy = work->arguments->lazy;
	bool busy = false;

	/* Held while its record is known to be alive, so it is the process that serves. */
	if (work->record)
		pid_fd = (int)syscall(SYS_pidfd_open, work->record->pid, 0);
	if (mount_detach(work->dir, lazy, &busy, err) < 0)
		return -1;
	if (busy && !lazy)
		return refuse_busy(work, err);
	if (pid_fd >= 0)
		work->still_served = !wait_for_process(pid_fd, lazy ? LAZY_WAIT_MS : WAIT_MS);
	return 0;
}

static int unmount(struct umount_work *work, struct error *err)
{
	if (!work->record || work->record->alive)
		return unmount_served(work, err);
	work->was_dead = true;
	leftovers_remove(work->run_dir, work->record);
	return 0;
}

static int print_result(const struct umount_work *work)
{
	const struct screen screen = screen_on(stdout);
	struct json *json;
	int code;

	if (work->arguments->common.json) {
		json = json_new_object();
		json_set(json, "dir", json_new_string(work->dir));
		json_set(json, "still_served", json_new_bool(work->still_served));
		json_set(json, "was_dead", json_new_bool(work->was_dead));
		json_set(json, "pid", json_new_i64(work->record ? work->record->pid : 0));
		code = cli_print_json("umount", json);
		json_free(json);
		return code;
	}
	if (work->arguments->common.quiet)
		return EXIT_CODE_SUCCESS;
	if (work->still_served)
		screen_line(&screen,
			"%s is unmounted; process %jd serves it until its last user is gone, and "
			"owns %s as long",
			work->dir, (intmax_t)work->record->pid, work->record->store);
	else
		screen_line(&screen, "%s is unmounted", work->dir);
	return EXIT_CODE_SUCCESS;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct umount_arguments arguments = {0};
	CLEANUP(work_clear) struct umount_work work = {.arguments = &arguments};
	struct error err;
	char **operands;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	log_setup(arguments.common.quiet ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, STDERR_FILENO, true);
	if (find(&work, operands[0], &err) < 0 || unmount(&work, &err) < 0)
		return cli_fail("umount", arguments.common.json, &err);
	return print_result(&work);
}

static const struct option_spec options[] = {
	{"lazy", 'l', OPTION_FLAG, offsetof(struct umount_arguments, lazy), NULL, NULL,
		"detach also while it is in use: who uses it goes on, nobody new comes in", NULL},
	OPTION_QUIET,
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_umount = {
	.name = "umount",
	.operands = "DIR",
	.summary = "take a mount away",
	.text = "Unmounts DIR and waits until the process that served it has ended, so that its\n"
		"store is free. Also removes what a process left that was killed.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
