/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "control/report.h"
#include "daemon/node.h"
#include "daemon/tree_mount.h"
#include "layer/image.h"

/* The life of a process that serves one mount: open the image, mount it, answer until it is taken
 * away, clean up. */

/* Everything is borrowed. */
struct mount_service_options {
	const char *dir; /* checked by mount_target_check() */
	const char *run_dir;
	const char *log; /* the file that this process logs to; "" for a terminal */
	struct node_options node;
	struct image_options image; /* its progress is called too */
	enum tree_face face;
	bool allow_other;
	bool suid;
	bool dev;
	bool writable;
	const char *upper; /* of a writable mount; NULL: a new directory in the store */

	/* The mount is usable. */
	void (*ready)(void *arg, const struct report_mount *mount);
	void *arg;
};

/**
 * mount_service_run() - mount, serve until the mount is gone, clean up.
 *
 * SIGINT, SIGTERM and SIGHUP unmount; a busy mount is detached and served until its last user is
 * gone, which a second signal cuts short. A signal before the mount is usable ends the process
 * with EXIT_CODE_CANCELLED. Starts threads: the process has none yet.
 */
MUST_CHECK int mount_service_run(const struct mount_service_options *options, struct error *err);
