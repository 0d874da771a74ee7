/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "base/cleanup.h"

/* What top(1) shows: the kernel keeps 15 characters and a 0. */
enum { THREAD_NAME_SIZE = 16 };

/* Starts a thread under this name (cut to what the kernel keeps). Asynchronous signals are blocked
 * in it, so that they go to the thread that waits for them; those a thread causes itself, SIGBUS
 * above all, are not. 0 or -errno. */
MUST_CHECK int thread_start(
	pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg);
