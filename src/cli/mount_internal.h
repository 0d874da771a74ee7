/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "cli_internal.h"
#include "daemon/mount_service.h"

/* The parts of `varve mount`. */

/* The order of --trust-indexes. */
enum index_trust { TRUST_REPOSITORY, TRUST_NONE };

/* As typed. */
struct mount_arguments {
	struct common_arguments common; /* first */
	bool detach;
	const char *layer;
	const char *platform;
	const char *hosts_dirs;
	bool plain_http;
	const char *username;
	bool password_stdin;
	struct option_text rw;
	bool suid;
	bool dev;
	bool allow_other;
	int face; /* enum tree_face */
	int prefetch;
	bool no_background;
	uint64_t background_limit;
	int pull;          /* enum pull_policy */
	int trust_indexes; /* enum index_trust */
	bool soci_v1;
	bool allow_unverified;
	uint64_t read_timeout_ns;
	struct option_quota quota;
	uint64_t memory_limit;
};

extern const struct option_spec mount_options[];

/* What the arguments mean: everything that mount_service_run() borrows. */
struct mount_plan {
	struct mount_arguments arguments;
	char dir[PATH_MAX];
	char run_dir[PATH_MAX];
	char store_dir[PATH_MAX];
	char upper[PATH_MAX];
	char log[PATH_MAX]; /* "" for the terminal */
	char *hosts_dirs;   /* owned; absolute */
	char *password;     /* owned */
	char owner[PATH_MAX + IMAGE_NAME_TEXT_SIZE + 32];
	char reference_text[IMAGE_NAME_TEXT_SIZE];
	char layer_text[DIGEST_TEXT_SIZE]; /* "" for the whole image */
	char platform_text[100];
	struct image_name name;
	struct digest layer;
	struct platform platform;
	struct mount_service_options service; /* without callbacks */
};

/* Checks everything that can be checked without the image. */
MUST_CHECK int mount_plan_make(const struct mount_arguments *arguments, const char *reference,
	const char *dir, struct mount_plan *out, struct error *err);
void mount_plan_clear(struct mount_plan *plan);

/* From here on: how it goes. */

/* progress.c: the line about what a mount is doing. */
struct progress {
	struct screen screen; /* one line that is drawn again, or a line for each step */
	bool quiet;
	bool drawn;   /* the line is on the screen */
	bool reading; /* bytes of layers are to come */
	int last_step;
	const char *reference;
	const char *unindexed; /* what layers are called that are read as a whole; static */
};

void progress_begin(struct progress *progress, const char *reference, bool quiet);
void progress_show(struct progress *progress, enum image_step step, size_t n, size_t total);
void progress_end(struct progress *progress);

/* What a ready mount says of itself, for people and as JSON. */
struct json *mount_ready_json(const struct mount_plan *plan, const struct report_mount *mount);
void mount_ready_print(const struct mount_plan *plan, const struct json *ready);

/* mount_detached.c: serves in a process of its own; returns when the mount is usable or has
 * failed. An exit code. Before any thread is started. */
int mount_detached(struct mount_plan *plan);

/* mount.c: sets how much is logged. */
void mount_set_log(const struct mount_plan *plan);

/* Mounts as the arguments say. An exit code. */
int mount_with(const struct mount_arguments *arguments, const char *reference, const char *dir);

/* mount_helper.c: applies the list after -o, which is cut up. Unknown options are an error unless
 * sloppy. */
MUST_CHECK int mount_helper_options(
	char *list, bool sloppy, struct mount_arguments *arguments, struct error *err);
