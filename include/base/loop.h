/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* One thread waiting for descriptors, timers and messages (libevent). A loop never blocks on a
 * disk, a digest or a name server; it posts such work to `struct workers`. */
struct loop;
struct event_base;

/* A message to a loop: embed it in the thing it is about, so that posting cannot fail. It belongs
 * to the loop from loop_post() until run() is called; it may be posted again from then on. */
struct loop_task {
	struct loop_task *next;              /* the loop's */
	void (*run)(struct loop_task *task); /* loop thread */
};

/* A loop that nobody runs yet. loop_free() releases it. */
MUST_CHECK int loop_new(struct loop **out, struct error *err);

/* Runs every task still posted, then frees. Not while loop_run() is active. NULL is allowed. */
void loop_free(struct loop *loop);
void loop_freep(struct loop **loop);

/* Serves the loop on the calling thread until loop_stop(). */
void loop_run(struct loop *loop);

/* Any thread; also before loop_run(), which then returns after the tasks already posted. */
void loop_stop(struct loop *loop);

/* Any thread, in order per posting thread; wakes the loop. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Starts a thread of this name that runs the loop; loop_thread_stop() stops and joins it. */
MUST_CHECK int loop_thread_start(struct loop *loop, const char *name, struct error *err);
void loop_thread_stop(struct loop *loop);

/* True on the thread that is inside loop_run(). */
bool loop_is_current(const struct loop *loop);

/* A timer that fires once each time it is set. Loop thread only, also new and free. */
struct loop_timer;
MUST_CHECK int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg,
	struct loop_timer **out, struct error *err);
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ns);
void loop_timer_cancel(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

/* Interest in a descriptor, level-triggered. Loop thread only. The descriptor stays the caller's
 * and outlives the watch. */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
struct loop_watch;
MUST_CHECK int loop_watch_new(struct loop *loop, int fd, unsigned events,
	void (*ready)(void *arg, unsigned events), void *arg, struct loop_watch **out,
	struct error *err);
MUST_CHECK int loop_watch_set(struct loop_watch *watch, unsigned events, struct error *err);
void loop_watch_free(struct loop_watch *watch);

/* For http/, whose server is built on the same base. */
struct event_base *loop_event_base(struct loop *loop);
