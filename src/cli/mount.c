/* SPDX-License-Identifier: Apache-2.0 */
/* `varve mount`: a tree on a directory, served until it is taken away. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error_map.h"
#include "base/log.h"
#include "daemon/mount_target.h"
#include "mount_internal.h"
#include "quantity_internal.h"

void mount_set_log(const struct mount_plan *plan)
{
	const struct common_arguments *common = &plan->arguments.common;
	enum log_level level = common->verbose ? LOG_LEVEL_DEBUG
			       : common->quiet ? LOG_LEVEL_ERROR
					       : LOG_LEVEL_INFO;

	log_setup(level, STDERR_FILENO, plan->log[0] == 0);
}

struct json *mount_ready_json(const struct mount_plan *plan, const struct report_mount *mount)
{
	struct json *json = json_new_object();
	char manifest[DIGEST_TEXT_SIZE];
	char platform[100];

	json_set(json, "dir", json_new_string(mount->dir));
	json_set(json, "reference", json_new_string(mount->image->reference));
	json_set(json, "source", json_new_string(image_place_name(mount->image->place)));
	json_set(json, "manifest",
		json_new_string(digest_format(&mount->image->manifest, manifest)));
	json_set(json, "platform",
		json_new_string(platform_format(&mount->image->platform, platform)));
	json_set(json, "layer", json_new_string(plan->layer_text));
	json_set(json, "layers", json_new_i64((int64_t)mount->image->n_layers));
	json_set(json, "layers_size", json_new_i64((int64_t)mount->image->layers_size));
	json_set(json, "face", json_new_string(mount->face));
	json_set(json, "face_why", json_new_string(mount->face_why));
	json_set(json, "upper", json_new_string(mount->upper));
	json_set(json, "pid", json_new_i64(getpid()));
	json_set(json, "log", json_new_string(mount->log));
	json_set(json, "store", json_new_string(plan->store_dir));
	json_set(json, "unverified", json_new_bool(mount->image->unverified));
	json_set(json, "tag_resolved_s", json_new_i64(mount->image->resolved_s));
	return json;
}

/* Warnings go where errors go, also when nobody asked for words. */
static void print_warnings(const struct json *ready)
{
	const struct screen screen = screen_on(stderr);
	uint64_t resolved_s = number_in(ready, "tag_resolved_s");
	char ago[40];

	if (flag_in(ready, "unverified")) {
		screen_put(&screen, STYLE_BAD,
			"WARNING: the bytes of some layers are NOT VERIFIED (--allow-unverified): "
			"whoever can change them on the way can change what you read");
		screen_end(&screen);
	}
	if (resolved_s) {
		screen_put(&screen, STYLE_WARNING,
			"warning: the registry was not asked what the tag means now; this is what "
			"it meant %s",
			ago_format((int64_t)resolved_s, ago));
		screen_end(&screen);
	}
}

void mount_ready_print(const struct mount_plan *plan, const struct json *ready)
{
	const struct common_arguments *common = &plan->arguments.common;
	const struct screen screen = screen_on(stdout);
	char size[QUANTITY_TEXT_SIZE];

	print_warnings(ready);
	if (common->json) {
		(void)cli_print_json("mount", ready);
		return;
	}
	if (common->quiet)
		return;
	screen_line(
		&screen, "%s is mounted on %s", text_in(ready, "reference"), text_in(ready, "dir"));
	screen_line(&screen, "  %s face, %ju layer%s, %s; %s process %ju", text_in(ready, "face"),
		(uintmax_t)number_in(ready, "layers"), plural(number_in(ready, "layers")),
		size_format(number_in(ready, "layers_size"), size),
		plan->arguments.detach ? "served by" : "Ctrl-C unmounts;",
		(uintmax_t)number_in(ready, "pid"));
	if (common->verbose && text_in(ready, "face_why")[0])
		screen_line(&screen, "  not erofs: %s", text_in(ready, "face_why"));
	if (text_in(ready, "upper")[0])
		screen_line(&screen, "  what is written goes to %s", text_in(ready, "upper"));
	if (text_in(ready, "log")[0])
		screen_line(&screen, "  log: %s", text_in(ready, "log"));
	(void)fflush(stdout);
}

