/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"

struct loop {
	struct event_base *base;            /* owned */
	struct event *wake;                 /* owned: readable wake_fd */
	int wake_fd;                        /* owned eventfd */
	_Atomic(struct loop_task *) posted; /* newest first */
	atomic_bool stop;                   /* asked for and not yet obeyed */
	_Atomic(pthread_t) serving;         /* thread inside loop_run(); 0 when none */
	pthread_t thread;    /* of loop_thread_start(); the thread that starts and stops it only */
	bool thread_started; /* likewise */
};

/* Whether this thread may touch timers and watches: it serves the loop, or nobody does. */
bool loop_may_touch(struct loop *loop);
