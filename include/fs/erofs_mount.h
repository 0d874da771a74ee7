/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "layer/tree.h"

/* The EROFS face: the kernel mounts an index itself and asks FUSE only for bytes of data files. */

/* Whether this process and kernel can; otherwise why says what is missing ("needs root",
 * "kernel 6.1 has no file-backed EROFS"). Asked from the kernel, by offering it a file. */
bool erofs_mount_supported(char *why, size_t why_size);

/* Which tree is mounted where. */
struct erofs_mount_options {
	struct tree *tree;
	const char *data_dir; /* where data/<id> of a tree-0 session is mounted */
	const char *mountpoint;
	bool suid;
	bool dev;
};

/* Checks that the number of devices, their ids and sizes are right (the kernel does not), then
 * mounts through fsopen/fsconfig/fsmount/move_mount. A layer that is complete is given as its data
 * file. Blocks on the FUSE session: never on its threads, a loop, or a worker a read needs. */
MUST_CHECK int erofs_mount(const struct erofs_mount_options *options, struct error *err);

/* umount2(2) of any mount of ours. @busy as fs_session_unmount(). */
MUST_CHECK int mount_detach(const char *mountpoint, bool lazy, bool *busy, struct error *err);
