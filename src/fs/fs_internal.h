/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "fs/fs_session.h"
#include "fs/node.h"
#include "fs_init.h"
#include "fuse_api.h"

/* The most that a layer reads at once. */
enum { FS_MAX_READ = 1 << 20 };

/* Seconds: what never changes is never asked for again. */
#define TIMEOUT_UNLIMITED 1e9

struct parked_read;

/* Reads that have not been answered: those under way in their layer, and those beyond the cap that
 * wait for one of them to end. */
struct fs_park {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t max;
	size_t n;                         /* guarded by lock; under way */
	struct parked_read *under_way;    /* guarded by lock; those of them that found nothing */
	struct parked_read *queue;        /* guarded by lock; the first is started first */
	struct parked_read **queue_tail;  /* guarded by lock */
	bool closing;                     /* guarded by lock */
	struct parked_read *watched;      /* guarded by lock; interrupted, and not to be answered */
	struct parked_read *watched_last; /* guarded by lock */
	atomic_uint n_watched;
	atomic_uint_fast64_t n_interrupted;
};

struct fs_session {
	struct tree_table *trees; /* borrowed */
	struct tree *tree;        /* borrowed; the only one, or NULL: tree 0 */
	char *mountpoint;         /* owned; absolute, without symbolic links */
	uint64_t mount_id;        /* as statx(2) has it; 0 where the kernel does not tell */
	int64_t started_s;        /* wall clock */
	bool answer_xattr;

	struct fuse_session *fuse; /* owned, with its descriptor of /dev/fuse */
	pthread_t *threads;
	unsigned n_threads;

	/* Written by the thread that reads the first request, before the kernel sends another. */
	struct fs_init_offer init;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool answering;            /* guarded by lock; the kernel has our FUSE_INIT reply */
	unsigned n_running;        /* guarded by lock; threads */
	bool ended;                /* guarded by lock */
	void (*on_end)(void *arg); /* guarded by lock */
	void *on_end_arg;          /* guarded by lock */

	struct fs_park park;
	atomic_uint_fast64_t n_requests;
	atomic_uint_fast64_t n_replies;
	atomic_uint_fast64_t n_reads;
	atomic_bool index_failed; /* a broken index was reported */
};

/* fs_device.c: how requests come and replies go. */
const struct fuse_custom_io *fs_device_io(void);

/* libfuse keeps an interrupt that came too late for its request until another request comes, and
 * leaks it when none does. For a session that has answered FUSE_INIT and whose threads are gone. */
void fs_device_drop_interrupts(struct fs_session *session);

/* fs_mount.c: a new FUSE mount, made by ourselves or by fusermount3; *fd is its /dev/fuse. */
MUST_CHECK int fs_mount(const struct fs_session_options *options, const char *mountpoint, int *fd,
	struct error *err);

/* Fills mount_id, raises the read-ahead where that is allowed. */
void fs_mount_tune(struct fs_session *session, unsigned read_ahead_kib);

/* The mount id of what is mounted on top of this directory; 0 where that cannot be told. */
uint64_t fs_mount_id(const char *mountpoint);

/* fusermount.c: runs fusermount3 with these arguments, NULL at the end. @fd: gets the /dev/fuse of
 * a mount; NULL for an unmount. ERROR_BUSY when it says so. */
MUST_CHECK int fusermount_run(const char *const *arguments, int *fd, struct error *err);

/* fs_ops.c: the request table of a session. */
void fs_ops_fill(struct fuse_lowlevel_ops *ops, bool answer_xattr);
/* fs_ops_refuse.c: everything that would change something answers EROFS. */
void fs_ops_fill_refusals(struct fuse_lowlevel_ops *ops);
/* fs_ops_directory.c, fs_ops_xattr.c, fs_ops_read.c */
void fs_op_readdir(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file);
void fs_op_readdirplus(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file);
void fs_op_getxattr(fuse_req_t request, fuse_ino_t ino, const char *name, size_t size);
void fs_op_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size);
void fs_op_read(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *file);

/* What a node id means. */
struct fs_node {
	struct tree *tree; /* NULL: tree 0 */
	uint64_t nid;      /* or the row of tree 0 */
};

/* fs_node.c. Leaf functions: 0 or -errno. */
MUST_CHECK int fs_node_resolve(
	const struct fs_session *session, fuse_ino_t ino, struct fs_node *out);
/* *timeout: how long the kernel may keep the attributes, seconds. */
MUST_CHECK int fs_node_stat(
	struct fs_session *session, const struct fs_node *node, struct stat *out, double *timeout);
/* A complete answer to a look-up, also of a name that does not exist. */
MUST_CHECK int fs_node_lookup(struct fs_session *session, const struct fs_node *directory,
	const char *name, struct fuse_entry_param *out);
MUST_CHECK int fs_node_readlink(
	struct fs_session *session, const struct fs_node *node, char out[4096]);
/* The answer for node @nid of a tree. */
MUST_CHECK int fs_node_entry(
	struct fs_session *session, const struct fs_node *node, struct fuse_entry_param *out);
/* The errno of a failed call into an index; the failure is logged here. */
MUST_CHECK int fs_index_errno(
	struct fs_session *session, const struct tree *tree, const struct error *err);

/* fs_root.c: tree 0. The same, with rows instead of nids. */
MUST_CHECK int fs_root_stat(
	struct fs_session *session, uint64_t row, struct stat *out, double *timeout);
MUST_CHECK int fs_root_lookup(
	struct fs_session *session, uint64_t row, const char *name, struct fuse_entry_param *out);
MUST_CHECK int fs_root_readlink(struct fs_session *session, uint64_t row, char out[4096]);
/* Calls each() for the entries after @cookie until it returns non-zero. */
MUST_CHECK int fs_root_readdir(struct fs_session *session, uint64_t row, uint64_t cookie,
	int (*each)(void *arg, const char *name, const struct fs_node *node, uint32_t type,
		uint64_t next_cookie),
	void *arg);
/* The layer whose data space a row is; NULL when it is not such a file. */
struct layer *fs_root_data(struct fs_session *session, uint64_t row);
/* The inverse, of the id of a layer. */
uint64_t fs_root_data_row(uint32_t id);
/* Bytes of a layer's data space. */
uint64_t fs_data_size(const struct layer *layer);

/* fs_park.c */
void fs_park_init(struct fs_park *park, size_t max);
/* Cancels what is still waiting and returns when it has ended. Nothing is started any more. */
void fs_park_drain(struct fs_park *park);
void fs_park_destroy(struct fs_park *park);
/* fs_park_watch.c: while fs_park_is_watching(), fs_park_look() is to be called a few times a
 * second. */
bool fs_park_is_watching(struct fs_park *park);
void fs_park_look(struct fs_park *park);
/* How many reads have not been answered. */
size_t fs_park_n(struct fs_park *park);
/* Answers @request with bytes [off, off + size) of a layer's data space, now or later. */
void fs_park_read(struct fs_session *session, fuse_req_t request, struct layer *layer, uint64_t off,
	size_t size);
