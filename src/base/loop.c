/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop and its messages from other threads. */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "loop_internal.h"

static void libevent_log(int severity, const char *message)
{
	log_write(severity >= EVENT_LOG_ERR
			  ? LOG_LEVEL_ERROR
			  : (severity >= EVENT_LOG_WARN ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG),
		"libevent: %s", message);
}

static void route_libevent_log(void)
{
	event_set_log_callback(libevent_log);
}

static void wake_up(struct loop *loop)
{
	const uint64_t one = 1;

	/* EAGAIN would mean that the counter is full, so the loop is awake already. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Detaches everything posted so far, oldest first. */
static struct loop_task *take_posted(struct loop *loop)
{
	struct loop_task *newest =
		atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
	struct loop_task *oldest = NULL;

	while (newest) {
		struct loop_task *older = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

/* One round: what these tasks post waits for the next, so that descriptors and timers get their
 * turn in between. */
static bool run_posted(struct loop *loop)
{
	struct loop_task *task = take_posted(loop);
	bool any = task != NULL;

	while (task) {
		struct loop_task *next = task->next;

		task->run(task);
		task = next;
	}
	return any;
}

/* Being awake is all that it is for: loop_run() looks at what was posted before it sleeps again. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	(void)arg;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Until something happened. Whoever posts from another thread after the list was found empty here
 * finds it empty too and raises the counter; who posts on this thread does so before the next
 * look, so it needs no system call. */
static int serve_events(struct loop *loop)
{
	bool more = atomic_load_explicit(&loop->posted, memory_order_relaxed) != NULL;

	return event_base_loop(
		loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (more ? EVLOOP_NONBLOCK : 0));
}

static int make_base(struct loop *loop, struct error *err)
{
	struct event_config *config = event_config_new();

	if (!config)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an event loop");
	/* EVENT_NOEPOLL and the like belong to whoever starts us, who may be another user. */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!loop->base)
		return error_set_errno(err, errno ? errno : ENOMEM, "create an event loop");
	return 0;
}

int loop_new(struct loop **out, struct error *err)
{
	static pthread_once_t log_once = PTHREAD_ONCE_INIT;
	CLEANUP(loop_freep) struct loop *loop = NULL;

	(void)pthread_once(&log_once, route_libevent_log);
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an event loop");
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return error_set_errno(err, errno, "create an eventfd for an event loop");
	if (make_base(loop, err) < 0)
		return -1;
	loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	if (!loop->wake || event_add(loop->wake, NULL) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory for an event loop");

	*out = TAKE_PTR(loop);
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;

	assert(atomic_load(&loop->serving) == 0);
	assert(!loop->thread_started);
	atomic_store(&loop->serving, pthread_self());
	while (run_posted(loop))
		;
	if (loop->wake)
		event_free(loop->wake);
	if (loop->base)
		event_base_free(loop->base);
	cleanup_fd(&loop->wake_fd);
	free(loop);
}

void loop_freep(struct loop **loop)
{
	loop_free(*loop);
}

void loop_run(struct loop *loop)
{
	bool stop = false;

	assert(atomic_load(&loop->serving) == 0);
	atomic_store(&loop->serving, pthread_self());
	while (!stop) {
		stop = atomic_exchange(&loop->stop, false);
		(void)run_posted(loop);
		if (!stop && serve_events(loop) < 0) {
			log_error("event loop ended: %m");
			break;
		}
	}
	atomic_store(&loop->serving, 0);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	wake_up(loop);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	struct loop_task *newest = atomic_load_explicit(&loop->posted, memory_order_relaxed);

	do {
		task->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&loop->posted, &newest, task, memory_order_release, memory_order_relaxed));
	/* Only the first of a round has to wake the loop, and not from its own thread. From here on
	 * task may be gone. */
	if (!newest && !loop_is_current(loop))
		wake_up(loop);
}

static void *serve(void *arg)
{
	loop_run(arg);
	return NULL;
}

int loop_thread_start(struct loop *loop, const char *name, struct error *err)
{
	int ret;

	assert(!loop->thread_started);
	ret = thread_start(&loop->thread, name, serve, loop);
	if (ret < 0)
		return error_set_errno(err, -ret, "start the thread %s", name);
	loop->thread_started = true;
	return 0;
}

void loop_thread_stop(struct loop *loop)
{
	if (!loop->thread_started)
		return;

	assert(!loop_is_current(loop));
	loop_stop(loop);
	(void)pthread_join(loop->thread, NULL);
	loop->thread_started = false;
	/* The thread may have ended by an earlier loop_stop(); ours is not for the next run. */
	atomic_store(&loop->stop, false);
}

bool loop_is_current(const struct loop *loop)
{
	pthread_t serving = atomic_load_explicit(&loop->serving, memory_order_relaxed);

	return serving != 0 && pthread_equal(serving, pthread_self());
}

bool loop_may_touch(struct loop *loop)
{
	return loop_is_current(loop) || atomic_load(&loop->serving) == 0;
}

struct event_base *loop_event_base(struct loop *loop)
{
	return loop->base;
}
