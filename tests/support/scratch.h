/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory of a test's own, in TMPDIR or /tmp, removed with everything in it. */
struct scratch {
	char path[256];
	int fd;
};

static inline int scratch_remove_one(
	const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

/* cmocka setup and teardown: *state is the struct scratch. */
static inline int scratch_setup(void **state)
{
	const char *parent = getenv("TMPDIR");
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	assert_non_null(scratch);
	(void)snprintf(scratch->path, sizeof(scratch->path), "%s/varve-test-XXXXXX",
		parent ? parent : "/tmp");
	assert_non_null(mkdtemp(scratch->path));
	scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(scratch->fd >= 0);
	*state = scratch;
	return 0;
}

static inline int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;

	close(scratch->fd);
	(void)nftw(scratch->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(scratch);
	return 0;
}
