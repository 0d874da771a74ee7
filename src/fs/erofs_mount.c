/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts a tree as EROFS, on a thread of its own: the kernel opens files of a FUSE mount that this
 * process serves, and must find all its threads free. If it does not come back, that thread stays
 * where it is and everybody else goes on. */
#include "fs/erofs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/thread.h"
#include "erofs_internal.h"
#include "read_ahead_internal.h"

enum { PATIENCE_S = 30 };

enum state { RUNNING, ATTACHING, ABANDONED };

/* A mount under way. Owned by both threads; what it was made of outlives the caller. */
struct job {
	atomic_uint refs;
	atomic_int state;
	char *mountpoint;
	char *index_path;
	char **devices; /* paths */
	int *fds;       /* of data files given directly; -1: none */
	size_t n_devices;
	size_t n_complete; /* devices that are data files */
	bool suid;
	bool dev;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;        /* guarded by lock */
	int ret;          /* guarded by lock */
	struct error err; /* guarded by lock */
};

static void job_unref(struct job *job)
{
	if (!job || atomic_fetch_sub(&job->refs, 1) != 1)
		return;
	for (size_t i = 0; i < job->n_devices; i++) {
		free(job->devices[i]);
		if (job->fds[i] >= 0)
			(void)close(job->fds[i]);
	}
	(void)pthread_cond_destroy(&job->changed);
	(void)pthread_mutex_destroy(&job->lock);
	free(job->fds);
	free(job->devices);
	free(job->index_path);
	free(job->mountpoint);
	free(job);
}

static void job_unrefp(struct job **job)
{
	job_unref(*job);
}

/* The kernel does not: it masks device numbers, and reads zeros from devices that are missing. */
static int check_devices(const struct tree *tree, struct error *err)
{
	unsigned n = erofs_n_devices(tree->reader);

	if (n != tree->n_layers)
		return error_set(err, ERROR_FORMAT,
			"index %s has %u devices, its tree has %zu layers", tree->index_path, n,
			tree->n_layers);
	for (unsigned i = 0; i < n; i++) {
		const struct layer_index *index = layer_index_of(tree->layers[i]);
		uint64_t size = unit_table_header(index->units)->data_size;
		char tag[65];
		char key[INDEX_KEY_HEX];

		hex_encode(index->key, INDEX_KEY_SIZE, key);
		if (strcmp(erofs_device_tag(tree->reader, i, tag), key) != 0)
			return error_set(err, ERROR_FORMAT,
				"device %u of index %s is of layer %s, not %s", i, tree->index_path,
				tag, key);
		if (erofs_device_size(tree->reader, i) != size || size % 4096 != 0)
			return error_set(err, ERROR_FORMAT,
				"device %u of index %s has %llu bytes, its layer has %llu", i,
				tree->index_path,
				(unsigned long long)erofs_device_size(tree->reader, i),
				(unsigned long long)size);
	}
	return 0;
}

