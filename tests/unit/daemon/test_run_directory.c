/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/run_directory.h"

#include "support/scratch.h"

#include <sys/stat.h>

static const char *parent_of(void **state)
{
	const struct scratch *scratch = *state;

	return scratch->path;
}

static void child(void **state, const char *name, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/%s", parent_of(state), name);
}

static void is_what_the_environment_says(void **state)
{
	struct error err = {0};
	char path[PATH_MAX];

	(void)state;
	(void)setenv("VARVE_RUN_DIR", "/somewhere/else", 1);
	assert_int_equal(run_directory_path(path, &err), 0);
	assert_string_equal(path, "/somewhere/else");

	(void)setenv("VARVE_RUN_DIR", "relative", 1);
	assert_int_equal(run_directory_path(path, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	(void)unsetenv("VARVE_RUN_DIR");
}

static void is_made_for_its_user_alone(void **state)
{
	struct error err = {0};
	char path[PATH_MAX];
	struct stat status;

	child(state, "run", path);
	assert_int_equal(run_directory_make(path, &err), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	child(state, "run/mounts", path);
	assert_int_equal(stat(path, &status), 0);
}

static void refuses_a_directory_that_others_may_write_to(void **state)
{
	struct error err = {0};
	char path[PATH_MAX];

	child(state, "run", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(run_directory_make(path, &err), -1);
	assert_int_equal(err.kind, ERROR_UNAUTHORIZED);
	assert_non_null(strstr(err.message, "0777"));
}

static void refuses_a_symbolic_link(void **state)
{
	struct error err = {0};
	char path[PATH_MAX];

	child(state, "run", path);
	assert_int_equal(symlink(parent_of(state), path), 0);
	assert_int_equal(run_directory_make(path, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
}

static void removes_what_a_process_left_in_its_directory(void **state)
{
	struct error err = {0};
	char private_dir[PATH_MAX];
	char path[PATH_MAX];

	assert_int_equal(run_directory_make_private(parent_of(state), 4711, private_dir, &err), 0);
	child(state, "4711/fs", path);
	assert_int_equal(mkdir(path, 0700), 0);
	child(state, "4711/lower", path);
	assert_int_equal(mkdir(path, 0700), 0);
	run_directory_remove_private(parent_of(state), 4711);
	assert_int_equal(access(private_dir, F_OK), -1);
	run_directory_remove_private(parent_of(state), 4711);
}

#define IN_PARENT(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_the_environment_says),
		IN_PARENT(is_made_for_its_user_alone),
		IN_PARENT(refuses_a_directory_that_others_may_write_to),
		IN_PARENT(refuses_a_symbolic_link),
		IN_PARENT(removes_what_a_process_left_in_its_directory),
	};

	return cmocka_run_group_tests_name("run_directory", tests, NULL, NULL);
}
