/* SPDX-License-Identifier: Apache-2.0 */
/* `varve why`: from a path to what varve knows of the file, without reading it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_map.h"
#include "cli_internal.h"
#include "control/control_client.h"
#include "daemon/mount_record.h"
#include "daemon/mount_target.h"
#include "daemon/mountinfo.h"
#include "daemon/run_directory.h"
#include "why_internal.h"

enum { DEFAULT_UNITS = 20, ALL_UNITS = 10000, JSON_UNITS = 1000 };

struct why_arguments {
	struct common_arguments common; /* first */
	bool all;
};

/* The file on the way to its report. */
struct why_work {
	const char *path; /* as typed */
	struct statx status;
	bool followed; /* a symbolic link, to a file on the same mount */
	struct mount_records records;
	struct mountinfo mounts;
	const struct mountinfo_entry *entry;
	const struct mount_record *record;
	char inside[PATH_MAX]; /* of a writable mount: the path below it */
	char upper[PATH_MAX];  /* and where it is in the upper directory, "" when not there */
};

static void work_clear(struct why_work *work)
{
	mount_records_clear(&work->records);
	mountinfo_clear(&work->mounts);
}

static int explain_dead(const struct why_work *work, int errnum, struct error *err)
{
	const struct mountinfo_entry *entry;
	const struct mount_record *record;
	char path[PATH_MAX];

	if (errnum != ENOTCONN || cli_absolute(work->path, path, NULL) < 0)
		return error_set_errno(err, errnum, "%s", work->path);
	entry = mountinfo_holding(&work->mounts, path);
	record = entry ? mount_records_with_device(&work->records, entry->major, entry->minor)
		       : NULL;
	if (!record)
		return error_set_errno(err, errnum, "%s", work->path);
	return error_set(err, ERROR_UNAVAILABLE,
		"process %jd, which served %s on %s, has ended without unmounting: mount it "
		"again, or clean up with `varve umount %s`; its last words may be in %s",
		(intmax_t)record->pid, record->reference, record->dir, record->dir,
		record->log[0] ? record->log : "the terminal it was started on");
}

/* A link is followed where it stays on the mount; one that leads elsewhere is itself the subject:
 * inside a container it would lead to another place. */
static int stat_file(struct why_work *work, struct error *err)
{
	const unsigned mask = STATX_INO | STATX_TYPE | STATX_MNT_ID;
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
	struct statx target;

	if (statx(AT_FDCWD, work->path, flags | AT_SYMLINK_NOFOLLOW, mask, &work->status) < 0)
		return explain_dead(work, errno, err);
	if (!S_ISLNK(work->status.stx_mode) ||
		statx(AT_FDCWD, work->path, flags, mask, &target) < 0 ||
		target.stx_mnt_id != work->status.stx_mnt_id)
		return 0;
	work->status = target;
	work->followed = true;
	return 0;
}

static int find_mount(struct why_work *work, struct error *err)
{
	if (!(work->status.stx_mask & STATX_MNT_ID))
		return error_set(err, ERROR_UNSUPPORTED,
			"this kernel does not say which mount a file is on (5.8 and later do)");
	work->entry = mountinfo_with_id(&work->mounts, (int)work->status.stx_mnt_id);
	if (work->entry)
		work->record = mount_records_with_device(
			&work->records, work->entry->major, work->entry->minor);
	if (work->record)
		return 0;
	return error_set(err, ERROR_INVALID,
		"%s is not on a mount that varve has a record of: it is on %s, of type %s",
		work->path, work->entry ? work->entry->dir : "an unknown mount",
		work->entry ? work->entry->type : "unknown");
}

/* The absolute path of the subject; the last link is not followed unless that was decided. */
static int real_path(const struct why_work *work, char out[PATH_MAX], struct error *err)
{
	char absolute[PATH_MAX];
	char *name;
	size_t used;

	if (work->followed || !S_ISLNK(work->status.stx_mode))
		return realpath(work->path, out) ? 0
						 : error_set_errno(err, errno, "%s", work->path);
	if (cli_absolute(work->path, absolute, err) < 0)
		return -1;
	name = strrchr(absolute, '/');
	*name++ = 0;
	if (!realpath(absolute[0] ? absolute : "/", out))
		return error_set_errno(err, errno, "%s", absolute);
	used = strlen(out);
	(void)snprintf(out + used, PATH_MAX - used, "/%s", name);
	return 0;
}

