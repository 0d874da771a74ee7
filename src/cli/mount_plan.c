/* SPDX-License-Identifier: Apache-2.0 */
/* From what was typed to what a mount is made with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "daemon/mount_target.h"
#include "daemon/overlay_mount.h"
#include "daemon/run_directory.h"
#include "mount_internal.h"

#define DEFAULT_HOSTS_DIRS "/etc/containerd/certs.d:/etc/docker/certs.d"

enum { PREFETCH_AUTO, PREFETCH_ON, PREFETCH_OFF };

enum { PASSWORD_LIMIT = 64 << 10 };

/* One name for one place, whatever leads there: records compare names. The last part stays as it
 * is: it may be a link that leads elsewhere tomorrow, and what it means then is another image. */
static void make_real(char path[PATH_MAX])
{
	char parent[PATH_MAX], real[PATH_MAX];
	const char *name = strrchr(path, '/') + 1;
	int length;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		if (realpath(path, real))
			memcpy(path, real, strlen(real) + 1);
		return;
	}
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	if (!realpath(parent, real))
		return;
	length = snprintf(
		parent, sizeof(parent), "%s%s%s", real, strcmp(real, "/") == 0 ? "" : "/", name);
	if (length > 0 && length < PATH_MAX)
		memcpy(path, parent, (size_t)length + 1);
}

/* The serving process may live in another directory than the one it was started in. */
static int make_absolute(struct image_name *name, struct error *err)
{
	char path[PATH_MAX];

	if (name->place == IMAGE_IN_REGISTRY)
		return 0;
	if (cli_absolute(name->path, path, err) < 0)
		return -1;
	make_real(path);
	return image_name_set_path(name, path, err);
}

static int parse_image(struct mount_plan *plan, const char *reference, struct error *err)
{
	const struct mount_arguments *arguments = &plan->arguments;

	if (image_name_parse(reference, &plan->name, err) < 0 ||
		make_absolute(&plan->name, err) < 0)
		return -1;
	(void)image_name_format(&plan->name, plan->reference_text);
	if (arguments->layer) {
		if (digest_parse(arguments->layer, &plan->layer, err) < 0) {
			if (err)
				err->kind = ERROR_INVALID;
			return error_prefix(err, "--layer");
		}
		(void)digest_format(&plan->layer, plan->layer_text);
	}
	platform_host(&plan->platform);
	if (arguments->platform && platform_parse(arguments->platform, &plan->platform, err) < 0)
		return error_prefix(err, "--platform");
	(void)platform_format(&plan->platform, plan->platform_text);
	return 0;
}

/* As make_absolute(). */
static int make_hosts_dirs(struct mount_plan *plan, struct error *err)
{
	const char *next =
		plan->arguments.hosts_dirs ? plan->arguments.hosts_dirs : DEFAULT_HOSTS_DIRS;
	CLEANUP(buffer_free) struct buffer list = {0};

	for (;;) {
		size_t size = strcspn(next, ":");
		char dir[PATH_MAX];
		char path[PATH_MAX];

		(void)snprintf(dir, sizeof(dir), "%.*s", (int)size, next);
		if (size >= PATH_MAX)
			return error_set(err, ERROR_INVALID, "--hosts-dir: the path is too long");
		if (size > 0 && cli_absolute(dir, path, err) < 0)
			return -1;
		if (size > 0 && buffer_printf(&list, "%s%s", list.size ? ":" : "", path) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for --hosts-dir");
		if (!next[size])
			break;
		next += size + 1;
	}
	plan->hosts_dirs = strdup(list.data ? (const char *)list.data : "");
	return plan->hosts_dirs ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for --hosts-dir");
}

static int read_password(struct mount_plan *plan, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	ssize_t n;

	if (plan->arguments.password_stdin != (plan->arguments.username != NULL))
		return error_set(
			err, ERROR_INVALID, "--username and --password-stdin belong together");
	if (!plan->arguments.password_stdin)
		return 0;
	do {
		if (buffer_reserve(&text, 4096) < 0)
			return error_set(err, ERROR_NO_MEMORY, "no memory for the password");
		n = read(STDIN_FILENO, text.data + text.size, 4096);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "read the password");
		text.size += n > 0 ? (size_t)n : 0;
		if (text.size > PASSWORD_LIMIT)
			return error_set(err, ERROR_INVALID, "the password is too long");
	} while (n != 0);
	/* `echo secret | varve mount ...` adds a newline that is not part of it. */
	while (text.size > 0 &&
		(text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
		text.size--;
	if (text.size == 0 || memchr(text.data, 0, text.size))
		return error_set(
			err, ERROR_INVALID, "--password-stdin: standard input holds no password");
	plan->password = strndup((const char *)text.data, text.size);
	return plan->password ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for the password");
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
	return make_hosts_dirs(plan, err);
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
		check_paths(out, err) < 0 || read_password(out, err) < 0 ||
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
