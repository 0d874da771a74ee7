/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "control/report.h"
#include "options_internal.h"
#include "terminal_internal.h"

/* What every verb has; the first member of its structure of arguments. */
struct common_arguments {
	bool json;
	bool quiet;
	bool verbose;
	const char *store; /* or NULL */
};

#define OPTION_JSON                                                                                \
	{                                                                                          \
		.name = "json", .kind = OPTION_FLAG,                                               \
		.off = offsetof(struct common_arguments, json),                                    \
		.help = "print JSON for programs, also of errors",                                 \
	}
#define OPTION_QUIET                                                                               \
	{                                                                                          \
		.name = "quiet", .letter = 'q', .kind = OPTION_FLAG,                               \
		.off = offsetof(struct common_arguments, quiet), .help = "print errors only",      \
	}
#define OPTION_VERBOSE                                                                             \
	{                                                                                          \
		.name = "verbose", .letter = 'v', .kind = OPTION_FLAG,                             \
		.off = offsetof(struct common_arguments, verbose),                                 \
		.help = "log what is decided and asked, too",                                      \
	}
#define OPTION_STORE                                                                               \
	{                                                                                          \
		.name = "store", .kind = OPTION_TEXT,                                              \
		.off = offsetof(struct common_arguments, store), .value = "DIR",                   \
		.help = "directory of the store",                                                  \
		.fallback = "/var/lib/varve for root, else $XDG_CACHE_HOME/varve",                 \
	}

/* One file per verb. */
extern const struct verb verb_mount;
extern const struct verb verb_umount;
extern const struct verb verb_status;
extern const struct verb verb_why;
extern const struct verb verb_images;
extern const struct verb verb_index_create;
extern const struct verb verb_index_show;
extern const struct verb verb_index_push;
extern const struct verb verb_index_pull;
extern const struct verb verb_index_verify;
extern const struct verb verb_cache_ls;
extern const struct verb verb_cache_verify;

/* mount_helper.c: the program as mount(8) calls it for `mount -t varve`. */
int mount_helper_main(int argc, char **argv);

/* Prints an error, to stderr or as JSON to stdout, and gives the exit code for it. */
int cli_fail(const char *verb, bool json, const struct error *err);

/* Prints a document to stdout; an exit code. */
int cli_print_json(const char *verb, const struct json *document);

/* Parses a verb's command line and answers --help. False: *code is the exit code. */
bool cli_begin(const struct verb *verb, int argc, char **argv, struct common_arguments *args,
	char ***operands, int *code);

/* The absolute path of the store that --store (or NULL) means. */
MUST_CHECK int cli_store_dir(const char *given, char out[PATH_MAX], struct error *err);

/* An absolute path for what may be relative; nothing needs to exist. */
MUST_CHECK int cli_absolute(const char *path, char out[PATH_MAX], struct error *err);

/* Members of reports: "", 0 and false for what is absent or of another type. */
const char *text_in(const struct json *object, const char *name);
uint64_t number_in(const struct json *object, const char *name);
bool flag_in(const struct json *object, const char *name);

/* "3 min ago" of a wall clock time; "never" for 0. */
const char *ago_format(int64_t when_s, char text[40]);

/* The line about a store that status and cache ls end with; store as in the reports. */
void put_store(const struct screen *screen, const struct json *store);

/* Hosts as in the reports: what each delivered, and how it failed last. */
void put_hosts(const struct screen *screen, const struct json *hosts, const char *heading);

/* Whose word the index of a layer is taken for. Returns text. */
enum { TRUST_TEXT_SIZE = 700 };
const char *trust_format(const struct json *layer, char text[TRUST_TEXT_SIZE]);

/* Failures as in the reports, with advice once per kind. */
void put_failures(const struct screen *screen, const struct json *failures);

/* ask.c */

typedef int ask_report(const struct report_context *context, struct json **out, struct error *err);

/**
 * ask_store() - a report about a store, from whom it belongs to or from itself.
 * @target: what the owner is asked for, "/v1/status".
 * @report: makes the same report when nobody owns it.
 * @exists: false when there is no store; *out is not set then.
 */
MUST_CHECK int ask_store(const char *store_dir, const char *target, ask_report *report,
	bool *exists, struct json **out, struct error *err);

/* All of a verb that prints one report about a store: options, asking, JSON or print(). An exit
 * code. */
int cli_store_report(const struct verb *verb, int argc, char **argv, const char *target,
	ask_report *report, void (*print)(const struct json *report));

/* The socket of the process that owns a store; *owned false when nobody serves it. */
MUST_CHECK int ask_socket(
	const char *store_dir, bool *owned, char out[PATH_MAX], struct error *err);

/* Whether a store is there at all. */
bool store_exists(const char *store_dir);

/* Opens a store that nobody owns for one command. */
struct store;
MUST_CHECK int ask_open_store(
	const char *store_dir, const char *verb, struct store **out, struct error *err);

/* How long a question may take. */
#define ASK_TIMEOUT_NS (UINT64_C(15) * 1000000000)
