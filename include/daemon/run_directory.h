/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Where the processes of one user that serve mounts leave notes about themselves and put mounts
 * that nobody else is to see:
 *
 *   mounts/<pid>.json   what a process serves (daemon/mount_record.h)
 *   <pid>/fs            its FUSE mount of all trees, below an EROFS face
 *   <pid>/lower         the read-only tree below a writable mount
 *   <pid>/control.sock  only where the store cannot hold it
 *
 * Gone after a reboot, as the mounts are. */

/* $VARVE_RUN_DIR; else /run/varve for root, $XDG_RUNTIME_DIR/varve, or /tmp/varve-UID. */
MUST_CHECK int run_directory_path(char out[PATH_MAX], struct error *err);

/* Makes it, and mounts/ in it, for this user alone. One that belongs to somebody else or that
 * others may write to is ERROR_UNAUTHORIZED: who can put a record there could have any path
 * unmounted. */
MUST_CHECK int run_directory_make(const char *run_dir, struct error *err);

/* The directory of one process. run_directory_make_private() makes it. */
void run_directory_private(const char *run_dir, pid_t pid, char out[PATH_MAX]);
/* As run_directory_private(), and it exists. */
MUST_CHECK int run_directory_make_private(
	const char *run_dir, pid_t pid, char out[PATH_MAX], struct error *err);

/* Removes the directory of a process and the empty directories and sockets in it. What is still
 * mounted stays, with a warning. */
void run_directory_remove_private(const char *run_dir, pid_t pid);
