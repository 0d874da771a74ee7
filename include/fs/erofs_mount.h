/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "layer/tree.h"

/* The EROFS face: the kernel mounts an index itself and asks FUSE only for bytes of data files. */

/* Whether this process and kernel can; otherwise why says what is missing ("needs root",
 * "kernel 6.1 mounts EROFS on block devices only"). Cheap. The mount has the last word, with
 * ERROR_UNSUPPORTED: it also depends on the file system that the index is on. */
bool erofs_mount_supported(char *why, size_t why_size);

/* Which tree is mounted where. */
struct erofs_mount_options {
	struct tree *tree;
	const char *data_dir; /* absolute: the directory data/ of a mount of tree 0 */
	const char *mountpoint;
	bool suid;
	bool dev;
};

/* Checks that the number of devices, their ids and sizes are right (the kernel does not), then
 * mounts through fsopen/fsconfig/fsmount/move_mount. A layer that is complete is given as its data
 * file. Blocks on the FUSE session, at most 30 s: never on its threads, a loop, or a worker a read
 * needs. The first column of /proc/mounts is the path of the index. */
MUST_CHECK int erofs_mount(const struct erofs_mount_options *options, struct error *err);

/**
 * erofs_drop_cached() - the kernel forgets the bytes of all files below an EROFS mount.
 * @path: where it is mounted.
 *
 * Pages that a program has mapped, or that are being read, stay: nobody can tell the kernel that a
 * file of EROFS has changed. Opens every file: not on a thread that serves anything.
 */
MUST_CHECK int erofs_drop_cached(const char *path, struct error *err);

/* umount2(2) of any mount of ours, or fusermount3 for users. @busy as fs_session_unmount(). Nothing
 * mounted there is ERROR_NOT_FOUND. */
MUST_CHECK int mount_detach(const char *mountpoint, bool lazy, bool *busy, struct error *err);
