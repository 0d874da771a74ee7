/* SPDX-License-Identifier: Apache-2.0 */
/* Timers and descriptor watches of a loop. */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"

#include "loop_internal.h"

struct loop_timer {
	struct loop *loop;   /* borrowed */
	struct event *event; /* owned */
	uint64_t deadline_ns;
	void (*fire)(void *arg);
	void *arg;
};

struct loop_watch {
	struct loop *loop;   /* borrowed */
	struct event *event; /* owned */
	void (*ready)(void *arg, unsigned events);
	void *arg;
};

static void arm(struct loop_timer *timer, uint64_t delay_ns)
{
	/* Rounded up, so that a timer never fires before its time. */
	uint64_t delay_us = delay_ns / NS_PER_US + (delay_ns % NS_PER_US != 0);
	struct timeval delay = {
		.tv_sec = (time_t)(delay_us / 1000000),
		.tv_usec = (suseconds_t)(delay_us % 1000000),
	};

	/* Fails only when the heap of timers cannot grow; the loop would wait for ever. */
	if (event_add(timer->event, &delay) < 0)
		log_error("no memory to set a timer of %ju us: it will not fire",
			(uintmax_t)delay_us);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;
	uint64_t now = clock_now_ns();

	(void)fd;
	(void)what;
	/* libevent counts from the time it cached before this round of callbacks, which may be
	 * milliseconds behind clock_now_ns() when the timer was set. */
	if (now < timer->deadline_ns)
		arm(timer, timer->deadline_ns - now);
	else
		timer->fire(timer->arg);
}

int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg, struct loop_timer **out,
	struct error *err)
{
	CLEANUP(cleanup_free) struct loop_timer *timer = NULL;

	assert(loop_may_touch(loop));
	timer = calloc(1, sizeof(*timer));
	if (timer)
		timer->event = evtimer_new(loop->base, on_timeout, timer);
	if (!timer || !timer->event)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a timer");

	timer->loop = loop;
	timer->fire = fire;
	timer->arg = arg;
	*out = TAKE_PTR(timer);
	return 0;
}

void loop_timer_set(struct loop_timer *timer, uint64_t delay_ns)
{
	uint64_t now = clock_now_ns();

	assert(loop_may_touch(timer->loop));
	timer->deadline_ns = delay_ns < UINT64_MAX - now ? now + delay_ns : UINT64_MAX;
	arm(timer, delay_ns);
}

void loop_timer_cancel(struct loop_timer *timer)
{
	assert(loop_may_touch(timer->loop));
	(void)event_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return;

	assert(loop_may_touch(timer->loop));
	event_free(timer->event);
	free(timer);
}

static short libevent_events(unsigned events)
{
	return (short)((events & LOOP_READABLE ? EV_READ : 0) |
		       (events & LOOP_WRITABLE ? EV_WRITE : 0));
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *watch = arg;

	(void)fd;
	watch->ready(watch->arg,
		(what & EV_READ ? LOOP_READABLE : 0u) | (what & EV_WRITE ? LOOP_WRITABLE : 0u));
}

/* Interest in nothing is an event that libevent does not know of. */
static int watch_add(struct loop_watch *watch, unsigned events, struct error *err)
{
	int fd = event_get_fd(watch->event);

	if (events != 0 && event_add(watch->event, NULL) < 0)
		return error_set_errno(err, errno ? errno : ENOMEM, "watch descriptor %d", fd);
	return 0;
}

int loop_watch_new(struct loop *loop, int fd, unsigned events,
	void (*ready)(void *arg, unsigned events), void *arg, struct loop_watch **out,
	struct error *err)
{
	struct loop_watch *watch;

	assert(loop_may_touch(loop));
	watch = calloc(1, sizeof(*watch));
	if (watch)
		watch->event = event_new(loop->base, fd,
			(short)(libevent_events(events) | EV_PERSIST), on_ready, watch);
	if (!watch || !watch->event) {
		free(watch);
		return error_set(err, ERROR_NO_MEMORY, "no memory to watch descriptor %d", fd);
	}

	watch->loop = loop;
	watch->ready = ready;
	watch->arg = arg;
	if (watch_add(watch, events, err) < 0) {
		loop_watch_free(watch);
		return -1;
	}
	*out = watch;
	return 0;
}

int loop_watch_set(struct loop_watch *watch, unsigned events, struct error *err)
{
	int fd = event_get_fd(watch->event);

	assert(loop_may_touch(watch->loop));
	(void)event_del(watch->event);
	if (event_assign(watch->event, watch->loop->base, fd,
		    (short)(libevent_events(events) | EV_PERSIST), on_ready, watch) < 0)
		return error_set(err, ERROR_INTERNAL, "change the watch of descriptor %d", fd);
	return watch_add(watch, events, err);
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch)
		return;

	assert(loop_may_touch(watch->loop));
	event_free(watch->event);
	free(watch);
}
