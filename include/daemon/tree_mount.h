/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "layer/tree.h"

struct fs_session;

/* A tree at a directory: the FUSE session, and on top of it what the face and --rw ask for.
 *
 *   FUSE             the session is mounted on the directory
 *   EROFS            session in private_dir/fs, EROFS on the directory
 *   FUSE, writable   session in private_dir/lower, overlay on the directory
 *   EROFS, writable  session in private_dir/fs, EROFS in private_dir/lower, overlay on top */
struct tree_mount;

enum tree_face { FACE_AUTO, FACE_EROFS, FACE_FUSE };

/* Everything is borrowed; trees and tree outlive the mount. */
struct tree_mount_options {
	struct tree_table *trees;
	struct tree *tree; /* in trees */
	const char *dir;   /* absolute */
	const char *private_dir;
	const char *source; /* first column of /proc/mounts */
	enum tree_face face;
	bool allow_other;
	bool suid;
	bool dev;
	const char *upper; /* NULL: read-only. upper and work exist, on one file system */
	const char *work;
};

/**
 * tree_mount_start() - mount and serve.
 *
 * FACE_AUTO takes EROFS where the kernel and this process can, else FUSE, and keeps the reason.
 * What was mounted before a failure is taken away again. Threads: one that serves nothing.
 */
MUST_CHECK int tree_mount_start(
	const struct tree_mount_options *options, struct tree_mount **out, struct error *err);

/* "erofs" or "fuse", and why not the other; "" when it was asked for. */
const char *tree_mount_face(const struct tree_mount *mount);
const char *tree_mount_face_why(const struct tree_mount *mount);

/* The device number of the mount at the directory. */
void tree_mount_device(const struct tree_mount *mount, unsigned *major, unsigned *minor);

/* For its counters. */
struct fs_session *tree_mount_session(const struct tree_mount *mount);

/* The kernel forgets what it has cached of a layer whose reads fail from now on, as far as it can
 * be told to. On a thread that serves nothing. */
void tree_mount_drop_cached(struct tree_mount *mount, const struct layer *layer);

/* Calls ended(arg) from another thread once nobody uses the tree any more and nothing of it is
 * mounted; at once if so. */
void tree_mount_on_end(struct tree_mount *mount, void (*ended)(void *arg), void *arg);

/**
 * tree_mount_detach() - take the mount away, from the directory down to the session.
 * @lazy: what is in use is detached and serves until its last user is gone.
 * @busy: set when something of it was in use; without @lazy that part and all below it stay.
 *
 * What somebody else took away already is fine. Again after a failure is fine, too.
 */
MUST_CHECK int tree_mount_detach(
	struct tree_mount *mount, bool lazy, bool *busy, struct error *err);

/* Waits for the session's end: after it, or after it was detached. NULL is allowed. */
void tree_mount_free(struct tree_mount *mount);
void tree_mount_freep(struct tree_mount **mount);
