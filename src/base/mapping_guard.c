/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves a call at a page that cannot be read. */
#include "base/mapping_guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "mapping_internal.h"

struct guard {
	sigjmp_buf place;
	struct guard *outer;
};

/* Of the thread, because a signal handler has no argument to find it by. */
static _Thread_local struct guard *volatile innermost;

void mapping_guard_leave(void)
{
	struct guard *guard = innermost;

	if (guard)
		siglongjmp(guard->place, 1);
}

/* Saving the mask in each call is a system call: it is put right only after a jump. */
static void unblock_sigbus(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGBUS);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool mapping_guard_run(void (*call)(void *arg), void *arg)
{
	struct guard guard = {.outer = innermost};

	/* Without the handler there is nothing to guard with: as before, the call works or the
	 * process ends. */
	(void)!mapping_handler_install();
	if (sigsetjmp(guard.place, 0) != 0) {
		innermost = guard.outer;
		unblock_sigbus();
		return false;
	}
	innermost = &guard;
	call(arg);
	innermost = guard.outer;
	return true;
}