/* In this process. */
struct foreground {
	const struct mount_plan *plan;
	struct progress progress;
};

static void on_progress(void *arg, enum image_step step, size_t n, size_t total)
{
	struct foreground *foreground = arg;

	progress_show(&foreground->progress, step, n, total);
}

static void on_ready(void *arg, const struct report_mount *mount)
{
	struct foreground *foreground = arg;
	struct json *ready = mount_ready_json(foreground->plan, mount);

	progress_end(&foreground->progress);
	mount_ready_print(foreground->plan, ready);
	json_free(ready);
}

static int mount_foreground(struct mount_plan *plan)
{
	const struct common_arguments *common = &plan->arguments.common;
	struct foreground foreground = {.plan = plan};
	struct mount_service_options options = plan->service;
	struct error err;
	int result;

	progress_begin(&foreground.progress, plan->reference_text, common->quiet || common->json);
	options.image.progress = on_progress;
	options.image.arg = &foreground;
	options.ready = on_ready;
	options.arg = &foreground;
	result = mount_service_run(&options, &err);
	progress_end(&foreground.progress);
	return result < 0 ? cli_fail("mount", common->json, &err) : EXIT_CODE_SUCCESS;
}

static int already_there(const struct mount_plan *plan, pid_t pid)
{
	const struct screen screen = screen_on(stdout);
	struct json *json;
	int code = EXIT_CODE_SUCCESS;

	if (plan->arguments.common.json) {
		json = json_new_object();
		json_set(json, "dir", json_new_string(plan->dir));
		json_set(json, "reference", json_new_string(plan->reference_text));
		json_set(json, "pid", json_new_i64(pid));
		json_set(json, "already_mounted", json_new_bool(true));
		code = cli_print_json("mount", json);
		json_free(json);
	} else if (!plan->arguments.common.quiet) {
		screen_line(&screen, "%s is already mounted on %s, served by process %jd",
			plan->reference_text, plan->dir, (intmax_t)pid);
	}
	return code;
}

static int mount_planned(struct mount_plan *plan)
{
	const struct mount_wish wish = {
		.dir = plan->dir,
		.reference = plan->reference_text,
		.layer = plan->layer_text,
		.platform = plan->platform_text,
		.writable = plan->arguments.rw.given,
	};
	struct error err;
	pid_t pid;
	bool same;

	mount_set_log(plan);
	if (mount_target_check(plan->run_dir, &wish, &same, &pid, &err) < 0)
		return cli_fail("mount", plan->arguments.common.json, &err);
	if (same)
		return already_there(plan, pid);
	return plan->arguments.detach ? mount_detached(plan) : mount_foreground(plan);
}

int mount_with(const struct mount_arguments *arguments, const char *reference, const char *dir)
{
	struct mount_plan plan;
	struct error err;
	int code;

	if (mount_plan_make(arguments, reference, dir, &plan, &err) < 0)
		return cli_fail("mount", arguments->common.json, &err);
	code = mount_planned(&plan);
	mount_plan_clear(&plan);
	return code;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct mount_arguments arguments = {0};
	char **operands;
	int code;

	if (!cli_begin(verb, argc, argv, &arguments.common, &operands, &code))
		return code;
	return mount_with(&arguments, operands[0], operands[1]);
}

const struct verb verb_mount = {
	.name = "mount",
	.operands = "REF DIR",
	.summary = "mount an image, or one of its layers",
	.text = "Mounts the image REF (example.com/team/app:1.2, or with @sha256:...) on the\n"
		"directory DIR, read-only. Files can be read at once; their bytes are fetched\n"
		"when they are read, verified, and kept in the store. Serves until SIGINT,\n"
		"SIGTERM or `varve umount DIR`.\n"
		"\n"
		"An image in files is named oci:DIR[:TAG] (an OCI layout),\n"
		"oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] (docker save), or\n"
		"containerd:[DIR]@sha256:... (its content store); each also with @sha256:....",
	.options = mount_options,
	.min_operands = 2,
	.max_operands = 2,
	.run = run,
};
