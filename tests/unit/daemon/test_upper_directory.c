/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/upper_directory.h"

#include "support/scratch.h"

#include <sys/stat.h>

#include "base/fdio.h"
#include "base/log.h"

static const char *dir_of(void **state)
{
	const struct scratch *scratch = *state;

	return scratch->path;
}

static void make(void **state, const char *chosen, struct upper_directory *out)
{
	const struct erofs_attr root = {.uid = getuid(), .gid = getgid(), .mode = S_IFDIR | 0751};
	struct error err = {0};

	if (upper_directory_make(dir_of(state), chosen, &root, "sha256:ab", out, &err) < 0)
		fail_msg("%s", err.message);
}

static void looks_like_the_root_of_the_image(void **state)
{
	struct upper_directory directory;
	struct stat status;

	make(state, NULL, &directory);
	assert_int_equal(stat(directory.upper, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0751);
	assert_int_equal(stat(directory.work, &status), 0);
	assert_true(directory.temporary);
	assert_ptr_equal(strstr(directory.upper, dir_of(state)), directory.upper);
}

static void an_empty_one_of_ours_is_removed(void **state)
{
	struct upper_directory directory;
	char work[PATH_MAX];

	make(state, NULL, &directory);
	/* What overlayfs leaves. */
	(void)snprintf(work, sizeof(work), "%.4000s/work", directory.work);
	assert_int_equal(mkdir(work, 0000), 0);
	upper_directory_finish(&directory);
	assert_int_equal(access(directory.parent, F_OK), -1);
}

static void one_with_changes_is_kept(void **state)
{
	struct upper_directory directory;
	char path[PATH_MAX];
	struct error err;

	log_setup(LOG_LEVEL_WARNING, STDERR_FILENO, true);
	make(state, NULL, &directory);
	(void)snprintf(path, sizeof(path), "%.4000s/changed", directory.upper);
	assert_int_equal(file_replace(AT_FDCWD, path, "x", 1, 0600, &err), 0);
	upper_directory_finish(&directory);
	assert_int_equal(access(path, F_OK), 0);
}

static void one_of_the_users_is_kept_and_used_again(void **state)
{
	struct upper_directory directory;
	char chosen[PATH_MAX];

	(void)snprintf(chosen, sizeof(chosen), "%s/mine", dir_of(state));
	make(state, chosen, &directory);
	assert_int_equal(chmod(directory.upper, 0700), 0);
	upper_directory_finish(&directory);
	assert_int_equal(access(directory.upper, F_OK), 0);

	/* Its mode is a change that somebody made. */
	make(state, chosen, &directory);
	assert_false(directory.temporary);
	{
		struct stat status;

		assert_int_equal(stat(directory.upper, &status), 0);
		assert_int_equal(status.st_mode & 07777, 0700);
	}
}

static void two_mounts_have_two_directories(void **state)
{
	struct upper_directory first, second;

	make(state, NULL, &first);
	make(state, NULL, &second);
	assert_string_not_equal(first.parent, second.parent);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(looks_like_the_root_of_the_image),
		WITH_SCRATCH(an_empty_one_of_ours_is_removed),
		WITH_SCRATCH(one_with_changes_is_kept),
		WITH_SCRATCH(one_of_the_users_is_kept_and_used_again),
		WITH_SCRATCH(two_mounts_have_two_directories),
	};

	return cmocka_run_group_tests_name("upper_directory", tests, NULL, NULL);
}