/* The data file of a layer that has every byte, durably; -1 when there is none. */
static int complete_data_fd(struct layer *layer)
{
	struct layer_store *store = layer_store_of(layer);
	uint64_t size = unit_table_header(layer_index_of(layer)->units)->data_size;
	struct stat stat;
	int fd = -1;

	/* What the kernel reads by itself nobody can take back. */
	if (layer_trust(layer) == LAYER_REPOSITORY_TRUSTED ||
		layer_trust(layer) == LAYER_CONTRADICTED || !layer_store_is_complete(store) ||
		layer_store_sync(store, NULL) < 0 || layer_store_data_fd(store, &fd, NULL) < 0)
		return -1;
	/* The last block of the last file must be there whole. */
	if (fstat(fd, &stat) < 0 || (uint64_t)stat.st_size < size) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int add_device(
	struct job *job, size_t i, const struct erofs_mount_options *options, struct error *err)
{
	int fd = complete_data_fd(options->tree->layers[i]);
	int ret;

	if (fd >= 0)
		ret = asprintf(&job->devices[i], "/proc/self/fd/%d", fd);
	else
		ret = asprintf(
			&job->devices[i], "%s/%u", options->data_dir, options->tree->layer_ids[i]);
	if (ret < 0) {
		if (fd >= 0)
			(void)close(fd);
		return error_set(err, ERROR_NO_MEMORY, "no memory for a mount");
	}
	job->fds[i] = fd;
	job->n_devices++;
	job->n_complete += fd >= 0;
	return 0;
}

static int job_new(const struct erofs_mount_options *options, struct job **out, struct error *err)
{
	CLEANUP(job_unrefp) struct job *job = calloc(1, sizeof(*job));
	size_t n = options->tree->n_layers;
	pthread_condattr_t monotonic;

	if (!job)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a mount");
	atomic_init(&job->refs, 1);
	(void)pthread_mutex_init(&job->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&job->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	job->mountpoint = strdup(options->mountpoint);
	job->fds = calloc(n, sizeof(*job->fds));
	job->devices = calloc(n, sizeof(*job->devices));
	job->index_path = strdup(options->tree->index_path);
	if (!job->mountpoint || !job->fds || !job->devices || !job->index_path)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a mount");
	job->suid = options->suid;
	job->dev = options->dev;
	for (size_t i = 0; i < n; i++) {
		if (add_device(job, i, options, err) < 0)
			return -1;
	}
	*out = TAKE_PTR(job);
	return 0;
}

static int make_mount(struct job *job, struct error *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct erofs_image image = {
		.index_path = job->index_path,
		.devices = (const char *const *)job->devices,
		.n_devices = job->n_devices,
		.read_ahead_kib = job->n_complete == job->n_devices ? COMPLETE_READ_AHEAD_KIB
								    : LAZY_READ_AHEAD_KIB,
		.suid = job->suid,
		.dev = job->dev,
	};
	int expected = RUNNING;

	if (erofs_fsmount(&image, &fd, err) < 0)
		return -1;
	if (!atomic_compare_exchange_strong(&job->state, &expected, ATTACHING))
		return error_set(err, ERROR_CANCELLED, "nobody waits for this mount any more");
	if (move_mount(fd, "", AT_FDCWD, job->mountpoint, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, "attach EROFS to %s", job->mountpoint);
	return 0;
}

static void *run(void *arg)
{
	CLEANUP(job_unrefp) struct job *job = arg;
	struct error err = {0};
	int ret = make_mount(job, &err);

	pthread_mutex_lock(&job->lock);
	job->done = true;
	job->ret = ret;
	job->err = err;
	pthread_cond_broadcast(&job->changed);
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

/* False when it was given up. */
static bool wait_for(struct job *job)
{
	struct timespec until;
	bool done;
	int ret = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&job->lock);
	while (!job->done) {
		int expected = RUNNING;

		if (ret == 0) {
			ret = pthread_cond_timedwait(&job->changed, &job->lock, &until);
			continue;
		}
		if (atomic_compare_exchange_strong(&job->state, &expected, ABANDONED))
			break;
		/* Attaching does not block on anybody. */
		(void)pthread_cond_wait(&job->changed, &job->lock);
	}
	done = job->done;
	pthread_mutex_unlock(&job->lock);
	return done;
}

int erofs_mount(const struct erofs_mount_options *options, struct error *err)
{
	CLEANUP(job_unrefp) struct job *job = NULL;
	pthread_t thread;
	int ret;

	if (check_devices(options->tree, err) < 0 || job_new(options, &job, err) < 0)
		return -1;
	atomic_fetch_add(&job->refs, 1);
	ret = thread_start(&thread, "varve-erofs", run, job);
	if (ret < 0) {
		job_unref(job);
		return error_set_errno(err, -ret, "start a thread to mount EROFS");
	}
	if (!wait_for(job)) {
		(void)pthread_detach(thread);
		return error_set(err, ERROR_TIMEOUT,
			"mounting EROFS on %s did not end within %d s: is %s served?",
			options->mountpoint, PATIENCE_S, options->data_dir);
	}
	(void)pthread_join(thread, NULL);
	if (job->ret < 0)
		return error_set(err, job->err.kind, "%s", job->err.message);
	return 0;
}
