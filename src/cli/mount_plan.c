/* SPDX-License-Identifier: Apache-2.0 */
/* From what was typed to what a mount is made with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/mount_target.h"
#include "daemon/overlay_mount.h"
#include "daemon/run_directory.h"
#include "image_arguments_internal.h"
#include "mount_internal.h"

enum { PREFETCH_AUTO, PREFETCH_ON, PREFETCH_OFF };

static int parse_image(struct mount_plan *plan, const char *reference, struct error *err)
{
	const struct mount_arguments *arguments = &plan->arguments;

	if (image_argument_name(reference, &plan->name, err) < 0)
		return -1;
	(void)image_name_format(&plan->name, plan->reference_text);
	if (arguments->layer) {
		if (image_argument_layer(arguments->layer, &plan->layer, err) < 0)
			return -1;
		(void)digest_format(&plan->layer, plan->layer_text);
	}
	if (image_argument_platform(arguments->platform, &plan->platform, err) < 0)
		return -1;
	(void)platform_format(&plan->platform, plan->platform_text);
	return 0;
}

static int make_paths(struct mount_plan *plan, const char *dir, struct error *err)
{
	const struct mount_arguments *arguments = &plan->arguments;

	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return error_set(err, ERROR_NOT_FOUND,
			"%s does not exist: mkdir it first, varve makes no mount points", dir);
	if (mount_target_path(dir, plan->dir, err) < 0 ||
		run_directory_path(plan->run_dir, err) < 0 ||
		cli_store_dir(arguments->common.store, plan->store_dir, err) < 0)
		return -1;
	if (arguments->rw.value && cli_absolute(arguments->rw.value, plan->upper, err) < 0)
		return error_prefix(err, "--rw");
	(void)snprintf(plan->owner, sizeof(plan->owner), "varve mount %s on %s",
		plan->reference_text, plan->dir);
	return image_argument_hosts_dirs(arguments->hosts_dirs, &plan->hosts_dirs, err);
}

/* Nothing of a mount may lie below it: the process that serves it would wait for itself. */
static int check_paths(const struct mount_plan *plan, struct error *err)
{
	char image[PATH_MAX] = "";
	const char *const paths[] = {plan->store_dir, plan->run_dir, plan->upper, image};
	size_t size = strlen(plan->dir);

	if (plan->name.path[0] && !realpath(plan->name.path, image))
		(void)snprintf(image, sizeof(image), "%s", plan->name.path);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strncmp(paths[i], plan->dir, size) == 0 &&
			(paths[i][size] == '/' || !paths[i][size] || size == 1))
			return error_set(err, ERROR_INVALID,
				"%s lies below %s and would be hidden by the mount", paths[i],
				plan->dir);
	}
	return 0;
}

static void fill_service(struct mount_plan *plan)
{
	const struct mount_arguments *arguments = &plan->arguments;
	bool prefetch = arguments->prefetch == PREFETCH_ON ||
			(arguments->prefetch == PREFETCH_AUTO && !arguments->no_background);

	plan->service = (struct mount_service_options){
		.dir = plan->dir,
		.run_dir = plan->run_dir,
		.log = plan->log,
		.node =
			{
				.store_dir = plan->store_dir,
				.owner = plan->owner,
				.hosts_dirs = plan->hosts_dirs,
				.plain_http = arguments->plain_http,
				.username = arguments->username,
				.password = plan->password,
				.quota_bytes = arguments->quota.bytes,
				.quota_percent = arguments->quota.percent,
				.memory_limit = arguments->memory_limit,
				.read_deadline_ns = arguments->read_timeout_ns,
				.background_bytes_per_s = arguments->background_limit,
			},
		.image =
			{
				.name = &plan->name,
				.platform = &plan->platform,
				.layer = arguments->layer ? &plan->layer : NULL,
				.pull = (enum pull_policy)arguments->pull,
				.allow_unverified = arguments->allow_unverified,
				.soci_v1 = arguments->soci_v1,
				.trust_indexes = arguments->trust_indexes == TRUST_REPOSITORY,
				.prefetch = prefetch,
				.background = !arguments->no_background,
			},
		.face = (enum tree_face)arguments->face,
		.allow_other = arguments->allow_other || geteuid() == 0,
		.suid = arguments->suid,
		.dev = arguments->dev,
		.writable = arguments->rw.given,
		.upper = arguments->rw.value ? plan->upper : NULL,
	};
}

int mount_plan_make(const struct mount_arguments *arguments, const char *reference, const char *dir,
	struct mount_plan *out, struct error *err)
{
	*out = (struct mount_plan){.arguments = *arguments};
	if (parse_image(out, reference, err) < 0 || make_paths(out, dir, err) < 0 ||
		check_paths(out, err) < 0 ||
		image_argument_password(
			arguments->username, arguments->password_stdin, &out->password, err) < 0 ||
		(arguments->rw.given && overlay_mount_allowed(err) < 0)) {
		mount_plan_clear(out);
		return -1;
	}
	fill_service(out);
	return 0;
}

void mount_plan_clear(struct mount_plan *plan)
{
	if (plan->password)
		explicit_bzero(plan->password, strlen(plan->password));
	free(plan->password);
	free(plan->hosts_dirs);
	plan->password = NULL;
	plan->hosts_dirs = NULL;
}
