/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* The directory that something is to be mounted on. */

/* Its absolute path without links, dots and double slashes, also when a dead mount is there. */
MUST_CHECK int mount_target_path(const char *dir, char out[PATH_MAX], struct error *err);

/* What somebody wants to mount; as in a record. */
struct mount_wish {
	const char *dir;       /* from mount_target_path() */
	const char *reference; /* full form */
	const char *layer;     /* "" for the whole image */
	const char *platform;
	bool writable;
};

/**
 * mount_target_check() - can this be mounted there?
 * @same: set when it is mounted there already; *pid serves it.
 * @err:  ERROR_NOT_FOUND or ERROR_INVALID for a directory that is none, ERROR_BUSY when another
 *        image is there.
 *
 * Takes away a dead mount of ours and warns of files that will be hidden. A mount that is not ours
 * is mounted over, as mount(8) does.
 */
MUST_CHECK int mount_target_check(const char *run_dir, const struct mount_wish *wish, bool *same,
	pid_t *pid, struct error *err);
