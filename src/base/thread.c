/* SPDX-License-Identifier: Apache-2.0 */
/* Starts named threads that leave signals to the main one. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

struct thread_task {
	char name[THREAD_NAME_SIZE];
	void *(*run)(void *arg);
	void *arg;
};

static void async_signals(sigset_t *set)
{
	static const int synchronous[] = {
		SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};

	(void)sigfillset(set);
	for (size_t i = 0; i < sizeof(synchronous) / sizeof(synchronous[0]); i++)
		(void)sigdelset(set, synchronous[i]);
}

/* The thread names itself, so that it has the name before it does anything. */
static void *run_named(void *arg)
{
	struct thread_task task = *(struct thread_task *)arg;

	free(arg);
	(void)pthread_setname_np(pthread_self(), task.name);
	return task.run(task.arg);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg)
{
	CLEANUP(cleanup_free) struct thread_task *task = malloc(sizeof(*task));
	sigset_t blocked, before;
	int errnum;

	if (!task)
		return -ENOMEM;
	(void)snprintf(task->name, sizeof(task->name), "%s", name);
	task->run = run;
	task->arg = arg;

	async_signals(&blocked);
	errnum = pthread_sigmask(SIG_BLOCK, &blocked, &before);
	if (errnum)
		return -errnum;
	errnum = pthread_create(thread, NULL, run_named, task);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errnum)
		return -errnum;
	(void)TAKE_PTR(task);
	return 0;
}
