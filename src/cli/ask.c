/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a store: to the process that owns it, else to the store itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error_map.h"
#include "cli_internal.h"
#include "control/control_client.h"
#include "daemon/mount_record.h"
#include "daemon/run_directory.h"
#include "store/store.h"

bool store_exists(const char *store_dir)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.*s/index.mdb", PATH_MAX - 16, store_dir);
	return access(path, F_OK) == 0;
}

/* A store on a read-only file system has its socket elsewhere: the record of its process tells. */
static void find_socket(const char *store_dir, char out[PATH_MAX])
{
	CLEANUP(mount_records_clear) struct mount_records records = {0};
	char run_dir[PATH_MAX];

	(void)snprintf(out, PATH_MAX, "%.*s/control.sock", PATH_MAX - 16, store_dir);
	if (run_directory_path(run_dir, NULL) < 0 ||
		mount_records_read(run_dir, &records, NULL) < 0)
		return;
	for (size_t i = 0; i < records.n_records; i++) {
		const struct mount_record *record = &records.records[i];

		if (record->alive && record->control[0] && strcmp(record->store, store_dir) == 0)
			(void)snprintf(out, PATH_MAX, "%s", record->control);
	}
}

int ask_socket(const char *store_dir, bool *owned, char out[PATH_MAX], struct error *err)
{
	struct json *answer = NULL;

	find_socket(store_dir, out);
	if (control_request(out, "GET", "/v1/status", ASK_TIMEOUT_NS, owned, &answer, err) < 0)
		return -1;
	json_free(answer);
	return 0;
}

int ask_open_store(const char *store_dir, const char *verb, struct store **out, struct error *err)
{
	char owner[64];
	const struct store_options options = {
		.dir = store_dir,
		.owner = owner,
		.chunk_memory = 1 << 20,
	};

	(void)snprintf(owner, sizeof(owner), "varve %s", verb);
	return store_open(&options, out, err);
}

static int ask_itself(const char *store_dir, const char *target, ask_report *report,
	struct json **out, struct error *err)
{
	CLEANUP(store_closep) struct store *store = NULL;
	struct report_context context = {.phase = ""};

	if (ask_open_store(store_dir, strrchr(target, '/') + 1, &store, err) < 0)
		return -1;
	context.store = store;
	return report(&context, out, err);
}

int ask_store(const char *store_dir, const char *target, ask_report *report, bool *exists,
	struct json **out, struct error *err)
{
	char socket[PATH_MAX];
	bool served;

	find_socket(store_dir, socket);
	*exists = true;
	if (control_request(socket, "GET", target, ASK_TIMEOUT_NS, &served, out, err) < 0)
		return error_prefix(err, "store %s", store_dir);
	if (served)
		return 0;
	*exists = store_exists(store_dir);
	return *exists ? ask_itself(store_dir, target, report, out, err) : 0;
}

int cli_store_report(const struct verb *verb, int argc, char **argv, const char *target,
	ask_report *report, void (*print)(const struct json *report))
{
	struct common_arguments arguments = {0};
	CLEANUP(json_freep) struct json *answer = NULL;
	char store_dir[PATH_MAX];
	struct error err;
	char **operands;
	bool exists;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments, &operands, &code))
		return code;
	if (cli_store_dir(arguments.store, store_dir, &err) < 0 ||
		ask_store(store_dir, target, report, &exists, &answer, &err) < 0)
		return cli_fail(verb->name, arguments.json, &err);
	if (!exists) {
		(void)error_set(&err, ERROR_NOT_FOUND, "there is no store at %s", store_dir);
		return cli_fail(verb->name, arguments.json, &err);
	}
	if (arguments.json)
		return cli_print_json(verb->name, answer);
	print(answer);
	return EXIT_CODE_SUCCESS;
}
