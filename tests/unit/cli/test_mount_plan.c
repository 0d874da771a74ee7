/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_internal.h"

#include "support/scratch.h"

#include <sys/stat.h>

enum { AUTO, ON, OFF };

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A store, a run directory and a mount point below the scratch directory, the current one. */
static int setup(void **state)
{
	struct scratch *scratch;
	char run[300];

	assert_int_equal(scratch_setup(state), 0);
	scratch = *state;
	assert_int_equal(chdir(scratch->path), 0);
	assert_int_equal(mkdir("mnt", 0755), 0);
	(void)snprintf(run, sizeof(run), "%s/run", scratch->path);
	return setenv("VARVE_RUN_DIR", run, 1);
}

static int teardown(void **state)
{
	assert_int_equal(chdir("/"), 0);
	return scratch_teardown(state);
}

static void make(const struct mount_arguments *arguments, struct mount_plan *plan)
{
	struct error err = {0};

	if (mount_plan_make(arguments, "app:1.2", "mnt", plan, &err) < 0)
		fail_msg("%s", err.message);
}

static void fail_with(const struct mount_arguments *arguments, const char *reference,
	const char *dir, enum error_kind kind, const char *told)
{
	struct mount_plan plan;
	struct error err = {0};

	assert_int_equal(mount_plan_make(arguments, reference, dir, &plan, &err), -1);
	if (err.kind != kind || !strstr(err.message, told))
		fail_msg("kind %d: %s", err.kind, err.message);
}

/* What "oci:" and a path becomes; both below the scratch directory. */
static void assert_name(
	const struct mount_arguments *arguments, const char *given, const char *path)
{
	char here[PATH_MAX], expected[2 * PATH_MAX];
	struct mount_plan plan;
	struct error err = {0};

	if (mount_plan_make(arguments, given, "mnt", &plan, &err) < 0)
		fail_msg("%s", err.message);
	assert_non_null(getcwd(here, sizeof(here)));
	(void)snprintf(expected, sizeof(expected), "oci:%s/%s", here, path);
	assert_string_equal(plan.reference_text, expected);
	mount_plan_clear(&plan);
}

static void images_in_files_get_absolute_paths_outside_of_the_mount(void **state)
{
	const struct scratch *scratch = *state;
	const struct mount_arguments arguments = {.common.store = "store"};
	struct mount_plan plan;
	struct error err = {0};
	char expected[600];

	if (mount_plan_make(&arguments, "oci:layout/:v1@" DIGEST, "mnt", &plan, &err) < 0)
		fail_msg("%s", err.message);
	(void)snprintf(expected, sizeof(expected), "oci:%s/layout:v1@" DIGEST, scratch->path);
	assert_string_equal(plan.reference_text, expected);
	assert_ptr_equal(plan.service.image.name, &plan.name);
	mount_plan_clear(&plan);
	/* One name for one place, but a link at its end may lead elsewhere tomorrow. */
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(symlink("a", "b"), 0);
	assert_name(&arguments, "oci:a/..//b/./x:v1", "a/x:v1");
	assert_name(&arguments, "oci:b", "b");
	assert_name(&arguments, "oci:b/.", "a");
	assert_name(&arguments, "oci:absent/../x", "absent/../x");
	/* Whoever serves the mount would wait for itself. */
	assert_int_equal(mkdir("mnt/layout", 0755), 0);
	assert_int_equal(symlink("mnt/layout", "link"), 0);
	fail_with(&arguments, "oci:mnt/layout", "mnt", ERROR_INVALID, "would be hidden");
	fail_with(&arguments, "oci:link", "mnt", ERROR_INVALID, "would be hidden");
	fail_with(&arguments, "oci:", "mnt", ERROR_INVALID, "oci:DIR[:TAG]");
}

