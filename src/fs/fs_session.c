/* SPDX-License-Identifier: Apache-2.0 */
/* A FUSE mount from its start to its end, and the threads that answer it. */
#include "fs/fs_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "fs/erofs_mount.h"
#include "fs_internal.h"
#include "read_ahead_internal.h"

enum { DEFAULT_THREADS = 2, DEFAULT_MAX_PARKED = 16384, START_PATIENCE_S = 30 };

__attribute__((format(printf, 2, 0))) static void on_libfuse_log(
	enum fuse_log_level level, const char *format, va_list arguments)
{
	char text[256];

	(void)vsnprintf(text, sizeof(text), format, arguments);
	log_write(level <= FUSE_LOG_ERR ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "libfuse: %s", text);
}

/* Answers one request; false when the mount is gone. */
static bool serve_one(struct fs_session *session, struct fuse_buf *buffer)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int n = fuse_session_receive_buf(session->fuse, buffer);

	if (fuse_session_exited(session->fuse))
		return false;
	if (n > 0)
		fuse_session_process_buf(session->fuse, buffer);
	else if (n != -EINTR && n != -EAGAIN)
		(void)nanosleep(&pause, NULL);
	return true;
}

static void *serve(void *arg)
{
	struct fs_session *session = arg;
	struct fuse_buf buffer = {0};
	void (*on_end)(void *arg) = NULL;
	void *on_end_arg = NULL;

	while (serve_one(session, &buffer))
		;
	free(buffer.mem);

	pthread_mutex_lock(&session->lock);
	if (--session->n_running == 0) {
		session->ended = true;
		on_end = session->on_end;
		on_end_arg = session->on_end_arg;
		pthread_cond_broadcast(&session->changed);
	}
	pthread_mutex_unlock(&session->lock);
	if (on_end)
		on_end(on_end_arg);
	return NULL;
}

static int start_threads(struct fs_session *session, unsigned n_threads, struct error *err)
{
	session->threads = calloc(n_threads, sizeof(*session->threads));
	if (!session->threads)
		return error_set(err, ERROR_NO_MEMORY, "no memory for FUSE threads");
	for (unsigned i = 0; i < n_threads; i++) {
		char name[32];
		int ret;

		(void)snprintf(name, sizeof(name), "varve-fuse-%u", i);
		pthread_mutex_lock(&session->lock);
		session->n_running++;
		pthread_mutex_unlock(&session->lock);
		ret = thread_start(&session->threads[i], name, serve, session);
		if (ret < 0) {
			pthread_mutex_lock(&session->lock);
			session->n_running--;
			pthread_mutex_unlock(&session->lock);
			return error_set_errno(err, -ret, "start FUSE thread %u", i);
		}
		session->n_threads++;
	}
	return 0;
}

static int wait_until_answering(struct fs_session *session, struct error *err)
{
	struct timespec until;
	bool answering;
	int ret = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += START_PATIENCE_S;
	pthread_mutex_lock(&session->lock);
	while (!session->answering && !session->ended && ret == 0)
		ret = pthread_cond_timedwait(&session->changed, &session->lock, &until);
	answering = session->answering;
	pthread_mutex_unlock(&session->lock);
	if (!answering)
		return error_set(err, ERROR_INTERNAL,
			"the mount on %s ended before it answered, or the kernel did not ask",
			session->mountpoint);
	return 0;
}

