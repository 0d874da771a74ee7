/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* A writable mount: overlayfs with a read-only tree below and an ordinary directory above. */
struct overlay_mount_options {
	const char *lower;
	const char *upper; /* upper and work: on one file system that overlayfs can write to */
	const char *work;
	const char *mountpoint;
	const char *source; /* first column of /proc/mounts */
	bool suid;
	bool dev;
};

/* Whether this process may mount one; otherwise an error that says what to do instead. */
MUST_CHECK int overlay_mount_allowed(struct error *err);

/* Mounts. In a user namespace the overlay keeps its marks in user.* attributes. Blocks on the
 * mount below: never on the threads that serve it. */
MUST_CHECK int overlay_mount(const struct overlay_mount_options *options, struct error *err);
