/* SPDX-License-Identifier: Apache-2.0 */
/* `varve status`: what is mounted, how much of it is here, and from where it came. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error_map.h"
#include "cli_internal.h"
#include "daemon/mount_record.h"
#include "daemon/mount_target.h"
#include "daemon/run_directory.h"
#include "status_internal.h"

struct status_arguments {
	struct common_arguments common; /* first */
};

/* The answers of everybody who was asked. */
struct status_work {
	char dir[PATH_MAX]; /* "" for all mounts */
	char store_dir[PATH_MAX];
	bool one_store; /* only store_dir is asked */
	struct mount_records records;
	struct json *stores; /* owned; reports */
	struct json *dead;   /* owned; mounts whose process is gone */
	struct json *silent; /* owned; processes that do not answer */
};

static void work_clear(struct status_work *work)
{
	mount_records_clear(&work->records);
	json_free(work->stores);
	json_free(work->dead);
	json_free(work->silent);
}

static struct json *record_to_json(const struct mount_record *record, const char *why)
{
	struct json *json = json_new_object();

	json_set(json, "dir", json_new_string(record->dir));
	json_set(json, "reference", json_new_string(record->reference));
	json_set(json, "store", json_new_string(record->store));
	json_set(json, "pid", json_new_i64(record->pid));
	if (why)
		json_set(json, "why", json_new_string(why));
	return json;
}

/* False when there is no such store. */
static int ask_one(struct status_work *work, const char *store_dir, bool *exists, struct error *err)
{
	struct json *report;

	if (ask_store(store_dir, "/v1/status", report_status, exists, &report, err) < 0)
		return -1;
	if (*exists)
		json_append(work->stores, report);
	return 0;
}

static bool is_wanted(const struct status_work *work, const struct mount_record *record)
{
	return (!work->dir[0] || strcmp(work->dir, record->dir) == 0) &&
	       (!work->one_store || strcmp(work->store_dir, record->store) == 0);
}

/* One that does not answer must not hide the others. */
static void ask_recorded(struct status_work *work)
{
	for (size_t i = 0; i < work->records.n_records; i++) {
		const struct mount_record *record = &work->records.records[i];
		struct error err;
		bool exists;

		if (!is_wanted(work, record))
			continue;
		if (!record->alive)
			json_append(work->dead, record_to_json(record, NULL));
		else if (ask_one(work, record->store, &exists, &err) < 0)
			json_append(work->silent, record_to_json(record, err.message));
	}
}

static int gather(struct status_work *work, struct error *err)
{
	char run_dir[PATH_MAX];
	bool exists = false;

	if (run_directory_path(run_dir, err) < 0 ||
		mount_records_read(run_dir, &work->records, err) < 0)
		return -1;
	ask_recorded(work);
	if (json_length(work->stores) > 0 || json_length(work->silent) > 0)
		return 0;
	if (work->dir[0])
		return json_length(work->dead) > 0
			       ? 0
			       : error_set(err, ERROR_NOT_FOUND, "no varve mount on %s", work->dir);
	if (ask_one(work, work->store_dir, &exists, err) < 0)
		return -1;
	if (!exists && work->one_store)
		return error_set(err, ERROR_NOT_FOUND, "there is no store at %s", work->store_dir);
	return 0;
}

static int print_json(struct status_work *work)
{
	struct json *json = json_new_object();
	int code;

	json_set(json, "stores", work->stores);
	json_set(json, "dead", work->dead);
	json_set(json, "silent", work->silent);
	work->stores = NULL;
	work->dead = NULL;
	work->silent = NULL;
	code = cli_print_json("status", json);
	json_free(json);
	return code;
}

static void print_bad(const struct status_work *work, const struct screen *screen)
{
	for (size_t i = 0; i < json_length(work->dead); i++) {
		const struct json *dead = json_at(work->dead, i);

		screen_put(screen, STYLE_BAD, "%s on %s: process %ju ended without unmounting",
			text_in(dead, "reference"), text_in(dead, "dir"),
			(uintmax_t)number_in(dead, "pid"));
		screen_end(screen);
		screen_line(screen, "  `varve umount %s` cleans up, mounting there again does too",
			text_in(dead, "dir"));
	}
	for (size_t i = 0; i < json_length(work->silent); i++) {
		const struct json *silent = json_at(work->silent, i);

		screen_put(screen, STYLE_BAD, "%s on %s: process %ju does not answer: %s",
			text_in(silent, "reference"), text_in(silent, "dir"),
			(uintmax_t)number_in(silent, "pid"), text_in(silent, "why"));
		screen_end(screen);
	}
}

static int print_text(const struct status_work *work)
{
	const struct screen screen = screen_on(stdout);
	size_t n_mounts = 0;

	for (size_t i = 0; i < json_length(work->stores); i++) {
		const struct json *report = json_at(work->stores, i);

		n_mounts += json_length(json_get(report, "mounts"));
		if (text_in(report, "phase")[0]) {
			screen_line(&screen, "process %ju: %s", (uintmax_t)number_in(report, "pid"),
				text_in(report, "phase"));
			n_mounts++;
		}
	}
	if (n_mounts == 0 && json_length(work->silent) == 0)
		screen_line(&screen, "nothing is mounted");
	for (size_t i = 0; i < json_length(work->stores); i++)
		status_print(&screen, json_at(work->stores, i), work->dir);
	print_bad(work, &screen);
	return EXIT_CODE_SUCCESS;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct status_arguments arguments = {0};
	CLEANUP(work_clear)
	struct status_work work = {
		.stores = json_new_array(),
		.dead = json_new_array(),
		.silent = json_new_array(),
	};
	struct error err;
	char **operands;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	work.one_store = arguments.common.store != NULL;
	if ((operands[0] && mount_target_path(operands[0], work.dir, &err) < 0) ||
		cli_store_dir(arguments.common.store, work.store_dir, &err) < 0 ||
		gather(&work, &err) < 0)
		return cli_fail("status", arguments.common.json, &err);
	return arguments.common.json ? print_json(&work) : print_text(&work);
}

static const struct option_spec options[] = {
	OPTION_STORE,
	OPTION_JSON,
	{.name = NULL},
};

const struct verb verb_status = {
	.name = "status",
	.operands = "[DIR]",
	.summary = "what is mounted, how much of it is here, and from where",
	.text = "Shows every mount of this user, or the one on DIR: its face, how much of each\n"
		"layer is in the store, what was fetched from where, and the last failures.",
	.options = options,
	.max_operands = 1,
	.run = run,
};