static void paths_become_absolute_and_references_normal(void **state)
{
	const struct scratch *scratch = *state;
	const struct mount_arguments arguments = {
		.common.store = "store", .hosts_dirs = "a::/b:c/", .layer = DIGEST};
	struct mount_plan plan;
	char expected[600];

	make(&arguments, &plan);
	assert_string_equal(plan.reference_text, "docker.io/library/app:1.2");
	(void)snprintf(expected, sizeof(expected), "%s/mnt", scratch->path);
	assert_string_equal(plan.service.dir, expected);
	(void)snprintf(expected, sizeof(expected), "%s/store", scratch->path);
	assert_string_equal(plan.service.node.store_dir, expected);
	(void)snprintf(expected, sizeof(expected), "%s/a:/b:%s/c", scratch->path, scratch->path);
	assert_string_equal(plan.service.node.hosts_dirs, expected);
	assert_string_equal(plan.layer_text, DIGEST);
	assert_non_null(plan.service.image.layer);
	assert_non_null(strstr(plan.owner, "docker.io/library/app:1.2"));
	mount_plan_clear(&plan);
}

static void only_what_is_read_is_fetched_when_that_is_asked_for(void **state)
{
	static const struct {
		int prefetch;
		bool no_background;
		bool prefetched;
		bool completed;
	} rows[] = {
		{AUTO, false, true, true},
		{AUTO, true, false, false},
		{ON, true, true, false},
		{OFF, false, false, true},
		{OFF, true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mount_arguments arguments = {
			.common.store = "store",
			.prefetch = rows[i].prefetch,
			.no_background = rows[i].no_background,
		};
		struct mount_plan plan;

		make(&arguments, &plan);
		assert_int_equal(plan.service.image.prefetch, rows[i].prefetched);
		assert_int_equal(plan.service.image.background, rows[i].completed);
		mount_plan_clear(&plan);
	}
}

static void nothing_of_a_mount_may_lie_below_it(void **state)
{
	const struct mount_arguments inside = {.common.store = "mnt/store"};
	const struct mount_arguments beside = {.common.store = "mnt-store"};
	struct mount_plan plan;

	(void)state;
	fail_with(&inside, "app", "mnt", ERROR_INVALID, "hidden by the mount");
	fail_with(&beside, "app", "/", ERROR_INVALID, "hidden by the mount");
	make(&beside, &plan);
	mount_plan_clear(&plan);
}

static void mistakes_are_found_before_anything_is_started(void **state)
{
	const struct mount_arguments plain = {.common.store = "store"};
	const struct mount_arguments layer = {.common.store = "store", .layer = "sha256:ab"};
	const struct mount_arguments platform = {.common.store = "store", .platform = "a/b/c/d"};
	const struct mount_arguments name = {.common.store = "store", .username = "joe"};
	const struct mount_arguments password = {.common.store = "store", .password_stdin = true};

	(void)state;
	fail_with(&plain, "a b", "mnt", ERROR_INVALID, "a b");
	fail_with(&plain, "app", "absent", ERROR_NOT_FOUND, "mkdir it first");
	fail_with(&layer, "app", "mnt", ERROR_INVALID, "--layer");
	fail_with(&platform, "app", "mnt", ERROR_INVALID, "--platform");
	fail_with(&name, "app", "mnt", ERROR_INVALID, "belong together");
	fail_with(&password, "app", "mnt", ERROR_INVALID, "belong together");
}

/* Standard input becomes this text. */
static void type(const char *text)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	(void)close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	(void)close(ends[0]);
}

static void a_password_is_read_without_the_newline_of_echo(void **state)
{
	const struct mount_arguments arguments = {
		.common.store = "store", .username = "joe", .password_stdin = true};
	struct mount_plan plan;

	(void)state;
	type("s3cret \n");
	make(&arguments, &plan);
	assert_string_equal(plan.service.node.username, "joe");
	assert_string_equal(plan.service.node.password, "s3cret ");
	mount_plan_clear(&plan);

	type("\n");
	fail_with(&arguments, "app", "mnt", ERROR_INVALID, "no password");
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(paths_become_absolute_and_references_normal),
		WITH_SCRATCH(images_in_files_get_absolute_paths_outside_of_the_mount),
		WITH_SCRATCH(only_what_is_read_is_fetched_when_that_is_asked_for),
		WITH_SCRATCH(nothing_of_a_mount_may_lie_below_it),
		WITH_SCRATCH(mistakes_are_found_before_anything_is_started),
		WITH_SCRATCH(a_password_is_read_without_the_newline_of_echo),
	};

	return cmocka_run_group_tests_name("mount_plan", tests, NULL, NULL);
}