static int open_fuse(struct fs_session *session, int *fd, struct error *err)
{
	char name[] = "varve";
	char *arguments[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
	struct fuse_lowlevel_ops ops;
	int ret;

	fuse_set_log_func(on_libfuse_log);
	fs_ops_fill(&ops, session->answer_xattr);
	session->fuse = fuse_session_new(&args, &ops, sizeof(ops), session);
	fuse_opt_free_args(&args);
	if (!session->fuse)
		return error_set(err, ERROR_INTERNAL, "libfuse makes no session");
	ret = fuse_session_custom_io(session->fuse, fs_device_io(), *fd);
	if (ret < 0)
		return error_set_errno(err, -ret, "give libfuse its descriptor");
	(void)TAKE_FD(*fd);
	return 0;
}

static bool is_complete(const struct tree *tree)
{
	for (size_t i = 0; i < tree->n_layers; i++) {
		if (!layer_store_is_complete(layer_store_of(tree->layers[i])))
			return false;
	}
	return true;
}

static unsigned default_read_ahead_kib(const struct fs_session *session)
{
	return session->tree && is_complete(session->tree) ? COMPLETE_READ_AHEAD_KIB
							   : LAZY_READ_AHEAD_KIB;
}

/* From here on a failure takes the mount away again. */
static int serve_mount(struct fs_session *session, const struct fs_session_options *options,
	int *fd, struct error *err)
{
	if (open_fuse(session, fd, err) < 0)
		return -1;
	if (start_threads(session, options->n_threads ? options->n_threads : DEFAULT_THREADS, err) <
		0)
		return -1;
	if (wait_until_answering(session, err) < 0)
		return -1;
	fs_mount_tune(session, options->read_ahead_kib ? options->read_ahead_kib
						       : default_read_ahead_kib(session));
	return 0;
}

static int session_new(
	const struct fs_session_options *options, struct fs_session **out, struct error *err)
{
	CLEANUP(cleanup_free) struct fs_session *session = calloc(1, sizeof(*session));
	pthread_condattr_t monotonic;

	if (!session)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a FUSE session");
	session->trees = options->trees;
	session->answer_xattr = options->answer_xattr;
	session->started_s = clock_wall_s();
	if (options->tree_id != 0) {
		session->tree = tree_table_get(options->trees, options->tree_id);
		if (!session->tree)
			return error_set(
				err, ERROR_NOT_FOUND, "no tree has the id %u", options->tree_id);
	}
	session->mountpoint = realpath(options->mountpoint, NULL);
	if (!session->mountpoint)
		return error_set_errno(err, errno, "mount point %s", options->mountpoint);

	(void)pthread_mutex_init(&session->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&session->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	fs_park_init(
		&session->park, options->max_parked ? options->max_parked : DEFAULT_MAX_PARKED);
	*out = TAKE_PTR(session);
	return 0;
}

int fs_session_start(
	const struct fs_session_options *options, struct fs_session **out, struct error *err)
{
	struct fs_session *session = NULL;
	bool busy;
	int fd = -1;

	if (session_new(options, &session, err) < 0)
		return -1;
	if (fs_mount(options, session->mountpoint, &fd, err) < 0) {
		fs_session_free(session);
		return -1;
	}
	if (serve_mount(session, options, &fd, err) < 0) {
		struct error ignored;

		/* Closing the last descriptor ends the mount; this removes it. */
		if (fd >= 0)
			(void)close(fd);
		if (mount_detach(session->mountpoint, true, &busy, &ignored) < 0)
			log_warning("%s", ignored.message);
		fs_session_free(session);
		return -1;
	}
	*out = session;
	return 0;
}

bool fs_session_ended(const struct fs_session *session)
{
	struct fs_session *mutable = (struct fs_session *)(uintptr_t)session;
	bool ended;

	pthread_mutex_lock(&mutable->lock);
	ended = session->ended;
	pthread_mutex_unlock(&mutable->lock);
	return ended;
}

void fs_session_on_end(struct fs_session *session, void (*ended)(void *arg), void *arg)
{
	bool now;

	pthread_mutex_lock(&session->lock);
	now = session->ended;
	session->on_end = ended;
	session->on_end_arg = arg;
	pthread_mutex_unlock(&session->lock);
	if (now)
		ended(arg);
}

int fs_session_unmount(struct fs_session *session, bool lazy, bool *busy, struct error *err)
{
	*busy = false;
	if (fs_session_ended(session))
		return 0;
	if (session->mount_id != 0 && fs_mount_id(session->mountpoint) != session->mount_id)
		return error_set(err, ERROR_BUSY,
			"something else is mounted on %s, or its mount was moved or detached "
			"before",
			session->mountpoint);
	return mount_detach(session->mountpoint, lazy, busy, err);
}

void fs_session_free(struct fs_session *session)
{
	if (!session)
		return;
	for (unsigned i = 0; i < session->n_threads; i++)
		(void)pthread_join(session->threads[i], NULL);
	fs_park_drain(&session->park);
	if (session->fuse && session->answering)
		fs_device_drop_interrupts(session);
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	fs_park_destroy(&session->park);
	(void)pthread_cond_destroy(&session->changed);
	(void)pthread_mutex_destroy(&session->lock);
	free(session->threads);
	free(session->mountpoint);
	free(session);
}

void fs_session_freep(struct fs_session **session)
{
	fs_session_free(*session);
}

void fs_session_stats(struct fs_session *session, struct fs_stats *out)
{
	*out = (struct fs_stats){
		.n_requests = atomic_load(&session->n_requests),
		.n_reads = atomic_load(&session->n_reads),
		.n_parked = fs_park_n(&session->park),
		.n_interrupted = atomic_load(&session->park.n_interrupted),
	};
}
