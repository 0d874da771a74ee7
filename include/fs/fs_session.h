/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "layer/tree.h"

/* A FUSE mount and the threads that answer it. Stateless: a node id is tree id << 40 | nid, so
 * nothing is remembered between requests but the reads that wait for bytes. */
struct fs_session;

/* What a session serves and how it is mounted. */
struct fs_session_options {
	struct tree_table *trees; /* borrowed, outlives the session */
	const char *mountpoint;
	/* The tree whose root is the root of the mount; 0 mounts tree 0, the directory of all
	 * trees: images/, layers/, t/<id in base 36>, data/<id>. */
	uint32_t tree_id;
	const char *source; /* first column of /proc/mounts, e.g. the reference */
	bool allow_other;
	bool suid;
	bool dev;
	bool answer_xattr;       /* false: ENOSYS to getxattr and listxattr; no tree may have any */
	unsigned n_threads;      /* 0: two */
	unsigned read_ahead_kib; /* of the mount; 0: 1024, or 2048 when all of its bytes are
				    here. Only root may set it */
	unsigned max_parked;     /* reads that may wait for bytes at once; 0: 16384 */
};

/* Mounts and starts serving; when it returns the mount answers. Mounts through fusermount3 where
 * the process may not mount. */
MUST_CHECK int fs_session_start(
	const struct fs_session_options *options, struct fs_session **out, struct error *err);

/* True once the mount is gone (unmounted by anyone) and all threads have ended. */
bool fs_session_ended(const struct fs_session *session);

/* Calls ended(arg) from a thread of the session once the mount is gone; at once if it is. */
void fs_session_on_end(struct fs_session *session, void (*ended)(void *arg), void *arg);

/**
 * fs_session_unmount() - take the mount away.
 * @lazy: a busy mount is detached; it serves until its last user is gone.
 * @busy: set when it was busy: with @lazy it was detached, without nothing changed. Both are
 * success.
 */
MUST_CHECK int fs_session_unmount(
	struct fs_session *session, bool lazy, bool *busy, struct error *err);

/**
 * fs_session_drop_cached() - the kernel forgets what it was given of a layer.
 *
 * For a layer whose reads fail by now, so that nothing comes back; mapped pages, too. Waits for
 * reads that are under way: not on a thread of the session, the net loop or a worker.
 */
void fs_session_drop_cached(struct fs_session *session, const struct layer *layer);

/* Waits for the threads, after the mount is gone, cancels parked reads, frees. */
void fs_session_free(struct fs_session *session);
void fs_session_freep(struct fs_session **session);

/* Counters of a session since it was mounted. */
struct fs_stats {
	uint64_t n_requests;
	uint64_t n_reads;
	uint64_t n_parked; /* waiting now */
	uint64_t n_interrupted;
};
/* Any thread; the counters are read one by one, not at one instant. */
void fs_session_stats(struct fs_session *session, struct fs_stats *out);