/* On an overlay inode numbers are overlayfs' own: the path decides. */
static int find_inside(struct why_work *work, struct error *err)
{
	char path[PATH_MAX];
	size_t size = strlen(work->entry->dir);

	if (!work->record->upper[0])
		return 0;
	if (real_path(work, path, err) < 0)
		return -1;
	if (strncmp(path, work->entry->dir, size) != 0)
		return error_set(
			err, ERROR_NOT_FOUND, "%s is not below %s", path, work->entry->dir);
	(void)snprintf(work->inside, sizeof(work->inside), "%.*s%s", PATH_MAX / 2,
		strcmp(work->entry->root, "/") == 0 ? "" : work->entry->root, path + size);
	(void)snprintf(work->upper, sizeof(work->upper), "%.*s%.*s", PATH_MAX / 2,
		work->record->upper, PATH_MAX / 2 - 1, work->inside);
	if (faccessat(AT_FDCWD, work->upper, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		work->upper[0] = 0;
	return 0;
}

static int find(struct why_work *work, struct error *err)
{
	char run_dir[PATH_MAX];

	if (run_directory_path(run_dir, err) < 0 ||
		mount_records_read(run_dir, &work->records, err) < 0 ||
		mountinfo_read(&work->mounts, err) < 0 || stat_file(work, err) < 0 ||
		find_mount(work, err) < 0)
		return -1;
	if (!work->record->alive)
		return explain_dead(work, ENOTCONN, err);
	return find_inside(work, err);
}

static int make_target(
	const struct why_work *work, uint64_t max, struct buffer *out, struct error *err)
{
	char number[24];
	int result = buffer_append(out, "/v1/why", 7);

	if (result == 0)
		result = control_target_add(out, "dir", work->record->dir);
	if (result == 0 && work->record->upper[0]) {
		result = control_target_add(out, "path", work->inside + strspn(work->inside, "/"));
	} else if (result == 0) {
		(void)snprintf(number, sizeof(number), "%ju", (uintmax_t)work->status.stx_ino);
		result = control_target_add(out, "ino", number);
	}
	(void)snprintf(number, sizeof(number), "%ju", (uintmax_t)max);
	if (result == 0)
		result = control_target_add(out, "max", number);
	return result == 0 ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a question");
}

static int ask(const struct why_work *work, uint64_t max, struct json **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer target = {0};
	bool served;

	if (make_target(work, max, &target, err) < 0 ||
		control_request(work->record->control, "GET", (const char *)target.data,
			ASK_TIMEOUT_NS, &served, out, err) < 0)
		return -1;
	if (!served)
		return error_set(err, ERROR_UNAVAILABLE,
			"process %jd serves %s but does not listen on %s",
			(intmax_t)work->record->pid, work->record->dir, work->record->control);
	return 0;
}

/* The report, or what takes its place for a file that was written on top of the image. */
static int make_report(
	const struct why_work *work, uint64_t max, struct json **out, struct error *err)
{
	if (!work->upper[0])
		return ask(work, max, out, err);
	*out = json_new_object();
	json_set(*out, "mount", json_new_string(work->record->dir));
	json_set(*out, "reference", json_new_string(work->record->reference));
	json_set(*out, "upper", json_new_string(work->upper));
	return 0;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct why_arguments arguments = {0};
	CLEANUP(work_clear) struct why_work work = {0};
	CLEANUP(json_freep) struct json *report = NULL;
	const struct screen screen = screen_on(stdout);
	struct error err;
	char **operands;
	uint64_t max;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	work.path = operands[0];
	max = arguments.all ? ALL_UNITS : arguments.common.json ? JSON_UNITS : DEFAULT_UNITS;
	if (find(&work, &err) < 0 || make_report(&work, max, &report, &err) < 0)
		return cli_fail("why", arguments.common.json, &err);
	if (arguments.common.json)
		return cli_print_json("why", report);
	why_print(&screen, report);
	return EXIT_CODE_SUCCESS;
}

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, offsetof(struct why_arguments, all), NULL, NULL,
		"list up to 10000 units instead of the first few", NULL},
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_why = {
	.name = "why",
	.operands = "PATH",
	.summary = "why a file is slow, or cannot be read",
	.text = "Shows what a file on a mount is made of: which layer and which parts of it, "
		"which\n"
		"of them are here, where the others come from, what failed last, and what to do.\n"
		"Does not read the file, so it also works while reads hang.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
